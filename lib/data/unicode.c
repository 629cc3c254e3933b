/* unicode.c - looking things up in unicode-table.c, and UTF-8. */
#include "data/unicode.h"

#include <string.h>

void ft_unicode_fill(uint8_t *flags)
{
    size_t i;

    for (i = 0; i < ft_unicode_starts_count; i++) {
        uint32_t start = ft_unicode_starts[i] >> 8;
        uint32_t end = i + 1 < ft_unicode_starts_count ? ft_unicode_starts[i + 1] >> 8 : FT_UNICODE_FLAT;

        if (start >= FT_UNICODE_FLAT)
            break;
        if (end > FT_UNICODE_FLAT)
            end = FT_UNICODE_FLAT;
        memset(flags + start, (int)(ft_unicode_starts[i] & 0xff), end - start);
    }
}

uint8_t ft_unicode_flags(uint32_t c)
{
    size_t low = 0, high = ft_unicode_starts_count;   /* the entry sought is in [low, high) */

    while (high - low > 1) {
        size_t middle = (low + high) / 2;

        if (ft_unicode_starts[middle] >> 8 <= c)
            low = middle;
        else
            high = middle;
    }
    return (uint8_t)(ft_unicode_starts[low] & 0xff);
}

uint32_t ft_unicode_lower(uint32_t c)
{
    size_t low = 0, high = ft_unicode_lower_count;

    if (c == 0x130)
        return 'i';
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct ft_unicode_lower_run *run = &ft_unicode_lower_runs[middle];

        if (c < run->first)
            high = middle;
        else if (c > run->last)
            low = middle + 1;
        else
            return (c - run->first) % (uint32_t)run->step ? c : (uint32_t)((int32_t)c + run->difference);
    }
    return c;
}

static const struct ft_unicode_run *find_run(const struct ft_unicode_run *runs, size_t count, uint32_t c)
{
    size_t low = 0, high = count;

    if (c < runs[0].first)
        return NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (c < runs[middle].first)
            high = middle;
        else if (c > runs[middle].last)
            low = middle + 1;
        else
            return &runs[middle];
    }
    return NULL;
}

uint8_t ft_unicode_combining(uint32_t c)
{
    const struct ft_unicode_run *run = find_run(ft_unicode_combining_runs, ft_unicode_combining_count, c);

    return run ? (uint8_t)run->value : 0;
}

bool ft_unicode_is_number(uint32_t c)
{
    return find_run(ft_unicode_number_runs, ft_unicode_number_count, c) != NULL;
}

bool ft_unicode_is_accent(uint32_t c)
{
    return find_run(ft_unicode_accent_runs, ft_unicode_accent_count, c) != NULL;
}

bool ft_unicode_is_apart(uint32_t c)
{
    return find_run(ft_unicode_apart_runs, ft_unicode_apart_count, c) != NULL;
}

bool ft_unicode_extends(uint32_t c)
{
    return find_run(ft_unicode_extend_runs, ft_unicode_extend_count, c) != NULL;
}

uint32_t ft_unicode_stand_in(uint32_t c)
{
    const struct ft_unicode_run *run = find_run(ft_unicode_stand_in_runs, ft_unicode_stand_in_count, c);

    return run ? run->value : c;
}

size_t ft_unicode_decode(const uint8_t *text, size_t size, uint32_t *c)
{
    uint8_t lead = text[0], low = 0x80, high = 0xbf;   /* bounds of the second byte */
    size_t length, i;
    uint32_t value;

    *c = lead;
    if (lead < 0x80)
        return 1;
    *c = FT_UNICODE_REPLACEMENT;
    if (lead < 0xc2 || lead > 0xf4)
        return 1;
    length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    value = lead & (0xffu >> (length + 1));
    for (i = 1; i < length; i++) {
        if (i == size || text[i] < low || text[i] > high)
            return i;
        value = value << 6 | (text[i] & 0x3f);
        low = 0x80;
        high = 0xbf;
    }
    *c = value;
    return length;
}

size_t ft_unicode_encode(uint32_t c, char *bytes)
{
    if (c < 0x80) {
        bytes[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        bytes[0] = (char)(0xc0 | c >> 6);
        bytes[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        bytes[0] = (char)(0xe0 | c >> 12);
        bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    bytes[0] = (char)(0xf0 | c >> 18);
    bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
    bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
    bytes[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}
