/* miner.c - the table of miners, and what they share.
 *
 * Their meanings, names and defaults are pytorch-metric-learning's (Musgrave et al. 2020), so that its settings carry over. To add one: a file
 * in miners/, X(NAME) below, a line in man/ft-loss.1, a case in tests/golden/loss. */
#include "train/miner.h"

#include "base/pool.h"

#include <string.h>

#define MINERS(X)       \
    X(batch_hard)       \
    X(batch_easy_hard)  \
    X(triplet_margin)   \
    X(multi_similarity) \
    X(pair_margin)      \
    X(angular)          \
    X(distance_weighted)  \
    X(hdc)              \
    X(uniform_histogram)

#define DECLARE(name) extern const struct ft_miner ft_miner_##name;
#define ADDRESS(name) &ft_miner_##name,
MINERS(DECLARE)
static const struct ft_miner *const table[] = {MINERS(ADDRESS)};

const struct ft_miner *ft_miner_at(size_t i)
{
    return i < sizeof table / sizeof *table ? table[i] : NULL;
}

const struct ft_miner *ft_miner_find(const char *name)
{
    for (size_t i = 0; ft_miner_at(i); i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    ft_fail(FT_USAGE, "no miner '%s': expected one of %s", name, ft_miner_names());
    return NULL;
}

struct work {
    struct ft_labelled *batch;
    enum ft_by distance;
    struct ft_mined *mined;
    void (*choose)(struct ft_anchor *anchor, const void *argument);
    const void *argument;
    struct ft_other *others;   /* [workers, 2, n + 1] */
};

static void mine_rows(void *argument, size_t from, size_t count, int worker)
{
    const struct work *work = argument;
    size_t n = work->batch->n;
    struct ft_other *positive = work->others + (size_t)worker * 2 * (n + 1);

    for (size_t a = from; a < from + count; a++) {
        struct ft_anchor anchor;

        ft_anchor_fill(&anchor, work->batch, work->distance, NULL, a, positive, positive + n + 1);
        work->choose(&anchor, work->argument);
        for (size_t i = 0; i < anchor.positives; i++)
            work->mined->count[a * n + anchor.positive[i].item] = (uint32_t)anchor.positive[i].count;
        for (size_t i = 0; i < anchor.negatives; i++)
            work->mined->count[a * n + anchor.negative[i].item] = (uint32_t)anchor.negative[i].count;
    }
}

int ft_mine_anchors(struct ft_arena *arena, struct ft_labelled *batch, enum ft_by distance, struct ft_mined *mined,
                    void (*choose)(struct ft_anchor *anchor, const void *argument), const void *argument)
{
    struct work work = {batch, distance, mined, choose, argument,
                        ft_arena_zero(arena, (size_t)ft_pool_threads() * 2, (batch->n + 1) * sizeof(struct ft_other))};

    return work.others ? ft_rows_run(batch->n, mine_rows, &work) : -1;
}

uint64_t *ft_mine_pairs(struct ft_arena *arena, const struct ft_labelled *batch, int part, size_t *count)
{
    size_t n = batch->n, same = 0;
    uint64_t *place;

    for (size_t c = 0; c < batch->classes; c++)
        same += (size_t)(batch->first[c + 1] - batch->first[c]) * (batch->first[c + 1] - batch->first[c]);
    if (!(place = ft_arena_zero(arena, part ? n * n - same : same - n, sizeof *place)))
        return NULL;
    *count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (i != j && (batch->label[i] != batch->label[j]) == part)
                place[(*count)++] = i * n + j;
    return place;
}
