/* ft-cat - streams as text, and text as streams. */
#include "base/file.h"
#include "base/tool.h"
#include "stream/document.h"
#include "stream/header.h"
#include "stream/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLUSH_AT = 1 << 16 };

static bool from_text, full, check, force;
static long limit;
static const char *output;

static const struct ft_option options[] = {
    {0, "from-text", FT_FLAG, &from_text, NULL, "read text, write a stream", NULL},
    {0, "full", FT_FLAG, &full, NULL, "tensors with their data, all numbers exact", NULL},
    {0, "limit", FT_COUNT, &limit, "N", "only the first N records", NULL},
    {0, "check", FT_FLAG, &check, NULL, "read all of the stream and print what it holds", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write to PATH, which appears when complete", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest train.csv | ft-cat --limit 3",
    "ft-ingest train.csv | ft-cat | jq -c 'select(.text | length > 20)' | ft-cat --from-text -o long.ft",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-cat",
    .purpose = "print a stream as JSON lines, or make one from them",
    .operands = "[FILE]",
    .options = options,
    .examples = examples,
    .see_also = "ft-stream(5), ft-ingest(1)",
};

/* ---- stream to text ---- */

/* Where the text goes: standard output, or a file that appears at the end. */
struct text_output {
    int fd;
    char temporary[PATH_MAX];
    struct ft_buffer buffer;
    bool at_once;             /* somebody watches */
};

static int open_text(struct text_output *out)
{
    out->fd = STDOUT_FILENO;
    out->at_once = isatty(out->fd);
    if (!output || strcmp(output, "-") == 0)
        return 0;
    if (ft_file_exists(output) && !force)
        return ft_fail(FT_USAGE, "%s: exists: add --force to replace it", output);
    out->fd = ft_file_begin(output, out->temporary);
    return out->fd < 0 ? -1 : 0;
}

static int flush_text(struct text_output *out)
{
    if (ft_write_all(out->fd, out->buffer.data, out->buffer.size) < 0)
        return ft_fail_errno("%s", output ? output : "standard output");
    out->buffer.size = 0;
    return 0;
}

static int close_text(struct text_output *out, int rc)
{
    struct ft_error_copy error;

    /* The records before a failure are worth seeing, but the failure is what is told. */
    ft_error_save(&error);
    if (flush_text(out) < 0 && rc == 0)
        rc = -1;
    else if (rc < 0)
        ft_error_restore(&error);
    ft_buffer_free(&out->buffer);
    if (*out->temporary && rc < 0)
        ft_file_abandon(out->fd, out->temporary);
    else if (*out->temporary)
        rc = ft_file_commit(out->fd, out->temporary, output);
    else if (rc == 0 && close(out->fd) < 0)
        rc = ft_fail_errno("standard output");
    return rc;
}

static int print_record(struct text_output *out, const struct ft_record *record)
{
    if (ft_text_write(&out->buffer, record, full) < 0)
        return -1;
    return out->at_once || out->buffer.size >= FLUSH_AT ? flush_text(out) : 0;
}

/* The text's own abort line, so that the ft-cat that reads it knows who failed and why. Best effort. */
static void print_failure(struct text_output *out)
{
    struct ft_record record;
    struct ft_buffer packed = {0};
    msgpack_zone zone;
    msgpack_packer pk;
    bool earlier = *ft_abort_origin.tool != '\0';

    msgpack_packer_init(&pk, &packed, ft_buffer_write);
    msgpack_pack_map(&pk, 3);
    ft_pack_text(&pk, "abort"), ft_pack_text(&pk, earlier ? ft_abort_origin.message : ft_error());
    ft_pack_text(&pk, "tool"), ft_pack_text(&pk, earlier ? ft_abort_origin.tool : tool.name);
    ft_pack_text(&pk, "status"), msgpack_pack_int(&pk, earlier ? ft_abort_origin.status : (int)ft_error_status());
    if (!msgpack_zone_init(&zone, 1024))
        return;
    if (ft_record_decode(&zone, (struct ft_string){packed.data, packed.size}, &record) == 0)
        ft_text_write(&out->buffer, &record, false);
    msgpack_zone_destroy(&zone);
    ft_buffer_free(&packed);
}

static int print_records(struct ft_reader *reader, struct text_output *out)
{
    struct ft_record record = {.bytes = ft_reader_header_bytes(reader)};
    int rc;

    record.object = *ft_reader_header(reader)->object;
    out->at_once |= ft_reader_header(reader)->kind != FT_DOCUMENTS;
    if (print_record(out, &record) < 0 || (!ft_reader_ready(reader) && flush_text(out) < 0))
        return -1;
    while (!ft_tool_given(&tool, &limit) || tool.out < (unsigned long)limit) {
        if ((rc = ft_reader_next(reader, &record)) <= 0)
            return rc < 0 ? -1 : print_record(out, &record);   /* the end record */
        if (print_record(out, &record) < 0 || (!ft_reader_ready(reader) && flush_text(out) < 0))
            return -1;
        tool.in++, tool.out++;
    }
    return ft_buffer_print(&out->buffer, "{\"end\":%lu}\n", tool.out);
}

static int to_text(const char *path)
{
    struct text_output out = {.fd = -1};
    struct ft_reader *reader;
    int rc;

    if (open_text(&out) < 0)
        return -1;
    if ((reader = ft_reader_open(path)))
        ft_reader_watch(reader, out.fd);
    rc = reader ? print_records(reader, &out) : -1;
    if (rc < 0 && !isatty(out.fd))
        print_failure(&out);
    rc = close_text(&out, rc);
    ft_reader_close(reader);
    return rc;
}

/* ---- check ---- */

struct counts {
    unsigned long texts, labels, scores, chunks, embeddings, items;
};

static int count_record(struct ft_arena *arena, enum ft_kind kind, const struct ft_record *record, struct counts *counts)
{
    struct ft_document document;
    struct ft_batch batch;

    ft_arena_reset(arena);
    if (kind == FT_BATCHES) {
        if (ft_batch_read(arena, record, &batch) < 0)
            return -1;
        counts->items += batch.items;
        counts->embeddings += ft_map_get(&record->object, "embedding") ? batch.items : 0;
    } else if (kind == FT_DOCUMENTS) {
        if (ft_document_read(arena, &record->object, &document) < 0)
            return -1;
        counts->texts += document.content.text.size != 0;
        counts->labels += document.label.data != NULL;
        counts->scores += document.scored;
        counts->chunks += document.chunk_count;
        counts->embeddings += document.embedding != NULL;
        for (size_t i = 0; i < document.chunk_count; i++)
            counts->embeddings += document.chunks[i].embedding != NULL;
    }
    return 0;
}

static void print_counts(const struct ft_reader *reader, const struct counts *counts)
{
    const struct ft_header *header = ft_reader_header(reader);

    printf("kind\t%s\nrecords\t%llu\n", ft_kind_name(header->kind), (unsigned long long)ft_reader_count(reader));
    if (header->kind == FT_DOCUMENTS)
        printf("texts\t%lu\nlabels\t%lu\nscores\t%lu\nchunks\t%lu\n", counts->texts, counts->labels, counts->scores, counts->chunks);
    if (header->kind == FT_BATCHES)
        printf("items\t%lu\n", counts->items);
    if (header->kind != FT_STEPS)
        printf("embeddings\t%lu\n", counts->embeddings);
}

static int check_stream(const char *path)
{
    struct ft_reader *reader = ft_reader_open(path);
    struct counts counts = {0};
    struct ft_arena arena = {0};
    struct ft_record record;
    int rc = -1;

    if (!reader)
        return -1;
    while ((rc = ft_reader_next(reader, &record)) > 0) {
        tool.in++;
        if (count_record(&arena, ft_reader_header(reader)->kind, &record, &counts) < 0) {
            rc = ft_error_prefix("%s: record %lu: ", ft_reader_name(reader), tool.in);
            break;
        }
    }
    if (rc == 0)
        print_counts(reader, &counts);
    ft_arena_free(&arena);
    ft_reader_close(reader);
    return rc;
}

/* ---- text to stream ---- */

struct text_input {
    FILE *file;
    const char *name;
    unsigned long line;
    struct ft_arena arena;    /* the header */
    struct ft_buffer packed;
    msgpack_zone zone;
    bool header, ended;       /* lines of these kinds were seen */
};

/* Documents alone, as another program writes them, get a header of ours. */
static int begin_bare(void)
{
    const struct ft_header header = {.kind = FT_DOCUMENTS};

    return ft_writer_header(tool.output, &header, tool.whole_argc, tool.whole_argv);
}

static int take_header(struct text_input *in, const struct ft_record *record)
{
    struct ft_header header;

    if (in->header || tool.in)
        return ft_fail(FT_BAD, "a header that is not the first line");
    if (ft_header_read(&in->arena, &record->object, &header) < 0)
        return -1;
    in->header = true;
    return ft_writer_header_copy(tool.output, record->bytes);
}

static int take_line(struct text_input *in, struct ft_string line)
{
    struct ft_record record;
    long size;

    in->packed.size = 0;
    msgpack_zone_clear(&in->zone);
    if (in->ended)
        return ft_fail(FT_BAD, "a line after the end line");
    if (ft_text_read(&in->packed, line) < 0 || (size = ft_msgpack_scan(in->packed.data, in->packed.size)) < 0)
        return -1;
    if (!size || (size_t)size != in->packed.size)
        return ft_fail(FT_BAD, "$msgpack: expected one whole record");
    if (ft_record_decode(&in->zone, (struct ft_string){in->packed.data, in->packed.size}, &record) < 0)
        return -1;
    switch (ft_record_type(&record)) {
    case FT_HEADER:
        return take_header(in, &record);
    case FT_ABORT:
        return ft_record_abort(&record);
    case FT_END:
        in->ended = true;   /* its count and checksum are made anew: the text may have been edited */
        return 0;
    case FT_RECORD:
        break;
    }
    if (!tool.in && !in->header && begin_bare() < 0)
        return -1;
    tool.in++;
    return ft_tool_given(&tool, &limit) && tool.in > (unsigned long)limit ? 0 : ft_writer_copy(tool.output, record.bytes);
}

static int take_lines(struct text_input *in)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int rc = 0;

    while (rc == 0 && (size = getline(&line, &room, in->file)) > 0) {
        struct ft_string text = {line, (size_t)size};

        in->line++;
        while (text.size && strchr(" \t\r\n", text.data[text.size - 1]))
            text.size--;
        if (text.size && (rc = take_line(in, text)) < 0 && ft_error_status() == FT_BAD && !*ft_abort_origin.tool)
            ft_error_prefix("%s:%lu: ", in->name, in->line);
    }
    free(line);
    if (rc == 0 && ferror(in->file))
        return ft_fail_errno("%s", in->name);
    if (rc == 0 && in->header && !in->ended)
        return ft_fail(FT_BAD, "%s: the text ends without its end line after %lu records: did the command before fail?", in->name, tool.in);
    if (rc == 0 && !in->header && !tool.in)
        return ft_fail(FT_BAD, "%s: no text: did the previous command start?", in->name);
    return rc;
}

static int to_stream(const char *path)
{
    struct text_input in = {.name = path ? path : "standard input"};
    struct ft_writer *writer;
    int rc;

    if (!(tool.output = ft_writer_open(output, force)))
        return -1;
    if (!(in.file = path ? fopen(path, "re") : stdin))
        return ft_fail_errno("%s", path);
    if (isatty(fileno(in.file)))
        ft_tool_say(&tool, "reading JSON lines from the terminal, end with ^D");
    if (!msgpack_zone_init(&in.zone, 1 << 16))
        return ft_fail(FT_SYSTEM, "out of memory");
    rc = take_lines(&in);
    if (path)
        fclose(in.file);
    msgpack_zone_destroy(&in.zone);
    ft_buffer_free(&in.packed);
    ft_arena_free(&in.arena);
    if (rc < 0)
        return -1;
    writer = tool.output;
    tool.out = ft_writer_count(writer);
    tool.output = NULL;
    return ft_writer_end(writer);
}

static int run(void)
{
    const char *path = tool.argc && strcmp(tool.argv[0], "-") != 0 ? tool.argv[0] : NULL;

    if (tool.argc > 1)
        return ft_fail(FT_USAGE, "one stream at a time, got %d", tool.argc);
    if (check && (from_text || full || output || ft_tool_given(&tool, &limit)))
        return ft_fail(FT_USAGE, "--check stands alone: it reads all and writes no stream");
    if (from_text && full)
        return ft_fail(FT_USAGE, "--full is for writing text, --from-text reads it");
    return check ? check_stream(path) : from_text ? to_stream(path) : to_text(path);
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    if (status >= 0)
        return status;
    return ft_tool_end(&tool, run());
}
