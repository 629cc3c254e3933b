/* cpu.c - which table of kernels this CPU gets. */
#include "tensor/cpu/tables.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const struct ft_kernels *chosen;

/* NULL when this CPU cannot run it, or there is none of that name. */
const struct ft_kernels *ft_kernels_named(const char *name)
{
    if (strcmp(name, "plain") == 0)
        return &ft_kernels_plain;
    if (strcmp(name, "baseline") == 0)
        return &ft_kernels_baseline;
#ifdef __x86_64__
    if (strcmp(name, "avx2") == 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &ft_kernels_avx2;
    if (strcmp(name, "avx512") == 0 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &ft_kernels_avx512;
#endif
    return NULL;
}

/* What FT_CPU asks for and cannot be had is passed over: a test's wish, not a user's option. */
static void choose(void)
{
    static const char *const best_first[] = {"avx512", "avx2", "baseline"};
    const char *forced = getenv("FT_CPU");

    ft_blas_choose();
    if (forced != NULL)
        chosen = ft_kernels_named(forced);
    for (size_t i = 0; chosen == NULL && i < sizeof best_first / sizeof *best_first; i++)
        chosen = ft_kernels_named(best_first[i]);
}

const struct ft_kernels *ft_kernels_cpu(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, choose);
    return chosen;
}

/* The plain attention needs three rows, the fast one (fast-attention.h) two transposed matrices, two blocks of 64 rows and their masks, with
 * rows of whole 16s. */
size_t ft_attention_scratch(size_t length, size_t H, size_t W)
{
    size_t stride = (length + 15) / 16 * 16;

    return 2 * (W / H) * stride + 2 * 64 * stride + 2 * stride + 16;
}
