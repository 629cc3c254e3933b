/* circle.c - circle loss (Sun et al. 2020, eq. 6, pairwise labels).
 *
 *   term(a) = log(1 + sum over n of exp(gamma max(0, s(a, n) + m) (s(a, n) - m)) * sum over p of exp(-gamma max(0, 1 + m - s(a, p)) (s(a, p) - 1 + m)))
 *
 * s is the cosine; no gradient passes through the max(). The loss is the mean over the anchors whose term is not zero; one without a positive or
 * without a negative has none. pytorch-metric-learning's CircleLoss (m .4, gamma 80). */
#include "train/losses/labelled.h"

#include <math.h>

enum { M, GAMMA, REDUCER };

static const struct ft_setting_key keys[] = {
    [M] = {.name = "m", .otherwise = .4, .low = -1, .high = 1},
    [GAMMA] = {.name = "gamma", .otherwise = 80, .low = 1e-3, .high = 1e4},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_NONZERO},
    {.name = NULL},
};

/* Values are 1 - s. slope holds d power / d value until the term's own slope is known. */
static void take_powers(struct ft_anchor *anchor, double m, double gamma)
{
    for (size_t i = 0; i < anchor->positives; i++) {
        struct ft_other *p = &anchor->positive[i];
        double pull = gamma * fmax(0, m + p->value);

        p->count = 1;
        p->power = pull * (p->value - m);
        p->slope = pull;
    }
    for (size_t i = 0; i < anchor->negatives; i++) {
        struct ft_other *n = &anchor->negative[i];
        double push = gamma * fmax(0, 1 - n->value + m);

        n->count = 1;
        n->power = push * (1 - n->value - m);
        n->slope = -push;
    }
}

static void contrast(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    double slope = 0, loss = 0;

    take_powers(anchor, value[M], value[GAMMA]);
    if (anchor->positives && anchor->negatives)
        loss = ft_softplus(ft_log_sum(anchor->positive, anchor->positives, false) + ft_log_sum(anchor->negative, anchor->negatives, false),
                           &slope);
    slope *= ft_term(anchor, 0, 1, loss);
    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].slope *= slope * anchor->positive[i].share;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].slope *= slope * anchor->negative[i].share;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = FT_BY_COSINE, .reducer = (enum ft_reducer)call->value[REDUCER], .anchor = contrast, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_circle = {
    .name = "circle",
    .purpose = "each similarity at a pace of its own, the further from its optimum the faster",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .held = true,
    .references = true,
    .compute = compute,
};
