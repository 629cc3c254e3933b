/* triplet.c - the triplet loss: a positive nearer than a negative by a margin (Schroff et al. 2015, FaceNet, eq. 1).
 *
 *   term(a, p, n) = max(0, d(a, p) - d(a, n) + margin)          smooth=1: log(1 + exp(d(a, p) - d(a, n) + margin))
 *
 * swap=1 takes for d(a, n) the nearer of d(a, n) and d(p, n) (Balntas et al. 2016). The loss is the mean over the terms that are not zero, not
 * over all of them: as terms are met, those left keep their weight. This is pytorch-metric-learning's TripletMarginLoss with its defaults
 * (margin .05, Euclidean, AvgNonZeroReducer; smooth is smooth_loss).
 *
 * Batches with labels give triplets through a miner; without one, all. Triplet batches give their own. All triplets of an anchor are cubic in
 * number, but not in time: with its negatives in the order of distance, those that a positive violates are a run of them, and sums over
 * runs are differences of running sums. smooth, swap, triplets that are not runs, and few positives, for which sorting would take longer, are gone
 * through one by one. */
#include "train/losses/labelled.h"

#include <math.h>
#include <stdlib.h>

enum { DISTANCE, MARGIN, SMOOTH, SWAP, REDUCER };
enum { FEW = 16 };

static const struct ft_setting_key keys[] = {
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    [MARGIN] = {.name = "margin", .otherwise = .05, .low = 0, .high = 4},
    [SMOOTH] = {.name = "smooth", .choices = "0 1", .otherwise = 0},
    [SWAP] = {.name = "swap", .choices = "0 1", .otherwise = 0},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_NONZERO},
    {.name = NULL},
};

static void add(struct ft_terms *terms, double count, double loss)
{
    terms->sum[0] += count * loss;
    terms->entries[0] += count;
    terms->nonzero[0] += loss > 0 ? count : 0;
}

/* One triplet. With swap the negative's slope may go to the positive's row; of two equal distances each gets half. */
static void add_triplet(struct ft_anchor *anchor, const double *value, struct ft_other *p, struct ft_other *n, double count)
{
    struct ft_labelled *batch = anchor->batch;
    double far = n->value, other = value[SWAP] ? ft_distance_value(batch, batch->distance, p->item, n->item) : INFINITY;
    double nearest = fmin(far, other), violation = p->value - nearest + value[MARGIN], slope = violation > 0, share;
    double loss = value[SMOOTH] ? ft_softplus(violation, &slope) : fmax(0, violation);

    add(&batch->terms[anchor->item], count, loss);
    slope *= count;
    share = far < other ? 1 : far > other ? 0 : .5;
    p->slope += slope;
    n->slope -= slope * share;
    if (share < 1)
        ft_slope_add(batch, p->item, n->item, other, -slope * (1 - share));
}

/* Are p and n together in a triplet of the anchor's? What is chosen by triplets counts once. */
static bool together(const struct ft_anchor *anchor, const struct ft_other *p, const struct ft_other *n)
{
    const struct ft_labelled *batch = anchor->batch;
    const struct ft_mined *mined = batch->mined;
    double gap;

    if (!mined || mined->how == FT_MINED_PAIRS)
        return true;
    if (mined->how == FT_MINED_ANGLE)
        return ft_mined_angle(batch, mined->tangent, anchor->item, p->item, n->item);
    gap = ft_distance_value(batch, mined->distance, anchor->item, n->item) - ft_distance_value(batch, mined->distance, anchor->item, p->item);
    return gap > mined->above && gap <= mined->most;
}

static void one_by_one(struct ft_anchor *anchor, const double *value)
{
    const struct ft_mined *mined = anchor->batch->mined;
    bool once = mined && mined->how != FT_MINED_PAIRS;

    for (size_t i = 0; i < anchor->positives; i++)
        for (size_t j = 0; j < anchor->negatives; j++)
            if (together(anchor, &anchor->positive[i], &anchor->negative[j]))
                add_triplet(anchor, value, &anchor->positive[i], &anchor->negative[j],
                            once ? 1 : anchor->positive[i].count * anchor->negative[j].count);
}

static struct ft_other *find_other(struct ft_other *others, size_t count, uint32_t item)
{
    size_t low = 0;

    while (count > 1) {
        size_t half = count / 2;

        if (others[low + half].item <= item)
            low += half;
        count -= half;
    }
    return &others[low];
}

static void listed(struct ft_anchor *anchor, const double *value)
{
    const struct ft_mined *mined = anchor->batch->mined;

    for (size_t i = mined->first[anchor->item]; i < mined->first[anchor->item + 1]; i++)
        add_triplet(anchor, value, find_other(anchor->positive, anchor->positives, mined->list[i].positive),
                    find_other(anchor->negative, anchor->negatives, mined->list[i].negative), 1);
}

static int compare_values(const void *x, const void *y)
{
    const struct ft_other *a = x, *b = y;

    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    return a->item < b->item ? -1 : 1;
}

/* The first of the sorted negatives whose gap to a positive at `from` exceeds `gap`, or reaches it. */
static size_t find_gap(const struct ft_anchor *anchor, enum ft_by distance, double from, double gap, bool reaches)
{
    size_t low = 0, high = anchor->negatives;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct ft_other *n = &anchor->negative[middle];
        double value = distance == anchor->batch->distance ? n->value : ft_distance_value(anchor->batch, distance, anchor->item, n->item);

        if (value - from > gap || (reaches && value - from >= gap))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Until the end, a negative's power is the count of those before it, share the sum of their values, slope what changes from one to the next. */
static void by_runs(struct ft_anchor *anchor, const double *value)
{
    const struct ft_labelled *batch = anchor->batch;
    const struct ft_mined *mined = batch->mined;
    bool gap = mined && mined->how == FT_MINED_GAP;
    struct ft_other *negative = anchor->negative, *end = negative + anchor->negatives;
    struct ft_terms *terms = &batch->terms[anchor->item];
    double count = 0, sum = 0, running = 0;

    qsort(negative, anchor->negatives, sizeof *negative, compare_values);
    for (struct ft_other *n = negative; n < end; n++) {
        double times = gap ? 1 : n->count;

        n->power = count;
        n->share = sum;
        count += times;
        sum += times * n->value;
    }
    *end = (struct ft_other){.power = count, .share = sum};
    for (size_t i = 0; i < anchor->positives; i++) {
        struct ft_other *p = &anchor->positive[i];
        double times = gap ? 1 : p->count, from = gap ? ft_distance_value(batch, mined->distance, anchor->item, p->item) : 0, violated;
        size_t first = gap ? find_gap(anchor, mined->distance, from, mined->above, false) : 0;
        size_t last = gap ? find_gap(anchor, mined->distance, from, mined->most, false) : anchor->negatives;
        size_t met = smaller(last, find_gap(anchor, batch->distance, p->value, value[MARGIN], true));

        terms->entries[0] += times * (negative[last].power - negative[first].power);
        if (met <= first)
            continue;
        violated = times * (negative[met].power - negative[first].power);
        terms->nonzero[0] += violated;
        terms->sum[0] += violated * (p->value + value[MARGIN]) - times * (negative[met].share - negative[first].share);
        p->slope = violated;
        negative[first].slope -= times;
        negative[met].slope += times;
    }
    for (struct ft_other *n = negative; n < end; n++) {
        running += n->slope;
        n->slope = running * (gap ? 1 : n->count);
    }
}

/* Distances but snr are in one order, so a miner's gaps are runs whichever of them it has. */
static bool has_runs(const struct ft_labelled *batch, const double *value)
{
    const struct ft_mined *mined = batch->mined;

    if (value[SMOOTH] || value[SWAP] || (mined && mined->how == FT_MINED_ANGLE))
        return false;
    return !mined || mined->how != FT_MINED_GAP || mined->distance == batch->distance ||
           (mined->distance != FT_BY_SNR && batch->distance != FT_BY_SNR);
}

static void compare_all(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    const struct ft_mined *mined = anchor->batch->mined;

    if (mined && mined->how == FT_MINED_LIST)
        listed(anchor, value);
    else if (anchor->positives > FEW && has_runs(anchor->batch, value))
        by_runs(anchor, value);
    else
        one_by_one(anchor, value);
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER], .across = call->value[SWAP] != 0,
        .anchor = compare_all, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_triplet = {
    .name = "triplet",
    .purpose = "a positive nearer than a negative by a margin",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .compute = compute,
};
