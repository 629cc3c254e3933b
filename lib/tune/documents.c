/* documents.c - documents one after another, wherever they are. */
#include "tune/documents.h"
#include "base/error.h"
#include "base/stop.h"
#include "data/ahead.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_stream(const char *path, ft_documents_take *take, void *argument)
{
    struct ft_reader *reader = ft_reader_open(path);
    struct ft_arena arena = {0};
    struct ft_document document;
    struct ft_record record;
    int more = reader && ft_reader_expect(reader, FT_DOCUMENTS) == 0 ? 1 : -1;

    while (more > 0 && (more = ft_reader_next(reader, &record)) > 0) {
        ft_arena_reset(&arena);
        if (ft_document_read(&arena, &record.object, &document) < 0 || take(argument, &document, record.bytes) < 0)
            more = ft_error_prefix("%s: ", path);
        else if (ft_stop_check() < 0)
            more = -1;
    }
    ft_arena_free(&arena);
    ft_reader_close(reader);
    return more;
}

/* Bytes of a document as a stream would bring them. */
static int take_bytes(struct ft_arena *arena, struct ft_string bytes, ft_documents_take *take, void *argument)
{
    struct ft_document document;
    struct ft_record record;
    msgpack_zone zone;
    int result = -1;

    if (!msgpack_zone_init(&zone, MSGPACK_ZONE_CHUNK_SIZE))
        return ft_fail(FT_SYSTEM, "out of memory");
    ft_arena_reset(arena);
    if (ft_record_decode(&zone, bytes, &record) == 0 && ft_document_read(arena, &record.object, &document) == 0)
        result = take(argument, &document, bytes);
    msgpack_zone_destroy(&zone);
    return result < 0 ? -1 : ft_stop_check();
}

static int read_rows(const char *path, ft_documents_take *take, void *argument)
{
    const struct ft_rows_options how = {.format = "auto", .dialect = "auto", .output = -1};
    const struct ft_media media = {.root = NULL};
    struct ft_rows *rows = ft_rows_open(path, &how);
    struct ft_ahead *ahead = rows ? ft_ahead_open(rows, &media, 0, 1) : NULL;
    struct ft_buffer bytes = {0};
    struct ft_arena arena = {0};
    struct ft_row row;
    msgpack_packer pk;
    int more = ahead ? 1 : -1;

    msgpack_packer_init(&pk, &bytes, ft_buffer_write);
    while (more > 0 && (more = ft_ahead_next(ahead, SIZE_MAX, &row)) > 0) {
        bytes.size = 0;
        ft_row_write(&pk, &row, path);
        if (take_bytes(&arena, (struct ft_string){bytes.data, bytes.size}, take, argument) < 0)
            more = ft_error_prefix("%s:%lu: ", path, row.line);
    }
    ft_buffer_free(&bytes);
    ft_arena_free(&arena);
    ft_ahead_close(ahead);
    ft_rows_close(rows);
    return more;
}

/* The first byte of a stream is that of a msgpack map; in UTF-8 text it begins no character. What is no file, a pipe, cannot be looked into, and is
 * taken for a stream. */
static bool is_text(const char *path)
{
    unsigned char first = 0x80;
    struct stat st;
    int fd;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    if (read(fd, &first, 1) != 1)
        first = 0x80;
    close(fd);
    return !((first & 0xf0) == 0x80 || first == 0xde || first == 0xdf);
}

int ft_documents_read(const char *path, ft_documents_take *take, void *argument)
{
    return is_text(path) ? read_rows(path, take, argument) : read_stream(path, take, argument);
}

int ft_documents_again(struct ft_corpus *corpus, ft_documents_take *take, void *argument)
{
    struct ft_buffer bytes = {0};
    struct ft_arena arena = {0};
    int result = 0;

    for (size_t i = 0; result == 0 && i < ft_corpus_count(corpus); i++) {
        bytes.size = 0;
        result = ft_corpus_read(corpus, i, &bytes);
        if (result == 0)
            result = take_bytes(&arena, (struct ft_string){bytes.data, bytes.size}, take, argument);
    }
    ft_buffer_free(&bytes);
    ft_arena_free(&arena);
    return result;
}
