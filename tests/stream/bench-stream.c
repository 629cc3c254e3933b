/* bench-stream.c - how fast documents are written as a stream and read back, beside a plain copy of as many bytes through a pipe.
 *
 *     make build/tests/stream/bench-stream && build/tests/stream/bench-stream
 *
 * In MB of stream a second, each the best of several runs, for short and for long texts:
 *   encode   documents to /dev/null
 *   decode   the same from a file in memory, record by record, as documents
 *   stream   one after the other in one thread: the time of both
 *   pipe     the two in two processes, a pipe between them
 *   copy     two processes that write and read blocks and do nothing else */
#include "base/error.h"
#include "base/file.h"
#include "base/tool.h"
#include "stream/document.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS = 15, BLOCK = 1 << 18, NAMES = 1000 };

/* Made once: printing them is none of the stream's work. */
static struct name {
    char text[24];
    size_t size;
} ids[NAMES], labels[NAMES];

struct shape {
    size_t text;             /* bytes of a text */
    size_t count;            /* documents */
    size_t size;             /* bytes of the whole stream */
    char file[64];           /* where it lies in memory */
};

static void check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench-stream: %s: %s\n", what, ft_error());
    exit(1);
}

/* Documents as ft-ingest writes those of labelled rows. */
static void encode(const char *path, const struct shape *shape)
{
    static char *arguments[] = {"bench-stream", NULL};
    const struct ft_header header = {.kind = FT_DOCUMENTS};
    struct ft_writer *writer = ft_writer_open(path, true);
    static char text[4096];

    memset(text, 'x', sizeof text);
    check(writer && ft_writer_header(writer, &header, 1, arguments) == 0, "header");
    for (size_t i = 0; i < shape->count; i++) {
        msgpack_packer *pk = ft_writer_begin(writer);
        const struct name *id = &ids[i % NAMES], *label = &labels[i % NAMES];

        msgpack_pack_map(pk, 3);
        ft_pack_text(pk, "id"), ft_pack_string(pk, (struct ft_string){id->text, id->size});
        ft_pack_text(pk, "text"), ft_pack_string(pk, (struct ft_string){text, shape->text});
        ft_pack_text(pk, "tags"), msgpack_pack_map(pk, 1);
        ft_pack_text(pk, "finetuner_label"), ft_pack_string(pk, (struct ft_string){label->text, label->size});
        check(ft_writer_commit(writer) == 0, "commit");
    }
    check(ft_writer_end(writer) == 0, "end");
}

static void decode(const char *path, const struct shape *shape)
{
    struct ft_reader *reader = ft_reader_open(path);
    struct ft_document document;
    struct ft_record record;
    struct ft_arena arena = {0};
    size_t count = 0;
    int rc;

    check(reader != NULL, "open");
    while ((rc = ft_reader_next(reader, &record)) > 0) {
        ft_arena_reset(&arena);
        check(ft_document_read(&arena, &record.object, &document) == 0 && document.content.text.size == shape->text && document.label.size,
              "document");
        count++;
    }
    check(rc == 0 && count == shape->count, "read");
    ft_arena_free(&arena);
    ft_reader_close(reader);
}

static void copy_out(const char *path, const struct shape *shape)
{
    static char block[BLOCK];
    int fd = open(path, O_WRONLY);

    for (size_t part, left = shape->size; left; left -= part) {
        part = left < BLOCK ? left : BLOCK;
        check(ft_write_all(fd, block, part) == 0, "write");
    }
    close(fd);
}

static void copy_in(const char *path, const struct shape *shape)
{
    static char block[BLOCK];
    size_t size = 0;
    int fd = open(path, O_RDONLY);
    ssize_t got;

    while ((got = read(fd, block, BLOCK)) > 0)
        size += (size_t)got;
    check(size == shape->size, "read");
    close(fd);
}

typedef void side(const char *path, const struct shape *shape);

/* `out` in another process, `in` in this one, a pipe between them. */
static void through_pipe(side *out, side *in, const struct shape *shape)
{
    char path[64];
    int fds[2], status;
    pid_t child;

    check(pipe2(fds, O_CLOEXEC) == 0 && (child = fork()) >= 0, "fork");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[child == 0]);
    if (child == 0) {
        close(fds[0]);
        out(path, shape);
        _exit(0);
    }
    close(fds[1]);
    in(path, shape);
    close(fds[0]);
    check(waitpid(child, &status, 0) == child && status == 0, "the other process");
}

/* What encode writes, kept: `shape->file` then names it. */
static void keep(const char *path, const struct shape *shape)
{
    static char block[BLOCK];
    int fd = open(path, O_RDONLY), file = open(shape->file, O_WRONLY);
    ssize_t got;

    while ((got = read(fd, block, BLOCK)) > 0)
        check(ft_write_all(file, block, (size_t)got) == 0, "write");
    close(fd);
    close(file);
}

static double seconds(const struct shape *shape, int what)
{
    double start = ft_seconds();

    switch (what) {
    case 0: encode("/dev/null", shape); break;
    case 1: decode(shape->file, shape); break;
    case 2: through_pipe(encode, decode, shape); break;
    default: through_pipe(copy_out, copy_in, shape); break;
    }
    return ft_seconds() - start;
}

static void bench(struct shape shape)
{
    double best[4] = {1e9, 1e9, 1e9, 1e9}, mb;
    int memory = memfd_create("bench-stream", MFD_CLOEXEC);
    struct stat st;

    snprintf(shape.file, sizeof shape.file, "/proc/self/fd/%d", memory);
    through_pipe(encode, keep, &shape);
    check(memory >= 0 && fstat(memory, &st) == 0, "memory");
    shape.size = (size_t)st.st_size;
    mb = (double)shape.size * 1e-6;
    /* In turns, so that what else the machine does falls on all of them. */
    for (int run = 0; run < RUNS; run++)
        for (int what = 0; what < 4; what++) {
            double took = seconds(&shape, what);

            best[what] = took < best[what] ? took : best[what];
        }
    close(memory);
    printf("documents: %zu of %zu bytes, texts of %zu\n", shape.count, shape.size / shape.count, shape.text);
    printf("encode: %.0f MB/s\ndecode: %.0f MB/s\nstream: %.0f MB/s encode+decode\n", mb / best[0], mb / best[1], mb / (best[0] + best[1]));
    printf("pipe: %.0f MB/s encode+decode\ncopy: %.0f MB/s through a pipe\n", mb / best[2], mb / best[3]);
    fflush(stdout);
}

int main(void)
{
    for (size_t i = 0; i < NAMES; i++) {
        ids[i].size = (size_t)snprintf(ids[i].text, sizeof ids[i].text, "train.csv:%zu", 100000 + i);
        labels[i].size = (size_t)snprintf(labels[i].text, sizeof labels[i].text, "label %zu", i % 77);
    }
    bench((struct shape){.text = 60, .count = 400000});
    bench((struct shape){.text = 700, .count = 80000});
    return 0;
}
