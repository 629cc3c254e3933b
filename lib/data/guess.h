/* guess.h - what the first rows of a file without names say about its columns. */
#ifndef FT_DATA_GUESS_H
#define FT_DATA_GUESS_H

#include "base/memory.h"

/* At most so much of a file is looked at, and held, before the first row goes out. */
enum { FT_SAMPLE_ROWS = 1000, FT_SAMPLE_BYTES = 4 << 20 };

struct ft_sample_row {
    unsigned long line;
    size_t count;
    struct ft_string *cell;
};

struct ft_sample {
    struct ft_sample_row row[FT_SAMPLE_ROWS];
    size_t count, bytes;
};

/* Cells of one column over the rows of the sample that have it. */
struct ft_column_facts {
    size_t rows, distinct;
    size_t longest;                /* bytes */
    size_t numbers, uris;          /* rows with a finite number; with an address or a picture's path */
    bool all_uris;                 /* of one or more */
};

int ft_sample_facts(const struct ft_sample *sample, size_t column, struct ft_column_facts *facts);

/* Does `second` look like the labels of `first`? At least 3 rows; at most 2 values for every 3 rows, none longer than 64 bytes, none an
 * address; and the first column nearly (9 of 10), for pictures entirely, without repetition. */
bool ft_facts_are_labels(const struct ft_column_facts *first, const struct ft_column_facts *second);

/* Plain decimal notation of a finite number, as in scores; the whole of the string. */
bool ft_string_number(struct ft_string text, double *number);

#endif
