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

/* c[ROWS, 2 V] += A B: all but pointers and `steps` are constants, so that the sums stay in registers. */
INLINE void tile(float *c, size_t c_row, const float *start, size_t start_row, const float *a, const float *b, size_t steps)
{
    vf sum[ROWS][2];

#pragma GCC unroll 8
    for (size_t i = 0; i < ROWS; i++) {
        sum[i][0] = start != NULL ? v_load(start + i * start_row) : v_set(0.0f);
        sum[i][1] = start != NULL ? v_load(start + i * start_row + V) : v_set(0.0f);
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
    for (size_t i = 0; i < ROWS; i++) {
        v_store(c + i * c_row, sum[i][0]);
        v_store(c + i * c_row + V, sum[i][1]);
    }
}

/* Rows r .. r + ROWS - 1 of C; at its edge, through a whole tile. */
INLINE void block(const struct target *t, size_t r, const float *a, const float *b, size_t steps)
{
    float whole[ROWS * STRIP] __attribute__((aligned(64)));
    size_t rows = t->rows - r < ROWS ? t->rows - r : ROWS;
    const float *start = t->start != NULL ? t->start + r * t->start_row : NULL;
    float *c = t->c + r * t->c_row;

    if (rows == ROWS && t->columns == STRIP) {
        tile(c, t->c_row, start, t->start_row, a, b, steps);
        return;
    }
    memset(whole, 0, sizeof whole);
    for (size_t i = 0; start != NULL && i < rows; i++)
        row_copy(whole + i * STRIP, start + i * t->start_row, t->columns);
    tile(whole, STRIP, whole, STRIP, a, b, steps);
    for (size_t i = 0; i < rows; i++)
        row_copy(c + i * t->c_row, whole + i * STRIP, t->columns);
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
