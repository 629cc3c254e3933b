/* plain-gate.c - gated linear units (Dauphin et al. 2017; Shazeer 2020): one half of a row, activated, times the other. */
#include "tensor/plain/plain.h"

void ft_plain_gate_forward(enum ft_activation f, float *y, const float *x, size_t R, size_t I)
{
    for (size_t r = 0; r < R; r++, x += 2 * I, y += I) {
        ft_plain_activation_forward(f, y, x, I);
        for (size_t i = 0; i < I; i++)
            y[i] *= x[I + i];
    }
}

/* With the halves a and b: da = dy b f'(a), db = dy f(a). */
void ft_plain_gate_backward(enum ft_activation f, float *dx, const float *dy, const float *x, size_t R, size_t I)
{
    for (size_t r = 0; r < R; r++, x += 2 * I, dx += 2 * I, dy += I) {
        for (size_t i = 0; i < I; i++)
            dx[i] = dy[i] * x[I + i];
        ft_plain_activation_backward(f, dx, dx, x, I);
        ft_plain_activation_forward(f, dx + I, x, I);
        for (size_t i = 0; i < I; i++)
            dx[I + i] *= dy[i];
    }
}
