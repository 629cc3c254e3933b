/* tile.c - tiles of scores for AVX-512, AVX2 and any CPU, and the packing they read. */
#include "eval/tile.h"

#include <stdlib.h>
#include <string.h>

#define UNROLL _Pragma("GCC unroll 16")

typedef double eight_doubles __attribute__((vector_size(64)));
typedef float eight_floats __attribute__((vector_size(32), aligned(4), may_alias));

/* Any CPU: one lane a vector; no fused multiply-add, which would be a slow library call where the CPU has
 * none. */
#define NAME(what) plain_##what
#define TITLE "plain"
#define ROWS 4
#define VECTORS 4
#define LANES 1
#define VECTOR float
#define ZERO() 0.0f
#define LOAD(address) (*(address))
#define STORE(address, value) (*(address) = (value))
#define SPREAD(value) (value)
#define SUBTRACT(a, b) ((a) - (b))
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#define AT_LEAST(a, b) ((uint32_t)((a) >= (b)))
#include "eval/tile-body.h"

#if defined __x86_64__ && defined __GNUC__
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define NAME(what) avx2_##what
#define TITLE "avx2"
#define ROWS 6
#define VECTORS 2
#define LANES 8
#define VECTOR __m256
#define ZERO() _mm256_setzero_ps()
#define LOAD(address) _mm256_load_ps(address)
#define STORE(address, value) _mm256_store_ps(address, value)
#define SPREAD(value) _mm256_set1_ps(value)
#define SUBTRACT(a, b) _mm256_sub_ps(a, b)
#define MULTIPLY_ADD(a, b, c) _mm256_fmadd_ps(a, b, c)
#define AT_LEAST(a, b) ((uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, _mm256_set1_ps(b), _CMP_GE_OQ)))
#include "eval/tile-body.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
#define NAME(what) avx512_##what
#define TITLE "avx512"
#define ROWS 12
#define VECTORS 2
#define LANES 16
#define VECTOR __m512
#define ZERO() _mm512_setzero_ps()
#define LOAD(address) _mm512_load_ps(address)
#define STORE(address, value) _mm512_store_ps(address, value)
#define SPREAD(value) _mm512_set1_ps(value)
#define SUBTRACT(a, b) _mm512_sub_ps(a, b)
#define MULTIPLY_ADD(a, b, c) _mm512_fmadd_ps(a, b, c)
#define AT_LEAST(a, b) ((uint32_t)_mm512_cmp_ps_mask(a, _mm512_set1_ps(b), _CMP_GE_OQ))
#include "eval/tile-body.h"
#pragma GCC pop_options

const struct ft_tile *ft_tile_named(const char *name)
{
    if (strcmp(name, "avx512") == 0 && __builtin_cpu_supports("avx512f"))
        return &avx512_tile;
    if (strcmp(name, "avx2") == 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &avx2_tile;
    return strcmp(name, "plain") == 0 ? &plain_tile : NULL;
}
#else
const struct ft_tile *ft_tile_named(const char *name)
{
    return strcmp(name, "plain") == 0 ? &plain_tile : NULL;
}
#endif

/* FT_CPU as lib/tensor takes it: a wish of tests, passed over where it cannot be had. */
static const struct ft_tile *choose(void)
{
    const char *forced = getenv("FT_CPU");
    const struct ft_tile *tile = forced ? ft_tile_named(strcmp(forced, "baseline") ? forced : "plain") : NULL;

    if (!tile)
        tile = ft_tile_named("avx512");
    if (!tile)
        tile = ft_tile_named("avx2");
    return tile ? tile : &plain_tile;
}

/* Chosen once; threads that choose at once choose the same. */
const struct ft_tile *ft_tile_best(void)
{
    static const struct ft_tile *best;
    const struct ft_tile *tile = __atomic_load_n(&best, __ATOMIC_RELAXED);

    if (!tile)
        __atomic_store_n(&best, tile = choose(), __ATOMIC_RELAXED);
    return tile;
}

typedef float four __attribute__((vector_size(16)));
typedef float four_anywhere __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t four_places __attribute__((vector_size(16)));

/* Four dimensions of four rows: to[k * width + i] = row i's [k]. */
static inline void transpose(float *to, size_t width, const float *const row[4], size_t k)
{
    four a = *(const four_anywhere *)(row[0] + k), b = *(const four_anywhere *)(row[1] + k);
    four c = *(const four_anywhere *)(row[2] + k), d = *(const four_anywhere *)(row[3] + k);
    four ab = __builtin_shuffle(a, b, (four_places){0, 4, 1, 5}), cd = __builtin_shuffle(c, d, (four_places){0, 4, 1, 5});

    *(four_anywhere *)to = __builtin_shuffle(ab, cd, (four_places){0, 1, 4, 5});
    *(four_anywhere *)(to + width) = __builtin_shuffle(ab, cd, (four_places){2, 3, 6, 7});
    ab = __builtin_shuffle(a, b, (four_places){2, 6, 3, 7}), cd = __builtin_shuffle(c, d, (four_places){2, 6, 3, 7});
    *(four_anywhere *)(to + 2 * width) = __builtin_shuffle(ab, cd, (four_places){0, 1, 4, 5});
    *(four_anywhere *)(to + 3 * width) = __builtin_shuffle(ab, cd, (four_places){2, 3, 6, 7});
}

void ft_tile_pack(float *packed, size_t width, const float *source, const uint32_t *item, size_t count,
                  size_t dim)
{
    enum { STEP = 16 };    /* dimensions at once: what is written stays in the first-level cache */

    if (count < width)
        memset(packed, 0, width * dim * sizeof *packed);
    for (size_t from = 0; from < dim; from += STEP) {
        size_t to = dim - from < STEP ? dim : from + STEP, i = 0;

        for (; i + 4 <= count; i += 4) {
            const float *row[4];
            size_t k = from;

            for (size_t r = 0; r < 4; r++)
                row[r] = source + (item ? item[i + r] : i + r) * dim;
            for (size_t r = 0; r < 4; r++)
                __builtin_prefetch(row[r] + from + 2 * STEP);
            for (; k + 4 <= to; k += 4)
                transpose(packed + k * width + i, width, row, k);
            for (; k < to; k++)
                for (size_t r = 0; r < 4; r++)
                    packed[k * width + i + r] = row[r][k];
        }
        for (; i < count; i++)
            for (size_t k = from; k < to; k++)
                packed[k * width + i] = source[(item ? item[i] : i) * dim + k];
    }
}
