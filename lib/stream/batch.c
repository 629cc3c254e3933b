/* batch.c - batches: documents, and arrays that say what each item is in the batch. */
#include "stream/document.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static const char *const kinds[] = {"classes", "pairs", "triplets", "scored", "random"};

const char *ft_batch_kind_name(enum ft_batch_kind kind)
{
    return kinds[kind];
}

int ft_batch_kind_parse(struct ft_string name, enum ft_batch_kind *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ft_string_is(name, kinds[i])) {
            *kind = (enum ft_batch_kind)i;
            return 0;
        }
    return ft_fail(FT_BAD, "kind '%.*s', expected classes, pairs, triplets, scored or random",
                   (int)(name.size < 40 ? name.size : 40), name.data);
}

/* Where documents have chunks, the chunks are the items. */
static size_t count_items(const msgpack_object_array *documents)
{
    size_t items = 0;

    for (uint32_t i = 0; i < documents->size; i++) {
        const msgpack_object *chunks = ft_map_get(&documents->ptr[i], "chunks");
        size_t count = chunks && chunks->type == MSGPACK_OBJECT_ARRAY ? chunks->via.array.size : 0;

        items += count ? count : 1;
    }
    return items;
}

static int add_item(struct ft_batch *batch, const msgpack_object *object, size_t row)
{
    if (object->type != MSGPACK_OBJECT_MAP)
        return ft_fail(FT_BAD, "documents[%zu]: expected a map", row);
    if (ft_content_read(object, &batch->content[batch->items]) < 0)
        return ft_error_prefix("documents[%zu]: ", row);
    batch->row[batch->items++] = (int32_t)row;
    return 0;
}

static int read_documents(struct ft_arena *arena, const msgpack_object *documents, struct ft_batch *batch)
{
    size_t items;

    if (!documents || documents->type != MSGPACK_OBJECT_ARRAY || !documents->via.array.size)
        return ft_fail(FT_BAD, "documents: expected an array of one or more documents");
    batch->rows = documents->via.array.size;
    items = count_items(&documents->via.array);
    batch->content = ft_arena_zero(arena, items, sizeof *batch->content);
    batch->row = ft_arena_zero(arena, items, sizeof *batch->row);
    if (!batch->content || !batch->row)
        return -1;
    for (size_t i = 0; i < batch->rows; i++) {
        const msgpack_object *document = &documents->via.array.ptr[i], *chunks = ft_map_get(document, "chunks");

        if (chunks && chunks->type != MSGPACK_OBJECT_ARRAY && chunks->type != MSGPACK_OBJECT_NIL)
            return ft_fail(FT_BAD, "documents[%zu]: chunks: expected an array", i);
        if (!chunks || chunks->type == MSGPACK_OBJECT_NIL || !chunks->via.array.size) {
            if (add_item(batch, document, i) < 0)
                return -1;
            continue;
        }
        for (uint32_t j = 0; j < chunks->via.array.size; j++)
            if (add_item(batch, &chunks->via.array.ptr[j], i) < 0)
                return -1;
    }
    return 0;
}

static int check_length(const char *key, uint64_t got, size_t want, const char *what)
{
    if (got == want)
        return 0;
    return ft_fail(FT_BAD, "%s: %llu values, expected one for each of %zu %s", key, (unsigned long long)got, want, what);
}

static int read_labels(struct ft_arena *arena, const msgpack_object *object, struct ft_batch *batch)
{
    int32_t least = batch->kind == FT_BATCH_RANDOM ? -1 : 0;
    uint64_t shape[1];

    if (batch->kind == FT_BATCH_RANDOM && !ft_map_get(object, "labels"))
        return 0;
    if (!(batch->label = ft_wire_integers(arena, object, "labels", 1, shape)) ||
        check_length("labels", shape[0], batch->items, "items") < 0)
        return -1;
    for (size_t i = 0; i < batch->items; i++)
        if (batch->label[i] < least)
            return ft_fail(FT_BAD, "labels: item %zu has label %d, expected %d or more", i, batch->label[i], least);
    return 0;
}

/* Each row: one anchor, one or more positives; in triplets one or more negatives too, in pairs none. */
static int check_row(const struct ft_batch *batch, size_t row, const size_t count[3])
{
    bool triplets = batch->kind == FT_BATCH_TRIPLETS;

    if (count[FT_ANCHOR] == 1 && count[FT_POSITIVE] >= 1 && (count[FT_NEGATIVE] >= 1) == triplets)
        return 0;
    return ft_fail(FT_BAD, "roles: row %zu of %s has %zu anchors, %zu positives and %zu negatives, expected 1, 1 or more and %s", row,
                   ft_batch_kind_name(batch->kind), count[FT_ANCHOR], count[FT_POSITIVE], count[FT_NEGATIVE],
                   triplets ? "1 or more" : "0");
}

static int read_roles(struct ft_arena *arena, const msgpack_object *object, struct ft_batch *batch)
{
    size_t count[3] = {0};
    uint64_t shape[1];
    int32_t *roles;

    if (!(roles = ft_wire_integers(arena, object, "roles", 1, shape)) || check_length("roles", shape[0], batch->items, "items") < 0 ||
        !(batch->role = ft_arena_take(arena, batch->items)))
        return -1;
    for (size_t i = 0; i < batch->items; i++) {
        if (roles[i] < 0 || roles[i] > 2)
            return ft_fail(FT_BAD, "roles: item %zu has role %d, expected 0 (anchor), 1 (positive) or 2 (negative)", i, roles[i]);
        batch->role[i] = (uint8_t)roles[i];
        count[roles[i]]++;
        if (i + 1 < batch->items && batch->row[i + 1] == batch->row[i])
            continue;
        if (check_row(batch, (size_t)batch->row[i], count) < 0)
            return -1;
        memset(count, 0, sizeof count);
    }
    return 0;
}

static int read_scores(struct ft_arena *arena, const msgpack_object *object, struct ft_batch *batch)
{
    uint64_t shape[1];

    if (!(batch->score = ft_wire_floats(arena, object, "scores", 1, shape)) ||
        check_length("scores", shape[0], batch->rows, "rows") < 0)
        return -1;
    for (size_t i = 0; i < batch->rows; i++)
        if (!isfinite(batch->score[i]))
            return ft_fail(FT_BAD, "scores: row %zu has no finite score", i);
    for (size_t i = 0; i < batch->items; i++)
        if (batch->items != 2 * batch->rows || (size_t)batch->row[i] != i / 2)
            return ft_fail(FT_BAD, "row %zu of a scored batch has other than two items", i / 2 < batch->rows ? i / 2 : batch->rows - 1);
    return 0;
}

/* Of triplets, where they carry them: a score for each item. */
static int read_item_scores(struct ft_arena *arena, const msgpack_object *object, struct ft_batch *batch)
{
    uint64_t shape[1];

    if (!ft_map_get(object, "scores"))
        return 0;
    if (!(batch->item_score = ft_wire_floats(arena, object, "scores", 1, shape)) ||
        check_length("scores", shape[0], batch->items, "items") < 0)
        return -1;
    for (size_t i = 0; i < batch->items; i++)
        if (!isfinite(batch->item_score[i]))
            return ft_fail(FT_BAD, "scores: item %zu has no finite score", i);
    return 0;
}

static int read_fields(struct ft_arena *arena, const msgpack_object *object, struct ft_batch *batch)
{
    struct ft_string kind;

    if (!ft_map_unsigned(object, "batch", &batch->number) || !batch->number)
        return ft_fail(FT_BAD, "no number: expected \"batch\", 1 or more");
    if (!ft_map_unsigned(object, "epoch", &batch->epoch))
        return ft_fail(FT_BAD, "no epoch: expected a whole number");
    if (ft_map_get(object, "set") && !ft_map_string(object, "set", &batch->set))
        return ft_fail(FT_BAD, "set: expected a string");
    if (!ft_map_string(object, "kind", &kind))
        return ft_fail(FT_BAD, "no kind: expected classes, pairs, triplets, scored or random");
    if (ft_batch_kind_parse(kind, &batch->kind) < 0 || read_documents(arena, ft_map_get(object, "documents"), batch) < 0)
        return -1;
    switch (batch->kind) {
    case FT_BATCH_CLASSES:
    case FT_BATCH_RANDOM:
        return read_labels(arena, object, batch);
    case FT_BATCH_PAIRS:
        return read_roles(arena, object, batch);
    case FT_BATCH_TRIPLETS:
        return read_roles(arena, object, batch) < 0 ? -1 : read_item_scores(arena, object, batch);
    default:
        return read_scores(arena, object, batch);
    }
}

int ft_batch_read(struct ft_arena *arena, const struct ft_record *record, struct ft_batch *batch)
{
    *batch = (struct ft_batch){.bytes = record->bytes, .object = &record->object};
    if (read_fields(arena, &record->object, batch) == 0)
        return 0;
    return batch->number ? ft_error_prefix("batch %llu: ", (unsigned long long)batch->number) : ft_error_prefix("batch: ");
}

void ft_batch_write(msgpack_packer *pk, const struct ft_batch *batch, const struct ft_string *documents, uint32_t more)
{
    uint64_t items = batch->items, rows = batch->rows;

    msgpack_pack_map(pk, (size_t)4 + (batch->set.data != NULL) + (batch->label != NULL) + (batch->role != NULL) + (batch->score || batch->item_score) + more);
    ft_pack_text(pk, "batch"), msgpack_pack_uint64(pk, batch->number);
    ft_pack_text(pk, "epoch"), msgpack_pack_uint64(pk, batch->epoch);
    ft_pack_text(pk, "kind"), ft_pack_text(pk, ft_batch_kind_name(batch->kind));
    if (batch->set.data)
        ft_pack_text(pk, "set"), ft_pack_string(pk, batch->set);
    ft_pack_text(pk, "documents"), msgpack_pack_array(pk, batch->rows);
    for (size_t i = 0; i < batch->rows; i++)
        pk->callback(pk->data, documents[i].data, documents[i].size);
    if (batch->label)
        ft_pack_text(pk, "labels"), ft_wire_write(pk, FT_WIRE_I4, 1, &items, batch->label);
    if (batch->role)
        ft_pack_text(pk, "roles"), ft_wire_write(pk, FT_WIRE_U1, 1, &items, batch->role);
    if (batch->score)
        ft_pack_text(pk, "scores"), ft_wire_write(pk, FT_WIRE_F4, 1, &rows, batch->score);
    else if (batch->item_score)
        ft_pack_text(pk, "scores"), ft_wire_write(pk, FT_WIRE_F4, 1, &items, batch->item_score);
}

static struct ft_hash hash_on(struct ft_hash before, const void *data, size_t size)
{
    struct ft_hash both[2] = {before, ft_hash_bytes(data, size)};

    return ft_hash_bytes(both, sizeof both);
}

/* Of a text its bytes, of everything else the hash of it. */
static struct ft_hash hash_item(struct ft_hash before, const struct ft_content *content)
{
    struct ft_hash hash;

    if (content->text.size || ft_content_empty(content))
        return hash_on(before, content->text.size ? content->text.data : "", content->text.size);
    hash = ft_content_hash(content);
    return hash_on(before, &hash, sizeof hash);
}

struct ft_hash ft_batch_checksum(struct ft_hash before, const struct ft_batch *batch)
{
    const uint64_t head[] = {batch->number, batch->epoch, (uint64_t)batch->kind, batch->rows, batch->items};
    struct ft_hash hash = hash_on(before, head, sizeof head);

    for (size_t i = 0; i < batch->items; i++)
        hash = hash_item(hash, &batch->content[i]);
    hash = hash_on(hash, batch->row, batch->items * sizeof *batch->row);
    if (batch->set.data)
        hash = hash_on(hash, batch->set.data, batch->set.size);
    if (batch->label)
        hash = hash_on(hash, batch->label, batch->items * sizeof *batch->label);
    if (batch->role)
        hash = hash_on(hash, batch->role, batch->items * sizeof *batch->role);
    if (batch->score)
        hash = hash_on(hash, batch->score, batch->rows * sizeof *batch->score);
    if (batch->item_score)
        hash = hash_on(hash, batch->item_score, batch->items * sizeof *batch->item_score);
    return hash;
}
