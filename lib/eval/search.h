/* search.h - the nearest documents of a stream that is read once and not held: what is read is scored while more is
 * read, and forgotten.
 *
 * Of an item of the index remain 24 bytes, and what is to be printed (`kept` of the collection). */
#ifndef FT_EVAL_SEARCH_H
#define FT_EVAL_SEARCH_H

#include "eval/collection.h"
#include "eval/nearest.h"

struct ft_search {
    enum ft_distance distance;
    size_t k;
    struct ft_collection *queries;     /* plain documents, all of them, their vectors ready */
    struct ft_collection *index;       /* set up with one view, `passing`, and nothing in it; `shared` is the queries' */
};

/* Are there so few matches that every thread can hold all queries'? Else the index must be held, and asked in turns. */
bool ft_search_fits(const struct ft_search *search);

/* The k nearest of each query in the documents of `path`, as ft_nearest_find gives them: match[queries->count][k]. A
 * query's own document takes no part. FT_BAD also where there is no document. */
int ft_search_stream(const struct ft_search *search, const char *path, struct ft_match *match);

#endif
