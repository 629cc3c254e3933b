/* safetensors.c - reading: the header of a file from a stranger, believed only after every number in it has been checked. */
#include "model/weights/safetensors.h"
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The types whole bytes hold. Only the floating ones are ever computed with; the others are kept and copied. */
static const struct { const char *name; size_t size; } types[] = {
    {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1}, {"U64", 8}, {"U32", 4},
    {"U16", 2}, {"U8", 1}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"C64", 8},
};

static int read_type(struct ft_safetensor *tensor, const json_t *entry, size_t *element)
{
    const char *name = ft_json_text(entry, "dtype");

    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) {
            tensor->dtype = types[i].name;
            *element = types[i].size;
            return 0;
        }
    return ft_fail(FT_BAD, "dtype %.32s is not known", name ? name : "(none)");
}

static int read_shape(struct ft_safetensor *tensor, const json_t *entry)
{
    const json_t *shape = json_object_get(entry, "shape");
    size_t rank = json_array_size(shape);

    if (!json_is_array(shape) || rank > FT_SAFETENSORS_RANK)
        return ft_fail(FT_BAD, "shape is not an array of at most %d numbers", FT_SAFETENSORS_RANK);
    tensor->rank = (int)rank;
    tensor->count = 1;
    for (size_t i = 0; i < rank; i++) {
        const json_t *n = json_array_get(shape, i);

        if (!json_is_integer(n) || json_integer_value(n) < 0)
            return ft_fail(FT_BAD, "shape holds something else than whole numbers");
        tensor->shape[i] = (uint64_t)json_integer_value(n);
        if (__builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count))
            return ft_fail(FT_BAD, "shape overflows");
    }
    return 0;
}

/* `data` holds `size` bytes, all of the file past its header. */
static int read_entry(struct ft_safetensor *tensor, const json_t *entry, const char *data, size_t size)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    uint64_t from, to, bytes;
    size_t element = 0;

    if (!json_is_object(entry))
        return ft_fail(FT_BAD, "its entry is not an object");
    if (read_type(tensor, entry, &element) < 0 || read_shape(tensor, entry) < 0)
        return -1;
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) || json_integer_value(begin) < 0 ||
        json_integer_value(end) < 0)
        return ft_fail(FT_BAD, "data_offsets are not two whole numbers");
    from = (uint64_t)json_integer_value(begin);
    to = (uint64_t)json_integer_value(end);
    if (from > to || to > size)
        return ft_fail(FT_BAD, "data_offsets %llu to %llu, the file has %zu bytes of data", (unsigned long long)from,
                       (unsigned long long)to, size);
    if (__builtin_mul_overflow(tensor->count, (uint64_t)element, &bytes) || bytes != to - from)
        return ft_fail(FT_BAD, "%llu bytes of data for %llu elements of %zu bytes", (unsigned long long)(to - from),
                       (unsigned long long)tensor->count, element);
    tensor->data = data + from;
    tensor->size = (size_t)bytes;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const struct ft_safetensor *x = a, *y = b;

    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->size < y->size ? -1 : x->size > y->size;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct ft_safetensor *)a)->name, ((const struct ft_safetensor *)b)->name);
}

/* The format allows no holes and no overlaps: tensors follow one another to the end of the file. */
static int check_places(struct ft_safetensor *tensors, size_t count, const char *data, size_t size)
{
    const char *place = data;

    if (count)
        qsort(tensors, count, sizeof *tensors, by_place);
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].data != place)
            return ft_fail(FT_BAD, "%s: data begins at %zu, expected %zu", tensors[i].name,
                           (size_t)((const char *)tensors[i].data - data), (size_t)(place - data));
        place += tensors[i].size;
    }
    if (place != data + size)
        return ft_fail(FT_BAD, "%zu bytes past the last tensor", (size_t)(data + size - place));
    return 0;
}

struct ft_safetensor *ft_safetensors_room(struct ft_safetensors *files, size_t more)
{
    size_t room = files->count + more;
    struct ft_safetensor *all = ft_arena_zero(&files->arena, room ? room : 1, sizeof *all);

    if (!all)
        return NULL;
    if (files->count)
        memcpy(all, files->tensors, files->count * sizeof *all);
    files->tensors = all;
    return all + files->count;
}

void ft_safetensors_sort(struct ft_safetensors *files)
{
    if (files->count)
        qsort(files->tensors, files->count, sizeof *files->tensors, by_name);
}

/* Append the tensors that the header `json` describes. */
static int read_entries(struct ft_safetensors *files, json_t *json, const char *data, size_t size)
{
    struct ft_safetensor *first = ft_safetensors_room(files, json_object_size(json)), *tensor = first;
    const char *name;
    json_t *entry;

    if (!first)
        return -1;
    json_object_foreach(json, name, entry) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (read_entry(tensor, entry, data, size) < 0)
            return ft_error_prefix("%.200s: ", name);
        if (!(tensor->name = ft_arena_text(&files->arena, ft_string_of(name))))
            return -1;
        tensor++;
        files->count++;
    }
    return check_places(first, (size_t)(tensor - first), data, size);
}

int ft_safetensors_add(struct ft_safetensors *files, const char *path, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    uint64_t length = 0;
    json_t *json;
    int result;

    if (size < 8)
        return ft_fail(FT_BAD, "%s: %zu bytes, too short for a safetensors file", path, size);
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)p[i] << 8 * i;
    if (length > FT_SAFETENSORS_HEADER || length > size - 8)
        return ft_fail(FT_BAD, "%s: a header of %llu bytes in a file of %zu: not a safetensors file, or cut short", path,
                       (unsigned long long)length, size);
    if (!(json = ft_json_parse(path, (const char *)p + 8, (size_t)length)))
        return -1;
    result = json_is_object(json) ? 0 : ft_fail(FT_BAD, "the header is not an object");
    if (result == 0)
        result = read_entries(files, json, (const char *)p + 8 + length, size - 8 - (size_t)length);
    json_decref(json);
    if (result == 0)
        ft_safetensors_sort(files);
    return result < 0 ? ft_error_prefix("%s: ", path) : 0;
}

int ft_safetensors_parse(struct ft_safetensors *files, const char *path, const void *bytes, size_t size)
{
    *files = (struct ft_safetensors){0};
    if (ft_safetensors_add(files, path, bytes, size) == 0)
        return 0;
    ft_safetensors_close(files);
    return -1;
}

int ft_safetensors_map(struct ft_safetensors *files, const char *path, const void **bytes, size_t *size)
{
    struct ft_safetensors_map *maps = ft_resize(files->maps, files->map_count + 1, sizeof *maps);

    if (!maps)
        return -1;
    files->maps = maps;
    if (ft_file_map(path, bytes, size) < 0)
        return -1;
    maps[files->map_count++] = (struct ft_safetensors_map){*bytes, *size};
    return 0;
}

int ft_safetensors_open(struct ft_safetensors *files, const char *path)
{
    const void *bytes;
    size_t size;

    *files = (struct ft_safetensors){0};
    if (ft_safetensors_map(files, path, &bytes, &size) == 0 && ft_safetensors_add(files, path, bytes, size) == 0)
        return 0;
    ft_safetensors_close(files);
    return -1;
}

void ft_safetensors_close(struct ft_safetensors *files)
{
    for (size_t i = 0; i < files->map_count; i++)
        ft_file_unmap(files->maps[i].data, files->maps[i].size);
    free(files->maps);
    ft_arena_free(&files->arena);
    *files = (struct ft_safetensors){0};
}

const struct ft_safetensor *ft_safetensors_find(const struct ft_safetensors *files, const char *name)
{
    struct ft_safetensor key = {.name = name};

    return files->count ? bsearch(&key, files->tensors, files->count, sizeof key, by_name) : NULL;
}
