/* search.c - blocks of the index: while all threads score one, the first that is free reads the next.
 *
 *     reader -> index->view.vector | swapped | block.vector -> finder
 *
 * The next block is an index of the pool beside the segments of this one, so that nothing waits but at a block's end.
 * Where a model embeds the index on the way it has the pool to itself, and reading and scoring take turns. */
#include "eval/search.h"
#include "base/error.h"
#include "base/pool.h"
#include "eval/relevance.h"

#include <stdlib.h>

enum {
    BLOCK_BYTES = 32 << 20,        /* vectors; two blocks are held */
    MATCH_BYTES = 256 << 20,       /* of all threads */
};

struct stream {
    const struct ft_search *search;
    struct ft_reader *reader;
    struct ft_arena arena;         /* of one record */
    size_t ready;                  /* items whose vectors are */
    bool ended;
    struct ft_finder *finder;
    struct ft_selves selves;
    struct ft_arena kept, block;   /* of selves; of one block */
    float *vector;                 /* the block that is scored */
    size_t capacity;
};

bool ft_search_fits(const struct ft_search *search)
{
    size_t matches = MATCH_BYTES / sizeof(struct ft_match) / (size_t)(ft_pool_threads() + 1);

    return !search->queries->count || search->k <= matches / search->queries->count;
}

/* While they are in the first-level cache. */
static int make_ready(struct stream *s)
{
    struct ft_collection *index = s->search->index;

    for (; s->ready < index->count - index->waiting_count; s->ready++)
        if (ft_vector_ready(s->search->distance, index->view->vector + (s->ready - index->gone) * index->view->dim,
                            index->view->dim) < 0)
            return ft_error_prefix("document %zu: ", s->ready + 1);
    return 0;
}

static int add_record(struct stream *s, const struct ft_record *record)
{
    struct ft_document document;

    ft_arena_reset(&s->arena);
    if (ft_document_read(&s->arena, &record->object, &document) < 0 || ft_collection_add(s->search->index, &document) < 0)
        return -1;
    return make_ready(s);
}

/* A block ends where nothing waits for the model, so that windows of texts are those of any other reading. */
static bool is_full(const struct ft_collection *index)
{
    return !index->waiting_count && (index->count - index->gone) * index->view->dim * sizeof(float) >= BLOCK_BYTES;
}

/* A failure of the reader itself names the stream already. */
static int read_block(void *argument)
{
    struct stream *s = argument;
    struct ft_collection *index = s->search->index;
    struct ft_record record;
    int result = 0;

    while (result == 0 && !s->ended && !is_full(index)) {
        int more = ft_reader_next(s->reader, &record);

        if (more < 0)
            return -1;
        s->ended = !more;
        result = more ? add_record(s, &record) : ft_collection_flush(index) < 0 ? -1 : make_ready(s);
    }
    return result < 0 ? ft_error_prefix("%s: ", ft_reader_name(s->reader)) : 0;
}

static int start(struct stream *s)
{
    const struct ft_view *queries = s->search->queries->view, *index = s->search->index->view;
    const struct ft_nearest nearest = {.distance = s->search->distance, .dim = index->dim, .query = queries->vector,
                                       .query_count = s->search->queries->count};

    if (!s->search->index->count)
        return ft_collection_fail_empty(s->search->index, s->reader ? ft_reader_name(s->reader) : "the index");
    if (nearest.query_count && queries->dim != index->dim)
        return ft_fail(FT_BAD, "queries have %zu dimensions, the index %zu: were they embedded by one model?",
                       queries->dim, index->dim);
    s->finder = ft_finder_open(&nearest, s->search->k);
    return s->finder ? 0 : -1;
}

static int leave_out(struct stream *s, size_t first, const struct ft_items **excluded)
{
    const struct ft_leave_out *out = &s->search->leave_out;

    ft_arena_reset(&s->block);
    return out->find ? out->find(out->argument, &s->block, first, excluded)
                     : ft_selves_find(&s->selves, &s->block, s->search->index, first, excluded);
}

static int score_block(struct stream *s)
{
    struct ft_collection *index = s->search->index;
    size_t first = index->gone, count = index->count - first;
    bool own = index->view->own;
    const struct ft_items *excluded;

    if (leave_out(s, first, &excluded) < 0)
        return -1;
    ft_collection_give(index, &s->vector, &s->capacity);
    if (ft_finder_add(s->finder, s->vector, count, (uint32_t)first, excluded,
                      (struct ft_beside){own ? read_block : NULL, s}) < 0)
        return -1;
    return own ? 0 : read_block(s);
}

static int run(struct stream *s, struct ft_match *match)
{
    struct ft_collection *index = s->search->index;

    if (s->reader && ft_reader_expect(s->reader, FT_DOCUMENTS) < 0)
        return -1;
    if (s->reader && ft_collection_start(index, ft_reader_header(s->reader)) < 0)
        return ft_error_prefix("%s: ", ft_reader_name(s->reader));
    if (!s->search->leave_out.find && ft_selves_start(&s->selves, &s->kept, s->search->queries) < 0)
        return -1;
    if (read_block(s) < 0 || start(s) < 0)
        return -1;
    while (index->count > index->gone)
        if (score_block(s) < 0)
            return -1;
    return ft_finder_end(s->finder, s->search->k, match);
}

int ft_search_stream(const struct ft_search *search, const char *path, struct ft_match *match)
{
    struct stream s = {.search = search, .reader = path ? ft_reader_open(path) : NULL, .ready = search->ready, .ended = !path};
    int result = s.reader || !path ? run(&s, match) : -1;

    ft_finder_close(s.finder);
    ft_reader_close(s.reader);
    ft_arena_free(&s.arena);
    ft_arena_free(&s.kept);
    ft_arena_free(&s.block);
    free(s.vector);
    return result;
}
