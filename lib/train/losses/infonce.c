/* infonce.c - each anchor must find its positive among all of the batch (van den Oord et al. 2018; Henderson et al. 2017).
 *
 *   term(i) = - log( exp(scale * u_i . v_i) / sum over candidates j of exp(scale * u_i . v_j) )
 *
 * u are the anchors, v the candidates: the positives of all rows, then the hard negatives of all rows. The loss is the mean over rows.
 * This is sentence-transformers' MultipleNegativesRankingLoss (scale 20, a temperature of .05) with its settings. directions adds to the sum (joint)
 * what else is compared: d2q the positive with all anchors, q2q the anchor with the other anchors, d2d the positive with the texts of other rows; all
 * four are the loss of GTE (Li et al. 2023). With partition_mode=per_direction, q2d+d2q is the mean of a softmax each way, CLIP's loss (Radford et al.
 * 2021), in which hard negatives have no part in the second. hardness weights negatives by how near they are (Lan et al. 2025, eq. 5, in_batch_negatives,
 * strength 9; EmbeddingGemma, Schechter Vera et al. 2025, hard_negatives, strength 5).
 *
 * margin_strategy is not theirs here but GISTEmbedLoss's: a guide's filter of false negatives, in whatever directions are compared.
 *
 * A row of several positives has a term for each, and its other positives, which are right too, are not among that term's candidates. */
#include "train/losses/contrast.h"

enum { SCALE, DIRECTIONS, PARTITION, HARDNESS, STRENGTH, STRATEGY, MARGIN };

/* The choice's number in binary: d2q 4, q2q 2, d2d 1. */
static const struct ft_setting_key keys[] = {
    [SCALE] = {.name = "scale", .otherwise = 20, .low = 1e-3, .high = 1e4},
    [DIRECTIONS] = {.name = "directions",
                    .choices = "q2d q2d+d2d q2d+q2q q2d+q2q+d2d q2d+d2q q2d+d2q+d2d q2d+d2q+q2q q2d+d2q+q2q+d2d"},
    [PARTITION] = {.name = "partition_mode", .choices = "joint per_direction"},
    [HARDNESS] = {.name = "hardness_mode", .choices = "none in_batch_negatives hard_negatives all_negatives"},
    [STRENGTH] = {.name = "hardness_strength", .otherwise = 0, .low = 0, .high = 1e4},
    [STRATEGY] = {.name = "margin_strategy", .choices = "none absolute relative"},
    [MARGIN] = {.name = "margin", .otherwise = 0, .low = -2, .high = 2},
    {.name = NULL},
};

static int check(const double *value)
{
    if (value[PARTITION] && ((int)value[DIRECTIONS] & 3))
        return ft_fail(FT_USAGE, "infonce: partition_mode=per_direction goes with q2d and d2q: q2q and d2d hold no right answer of their own");
    return 0;
}

static unsigned asks(const double *value)
{
    return value[STRATEGY] ? FT_ASKS_GUIDE : 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const double *value = call->value;
    int directions = (int)value[DIRECTIONS];
    const struct ft_contrast contrast = {
        .scale = value[SCALE], .d2q = directions & 4, .q2q = directions & 2, .d2d = directions & 1, .per_direction = value[PARTITION] != 0,
        .hardness = (enum ft_hardness)value[HARDNESS], .strength = value[STRENGTH],
        .filter = (enum ft_margin_strategy)value[STRATEGY], .margin = value[MARGIN],
    };

    return ft_contrast_compute(call, &contrast, loss, gradient, counted);
}

const struct ft_loss ft_loss_infonce = {
    .name = "infonce",
    .purpose = "each anchor finds its positive among all positives and hard negatives of the batch",
    .kinds = FT_LOSS_TAKES(FT_BATCH_PAIRS) | FT_LOSS_TAKES(FT_BATCH_TRIPLETS),
    .keys = keys,
    .check = check,
    .asks = asks,
    .compute = compute,
};
