/* matches.c - matches as lines, JSON and fields of documents. */
#include "eval/matches.h"
#include "base/error.h"
#include "eval/vote.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* The next code point of text[*at...], which moves on; U+FFFD for a byte that begins none. */
static utf8proc_int32_t next_code(struct ft_string text, size_t *at)
{
    utf8proc_int32_t code;
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text.data + *at,
                                             (utf8proc_ssize_t)(text.size - *at), &code);

    *at += size > 0 ? (size_t)size : 1;
    return size > 0 ? code : 0xfffd;
}

static int add_code(struct ft_buffer *out, utf8proc_int32_t code)
{
    utf8proc_uint8_t bytes[4];

    return ft_buffer_add(out, bytes, (size_t)utf8proc_encode_char(code, bytes));
}

/* Control characters, among them those that would move a terminal's cursor, and separators. */
static bool is_blank(utf8proc_int32_t code)
{
    utf8proc_category_t category = utf8proc_category(code);

    return category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZS ||
           category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

int ft_line_add(struct ft_buffer *out, struct ft_string text, size_t width)
{
    size_t at = 0, columns = 0, fits = out->size;
    bool blank = false, first = true;

    while (at < text.size) {
        utf8proc_int32_t code = next_code(text, &at);
        size_t wide = (size_t)utf8proc_charwidth(code);

        if (is_blank(code)) {
            blank = !first;
            continue;
        }
        if (width && columns + blank + wide > width) {
            out->size = fits;
            return width ? add_code(out, 0x2026) : 0;
        }
        if ((blank && ft_buffer_add(out, " ", 1) < 0) || add_code(out, code) < 0)
            return -1;
        columns += blank + wide;
        if (columns < width)
            fits = out->size;
        blank = first = false;
    }
    return 0;
}

static size_t columns_of(const char *text, size_t size)
{
    struct ft_string all = {text, size};
    size_t at = 0, columns = 0;

    while (at < size)
        columns += (size_t)utf8proc_charwidth(next_code(all, &at));
    return columns;
}

int ft_matches_text(struct ft_buffer *out, const struct ft_matches *m, size_t width)
{
    struct ft_buffer bytes = {NULL, 0, 0};
    struct ft_kept kept;
    int result = 0;

    for (size_t i = 0; result == 0 && i < m->k && m->match[i].item != FT_NO_ITEM; i++) {
        size_t from = out->size, used, room = 0;

        if (ft_collection_kept(m->index, m->match[i].item, &bytes, &kept) < 0 ||
            ft_buffer_print(out, "%.4f\t", ft_distance_shown(m->distance, m->match[i].score)) < 0 ||
            ft_line_add(out, kept.id, 0) < 0 || ft_buffer_print(out, "\t") < 0) {
            result = -1;
            break;
        }
        /* Tabs stop at every eighth column: 8 for the score, the id's own up to the next stop. */
        if (width) {
            used = 8 + (columns_of(out->data + from, out->size - from - 1) - 6 + 8) / 8 * 8;
            room = width > used + 16 ? width - used : 16;
        }
        result = ft_line_add(out, kept.name, room) < 0 ? -1 : ft_buffer_print(out, "\n");
    }
    ft_buffer_free(&bytes);
    return result;
}

/* ---- JSON ---- */

int ft_text_json(struct ft_buffer *out, struct ft_string text)
{
    int result = ft_buffer_add(out, "\"", 1);

    for (size_t at = 0; result == 0 && at < text.size;) {
        utf8proc_int32_t code = next_code(text, &at);

        if (code == '"' || code == '\\')
            result = ft_buffer_print(out, "\\%c", (int)code);
        else if (code == '\n')
            result = ft_buffer_print(out, "\\n");
        else if (code == '\t')
            result = ft_buffer_print(out, "\\t");
        else if (code < 0x20 || code == 0x7f)
            result = ft_buffer_print(out, "\\u%04x", (unsigned)code);
        else
            result = add_code(out, code);
    }
    return result < 0 ? -1 : ft_buffer_add(out, "\"", 1);
}

static int add_match_json(struct ft_buffer *out, const struct ft_matches *m, size_t i, struct ft_buffer *bytes)
{
    double score = ft_distance_shown(m->distance, m->match[i].score);
    struct ft_kept kept;

    if (ft_collection_kept(m->index, m->match[i].item, bytes, &kept) < 0 ||
        ft_buffer_print(out, "%s{\"id\": ", i ? ", " : "") < 0 || ft_text_json(out, kept.id) < 0 ||
        ft_buffer_print(out, ", \"score\": %.8g, \"%s\": ", score, kept.image ? "uri" : "text") < 0 || ft_text_json(out, kept.name) < 0)
        return -1;
    return ft_buffer_print(out, "}");
}

int ft_matches_json(struct ft_buffer *out, struct ft_string query, const struct ft_votes *votes, const struct ft_matches *m)
{
    struct ft_buffer bytes = {NULL, 0, 0};
    int result = 0;

    if (ft_buffer_print(out, "{\"query\": ") < 0 || ft_text_json(out, query) < 0 ||
        (votes && (ft_buffer_print(out, ", ") < 0 || ft_votes_json(out, votes) < 0)) || ft_buffer_print(out, ", \"matches\": [") < 0)
        result = -1;
    for (size_t i = 0; result == 0 && i < m->k && m->match[i].item != FT_NO_ITEM; i++)
        result = add_match_json(out, m, i, &bytes);
    ft_buffer_free(&bytes);
    return result < 0 ? -1 : ft_buffer_print(out, "]}\n");
}

/* ---- documents ---- */

int ft_matches_pack(msgpack_packer *pk, const struct ft_matches *m)
{
    struct ft_buffer bytes = {NULL, 0, 0};
    size_t count = 0;
    int result = 0;

    while (count < m->k && m->match[count].item != FT_NO_ITEM)
        count++;
    msgpack_pack_array(pk, count);
    for (size_t i = 0; result == 0 && i < count; i++) {
        struct ft_kept kept;

        if ((result = ft_collection_kept(m->index, m->match[i].item, &bytes, &kept)) < 0)
            break;
        msgpack_pack_map(pk, 3);
        ft_pack_text(pk, "id");
        ft_pack_string(pk, kept.id);
        ft_pack_text(pk, kept.image ? "uri" : "text");
        ft_pack_string(pk, kept.name);
        ft_pack_text(pk, "scores");
        msgpack_pack_map(pk, 1);
        ft_pack_text(pk, ft_distance_name(m->distance));
        msgpack_pack_map(pk, 1);
        ft_pack_text(pk, "value");
        msgpack_pack_double(pk, ft_distance_shown(m->distance, m->match[i].score));
    }
    ft_buffer_free(&bytes);
    return result;
}
