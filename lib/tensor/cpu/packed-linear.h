/* packed-linear.h - the three products of a linear layer from operands in bf16, packed for a CPU's matrix instructions.
 *
 *     forward   y[R,O] = x[R,I] w[O,I]^T + b      backward  dx[R,I] = dy[R,O] w[O,I]      gradient  dw[O,I] += dy[R,O]^T x[R,I]
 *
 * All are C[m,n] = A[m,k] B[k,n], blocked as by Goto and van de Geijn (2008). A word is 32 bits, two bf16: numbers i and i + 16 of 32 along k. A square
 * is 16 lines (rows of A, columns of B) by 16 words, a kilobyte: what a tile register of AMX holds. A strip is 32 lines by all of k: two squares
 * a step of 32 numbers along k, for each part of the numbers. A number is one bf16, or the sum of several, each nearest to what those before it left:
 *
 *     bf16     a = a0           a b = a0 b0                                                          (Kalamkar et al. 2019)
 *     bf16x3   a = a0 + a1      a b = a0 b0 + a0 b1 + a1 b0; errs by 3 * 2^-18 at most               (Henry, Tang, Heinecke 2019)
 *     bf16x4   a = a0 + a1      and a1 b1: errs by 2^-17
 *     bf16x6   a = a0 + a1 + a2 a b = all ai bj with i + j < 3; errs by 2^-25, less than fp32 itself
 *
 * Products of two bf16 are exact in fp32, and sums are kept in fp32. The instructions take parts below 2^-126 for 0; an infinity becomes NaN where there
 * are several parts.
 *
 * Every element of C is one chain of sums in the order of k, its start (bias, zero, or the old C) first: its bits do not depend on R, nor on the block
 * it falls in, nor on whether an operand was packed in advance.
 *
 * The including file gives `strips`, which multiplies packed strips, and what comes before and after it; FT_PACKED makes the functions
 * of the table. */
#ifndef FT_TENSOR_CPU_PACKED_LINEAR_H
#define FT_TENSOR_CPU_PACKED_LINEAR_H

#include "tensor/cpu/column-sums.h"
#include "tensor/cpu/packed.h"

#include <stdbool.h>

/* A matrix as an operand: line l, place p along k is from[l * apart + p], or when taken across, from[p * apart + l]. */
struct operand {
    const float *from;
    size_t apart;
};

/* C's block at hand, at most two squares wide. Row r begins from start + r * start_row; NULL is zeros. */
struct target {
    float *c;
    const float *start;
    size_t c_row, start_row, rows, columns;
};

/* Parts of a number, by how many products of parts make one. */
INLINE int parts_of(const int products)
{
    return products == 1 ? 1 : products == 6 ? 3 : 2;
}

/* Floats of a step of a strip. */
INLINE size_t step_size(const int products)
{
    return (size_t)parts_of(products) * 2 * SQUARE;
}

INLINE size_t steps_of(size_t k)
{
    return (k + STEP - 1) / STEP;
}

/* `columns` of a row of C, at most a strip's. */
INLINE void row_copy(float *to, const float *from, size_t columns)
{
    for (V_EACH(i, columns, m))
        v_store_first(to + i, v_load_first(from + i, m), m);
}

/* c = start + A B for one block: strips of A one after another (`a_strip` floats apart), one strip of B, `steps` of them. */
INLINE void strips(const int products, const struct target *target, const float *a, size_t a_strip, const float *b, size_t steps);

/* Around a product. */
INLINE void product_begin(void);
INLINE void product_end(void);

/* ---- packing ------------------------------------------------------------------------------------------------------------- */

/* Words from two vectors of numbers, first's in the low halves, for each part. A NaN stays one. */
INLINE void words(const int products, vf first, vf second, vf word[])
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                           23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);

    for (int i = 0; i < parts_of(products); i++) {
        word[i] = (vf)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
        first -= (vf)((vu)word[i] << 16);
        second -= (vf)((vu)word[i] & 0xffff0000);
    }
}

/* One square of each part: rows are lines for A, words for B. Numbers i and i + 16 of a STEP make word i, whichever way they lie. */
INLINE void pack_square(const int products, const bool is_b, const bool across, float *to, const float *from, size_t apart,
                        size_t lines, size_t left)
{
    vf square[3][LINES];

#pragma GCC unroll 16
    for (size_t i = 0; i < LINES; i++) {
        vf first = v_set(0.0f), second = v_set(0.0f), word[3];

        if (across) {
            if (i < left)
                first = v_get(from + i * apart, lines);
            if (i + V < left)
                second = v_get(from + (i + V) * apart, lines);
        } else if (i < lines) {
            first = v_get(from + i * apart, left < V ? left : V);
            if (left > V)
                second = v_get(from + i * apart + V, left < 2 * V ? left - V : V);
        }
        words(products, first, second, word);
        for (int n = 0; n < parts_of(products); n++)
            square[n][i] = word[n];
    }
    for (int n = 0; n < parts_of(products); n++) {
        if (is_b != across)
            v_transpose(square[n]);
#pragma GCC unroll 16
        for (size_t i = 0; i < LINES; i++)
            v_store(to + n * SQUARE + i * V, square[n][i]);
    }
}

/* Lines [line, line + STRIP) of `lines`, places [p, p + depth) along k. */
INLINE void pack_strip(const int products, const bool is_b, const bool across, float *to, const struct operand *from, size_t line,
                       size_t lines, size_t p, size_t depth)
{
    size_t next = step_size(products) / 2, place = across ? from->apart : 1, apart = across ? 1 : from->apart;

    lines = lines - line < STRIP ? lines - line : STRIP;
    for (size_t k = 0; k < depth; k += STEP)
        for (size_t l = 0; l < STRIP; l += LINES, to += next) {
            const float *at = from->from + (line + l) * apart + (p + k) * place;
            size_t here = lines > l ? lines - l : 0, left = depth - k < STEP ? depth - k : STEP;

            if (here >= LINES && left == STEP)
                pack_square(products, is_b, across, to, at, from->apart, LINES, STEP);
            else
                pack_square(products, is_b, across, to, at, from->apart, here < LINES ? here : LINES, left);
        }
}

static size_t packed_size(const int products, size_t lines, size_t k)
{
    return (lines + STRIP - 1) / STRIP * steps_of(k) * step_size(products);
}

/* ---- the product --------------------------------------------------------------------------------------------------------- */

/* C[m,n], rows n apart: where it is and where its rows begin from. ready_a, ready_b: the operand packed in advance, all of k, or NULL. */
struct product_of {
    float *c;
    const float *start;
    size_t start_row;            /* 0: all rows begin alike */
    struct operand a, b;
    const float *ready_a, *ready_b;
    size_t m, n, k;
};

/* Places along k at once, in even parts: few enough that BROAD rows of A, or all there are, stay in the second cache. Then B, which often comes from
 * memory, goes by once. */
INLINE size_t depth_of(const int products, size_t m, size_t k)
{
    size_t strips = ((m < BROAD ? m : BROAD) + STRIP - 1) / STRIP, most, parts;

    if (m == 0 || k == 0)
        return DEEP;
    most = PACKED / (strips * step_size(products));
    most = most < DEEP / STEP ? most : DEEP / STEP;
    parts = (steps_of(k) + most - 1) / most;
    return (steps_of(k) + parts - 1) / parts * STEP;
}

INLINE void product_packed(const int products, const bool a_across, const bool b_across, const struct product_of *t)
{
    float *packed_a = ft_packed_a(), *packed_b = ft_packed_b();
    size_t deep = depth_of(products, t->m, t->k);

    for (size_t p = 0; p < t->k; p += deep) {
        size_t depth = t->k - p < deep ? t->k - p : deep, steps = steps_of(depth), strip = steps * step_size(products);
        size_t tall = PACKED / strip * STRIP, ready = steps_of(t->k) * step_size(products), done = p / STEP * step_size(products);

        for (size_t first = 0; first < t->m; first += tall) {
            size_t rows = t->m - first < tall ? t->m - first : tall;
            const float *a = t->ready_a ? t->ready_a + first / STRIP * ready + done : packed_a;

            for (size_t r = 0; !t->ready_a && r < rows; r += STRIP)
                pack_strip(products, false, a_across, packed_a + r / STRIP * strip, &t->a, first + r, t->m, p, depth);
            for (size_t j = 0; j < t->n; j += STRIP) {
                const float *b = t->ready_b ? t->ready_b + j / STRIP * ready + done : packed_b;
                struct target target = {t->c + first * t->n + j, NULL, t->n, t->start_row, rows, t->n - j < STRIP ? t->n - j : STRIP};

                if (!t->ready_b)
                    pack_strip(products, true, b_across, packed_b, &t->b, j, t->n, p, depth);
                target.start = t->start ? t->start + first * t->start_row + j : NULL;
                if (p)
                    target.start = target.c, target.start_row = t->n;
                strips(products, &target, a, t->ready_a ? ready : strip, b, steps);
            }
        }
    }
}

/* ---- the table's functions ----------------------------------------------------------------------------------------------- */

/* put_SUFFIX puts them in; FORWARD, BACKWARD and GRADIENT say of how many products of parts a product is made in each. */
#define FT_PACKED(suffix, FORWARD, BACKWARD, GRADIENT)                                                                                                \
    static size_t linear_packed_##suffix(size_t I, size_t O, bool transposed)                                                                         \
    {                                                                                                                                                 \
        return transposed ? packed_size(BACKWARD, I, O) : packed_size(FORWARD, O, I);                                                                 \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void linear_pack_##suffix(float *to, const float *w, size_t I, size_t O, bool transposed)                                                  \
    {                                                                                                                                                 \
        const struct operand from = {w, I};                                                                                                           \
                                                                                                                                                      \
        if (transposed)                                                                                                                               \
            for (size_t i = 0; i < I; i += STRIP, to += packed_size(BACKWARD, STRIP, O))                                                              \
                pack_strip(BACKWARD, true, true, to, &from, i, I, 0, O);                                                                              \
        else                                                                                                                                          \
            for (size_t o = 0; o < O; o += STRIP, to += packed_size(FORWARD, STRIP, I))                                                               \
                pack_strip(FORWARD, true, false, to, &from, o, O, 0, I);                                                                              \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void linear_forward_##suffix(float *y, const float *x, const float *w, const float *packed, const float *b, size_t R, size_t I, size_t O)  \
    {                                                                                                                                                 \
        const struct product_of t = {y, b, 0, {x, I}, {w, I}, NULL, packed, R, O, I};                                                                 \
                                                                                                                                                      \
        product_begin();                                                                                                                              \
        product_packed(FORWARD, false, false, &t);                                                                                                    \
        product_end();                                                                                                                                \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void linear_backward_##suffix(float *dx, const float *dy, const float *w, const float *packed, size_t R, size_t I, size_t O)               \
    {                                                                                                                                                 \
        const struct product_of t = {dx, NULL, 0, {dy, O}, {w, I}, NULL, packed, R, I, O};                                                            \
                                                                                                                                                      \
        product_begin();                                                                                                                              \
        product_packed(BACKWARD, false, true, &t);                                                                                                    \
        product_end();                                                                                                                                \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static size_t gradient_packed_##suffix(size_t R, size_t W)                                                                                        \
    {                                                                                                                                                 \
        return packed_size(GRADIENT, W, R);                                                                                                           \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void gradient_pack_##suffix(float *to, const float *x, size_t R, size_t W, size_t from, size_t until, bool of_output)                      \
    {                                                                                                                                                 \
        const struct operand operand = {x, W};                                                                                                        \
        size_t strip = packed_size(GRADIENT, STRIP, R);                                                                                               \
                                                                                                                                                      \
        for (size_t w = from; w < until; w += STRIP)                                                                                                  \
            if (of_output)                                                                                                                            \
                pack_strip(GRADIENT, false, true, to + w / STRIP * strip, &operand, w, W, 0, R);                                                      \
            else                                                                                                                                      \
                pack_strip(GRADIENT, true, true, to + w / STRIP * strip, &operand, w, W, 0, R);                                                       \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void linear_gradient_##suffix(float *dw, float *db, const float *dy, const float *x, const float *dy_packed, const float *x_packed,        \
                                         size_t R, size_t I, size_t O, size_t from, size_t to)                                                        \
    {                                                                                                                                                 \
        float *c = dw + from * I;                                                                                                                     \
        const float *a = dy_packed ? dy_packed + packed_size(GRADIENT, from, R) : NULL;                                                               \
        const struct product_of t = {c, c, I, {dy + from, O}, {x, I}, a, x_packed, to - from, I, R};                                                  \
                                                                                                                                                      \
        product_begin();                                                                                                                              \
        product_packed(GRADIENT, true, true, &t);                                                                                                     \
        product_end();                                                                                                                                \
        if (db != NULL)                                                                                                                               \
            column_sums(db, NULL, dy, NULL, NULL, R, O, from, to);                                                                                    \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void put_##suffix(struct ft_kernels *kernels)                                                                                              \
    {                                                                                                                                                 \
        kernels->linear_packed = linear_packed_##suffix;                                                                                              \
        kernels->linear_pack = linear_pack_##suffix;                                                                                                  \
        kernels->linear_forward = linear_forward_##suffix;                                                                                            \
        kernels->linear_backward = linear_backward_##suffix;                                                                                          \
        kernels->gradient_packed = gradient_packed_##suffix;                                                                                          \
        kernels->gradient_pack = gradient_pack_##suffix;                                                                                              \
        kernels->linear_gradient = linear_gradient_##suffix;                                                                                          \
    }

#endif
