/* vector.h - the one vector type the fast kernels are written in, at the width of the CPU they are compiled for.
 *
 * Each level-*.c sets FT_LEVEL and the compiler's target and then includes the kernels: the same source becomes 4 lanes (SSE2, or NEON by GCC's
 * vector extension), 8 (AVX2 and FMA) or 16 (AVX-512). What is not plain arithmetic on vectors is named here, v_* for floats.
 * A result never depends on where in memory or in a vector an element lies: the last elements of a row are loaded into a vector whose other lanes
 * are 0 and take the same path as all others; loads need no alignment. Comparisons with NaN are false: v_max(a, b) and v_min(a, b) give b when
 * either is NaN, so with the data as b a NaN stays a NaN. */
#ifndef FT_TENSOR_CPU_VECTOR_H
#define FT_TENSOR_CPU_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#else
#ifdef __aarch64__
#include <arm_neon.h>
#endif
#undef FT_LEVEL
#define FT_LEVEL 0
#endif

#if FT_LEVEL == 2
#define V 16
#elif FT_LEVEL == 1
#define V 8
#else
#define V 4
#endif

#define INLINE static inline __attribute__((always_inline, unused))

typedef float vf __attribute__((vector_size(4 * V)));
typedef int32_t vi __attribute__((vector_size(4 * V)));
typedef uint32_t vu __attribute__((vector_size(4 * V)));
typedef uint64_t vq __attribute__((vector_size(4 * V)));     /* V / 2 lanes */
typedef float vf_anywhere __attribute__((vector_size(4 * V), aligned(4), may_alias));
typedef int32_t vi_anywhere __attribute__((vector_size(4 * V), aligned(4), may_alias));

#if FT_LEVEL == 2
typedef __mmask16 vm;        /* one truth value a lane */
#else
typedef vi vm;
#endif

INLINE vf v_load(const float *p) { return *(const vf_anywhere *)p; }
INLINE void v_store(float *p, vf a) { *(vf_anywhere *)p = a; }
INLINE vf v_set(float a) { return a - (vf){0}; }    /* a - 0, not a + 0, which would turn -0 into 0 */

#if FT_LEVEL == 2

INLINE vf v_fma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE vf v_max(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vf v_min(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vm v_less(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
INLINE vm v_is_nan(vf a) { return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q); }
INLINE vm v_equal_i(vi a, vi b) { return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b); }
INLINE vm v_not(vm a) { return (vm)~a; }
INLINE vf v_pick(vm m, vf a, vf b) { return (vf)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a); }
INLINE vi v_pick_i(vm m, vi a, vi b) { return (vi)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a); }
INLINE vm v_first(size_t n) { return (vm)((1u << n) - 1); }
INLINE vm v_bits(uint32_t bits) { return (vm)bits; }
INLINE vf v_load_first(const float *p, size_t n) { return (vf)_mm512_maskz_loadu_ps(v_first(n), p); }
INLINE void v_store_first(float *p, vf a, size_t n) { _mm512_mask_storeu_ps(p, v_first(n), (__m512)a); }
INLINE vq v_multiply_32(vq a, vq b) { return (vq)_mm512_mul_epu32((__m512i)a, (__m512i)b); }
INLINE void v_store_bytes(uint8_t *p, vq a) { _mm_storel_epi64((__m128i *)p, _mm512_cvtepi64_epi8((__m512i)a)); }

INLINE vf v_spread(const float *p) { return (vf)_mm512_set1_ps(*p); }    /* the bits as they are, whatever number they make */

/* Rows become columns: pairs, fours, then quarters of the vectors change places. */
INLINE void v_transpose(vf row[V])
{
    __m512 a[V], b[V];

#pragma GCC unroll 16
    for (int i = 0; i < V; i += 2) {
        a[i] = _mm512_unpacklo_ps((__m512)row[i], (__m512)row[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps((__m512)row[i], (__m512)row[i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < V; i += 4)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = (__m512)_mm512_unpacklo_pd((__m512d)a[i + j], (__m512d)a[i + j + 2]);
            b[i + 2 * j + 1] = (__m512)_mm512_unpackhi_pd((__m512d)a[i + j], (__m512d)a[i + j + 2]);
        }
#pragma GCC unroll 16
    for (int j = 0; j < 4; j++) {
        __m512 low = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88), high = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xdd);
        __m512 low2 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88), high2 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xdd);

        row[j] = (vf)_mm512_shuffle_f32x4(low, low2, 0x88);
        row[4 + j] = (vf)_mm512_shuffle_f32x4(high, high2, 0x88);
        row[8 + j] = (vf)_mm512_shuffle_f32x4(low, low2, 0xdd);
        row[12 + j] = (vf)_mm512_shuffle_f32x4(high, high2, 0xdd);
    }
}

#else

#if FT_LEVEL == 1
INLINE vf v_spread(const float *p) { return (vf)_mm256_set1_ps(*p); }

INLINE void v_transpose(vf row[V])
{
    __m256 a[V], b[V];

#pragma GCC unroll 8
    for (int i = 0; i < V; i += 2) {
        a[i] = _mm256_unpacklo_ps((__m256)row[i], (__m256)row[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps((__m256)row[i], (__m256)row[i + 1]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < V; i += 4)
#pragma GCC unroll 2
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = (__m256)_mm256_unpacklo_pd((__m256d)a[i + j], (__m256d)a[i + j + 2]);
            b[i + 2 * j + 1] = (__m256)_mm256_unpackhi_pd((__m256d)a[i + j], (__m256d)a[i + j + 2]);
        }
#pragma GCC unroll 8
    for (int j = 0; j < 4; j++) {
        row[j] = (vf)_mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
        row[4 + j] = (vf)_mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
    }
}

INLINE vf v_fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE vf v_max(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf v_min(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vf v_pick(vm m, vf a, vf b) { return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }
INLINE vq v_multiply_32(vq a, vq b) { return (vq)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
#else
INLINE vf v_spread(const float *p) { return (vf){*p, *p, *p, *p}; }

INLINE void v_transpose(vf row[V])
{
    for (int i = 0; i < V; i++)
        for (int j = 0; j < i; j++) {
            float other = row[i][j];

            row[i][j] = row[j][i];
            row[j][i] = other;
        }
}

#ifdef __aarch64__
INLINE vf v_fma(vf a, vf b, vf c) { return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
#else
INLINE vf v_fma(vf a, vf b, vf c) { return a * b + c; }
#endif
INLINE vf v_pick(vm m, vf a, vf b) { return (vf)((m & (vi)a) | (~m & (vi)b)); }
INLINE vf v_max(vf a, vf b) { return v_pick(a > b, a, b); }
INLINE vf v_min(vf a, vf b) { return v_pick(a < b, a, b); }
#ifdef __x86_64__
INLINE vq v_multiply_32(vq a, vq b) { return (vq)_mm_mul_epu32((__m128i)a, (__m128i)b); }
#else
INLINE vq v_multiply_32(vq a, vq b) { return (a & 0xffffffff) * (b & 0xffffffff); }
#endif
#endif

INLINE vm v_less(vf a, vf b) { return a < b; }
INLINE vm v_is_nan(vf a) { return a != a; }
INLINE vm v_equal_i(vi a, vi b) { return a == b; }
INLINE vm v_not(vm a) { return ~a; }
INLINE vi v_pick_i(vm m, vi a, vi b) { return (m & a) | (~m & b); }

INLINE vi v_lane_numbers(void)
{
    vi lanes;

    for (int i = 0; i < V; i++)
        lanes[i] = i;
    return lanes;
}

INLINE vm v_first(size_t n) { return v_lane_numbers() < (int32_t)n; }

INLINE vm v_bits(uint32_t bits)
{
    vi one;

    for (int i = 0; i < V; i++)
        one[i] = 1 << i;
    return ((int32_t)bits & one) != 0;
}

#if FT_LEVEL == 1
INLINE vf v_load_first(const float *p, size_t n) { return (vf)_mm256_maskload_ps(p, (__m256i)v_first(n)); }
INLINE void v_store_first(float *p, vf a, size_t n) { _mm256_maskstore_ps(p, (__m256i)v_first(n), (__m256)a); }
#else
INLINE vf v_load_first(const float *p, size_t n)
{
    vf a = {0};

    memcpy(&a, p, n * sizeof *p);
    return a;
}

INLINE void v_store_first(float *p, vf a, size_t n)
{
    memcpy(p, &a, n * sizeof *p);
}
#endif

INLINE void v_store_bytes(uint8_t *p, vq a)
{
    for (int i = 0; i < V / 2; i++)
        p[i] = (uint8_t)a[i];
}

#endif

/* The sum and the maximum of the lanes, halves against halves: the same order everywhere at one width. */
#if FT_LEVEL > 0
INLINE __m128 v_quarter(vf a, __m128 (*join)(__m128, __m128))
{
#if FT_LEVEL == 2
    __m512d wide = (__m512d)a;
    __m128 low = join((__m128)_mm512_castpd512_pd128(wide), (__m128)_mm512_extractf64x2_pd(wide, 2));
    __m128 high = join((__m128)_mm512_extractf64x2_pd(wide, 1), (__m128)_mm512_extractf64x2_pd(wide, 3));

    low = join(low, high);
#else
    __m128 low = join(_mm256_castps256_ps128((__m256)a), _mm256_extractf128_ps((__m256)a, 1));
#endif
    low = join(low, _mm_movehl_ps(low, low));
    return join(low, _mm_shuffle_ps(low, low, 1));
}

INLINE __m128 v_join_sum(__m128 a, __m128 b) { return _mm_add_ps(a, b); }
INLINE __m128 v_join_largest(__m128 a, __m128 b) { return _mm_max_ps(a, b); }
INLINE float v_sum(vf a) { return _mm_cvtss_f32(v_quarter(a, v_join_sum)); }
INLINE float v_largest(vf a) { return _mm_cvtss_f32(v_quarter(a, v_join_largest)); }
#else
INLINE float v_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }

INLINE float v_largest(vf a)
{
    float even = a[0] > a[2] ? a[0] : a[2], odd = a[1] > a[3] ? a[1] : a[3];

    return even > odd ? even : odd;
}
#endif

/* for (V_EACH(i, n, m)): i = 0, V, 2V ... below n; m = how many of the V elements at i exist. v_get and v_put take them. */
#define V_EACH(i, n, m) size_t i = 0, m = (n) < V ? (n) : V; i < (n); i += V, m = (n) - i < V ? (n) - i : V

INLINE vf v_get(const float *p, size_t m) { return m == V ? v_load(p) : v_load_first(p, m); }

INLINE void v_put(float *p, vf a, size_t m)
{
    if (m == V)
        v_store(p, a);
    else
        v_store_first(p, a, m);
}

#endif
