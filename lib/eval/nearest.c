/* nearest.c - vectors made ready, and the k nearest: a sweep that feeds heaps. */
#include "eval/nearest.h"
#include "base/error.h"
#include "base/pool.h"
#include "eval/heaps.h"
#include "eval/sweep.h"

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

struct ft_finder {
    struct ft_arena arena;
    struct ft_nearest nearest;
    struct ft_sweep sweep;
    struct ft_heaps heaps;
    struct ft_match *match;     /* where ft_finder_end puts them, */
    size_t width;               /* so many a query */
};

static void visit(void *argument, int worker, size_t query, const float *score, uint32_t item, uint32_t mask)
{
    struct ft_finder *f = argument;

    ft_heaps_push(&f->heaps, worker, query, score, item, mask, f->nearest.excluded ? f->nearest.excluded + query : NULL);
    f->sweep.threshold[worker][query] = ft_heaps_least(&f->heaps, worker, query);
}

static int merge(void *argument, size_t query, int worker)
{
    struct ft_finder *f = argument;

    (void)worker;
    ft_heaps_merge(&f->heaps, query, f->match + query * f->width, f->width);
    return 0;
}

static int start(struct ft_finder *f, size_t k)
{
    if (ft_heaps_start(&f->heaps, &f->arena, f->nearest.query_count, k) < 0)
        return -1;
    return ft_sweep_start(&f->sweep, &f->arena, &f->nearest, 0, f->nearest.query_count);
}

struct ft_finder *ft_finder_open(const struct ft_nearest *nearest, size_t k)
{
    struct ft_finder *finder = calloc(1, sizeof *finder);

    if (!finder) {
        ft_fail(FT_SYSTEM, "out of memory for a search");
        return NULL;
    }
    finder->nearest = *nearest;
    if (start(finder, k) == 0)
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

/* ---- scores of chosen items ---- */

struct scoring {
    const struct ft_items *wanted;     /* of the block's first query */
    size_t first;
    struct ft_sweep sweep;
    float **score;                     /* [threads] */
    void (*take)(void *argument, size_t query, const float *score);
    void *argument;
};

static int score_query(void *argument, size_t query, int worker)
{
    struct scoring *s = argument;

    ft_sweep_scores(&s->sweep, ft_sweep_room(&s->sweep, worker), query, s->wanted[query].item, s->wanted[query].count,
                    s->score[worker]);
    s->take(s->argument, s->first + query, s->score[worker]);
    return 0;
}

static int start_scoring(struct scoring *s, struct ft_arena *arena, const struct ft_nearest *nearest, size_t count)
{
    size_t most = 0;

    for (size_t q = 0; q < count; q++)
        most = s->wanted[q].count > most ? s->wanted[q].count : most;
    if (!(s->score = ft_arena_take(arena, (size_t)ft_pool_threads() * sizeof *s->score)))
        return -1;
    for (int t = 0; t < ft_pool_threads(); t++)
        if (!(s->score[t] = ft_arena_take(arena, (most + FT_TILE_COLUMNS) * sizeof **s->score)))
            return -1;
    return ft_sweep_start(&s->sweep, arena, nearest, s->first, count);
}

int ft_nearest_scores(const struct ft_nearest *nearest, const struct ft_items *wanted,
                      void (*take)(void *argument, size_t query, const float *score), void *argument)
{
    size_t block = ft_sweep_block(nearest, 0);
    struct ft_arena arena = {NULL};
    int result = 0;

    for (size_t first = 0; result == 0 && first < nearest->query_count; first += block) {
        size_t left = nearest->query_count - first, count = left < block ? left : block;
        struct scoring s = {.wanted = wanted + first, .first = first, .take = take, .argument = argument};

        ft_arena_reset(&arena);
        result = start_scoring(&s, &arena, nearest, count) < 0 ? -1 : ft_pool_run(count, score_query, &s);
    }
    ft_arena_free(&arena);
    return result;
}
