/* quantize.h - embeddings of few bits, as sentence-transformers' quantize_embeddings makes them, byte for byte.
 *
 *   int8, uint8       dimension d of an embedding x is clip(floor((x_d - low_d) / step_d), 0, 255), step_d = (high_d - low_d) / 255, or 1 where that is
 *                     zero; of int8 less 128. low and high are the least and the largest of each dimension in embeddings to calibrate by
 *   binary, ubinary   bit d is x_d > 0; eight to a byte, the first is the highest, the last byte filled up with zeros; of binary each byte less 128
 *
 * All in 32-bit floats, operation by operation as numpy has them. Source: sentence_transformers/util/quantization.py. */
#ifndef FT_DATA_QUANTIZE_H
#define FT_DATA_QUANTIZE_H

#include "base/memory.h"

enum ft_quantization { FT_QUANTIZE_NONE, FT_QUANTIZE_INT8, FT_QUANTIZE_UINT8, FT_QUANTIZE_BINARY, FT_QUANTIZE_UBINARY };

/* "fp32" and "int8" ... "ubinary"; -1, without an error, for another name. */
int ft_quantization_parse(enum ft_quantization *quantization, const char *name);

static inline bool ft_quantization_ranged(enum ft_quantization quantization)
{
    return quantization == FT_QUANTIZE_INT8 || quantization == FT_QUANTIZE_UINT8;
}

/* Ranges of embeddings seen so far; zero-initialised is none. ft_ranges_free leaves it so. */
struct ft_ranges {
    size_t dim, rows;
    float *low, *high;            /* [dim] */
};
int ft_ranges_add(struct ft_ranges *ranges, const float *embedding, size_t dim);   /* FT_BAD: another dim than before */
int ft_ranges_read(struct ft_ranges *ranges, const char *path);                    /* those of a .npy file's rows */
void ft_ranges_free(struct ft_ranges *ranges);

/* Numbers of an embedding of `dim` when quantized: dim, or of bits the bytes. */
size_t ft_quantized_size(enum ft_quantization quantization, size_t dim);

/* One embedding; `ranges`, of the same dim, is looked at for int8 and uint8 only. out: [ft_quantized_size], signed bytes for int8 and binary. */
void ft_quantize(enum ft_quantization quantization, const struct ft_ranges *ranges, const float *embedding, size_t dim, uint8_t *out);

#endif
