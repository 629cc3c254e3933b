/* row-steps.c - rows put side by side and taken apart, repeated and summed: steps without arithmetic of their own. */
#include "model/run/running.h"

#include <string.h>

void ft_rows_join(float *y, const float *const in[], size_t count, size_t rows, size_t width)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < count; k++)
            memcpy(y + (r * count + k) * width, in[k] + r * width, width * sizeof(float));
}

void ft_rows_split(float *dx, const float *dy, size_t count, size_t rows, size_t width, size_t which)
{
    for (size_t r = 0; r < rows; r++)
        memcpy(dx + r * width, dy + (r * count + which) * width, width * sizeof(float));
}

void ft_rows_repeat(float *y, const float *row, size_t rows, size_t width)
{
    for (size_t r = 0; r < rows; r++)
        memcpy(y + r * width, row, width * sizeof(float));
}

void ft_rows_sum(float *drow, const float *dy, size_t rows, size_t width, size_t from, size_t to)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = from; c < to; c++)
            drow[c] += dy[r * width + c];
}
