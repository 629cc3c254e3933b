/* angular.c - angular loss (Wang et al. 2017, eq. 6 and 8): the angle at a negative, over the side from anchor to positive, at most alpha.
 *
 *   term(a, p) = log(1 + sum over all n of another label of exp(4 tan^2(alpha) (a + p).n - 2 (1 + tan^2(alpha)) a.p))
 *
 * The loss is the mean over positive pairs: pytorch-metric-learning's AngularLoss (alpha 40 degrees), but for negatives, which that leaves at
 * the length they come with. A miner chooses positive pairs. The term hangs on three items at once, so each negative of each pair is looked at. */
#include "train/losses/labelled.h"

#include <math.h>

enum { ALPHA, REDUCER };

static const struct ft_setting_key keys[] = {
    [ALPHA] = {.name = "alpha", .otherwise = 40, .low = 0, .high = 80},
    [REDUCER] = {.name = "reducer", .choices = FT_PAIR_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

/* One positive pair. Values are 1 - cosine. */
static void add_pair(struct ft_anchor *anchor, struct ft_other *p, double count, double square)
{
    struct ft_labelled *batch = anchor->batch;
    double loss, slope;

    for (size_t j = 0; j < anchor->negatives; j++) {
        struct ft_other *n = &anchor->negative[j];
        double from_p = batch->cosine[(size_t)p->item * batch->n + n->item];

        n->power = 4 * square * (2 - n->value - from_p) - 2 * (1 + square) * (1 - p->value);
    }
    loss = ft_log_sum(anchor->negative, anchor->negatives, true);
    slope = ft_term(anchor, 0, count, loss);
    for (size_t j = 0; j < anchor->negatives; j++) {
        struct ft_other *n = &anchor->negative[j];

        n->slope -= slope * n->share * 4 * square;
        ft_slope_add(batch, p->item, n->item, 0, -slope * n->share * 4 * square);
        p->slope += slope * n->share * 2 * (1 + square);
    }
}

static void compare(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    const struct ft_labelled *batch = anchor->batch;
    double tangent = tan(value[ALPHA] * M_PI / 180);
    size_t chosen = 0, all = anchor->positives;

    for (size_t i = 0; i < all; i++)
        chosen += !batch->mined || batch->mined->count[anchor->item * batch->n + anchor->positive[i].item] > 0;
    anchor->positives = chosen;      /* whose number per-anchor divides by */
    for (size_t i = 0; i < all && batch->any[1]; i++) {
        double count = batch->mined ? batch->mined->count[anchor->item * batch->n + anchor->positive[i].item] : 1;

        if (count > 0)
            add_pair(anchor, &anchor->positive[i], count, tangent * tangent);
    }
    anchor->positives = all;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = FT_BY_COSINE, .reducer = (enum ft_reducer)call->value[REDUCER], .whole = true, .across = true,
        .anchor = compare, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_angular = {
    .name = "angular",
    .purpose = "a narrow angle at each negative over the side from anchor to positive",
    .kinds = FT_LABELLED | FT_LOSS_TAKES(FT_BATCH_PAIRS),
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .compute = compute,
};
