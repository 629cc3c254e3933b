/* reader.c - a stream, record by record, from a descriptor that may be slow, cut, hostile or gone. */
#include "base/abort.h"
#include "base/error.h"
#include "base/stop.h"
#include "base/hash.h"
#include "stream/header.h"
#include "stream/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_BUFFER = 1 << 18, ZONE_CHUNK = 1 << 16 };

struct ft_reader {
    int fd;
    bool opened;              /* fd is ours to close */
    int watch;                /* an output to watch while waiting, or -1 */
    char *name;
    char *data;               /* what was read: [start, end) is not used up */
    size_t start, end, capacity;
    struct ft_scan scan;      /* of the record at start */
    uint32_t crc;             /* of all that was in the buffer before `summed`: records used up */
    size_t summed;
    uint64_t count;
    bool ended, aborted;
    msgpack_zone zone;        /* of the current record */
    msgpack_zone header_zone; /* of the header, which stays */
    struct ft_arena arena;
    struct ft_string header_bytes;
    struct ft_header header;
};

/* Input is awaited and nobody reads our output any more: what a write would do, without waiting for something to write. */
static void die_of_closed_pipe(void)
{
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

/* poll() passes over a watch of -1. */
static int wait_for_input(struct ft_reader *reader)
{
    struct pollfd fds[2] = {{reader->fd, POLLIN, 0}, {reader->watch, 0, 0}};   /* poll passes over a watch of -1 */
    int ready;

    /* Woken twice a second, so that a signal that came just before is not slept over. */
    while ((ready = poll(fds, 2, 500)) <= 0) {
        if (ready < 0 && errno != EINTR)
            return ft_fail_errno("%s", reader->name);
        if (ft_stop_check() < 0)
            return -1;
    }
    if (fds[1].revents & POLLERR) {
        die_of_closed_pipe();
        return ft_fail(FT_SYSTEM, "standard output: nobody reads it any more");
    }
    return 0;
}

/* Over many records at once: a checksum of one short record takes longer for its bytes. */
static void sum_until(struct ft_reader *reader, size_t end)
{
    if (reader->summed < end)
        reader->crc = ft_crc32c(reader->crc, reader->data + reader->summed, end - reader->summed);
    reader->summed = end;
}

/* Room past `end`: move what is left to the front when that frees half of the buffer, else double it. Either way a byte is moved a
 * bounded number of times on average, and the buffer is never more than about twice what has really arrived. */
static int make_room(struct ft_reader *reader)
{
    size_t left = reader->end - reader->start;
    char *data;

    if (reader->capacity - reader->end >= reader->capacity / 4 && reader->capacity)
        return 0;
    sum_until(reader, reader->start);
    if (left > reader->capacity / 2 || !reader->capacity) {
        size_t capacity = reader->capacity ? reader->capacity * 2 : FIRST_BUFFER;

        if (!(data = ft_resize(reader->data, capacity, 1)))
            return -1;
        reader->data = data;
        reader->capacity = capacity;
    }
    if (left)
        memmove(reader->data, reader->data + reader->start, left);
    reader->start = reader->summed = 0;
    reader->end = left;
    return 0;
}

static ssize_t read_some(struct ft_reader *reader, void *to, size_t room)
{
    ssize_t n;

    do {
        if (wait_for_input(reader) < 0)
            return -1;
        n = read(reader->fd, to, room);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return n < 0 ? ft_fail_errno("%s", reader->name) : n;
}

/* 1: there is more in the buffer; 0: end of file. */
static int fill(struct ft_reader *reader)
{
    ssize_t n;

    if (make_room(reader) < 0 || (n = read_some(reader, reader->data + reader->end, reader->capacity - reader->end)) < 0)
        return -1;
    reader->end += (size_t)n;
    return n > 0;
}

static int end_of_file(struct ft_reader *reader)
{
    if (!reader->header_bytes.size && reader->end == reader->start)
        return ft_fail(FT_BAD, "no stream: did the previous command start?");
    if (!reader->header_bytes.size)
        return ft_fail(FT_BAD, "the stream ends inside its header: did the command before fail?");
    return ft_fail(FT_BAD, "the stream ends without its end record after %llu records: did the command before fail?",
                   (unsigned long long)reader->count);
}

/* Before a whole "record" of what is no stream at all is waited for. */
static int check_first_byte(unsigned char first)
{
    bool text = (first >= ' ' && first < 0x7f) || first == '\t' || first == '\n' || first == '\r' || first == 0xef;

    if ((first & 0xf0) == 0x80 || first == 0xde || first == 0xdf)
        return 0;
    if (text)
        return ft_fail(FT_BAD, "this is text, not a stream: add ft-ingest before, or ft-cat --from-text for ft-cat's text");
    return ft_fail(FT_BAD, "this is no stream of ft: its first byte is 0x%02x, expected a msgpack map", first);
}

/* The next record's bytes; -1 at end of file too. */
static int next_bytes(struct ft_reader *reader, struct ft_string *bytes)
{
    int whole, more;

    for (;;) {
        size_t size = reader->end - reader->start;

        whole = size ? ft_scan_step(&reader->scan, reader->data + reader->start, size) : 0;
        if (whole < 0)
            return ft_error_prefix("record %llu: ", (unsigned long long)reader->count + 1);
        if (whole)
            break;
        if ((more = fill(reader)) < 0)
            return -1;
        if (!more)
            return end_of_file(reader);
        if (!reader->header_bytes.size && check_first_byte((unsigned char)reader->data[reader->start]) < 0)
            return -1;
    }
    *bytes = (struct ft_string){reader->data + reader->start, reader->scan.at};
    reader->start += reader->scan.at;
    ft_scan_begin(&reader->scan);
    return 0;
}

/* Another tool's words go to a terminal: no control characters. */
static void copy_clean(char *to, size_t room, struct ft_string from)
{
    size_t size = from.size < room - 1 ? from.size : room - 1;

    for (size_t i = 0; i < size; i++)
        to[i] = (unsigned char)from.data[i] < ' ' || from.data[i] == 0x7f ? '?' : from.data[i];
    to[size] = '\0';
}

int ft_record_abort(const struct ft_record *record)
{
    const msgpack_object *object = &record->object;
    struct ft_string message, tool;
    uint64_t status;

    if (!ft_map_string(object, "abort", &message) || !ft_map_string(object, "tool", &tool) || !tool.size ||
        !ft_map_unsigned(object, "status", &status) || status > 255)
        return ft_fail(FT_BAD, "an abort record without its message, tool or status");
    copy_clean(ft_abort_origin.message, sizeof ft_abort_origin.message, message);
    copy_clean(ft_abort_origin.tool, sizeof ft_abort_origin.tool, tool);
    ft_abort_origin.status = (int)status;
    ft_upstream_failed = ft_writer_passes_on();
    return ft_fail(FT_BAD, "%s failed: %s", ft_abort_origin.tool, ft_abort_origin.message);
}

static int take_end(struct ft_reader *reader, const struct ft_record *record)
{
    const msgpack_object *object = &record->object;
    uint64_t count, crc;
    ssize_t more = 1;
    char byte;

    if (object->via.map.size != 2 || !ft_map_unsigned(object, "end", &count) || !ft_map_unsigned(object, "crc32c", &crc))
        return ft_fail(FT_BAD, "an end record that is not {\"end\": records, \"crc32c\": checksum}");
    if (count != reader->count)
        return ft_fail(FT_BAD, "%llu records before an end record that counts %llu: some were lost",
                       (unsigned long long)reader->count, (unsigned long long)count);
    sum_until(reader, reader->start - record->bytes.size);
    if (crc != reader->crc)
        return ft_fail(FT_BAD, "the stream is damaged: checksum %08lx, expected %08lx", (unsigned long)reader->crc, (unsigned long)crc);
    /* Not into the buffer: the caller may still look at the end record. */
    if (reader->start == reader->end && (more = read_some(reader, &byte, 1)) < 0)
        return -1;
    if (more)
        return ft_fail(FT_BAD, "bytes after the end record: streams are not joined by cat");
    reader->ended = true;
    return 0;
}

static int take_abort(struct ft_reader *reader, const struct ft_record *record)
{
    *ft_abort_origin.tool = '\0';
    ft_record_abort(record);
    reader->aborted = *ft_abort_origin.tool != '\0';
    return -1;
}

static int read_header(struct ft_reader *reader)
{
    struct ft_record *record = ft_arena_zero(&reader->arena, 1, sizeof *record);
    const msgpack_object *version;
    struct ft_string bytes;
    char *copy;

    if (!record || next_bytes(reader, &bytes) < 0 || !(copy = ft_arena_take(&reader->arena, bytes.size)))
        return -1;
    memcpy(copy, bytes.data, bytes.size);
    reader->header_bytes = (struct ft_string){copy, bytes.size};
    if (ft_record_decode(&reader->header_zone, reader->header_bytes, record) < 0)
        return ft_error_prefix("header: ");
    if (ft_record_type(record) == FT_ABORT)
        return take_abort(reader, record);
    if (!(version = ft_map_get(&record->object, "ft")))
        return ft_fail(FT_BAD, "no header: the first record has no key \"ft\": is this a stream of ft?");
    if (version->type != MSGPACK_OBJECT_POSITIVE_INTEGER || version->via.u64 != 1)
        return ft_fail(FT_BAD, "a stream of another version, expected version 1");
    return ft_header_read(&reader->arena, &record->object, &reader->header);
}

struct ft_reader *ft_reader_open(const char *path)
{
    bool standard = !path || strcmp(path, "-") == 0;
    struct ft_reader *reader = calloc(1, sizeof *reader);

    if (!reader || !(reader->name = strdup(standard ? "standard input" : path))) {
        free(reader);
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    reader->watch = ft_writer_watched();
    reader->opened = !standard;
    reader->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0)
        ft_fail_errno("%s", path);
    else if (standard && isatty(reader->fd))
        ft_fail(FT_USAGE, "standard input is a terminal, expected a stream: see --help");
    else if (!msgpack_zone_init(&reader->zone, ZONE_CHUNK) || !msgpack_zone_init(&reader->header_zone, 1024))
        ft_fail(FT_SYSTEM, "out of memory");
    else if (read_header(reader) == 0)
        return reader;
    else if (!reader->aborted && ft_error_status() == FT_BAD)
        ft_error_prefix("%s: ", reader->name);
    ft_reader_close(reader);
    return NULL;
}

void ft_reader_close(struct ft_reader *reader)
{
    if (!reader)
        return;
    if (reader->opened && reader->fd >= 0)
        close(reader->fd);
    if (reader->zone.chunk_list.head)
        msgpack_zone_destroy(&reader->zone);
    if (reader->header_zone.chunk_list.head)
        msgpack_zone_destroy(&reader->header_zone);
    ft_arena_free(&reader->arena);
    free(reader->data);
    free(reader->name);
    free(reader);
}

static int take_record(struct ft_reader *reader, struct ft_record *record)
{
    if (next_bytes(reader, &record->bytes) < 0)
        return -1;
    msgpack_zone_clear(&reader->zone);
    if (ft_record_decode(&reader->zone, record->bytes, record) < 0)
        return ft_error_prefix("record %llu: ", (unsigned long long)reader->count + 1);
    switch (ft_record_type(record)) {
    case FT_END:
        return take_end(reader, record);
    case FT_ABORT:
        return take_abort(reader, record);
    case FT_HEADER:
        return ft_fail(FT_BAD, "a second header after %llu records", (unsigned long long)reader->count);
    case FT_RECORD:
        break;
    }
    reader->count++;
    return 1;
}

int ft_reader_next(struct ft_reader *reader, struct ft_record *record)
{
    int rc;

    if (reader->ended)
        return 0;
    rc = take_record(reader, record);
    if (rc < 0 && !reader->aborted && ft_error_status() == FT_BAD)
        ft_error_prefix("%s: ", reader->name);
    return rc;
}

bool ft_reader_ready(struct ft_reader *reader)
{
    size_t size = reader->end - reader->start;

    return reader->ended || (size && ft_scan_step(&reader->scan, reader->data + reader->start, size) != 0);
}

int ft_reader_expect(const struct ft_reader *reader, enum ft_kind kind)
{
    enum ft_kind got = reader->header.kind;
    const char *hint = kind == FT_BATCHES && got == FT_DOCUMENTS ? ": add ft-sample before" : "";

    if (got == kind)
        return 0;
    return ft_fail(FT_BAD, "%s: expected %s, got %s%s", reader->name, ft_kind_name(kind), ft_kind_name(got), hint);
}

int ft_readers_open(struct ft_reader **readers, char **paths, size_t count, enum ft_kind kind)
{
    for (size_t i = 0; i < count; i++)
        if (!(readers[i] = ft_reader_open(paths ? paths[i] : NULL)) || ft_reader_expect(readers[i], kind) < 0)
            return -1;
    return 0;
}

void ft_reader_watch(struct ft_reader *reader, int output)
{
    reader->watch = output;
}

const struct ft_header *ft_reader_header(const struct ft_reader *reader)
{
    return &reader->header;
}

struct ft_string ft_reader_header_bytes(const struct ft_reader *reader)
{
    return reader->header_bytes;
}

const char *ft_reader_name(const struct ft_reader *reader)
{
    return reader->name;
}

const char *ft_reader_aborted(const struct ft_reader *reader)
{
    return reader->aborted ? ft_abort_origin.tool : NULL;
}

const char *ft_reader_abort_message(const struct ft_reader *reader)
{
    return reader->aborted ? ft_abort_origin.message : NULL;
}

uint64_t ft_reader_count(const struct ft_reader *reader)
{
    return reader->count;
}
