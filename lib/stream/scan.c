/* scan.c - where does a msgpack object end, and does it keep the limits? (msgpack specification, formats 0x00 to 0xff) */
#include "stream/scan.h"

#include "base/error.h"

enum shape { LEAF, TEXT, BLOB, ARRAY, MAP, INVALID };

/* What follows the first byte: a length of `length` bytes (0 = none), then `body` bytes more than the length says. */
struct form {
    unsigned char shape, length, body;
};

/* 0xc0 to 0xdf; the other first bytes carry their lengths in themselves. */
static const struct form forms[32] = {
    {LEAF, 0, 0}, {INVALID, 0, 0}, {LEAF, 0, 0}, {LEAF, 0, 0},     /* nil, never used, false, true */
    {BLOB, 1, 0}, {BLOB, 2, 0}, {BLOB, 4, 0},                      /* bin 8, 16, 32 */
    {BLOB, 1, 1}, {BLOB, 2, 1}, {BLOB, 4, 1},                      /* ext 8, 16, 32: a type byte and the data */
    {LEAF, 0, 4}, {LEAF, 0, 8},                                    /* float 32, 64 */
    {LEAF, 0, 1}, {LEAF, 0, 2}, {LEAF, 0, 4}, {LEAF, 0, 8},        /* uint 8 to 64 */
    {LEAF, 0, 1}, {LEAF, 0, 2}, {LEAF, 0, 4}, {LEAF, 0, 8},        /* int 8 to 64 */
    {LEAF, 0, 2}, {LEAF, 0, 3}, {LEAF, 0, 5}, {LEAF, 0, 9}, {LEAF, 0, 17},   /* fixext 1 to 16 */
    {TEXT, 1, 0}, {TEXT, 2, 0}, {TEXT, 4, 0},                      /* str 8, 16, 32 */
    {ARRAY, 2, 0}, {ARRAY, 4, 0}, {MAP, 2, 0}, {MAP, 4, 0},
};

static inline struct form form_of(unsigned char first, uint32_t *value)
{
    if (first >= 0xc0 && first <= 0xdf)
        return forms[first - 0xc0];
    if (first >= 0xa0 && first <= 0xbf) {
        *value = first & 31;
        return (struct form){TEXT, 0, 0};
    }
    if (first >= 0x80 && first <= 0x9f) {
        *value = first & 15;
        return (struct form){first < 0x90 ? MAP : ARRAY, 0, 0};
    }
    return (struct form){LEAF, 0, 0};
}

static int open_container(struct ft_scan *scan, bool map, uint32_t count)
{
    scan->items += count;
    if (scan->items > FT_LIMIT_ITEMS)
        return ft_fail(FT_BAD, "%s of %u entries, expected at most %d in a record", map ? "a map" : "an array", count, FT_LIMIT_ITEMS);
    if (scan->depth == FT_LIMIT_DEPTH)   /* for empty ones too: msgpack-c's stack, which is as deep, counts them */
        return ft_fail(FT_BAD, "maps and arrays nested deeper than %d", FT_LIMIT_DEPTH);
    if (count)
        scan->left[scan->depth++] = map ? count * 2 : count;
    return 0;
}

static int check(struct ft_scan *scan, unsigned char first, struct form form, uint32_t value)
{
    switch (form.shape) {
    case INVALID:
        return ft_fail(FT_BAD, "byte 0x%02x begins no msgpack object", first);
    case TEXT:
        if (value > FT_LIMIT_STRING)
            return ft_fail(FT_BAD, "a string of %u bytes, expected at most %d", value, FT_LIMIT_STRING);
        break;
    case BLOB:
        if (value > FT_LIMIT_BLOB)
            return ft_fail(FT_BAD, "a blob of %u bytes, expected at most %d", value, FT_LIMIT_BLOB);
        break;
    case ARRAY:
    case MAP:
        return open_container(scan, form.shape == MAP, value);
    default:
        break;
    }
    return 0;
}

int ft_scan_step(struct ft_scan *scan, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;

    for (;;) {
        uint32_t value = 0;
        struct form form;
        int parent;

        if (scan->at > FT_LIMIT_RECORD)
            return ft_fail(FT_BAD, "a record of more than %d bytes", FT_LIMIT_RECORD);
        if (scan->at > size)
            return 0;
        while (scan->depth && scan->left[scan->depth - 1] == 0)
            scan->depth--;
        if (scan->started && !scan->depth)
            return 1;
        if (scan->at == size)
            return 0;
        form = form_of(p[scan->at], &value);
        if (size - scan->at < (size_t)1 + form.length)
            return 0;
        for (int i = 1; i <= form.length; i++)
            value = value << 8 | p[scan->at + (size_t)i];
        parent = scan->depth;
        if (check(scan, p[scan->at], form, value) < 0)
            return -1;   /* and again when asked again */
        scan->started = true;
        if (parent)
            scan->left[parent - 1]--;
        scan->at += (size_t)1 + form.length + form.body + (form.shape == TEXT || form.shape == BLOB ? value : 0);
    }
}

long ft_msgpack_scan(const void *bytes, size_t size)
{
    struct ft_scan scan = {0};
    int whole = ft_scan_step(&scan, bytes, size);

    return whole > 0 ? (long)scan.at : whole;
}
