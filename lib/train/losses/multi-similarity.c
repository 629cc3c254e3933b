/* multi-similarity.c - multi-similarity loss (Wang et al. 2019, eq. 15).
 *
 *   term(a) = log(1 + sum over p of exp(-alpha (s(a, p) - base))) / alpha + log(1 + sum over n of exp(beta (s(a, n) - base))) / beta
 *
 * s is the cosine, or with another distance its negative, and base then a distance. The loss is the mean over anchors:
 * pytorch-metric-learning's MultiSimilarityLoss (alpha 2, beta 50, base .5). The paper mines by --miner multi-similarity. */
#include "train/losses/labelled.h"

enum { ALPHA, BETA, BASE, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [ALPHA] = {.name = "alpha", .otherwise = 2, .low = 1e-3, .high = 1e3},
    [BETA] = {.name = "beta", .otherwise = 50, .low = 1e-3, .high = 1e3},
    [BASE] = {.name = "base", .otherwise = .5, .low = -4, .high = 4},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_COSINE},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

/* One side: its part of the term, and slopes before the term's weight. */
static double side(struct ft_other *others, size_t count, double scale, double base)
{
    double sum;

    for (size_t i = 0; i < count; i++) {
        others[i].count = 1;   /* chosen or not */
        others[i].power = scale * (others[i].value - base);
    }
    sum = ft_log_sum(others, count, true);
    for (size_t i = 0; i < count; i++)
        others[i].slope = scale < 0 ? -others[i].share : others[i].share;
    return sum / (scale < 0 ? -scale : scale);
}

static void contrast(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    double base = ft_distance_margin(anchor->batch->distance, value[BASE]);
    double loss = side(anchor->positive, anchor->positives, value[ALPHA], base) + side(anchor->negative, anchor->negatives, -value[BETA], base);
    double weight = ft_term(anchor, 0, 1, loss);

    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].slope *= weight;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].slope *= weight;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER],
        .anchor = contrast, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_multi_similarity = {
    .name = "multi-similarity",
    .purpose = "positives and negatives weighted by how they compare with all of the anchor's",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .compute = compute,
};
