/* pickle-names.c - the names a pickle may ask for, and what is made where it calls one: a storage, a tensor, a dictionary, something opaque. */
#include "base/error.h"
#include "model/weights/pickle.h"

#include <string.h>

/* The storage classes and types of torch that safetensors can hold. An untyped storage is bytes, and the tensor says its type. */
static const struct ft_torch_type types[] = {
    {"FloatStorage", "float32", "F32", 4}, {"HalfStorage", "float16", "F16", 2}, {"BFloat16Storage", "bfloat16", "BF16", 2},
    {"DoubleStorage", "float64", "F64", 8}, {"LongStorage", "int64", "I64", 8}, {"IntStorage", "int32", "I32", 4},
    {"ShortStorage", "int16", "I16", 2}, {"CharStorage", "int8", "I8", 1}, {"ByteStorage", "uint8", "U8", 1},
    {"BoolStorage", "bool", "BOOL", 1}, {"ComplexFloatStorage", "complex64", "C64", 8}, {"UntypedStorage", "", "U8", 1},
    {"", "uint16", "U16", 2}, {"", "uint32", "U32", 4}, {"", "uint64", "U64", 8}, {"", "float8_e4m3fn", "F8_E4M3", 1},
    {"", "float8_e5m2", "F8_E5M2", 1}, {"", "float8_e8m0fnu", "F8_E8M0", 1},
};
enum { TYPES = sizeof types / sizeof *types };

/* What a name is. Numbers of types follow behind those of this table. */
enum role { OPAQUE, DICTIONARY, TENSOR_1, TENSOR_2, TENSOR_3, PARAMETER, SUBCLASS };
static const struct name {
    const char *module, *name;
    enum role role;
} names[] = {
    {"torch._utils", "_rebuild_tensor", TENSOR_1}, {"torch._utils", "_rebuild_tensor_v2", TENSOR_2},
    {"torch._utils", "_rebuild_tensor_v3", TENSOR_3}, {"torch._utils", "_rebuild_parameter", PARAMETER},
    {"torch._utils", "_rebuild_parameter_with_state", PARAMETER}, {"torch.nn.parameter", "Parameter", PARAMETER},
    {"torch._tensor", "_rebuild_from_type_v2", SUBCLASS}, {"torch", "Tensor", OPAQUE}, {"torch.nn.parameter", "Buffer", OPAQUE},
    {"collections", "OrderedDict", DICTIONARY}, {"collections", "defaultdict", OPAQUE}, {"collections", "Counter", OPAQUE},
    {"collections", "deque", OPAQUE}, {"torch", "Size", OPAQUE}, {"torch", "device", OPAQUE},
    {"torch.serialization", "_get_layout", OPAQUE}, {"argparse", "Namespace", OPAQUE},
    {"numpy", "dtype", OPAQUE}, {"numpy", "ndarray", OPAQUE}, {"numpy.core.multiarray", "scalar", OPAQUE},
    {"numpy._core.multiarray", "scalar", OPAQUE}, {"numpy.core.multiarray", "_reconstruct", OPAQUE},
    {"numpy._core.multiarray", "_reconstruct", OPAQUE}, {"numpy.core.numeric", "_frombuffer", OPAQUE},
    {"numpy._core.numeric", "_frombuffer", OPAQUE}, {"pathlib", "Path", OPAQUE}, {"pathlib", "PosixPath", OPAQUE},
    {"pathlib", "WindowsPath", OPAQUE}, {"pathlib", "PurePosixPath", OPAQUE}, {"datetime", "datetime", OPAQUE},
    {"datetime", "timedelta", OPAQUE}, {"_codecs", "encode", OPAQUE},
    {"copyreg", "_reconstructor", OPAQUE}, {"copy_reg", "_reconstructor", OPAQUE},
    {"builtins", "object", OPAQUE}, {"builtins", "set", OPAQUE}, {"builtins", "frozenset", OPAQUE}, {"builtins", "list", OPAQUE},
    {"builtins", "dict", OPAQUE}, {"builtins", "tuple", OPAQUE}, {"builtins", "int", OPAQUE}, {"builtins", "float", OPAQUE},
    {"builtins", "complex", OPAQUE}, {"builtins", "slice", OPAQUE}, {"builtins", "bytearray", OPAQUE},
    {"__builtin__", "object", OPAQUE}, {"__builtin__", "set", OPAQUE}, {"__builtin__", "frozenset", OPAQUE}, {"__builtin__", "list", OPAQUE},
    {"__builtin__", "dict", OPAQUE}, {"__builtin__", "tuple", OPAQUE}, {"__builtin__", "int", OPAQUE}, {"__builtin__", "long", OPAQUE},
    {"__builtin__", "float", OPAQUE}, {"__builtin__", "complex", OPAQUE}, {"__builtin__", "slice", OPAQUE},
    {"__builtin__", "bytearray", OPAQUE},
};
enum { NAMES = sizeof names / sizeof *names };

static bool plain(struct ft_string text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '!' || text.data[i] > '~')
            return false;
    return text.size > 0 && text.size <= 200;
}

int ft_pickle_name(struct ft_pickle *p, struct ft_string module, struct ft_string name, struct ft_pickle_value *value)
{
    *value = (struct ft_pickle_value){.kind = FT_PICKLE_GLOBAL};
    for (uint32_t i = 0; i < NAMES; i++)
        if (ft_string_is(module, names[i].module) && ft_string_is(name, names[i].name)) {
            value->number = i;
            return 0;
        }
    if (!plain(module) || !plain(name))
        return ft_pickle_broken(p, "asks for a name that is no name");
    for (uint32_t i = 0; i < TYPES; i++)
        if ((ft_string_is(module, "torch") || ft_string_is(module, "torch.storage")) &&
            (ft_string_is(name, types[i].storage) || ft_string_is(name, types[i].name))) {
            value->number = NAMES + i;
            return 0;
        }
    return ft_fail(FT_BAD, "pickle asks for %.*s.%.*s: only tensors are read", (int)module.size, module.data, (int)name.size, name.data);
}

static const struct ft_torch_type *type_of(struct ft_pickle_value value)
{
    return value.kind == FT_PICKLE_GLOBAL && value.number >= NAMES ? types + (value.number - NAMES) : NULL;
}

/* OrderedDict() is filled afterwards; Python 2 gave it a list of [key, value]. */
static int make_dictionary(struct ft_pickle *p, struct ft_pickle_value arguments, struct ft_pickle_value *value)
{
    const struct ft_pickle_value *pairs = ft_pickle_at(p, arguments, 0);
    struct ft_pickle_box box = {0};

    if (ft_pickle_box(p, FT_PICKLE_DICTIONARY, value) < 0)
        return -1;
    if (pairs && pairs->kind != FT_PICKLE_LIST)
        return ft_pickle_broken(p, "an OrderedDict of something else than a list");
    if (pairs)
        box = p->boxes[pairs->number];
    for (uint32_t i = box.first; i; i = p->items[i].next) {
        struct ft_pickle_value pair = p->items[i].value;

        if (ft_pickle_count(p, pair) != 2 || pair.kind == FT_PICKLE_DICTIONARY)
            return ft_pickle_broken(p, "an OrderedDict of something else than pairs");
        if (ft_pickle_put(p, *value, *ft_pickle_at(p, pair, 0), *ft_pickle_at(p, pair, 1)) < 0)
            return -1;
    }
    return 0;
}

int ft_pickle_call(struct ft_pickle *p, struct ft_pickle_value name, struct ft_pickle_value arguments, struct ft_pickle_value *value)
{
    const struct ft_pickle_value *first, *inner;
    enum role role;

    if (name.kind != FT_PICKLE_GLOBAL || arguments.kind != FT_PICKLE_TUPLE)
        return ft_pickle_broken(p, "calls what is no name, or with what are no arguments");
    if (name.number >= NAMES)
        return ft_pickle_broken(p, "calls a type of numbers");
    role = names[name.number].role;
    if (role == SUBCLASS) {   /* a tensor with attributes: (how it is made, its class, the arguments of that, attributes) */
        first = ft_pickle_at(p, arguments, 0);
        inner = ft_pickle_at(p, arguments, 2);
        if (!inner || first->kind != FT_PICKLE_GLOBAL || first->number >= NAMES || inner->kind != FT_PICKLE_TUPLE ||
            (role = names[first->number].role) < TENSOR_1 || role > PARAMETER)
            return ft_pickle_broken(p, "a tensor that is made in a way not known");
        arguments = *inner;
    }
    switch (role) {
    case TENSOR_1: case TENSOR_2: case TENSOR_3:
        *value = (struct ft_pickle_value){.kind = FT_PICKLE_TENSOR, .version = (uint8_t)(role - TENSOR_1 + 1), .number = arguments.number};
        return 0;
    case PARAMETER:
        if (!(first = ft_pickle_at(p, arguments, 0)) || first->kind != FT_PICKLE_TENSOR)
            return ft_pickle_broken(p, "a parameter that is no tensor");
        *value = *first;
        return 0;
    case DICTIONARY:
        return make_dictionary(p, arguments, value);
    default:
        *value = (struct ft_pickle_value){.kind = FT_PICKLE_OPAQUE};
        return 0;
    }
}

static bool integer_at(const struct ft_pickle *p, struct ft_pickle_value tuple, size_t n, uint64_t *number)
{
    const struct ft_pickle_value *value = ft_pickle_at(p, tuple, n);

    if (!value || value->kind != FT_PICKLE_INTEGER || value->integer < 0)
        return false;
    *number = (uint64_t)value->integer;
    return true;
}

/* ("storage", class, key, device, count) and in legacy files one more: None, or (key, begin, length) of a part. */
int ft_pickle_persistent(struct ft_pickle *p, struct ft_pickle_value id, struct ft_pickle_value *value)
{
    const struct ft_pickle_value *kind = ft_pickle_at(p, id, 0), *type = ft_pickle_at(p, id, 1), *key = ft_pickle_at(p, id, 2);
    const struct ft_pickle_value *part = ft_pickle_at(p, id, 5);
    struct ft_pickle_storage storage = {0};

    if (id.kind != FT_PICKLE_TUPLE || !kind || kind->kind != FT_PICKLE_TEXT || !ft_string_is((struct ft_string){kind->text, kind->size}, "storage"))
        return ft_pickle_broken(p, "asks for something outside of it that is no storage: only tensors are read");
    storage.type = type ? type_of(*type) : NULL;
    if (!storage.type || !*storage.type->storage || !key || key->kind != FT_PICKLE_TEXT || key->size > FT_PICKLE_NAME ||
        !integer_at(p, id, 4, &storage.count))
        return ft_pickle_broken(p, "a storage without class, key or size");
    storage.key = (struct ft_string){key->text, key->size};
    storage.length = storage.count;
    if (part && part->kind == FT_PICKLE_TUPLE &&
        (!integer_at(p, *part, 1, &storage.begin) || !integer_at(p, *part, 2, &storage.length) || storage.begin > storage.count ||
         storage.length > storage.count - storage.begin))
        return ft_pickle_broken(p, "a part that reaches past its storage");
    if (ft_grow(&p->storages, &p->storage_capacity, p->storage_count + 1, sizeof storage) < 0)
        return -1;
    *value = (struct ft_pickle_value){.kind = FT_PICKLE_STORAGE, .number = (uint32_t)p->storage_count};
    p->storages[p->storage_count++] = storage;
    return 0;
}

/* ---- looking at what was read ------------------------------------------------------------------------------------------------ */

static bool is_box(struct ft_pickle_value value)
{
    return value.kind == FT_PICKLE_TUPLE || value.kind == FT_PICKLE_LIST || value.kind == FT_PICKLE_DICTIONARY;
}

size_t ft_pickle_count(const struct ft_pickle *p, struct ft_pickle_value value)
{
    return is_box(value) ? p->boxes[value.number].count : 0;
}

const struct ft_pickle_value *ft_pickle_at(const struct ft_pickle *p, struct ft_pickle_value value, size_t n)
{
    uint32_t i;

    if (n >= ft_pickle_count(p, value) || value.kind == FT_PICKLE_DICTIONARY)
        return NULL;
    for (i = p->boxes[value.number].first; n > 0; n--)
        i = p->items[i].next;
    return &p->items[i].value;
}

const struct ft_pickle_value *ft_pickle_get(const struct ft_pickle *p, struct ft_pickle_value value, const char *key)
{
    const struct ft_pickle_value *found = NULL;

    if (value.kind != FT_PICKLE_DICTIONARY)
        return NULL;
    for (uint32_t i = p->boxes[value.number].first; i; i = p->items[i].next) {
        struct ft_pickle_value name = p->items[i].key;

        if (name.kind == FT_PICKLE_TEXT && ft_string_is((struct ft_string){name.text, name.size}, key))
            found = &p->items[i].value;
    }
    return found;
}

/* Shape and strides; `*last` is the number of the tensor's last number in its storage, counted from the offset. */
static int read_shape(const struct ft_pickle *p, struct ft_pickle_value shape, struct ft_pickle_value strides, struct ft_pickle_tensor *t,
                      uint64_t *last)
{
    size_t rank = ft_pickle_count(p, shape), most = sizeof t->shape / sizeof *t->shape;
    uint64_t next = 1, reach;

    if (shape.kind != FT_PICKLE_TUPLE || strides.kind != FT_PICKLE_TUPLE || rank > most || ft_pickle_count(p, strides) != rank)
        return ft_fail(FT_BAD, "its shape and strides are not two tuples of at most %zu numbers", most);
    t->rank = (int)rank;
    t->count = 1;
    t->contiguous = true;
    *last = 0;
    for (size_t i = 0; i < rank; i++) {
        if (!integer_at(p, shape, i, t->shape + i) || !integer_at(p, strides, i, t->stride + i))
            return ft_fail(FT_BAD, "its shape or strides hold something else than whole numbers");
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return ft_fail(FT_BAD, "its shape overflows");
    }
    for (size_t i = rank; t->count && i-- > 0;) {
        if (t->shape[i] != 1 && t->stride[i] != next)
            t->contiguous = false;
        next *= t->shape[i];   /* at most count */
        if (__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &reach) || __builtin_add_overflow(*last, reach, last))
            return ft_fail(FT_BAD, "its strides overflow");
    }
    return 0;
}

int ft_pickle_tensor(const struct ft_pickle *p, struct ft_pickle_value value, struct ft_pickle_tensor *t)
{
    struct ft_pickle_value arguments = {.kind = FT_PICKLE_TUPLE, .number = value.number};
    const struct ft_pickle_value *storage = ft_pickle_at(p, arguments, 0), *shape = ft_pickle_at(p, arguments, 2);
    const struct ft_pickle_value *strides = ft_pickle_at(p, arguments, 3), *type = ft_pickle_at(p, arguments, 6);
    const struct ft_pickle_value *bits = ft_pickle_at(p, arguments, value.version == 3 ? 7 : 6);
    uint64_t last = 0, room, end;

    *t = (struct ft_pickle_tensor){0};
    if (!strides || storage->kind != FT_PICKLE_STORAGE || !integer_at(p, arguments, 1, &t->offset))
        return ft_fail(FT_BAD, "not made of storage, offset, shape and strides");
    if (bits && ft_pickle_count(p, *bits))
        return ft_fail(FT_BAD, "a conjugate or negative view, which is not read");
    t->storage = p->storages + storage->number;
    t->type = value.version == 3 ? (type ? type_of(*type) : NULL) : t->storage->type;
    if (!t->type || (value.version == 3 && !*t->type->name))
        return ft_fail(FT_BAD, "no type of numbers");
    if (read_shape(p, *shape, *strides, t, &last) < 0)
        return -1;
    if (__builtin_mul_overflow(t->storage->length, (uint64_t)t->storage->type->size, &room))
        return ft_fail(FT_BAD, "its storage's size overflows");
    if (t->count && (__builtin_add_overflow(last, t->offset, &end) || end >= room / t->type->size))
        return ft_fail(FT_BAD, "reaches past its storage of %llu numbers", (unsigned long long)t->storage->length);
    t->offset = t->count ? t->offset * t->type->size : 0;
    if (__builtin_mul_overflow(t->storage->begin, (uint64_t)t->storage->type->size, &end) || __builtin_add_overflow(t->offset, end, &t->offset))
        return ft_fail(FT_BAD, "its offset overflows");
    return 0;
}
