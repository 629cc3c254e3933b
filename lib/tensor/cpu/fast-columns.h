/* fast-columns.h - channels of maps by themselves, rows one after another: bound by memory, so each number is read once and written once. */
#include "tensor/cpu/fast-activation.h"

/* Rows that are summed in float before they are added in double. */
enum { SUM_RUN = 16 };

/* Numbers that stay in the first cache between an affine map and its activation. */
enum { NEAR = 2048 };

/* Three vectors hold V whole pixels. */
static void pixels_forward(float *y, const uint8_t *x, const float multiply[3], const float add[3], size_t R)
{
    typedef uint8_t bytes __attribute__((vector_size(V)));
    float by[3 * V], plus[3 * V], last[3 * V];
    uint8_t rest[3 * V] = {0};

    for (size_t i = 0; i < 3 * V; i++) {
        by[i] = multiply[i % 3];
        plus[i] = add[i % 3];
    }
    for (size_t i = 0; i < 3 * R; i += 3 * V) {
        bool whole = 3 * R - i >= 3 * V;
        const uint8_t *from = whole ? x + i : rest;
        float *to = whole ? y + i : last;

        if (!whole)
            memcpy(rest, x + i, 3 * R - i);
        for (size_t j = 0; j < 3 * V; j += V) {
            bytes pixels;

            memcpy(&pixels, from + j, V);
            v_store(to + j, v_fma(__builtin_convertvector(pixels, vf), v_load(by + j), v_load(plus + j)));
        }
        if (!whole)
            memcpy(y + i, last, (3 * R - i) * sizeof *y);
    }
}

/* A block of whole rows, or a piece of one: what is contiguous and at most NEAR numbers. Begin with zeros; false at the end. */
struct near_block {
    size_t row, rows, column, columns;
};

INLINE bool near_next(struct near_block *b, size_t R, size_t W)
{
    b->column += b->columns;
    if (b->column >= W || b->rows == 0) {
        b->row += b->rows;
        b->column = 0;
    }
    b->rows = W > 0 && W < NEAR ? NEAR / W : 1;
    if (b->rows > R - b->row)
        b->rows = R - b->row;
    b->columns = W - b->column < NEAR ? W - b->column : NEAR;
    return b->row < R && W > 0;
}

INLINE void affine_rows(float *z, const float *x, const float *scale, const float *shift, const struct near_block *b, size_t W)
{
    for (size_t r = 0; r < b->rows; r++, x += W, z += W)
        for (V_EACH(i, b->columns, m))
            v_put(z + i, v_fma(v_get(x + i, m), v_get(scale + b->column + i, m), v_get(shift + b->column + i, m)), m);
}

static void affine_forward(enum ft_activation f, float *y, const float *x, const float *scale, const float *shift, size_t R, size_t W)
{
    for (struct near_block b = {0}; near_next(&b, R, W);) {
        size_t at = b.row * W + b.column;

        affine_rows(y + at, x + at, scale, shift, &b, W);
        if (f != FT_IDENTITY)
            activation_forward(f, y + at, y + at, b.rows * b.columns);
    }
}

static void affine_backward(enum ft_activation f, float *dz, float *y, const float *dy, const float *x, const float *scale, const float *shift,
                            size_t R, size_t W)
{
    float z[NEAR];

    for (struct near_block b = {0}; near_next(&b, R, W);) {
        size_t at = b.row * W + b.column, count = b.rows * b.columns;

        affine_rows(z, x + at, scale, shift, &b, W);
        if (y != NULL)
            activation_again(f, y + at, dz + at, dy + at, z, count);
        else
            activation_backward(f, dz + at, dy + at, z, count);
    }
}

static void columns_mix(float *y, const float *x, const float *a, const float *z, const float *b, const float *c, size_t R, size_t W)
{
    for (size_t r = 0; r < R; r++, x += W, y += W) {
        if (z == NULL)
            for (V_EACH(i, W, m))
                v_put(y + i, v_fma(v_get(x + i, m), v_get(a + i, m), v_get(c + i, m)), m);
        else if (b == NULL)
            for (V_EACH(i, W, m))
                v_put(y + i, v_fma(v_get(x + i, m), v_get(a + i, m), v_get(z + r * W + i, m) + v_get(c + i, m)), m);
        else
            for (V_EACH(i, W, m))
                v_put(y + i, v_fma(v_get(x + i, m), v_get(a + i, m), v_fma(v_get(z + r * W + i, m), v_get(b + i, m), v_get(c + i, m))), m);
    }
}

typedef double vd __attribute__((vector_size(8 * V)));
typedef double vd_anywhere __attribute__((vector_size(8 * V), aligned(8), may_alias));

/* to[m] += a */
INLINE void add_doubles(double *to, const vf *a, size_t m)
{
    float lanes[V];

    if (m == V) {
        *(vd_anywhere *)to += __builtin_convertvector(*a, vd);
        return;
    }
    v_store(lanes, *a);
    for (size_t l = 0; l < m; l++)
        to[l] += lanes[l];
}

/* Columns i .. i + wide V - 1, the last vector of m, of `rows` rows. */
INLINE void sum_run(double *sum, double *product, const float *x, const float *z, const float *centre, size_t rows, size_t W, size_t i,
                    const size_t wide, size_t m)
{
    vf s[4], p[4];

#pragma GCC unroll 4
    for (size_t v = 0; v < wide; v++)
        s[v] = p[v] = v_set(0.0f);
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < wide; v++) {
            size_t at = i + v * V, here = v + 1 < wide ? V : m;
            vf apart = product != NULL ? v_get(z + r * W + at, here) - v_get(centre + at, here) : v_set(0.0f);
            vf a = x != NULL ? v_get(x + r * W + at, here) : apart;

            s[v] += a;
            p[v] = v_fma(a, apart, p[v]);
        }
    for (size_t v = 0; v < wide; v++) {
        size_t here = v + 1 < wide ? V : m;

        if (sum != NULL)
            add_doubles(sum + i + v * V, &s[v], here);
        if (product != NULL)
            add_doubles(product + i + v * V, &p[v], here);
    }
}

static void columns_sum(double *sum, double *product, const float *x, const float *z, const float *centre, size_t R, size_t W,
                        size_t from, size_t to)
{
    for (size_t r = 0; r < R; r += SUM_RUN) {
        size_t rows = R - r < SUM_RUN ? R - r : SUM_RUN, i = from;
        const float *other = product != NULL ? z + r * W : NULL, *one = x != NULL ? x + r * W : NULL;

        for (; i + 4 * V <= to; i += 4 * V)
            sum_run(sum, product, one, other, centre, rows, W, i, 4, V);
        for (; i < to; i += V)
            sum_run(sum, product, one, other, centre, rows, W, i, 1, to - i < V ? to - i : V);
    }
}

static void scale_forward(float *y, const float *x, const float *s, size_t S, size_t P, size_t C)
{
    for (size_t r = 0; r < S * P; r++, x += C, y += C)
        for (V_EACH(i, C, m))
            v_put(y + i, v_get(x + i, m) * v_get(s + r / P * C + i, m), m);
}

/* One pass for both: dy and x are read once. Sums over runs of rows, as columns_sum's, then over the runs. */
static void scale_backward(float *dx, float *ds, const float *dy, const float *x, const float *s, size_t S, size_t P, size_t C)
{
    for (size_t item = 0; item < S; item++, dy += P * C, x += P * C, s += C) {
        if (ds != NULL)
            memset(ds + item * C, 0, C * sizeof *ds);
        for (size_t p = 0; p < P; p += SUM_RUN)
            for (V_EACH(i, C, m)) {
                size_t end = p + SUM_RUN < P ? p + SUM_RUN : P;
                vf sum = v_set(0.0f), by = v_get(s + i, m);

                for (size_t r = p; r < end; r++) {
                    vf d = v_get(dy + r * C + i, m);

                    if (ds != NULL)
                        sum = v_fma(d, v_get(x + r * C + i, m), sum);
                    if (dx != NULL)
                        v_put(dx + (item * P + r) * C + i, d * by, m);
                }
                if (ds != NULL)
                    v_put(ds + item * C + i, v_get(ds + item * C + i, m) + sum, m);
            }
    }
}
