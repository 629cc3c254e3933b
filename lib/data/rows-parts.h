/* rows-parts.h - what the files of the reader of rows share; nobody else includes it.
 *
 * rows-open.c decides what a file is, from its first rows; rows.c gives its rows, one after another. */
#ifndef FT_DATA_ROWS_PARTS_H
#define FT_DATA_ROWS_PARTS_H

#include "base/error.h"
#include "data/csv.h"
#include "data/docarray.h"
#include "data/folder.h"
#include "data/jsonl.h"
#include "data/npy.h"
#include "data/rows.h"

enum ft_rows_format { FT_FORMAT_CSV, FT_FORMAT_LINES, FT_FORMAT_JSONL, FT_FORMAT_DOCARRAY, FT_FORMAT_FOLDER, FT_FORMAT_NPY };

struct ft_rows {
    const struct ft_rows_options *options;
    const char *path;
    char *base;                        /* where relative paths of pictures resolve */
    struct ft_lines *lines;            /* NULL of a folder and of npy */
    enum ft_rows_format format;
    struct ft_csv *csv;
    struct ft_jsonl *jsonl;
    struct ft_docarray *docarray;      /* where the objects come from, if not from lines */
    struct ft_folder *folder;
    struct ft_npy *npy;
    struct ft_arena arena, titled, named;   /* titled, named: of one row */
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
    long *where;                       /* [where_count] columns */
    struct ft_cells cells;
    struct ft_string line_cell;
    struct ft_row_item *items;
    struct ft_row_tag *tags;
    float *vector;                     /* [layout.vector_count] */
    size_t width;                      /* of the vectors before, 0 = none yet */

    unsigned long line;                /* the record in hand */
    size_t part, parts;                /* documents of it: next, all */
};

/* The next record of CSV or lines as cells, from the file. */
int ft_rows_read_cells(struct ft_rows *rows, struct ft_cells *cells);
bool ft_line_is_blank(struct ft_string text);

#endif
