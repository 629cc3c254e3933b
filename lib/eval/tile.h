/* tile.h - the inner loop of exact search: a tile of scores from packed vectors.
 *
 * Why not sgemm: OpenBLAS gives a row other bits when its position or the row count changes, so that two
 * copies of one document could stand apart by an ulp, and an order with ties would hang on the cut. Here each
 * score is one chain of fused multiply-adds over the dimensions in their order, whatever the tile's place:
 * equal vectors have equal scores, bit for bit, and any cut of the work, by any number of threads, gives the
 * same ranking. Scores also stay in registers, and leave them only where one is above a threshold.
 *
 * Packed vectors: `rows` queries as [dim][rows], `columns` index items as [dim][columns], zeros where there
 * are fewer. */
#ifndef FT_EVAL_TILE_H
#define FT_EVAL_TILE_H

#include <stddef.h>
#include <stdint.h>

enum { FT_TILE_ROWS = 12, FT_TILE_COLUMNS = 32 };    /* of the largest tile */

struct ft_tile {
    const char *name;
    size_t rows, columns;

    /* score[rows][columns] of a packed [dim][rows] and b packed [dim][columns]; all three 64-byte aligned. The
     * rows where a score is at least threshold[row], a bit each; when there are none score is not written.
     * squares: minus the squared distance. */
    uint32_t (*dot)(const float *a, const float *b, size_t dim, const float *threshold, float *score);
    uint32_t (*squares)(const float *a, const float *b, size_t dim, const float *threshold, float *score);

    /* Bit c is set where score[c] >= threshold; a NaN is not. */
    uint32_t (*above)(const float *score, float threshold);

    /* Of one vector: the sum of its squares, and its product with a number, both in doubles. The same bits on every CPU. */
    double (*square)(const float *vector, size_t dim);
    void (*scale)(float *vector, size_t dim, double by);
};

/* The fastest this CPU has; every CPU has "plain". ft_tile_named is for tests: NULL when this CPU or build
 * has no such. */
const struct ft_tile *ft_tile_best(void);
const struct ft_tile *ft_tile_named(const char *name);

/* Pack `count` <= width vectors: row i begins at source + i * dim, or at source + item[i] * dim when `item`
 * is given. */
void ft_tile_pack(float *packed, size_t width, const float *source, const uint32_t *item, size_t count,
                  size_t dim);

#endif
