/* margin.c - margin loss (Wu et al. 2017, eq. 5): positives within beta - margin, negatives beyond beta + margin.
 *
 *   term(a, p, n) = max(0, d(a, p) - beta + margin) + max(0, beta - d(a, n) + margin)
 *
 * over all triplets, or those of a miner. The loss is their sum over the number of the two parts that are not zero (reducer=divisor):
 * pytorch-metric-learning's MarginLoss (margin .2, beta 1.2, Euclidean). beta is fixed; the paper samples by --miner distance-weighted. */
#include "train/losses/labelled.h"

enum { MARGIN, BETA, DISTANCE, REDUCER };

static const struct ft_loss_key keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = .2, .low = 0, .high = 4},
    [BETA] = {.name = "beta", .otherwise = 1.2, .low = -4, .high = 4},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    [REDUCER] = {.name = "reducer", .choices = "mean sum divisor", .otherwise = FT_NONZERO},   /* divisor: parts that are not zero */
    {.name = NULL},
};

static double count_all(const struct ft_other *others, size_t count)
{
    double all = 0;

    for (size_t i = 0; i < count; i++)
        all += others[i].count;
    return all;
}

/* The parts of a triplet share no distance, so a pair's part is taken as often as triplets have the pair. */
static void pull_apart(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    const struct ft_mined *mined = anchor->batch->mined;
    double beta = ft_distance_margin(anchor->batch->distance, value[BETA]);
    bool pairs = !mined || mined->how == FT_MINED_PAIRS;
    double times[] = {pairs ? count_all(anchor->negative, anchor->negatives) : 1, pairs ? count_all(anchor->positive, anchor->positives) : 1};

    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (part ? anchor->negatives : anchor->positives); i++) {
            struct ft_other *o = part ? &anchor->negative[i] : &anchor->positive[i];
            double sign = part ? -1 : 1, over = sign * (o->value - beta) + value[MARGIN], count = times[part] * o->count;
            struct ft_terms *terms = &anchor->batch->terms[anchor->item];

            terms->entries[0] += part ? 0 : count;
            if (over <= 0 || count == 0)
                continue;
            terms->sum[0] += count * over;
            terms->nonzero[0] += count;
            o->slope = sign * count;
        }
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER],
        .anchor = pull_apart, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_margin = {
    .name = "margin",
    .purpose = "positives within, negatives beyond one distance, with a margin on both sides",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .compute = compute,
};
