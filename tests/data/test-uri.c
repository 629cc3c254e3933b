/* test-uri.c - where pictures are: paths, file: and data: addresses, and what a row's item becomes. */
#include "base/error.h"
#include "data/media.h"
#include "../tap.h"

static struct ft_arena arena;

static const char *path_of(const char *uri)
{
    const char *path = ft_uri_path(&arena, ft_string_of(uri));

    return path ? path : ft_error_status() == FT_BAD ? "!" : "?";
}

static void test_file(void)
{
    is_text(path_of("file:///a/b.png"), "/a/b.png", "file:///");
    is_text(path_of("FILE://localhost/a"), "/a", "file://localhost/");
    is_text(path_of("file:/a%20b%25%c3%A9"), "/a b%\xc3\xa9", "escapes, in either case");
    is_text(path_of("file:a/b"), "a/b", "file: and a relative path");
    is_text(path_of("file://host/a"), "!", "another machine's");
    is_text(path_of("file://"), "!", "nothing");
    is_text(path_of("file:"), "!", "nothing at all");
    is_text(path_of("file:/a%2"), "!", "an escape cut short");
    is_text(path_of("file:/a%zz"), "!", "an escape that is none");
    is_text(path_of("file:/a%00b"), "!", "a null byte");
}

static const char *data_of(const char *uri)
{
    static struct ft_buffer bytes;

    bytes.size = 0;
    if (ft_uri_data(&bytes, ft_string_of(uri)) < 0)
        return ft_error_status() == FT_BAD ? "!" : "?";
    return ft_arena_text(&arena, (struct ft_string){bytes.data ? bytes.data : "", bytes.size});
}

/* The first is the example of RFC 2397. */
static void test_data(void)
{
    is_text(data_of("data:,A%20brief%20note"), "A brief note", "escapes");
    is_text(data_of("data:text/plain;charset=utf-8;base64,aGVsbG8="), "hello", "base64");
    is_text(data_of("data:;BASE64,aGVsbG8"), "hello", "base64 without its padding");
    is_text(data_of("data:image/png;base64,aGVs%62G8%3D"), "hello", "base64 with escapes");
    is_text(data_of("data:,"), "", "no bytes");
    is_text(data_of("data:image/png;base64"), "!", "no comma");
    is_text(data_of("data:;base64,aGVsb"), "!", "base64 of five characters");
    is_text(data_of("data:;base64,a GVs"), "!", "a blank in base64");
    is_text(data_of("data:,%4"), "!", "an escape cut short");
}

/* "uri" or "uri (a path)" that an item's address becomes, seen from base. */
static const char *found(const struct ft_media *media, const char *base, const char *uri, bool local)
{
    struct ft_row_item item = {.content = ft_string_of(uri), .uri = true, .local = local};

    if (ft_media_find(media, &arena, base, false, &item) < 0)
        return ft_error_status() == FT_BAD ? ft_error() : "?";
    return ft_arena_print(&arena, "%.*s%s", (int)item.content.size, item.content.data, item.local ? " (a path)" : "");
}

static void test_find(void)
{
    const struct ft_media plain = {.root = NULL}, jail = {.root = "jail", .real_root = NULL};

    is_text(found(&plain, "data/", "./a.png", false), "data/a.png (a path)", "relative to the base");
    is_text(found(&plain, "data/", "../a.png", false), "data/../a.png (a path)", "..");
    is_text(found(&plain, "data/", "/a.png", false), "/a.png (a path)", "absolute");
    is_text(found(&plain, "data/", "file:b%20c", false), "data/b c (a path)", "file:");
    is_text(found(&plain, "data/", "https://h/a.png", false), "https://h/a.png", "of the web");
    is_text(found(&plain, "", "http:x/a.png", true), "http:x/a.png (a path)", "no address, for lack of slashes");
    is_text(found(&plain, "", "data:x/a.png", true), "./data:x/a.png (a path)", "a path that looks like an address and must not be read as one later");
    is_text(found(&plain, "", "file:/%ff", false), "file:/%ff: the path is not UTF-8", "not UTF-8");
    is_text(found(&jail, "data/", "a.png", false), "jail/a.png (a path)", "relative to the root");
    is_text(found(&jail, "data/", "/a.png", false), "/a.png: an absolute path, expected one in --root jail", "absolute, with a root");
}

int main(void)
{
    ok(ft_uri_kind(FT_STRING("HTTPS://x")) == FT_URI_WEB && ft_uri_kind(FT_STRING("Data:,")) == FT_URI_DATA &&
       ft_uri_kind(FT_STRING("file:x")) == FT_URI_FILE && ft_uri_kind(FT_STRING("ftp://x")) == FT_URI_PATH && ft_uri_kind(FT_STRING("")) == FT_URI_PATH, "kinds");
    ok(ft_name_is_picture(FT_STRING("a.WebP")) && !ft_name_is_picture(FT_STRING(".png")) && !ft_name_is_picture(FT_STRING("a.png.txt")), "names");
    test_file();
    test_data();
    test_find();
    ft_arena_free(&arena);
    return done();
}
