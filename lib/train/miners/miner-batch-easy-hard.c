/* miner-batch-easy-hard.c - one positive and one negative of each anchor, or all of a side (Xuan, Stylianou and Pless 2020), and batch-hard, the
 * furthest positive and the nearest negative (Hermans, Beyer and Leibe 2017).
 *
 * easy is the nearest positive and the furthest negative, hard the other way round. semihard, on one side only and not beside all, is the
 * furthest positive nearer than the negative chosen, or the nearest negative further than the positive chosen; an anchor that has none is left
 * out. pos_low .. neg_high bound the distances that may be chosen (allowed_pos_range, allowed_neg_range; of cosine and dot the similarities).
 * Of equal distances the first item is taken. BatchEasyHardMiner and BatchHardMiner of pytorch-metric-learning. */
#include "train/miner.h"

#include <math.h>

enum { POSITIVE, NEGATIVE, DISTANCE, POS_LOW, POS_HIGH, NEG_LOW, NEG_HIGH };
enum { EASY, HARD, SEMIHARD, ALL };

static const struct ft_setting_key keys[] = {
    [POSITIVE] = {.name = "pos_strategy", .choices = "easy hard semihard all", .otherwise = EASY},
    [NEGATIVE] = {.name = "neg_strategy", .choices = "easy hard semihard all", .otherwise = SEMIHARD},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    [POS_LOW] = {.name = "pos_low", .otherwise = -1e9, .low = -1e9, .high = 1e9},
    [POS_HIGH] = {.name = "pos_high", .otherwise = 1e9, .low = -1e9, .high = 1e9},
    [NEG_LOW] = {.name = "neg_low", .otherwise = -1e9, .low = -1e9, .high = 1e9},
    [NEG_HIGH] = {.name = "neg_high", .otherwise = 1e9, .low = -1e9, .high = 1e9},
    {.name = NULL},
};

static int check(const double *value)
{
    if (value[POSITIVE] == SEMIHARD && value[NEGATIVE] == SEMIHARD)
        return ft_fail(FT_USAGE, "batch-easy-hard: pos_strategy and neg_strategy cannot both be semihard: each needs the other to compare with");
    if ((value[POSITIVE] == SEMIHARD && value[NEGATIVE] == ALL) || (value[POSITIVE] == ALL && value[NEGATIVE] == SEMIHARD))
        return ft_fail(FT_USAGE, "batch-easy-hard: semihard needs one item on the other side: expected easy or hard there, not all");
    return 0;
}

struct limits {
    double low, high;          /* may be chosen, both included */
    double above, below;       /* and of these neither */
};

/* Keep one: the nearest, or the furthest, within limits. Its distance, or NAN where there is none. */
static double keep_one(struct ft_other *others, size_t count, bool nearest, const struct limits *limits)
{
    struct ft_other *best = NULL;

    for (size_t i = 0; i < count; i++) {
        double value = others[i].value;

        others[i].count = 0;
        if (value < limits->low || value > limits->high || value <= limits->above || value >= limits->below)
            continue;
        if (!best || (nearest ? value < best->value : value > best->value))
            best = &others[i];
    }
    if (best)
        best->count = 1;
    return best ? best->value : NAN;
}

static void keep_none(struct ft_anchor *anchor)
{
    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].count = 0;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].count = 0;
}

static struct limits range_of(enum ft_by distance, double low, double high)
{
    double a = ft_distance_margin(distance, low), b = ft_distance_margin(distance, high);

    return (struct limits){fmin(a, b), fmax(a, b), -INFINITY, INFINITY};
}

static void choose(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    enum ft_by distance = (enum ft_by)value[DISTANCE];
    int pos = (int)value[POSITIVE], neg = (int)value[NEGATIVE];
    struct limits p = range_of(distance, value[POS_LOW], value[POS_HIGH]), n = range_of(distance, value[NEG_LOW], value[NEG_HIGH]);
    double positive = 0, negative = 0;

    if (pos == SEMIHARD) {     /* the negative first */
        negative = keep_one(anchor->negative, anchor->negatives, neg == HARD, &n);
        p.below = negative;
        positive = keep_one(anchor->positive, anchor->positives, false, &p);
    } else {
        if (pos != ALL)
            positive = keep_one(anchor->positive, anchor->positives, pos == EASY, &p);
        if (neg == SEMIHARD)
            n.above = positive;
        if (neg != ALL)
            negative = keep_one(anchor->negative, anchor->negatives, neg != EASY, &n);
    }
    if (pos != ALL && neg != ALL && (isnan(positive) || isnan(negative)))
        keep_none(anchor);
}

static int mine(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    return ft_mine_anchors(arena, batch, (enum ft_by)value[DISTANCE], mined, choose, value);
}

const struct ft_miner ft_miner_batch_easy_hard = {
    .name = "batch-easy-hard",
    .purpose = "the nearest, furthest, or nearest that is far enough on each side",
    .keys = keys,
    .check = check,
    .mine = mine,
};

static const struct ft_setting_key hard_keys[] = {
    {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    {.name = NULL},
};

/* Triplets, not pairs: an anchor is in a triplet once, which tells where losses weigh items (nca). */
static int mine_hard(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    double hard[] = {HARD, HARD, value[0], -1e9, 1e9, -1e9, 1e9};
    size_t n = batch->n, count = 0;

    mined->how = FT_MINED_LIST;
    mined->list = ft_arena_zero(arena, n, sizeof *mined->list);
    mined->first = ft_arena_zero(arena, n + 1, sizeof *mined->first);
    if (!mined->list || !mined->first || ft_mine_anchors(arena, batch, (enum ft_by)value[0], mined, choose, hard) < 0)
        return -1;
    for (size_t a = 0; a < n; a++) {
        bool any = false;

        for (size_t j = 0; j < n; j++)
            if (mined->count[a * n + j]) {
                *(batch->label[j] == batch->label[a] ? &mined->list[count].positive : &mined->list[count].negative) = (uint32_t)j;
                mined->list[count].anchor = (uint32_t)a;
                any = true;
            }
        mined->first[a + 1] = count += any;
    }
    return 0;
}

const struct ft_miner ft_miner_batch_hard = {
    .name = "batch-hard",
    .purpose = "the furthest positive and the nearest negative of each anchor",
    .keys = hard_keys,
    .mine = mine_hard,
};
