/* docarray-tensor.c - what save_json(protocol='protobuf') of DocArray writes otherwise: tensors as the bytes of numbers, in base64, and names in camel case. */
#include "base/error.h"
#include "data/docarray.h"
#include "stream/base64.h"

#include <math.h>
#include <string.h>

enum { MOST_RANK = 8 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they lie in the buffer");

/* NumPy's names of types: byte order, kind, bytes. */
struct type {
    char kind;                     /* f, i, u, b */
    size_t size;
};

static int read_type(const char *name, struct type *type)
{
    size_t size = name && strlen(name) == 3 ? (size_t)(name[2] - '0') : 0;
    bool known = (size == 1 || size == 2 || size == 4 || size == 8) && strchr(size == 1 ? "iub" : size == 2 ? "iu" : "iuf", name[1]);

    if (!known || !(name[0] == '<' || (name[0] == '|' && size == 1)))
        return ft_fail(FT_BAD, "numbers of type %.16s, expected <f4, <f8, |b1, or integers", name ? name : "unknown");
    *type = (struct type){name[1], size};
    return 0;
}

static double number_of(struct type type, const char *bytes)
{
    uint64_t bits = 0, sign = (uint64_t)1 << (8 * type.size - 1);
    double wide;
    float narrow;

    memcpy(&bits, bytes, type.size);
    memcpy(&narrow, &bits, sizeof narrow);
    memcpy(&wide, &bits, sizeof wide);
    if (type.kind == 'f')
        return type.size == sizeof narrow ? (double)narrow : wide;
    return type.kind == 'i' && bits & sign ? -(double)(sign - (bits & (sign - 1))) : (double)bits;
}

/* Lists in lists of the numbers from *bytes on, which moves; NULL: out of memory, or a number that is not finite. */
static json_t *nest(struct type type, const char **bytes, const size_t *shape, int rank)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < shape[0]; i++) {
        double number = rank == 1 ? number_of(type, *bytes) : 0;
        json_t *member = rank > 1 ? nest(type, bytes, shape + 1, rank - 1) : isfinite((float)number) ? json_real(number) : NULL;

        if (rank == 1)
            *bytes += type.size;
        if (!member || json_array_append_new(list, member) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int read_shape(const json_t *list, size_t numbers, size_t *shape)
{
    size_t rank = json_array_size(list), count = 1;

    for (size_t i = 0; i < rank && rank <= MOST_RANK; i++) {
        json_int_t size = json_integer_value(json_array_get(list, i));

        if (size < 1 || (size_t)size > numbers / count)
            return -1;
        shape[i] = (size_t)size;
        count *= shape[i];
    }
    return rank < 1 || rank > MOST_RANK || count != numbers ? -1 : (int)rank;
}

json_t *ft_docarray_tensor(const json_t *object)
{
    const json_t *dense = json_object_get(object, "dense"), *text = json_object_get(dense, "buffer");
    struct ft_buffer bytes = {0};
    size_t shape[MOST_RANK];
    json_t *lists = NULL;
    struct type type = {0};
    int rank;

    if (!json_is_string(text)) {
        ft_fail(FT_BAD, "an object without \"dense\" numbers in a \"buffer\": expected lists of numbers, or what save_json(protocol='protobuf') writes");
        return NULL;
    }
    if (read_type(json_string_value(json_object_get(dense, "dtype")), &type) == 0 &&
        ft_base64_read(&bytes, (struct ft_string){json_string_value(text), json_string_length(text)}) == 0) {
        const char *at = bytes.data;

        rank = bytes.size % type.size ? -1 : read_shape(json_object_get(dense, "shape"), bytes.size / type.size, shape);
        if (rank < 0)
            ft_fail(FT_BAD, "%zu bytes of numbers that do not fill their \"shape\"", bytes.size);
        else if (!(lists = nest(type, &at, shape, rank)))
            ft_fail(FT_BAD, "expected finite numbers");
    }
    ft_buffer_free(&bytes);
    return lists;
}

int ft_docarray_rename(json_t *object)
{
    static const char *const names[][2] = {{"mimeType", "mime_type"}, {"parentId", "parent_id"}, {"opName", "op_name"}, {"refId", "ref_id"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(object, names[i][0]);

        if (value && (json_object_set(object, names[i][1], value) < 0 || json_object_del(object, names[i][0]) < 0))
            return ft_fail(FT_SYSTEM, "out of memory");
    }
    return 0;
}
