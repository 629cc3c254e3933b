/* normalize.c - what tokenizer.json's normalizers do to a text. */
#include "data/tokenizer-general.h"
#include "data/unicode.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static void add(struct ft_general_run *run, struct ft_buffer *out, const char *data, size_t size)
{
    if (!run->failed && ft_buffer_add(out, data, size) < 0)
        run->failed = true;
}

static void add_code(struct ft_general_run *run, struct ft_buffer *out, uint32_t c)
{
    char bytes[4];

    add(run, out, bytes, ft_unicode_encode(c, bytes));
}

/* Of a part that has no code points newer than the normal forms are. */
static void form_part(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in, utf8proc_option_t options)
{
    utf8proc_uint8_t *text = NULL;
    utf8proc_ssize_t size;

    if (run->failed || in.size == 0)
        return;
    size = utf8proc_map((const utf8proc_uint8_t *)in.data, (utf8proc_ssize_t)in.size, &text, UTF8PROC_STABLE | options);
    if (size < 0) {
        ft_fail(FT_SYSTEM, "a normal form of %zu bytes: %s", in.size, utf8proc_errmsg(size));
        run->failed = true;
    } else {
        add(run, out, (const char *)text, (size_t)size);
    }
    free(text);
}

/* One of Unicode's four normal forms. */
static void normal_form(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in, utf8proc_option_t options)
{
    size_t from = 0, size;

    for (size_t at = 0; at < in.size; at += size) {
        uint32_t c;

        if ((size = ft_unicode_settled[(uint8_t)in.data[at]]))
            continue;
        size = ft_unicode_decode((const uint8_t *)in.data + at, in.size - at, &c);
        if (!ft_unicode_is_apart(c))
            continue;
        form_part(run, out, (struct ft_string){in.data + from, at - from}, options);
        add(run, out, in.data + at, size);
        from = at + size;
    }
    form_part(run, out, (struct ft_string){in.data + from, in.size - from}, options);
}

/* Each code point by itself, so a final sigma is not told from another. */
static void lower(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in)
{
    size_t size;

    for (size_t at = 0; at < in.size; at += size) {
        uint32_t c;

        size = ft_unicode_decode((const uint8_t *)in.data + at, in.size - at, &c);
        add_code(run, out, c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : ft_unicode_lower(c));
        if (c == 0x130)
            add_code(run, out, 0x307);
    }
}

static void drop_accents(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in)
{
    size_t size;

    for (size_t at = 0; at < in.size; at += size) {
        uint32_t c;

        size = ft_unicode_decode((const uint8_t *)in.data + at, in.size - at, &c);
        if (!ft_unicode_is_accent(c))
            add(run, out, in.data + at, size);
    }
}

static void replace(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in, const struct ft_normal_step *step)
{
    struct ft_string seen = in;
    size_t at = 0, start = 0, stop;

    run->failed |= ft_pattern_see(&step->pattern, &run->seen[0], &seen) < 0;
    while (!run->failed && ft_pattern_find(&step->pattern, run->match, seen, &start, &stop)) {
        add(run, out, in.data + at, start - at);
        add(run, out, step->content.data, step->content.size);
        at = start = stop;
    }
    add(run, out, in.data + at, in.size - at);
}

static size_t space_before(struct ft_string in, size_t end)
{
    size_t back = 1;
    uint32_t c;

    while (back < end && ((uint8_t)in.data[end - back] & 0xc0) == 0x80)
        back++;
    ft_unicode_decode((const uint8_t *)in.data + end - back, back, &c);
    return ft_unicode_flags(c) & FT_UNICODE_SPACE ? back : 0;
}

static void strip(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in, const struct ft_normal_step *step)
{
    size_t start = 0, size;
    uint32_t c;

    while (step->left && start < in.size) {
        size = ft_unicode_decode((const uint8_t *)in.data + start, in.size - start, &c);
        if (!(ft_unicode_flags(c) & FT_UNICODE_SPACE))
            break;
        start += size;
    }
    while (step->right && in.size > start && (size = space_before(in, in.size)) > 0)
        in.size -= size;
    add(run, out, in.data + start, in.size - start);
}

/* What the map makes of a text that begins so; a null `data` is nothing. Without `taken` the shortest of its sequences counts, and for the whole of `chunk`: so
 * tokenizers reads the map, and its ids are the ones to equal. With it the longest does, of so many bytes: so SentencePiece does. */
static struct ft_string charsmap_find(const struct ft_charsmap *map, const char *chunk, size_t size, size_t *taken)
{
    struct ft_string found = {NULL, 0};
    size_t node = 0;
    uint32_t unit = map->units[0];

    node ^= (size_t)(unit >> 10) << ((unit & 1 << 9) >> 6);
    for (size_t i = 0; i < size && chunk[i]; i++) {
        node ^= (uint8_t)chunk[i];
        if (node >= map->count)
            return found;
        unit = map->units[node];
        if ((unit & (1u << 31 | 0xff)) != (uint8_t)chunk[i])
            return found;
        node ^= (size_t)(unit >> 10) << ((unit & 1 << 9) >> 6);
        if (unit >> 8 & 1) {
            uint32_t value = node < map->count ? map->units[node] & ~(1u << 31) : UINT32_MAX;

            if (value >= map->texts.size)
                return found;
            found = ft_string_of(map->texts.data + value);   /* the texts end with a null byte, so this does */
            if (!taken)
                return found;
            *taken = i + 1;
        }
    }
    return found;
}

/* A file's map may point into the middle of a character; all that comes after takes the text for UTF-8. */
static void add_valid(struct ft_general_run *run, struct ft_buffer *out, struct ft_string text)
{
    size_t size;

    for (size_t at = 0; at < text.size; at += size) {
        uint32_t c;

        size = ft_unicode_decode((const uint8_t *)text.data + at, text.size - at, &c);
        add_code(run, out, c);
    }
}

static void precompiled_part(struct ft_general_run *run, struct ft_buffer *out, const struct ft_charsmap *map, struct ft_string grapheme)
{
    struct ft_string text = grapheme.size < 6 ? charsmap_find(map, grapheme.data, grapheme.size, NULL) : (struct ft_string){NULL, 0};
    size_t size;

    if (text.data) {
        add_valid(run, out, text);
        return;
    }
    for (size_t at = 0; at < grapheme.size; at += size) {
        uint32_t c;

        size = ft_unicode_decode((const uint8_t *)grapheme.data + at, grapheme.size - at, &c);
        text = charsmap_find(map, grapheme.data + at, size, NULL);
        if (text.data)
            add_valid(run, out, text);
        else
            add(run, out, grapheme.data + at, size);
    }
}

/* SentencePiece's own way: from the left, the longest sequence that the map has, else a character as it is. */
static void precompiled_longest(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in, const struct ft_charsmap *map)
{
    for (size_t at = 0, size; at < in.size; at += size) {
        uint32_t c;
        struct ft_string text = map->count ? charsmap_find(map, in.data + at, in.size - at, &size) : (struct ft_string){NULL, 0};

        if (text.data) {
            add_valid(run, out, text);
            continue;
        }
        size = ft_unicode_decode((const uint8_t *)in.data + at, in.size - at, &c);
        add(run, out, in.data + at, size);
    }
}

enum { ACUTE = 0x301 };   /* a mark that every utf8proc knows */

/* Grapheme by grapheme, as a whole where the map has one so begun, else code point by code point. */
static void precompiled(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in, const struct ft_charsmap *map)
{
    utf8proc_int32_t before = 0, state = 0;
    size_t start = 0, size;

    if (map->count == 0) {
        add(run, out, in.data, in.size);
        return;
    }
    for (size_t at = 0; at < in.size; at += size) {
        uint32_t c;

        size = ft_unicode_decode((const uint8_t *)in.data + at, in.size - at, &c);
        c = ft_unicode_extends(c) ? ACUTE : c;
        if (at && utf8proc_grapheme_break_stateful(before, (utf8proc_int32_t)c, &state)) {
            precompiled_part(run, out, map, (struct ft_string){in.data + start, at - start});
            start = at;
        }
        before = (utf8proc_int32_t)c;
    }
    if (start < in.size)
        precompiled_part(run, out, map, (struct ft_string){in.data + start, in.size - start});
}

static void bert(struct ft_general_run *run, struct ft_buffer *out, struct ft_string in, const struct ft_rules *rules)
{
    struct ft_tokens none = {0};
    struct ft_split split;

    ft_split_begin(&split, &run->tokenizer->vocabulary, run->tokenizer->flags, &none, SIZE_MAX);
    split.normal = out;
    ft_split_text(&split, rules, in);
    ft_split_end(&split);
    run->failed |= split.failed;
}

static void one_step(struct ft_general_run *run, const struct ft_normal_step *step, struct ft_string in, struct ft_buffer *out)
{
    switch (step->kind) {
    case FT_NORMAL_NFC: normal_form(run, out, in, UTF8PROC_COMPOSE); break;
    case FT_NORMAL_NFD: normal_form(run, out, in, UTF8PROC_DECOMPOSE); break;
    case FT_NORMAL_NFKC: normal_form(run, out, in, UTF8PROC_COMPOSE | UTF8PROC_COMPAT); break;
    case FT_NORMAL_NFKD: normal_form(run, out, in, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT); break;
    case FT_NORMAL_LOWER: lower(run, out, in); break;
    case FT_NORMAL_ACCENTS: drop_accents(run, out, in); break;
    case FT_NORMAL_REPLACE: replace(run, out, in, step); break;
    case FT_NORMAL_STRIP: strip(run, out, in, step); break;
    case FT_NORMAL_PRECOMPILED: (step->longest ? precompiled_longest : precompiled)(run, out, in, &step->map); break;
    case FT_NORMAL_BERT: bert(run, out, in, &step->rules); break;
    case FT_NORMAL_PREPEND:
        if (in.size && (!step->first || run->first))
            add(run, out, step->content.data, step->content.size);
        add(run, out, in.data, in.size);
        break;
    }
}

void ft_normalize(struct ft_general_run *run, struct ft_string text)
{
    const struct ft_general *general = run->tokenizer->general;

    run->normal.size = 0;
    add(run, &run->normal, text.data, text.size);
    for (int i = 0; i < general->normal_count && !run->failed; i++) {
        struct ft_buffer before = run->normal;

        run->other.size = 0;
        one_step(run, &general->normal[i], (struct ft_string){before.data, before.size}, &run->other);
        run->normal = run->other;
        run->other = before;
    }
}
