/* rows.c - one reader over all formats of rows. */
#include "data/rows.h"
#include "base/error.h"
#include "data/csv.h"
#include "data/jsonl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD = 1 << 16, HELD_ERRORS = 16 };
enum format { CSV, LINES, JSONL };

struct ft_rows {
    const struct ft_rows_options *options;
    const char *path;
    struct ft_lines *lines;
    enum format format;
    struct ft_csv *csv;
    struct ft_jsonl *jsonl;
    struct ft_arena arena, titled;     /* titled: of one row */
    char said[640], question[320];
    enum ft_row_kind kind;

    /* CSV and lines: the sample goes out first, with the errors met on the way, each before row `before` of the sample. */
    struct ft_sample *sample;
    size_t next_sample;
    struct {
        size_t before;
        struct ft_error_copy error;
    } *held;
    size_t held_count, next_held;
    struct ft_layout layout;
    long *where;                   /* [where_count] columns */
    struct ft_cells cells;
    struct ft_string line_cell;
    struct ft_row_item *items;
    struct ft_row_tag *tags;

    unsigned long line;            /* the record in hand */
    size_t part, parts;            /* documents of it: next, all */
};

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

/* The format, and for CSV the delimiter. */
static int find_format(struct ft_rows *rows, char *delimiter)
{
    const struct ft_rows_options *o = rows->options;
    const char *p = rows->path, *format = o->format;
    struct ft_string head;
    size_t i = 0;

    if (ft_lines_peek(rows->lines, HEAD, &head) < 0)
        return -1;
    while (i < head.size && strchr(" \t\r\n", head.data[i]) && head.data[i])
        i++;
    if (i == head.size && head.size < HEAD)
        return ft_fail(FT_BAD, "%s: no rows: the file is empty", ft_lines_name(rows->lines));
    if (head.size >= 2 && (memcmp(head.data, "\xff\xfe", 2) == 0 || memcmp(head.data, "\xfe\xff", 2) == 0))
        return ft_fail(FT_BAD, "%s: begins as UTF-16 does: say --encoding utf-16", ft_lines_name(rows->lines));
    if (strcmp(format, "auto") == 0) {
        bool named = o->delimiter || strcmp(o->dialect, "auto") != 0 || ends_with(p, ".csv");

        format = ends_with(p, ".tsv") || ends_with(p, ".tab") ? "tsv" : ends_with(p, ".txt") ? "lines"
               : ends_with(p, ".jsonl") || ends_with(p, ".ndjson") || ends_with(p, ".json") || (!named && head.data[i] == '{') ? "jsonl"
               : "csv";
    }
    rows->format = strcmp(format, "lines") == 0 ? LINES : strcmp(format, "jsonl") == 0 || strcmp(format, "beir") == 0 ? JSONL : CSV;
    if (o->delimiter)
        *delimiter = o->delimiter;
    else if (strcmp(format, "tsv") == 0 || strcmp(o->dialect, "excel-tab") == 0)
        *delimiter = '\t';
    else
        *delimiter = strcmp(o->dialect, "auto") == 0 ? ft_csv_sniff(head, head.size < HEAD) : ',';
    return 0;
}

static bool is_blank(struct ft_string text)
{
    size_t i = 0;

    while (i < text.size && (text.data[i] == ' ' || text.data[i] == '\t' || text.data[i] == '\r'))
        i++;
    return i == text.size;
}

/* The next record as cells, from the file. */
static int read_cells(struct ft_rows *rows, struct ft_cells *cells)
{
    struct ft_line line;
    int got;

    if (rows->format == CSV)
        return ft_csv_next(rows->csv, cells);
    do {
        got = ft_lines_next(rows->lines, &line);
        if (got <= 0)
            return got;
        if (line.fault) {
            ft_fail(FT_BAD, "%s", line.fault);
            return ft_error_prefix("%s:%lu: ", ft_lines_name(rows->lines), line.number);
        }
    } while (is_blank(line.text));
    rows->line_cell = line.text;
    *cells = (struct ft_cells){line.number, 1, &rows->line_cell};
    return 1;
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
        got = read_cells(rows, &cells);
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
    if (rows->format == LINES || (!rows->options->header && !ft_names_are_header(first.cell, first.count, &rows->options->selection)))
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
    rows->items = ft_arena_zero(&rows->arena, layout->item_count, sizeof *rows->items);
    rows->tags = ft_arena_zero(&rows->arena, layout->tag_count, sizeof *rows->tags);
    return rows->items && rows->tags ? find_where(rows) : -1;
}

static int open_cells(struct ft_rows *rows, char delimiter)
{
    char layout[512];

    if (rows->format == CSV && !(rows->csv = ft_csv_open(rows->lines, delimiter)))
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
    if (rows->format == LINES)
        snprintf(layout, sizeof layout, "lines: unlabelled rows");
    snprintf(rows->said, sizeof rows->said, "%s: %s%s%s", ft_lines_name(rows->lines), delimiter == ';' ? "delimiter ';', "
             : delimiter == '|' ? "delimiter '|', " : "", delimiter == '\t' && rows->format == CSV ? "tabs, " : "", layout);
    if (*rows->layout.question)
        snprintf(rows->question, sizeof rows->question, "%s: %s", ft_lines_name(rows->lines), rows->layout.question);
    return 0;
}

struct ft_rows *ft_rows_open(const char *path, const struct ft_rows_options *options)
{
    struct ft_rows *rows = calloc(1, sizeof *rows);
    char delimiter = ',';
    int opened = -1;

    if (!rows) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    rows->options = options;
    rows->path = path;
    rows->lines = ft_lines_open(path, options->encoding);
    if (rows->lines) {
        ft_lines_watch(rows->lines, options->output);
        opened = find_format(rows, &delimiter);
    }
    if (opened == 0 && rows->format == LINES && options->kind != FT_ROW_GUESS && options->kind != FT_ROW_UNLABELED)
        opened = ft_fail(FT_USAGE, "%s: lines are unlabelled rows: %s needs columns (--format csv)", ft_lines_name(rows->lines),
                         ft_row_kind_option(options->kind));
    if (opened == 0 && rows->format == JSONL)
        opened = (rows->jsonl = ft_jsonl_open(&options->selection, options->kind)) ? 0 : -1;
    else if (opened == 0)
        opened = open_cells(rows, delimiter);
    if (opened == 0)
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
    ft_lines_close(rows->lines);
    ft_layout_free(&rows->layout);
    ft_arena_free(&rows->arena);
    ft_arena_free(&rows->titled);
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
    return ft_lines_name(rows->lines);
}

const char *ft_rows_said(const struct ft_rows *rows)
{
    return rows->said;
}

const char *ft_rows_question(const struct ft_rows *rows)
{
    return rows->question;
}

/* The next record as cells, the sample first. */
static int next_cells(struct ft_rows *rows, struct ft_cells *cells)
{
    const struct ft_sample_row *row;

    if (rows->next_held < rows->held_count && rows->held[rows->next_held].before <= rows->next_sample) {
        ft_error_restore(&rows->held[rows->next_held++].error);
        return -1;
    }
    if (rows->next_sample == rows->sample->count)
        return read_cells(rows, cells);
    row = &rows->sample->row[rows->next_sample++];
    *cells = (struct ft_cells){row->line, row->count, row->cell};
    return 1;
}

static int check_item(const struct ft_layout_item *item, struct ft_string content)
{
    if (content.size == 0)
        return ft_fail(FT_BAD, "column %zu is empty, expected %s", item->column + 1, item->uri ? "an image" : "a text");
    if (item->uri && !item->named && !ft_content_is_uri(content))
        return ft_fail(FT_BAD, "column %zu is '%.*s', expected an address or a picture's path as in the rows before", item->column + 1,
                       content.size > 40 ? 40 : (int)content.size, content.data);
    return 0;
}

/* Fill the row from the cells; FT_BAD without the place. */
static int build_row(struct ft_rows *rows, struct ft_row *row)
{
    const struct ft_layout *layout = &rows->layout;
    const struct ft_string *cell = rows->cells.cell;

    *row = (struct ft_row){.kind = layout->kind, .items = rows->items, .item_count = layout->item_count, .tags = rows->tags,
                           .tag_count = layout->tag_count};
    for (size_t i = 0; i < layout->item_count; i++) {
        const struct ft_layout_item *item = &layout->items[i];

        if (check_item(item, cell[item->column]) < 0)
            return -1;
        rows->items[i] = (struct ft_row_item){.role = item->role, .content = cell[item->column], .uri = item->uri};
    }
    if (layout->id >= 0)
        row->id = cell[layout->id];
    if (layout->label >= 0) {
        row->label = cell[layout->label];
        if (row->label.size == 0)
            return ft_fail(FT_BAD, "column %ld is empty, expected a label", layout->label + 1);
    }
    if (layout->score >= 0) {
        struct ft_string score = cell[layout->score];

        row->scored = true;
        if (!ft_string_number(score, &row->score))
            return ft_fail(FT_BAD, "column %ld is '%.*s', expected a number as the score", layout->score + 1,
                           score.size > 40 ? 40 : (int)score.size, score.data);
    }
    for (size_t i = 0; i < layout->tag_count; i++)
        rows->tags[i] = (struct ft_row_tag){layout->names[layout->tags[i]], cell[layout->tags[i]], NULL};
    return 0;
}

/* With --unlabeled and no header each cell is a document. */
static int build_cell(struct ft_rows *rows, struct ft_row *row)
{
    size_t column = rows->part - 1;
    struct ft_layout_item *item = &rows->layout.items[column];

    *row = (struct ft_row){.kind = FT_ROW_UNLABELED, .part = rows->parts > 1 ? rows->part : 0, .items = rows->items, .item_count = 1};
    if (check_item(item, rows->cells.cell[column]) < 0)
        return -1;
    rows->items[0] = (struct ft_row_item){.role = FT_NO_ROLE, .content = rows->cells.cell[column], .uri = item->uri};
    return 0;
}

/* The next record: 1 with its documents in `parts`. */
static int next_record(struct ft_rows *rows)
{
    const struct ft_layout *layout = &rows->layout;
    int got = next_cells(rows, &rows->cells);

    if (got <= 0)
        return got;
    rows->line = rows->cells.line;
    if (rows->cells.count == layout->columns) {
        rows->parts = layout->cells ? layout->columns : 1;
        return 1;
    }
    ft_fail(FT_BAD, "%zu field%s, expected %zu as in the %s", rows->cells.count, rows->cells.count == 1 ? "" : "s", layout->columns,
            layout->header ? "header" : "first row");
    return ft_error_prefix("%s:%lu: ", ft_lines_name(rows->lines), rows->line);
}

static void say_kind(struct ft_rows *rows, enum ft_row_kind kind)
{
    rows->kind = kind;
    snprintf(rows->said, sizeof rows->said, "%s: JSON lines: %s", ft_lines_name(rows->lines), ft_row_kind_name(kind));
}

static int next_json(struct ft_rows *rows)
{
    struct ft_line line;
    struct ft_row row;
    int got;
    long parts;

    do {
        got = ft_lines_next(rows->lines, &line);
    } while (got > 0 && !line.fault && is_blank(line.text));
    if (got <= 0)
        return got;
    rows->line = line.number;
    parts = line.fault ? ft_fail(FT_BAD, "%s", line.fault) : ft_jsonl_read(rows->jsonl, line.text);
    if (parts > 0) {
        ft_jsonl_row(rows->jsonl, 0, &row);
        if (rows->kind == FT_ROW_GUESS)
            say_kind(rows, row.kind);
        else if (row.kind != rows->kind)
            parts = ft_fail(FT_BAD, "%s, expected %s as in the lines before", ft_row_kind_name(row.kind), ft_row_kind_name(rows->kind));
    }
    if (parts < 0)
        return ft_error_prefix("%s:%lu: ", ft_lines_name(rows->lines), rows->line);
    rows->parts = (size_t)parts;
    return 1;
}

static bool is_wanted(struct ft_rows *rows)
{
    const struct ft_rows_options *o = rows->options;

    for (size_t i = 0; i < o->where_count; i++) {
        struct ft_string value = {NULL, 0};
        bool equal;

        if (rows->jsonl)
            equal = ft_jsonl_value(rows->jsonl, o->where[i].column, &value) && ft_string_equal(value, o->where[i].value);
        else
            equal = ft_string_equal(rows->cells.cell[rows->where[i]], o->where[i].value);
        if (equal == o->where[i].differs)
            return false;
    }
    return true;
}

/* As BEIR reads its corpus: title, blank, text. */
static int add_title(struct ft_rows *rows, struct ft_row *row)
{
    struct ft_string title, *text = &row->items[0].content;
    char *bytes;

    if (!ft_jsonl_value(rows->jsonl, "title", &title) || !title.size)
        return 0;
    ft_arena_reset(&rows->titled);
    if (!(bytes = ft_arena_take(&rows->titled, title.size + 1 + text->size)))
        return -1;
    memcpy(bytes, title.data, title.size);
    bytes[title.size] = ' ';
    memcpy(bytes + title.size + 1, text->data, text->size);
    *text = (struct ft_string){bytes, title.size + 1 + text->size};
    return 0;
}

int ft_rows_next(struct ft_rows *rows, struct ft_row *row)
{
    int got;

    while (rows->part == rows->parts) {
        rows->part = rows->parts = 0;
        got = rows->jsonl ? next_json(rows) : next_record(rows);
        if (got <= 0)
            return got;
        if (!is_wanted(rows))
            rows->parts = 0;
    }
    rows->part++;
    got = 0;
    if (rows->jsonl) {
        ft_jsonl_row(rows->jsonl, rows->part - 1, row);
        if (strcmp(rows->options->format, "beir") == 0 && row->kind == FT_ROW_UNLABELED)
            got = add_title(rows, row);
    } else
        got = rows->layout.cells ? build_cell(rows, row) : build_row(rows, row);
    row->line = rows->line;
    return got < 0 ? ft_error_prefix("%s:%lu: ", ft_lines_name(rows->lines), rows->line) : 1;
}
