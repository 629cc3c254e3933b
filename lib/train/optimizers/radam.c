/* radam.c - Adam whose first steps, when the mean square knows too little, are plain momentum (Liu et al. 2020, algorithm 2), as
 * torch.optim.RAdam computes it:
 *
 *     g += decay p                        decoupled=1: p *= 1 - lr decay
 *     m += (g - m) (1 - beta1)            v = beta2 v + (1 - beta2) g g            bias = 1 - beta^step
 *     r = r0 - 2 step beta2^step / bias2                       r0 = 2 / (1 - beta2) - 1
 *     r > 5:  p -= lr m / bias1 sqrt(bias2) / (sqrt(v) + eps) sqrt((r - 4) (r - 2) r0 / ((r0 - 4) (r0 - 2) r))
 *     else:   p -= lr m / bias1 */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { BETA1, BETA2, EPSILON, DECAY, DECOUPLED };

static const struct ft_setting_key keys[] = {
    [BETA1] = {.name = "beta1", .otherwise = .9, FT_BELOW_ONE},
    [BETA2] = {.name = "beta2", .otherwise = .999, FT_BELOW_ONE},
    [EPSILON] = {.name = "eps", .otherwise = 1e-8, FT_POSITIVE},
    [DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    [DECOUPLED] = {.name = "decoupled", FT_YES_OR_NO},
    {.name = NULL},
};

static int blocks(const double *value)
{
    (void)value;
    return 2;
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    double beta2 = w->value[BETA2], bias1 = 1 - pow(w->value[BETA1], w->step), bias2 = 1 - pow(beta2, w->step);
    double whole = 2 / (1 - beta2) - 1, length = whole - 2 * w->step * (1 - bias2) / bias2;

    if (w->value[DECOUPLED] != 0)
        s->keep = (float)(1 - w->lr * w->decay);
    else
        s->l2 = (float)w->decay;
    s->rest1 = (float)(1 - w->value[BETA1]);
    s->beta2 = (float)beta2;
    s->rest2 = (float)(1 - beta2);
    s->epsilon = (float)w->value[EPSILON];
    s->rate = (float)(w->lr / bias1);
    s->flag = length > 5;
    if (s->flag)
        s->rate = (float)(w->lr / bias1 * sqrt(bias2) *
                          sqrt((length - 4) * (length - 2) * whole / ((whole - 4) * (whole - 2) * length)));
}

FT_VECTORISED static void update_rectified(float *restrict p, float *restrict m, float *restrict v, float *restrict g, size_t count,
                                           const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float first = m[i] + (gradient - m[i]) * s.rest1;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;

        m[i] = first;
        v[i] = second;
        p[i] = p[i] * s.keep - s.rate * (first / (sqrtf(second) + s.epsilon));
        g[i] = 0;
    }
}

FT_VECTORISED static void update_early(float *restrict p, float *restrict m, float *restrict v, float *restrict g, size_t count,
                                       const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float first = m[i] + (gradient - m[i]) * s.rest1;

        v[i] = v[i] * s.beta2 + gradient * gradient * s.rest2;
        m[i] = first;
        p[i] = p[i] * s.keep - s.rate * first;
        g[i] = 0;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    if (s->flag)
        update_rectified(x->p, x->state[0], x->state[1], x->g, x->count, *s);
    else
        update_early(x->p, x->state[0], x->state[1], x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_radam = {
    .name = "radam", .keys = keys, .blocks = blocks, .prepare = prepare, .update = update};
