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
    if (!threshold || !sweep->item[worker])
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
                               .threshold = ft_arena_take(arena, threads * sizeof *sweep->threshold)};
    if (!sweep->query || !sweep->item || !sweep->threshold)
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

/* The rows of one tile where a score is at least the threshold; padding is no item. */
static void visit_rows(const struct run *run, int worker, uint32_t rows, size_t query, const float *score, uint32_t item,
                       size_t n)
{
    const struct ft_tile *tile = run->sweep->tile;
    uint32_t real = n < 32 ? (1u << n) - 1 : UINT32_MAX;

    for (; rows; rows &= rows - 1) {
        size_t row = (size_t)__builtin_ctz(rows);
        const float *of_row = score + row * tile->columns;
        uint32_t mask = tile->above(of_row, run->sweep->threshold[worker][query + row]) & real;

        if (mask)
            run->visit(run->argument, worker, query + row, of_row, item, mask);
    }
}

static void run_segment(const struct run *run, size_t first, size_t count, int worker)
{
    const struct ft_sweep *s = run->sweep;
    size_t dim = s->nearest->dim, rows = s->tile->rows, columns = s->tile->columns;
    float *item = s->item[worker], score[FT_TILE_ROWS * FT_TILE_COLUMNS] __attribute__((aligned(64)));

    for (size_t i = 0; i < count; i += columns)
        ft_tile_pack(item + i * dim, columns, s->nearest->index + (first + i) * dim, NULL, least(columns, count - i), dim);
    for (size_t q = 0; q < s->count; q += rows)
        for (size_t i = 0; i < count; i += columns) {
            uint32_t some = run_tile(s, s->query + q * dim, item + i * dim, s->threshold[worker] + q, score);

            if (some)
                visit_rows(run, worker, some, q, score, run->number + (uint32_t)(first + i), least(columns, count - i));
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
