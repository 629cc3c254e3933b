/* plain.h - the reference kernels, one file an idea, as plain.c puts them into ft_kernels_plain.
 *
 * They say what each operation is: loops in the order of the formula, sums in double so that the reference is closer to the truth than what is
 * measured against it. Shapes and meanings are those of tensor/kernels.h. */
#ifndef FT_TENSOR_PLAIN_H
#define FT_TENSOR_PLAIN_H

#include "tensor/kernels.h"

void ft_plain_linear_forward(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O);
void ft_plain_linear_backward(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O);
void ft_plain_linear_gradient(float *dw, float *db, const float *dy, const float *x, const float *dy_packed, const float *x_packed,
                              size_t R, size_t I, size_t O, size_t from, size_t to);

void ft_plain_layer_norm_forward(float *y, float *stat, const float *x, const float *gain, const float *bias,
                                 float epsilon, size_t R, size_t W);
void ft_plain_layer_norm_backward(float *dx, const float *dy, const float *x, const float *stat, const float *gain,
                                  size_t R, size_t W);
void ft_plain_layer_norm_gradient(float *dgain, float *dbias, const float *dy, const float *x, const float *stat,
                                  size_t R, size_t W, size_t from, size_t to);
void ft_plain_rms_norm_forward(float *y, float *stat, const float *x, const float *gain, float epsilon, size_t R, size_t W);
void ft_plain_rms_norm_backward(float *dx, const float *dy, const float *x, const float *stat, const float *gain, size_t R, size_t W);
void ft_plain_normalize_forward(float *y, float *norm, const float *x, size_t R, size_t W);
void ft_plain_normalize_backward(float *dx, const float *dy, const float *y, const float *norm, size_t R, size_t W);

void ft_plain_activation_forward(enum ft_activation f, float *y, const float *x, size_t count);
void ft_plain_activation_backward(enum ft_activation f, float *dx, const float *dy, const float *x, size_t count);
void ft_plain_activation_again(enum ft_activation f, float *y, float *dx, const float *dy, const float *x, size_t count);

void ft_plain_dropout(float *y, const float *x, const struct ft_dropout *dropout, const struct ft_rows *rows, size_t W);
void ft_plain_dropout_add(float *y, const float *x, const float *residual, const struct ft_dropout *dropout,
                          const struct ft_rows *rows, size_t W);

void ft_plain_attention_forward(float *y, const float *qkv, const struct ft_attention *attention, const struct ft_dropout *dropout,
                                const struct ft_rows *rows, size_t W, float *scratch);
void ft_plain_attention_backward(float *dqkv, float *dbias, const float *dy, const float *qkv, const struct ft_attention *attention,
                                 const struct ft_dropout *dropout, const struct ft_rows *rows, size_t W, float *scratch);

void ft_plain_rotary(float *y, const float *x, const float *table, bool back, const struct ft_rows *rows, size_t H, size_t W);
void ft_plain_gate_forward(enum ft_activation f, float *y, const float *x, size_t R, size_t I);
void ft_plain_gate_backward(enum ft_activation f, float *dx, const float *dy, const float *x, size_t R, size_t I);
void ft_plain_embedding_forward(float *y, const int32_t *id, const float *word, const float *position, const float *type,
                                const struct ft_rows *rows, size_t first, size_t W);
void ft_plain_embedding_gradient(float *dword, float *dposition, float *dtype, const float *dy, const int32_t *id,
                                 const struct ft_rows *rows, size_t first, size_t W, size_t from, size_t to);
void ft_plain_pool_forward(enum ft_pooling how, float *y, uint32_t *arg, const float *x, const struct ft_rows *rows, size_t W);
void ft_plain_attend_forward(float *y, const float *q, const float *kv, size_t H, const struct ft_rows *rows, size_t W, float *scratch);
void ft_plain_attend_backward(float *dq, float *dkv, const float *dy, const float *q, const float *kv, size_t H, const struct ft_rows *rows, size_t W,
                              float *scratch);
void ft_plain_gem_forward(float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W);
void ft_plain_gem_backward(float *dx, const float *dy, const float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W);
void ft_plain_gem_gradient(float *dp, const float *dy, const float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W);
void ft_plain_pool_backward(enum ft_pooling how, float *dx, const float *dy, const uint32_t *arg, const struct ft_rows *rows,
                            size_t W);

void ft_plain_pixels_forward(float *y, const uint8_t *x, const float multiply[3], const float add[3], size_t R);
void ft_plain_windows_gather(float *col, const float *x, const struct ft_windows *g, size_t from, size_t until, size_t first, size_t taps);
void ft_plain_windows_scatter(float *dx, const float *dcol, const struct ft_windows *g, size_t from, size_t until);
void ft_plain_depthwise_forward(enum ft_activation f, float *y, const float *x, const float *w, const float *b, const struct ft_windows *g, size_t S);
void ft_plain_depthwise_backward(float *dx, const float *dy, const float *w, const struct ft_windows *g, size_t S);
void ft_plain_depthwise_gradient(float *dw, float *db, const float *dy, const float *x, const struct ft_windows *g, size_t S, size_t from, size_t to);
void ft_plain_max_pool_forward(float *y, uint32_t *arg, const float *x, const struct ft_windows *g, size_t S);
void ft_plain_max_pool_backward(float *dx, const float *dy, const uint32_t *arg, const struct ft_windows *g, size_t S);

void ft_plain_affine_forward(enum ft_activation f, float *y, const float *x, const float *scale, const float *shift, size_t R, size_t W);
void ft_plain_affine_backward(enum ft_activation f, float *dz, float *y, const float *dy, const float *x, const float *scale, const float *shift,
                              size_t R, size_t W);
void ft_plain_columns_mix(float *y, const float *x, const float *a, const float *z, const float *b, const float *c, size_t R, size_t W);
void ft_plain_columns_sum(double *sum, double *product, const float *x, const float *z, const float *centre, size_t R, size_t W,
                          size_t from, size_t to);
void ft_plain_scale_forward(float *y, const float *x, const float *s, size_t S, size_t P, size_t C);
void ft_plain_scale_backward(float *dx, float *ds, const float *dy, const float *x, const float *s, size_t S, size_t P, size_t C);

/* What an element that is kept is multiplied by; 0 for one that is dropped. `element` is e in the comment on struct ft_dropout. */
float ft_plain_keep(const struct ft_dropout *dropout, uint32_t number, size_t element);

/* Lanes below this are dropped, of 65536. */
static inline uint32_t ft_dropout_threshold(const struct ft_dropout *dropout)
{
    return (uint32_t)((double)dropout->rate * 65536 + 0.5);
}

static inline float ft_dropout_scale(const struct ft_dropout *dropout)
{
    return (float)(1 / (1 - (double)dropout->rate));
}

static inline bool ft_dropout_is_on(const struct ft_dropout *dropout)
{
    return dropout != NULL && dropout->rate > 0;
}

/* The three of operands rounded to bf16, nearest, ties to even. */
void ft_plain_bf16(struct ft_kernels *kernels);

/* A number rounded so, as a float. */
float ft_plain_round_bf16(float x);

#endif
