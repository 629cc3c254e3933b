/* nearest.h - exact nearest neighbours, and the ranks of given items.
 *
 * Every item of the index is compared with every query; nothing is approximated. The order is total: the
 * higher score first, of equal scores the lower item number. Equal vectors have equal scores (tile.h), so the
 * result is the same bytes for any number of threads. Memory beyond the vectors and the result is bounded:
 * the matrix of all scores never exists.
 *
 * Scores, higher is nearer: cosine and dot the inner product (cosine: of vectors scaled to unit length),
 * euclidean minus the squared distance. */
#ifndef FT_EVAL_NEAREST_H
#define FT_EVAL_NEAREST_H

#include <stddef.h>
#include <stdint.h>

enum ft_distance { FT_COSINE, FT_DOT, FT_EUCLIDEAN };
#define FT_DISTANCES "cosine dot euclidean"
const char *ft_distance_name(enum ft_distance distance);
int ft_distance_parse(const char *name, enum ft_distance *distance);      /* FT_USAGE */

/* Check [count, dim] vectors and make them ready: for cosine each is scaled to unit length in place (zeros
 * stay zeros: score 0). FT_BAD and `bad` the first vector that is not finite or beyond 1e18 in length, whose
 * products could overflow. */
int ft_vectors_ready(enum ft_distance distance, float *vectors, size_t count, size_t dim, size_t *bad);
int ft_vector_ready(enum ft_distance distance, float *vector, size_t dim);     /* the same of one, not on the pool */

struct ft_items {
    const uint32_t *item;      /* numbers of the index, none twice */
    size_t count;
};

struct ft_nearest {
    enum ft_distance distance;
    size_t dim;
    const float *index;        /* [index_count, dim], ready */
    size_t index_count;        /* below 2^32 - 1 */
    const float *query;        /* [query_count, dim], ready */
    size_t query_count;
    const struct ft_items *excluded;   /* [query_count] items that do not take part (the query itself), ascending, or NULL */
};

#define FT_NO_ITEM UINT32_MAX

struct ft_match {
    float score;
    uint32_t item;
};

/* |vector|^2, the same bits for equal vectors; finite where the vector is and is not huge. */
double ft_vector_square(const float *vector, size_t dim);

/* The k nearest of each query, nearest first: match[query_count][k]. Where there are fewer the rest is
 * FT_NO_ITEM. */
int ft_nearest_find(const struct ft_nearest *nearest, size_t k, struct ft_match *match);

/* The scores of each query with items of the index that it names, in their order and with the bits that a search gives them. `take` sees
 * each query once, on any thread. */
int ft_nearest_scores(const struct ft_nearest *nearest, const struct ft_items *wanted,
                      void (*take)(void *argument, size_t query, const float *score), void *argument);

/* ft_nearest_find of an index that comes in pieces, none of which is held: of each query only the k nearest so far are,
 * once for each thread. Not in blocks: room for all queries is taken at once. */
struct ft_beside {                     /* something else to do meanwhile, once, on any thread; 0 or -1. NULL: nothing */
    int (*work)(void *argument);
    void *argument;
};
struct ft_finder;
struct ft_finder *ft_finder_open(const struct ft_nearest *nearest, size_t k);    /* its queries stay the caller's; its index is not looked at */
int ft_finder_add(struct ft_finder *finder, const float *index, size_t count, uint32_t number, const struct ft_items *excluded,
                  struct ft_beside beside);    /* [count, dim], numbered from `number`; excluded [query_count], or NULL */
int ft_finder_end(struct ft_finder *finder, size_t width, struct ft_match *match);     /* match[query_count][width], width at least k */
void ft_finder_close(struct ft_finder *finder);                                        /* NULL is fine */

struct ft_rank {
    uint32_t rank;             /* 1 = nearest; excluded items are not counted */
    uint32_t item;
};

/* Where the relevant items of each query stand in the ranking of the whole index, nearest first. Query q's
 * are in rank[] from the sum of the earlier queries' relevant[].count on; how many goes to count[q], less
 * than relevant[q].count where some of those are excluded. With `match` also what ft_nearest_find gives, without
 * a second look at the index. */
int ft_nearest_ranks(const struct ft_nearest *nearest, const struct ft_items *relevant, struct ft_rank *rank,
                     size_t *count, size_t k, struct ft_match *match);

/* A score as people read it: euclidean as distance, the others as they are. */
double ft_distance_shown(enum ft_distance distance, float score);

#endif
