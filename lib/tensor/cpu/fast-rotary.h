/* fast-rotary.h - rotary position embedding: each head's two halves side by side, a vector of both at a time. */
#ifndef FT_TENSOR_CPU_FAST_ROTARY_H
#define FT_TENSOR_CPU_FAST_ROTARY_H

#include "tensor/cpu/vector.h"
#include "tensor/kernels.h"

static void rotary(float *y, const float *x, const float *table, bool back, const struct ft_rows *rows, size_t H, size_t W)
{
    size_t D = W / H, half = D / 2;
    float turn = back ? -1 : 1;

    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++) {
            const float *cosine = table + (r - rows->offset[s]) * D, *sine = cosine + half;

            for (size_t h = 0; h < 2 * H; h++) {
                const float *from = x + r * 3 * W + h * D;
                float *to = y + r * 3 * W + h * D;

                to[D - 1] = from[D - 1];
                for (V_EACH(i, half, m)) {
                    vf a = v_get(from + i, m), b = v_get(from + half + i, m), c = v_get(cosine + i, m), up = v_get(sine + i, m) * turn;

                    v_put(to + i, a * c - b * up, m);
                    v_put(to + half + i, b * c + a * up, m);
                }
            }
            if (y != x)
                memcpy(y + r * 3 * W + 2 * W, x + r * 3 * W + 2 * W, W * sizeof *y);
        }
}

#endif
