/* test-math-avx512.c - test-math.c at 16 lanes. */
#include <math.h>
#include <stdio.h>
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif
#define FT_LEVEL 2
#define AVAILABLE (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
#define LEVEL_NAME "avx512"
#endif
#include "test-math.c"
#if defined(__x86_64__) && defined(__clang__)
#pragma clang attribute pop
#endif
