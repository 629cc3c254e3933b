/* cpu.c - which table of kernels this CPU gets: a level of the vector unit, and the products that go with it. */
#include "tensor/cpu/tables.h"
#include "tensor/plain/plain.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* In each precision; no name: this CPU cannot run it. */
static struct level {
    const char *name;
    struct ft_kernels tables[FT_PRECISIONS];
} levels[] = {{.name = "amx"}, {.name = "avx512"}, {.name = "avx2"}, {.name = "baseline"}, {.name = "plain"}};    /* best first */
enum { LEVELS = sizeof levels / sizeof *levels };

static struct level *chosen;

static const struct ft_kernels *vector_table(const char *name)
{
#ifdef __x86_64__
    if (strcmp(name, "amx") == 0 || strcmp(name, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
                       && __builtin_cpu_supports("avx512vl") ? &ft_kernels_avx512 : NULL;
    if (strcmp(name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &ft_kernels_avx2 : NULL;
#endif
    return strcmp(name, "plain") == 0 ? &ft_kernels_plain : strcmp(name, "baseline") == 0 ? &ft_kernels_baseline : NULL;
}

static void fill(struct level *level)
{
    const struct ft_kernels *vector = vector_table(level->name);

    for (int p = 0; vector != NULL && p < FT_PRECISIONS; p++) {
        struct ft_kernels table = *vector;
        bool has = true;

        if (p == FT_BF16 && strcmp(level->name, "plain") != 0)
            ft_blas_bf16(&table);
        if (p == FT_BF16 && strcmp(level->name, "plain") == 0)
            ft_plain_bf16(&table);
#ifdef __x86_64__
        if (p == FT_BF16 && strcmp(level->name, "avx512") == 0)
            ft_products_avx512_bf16(&table);
        if (strcmp(level->name, "amx") == 0)
            has = ft_products_amx(&table, (enum ft_precision)p);
#endif
        table.name = level->name;
        if (has)
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

/* The plain attention needs three rows, the fast one (fast-attention.h) two transposed matrices, two blocks of 64 rows and their masks, with
 * rows of whole 16s. */
size_t ft_attention_scratch(size_t length, size_t H, size_t W)
{
    size_t stride = (length + 15) / 16 * 16;

    return 2 * (W / H) * stride + 2 * 64 * stride + 2 * stride + 16;
}
