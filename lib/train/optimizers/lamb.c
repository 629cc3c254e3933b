/* lamb.c - Adam whose step of each parameter is as long as the parameter itself (You et al. 2020, algorithm 2, with phi(z) = z):
 *
 *     m += (g - m) (1 - beta1)            v = beta2 v + (1 - beta2) g g
 *     r = m / bias1 / (sqrt(v / bias2) + eps) + decay p            bias = 1 - beta^step
 *     p -= lr |p| / |r| r                 |p| or |r| = 0: p -= lr r
 *
 * The norms are over one parameter: a matrix, a bias. */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { BETA1, BETA2, EPSILON, DECAY };

static const struct ft_setting_key keys[] = {
    [BETA1] = {.name = "beta1", .otherwise = .9, FT_BELOW_ONE},
    [BETA2] = {.name = "beta2", .otherwise = .999, FT_BELOW_ONE},
    [EPSILON] = {.name = "eps", .otherwise = 1e-6, FT_POSITIVE},
    [DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    {.name = NULL},
};

static int blocks(const double *value)
{
    (void)value;
    return 2;
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    s->l2 = (float)w->decay;
    s->rest1 = (float)(1 - w->value[BETA1]);
    s->beta2 = (float)w->value[BETA2];
    s->rest2 = (float)(1 - w->value[BETA2]);
    s->epsilon = (float)w->value[EPSILON];
    s->rate = (float)(1 / (1 - pow(w->value[BETA1], w->step)));
    s->root = (float)(1 / sqrt(1 - pow(w->value[BETA2], w->step)));
    s->alpha = w->lr;
}

FT_VECTORISED static void direct(const float *restrict p, float *restrict m, float *restrict v, float *restrict g, size_t count,
                                 const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale;
        float first = m[i] + (gradient - m[i]) * s.rest1;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;

        m[i] = first;
        v[i] = second;
        g[i] = first * s.rate / (sqrtf(second) * s.root + s.epsilon) + p[i] * s.l2;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    direct(x->p, x->state[0], x->state[1], x->g, x->count, *s);
}

static double factor(const struct ft_scalars *s, double p_square, double direction_square, size_t count)
{
    (void)count;
    return p_square > 0 && direction_square > 0 ? s->alpha * sqrt(p_square / direction_square) : s->alpha;
}

const struct ft_optimizer_kind ft_optimizer_lamb = {
    .name = "lamb", .keys = keys, .blocks = blocks, .prepare = prepare, .update = update, .factor = factor};
