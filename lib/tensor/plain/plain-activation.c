/* plain-activation.c - the activations and their derivatives, from libm, in double. */
#include "tensor/plain/plain.h"

#include <math.h>
#include <string.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* The standard normal's distribution and density. */
static double normal(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}

static double density(double x)
{
    return exp(-0.5 * x * x) * 0.3989422804014326779;
}

static double value(enum ft_activation f, double x)
{
    switch (f) {
    case FT_IDENTITY:
        return x;
    case FT_GELU:
        return x * normal(x);
    case FT_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.7978845608028653559 * (x + 0.044715 * x * x * x)));
    case FT_QUICK_GELU:
        return x * sigmoid(1.702 * x);
    case FT_RELU:
        return x <= 0 ? 0 : x;
    case FT_TANH:
        return tanh(x);
    case FT_SILU:
        return x * sigmoid(x);
    case FT_SIGMOID:
        return sigmoid(x);
    case FT_RELU6:
        return x <= 0 ? 0 : x >= 6 ? 6 : x;
    }
    return x;
}

static double slope(enum ft_activation f, double x)
{
    double s;

    switch (f) {
    case FT_IDENTITY:
        return 1;
    case FT_GELU:
        return normal(x) + x * density(x);
    case FT_GELU_TANH:
        s = tanh(0.7978845608028653559 * (x + 0.044715 * x * x * x));
        return 0.5 * (1 + s) + 0.5 * x * (1 - s * s) * 0.7978845608028653559 * (1 + 3 * 0.044715 * x * x);
    case FT_QUICK_GELU:
        s = sigmoid(1.702 * x);
        return s + 1.702 * x * s * (1 - s);
    case FT_RELU:
        return x <= 0 ? 0 : x > 0 ? 1 : x;   /* NaN stays */
    case FT_TANH:
        s = tanh(x);
        return 1 - s * s;
    case FT_SILU:
        s = sigmoid(x);
        return s + x * s * (1 - s);
    case FT_SIGMOID:
        s = sigmoid(x);
        return s * (1 - s);
    case FT_RELU6:
        return x <= 0 || x >= 6 ? 0 : x > 0 ? 1 : x;
    }
    return 1;
}

void ft_plain_activation_forward(enum ft_activation f, float *y, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = (float)value(f, x[i]);
}

void ft_plain_activation_backward(enum ft_activation f, float *dx, const float *dy, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        dx[i] = (float)(dy[i] * slope(f, x[i]));
}

void ft_plain_activation_again(enum ft_activation f, float *y, float *dx, const float *dy, const float *x, size_t count)
{
    ft_plain_activation_forward(f, y, x, count);
    ft_plain_activation_backward(f, dx, dy, x, count);
}
