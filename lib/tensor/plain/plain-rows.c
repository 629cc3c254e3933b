/* plain-rows.c - where tokens become rows and rows become texts: embedding tables at one end, pooling at the other. */
#include "tensor/plain/plain.h"

#include <math.h>

void ft_plain_embedding_forward(float *y, const int32_t *id, const float *word, const float *position, const float *type,
                                const struct ft_rows *rows, size_t first, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++) {
            const float *w = word + (size_t)id[r] * W;
            const float *p = position ? position + (r - rows->offset[s] + first) * W : NULL;
            const float *t = type ? type + ft_rows_type(rows, s, r) * W : NULL;

            for (size_t i = 0; i < W; i++)
                y[r * W + i] = w[i] + (p ? p[i] : 0) + (t ? t[i] : 0);
        }
}

void ft_plain_embedding_gradient(float *dword, float *dposition, float *dtype, const float *dy, const int32_t *id,
                                 const struct ft_rows *rows, size_t first, size_t W, size_t from, size_t to)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++)
            for (size_t i = from; i < to; i++) {
                float d = dy[r * W + i];

                if (dword != NULL)
                    dword[(size_t)id[r] * W + i] += d;
                if (dposition != NULL)
                    dposition[(r - rows->offset[s] + first) * W + i] += d;
                if (dtype != NULL)
                    dtype[ft_rows_type(rows, s, r) * W + i] += d;
            }
}

/* What row `place` of a sequence is multiplied by in the sum over its rows. */
static double weight(enum ft_pooling how, size_t place, size_t length)
{
    if (how == FT_POOL_WEIGHTED_MEAN)
        return (double)(place + 1) / ((double)length * (double)(length + 1) / 2);
    return how == FT_POOL_MEAN_SQRT ? 1 / sqrt((double)length) : 1 / (double)length;
}

static bool takes_one_row(enum ft_pooling how)
{
    return how == FT_POOL_MAX || how == FT_POOL_CLS || how == FT_POOL_LAST;
}

/* An empty sequence pools to zeros. Of equal maxima the first is taken; a NaN is larger than everything. */
void ft_plain_pool_forward(enum ft_pooling how, float *y, uint32_t *arg, const float *x, const struct ft_rows *rows, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t i = 0; i < W; i++) {
            size_t begin = rows->offset[s], end = rows->offset[s + 1], best = begin;
            double sum = 0;

            for (size_t r = begin; r < end; r++) {
                float here = x[r * W + i];

                sum += here * weight(how, r - begin, end - begin);
                if (here > x[best * W + i] || isnan(here))
                    best = isnan(x[best * W + i]) ? best : r;
            }
            if (how == FT_POOL_MAX)
                arg[s * W + i] = (uint32_t)best;
            if (begin == end)
                y[s * W + i] = 0;
            else if (takes_one_row(how))
                y[s * W + i] = x[(how == FT_POOL_MAX ? best : how == FT_POOL_CLS ? begin : end - 1) * W + i];
            else
                y[s * W + i] = (float)sum;
        }
}

void ft_plain_pool_backward(enum ft_pooling how, float *dx, const float *dy, const uint32_t *arg, const struct ft_rows *rows,
                            size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++)
            for (size_t i = 0; i < W; i++) {
                size_t begin = rows->offset[s], end = rows->offset[s + 1];
                size_t taken = how == FT_POOL_MAX ? arg[s * W + i] : how == FT_POOL_CLS ? begin : end - 1;

                if (takes_one_row(how))
                    dx[r * W + i] = r == taken ? dy[s * W + i] : 0;
                else
                    dx[r * W + i] = (float)(dy[s * W + i] * weight(how, r - begin, end - begin));
            }
}
