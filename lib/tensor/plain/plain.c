/* plain.c - the table of reference kernels: what every faster one is tested against. */
#include "tensor/plain/plain.h"

static void add(float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] += x[i];
}

static void multiply(float *y, const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = a[i] * b[i];
}

const struct ft_kernels ft_kernels_plain = {
    .name = "plain",
    .rounding = 0x1p-24,
    .gradient_rounding = 0x1p-24,
    .linear_forward = ft_plain_linear_forward,
    .linear_backward = ft_plain_linear_backward,
    .linear_gradient = ft_plain_linear_gradient,
    .layer_norm_forward = ft_plain_layer_norm_forward,
    .layer_norm_backward = ft_plain_layer_norm_backward,
    .layer_norm_gradient = ft_plain_layer_norm_gradient,
    .rms_norm_forward = ft_plain_rms_norm_forward,
    .rms_norm_backward = ft_plain_rms_norm_backward,
    .activation_forward = ft_plain_activation_forward,
    .activation_backward = ft_plain_activation_backward,
    .activation_again = ft_plain_activation_again,
    .dropout = ft_plain_dropout,
    .dropout_add = ft_plain_dropout_add,
    .attention_forward = ft_plain_attention_forward,
    .attention_backward = ft_plain_attention_backward,
    .attend_forward = ft_plain_attend_forward,
    .attend_backward = ft_plain_attend_backward,
    .rotary = ft_plain_rotary,
    .gate_forward = ft_plain_gate_forward,
    .gate_backward = ft_plain_gate_backward,
    .embedding_forward = ft_plain_embedding_forward,
    .embedding_gradient = ft_plain_embedding_gradient,
    .pool_forward = ft_plain_pool_forward,
    .pool_backward = ft_plain_pool_backward,
    .gem_forward = ft_plain_gem_forward,
    .gem_backward = ft_plain_gem_backward,
    .gem_gradient = ft_plain_gem_gradient,
    .normalize_forward = ft_plain_normalize_forward,
    .normalize_backward = ft_plain_normalize_backward,
    .add = add,
    .pixels_forward = ft_plain_pixels_forward,
    .windows_gather = ft_plain_windows_gather,
    .windows_scatter = ft_plain_windows_scatter,
    .depthwise_forward = ft_plain_depthwise_forward,
    .depthwise_backward = ft_plain_depthwise_backward,
    .depthwise_gradient = ft_plain_depthwise_gradient,
    .affine_forward = ft_plain_affine_forward,
    .affine_backward = ft_plain_affine_backward,
    .columns_mix = ft_plain_columns_mix,
    .columns_sum = ft_plain_columns_sum,
    .max_pool_forward = ft_plain_max_pool_forward,
    .max_pool_backward = ft_plain_max_pool_backward,
    .scale_forward = ft_plain_scale_forward,
    .scale_backward = ft_plain_scale_backward,
    .multiply = multiply,
};
