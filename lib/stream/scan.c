/* scan.c - where does a msgpack object end, and does it keep the limits? (msgpack specification, formats 0x00 to 0xff) */
#include "stream/scan.h"

#include "base/error.h"

enum shape { LEAF, TEXT, BLOB, ARRAY, MAP, INVALID };

/* What follows the first byte: a length of `length` bytes, or the bits of the first byte that are in `mask`; then `body` bytes more than
 * the length says. */
struct form {
    unsigned char shape, length, body, mask;
};

#define NUMBER(bytes) {LEAF, 0, bytes, 0}
#define LONG(shape, length) {shape, length, 0, 0}
#define EXTENSION(length) {BLOB, length, 1, 0}   /* a type byte and the data */

static const struct form forms[256] = {
    [0x00 ... 0x7f] = NUMBER(0),
    [0x80 ... 0x8f] = {MAP, 0, 0, 15}, [0x90 ... 0x9f] = {ARRAY, 0, 0, 15}, [0xa0 ... 0xbf] = {TEXT, 0, 0, 31},
    [0xc0] = NUMBER(0), LONG(INVALID, 0), NUMBER(0), NUMBER(0),              /* nil, never used, false, true */
    [0xc4] = LONG(BLOB, 1), LONG(BLOB, 2), LONG(BLOB, 4),                    /* bin 8, 16, 32 */
    [0xc7] = EXTENSION(1), EXTENSION(2), EXTENSION(4),
    [0xca] = NUMBER(4), NUMBER(8),                                           /* float 32, 64 */
    [0xcc] = NUMBER(1), NUMBER(2), NUMBER(4), NUMBER(8),                     /* uint 8 to 64 */
    [0xd0] = NUMBER(1), NUMBER(2), NUMBER(4), NUMBER(8),                     /* int 8 to 64 */
    [0xd4] = NUMBER(2), NUMBER(3), NUMBER(5), NUMBER(9), NUMBER(17),         /* fixext 1 to 16 */
    [0xd9] = LONG(TEXT, 1), LONG(TEXT, 2), LONG(TEXT, 4),
    [0xdc] = LONG(ARRAY, 2), LONG(ARRAY, 4), LONG(MAP, 2), LONG(MAP, 4),
    [0xe0 ... 0xff] = NUMBER(0),
};

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

/* Most of what containers hold are short strings and small numbers, which open nothing and are within all limits: past as many of them as
 * there are. Without the table, which would be waited for between one and the next. */
static void step_over_small(struct ft_scan *scan, const unsigned char *p, size_t size)
{
    uint32_t left = scan->left[scan->depth - 1];
    size_t at = scan->at;

    for (; left && at < size; left--) {
        unsigned char first = p[at];

        if (first >= 0xa0 && first <= 0xbf)
            at += (size_t)1 + (first & 31);
        else if (first < 0x80 || first >= 0xe0)
            at++;
        else
            break;
    }
    scan->left[scan->depth - 1] = left;
    scan->at = at;
}

int ft_scan_step(struct ft_scan *scan, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;

    for (;;) {
        struct form form;
        uint32_t value;
        int parent;

        if (scan->depth && scan->at < size)
            step_over_small(scan, p, size);
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
        form = forms[p[scan->at]];
        if (size - scan->at < (size_t)1 + form.length)
            return 0;
        value = p[scan->at] & form.mask;
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
    struct ft_scan scan;
    int whole;

    ft_scan_begin(&scan);
    whole = ft_scan_step(&scan, bytes, size);
    return whole > 0 ? (long)scan.at : whole;
}
