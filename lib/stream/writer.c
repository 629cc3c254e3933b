/* writer.c - a stream to standard output or to a file that appears only when it is complete. */
#include "base/abort.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "stream/header.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FLUSH_AT = 1 << 18, PIPE = 4 * FLUSH_AT };

struct ft_writer {
    int fd;
    char *path;                      /* NULL: standard output */
    bool direct;                     /* path is a device or a pipe: nothing to rename */
    char temporary[PATH_MAX];
    struct ft_buffer buffer;         /* records not yet written, then the one being packed */
    size_t committed;                /* bytes of whole records in the buffer */
    msgpack_packer packer;
    uint32_t crc;                    /* of all that was written, and of the buffer up to `summed` */
    size_t summed;
    uint64_t count;
    bool header;
    bool failed;                     /* sticky: the first error stands */
    struct ft_error_copy error;
    struct ft_writer *next;
};

/* Writers that are open: a tool that failed inside ft_writer_end may still name its writer to ft_writer_abort. */
static struct ft_writer *writers;

static const char *name_of(const struct ft_writer *writer)
{
    return writer->path ? writer->path : "standard output";
}

static int fail(struct ft_writer *writer)
{
    if (writer->failed)
        ft_error_restore(&writer->error);
    else
        ft_error_save(&writer->error);
    writer->failed = true;
    return -1;
}

/* What the packer gives is mostly a few bytes, for which a call of memcpy is long: two words that overlap. */
static inline void copy_small(char *to, const char *from, size_t size)
{
    uint64_t a, b;
    uint32_t c, d;

    if (size > 16) {
        memcpy(to, from, size);
    } else if (size >= 8) {
        memcpy(&a, from, 8), memcpy(&b, from + size - 8, 8);
        memcpy(to, &a, 8), memcpy(to + size - 8, &b, 8);
    } else if (size >= 4) {
        memcpy(&c, from, 4), memcpy(&d, from + size - 4, 4);
        memcpy(to, &c, 4), memcpy(to + size - 4, &d, 4);
    } else {
        for (size_t i = 0; i < size; i++)
            to[i] = from[i];
    }
}

static int write_packed(void *data, const char *bytes, size_t size)
{
    struct ft_writer *writer = data;
    struct ft_buffer *buffer = &writer->buffer;

    if (writer->failed || (size > buffer->capacity - buffer->size && ft_buffer_reserve(buffer, size) < 0))
        return fail(writer);
    copy_small(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    return 0;
}

static int open_path(struct ft_writer *writer, bool force)
{
    struct stat st;
    bool exists = stat(writer->path, &st) == 0;

    if (exists && S_ISDIR(st.st_mode))
        return ft_fail(FT_USAGE, "%s: is a directory, expected a file", writer->path);
    writer->direct = exists && !S_ISREG(st.st_mode);
    if (writer->direct)
        writer->fd = open(writer->path, O_WRONLY | O_CLOEXEC);
    else if (exists && !force)
        return ft_fail(FT_USAGE, "%s: exists: add --force to replace it", writer->path);
    else
        return (writer->fd = ft_file_begin(writer->path, writer->temporary)) < 0 ? -1 : 0;
    return writer->fd < 0 ? ft_fail_errno("%s", writer->path) : 0;
}

/* A pipe holds 64 KiB unless asked: a write of four times as much waits for its reader, which has little left when the next ones are being
 * packed, so that the two take turns instead of working at the same time. As much as one may have by default; what cannot be had is no error. */
static void widen_pipe(int fd)
{
    int size = fcntl(fd, F_GETPIPE_SZ);

    if (size > 0 && size < PIPE)
        fcntl(fd, F_SETPIPE_SZ, PIPE);
}

struct ft_writer *ft_writer_open(const char *path, bool force)
{
    bool standard = !path || strcmp(path, "-") == 0;
    struct ft_writer *writer = calloc(1, sizeof *writer);

    if (!writer || (!standard && !(writer->path = strdup(path)))) {
        free(writer);
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    writer->fd = STDOUT_FILENO;
    if (standard ? isatty(writer->fd) && ft_fail(FT_USAGE, "refusing to write a binary stream to a terminal: add \"| ft-cat\"")
                 : open_path(writer, force)) {
        free(writer->path);
        free(writer);
        return NULL;
    }
    widen_pipe(writer->fd);
    msgpack_packer_init(&writer->packer, writer, write_packed);
    writer->next = writers;
    writers = writer;
    ft_abort_hook = ft_writer_abort;
    if (*ft_abort_origin.tool)   /* a reader opened before this writer has met an abort record already */
        ft_upstream_failed = ft_writer_passes_on();
    return writer;
}

bool ft_writer_passes_on(void)
{
    for (const struct ft_writer *writer = writers; writer; writer = writer->next)
        if (!writer->path || writer->direct)
            return true;
    return false;
}

int ft_writer_watched(void)
{
    for (const struct ft_writer *writer = writers; writer; writer = writer->next)
        if (!writer->path)
            return writer->fd;
    return -1;
}

int ft_writer_fd(const struct ft_writer *writer)
{
    return writer->fd;
}

uint64_t ft_writer_count(const struct ft_writer *writer)
{
    return writer->count;
}

/* Over many records at once: a checksum of one short record takes longer for its bytes. */
static void sum_committed(struct ft_writer *writer)
{
    if (writer->summed < writer->committed)
        writer->crc = ft_crc32c(writer->crc, writer->buffer.data + writer->summed, writer->committed - writer->summed);
    writer->summed = writer->committed;
}

int ft_writer_flush(struct ft_writer *writer)
{
    size_t left;

    if (writer->failed)
        return fail(writer);
    if (!writer->committed)
        return 0;
    sum_committed(writer);
    if (ft_write_all(writer->fd, writer->buffer.data, writer->committed) < 0) {
        ft_fail_errno("%s", name_of(writer));
        return fail(writer);
    }
    left = writer->buffer.size - writer->committed;
    if (left)
        memmove(writer->buffer.data, writer->buffer.data + writer->committed, left);
    writer->buffer.size = left;
    writer->committed = writer->summed = 0;
    return 0;
}

/* What was packed since the last commit becomes part of the stream. */
static int seal(struct ft_writer *writer)
{
    writer->committed = writer->buffer.size;
    return writer->committed >= FLUSH_AT ? ft_writer_flush(writer) : 0;
}

/* One object within the limits, or no tool could read what this one writes. */
static int check_packed(struct ft_writer *writer)
{
    size_t size = writer->buffer.size - writer->committed;
    long got = writer->failed ? 0 : ft_msgpack_scan(writer->buffer.data + writer->committed, size);

    if (writer->failed)
        return fail(writer);
    if (got < 0)
        ft_error_prefix("%s: record %llu: ", name_of(writer), (unsigned long long)writer->count + 1);
    else if ((size_t)got != size)
        ft_fail(FT_SYSTEM, "%s: record %llu: packed as no or several objects", name_of(writer), (unsigned long long)writer->count + 1);
    else
        return 0;
    writer->buffer.size = writer->committed;
    return fail(writer);
}

msgpack_packer *ft_writer_begin(struct ft_writer *writer)
{
    writer->buffer.size = writer->committed;   /* what was begun and not committed is dropped */
    return &writer->packer;
}

static int header_done(struct ft_writer *writer)
{
    writer->header = true;
    return seal(writer);
}

int ft_writer_header(struct ft_writer *writer, const struct ft_header *header, int argc, char **argv)
{
    if (ft_header_pack(ft_writer_begin(writer), header, argc, argv) < 0 || check_packed(writer) < 0)
        return fail(writer);
    return header_done(writer);
}

int ft_writer_header_copy(struct ft_writer *writer, struct ft_string bytes)
{
    ft_writer_begin(writer);
    return write_packed(writer, bytes.data, bytes.size) < 0 ? -1 : header_done(writer);
}

int ft_writer_commit(struct ft_writer *writer)
{
    if (check_packed(writer) < 0)
        return -1;
    writer->count++;
    return seal(writer);
}

int ft_writer_copy(struct ft_writer *writer, struct ft_string bytes)
{
    ft_writer_begin(writer);
    if (write_packed(writer, bytes.data, bytes.size) < 0)
        return -1;
    writer->count++;
    return seal(writer);
}

static bool unlink_writer(struct ft_writer *writer)
{
    for (struct ft_writer **w = &writers; *w; w = &(*w)->next)
        if (*w == writer) {
            *w = writer->next;
            return true;
        }
    return false;
}

static void free_writer(struct ft_writer *writer)
{
    ft_buffer_free(&writer->buffer);
    free(writer->path);
    free(writer);
}

/* Some file systems report a full disk only here. The number is kept taken, so that a later open() does not become standard output. */
static int close_output(struct ft_writer *writer)
{
    int rc = close(writer->fd), null;

    if (rc < 0 && errno != EINTR)
        return ft_fail_errno("%s", name_of(writer));
    if (!writer->path && (null = open("/dev/null", O_WRONLY)) >= 0 && null != STDOUT_FILENO) {
        dup2(null, STDOUT_FILENO);
        close(null);
    }
    return 0;
}

int ft_writer_end(struct ft_writer *writer)
{
    msgpack_packer *pk = ft_writer_begin(writer);
    int rc = 0;

    unlink_writer(writer);
    if (!writer->header && !writer->failed) {
        ft_fail(FT_SYSTEM, "%s: a stream without a header", name_of(writer));
        fail(writer);
    }
    sum_committed(writer);
    msgpack_pack_map(pk, 2);
    ft_pack_text(pk, "end"), msgpack_pack_uint64(pk, writer->count);
    ft_pack_text(pk, "crc32c"), msgpack_pack_uint32(pk, writer->crc);
    writer->committed = writer->buffer.size;
    if (ft_writer_flush(writer) < 0) {
        rc = -1;
        if (writer->path && !writer->direct)
            ft_file_abandon(writer->fd, writer->temporary);
    } else if (writer->path && !writer->direct) {
        rc = ft_file_commit(writer->fd, writer->temporary, writer->path);
    } else {
        rc = close_output(writer);
    }
    free_writer(writer);
    return rc;
}

/* A reader that has gone must not turn the failure being reported into a death by SIGPIPE. */
static void write_abort(struct ft_writer *writer, const char *tool, const char *message, int status)
{
    msgpack_packer *pk = ft_writer_begin(writer);
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);

    msgpack_pack_map(pk, 3);
    ft_pack_text(pk, "abort"), ft_pack_text(pk, message);
    ft_pack_text(pk, "tool"), ft_pack_text(pk, tool);
    ft_pack_text(pk, "status"), msgpack_pack_uint32(pk, (uint32_t)status);
    writer->committed = writer->buffer.size;
    ft_writer_flush(writer);
    signal(SIGPIPE, before);
}

void ft_writer_abort(struct ft_writer *writer, const char *tool, const char *message, int status)
{
    struct ft_error_copy error;
    bool passed_on = *ft_abort_origin.tool != '\0';

    if (!writer || !unlink_writer(writer))
        return;
    ft_error_save(&error);
    if (writer->path && !writer->direct)
        ft_file_abandon(writer->fd, writer->temporary);
    else if (passed_on)
        write_abort(writer, ft_abort_origin.tool, ft_abort_origin.message, ft_abort_origin.status);
    else
        write_abort(writer, tool, message, status);
    if (writer->path && writer->direct)
        close(writer->fd);
    free_writer(writer);
    ft_error_restore(&error);
}
