/* text-read.c - a line of JSON as msgpack: the way back from text.c. */
#include "stream/text.h"

#include "base/error.h"
#include "stream/base64.h"
#include "stream/tensor.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int pack_value(msgpack_packer *pk, const json_t *value);

static struct ft_string text_of(const json_t *value)
{
    return (struct ft_string){json_string_value(value), json_string_length(value)};
}

/* The bytes of a base64 string; the caller frees the buffer. */
static int bytes_of(const json_t *value, struct ft_buffer *bytes)
{
    if (!json_is_string(value))
        return ft_fail(FT_BAD, "expected a string of base64");
    return ft_base64_read(bytes, text_of(value));
}

static int bits_of(const json_t *value, size_t digits, uint64_t *bits)
{
    char *end;

    if (!json_is_string(value) || json_string_length(value) != digits || strspn(json_string_value(value), "0123456789abcdef") != digits)
        return ft_fail(FT_BAD, "expected %zu hexadecimal digits", digits);
    *bits = strtoull(json_string_value(value), &end, 16);
    return 0;
}

static int pack_bin(msgpack_packer *pk, const json_t *value)
{
    struct ft_buffer bytes = {0};
    int rc = bytes_of(value, &bytes);

    if (rc == 0) {
        msgpack_pack_bin(pk, bytes.size);
        if (bytes.size)
            msgpack_pack_bin_body(pk, bytes.data, bytes.size);
    }
    ft_buffer_free(&bytes);
    return rc;
}

static int pack_str(msgpack_packer *pk, const json_t *value)
{
    struct ft_buffer bytes = {0};
    int rc = bytes_of(value, &bytes);

    if (rc == 0)
        ft_pack_string(pk, (struct ft_string){bytes.data, bytes.size});
    ft_buffer_free(&bytes);
    return rc;
}

static int pack_ext(msgpack_packer *pk, const json_t *value)
{
    const json_t *type = json_array_get(value, 0);
    struct ft_buffer bytes = {0};
    int rc;

    if (json_array_size(value) != 2 || !json_is_integer(type) || json_integer_value(type) < -128 || json_integer_value(type) > 127)
        return ft_fail(FT_BAD, "expected [type, base64]");
    if ((rc = bytes_of(json_array_get(value, 1), &bytes)) == 0) {
        msgpack_pack_ext(pk, bytes.size, (int8_t)json_integer_value(type));
        if (bytes.size)
            msgpack_pack_ext_body(pk, bytes.data, bytes.size);
    }
    ft_buffer_free(&bytes);
    return rc;
}

static int pack_u64(msgpack_packer *pk, const json_t *value)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    uint64_t number;

    errno = 0;
    number = strtoull(text, NULL, 10);
    if (!*text || strspn(text, "0123456789") != strlen(text) || errno)
        return ft_fail(FT_BAD, "expected a string of decimal digits, at most 2^64 - 1");
    return msgpack_pack_uint64(pk, number);
}

static int pack_f32(msgpack_packer *pk, const json_t *value)
{
    uint64_t bits;
    uint32_t low;
    float number = (float)json_number_value(value);

    if (!json_is_number(value)) {
        if (bits_of(value, 8, &bits) < 0)
            return -1;
        low = (uint32_t)bits;
        memcpy(&number, &low, sizeof number);
    }
    return msgpack_pack_float(pk, number);
}

static int pack_f64(msgpack_packer *pk, const json_t *value)
{
    uint64_t bits;
    double number;

    if (bits_of(value, 16, &bits) < 0)
        return -1;
    memcpy(&number, &bits, sizeof number);
    return msgpack_pack_double(pk, number);
}

static int pack_pairs(msgpack_packer *pk, const json_t *pairs)
{
    if (!json_is_array(pairs))
        return ft_fail(FT_BAD, "expected an array of [key, value]");
    msgpack_pack_map(pk, json_array_size(pairs));
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i);

        if (json_array_size(pair) != 2)
            return ft_fail(FT_BAD, "expected an array of [key, value]");
        if (pack_value(pk, json_array_get(pair, 0)) < 0 || pack_value(pk, json_array_get(pair, 1)) < 0)
            return -1;
    }
    return 0;
}

static int pack_tensor(msgpack_packer *pk, const json_t *object)
{
    const json_t *name = json_object_get(object, "$tensor"), *dimensions = json_object_get(object, "shape");
    struct ft_buffer bytes = {0};
    uint64_t shape[8], count = 1;
    size_t rank = json_array_size(dimensions);
    int type = -1, rc;

    for (int i = FT_WIRE_F4; i <= FT_WIRE_B1 && type < 0; i++)
        if (json_is_string(name) && ft_string_is(text_of(name), ft_wire_name((enum ft_wire_type)i)))
            type = i;
    if (type < 0 || json_object_size(object) != 3 || !json_is_array(dimensions) || rank > 8)
        return ft_fail(FT_BAD, "expected a type such as <f4, \"shape\" and \"data\"");
    for (size_t i = 0; i < rank; i++) {
        const json_t *n = json_array_get(dimensions, i);

        if (!json_is_integer(n) || json_integer_value(n) < 0 || json_integer_value(n) > FT_LIMIT_BLOB)
            return ft_fail(FT_BAD, "shape: dimension %zu is no number of at most %d", i, FT_LIMIT_BLOB);
        shape[i] = (uint64_t)json_integer_value(n);
        if (count && shape[i] > FT_LIMIT_BLOB / count)
            return ft_fail(FT_BAD, "shape: more than %d elements", FT_LIMIT_BLOB);
        count *= shape[i];
    }
    rc = bytes_of(json_object_get(object, "data"), &bytes);
    if (rc == 0 && bytes.size != count * ft_wire_size((enum ft_wire_type)type))
        rc = ft_fail(FT_BAD, "data has %zu bytes, expected %llu as shape and type say", bytes.size,
                     (unsigned long long)(count * ft_wire_size((enum ft_wire_type)type)));
    if (rc == 0)
        ft_wire_write(pk, (enum ft_wire_type)type, (int)rank, shape, bytes.data);
    ft_buffer_free(&bytes);
    return rc;
}

static int pack_special(msgpack_packer *pk, const json_t *object, const char *key, const json_t *value)
{
    static const struct {
        const char *key;
        int (*pack)(msgpack_packer *pk, const json_t *value);
    } forms[] = {
        {"$bin", pack_bin}, {"$str", pack_str}, {"$ext", pack_ext}, {"$u64", pack_u64},
        {"$f32", pack_f32}, {"$f64", pack_f64}, {"$map", pack_pairs},
    };

    if (json_object_get(object, "$tensor"))
        return pack_tensor(pk, object) < 0 ? ft_error_prefix("$tensor: ") : 0;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(key, forms[i].key) == 0 && json_object_size(object) == 1)
            return forms[i].pack(pk, value) < 0 ? ft_error_prefix("%s: ", key) : 0;
    return ft_fail(FT_BAD, "key '%.40s': keys that begin with $ are $bin $str $ext $u64 $f32 $f64 $map $tensor, each alone", key);
}

static int pack_object(msgpack_packer *pk, const json_t *object)
{
    void *first = json_object_iter((json_t *)object);
    const json_t *value;
    const char *key;

    for (void *i = first; i; i = json_object_iter_next((json_t *)object, i))
        if (json_object_iter_key(i)[0] == '$')
            return pack_special(pk, object, json_object_iter_key(i), json_object_iter_value(i));
    if (json_object_size(object) == 1 && strcmp(json_object_iter_key(first), "tensor") == 0 &&
        json_is_string(json_object_iter_value(first)))
        return ft_fail(FT_BAD, "a tensor's summary, expected its data: make the text with ft-cat --full");
    msgpack_pack_map(pk, json_object_size(object));
    json_object_foreach((json_t *)object, key, value) {
        ft_pack_text(pk, key);
        if (pack_value(pk, value) < 0)
            return -1;
    }
    return 0;
}

static int pack_value(msgpack_packer *pk, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return msgpack_pack_nil(pk);
    case JSON_TRUE:
        return msgpack_pack_true(pk);
    case JSON_FALSE:
        return msgpack_pack_false(pk);
    case JSON_INTEGER:
        return msgpack_pack_int64(pk, json_integer_value(value));
    case JSON_REAL:
        return msgpack_pack_double(pk, json_real_value(value));
    case JSON_STRING:
        ft_pack_string(pk, text_of(value));
        return 0;
    case JSON_ARRAY:
        msgpack_pack_array(pk, json_array_size(value));
        for (size_t i = 0; i < json_array_size(value); i++)
            if (pack_value(pk, json_array_get(value, i)) < 0)
                return -1;
        return 0;
    case JSON_OBJECT:
        return pack_object(pk, value);
    }
    return ft_fail(FT_BAD, "JSON of an unknown type");
}

int ft_text_read(struct ft_buffer *out, struct ft_string line)
{
    json_error_t error;
    json_t *root = json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    msgpack_packer pk;
    int rc;

    if (!root)
        return ft_fail(FT_BAD, "no JSON: %s (column %d)", error.text, error.column);
    msgpack_packer_init(&pk, out, ft_buffer_write);
    ft_error_clear();
    if (!json_is_object(root))
        rc = ft_fail(FT_BAD, "expected an object: {\"text\": ...}");
    else if (json_object_get(root, "$msgpack") && json_object_size(root) == 1)
        rc = bytes_of(json_object_get(root, "$msgpack"), out);
    else
        rc = pack_value(&pk, root);
    json_decref(root);
    return rc < 0 || *ft_error() ? -1 : 0;   /* packing into a buffer that could not grow leaves its error */
}
