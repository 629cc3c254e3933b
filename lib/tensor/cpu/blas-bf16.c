/* blas-bf16.c - products of operands rounded to bf16 where the CPU does not multiply that: rounded block by block, then a library's product in fp32, in
 * which they are exact. No faster than fp32; the same model comes out as where it is, but for rounding of sums. */
#include "tensor/cpu/tables.h"
#include "tensor/plain/plain.h"

#include <string.h>

enum { BLOCK = 1 << 16 };    /* floats of a rounded block */

static _Thread_local float left[BLOCK], right[BLOCK];

/* A matrix's rows apart, and whether it is taken transposed. */
struct matrix {
    const float *from;
    size_t apart;
    bool transposed;
};

/* Rows [r, r + rows) by columns [c, c + columns) of the matrix as taken, rounded, side by side. */
static void round_block(float *to, const struct matrix *m, size_t r, size_t rows, size_t c, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            to[i * columns + j] = ft_plain_round_bf16(m->transposed ? m->from[(c + j) * m->apart + r + i] : m->from[(r + i) * m->apart + c + j]);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* c[m, n] += a b^T over k; columns of b^T are rows of b. */
static void product(float *c, const struct matrix *a, const struct matrix *b, size_t m, size_t n, size_t k)
{
    size_t deep = least(k, 1536), tall = BLOCK / deep;

    for (size_t p = 0; p < k; p += deep)
        for (size_t i = 0; i < m; i += tall) {
            size_t depth = least(k - p, deep), rows = least(m - i, tall);

            round_block(left, a, i, rows, p, depth);
            for (size_t j = 0; j < n; j += tall) {
                size_t columns = least(n - j, tall);

                round_block(right, b, j, columns, p, depth);
                ft_blas_product_add(c + i * n + j, n, left, right, rows, columns, depth);
            }
        }
}

static void forward(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O)
{
    (void)packed;
    for (size_t r = 0; r < R; r++)
        if (b != NULL)
            memcpy(y + r * O, b, O * sizeof *y);
        else
            memset(y + r * O, 0, O * sizeof *y);
    product(y, &(struct matrix){x, I, false}, &(struct matrix){w, I, false}, R, O, I);
}

static void backward(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O)
{
    (void)packed;
    memset(dx, 0, R * I * sizeof *dx);
    product(dx, &(struct matrix){dy, O, false}, &(struct matrix){w, I, true}, R, I, O);
}

static void gradient(float *dw, float *db, const float *dy, const float *x, const float *dy_packed, const float *x_packed,
                     size_t R, size_t I, size_t O, size_t from, size_t to)
{
    (void)dy_packed, (void)x_packed;
    product(dw + from * I, &(struct matrix){dy + from, O, true}, &(struct matrix){x, I, true}, to - from, I, R);
    for (size_t o = from; db != NULL && o < to; o++) {
        double total = 0;

        for (size_t r = 0; r < R; r++)
            total += dy[r * O + o];
        db[o] += (float)total;
    }
}

void ft_blas_bf16(struct ft_kernels *kernels)
{
    kernels->linear_forward = forward;
    kernels->linear_backward = backward;
    kernels->linear_gradient = gradient;
}
