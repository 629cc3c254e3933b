/* blas.c - the three products of a linear layer as sgemm calls: oneDNN's where it is, which generates code for the CPU it runs on and is faster at these
 * shapes by a tenth to a fifth; else OpenBLAS's. One call is one thread's, the pool runs several at a time.
 *
 * FT_BLAS=openblas|onednn in the environment asks for one (tests, measuring); what cannot be had is passed over. */
#include "tensor/blas.h"
#include "tensor/cpu/tables.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(FT_ONEDNN) && defined(__x86_64__)
#include <dnnl.h>

#define NAME_OF(major) "libdnnl.so." #major
#define NAME(major) NAME_OF(major)

static dnnl_status_t (*sgemm)(char, char, dnnl_dim_t, dnnl_dim_t, dnnl_dim_t, float, const float *, dnnl_dim_t, const float *, dnnl_dim_t,
                              float, float *, dnnl_dim_t);
static void (*set_threads)(int);    /* libgomp's: oneDNN makes its threads through it */

/* oneDNN before AVX2 has no fast code of its own. */
static void load(void)
{
    const char *asked = getenv("FT_BLAS");

    if (!__builtin_cpu_supports("avx2") || (asked && strcmp(asked, "openblas") == 0))
        return;
    *(void **)&set_threads = ft_blas_load(NAME(DNNL_VERSION_MAJOR), "omp_set_num_threads");
    if (set_threads != NULL)
        *(void **)&sgemm = ft_blas_load(NAME(DNNL_VERSION_MAJOR), "dnnl_sgemm");
}

static bool product_onednn(bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                           float beta, float *c, size_t ldc)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Thread_local bool alone;

    pthread_once(&once, load);
    if (sgemm == NULL)
        return false;
    if (!alone) {   /* OpenMP counts its threads a thread that calls it; ours are the pool's */
        set_threads(1);
        alone = true;
    }
    return sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, 1, a, (dnnl_dim_t)lda, b,
                 (dnnl_dim_t)ldb, beta, c, (dnnl_dim_t)ldc) == dnnl_success;
}
#else
#define product_onednn(...) false
#endif

/* c[m,n] = op(a) op(b) + beta c, row-major. */
static void product(bool ta, bool tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb,
                    float beta, float *c, size_t ldc)
{
    if (!product_onednn(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc))
        ft_blas_sgemm(ta, tb, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

/* The bias goes in first and the product is added to it: one pass less over y than adding it after. */
void ft_blas_linear_forward(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O)
{
    (void)packed;
    if (b != NULL)
        for (size_t r = 0; r < R; r++)
            memcpy(y + r * O, b, O * sizeof *y);
    product(false, true, R, O, I, x, I, w, I, b != NULL, y, O);
}

void ft_blas_linear_backward(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O)
{
    (void)packed;
    product(false, false, R, I, O, dy, O, w, I, 0, dx, I);
}

void ft_blas_linear_gradient(float *dw, const float *dy, const float *x, size_t R, size_t I, size_t O, size_t from, size_t to)
{
    product(true, false, to - from, I, R, dy + from, O, x, I, 1, dw + from * I, I);
}

void ft_blas_product_add(float *c, size_t apart, const float *a, const float *b, size_t m, size_t n, size_t k)
{
    product(false, true, m, n, k, a, k, b, k, 1, c, apart);
}
