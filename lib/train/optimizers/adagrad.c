/* adagrad.c - steps by all gradients so far (Duchi et al. 2011), as torch.optim.Adagrad computes it, and by their running means: Adadelta
 * (Zeiler 2012), as torch.optim.Adadelta does.
 *
 *     adagrad:  g += decay p              s += g g, from `initial`
 *               p -= lr / (1 + (step - 1) lr-decay) g / (sqrt(s) + eps)
 *     adadelta: g += decay p              v = rho v + (1 - rho) g g
 *               d = sqrt(a + eps) / sqrt(v + eps) g            a = rho a + (1 - rho) d d            p -= lr d */
#include "train/optimizers/optimizers.h"

#include <math.h>

enum { EPSILON, DECAY, LR_DECAY, INITIAL };

static const struct ft_setting_key keys[] = {
    [EPSILON] = {.name = "eps", .otherwise = 1e-10, FT_POSITIVE},
    [DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    [LR_DECAY] = {.name = "lr-decay", .otherwise = 0, FT_NOT_NEGATIVE},
    [INITIAL] = {.name = "initial", .otherwise = 0, FT_NOT_NEGATIVE},
    {.name = NULL},
};

static int blocks(const double *value)
{
    (void)value;
    return 1;
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    s->l2 = (float)w->decay;
    s->rate = (float)(w->lr / (1 + (w->step - 1) * w->value[LR_DECAY]));
    s->epsilon = (float)w->value[EPSILON];
    s->initial[0] = (float)w->value[INITIAL];
}

FT_VECTORISED static void update_all(float *restrict p, float *restrict sum, float *restrict g, size_t count, const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float more = sum[i] + gradient * gradient;

        sum[i] = more;
        p[i] -= s.rate * (gradient / (sqrtf(more) + s.epsilon));
        g[i] = 0;
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    update_all(x->p, x->state[0], x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_adagrad = {
    .name = "adagrad", .keys = keys, .blocks = blocks, .prepare = prepare, .update = update};

enum { RHO, DELTA_EPSILON, DELTA_DECAY };

static const struct ft_setting_key delta_keys[] = {
    [RHO] = {.name = "rho", .otherwise = .9, FT_BELOW_ONE},
    [DELTA_EPSILON] = {.name = "eps", .otherwise = 1e-6, FT_POSITIVE},
    [DELTA_DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    {.name = NULL},
};

static int delta_blocks(const double *value)
{
    (void)value;
    return 2;
}

static void delta_prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    s->l2 = (float)w->decay;
    s->rate = (float)w->lr;
    s->epsilon = (float)w->value[DELTA_EPSILON];
    s->beta2 = (float)w->value[RHO];
    s->rest2 = (float)(1 - w->value[RHO]);
}

FT_VECTORISED static void delta_update_all(float *restrict p, float *restrict v, float *restrict a, float *restrict g, size_t count,
                                           const struct ft_scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale + p[i] * s.l2;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;
        float delta = sqrtf(a[i] + s.epsilon) / sqrtf(second + s.epsilon) * gradient;

        v[i] = second;
        a[i] = a[i] * s.beta2 + delta * delta * s.rest2;
        p[i] -= s.rate * delta;
        g[i] = 0;
    }
}

static void delta_update(const struct ft_elements *x, const struct ft_scalars *s)
{
    delta_update_all(x->p, x->state[0], x->state[1], x->g, x->count, *s);
}

const struct ft_optimizer_kind ft_optimizer_adadelta = {
    .name = "adadelta", .keys = delta_keys, .blocks = delta_blocks, .prepare = delta_prepare, .update = delta_update};
