/* plain-linear.c - y = x w^T + b, its backward and its parameters' gradients, as triple loops, of operands as they are or rounded to bf16. */
#include "tensor/plain/plain.h"

#include <math.h>
#include <string.h>

/* What a product takes an operand as. */
typedef float taken(float x);

static float as_it_is(float x)
{
    return x;
}

float ft_plain_round_bf16(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    if (isnan(x))
        return x;
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void forward(taken as, float *y, const float *x, const float *w, const float *b, size_t R, size_t I, size_t O)
{
    for (size_t r = 0; r < R; r++)
        for (size_t o = 0; o < O; o++) {
            double sum = b != NULL ? b[o] : 0;

            for (size_t i = 0; i < I; i++)
                sum += (double)as(x[r * I + i]) * as(w[o * I + i]);
            y[r * O + o] = (float)sum;
        }
}

static void backward(taken as, float *dx, const float *dy, const float *w, size_t R, size_t I, size_t O)
{
    for (size_t r = 0; r < R; r++)
        for (size_t i = 0; i < I; i++) {
            double sum = 0;

            for (size_t o = 0; o < O; o++)
                sum += (double)as(dy[r * O + o]) * as(w[o * I + i]);
            dx[r * I + i] = (float)sum;
        }
}

static void gradient(taken as, float *dw, float *db, const float *dy, const float *x, size_t R, size_t I, size_t O, size_t from, size_t to)
{
    for (size_t o = from; o < to; o++) {
        double total = 0;

        for (size_t i = 0; i < I; i++) {
            double sum = 0;

            for (size_t r = 0; r < R; r++)
                sum += (double)as(dy[r * O + o]) * as(x[r * I + i]);
            dw[o * I + i] += (float)sum;
        }
        for (size_t r = 0; r < R; r++)
            total += dy[r * O + o];
        if (db != NULL)
            db[o] += (float)total;
    }
}

void ft_plain_linear_forward(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O)
{
    (void)packed;
    forward(as_it_is, y, x, w, b, R, I, O);
}

void ft_plain_linear_backward(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O)
{
    (void)packed;
    backward(as_it_is, dx, dy, w, R, I, O);
}

void ft_plain_linear_gradient(float *dw, float *db, const float *dy, const float *x, const float *dy_packed, const float *x_packed,
                              size_t R, size_t I, size_t O, size_t from, size_t to)
{
    (void)dy_packed, (void)x_packed;
    gradient(as_it_is, dw, db, dy, x, R, I, O, from, to);
}

static void forward_bf16(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O)
{
    (void)packed;
    forward(ft_plain_round_bf16, y, x, w, b, R, I, O);
}

static void backward_bf16(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O)
{
    (void)packed;
    backward(ft_plain_round_bf16, dx, dy, w, R, I, O);
}

static void gradient_bf16(float *dw, float *db, const float *dy, const float *x, const float *dy_packed, const float *x_packed,
                          size_t R, size_t I, size_t O, size_t from, size_t to)
{
    (void)dy_packed, (void)x_packed;
    gradient(ft_plain_round_bf16, dw, db, dy, x, R, I, O, from, to);
}

void ft_plain_bf16(struct ft_kernels *kernels)
{
    kernels->linear_forward = forward_bf16;
    kernels->linear_backward = backward_bf16;
    kernels->linear_gradient = gradient_bf16;
}
