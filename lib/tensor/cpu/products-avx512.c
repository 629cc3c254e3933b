/* products-avx512.c - the products of linear layers in bf16 on the vector unit (AVX512-BF16: Zen 4, Cooper Lake and later): one instruction adds two
 * products to each of 16 sums, at twice the rate of fp32.
 *
 * ROWS rows of C by two vectors stay in registers; a word of A is spread over a vector, a word of B is a vector as it lies. */
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")
#endif
#define FT_LEVEL 2
#include "tensor/cpu/packed-linear.h"
#include "tensor/cpu/tables.h"

#include <cpuid.h>

enum { ROWS = 8 };

INLINE void product_begin(void)
{
}

INLINE void product_end(void)
{
}

/* Rows r .. r + ROWS - 1 of C. */
INLINE void block(const struct target *t, size_t r, const float *a, const float *b, size_t steps)
{
    size_t rows = t->rows - r < ROWS ? t->rows - r : ROWS;
    vf sum[ROWS][2];

#pragma GCC unroll 8
    for (size_t i = 0; i < ROWS; i++) {
        const float *start = t->start != NULL && i < rows ? t->start + (r + i) * t->start_row : NULL;

        for (size_t j = 0; j < 2; j++) {
            size_t m = t->columns > j * V ? (t->columns - j * V < V ? t->columns - j * V : V) : 0;

            sum[i][j] = start != NULL && m > 0 ? v_get(start + j * V, m) : v_set(0.0f);
        }
    }
    for (size_t s = 0; s < steps; s++, a += step_size(1), b += step_size(1))
        for (size_t w = 0; w < LINES; w++) {
            __m512bh left = (__m512bh)v_load(b + w * V), right = (__m512bh)v_load(b + SQUARE + w * V);

#pragma GCC unroll 8
            for (size_t i = 0; i < ROWS; i++) {
                __m512bh spread = (__m512bh)v_spread(a + i * V + w);

                sum[i][0] = (vf)_mm512_dpbf16_ps((__m512)sum[i][0], spread, left);
                sum[i][1] = (vf)_mm512_dpbf16_ps((__m512)sum[i][1], spread, right);
            }
        }
#pragma GCC unroll 8
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < 2 && i < rows; j++)
            if (t->columns > j * V)
                v_put(t->c + (r + i) * t->c_row + j * V, sum[i][j], t->columns - j * V < V ? t->columns - j * V : V);
}

INLINE void strips(const int products, const struct target *t, const float *a, size_t a_strip, const float *b, size_t steps)
{
    (void)products;
    for (size_t r = 0; r < t->rows; r += ROWS)
        block(t, r, a + r / STRIP * a_strip + r % STRIP / LINES * SQUARE + r % LINES * V, b, steps);
}

FT_PACKED(bf16, 1, 1, 1)

bool ft_products_avx512_bf16(struct ft_kernels *kernels)
{
    unsigned a, b, c, d, most;

    if (!__get_cpuid_count(7, 0, &most, &b, &c, &d) || most < 1)
        return false;
    __cpuid_count(7, 1, a, b, c, d);
    if (!(a & bit_AVX512BF16))
        return false;
    put_bf16(kernels);
    return true;
}
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
