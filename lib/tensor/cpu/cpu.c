/* cpu.c - which table of kernels this CPU gets: a level of the vector unit, and the products that go with it. */
#include "tensor/cpu/tables.h"
#include "tensor/plain/plain.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static bool anywhere(void)
{
    return true;
}

static bool products_plain(struct ft_kernels *kernels, enum ft_precision precision)
{
    if (precision == FT_BF16)
        ft_plain_bf16(kernels);
    return true;
}

static bool products_blas(struct ft_kernels *kernels, enum ft_precision precision)
{
    if (precision == FT_BF16)
        ft_blas_bf16(kernels);
    return true;
}

#ifdef __x86_64__
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
           && __builtin_cpu_supports("avx512vl");
}

static bool products_avx512(struct ft_kernels *kernels, enum ft_precision precision)
{
    return (precision == FT_BF16 && ft_products_avx512_bf16(kernels)) || products_blas(kernels, precision);
}
#endif

/* Best first. `tables` is filled for those that this CPU runs; the others' have no name. */
static struct level {
    const char *name;
    const struct ft_kernels *vector;
    bool (*runs)(void);
    bool (*products)(struct ft_kernels *kernels, enum ft_precision precision);    /* false: not on this CPU */
    struct ft_kernels tables[FT_PRECISIONS];
} levels[] = {
#ifdef __x86_64__
    {"amx", &ft_kernels_avx512, has_avx512, ft_products_amx, {{0}}},
    {"avx512", &ft_kernels_avx512, has_avx512, products_avx512, {{0}}},
    {"avx2", &ft_kernels_avx2, has_avx2, products_blas, {{0}}},
#endif
    {"baseline", &ft_kernels_baseline, anywhere, products_blas, {{0}}},
    {"plain", &ft_kernels_plain, anywhere, products_plain, {{0}}},
};
enum { LEVELS = sizeof levels / sizeof *levels };

static struct level *chosen;

static void fill(struct level *level)
{
    for (int p = 0; level->runs() && p < FT_PRECISIONS; p++) {
        struct ft_kernels table = *level->vector;

        table.name = level->name;
        if (level->products(&table, (enum ft_precision)p))
            level->tables[p] = table;
    }
}

static struct level *find(const char *name)
{
    for (int i = 0; i < LEVELS; i++)
        if (strcmp(levels[i].name, name) == 0 && levels[i].tables[0].name != NULL)
            return &levels[i];
    return NULL;
}

/* What FT_CPU asks for and cannot be had is passed over: a test's wish, not a user's option. */
static void choose(void)
{
    const char *forced = getenv("FT_CPU");

    for (int i = 0; i < LEVELS; i++)
        fill(&levels[i]);
    if (forced != NULL)
        chosen = find(forced);
    for (int i = 0; chosen == NULL && i < LEVELS; i++)
        chosen = find(levels[i].name);
}

static void choose_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, choose);
}

const struct ft_kernels *ft_kernels_cpu(enum ft_precision precision)
{
    choose_once();
    return &chosen->tables[precision];
}

const struct ft_kernels *ft_kernels_named(const char *name, enum ft_precision precision)
{
    struct level *level;

    choose_once();
    level = find(name);
    return level != NULL ? &level->tables[precision] : NULL;
}

/* The plain attention needs seven rows, the fast one (fast-attention.h) two transposed matrices, two blocks of 64 rows and their masks, a bias
 * and its gradient of two rows each, and a row of buckets, with rows of whole 16s. */
size_t ft_attention_scratch(size_t length, size_t H, size_t W)
{
    size_t stride = (length + 15) / 16 * 16;

    return 2 * (W / H) * stride + 2 * 64 * stride + 7 * stride + 3 * 16;
}
