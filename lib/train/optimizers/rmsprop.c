/* rmsprop.c - RMSprop (Tieleman and Hinton 2012, lecture 6e; `centered` as Graves 2013), as torch.optim.RMSprop computes it:
 *
 *     g += decay p                        v = alpha v + (1 - alpha) g g
 *     centered=1: a += (g - a) (1 - alpha), and v - a a takes v's place in the next line
 *     d = g / (sqrt(v) + eps)
 *     p -= lr d                           with a momentum: b = momentum b + d, p -= lr b
 *
 * v - a a is a variance; where rounding makes it negative it is 0. */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { ALPHA, EPSILON, DECAY, MOMENTUM, CENTERED };

static const struct ft_setting_key keys[] = {
    [ALPHA] = {.name = "alpha", .otherwise = .99, FT_BELOW_ONE},
    [EPSILON] = {.name = "eps", .otherwise = 1e-8, FT_POSITIVE},
    [DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    [MOMENTUM] = {.name = "momentum", .otherwise = 0, FT_NOT_NEGATIVE},
    [CENTERED] = {.name = "centered", FT_YES_OR_NO},
    {.name = NULL},
};

static int blocks(const double *value)
{
    return 1 + (value[CENTERED] != 0) + (value[MOMENTUM] != 0);
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    s->l2 = (float)w->decay;
    s->rate = (float)w->lr;
    s->beta2 = (float)w->value[ALPHA];
    s->rest2 = (float)(1 - w->value[ALPHA]);
    s->epsilon = (float)w->value[EPSILON];
    s->momentum = (float)w->value[MOMENTUM];
    s->flag = w->value[CENTERED] != 0;
}

/* g becomes d. */
FT_VECTORISED static void divide(const float *restrict p, float *restrict v, float *restrict g, size_t count, const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;

        v[i] = second;
        g[i] = gradient / (sqrtf(second) + s.epsilon);
    }
}

FT_VECTORISED static void divide_centered(const float *restrict p, float *restrict v, float *restrict a, float *restrict g, size_t count,
                                          const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;
        float mean = a[i] + (gradient - a[i]) * s.rest2;
        float variance = second - mean * mean;

        v[i] = second;
        a[i] = mean;
        g[i] = gradient / (sqrtf(variance > 0 ? variance : 0) + s.epsilon);
    }
}

FT_VECTORISED static void move(float *restrict p, float *restrict g, size_t count, const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        p[i] -= s.rate * g[i];
        g[i] = 0;
    }
}

FT_VECTORISED static void move_on(float *restrict p, float *restrict b, float *restrict g, size_t count, const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float moved = b[i] * s.momentum + g[i];

        b[i] = moved;
        p[i] -= s.rate * moved;
        g[i] = 0;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    if (s->flag)
        divide_centered(x->p, x->state[0], x->state[1], x->g, x->count, *s);
    else
        divide(x->p, x->state[0], x->g, x->count, *s);
    if (s->momentum != 0)
        move_on(x->p, x->state[1 + s->flag], x->g, x->count, *s);
    else
        move(x->p, x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_rmsprop = {
    .name = "rmsprop", .keys = keys, .blocks = blocks, .prepare = prepare, .update = update};
