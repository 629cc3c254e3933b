/* fields.c - DocArray's other fields, from JSON to the stream. */
#include "data/fields.h"
#include "data/docarray.h"
#include "stream/base64.h"

#include <stdlib.h>
#include <string.h>

static bool is_numbers(const json_t *value)
{
    json_t *member;
    size_t i;

    json_array_foreach(value, i, member)
        if (!json_is_number(member))
            return false;
    return json_array_size(value) > 0;
}

bool ft_json_is_field(const char *key, const json_t *value)
{
    if (strcmp(key, "mime_type") == 0 || strcmp(key, "modality") == 0)
        return json_is_string(value);
    if (strcmp(key, "weight") == 0)
        return json_is_number(value);
    return strcmp(key, "embedding") == 0 ? is_numbers(value) : strcmp(key, "matches") == 0 && json_is_array(value);
}

/* The address that a text, a blob or a tensor came from stays beside it. */
static bool is_kept(const json_t *object, const char *key, const json_t *value, enum ft_fields kind)
{
    static const char *const whole[] = {"mime_type", "modality", "weight", "embedding", "matches", "scores", "evaluations", "offset", "location"};
    bool text = json_is_string(json_object_get(object, "text"));
    bool other = kind != FT_FIELDS_LINE && (json_object_get(object, "blob") || json_object_get(object, "tensor"));

    if (strcmp(key, "uri") == 0)
        return json_is_string(value) && (text || other);
    if (kind == FT_FIELDS_LINE)
        return ft_json_is_field(key, value);
    if (strcmp(key, "blob") == 0)
        return text;
    if (strcmp(key, "chunks") == 0)
        return kind == FT_FIELDS_DOCUMENT;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strcmp(key, whole[i]) == 0)
            return true;
    return false;
}

uint32_t ft_fields_count(const json_t *object, enum ft_fields kind)
{
    const char *key;
    json_t *member;
    uint32_t count = 0;

    if (!object)
        return 0;
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
        count += is_kept(object, key, member, kind);
    return count;
}

/* A list of numbers in JSON is a tensor in the stream. */
static void write_numbers(msgpack_packer *pk, const json_t *list)
{
    struct ft_arena arena = {NULL};
    uint64_t shape[8];
    size_t count;
    int rank;
    float *values = ft_docarray_numbers(&arena, list, &rank, shape, &count);

    if (values)
        ft_wire_write(pk, FT_WIRE_F4, rank, shape, values);
    else
        msgpack_pack_nil(pk);
    ft_arena_free(&arena);
}

static void write_blob(msgpack_packer *pk, const json_t *text)
{
    struct ft_buffer bytes = {0};

    if (ft_base64_read(&bytes, (struct ft_string){json_string_value(text), json_string_length(text)}) < 0)
        ft_json_write(pk, text);
    else {
        msgpack_pack_bin(pk, bytes.size);
        msgpack_pack_bin_body(pk, bytes.data, bytes.size);
    }
    ft_buffer_free(&bytes);
}

static void write_field(msgpack_packer *pk, const char *key, const json_t *value, enum ft_fields kind)
{
    bool documents = strcmp(key, "chunks") == 0 || strcmp(key, "matches") == 0;
    json_t *member;
    size_t i;

    ft_pack_text(pk, key);
    if (strcmp(key, "embedding") == 0 || (strcmp(key, "tensor") == 0 && json_is_array(value))) {
        write_numbers(pk, value);
    } else if (kind != FT_FIELDS_LINE && strcmp(key, "blob") == 0) {
        write_blob(pk, value);
    } else if (kind != FT_FIELDS_LINE && documents) {
        msgpack_pack_array(pk, json_array_size(value));
        json_array_foreach(value, i, member)
            ft_fields_write_document(pk, member);
    } else {
        ft_json_write(pk, value);
    }
}

void ft_fields_write(msgpack_packer *pk, const json_t *object, enum ft_fields kind)
{
    const char *key;
    json_t *member;

    if (!object)
        return;
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
        if (is_kept(object, key, member, kind))
            write_field(pk, key, member, kind);
}

void ft_fields_write_document(msgpack_packer *pk, const json_t *object)
{
    const char *key;
    json_t *member;

    msgpack_pack_map(pk, json_object_size(object));
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
        write_field(pk, key, member, FT_FIELDS_DOCUMENT);
}
