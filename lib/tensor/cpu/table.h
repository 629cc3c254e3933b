/* table.h - all fast kernels at the level the including file sets, as the table FT_TABLE. */
#include "tensor/cpu/fast-attention.h"
#include "tensor/cpu/fast-columns.h"
#include "tensor/cpu/fast-depthwise-gradient.h"
#include "tensor/cpu/fast-dropout.h"
#include "tensor/cpu/fast-gate.h"
#include "tensor/cpu/fast-gem.h"
#include "tensor/cpu/fast-norm.h"
#include "tensor/cpu/fast-rotary.h"
#include "tensor/cpu/fast-rows.h"
#include "tensor/cpu/fast-windows.h"
#include "tensor/cpu/tables.h"
#include "tensor/plain/plain.h"

static void linear_gradient(float *dw, float *db, const float *dy, const float *x, const float *dy_packed, const float *x_packed,
                            size_t R, size_t I, size_t O, size_t from, size_t to)
{
    (void)dy_packed, (void)x_packed;
    ft_blas_linear_gradient(dw, dy, x, R, I, O, from, to);
    if (db != NULL)
        column_sums(db, NULL, dy, NULL, NULL, R, O, from, to);
}

const struct ft_kernels FT_TABLE = {
    .name = FT_TABLE_NAME,
    .rounding = 0x1p-24,
    .gradient_rounding = 0x1p-24,
    .linear_forward = ft_blas_linear_forward,
    .linear_backward = ft_blas_linear_backward,
    .linear_gradient = linear_gradient,
    .layer_norm_forward = layer_norm_forward,
    .layer_norm_backward = layer_norm_backward,
    .layer_norm_gradient = layer_norm_gradient,
    .rms_norm_forward = rms_norm_forward,
    .rms_norm_backward = rms_norm_backward,
    .activation_forward = activation_forward,
    .activation_backward = activation_backward,
    .activation_again = activation_again,
    .dropout = dropout_forward,
    .dropout_add = dropout_add,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .attend_forward = ft_plain_attend_forward,
    .attend_backward = ft_plain_attend_backward,
    .rotary = rotary,
    .gate_forward = gate_forward,
    .gate_backward = gate_backward,
    .embedding_forward = embedding_forward,
    .embedding_gradient = embedding_gradient,
    .pool_forward = pool_forward,
    .pool_backward = pool_backward,
    .gem_forward = gem_forward,
    .gem_backward = gem_backward,
    .gem_gradient = gem_gradient,
    .normalize_forward = normalize_forward,
    .normalize_backward = normalize_backward,
    .add = add,
    .pixels_forward = pixels_forward,
    .windows_gather = windows_gather,
    .windows_scatter = windows_scatter,
    .depthwise_forward = depthwise_forward,
    .depthwise_backward = depthwise_backward,
    .depthwise_gradient = depthwise_gradient,
    .affine_forward = affine_forward,
    .affine_backward = affine_backward,
    .columns_mix = columns_mix,
    .columns_sum = columns_sum,
    .max_pool_forward = max_pool_forward,
    .max_pool_backward = max_pool_backward,
    .scale_forward = scale_forward,
    .scale_backward = scale_backward,
    .multiply = multiply,
};
