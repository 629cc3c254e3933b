/* adam.c - Adam (Kingma and Ba 2015, algorithm 1; `amsgrad` as Reddi et al. 2018) and AdamW (Loshchilov and Hutter 2019, algorithm 2), as
 * torch.optim computes them:
 *
 *     adam:  g += decay p                 adamw:  p *= 1 - lr decay
 *     m += (g - m) (1 - beta1)            v = beta2 v + (1 - beta2) g g
 *     p -= lr / bias1 m / (sqrt(v) / sqrt(bias2) + eps)          bias = 1 - beta^step
 *
 * amsgrad=1: the largest v so far takes v's place in the last line. */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { BETA1, BETA2, EPSILON, DECAY, AMSGRAD };

static const struct ft_setting_key keys[] = {
    [BETA1] = {.name = "beta1", .otherwise = .9, FT_BELOW_ONE},
    [BETA2] = {.name = "beta2", .otherwise = .999, FT_BELOW_ONE},
    [EPSILON] = {.name = "eps", .otherwise = 1e-8, FT_POSITIVE},
    [DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    [AMSGRAD] = {.name = "amsgrad", FT_YES_OR_NO},
    {.name = NULL},
};

static int blocks(const double *value)
{
    return value[AMSGRAD] != 0 ? 3 : 2;
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    double bias1 = 1 - pow(w->value[BETA1], w->step), bias2 = 1 - pow(w->value[BETA2], w->step);

    s->rest1 = (float)(1 - w->value[BETA1]);
    s->beta2 = (float)w->value[BETA2];
    s->rest2 = (float)(1 - w->value[BETA2]);
    s->rate = (float)(w->lr / bias1);
    s->root = (float)(1 / sqrt(bias2));
    s->epsilon = (float)w->value[EPSILON];
    s->flag = w->value[AMSGRAD] != 0;
}

static void prepare_adam(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    prepare(w, s);
    s->l2 = (float)w->decay;
}

static void prepare_adamw(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    prepare(w, s);
    s->keep = (float)(1 - w->lr * w->decay);
}

FT_VECTORISED static void update_plain(float *restrict p, float *restrict m, float *restrict v, float *restrict g, size_t count,
                                       const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale;
        float first = m[i] + (gradient - m[i]) * s.rest1;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;

        m[i] = first;
        v[i] = second;
        p[i] = p[i] * s.keep - s.rate * (first / (sqrtf(second) * s.root + s.epsilon));
        g[i] = 0;
    }
}

/* The same with L2. */
FT_VECTORISED static void update_l2(float *restrict p, float *restrict m, float *restrict v, float *restrict g, size_t count,
                                    const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float first = m[i] + (gradient - m[i]) * s.rest1;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;

        m[i] = first;
        v[i] = second;
        p[i] -= s.rate * (first / (sqrtf(second) * s.root + s.epsilon));
        g[i] = 0;
    }
}

FT_VECTORISED static void update_amsgrad(float *restrict p, float *restrict m, float *restrict v, float *restrict most, float *restrict g,
                                         size_t count, const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float first = m[i] + (gradient - m[i]) * s.rest1;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;
        float largest = second > most[i] ? second : most[i];

        m[i] = first;
        v[i] = second;
        most[i] = largest;
        p[i] = p[i] * s.keep - s.rate * (first / (sqrtf(largest) * s.root + s.epsilon));
        g[i] = 0;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    if (s->flag)
        update_amsgrad(x->p, x->state[0], x->state[1], x->state[2], x->g, x->count, *s);
    else if (s->l2 != 0)
        update_l2(x->p, x->state[0], x->state[1], x->g, x->count, *s);
    else
        update_plain(x->p, x->state[0], x->state[1], x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_adamw = {
    .name = "adamw", .keys = keys, .blocks = blocks, .prepare = prepare_adamw, .update = update};
const struct ft_optimizer_kind ft_optimizer_adam = {
    .name = "adam", .keys = keys, .blocks = blocks, .prepare = prepare_adam, .update = update};
