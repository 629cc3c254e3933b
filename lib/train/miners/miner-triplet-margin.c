/* miner-triplet-margin.c - triplets by the gap d(a, n) - d(a, p), TripletMarginMiner of pytorch-metric-learning: all those whose gap is at most
 * `margin`; hard, of these the ones whose negative is not further than the positive; semihard, the ones whose negative is further (FaceNet's:
 * Schroff et al. 2015, 3.2); easy, those whose gap exceeds the margin.
 *
 * semihard is not sentence-transformers' BatchSemiHardTripletLoss, which takes one negative for each positive - the nearest that is further, and
 * the furthest one where none is, which is no semi-hard triplet at all. */
#include "train/miner.h"

#include <math.h>
#include <stdlib.h>

enum { MARGIN, TYPE, DISTANCE };
enum { ALL, HARD, SEMIHARD, EASY };
enum { FEW = 16 };

static const struct ft_setting_key keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = .2, .low = -4, .high = 4},
    [TYPE] = {.name = "type_of_triplets", .choices = "all hard semihard easy", .otherwise = ALL},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    {.name = NULL},
};

static int compare_values(const void *x, const void *y)
{
    const struct ft_other *a = x, *b = y;

    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return a->item < b->item ? -1 : 1;
}

/* The first negative whose gap exceeds `gap`. */
static size_t find_gap(const struct ft_anchor *anchor, double from, double gap)
{
    size_t low = 0, high = anchor->negatives;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (anchor->negative[middle].value - from > gap)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* In the order of distance the negatives of a positive are a run: counts change where runs begin and end. */
static void count_runs(struct ft_anchor *anchor, const struct ft_mined *mined)
{
    double running = 0;

    qsort(anchor->negative, anchor->negatives, sizeof *anchor->negative, compare_values);
    for (size_t j = 0; j <= anchor->negatives; j++)
        anchor->negative[j].power = 0;
    for (size_t i = 0; i < anchor->positives; i++) {
        struct ft_other *p = &anchor->positive[i];
        size_t first = find_gap(anchor, p->value, mined->above), last = find_gap(anchor, p->value, mined->most);

        p->count = last > first ? (double)(last - first) : 0;
        if (last > first) {
            anchor->negative[first].power += 1;
            anchor->negative[last].power -= 1;
        }
    }
    for (size_t j = 0; j < anchor->negatives; j++)
        anchor->negative[j].count = running += anchor->negative[j].power;
}

static void count_each(struct ft_anchor *anchor, const struct ft_mined *mined)
{
    for (size_t j = 0; j < anchor->negatives; j++)
        anchor->negative[j].count = 0;
    for (size_t i = 0; i < anchor->positives; i++) {
        struct ft_other *p = &anchor->positive[i];

        p->count = 0;
        for (size_t j = 0; j < anchor->negatives; j++) {
            double gap = anchor->negative[j].value - p->value;
            bool fits = gap > mined->above && gap <= mined->most;

            p->count += fits;
            anchor->negative[j].count += fits;
        }
    }
}

static void choose(struct ft_anchor *anchor, const void *argument)
{
    const struct ft_mined *mined = argument;

    if (anchor->positives > FEW)
        count_runs(anchor, mined);
    else
        count_each(anchor, mined);
}

static int mine(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    int type = (int)value[TYPE];

    mined->how = FT_MINED_GAP;
    mined->distance = (enum ft_by)value[DISTANCE];
    mined->above = type == EASY ? value[MARGIN] : type == SEMIHARD ? 0 : -INFINITY;
    mined->most = type == EASY ? INFINITY : type == HARD ? fmin(0, value[MARGIN]) : value[MARGIN];
    return ft_mine_anchors(arena, batch, mined->distance, mined, choose, mined);
}

const struct ft_miner ft_miner_triplet_margin = {
    .name = "triplet-margin",
    .purpose = "triplets whose negative is further than the positive by at most a margin, or not",
    .keys = keys,
    .mine = mine,
};
