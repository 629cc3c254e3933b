/* loss-compare.c - every query with every candidate, in blocks of rows: distances by matrix product, the loss's slopes, gradients by
 * matrix product again.
 *
 * A block's matrix is cut into pieces whose sizes follow from the sizes of the problem alone, and every piece writes places of its own, so the
 * bits do not depend on the number of threads.
 *
 * Near pairs are done apart. In single precision 1 - u.v is good to 1e-7 of 1, which is nothing of a small distance, and a loss with a
 * steep slope there (the Euclidean distance has 1/d) would multiply the rounding. For them the distance is |u - v|^2 / 2 and the
 * gradient slope * (u - v), from the differences themselves; both are exact, and the gradient of two equal vectors is 0. */
#include "base/pool.h"
#include "tensor/blas.h"
#include "train/losses/losses.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum {
    PIECE_ROWS = 32, PIECE_COLUMNS = 128,
    BLOCK_ROWS = 1024, BLOCK_FLOATS = FT_COMPARE_BYTES / sizeof(float),   /* at most, a matrix; there are two */
};

static const float NEAR = 1.f / 32;

/* One comparison: a block's columns from `at` on are its candidates. */
struct side {
    const float *query, *candidate;
    float *query_gradient, *candidate_gradient;
    size_t candidates, at;
    float near;
};

struct block {
    const struct ft_compare *compare;
    struct side side[2];
    size_t sides, columns;       /* columns: candidates of all sides */
    size_t first, rows;          /* queries now in work */
    float *distance, *slope;     /* [rows, columns] */
    struct ft_compare_row *done; /* [queries]: losses and counts */
    char *scratch;               /* `stride` bytes a worker */
    size_t stride;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t pieces(size_t count, size_t size)
{
    return (count + size - 1) / size;
}

/* to += factor * (u - v) */
static void add_difference(float *to, float factor, const float *u, const float *v, size_t d)
{
    for (size_t k = 0; k < d; k++)
        to[k] += factor * (u[k] - v[k]);
}

/* Products to distances. */
static void measure(const struct side *side, size_t query, size_t d, float *distance)
{
    const float *u = side->query + query * d;
    bool same = side->query == side->candidate;

    for (size_t j = 0; j < side->candidates; j++) {
        distance[j] = 1 - distance[j];
        if (!(distance[j] >= NEAR) && !(same && j == query))
            distance[j] = (float)ft_unit_distance(u, side->candidate + j * d, d);
    }
    if (same)
        distance[query] = 0;
}

/* The query's side of the gradient of near pairs. */
static void add_near(const struct side *side, size_t query, size_t d, const float *distance, float *slope)
{
    if (side->query == side->candidate)
        slope[query] = 0;
    for (size_t j = 0; side->query_gradient && j < side->candidates; j++)
        if (slope[j] != 0 && distance[j] < side->near)
            add_difference(side->query_gradient + query * d, slope[j], side->query + query * d, side->candidate + j * d, d);
}

static void do_row(const struct block *block, size_t r, void *scratch)
{
    const struct ft_compare *compare = block->compare;
    size_t query = block->first + r, n = block->columns, d = compare->d;
    float *distance = block->distance + r * n, *slope = block->slope + r * n;
    struct ft_compare_row *row = &block->done[query];

    for (size_t s = 0; s < block->sides; s++)
        measure(&block->side[s], query, d, distance + block->side[s].at);
    memset(slope, 0, n * sizeof *slope);
    *row = (struct ft_compare_row){query, n, distance, slope, 0, 0, scratch};
    compare->row(row, compare->argument);
    for (size_t s = 0; s < block->sides; s++)
        add_near(&block->side[s], query, d, distance + block->side[s].at, slope + block->side[s].at);
}

static int do_rows(void *argument, size_t piece, int worker)
{
    const struct block *block = argument;
    size_t from = piece * PIECE_ROWS, count = smaller(block->rows - from, PIECE_ROWS), d = block->compare->d;

    for (size_t s = 0; s < block->sides; s++) {
        const struct side *side = &block->side[s];

        ft_blas_sgemm(false, true, count, side->candidates, d, 1, side->query + (block->first + from) * d, d, side->candidate, d, 0,
                      block->distance + from * block->columns + side->at, block->columns);
    }
    for (size_t r = from; r < from + count; r++)
        do_row(block, r, block->scratch + (size_t)worker * block->stride);
    return 0;
}

/* Candidates' side of the gradient. Near pairs leave the matrix here, so that do_query_gradient does not see them again. */
static void candidate_gradient(const struct block *block, const struct side *side, size_t piece)
{
    size_t n = block->columns, d = block->compare->d, from = piece * PIECE_COLUMNS, count = smaller(side->candidates - from, PIECE_COLUMNS);
    const float *u = side->query + block->first * d;

    for (size_t r = 0; r < block->rows; r++) {
        float *slope = block->slope + r * n + side->at;
        const float *distance = block->distance + r * n + side->at;

        for (size_t j = from; j < from + count; j++)
            if (slope[j] != 0 && distance[j] < side->near) {
                add_difference(side->candidate_gradient + j * d, slope[j], side->candidate + j * d, u + r * d, d);
                slope[j] = 0;
            }
    }
    ft_blas_sgemm(true, false, count, d, block->rows, -1, block->slope + side->at + from, n, u, d, 1,
                  side->candidate_gradient + from * d, d);
}

static int do_candidate_gradient(void *argument, size_t piece, int worker)
{
    const struct block *block = argument;
    size_t first = pieces(block->side[0].candidates, PIECE_COLUMNS);

    (void)worker;
    candidate_gradient(block, &block->side[piece >= first], piece >= first ? piece - first : piece);
    return 0;
}

static int do_query_gradient(void *argument, size_t piece, int worker)
{
    const struct block *block = argument;
    size_t from = piece * PIECE_ROWS, count = smaller(block->rows - from, PIECE_ROWS), d = block->compare->d;

    (void)worker;
    for (size_t s = 0; s < block->sides; s++) {
        const struct side *side = &block->side[s];

        ft_blas_sgemm(false, false, count, d, side->candidates, -1, block->slope + from * block->columns + side->at, block->columns,
                      side->candidate, d, 1, side->query_gradient + (block->first + from) * d, d);
    }
    return 0;
}

static int do_block(struct block *block)
{
    size_t rows = pieces(block->rows, PIECE_ROWS), columns = 0;

    for (size_t s = 0; s < block->sides; s++)
        columns += pieces(block->side[s].candidates, PIECE_COLUMNS);
    if (ft_pool_run(rows, do_rows, block) < 0)
        return -1;
    if (!block->compare->query_gradient)
        return 0;
    if (ft_pool_run(columns, do_candidate_gradient, block) < 0)
        return -1;
    return ft_pool_run(rows, do_query_gradient, block);
}

static void take_sides(struct block *block)
{
    const struct ft_compare *compare = block->compare;
    const struct ft_compare_second *second = &compare->second;

    block->side[0] = (struct side){compare->query, compare->candidate, compare->query_gradient, compare->candidate_gradient,
                                   compare->candidates, 0, compare->plain ? -INFINITY : NEAR};
    block->side[1] = (struct side){second->query, second->candidate, second->query_gradient, second->candidate_gradient,
                                   second->candidates, compare->candidates, NEAR};
    block->sides = second->candidates ? 2 : 1;
    block->columns = compare->candidates + second->candidates;
}

int ft_compare(struct ft_arena *arena, const struct ft_compare *compare, double *loss, uint64_t *counted)
{
    struct block block = {.compare = compare};
    size_t n, most;

    *loss = 0;
    *counted = 0;
    take_sides(&block);
    n = block.columns;
    if (compare->queries == 0 || compare->candidates == 0)
        return 0;
    if (n > INT_MAX || compare->d > INT_MAX)
        return ft_fail(FT_BAD, "%zu items of %zu dimensions are too many for one batch", n, compare->d);
    most = smaller(smaller(BLOCK_FLOATS / n / PIECE_ROWS * PIECE_ROWS, BLOCK_ROWS), compare->queries);
    if (most == 0)
        most = smaller(PIECE_ROWS, compare->queries);
    block.distance = ft_arena_zero(arena, most * n, sizeof(float));
    block.slope = ft_arena_zero(arena, most * n, sizeof(float));
    block.done = ft_arena_zero(arena, compare->queries, sizeof *block.done);
    block.stride = pieces(compare->scratch, 64) * 64;
    block.scratch = ft_arena_zero(arena, (size_t)ft_pool_threads(), block.stride);
    if (!block.distance || !block.slope || !block.done || !block.scratch)
        return -1;
    for (; block.first < compare->queries; block.first += most) {
        block.rows = smaller(most, compare->queries - block.first);
        if (do_block(&block) < 0)
            return -1;
    }
    for (size_t q = 0; q < compare->queries; q++) {
        *loss += block.done[q].loss;
        *counted += block.done[q].counted;
    }
    return 0;
}
