/* plain-dropout.c - inverted dropout whose mask is a function of (seed, batch, sequence, node, element): the forward, the backward and
 * a second forward draw the same numbers without keeping any. */
#include "base/random.h"
#include "tensor/plain/plain.h"

float ft_plain_keep(const struct ft_dropout *dropout, uint32_t number, size_t element)
{
    struct ft_philox words = ft_philox(dropout->seed, dropout->batch, number, dropout->node, (uint32_t)(element / 8));
    uint32_t word = words.word[element % 8 / 2], lane = element % 2 ? word >> 16 : word & 0xffff;

    return lane >= ft_dropout_threshold(dropout) ? ft_dropout_scale(dropout) : 0;
}

/* A dropped element is 0 whatever it was; multiplying by 0 would let an infinity become NaN. */
void ft_plain_dropout(float *y, const float *x, const struct ft_dropout *dropout, const struct ft_rows *rows, size_t W)
{
    size_t stride = (W + 7) / 8 * 8;

    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++)
            for (size_t i = 0; i < W; i++) {
                size_t element = (r - rows->offset[s]) * stride + i;
                float keep = ft_dropout_is_on(dropout) ? ft_plain_keep(dropout, rows->number[s], element) : 1;

                y[r * W + i] = keep != 0 ? x[r * W + i] * keep : 0;
            }
}

void ft_plain_dropout_add(float *y, const float *x, const float *residual, const struct ft_dropout *dropout,
                          const struct ft_rows *rows, size_t W)
{
    size_t stride = (W + 7) / 8 * 8;

    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++)
            for (size_t i = 0; i < W; i++) {
                size_t element = (r - rows->offset[s]) * stride + i;
                float keep = ft_dropout_is_on(dropout) ? ft_plain_keep(dropout, rows->number[s], element) : 1;

                y[r * W + i] = (keep != 0 ? x[r * W + i] * keep : 0) + residual[r * W + i];
            }
}
