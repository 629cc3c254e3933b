/* plain-rotary.c - rotary position embedding (Su et al. 2021): queries and keys turned by angles that grow with their place, so that their products
 * depend on how far apart they are. */
#include "tensor/plain/plain.h"

#include <math.h>

/* Powers and angles are rounded to fp32 where torch rounds them: at place 8000 that is more than all else. */
void ft_rotary_table(float *table, size_t length, size_t D, float theta)
{
    for (size_t d = 0; d < D / 2; d++) {
        float speed = 1 / (float)pow((double)theta, (double)((float)(2 * d) / (float)D));

        for (size_t p = 0; p < length; p++) {
            double angle = (double)((float)p * speed);

            table[p * D + d] = (float)cos(angle);
            table[p * D + D / 2 + d] = (float)sin(angle);
        }
    }
}

void ft_plain_rotary(float *y, const float *x, const float *table, bool back, const struct ft_rows *rows, size_t H, size_t W)
{
    size_t D = W / H, half = D / 2;

    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++) {
            const float *cosine = table + (r - rows->offset[s]) * D, *sine = cosine + half;

            for (size_t h = 0; h < 2 * H; h++) {
                y[r * 3 * W + h * D + D - 1] = x[r * 3 * W + h * D + D - 1];
                for (size_t d = 0; d < half; d++) {
                    size_t at = r * 3 * W + h * D + d;
                    float a = x[at], b = x[at + half], up = back ? -sine[d] : sine[d];

                    y[at] = a * cosine[d] - b * up;
                    y[at + half] = b * cosine[d] + a * up;
                }
            }
            for (size_t i = 2 * W; i < 3 * W; i++)
                y[r * 3 * W + i] = x[r * 3 * W + i];
        }
}
