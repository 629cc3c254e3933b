/* test-narrow.c - floats to 16 bits: torch's numbers (tests/golden/export/make.py), and every half there and back. */
#include "base/error.h"
#include "model/weights/safetensors.h"
#include "../tap.h"

#include <stdlib.h>

static float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static void test_torch(void)
{
    FILE *f = fopen("tests/golden/export/narrow.txt", "r");
    unsigned bits, half, brain, cases = 0, bad = 0;

    while (f && fscanf(f, "%x %x %x", &bits, &half, &brain) == 3) {
        float value = float_of(bits);

        cases++;
        if (ft_float_to_half(value) != half || ft_float_to_bfloat(value) != brain) {
            printf("# %08x: %04x %04x, want %04x %04x\n", bits, ft_float_to_half(value), ft_float_to_bfloat(value), half, brain);
            bad++;
        }
    }
    if (f)
        fclose(f);
    ok(cases > 400 && bad == 0, "as torch rounds: %u numbers", cases);
}

static void test_there_and_back(void)
{
    unsigned bad = 0;

    for (unsigned i = 0; i < 65536; i++) {
        bool nan = (i & 0x7c00) == 0x7c00 && (i & 0x3ff), other = (i & 0x7f80) == 0x7f80 && (i & 0x7f);

        bad += nan ? !isnan(ft_half_to_float(ft_float_to_half(ft_half_to_float((uint16_t)i)))) : ft_float_to_half(ft_half_to_float((uint16_t)i)) != i;
        bad += other ? !isnan(ft_bfloat_to_float(ft_float_to_bfloat(ft_bfloat_to_float((uint16_t)i))))
                     : ft_float_to_bfloat(ft_bfloat_to_float((uint16_t)i)) != i;
    }
    ok(bad == 0, "every number of 16 bits, there and back");
}

static void test_range(void)
{
    const float values[] = {1, 65504, 65519.9f, INFINITY, 65520};
    uint16_t out[5];

    ok(ft_narrow(FT_WEIGHTS_F16, values, 4, out) == 0 && out[2] == 0x7bff && out[3] == 0x7c00, "what is in range of fp16, infinity too");
    ok(ft_narrow(FT_WEIGHTS_F16, values, 5, out) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "65520 is beyond the range of fp16"),
       "what is not: %s", ft_error());
    ok(ft_narrow(FT_WEIGHTS_BF16, values, 5, out) == 0, "bf16 goes as far as floats do");
}

int main(void)
{
    test_torch();
    test_there_and_back();
    test_range();
    return done();
}
