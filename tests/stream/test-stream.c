/* test-stream.c - reader and writer: round trips, cuts, damage, hostile lengths, aborts. */
#include "../tap.h"

#include "base/abort.h"
#include "base/error.h"
#include "base/file.h"
#include "stream/stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static char directory[] = "/tmp/ft-test-stream-XXXXXX";
static char path[64], other[64];

static int write_stream(const char *to, int records, size_t text_size)
{
    struct ft_writer *writer = ft_writer_open(to, true);
    struct ft_header header = {.kind = FT_DOCUMENTS, .seed = 7, .model = FT_STRING("01234567"), .dim = 3};
    char *argv[] = {"/usr/bin/ft-test", "--limit", "3"}, *text = malloc(text_size + 1);

    memset(text, 'x', text_size);
    if (!writer || ft_writer_header(writer, &header, 3, argv) < 0)
        return -1;
    for (int i = 0; i < records; i++) {
        msgpack_packer *pk = ft_writer_begin(writer);

        msgpack_pack_map(pk, 2);
        ft_pack_text(pk, "id"), msgpack_pack_int(pk, i);
        ft_pack_text(pk, "text"), ft_pack_string(pk, (struct ft_string){text, text_size});
        if (ft_writer_commit(writer) < 0)
            return -1;
    }
    free(text);
    return ft_writer_end(writer);
}

/* The number of records, or -1; the error stands. */
static long count_records(const char *from)
{
    struct ft_reader *reader = ft_reader_open(from);
    struct ft_record record;
    long count = 0;
    int rc;

    if (!reader)
        return -1;
    while ((rc = ft_reader_next(reader, &record)) > 0)
        count++;
    ft_reader_close(reader);
    return rc < 0 ? -1 : count;
}

static long count_bytes(const void *bytes, size_t size)
{
    return ft_file_write(other, bytes, size) < 0 ? -2 : count_records(other);
}

static void test_round_trip(void)
{
    const struct ft_header *header;
    struct ft_reader *reader;
    struct ft_record record;
    struct ft_string text;
    uint64_t id;

    ok(write_stream(path, 3, 5) == 0, "a stream is written");
    ok((reader = ft_reader_open(path)) != NULL, "and opened");
    header = ft_reader_header(reader);
    ok(header->kind == FT_DOCUMENTS && header->seed == 7 && header->dim == 3 && ft_string_is(header->model, "01234567"), "its header");
    ok(header->history.size == 26 && memcmp(header->history.data, "\x91\x94\xa7" "ft-test\xa5" "0.1.0\xa7--limit\xa1" "3", 26) == 0,
       "the command line is in the history, with the version");
    ok(ft_reader_expect(reader, FT_DOCUMENTS) == 0 && ft_reader_expect(reader, FT_BATCHES) < 0, "its kind is what it is");
    for (uint64_t i = 0; i < 3; i++)
        ok(ft_reader_next(reader, &record) == 1 && ft_map_unsigned(&record.object, "id", &id) && id == i &&
               ft_map_string(&record.object, "text", &text) && ft_string_is(text, "xxxxx"), "record %d", (int)i);
    ok(ft_reader_next(reader, &record) == 0 && ft_reader_next(reader, &record) == 0, "the end, and again the end");
    ok(ft_reader_count(reader) == 3, "three records");
    ft_reader_close(reader);
    ok(write_stream(path, 5, 3 << 20) == 0 && count_records(path) == 5, "records larger than the buffers");
    ok(ft_writer_open(path, false) == NULL && ft_error_status() == FT_USAGE, "an existing file needs force");
}

static void test_damage(void)
{
    struct ft_arena arena = {0};
    size_t size, bad = 0, quiet = 0;
    char *bytes;

    write_stream(path, 4, 9);
    bytes = ft_file_read(&arena, path, 1 << 20, &size);
    for (size_t cut = 0; cut < size; cut++)
        if (count_bytes(bytes, cut) != -1 || ft_error_status() != FT_BAD)
            bad++;
    ok(bad == 0 && count_bytes(bytes, size) == 4, "cut at every byte: never a whole stream (%zu bytes)", size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        quiet += count_bytes(bytes, size) != -1;
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    ok(quiet == 0, "every flipped bit is noticed (%zu were not)", quiet);
    bytes[size] = '\x80';
    ok(count_bytes(bytes, size + 1) == -1 && strstr(ft_error(), "after the end record"), "bytes after the end: %s", ft_error());
    ft_arena_free(&arena);
}

static void expect_error(const char *bytes, size_t size, const char *part)
{
    long got = count_bytes(bytes, size);

    ok(got == -1 && ft_error_status() == FT_BAD && strstr(ft_error(), part), "%s", ft_error());
}

static void test_strangers(void)
{
    char deep[128];

    expect_error("", 0, "no stream: did the previous command start?");
    expect_error("text,label\n", 11, "this is text");
    expect_error("\x1f\x8b\x08", 3, "0x1f");
    expect_error("\x81\xa1" "a\x01", 4, "no header");
    expect_error("\x82\xa2" "ft\x02\xa4kind\xa5steps", 16, "another version");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5stepz", 16, "kind 'stepz'");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps", 16, "without its end record after 0 records");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x81\xa1" "a\xdb\xff\xff\xff\xff", 24, "a string of 4294967295 bytes");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x81\xa1" "a\xc6\xff\xff\xff\xff", 24, "a blob of 4294967295 bytes");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x81\xa1" "a\xc9\xff\xff\xff\xff", 24, "a blob of 4294967295 bytes");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x81\xa1" "a\xdd\xff\xff\xff\xff", 24, "an array of 4294967295 entries");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x81\xa1" "a\xdf\xff\xff\xff\xff", 24, "a map of 4294967295 entries");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x81\xa1" "a\xdd\x00\xff\xff\xff", 24, "without its end record");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x81\xa1" "a\xdb\x03\xff\xff\xff", 24, "without its end record");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\xc1", 17, "0xc1");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x90", 17, "expected a map");
    expect_error("\x82\xa2" "ft\x01\xa4kind\xa5steps\x81\xa3" "end\x00", 22, "an end record that is not");
    memcpy(deep, "\x82\xa2" "ft\x01\xa4kind\xa5steps", 16);
    memset(deep + 16, '\x91', sizeof deep - 16);
    expect_error(deep, sizeof deep, "nested deeper than 32");
}

/* msgpack-c's own limit on nesting must not be below ours, or a record within the limits would fail. */
static void test_depth(void)
{
    struct ft_writer *writer = ft_writer_open(path, true);
    struct ft_header header = {.kind = FT_STEPS};
    msgpack_packer *pk;

    ft_writer_header(writer, &header, 0, NULL);
    pk = ft_writer_begin(writer);
    msgpack_pack_map(pk, 1);
    ft_pack_text(pk, "a");
    for (int i = 1; i < FT_LIMIT_DEPTH; i++)
        msgpack_pack_array(pk, 1);
    msgpack_pack_nil(pk);
    ok(ft_writer_commit(writer) == 0 && ft_writer_end(writer) == 0 && count_records(path) == 1, "32 levels are read");
    writer = ft_writer_open(path, true);
    ft_writer_header(writer, &header, 0, NULL);
    pk = ft_writer_begin(writer);
    msgpack_pack_map(pk, 1);
    ft_pack_text(pk, "a");
    for (int i = 1; i < FT_LIMIT_DEPTH; i++)
        msgpack_pack_array(pk, 1);
    msgpack_pack_array(pk, 0);
    ok(ft_writer_commit(writer) < 0 && ft_writer_end(writer) < 0, "33 are not written: %s", ft_error());
    ok(count_records(path) == 1, "and the file that was there is still there");
}

static void test_scan(void)
{
    ok(ft_msgpack_scan("\x81\xa1" "a\x93\x01\x02\xcd\x01\x00zz", 11) == 9, "an object and what follows it");
    ok(ft_msgpack_scan("\x93\x01\x02", 3) == 0, "one that goes on");
    ok(ft_msgpack_scan("\xda\x01", 2) == 0 && ft_msgpack_scan("", 0) == 0, "cut in a length");
    ok(ft_msgpack_scan("\x90", 1) == 1 && ft_msgpack_scan("\x80", 1) == 1 && ft_msgpack_scan("\xc0", 1) == 1, "empty ones");
    ok(ft_msgpack_scan("\xd8\x05" "0123456789abcdef", 18) == 18 && ft_msgpack_scan("\xc7\x02\x05zz", 5) == 5, "extensions");
    ok(ft_msgpack_scan("\xc1", 1) == -1, "a byte that begins nothing");
    ok(ft_msgpack_scan("\x92\xdd\x00\xff\xff\xf0", 6) == 0, "a claim within the limit is waited for");
    ok(ft_msgpack_scan("\x92\xdd\x00\x00\x00\x01\x00\xdd\x00\xff\xff\xff", 12) == -1, "claims add up to the limit of a record");
}

static void test_abort(void)
{
    struct ft_header header = {.kind = FT_DOCUMENTS};
    struct ft_reader *reader;
    struct ft_record record;
    struct ft_writer *writer;
    int pipes[2], saved = dup(STDOUT_FILENO);

    for (int with_header = 0; with_header < 2; with_header++) {
        int from = dup(STDIN_FILENO);

        if (pipe(pipes) < 0)
            return;
        fflush(stdout);
        dup2(pipes[1], STDOUT_FILENO);
        writer = ft_writer_open("-", false);
        if (with_header)
            ft_writer_header(writer, &header, 0, NULL);
        ft_fail(FT_BAD, "stands");
        ft_writer_abort(writer, "ft-ingest", "train.csv:3: \033[1mno", 3);
        ft_writer_abort(writer, "ft-ingest", "twice is harmless", 3);
        dup2(saved, STDOUT_FILENO);
        close(pipes[1]);
        is_text(ft_error(), "stands", "ft_writer_abort leaves the error alone");
        dup2(pipes[0], STDIN_FILENO);
        close(pipes[0]);
        reader = ft_reader_open(NULL);
        if (with_header) {
            ok(reader && ft_reader_next(reader, &record) < 0, "an abort record is an error");
            is_text(ft_reader_aborted(reader), "ft-ingest", "of the tool that failed");
            is_text(ft_reader_abort_message(reader), "train.csv:3: ?[1mno", "with its message, without control characters");
            ft_reader_close(reader);
        } else
            ok(!reader, "an abort record before any header");
        is_text(ft_error(), "ft-ingest failed: train.csv:3: ?[1mno", "the error says who");
        ok(ft_error_status() == FT_BAD, "and that it was another");
        dup2(from, STDIN_FILENO);
        close(from);
    }
    close(saved);
    ft_upstream_failed = false;
}

static void test_files(void)
{
    struct ft_header header = {.kind = FT_DOCUMENTS};
    struct ft_writer *writer;
    int rc = 0;

    unlink(path);
    writer = ft_writer_open(path, false);
    ft_writer_header(writer, &header, 0, NULL);
    ok(!ft_file_exists(path), "no file before the end");
    ft_writer_abort(writer, "ft-test", "failed", 4);
    ok(!ft_file_exists(path), "none after an abort");
    ok(rmdir(directory) < 0 && unlink(other) == 0 && rmdir(directory) == 0, "and no temporary one");
    writer = ft_writer_open("/dev/full", false);
    ft_writer_header(writer, &header, 0, NULL);
    for (int i = 0; i < 1 << 17 && rc == 0; i++) {
        msgpack_pack_map(ft_writer_begin(writer), 0);
        rc = i % 1000 ? ft_writer_commit(writer) : ft_writer_copy(writer, FT_STRING("\x80"));
    }
    ok(ft_writer_end(writer) < 0 && ft_error_status() == FT_SYSTEM && strstr(ft_error(), "No space left"), "%s", ft_error());
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    snprintf(path, sizeof path, "%s/stream", directory);
    snprintf(other, sizeof other, "%s/other", directory);
    test_scan();
    test_round_trip();
    test_damage();
    test_strangers();
    test_depth();
    test_abort();
    test_files();
    return done();
}
