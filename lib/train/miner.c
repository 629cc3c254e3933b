/* miner.c - the miners: all, hard, semihard, easy-hard.
 *
 * Their meanings are pytorch-metric-learning's (Musgrave et al. 2020), so that its settings carry over:
 *
 *   all        every triplet; the loss itself drops those that are met
 *   hard       BatchHardMiner: the furthest positive and the nearest negative of each anchor (Hermans et al. 2017)
 *   semihard   TripletMarginMiner, type_of_triplets="semihard": every triplet whose negative is further than the positive, but by no more
 *              than `margin`: 0 < d(a, n) - d(a, p) <= margin. These are FaceNet's semi-hard exemplars (Schroff et al. 2015, 3.2).
 *              Not sentence-transformers' BatchSemiHardTripletLoss, which takes one negative for each positive - the nearest that is further,
 *              and the furthest one where none is, which is no semi-hard triplet at all. Triplets the loss already finds met
 *              weigh nothing, so a margin above the loss's own changes nothing.
 *   easy-hard  BatchEasyHardMiner (Xuan et al. 2020): pos=easy the nearest positive, hard the furthest, all; neg=hard the nearest
 *              negative, easy the furthest, all. semihard, on one side only and not beside all: pos=semihard is the furthest positive nearer
 *              than the negative chosen, neg=semihard the nearest negative further than the positive chosen; an anchor that has none is
 *              left out.
 *
 * Distances are those of the loss; theirs are Euclidean unless told otherwise. Choices between equal distances take the item that
 * comes first. */
#include "train/miner.h"

#include <math.h>
#include <string.h>

static void keep_all(const double *value, struct ft_mined *mined)
{
    (void)value, (void)mined;
}

static void keep_one(struct ft_mined_items *items, size_t i)
{
    items->item[0] = items->item[i];
    items->distance[0] = items->distance[i];
    items->count = 1;
}

/* The nearest item strictly further than `above`; none leaves the list empty. */
static void keep_nearest(struct ft_mined_items *items, float above)
{
    size_t best = items->count;

    for (size_t i = 0; i < items->count; i++)
        if (items->distance[i] > above && (best == items->count || items->distance[i] < items->distance[best]))
            best = i;
    if (best == items->count)
        items->count = 0;
    else
        keep_one(items, best);
}

/* The furthest item strictly nearer than `below`. */
static void keep_furthest(struct ft_mined_items *items, float below)
{
    size_t best = items->count;

    for (size_t i = 0; i < items->count; i++)
        if (items->distance[i] < below && (best == items->count || items->distance[i] > items->distance[best]))
            best = i;
    if (best == items->count)
        items->count = 0;
    else
        keep_one(items, best);
}

static void keep_hard(const double *value, struct ft_mined *mined)
{
    (void)value;
    keep_furthest(&mined->positive, INFINITY);
    keep_nearest(&mined->negative, -INFINITY);
}

enum { MARGIN };

static const struct ft_loss_key semihard_keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = .2, .low = 0, .high = 4},
    {.name = NULL},
};

static void keep_semihard(const double *value, struct ft_mined *mined)
{
    mined->above = 0;
    mined->most = (float)value[MARGIN];
}

enum { POSITIVE, NEGATIVE };
enum { EASY, HARD, SEMIHARD, ALL };

static const struct ft_loss_key easy_hard_keys[] = {
    [POSITIVE] = {.name = "pos", .choices = "easy hard semihard all", .otherwise = EASY},
    [NEGATIVE] = {.name = "neg", .choices = "easy hard semihard all", .otherwise = SEMIHARD},
    {.name = NULL},
};

static int check_easy_hard(const double *value)
{
    if (value[POSITIVE] == SEMIHARD && value[NEGATIVE] == SEMIHARD)
        return ft_fail(FT_USAGE, "easy-hard: pos and neg cannot both be semihard: each needs the other to compare with");
    if ((value[POSITIVE] == SEMIHARD && value[NEGATIVE] == ALL) || (value[POSITIVE] == ALL && value[NEGATIVE] == SEMIHARD))
        return ft_fail(FT_USAGE, "easy-hard: semihard needs one item on the other side: expected easy or hard there, not all");
    return 0;
}

static void keep_positive(int how, struct ft_mined_items *items, float below)
{
    if (how == EASY)
        keep_nearest(items, -INFINITY);
    else if (how != ALL)
        keep_furthest(items, below);
}

static void keep_negative(int how, struct ft_mined_items *items, float above)
{
    if (how == EASY)
        keep_furthest(items, INFINITY);
    else if (how != ALL)
        keep_nearest(items, above);
}

static void keep_easy_hard(const double *value, struct ft_mined *mined)
{
    int pos = (int)value[POSITIVE], neg = (int)value[NEGATIVE];

    if (pos == SEMIHARD) {     /* the negative first */
        keep_negative(neg, &mined->negative, -INFINITY);
        keep_positive(pos, &mined->positive, mined->negative.distance[0]);
    } else {
        keep_positive(pos, &mined->positive, INFINITY);
        keep_negative(neg, &mined->negative, neg == SEMIHARD ? mined->positive.distance[0] : -INFINITY);
    }
}

static const struct ft_loss_key no_keys[] = {{.name = NULL}};

static const struct ft_miner table[] = {
    {"all", "every triplet", no_keys, NULL, keep_all},
    {"hard", "the furthest positive and the nearest negative of each anchor", no_keys, NULL, keep_hard},
    {"semihard", "triplets whose negative is further than the positive by at most margin", semihard_keys, NULL, keep_semihard},
    {"easy-hard", "the nearest, furthest, or nearest that is far enough on each side", easy_hard_keys, check_easy_hard, keep_easy_hard},
};

const struct ft_miner *ft_miner_at(size_t i)
{
    return i < sizeof table / sizeof *table ? &table[i] : NULL;
}

const struct ft_miner *ft_miner_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    ft_fail(FT_USAGE, "no miner '%s': expected one of %s", name, ft_miner_names());
    return NULL;
}
