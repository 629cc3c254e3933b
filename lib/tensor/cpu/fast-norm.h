/* fast-norm.h - layer and root-mean-square normalisation, unit length, and sums over rows by column.
 *
 * A row is a few kilobytes and stays in the first cache while it is gone over two or three times. Sums along a row have four partial sums a
 * lane, always over the same elements, so a row's bits depend on nothing but the row. */
#ifndef FT_TENSOR_CPU_FAST_NORM_H
#define FT_TENSOR_CPU_FAST_NORM_H

#include "tensor/cpu/column-sums.h"
#include "tensor/kernels.h"

#include <math.h>

/* The sum of x[i] (less `mean`, squared, when `centred`) over a row. */
INLINE float row_sum(const float *x, size_t W, bool centred, float mean)
{
    vf sum[4] = {{0}};
    vm rest;
    size_t i = 0;

    for (; i + 4 * V <= W; i += 4 * V)
        for (int j = 0; j < 4; j++) {
            vf a = v_load(x + i + j * V);

            sum[j] = centred ? v_fma(a - mean, a - mean, sum[j]) : sum[j] + a;
        }
    for (; i + V <= W; i += V) {
        vf a = v_load(x + i);

        sum[0] = centred ? v_fma(a - mean, a - mean, sum[0]) : sum[0] + a;
    }
    if (i < W) {
        vf a = v_load_first(x + i, W - i);

        rest = v_first(W - i);
        sum[1] += v_pick(rest, centred ? (a - mean) * (a - mean) : a, v_set(0.0f));
    }
    return v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static void layer_norm_forward(float *y, float *stat, const float *x, const float *gain, const float *bias,
                               float epsilon, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, y += W) {
        float mean = row_sum(x, W, false, 0) / (float)W;
        float rstd = 1 / sqrtf(row_sum(x, W, true, mean) / (float)W + epsilon);

        for (V_EACH(i, W, m))
            v_put(y + i, v_fma((v_get(x + i, m) - mean) * rstd, v_get(gain + i, m), bias != NULL ? v_get(bias + i, m) : v_set(0.0f)), m);
        stat[2 * r] = mean;
        stat[2 * r + 1] = rstd;
    }
}

static void layer_norm_backward(float *dx, const float *dy, const float *x, const float *stat, const float *gain,
                                size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, dy += W, dx += W) {
        float mean = stat[2 * r], rstd = stat[2 * r + 1], a, b;
        vf sum[2] = {{0}}, product[2] = {{0}};

        for (V_EACH(i, W, m)) {
            vf g = v_get(dy + i, m) * v_get(gain + i, m);

            /* gain is 0 past the end, and so is g */
            sum[i / V % 2] += g;
            product[i / V % 2] = v_fma(g, v_get(x + i, m) - mean, product[i / V % 2]);
        }
        a = v_sum(sum[0] + sum[1]) / (float)W;
        b = v_sum(product[0] + product[1]) * rstd * rstd / (float)W;
        for (V_EACH(i, W, m)) {
            vf g = v_get(dy + i, m) * v_get(gain + i, m);

            v_put(dx + i, (g - a - (v_get(x + i, m) - mean) * b) * rstd, m);
        }
    }
}

static void layer_norm_gradient(float *dgain, float *dbias, const float *dy, const float *x, const float *stat,
                                size_t R, size_t W, size_t from, size_t to)
{
    column_sums(dbias, dgain, dy, dgain != NULL ? x : NULL, stat, R, W, from, to);
}

static void rms_norm_forward(float *y, float *stat, const float *x, const float *gain, float epsilon, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, y += W) {
        float rstd = 1 / sqrtf(row_sum(x, W, true, 0) / (float)W + epsilon);

        for (V_EACH(i, W, m))
            v_put(y + i, v_get(x + i, m) * rstd * v_get(gain + i, m), m);
        stat[2 * r] = 0;
        stat[2 * r + 1] = rstd;
    }
}

static void rms_norm_backward(float *dx, const float *dy, const float *x, const float *stat, const float *gain, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, dy += W, dx += W) {
        float rstd = stat[2 * r + 1], b;
        vf product[2] = {{0}};

        for (V_EACH(i, W, m))
            product[i / V % 2] = v_fma(v_get(dy + i, m) * v_get(gain + i, m), v_get(x + i, m), product[i / V % 2]);
        b = v_sum(product[0] + product[1]) * rstd * rstd / (float)W;
        for (V_EACH(i, W, m))
            v_put(dx + i, (v_get(dy + i, m) * v_get(gain + i, m) - v_get(x + i, m) * b) * rstd, m);
    }
}

static void normalize_forward(float *y, float *norm, const float *x, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, y += W) {
        float length;

        norm[r] = sqrtf(row_sum(x, W, true, 0));
        length = norm[r] < 1e-12f ? 1e-12f : norm[r];
        for (V_EACH(i, W, m))
            v_put(y + i, v_get(x + i, m) / length, m);
    }
}

static void normalize_backward(float *dx, const float *dy, const float *y, const float *norm, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, y += W, dy += W, dx += W) {
        bool tiny = norm[r] < 1e-12f;
        float dot, length = tiny ? 1e-12f : norm[r];
        vf sum = {0};

        for (V_EACH(i, W, m))
            sum = v_fma(v_get(y + i, m), v_get(dy + i, m), sum);
        dot = tiny ? 0 : v_sum(sum);
        for (V_EACH(i, W, m))
            v_put(dx + i, (v_get(dy + i, m) - v_get(y + i, m) * dot) / length, m);
    }
}

#endif
