/* npy.h - the rows of a .npy file as vectors: NumPy's format, versions 1 to 3, one array of two dimensions, little-endian 32- or 64-bit floats, in C
 * order. Memory is one row. Format: numpy.lib.format. */
#ifndef FT_DATA_NPY_H
#define FT_DATA_NPY_H

#include "data/row.h"

struct ft_npy;

/* "-" is standard input. FT_BAD: another kind of array. The path must outlive it. */
struct ft_npy *ft_npy_open(const char *path);
void ft_npy_close(struct ft_npy *npy);

uint64_t ft_npy_rows(const struct ft_npy *npy);
size_t ft_npy_width(const struct ft_npy *npy);

/* 1: a row, valid until the next call, its line the row's number from 1. 0: no more. -1: FT_BAD, a number that is not finite, after which the next call
 * goes on behind the row; or an end that comes too soon or too late (FT_BAD once, then 0); or FT_SYSTEM. Messages have the path in front. */
int ft_npy_next(struct ft_npy *npy, struct ft_row *row);

#endif
