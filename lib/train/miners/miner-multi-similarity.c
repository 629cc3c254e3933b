/* miner-multi-similarity.c - pairs that compete (Wang et al. 2019, eq. 8 and 9): a positive not nearer than the nearest negative by epsilon, a negative
 * not further than the furthest positive by epsilon. MultiSimilarityMiner of pytorch-metric-learning (epsilon .1, cosine). */
#include "train/miner.h"

#include <math.h>

enum { EPSILON, DISTANCE };

static const struct ft_setting_key keys[] = {
    [EPSILON] = {.name = "epsilon", .otherwise = .1, .low = -4, .high = 4},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_COSINE},
    {.name = NULL},
};

static void choose(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    double furthest = -INFINITY, nearest = INFINITY;

    for (size_t i = 0; i < anchor->positives; i++)
        furthest = fmax(furthest, anchor->positive[i].value);
    for (size_t i = 0; i < anchor->negatives; i++)
        nearest = fmin(nearest, anchor->negative[i].value);
    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].count = anchor->positive[i].value + value[EPSILON] > nearest;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].count = anchor->negative[i].value - value[EPSILON] < furthest;
}

static int mine(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    return ft_mine_anchors(arena, batch, (enum ft_by)value[DISTANCE], mined, choose, value);
}

const struct ft_miner ft_miner_multi_similarity = {
    .name = "multi-similarity",
    .purpose = "positives not nearer than the nearest negative by epsilon, and the reverse",
    .keys = keys,
    .mine = mine,
};
