/* product.h - small matrix products on views with strides: what attention is made of.
 *
 * C[m, n] = A[m, k] B[k, n], or += . An element of A is at a[i * a_row + p * a_column], so A may be a transpose; rows of B and C are contiguous.
 * A tile of C stays in registers while p runs: each element of A is spread over a vector, each vector of B is used for all rows of
 * the tile. Every element of C is one chain of fused multiply-adds in the order of p, so its bits do not depend on m, n or the tile it falls in. */
#ifndef FT_TENSOR_CPU_PRODUCT_H
#define FT_TENSOR_CPU_PRODUCT_H

#include "tensor/cpu/vector.h"

#include <stdbool.h>

struct product {
    float *c;
    const float *a, *b;
    size_t c_row, a_row, a_column, b_row;
    size_t m, n, k;
    bool add;
};

enum { TILE_ROWS = V == 16 ? 8 : 4 };

/* `rows` of C by `wide` vectors, the last of them `last` elements. All but the pointers are constants where it is inlined. */
INLINE void product_tile(const struct product *t, size_t i, size_t j, const size_t rows, const size_t wide, const size_t last)
{
    const float *a = t->a + i * t->a_row, *b = t->b + j;
    float *c = t->c + i * t->c_row + j;
    vf sum[TILE_ROWS][2];

#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (size_t v = 0; v < wide; v++)
            sum[r][v] = t->add ? v_get(c + r * t->c_row + v * V, v + 1 < wide ? V : last) : v_set(0.0f);
    for (size_t p = 0; p < t->k; p++, a += t->a_column, b += t->b_row) {
        vf column[2];

#pragma GCC unroll 2
        for (size_t v = 0; v < wide; v++)
            column[v] = v_get(b + v * V, v + 1 < wide ? V : last);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            vf spread = v_set(a[r * t->a_row]);

#pragma GCC unroll 2
            for (size_t v = 0; v < wide; v++)
                sum[r][v] = v_fma(spread, column[v], sum[r][v]);
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (size_t v = 0; v < wide; v++)
            v_put(c + r * t->c_row + v * V, sum[r][v], v + 1 < wide ? V : last);
}

INLINE void product_rows(const struct product *t, size_t i, const size_t rows)
{
    size_t j = 0;

    for (; j + 2 * V <= t->n; j += 2 * V)
        product_tile(t, i, j, rows, 2, V);
    if (j + V <= t->n) {
        product_tile(t, i, j, rows, 1, V);
        j += V;
    }
    if (j < t->n)
        product_tile(t, i, j, rows, 1, t->n - j);
}

static void product(const struct product *t)
{
    size_t i = 0;

    for (; i + TILE_ROWS <= t->m; i += TILE_ROWS)
        product_rows(t, i, TILE_ROWS);
    if (TILE_ROWS > 4 && i + 4 <= t->m) {
        product_rows(t, i, 4);
        i += 4;
    }
    if (i + 2 <= t->m) {
        product_rows(t, i, 2);
        i += 2;
    }
    if (i < t->m)
        product_rows(t, i, 1);
}

#endif
