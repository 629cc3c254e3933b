/* openblas.c - OpenBLAS, loaded when first needed. */
#include "tensor/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#undef I    /* cblas.h brings complex.h, whose I is not ours */

static void (*sgemm)(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint, blasint, blasint, float, const float *, blasint,
                     const float *, blasint, float, float *, blasint);

void *ft_blas_load(const char *library, const char *function)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    return handle != NULL ? dlsym(handle, function) : NULL;
}

/* It reads how many threads to make when it is loaded; the pool is the only one here that makes threads. */
static void load(void)
{
    void (*set_threads)(int);

    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    *(void **)&sgemm = ft_blas_load("libopenblas.so.0", "cblas_sgemm");
    *(void **)&set_threads = ft_blas_load("libopenblas.so.0", "openblas_set_num_threads");
    if (set_threads != NULL)
        set_threads(1);
}

/* It was there when ft was built. Where it is not any more: slow, and right. */
static void loops(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb,
                  float beta, float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;

            for (size_t p = 0; p < k; p++)
                sum += (double)a[ta ? p * lda + i : i * lda + p] * b[tb ? j * ldb + p : p * ldb + j];
            c[i * ldc + j] = (float)(alpha * sum) + (beta == 0 ? 0 : beta * c[i * ldc + j]);
        }
}

void ft_blas_sgemm(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb,
                   float beta, float *c, size_t ldc)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    if (sgemm != NULL)
        sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, alpha, a,
              (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
    else
        loops(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
