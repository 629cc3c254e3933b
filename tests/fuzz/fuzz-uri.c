/* fuzz-uri.c - any bytes as the address of an image: a path, bytes or an error. */
#include "base/error.h"
#include "data/media.h"
#include "mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ft_media media = {.root = NULL};
    struct ft_string uri = {(const char *)data, size};
    struct ft_row_item item = {.content = uri, .uri = true};
    struct ft_arena arena = {NULL};
    struct ft_media_worker worker = {.bytes = {0}};
    struct ft_buffer bytes = {0};

    (void)ft_content_is_uri(uri);
    if (size == 0 || memchr(data, 0, size))
        return 0;
    if (ft_media_find(&media, &arena, "base/", false, &item) < 0) {
        if (ft_error_status() != FT_BAD)
            abort();
    } else if (item.local && (!item.content.size || item.content.data[item.content.size] != '\0')) {
        abort();
    } else if (!item.local && ft_media_load(&media, &worker, &item) < 0 && ft_error_status() != FT_BAD) {
        abort();
    }
    if (ft_uri_kind(uri) == FT_URI_DATA) {
        bytes.size = 0;
        if (ft_uri_data(&bytes, uri) == 0 && bytes.size > size)
            abort();
    }
    ft_media_worker_free(&worker);
    ft_buffer_free(&bytes);
    ft_arena_free(&arena);
    return 0;
}

static const char *const seeds[] = {
    "data:image/png;base64,iVBORw0KGgo=", "data:image/png;base64,iVBORw0KGgo", "data:,a%20b%2C", "data:;base64,%69%56%3D%3D", "file:///a/b%20c.png",
    "file://localhost/x.png", "file:%61/../b.png", "file://h/x", "./././a.png", "http://x/y", "data:image/gif;base64,R0lGODdhAgABAIEAAA==",
};
FUZZ_MAIN(seeds, "%:/,;=.+ \xff" "data:file:base64")
