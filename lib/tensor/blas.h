/* blas.h - OpenBLAS's matrix product, one thread a call.
 *
 * The library is loaded at the first call, not with the program: most tools on most CPUs never make that call, and loading it takes 10 ms and 15 MB
 * and, as it is built, starts a thread for every CPU that spins for some 20 ms. */
#ifndef FT_TENSOR_BLAS_H
#define FT_TENSOR_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* c[m,n] = alpha op(a) op(b) + beta c, row-major; op(a) is a transposed where `ta`. lda, ldb, ldc: floats between rows. */
void ft_blas_sgemm(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb,
                   float beta, float *c, size_t ldc);

/* A function of a library that is loaded once and stays; NULL when it is not there. */
void *ft_blas_load(const char *library, const char *function);

#endif
