/* relevance.h - which items of the index are relevant for which query, and which are the query itself.
 *
 * By --qrels; else, where the queries are anchors of pairs or triplets, by groups: all that is united with
 * the anchor's content (groups.h); where texts ask for images or images for texts, by pairs: all that was in one
 * pair with an equal content, and nothing beyond; else by equal labels. A query's own document, the same id and the same
 * content, takes no part in its answers and is never relevant. An anchor has no id of its own: its content
 * alone says that it is the same. */
#ifndef FT_EVAL_RELEVANCE_H
#define FT_EVAL_RELEVANCE_H

#include "eval/collection.h"
#include "eval/nearest.h"
#include "eval/qrels.h"

struct ft_relevance {
    struct ft_arena arena;
    bool same_id;                      /* set by the caller: the same id alone makes a document the query's own, as in BEIR */
    const char *by;                    /* "labels", "groups", "pairs" or "qrels" */
    size_t query_count;
    const uint32_t *query;             /* [query_count] item numbers in the collection of queries; NULL: 0, 1, 2, ... */
    const struct ft_items *relevant;   /* [query_count] */
    const struct ft_items *excluded;   /* [query_count] */
    const float *const *gain;          /* or NULL, as in struct ft_evaluation */
    const uint32_t *query_class;       /* [query_count], or NULL with index_class [index->count] */
    const uint32_t *index_class;
    size_t unknown;                    /* judgements whose query or document is not here */
};

/* Just query, query_count and excluded: all that a search needs. */
int ft_relevance_selves(struct ft_relevance *relevance, const struct ft_collection *queries,
                        const struct ft_collection *index);

/* The same for an index that passes by: the plain queries in the order of their contents, which are all known by then. */
struct ft_selves {
    const struct ft_collection *queries;
    const uint32_t *order;             /* content c: queries order[start[c]] .. order[start[c + 1] - 1] */
    const size_t *start;
    size_t contents;
};
int ft_selves_start(struct ft_selves *selves, struct ft_arena *arena, const struct ft_collection *queries);

/* excluded[queries->count] of the items [first, index->count), from the arena; NULL where none is a query. */
int ft_selves_find(const struct ft_selves *selves, struct ft_arena *arena, const struct ft_collection *index, size_t first,
                   const struct ft_items **excluded);

/* All of it. `queries` and `index` may be one collection. `path` of the qrels, or NULL. Numbers the groups:
 * nothing can be added afterwards. FT_BAD when nothing says what is relevant. */
int ft_relevance_build(struct ft_relevance *relevance, const struct ft_collection *queries,
                       const struct ft_collection *index,
                       const char *path);
void ft_relevance_free(struct ft_relevance *relevance);

/* The queries' vectors of a view's, [query_count, dim]: those themselves, or copied together into the arena. */
const float *ft_relevance_queries(const struct ft_relevance *relevance, struct ft_arena *arena, const float *vector, size_t dim);

#endif
