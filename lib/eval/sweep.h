/* sweep.h - all scores of a block of queries, tile by tile: what the k nearest and the ranks have in common.
 *
 * The index is cut into segments, one index of the pool each; a worker packs its segment and runs every query
 * of the block over it, so that the index comes from memory once. */
#ifndef FT_EVAL_SWEEP_H
#define FT_EVAL_SWEEP_H

#include "base/memory.h"
#include "eval/nearest.h"
#include "eval/tile.h"

#include <stdbool.h>

/* The total order: the higher score first, of equal scores the lower item number. */
static inline bool ft_match_before(struct ft_match a, struct ft_match b)
{
    return a.score > b.score || (a.score == b.score && a.item < b.item);
}
int ft_match_compare(const void *a, const void *b);     /* the same for qsort */

/* Of ascending items. */
static inline bool ft_items_have(const struct ft_items *items, uint32_t item)
{
    size_t low = 0, high = items->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (items->item[middle] < item)
            low = middle + 1;
        else
            high = middle;
    }
    return low < items->count && items->item[low] == item;
}

struct ft_sweep {
    const struct ft_nearest *nearest;  /* its index may be another one, or longer, at each run */
    const struct ft_tile *tile;
    size_t first, count;           /* the block: queries [first, first + count) of nearest */
    float *query;                  /* packed */
    size_t segment;                /* items at most */
    float **item;                  /* [threads] room for a packed segment */
    float **score;                 /* [threads] of a segment with the rows of a tile, tile by tile */
    uint32_t **some;               /* [threads] the rows of each tile that have something */
    float **threshold;             /* [threads][count] scores below it are not seen; at first all are */
};

/* How many queries a block may have when each takes `bytes` beside its packed vector; at least 1. */
size_t ft_sweep_block(const struct ft_nearest *nearest, size_t bytes);

/* Pack the queries; everything from the arena. */
int ft_sweep_start(struct ft_sweep *sweep, struct ft_arena *arena, const struct ft_nearest *nearest,
                   size_t first, size_t count);

/* `visit` sees the scores of query (0 = the block's first) with items item, item + 1 ... where `mask` has a bit,
 * at least one: those that are at least the worker's threshold, which `visit` may raise. Calls of one worker are
 * never at once; items of one query come in no order that could be relied on. Items are numbered from `number`. */
typedef void ft_sweep_visit(void *argument, int worker, size_t query, const float *score, uint32_t item,
                            uint32_t mask);

int ft_sweep_run(struct ft_sweep *sweep, uint32_t number, struct ft_beside beside, ft_sweep_visit *visit, void *argument);

/* Scores of one query of the block with items given by number; `room` as ft_sweep_room gives, one for each
 * thread. The same bits as in a run. */
float *ft_sweep_room(const struct ft_sweep *sweep, int worker);
void ft_sweep_scores(const struct ft_sweep *sweep, float *room, size_t query, const uint32_t *item,
                     size_t count, float *score);

#endif
