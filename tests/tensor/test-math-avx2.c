/* test-math-avx2.c - test-math.c at 8 lanes. */
#include <math.h>
#include <stdio.h>
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define FT_LEVEL 1
#define AVAILABLE (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#define LEVEL_NAME "avx2"
#endif
#include "test-math.c"
#if defined(__x86_64__) && defined(__clang__)
#pragma clang attribute pop
#endif
