/* level-avx512.c - the fast kernels for AVX-512 (F, BW, DQ, VL: Skylake-X, Zen 4 and later). */
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif
#define FT_LEVEL 2
#define FT_TABLE ft_kernels_avx512
#define FT_TABLE_NAME "avx512"
#include "tensor/cpu/table.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
