/* tables.h - what the files of cpu/ share: the matrix products of all fast tables, and the tables. */
#ifndef FT_TENSOR_CPU_TABLES_H
#define FT_TENSOR_CPU_TABLES_H

#include "tensor/kernels.h"

/* linear_forward and _backward of kernels.h, and _gradient without the bias. */
void ft_blas_linear_forward(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O);
void ft_blas_linear_backward(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O);
void ft_blas_linear_gradient(float *dw, const float *dy, const float *x, size_t R, size_t I, size_t O, size_t from, size_t to);

/* c[m,n] += a[m,k] b[n,k]^T, rows of c `apart`. */
void ft_blas_product_add(float *c, size_t apart, const float *a, const float *b, size_t m, size_t n, size_t k);

/* The three of operands rounded to bf16, where the CPU does not multiply that. */
void ft_blas_bf16(struct ft_kernels *kernels);

extern const struct ft_kernels ft_kernels_baseline;
#ifdef __x86_64__
extern const struct ft_kernels ft_kernels_avx2, ft_kernels_avx512;

/* Put in the products of a unit of the CPU's own; false where it has none. */
bool ft_products_amx(struct ft_kernels *kernels, enum ft_precision precision);
bool ft_products_avx512_bf16(struct ft_kernels *kernels);
#endif

#endif
