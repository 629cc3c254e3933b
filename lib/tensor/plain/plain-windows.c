/* plain-windows.c - what slides over maps: windows laid out as rows and back, convolutions of each channel by itself, max pooling. */
#include "tensor/plain/plain.h"

#include <math.h>
#include <string.h>

/* Where tap ky, kx of window (oy, ox) lies: false outside of the map. */
static bool position(const struct ft_windows *g, size_t oy, size_t ox, size_t ky, size_t kx, size_t *at)
{
    size_t y = oy * g->stride + ky, x = ox * g->stride + kx;

    if (y < g->above || y - g->above >= g->height || x < g->left || x - g->left >= g->across)
        return false;
    *at = (y - g->above) * g->across + x - g->left;
    return true;
}

void ft_plain_windows_gather(float *col, const float *x, const struct ft_windows *g, size_t from, size_t until, size_t first, size_t taps)
{
    size_t C = g->channels, P = g->out_height * g->out_across, at;

    for (size_t i = from; i < until; i++)
        for (size_t k = first; k < first + taps; k++, col += C) {
            const float *item = x + i / P * g->height * g->across * C;

            if (position(g, i % P / g->out_across, i % g->out_across, k / g->kernel, k % g->kernel, &at))
                memcpy(col, item + at * C, C * sizeof *col);
            else
                memset(col, 0, C * sizeof *col);
        }
}

void ft_plain_windows_scatter(float *dx, const float *dcol, const struct ft_windows *g, size_t from, size_t until)
{
    size_t C = g->channels, P = g->out_height * g->out_across, at;

    for (size_t i = from; i < until; i++)
        for (size_t k = 0; k < g->kernel * g->kernel; k++, dcol += C) {
            float *item = dx + i / P * g->height * g->across * C;

            if (position(g, i % P / g->out_across, i % g->out_across, k / g->kernel, k % g->kernel, &at))
                for (size_t c = 0; c < C; c++)
                    item[at * C + c] += dcol[c];
        }
}

void ft_plain_depthwise_forward(enum ft_activation f, float *y, const float *x, const float *w, const float *b, const struct ft_windows *g, size_t S)
{
    size_t C = g->channels, P = g->out_height * g->out_across, at;

    for (size_t i = 0; i < S * P; i++)
        for (size_t c = 0; c < C; c++) {
            const float *item = x + i / P * g->height * g->across * C;
            double sum = b != NULL ? b[c] : 0;

            for (size_t k = 0; k < g->kernel * g->kernel; k++)
                if (position(g, i % P / g->out_across, i % g->out_across, k / g->kernel, k % g->kernel, &at))
                    sum += (double)w[k * C + c] * item[at * C + c];
            y[i * C + c] = (float)sum;
        }
    ft_plain_activation_forward(f, y, y, S * P * C);
}

/* The window that has a place on the map under its tap k: none, where it would lie between two windows or beyond them. */
static bool window(const struct ft_windows *g, size_t place, size_t k, size_t *at)
{
    size_t y = place / g->across + g->above, x = place % g->across + g->left, ky = k / g->kernel, kx = k % g->kernel;

    if (y < ky || x < kx || (y - ky) % g->stride != 0 || (x - kx) % g->stride != 0)
        return false;
    y = (y - ky) / g->stride;
    x = (x - kx) / g->stride;
    *at = y * g->out_across + x;
    return y < g->out_height && x < g->out_across;
}

void ft_plain_depthwise_backward(float *dx, const float *dy, const float *w, const struct ft_windows *g, size_t S)
{
    size_t C = g->channels, places = g->height * g->across, at;

    for (size_t i = 0; i < S * places; i++)
        for (size_t c = 0; c < C; c++) {
            const float *item = dy + i / places * g->out_height * g->out_across * C;
            double sum = 0;

            for (size_t k = 0; k < g->kernel * g->kernel; k++)
                if (window(g, i % places, k, &at))
                    sum += (double)w[k * C + c] * item[at * C + c];
            dx[i * C + c] = (float)sum;
        }
}

void ft_plain_depthwise_gradient(float *dw, float *db, const float *dy, const float *x, const struct ft_windows *g, size_t S, size_t from, size_t to)
{
    size_t C = g->channels, P = g->out_height * g->out_across, at;

    for (size_t c = from; c < to; c++) {
        double bias = 0;

        for (size_t i = 0; i < S * P; i++)
            bias += dy[i * C + c];
        if (db != NULL)
            db[c] += (float)bias;
        for (size_t k = 0; k < g->kernel * g->kernel; k++) {
            double sum = 0;

            for (size_t i = 0; i < S * P; i++)
                if (position(g, i % P / g->out_across, i % g->out_across, k / g->kernel, k % g->kernel, &at))
                    sum += (double)dy[i * C + c] * x[(i / P * g->height * g->across + at) * C + c];
            dw[k * C + c] += (float)sum;
        }
    }
}

/* A NaN is larger than everything. */
void ft_plain_max_pool_forward(float *y, uint32_t *arg, const float *x, const struct ft_windows *g, size_t S)
{
    size_t C = g->channels, P = g->out_height * g->out_across, at;

    for (size_t i = 0; i < S * P; i++)
        for (size_t c = 0; c < C; c++) {
            const float *item = x + i / P * g->height * g->across * C;
            size_t best = 0, seen = 0;

            for (size_t k = 0; k < g->kernel * g->kernel; k++)
                if (position(g, i % P / g->out_across, i % g->out_across, k / g->kernel, k % g->kernel, &at)) {
                    float here = item[at * C + c], largest = item[best * C + c];

                    if (seen++ == 0 || here > largest || (isnan(here) && !isnan(largest)))
                        best = at;
                }
            y[i * C + c] = item[best * C + c];
            arg[i * C + c] = (uint32_t)best;
        }
}

void ft_plain_max_pool_backward(float *dx, const float *dy, const uint32_t *arg, const struct ft_windows *g, size_t S)
{
    size_t C = g->channels, P = g->out_height * g->out_across, places = g->height * g->across;

    memset(dx, 0, S * places * C * sizeof *dx);
    for (size_t i = 0; i < S * P; i++)
        for (size_t c = 0; c < C; c++)
            dx[(i / P * places + arg[i * C + c]) * C + c] += dy[i * C + c];
}
