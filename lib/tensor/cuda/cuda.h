/* cuda.h - the kernels of this directory as C functions, and the table they make: the same struct as the CPU's, with NULL for what is not
 * written yet. The table is built where the .cu files are: with nvcc, or with a C++ compiler against emulate.h. */
#ifndef FT_TENSOR_CUDA_H
#define FT_TENSOR_CUDA_H

#include "tensor/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

void ft_cuda_layer_norm_forward(float *y, float *stat, const float *x, const float *gain, const float *bias,
                                float epsilon, size_t R, size_t W);
void ft_cuda_layer_norm_backward(float *dx, const float *dy, const float *x, const float *stat, const float *gain,
                                 size_t R, size_t W);
void ft_cuda_layer_norm_gradient(float *dgain, float *dbias, const float *dy, const float *x, const float *stat,
                                 size_t R, size_t W, size_t from, size_t to);

extern const struct ft_kernels ft_kernels_cuda;

#ifdef __cplusplus
}
#endif
#endif
