/* fold.c - a table that lies folded in its file (model2vec's quantized vocabularies) read row by row. */
#include "base/error.h"
#include "model/model-build.h"
#include "model/weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

bool ft_fold_is(const struct ft_parameter *p, const struct ft_safetensors *files)
{
    return p->fold && (ft_safetensors_find(files, p->fold->mapping) || ft_safetensors_find(files, p->fold->weights));
}

/* Which row of the file's table row r takes. */
static int read_mapping(const struct ft_safetensor *mapping, size_t rows, uint64_t below, uint32_t *row)
{
    bool wide = mapping && strcmp(mapping->dtype, "I64") == 0;

    if (mapping && !wide && strcmp(mapping->dtype, "I32") != 0)
        return ft_fail(FT_BAD, "%s: dtype %s, expected I64 or I32", mapping->name, mapping->dtype);
    if (mapping && (mapping->rank != 1 || mapping->count != rows))
        return ft_fail(FT_BAD, "%s: expected a vector of %zu numbers", mapping->name, rows);
    for (size_t r = 0; r < rows; r++) {
        int64_t value = (int64_t)r;
        int32_t narrow;

        if (wide) {
            memcpy(&value, (const char *)mapping->data + r * 8, 8);
        } else if (mapping) {
            memcpy(&narrow, (const char *)mapping->data + r * 4, 4);
            value = narrow;
        }
        if (value < 0 || (uint64_t)value >= below)
            return ft_fail(FT_BAD, "%s: row %lld of a table of %llu", mapping ? mapping->name : "mapping", (long long)value, (unsigned long long)below);
        row[r] = (uint32_t)value;
    }
    return 0;
}

static int read_weights(const struct ft_safetensor *weights, size_t rows, float *weight)
{
    if (weights && (weights->rank != 1 || weights->count != rows))
        return ft_fail(FT_BAD, "%s: expected a vector of %zu numbers", weights->name, rows);
    if (weights)
        return ft_safetensor_floats(weights, weight);
    for (size_t r = 0; r < rows; r++)
        weight[r] = 1;
    return 0;
}

/* model2vec takes whole numbers of one byte as they are. */
static int read_table(const struct ft_safetensor *table, float *out)
{
    if (strcmp(table->dtype, "I8") != 0)
        return ft_safetensor_floats(table, out);
    for (size_t i = 0; i < table->count; i++)
        out[i] = ((const int8_t *)table->data)[i];
    return 0;
}

int ft_fold_read(const struct ft_parameter *p, const struct ft_safetensors *files, const struct ft_safetensor *table, float *out)
{
    size_t width = p->columns;
    float *weight, *rows;
    uint32_t *row;
    int result = -1;

    if (table->rank != 2 || table->shape[1] != width)
        return ft_fail(FT_BAD, "%s: expected a table of %zu columns", table->name, width);
    row = ft_resize(NULL, p->rows, sizeof *row);
    weight = ft_resize(NULL, p->rows, sizeof *weight);
    rows = ft_resize(NULL, (size_t)table->count, sizeof *rows);
    if (row && weight && rows && read_mapping(ft_safetensors_find(files, p->fold->mapping), p->rows, table->shape[0], row) == 0 &&
        read_weights(ft_safetensors_find(files, p->fold->weights), p->rows, weight) == 0 && read_table(table, rows) == 0)
        result = 0;
    for (size_t r = 0; result == 0 && r < p->rows; r++)
        for (size_t i = 0; i < width; i++)
            out[r * width + i] = rows[row[r] * width + i] * weight[r];
    free(row);
    free(weight);
    free(rows);
    return result;
}
