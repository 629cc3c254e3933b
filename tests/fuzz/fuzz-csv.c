/* fuzz-csv.c - any bytes as CSV: rows or errors, never a crash; every row packs as a document that reads back. */
#include "data/rows.h"
#include "base/error.h"
#include "mutate.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Packed and read back, as the next tool would. */
static void check_document(const struct ft_row *row)
{
    msgpack_sbuffer buffer;
    msgpack_packer pk;
    msgpack_unpacked unpacked;
    struct ft_arena arena = {0};
    struct ft_document document;
    size_t offset = 0;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
    ft_row_write(&pk, row, "f");
    msgpack_unpacked_init(&unpacked);
    if (ft_msgpack_scan(buffer.data, buffer.size) != (long)buffer.size ||
        msgpack_unpack_next(&unpacked, buffer.data, buffer.size, &offset) != MSGPACK_UNPACK_SUCCESS ||
        ft_document_read(&arena, &unpacked.data, &document) < 0) {
        fprintf(stderr, "not a document: %s\n", ft_error());
        abort();
    }
    msgpack_unpacked_destroy(&unpacked);
    msgpack_sbuffer_destroy(&buffer);
    ft_arena_free(&arena);
}

static void read_all(const char *path, const struct ft_rows_options *options)
{
    struct ft_rows *rows = ft_rows_open(path, options);
    struct ft_row row;
    int got;

    while (rows && (got = ft_rows_next(rows, &row)) != 0)
        if (got > 0)
            check_document(&row);
        else if (ft_error_status() != FT_BAD)
            abort();
    ft_rows_close(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
#ifdef FUZZ_JSON
    static const char *const formats[] = {FUZZ_JSON};
#else
    static const char *const formats[] = {"auto", "csv", "tsv", "lines"};
#endif
    struct ft_rows_options options = {.dialect = "auto", .output = -1};
    char path[64];
    int fd = memfd_create("fuzz", 0);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
        for (int kind = FT_ROW_GUESS; kind < FT_ROW_KINDS; kind++) {
            options.format = formats[f];
            options.kind = (enum ft_row_kind)kind;
            options.encoding = size % 7 == 0 ? "utf-16" : size % 5 == 0 ? "cp1252" : NULL;
            read_all(path, &options);
        }
    close(fd);
    return 0;
}

#ifndef FUZZ_JSON
static const char *const seeds[] = {
    "text,label\n\"a \"\"b\"\", c\",1\n d , \"e\nf\" \n\n\xc3\xa9,\xf0\x9f\x98\x80\r\n\"g\",h",
    "a, b\nc, d\na, e\n",
    "a\tb\tc\nd\te\tf\n",
    "id,anchor,positive,negative_1,negative_2,x\n1,a,b,c,d,e\n",
    "sentence1,sentence2,score\na,b,.5\n",
    "\xef\xbb\xbf" "a;b\r\nc;d\r\n",
    "1,2.5,-3e2\n4,5,6\n7,x,1e39\n",
    "id,x1,x2,label\na,1,2.5,cat\n",
    "x.jpg,y.png\nhttp://a/b,https://c/d\n",
};
FUZZ_MAIN(seeds, "\",\n\r\t; \\|\xff\xfe\xc3")
#endif
