/* cpu.c - which table of kernels this CPU gets. */
#include "tensor/cpu/linear.h"
#include "tensor/kernels.h"

#include <cblas.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct ft_kernels chosen;

static void choose(void)
{
    const char *forced = getenv("FT_CPU");

    openblas_set_num_threads(1);
    chosen = ft_kernels_plain;
    if (forced != NULL && strcmp(forced, "plain") == 0)
        return;
    chosen.name = "baseline";
    chosen.linear_forward = ft_blas_linear_forward;
    chosen.linear_backward = ft_blas_linear_backward;
    chosen.linear_gradient = ft_blas_linear_gradient;
}

const struct ft_kernels *ft_kernels_cpu(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, choose);
    return &chosen;
}

/* A generous bound of what either table's attention lays out for one head: the transposed keys and values, and two square matrices. */
size_t ft_attention_scratch(size_t length, size_t H, size_t W)
{
    size_t L = (length + 31) / 32 * 32 + 32, D = (W / H + 31) / 32 * 32;

    return 3 * L * L + 4 * L * D + L;
}
