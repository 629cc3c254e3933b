/* miner-pair-margin.c - positives further than a margin, negatives nearer than another. PairMarginMiner of pytorch-metric-learning (margins .2 and .8,
 * Euclidean; of cosine and dot, margins of the similarity). */
#include "train/miner.h"

enum { POS_MARGIN, NEG_MARGIN, DISTANCE };

static const struct ft_setting_key keys[] = {
    [POS_MARGIN] = {.name = "pos_margin", .otherwise = .2, .low = -4, .high = 4},
    [NEG_MARGIN] = {.name = "neg_margin", .otherwise = .8, .low = -4, .high = 4},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    {.name = NULL},
};

static void choose(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    enum ft_by distance = (enum ft_by)value[DISTANCE];
    double near = ft_distance_margin(distance, value[POS_MARGIN]), far = ft_distance_margin(distance, value[NEG_MARGIN]);

    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].count = anchor->positive[i].value > near;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].count = anchor->negative[i].value < far;
}

static int mine(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    return ft_mine_anchors(arena, batch, (enum ft_by)value[DISTANCE], mined, choose, value);
}

const struct ft_miner ft_miner_pair_margin = {
    .name = "pair-margin",
    .purpose = "positives further than a margin, negatives nearer than another",
    .keys = keys,
    .mine = mine,
};
