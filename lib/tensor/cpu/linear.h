/* linear.h - the matrix products of the fast tables, by OpenBLAS. */
#ifndef FT_TENSOR_CPU_LINEAR_H
#define FT_TENSOR_CPU_LINEAR_H

#include <stddef.h>

void ft_blas_linear_forward(float *y, const float *x, const float *w, const float *b, size_t R, size_t I, size_t O);
void ft_blas_linear_backward(float *dx, const float *dy, const float *w, size_t R, size_t I, size_t O);
void ft_blas_linear_gradient(float *dw, float *db, const float *dy, const float *x, size_t R, size_t I, size_t O,
                             size_t from, size_t to);

#endif
