/* narrow.h - weights of 16 bits for files: IEEE binary16 and bfloat16, each number the nearest one, of two as near the even one, as torch and numpy round. */
#ifndef FT_MODEL_WEIGHTS_NARROW_H
#define FT_MODEL_WEIGHTS_NARROW_H

#include <stddef.h>
#include <stdint.h>

enum ft_weights_type { FT_WEIGHTS_F32, FT_WEIGHTS_F16, FT_WEIGHTS_BF16 };

/* "fp32", "fp16", "bf16"; -1, without an error, for another name. */
int ft_weights_type_parse(enum ft_weights_type *type, const char *precision);

/* What a config.json calls it: "float32", "float16", "bfloat16"; and a safetensors file: "F32", "F16", "BF16". */
const char *ft_weights_type_torch(enum ft_weights_type type);
const char *ft_weights_type_name(enum ft_weights_type type);
static inline size_t ft_weights_type_size(enum ft_weights_type type)
{
    return type == FT_WEIGHTS_F32 ? 4 : 2;
}

/* Beyond the largest there is infinity. */
uint16_t ft_float_to_half(float value);
uint16_t ft_float_to_bfloat(float value);

/* `type` is F16 or BF16. A finite number that would become infinite is FT_BAD. */
int ft_narrow(enum ft_weights_type type, const float *from, size_t count, uint16_t *to);

#endif
