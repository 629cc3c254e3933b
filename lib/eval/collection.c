/* collection.c - documents into items: identity, label, vectors. */
#include "eval/collection.h"
#include "base/error.h"
#include "eval/metrics.h"
#include "eval/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_ITEMS = 4096, WINDOW_BYTES = 64 << 20 };

void ft_contents_free(struct ft_contents *contents)
{
    ft_groups_free(&contents->contents);
    ft_groups_free(&contents->labels);
    ft_corpus_close(contents->label_names);
    free(contents->pair);
    *contents = (struct ft_contents){.model = ""};
}

void ft_collection_free(struct ft_collection *c)
{
    for (int v = 0; v < c->views; v++)
        free(c->view[v].vector);
    free(c->item);
    free(c->anchor);
    free(c->tuple);
    free(c->place);
    free(c->waiting);
    ft_arena_free(&c->arena);
    ft_arena_free(&c->waiting_arena);
    *c = (struct ft_collection){.views = 0};
}

static int grow_view(struct ft_view *view, size_t count)
{
    return ft_grow(&view->vector, &view->capacity, count, view->dim * sizeof *view->vector);
}

/* ---- vectors ---- */

static int embed_waiting(struct ft_collection *c, struct ft_view *view)
{
    size_t first = c->count - c->gone - c->waiting_count;

    view->dim = view->encoder->dim;
    if (grow_view(view, c->count - c->gone) < 0)
        return -1;
    if (ft_embedder_run(view->encoder->embedder[c->side], c->waiting, NULL, c->waiting_count, view->vector + first * view->dim) < 0)
        return -1;
    for (size_t i = 0; i < c->waiting_count; i++)      /* as of those that come with documents */
        if (ft_vector_ready(FT_DOT, view->vector + (first + i) * view->dim, view->dim) < 0)
            return ft_error_prefix("item %zu: ", c->count - c->waiting_count + i + 1);
    return 0;
}

int ft_collection_flush(struct ft_collection *c)
{
    int result = 0;

    if (!c->waiting_count)
        return 0;
    for (int v = 0; result == 0 && v < c->views; v++)
        if (!c->view[v].own)
            result = embed_waiting(c, &c->view[v]);
    ft_arena_reset(&c->waiting_arena);
    c->waiting_bytes = c->waiting_count = 0;
    return result;
}

void ft_collection_give(struct ft_collection *c, float **vector, size_t *capacity)
{
    struct ft_view *view = c->view;
    float *given = view->vector;
    size_t room = view->capacity;

    view->vector = *vector;
    view->capacity = *capacity;
    *vector = given;
    *capacity = room;
    c->gone = c->count;
}

/* The embedding that came with the document, as the vector of the newest item. */
static int take_embedding(struct ft_collection *c, struct ft_view *view, const struct ft_document *document)
{
    uint64_t shape[1];
    float *values;

    if (!document->embedding)
        return ft_fail(FT_BAD, "no embedding: add -m MODEL, or \"| ft-embed -m MODEL\" before");
    if (!(values = ft_wire_floats(&c->arena, document->object, "embedding", 1, shape)))
        return -1;
    if (!view->dim)
        view->dim = shape[0];
    if (shape[0] != view->dim || !view->dim)
        return ft_fail(FT_BAD, "embedding has %zu dimensions, expected %zu", (size_t)shape[0],
                       view->dim ? view->dim : 1);
    if (!(ft_vector_square(values, view->dim) <= 1e36))
        return ft_fail(FT_BAD, "embedding has a number that is not finite, or is longer than 1e18");
    if (grow_view(view, c->count - c->gone) < 0)
        return -1;
    memcpy(view->vector + (c->count - c->gone - 1) * view->dim, values, view->dim * sizeof *values);
    return 0;
}

/* What a model reads of the document, beside what another does. A vector is looked at here, where the document is known. */
static int choose_content(struct ft_collection *c, const struct ft_model *model, const struct ft_content *all, struct ft_content *read)
{
    float *numbers = model->input == FT_INPUT_VECTOR ? ft_arena_take(&c->arena, ft_item_bytes(model)) : NULL;

    if (ft_item_check(model, all) < 0 || (model->input == FT_INPUT_VECTOR && (!numbers || ft_item_vector(model, all, numbers) < 0)))
        return -1;
    if (model->input == FT_INPUT_VECTOR)
        read->tensor = all->tensor;
    else if (model->input == FT_INPUT_IMAGE || (model->input != FT_INPUT_TEXT && ft_content_image(all)))
        read->uri = all->uri, read->blob = all->blob;
    else
        read->text = all->text;
    return 0;
}

static int wait_for_embedding(struct ft_collection *c, const struct ft_document *document)
{
    struct ft_content read = {.tensor = NULL};

    for (int v = 0; v < c->views; v++)
        if (!c->view[v].own && choose_content(c, c->view[v].encoder->model, &document->content, &read) < 0)
            return -1;
    if (!c->waiting && !(c->waiting = ft_resize(NULL, WINDOW_ITEMS, sizeof *c->waiting)))
        return -1;
    if (ft_content_copy(&c->waiting_arena, &read, &c->waiting[c->waiting_count]) < 0)
        return -1;
    c->waiting_count++;
    c->waiting_bytes += read.text.size + read.uri.size + read.blob.size;
    return c->waiting_count == WINDOW_ITEMS || c->waiting_bytes >= WINDOW_BYTES ? ft_collection_flush(c) : 0;
}

static int add_vectors(struct ft_collection *c, const struct ft_document *document)
{
    bool wait = false;

    for (int v = 0; v < c->views; v++) {
        if (c->view[v].own && take_embedding(c, &c->view[v], document) < 0)
            return -1;
        wait |= !c->view[v].own;
    }
    return wait ? wait_for_embedding(c, document) : 0;
}

/* ---- items ---- */

static int keep_whole(struct ft_collection *c, const struct ft_document *document)
{
    static const char *const drop[] = {"embedding", "matches", NULL};
    msgpack_sbuffer bytes;
    msgpack_packer pk;
    int result;

    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&pk, &bytes, msgpack_sbuffer_write);
    ft_document_copy(&pk, document->object, drop, 0);
    result = ft_corpus_add(c->kept, (struct ft_string){bytes.data, bytes.size});
    msgpack_sbuffer_destroy(&bytes);
    return result;
}

/* The length of the id, whose lowest bit says that what follows it is an image's address. */
static int keep_text(struct ft_collection *c, struct ft_string id, const struct ft_document *document)
{
    struct ft_string text = c->ids_only ? FT_STRING("") : ft_content_name(&document->content);
    uint64_t size = id.size * 2 + (ft_document_modality(document) == FT_MODALITY_IMAGE);
    char *bytes = ft_arena_take(&c->arena, sizeof size + id.size + text.size), *at = bytes + sizeof size;

    if (!bytes)
        return -1;
    memcpy(bytes, &size, sizeof size);
    if (id.size)
        memcpy(at, id.data, id.size);
    if (text.size)
        memcpy(at + id.size, text.data, text.size);
    return ft_corpus_add(c->kept, (struct ft_string){bytes, sizeof size + id.size + text.size});
}

int ft_collection_kept(struct ft_collection *c, size_t item, struct ft_buffer *into, struct ft_kept *kept)
{
    uint64_t size;

    into->size = 0;
    if (ft_corpus_read(c->kept, item, into) < 0)
        return -1;
    memcpy(&size, into->data, sizeof size);
    kept->image = size % 2;
    kept->id = (struct ft_string){into->data + sizeof size, (size_t)(size / 2)};
    kept->name = (struct ft_string){kept->id.data + kept->id.size, into->size - sizeof size - kept->id.size};
    return 0;
}

static int number_label(struct ft_contents *contents, struct ft_string label, uint32_t *number)
{
    size_t known = contents->labels.count;

    if (ft_groups_add(&contents->labels, ft_hash_bytes(label.data, label.size), number) < 0)
        return -1;
    return contents->label_names && contents->labels.count > known ? ft_corpus_add(contents->label_names, label) : 0;
}

static int add_item(struct ft_collection *c, const struct ft_document *document, struct ft_string id,
                    struct ft_hash hash, uint32_t content)
{
    struct ft_string label = document->label;
    struct ft_item *item;

    if (c->count >= FT_NO_ITEM - 1)
        return ft_fail(FT_BAD, "more than %u documents", FT_NO_ITEM - 1);
    if (ft_grow(&c->item, &c->capacity, c->count + 1, sizeof *c->item) < 0)
        return -1;
    item = &c->item[c->count++];
    *item = (struct ft_item){hash, content, FT_NO_CLASS};
    if (label.data && number_label(c->shared, label, &item->label) < 0)
        return -1;
    if (c->kept && (c->whole ? keep_whole(c, document) : keep_text(c, id, document)) < 0)
        return -1;
    return add_vectors(c, document);
}

/* Equal contents are one item. */
static int add_once(struct ft_collection *c, const struct ft_document *document, struct ft_string id, struct ft_hash hash,
                    uint32_t content)
{
    size_t room = c->place_count;

    if (ft_grow(&c->place, &room, (size_t)content + 1, sizeof *c->place) < 0)
        return -1;
    memset(c->place + c->place_count, 0, (room - c->place_count) * sizeof *c->place);
    c->place_count = room;
    if (c->place[content].item)
        return 0;
    if (add_item(c, document, id, hash, content) < 0)
        return -1;
    c->place[content].item = (uint32_t)c->count;
    return 0;
}

int ft_collection_fail_empty(const struct ft_collection *c, const char *name)
{
    if (c->modality == FT_MODALITY_ANY)
        return ft_fail(FT_BAD, "%s is empty", name);
    return ft_fail(FT_BAD, "%s has no %ss%s", name, ft_modality_name(c->modality), c->side == FT_QUERIES ? " that ask" : "");
}

uint32_t ft_collection_find(const struct ft_collection *c, uint32_t content)
{
    return content < c->place_count && c->place[content].item ? c->place[content].item - 1 : FT_NO_ITEM;
}

/* And one query where one of them asks. */
static int add_chunk(struct ft_collection *c, const struct ft_document *parent,
                     const struct ft_document *chunk, uint32_t content, bool asks)
{
    if (add_once(c, chunk, chunk->id.size ? chunk->id : parent->id, FT_ID_CHUNK, content) < 0)
        return -1;
    if (!asks || c->place[content].anchor)
        return 0;
    if (ft_grow(&c->anchor, &c->anchor_capacity, c->anchor_count + 1, sizeof *c->anchor) < 0)
        return -1;
    c->anchor[c->anchor_count++] = c->place[content].item - 1;
    c->place[content].anchor = true;
    return 0;
}

static int add_tuple(struct ft_collection *c, const uint32_t *content, const size_t *place, size_t count, double score)
{
    struct ft_tuple tuple = {.score = score};

    for (size_t i = 0; i < count; i++)
        tuple.item[i] = c->place[content[place[i]]].item - 1;
    if (ft_grow(&c->tuple, &c->tuple_capacity, c->tuple_count + 1, sizeof *c->tuple) < 0)
        return -1;
    c->tuple[c->tuple_count++] = tuple;
    return 0;
}

static size_t find_role(const struct ft_document *document, enum ft_role role)
{
    size_t i = 0;

    while (i < document->chunk_count && document->chunks[i].role != role)
        i++;
    return i;
}

/* The tuples of a document whose chunks are items. */
static int add_tuples(struct ft_collection *c, const struct ft_document *document, const uint32_t *content)
{
    size_t anchor = find_role(document, FT_ANCHOR), positive = find_role(document, FT_POSITIVE), count = document->chunk_count;
    size_t negatives = 0;

    if (c->tuples_wanted == FT_TUPLES_SCORED) {
        if (count != 2 || !document->scored || !isfinite(document->score))
            return ft_fail(FT_BAD, "%zu chunks and %s score, expected a pair with a score", count, document->scored ? "a" : "no");
        return add_tuple(c, content, (size_t[]){0, 1}, 2, document->score);
    }
    for (size_t i = 0; i < count && anchor < count && positive < count; i++)
        if (document->chunks[i].role == FT_NEGATIVE) {
            negatives++;
            if (add_tuple(c, content, (size_t[]){anchor, positive, i}, 3, 0) < 0)
                return -1;
        }
    return negatives ? 0 : ft_fail(FT_BAD, "no triplet: expected an anchor, a positive and a negative");
}

/* Is there something to rank by, or, in a scored pair, only a number? */
static void decide_tuples(struct ft_collection *c, const struct ft_document *document)
{
    if (c->tuples_wanted == FT_TUPLES_SCORED_TOO)
        c->tuples_wanted = document->chunk_count == 2 && document->scored ? FT_TUPLES_SCORED : FT_TUPLES_NONE;
}

/* Anchor and positive are alike; and a pair, both ways round. */
static int unite_pair(struct ft_collection *c, uint32_t anchor, uint32_t positive)
{
    struct ft_contents *shared = c->shared;

    ft_groups_unite(&shared->contents, anchor, positive);
    if (!c->lists_pairs)
        return 0;
    if (ft_grow(&shared->pair, &shared->pair_capacity, shared->pair_count + 2, sizeof *shared->pair) < 0)
        return -1;
    shared->pair[shared->pair_count++] = (struct ft_content_pair){anchor, positive};
    shared->pair[shared->pair_count++] = (struct ft_content_pair){positive, anchor};
    return 0;
}

static int add_chunks(struct ft_collection *c, const struct ft_document *document)
{
    bool tuples = c->tuples_wanted != FT_TUPLES_NONE;
    uint32_t *content = ft_arena_take(&c->arena, document->chunk_count * sizeof *content);
    size_t anchor = ft_document_anchor(document);

    if (!content)
        return -1;
    c->chunked = true;
    for (size_t i = 0; i < document->chunk_count; i++)
        if (ft_groups_add(&c->shared->contents, ft_document_hash(&document->chunks[i]), &content[i]) < 0)
            return -1;
    if (anchor == SIZE_MAX && c->side == FT_QUERIES && !tuples)
        return ft_fail(FT_BAD, "no chunk is an anchor: nothing says what is asked and what answers it");
    for (size_t i = 0; i < document->chunk_count; i++) {
        const struct ft_document *chunk = &document->chunks[i];
        bool asks = ft_chunk_asks(document, i, c->modality), wanted = !c->modality || ft_document_modality(chunk) == c->modality;

        enum ft_role role = ft_chunk_role(document, i);

        if (anchor != SIZE_MAX && role == FT_ANCHOR)
            ft_groups_unite(&c->shared->contents, content[anchor], content[i]);
        if (anchor != SIZE_MAX && role == FT_POSITIVE && unite_pair(c, content[anchor], content[i]) < 0)
            return -1;
        if ((tuples || (c->anchors_only ? asks : wanted)) && add_chunk(c, document, chunk, content[i], asks) < 0)
            return ft_error_prefix("chunks[%zu]: ", i);
    }
    return tuples ? add_tuples(c, document, content) : 0;
}

static int add_document(struct ft_collection *c, const struct ft_document *document)
{
    struct ft_hash id = document->id.size ? ft_hash_bytes(document->id.data, document->id.size) : FT_ID_NONE;
    uint32_t content;

    decide_tuples(c, document);
    if (document->chunk_count)
        return add_chunks(c, document);
    if (c->tuples_wanted != FT_TUPLES_NONE)
        return ft_fail(FT_BAD, "no chunks, expected %s", c->tuples_wanted == FT_TUPLES_SCORED ? "a pair with a score" : "a triplet");
    if (c->modality && ft_document_modality(document) != c->modality) {
        c->passed_over++;
        return 0;
    }
    if (c->passing) {
        if (!ft_groups_seek(&c->shared->contents, ft_document_hash(document), &content))
            content = FT_NO_CONTENT;
    } else if (ft_groups_add(&c->shared->contents, ft_document_hash(document), &content) < 0) {
        return -1;
    }
    if (c->distinct)
        return add_once(c, document, document->id, id, content);
    return add_item(c, document, document->id, id, content);
}

int ft_collection_add(struct ft_collection *c, const struct ft_document *document)
{
    int (*first)(void *, const struct ft_document *) = c->first;

    ft_arena_reset(&c->arena);
    c->first = NULL;
    if ((!first || first(c->first_argument, document) == 0) && (c->closed || add_document(c, document) == 0))
        return 0;
    if (!document->id.size)
        return -1;
    return ft_error_prefix("document %.*s: ", (int)(document->id.size < 200 ? document->id.size : 200),
                           document->id.data);
}

/* ---- streams ---- */

int ft_collection_start(struct ft_collection *c, const struct ft_header *header)
{
    struct ft_contents *shared = c->shared;

    if (ft_collection_flush(c) < 0)
        return -1;
    for (int v = 0; v < c->views; v++) {
        struct ft_view *view = &c->view[v];
        const struct ft_encoder *encoder = view->encoder;

        view->own = !encoder || (encoder->plain && header->dim == encoder->dim &&
                                 ft_string_is(header->model, encoder->checksum) &&
                                 ft_string_is(header->prompt, encoder->prompt[c->side] ? encoder->prompt[c->side] : ""));
        if (encoder || !header->model.size)
            continue;
        if (header->model.size >= sizeof shared->model ||
            (*shared->model && !ft_string_is(header->model, shared->model)))
            return ft_fail(FT_BAD, "embeddings of another model (%.*s, the other stream's are of %s): "
                           "embed both with one, or give -m MODEL",
                           (int)(header->model.size < 64 ? header->model.size : 64), header->model.data,
                           *shared->model ? shared->model : "none");
        memcpy(shared->model, header->model.data, header->model.size);
        shared->model[header->model.size] = '\0';
    }
    return 0;
}

static int add_record(struct ft_collection *const *collections, size_t count, struct ft_arena *arena,
                      const struct ft_record *record)
{
    struct ft_document document;
    int result;

    ft_arena_reset(arena);
    result = ft_document_read(arena, &record->object, &document);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = ft_collection_add(collections[i], &document);
    return result;
}

/* A failure of the reader itself names the stream already. */
static int read_documents(struct ft_collection *const *collections, size_t count, struct ft_reader *reader,
                          unsigned long *records)
{
    struct ft_arena arena = {NULL};
    struct ft_record record;
    int more = 1, result = 0;

    for (size_t i = 0; result == 0 && i < count; i++)
        result = ft_collection_start(collections[i], ft_reader_header(reader));
    while (result == 0 && (more = ft_reader_next(reader, &record)) > 0) {
        ++*records;
        result = add_record(collections, count, &arena, &record);
    }
    for (size_t i = 0; result == 0 && more == 0 && i < count; i++)
        result = ft_collection_flush(collections[i]);
    ft_arena_free(&arena);
    if (result < 0)
        ft_error_prefix("%s: ", ft_reader_name(reader));
    return more < 0 ? -1 : result;
}

int ft_collections_read(struct ft_collection *const *collections, size_t count, const char *path,
                        unsigned long *records)
{
    struct ft_reader *reader = ft_reader_open(path);
    int result;

    if (!reader)
        return -1;
    result = ft_reader_expect(reader, FT_DOCUMENTS);
    if (result == 0)
        result = read_documents(collections, count, reader, records);
    ft_reader_close(reader);
    return result;
}
