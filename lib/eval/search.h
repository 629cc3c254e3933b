/* search.h - the nearest documents of a stream that is read once and not held: what is read is scored while more is
 * read, and forgotten.
 *
 * Of an item of the index remain 24 bytes, and what is to be printed (`kept` of the collection). */
#ifndef FT_EVAL_SEARCH_H
#define FT_EVAL_SEARCH_H

#include "eval/collection.h"
#include "eval/nearest.h"

/* What takes no part, of the index's items [first, count), ascending: excluded[queries->count] from the arena, or NULL. */
struct ft_leave_out {
    int (*find)(void *argument, struct ft_arena *arena, size_t first, const struct ft_items **excluded);
    void *argument;
};

struct ft_search {
    enum ft_distance distance;
    size_t k;
    struct ft_collection *queries;     /* plain documents, all of them, their vectors ready */
    struct ft_collection *index;       /* set up with one view and `passing`; `shared` is the queries' */
    size_t ready;                      /* of items that are in the index already the first so many have vectors that are ready */
    struct ft_leave_out leave_out;     /* `find` NULL: a query's own document, and then the index begins empty */
};

/* Are there so few matches that every thread can hold all queries'? Else the index must be held, and asked in turns. */
bool ft_search_fits(const struct ft_search *search);

/* The k nearest of each query in the index and the documents of `path` (NULL: there are no more), as ft_nearest_find gives them:
 * match[queries->count][k]. FT_BAD also where there is no document. */
int ft_search_stream(const struct ft_search *search, const char *path, struct ft_match *match);

#endif
