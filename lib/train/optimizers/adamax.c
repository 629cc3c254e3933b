/* adamax.c - Adam by the largest gradient in place of the mean square (Kingma and Ba 2015, algorithm 2), as torch.optim.Adamax computes it:
 *
 *     g += decay p
 *     m += (g - m) (1 - beta1)            u = max(beta2 u, |g| + eps)
 *     p -= lr / (1 - beta1^step) m / u */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { BETA1, BETA2, EPSILON, DECAY };

static const struct ft_setting_key keys[] = {
    [BETA1] = {.name = "beta1", .otherwise = .9, FT_BELOW_ONE},
    [BETA2] = {.name = "beta2", .otherwise = .999, FT_BELOW_ONE},
    [EPSILON] = {.name = "eps", .otherwise = 1e-8, FT_POSITIVE},
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
    s->epsilon = (float)w->value[EPSILON];
    s->rate = (float)(w->lr / (1 - pow(w->value[BETA1], w->step)));
}

FT_VECTORISED static void update_all(float *restrict p, float *restrict m, float *restrict u, float *restrict g, size_t count,
                                     const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float first = m[i] + (gradient - m[i]) * s.rest1;
        float before = u[i] * s.beta2, now = fabsf(gradient) + s.epsilon, largest = before > now ? before : now;

        m[i] = first;
        u[i] = largest;
        p[i] -= s.rate * (first / largest);
        g[i] = 0;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    update_all(x->p, x->state[0], x->state[1], x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_adamax = {
    .name = "adamax", .keys = keys, .blocks = blocks, .prepare = prepare, .update = update};
