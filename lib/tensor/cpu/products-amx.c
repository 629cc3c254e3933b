/* products-amx.c - the products of linear layers on the matrix unit of Intel's Xeons (AMX: Sapphire Rapids and later).
 *
 * Tile registers have 16 rows of 64 bytes: four hold a block of C of 32 x 32, two squares of A and two of B go by. One instruction multiplies two
 * squares in 16 cycles, 16 times as fast as the vector unit does in fp32. A square takes 8 cycles from the first cache and about 25 from the
 * second; C's block is read and written once for each part of a strip of B that goes by all of A, which costs more than B from the second. */
#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,avx2,fma")
#endif
#define FT_LEVEL 2
#include "tensor/cpu/packed-linear.h"
#include "tensor/cpu/tables.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Steps of a strip of B that go by A at once, of `steps`: even parts, of 64 to 96 KB at most. */
INLINE size_t near_steps(const int products, size_t steps)
{
    size_t most = products == 1 ? 32 : 16, parts = (steps + most - 1) / most;

    return (steps + parts - 1) / parts;
}

/* The compiler does not know that tile instructions read and write memory. */
#define MEMORY() __asm__ volatile("" ::: "memory")

/* How much of a block there is: `two` squares of rows or one, and, `half`, of columns one instead of two. */
struct extent {
    bool two, half;
};

/* Two squares of a step: where, floats to the next part and to the second square, bytes to the next row. */
struct squares {
    const float *at;
    size_t part, second, row;
};

/* A step of a packed strip. */
INLINE struct squares squares_at(const int products, const float *strip)
{
    return (struct squares){strip, SQUARE, (size_t)parts_of(products) * SQUARE, 64};
}

/* Eight tile registers: 0 - 3 are C's, 4 and 5 hold squares of A, 6 and 7 of B. */
INLINE void load_a(const struct extent e, const struct squares *a, int part)
{
    _tile_loadd(4, a->at + (size_t)part * a->part, a->row);
    if (e.two)
        _tile_loadd(5, a->at + a->second + (size_t)part * a->part, a->row);
}

INLINE void load_b(const struct extent e, const struct squares *b, int part)
{
    _tile_loadd(6, b->at + (size_t)part * b->part, b->row);
    if (!e.half)
        _tile_loadd(7, b->at + b->second + (size_t)part * b->part, b->row);
}

INLINE void multiply(const struct extent e)
{
    _tile_dpbf16ps(0, 4, 6);
    if (!e.half)
        _tile_dpbf16ps(1, 4, 7);
    if (e.two)
        _tile_dpbf16ps(2, 5, 6);
    if (e.two && !e.half)
        _tile_dpbf16ps(3, 5, 7);
}

/* A step of 32 along k. Products of parts come in an order in which each needs only one new operand: (i, j) stands for ai bj. */
INLINE void step(const int products, const struct extent e, const struct squares *a, const struct squares *b)
{
    const int parts = parts_of(products);

    load_b(e, b, products == 4 ? 1 : 0);
    load_a(e, a, parts - 1);
    multiply(e);                       /* (0, 0) or (1, 0) or (1, 1) or (2, 0) */
    if (products == 1)
        return;
    if (products == 4) {
        load_b(e, b, 0);
        multiply(e);                   /* (1, 0) */
    }
    if (products == 6) {
        load_a(e, a, 1);
        multiply(e);                   /* (1, 0) */
        load_b(e, b, 1);
        multiply(e);                   /* (1, 1) */
        load_a(e, a, 0);
        multiply(e);                   /* (0, 1) */
        load_b(e, b, 0);
    } else
        load_a(e, a, 0);
    multiply(e);                       /* (0, 0) */
    load_b(e, b, parts - 1);
    multiply(e);                       /* (0, 1) or (0, 2) */
}

INLINE void load_c(const struct extent e, const float *c, size_t row)
{
    if (c == NULL) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        return;
    }
    _tile_loadd(0, c, row * sizeof *c);
    if (!e.half)
        _tile_loadd(1, c + LINES, row * sizeof *c);
    if (e.two)
        _tile_loadd(2, c + LINES * row, row * sizeof *c);
    if (e.two && !e.half)
        _tile_loadd(3, c + LINES * row + LINES, row * sizeof *c);
}

INLINE void store_c(const struct extent e, float *c, size_t row)
{
    _tile_stored(0, c, row * sizeof *c);
    if (!e.half)
        _tile_stored(1, c + LINES, row * sizeof *c);
    if (e.two)
        _tile_stored(2, c + LINES * row, row * sizeof *c);
    if (e.two && !e.half)
        _tile_stored(3, c + LINES * row + LINES, row * sizeof *c);
}

/* What a block fetches while it multiplies: cache lines of B's strip ahead, some each step, and rows of C where the next block will be stored. */
struct ahead {
    const float *b;
    size_t lines;                /* a step */
    float *c;                    /* STRIP rows of two lines, or NULL */
    size_t c_row;
};

INLINE void fetch(struct ahead *ahead)
{
    for (size_t i = 0; i < ahead->lines; i++, ahead->b += V)
        _mm_prefetch((const char *)ahead->b, _MM_HINT_T1);
}

INLINE void fetch_c(const struct ahead *ahead, size_t row, size_t rows)
{
    for (size_t i = row; ahead->c != NULL && i < row + rows; i++) {
        __builtin_prefetch(ahead->c + i * ahead->c_row, 1);
        __builtin_prefetch(ahead->c + i * ahead->c_row + LINES, 1);
    }
}

/* Rows r .. r + 31 of C, or 16 of them, over `steps`; at C's edge, through a whole block. */
INLINE void block(const int products, const struct extent e, const struct target *t, size_t r, bool begin, const float *a, const float *b, size_t steps,
                  struct ahead *ahead)
{
    float whole[STRIP * STRIP] __attribute__((aligned(64)));
    const float *start = t->start;
    size_t rows = t->rows - r, tall = (e.two ? 2 : 1) * LINES, start_row = t->start_row, c_row = t->c_row, each = (tall + steps - 1) / steps;
    bool edge = rows < tall || t->columns < (e.half ? LINES : STRIP);
    float *c = t->c + r * t->c_row;

    if (rows > tall)
        rows = tall;
    if (!begin)
        start = c, start_row = c_row;
    else if (start != NULL)
        start += r * start_row;
    if (edge && start != NULL) {
        for (size_t i = 0; i < rows; i++)
            row_copy(whole + i * STRIP, start + i * start_row, t->columns);
        start = whole;
        start_row = STRIP;
    }
    MEMORY();
    load_c(e, start, start_row);
    for (size_t s = 0; s < steps; s++, a += step_size(products), b += step_size(products)) {
        const struct squares one = squares_at(products, a), other = squares_at(products, b);

        step(products, e, &one, &other);
        fetch(ahead);
        fetch_c(ahead, s * each, each);
    }
    store_c(e, edge ? whole : c, edge ? STRIP : c_row);
    MEMORY();
    for (size_t i = 0; edge && i < rows; i++)
        row_copy(c + i * c_row, whole + i * STRIP, t->columns);
}

INLINE void product_begin(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};

    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = LINES;
    }
    MEMORY();
    _tile_loadconfig(&config);
}

/* Released, the registers cost nothing when threads change. */
INLINE void product_end(void)
{
    _tile_release();
}

/* A strip of B that was packed in advance comes from the third cache or from memory, and C goes there, in rows too far apart for the CPU to see what
 * comes next: both are fetched ahead. */
INLINE void strips(const int products, const struct target *t, const float *a, size_t a_strip, const float *b, size_t steps)
{
    size_t near = near_steps(products, steps), blocks = (t->rows + STRIP - 1) / STRIP, lines = (step_size(products) / V + blocks - 1) / blocks;

    for (size_t s = 0; s < steps; s += near) {
        size_t here = steps - s < near ? steps - s : near;
        const float *at = a + s * step_size(products), *with = b + s * step_size(products);
        struct ahead ahead = {with + here * step_size(products), lines, t->c, t->c_row};

        for (size_t r = 0; r < t->rows; r += STRIP, at += a_strip) {
            size_t next = r + STRIP;

            /* After the last rows come the first ones of the next strip of C. Rows that are another thread's are left alone. */
            ahead.c = next + STRIP <= t->rows ? t->c + next * t->c_row : next >= t->rows && s + near >= steps ? t->c + STRIP : NULL;
            if (t->rows - r > LINES && t->columns > LINES)
                block(products, (struct extent){true, false}, t, r, s == 0, at, with, here, &ahead);
            else if (t->rows - r > LINES)
                block(products, (struct extent){true, true}, t, r, s == 0, at, with, here, &ahead);
            else
                block(products, (struct extent){false, t->columns <= LINES}, t, r, s == 0, at, with, here, &ahead);
        }
    }
}

#include "tensor/cpu/convolution-gradient-amx.h"

FT_PACKED(bf16, 1, 1, 1)
FT_PACKED(fp32, 6, 4, 3)
FT_CONVOLUTION(bf16, 1, 1)
FT_CONVOLUTION(fp32, 6, 4)
FT_CONVOLUTION_GRADIENT(bf16, 1)
FT_CONVOLUTION_GRADIENT(fp32, 3)

/* The kernel gives a process the unit's registers when asked (Linux 5.16): 8 KB a thread that uses them. */
static bool available(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    unsigned b, c, d, bf16, most;

    if (!__get_cpuid_count(7, 0, &most, &b, &c, &d) || most < 1 || !(d & bit_AMX_TILE) || !(d & bit_AMX_BF16))
        return false;
    __cpuid_count(7, 1, bf16, b, c, d);
    return (bf16 & bit_AVX512BF16) && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* Where an error goes decides how much of it is allowed: the forward's into every embedding, the backward's into the gradients of the layers below, a
 * parameter's gradient nowhere else. */
bool ft_products_amx(struct ft_kernels *kernels, enum ft_precision precision)
{
    if (!available())
        return false;
    if (precision == FT_BF16) {
        put_bf16(kernels);
        put_convolution_bf16(kernels);
        put_convolution_gradient_bf16(kernels);
    } else {
        put_fp32(kernels);
        put_convolution_fp32(kernels);
        put_convolution_gradient_fp32(kernels);
        kernels->gradient_rounding = 3 * 0x1p-18;
    }
    return true;
}
#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
