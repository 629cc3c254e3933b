/* nadam.c - Adam with Nesterov's momentum (Dozat 2016), as torch.optim.NAdam computes it:
 *
 *     g += decay p                        decoupled=1: p *= 1 - lr decay
 *     m += (g - m) (1 - beta1)            v = beta2 v + (1 - beta2) g g
 *     mu(t) = beta1 (1 - .96^(t momentum-decay) / 2)             product(t) = mu(1) ... mu(t)
 *     p -= lr ((1 - mu(t)) / (1 - product(t)) g + mu(t + 1) / (1 - product(t + 1)) m) / (sqrt(v / bias2) + eps) */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { BETA1, BETA2, EPSILON, DECAY, MOMENTUM_DECAY, DECOUPLED };

static const struct ft_setting_key keys[] = {
    [BETA1] = {.name = "beta1", .otherwise = .9, FT_BELOW_ONE},
    [BETA2] = {.name = "beta2", .otherwise = .999, FT_BELOW_ONE},
    [EPSILON] = {.name = "eps", .otherwise = 1e-8, FT_POSITIVE},
    [DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    [MOMENTUM_DECAY] = {.name = "momentum-decay", .otherwise = 4e-3, FT_NOT_NEGATIVE},
    [DECOUPLED] = {.name = "decoupled", FT_YES_OR_NO},
    {.name = NULL},
};

static int blocks(const double *value)
{
    (void)value;
    return 2;
}

/* The product so far. */
static size_t memory(const struct ft_parameter *p)
{
    (void)p;
    return 1;
}

static double momentum_at(const double *value, double step)
{
    return value[BETA1] * (1 - .5 * pow(.96, step * value[MOMENTUM_DECAY]));
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    double mu = momentum_at(w->value, w->step), next = momentum_at(w->value, w->step + 1);
    double product = (w->step == 1 ? 1 : *w->memory) * mu;

    *w->memory = product;
    if (w->value[DECOUPLED] != 0)
        s->keep = (float)(1 - w->lr * w->decay);
    else
        s->l2 = (float)w->decay;
    s->rest1 = (float)(1 - w->value[BETA1]);
    s->beta2 = (float)w->value[BETA2];
    s->rest2 = (float)(1 - w->value[BETA2]);
    s->epsilon = (float)w->value[EPSILON];
    s->root = (float)(1 / sqrt(1 - pow(w->value[BETA2], w->step)));
    s->rate = (float)(w->lr * (1 - mu) / (1 - product));
    s->rate2 = (float)(w->lr * next / (1 - product * next));
}

FT_VECTORISED static void update_all(float *restrict p, float *restrict m, float *restrict v, float *restrict g, size_t count,
                                     const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float first = m[i] + (gradient - m[i]) * s.rest1;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;

        m[i] = first;
        v[i] = second;
        p[i] = p[i] * s.keep - (gradient * s.rate + first * s.rate2) / (sqrtf(second) * s.root + s.epsilon);
        g[i] = 0;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    update_all(x->p, x->state[0], x->state[1], x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_nadam = {
    .name = "nadam", .keys = keys, .blocks = blocks, .memory = memory, .prepare = prepare, .update = update};
