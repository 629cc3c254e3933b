/* sampler-build.c - a batch's documents: read from the corpus, or made from labelled ones. */
#include "train/sampler-internal.h"

#include <string.h>

int ft_sampler_decode(struct ft_sampler *s, struct ft_string bytes, struct ft_document *document)
{
    msgpack_object *object = ft_arena_take(&s->arena, sizeof *object);
    size_t used = 0;

    if (!object)
        return -1;
    if (msgpack_unpack(bytes.data, bytes.size, &used, s->zone, object) != MSGPACK_UNPACK_SUCCESS)
        return ft_fail(FT_BAD, "a kept document of %zu bytes is no msgpack any more", bytes.size);
    return ft_document_read(&s->arena, object, document);
}

int ft_sampler_load(struct ft_sampler *s, uint32_t index, struct ft_document *document)
{
    s->scratch.size = 0;
    if (ft_corpus_read(s->corpus, index, &s->scratch) < 0)
        return -1;
    return ft_sampler_decode(s, (struct ft_string){s->scratch.data, s->scratch.size}, document);
}

const char *ft_sampler_excerpt(struct ft_sampler *s, struct ft_string text)
{
    size_t size = text.size;
    char *copy;

    if (size > 48)   /* not in the middle of a character */
        for (size = 45; size && ((unsigned char)text.data[size] & 0xc0) == 0x80; size--)
            ;
    copy = ft_arena_print(&s->arena, "'%.*s%s'", (int)size, text.data ? text.data : "", size < text.size ? "..." : "");
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
    return copy ? copy : "?";
}

const char *ft_sampler_label_name(struct ft_sampler *s, uint32_t label)
{
    struct ft_document document;

    if (ft_sampler_load(s, s->order[s->label[label].begin], &document) < 0)
        return "?";
    return ft_sampler_excerpt(s, s->options.views ? ft_content_name(&document.content) : document.label);
}

static void end_row(struct ft_sampler *s)
{
    s->end[s->row++] = s->bytes.size;
}

int ft_sampler_put(struct ft_sampler *s, uint32_t document)
{
    if (ft_corpus_read(s->corpus, document, &s->bytes) < 0)
        return -1;
    end_row(s);
    return 0;
}

/* The object as a chunk of that role: all of its fields, tags.role set. */
static void pack_chunk(msgpack_packer *pk, const msgpack_object *object, enum ft_role role)
{
    static const char *const tags_key[] = {"tags", NULL}, *const role_key[] = {"role", NULL};
    const msgpack_object *tags = ft_map_get(object, "tags");

    ft_document_copy(pk, object, tags_key, 1);
    ft_pack_text(pk, "tags");
    if (tags && tags->type == MSGPACK_OBJECT_MAP)
        ft_document_copy(pk, tags, role_key, 1);
    else
        msgpack_pack_map(pk, 1);
    ft_pack_text(pk, "role");
    ft_pack_text(pk, ft_role_name(role));
}

/* "a|b|c" */
static int pack_id(struct ft_sampler *s, msgpack_packer *pk, const struct ft_document *documents, size_t count)
{
    struct ft_buffer id = {0};
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++)
        if ((i && ft_buffer_add(&id, "|", 1) < 0) || ft_buffer_add(&id, documents[i].id.data, documents[i].id.size) < 0)
            rc = -1;
    ft_pack_text(pk, "id");
    ft_pack_string(pk, (struct ft_string){id.data ? id.data : "", id.size});
    ft_buffer_free(&id);
    (void)s;
    return rc;
}

/* Several documents at once: all bytes first, since the buffer may move while it grows. */
static int load_several(struct ft_sampler *s, const uint32_t *indices, size_t count, struct ft_document *documents)
{
    size_t from = 0;

    s->scratch.size = 0;
    for (size_t i = 0; i < count; i++)
        if (ft_corpus_read(s->corpus, indices[i], &s->scratch) < 0)
            return -1;
    for (size_t i = 0; i < count; i++) {
        size_t size = ft_corpus_size(s->corpus, indices[i]);

        if (ft_sampler_decode(s, (struct ft_string){s->scratch.data + from, size}, &documents[i]) < 0)
            return -1;
        from += size;
    }
    return 0;
}

int ft_sampler_put_made(struct ft_sampler *s, const uint32_t *indices, size_t count)
{
    struct ft_document documents[3];
    msgpack_packer pk;

    msgpack_packer_init(&pk, &s->bytes, ft_buffer_write);
    if (load_several(s, indices, count, documents) < 0)
        return -1;
    msgpack_pack_map(&pk, 2);
    if (pack_id(s, &pk, documents, count) < 0)
        return -1;
    ft_pack_text(&pk, "chunks");
    msgpack_pack_array(&pk, count);
    for (size_t i = 0; i < count; i++)
        pack_chunk(&pk, documents[i].object, (enum ft_role)(FT_ANCHOR + i));
    end_row(s);
    return 0;
}

/* What a chunk is: what it says, else by its place. */
static enum ft_role role_of(const struct ft_document *row, size_t chunk)
{
    if (row->chunks[chunk].role != FT_NO_ROLE)
        return row->chunks[chunk].role;
    return chunk == 0 ? FT_ANCHOR : chunk == 1 ? FT_POSITIVE : FT_NEGATIVE;
}

int ft_sampler_put_negative(struct ft_sampler *s, uint32_t document, uint32_t negative)
{
    static const char *const drop[] = {"id", "chunks", NULL};
    uint32_t indices[2] = {document, negative};
    struct ft_document rows[2];
    size_t from = 0;
    msgpack_packer pk;

    msgpack_packer_init(&pk, &s->bytes, ft_buffer_write);
    if (load_several(s, indices, 2, rows) < 0)
        return -1;
    while (from + 1 < rows[1].chunk_count && role_of(&rows[1], from) != FT_POSITIVE)
        from++;
    ft_document_copy(&pk, rows[0].object, drop, 2);
    if (pack_id(s, &pk, rows, 2) < 0)
        return -1;
    ft_pack_text(&pk, "chunks");
    msgpack_pack_array(&pk, rows[0].chunk_count + 1);
    for (size_t i = 0; i < rows[0].chunk_count; i++)
        pack_chunk(&pk, rows[0].chunks[i].object, role_of(&rows[0], i));
    pack_chunk(&pk, rows[1].chunks[from].object, FT_NEGATIVE);
    end_row(s);
    return 0;
}

/* The arrays that this kind of batch has. */
static int take_arrays(struct ft_sampler *s, struct ft_batch *batch)
{
    bool labels = s->kind == FT_BATCH_CLASSES || (s->kind == FT_BATCH_RANDOM && s->label_count);
    bool roles = s->kind == FT_BATCH_PAIRS || s->kind == FT_BATCH_TRIPLETS, scores = s->kind == FT_BATCH_SCORED;

    if (!(batch->content = ft_arena_zero(&s->arena, batch->items, sizeof *batch->content)) ||
        !(batch->row = ft_arena_zero(&s->arena, batch->items, sizeof *batch->row)) ||
        (labels && !(batch->label = ft_arena_zero(&s->arena, batch->items, sizeof *batch->label))) ||
        (roles && !(batch->role = ft_arena_zero(&s->arena, batch->items, sizeof *batch->role))) ||
        (s->taught && !(batch->item_score = ft_arena_zero(&s->arena, batch->items, sizeof *batch->item_score))) ||
        (scores && !(batch->score = ft_arena_zero(&s->arena, batch->rows, sizeof *batch->score))))
        return -1;
    return 0;
}

/* A margin is that of the positive over the negative: scores m and 0. */
static double item_score(const struct ft_document *row, size_t chunk)
{
    enum ft_role role = role_of(row, chunk);

    if (role == FT_ANCHOR)
        return 0;
    if (row->chunks[chunk].scored)
        return row->chunks[chunk].score;
    return role == FT_POSITIVE ? row->score : 0;
}

static void fill_items(const struct ft_sampler *s, struct ft_batch *batch, const struct ft_document *rows)
{
    size_t item = 0;

    for (size_t r = 0; r < batch->rows; r++) {
        size_t count = rows[r].chunk_count ? rows[r].chunk_count : 1;

        if (batch->score)
            batch->score[r] = (float)rows[r].score;
        for (size_t c = 0; c < count; c++, item++) {
            batch->content[item] = rows[r].chunk_count ? rows[r].chunks[c].content : rows[r].content;
            batch->row[item] = (int32_t)r;
            if (batch->label)
                batch->label[item] = ft_sampler_label(s, &rows[r]);
            if (batch->role)
                batch->role[item] = (uint8_t)role_of(&rows[r], c);
            if (batch->item_score)
                batch->item_score[item] = (float)item_score(&rows[r], c);
        }
    }
}

int ft_sampler_finish(struct ft_sampler *s, struct ft_batch *batch)
{
    struct ft_document *rows = ft_arena_zero(&s->arena, s->row, sizeof *rows);

    if (!rows)
        return -1;
    *batch = (struct ft_batch){.number = s->number, .epoch = s->epoch, .kind = s->kind, .rows = s->row};
    for (size_t r = 0; r < s->row; r++) {
        size_t begin = r ? s->end[r - 1] : 0;

        s->documents[r] = (struct ft_string){s->bytes.data + begin, s->end[r] - begin};
        if (ft_sampler_decode(s, s->documents[r], &rows[r]) < 0)
            return -1;
        batch->items += rows[r].chunk_count ? rows[r].chunk_count : 1;
    }
    if (take_arrays(s, batch) < 0)
        return -1;
    fill_items(s, batch, rows);
    return 0;
}
