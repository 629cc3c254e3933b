/* ft-export - leave for other software: a model as a sentence-transformers directory, as ONNX or for llama.cpp, embeddings as npy, CSV or JSON lines,
 * documents for DocArray.
 *
 * A model comes from -m, or from a stream of steps, which names the run that ft-update finished. Embeddings come from a stream of documents: a row
 * for each document, or for each of its chunks where it has some. */
#include "base/file.h"
#include "base/tool.h"
#include "data/docarray-write.h"
#include "data/embedding-file.h"
#include "model/export/gguf.h"
#include "model/export/onnx.h"
#include "model/tailor/tailor.h"
#include "stream/document.h"
#include "train/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *model_name, *output, *to, *precision, *calibration;
static bool force;

static const struct ft_option options[] = {
    {'m', "model", FT_TEXT, &model_name, "MODEL", "model to export (default: what the input names)", NULL},
    {0, "to", FT_CHOICE, &to, NULL, "format (default: by the input, and by PATH's ending)", "sentence-transformers onnx gguf npy csv jsonl docarray"},
    {0, "precision", FT_CHOICE, &precision, NULL, "of weights fp32, fp16, bf16; of embeddings fp32, int8, uint8, binary, ubinary (default: fp32)",
     "fp32 fp16 bf16 int8 uint8 binary ubinary"},
    {0, "calibration", FT_TEXT, &calibration, "FILE", "int8 and uint8 by the ranges of these embeddings, a .npy file (default: those exported)", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "directory or file; embeddings may go to standard output", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest docs.csv | ft-embed -m minilm | ft-export --to npy -o docs.npy",
    "ft-ingest docs.csv | ft-embed -m minilm | ft-export --precision int8 -o docs-int8.npy",
    "ft-export -m minilm --to sentence-transformers --precision fp16 -o ./minilm",
    "ft-export -m minilm --to onnx -o minilm-onnx",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-export",
    .purpose = "leave for other software: models as directories, ONNX or GGUF, embeddings as npy, CSV or JSON lines, documents for DocArray",
    .operands = "[FILE]",
    .options = options,
    .examples = examples,
    .see_also = "ft-embed(1), ft-update(1), ft-train(1), ft-pull(1), ft(7)",
};

static struct ft_arena arena;

/* What is left of documents: which file, and rows written so far. */
struct sink {
    struct ft_embedding_options options;
    struct ft_embedding_file *out;
    bool whole;                    /* documents with all they have, for DocArray */
    struct ft_docarray_out documents;
    FILE *file;
};

enum { FEW = 100 };     /* embeddings whose ranges are not to be relied on: where sentence-transformers warns */

/* --to, or the ending of PATH. */
static int choose_format(struct sink *sink)
{
    const char *dot = output ? strrchr(output, '.') : NULL, *name = to ? to : dot ? dot + 1 : "";

    sink->options.format = name;
    sink->options.calibration = calibration;
    sink->whole = strcmp(name, "docarray") == 0 || (!to && strcmp(name, "json") == 0);
    if (sink->whole && (calibration || (precision && strcmp(precision, "fp32") != 0)))
        return ft_fail(FT_USAGE, "--precision and --calibration are of npy, csv and jsonl: DocArray's embeddings are floats");
    if (!sink->whole && !ft_embedding_format_known(name))
        return ft_fail(FT_USAGE, to ? "--to %s takes a model (-m, or a stream of steps), got documents"
                                    : "documents: which format? --to npy, csv, jsonl or docarray", to);
    if (ft_quantization_parse(&sink->options.quantization, precision ? precision : "fp32") < 0)
        return ft_fail(FT_USAGE, "--precision %s is of models, of embeddings there are fp32, int8, uint8, binary and ubinary", precision);
    if (calibration && !ft_quantization_ranged(sink->options.quantization))
        return ft_fail(FT_USAGE, "--calibration: only --precision int8 and uint8 have ranges");
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
    return ft_embedding_file_row(sink->out, id, embedding, (size_t)dim);
}

static int write_document(struct sink *sink, struct ft_arena *memory, const struct ft_record *record)
{
    struct ft_document document;
    int result = 0;

    if (ft_document_read(memory, &record->object, &document) < 0)
        return -1;
    if (sink->whole)
        result = ft_docarray_write(&sink->documents, &record->object);
    else if (document.embedding || !document.chunk_count)
        result = write_row(sink, memory, &document, document.id);
    for (size_t i = 0; result == 0 && !sink->whole && !document.embedding && i < document.chunk_count; i++)
        result = write_row(sink, memory, &document.chunks[i], document.chunks[i].id.size ? document.chunks[i].id : document.id);
    return result < 0 ? ft_error_prefix("document %.*s: ", (int)(document.id.size < 200 ? document.id.size : 200), document.id.data) : 0;
}

static int write_documents(struct ft_reader *reader, struct sink *sink)
{
    struct ft_arena memory = {0};
    struct ft_record record;
    int more;

    sink->documents.file = sink->file;
    if (!sink->whole && !(sink->out = ft_embedding_file_open(&sink->options, sink->file)))
        return -1;
    while ((more = ft_reader_next(reader, &record)) > 0) {
        ft_arena_reset(&memory);
        tool.in++;
        if ((more = write_document(sink, &memory, &record)) < 0)
            break;
    }
    ft_arena_free(&memory);
    if (more == 0)
        more = sink->whole ? ft_docarray_end(&sink->documents) : ft_embedding_file_end(sink->out, (size_t)ft_reader_header(reader)->dim);
    tool.out = sink->whole ? sink->documents.count : ft_embedding_file_rows(sink->out);
    if (more == 0 && ft_quantization_ranged(sink->options.quantization) && !calibration && tool.out < FEW)
        ft_tool_say(&tool, "ranges of %lu embeddings only: --calibration FILE gives those of more", tool.out);
    ft_embedding_file_close(sink->out);
    ft_docarray_out_free(&sink->documents);
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
    bool seeks = ft_embedding_format_seeks(sink->options.format);
    int result;

    if (seeks && isatty(STDOUT_FILENO))
        return ft_fail(FT_USAGE, "standard output is a terminal: add -o PATH");
    sink->file = seeks ? tmpfile() : stdout;
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
    bool broken;

    if (ft_file_exists(output) && !force)
        return ft_fail(FT_USAGE, "%s is there already: --force replaces it", output);
    if ((fd = ft_file_begin(output, temporary)) < 0)
        return -1;
    copy = dup(fd);
    sink->file = copy < 0 ? NULL : fdopen(copy, "wb");
    result = sink->file ? write_documents(reader, sink) : ft_fail_errno("%s", output);
    broken = sink->file && ferror(sink->file);     /* fclose tells of what it writes itself only */
    if (sink->file && (fclose(sink->file) != 0 || broken) && result == 0)
        result = ft_fail_errno("%s", output);
    if (result < 0) {
        ft_file_abandon(fd, temporary);
        return -1;
    }
    return ft_file_commit(fd, temporary, output);
}

static int export_documents(struct ft_reader *reader)
{
    struct sink sink = {0};

    if (choose_format(&sink) < 0)
        return -1;
    return output && strcmp(output, "-") != 0 ? to_file(reader, &sink) : to_standard_output(reader, &sink);
}

static bool same_directory(const char *a, const char *b)
{
    char *x = realpath(a, NULL), *y = realpath(b, NULL);
    bool same = x && y && strcmp(x, y) == 0;

    free(x);
    free(y);
    return same;
}

/* Two towers are two directories, of which one may be for ft alone. */
static void say_towers(const struct ft_model *model)
{
    const char *why;

    for (int t = 0; t < model->tower_count && model->tower_path[t]; t++)
        if ((why = ft_model_alone(&arena, model->towers[t])))
            ft_tool_say(&tool, "only ft loads %s/%s: %s, which %s cannot express", output, model->tower_path[t], why, ft_model_reader(model->towers[t]));
}

static int as_directory(const char *directory, const struct ft_model *model)
{
    const char *why = ft_model_alone(&arena, model);

    if (why && to)
        return ft_fail(FT_USAGE, "%s: %s, which %s cannot express", directory, why, ft_model_reader(model));
    if (why)
        ft_tool_say(&tool, "only ft loads it: %s, which %s cannot express", why, ft_model_reader(model));
    say_towers(model);
    return ft_model_place(model, output, force);
}

static int as_gguf(const char *directory, const struct ft_model *model)
{
    if (ft_directory_exists(output) || (ft_file_exists(output) && !force))
        return ft_fail(FT_USAGE, "%s is there already%s", output, ft_directory_exists(output) ? ", a directory" : ": --force replaces it");
    return ft_gguf_write(model, output) < 0 ? ft_error_prefix("%s: ", directory) : 0;
}

static bool ends_onnx(const char *path)
{
    size_t size = strlen(path);

    return size > 5 && strcmp(path + size - 5, ".onnx") == 0;
}

/* A file by itself, or a directory with what else the model came with. */
static int as_onnx(const char *directory, const struct ft_model *model)
{
    const char *data = ft_arena_print(&arena, "%s.data", output);

    if (model->saved_as != FT_WEIGHTS_F32)
        return ft_fail(FT_USAGE, "--precision %s: ONNX is written in fp32", precision);
    if (same_directory(directory, output))
        return ft_fail(FT_USAGE, "%s is the model itself: choose another name", output);
    if (!ends_onnx(output))
        return ft_onnx_place(model, output, force);
    if (!data)
        return -1;
    if (ft_directory_exists(output) || (!force && (ft_file_exists(output) || ft_file_exists(data))))
        return ft_fail(FT_USAGE, "%s is there already%s", ft_file_exists(output) ? output : data,
                       ft_directory_exists(output) ? ", a directory" : ": --force replaces it");
    return ft_onnx_write(model, output, FT_ONNX_LIMIT);
}

static const struct {
    const char *name, *ending;
    bool file;
    int (*write)(const char *directory, const struct ft_model *model);
} model_formats[] = {
    {"sentence-transformers", NULL, false, as_directory},
    {"onnx", ".onnx", true, as_onnx},
    {"gguf", ".gguf", true, as_gguf},
};
enum { MODEL_FORMATS = sizeof model_formats / sizeof *model_formats };

/* --to, or the ending of PATH, or a directory; MODEL_FORMATS: --to is a format of documents. */
static int choose_model_format(void)
{
    int found = to ? MODEL_FORMATS : 0;

    for (int i = 0; i < MODEL_FORMATS; i++) {
        size_t size = strlen(output), more = model_formats[i].ending ? strlen(model_formats[i].ending) : 0;

        if (to ? strcmp(to, model_formats[i].name) == 0 : more && size > more && strcmp(output + size - more, model_formats[i].ending) == 0)
            found = i;
    }
    return found;
}

static int export_model(const char *name)
{
    const char *directory = ft_model_find(&arena, name);
    enum ft_weights_type type;
    struct ft_model *model;
    int format, result;

    if (!directory)
        return -1;
    if (!output || strcmp(output, "-") == 0)
        return ft_fail(FT_USAGE, "a model is a directory or a file of its own: add -o PATH");
    if ((format = choose_model_format()) == MODEL_FORMATS)
        return ft_fail(FT_USAGE, "--to %s takes documents, got a model", to);
    if (calibration || ft_weights_type_parse(&type, precision ? precision : "fp32") < 0)
        return ft_fail(FT_USAGE, "%s is of embeddings, of a model --precision fp32, fp16 or bf16", calibration ? "--calibration" : precision);
    if (ft_run_is(directory) && !ft_run_finished(directory))
        return ft_fail(FT_USAGE, "%s is still in training: no model yet", directory);
    if (!model_formats[format].file && same_directory(directory, output) && type == FT_WEIGHTS_F32) {
        ft_tool_say(&tool, "%s is a finished model already: nothing to do", directory);
        return 0;
    }
    if (!(model = ft_model_open(directory, NULL)))
        return -1;
    model->saved_as = type;
    if (model->extra_text)
        ft_tool_say(&tool, "%s", model->extra_text);
    result = model_formats[format].write(directory, model);
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
