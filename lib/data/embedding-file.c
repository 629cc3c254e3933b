/* embedding-file.c - embeddings as npy, CSV or JSON lines. */
#include "data/embedding-file.h"
#include "base/error.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a row's numbers are: floats, or bytes with or without a sign. */
enum number { FLOATS, SIGNED, UNSIGNED };

struct format {
    const char *name;
    bool seeks;
    int (*begin)(FILE *file, enum number number, size_t size);
    int (*row)(FILE *file, struct ft_string id, enum number number, const void *values, size_t size);
    int (*end)(FILE *file, enum number number, size_t rows, size_t size);
};

struct ft_embedding_file {
    const struct ft_embedding_options *options;
    const struct format *format;
    FILE *file, *waiting;             /* waiting: rows as they came, until the ranges are known; or NULL */
    enum number number;
    size_t rows, dim, size;           /* size: numbers of a row as written */
    bool begun;
    struct ft_ranges ranges;
    uint8_t *bytes;                   /* [size] */
};

enum { NPY_HEADER = 128 };

/* numpy's format 1.0: magic, version, the length of what follows, a Python literal padded with blanks to a multiple of 64, a newline. The number of
 * rows is known at the end only, so room is kept for it. */
static int npy_end(FILE *file, enum number number, size_t rows, size_t size)
{
    static const char *const types[] = {"<f4", "|i1", "|u1"};
    char header[NPY_HEADER + 1];
    int used = snprintf(header, sizeof header, "\x93NUMPY\x01%c%c%c{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %zu), }",
                        0, NPY_HEADER - 10, 0, types[number], rows, size);

    memset(header + used, ' ', (size_t)(NPY_HEADER - used));
    header[NPY_HEADER - 1] = '\n';
    return fseeko(file, 0, SEEK_SET) < 0 || fwrite(header, NPY_HEADER, 1, file) != 1 ? -1 : 0;
}

static int npy_begin(FILE *file, enum number number, size_t size)
{
    return npy_end(file, number, 0, size);
}

static int npy_row(FILE *file, struct ft_string id, enum number number, const void *values, size_t size)
{
    (void)id;
    return size && fwrite(values, size * (number == FLOATS ? sizeof(float) : 1), 1, file) != 1 ? -1 : 0;
}

static void print_number(FILE *file, enum number number, const void *values, size_t i)
{
    if (number == FLOATS)
        fprintf(file, "%.9g", (double)((const float *)values)[i]);
    else
        fprintf(file, "%d", number == SIGNED ? ((const int8_t *)values)[i] : ((const uint8_t *)values)[i]);
}

static int csv_begin(FILE *file, enum number number, size_t size)
{
    (void)number;
    fputs("id", file);
    for (size_t i = 0; i < size; i++)
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

static int csv_row(FILE *file, struct ft_string id, enum number number, const void *values, size_t size)
{
    csv_field(file, id);
    for (size_t i = 0; i < size; i++) {
        putc(',', file);
        print_number(file, number, values, i);
    }
    return putc('\n', file) == EOF ? -1 : 0;
}

static int jsonl_row(FILE *file, struct ft_string id, enum number number, const void *values, size_t size)
{
    json_t *text = json_stringn(id.data, id.size);
    char *quoted = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;

    json_decref(text);
    if (!quoted)
        return ft_fail(FT_BAD, "its id is not UTF-8");
    fprintf(file, "{\"id\": %s, \"embedding\": [", quoted);
    free(quoted);
    for (size_t i = 0; i < size; i++) {
        fputs(i ? ", " : "", file);
        print_number(file, number, values, i);
    }
    return fputs("]}\n", file) == EOF ? -1 : 0;
}

static const struct format formats[] = {
    {"npy", true, npy_begin, npy_row, npy_end},
    {"csv", false, csv_begin, csv_row, NULL},
    {"jsonl", false, NULL, jsonl_row, NULL},
};

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(name, formats[i].name) == 0)
            return formats + i;
    return NULL;
}

bool ft_embedding_format_known(const char *name)
{
    return find_format(name) != NULL;
}

bool ft_embedding_format_seeks(const char *name)
{
    const struct format *format = find_format(name);

    return format && format->seeks;
}

struct ft_embedding_file *ft_embedding_file_open(const struct ft_embedding_options *options, FILE *file)
{
    struct ft_embedding_file *out = calloc(1, sizeof *out);
    bool ranged = ft_quantization_ranged(options->quantization);

    if (!out) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    out->options = options;
    out->format = find_format(options->format);
    out->file = file;
    out->number = options->quantization == FT_QUANTIZE_NONE ? FLOATS
                : options->quantization == FT_QUANTIZE_INT8 || options->quantization == FT_QUANTIZE_BINARY ? SIGNED : UNSIGNED;
    if (ranged && options->calibration ? ft_ranges_read(&out->ranges, options->calibration) == 0
                                       : !ranged || (out->waiting = tmpfile()) || ft_fail_errno("temporary file") == 0)
        return out;
    ft_embedding_file_close(out);
    return NULL;
}

void ft_embedding_file_close(struct ft_embedding_file *out)
{
    if (!out)
        return;
    if (out->waiting)
        fclose(out->waiting);
    ft_ranges_free(&out->ranges);
    free(out->bytes);
    free(out);
}

size_t ft_embedding_file_rows(const struct ft_embedding_file *out)
{
    return out->rows;
}

static int begin(struct ft_embedding_file *out, size_t dim)
{
    if (out->ranges.low && !out->waiting && dim != out->ranges.dim)
        return ft_fail(FT_USAGE, "%s: embeddings of %zu dimensions, expected %zu as in the stream", out->options->calibration, out->ranges.dim, dim);
    out->dim = dim;
    out->size = ft_quantized_size(out->options->quantization, dim);
    out->begun = true;
    if (!(out->bytes = ft_resize(NULL, out->size + 1, 1)))
        return -1;
    if (out->format->begin && out->format->begin(out->file, out->number, out->size) < 0)
        return ft_fail_errno("cannot write");
    return 0;
}

static int write_row(struct ft_embedding_file *out, struct ft_string id, const float *embedding)
{
    const void *values = embedding;

    if (out->number != FLOATS) {
        ft_quantize(out->options->quantization, &out->ranges, embedding, out->dim, out->bytes);
        values = out->bytes;
    }
    ft_error_clear();
    if (out->format->row(out->file, id, out->number, values, out->size) < 0)
        return *ft_error() ? -1 : ft_fail_errno("cannot write");
    return 0;
}

static int put_off(struct ft_embedding_file *out, struct ft_string id, const float *embedding)
{
    if (fwrite(&id.size, sizeof id.size, 1, out->waiting) != 1 || (id.size && fwrite(id.data, id.size, 1, out->waiting) != 1) ||
        (out->dim && fwrite(embedding, out->dim * sizeof *embedding, 1, out->waiting) != 1))
        return ft_fail_errno("temporary file");
    return ft_ranges_add(&out->ranges, embedding, out->dim);
}

int ft_embedding_file_row(struct ft_embedding_file *out, struct ft_string id, const float *embedding, size_t dim)
{
    if (!out->begun && begin(out, dim) < 0)
        return -1;
    if (dim != out->dim)
        return ft_fail(FT_BAD, "its embedding has %zu dimensions, expected %zu", dim, out->dim);
    for (size_t i = 0; i < dim; i++)
        if (!isfinite(embedding[i]))
            return ft_fail(FT_BAD, "its embedding holds %g", (double)embedding[i]);
    if ((out->waiting ? put_off(out, id, embedding) : write_row(out, id, embedding)) < 0)
        return -1;
    out->rows++;
    return 0;
}

/* The rows that waited, now that the ranges are known. */
static int write_waiting(struct ft_embedding_file *out)
{
    struct ft_arena memory = {0};
    int result = 0;

    if (fflush(out->waiting) != 0 || fseeko(out->waiting, 0, SEEK_SET) < 0)
        return ft_fail_errno("temporary file");
    for (size_t i = 0; result == 0 && i < out->rows; i++) {
        struct ft_string id = {NULL, 0};
        float *embedding;
        char *text;

        ft_arena_reset(&memory);
        if (fread(&id.size, sizeof id.size, 1, out->waiting) != 1)
            result = ft_fail_errno("temporary file");
        else if (!(text = ft_arena_take(&memory, id.size)) || !(embedding = ft_arena_take(&memory, out->dim * sizeof *embedding)))
            result = -1;
        else if ((id.size && fread(text, id.size, 1, out->waiting) != 1) ||
                 (out->dim && fread(embedding, out->dim * sizeof *embedding, 1, out->waiting) != 1))
            result = ft_fail_errno("temporary file");
        else
            result = write_row(out, (struct ft_string){text, id.size}, embedding);
    }
    ft_arena_free(&memory);
    return result;
}

int ft_embedding_file_end(struct ft_embedding_file *out, size_t dim)
{
    if (!out->begun && begin(out, dim) < 0)
        return -1;
    if (out->waiting && out->rows == 1)
        return ft_fail(FT_USAGE, "one embedding has no ranges: --calibration FILE gives those of others");
    if (out->waiting && write_waiting(out) < 0)
        return -1;
    if (out->format->end && out->format->end(out->file, out->number, out->rows, out->size) < 0)
        return ft_fail_errno("cannot write");
    return 0;
}
