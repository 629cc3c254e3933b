/* zip.c - the central directory of an archive from a stranger, believed only after every number in it has been checked. */
#include "model/weights/zip.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* Sizes of the records without their names and extra fields. */
enum { LOCAL = 30, CENTRAL = 46, END = 22, LOCATOR = 20, END64 = 56, COMMENT = 65535 };

/* The longest name that is looked for: torch's are a file's name and a number. */
enum { LONGEST = 1024 };

struct directory {
    uint64_t offset, size, count;
};

static uint64_t number(const char *bytes, int size)
{
    uint64_t n = 0;

    for (int i = 0; i < size; i++)
        n |= (uint64_t)(unsigned char)bytes[i] << 8 * i;
    return n;
}

static bool inside(struct ft_string bytes, uint64_t offset, uint64_t size)
{
    return offset <= bytes.size && size <= bytes.size - offset;
}

/* The record at the end, behind which lies nothing but its own comment. */
static int find_end(struct ft_string bytes, uint64_t *end)
{
    for (uint64_t comment = 0; comment <= COMMENT && comment + END <= bytes.size; comment++) {
        const char *at = bytes.data + bytes.size - END - comment;

        if (number(at, 4) == 0x06054b50 && number(at + 20, 2) == comment) {
            *end = (uint64_t)(at - bytes.data);
            return 0;
        }
    }
    return ft_fail(FT_BAD, "no end of a zip archive: cut short");
}

/* Where numbers do not fit into the record at the end, it is full of ones and zip64's stands before it. */
static int find_directory(struct ft_string bytes, uint64_t end, struct directory *directory)
{
    const char *at = bytes.data + end, *locator = end < LOCATOR ? NULL : at - LOCATOR;
    uint64_t place;

    *directory = (struct directory){.count = number(at + 10, 2), .size = number(at + 12, 4), .offset = number(at + 16, 4)};
    if (number(at + 4, 2) != number(at + 6, 2) || number(at + 8, 2) != directory->count)
        return ft_fail(FT_BAD, "a zip archive in several parts");
    if (directory->count == 0xffff || directory->size == 0xffffffff || directory->offset == 0xffffffff) {
        if (!locator || number(locator, 4) != 0x07064b50 || (place = number(locator + 8, 8)) > end - LOCATOR ||
            !inside(bytes, place, END64) || number(bytes.data + place, 4) != 0x06064b50)
            return ft_fail(FT_BAD, "the zip archive's end asks for a zip64 record that is not there");
        at = bytes.data + place;
        *directory = (struct directory){.count = number(at + 32, 8), .size = number(at + 40, 8), .offset = number(at + 48, 8)};
        end = place;
    }
    if (!inside((struct ft_string){bytes.data, end}, directory->offset, directory->size) || directory->count > directory->size / CENTRAL)
        return ft_fail(FT_BAD, "the zip archive's directory: %llu entries in %llu bytes from %llu, the file has %zu",
                       (unsigned long long)directory->count, (unsigned long long)directory->size, (unsigned long long)directory->offset,
                       bytes.size);
    return 0;
}

/* Those of the three numbers that are all ones stand in the extra field of kind 1, in this order. */
static int read_extra(struct ft_string extra, uint64_t *size, uint64_t *stored, uint64_t *offset)
{
    uint64_t *numbers[] = {size, stored, offset};
    bool asks = *size == 0xffffffff || *stored == 0xffffffff || *offset == 0xffffffff;

    while (asks && extra.size >= 4) {
        size_t kind = number(extra.data, 2), length = number(extra.data + 2, 2), at = 0;

        extra.data += 4, extra.size -= 4;
        if (length > extra.size)
            break;
        for (int i = 0; kind == 1 && i < 3; i++) {
            if (*numbers[i] != 0xffffffff)
                continue;
            if (at + 8 > length)
                return ft_fail(FT_BAD, "its zip64 field is too short");
            *numbers[i] = number(extra.data + at, 8);
            at += 8;
        }
        if (kind == 1)
            return 0;
        extra.data += length, extra.size -= length;
    }
    return asks ? ft_fail(FT_BAD, "no zip64 field") : 0;
}

/* `at` is the entry's record in the directory; before `limit` lie all entries' bytes. */
static int read_entry(struct ft_zip_entry *entry, struct ft_string bytes, const char *at, uint64_t limit, struct ft_string extra)
{
    uint64_t method = number(at + 10, 2), stored = number(at + 20, 4), size = number(at + 24, 4), offset = number(at + 42, 4), skip;
    struct ft_string before = {bytes.data, limit};
    const char *local;

    if (number(at + 8, 2) & 1)
        return ft_fail(FT_BAD, "encrypted");
    entry->compressed = method != 0;
    if (read_extra(extra, &size, &stored, &offset) < 0)
        return -1;
    if (!inside(before, offset, LOCAL) || number(bytes.data + offset, 4) != 0x04034b50)
        return ft_fail(FT_BAD, "nothing of it at %llu", (unsigned long long)offset);
    local = bytes.data + offset;
    skip = LOCAL + number(local + 26, 2) + number(local + 28, 2);
    if (!inside(before, offset, skip) || number(local + 26, 2) != entry->name.size ||
        memcmp(local + LOCAL, entry->name.data, entry->name.size) != 0)
        return ft_fail(FT_BAD, "another name at %llu", (unsigned long long)offset);
    if ((size != stored && !entry->compressed) || !inside(before, offset + skip, stored))
        return ft_fail(FT_BAD, "%llu bytes from %llu, stored as %llu, and the directory begins at %llu", (unsigned long long)size,
                       (unsigned long long)(offset + skip), (unsigned long long)stored, (unsigned long long)limit);
    entry->bytes = (struct ft_string){bytes.data + offset + skip, entry->compressed ? 0 : size};
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return ft_string_order(((const struct ft_zip_entry *)a)->name, ((const struct ft_zip_entry *)b)->name);
}

static int read_entries(struct ft_zip *zip, struct ft_string bytes, const struct directory *directory)
{
    const char *at = bytes.data + directory->offset, *end = at + directory->size;

    for (size_t i = 0; i < directory->count; i++) {
        struct ft_zip_entry *entry = zip->entries + i;
        struct ft_string extra;
        uint64_t record;

        if (end - at < CENTRAL || number(at, 4) != 0x02014b50)
            return ft_fail(FT_BAD, "entry %zu of the zip archive's directory is not there", i + 1);
        entry->name = (struct ft_string){at + CENTRAL, number(at + 28, 2)};
        extra = (struct ft_string){at + CENTRAL + entry->name.size, number(at + 30, 2)};
        record = CENTRAL + entry->name.size + extra.size + number(at + 32, 2);
        if (record > (uint64_t)(end - at) || entry->name.size == 0 || memchr(entry->name.data, '\0', entry->name.size))
            return ft_fail(FT_BAD, "entry %zu of the zip archive's directory: its name is not there or longer than it", i + 1);
        if (read_entry(entry, bytes, at, directory->offset, extra) < 0)
            return ft_error_prefix("%.*s: ", entry->name.size < 200 ? (int)entry->name.size : 200, entry->name.data);
        at += record;
        zip->count++;
    }
    return 0;
}

int ft_zip_open(struct ft_zip *zip, struct ft_arena *arena, struct ft_string bytes)
{
    struct directory directory;
    const char *slash;
    uint64_t end = 0;

    *zip = (struct ft_zip){0};
    if (find_end(bytes, &end) < 0 || find_directory(bytes, end, &directory) < 0)
        return -1;
    if (directory.count == 0)
        return ft_fail(FT_BAD, "an empty zip archive");
    if (!(zip->entries = ft_arena_zero(arena, directory.count, sizeof *zip->entries)) || read_entries(zip, bytes, &directory) < 0)
        return -1;
    zip->root = zip->entries[0].name;
    slash = memchr(zip->root.data, '/', zip->root.size);
    zip->root.size = slash ? (size_t)(slash + 1 - zip->root.data) : 0;
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
    for (size_t i = 1; i < zip->count; i++) {
        struct ft_string name = zip->entries[i].name;

        if (ft_string_equal(name, zip->entries[i - 1].name))
            return ft_fail(FT_BAD, "%.*s: twice in the zip archive", name.size < 200 ? (int)name.size : 200, name.data);
    }
    return 0;
}

const struct ft_zip_entry *ft_zip_find(const struct ft_zip *zip, const char *directory, struct ft_string name)
{
    size_t middle = strlen(directory);
    char path[LONGEST];
    struct ft_zip_entry key = {.name = {path, zip->root.size + middle + name.size}};

    if (name.size > LONGEST || key.name.size > LONGEST)
        return NULL;
    memcpy(path, zip->root.data, zip->root.size);
    memcpy(path + zip->root.size, directory, middle);
    memcpy(path + zip->root.size + middle, name.data, name.size);
    return bsearch(&key, zip->entries, zip->count, sizeof key, by_name);
}
