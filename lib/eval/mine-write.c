/* mine-write.c - triplets out: the documents as they came, with what was found as chunks behind. */
#include "base/error.h"
#include "eval/mine-internal.h"

#include <stdlib.h>

int ft_mine_decode(struct ft_mine *m, struct ft_corpus *from, size_t number, struct ft_document *document)
{
    msgpack_object *object = ft_arena_take(&m->record, sizeof *object);
    char *copy = NULL;
    size_t offset = 0;

    m->bytes.size = 0;
    if (object && ft_corpus_read(from, number, &m->bytes) == 0)
        copy = ft_arena_text(&m->record, (struct ft_string){m->bytes.data, m->bytes.size});
    if (!copy)
        return -1;
    if (msgpack_unpack(copy, m->bytes.size, &offset, &m->zone, object) != MSGPACK_UNPACK_SUCCESS)
        return ft_fail(FT_SYSTEM, "out of memory");
    return ft_document_read(&m->record, object, document);
}

/* A document as a chunk with this role; `score`: how near it is to the anchor, NULL: not wanted. */
static void pack_chunk(const struct ft_mine *m, msgpack_packer *pk, const msgpack_object *object, enum ft_role role, const float *score)
{
    static const char *const drop[] = {"tags", "embedding", "matches", "scores", NULL}, *const drop_role[] = {"role", "finetuner_score", NULL};
    const msgpack_object *tags = ft_map_get(object, "tags");

    ft_document_copy(pk, object, drop, score ? 2 : 1);
    if (score) {
        ft_pack_text(pk, "scores");
        msgpack_pack_map(pk, 1);
        ft_pack_text(pk, ft_distance_name(m->options.distance));
        msgpack_pack_map(pk, 1);
        ft_pack_text(pk, "value");
        msgpack_pack_double(pk, ft_distance_shown(m->options.distance, *score));
    }
    ft_pack_text(pk, "tags");
    if (tags && tags->type == MSGPACK_OBJECT_MAP)
        ft_document_copy(pk, tags, drop_role, 1);
    else
        msgpack_pack_map(pk, 1);
    ft_pack_text(pk, "role");
    ft_pack_text(pk, ft_role_name(role));
}

static int compare_items(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* How near the positive is to the query, or NULL. */
static const float *score_of(const struct ft_mine *m, uint32_t query, uint32_t item)
{
    struct ft_items answers = ft_mine_list(&m->answers, query);
    const uint32_t *at = NULL;

    if (m->options.scores && answers.count)
        at = bsearch(&item, answers.item, answers.count, sizeof item, compare_items);
    return at ? &m->answer_score[at - m->answers.item] : NULL;
}

static int pack_negatives(struct ft_mine *m, msgpack_packer *pk, const struct ft_match *match, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ft_document negative;

        if (ft_mine_decode(m, m->index.kept, match[i].item, &negative) < 0)
            return -1;
        pack_chunk(m, pk, negative.object, FT_NEGATIVE, m->options.scores ? &match[i].score : NULL);
    }
    return 0;
}

/* The item that a positive chunk is. */
static uint32_t item_of(struct ft_mine *m, const struct ft_document *chunk)
{
    uint32_t content;

    return ft_groups_seek(&m->contents.contents, ft_document_hash(chunk), &content) ? ft_collection_find(&m->index, content) : FT_NO_ITEM;
}

static int pack_pair(struct ft_mine *m, msgpack_packer *pk, const struct ft_mine_row *row, const struct ft_document *d,
                     const struct ft_match *match, size_t count)
{
    static const char *const drop[] = {"chunks", "embedding", "matches", NULL};
    size_t kept = 0;

    for (size_t i = 0; i < d->chunk_count; i++)
        kept += ft_mine_role(m, d, i) != FT_NEGATIVE;
    ft_document_copy(pk, d->object, drop, 1);
    ft_pack_text(pk, "chunks");
    msgpack_pack_array(pk, kept + count);
    for (size_t i = 0; i < d->chunk_count; i++)
        if (ft_mine_role(m, d, i) != FT_NEGATIVE)
            pack_chunk(m, pk, d->chunks[i].object, ft_mine_role(m, d, i),
                       ft_mine_role(m, d, i) == FT_POSITIVE ? score_of(m, row->query, item_of(m, &d->chunks[i])) : NULL);
    return pack_negatives(m, pk, match, count);
}

static int pack_labelled(struct ft_mine *m, msgpack_packer *pk, const struct ft_mine_row *row, const struct ft_document *d,
                         const struct ft_match *match, size_t count)
{
    struct ft_document positive;

    if (ft_mine_decode(m, m->index.kept, row->positive, &positive) < 0)
        return -1;
    msgpack_pack_map(pk, d->id.data ? 2 : 1);
    if (d->id.data) {
        ft_pack_text(pk, "id");
        ft_pack_string(pk, d->id);
    }
    ft_pack_text(pk, "chunks");
    msgpack_pack_array(pk, 2 + count);
    pack_chunk(m, pk, d->object, FT_ANCHOR, NULL);
    pack_chunk(m, pk, positive.object, FT_POSITIVE, score_of(m, row->query, row->positive));
    return pack_negatives(m, pk, match, count);
}

int ft_mine_next(struct ft_mine *m, msgpack_packer *pk)
{
    while (m->next < m->rows) {
        const struct ft_mine_row *row = &m->row[m->next];
        const struct ft_match *match = m->match + row->query * m->options.negatives;
        struct ft_document document;
        size_t count = 0;

        while (count < m->options.negatives && match[count].item != FT_NO_ITEM)
            count++;
        m->counts.alone += row->positive == FT_NO_ITEM;
        m->counts.empty += row->positive != FT_NO_ITEM && !count;
        if (row->positive == FT_NO_ITEM || !count) {
            m->next++;
            continue;
        }
        m->counts.few += count < m->options.negatives;
        ft_arena_reset(&m->record);
        msgpack_zone_clear(&m->zone);
        if (ft_mine_decode(m, m->records, m->next++, &document) < 0 ||
            (m->kind == FT_MINE_PAIRS ? pack_pair : pack_labelled)(m, pk, row, &document, match, count) < 0)
            return -1;
        return 1;
    }
    return 0;
}
