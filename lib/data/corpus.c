/* corpus.c - the spool: an array of ends over a buffer, over a file without a name.
 *
 *     file     [0, written)                 absent until the contents pass the bound
 *     buffer   [written, written + size)    what comes last; all of it while there is no file */
#include "data/corpus.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALLEST_BUFFER = 64 << 10, LARGEST_BUFFER = 256 << 10 };

struct ft_corpus {
    size_t memory;              /* bound on the buffer */
    int fd;                     /* -1: no file yet */
    char directory[512];        /* for messages */
    struct ft_buffer buffer;
    uint64_t written;
    uint64_t *end;              /* [count] */
    size_t count, capacity;
};

struct ft_corpus *ft_corpus_open(size_t memory)
{
    struct ft_corpus *corpus = calloc(1, sizeof *corpus);

    if (!corpus) {
        ft_fail(FT_SYSTEM, "out of memory for a corpus");
        return NULL;
    }
    corpus->memory = memory < SMALLEST_BUFFER ? SMALLEST_BUFFER : memory;
    corpus->fd = -1;
    return corpus;
}

void ft_corpus_close(struct ft_corpus *corpus)
{
    if (!corpus)
        return;
    if (corpus->fd >= 0)
        close(corpus->fd);
    ft_buffer_free(&corpus->buffer);
    free(corpus->end);
    free(corpus);
}

/* O_TMPFILE never has a name; where the file system cannot do that, the name goes as soon as the file is open. */
static int begin_file(struct ft_corpus *corpus)
{
    const char *directory = getenv("TMPDIR");
    char path[sizeof corpus->directory + 16];

    if (!directory || !*directory || strlen(directory) >= sizeof corpus->directory)
        directory = "/tmp";
    memcpy(corpus->directory, directory, strlen(directory) + 1);
    corpus->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (corpus->fd < 0 && errno != ENOENT && errno != EACCES) {
        size_t length = strlen(directory);

        memcpy(path, directory, length);
        memcpy(path + length, "/ft-XXXXXX", sizeof "/ft-XXXXXX");
        if ((corpus->fd = mkostemp(path, O_CLOEXEC)) >= 0)
            unlink(path);
    }
    if (corpus->fd < 0)
        return ft_fail_errno("cannot make a temporary file in %s (TMPDIR chooses another place)", directory);
    return 0;
}

static int flush(struct ft_corpus *corpus)
{
    if (corpus->fd < 0) {
        if (begin_file(corpus) < 0)
            return -1;
        corpus->memory = corpus->memory > LARGEST_BUFFER ? LARGEST_BUFFER : corpus->memory;
    }
    if (ft_write_all(corpus->fd, corpus->buffer.data, corpus->buffer.size) < 0)
        return ft_fail_errno("cannot write a temporary file in %s (TMPDIR chooses another place)", corpus->directory);
    corpus->written += corpus->buffer.size;
    corpus->buffer.size = 0;
    if (corpus->buffer.capacity > LARGEST_BUFFER)
        ft_buffer_free(&corpus->buffer);
    return 0;
}

int ft_corpus_add(struct ft_corpus *corpus, struct ft_string bytes)
{
    if (corpus->count == corpus->capacity) {
        size_t capacity = corpus->capacity ? corpus->capacity * 2 : 256;
        uint64_t *end = ft_resize(corpus->end, capacity, sizeof *end);

        if (!end)
            return -1;
        corpus->end = end;
        corpus->capacity = capacity;
    }
    if (corpus->buffer.size && bytes.size > corpus->memory - corpus->buffer.size && flush(corpus) < 0)
        return -1;
    if (ft_buffer_add(&corpus->buffer, bytes.data, bytes.size) < 0)
        return -1;
    corpus->end[corpus->count++] = corpus->written + corpus->buffer.size;
    if (corpus->buffer.size > corpus->memory)   /* one document larger than the bound */
        return flush(corpus);
    return 0;
}

size_t ft_corpus_count(const struct ft_corpus *corpus)
{
    return corpus->count;
}

static uint64_t begin_of(const struct ft_corpus *corpus, size_t index)
{
    return index ? corpus->end[index - 1] : 0;
}

size_t ft_corpus_size(const struct ft_corpus *corpus, size_t index)
{
    return (size_t)(corpus->end[index] - begin_of(corpus, index));
}

static int read_file(struct ft_corpus *corpus, uint64_t at, char *data, size_t size)
{
    while (size) {
        ssize_t got = pread(corpus->fd, data, size, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ft_fail_errno("cannot read the temporary file in %s", corpus->directory);
        if (got == 0)
            return ft_fail(FT_SYSTEM, "the temporary file in %s is shorter than what was written", corpus->directory);
        data += got;
        at += (uint64_t)got;
        size -= (size_t)got;
    }
    return 0;
}

int ft_corpus_read(struct ft_corpus *corpus, size_t index, struct ft_buffer *into)
{
    uint64_t begin = begin_of(corpus, index);
    size_t size = ft_corpus_size(corpus, index);

    /* A document is never in both: the buffer is written whole, between two of them. */
    if (begin >= corpus->written)
        return ft_buffer_add(into, corpus->buffer.data + (begin - corpus->written), size);
    if (ft_buffer_reserve(into, size) < 0 || read_file(corpus, begin, into->data + into->size, size) < 0)
        return -1;
    into->size += size;
    return 0;
}
