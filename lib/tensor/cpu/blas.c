/* blas.c - the three products of a linear layer as sgemm calls. OpenBLAS packs and blocks for the CPU it runs on; one call is one
 * thread's (cpu.c sees to that), the pool runs several at a time. */
#include "tensor/cpu/tables.h"

#include <cblas.h>
#include <string.h>

#undef I    /* cblas.h brings complex.h, whose I is not ours */

/* The bias goes in first and the product is added to it: one pass less over y than adding it after. */
void ft_blas_linear_forward(float *y, const float *x, const float *w, const float *b, size_t R, size_t I, size_t O)
{
    if (b != NULL)
        for (size_t r = 0; r < R; r++)
            memcpy(y + r * O, b, O * sizeof *y);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)R, (int)O, (int)I, 1, x, (int)I, w, (int)I,
                b != NULL, y, (int)O);
}

void ft_blas_linear_backward(float *dx, const float *dy, const float *w, size_t R, size_t I, size_t O)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)R, (int)I, (int)O, 1, dy, (int)O, w, (int)I, 0, dx, (int)I);
}

void ft_blas_linear_gradient(float *dw, const float *dy, const float *x, size_t R, size_t I, size_t O, size_t from, size_t to)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)(to - from), (int)I, (int)R, 1, dy + from, (int)O,
                x, (int)I, 1, dw + from * I, (int)I);
}
