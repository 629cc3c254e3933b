/* ft-export - leave for other software: a model as a sentence-transformers directory, embeddings as npy, CSV or JSON lines.
 *
 * A model comes from -m, or from a stream of steps, which names the run that ft-update finished. Embeddings come from a stream of documents: a row
 * for each document, or for each of its chunks where it has some. */
#include "base/file.h"
#include "base/tool.h"
#include "model/tailor.h"
#include "stream/document.h"
#include "train/run.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *model_name, *output, *to;
static bool force;

static const struct ft_option options[] = {
    {'m', "model", FT_TEXT, &model_name, "MODEL", "model to export (default: what the input names)", NULL},
    {0, "to", FT_CHOICE, &to, NULL, "format (default: by the input, and by PATH's ending)", "sentence-transformers npy csv jsonl"},
    {'o', "output", FT_TEXT, &output, "PATH", "directory or file; embeddings may go to standard output", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest docs.csv | ft-embed -m minilm | ft-export --to npy -o docs.npy",
    "ft-export -m minilm --to sentence-transformers -o ./minilm",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-export",
    .purpose = "leave for other software: models as directories, embeddings as npy, CSV or JSON lines",
    .operands = "[FILE]",
    .options = options,
    .examples = examples,
    .see_also = "ft-embed(1), ft-update(1), ft-train(1), ft-pull(1), ft(7)",
};

static struct ft_arena arena;

/* A writer of embeddings: rows as they come, then the end. `file` is seekable where `spools` says that it must be. */
struct format {
    const char *name;
    bool spools;
    int (*begin)(FILE *file, size_t dim);
    int (*row)(FILE *file, struct ft_string id, const float *embedding, size_t dim);
    int (*end)(FILE *file, size_t rows, size_t dim);
};

enum { NPY_HEADER = 128 };

/* numpy's format 1.0: magic, version, the length of what follows, a Python literal padded with blanks to a multiple of 64, a newline. The number of
 * rows is known at the end only, so room is kept for it. */
static int npy_end(FILE *file, size_t rows, size_t dim)
{
    char header[NPY_HEADER + 1];
    int size = snprintf(header, sizeof header, "\x93NUMPY\x01%c%c%c{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                        0, NPY_HEADER - 10, 0, rows, dim);

    memset(header + size, ' ', (size_t)(NPY_HEADER - size));
    header[NPY_HEADER - 1] = '\n';
    return fseeko(file, 0, SEEK_SET) < 0 || fwrite(header, NPY_HEADER, 1, file) != 1 ? -1 : 0;
}

static int npy_begin(FILE *file, size_t dim)
{
    return npy_end(file, 0, dim);
}

static int npy_row(FILE *file, struct ft_string id, const float *embedding, size_t dim)
{
    (void)id;
    return dim && fwrite(embedding, dim * sizeof *embedding, 1, file) != 1 ? -1 : 0;
}

static int csv_begin(FILE *file, size_t dim)
{
    fputs("id", file);
    for (size_t i = 0; i < dim; i++)
        fprintf(file, ",%zu", i);
    return putc('\n', file) == EOF ? -1 : 0;
}

static void csv_field(FILE *file, struct ft_string text)
{
    bool quote = false;

    for (size_t i = 0; i < text.size; i++)
        quote |= strchr(",\"\r\n", text.data[i]) != NULL;
    if (!quote) {
        fwrite(text.data, 1, text.size, file);
        return;
    }
    putc('"', file);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            putc('"', file);
        putc(text.data[i], file);
    }
    putc('"', file);
}

static int csv_row(FILE *file, struct ft_string id, const float *embedding, size_t dim)
{
    csv_field(file, id);
    for (size_t i = 0; i < dim; i++)
        fprintf(file, ",%.9g", (double)embedding[i]);
    return putc('\n', file) == EOF ? -1 : 0;
}

static int jsonl_row(FILE *file, struct ft_string id, const float *embedding, size_t dim)
{
    json_t *text = json_stringn(id.data, id.size);
    char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;

    json_decref(text);
    if (!quoted)
        return ft_fail(FT_BAD, "its id is not UTF-8");
    fprintf(file, "{\"id\": %s, \"embedding\": [", quoted);
    free(quoted);
    for (size_t i = 0; i < dim; i++)
        fprintf(file, "%s%.9g", i ? ", " : "", (double)embedding[i]);
    return fputs("]}\n", file) == EOF ? -1 : 0;
}

static const struct format formats[] = {
    {"npy", true, npy_begin, npy_row, npy_end},
    {"csv", false, csv_begin, csv_row, NULL},
    {"jsonl", false, NULL, jsonl_row, NULL},
};

/* --to, or the ending of PATH. */
static const struct format *choose_format(void)
{
    const char *dot = output ? strrchr(output, '.') : NULL, *name = to ? to : dot ? dot + 1 : "";

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(name, formats[i].name) == 0)
            return formats + i;
    ft_fail(FT_USAGE, to ? "--to %s takes a model (-m, or a stream of steps), got documents" : "documents: which format? --to npy, csv or jsonl",
            to);
    return NULL;
}

/* Rows written so far, and their width once known. */
struct sink {
    const struct format *format;
    FILE *file;
    size_t rows, dim;
    bool begun;
};

static int begin(struct sink *sink, size_t dim)
{
    sink->dim = dim;
    sink->begun = true;
    if (sink->format->begin && sink->format->begin(sink->file, dim) < 0)
        return ft_fail_errno("cannot write");
    return 0;
}

static int write_row(struct sink *sink, struct ft_arena *memory, const struct ft_document *document, struct ft_string id)
{
    uint64_t dim;
    float *embedding;

    if (!document->embedding)
        return ft_fail(FT_BAD, "no embedding: add ft-embed before");
    if (!(embedding = ft_wire_floats(memory, document->object, "embedding", 1, &dim)))
        return -1;
    if (!sink->begun && begin(sink, dim) < 0)
        return -1;
    if (dim != sink->dim)
        return ft_fail(FT_BAD, "its embedding has %llu dimensions, expected %zu", (unsigned long long)dim, sink->dim);
    for (size_t i = 0; i < dim; i++)
        if (!isfinite(embedding[i]))
            return ft_fail(FT_BAD, "its embedding holds %g", (double)embedding[i]);
    ft_error_clear();
    if (sink->format->row(sink->file, id, embedding, dim) < 0)
        return *ft_error() ? -1 : ft_fail_errno("cannot write");
    sink->rows++;
    return 0;
}

static int write_document(struct sink *sink, struct ft_arena *memory, const struct ft_record *record)
{
    struct ft_document document;
    int result = 0;

    if (ft_document_read(memory, &record->object, &document) < 0)
        return -1;
    if (document.embedding || !document.chunk_count)
        result = write_row(sink, memory, &document, document.id);
    for (size_t i = 0; result == 0 && !document.embedding && i < document.chunk_count; i++)
        result = write_row(sink, memory, &document.chunks[i], document.chunks[i].id.size ? document.chunks[i].id : document.id);
    return result < 0 ? ft_error_prefix("document %.*s: ", (int)(document.id.size < 200 ? document.id.size : 200), document.id.data) : 0;
}

static int write_documents(struct ft_reader *reader, struct sink *sink)
{
    struct ft_arena memory = {0};
    struct ft_record record;
    int more;

    while ((more = ft_reader_next(reader, &record)) > 0) {
        ft_arena_reset(&memory);
        tool.in++;
        if ((more = write_document(sink, &memory, &record)) < 0)
            break;
    }
    ft_arena_free(&memory);
    if (more == 0 && !sink->begun)
        more = begin(sink, (size_t)ft_reader_header(reader)->dim);
    if (more == 0 && sink->format->end && sink->format->end(sink->file, sink->rows, sink->dim) < 0)
        more = ft_fail_errno("cannot write");
    return more;
}

/* What was written to a temporary file, to standard output. */
static int copy_out(FILE *file)
{
    char buffer[1 << 16];
    size_t n;

    if (fflush(file) != 0 || fseeko(file, 0, SEEK_SET) < 0)
        return ft_fail_errno("temporary file");
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        if (fwrite(buffer, 1, n, stdout) != n)
            return ft_fail_errno("standard output");
    return ferror(file) ? ft_fail_errno("temporary file") : 0;
}

static int to_standard_output(struct ft_reader *reader, struct sink *sink)
{
    int result;

    if (sink->format->spools && isatty(STDOUT_FILENO))
        return ft_fail(FT_USAGE, "standard output is a terminal: add -o PATH");
    sink->file = sink->format->spools ? tmpfile() : stdout;
    if (!sink->file)
        return ft_fail_errno("temporary file");
    ft_reader_watch(reader, STDOUT_FILENO);
    result = write_documents(reader, sink);
    if (sink->file != stdout) {
        result = result < 0 ? -1 : copy_out(sink->file);
        fclose(sink->file);
    }
    if (result == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        result = ft_fail_errno("standard output");
    return result;
}

static int to_file(struct ft_reader *reader, struct sink *sink)
{
    char temporary[4096];
    int fd, copy, result;

    if (ft_file_exists(output) && !force)
        return ft_fail(FT_USAGE, "%s is there already: --force replaces it", output);
    if ((fd = ft_file_begin(output, temporary)) < 0)
        return -1;
    copy = dup(fd);
    sink->file = copy < 0 ? NULL : fdopen(copy, "wb");
    result = sink->file ? write_documents(reader, sink) : ft_fail_errno("%s", output);
    if (sink->file && fclose(sink->file) != 0 && result == 0)
        result = ft_fail_errno("%s", output);
    if (result < 0) {
        ft_file_abandon(fd, temporary);
        return -1;
    }
    return ft_file_commit(fd, temporary, output);
}

static int export_documents(struct ft_reader *reader)
{
    struct sink sink = {.format = choose_format()};
    int result;

    if (!sink.format)
        return -1;
    result = output && strcmp(output, "-") != 0 ? to_file(reader, &sink) : to_standard_output(reader, &sink);
    tool.out = sink.rows;
    return result;
}

static bool same_directory(const char *a, const char *b)
{
    char *x = realpath(a, NULL), *y = realpath(b, NULL);
    bool same = x && y && strcmp(x, y) == 0;

    free(x);
    free(y);
    return same;
}

static int export_model(const char *name)
{
    const char *directory = ft_model_find(&arena, name), *why;
    struct ft_model *model;
    int result;

    if (!directory)
        return -1;
    if (to && strcmp(to, "sentence-transformers") != 0)
        return ft_fail(FT_USAGE, "--to %s takes documents, got a model", to);
    if (!output || strcmp(output, "-") == 0)
        return ft_fail(FT_USAGE, "a model is a directory: add -o PATH");
    if (ft_run_is(directory) && !ft_run_finished(directory))
        return ft_fail(FT_USAGE, "%s is still in training: no model yet", directory);
    if (same_directory(directory, output)) {
        ft_tool_say(&tool, "%s is a finished model already: nothing to do", directory);
        return 0;
    }
    if (!(model = ft_model_open(directory, NULL)))
        return -1;
    if (model->extra_text)
        ft_tool_say(&tool, "%s", model->extra_text);
    if ((why = ft_model_alone(&arena, model)) && !to)
        ft_tool_say(&tool, "only ft loads it: %s, which %s cannot express", why, ft_model_reader(model));
    result = why && to ? ft_fail(FT_USAGE, "%s: %s, which %s cannot express", directory, why, ft_model_reader(model)) : ft_model_place(model, output, force);
    ft_model_close(model);
    tool.out = result == 0;
    return result;
}

/* The run is whole only when its steps have ended well. */
static int export_run(struct ft_reader *reader)
{
    struct ft_string run = ft_reader_header(reader)->run;
    const char *directory = ft_arena_text(&arena, run);
    struct ft_record record;
    int more;

    while ((more = ft_reader_next(reader, &record)) > 0)
        tool.in++;
    if (more < 0 || !directory)
        return -1;
    if (!run.size)
        return ft_fail(FT_BAD, "%s: steps that name no run", ft_reader_name(reader));
    return export_model(directory);
}

static int run_tool(void)
{
    struct ft_reader *reader;
    int result;

    if (tool.argc > 1 || (model_name && tool.argc))
        return ft_fail(FT_USAGE, model_name ? "-m and a stream: expected one of them" : "one FILE at most");
    if (model_name) {
        tool.in = 1;
        return export_model(model_name);
    }
    if (!(reader = ft_reader_open(tool.argc ? tool.argv[0] : NULL)))
        return -1;
    if (ft_reader_header(reader)->kind == FT_STEPS)
        result = export_run(reader);
    else
        result = ft_reader_expect(reader, FT_DOCUMENTS) < 0 ? -1 : export_documents(reader);
    ft_reader_close(reader);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    if (status < 0)
        status = ft_tool_end(&tool, run_tool());
    ft_arena_free(&arena);
    return status;
}
