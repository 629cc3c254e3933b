/* uri.c - paths and URIs. */
#include "data/uri.h"
#include "base/error.h"
#include "stream/base64.h"

#include <string.h>
#include <strings.h>

static bool begins_with(struct ft_string s, const char *prefix)
{
    size_t size = strlen(prefix);

    return s.size >= size && strncasecmp(s.data, prefix, size) == 0;
}

bool ft_name_is_picture(struct ft_string s)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", NULL};

    for (const char *const *e = endings; *e; e++) {
        size_t size = strlen(*e);

        if (s.size > size && strncasecmp(s.data + s.size - size, *e, size) == 0)
            return true;
    }
    return false;
}

enum ft_uri_kind ft_uri_kind(struct ft_string s)
{
    return begins_with(s, "http://") || begins_with(s, "https://") ? FT_URI_WEB : begins_with(s, "data:") ? FT_URI_DATA
         : begins_with(s, "file:") ? FT_URI_FILE : FT_URI_PATH;
}

bool ft_content_is_uri(struct ft_string s)
{
    bool blank;

    if (s.size == 0)
        return false;
    blank = memchr(s.data, ' ', s.size) || memchr(s.data, '\n', s.size) || memchr(s.data, '\t', s.size);
    if (ft_uri_kind(s) != FT_URI_PATH)
        return !blank;
    if (s.size > 4096 || (blank && s.data[0] != '/' && s.data[0] != '.'))
        return false;
    return ft_name_is_picture(s);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undo %XX into `out`, which has room for s.size bytes: how many, or -1. */
static long unescape(struct ft_string s, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < s.size; i++) {
        int high = s.data[i] == '%' && i + 2 < s.size ? hex_digit(s.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.data[i + 2]) : -1;

        if (s.data[i] == '%' && low < 0)
            return ft_fail(FT_BAD, "a %% that is not followed by two hexadecimal digits");
        out[used++] = s.data[i] == '%' ? (char)(high << 4 | low) : s.data[i];
        i += s.data[i] == '%' ? 2 : 0;
    }
    return (long)used;
}

char *ft_uri_path(struct ft_arena *arena, struct ft_string uri)
{
    struct ft_string rest = {uri.data + 5, uri.size - 5};
    char *path = ft_arena_take(arena, rest.size + 1);
    long size;

    if (!path)
        return NULL;
    if (begins_with(rest, "//")) {
        const char *slash = rest.size > 2 ? memchr(rest.data + 2, '/', rest.size - 2) : NULL;
        struct ft_string host = {rest.data + 2, slash ? (size_t)(slash - rest.data) - 2 : rest.size - 2};

        if (!slash || (host.size && !(host.size == 9 && strncasecmp(host.data, "localhost", 9) == 0))) {
            ft_fail(FT_BAD, "a file of another machine, expected file:///PATH");
            return NULL;
        }
        rest = (struct ft_string){slash, rest.size - (size_t)(slash - rest.data)};
    }
    if ((size = unescape(rest, path)) < 0)
        return NULL;
    path[size] = '\0';
    if (size == 0 || memchr(path, '\0', (size_t)size)) {
        ft_fail(FT_BAD, "no path in it, expected file:///PATH");
        return NULL;
    }
    return path;
}

static bool is_base64(struct ft_string head)
{
    return head.size >= 7 && strncasecmp(head.data + head.size - 7, ";base64", 7) == 0;
}

int ft_uri_data(struct ft_buffer *bytes, struct ft_string uri)
{
    const char *comma = memchr(uri.data, ',', uri.size);
    struct ft_string head, rest;
    struct ft_buffer text = {0};
    int done = -1;
    long size;

    if (!comma)
        return ft_fail(FT_BAD, "a data: address without a comma, expected data:image/png;base64,...");
    head = (struct ft_string){uri.data, (size_t)(comma - uri.data)};
    rest = (struct ft_string){comma + 1, uri.size - head.size - 1};
    if (!is_base64(head)) {
        if (ft_buffer_reserve(bytes, rest.size) < 0 || (size = unescape(rest, bytes->data + bytes->size)) < 0)
            return -1;
        bytes->size += (size_t)size;
        return 0;
    }
    if (ft_buffer_reserve(&text, rest.size + 3) == 0 && (size = unescape(rest, text.data)) >= 0) {
        text.size = (size_t)size;
        while (text.size % 4)
            text.data[text.size++] = '=';
        done = ft_base64_read(bytes, (struct ft_string){text.data, text.size});
    }
    ft_buffer_free(&text);
    return done < 0 ? ft_error_prefix("a data: address: ") : 0;
}
