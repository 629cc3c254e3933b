/* rows-open.c - what a file is: format, delimiter, layout, from its name and first rows. */
#include "base/file.h"
#include "data/rows-parts.h"
#include "data/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { HEAD = 1 << 16, HELD_ERRORS = 16 };

int ft_where_parse(struct ft_where *where, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t size = equals ? (size_t)(equals - text) : 0;

    where->differs = size > 0 && text[size - 1] == '!';
    size -= where->differs;
    if (!equals || size == 0 || size >= sizeof where->column)
        return ft_fail(FT_USAGE, "--where: '%s' is no condition: expected COLUMN=VALUE or COLUMN!=VALUE", text);
    memcpy(where->column, text, size);
    where->column[size] = '\0';
    where->value = ft_string_of(equals + 1);
    return 0;
}

static bool ends_with(const char *path, const char *ending)
{
    size_t size = strlen(path), more = strlen(ending);

    return size > more && strcasecmp(path + size - more, ending) == 0;
}

/* The name of a format that the file's name and first bytes tell: `i` is where white space ends. */
static const char *guess_format(const struct ft_rows *rows, struct ft_string head, size_t i)
{
    const struct ft_rows_options *o = rows->options;
    const char *p = rows->path;
    bool vectors = o->kind == FT_ROW_VECTORS, named = o->delimiter || strcmp(o->dialect, "auto") != 0 || ends_with(p, ".csv");
    char first = i < head.size ? head.data[i] : '\0';
    size_t next = i + 1;

    if (ends_with(p, ".tsv") || ends_with(p, ".tab"))
        return "tsv";
    if (ends_with(p, ".txt"))
        return "lines";
    while (next < head.size && head.data[next] && strchr(" \t\r\n", head.data[next]))
        next++;
    if (!named && first == '[' && next < head.size && (head.data[next] == '{' || (head.data[next] == ']' && !vectors)))
        return "docarray";
    if (ends_with(p, ".jsonl") || ends_with(p, ".ndjson") || ends_with(p, ".json") || (!named && (first == '{' || (vectors && first == '['))))
        return "jsonl";
    return "csv";
}

/* The format, and for CSV the delimiter. */
static int find_format(struct ft_rows *rows, char *delimiter)
{
    const struct ft_rows_options *o = rows->options;
    const char *p = rows->path, *format = o->format;
    struct ft_string head;
    size_t i = 0;

    if (strcmp(format, "auto") == 0 && ft_name_is_picture(ft_string_of(p)))
        return ft_fail(FT_USAGE, "%s: a picture: expected rows that name pictures, or with --format images a folder of them", ft_lines_name(rows->lines));
    if (ft_lines_peek(rows->lines, HEAD, &head) < 0)
        return -1;
    while (i < head.size && strchr(" \t\r\n", head.data[i]) && head.data[i])
        i++;
    if (i == head.size && head.size < HEAD)
        return ft_fail(FT_BAD, "%s: no rows: the file is empty", ft_lines_name(rows->lines));
    if (head.size >= 2 && (memcmp(head.data, "\xff\xfe", 2) == 0 || memcmp(head.data, "\xfe\xff", 2) == 0))
        return ft_fail(FT_BAD, "%s: begins as UTF-16 does: say --encoding utf-16", ft_lines_name(rows->lines));
    if (strcmp(format, "auto") == 0 || strcmp(format, "docarray") == 0) {
        if (ft_docarray_refuse(strcmp(p, "-") == 0 ? NULL : p, head, *format == 'd') < 0)
            return ft_error_prefix("%s: ", ft_lines_name(rows->lines));
        format = *format == 'd' ? format : guess_format(rows, head, i);
    }
    rows->format = strcmp(format, "lines") == 0 ? FT_FORMAT_LINES
                 : strcmp(format, "docarray") == 0 ? FT_FORMAT_DOCARRAY
                 : strcmp(format, "jsonl") == 0 || strcmp(format, "beir") == 0 ? FT_FORMAT_JSONL : FT_FORMAT_CSV;
    if (o->delimiter)
        *delimiter = o->delimiter;
    else if (strcmp(format, "tsv") == 0 || strcmp(o->dialect, "excel-tab") == 0)
        *delimiter = '\t';
    else
        *delimiter = strcmp(o->dialect, "auto") == 0 ? ft_csv_sniff(head, head.size < HEAD) : ',';
    return 0;
}

/* A copy, all of it from the arena. */
static int keep_cells(struct ft_arena *arena, const struct ft_cells *cells, struct ft_sample_row *row)
{
    size_t size = 0;
    char *bytes;

    for (size_t i = 0; i < cells->count; i++)
        size += cells->cell[i].size;
    row->cell = ft_arena_take(arena, cells->count * sizeof *row->cell);
    bytes = ft_arena_take(arena, size);
    if (!row->cell || !bytes)
        return -1;
    row->line = cells->line;
    row->count = cells->count;
    for (size_t i = 0; i < cells->count; i++) {
        memcpy(bytes, cells->cell[i].data, cells->cell[i].size);
        row->cell[i] = (struct ft_string){bytes, cells->cell[i].size};
        bytes += cells->cell[i].size;
    }
    return 0;
}

static int hold_error(struct ft_rows *rows)
{
    if (ft_error_status() != FT_BAD)
        return -1;
    rows->held[rows->held_count].before = rows->sample->count;
    ft_error_save(&rows->held[rows->held_count++].error);
    return 0;
}

static int take_sample(struct ft_rows *rows)
{
    struct ft_sample *sample = rows->sample;
    struct ft_cells cells;
    int got;

    while (sample->count < FT_SAMPLE_ROWS && sample->bytes < FT_SAMPLE_BYTES && rows->held_count < HELD_ERRORS) {
        got = ft_rows_read_cells(rows, &cells);
        if (got == 0)
            return 0;
        if (got < 0 && hold_error(rows) < 0)
            return -1;
        if (got < 0)
            continue;
        if (keep_cells(&rows->arena, &cells, &sample->row[sample->count]) < 0)
            return -1;
        for (size_t i = 0; i < cells.count; i++)
            sample->bytes += cells.cell[i].size + sizeof *cells.cell;
        sample->count++;
    }
    return 0;
}

/* The first record, if it names the columns, is taken out of the sample. */
static const struct ft_string *take_header(struct ft_rows *rows, size_t *count)
{
    struct ft_sample *sample = rows->sample;
    struct ft_sample_row first;

    if (sample->count == 0 || (rows->held_count > 0 && rows->held[0].before == 0))
        return NULL;
    first = sample->row[0];
    *count = first.count;
    if (rows->format == FT_FORMAT_LINES || (!rows->options->header && !ft_names_are_header(first.cell, first.count, &rows->options->selection,
                                                                                               rows->options->kind)))
        return NULL;
    memmove(sample->row, sample->row + 1, --sample->count * sizeof *sample->row);
    for (size_t i = 0; i < rows->held_count; i++)
        rows->held[i].before--;
    return first.cell;
}

static int find_where(struct ft_rows *rows)
{
    const struct ft_rows_options *o = rows->options;

    rows->where = ft_arena_zero(&rows->arena, o->where_count, sizeof *rows->where);
    if (!rows->where)
        return -1;
    for (size_t i = 0; i < o->where_count; i++) {
        rows->where[i] = ft_column_find(rows->layout.names, rows->layout.columns, o->where[i].column);
        if (rows->where[i] < 0)
            return ft_fail(FT_USAGE, "--where: no column '%s'", o->where[i].column);
    }
    return 0;
}

static int make_layout(struct ft_rows *rows)
{
    const struct ft_rows_options *o = rows->options;
    size_t count = rows->sample->count ? rows->sample->row[0].count : 1;
    const struct ft_string *names = take_header(rows, &count);
    struct ft_layout *layout = &rows->layout;

    if (ft_layout_make(layout, names, count, &o->selection, o->kind, rows->sample) < 0)
        return -1;
    if (layout->guessed && o->usual != FT_ROW_GUESS && layout->kind != o->usual &&
        ft_layout_make(layout, names, count, &o->selection, o->usual, rows->sample) < 0)
        return -1;
    rows->items = ft_arena_zero(&rows->arena, layout->item_count + 1, sizeof *rows->items);
    rows->vector = ft_arena_zero(&rows->arena, layout->vector_count, sizeof *rows->vector);
    rows->tags = ft_arena_zero(&rows->arena, layout->tag_count, sizeof *rows->tags);
    return rows->items && rows->tags && rows->vector ? find_where(rows) : -1;
}

static int open_cells(struct ft_rows *rows, char delimiter)
{
    char layout[512];

    if (rows->format == FT_FORMAT_CSV && !(rows->csv = ft_csv_open(rows->lines, delimiter)))
        return -1;
    rows->sample = calloc(1, sizeof *rows->sample);
    rows->held = calloc(HELD_ERRORS, sizeof *rows->held);
    if (!rows->sample || !rows->held)
        return ft_fail(FT_SYSTEM, "out of memory");
    if (take_sample(rows) < 0)
        return -1;
    if (rows->sample->count == 0 && rows->held_count == 0)
        return ft_fail(FT_BAD, "%s: no rows", ft_lines_name(rows->lines));
    if (make_layout(rows) < 0)
        return ft_error_prefix("%s: ", ft_lines_name(rows->lines));
    rows->kind = rows->layout.kind;
    ft_layout_say(&rows->layout, layout, sizeof layout);
    if (rows->format == FT_FORMAT_LINES)
        snprintf(layout, sizeof layout, "lines: unlabelled rows");
    snprintf(rows->said, sizeof rows->said, "%s: %s%s%s", ft_lines_name(rows->lines), delimiter == ';' ? "delimiter ';', "
             : delimiter == '|' ? "delimiter '|', " : "", delimiter == '\t' && rows->format == FT_FORMAT_CSV ? "tabs, " : "", layout);
    if (*rows->layout.question)
        snprintf(rows->question, sizeof rows->question, "%s: %s", ft_lines_name(rows->lines), rows->layout.question);
    return 0;
}

static int open_npy(struct ft_rows *rows)
{
    const struct ft_rows_options *o = rows->options;

    rows->format = FT_FORMAT_NPY;
    if (o->kind != FT_ROW_GUESS && o->kind != FT_ROW_VECTORS)
        return ft_fail(FT_USAGE, "%s: %s: a .npy file holds vectors", rows->path, ft_row_kind_option(o->kind));
    if (o->selection.count || o->header || o->encoding || o->where_count)
        return ft_fail(FT_USAGE, "%s: a .npy file has no columns, header or encoding", rows->path);
    if (!(rows->npy = ft_npy_open(rows->path)))
        return -1;
    rows->kind = FT_ROW_VECTORS;
    snprintf(rows->said, sizeof rows->said, "%s: %llu vectors of %zu numbers", ft_rows_name(rows), (unsigned long long)ft_npy_rows(rows->npy),
             ft_npy_width(rows->npy));
    return 0;
}

static int open_file(struct ft_rows *rows)
{
    const struct ft_rows_options *o = rows->options;
    char delimiter = ',';

    if (strcmp(o->format, "npy") == 0 || (strcmp(o->format, "auto") == 0 && ends_with(rows->path, ".npy")))
        return open_npy(rows);
    if (ft_directory_exists(rows->path))
        return ft_fail(FT_SYSTEM, "%s: Is a directory: --format images reads folders of images, --format beir those of BEIR", rows->path);
    if (!(rows->lines = ft_lines_open(rows->path, o->encoding)))
        return -1;
    ft_lines_watch(rows->lines, o->output);
    if (find_format(rows, &delimiter) < 0)
        return -1;
    if (rows->format == FT_FORMAT_LINES && o->kind != FT_ROW_GUESS && o->kind != FT_ROW_UNLABELED)
        return ft_fail(FT_USAGE, "%s: lines are unlabelled rows: %s needs columns (--format csv)", ft_lines_name(rows->lines),
                       ft_row_kind_option(o->kind));
    if (rows->format != FT_FORMAT_JSONL && rows->format != FT_FORMAT_DOCARRAY)
        return open_cells(rows, delimiter);
    if (rows->format == FT_FORMAT_DOCARRAY && !(rows->docarray = ft_docarray_open(rows->lines)))
        return -1;
    return (rows->jsonl = ft_jsonl_open(&o->selection, o->kind, rows->docarray != NULL)) ? 0 : -1;
}

static int open_folder(struct ft_rows *rows)
{
    const struct ft_rows_options *o = rows->options;
    size_t labels;

    rows->format = FT_FORMAT_FOLDER;
    if (strcmp(rows->path, "-") == 0)
        return ft_fail(FT_USAGE, "--format images: expected folders, not standard input");
    if (o->kind != FT_ROW_GUESS && o->kind != FT_ROW_LABELED && o->kind != FT_ROW_UNLABELED)
        return ft_fail(FT_USAGE, "%s with --format images: a folder holds labelled or unlabelled pictures", ft_row_kind_option(o->kind));
    if (o->selection.count || o->header || o->encoding)
        return ft_fail(FT_USAGE, "--format images: a folder has no columns, header or encoding");
    for (size_t i = 0; i < o->where_count; i++)
        if (strcmp(o->where[i].column, "label") != 0 && strcmp(o->where[i].column, "image") != 0)
            return ft_fail(FT_USAGE, "--where: no column '%s': of a folder there are label and image", o->where[i].column);
    if (!(rows->folder = ft_folder_open(rows->path)))
        return -1;
    labels = ft_folder_labels(rows->folder);
    if (o->kind == FT_ROW_LABELED && !labels)
        return ft_fail(FT_USAGE, "%s: --labeled: no folders in it, expected one for each label", rows->path);
    rows->kind = labels && o->kind != FT_ROW_UNLABELED ? FT_ROW_LABELED : FT_ROW_UNLABELED;
    snprintf(rows->said, sizeof rows->said, "%s: %zu folder%s: %s, all images", rows->path, labels, labels == 1 ? "" : "s",
             ft_row_kind_name(rows->kind));
    if (ft_folder_left_out(rows->folder))
        snprintf(rows->question, sizeof rows->question, "%s: %zu picture%s beside the folders %s no label and %s left out", rows->path,
                 ft_folder_left_out(rows->folder), ft_folder_left_out(rows->folder) == 1 ? "" : "s",
                 ft_folder_left_out(rows->folder) == 1 ? "has" : "have", ft_folder_left_out(rows->folder) == 1 ? "is" : "are");
    return 0;
}

/* "a/b.csv" gives "a/", of a folder "a" the same. A pipe, such as the shell's <(...), is in no folder. */
static char *base_of(const char *path, bool folder)
{
    struct stat st;
    const char *slash = stat(path, &st) < 0 || S_ISREG(st.st_mode) ? strrchr(path, '/') : NULL;
    size_t size = folder ? strlen(path) : slash ? (size_t)(slash - path) + 1 : 0;
    char *base = malloc(size + 2);

    if (!base) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    memcpy(base, path, size);
    if (folder && size && base[size - 1] != '/')
        base[size++] = '/';
    base[size] = '\0';
    return base;
}

struct ft_rows *ft_rows_open(const char *path, const struct ft_rows_options *options)
{
    struct ft_rows *rows = calloc(1, sizeof *rows);
    bool folder = strcmp(options->format, "images") == 0;

    if (!rows) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    rows->options = options;
    rows->path = path;
    if ((rows->base = base_of(path, folder)) && (folder ? open_folder(rows) : open_file(rows)) == 0)
        return rows;
    ft_rows_close(rows);
    return NULL;
}

void ft_rows_close(struct ft_rows *rows)
{
    if (!rows)
        return;
    ft_csv_close(rows->csv);
    ft_jsonl_close(rows->jsonl);
    ft_docarray_close(rows->docarray);
    ft_folder_close(rows->folder);
    ft_npy_close(rows->npy);
    ft_lines_close(rows->lines);
    ft_layout_free(&rows->layout);
    ft_arena_free(&rows->arena);
    ft_arena_free(&rows->titled);
    ft_arena_free(&rows->named);
    free(rows->base);
    free(rows->sample);
    free(rows->held);
    free(rows);
}

enum ft_row_kind ft_rows_kind(const struct ft_rows *rows)
{
    return rows->kind;
}

const char *ft_rows_name(const struct ft_rows *rows)
{
    return rows->lines ? ft_lines_name(rows->lines) : strcmp(rows->path, "-") == 0 ? "standard input" : rows->path;
}

const char *ft_rows_base(const struct ft_rows *rows)
{
    return rows->base;
}

bool ft_rows_is_folder(const struct ft_rows *rows)
{
    return rows->folder != NULL;
}

const char *ft_rows_said(const struct ft_rows *rows)
{
    return rows->said;
}

const char *ft_rows_question(const struct ft_rows *rows)
{
    return rows->question;
}
