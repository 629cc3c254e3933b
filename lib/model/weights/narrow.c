/* narrow.c - weights of 16 bits. */
#include "model/weights/narrow.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

static const struct { const char *precision, *torch, *name; } types[] = {
    {"fp32", "float32", "F32"}, {"fp16", "float16", "F16"}, {"bf16", "bfloat16", "BF16"},
};

int ft_weights_type_parse(enum ft_weights_type *type, const char *precision)
{
    for (int i = 0; i < (int)(sizeof types / sizeof *types); i++)
        if (strcmp(types[i].precision, precision) == 0) {
            *type = (enum ft_weights_type)i;
            return 0;
        }
    return -1;
}

const char *ft_weights_type_torch(enum ft_weights_type type)
{
    return types[type].torch;
}

const char *ft_weights_type_name(enum ft_weights_type type)
{
    return types[type].name;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* `bits` without the lowest `drop`, rounded. */
static uint32_t round_off(uint32_t bits, int drop)
{
    return (bits + (1u << (drop - 1)) - 1 + (bits >> drop & 1)) >> drop;
}

uint16_t ft_float_to_bfloat(float value)
{
    uint32_t bits = bits_of(value);

    return isnan(value) ? (uint16_t)(bits >> 16 | 0x40) : (uint16_t)round_off(bits, 16);
}

uint16_t ft_float_to_half(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;

    if (size > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (size >= 0x477ff000)                   /* 65520 and more */
        return (uint16_t)(sign | 0x7c00);
    if (size >= 0x38800000)                   /* 2^-14 and more: normal; the exponent's bias goes from 127 to 15 */
        return (uint16_t)(sign | round_off(size - ((uint32_t)112 << 23), 13));
    return (uint16_t)(sign | (uint32_t)lrintf(fabsf(value) * 0x1p24f));
}

int ft_narrow(enum ft_weights_type type, const float *from, size_t count, uint16_t *to)
{
    uint16_t infinity = type == FT_WEIGHTS_F16 ? 0x7c00 : 0x7f80;

    for (size_t i = 0; i < count; i++) {
        to[i] = type == FT_WEIGHTS_F16 ? ft_float_to_half(from[i]) : ft_float_to_bfloat(from[i]);
        if ((to[i] & 0x7fff) == infinity && isfinite(from[i]))
            return ft_fail(FT_BAD, "%g is beyond the range of %s", (double)from[i], types[type].precision);
    }
    return 0;
}
