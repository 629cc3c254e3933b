/* ranks.c - where given items stand in the ranking of the whole index, without ranking it.
 *
 * The relevant items of a query are scored first and sorted. Then each item of the index counts at the place
 * where it would stand among them: a histogram with one place for each relevant item. The rank of a relevant
 * item is the sum of the places up to its own, itself included. Counts are whole numbers, so threads may
 * count in any order. */
#include "eval/nearest.h"
#include "base/pool.h"
#include "eval/heaps.h"
#include "eval/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ITEMS = 1 << 19 };      /* relevant items of a block of queries, unless one query has more */

/* Where to begin looking for a score's place: scores between the best and the worst relevant one are cut into
 * `count` equal steps, and start[b] matches lie on steps before step b. The step of a score never falls as
 * the score falls, however floats round, so the place is exact: matches on earlier steps are before, those on
 * later steps after, and only those on the same step need comparing - mostly none or one. A binary search, or a loop over those on the step,
 * would mispredict a branch for nearly every item: the first two are compared without one. */
struct ladder {
    float top, scale, last;            /* last: the number of the last step */
    uint32_t *start;                   /* [steps + 1] */
};

enum {
    STEPS = 8,                         /* for each match, so that most steps have none */
    MOST_STEPS = 1 << 22,              /* all whole numbers up to there are floats */
    CLUMP = 8,                         /* more matches than these on a step are searched by halving */
};

struct ranking {
    const struct ft_nearest *nearest;
    const struct ft_items *relevant;   /* of the block's first query */
    const struct ft_items *excluded;   /* the same, or NULL */
    struct ft_rank *rank;              /* the same */
    size_t *count;                     /* the same */
    struct ft_sweep sweep;
    size_t *at;                        /* [queries + 1] */
    struct ft_match *match;            /* [at[queries]] sorted for each query */
    uint64_t *key;                     /* [at[queries] + 2] of each, see key_of */
    float *score;                      /* [at[queries]] */
    struct ladder *ladder;             /* [queries] */
    uint32_t *step;                    /* what the ladders point into: [at[queries] * STEPS + queries] */
    uint32_t *seen;                    /* [threads][at[queries]] */
    struct ft_heaps heaps;
    size_t k;
    struct ft_match *nearest_match;    /* [queries][k] of the block's first query, or NULL: not wanted */
};

static uint32_t step_of(const struct ladder *ladder, float score)
{
    float step = (ladder->top - score) * ladder->scale;

    step = step < ladder->last ? step : ladder->last;
    return (uint32_t)(int32_t)(step > 0 ? step : 0);
}

/* A match as a number: the lower, the nearer. Adding zero makes the two zeros one. */
static uint64_t key_of(float score, uint32_t item)
{
    float one_zero = score + 0.0f;
    uint32_t bits;

    memcpy(&bits, &one_zero, sizeof bits);
    bits ^= (uint32_t)((int32_t)bits >> 31) | 0x80000000u;     /* rises with the score */
    return (uint64_t)~bits << 32 | item;
}

static void build_ladder(struct ladder *ladder, const struct ft_match *match, size_t count, uint32_t *start)
{
    float range = match[0].score - match[count - 1].score;
    uint32_t steps = count < MOST_STEPS / STEPS ? (uint32_t)count * STEPS : MOST_STEPS, next = 0;

    *ladder = (struct ladder){match[0].score, range > 0 ? (float)steps / range : 0, (float)(steps - 1), start};
    if (!(ladder->scale <= 1e30f))     /* all but equal scores */
        ladder->scale = 0;
    for (uint32_t b = 0; b <= steps; b++) {
        while (next < count && step_of(ladder, match[next].score) < b)
            next++;
        start[b] = next;
    }
    start[steps] = (uint32_t)count;
}

static __attribute__((noinline)) size_t place_in_clump(const uint64_t *key, uint32_t at, uint32_t end, uint64_t item)
{
    while (end - at > CLUMP) {
        uint32_t middle = at + (end - at) / 2;

        if (key[middle] < item)
            at = middle + 1;
        else
            end = middle;
    }
    while (at < end && key[at] < item)
        at++;
    return at;
}

/* How many of the sorted matches stand before an item. */
static inline size_t place(const struct ladder *ladder, const uint64_t *key, float score, uint32_t item)
{
    uint32_t step = step_of(ladder, score), at = ladder->start[step], end = ladder->start[step + 1];
    uint64_t own = key_of(score, item);

    if (end - at > 2)
        return place_in_clump(key, at, end, own);
    return at + ((at < end) & (key[at] < own)) + ((at + 1 < end) & (key[at + 1] < own));
}

/* What is below the worst relevant item moves none of them. */
static float worst_relevant(const struct ranking *r, size_t query)
{
    return r->count[query] ? r->match[r->at[query] + r->count[query] - 1].score : INFINITY;
}

static void set_threshold(struct ranking *r, int worker, size_t query)
{
    float least = r->nearest_match ? ft_heaps_least(&r->heaps, worker, query) : INFINITY, worst = worst_relevant(r, query);

    r->sweep.threshold[worker][query] = least < worst ? least : worst;
}

/* Copy the relevant items without the excluded ones, score and sort them. */
static int prepare(void *argument, size_t query, int worker)
{
    struct ranking *r = argument;
    const struct ft_items *relevant = r->relevant + query;
    struct ft_match *match = r->match + r->at[query];
    float *score = r->score + r->at[query];
    size_t kept = 0;

    ft_sweep_scores(&r->sweep, ft_sweep_room(&r->sweep, worker), query, relevant->item, relevant->count, score);
    for (size_t i = 0; i < relevant->count; i++)
        if (!r->excluded || !ft_items_have(r->excluded + query, relevant->item[i]))
            match[kept++] = (struct ft_match){score[i], relevant->item[i]};
    qsort(match, kept, sizeof *match, ft_match_compare);
    r->count[query] = kept;
    for (size_t i = 0; i < kept; i++)
        r->key[r->at[query] + i] = key_of(match[i].score, match[i].item);
    if (kept)
        build_ladder(r->ladder + query, match, kept, r->step + r->at[query] * STEPS + query);
    for (int t = 0; t < ft_pool_threads(); t++)
        set_threshold(r, t, query);
    return 0;
}

static void visit(void *argument, int worker, size_t query, const float *score, uint32_t item, uint32_t mask)
{
    struct ranking *r = argument;
    const struct ladder ladder = r->ladder[query];
    const uint64_t *key = r->key + r->at[query];
    size_t count = r->count[query];
    uint32_t *seen = r->seen + (size_t)worker * r->at[r->sweep.count] + r->at[query], near;

    if (r->nearest_match && (near = mask & r->sweep.tile->above(score, ft_heaps_least(&r->heaps, worker, query)))) {
        ft_heaps_push(&r->heaps, worker, query, score, item, near, r->excluded ? r->excluded + query : NULL);
        set_threshold(r, worker, query);
    }
    mask &= r->sweep.tile->above(score, worst_relevant(r, query));
    for (; mask; mask &= mask - 1) {
        uint32_t bit = (uint32_t)__builtin_ctz(mask);
        size_t at = place(&ladder, key, score[bit], item + bit);

        if (at < count)
            seen[at]++;
    }
}

/* The threads' counts together, less what is excluded, summed up. */
static int finish(void *argument, size_t query, int worker)
{
    struct ranking *r = argument;
    const struct ft_items *excluded = r->excluded ? r->excluded + query : NULL;
    size_t all = r->at[r->sweep.count], at = r->at[query], count = r->count[query];
    uint32_t sum = 0, *seen = r->seen + at;

    for (int t = 1; t < ft_pool_threads(); t++)
        for (size_t i = 0; i < count; i++)
            seen[i] += r->seen[(size_t)t * all + at + i];
    for (size_t i = 0; excluded && count && i < excluded->count; i++) {
        struct ft_match self = {0, excluded->item[i]};
        size_t p;

        ft_sweep_scores(&r->sweep, ft_sweep_room(&r->sweep, worker), query, &self.item, 1, &self.score);
        p = place(r->ladder + query, r->key + at, self.score, self.item);
        if (p < count)
            seen[p]--;
    }
    for (size_t i = 0; i < count; i++) {
        sum += seen[i];
        r->rank[at + i] = (struct ft_rank){sum, r->match[at + i].item};
    }
    if (r->nearest_match)
        ft_heaps_merge(&r->heaps, query, r->nearest_match + query * r->k, r->k);
    return 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int rank_block(struct ft_arena *arena, struct ranking *r, size_t first, size_t count)
{
    size_t all = r->at[count];

    r->match = ft_arena_take(arena, all * sizeof *r->match);
    r->key = ft_arena_zero(arena, all + 2, sizeof *r->key);
    r->score = ft_arena_take(arena, all * sizeof *r->score);
    r->ladder = ft_arena_take(arena, count * sizeof *r->ladder);
    r->step = ft_arena_take(arena, (all * STEPS + count) * sizeof *r->step);
    r->seen = ft_arena_zero(arena, all * (size_t)ft_pool_threads(), sizeof *r->seen);
    if (!r->match || !r->key || !r->score || !r->ladder || !r->step || !r->seen ||
        (r->nearest_match && ft_heaps_start(&r->heaps, arena, count, least(r->k, r->nearest->index_count)) < 0) ||
        ft_sweep_start(&r->sweep, arena, r->nearest, first, count) < 0 ||
        ft_pool_run(count, prepare, r) < 0 || ft_sweep_run(&r->sweep, 0, (struct ft_beside){NULL, NULL}, visit, r) < 0)
        return -1;
    return ft_pool_run(count, finish, r);
}

int ft_nearest_ranks(const struct ft_nearest *nearest, const struct ft_items *relevant, struct ft_rank *rank,
                     size_t *count, size_t k, struct ft_match *match)
{
    struct ft_arena arena = {NULL};
    size_t matches = match ? least(k, nearest->index_count) * sizeof *match : 0, first = 0;
    size_t most = ft_sweep_block(nearest, sizeof *count + matches);
    int result = 0;

    while (result == 0 && first < nearest->query_count) {
        struct ranking r = {.nearest = nearest, .relevant = relevant + first, .rank = rank,
                            .count = count + first, .k = k, .nearest_match = match ? match + first * k : NULL,
                            .excluded = nearest->excluded ? nearest->excluded + first : NULL};
        size_t n = 0, sum = 0;

        ft_arena_reset(&arena);
        if (!(r.at = ft_arena_zero(&arena, most + 1, sizeof *r.at))) {
            result = -1;
            break;
        }
        while (n < most && first + n < nearest->query_count &&
               (n == 0 || sum + relevant[first + n].count <= BLOCK_ITEMS)) {
            sum += relevant[first + n].count;
            r.at[++n] = sum;
        }
        result = rank_block(&arena, &r, first, n);
        first += n;
        rank += sum;
    }
    ft_arena_free(&arena);
    return result;
}
