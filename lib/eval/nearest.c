/* nearest.c - the k nearest: each thread keeps a heap for each query of the block, fed by what is above the
 * heap's worst; the heaps are merged at the end. The order is total, so who kept what does not matter. */
#include "eval/nearest.h"
#include "base/error.h"
#include "base/pool.h"
#include "eval/sweep.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"cosine", "dot", "euclidean"};

const char *ft_distance_name(enum ft_distance distance)
{
    return names[distance];
}

int ft_distance_parse(const char *name, enum ft_distance *distance)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *distance = (enum ft_distance)i;
            return 0;
        }
    return ft_fail(FT_USAGE, "distance '%s': known are %s", name, FT_DISTANCES);
}

double ft_distance_shown(enum ft_distance distance, float score)
{
    if (distance != FT_EUCLIDEAN)
        return (double)score;
    return score < 0 ? sqrt(-(double)score) : 0.0;      /* not -0 */
}

int ft_vectors_ready(enum ft_distance distance, float *vectors, size_t count, size_t dim, size_t *bad)
{
    for (size_t i = 0; i < count; i++) {
        float *v = vectors + i * dim;
        double sum = 0, length;

        for (size_t k = 0; k < dim; k++)
            sum += (double)v[k] * v[k];
        if (!(sum <= 1e36)) {
            *bad = i;
            return ft_fail(FT_BAD, "embedding %s", isfinite(sum) ? "is longer than 1e18" : "has a number that is not finite");
        }
        length = sqrt(sum);
        for (size_t k = 0; distance == FT_COSINE && length > 0 && k < dim; k++)
            v[k] = (float)(v[k] / length);
    }
    return 0;
}

struct heap {
    size_t count;
    struct ft_match *match;     /* the worst of them is first */
};

struct search {
    const struct ft_nearest *nearest;
    const struct ft_tile *tile;
    size_t first, count, k;
    struct heap *heap;          /* [threads][count] */
    struct ft_match *match;     /* of the block's first query */
};

static void sift_down(struct ft_match *match, size_t count)
{
    struct ft_match top = match[0];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && ft_match_before(match[child], match[child + 1]))
            child++;
        if (!ft_match_before(top, match[child]))
            break;
        match[at] = match[child];
        at = child;
    }
    match[at] = top;
}

static void push(struct heap *heap, size_t k, struct ft_match new)
{
    struct ft_match *match = heap->match;
    size_t at;

    if (heap->count == k) {
        if (!ft_match_before(new, match[0]))
            return;
        match[0] = new;
        sift_down(match, k);
        return;
    }
    for (at = heap->count++; at && ft_match_before(match[(at - 1) / 2], new); at = (at - 1) / 2)
        match[at] = match[(at - 1) / 2];
    match[at] = new;
}

static void visit(void *argument, int worker, size_t query, const float *score, uint32_t item, size_t n)
{
    struct search *s = argument;
    struct heap *heap = s->heap + (size_t)worker * s->count + query;
    const struct ft_items *excluded = s->nearest->excluded ? s->nearest->excluded + s->first + query : NULL;
    uint32_t mask = s->tile->above(score, heap->count == s->k ? heap->match[0].score : -FLT_MAX);

    if (n < 32)
        mask &= (1u << n) - 1;
    for (; mask; mask &= mask - 1) {
        uint32_t bit = (uint32_t)__builtin_ctz(mask);

        if (!excluded || !ft_items_have(excluded, item + bit))
            push(heap, s->k, (struct ft_match){score[bit], item + bit});
    }
}

int ft_match_compare(const void *a, const void *b)
{
    const struct ft_match *x = a, *y = b;

    return ft_match_before(*x, *y) ? -1 : ft_match_before(*y, *x);
}

/* Into the first thread's heap, then sorted. */
static int merge(void *argument, size_t query, int worker)
{
    struct search *s = argument;
    struct heap *heap = s->heap + query;
    struct ft_match *out = s->match + query * s->k;

    (void)worker;
    for (int t = 1; t < ft_pool_threads(); t++) {
        struct heap *other = s->heap + (size_t)t * s->count + query;

        for (size_t i = 0; i < other->count; i++)
            push(heap, s->k, other->match[i]);
    }
    qsort(heap->match, heap->count, sizeof *heap->match, ft_match_compare);
    memcpy(out, heap->match, heap->count * sizeof *out);
    for (size_t i = heap->count; i < s->k; i++)
        out[i] = (struct ft_match){-INFINITY, FT_NO_ITEM};
    return 0;
}

static int find_block(struct ft_arena *arena, struct search *s)
{
    size_t heaps = (size_t)ft_pool_threads() * s->count;
    size_t k = s->k < s->nearest->index_count ? s->k : s->nearest->index_count;
    struct ft_match *room = ft_arena_zero(arena, heaps * k, sizeof *room);
    struct ft_sweep sweep;

    s->heap = ft_arena_take(arena, heaps * sizeof *s->heap);
    if (!room || !s->heap || ft_sweep_start(&sweep, arena, s->nearest, s->first, s->count) < 0)
        return -1;
    for (size_t i = 0; i < heaps; i++)
        s->heap[i] = (struct heap){0, room + i * k};
    s->tile = sweep.tile;
    return ft_sweep_run(&sweep, visit, s) < 0 ? -1 : ft_pool_run(s->count, merge, s);
}

int ft_nearest_find(const struct ft_nearest *nearest, size_t k, struct ft_match *match)
{
    struct ft_arena arena = {NULL};
    size_t kept = k < nearest->index_count ? k : nearest->index_count;
    size_t block = ft_sweep_block(nearest, kept * sizeof *match);
    int result = 0;

    for (size_t first = 0; k && result == 0 && first < nearest->query_count; first += block) {
        size_t left = nearest->query_count - first;
        struct search s = {.nearest = nearest, .first = first, .k = k, .match = match + first * k,
                           .count = left < block ? left : block};

        ft_arena_reset(&arena);
        result = find_block(&arena, &s);
    }
    ft_arena_free(&arena);
    return result;
}
