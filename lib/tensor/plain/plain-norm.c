/* plain-norm.c - layer normalisation (Ba, Kiros and Hinton 2016), the same by the root of the mean square (Zhang and Sennrich 2019), and rows to unit
 * length. */
#include "tensor/plain/plain.h"

#include <math.h>

/* Variance about the mean, in a second pass: the sum of squares minus the square of the sum loses what is left when the mean is large. */
void ft_plain_layer_norm_forward(float *y, float *stat, const float *x, const float *gain, const float *bias,
                                 float epsilon, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, y += W) {
        double mean = 0, variance = 0;
        float rstd;

        for (size_t i = 0; i < W; i++)
            mean += x[i];
        mean /= (double)W;
        for (size_t i = 0; i < W; i++)
            variance += (x[i] - mean) * (x[i] - mean);
        rstd = (float)(1 / sqrt(variance / (double)W + (double)epsilon));
        for (size_t i = 0; i < W; i++)
            y[i] = (float)((x[i] - mean) * rstd * gain[i] + (bias != NULL ? bias[i] : 0));
        stat[2 * r] = (float)mean;
        stat[2 * r + 1] = rstd;
    }
}

/* With n = (x - mean) rstd and g = dy gain: dx = rstd (g - mean(g) - n mean(g n)). */
void ft_plain_layer_norm_backward(float *dx, const float *dy, const float *x, const float *stat, const float *gain,
                                  size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, dy += W, dx += W) {
        double mean = stat[2 * r], rstd = stat[2 * r + 1], sum = 0, product = 0;

        for (size_t i = 0; i < W; i++) {
            double g = (double)dy[i] * gain[i];

            sum += g;
            product += g * (x[i] - mean) * rstd;
        }
        sum /= (double)W;
        product /= (double)W;
        for (size_t i = 0; i < W; i++)
            dx[i] = (float)(rstd * ((double)dy[i] * gain[i] - sum - (x[i] - mean) * rstd * product));
    }
}

void ft_plain_layer_norm_gradient(float *dgain, float *dbias, const float *dy, const float *x, const float *stat,
                                  size_t R, size_t W, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        double gain = 0, bias = 0;

        for (size_t r = 0; r < R; r++) {
            gain += (double)dy[r * W + i] * ((double)x[r * W + i] - stat[2 * r]) * stat[2 * r + 1];
            bias += dy[r * W + i];
        }
        if (dgain != NULL)
            dgain[i] += (float)gain;
        if (dbias != NULL)
            dbias[i] += (float)bias;
    }
}

void ft_plain_rms_norm_forward(float *y, float *stat, const float *x, const float *gain, float epsilon, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, y += W) {
        double square = 0;
        float rstd;

        for (size_t i = 0; i < W; i++)
            square += (double)x[i] * x[i];
        rstd = (float)(1 / sqrt(square / (double)W + (double)epsilon));
        for (size_t i = 0; i < W; i++)
            y[i] = (float)((double)x[i] * rstd * gain[i]);
        stat[2 * r] = 0;
        stat[2 * r + 1] = rstd;
    }
}

/* With n = x rstd and g = dy gain: dx = rstd (g - n mean(g n)). */
void ft_plain_rms_norm_backward(float *dx, const float *dy, const float *x, const float *stat, const float *gain, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, dy += W, dx += W) {
        double rstd = stat[2 * r + 1], product = 0;

        for (size_t i = 0; i < W; i++)
            product += (double)dy[i] * gain[i] * x[i] * rstd;
        product /= (double)W;
        for (size_t i = 0; i < W; i++)
            dx[i] = (float)(rstd * ((double)dy[i] * gain[i] - x[i] * rstd * product));
    }
}

void ft_plain_normalize_forward(float *y, float *norm, const float *x, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, y += W) {
        double sum = 0, length;

        for (size_t i = 0; i < W; i++)
            sum += (double)x[i] * x[i];
        norm[r] = (float)sqrt(sum);
        length = norm[r] < 1e-12f ? 1e-12f : norm[r];
        for (size_t i = 0; i < W; i++)
            y[i] = (float)(x[i] / length);
    }
}

/* A row shorter than 1e-12 was divided by that constant, so its gradient is too (as in torch). */
void ft_plain_normalize_backward(float *dx, const float *dy, const float *y, const float *norm, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, y += W, dy += W, dx += W) {
        bool tiny = norm[r] < 1e-12f;
        double dot = 0, length = tiny ? 1e-12f : norm[r];

        for (size_t i = 0; i < W; i++)
            dot += (double)y[i] * dy[i];
        if (tiny)
            dot = 0;
        for (size_t i = 0; i < W; i++)
            dx[i] = (float)((dy[i] - y[i] * dot) / length);
    }
}
