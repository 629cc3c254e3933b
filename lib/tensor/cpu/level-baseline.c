/* level-baseline.c - the fast kernels for what every CPU of this kind has: SSE2 on x86-64, NEON on 64-bit ARM. */
#define FT_LEVEL 0
#define FT_TABLE ft_kernels_baseline
#define FT_TABLE_NAME "baseline"
#include "tensor/cpu/table.h"
