/* plain-gem.c - pooling by the generalised mean, taken in logarithms of x over the largest x, so that no power overflows or vanishes. */
#include "tensor/plain/plain.h"

#include <math.h>

static double logarithm(float x, float epsilon)
{
    return log(x < epsilon ? (double)epsilon : (double)x);
}

void ft_plain_gem_forward(float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t i = 0; i < W; i++) {
            size_t begin = rows->offset[s], end = rows->offset[s + 1];
            double most = -INFINITY, sum = 0;

            for (size_t r = begin; r < end; r++)
                most = fmax(most, logarithm(x[r * W + i], epsilon));
            for (size_t r = begin; r < end; r++)
                sum += exp(p * (logarithm(x[r * W + i], epsilon) - most));
            y[s * W + i] = begin == end ? 0 : (float)exp(most + log(sum / (double)(end - begin)) / p);
        }
}

/* dy/dx = (x / y)^(p - 1) / length, and 0 below epsilon */
void ft_plain_gem_backward(float *dx, const float *dy, const float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W)
{
    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++)
            for (size_t i = 0; i < W; i++) {
                double length = rows->offset[s + 1] - rows->offset[s];
                double ratio = logarithm(x[r * W + i], epsilon) - log(y[s * W + i]);

                dx[r * W + i] = (float)(dy[s * W + i] * (x[r * W + i] < epsilon ? 0 : exp((p - 1) * ratio) / length));
            }
}

/* dy/dp = y / p * mean of (x / y)^p ln(x / y) */
void ft_plain_gem_gradient(float *dp, const float *dy, const float *y, const float *x, float p, float epsilon, const struct ft_rows *rows, size_t W)
{
    double all = 0;

    for (size_t s = 0; s < rows->sequences; s++)
        for (size_t i = 0; i < W; i++) {
            double sum = 0, length = rows->offset[s + 1] - rows->offset[s];

            for (size_t r = rows->offset[s]; r < rows->offset[s + 1]; r++) {
                double ratio = logarithm(x[r * W + i], epsilon) - log(y[s * W + i]);

                sum += exp(p * ratio) * ratio;
            }
            if (length > 0)
                all += (double)dy[s * W + i] * y[s * W + i] / p * sum / length;
        }
    *dp += (float)all;
}
