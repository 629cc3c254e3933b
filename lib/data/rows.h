/* rows.h - the rows of a file, whatever its format: csv, tsv, lines, JSON lines; of a folder of pictures, of a .npy file.
 *
 * Opening decides the format (by name, then first bytes), the delimiter (data/csv.h) and the layout (data/columns.h) from a bounded sample;
 * from then on memory is that sample, one block and one record. */
#ifndef FT_DATA_ROWS_H
#define FT_DATA_ROWS_H

#include "data/columns.h"

/* --where COLUMN=VALUE or COLUMN!=VALUE */
struct ft_where {
    char column[128];
    struct ft_string value;
    bool differs;
};
int ft_where_parse(struct ft_where *where, const char *text);

struct ft_rows_options {
    const char *format;            /* auto, csv, tsv, lines, jsonl, docarray (data/docarray.h), beir: JSON lines whose texts begin with their "title", if they have one;
                                    * images: a folder (data/folder.h); npy (data/npy.h) */
    const char *dialect;           /* auto, excel, excel-tab, unix */
    char delimiter;                /* 0: as the dialect says */
    const char *encoding;          /* NULL: UTF-8 */
    enum ft_row_kind kind;         /* FT_ROW_GUESS: inferred */
    enum ft_row_kind usual;        /* what earlier files hold: decides where this one would be guessed; else FT_ROW_GUESS */
    size_t width;                  /* numbers of a vector in earlier files, or 0 */
    bool header;
    struct ft_selection selection;
    const struct ft_where *where;
    size_t where_count;
    int output;                    /* descriptor to watch while waiting, or -1 */
};

struct ft_rows;

/* "-" is standard input. The options must outlive the rows. Errors have the file, and where there is one the line, in front. */
struct ft_rows *ft_rows_open(const char *path, const struct ft_rows_options *options);
void ft_rows_close(struct ft_rows *rows);

/* 1: a row that --where lets through, valid until the next call. 0: no more. -1: a bad one (FT_BAD; the next call goes on behind it), or
 * the end of the work (any other status). */
int ft_rows_next(struct ft_rows *rows, struct ft_row *row);

/* FT_ROW_GUESS until a row was read from JSON lines. */
enum ft_row_kind ft_rows_kind(const struct ft_rows *rows);
const char *ft_rows_name(const struct ft_rows *rows);

/* The folder that relative paths of pictures are relative to, ending in '/', or "": the file's own, of a folder itself; of a pipe the
 * current directory. */
const char *ft_rows_base(const struct ft_rows *rows);
bool ft_rows_is_folder(const struct ft_rows *rows);

/* What was inferred, in one line, and a question where the guess may be wrong, else "". */
const char *ft_rows_said(const struct ft_rows *rows);
const char *ft_rows_question(const struct ft_rows *rows);

#endif
