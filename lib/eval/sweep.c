/* sweep.c - packed queries against packed segments of the index, on the pool. */
#include "eval/sweep.h"
#include "base/error.h"
#include "base/pool.h"

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

/* Small where the index is small, so that every thread has some. */
static size_t segment_size(const struct ft_nearest *nearest, size_t columns)
{
    size_t panels = SEGMENT_BYTES / (columns * nearest->dim * sizeof(float));
    size_t share = up(nearest->index_count, columns * 4 * (size_t)ft_pool_threads());

    if (panels > share)
        panels = share;
    return (panels ? panels : 1) * columns;
}

int ft_sweep_start(struct ft_sweep *sweep, struct ft_arena *arena, const struct ft_nearest *nearest,
                   size_t first, size_t count)
{
    size_t threads = (size_t)ft_pool_threads(), dim = nearest->dim;

    sweep->nearest = nearest;
    sweep->tile = ft_tile_best();
    sweep->first = first;
    sweep->count = count;
    sweep->segment = segment_size(nearest, sweep->tile->columns);
    sweep->query = ft_arena_take(arena, up(count, sweep->tile->rows) * sweep->tile->rows * dim * sizeof(float));
    sweep->item = ft_arena_take(arena, threads * sizeof *sweep->item);
    if (!sweep->query || !sweep->item)
        return -1;
    for (size_t i = 0; i < threads; i++)
        if (!(sweep->item[i] = ft_arena_take(arena, sweep->segment * dim * sizeof(float))))
            return -1;
    for (size_t i = 0; i < count; i += sweep->tile->rows)
        ft_tile_pack(sweep->query + i * dim, sweep->tile->rows, nearest->query + (first + i) * dim, NULL,
                     least(sweep->tile->rows, count - i), dim);
    return 0;
}

static void run_tile(const struct ft_sweep *sweep, const float *query, const float *item, float *score)
{
    if (sweep->nearest->distance == FT_EUCLIDEAN)
        sweep->tile->squares(query, item, sweep->nearest->dim, score);
    else
        sweep->tile->dot(query, item, sweep->nearest->dim, score);
}

struct run {
    const struct ft_sweep *sweep;
    ft_sweep_visit *visit;
    void *argument;
};

static int run_segment(void *argument, size_t index, int worker)
{
    struct run *run = argument;
    const struct ft_sweep *s = run->sweep;
    size_t dim = s->nearest->dim, rows = s->tile->rows, columns = s->tile->columns;
    size_t first = index * s->segment, count = s->nearest->index_count - first;
    float *item = s->item[worker], score[FT_TILE_ROWS * FT_TILE_COLUMNS] __attribute__((aligned(64)));

    if (count > s->segment)
        count = s->segment;
    for (size_t i = 0; i < count; i += columns)
        ft_tile_pack(item + i * dim, columns, s->nearest->index + (first + i) * dim, NULL, least(columns, count - i), dim);
    for (size_t q = 0; q < s->count; q += rows)
        for (size_t i = 0; i < count; i += columns) {
            run_tile(s, s->query + q * dim, item + i * dim, score);
            for (size_t r = 0; r < rows && q + r < s->count; r++)
                run->visit(run->argument, worker, q + r, score + r * columns, (uint32_t)(first + i),
                           least(columns, count - i));
        }
    return 0;
}

int ft_sweep_run(struct ft_sweep *sweep, ft_sweep_visit *visit, void *argument)
{
    struct run run = {sweep, visit, argument};

    return ft_pool_run(up(sweep->nearest->index_count, sweep->segment), run_segment, &run);
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
    float tile[FT_TILE_ROWS * FT_TILE_COLUMNS] __attribute__((aligned(64)));

    for (size_t i = 0; i < count; i += columns) {
        size_t n = least(columns, count - i);

        ft_tile_pack(room, columns, sweep->nearest->index, item + i, n, dim);
        run_tile(sweep, sweep->query + (query - row) * dim, room, tile);
        memcpy(score + i, tile + row * columns, n * sizeof *score);
    }
}
