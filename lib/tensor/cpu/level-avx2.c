/* level-avx2.c - the fast kernels for AVX2 and FMA. */
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define FT_LEVEL 1
#define FT_TABLE ft_kernels_avx2
#define FT_TABLE_NAME "avx2"
#include "tensor/cpu/table.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
