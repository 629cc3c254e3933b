/* heaps.h - the k best matches so far: each thread keeps a heap for each query, fed by what is above the heap's worst;
 * the heaps are merged at the end. The order is total, so who kept what does not matter. */
#ifndef FT_EVAL_HEAPS_H
#define FT_EVAL_HEAPS_H

#include "eval/sweep.h"

#include <float.h>

struct ft_heap {
    size_t count;
    struct ft_match *match;        /* the worst of them is first */
};

struct ft_heaps {
    size_t k, queries;
    struct ft_heap *heap;          /* [threads][queries] */
};

int ft_heaps_start(struct ft_heaps *heaps, struct ft_arena *arena, size_t queries, size_t k);

/* What a score must be, at least, to come in. */
static inline float ft_heaps_least(const struct ft_heaps *heaps, int worker, size_t query)
{
    const struct ft_heap *heap = heaps->heap + (size_t)worker * heaps->queries + query;

    return !heaps->k ? FLT_MAX : heap->count == heaps->k ? heap->match[0].score : -FLT_MAX;
}

/* Those of `mask`, as a sweep's visitor sees them, but for the excluded (or NULL). */
void ft_heaps_push(struct ft_heaps *heaps, int worker, size_t query, const float *score, uint32_t item, uint32_t mask,
                   const struct ft_items *excluded);

/* All threads' of one query, sorted: match[width], width at least k; FT_NO_ITEM where there are fewer. */
void ft_heaps_merge(struct ft_heaps *heaps, size_t query, struct ft_match *match, size_t width);

#endif
