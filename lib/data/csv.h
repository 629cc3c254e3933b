/* csv.h - the records of a CSV file, one after another, through libcsv.
 *
 * What is accepted is what RFC 4180 and Finetuner's files are: fields between delimiters, quoted where they hold a delimiter, a quote
 * (doubled) or a line end; blanks around a field and before an opening quote do not count; LF, CRLF or CR, or no line end after the last
 * record; blank lines between records are skipped. A quote inside an unquoted field is itself.
 * What libcsv lets pass and this does not: a quote that is never closed, text after a closing quote, bytes that are no UTF-8 text,
 * records of more than 16 MiB. Every complaint has the file and the line in front ("train.csv:795: ..."). */
#ifndef FT_DATA_CSV_H
#define FT_DATA_CSV_H

#include "data/lines.h"

struct ft_cells {
    unsigned long line;          /* where the record begins */
    size_t count;
    struct ft_string *cell;      /* [count], valid until the next call */
};

struct ft_csv;

/* The lines stay the caller's and must outlive the csv. */
struct ft_csv *ft_csv_open(struct ft_lines *lines, char delimiter);
void ft_csv_close(struct ft_csv *csv);

/* 1: a record. 0: no more. -1: FT_BAD, a bad record, after which the next call goes on with the one behind it; or FT_SYSTEM. */
int ft_csv_next(struct ft_csv *csv, struct ft_cells *cells);

/* The delimiter of a file that begins with `head`: the first of tab, comma, semicolon and bar that cuts each of the first records into the
 * same number of fields, two or more (semicolon and bar only where there are two records); else a comma. `whole`: head is the file. */
char ft_csv_sniff(struct ft_string head, bool whole);

#endif
