/* fast-gate.h - gated linear units, a row at a time: it is in the first cache when its other half comes to it. */
#ifndef FT_TENSOR_CPU_FAST_GATE_H
#define FT_TENSOR_CPU_FAST_GATE_H

#include "tensor/cpu/fast-activation.h"

INLINE void row_times(float *y, const float *a, const float *b, size_t count)
{
    for (V_EACH(i, count, m))
        v_put(y + i, v_get(a + i, m) * v_get(b + i, m), m);
}

static void gate_forward(enum ft_activation f, float *y, const float *x, size_t R, size_t I)
{
    for (size_t r = 0; r < R; r++, x += 2 * I, y += I) {
        activation_forward(f, y, x, I);
        row_times(y, y, x + I, I);
    }
}

static void gate_backward(enum ft_activation f, float *dx, const float *dy, const float *x, size_t R, size_t I)
{
    for (size_t r = 0; r < R; r++, x += 2 * I, dx += 2 * I, dy += I) {
        row_times(dx, dy, x + I, I);
        activation_again(f, dx + I, dx, dx, x, I);
        row_times(dx + I, dx + I, dy, I);
    }
}

#endif
