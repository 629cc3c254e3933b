/* miner-distance-weighted.c - negatives drawn so that all distances are as likely (Wu et al. 2017, section 4).
 *
 * On a sphere of d dimensions most distances are near sqrt(2): their density is q(D) ~ D^(d - 2) (1 - D^2 / 4)^((d - 3) / 2). A negative is drawn
 * with weight 1 / q(D), where D is at least `cutoff`, and none at `nonzero_loss_cutoff` or more. Each anchor of a class of k gets k triplets, each
 * with a positive drawn evenly; an anchor without a negative of any weight gets none. DistanceWeightedMiner of pytorch-metric-learning (cutoffs
 * .5 and 1.4). Numbers are Philox's: key the run's seed; stream the batch's number and the anchor. */
#include "train/miner.h"

#include "base/random.h"

#include <math.h>

enum { CUTOFF, NONZERO_LOSS_CUTOFF };

static const struct ft_setting_key keys[] = {
    [CUTOFF] = {.name = "cutoff", .otherwise = .5, .low = 1e-3, .high = 2},
    [NONZERO_LOSS_CUTOFF] = {.name = "nonzero_loss_cutoff", .otherwise = 1.4, .low = 1e-3, .high = 2},
    {.name = NULL},
};

/* Shares of the negatives, running: share is the sum up to and with this one, the last one's the sum of all. 0: no negative has weight. */
static double weigh(struct ft_anchor *anchor, const double *value)
{
    double d = (double)anchor->batch->d, most = -INFINITY, sum = 0;

    for (size_t j = 0; j < anchor->negatives; j++) {
        struct ft_other *n = &anchor->negative[j];
        double distance = fmax(n->value, value[CUTOFF]);

        n->power = (2 - d) * log(distance) - (d - 3) / 2 * log(1 - distance * distance / 4);
        if (distance >= value[NONZERO_LOSS_CUTOFF] || !isfinite(n->power))
            n->power = -INFINITY;
        most = fmax(most, n->power);
    }
    for (size_t j = 0; j < anchor->negatives; j++)
        anchor->negative[j].share = sum += isfinite(most) ? exp(anchor->negative[j].power - most) : 0;
    return sum;
}

static size_t draw(const struct ft_anchor *anchor, double at)
{
    size_t low = 0, high = anchor->negatives - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (anchor->negative[middle].share > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct drawing {
    const double *value;
    struct ft_mined *mined;
};

static void choose(struct ft_anchor *anchor, const void *argument)
{
    const struct drawing *drawing = argument;
    const struct ft_labelled *batch = anchor->batch;
    struct ft_mined *mined = drawing->mined;
    struct ft_triplet *list = mined->list + mined->first[anchor->item];
    size_t count = mined->first[anchor->item + 1] - mined->first[anchor->item];
    double sum = anchor->positives ? weigh(anchor, drawing->value) : 0;
    struct ft_random random = ft_random_start(batch->seed, batch->number << 32 | 0x40000000u | anchor->item);

    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].count = 0;
    for (size_t j = 0; j < anchor->negatives; j++)
        anchor->negative[j].count = 0;
    for (size_t i = 0; i < count; i++) {
        struct ft_other *p, *n;

        list[i].anchor = UINT32_MAX;       /* nothing, until it is drawn */
        if (sum <= 0)
            continue;
        p = &anchor->positive[ft_random_below(&random, anchor->positives)];
        n = &anchor->negative[draw(anchor, ft_random_uniform(&random) * sum)];
        list[i] = (struct ft_triplet){(uint32_t)anchor->item, p->item, n->item};
        p->count++;
        n->count++;
    }
}

/* Places for k triplets of each anchor; then those of anchors that drew none are closed up. */
static int mine(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    struct drawing drawing = {value, mined};
    size_t n = batch->n, count = 0;

    mined->how = FT_MINED_LIST;
    if (!(mined->first = ft_arena_zero(arena, n + 1, sizeof *mined->first)))
        return -1;
    for (size_t a = 0; a < n; a++) {
        size_t k = batch->first[batch->label[a] + 1] - batch->first[batch->label[a]];

        mined->first[a + 1] = mined->first[a] + (k > 1 && k < n ? k : 0);
    }
    if (!(mined->list = ft_arena_zero(arena, mined->first[n], sizeof *mined->list)) ||
        ft_mine_anchors(arena, batch, FT_BY_EUCLIDEAN, mined, choose, &drawing) < 0)
        return -1;
    for (size_t a = 0, i = 0; a < n; a++) {
        for (; i < mined->first[a + 1]; i++)
            if (mined->list[i].anchor == a)
                mined->list[count++] = mined->list[i];
        mined->first[a + 1] = count;
    }
    return 0;
}

const struct ft_miner ft_miner_distance_weighted = {
    .name = "distance-weighted",
    .purpose = "negatives drawn so that all distances are as likely",
    .keys = keys,
    .mine = mine,
};
