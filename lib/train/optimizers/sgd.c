/* sgd.c - stochastic gradient descent with momentum (Polyak 1964; `nesterov` as Sutskever et al. 2013), as torch.optim.SGD computes it, and
 * averaged SGD's step (Polyak and Juditsky 1992), as torch.optim.ASGD does:
 *
 *     g += decay p
 *     b = momentum b + (1 - dampening) g                  at the first step b = g
 *     p -= lr b          nesterov=1: p -= lr (g + momentum b)          no momentum: p -= lr g
 *
 *     asgd:  p = p (1 - lambd eta) - eta g                eta = lr / (1 + lambd lr step)^alpha, of the step before; at the first lr
 *
 * Beside the parameters torch's ASGD keeps their average, which its steps never read and its users have to fetch by hand; there is none here. */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { MOMENTUM, DAMPENING, NESTEROV, DECAY };

static const struct ft_setting_key keys[] = {
    [MOMENTUM] = {.name = "momentum", .otherwise = 0, FT_NOT_NEGATIVE},
    [DAMPENING] = {.name = "dampening", .otherwise = 0, .low = -1e38, .high = 1e38},
    [NESTEROV] = {.name = "nesterov", FT_YES_OR_NO},
    [DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    {.name = NULL},
};

static int check(const double *value)
{
    if (value[NESTEROV] != 0 && (value[MOMENTUM] == 0 || value[DAMPENING] != 0))
        return ft_fail(FT_USAGE, "sgd: nesterov=1 needs a momentum and no dampening");
    return 0;
}

static int blocks(const double *value)
{
    return value[MOMENTUM] != 0;
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    s->l2 = (float)w->decay;
    s->rate = (float)w->lr;
    s->momentum = (float)w->value[MOMENTUM];
    s->rest1 = w->step == 1 ? 1 : (float)(1 - w->value[DAMPENING]);
    s->flag = w->value[NESTEROV] != 0;
}

FT_VECTORISED static void update_plain(float *restrict p, float *restrict g, size_t count, const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        p[i] = p[i] * s.keep - s.rate * (g[i] * s.scale + p[i] * s.l2);
        g[i] = 0;
    }
}

FT_VECTORISED static void update_momentum(float *restrict p, float *restrict b, float *restrict g, size_t count, const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float moved = b[i] * s.momentum + gradient * s.rest1;

        b[i] = moved;
        p[i] -= s.rate * moved;
        g[i] = 0;
    }
}

FT_VECTORISED static void update_nesterov(float *restrict p, float *restrict b, float *restrict g, size_t count, const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float moved = b[i] * s.momentum + gradient;

        b[i] = moved;
        p[i] -= s.rate * (gradient + moved * s.momentum);
        g[i] = 0;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    if (s->momentum == 0)
        update_plain(x->p, x->g, x->count, *s);
    else if (s->flag)
        update_nesterov(x->p, x->state[0], x->g, x->count, *s);
    else
        update_momentum(x->p, x->state[0], x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_sgd = {
    .name = "sgd", .keys = keys, .check = check, .blocks = blocks, .prepare = prepare, .update = update};

enum { LAMBDA, ALPHA, ASGD_DECAY };

static const struct ft_setting_key asgd_keys[] = {
    [LAMBDA] = {.name = "lambd", .otherwise = 1e-4, FT_NOT_NEGATIVE},
    [ALPHA] = {.name = "alpha", .otherwise = .75, FT_NOT_NEGATIVE},
    [ASGD_DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    {.name = NULL},
};

/* eta, for the next step. */
static size_t asgd_memory(const struct ft_parameter *p)
{
    (void)p;
    return 1;
}

static void asgd_prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    double lambda = w->value[LAMBDA], eta = w->step == 1 ? w->lr : *w->memory;

    s->l2 = (float)w->decay;
    s->rate = (float)eta;
    s->keep = (float)(1 - lambda * eta);
    *w->memory = w->lr / pow(1 + lambda * w->lr * w->step, w->value[ALPHA]);
}

const struct ft_optimizer_kind ft_optimizer_asgd = {
    .name = "asgd", .keys = asgd_keys, .memory = asgd_memory, .prepare = asgd_prepare, .update = update};
