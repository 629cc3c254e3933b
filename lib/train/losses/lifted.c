/* lifted.c - lifted structure loss (Oh Song et al. 2016, eq. 4): each positive pair against the negatives of both.
 *
 *   term(a, p) = max(0, log( sum over n of a of exp(neg_margin - d(a, n)) + sum over n of p of exp(neg_margin - d(p, n)) )
 *                       + d(a, p) - pos_margin)^2 / 2
 *
 * The loss is the mean over positive pairs, each in both directions: pytorch-metric-learning's LiftedStructureLoss (margins 0 and 1,
 * Euclidean). As there, a sum of nothing has logarithm 0. The two sums are each item's own, so they are made once: no third power. */
#include "train/losses/labelled.h"

#include <math.h>

enum { POS_MARGIN, NEG_MARGIN, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [POS_MARGIN] = {.name = "pos_margin", .otherwise = 0, .low = -4, .high = 4},
    [NEG_MARGIN] = {.name = "neg_margin", .otherwise = 1, .low = -4, .high = 4},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    [REDUCER] = {.name = "reducer", .choices = FT_PAIR_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

struct lifted {
    double near, far;          /* the margins */
    double *sum;               /* [items] log of an item's sum; -INFINITY: it has no negatives */
    double *slope;             /* [items] d loss / d sum */
};

static void sum_negatives(struct ft_anchor *anchor, const void *argument)
{
    const struct lifted *lifted = argument;

    for (size_t j = 0; j < anchor->negatives; j++)
        anchor->negative[j].power = lifted->far - anchor->negative[j].value;
    lifted->sum[anchor->item] = anchor->negatives ? ft_log_sum(anchor->negative, anchor->negatives, false) : -INFINITY;
}

/* Terms of an anchor; what its sum and those of its positives, which are of its class, get of them. */
static void take_positives(struct ft_anchor *anchor, const void *argument)
{
    const struct lifted *lifted = argument;
    double own = lifted->sum[anchor->item];

    for (size_t i = 0; i < anchor->positives && anchor->batch->any[1]; i++) {
        struct ft_other *p = &anchor->positive[i];
        double other = lifted->sum[p->item], most = fmax(own, other);
        double both = isinf(most) ? 0 : most + log(exp(own - most) + exp(other - most)), over = fmax(0, both + p->value - lifted->near);

        p->slope = ft_term(anchor, 0, p->count, over * over / 2) * over;
        if (isinf(most))
            continue;
        lifted->slope[anchor->item] += p->slope * exp(own - both);
        lifted->slope[p->item] += p->slope * exp(other - both);
    }
}

static void push_negatives(struct ft_anchor *anchor, const void *argument)
{
    const struct lifted *lifted = argument;

    sum_negatives(anchor, argument);
    for (size_t j = 0; j < anchor->negatives; j++)
        anchor->negative[j].slope = -lifted->slope[anchor->item] * anchor->negative[j].share;
}

static int three_looks(struct ft_arena *arena, struct ft_labelled *batch, struct ft_labelled_loss *how, struct lifted *lifted)
{
    lifted->sum = ft_arena_zero(arena, batch->n, sizeof(double));
    lifted->slope = ft_arena_zero(arena, batch->n, sizeof(double));
    if (!lifted->sum || !lifted->slope)
        return -1;
    how->argument = lifted;
    how->anchor = sum_negatives;
    if (ft_labelled_each(arena, batch, how) < 0)
        return -1;
    how->anchor = take_positives;
    how->across = true;
    if (ft_labelled_each(arena, batch, how) < 0)
        return -1;
    how->anchor = push_negatives;
    how->across = false;
    return ft_labelled_each(arena, batch, how);
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_labelled_loss how = {.distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER]};
    struct lifted lifted = {.near = ft_distance_margin(how.distance, call->value[POS_MARGIN]),
                            .far = ft_distance_margin(how.distance, call->value[NEG_MARGIN])};
    struct ft_arena arena = {0};
    struct ft_labelled batch;
    int rc = ft_labelled_open(&arena, &batch, call, &how);

    if (rc == 0)
        rc = three_looks(&arena, &batch, &how, &lifted);
    if (rc == 0)
        rc = ft_labelled_close(&batch, &how, loss, gradient, counted);
    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_lifted = {
    .name = "lifted",
    .purpose = "each positive pair against the negatives of both its items",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .compute = compute,
};
