/* fast-activation.h - activations and their derivatives, a vector at a time. The switch is outside the loops, so each has a loop of its own. */
#ifndef FT_TENSOR_CPU_FAST_ACTIVATION_H
#define FT_TENSOR_CPU_FAST_ACTIVATION_H

#include "tensor/cpu/vector-math.h"
#include "tensor/kernels.h"

/* 0.5 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
INLINE vf gelu_tanh_gate(vf x, vf *tanh)
{
    *tanh = v_tanh(v_fma(x * x * x, v_set(0.044715f), x) * 0.79788456f);
    return v_fma(*tanh, v_set(0.5f), v_set(0.5f));
}

INLINE vf activation_value(enum ft_activation f, vf x)
{
    vf other;

    switch (f) {
    case FT_IDENTITY:
        return x;
    case FT_GELU:
        return x * v_normal(x, &other);
    case FT_GELU_TANH:
        return x * gelu_tanh_gate(x, &other);
    case FT_QUICK_GELU:
        return x * v_sigmoid(x * 1.702f);
    case FT_RELU:
        return v_max(v_set(0.0f), x);
    case FT_TANH:
        return v_tanh(x);
    case FT_SILU:
        return x * v_sigmoid(x);
    case FT_SIGMOID:
        return v_sigmoid(x);
    case FT_RELU6:
        return v_min(v_set(6.0f), v_max(v_set(0.0f), x));
    }
    return x;
}

/* Products of an infinite x and a gate's vanishing slope would be NaN: beyond 30 all gates are flat, so x is cut there (NaN passes). */
INLINE vf activation_slope(enum ft_activation f, vf x)
{
    vf s, other;

    if (f != FT_RELU && f != FT_RELU6)
        x = v_max(v_set(-30.0f), v_min(v_set(30.0f), x));
    switch (f) {
    case FT_IDENTITY:
        return v_set(1.0f);
    case FT_GELU:
        s = v_normal(x, &other);
        return v_fma(x * 0.39894228f, other, s);
    case FT_GELU_TANH:
        s = gelu_tanh_gate(x, &other);
        return s + x * 0.39894228f * v_fma(x * x, v_set(0.134145f), v_set(1.0f)) * ((1.0f - other) * (1.0f + other));
    case FT_QUICK_GELU:
        s = v_sigmoid(x * 1.702f);
        return s + x * 1.702f * s * (1.0f - s);
    case FT_RELU:
        return v_pick(v_less(v_set(0.0f), x), v_set(1.0f), v_min(v_set(0.0f), x) * 0.0f);
    case FT_TANH:
        s = v_tanh(x);
        return (1.0f - s) * (1.0f + s);
    case FT_SILU:
        s = v_sigmoid(x);
        return s + x * s * (1.0f - s);
    case FT_SIGMOID:
        s = v_sigmoid(x);
        return s * (1.0f - s);
    case FT_RELU6:   /* none at 6, as in torch */
        return v_pick(v_less(v_set(0.0f), x), v_pick(v_less(x, v_set(6.0f)), v_set(1.0f), v_set(0.0f)), v_min(v_set(0.0f), x) * 0.0f);
    }
    return v_set(1.0f);
}

INLINE void forward_loop(enum ft_activation f, float *y, const float *x, size_t count)
{
    for (V_EACH(i, count, m))
        v_put(y + i, activation_value(f, v_get(x + i, m)), m);
}

INLINE void backward_loop(enum ft_activation f, float *dx, const float *dy, const float *x, size_t count)
{
    for (V_EACH(i, count, m))
        v_put(dx + i, v_get(dy + i, m) * activation_slope(f, v_get(x + i, m)), m);
}

static void activation_forward(enum ft_activation f, float *y, const float *x, size_t count)
{
    switch (f) {
    case FT_IDENTITY:
        memmove(y, x, count * sizeof *y);
        break;
    case FT_GELU:
        forward_loop(FT_GELU, y, x, count);
        break;
    case FT_GELU_TANH:
        forward_loop(FT_GELU_TANH, y, x, count);
        break;
    case FT_QUICK_GELU:
        forward_loop(FT_QUICK_GELU, y, x, count);
        break;
    case FT_RELU:
        forward_loop(FT_RELU, y, x, count);
        break;
    case FT_TANH:
        forward_loop(FT_TANH, y, x, count);
        break;
    case FT_SILU:
        forward_loop(FT_SILU, y, x, count);
        break;
    case FT_SIGMOID:
        forward_loop(FT_SIGMOID, y, x, count);
        break;
    case FT_RELU6:
        forward_loop(FT_RELU6, y, x, count);
        break;
    }
}

static void activation_backward(enum ft_activation f, float *dx, const float *dy, const float *x, size_t count)
{
    switch (f) {
    case FT_IDENTITY:
        memmove(dx, dy, count * sizeof *dx);
        break;
    case FT_GELU:
        backward_loop(FT_GELU, dx, dy, x, count);
        break;
    case FT_GELU_TANH:
        backward_loop(FT_GELU_TANH, dx, dy, x, count);
        break;
    case FT_QUICK_GELU:
        backward_loop(FT_QUICK_GELU, dx, dy, x, count);
        break;
    case FT_RELU:
        backward_loop(FT_RELU, dx, dy, x, count);
        break;
    case FT_TANH:
        backward_loop(FT_TANH, dx, dy, x, count);
        break;
    case FT_SILU:
        backward_loop(FT_SILU, dx, dy, x, count);
        break;
    case FT_SIGMOID:
        backward_loop(FT_SIGMOID, dx, dy, x, count);
        break;
    case FT_RELU6:
        backward_loop(FT_RELU6, dx, dy, x, count);
        break;
    }
}

/* GELU's value and slope are made of the same, and so are SiLU's; the others are cheap, or nobody's inner layer. */
static void activation_again(enum ft_activation f, float *y, float *dx, const float *dy, const float *x, size_t count)
{
    if (f != FT_GELU && f != FT_SILU) {
        activation_forward(f, y, x, count);
        activation_backward(f, dx, dy, x, count);
        return;
    }
    for (V_EACH(i, count, m)) {
        vf a = v_get(x + i, m), near = v_max(v_set(-30.0f), v_min(v_set(30.0f), a)), share, bell, slope;

        if (f == FT_GELU) {
            share = v_normal(a, &bell);
            slope = v_fma(near * 0.39894228f, bell, share);
        } else {
            share = v_sigmoid(a);
            slope = share + near * share * (1.0f - share);
        }
        v_put(y + i, a * share, m);
        v_put(dx + i, v_get(dy + i, m) * slope, m);
    }
}

#endif
