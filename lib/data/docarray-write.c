/* docarray-write.c - documents as DocArray's JSON. */
#include "data/docarray-write.h"
#include "base/error.h"
#include "data/lines.h"
#include "stream/base64.h"
#include "stream/stream.h"
#include "stream/tensor.h"

#include <math.h>
#include <string.h>

#define ADD(out, literal) ft_buffer_add(out, literal, sizeof(literal) - 1)

static int write_text(struct ft_buffer *out, struct ft_string text)
{
    int rc = ADD(out, "\"");

    for (size_t i = 0; i < text.size && rc == 0; i++) {
        size_t from = i;

        while (i < text.size && (unsigned char)text.data[i] >= ' ' && text.data[i] != '"' && text.data[i] != '\\')
            i++;
        if (ft_utf8_check(text.data + from, i - from) < i - from)
            return ft_fail(FT_BAD, "text that is not UTF-8");
        rc = ft_buffer_add(out, text.data + from, i - from);
        if (rc == 0 && i < text.size)
            rc = ft_buffer_print(out, text.data[i] == '"' || text.data[i] == '\\' ? "\\%c" : "\\u%04x", text.data[i]);
    }
    return rc < 0 ? -1 : ADD(out, "\"");
}

static int write_bytes(struct ft_buffer *out, struct ft_string bytes)
{
    return ADD(out, "\"") < 0 || ft_base64_write(out, bytes) < 0 || ADD(out, "\"") < 0 ? -1 : 0;
}

/* With a point or an exponent, by which Python knows it for one. */
static int write_real(struct ft_buffer *out, double value, int digits)
{
    char text[40];
    int size = snprintf(text, sizeof text, "%.*g", digits, value);

    if (!isfinite(value))
        return ft_fail(FT_BAD, "a number that is %g", value);
    return ft_buffer_add(out, text, (size_t)size) < 0 || (!strpbrk(text, ".e") && ADD(out, ".0") < 0) ? -1 : 0;
}

/* Element `i` of a tensor; its data may lie anywhere. */
static int write_element(struct ft_buffer *out, const struct ft_wire_tensor *tensor, uint64_t i)
{
    size_t size = ft_wire_size(tensor->type);
    union { float f4; double f8; int32_t i4; int64_t i8; uint8_t u1; uint16_t u2; } value = {.f8 = 0};
    struct ft_wire_tensor one = {.type = tensor->type, .rank = 1, .shape = {1}, .count = 1, .data = (const char *)tensor->data + i * size};
    float half;

    memcpy(&value, one.data, size);
    switch (tensor->type) {
    case FT_WIRE_F4: return write_real(out, (double)value.f4, 9);
    case FT_WIRE_F8: return write_real(out, value.f8, 17);
    case FT_WIRE_I4: return ft_buffer_print(out, "%ld", (long)value.i4);
    case FT_WIRE_I8: return ft_buffer_print(out, "%lld", (long long)value.i8);
    case FT_WIRE_U1: return ft_buffer_print(out, "%u", value.u1);
    case FT_WIRE_U2: return ft_buffer_print(out, "%u", value.u2);
    case FT_WIRE_B1: return ft_buffer_print(out, "%s", value.u1 ? "true" : "false");
    case FT_WIRE_F2: break;
    }
    ft_wire_round(&one, &half);
    return write_real(out, (double)half, 9);
}

/* The part of a tensor that dimensions from `dimension` on span, from element *at. */
static int write_lists(struct ft_buffer *out, const struct ft_wire_tensor *tensor, int dimension, uint64_t *at)
{
    int rc = ADD(out, "[");

    if (dimension == tensor->rank)     /* of no dimension: a number */
        return rc < 0 || write_element(out, tensor, (*at)++) < 0 ? -1 : ADD(out, "]");
    for (uint64_t i = 0; rc == 0 && i < tensor->shape[dimension]; i++) {
        rc = i ? ADD(out, ", ") : 0;
        if (rc == 0)
            rc = dimension + 1 < tensor->rank ? write_lists(out, tensor, dimension + 1, at) : write_element(out, tensor, (*at)++);
    }
    return rc < 0 ? -1 : ADD(out, "]");
}

static bool is_tensor(const msgpack_object *object)
{
    const msgpack_object *key = object->type == MSGPACK_OBJECT_MAP && object->via.map.size ? &object->via.map.ptr[0].key : NULL;

    return key && key->type == MSGPACK_OBJECT_BIN && key->via.bin.size == 2 && memcmp(key->via.bin.ptr, "nd", 2) == 0;
}

static int write_tensor(struct ft_buffer *out, const msgpack_object *object)
{
    struct ft_wire_tensor tensor;
    uint64_t at = 0;

    return ft_wire_read(object, &tensor) < 0 ? -1 : write_lists(out, &tensor, 0, &at);
}

static int write_value(struct ft_buffer *out, const msgpack_object *object);

static int write_key(struct ft_buffer *out, const msgpack_object *key, bool first)
{
    if (key->type != MSGPACK_OBJECT_STR)
        return ft_fail(FT_BAD, "a key that is no string, which JSON has no word for");
    return (first ? 0 : ADD(out, ", ")) < 0 || write_text(out, ft_object_string(key)) < 0 || ADD(out, ": ") < 0 ? -1 : 0;
}

static int write_map(struct ft_buffer *out, const msgpack_object_map *map)
{
    int rc = ADD(out, "{");

    for (uint32_t i = 0; rc == 0 && i < map->size; i++)
        rc = write_key(out, &map->ptr[i].key, i == 0) < 0 ? -1 : write_value(out, &map->ptr[i].val);
    return rc < 0 ? -1 : ADD(out, "}");
}

static int write_array(struct ft_buffer *out, const msgpack_object_array *array, int (*write)(struct ft_buffer *, const msgpack_object *))
{
    int rc = ADD(out, "[");

    for (uint32_t i = 0; rc == 0 && i < array->size; i++)
        rc = (i ? ADD(out, ", ") : 0) < 0 ? -1 : write(out, &array->ptr[i]);
    return rc < 0 ? -1 : ADD(out, "]");
}

static int write_value(struct ft_buffer *out, const msgpack_object *object)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL: return ADD(out, "null");
    case MSGPACK_OBJECT_BOOLEAN: return ft_buffer_print(out, "%s", object->via.boolean ? "true" : "false");
    case MSGPACK_OBJECT_POSITIVE_INTEGER: return ft_buffer_print(out, "%llu", (unsigned long long)object->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: return ft_buffer_print(out, "%lld", (long long)object->via.i64);
    case MSGPACK_OBJECT_FLOAT32: return write_real(out, object->via.f64, 9);
    case MSGPACK_OBJECT_FLOAT64: return write_real(out, object->via.f64, 17);
    case MSGPACK_OBJECT_STR: return write_text(out, ft_object_string(object));
    case MSGPACK_OBJECT_BIN: return write_bytes(out, (struct ft_string){object->via.bin.ptr, object->via.bin.size});
    case MSGPACK_OBJECT_ARRAY: return write_array(out, &object->via.array, write_value);
    case MSGPACK_OBJECT_MAP: return is_tensor(object) ? write_tensor(out, object) : write_map(out, &object->via.map);
    default: return ft_fail(FT_BAD, "an extension of msgpack, which JSON has no word for");
    }
}

static bool is_one_of(const msgpack_object *key, const char *const *names)
{
    for (; *names; names++)
        if (key->type == MSGPACK_OBJECT_STR && ft_string_is(ft_object_string(key), *names))
            return true;
    return false;
}

static const char *const plain[] = {"id", "parent_id", "granularity", "adjacency", "text", "uri", "blob", "mime_type", "modality", "weight", "offset",
                                    "location", "tensor", "embedding", "scores", "evaluations", NULL};
static const char *const nested[] = {"chunks", "matches", NULL}, *const tags_name[] = {"tags", NULL};

static bool is_own(const msgpack_object_kv *pair)
{
    return pair->val.type != MSGPACK_OBJECT_NIL && !is_one_of(&pair->key, plain) && !is_one_of(&pair->key, nested) && !is_one_of(&pair->key, tags_name);
}

/* A tag. DocArray reads integers as floats, but 1 as true and 0 as false, so floats they are. */
static int write_tag(struct ft_buffer *out, const msgpack_object_kv *pair, bool first)
{
    bool integer = pair->val.type == MSGPACK_OBJECT_POSITIVE_INTEGER || pair->val.type == MSGPACK_OBJECT_NEGATIVE_INTEGER;

    return write_key(out, &pair->key, first) < 0 || write_value(out, &pair->val) < 0 ? -1 : integer ? ADD(out, ".0") : 0;
}

static bool has_key(const msgpack_object *map, struct ft_string key)
{
    for (uint32_t i = 0; i < map->via.map.size; i++)
        if (map->via.map.ptr[i].key.type == MSGPACK_OBJECT_STR && ft_string_equal(ft_object_string(&map->via.map.ptr[i].key), key))
            return true;
    return false;
}

/* The tags, and the fields that only we have, where no tag has that name. */
static int write_tags(struct ft_buffer *out, const msgpack_object *document, bool first)
{
    const msgpack_object *tags = ft_map_get(document, "tags");
    bool empty = true, tagged = tags && tags->type == MSGPACK_OBJECT_MAP;

    for (uint32_t i = 0; tagged && i < tags->via.map.size; i++, empty = false)
        if ((empty && ft_buffer_print(out, "%s\"tags\": {", first ? "" : ", ") < 0) || write_tag(out, &tags->via.map.ptr[i], empty) < 0)
            return ft_error_prefix("tags: ");
    for (uint32_t i = 0; i < document->via.map.size; i++) {
        const msgpack_object_kv *pair = &document->via.map.ptr[i];
        bool named = pair->key.type == MSGPACK_OBJECT_STR;

        if (!is_own(pair) || (named && tagged && has_key(tags, ft_object_string(&pair->key))))
            continue;
        if ((empty && ft_buffer_print(out, "%s\"tags\": {", first ? "" : ", ") < 0) || write_tag(out, pair, empty) < 0)
            return named ? ft_error_prefix("%.*s: ", (int)(pair->key.via.str.size < 64 ? pair->key.via.str.size : 64), pair->key.via.str.ptr) : -1;
        empty = false;
    }
    return empty ? 0 : ADD(out, "}");
}

static int write_document(struct ft_buffer *out, const msgpack_object *document)
{
    bool first = true;

    if (document->type != MSGPACK_OBJECT_MAP)
        return ft_fail(FT_BAD, "a document that is no map");
    if (ADD(out, "{") < 0)
        return -1;
    for (uint32_t i = 0; i < document->via.map.size; i++) {
        const msgpack_object_kv *pair = &document->via.map.ptr[i];
        bool documents = is_one_of(&pair->key, nested) && pair->val.type == MSGPACK_OBJECT_ARRAY;

        if (pair->val.type == MSGPACK_OBJECT_NIL || (!documents && !is_one_of(&pair->key, plain)))
            continue;
        if (write_key(out, &pair->key, first) < 0 ||
            (documents ? write_array(out, &pair->val.via.array, write_document) : write_value(out, &pair->val)) < 0)
            return ft_error_prefix("%.*s: ", (int)(pair->key.via.str.size < 32 ? pair->key.via.str.size : 32), pair->key.via.str.ptr);
        first = false;
    }
    return write_tags(out, document, first) < 0 ? -1 : ADD(out, "}");
}

int ft_docarray_write(struct ft_docarray_out *out, const msgpack_object *document)
{
    out->text.size = 0;
    if (ft_buffer_print(&out->text, "%s", out->count ? ",\n" : "[\n") < 0 || write_document(&out->text, document) < 0)
        return -1;
    if (fwrite(out->text.data, 1, out->text.size, out->file) != out->text.size)
        return ft_fail_errno("cannot write");
    out->count++;
    return 0;
}

int ft_docarray_end(struct ft_docarray_out *out)
{
    return fputs(out->count ? "\n]\n" : "[]\n", out->file) == EOF ? ft_fail_errno("cannot write") : 0;
}

void ft_docarray_out_free(struct ft_docarray_out *out)
{
    ft_buffer_free(&out->text);
}
