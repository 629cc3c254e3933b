/* rows.c - one reader over all formats of rows. */
#include "data/rows-parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ft_line_is_blank(struct ft_string text)
{
    size_t i = 0;

    while (i < text.size && (text.data[i] == ' ' || text.data[i] == '\t' || text.data[i] == '\r'))
        i++;
    return i == text.size;
}

/* The next record as cells, from the file. */
int ft_rows_read_cells(struct ft_rows *rows, struct ft_cells *cells)
{
    struct ft_line line;
    int got;

    if (rows->format == FT_FORMAT_CSV)
        return ft_csv_next(rows->csv, cells);
    do {
        got = ft_lines_next(rows->lines, &line);
        if (got <= 0)
            return got;
        if (line.fault) {
            ft_fail(FT_BAD, "%s", line.fault);
            return ft_error_prefix("%s:%lu: ", ft_lines_name(rows->lines), line.number);
        }
    } while (ft_line_is_blank(line.text));
    rows->line_cell = line.text;
    *cells = (struct ft_cells){line.number, 1, &rows->line_cell};
    return 1;
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
        return ft_rows_read_cells(rows, cells);
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

static int build_vector(struct ft_rows *rows)
{
    const struct ft_layout *layout = &rows->layout;

    for (size_t i = 0; i < layout->vector_count; i++) {
        struct ft_string cell = rows->cells.cell[layout->vector[i]];
        size_t column = layout->vector[i] + 1;
        double number;

        if (!ft_string_number(cell, &number))
            return ft_fail(FT_BAD, "column %zu is '%.*s', expected a number%s", column, cell.size > 40 ? 40 : (int)cell.size, cell.data,
                           layout->label < 0 ? ", or --columns label=COLUMN" : "");
        rows->vector[i] = (float)number;
        if (!isfinite(rows->vector[i]))
            return ft_fail(FT_BAD, "column %zu is %g, too large for a 32-bit number", column, number);
    }
    rows->items[0] = (struct ft_row_item){.role = FT_NO_ROLE, .vector = rows->vector, .width = layout->vector_count};
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
    if (layout->kind == FT_ROW_VECTORS) {
        row->item_count = 1;
        if (build_vector(rows) < 0)
            return -1;
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

static void say_kind(struct ft_rows *rows, const struct ft_row *row)
{
    rows->kind = row->kind;
    snprintf(rows->said, sizeof rows->said, "%s: %s: %s%s", ft_lines_name(rows->lines), rows->docarray ? "DocArray" : "JSON lines",
             ft_row_kind_name(row->kind),
             row->kind != FT_ROW_TEXT_IMAGE && ft_row_has_uri(row) ? ", with images" : "");
}

/* Of all objects the kind is the same. */
static long check_kind(struct ft_rows *rows, long parts)
{
    struct ft_row row;

    if (parts <= 0)
        return parts;
    ft_jsonl_row(rows->jsonl, 0, &row);
    if (rows->kind == FT_ROW_GUESS)
        say_kind(rows, &row);
    else if (row.kind != rows->kind)
        return ft_fail(FT_BAD, "%s, expected %s as in the %s before", ft_row_kind_name(row.kind), ft_row_kind_name(rows->kind),
                       rows->docarray ? "documents" : "lines");
    return parts;
}

static int next_json(struct ft_rows *rows)
{
    struct ft_line line;
    int got;
    long parts;

    do {
        got = ft_lines_next(rows->lines, &line);
    } while (got > 0 && !line.fault && ft_line_is_blank(line.text));
    if (got <= 0)
        return got;
    rows->line = line.number;
    parts = check_kind(rows, line.fault ? ft_fail(FT_BAD, "%s", line.fault) : ft_jsonl_read(rows->jsonl, line.text));
    if (parts < 0)
        return ft_error_prefix("%s:%lu: ", ft_lines_name(rows->lines), rows->line);
    rows->parts = (size_t)parts;
    return 1;
}

static int next_document(struct ft_rows *rows)
{
    json_t *element;
    int got = ft_docarray_next(rows->docarray, &element, &rows->line);
    long parts;

    if (got <= 0)
        return got;
    parts = check_kind(rows, ft_jsonl_take(rows->jsonl, element));
    if (parts < 0)
        return ft_error_prefix("%s:%lu: document %lu: ", ft_lines_name(rows->lines), rows->line, ft_docarray_number(rows->docarray));
    rows->parts = (size_t)parts;
    return 1;
}

/* A line may hold all documents: one without an id of its own is told by its number too. */
static int name_document(struct ft_rows *rows, struct ft_row *row)
{
    char *name;

    if (!rows->docarray || row->id.size)
        return 0;
    ft_arena_reset(&rows->named);
    if (!(name = ft_arena_print(&rows->named, "%s:%lu:%lu", rows->path, rows->line, ft_docarray_number(rows->docarray))))
        return -1;
    row->id = ft_string_of(name);
    return 0;
}

/* `row` is a folder's. */
static bool is_wanted(struct ft_rows *rows, const struct ft_row *row)
{
    const struct ft_rows_options *o = rows->options;

    for (size_t i = 0; i < o->where_count; i++) {
        struct ft_string value = {NULL, 0};
        bool equal;

        if (rows->folder)
            equal = ft_string_equal(strcmp(o->where[i].column, "label") == 0 ? row->label : row->items[0].content, o->where[i].value);
        else if (rows->jsonl)
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

static int next_picture(struct ft_rows *rows, struct ft_row *row)
{
    int got;

    while ((got = ft_folder_next(rows->folder, row)) > 0 && !is_wanted(rows, row))
        ;
    row->kind = rows->kind;
    if (rows->kind == FT_ROW_UNLABELED)
        row->label = (struct ft_string){NULL, 0};
    return got;
}

static int check_width(struct ft_rows *rows, const struct ft_row *row)
{
    size_t width = row->kind == FT_ROW_VECTORS ? row->items[0].width : 0;

    if (row->kind != FT_ROW_VECTORS)
        return 0;
    if (!rows->width)
        rows->width = rows->options->width ? rows->options->width : width;
    return width == rows->width ? 0 : ft_fail(FT_BAD, "%zu number%s, expected %zu as in the rows before", width, width == 1 ? "" : "s", rows->width);
}

static int next_vector(struct ft_rows *rows, struct ft_row *row)
{
    int got = ft_npy_next(rows->npy, row);

    return got > 0 && check_width(rows, row) < 0 ? ft_error_prefix("%s:%lu: ", ft_rows_name(rows), row->line) : got;
}

int ft_rows_next(struct ft_rows *rows, struct ft_row *row)
{
    int got;

    if (rows->folder)
        return next_picture(rows, row);
    if (rows->npy)
        return next_vector(rows, row);
    while (rows->part == rows->parts) {
        rows->part = rows->parts = 0;
        got = rows->docarray ? next_document(rows) : rows->jsonl ? next_json(rows) : next_record(rows);
        if (got <= 0)
            return got;
        if (!is_wanted(rows, NULL))
            rows->parts = 0;
    }
    rows->part++;
    got = 0;
    if (rows->jsonl) {
        ft_jsonl_row(rows->jsonl, rows->part - 1, row);
        if (strcmp(rows->options->format, "beir") == 0 && row->kind == FT_ROW_UNLABELED)
            got = add_title(rows, row);
        got = got < 0 ? got : name_document(rows, row);
    } else
        got = rows->layout.cells ? build_cell(rows, row) : build_row(rows, row);
    row->line = rows->line;
    got = got < 0 ? got : check_width(rows, row);
    return got < 0 ? ft_error_prefix("%s:%lu: ", ft_lines_name(rows->lines), rows->line) : 1;
}
