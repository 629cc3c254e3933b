/* generalized-lifted.c - generalised lifted structure loss (Hermans, Beyer and Leibe 2017, eq. 9).
 *
 *   term(a) = max(0, log sum over p of exp(d(a, p) - pos_margin) + log sum over n of exp(neg_margin - d(a, n)))
 *
 * The loss is the mean over anchors: pytorch-metric-learning's GeneralizedLiftedStructureLoss (margins 0 and 1, Euclidean). As there, a sum of
 * nothing has logarithm 0. */
#include "train/losses/labelled.h"

enum { POS_MARGIN, NEG_MARGIN, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [POS_MARGIN] = {.name = "pos_margin", .otherwise = 0, .low = -4, .high = 4},
    [NEG_MARGIN] = {.name = "neg_margin", .otherwise = 1, .low = -4, .high = 4},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

static void contrast(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    enum ft_by distance = anchor->batch->distance;
    double near = ft_distance_margin(distance, value[POS_MARGIN]), far = ft_distance_margin(distance, value[NEG_MARGIN]), loss, weight;

    for (size_t i = 0; i < anchor->positives; i++) {
        anchor->positive[i].count = 1;
        anchor->positive[i].power = anchor->positive[i].value - near;
    }
    for (size_t i = 0; i < anchor->negatives; i++) {
        anchor->negative[i].count = 1;
        anchor->negative[i].power = far - anchor->negative[i].value;
    }
    loss = ft_log_sum(anchor->positive, anchor->positives, false) + ft_log_sum(anchor->negative, anchor->negatives, false);
    weight = ft_term(anchor, 0, 1, loss > 0 ? loss : 0) * (loss > 0);
    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].slope = weight * anchor->positive[i].share;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].slope = -weight * anchor->negative[i].share;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER],
        .anchor = contrast, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_generalized_lifted = {
    .name = "generalized-lifted",
    .purpose = "the furthest positives and the nearest negatives of an anchor, softly",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .compute = compute,
};
