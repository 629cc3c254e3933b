/* row.c - rows to documents (ft-stream(5)). */
#include "data/fields.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {"rows", "labelled rows", "pairs", "triplets", "scored pairs", "texts with images", "unlabelled rows",
                                         "vectors"};
static const char *const kind_options[] = {"", "--labeled", "--pairs", "--triplets", "--scored", "--text-image", "--unlabeled", "--vectors"};

const char *ft_row_kind_name(enum ft_row_kind kind)
{
    return kind_names[kind];
}

const char *ft_row_kind_option(enum ft_row_kind kind)
{
    return kind_options[kind];
}

double ft_row_share(const struct ft_row *row)
{
    const struct ft_row_item *first = &row->items[0];
    struct ft_hash hash = first->content.data ? ft_hash_bytes(first->content.data, first->content.size)
                        : first->vector ? ft_hash_bytes(first->vector, first->width * sizeof *first->vector) : ft_hash_bytes(row->id.data, row->id.size);

    return ldexp((double)(hash.low >> 11), -53);
}

bool ft_row_has_uri(const struct ft_row *row)
{
    for (size_t i = 0; i < row->item_count; i++)
        if (row->items[i].uri)
            return true;
    return false;
}

bool ft_json_is_shallow(const json_t *value, int depth)
{
    const char *key;
    json_t *member;
    size_t i;

    if (depth <= 0)
        return !json_is_object(value) && !json_is_array(value);
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
        if (!ft_json_is_shallow(member, depth - 1))
            return false;
    json_array_foreach(value, i, member)
        if (!ft_json_is_shallow(member, depth - 1))
            return false;
    return true;
}

static struct ft_string json_text(const json_t *value)
{
    return (struct ft_string){json_string_value(value), json_string_length(value)};
}

void ft_json_write(msgpack_packer *pk, const json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        msgpack_pack_map(pk, json_object_size(value));
        json_object_foreach((json_t *)(uintptr_t)value, key, member) {
            ft_pack_text(pk, key);
            ft_json_write(pk, member);
        }
        break;
    case JSON_ARRAY:
        msgpack_pack_array(pk, json_array_size(value));
        json_array_foreach(value, i, member)
            ft_json_write(pk, member);
        break;
    case JSON_STRING:
        ft_pack_string(pk, json_text(value));
        break;
    case JSON_INTEGER:
        msgpack_pack_int64(pk, json_integer_value(value));
        break;
    case JSON_REAL:
        msgpack_pack_double(pk, json_real_value(value));
        break;
    case JSON_TRUE:
        msgpack_pack_true(pk);
        break;
    case JSON_FALSE:
        msgpack_pack_false(pk);
        break;
    case JSON_NULL:
        msgpack_pack_nil(pk);
        break;
    }
}

/* Rows of CSV have no object, and are many. */
static json_t *get(const json_t *object, const char *key)
{
    return object ? json_object_get(object, key) : NULL;
}

/* What an item is: text, or of a picture address, type and bytes, or numbers. Rows of DocArray may bring modality and type themselves. */
static uint32_t count_content(const struct ft_row_item *item, const json_t *object, bool modality)
{
    return (uint32_t)(item->content.data != NULL) + (item->blob.data != NULL) + (item->vector != NULL) + (modality && !get(object, "modality")) +
           (item->mime_type && !get(object, "mime_type"));
}

static void write_content(msgpack_packer *pk, const struct ft_row_item *item, const json_t *object, bool modality)
{
    uint64_t shape[1] = {item->width};

    if (item->content.data) {
        ft_pack_text(pk, item->uri ? "uri" : "text");
        ft_pack_string(pk, item->content);
    }
    if (item->blob.data) {
        ft_pack_text(pk, "blob");
        msgpack_pack_bin(pk, item->blob.size);
        msgpack_pack_bin_body(pk, item->blob.data, item->blob.size);
    }
    if (item->vector) {
        ft_pack_text(pk, "tensor");
        ft_wire_write(pk, FT_WIRE_F4, item->shape ? item->rank : 1, item->shape ? item->shape : shape, item->vector);
    }
    if (modality && !get(object, "modality")) {
        ft_pack_text(pk, "modality");
        ft_pack_text(pk, item->uri ? "image" : "text");
    }
    if (item->mime_type && !get(object, "mime_type")) {
        ft_pack_text(pk, "mime_type");
        ft_pack_text(pk, item->mime_type);
    }
}

static void write_chunk(msgpack_packer *pk, const struct ft_row_item *item, bool modality, enum ft_fields fields)
{
    json_t *id = get(item->object, "id"), *tags = get(item->object, "tags"), *member;
    bool old_role = get(tags, "role");
    const char *key;

    msgpack_pack_map(pk, 1u + !!id + count_content(item, item->object, modality) + ft_fields_count(item->object, fields));
    if (id) {
        ft_pack_text(pk, "id");
        ft_json_write(pk, id);
    }
    write_content(pk, item, item->object, modality);
    ft_fields_write(pk, item->object, fields);
    ft_pack_text(pk, "tags");
    msgpack_pack_map(pk, 1u + item->scored + (tags ? json_object_size(tags) : 0) - old_role);
    ft_pack_text(pk, "role");
    ft_pack_text(pk, ft_role_name(item->role));
    if (item->scored) {
        ft_pack_text(pk, "finetuner_score");
        msgpack_pack_double(pk, item->score);
    }
    if (!tags)
        return;
    json_object_foreach(tags, key, member)
        if (strcmp(key, "role") != 0) {
            ft_pack_text(pk, key);
            ft_json_write(pk, member);
        }
}

/* ":795" in front of what begins at `end`; snprintf would take longer than the rest of a short row. */
static char *put_number(char *end, unsigned long number)
{
    do
        *--end = (char)('0' + number % 10);
    while (number /= 10);
    *--end = ':';
    return end;
}

static void write_id(msgpack_packer *pk, const struct ft_row *row, const char *path)
{
    char number[48], *end = number + sizeof number, *begin = end;
    struct ft_string prefix = row->id.size > 0 ? row->id : ft_string_of(path);

    if (row->part)
        begin = put_number(begin, row->part);
    if (row->id.size == 0)
        begin = put_number(begin, row->line);
    ft_pack_text(pk, "id");
    msgpack_pack_str(pk, prefix.size + (size_t)(end - begin));
    msgpack_pack_str_body(pk, prefix.data, prefix.size);
    msgpack_pack_str_body(pk, begin, (size_t)(end - begin));
}

static void write_tags(msgpack_packer *pk, const struct ft_row *row)
{
    ft_pack_text(pk, "tags");
    msgpack_pack_map(pk, row->tag_count + !!row->label.data + row->scored);
    if (row->label.data) {
        ft_pack_text(pk, "finetuner_label");
        ft_pack_string(pk, row->label);
    }
    if (row->scored) {
        ft_pack_text(pk, "finetuner_score");
        msgpack_pack_double(pk, row->score);
    }
    for (size_t i = 0; i < row->tag_count; i++) {
        ft_pack_string(pk, row->tags[i].name);
        if (row->tags[i].json)
            ft_json_write(pk, row->tags[i].json);
        else
            ft_pack_string(pk, row->tags[i].text);
    }
}

void ft_row_write(msgpack_packer *pk, const struct ft_row *row, const char *path)
{
    bool tagged = row->tag_count > 0 || row->label.data || row->scored, alone = row->items[0].role == FT_NO_ROLE, any_uri = ft_row_has_uri(row);
    enum ft_fields part = row->document ? FT_FIELDS_DOCUMENT : FT_FIELDS_LINE, fields = row->document && !alone ? FT_FIELDS_ROOT : part;

    msgpack_pack_map(pk, 2u - alone + (alone ? count_content(&row->items[0], row->object, any_uri) : 0) + tagged + ft_fields_count(row->object, fields));
    write_id(pk, row, path);
    if (alone)
        write_content(pk, &row->items[0], row->object, any_uri);
    ft_fields_write(pk, row->object, fields);
    if (tagged)
        write_tags(pk, row);
    if (alone)
        return;
    ft_pack_text(pk, "chunks");
    msgpack_pack_array(pk, row->item_count);
    for (size_t i = 0; i < row->item_count; i++)
        write_chunk(pk, &row->items[i], any_uri, part);
}
