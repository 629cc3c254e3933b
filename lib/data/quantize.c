/* quantize.c - embeddings of few bits. */
#include "data/quantize.h"
#include "base/error.h"
#include "data/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int ft_quantization_parse(enum ft_quantization *quantization, const char *name)
{
    static const char *const names[] = {"fp32", "int8", "uint8", "binary", "ubinary"};

    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (strcmp(name, names[i]) == 0) {
            *quantization = (enum ft_quantization)i;
            return 0;
        }
    return -1;
}

static int ranges_begin(struct ft_ranges *ranges, const float *embedding, size_t dim)
{
    ranges->low = ft_resize(NULL, dim + 1, sizeof *ranges->low);
    ranges->high = ft_resize(NULL, dim + 1, sizeof *ranges->high);
    if (!ranges->low || !ranges->high)
        return -1;
    memcpy(ranges->low, embedding, dim * sizeof *embedding);
    memcpy(ranges->high, embedding, dim * sizeof *embedding);
    ranges->dim = dim;
    ranges->rows = 1;
    return 0;
}

int ft_ranges_add(struct ft_ranges *ranges, const float *embedding, size_t dim)
{
    if (!ranges->low)
        return ranges_begin(ranges, embedding, dim);
    if (dim != ranges->dim)
        return ft_fail(FT_BAD, "%zu dimensions, expected %zu", dim, ranges->dim);
    for (size_t i = 0; i < dim; i++) {
        ranges->low[i] = embedding[i] < ranges->low[i] ? embedding[i] : ranges->low[i];
        ranges->high[i] = embedding[i] > ranges->high[i] ? embedding[i] : ranges->high[i];
    }
    ranges->rows++;
    return 0;
}

int ft_ranges_read(struct ft_ranges *ranges, const char *path)
{
    struct ft_npy *npy = ft_npy_open(path);
    struct ft_row row;
    int got = -1;

    while (npy && (got = ft_npy_next(npy, &row)) > 0)
        if (ft_ranges_add(ranges, row.items[0].vector, row.items[0].width) < 0) {
            got = -1;
            break;
        }
    ft_npy_close(npy);
    return got < 0 ? -1 : ranges->rows ? 0 : ft_fail(FT_BAD, "%s: no rows, expected embeddings to calibrate by", path);
}

void ft_ranges_free(struct ft_ranges *ranges)
{
    free(ranges->low);
    free(ranges->high);
    *ranges = (struct ft_ranges){0};
}

size_t ft_quantized_size(enum ft_quantization quantization, size_t dim)
{
    return quantization == FT_QUANTIZE_BINARY || quantization == FT_QUANTIZE_UBINARY ? (dim + 7) / 8 : dim;
}

static uint8_t to_byte(float low, float high, float x)
{
    float step = (high - low) / 255.0f, level;

    if (step == 0)
        step = 1;
    level = floorf((x - low) / step);
    return (uint8_t)(level > 0 ? fminf(level, 255) : 0);   /* not a number where the range is beyond what a float holds: 0, as numpy's cast has it */
}

void ft_quantize(enum ft_quantization quantization, const struct ft_ranges *ranges, const float *embedding, size_t dim, uint8_t *out)
{
    uint8_t flip = quantization == FT_QUANTIZE_INT8 || quantization == FT_QUANTIZE_BINARY ? 128 : 0;   /* less 128, in two's complement */
    size_t size = ft_quantized_size(quantization, dim);

    if (ft_quantization_ranged(quantization)) {
        for (size_t i = 0; i < dim; i++)
            out[i] = to_byte(ranges->low[i], ranges->high[i], embedding[i]) ^ flip;
        return;
    }
    memset(out, 0, size);
    for (size_t i = 0; i < dim; i++)
        out[i / 8] |= (uint8_t)((embedding[i] > 0) << (7 - i % 8));
    for (size_t i = 0; i < size; i++)
        out[i] ^= flip;
}
