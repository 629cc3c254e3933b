/* text.c - a record as a line of JSON. text.h says what is written where JSON has no words. */
#include "stream/text.h"

#include "base/error.h"
#include "stream/base64.h"
#include "stream/tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADD(out, literal) ft_buffer_add(out, literal, sizeof(literal) - 1)

/* The bytes of the character at p, 0 when it is no UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing past U+10FFFF). */
static size_t character(const unsigned char *p, size_t size)
{
    size_t length = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

    if (!length || length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

static bool is_utf8(struct ft_string text)
{
    const unsigned char *p = (const unsigned char *)text.data;
    size_t n;

    for (size_t i = 0; i < text.size; i += n)
        if (!(n = character(p + i, text.size - i)))
            return false;
    return true;
}

/* Control characters are escaped, C1 ones too: the text is for terminals. */
static int write_quoted(struct ft_buffer *out, struct ft_string text)
{
    static const char letters[] = "btn\0fr";
    const unsigned char *p = (const unsigned char *)text.data;
    size_t n;
    int rc = ADD(out, "\"");

    for (size_t i = 0, from = 0; i <= text.size && rc == 0; i += n) {
        bool end = i == text.size, c1 = !end && p[i] == 0xc2 && p[i + 1] < 0xa0;

        n = end ? 1 : character(p + i, text.size - i);
        if (!end && !c1 && p[i] >= ' ' && p[i] != '"' && p[i] != '\\' && p[i] != 0x7f)
            continue;
        rc = ft_buffer_add(out, p + from, i - from);
        from = i + n;
        if (end || rc < 0)
            break;
        if (p[i] == '"' || p[i] == '\\')
            rc = ft_buffer_print(out, "\\%c", p[i]);
        else if (p[i] >= '\b' && p[i] <= '\r' && letters[p[i] - '\b'])
            rc = ft_buffer_print(out, "\\%c", letters[p[i] - '\b']);
        else
            rc = ft_buffer_print(out, "\\u%04x", c1 ? p[i + 1] : p[i]);
    }
    return rc < 0 ? -1 : ADD(out, "\"");
}

static int write_base64(struct ft_buffer *out, const char *key, struct ft_string bytes)
{
    return ft_buffer_print(out, "{\"%s\":\"", key) < 0 || ft_base64_write(out, bytes) < 0 || ADD(out, "\"}") < 0 ? -1 : 0;
}

static int write_string(struct ft_buffer *out, struct ft_string text)
{
    return is_utf8(text) ? write_quoted(out, text) : write_base64(out, "$str", text);
}

/* The fewest digits that read back as the same number, with a point or an exponent. */
static void print_float(char *text, size_t room, double value, bool narrow)
{
    for (int digits = narrow ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, room, "%.*g", digits, value);
        if (narrow ? (float)strtod(text, NULL) == (float)value : strtod(text, NULL) == value)
            break;
    }
    if (!strpbrk(text, ".e"))
        snprintf(text + strlen(text), room - strlen(text), ".0");
}

static int write_float(struct ft_buffer *out, double value, bool narrow, bool full)
{
    float small = (float)value;
    char text[64];
    uint32_t bits32;
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    memcpy(&bits32, &small, sizeof bits32);
    print_float(text, sizeof text, value, narrow);
    if (!isfinite(value))
        return narrow ? ft_buffer_print(out, "{\"$f32\":\"%08lx\"}", (unsigned long)bits32)
                      : ft_buffer_print(out, "{\"$f64\":\"%016llx\"}", (unsigned long long)bits);
    return ft_buffer_print(out, narrow && full ? "{\"$f32\":%s}" : "%s", text);
}

static int compare_keys(const void *a, const void *b)
{
    struct ft_string x = ft_object_string(*(const msgpack_object *const *)a), y = ft_object_string(*(const msgpack_object *const *)b);
    int order = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);

    return order ? order : (x.size > y.size) - (x.size < y.size);
}

/* 1: the keys are good for a JSON object: different strings of UTF-8 that do not begin with "$" and hold no null character. */
static int keys_are_plain(const msgpack_object_map *map)
{
    const msgpack_object **keys;
    int plain = 1;

    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object *key = &map->ptr[i].key;
        struct ft_string text = key->type == MSGPACK_OBJECT_STR ? ft_object_string(key) : (struct ft_string){NULL, 0};

        if (!text.data || !is_utf8(text) || (text.size && (*text.data == '$' || memchr(text.data, 0, text.size))))
            return 0;
    }
    if (map->size < 2)
        return 1;
    if (!(keys = ft_resize(NULL, map->size, sizeof *keys)))
        return -1;
    for (uint32_t i = 0; i < map->size; i++)
        keys[i] = &map->ptr[i].key;
    qsort(keys, map->size, sizeof *keys, compare_keys);
    for (uint32_t i = 1; i < map->size && plain; i++)
        plain = compare_keys(&keys[i - 1], &keys[i]) != 0;
    free(keys);
    return plain;
}

static bool is_bin(const msgpack_object *key, const char *name)
{
    return key->type == MSGPACK_OBJECT_BIN && key->via.bin.size == strlen(name) && memcmp(key->via.bin.ptr, name, strlen(name)) == 0;
}

/* A tensor whose map is just as ft_wire_write would write it. */
static bool is_tensor(const msgpack_object *object, struct ft_wire_tensor *tensor)
{
    static const char *const keys[] = {"nd", "type", "kind", "shape", "data"};
    const msgpack_object_map *map = &object->via.map;
    struct ft_error_copy error;
    bool good;

    if (map->size != 5)
        return false;
    for (uint32_t i = 0; i < 5; i++)
        if (!is_bin(&map->ptr[i].key, keys[i]))
            return false;
    ft_error_save(&error);
    good = ft_wire_read(object, tensor) == 0;
    ft_error_restore(&error);
    return good && map->ptr[1].val.type == MSGPACK_OBJECT_STR && map->ptr[1].val.via.str.ptr[0] == *ft_wire_name(tensor->type) &&
           map->ptr[2].val.type == MSGPACK_OBJECT_BIN && map->ptr[4].val.type == MSGPACK_OBJECT_BIN;
}

static int write_tensor(struct ft_buffer *out, const struct ft_wire_tensor *tensor, bool full)
{
    struct ft_string data = {tensor->data, (size_t)tensor->count * ft_wire_size(tensor->type)};

    if (ft_buffer_print(out, full ? "{\"$tensor\":\"%s\",\"shape\":[" : "{\"tensor\":\"%s [", ft_wire_name(tensor->type)) < 0)
        return -1;
    for (int i = 0; i < tensor->rank; i++)
        if (ft_buffer_print(out, "%s%llu", i ? "," : "", (unsigned long long)tensor->shape[i]) < 0)
            return -1;
    if (!full)
        return ADD(out, "]\"}");
    return ADD(out, "],\"data\":\"") < 0 || ft_base64_write(out, data) < 0 || ADD(out, "\"}") < 0 ? -1 : 0;
}

static int write_object(struct ft_buffer *out, const msgpack_object *object, bool full);

static int write_pairs(struct ft_buffer *out, const msgpack_object_map *map, bool full)
{
    if (ADD(out, "{\"$map\":[") < 0)
        return -1;
    for (uint32_t i = 0; i < map->size; i++)
        if (ft_buffer_print(out, i ? ",[" : "[") < 0 || write_object(out, &map->ptr[i].key, full) < 0 || ADD(out, ",") < 0 ||
            write_object(out, &map->ptr[i].val, full) < 0 || ADD(out, "]") < 0)
            return -1;
    return ADD(out, "]}");
}

/* {"tensor": "..."} of a stranger must not look like a summary of ours. */
static bool looks_like_summary(const msgpack_object_map *map)
{
    return map->size == 1 && map->ptr[0].key.via.str.size == 6 && memcmp(map->ptr[0].key.via.str.ptr, "tensor", 6) == 0 &&
           map->ptr[0].val.type == MSGPACK_OBJECT_STR;
}

static int write_map(struct ft_buffer *out, const msgpack_object *object, bool full)
{
    const msgpack_object_map *map = &object->via.map;
    struct ft_wire_tensor tensor;
    int plain;

    if (is_tensor(object, &tensor))
        return write_tensor(out, &tensor, full);
    if ((plain = keys_are_plain(map)) < 0)
        return -1;
    if (!plain || looks_like_summary(map))
        return write_pairs(out, map, full);
    if (ADD(out, "{") < 0)
        return -1;
    for (uint32_t i = 0; i < map->size; i++)
        if ((i && ADD(out, ",") < 0) || write_object(out, &map->ptr[i].key, full) < 0 || ADD(out, ":") < 0 ||
            write_object(out, &map->ptr[i].val, full) < 0)
            return -1;
    return ADD(out, "}");
}

static int write_array(struct ft_buffer *out, const msgpack_object_array *array, bool full)
{
    if (ADD(out, "[") < 0)
        return -1;
    for (uint32_t i = 0; i < array->size; i++)
        if ((i && ADD(out, ",") < 0) || write_object(out, &array->ptr[i], full) < 0)
            return -1;
    return ADD(out, "]");
}

static int write_object(struct ft_buffer *out, const msgpack_object *object, bool full)
{
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        return ADD(out, "null");
    case MSGPACK_OBJECT_BOOLEAN:
        return object->via.boolean ? ADD(out, "true") : ADD(out, "false");
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return ft_buffer_print(out, object->via.u64 > INT64_MAX ? "{\"$u64\":\"%llu\"}" : "%llu", (unsigned long long)object->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return ft_buffer_print(out, "%lld", (long long)object->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return write_float(out, object->via.f64, object->type == MSGPACK_OBJECT_FLOAT32, full);
    case MSGPACK_OBJECT_STR:
        return write_string(out, ft_object_string(object));
    case MSGPACK_OBJECT_BIN:
        return write_base64(out, "$bin", (struct ft_string){object->via.bin.ptr, object->via.bin.size});
    case MSGPACK_OBJECT_EXT:
        return ft_buffer_print(out, "{\"$ext\":[%d,\"", object->via.ext.type) < 0 ||
               ft_base64_write(out, (struct ft_string){object->via.ext.ptr, object->via.ext.size}) < 0 || ADD(out, "\"]}") < 0 ? -1 : 0;
    case MSGPACK_OBJECT_ARRAY:
        return write_array(out, &object->via.array, full);
    case MSGPACK_OBJECT_MAP:
        return write_map(out, object, full);
    }
    return ft_fail(FT_BAD, "msgpack of an unknown type");
}

/* Would packing the decoded record give these bytes again? 1, 0, or -1 for an error. */
static int is_shortest(const struct ft_record *record)
{
    struct ft_buffer again = {0};
    msgpack_packer pk;
    int same = -1;

    msgpack_packer_init(&pk, &again, ft_buffer_write);
    if (msgpack_pack_object(&pk, record->object) == 0)
        same = again.size == record->bytes.size && memcmp(again.data, record->bytes.data, again.size) == 0;
    ft_buffer_free(&again);
    return same;
}

int ft_text_write(struct ft_buffer *out, const struct ft_record *record, bool full)
{
    int same = full ? is_shortest(record) : 1;

    if (same < 0 || (same ? write_object(out, &record->object, full) : write_base64(out, "$msgpack", record->bytes)) < 0)
        return -1;
    return ADD(out, "\n");
}
