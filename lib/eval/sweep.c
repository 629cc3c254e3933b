/* sweep.c - packed queries against packed segments of the index, on the pool. */
#include "eval/sweep.h"
#include "base/error.h"
#include "base/pool.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    SEGMENT_BYTES = 512 << 10,     /* a packed segment stays in a core's second-level cache */
    BLOCK_BYTES = 8 << 20,         /* packed queries and what the caller keeps of them */
};

static size_t up(size_t count, size_t step)
{
    return (count + step - 1) / step;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t ft_sweep_block(const struct ft_nearest *nearest, size_t bytes)
{
    size_t count = BLOCK_BYTES / (nearest->dim * sizeof(float) + bytes + 1);

    return count ? count : 1;
}

static size_t largest_segment(size_t dim, size_t columns)
{
    size_t panels = SEGMENT_BYTES / (columns * dim * sizeof(float));

    return (panels ? panels : 1) * columns;
}

/* Small where the index is small, so that every thread has some. */
static size_t segment_size(const struct ft_sweep *sweep)
{
    size_t columns = sweep->tile->columns;
    size_t share = up(sweep->nearest->index_count, columns * 4 * (size_t)ft_pool_threads()) * columns;

    return least(sweep->segment, share ? share : columns);
}

/* A row of the last tile that is no query has no score that matters. */
static int start_worker(struct ft_sweep *sweep, struct ft_arena *arena, int worker, size_t rows)
{
    float *threshold = ft_arena_take(arena, rows * sizeof *threshold);

    sweep->threshold[worker] = threshold;
    sweep->item[worker] = ft_arena_take(arena, sweep->segment * sweep->nearest->dim * sizeof(float));
    sweep->score[worker] = ft_arena_take(arena, sweep->segment * sweep->tile->rows * sizeof(float));
    sweep->some[worker] = ft_arena_take(arena, sweep->segment / sweep->tile->columns * sizeof(uint32_t));
    if (!threshold || !sweep->item[worker] || !sweep->score[worker] || !sweep->some[worker])
        return -1;
    for (size_t q = 0; q < rows; q++)
        threshold[q] = q < sweep->count ? -FLT_MAX : INFINITY;
    return 0;
}

int ft_sweep_start(struct ft_sweep *sweep, struct ft_arena *arena, const struct ft_nearest *nearest,
                   size_t first, size_t count)
{
    const struct ft_tile *tile = ft_tile_best();
    size_t rows = up(count, tile->rows) * tile->rows, dim = nearest->dim, threads = (size_t)ft_pool_threads();

    *sweep = (struct ft_sweep){.nearest = nearest, .tile = tile, .first = first, .count = count,
                               .segment = largest_segment(dim, tile->columns),
                               .query = ft_arena_take(arena, rows * dim * sizeof(float)),
                               .item = ft_arena_take(arena, threads * sizeof *sweep->item),
                               .score = ft_arena_take(arena, threads * sizeof *sweep->score),
                               .some = ft_arena_take(arena, threads * sizeof *sweep->some),
                               .threshold = ft_arena_take(arena, threads * sizeof *sweep->threshold)};
    if (!sweep->query || !sweep->item || !sweep->score || !sweep->some || !sweep->threshold)
        return -1;
    for (size_t i = 0; i < threads; i++)
        if (start_worker(sweep, arena, (int)i, rows) < 0)
            return -1;
    for (size_t i = 0; i < count; i += tile->rows)
        ft_tile_pack(sweep->query + i * dim, tile->rows, nearest->query + (first + i) * dim, NULL,
                     least(tile->rows, count - i), dim);
    return 0;
}

static uint32_t run_tile(const struct ft_sweep *sweep, const float *query, const float *item, const float *threshold,
                         float *score)
{
    if (sweep->nearest->distance == FT_EUCLIDEAN)
        return sweep->tile->squares(query, item, sweep->nearest->dim, threshold, score);
    return sweep->tile->dot(query, item, sweep->nearest->dim, threshold, score);
}

struct run {
    const struct ft_sweep *sweep;
    size_t segment;
    uint32_t number;
    struct ft_beside beside;
    ft_sweep_visit *visit;
    void *argument;
};

/* Tiles of some rows with a whole segment, row by row: what a visitor keeps of a query stays in the first-level cache. Padding is no
 * item. */
static void visit_rows(const struct run *run, int worker, size_t query, const uint32_t *some, const float *score, uint32_t item, size_t count)
{
    const struct ft_tile *tile = run->sweep->tile;
    size_t size = tile->rows * tile->columns;

    for (size_t row = 0; row < tile->rows && query + row < run->sweep->count; row++)
        for (size_t i = 0; i < count; i += tile->columns) {
            const float *of_row = score + i / tile->columns * size + row * tile->columns;
            uint32_t real = count - i < 32 ? (1u << (count - i)) - 1 : UINT32_MAX, mask;

            if (!(some[i / tile->columns] >> row & 1))
                continue;
            mask = tile->above(of_row, run->sweep->threshold[worker][query + row]) & real;
            if (mask)
                run->visit(run->argument, worker, query + row, of_row, item + (uint32_t)i, mask);
        }
}

static void run_segment(const struct run *run, size_t first, size_t count, int worker)
{
    const struct ft_sweep *s = run->sweep;
    size_t dim = s->nearest->dim, rows = s->tile->rows, columns = s->tile->columns;
    float *item = s->item[worker], *score = s->score[worker];
    uint32_t *some = s->some[worker];

    for (size_t i = 0; i < count; i += columns)
        ft_tile_pack(item + i * dim, columns, s->nearest->index + (first + i) * dim, NULL, least(columns, count - i), dim);
    for (size_t q = 0; q < s->count; q += rows) {
        uint32_t any = 0;

        for (size_t i = 0; i < count; i += columns)
            any |= some[i / columns] = run_tile(s, s->query + q * dim, item + i * dim, s->threshold[worker] + q,
                                                score + i / columns * rows * columns);
        if (any)
            visit_rows(run, worker, q, some, score, run->number + (uint32_t)first, count);
    }
}

/* What is done beside comes first, so that it is never waited for alone. */
static int run_index(void *argument, size_t index, int worker)
{
    struct run *run = argument;
    size_t first;

    if (run->beside.work && index-- == 0)
        return run->beside.work(run->beside.argument);
    first = index * run->segment;
    run_segment(run, first, least(run->segment, run->sweep->nearest->index_count - first), worker);
    return 0;
}

int ft_sweep_run(struct ft_sweep *sweep, uint32_t number, struct ft_beside beside, ft_sweep_visit *visit, void *argument)
{
    struct run run = {sweep, segment_size(sweep), number, beside, visit, argument};

    return ft_pool_run(up(sweep->nearest->index_count, run.segment) + (beside.work != NULL), run_index, &run);
}

float *ft_sweep_room(const struct ft_sweep *sweep, int worker)
{
    return sweep->item[worker];
}

void ft_sweep_scores(const struct ft_sweep *sweep, float *room, size_t query, const uint32_t *item,
                     size_t count, float *score)
{
    size_t rows = sweep->tile->rows, columns = sweep->tile->columns, dim = sweep->nearest->dim;
    size_t row = query % rows;
    float tile[FT_TILE_ROWS * FT_TILE_COLUMNS] __attribute__((aligned(64))), threshold[FT_TILE_ROWS];

    for (size_t r = 0; r < rows; r++)
        threshold[r] = -INFINITY;

    for (size_t i = 0; i < count; i += columns) {
        size_t n = least(columns, count - i);

        ft_tile_pack(room, columns, sweep->nearest->index, item + i, n, dim);
        run_tile(sweep, sweep->query + (query - row) * dim, room, threshold, tile);
        memcpy(score + i, tile + row * columns, n * sizeof *score);
    }
}
