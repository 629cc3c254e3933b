/* media.c - pictures of rows. */
#include "data/media.h"
#include "base/error.h"
#include "data/image.h"
#include "data/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_SHOWN = 200, PLACE = 4096 };

int ft_media_begin(struct ft_media *media)
{
    struct stat st;

    if (media->fetch && ft_fetch_begin() < 0)
        return -1;
    if (!media->root)
        return 0;
    if (stat(media->root, &st) < 0 || !(media->real_root = realpath(media->root, NULL)))
        return ft_fail(FT_USAGE, "--root: %s: %s", media->root, strerror(errno));
    return S_ISDIR(st.st_mode) ? 0 : ft_fail(FT_USAGE, "--root: %s: not a folder", media->root);
}

void ft_media_end(struct ft_media *media)
{
    free(media->real_root);
    media->real_root = NULL;
}

void ft_media_worker_free(struct ft_media_worker *worker)
{
    ft_buffer_free(&worker->bytes);
    ft_fetch_end(&worker->fetcher);
}

/* The address that failed before what was wrong with it. */
static int name_it(const struct ft_row_item *item)
{
    size_t size = item->content.size < NAME_SHOWN ? item->content.size : NAME_SHOWN;

    if (!item->local && ft_uri_kind(item->content) == FT_URI_DATA)
        size = size < 32 ? size : 32;
    return ft_error_prefix("%.*s%s: ", (int)size, item->content.data, size < item->content.size ? "..." : "");
}

static int join(struct ft_arena *arena, const char *base, const char *path, struct ft_row_item *item)
{
    char *place;

    while (path[0] == '.' && path[1] == '/')
        path += 2;
    if (*path == '/')
        base = "";
    else if (!*base && ft_uri_kind(ft_string_of(path)) != FT_URI_PATH)
        base = "./";               /* a file whose name looks like an address */
    if (!(place = ft_arena_print(arena, "%s%s", base, path)))
        return -1;
    item->content = ft_string_of(place);
    item->local = true;
    return 0;
}

int ft_media_find(const struct ft_media *media, struct ft_arena *arena, const char *base, bool outside, struct ft_row_item *item)
{
    enum ft_uri_kind kind = item->local ? FT_URI_PATH : ft_uri_kind(item->content);
    const char *path, *slash = "";

    if (kind == FT_URI_WEB || kind == FT_URI_DATA)
        return 0;
    path = kind == FT_URI_FILE ? ft_uri_path(arena, item->content) : ft_arena_text(arena, item->content);
    if (!path)
        return name_it(item);
    if (ft_utf8_check(path, strlen(path)) < strlen(path)) {
        ft_fail(FT_BAD, "the path is not UTF-8");
        return name_it(item);
    }
    if (media->root && *path == '/' && !outside) {
        ft_fail(FT_BAD, "an absolute path, expected one in --root %s", media->root);
        return name_it(item);
    }
    if (media->root && !outside) {
        slash = media->root[strlen(media->root) - 1] == '/' ? "" : "/";
        base = ft_arena_print(arena, "%s%s", media->root, slash);
    }
    return base ? join(arena, base, path, item) : -1;
}

static bool is_inside(const char *real_root, const char *path)
{
    size_t size = strlen(real_root);

    return strcmp(real_root, "/") == 0 || (strncmp(path, real_root, size) == 0 && path[size] == '/');
}

/* Whose path changed on the way to its being opened is found out by the name that the system has for it. */
static int open_inside(const struct ft_media *media, const char *path, int flags)
{
    char *real = realpath(path, NULL), link[64], opened[PLACE];
    ssize_t size;
    int fd = -1;

    if (!real)
        return -1;
    if (is_inside(media->real_root, real) && (fd = open(real, flags | O_NOFOLLOW)) >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        size = readlink(link, opened, sizeof opened - 1);
        opened[size > 0 ? size : 0] = '\0';
    }
    if (!is_inside(media->real_root, real) || (fd >= 0 && size > 0 && !is_inside(media->real_root, opened))) {
        ft_fail(FT_BAD, "leads out of --root %s", media->root);
        if (fd >= 0)
            close(fd);
        fd = -2;
    }
    free(real);
    return fd;
}

static int read_bytes(int fd, struct ft_buffer *bytes)
{
    struct stat st;
    ssize_t got = 1;

    if (fstat(fd, &st) < 0)
        return ft_fail(FT_BAD, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return ft_fail(FT_BAD, "not a regular file");
    if (st.st_size > FT_LIMIT_BLOB)
        return ft_fail(FT_BAD, "%lld bytes, expected at most %d", (long long)st.st_size, FT_LIMIT_BLOB);
    if (ft_buffer_reserve(bytes, (size_t)st.st_size + 1) < 0)
        return -1;
    while (bytes->size < (size_t)st.st_size && got != 0) {
        got = read(fd, bytes->data + bytes->size, (size_t)st.st_size - bytes->size);
        if (got < 0 && errno != EINTR)
            return ft_fail(FT_BAD, "%s", strerror(errno));
        bytes->size += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

/* A pipe that nobody writes to, or a terminal, must not be waited for. */
static int read_file(const struct ft_media *media, const char *path, struct ft_buffer *bytes)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, done;
    int fd = media->root ? open_inside(media, path, flags) : open(path, flags);

    if (fd == -2)
        return -1;
    if (fd < 0)
        return ft_fail(errno == EMFILE || errno == ENFILE || errno == ENOMEM ? FT_SYSTEM : FT_BAD, "%s", strerror(errno));
    done = read_bytes(fd, bytes);
    close(fd);
    return done;
}

static const char *type_of(const char *format)
{
    static const char *const types[][2] = {
        {"JPEG", "image/jpeg"}, {"PNG", "image/png"}, {"WebP", "image/webp"}, {"GIF", "image/gif"}, {"BMP", "image/bmp"},
    };

    for (size_t i = 0; format && i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i][0], format) == 0)
            return types[i][1];
    return NULL;
}

/* All of it, since only that shows whether a model will be able to read it. */
static int look_at(struct ft_row_item *item, struct ft_string bytes)
{
    struct ft_image image;

    if (ft_image_decode(bytes, FT_IMAGE_PIXELS, &image) < 0)
        return -1;
    ft_image_free(&image);
    item->mime_type = type_of(ft_image_format(bytes));
    return 0;
}

/* The bytes of the address; 1, 0 where there is nothing to open, -1. */
static int read_address(const struct ft_media *media, struct ft_media_worker *worker, const struct ft_row_item *item, enum ft_uri_kind kind)
{
    struct ft_arena arena = {NULL};
    const char *address;
    int done = -1;

    if (kind == FT_URI_WEB && !media->fetch)
        return 0;
    if (kind == FT_URI_WEB) {
        if ((address = ft_arena_text(&arena, item->content)))
            done = ft_fetch(&worker->fetcher, address, &worker->bytes);
        ft_arena_free(&arena);
    } else {
        done = kind == FT_URI_DATA ? ft_uri_data(&worker->bytes, item->content) : read_file(media, item->content.data, &worker->bytes);
    }
    return done < 0 ? -1 : 1;
}

int ft_media_load(const struct ft_media *media, struct ft_media_worker *worker, struct ft_row_item *item)
{
    enum ft_uri_kind kind = item->local ? FT_URI_PATH : ft_uri_kind(item->content);
    struct ft_buffer *bytes = &worker->bytes;
    int got;

    bytes->size = 0;
    got = read_address(media, worker, item, kind);
    if (got < 0 || (got > 0 && look_at(item, (struct ft_string){bytes->data, bytes->size}) < 0))
        return name_it(item);
    if (got > 0 && (media->blob || kind != FT_URI_PATH))
        item->blob = (struct ft_string){bytes->data, bytes->size};
    if (kind == FT_URI_DATA)
        item->content = (struct ft_string){NULL, 0};
    return 0;
}
