/* miner-hdc.c - the hardest share of all positive and of all negative pairs of the batch, as in hard-aware deeply cascaded embedding (Yuan et al. 2017).
 *
 * HDCMiner of pytorch-metric-learning (filter_percentage .5). A share of a pair is rounded up; of equal distances those that come first. */
#include "train/miner.h"

#include <math.h>
#include <stdlib.h>

enum { FILTER_PERCENTAGE, DISTANCE };

static const struct ft_setting_key keys[] = {
    [FILTER_PERCENTAGE] = {.name = "filter_percentage", .otherwise = .5, .low = 0, .high = 1},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    {.name = NULL},
};

struct hard_pair {
    double value;              /* the smallest are the hardest */
    uint64_t place;
};

static int compare_pairs(const void *x, const void *y)
{
    const struct hard_pair *a = x, *b = y;

    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static int mine_part(struct ft_arena *arena, const struct ft_labelled *batch, const double *value, int part, struct ft_mined *mined)
{
    size_t count, n = batch->n;
    uint64_t *place = ft_mine_pairs(arena, batch, part, &count);
    struct hard_pair *pair = place ? ft_resize(NULL, count ? count : 1, sizeof *pair) : NULL;

    if (!pair)
        return -1;
    for (size_t i = 0; i < count; i++) {
        double distance = ft_distance_value(batch, (enum ft_by)value[DISTANCE], place[i] / n, place[i] % n);

        pair[i] = (struct hard_pair){part ? distance : -distance, place[i]};
    }
    qsort(pair, count, sizeof *pair, compare_pairs);
    for (size_t i = 0; i < (size_t)ceil(value[FILTER_PERCENTAGE] * (double)count); i++)
        mined->count[pair[i].place] = 1;
    free(pair);
    return 0;
}

static int mine(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    return mine_part(arena, batch, value, 0, mined) < 0 ? -1 : mine_part(arena, batch, value, 1, mined);
}

const struct ft_miner ft_miner_hdc = {
    .name = "hdc",
    .purpose = "the hardest share of all positive and of all negative pairs",
    .keys = keys,
    .mine = mine,
};
