/* plain-columns.c - each channel of a map by itself: pixels to numbers, scale and shift, sums over positions, squeeze and excitation's product. */
#include "tensor/plain/plain.h"

void ft_plain_pixels_forward(float *y, const uint8_t *x, const float multiply[3], const float add[3], size_t R)
{
    for (size_t i = 0; i < R * 3; i++)
        y[i] = (float)((double)x[i] * multiply[i % 3] + add[i % 3]);
}

/* Through a float, as the activation of a layer of its own would find it. */
static float affine(float x, float scale, float shift)
{
    return (float)((double)x * scale + shift);
}

void ft_plain_affine_forward(enum ft_activation f, float *y, const float *x, const float *scale, const float *shift, size_t R, size_t W)
{
    for (size_t i = 0; i < R * W; i++)
        y[i] = affine(x[i], scale[i % W], shift[i % W]);
    ft_plain_activation_forward(f, y, y, R * W);
}

void ft_plain_affine_backward(enum ft_activation f, float *dz, float *y, const float *dy, const float *x, const float *scale, const float *shift,
                              size_t R, size_t W)
{
    for (size_t i = 0; i < R * W; i++) {
        float z = affine(x[i], scale[i % W], shift[i % W]);

        if (y != NULL)
            ft_plain_activation_forward(f, y + i, &z, 1);
        ft_plain_activation_backward(f, dz + i, dy + i, &z, 1);
    }
}

void ft_plain_columns_mix(float *y, const float *x, const float *a, const float *z, const float *b, const float *c, size_t R, size_t W)
{
    for (size_t i = 0; i < R * W; i++) {
        double other = z == NULL ? 0 : b == NULL ? z[i] : (double)z[i] * b[i % W];

        y[i] = (float)((double)x[i] * a[i % W] + other + c[i % W]);
    }
}

void ft_plain_columns_sum(double *sum, double *product, const float *x, const float *z, const float *centre, size_t R, size_t W,
                          size_t from, size_t to)
{
    for (size_t r = 0; r < R; r++)
        for (size_t i = from; i < to; i++) {
            if (sum != NULL)
                sum[i] += x[r * W + i];
            if (product != NULL)
                product[i] += (x != NULL ? x[r * W + i] : (double)z[r * W + i] - centre[i]) * ((double)z[r * W + i] - centre[i]);
        }
}

void ft_plain_scale_forward(float *y, const float *x, const float *s, size_t S, size_t P, size_t C)
{
    for (size_t i = 0; i < S * P * C; i++)
        y[i] = x[i] * s[i / (P * C) * C + i % C];
}

void ft_plain_scale_backward(float *dx, float *ds, const float *dy, const float *x, const float *s, size_t S, size_t P, size_t C)
{
    for (size_t i = 0; ds != NULL && i < S * C; i++) {
        size_t first = i / C * P * C + i % C;
        double sum = 0;

        for (size_t p = 0; p < P; p++)
            sum += (double)dy[first + p * C] * x[first + p * C];
        ds[i] = (float)sum;
    }
    if (dx != NULL)
        ft_plain_scale_forward(dx, dy, s, S, P, C);
}
