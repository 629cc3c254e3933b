/* torchfile.c - a file of torch.save: its parts found, its storages put to what its pickle says of them, its state dict made into a list. */
#include "model/weights/torchfile.h"
#include "base/error.h"
#include "data/lines.h"
#include "model/weights/pickle.h"
#include "model/weights/zip.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    struct ft_pickle pickle;
    struct ft_zip zip;
    struct ft_arena arena;
    struct ft_string file;
    size_t copied;                   /* bytes of tensors not in order; at most the file's size */
};

/* ---- the formats: afterwards `*top` is the object, and storages have their bytes ---------------------------------------- */

/* An entry that is read; NULL: there is none of that name. -1: it is there and compressed. */
static int find_stored(const struct ft_zip *zip, const char *directory, struct ft_string name, const struct ft_zip_entry **entry)
{
    *entry = ft_zip_find(zip, directory, name);
    if (!*entry || !(*entry)->compressed)
        return 0;
    return ft_fail(FT_BAD, "%s%.*s: compressed, expected stored as torch.save does", directory, (int)name.size, name.data);
}

static int read_zip(struct reader *r, struct ft_pickle_value *top)
{
    const struct ft_zip_entry *entry;
    size_t used;

    if (ft_zip_open(&r->zip, &r->arena, r->file) < 0)
        return -1;
    if (ft_zip_find(&r->zip, "", FT_STRING("constants.pkl")))
        return ft_fail(FT_BAD, "a TorchScript program: expected a state dict, as torch.save(model.state_dict(), ...) writes it");
    if (find_stored(&r->zip, "", FT_STRING("byteorder"), &entry) < 0)
        return -1;
    if (entry && !ft_string_is(entry->bytes, "little"))
        return ft_fail(FT_BAD, "byteorder: expected little");
    if (find_stored(&r->zip, "", FT_STRING("data.pkl"), &entry) < 0)
        return -1;
    if (!entry)
        return ft_fail(FT_BAD, "a zip archive without data.pkl: not of torch.save");
    if (ft_pickle_read(&r->pickle, entry->bytes, &used, top) < 0)
        return ft_error_prefix("data.pkl: ");
    for (size_t i = 0; i < r->pickle.storage_count; i++) {
        struct ft_pickle_storage *storage = r->pickle.storages + i;

        if (find_stored(&r->zip, "data/", storage->key, &entry) < 0)
            return -1;
        if (entry)
            storage->bytes = entry->bytes;
    }
    return 0;
}

static int by_key(const void *a, const void *b)
{
    return ft_string_order((*(struct ft_pickle_storage *const *)a)->key, (*(struct ft_pickle_storage *const *)b)->key);
}

/* One storage of a legacy file: how many numbers, then these. All that the pickle says under this key get it. */
static int place_storage(struct reader *r, struct ft_pickle_storage **sorted, struct ft_pickle_value key, size_t *at)
{
    bool text = key.kind == FT_PICKLE_TEXT;
    struct ft_pickle_storage wanted = {.key = {text ? key.text : "", text ? key.size : 0}}, *pointer = &wanted, **found;
    size_t count = r->pickle.storage_count, rest = r->file.size - *at;
    uint64_t numbers = 0, size;

    if (!text || !(found = bsearch(&pointer, sorted, count, sizeof *sorted, by_key)))
        return ft_fail(FT_BAD, "a storage that no tensor asks for");
    while (found > sorted && by_key(found - 1, &pointer) == 0)
        found--;
    if ((*found)->bytes.data)
        return ft_fail(FT_BAD, "storage %.*s: twice", key.size < 100 ? (int)key.size : 100, key.text);
    for (size_t i = 0; rest >= 8 && i < 8; i++)
        numbers |= (uint64_t)(unsigned char)r->file.data[*at + i] << 8 * i;
    if (rest < 8 || __builtin_mul_overflow(numbers, (uint64_t)(*found)->type->size, &size) || size > rest - 8)
        return ft_fail(FT_BAD, "storage %.*s: %llu numbers, but %zu bytes of the file are left", key.size < 100 ? (int)key.size : 100, key.text,
                       (unsigned long long)numbers, rest < 8 ? 0 : rest - 8);
    for (; found < sorted + count && by_key(found, &pointer) == 0; found++)
        (*found)->bytes = (struct ft_string){r->file.data + *at + 8, size};
    *at += 8 + size;
    return 0;
}

static int place_storages(struct reader *r, struct ft_pickle_value keys, size_t at)
{
    size_t count = r->pickle.storage_count;
    struct ft_pickle_storage **sorted = ft_arena_zero(&r->arena, count ? count : 1, sizeof *sorted);

    if (!sorted)
        return -1;
    if (keys.kind != FT_PICKLE_LIST)
        return ft_fail(FT_BAD, "no list of storages");
    for (size_t i = 0; i < count; i++)
        sorted[i] = r->pickle.storages + i;
    qsort(sorted, count, sizeof *sorted, by_key);
    for (uint32_t i = r->pickle.boxes[keys.number].first; i; i = r->pickle.items[i].next)
        if (place_storage(r, sorted, r->pickle.items[i].value, &at) < 0)
            return -1;
    return 0;
}

/* torch's magic number, as a pickle's long and in the digits of protocol 1. */
static bool is_magic(struct ft_pickle_value value)
{
    struct ft_string text = {value.text, value.size};

    return value.kind == FT_PICKLE_LONG && (ft_string_equal(text, FT_STRING("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")) ||
                                            ft_string_is(text, "119547037146038801333356"));
}

static int read_legacy(struct reader *r, struct ft_pickle_value *top)
{
    static const char *const parts[] = {"magic number", "version", "system", "object", "storages"};
    struct ft_pickle_value values[5];
    const struct ft_pickle_value *little;
    size_t at = 0, used;

    for (int i = 0; i < 5; i++) {
        if (ft_pickle_read(&r->pickle, (struct ft_string){r->file.data + at, r->file.size - at}, &used, values + i) < 0)
            return ft_error_prefix("%s (at %zu): ", parts[i], at);
        at += used;
        if (i == 0 && !is_magic(values[0]))
            return ft_fail(FT_BAD, "a pickle, but not of torch.save: its magic number is missing");
        if (i == 1 && (values[1].kind != FT_PICKLE_INTEGER || values[1].integer != 1001))
            return ft_fail(FT_BAD, "not version 1001 of torch's format");
    }
    little = ft_pickle_get(&r->pickle, values[2], "little_endian");
    if (little && (little->kind != FT_PICKLE_INTEGER || little->integer != 1))
        return ft_fail(FT_BAD, "written on a big-endian machine");
    *top = values[3];
    return place_storages(r, values[4], at);
}

/* ---- the state dict ---------------------------------------------------------------------------------------------------------- */

struct entry {
    struct ft_string name;
    struct ft_pickle_value value;
};

static size_t count_tensors(const struct ft_pickle *p, struct ft_pickle_value dictionary)
{
    size_t count = 0;

    if (dictionary.kind == FT_PICKLE_DICTIONARY)
        for (uint32_t i = p->boxes[dictionary.number].first; i; i = p->items[i].next)
            count += p->items[i].value.kind == FT_PICKLE_TENSOR && p->items[i].key.kind == FT_PICKLE_TEXT;
    return count;
}

static struct ft_pickle_value state_dict(const struct ft_pickle *p, struct ft_pickle_value top)
{
    static const char *const keys[] = {"state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict", "module"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct ft_pickle_value *inside = ft_pickle_get(p, top, keys[i]);

        if (inside && count_tensors(p, *inside))
            return *inside;
    }
    return top;
}

static int by_entry(const void *a, const void *b)
{
    return ft_string_order(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static bool all_begin(const struct entry *entries, size_t count, const char *prefix)
{
    size_t size = strlen(prefix);

    for (size_t i = 0; i < count; i++)
        if (entries[i].name.size <= size || memcmp(entries[i].name.data, prefix, size) != 0)
            return false;
    return true;
}

/* What wraps a module puts its own name before all others, some of them more than once. */
static void strip(struct entry *entries, size_t count)
{
    static const char *const wrappers[] = {"module.", "_orig_mod."};

    for (size_t w = 0; count && w < 2;) {
        if (!all_begin(entries, count, wrappers[w])) {
            w++;
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            entries[i].name.data += strlen(wrappers[w]);
            entries[i].name.size -= strlen(wrappers[w]);
        }
        w = 0;
    }
}

/* The dictionary's tensors, sorted by name. In Python a name stands for what came last under it; torch writes none twice. */
static struct entry *list_entries(struct reader *r, struct ft_pickle_value dictionary, size_t count)
{
    const struct ft_pickle *p = &r->pickle;
    struct entry *entries = ft_arena_zero(&r->arena, count, sizeof *entries);
    size_t n = 0;

    if (!entries)
        return NULL;
    for (uint32_t i = p->boxes[dictionary.number].first; i; i = p->items[i].next) {
        struct ft_pickle_value key = p->items[i].key;

        if (key.kind != FT_PICKLE_TEXT || p->items[i].value.kind != FT_PICKLE_TENSOR)
            continue;
        if (key.size > FT_PICKLE_NAME) {
            ft_fail(FT_BAD, "%.100s...: a tensor's name of %u bytes, expected at most %d", key.text, key.size, FT_PICKLE_NAME);
            return NULL;
        }
        entries[n++] = (struct entry){{key.text, key.size}, p->items[i].value};
    }
    strip(entries, count);
    qsort(entries, count, sizeof *entries, by_entry);
    for (size_t i = 0; i < count; i++) {
        struct ft_string name = entries[i].name;

        if (ft_utf8_check(name.data, name.size) != name.size) {
            ft_fail(FT_BAD, "a tensor's name is not UTF-8");
            return NULL;
        }
        if (i && ft_string_equal(name, entries[i - 1].name)) {
            ft_fail(FT_BAD, "%.*s: twice in the state dict", name.size < 200 ? (int)name.size : 200, name.data);
            return NULL;
        }
    }
    return entries;
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------------- */

/* The tensor's numbers in its own order. The last dimension runs fastest; `at` is where the others stand. */
static void copy_strided(char *out, const char *data, const struct ft_pickle_tensor *t)
{
    size_t width = t->type->size;
    uint64_t at[8] = {0}, last = t->rank ? t->shape[t->rank - 1] : 1, stride = t->rank ? t->stride[t->rank - 1] : 1;

    for (uint64_t done = 0; done < t->count; done += last) {
        const char *row = data;

        for (int i = 0; i + 1 < t->rank; i++)
            row += at[i] * t->stride[i] * width;
        for (uint64_t k = 0; k < last; k++, out += width)
            memcpy(out, row + k * stride * width, width);
        for (int i = t->rank - 2; i >= 0 && ++at[i] == t->shape[i]; i--)
            at[i] = 0;
    }
}

static int read_tensor(struct reader *r, struct ft_arena *arena, struct ft_pickle_value value, struct ft_safetensor *out)
{
    struct ft_pickle_tensor t;
    uint64_t need;
    char *copy;

    if (ft_pickle_tensor(&r->pickle, value, &t) < 0)
        return -1;
    if (!t.storage->bytes.data)
        return ft_fail(FT_BAD, "its storage is not in the file");
    if (__builtin_mul_overflow(t.storage->count, (uint64_t)t.storage->type->size, &need) || need > t.storage->bytes.size)
        return ft_fail(FT_BAD, "its storage has %zu bytes, expected %llu numbers of %zu", t.storage->bytes.size,
                       (unsigned long long)t.storage->count, t.storage->type->size);
    out->dtype = t.type->dtype;
    out->rank = t.rank;
    memcpy(out->shape, t.shape, sizeof out->shape);
    out->count = t.count;
    out->data = t.storage->bytes.data + t.offset;
    if (__builtin_mul_overflow(t.count, (uint64_t)t.type->size, &need) || (!t.contiguous && need > r->file.size - r->copied))
        return ft_fail(FT_BAD, "not contiguous, and larger than the file that it is in (an expanded view?): expected tensor.contiguous()");
    out->size = need;
    if (t.contiguous)
        return 0;
    r->copied += need;
    if (!(copy = ft_arena_take(arena, need)))
        return -1;
    copy_strided(copy, out->data, &t);
    out->data = copy;
    return 0;
}

static int add_tensors(struct reader *r, struct ft_safetensors *files, struct ft_pickle_value top)
{
    struct ft_pickle_value dictionary = state_dict(&r->pickle, top);
    size_t count = count_tensors(&r->pickle, dictionary);
    struct ft_safetensor *all;
    struct entry *entries;

    if (count == 0)
        return ft_fail(FT_BAD, "no tensors in it: expected a state dict, or one under state_dict, model, model_state_dict");
    if (!(entries = list_entries(r, dictionary, count)) || !(all = ft_safetensors_room(files, count)))
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct ft_string name = entries[i].name;

        if (read_tensor(r, &files->arena, entries[i].value, all + i) < 0)
            return ft_error_prefix("%.*s: ", name.size < 200 ? (int)name.size : 200, name.data);
        if (!(all[i].name = ft_arena_text(&files->arena, name)))
            return -1;
        files->count++;
    }
    ft_safetensors_sort(files);
    return 0;
}

/* Byte 8 of a safetensors file opens its header. */
bool ft_torchfile_is(const void *bytes, size_t size)
{
    const char *p = bytes;

    if (size < 4 || (size > 8 && p[8] == '{'))
        return false;
    return memcmp(p, "PK\3\4", 4) == 0 || memcmp(p, "L119", 4) == 0 || (p[0] == (char)0x80 && p[1] >= 1 && p[1] <= 5);
}

int ft_torchfile_add(struct ft_safetensors *files, const char *path, const void *bytes, size_t size)
{
    struct reader r = {.file = {bytes, size}};
    struct ft_pickle_value top;
    int result;

    if (!ft_torchfile_is(bytes, size))
        result = ft_fail(FT_BAD, "neither of the two formats of torch.save");
    else
        result = *(const char *)bytes == 'P' ? read_zip(&r, &top) : read_legacy(&r, &top);
    if (result == 0)
        result = add_tensors(&r, files, top);
    ft_pickle_free(&r.pickle);
    ft_arena_free(&r.arena);
    return result < 0 ? ft_error_prefix("%s: ", path) : 0;
}
