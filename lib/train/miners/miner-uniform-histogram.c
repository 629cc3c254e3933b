/* miner-uniform-histogram.c - pairs drawn so that distances are spread evenly: the range from the least to the greatest distance in num_bins bins, and
 * from each bin that is not empty so many pairs, with replacement; positives and negatives apart.
 *
 * UniformHistogramMiner of pytorch-metric-learning (100 bins, 10 and 10). Numbers are Philox's: key the run's seed; stream the batch's number, the
 * side and the bin. */
#include "train/miner.h"

#include "base/random.h"

#include <math.h>

enum { NUM_BINS, POS_PER_BIN, NEG_PER_BIN, DISTANCE };

static const struct ft_setting_key keys[] = {
    [NUM_BINS] = {.name = "num_bins", .otherwise = 100, .low = 1, .high = 100000},
    [POS_PER_BIN] = {.name = "pos_per_bin", .otherwise = 10, .low = 1, .high = 100000},
    [NEG_PER_BIN] = {.name = "neg_per_bin", .otherwise = 10, .low = 1, .high = 100000},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    {.name = NULL},
};

/* A bin has its lower edge, the last one both. */
static size_t bin_of(double value, double least, double step, size_t bins)
{
    size_t bin = step > 0 ? (size_t)((value - least) / step) : bins - 1;

    if (bin >= bins)
        bin = bins - 1;
    while (bin > 0 && value < least + step * (double)bin)
        bin--;
    while (bin + 1 < bins && value >= least + step * (double)(bin + 1))
        bin++;
    return bin;
}

/* Places in the order of bins; those of bin b are sorted[first[b]] .. sorted[first[b + 1] - 1]. */
static uint64_t *sort_by_bin(struct ft_arena *arena, const struct ft_labelled *batch, const double *value, const uint64_t *place, size_t count,
                             size_t *first)
{
    size_t n = batch->n, bins = (size_t)value[NUM_BINS];
    uint64_t *sorted = ft_arena_zero(arena, count, sizeof *sorted);
    double *distance = ft_arena_zero(arena, count, sizeof *distance), least = INFINITY, most = -INFINITY;

    if (!sorted || !distance)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        distance[i] = ft_distance_value(batch, (enum ft_by)value[DISTANCE], place[i] / n, place[i] % n);
        least = fmin(least, distance[i]);
        most = fmax(most, distance[i]);
    }
    for (size_t i = 0; i < count; i++)
        first[bin_of(distance[i], least, (most - least) / (double)bins, bins) + 1]++;
    for (size_t b = 0; b < bins; b++)
        first[b + 1] += first[b];
    /* Filling moves first[b] to where bin b ends, which is where the next one begins. */
    for (size_t i = 0; i < count; i++)
        sorted[first[bin_of(distance[i], least, (most - least) / (double)bins, bins)]++] = place[i];
    for (size_t b = bins; b > 0; b--)
        first[b] = first[b - 1];
    first[0] = 0;
    return sorted;
}

static int mine_part(struct ft_arena *arena, const struct ft_labelled *batch, const double *value, int part, struct ft_mined *mined)
{
    size_t count, bins = (size_t)value[NUM_BINS], draws = (size_t)value[part ? NEG_PER_BIN : POS_PER_BIN];
    uint64_t *place = ft_mine_pairs(arena, batch, part, &count), *sorted;
    size_t *first = ft_arena_zero(arena, bins + 2, sizeof *first);

    if (!place || !first || !(sorted = sort_by_bin(arena, batch, value, place, count, first)))
        return -1;
    for (size_t b = 0; b < bins; b++) {
        struct ft_random random = ft_random_start(batch->seed, batch->number << 32 | (part ? 0xc0000000u : 0x80000000u) | b);

        for (size_t i = 0; first[b] < first[b + 1] && i < draws; i++)
            mined->count[sorted[first[b] + ft_random_below(&random, first[b + 1] - first[b])]]++;
    }
    return 0;
}

static int mine(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    return mine_part(arena, batch, value, 0, mined) < 0 ? -1 : mine_part(arena, batch, value, 1, mined);
}

const struct ft_miner ft_miner_uniform_histogram = {
    .name = "uniform-histogram",
    .purpose = "pairs drawn evenly from all distances, positives and negatives apart",
    .keys = keys,
    .mine = mine,
};
