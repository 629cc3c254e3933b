/* plain-linear.c - y = x w^T + b, its backward and its parameters' gradients, as triple loops. */
#include "tensor/plain/plain.h"

void ft_plain_linear_forward(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O)
{
    (void)packed;
    for (size_t r = 0; r < R; r++)
        for (size_t o = 0; o < O; o++) {
            double sum = b != NULL ? b[o] : 0;

            for (size_t i = 0; i < I; i++)
                sum += (double)x[r * I + i] * w[o * I + i];
            y[r * O + o] = (float)sum;
        }
}

void ft_plain_linear_backward(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O)
{
    (void)packed;
    for (size_t r = 0; r < R; r++)
        for (size_t i = 0; i < I; i++) {
            double sum = 0;

            for (size_t o = 0; o < O; o++)
                sum += (double)dy[r * O + o] * w[o * I + i];
            dx[r * I + i] = (float)sum;
        }
}

void ft_plain_linear_gradient(float *dw, float *db, const float *dy, const float *x, const float *dy_packed, const float *x_packed,
                              size_t R, size_t I, size_t O, size_t from, size_t to)
{
    (void)dy_packed, (void)x_packed;
    for (size_t o = from; o < to; o++) {
        double total = 0;

        for (size_t i = 0; i < I; i++) {
            double sum = 0;

            for (size_t r = 0; r < R; r++)
                sum += (double)dy[r * O + o] * x[r * I + i];
            dw[o * I + i] += (float)sum;
        }
        for (size_t r = 0; r < R; r++)
            total += dy[r * O + o];
        if (db != NULL)
            db[o] += (float)total;
    }
}
