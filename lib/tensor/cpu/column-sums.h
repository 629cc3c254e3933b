/* column-sums.h - sums down the columns of a matrix, over blocks of SUM_ROWS rows that are then added up: the rounding error grows with the number of
 * blocks, not of rows, and both operands stay cached. */
#ifndef FT_TENSOR_CPU_COLUMN_SUMS_H
#define FT_TENSOR_CPU_COLUMN_SUMS_H

#include "tensor/cpu/vector.h"

enum { SUM_ROWS = 64 };

/* sum[from..to] += the column sums of x[R, W]; with `n`, also product += those of x times the normalised n (stat: mean, rstd). */
INLINE void column_sums(float *sum, float *product, const float *x, const float *n, const float *stat,
                        size_t R, size_t W, size_t from, size_t to)
{
    for (size_t begin = 0; begin < R; begin += SUM_ROWS) {
        size_t end = begin + SUM_ROWS < R ? begin + SUM_ROWS : R;

        for (V_EACH(i, to - from, m)) {
            vf s = {0}, p = {0};

            for (size_t r = begin; r < end; r++) {
                vf a = v_get(x + r * W + from + i, m);

                s += a;
                if (n != NULL)
                    p = v_fma(a, (v_get(n + r * W + from + i, m) - stat[2 * r]) * stat[2 * r + 1], p);
            }
            if (sum != NULL)
                v_put(sum + from + i, v_get(sum + from + i, m) + s, m);
            if (n != NULL)
                v_put(product + from + i, v_get(product + from + i, m) + p, m);
        }
    }
}

#endif
