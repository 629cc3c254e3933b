/* heaps.c - heaps of matches with the worst on top. */
#include "eval/heaps.h"
#include "base/error.h"
#include "base/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int ft_match_compare(const void *a, const void *b)
{
    const struct ft_match *x = a, *y = b;

    return ft_match_before(*x, *y) ? -1 : ft_match_before(*y, *x);
}

int ft_heaps_start(struct ft_heaps *heaps, struct ft_arena *arena, size_t queries, size_t k)
{
    size_t count = (size_t)ft_pool_threads() * queries;
    struct ft_match *room;

    if (k && count > SIZE_MAX / sizeof *room / k)
        return ft_fail(FT_SYSTEM, "out of memory for %zu matches of %zu queries", k, queries);
    *heaps = (struct ft_heaps){k, queries, ft_arena_take(arena, count * sizeof *heaps->heap)};
    room = ft_arena_take(arena, count * k * sizeof *room);
    if (!room || !heaps->heap)
        return -1;
    for (size_t i = 0; i < count; i++)
        heaps->heap[i] = (struct ft_heap){0, room + i * k};
    return 0;
}

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

static void push(struct ft_heap *heap, size_t k, struct ft_match new)
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

void ft_heaps_push(struct ft_heaps *heaps, int worker, size_t query, const float *score, uint32_t item, uint32_t mask,
                   const struct ft_items *excluded)
{
    struct ft_heap *heap = heaps->heap + (size_t)worker * heaps->queries + query;

    for (; heaps->k && mask; mask &= mask - 1) {
        uint32_t bit = (uint32_t)__builtin_ctz(mask);

        if (!excluded || !ft_items_have(excluded, item + bit))
            push(heap, heaps->k, (struct ft_match){score[bit], item + bit});
    }
}

/* Into the first thread's heap, then sorted. */
void ft_heaps_merge(struct ft_heaps *heaps, size_t query, struct ft_match *match, size_t width)
{
    struct ft_heap *heap = heaps->heap + query;

    for (int t = 1; t < ft_pool_threads(); t++) {
        struct ft_heap *other = heap + (size_t)t * heaps->queries;

        for (size_t i = 0; i < other->count; i++)
            push(heap, heaps->k, other->match[i]);
    }
    qsort(heap->match, heap->count, sizeof *heap->match, ft_match_compare);
    if (heap->count)
        memcpy(match, heap->match, heap->count * sizeof *match);
    for (size_t i = heap->count; i < width; i++)
        match[i] = (struct ft_match){-INFINITY, FT_NO_ITEM};
}
