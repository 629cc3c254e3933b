/* rprop.c - steps by the sign of the gradient alone (Riedmiller and Braun 1993), as torch.optim.Rprop computes it:
 *
 *     z *= etaplus where g agrees in sign with the gradient before, etaminus where it does not; within step-min and step-max; at first lr
 *     where it does not agree g counts as 0
 *     p -= sign(g) z
 *
 * The learning rate is that of the first step; a schedule changes nothing after it. Meant for whole data sets as one batch. */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { LOW, HIGH, LEAST, MOST };

static const struct ft_setting_key keys[] = {
    [LOW] = {.name = "etaminus", .otherwise = .5, .low = 1e-9, .high = 1 - 1e-9},
    [HIGH] = {.name = "etaplus", .otherwise = 1.2, .low = 1 + 1e-9, .high = 1e38},
    [LEAST] = {.name = "step-min", .otherwise = 1e-6, FT_NOT_NEGATIVE},
    [MOST] = {.name = "step-max", .otherwise = 50, FT_NOT_NEGATIVE},
    {.name = NULL},
};

static int check(const double *value)
{
    return value[LEAST] <= value[MOST] ? 0 : ft_fail(FT_USAGE, "rprop: step-min=%g is more than step-max=%g", value[LEAST], value[MOST]);
}

static int blocks(const double *value)
{
    (void)value;
    return 2;
}

/* The first step's rate: what a row of a table that is touched later begins with. */
static size_t memory(const struct ft_parameter *p)
{
    (void)p;
    return 1;
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    if (w->step == 1)
        *w->memory = fmin(fmax(w->lr, w->value[LEAST]), w->value[MOST]);
    s->initial[1] = (float)(w->step == 1 ? w->lr : *w->memory);
    s->beta1 = (float)w->value[LOW];
    s->beta2 = (float)w->value[HIGH];
    s->low = (float)w->value[LEAST];
    s->high = (float)w->value[MOST];
}

FT_VECTORISED static void update_all(float *restrict p, float *restrict before, float *restrict z, float *restrict g, size_t count,
                                     const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float now = g[i] * s.scale;
        /* By their signs: a product of two small gradients may be 0. */
        float sign = now > 0 ? 1.f : now < 0 ? -1.f : 0.f, agree = before[i] > 0 ? sign : before[i] < 0 ? -sign : 0.f;
        float size = z[i] * (agree > 0 ? s.beta2 : agree < 0 ? s.beta1 : 1.f);

        size = size < s.low ? s.low : size;
        size = size > s.high ? s.high : size;
        z[i] = size;
        before[i] = agree < 0 ? 0.f : now;
        p[i] -= agree < 0 ? 0.f : sign * size;
        g[i] = 0;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    update_all(x->p, x->state[0], x->state[1], x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_rprop = {
    .name = "rprop", .keys = keys, .check = check, .blocks = blocks, .memory = memory, .prepare = prepare, .update = update};
