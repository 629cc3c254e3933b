/* tensor.c - tensors in records, laid out as Python's msgpack-numpy does it. */
#include "stream/tensor.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are little-endian on the wire and in memory");

enum { MOST_DIMENSIONS = 8 };

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [FT_WIRE_F4] = {"<f4", 4}, [FT_WIRE_F8] = {"<f8", 8}, [FT_WIRE_I4] = {"<i4", 4}, [FT_WIRE_I8] = {"<i8", 8},
    [FT_WIRE_U1] = {"|u1", 1}, [FT_WIRE_U2] = {"<u2", 2}, [FT_WIRE_F2] = {"<f2", 2}, [FT_WIRE_B1] = {"|b1", 1},
};

size_t ft_wire_size(enum ft_wire_type type)
{
    return types[type].size;
}

const char *ft_wire_name(enum ft_wire_type type)
{
    return types[type].name;
}

static struct ft_string bytes_of(const msgpack_object *object)
{
    if (object && object->type == MSGPACK_OBJECT_STR)
        return ft_object_string(object);
    if (object && object->type == MSGPACK_OBJECT_BIN)
        return (struct ft_string){object->via.bin.size ? object->via.bin.ptr : "", object->via.bin.size};
    return (struct ft_string){NULL, 0};
}

/* One byte has no order: "|u1" and "<u1" are the same. */
static int read_type(struct ft_string name, enum ft_wire_type *type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (name.size == 3 && memcmp(name.data + 1, types[i].name + 1, 2) == 0 &&
            (name.data[0] == types[i].name[0] || (types[i].size == 1 && (name.data[0] == '<' || name.data[0] == '>')))) {
            *type = (enum ft_wire_type)i;
            return 0;
        }
    if (name.size == 3 && name.data[0] == '>')
        return ft_fail(FT_BAD, "a big-endian tensor, expected little-endian");
    return ft_fail(FT_BAD, "a tensor of type '%.*s', expected one of <f4 <f8 <f2 <i4 <i8 <u2 |u1 |b1",
                   (int)(name.size < 20 ? name.size : 20), name.data ? name.data : "");
}

static int read_shape(const msgpack_object *shape, struct ft_wire_tensor *tensor)
{
    bool empty = false;

    if (!shape || shape->type != MSGPACK_OBJECT_ARRAY || shape->via.array.size > MOST_DIMENSIONS)
        return ft_fail(FT_BAD, "a tensor's shape is no array of at most %d numbers", MOST_DIMENSIONS);
    tensor->rank = (int)shape->via.array.size;
    tensor->count = 1;
    for (int i = 0; i < tensor->rank; i++) {
        const msgpack_object *n = &shape->via.array.ptr[i];

        if (n->type != MSGPACK_OBJECT_POSITIVE_INTEGER || n->via.u64 > FT_LIMIT_BLOB)
            return ft_fail(FT_BAD, "a tensor's dimension %d is no number of at most %d", i, FT_LIMIT_BLOB);
        tensor->shape[i] = n->via.u64;
        empty |= n->via.u64 == 0;
        if (n->via.u64 && tensor->count > FT_LIMIT_BLOB / n->via.u64)
            return ft_fail(FT_BAD, "a tensor of more than %d elements", FT_LIMIT_BLOB);
        tensor->count *= n->via.u64 ? n->via.u64 : 1;
    }
    if (empty)
        tensor->count = 0;
    return 0;
}

int ft_wire_read(const msgpack_object *object, struct ft_wire_tensor *tensor)
{
    const msgpack_object *nd = ft_map_get(object, "nd"), *kind = ft_map_get(object, "kind");
    const msgpack_object *data = ft_map_get(object, "data");
    struct ft_string bytes = bytes_of(data);

    *tensor = (struct ft_wire_tensor){0};
    if (!nd || nd->type != MSGPACK_OBJECT_BOOLEAN || !nd->via.boolean)
        return ft_fail(FT_BAD, "no tensor: expected a map with nd, type, kind, shape and data");
    if (kind && (bytes_of(kind).size || !bytes_of(kind).data))
        return ft_fail(FT_BAD, "a tensor of records or objects, expected numbers");
    if (read_type(bytes_of(ft_map_get(object, "type")), &tensor->type) < 0 || read_shape(ft_map_get(object, "shape"), tensor) < 0)
        return -1;
    if (!bytes.data || bytes.size != tensor->count * types[tensor->type].size)
        return ft_fail(FT_BAD, "a tensor's data has %zu bytes, expected %llu as its shape and type %s say", bytes.size,
                       (unsigned long long)(tensor->count * types[tensor->type].size), types[tensor->type].name);
    tensor->data = bytes.data;
    return 0;
}

static void pack_key(msgpack_packer *pk, const char *key)
{
    msgpack_pack_bin(pk, strlen(key));
    msgpack_pack_bin_body(pk, key, strlen(key));
}

void ft_wire_write(msgpack_packer *pk, enum ft_wire_type type, int rank, const uint64_t *shape, const void *data)
{
    size_t size = types[type].size;

    msgpack_pack_map(pk, 5);
    pack_key(pk, "nd"), msgpack_pack_true(pk);
    pack_key(pk, "type"), ft_pack_text(pk, types[type].name);
    pack_key(pk, "kind"), msgpack_pack_bin(pk, 0);
    pack_key(pk, "shape"), msgpack_pack_array(pk, (size_t)rank);
    for (int i = 0; i < rank; i++) {
        msgpack_pack_uint64(pk, shape[i]);
        size *= (size_t)shape[i];
    }
    pack_key(pk, "data"), msgpack_pack_bin(pk, size);
    if (size)
        msgpack_pack_bin_body(pk, data, size);
}

/* IEEE 754 binary16: 5 bits of exponent, 10 of mantissa. */
static float float_of_half(uint16_t half)
{
    int exponent = half >> 10 & 31;
    float mantissa = (float)(half & 1023), value;

    if (exponent == 31)
        value = mantissa ? NAN : INFINITY;
    else if (exponent)
        value = ldexpf(1024 + mantissa, exponent - 25);
    else
        value = ldexpf(mantissa, -24);
    return half & 0x8000 ? -value : value;
}

#define ELEMENT(type) ({ type element_; memcpy(&element_, (const char *)t->data + i * sizeof element_, sizeof element_); element_; })

/* Every element of these types is a double without loss, but for integers of 64 bits past 2^53, which give false. */
static bool element(const struct ft_wire_tensor *t, size_t i, double *value)
{
    switch (t->type) {
    case FT_WIRE_F4:
        *value = (double)ELEMENT(float);
        return true;
    case FT_WIRE_F8:
        *value = ELEMENT(double);
        return true;
    case FT_WIRE_F2:
        *value = (double)float_of_half(ELEMENT(uint16_t));
        return true;
    case FT_WIRE_I4:
        *value = ELEMENT(int32_t);
        return true;
    case FT_WIRE_I8: {
        int64_t n = ELEMENT(int64_t);

        *value = (double)n;
        return n >= -(1LL << 53) && n <= 1LL << 53;
    }
    case FT_WIRE_U2:
        *value = ELEMENT(uint16_t);
        return true;
    default:
        *value = ELEMENT(uint8_t);
        return true;
    }
}

void ft_wire_round(const struct ft_wire_tensor *tensor, float *out)
{
    double value;

    if (tensor->type == FT_WIRE_F4 && tensor->count)
        memcpy(out, tensor->data, (size_t)tensor->count * sizeof *out);
    for (size_t i = 0; tensor->type != FT_WIRE_F4 && i < tensor->count; i++) {
        element(tensor, i, &value);
        out[i] = (float)value;
    }
}

static int read_key(const msgpack_object *map, const char *key, int rank, uint64_t *shape, struct ft_wire_tensor *tensor)
{
    const msgpack_object *object = ft_map_get(map, key);

    if (!object)
        return ft_fail(FT_BAD, "no %s, expected a tensor of %d dimensions", key, rank);
    if (ft_wire_read(object, tensor) < 0)
        return ft_error_prefix("%s: ", key);
    if (tensor->rank != rank)
        return ft_fail(FT_BAD, "%s: a tensor of %d dimensions, expected %d", key, tensor->rank, rank);
    if (shape)
        memcpy(shape, tensor->shape, (size_t)rank * sizeof *shape);
    return 0;
}

float *ft_wire_floats(struct ft_arena *arena, const msgpack_object *map, const char *key, int rank, uint64_t *shape)
{
    struct ft_wire_tensor tensor;
    float *values;

    if (read_key(map, key, rank, shape, &tensor) < 0 || !(values = ft_arena_take(arena, (size_t)tensor.count * sizeof *values)))
        return NULL;
    if (tensor.type == FT_WIRE_F4) {
        if (tensor.count)
            memcpy(values, tensor.data, (size_t)tensor.count * sizeof *values);
        return values;
    }
    for (size_t i = 0; i < tensor.count; i++) {
        double value;
        bool exact = element(&tensor, i, &value);

        values[i] = (float)value;
        if (!exact || ((double)values[i] != value && !isnan(value))) {
            ft_fail(FT_BAD, "%s: element %zu is %.17g, which no 32-bit float is", key, i, value);
            return NULL;
        }
    }
    return values;
}

int32_t *ft_wire_integers(struct ft_arena *arena, const msgpack_object *map, const char *key, int rank, uint64_t *shape)
{
    struct ft_wire_tensor tensor;
    int32_t *values;

    if (read_key(map, key, rank, shape, &tensor) < 0 || !(values = ft_arena_take(arena, (size_t)tensor.count * sizeof *values)))
        return NULL;
    if (tensor.type == FT_WIRE_I4) {
        if (tensor.count)
            memcpy(values, tensor.data, (size_t)tensor.count * sizeof *values);
        return values;
    }
    for (size_t i = 0; i < tensor.count; i++) {
        double value;
        bool exact = element(&tensor, i, &value);

        if (!exact || !(value >= INT32_MIN && value <= INT32_MAX) || value != floor(value)) {
            ft_fail(FT_BAD, "%s: element %zu is %.17g, expected an integer of 32 bits", key, i, value);
            return NULL;
        }
        values[i] = (int32_t)value;
    }
    return values;
}
