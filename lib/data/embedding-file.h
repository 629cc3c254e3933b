/* embedding-file.h - embeddings as files of other software: npy, CSV, JSON lines; as floats, or quantized (data/quantize.h).
 *
 *   npy    numpy's format 1.0, an array [rows, numbers] of '<f4', '|i1' or '|u1'
 *   csv    a header, then a row each: id, 0, 1, ...
 *   jsonl  {"id": ..., "embedding": [...]} a line
 *
 * Ranges of int8 and uint8 are those of the rows themselves unless a file gives them; rows then wait in a temporary file for the last one. */
#ifndef FT_DATA_EMBEDDING_FILE_H
#define FT_DATA_EMBEDDING_FILE_H

#include "data/quantize.h"

#include <stdio.h>

struct ft_embedding_options {
    const char *format;               /* "npy", "csv" or "jsonl" */
    enum ft_quantization quantization;
    const char *calibration;          /* a .npy file of embeddings that gives the ranges, or NULL */
};
bool ft_embedding_format_known(const char *name);
bool ft_embedding_format_seeks(const char *name);      /* its file must be seekable */

struct ft_embedding_file;

/* `file` is the caller's, as are the options; nothing is written before the first row. */
struct ft_embedding_file *ft_embedding_file_open(const struct ft_embedding_options *options, FILE *file);

/* FT_BAD: a number that is not finite, another dim than before, an id that is not UTF-8. */
int ft_embedding_file_row(struct ft_embedding_file *out, struct ft_string id, const float *embedding, size_t dim);

/* The rest; `dim` counts where there was no row. FT_USAGE: one row alone has no ranges. */
int ft_embedding_file_end(struct ft_embedding_file *out, size_t dim);
size_t ft_embedding_file_rows(const struct ft_embedding_file *out);
void ft_embedding_file_close(struct ft_embedding_file *out);

#endif
