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

enum { SHARE = 1 << 10 };      /* vectors that a thread makes ready at once */

double ft_vector_square(const float *vector, size_t dim)
{
    return ft_tile_best()->square(vector, dim);
}

int ft_vector_ready(enum ft_distance distance, float *vector, size_t dim)
{
    double square = ft_vector_square(vector, dim);

    if (!(square <= 1e36))
        return ft_fail(FT_BAD, "embedding %s", isfinite(square) ? "is longer than 1e18" : "has a number that is not finite");
    if (distance == FT_COSINE && square > 0)
        ft_tile_best()->scale(vector, dim, 1 / sqrt(square));
    return 0;
}

struct ready {
    enum ft_distance distance;
    float *vectors;
    size_t count, dim;
    size_t *bad;               /* [shares] the first bad vector of each */
};

static int make_ready(void *argument, size_t share, int worker)
{
    struct ready *r = argument;
    size_t end = (share + 1) * SHARE < r->count ? (share + 1) * SHARE : r->count;

    (void)worker;
    for (size_t i = share * SHARE; i < end; i++)
        if (ft_vector_ready(r->distance, r->vectors + i * r->dim, r->dim) < 0) {
            r->bad[share] = i;
            return -1;
        }
    return 0;
}

int ft_vectors_ready(enum ft_distance distance, float *vectors, size_t count, size_t dim, size_t *bad)
{
    size_t shares = (count + SHARE - 1) / SHARE;
    struct ready ready = {distance, vectors, count, dim, ft_resize(NULL, shares + 1, sizeof *ready.bad)};
    int result;

    if (!ready.bad)
        return -1;
    for (size_t i = 0; i < shares; i++)
        ready.bad[i] = count;
    result = ft_pool_run(shares, make_ready, &ready);
    for (size_t i = shares; i-- > 0;)
        if (ready.bad[i] < count)
            *bad = ready.bad[i];
    free(ready.bad);
    return result;
}

/* ---- the k nearest ---- */

struct heap {
    size_t count;
    struct ft_match *match;     /* the worst of them is first */
};

struct ft_finder {
    struct ft_arena arena;
    struct ft_nearest nearest;
    struct ft_sweep sweep;
    size_t k;
    struct heap *heap;          /* [threads][queries] */
    struct ft_match *match;     /* where ft_finder_end puts them, */
    size_t width;               /* so many a query */
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

static void visit(void *argument, int worker, size_t query, const float *score, uint32_t item, uint32_t mask)
{
    struct ft_finder *f = argument;
    struct heap *heap = f->heap + (size_t)worker * f->sweep.count + query;
    const struct ft_items *excluded = f->nearest.excluded ? f->nearest.excluded + query : NULL;

    for (; mask; mask &= mask - 1) {
        uint32_t bit = (uint32_t)__builtin_ctz(mask);

        if (!excluded || !ft_items_have(excluded, item + bit))
            push(heap, f->k, (struct ft_match){score[bit], item + bit});
    }
    if (heap->count == f->k)
        f->sweep.threshold[worker][query] = heap->match[0].score;
}

int ft_match_compare(const void *a, const void *b)
{
    const struct ft_match *x = a, *y = b;

    return ft_match_before(*x, *y) ? -1 : ft_match_before(*y, *x);
}

/* Into the first thread's heap, then sorted. */
static int merge(void *argument, size_t query, int worker)
{
    struct ft_finder *f = argument;
    struct heap *heap = f->heap + query;
    struct ft_match *out = f->match + query * f->width;

    (void)worker;
    for (int t = 1; t < ft_pool_threads(); t++) {
        struct heap *other = f->heap + (size_t)t * f->sweep.count + query;

        for (size_t i = 0; i < other->count; i++)
            push(heap, f->k, other->match[i]);
    }
    qsort(heap->match, heap->count, sizeof *heap->match, ft_match_compare);
    if (heap->count)
        memcpy(out, heap->match, heap->count * sizeof *out);
    for (size_t i = heap->count; i < f->width; i++)
        out[i] = (struct ft_match){-INFINITY, FT_NO_ITEM};
    return 0;
}

static int start(struct ft_finder *f)
{
    size_t heaps = (size_t)ft_pool_threads() * f->nearest.query_count;
    struct ft_match *room = NULL;

    if (f->k && heaps > SIZE_MAX / sizeof *room / f->k)
        return ft_fail(FT_SYSTEM, "out of memory for %zu matches of %zu queries", f->k, f->nearest.query_count);
    room = ft_arena_take(&f->arena, heaps * f->k * sizeof *room);
    f->heap = ft_arena_take(&f->arena, heaps * sizeof *f->heap);
    if (!room || !f->heap || ft_sweep_start(&f->sweep, &f->arena, &f->nearest, 0, f->nearest.query_count) < 0)
        return -1;
    for (size_t i = 0; i < heaps; i++)
        f->heap[i] = (struct heap){0, room + i * f->k};
    return 0;
}

struct ft_finder *ft_finder_open(const struct ft_nearest *nearest, size_t k)
{
    struct ft_finder *finder = calloc(1, sizeof *finder);

    if (!finder) {
        ft_fail(FT_SYSTEM, "out of memory for a search");
        return NULL;
    }
    finder->nearest = *nearest;
    finder->k = k;
    if (start(finder) == 0)
        return finder;
    ft_finder_close(finder);
    return NULL;
}

void ft_finder_close(struct ft_finder *finder)
{
    if (!finder)
        return;
    ft_arena_free(&finder->arena);
    free(finder);
}

int ft_finder_add(struct ft_finder *finder, const float *index, size_t count, uint32_t number, const struct ft_items *excluded,
                  struct ft_beside beside)
{
    finder->nearest.index = index;
    finder->nearest.index_count = count;
    finder->nearest.excluded = excluded;
    return ft_sweep_run(&finder->sweep, number, beside, visit, finder);
}

int ft_finder_end(struct ft_finder *finder, size_t width, struct ft_match *match)
{
    finder->match = match;
    finder->width = width;
    return ft_pool_run(finder->nearest.query_count, merge, finder);
}

static int find_block(const struct ft_nearest *nearest, size_t kept, size_t k, struct ft_match *match)
{
    struct ft_finder *finder = ft_finder_open(nearest, kept);
    int result = -1;

    if (finder && ft_finder_add(finder, nearest->index, nearest->index_count, 0, nearest->excluded,
                                (struct ft_beside){NULL, NULL}) == 0)
        result = ft_finder_end(finder, k, match);
    ft_finder_close(finder);
    return result;
}

int ft_nearest_find(const struct ft_nearest *nearest, size_t k, struct ft_match *match)
{
    size_t kept = k < nearest->index_count ? k : nearest->index_count;
    size_t block = ft_sweep_block(nearest, kept * sizeof *match);
    int result = 0;

    for (size_t first = 0; k && result == 0 && first < nearest->query_count; first += block) {
        size_t left = nearest->query_count - first;
        struct ft_nearest part = *nearest;

        part.query += first * part.dim;
        part.query_count = left < block ? left : block;
        if (part.excluded)
            part.excluded += first;
        result = find_block(&part, kept, k, match + first * k);
    }
    return result;
}
