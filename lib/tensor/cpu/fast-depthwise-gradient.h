/* fast-depthwise-gradient.h - the gradient of a depthwise convolution's weights: dw[k] += sum over outputs of dy x, each channel by itself.
 *
 * A kernel's row is taken at a time, for a block of channels and some rows of outputs: a sum for each tap, PHASES of them side by side for outputs that
 * follow each other, all in registers; outputs at the ends of rows have sums of their own. */
#include "tensor/cpu/fast-depthwise.h"

/* Sums side by side, as many as registers hold. */
#define PHASES(taps) (V == 16 ? ((taps) <= 5 ? 4 : 2) : (taps) <= 5 ? 2 : 1)
enum { PHASES_MOST = 4 };

/* Rows of outputs against the rows of the map that lie under one row of the kernel; `line` says how they lie, l.rows of them. */
struct gradient {
    struct line l;
    const float *dy;
    size_t dy_row;
};

/* sum[phase][tap] += dy x for outputs all of whose taps are on the row. */
INLINE void gradient_block(vf sum[][TAPS_MOST], const float *dy, const float *x, size_t C, const size_t phases, const size_t taps, const size_t stride)
{
    vf d[PHASES_MOST];

#pragma GCC unroll 4
    for (size_t n = 0; n < phases; n++)
        d[n] = v_load(dy + n * C);
#pragma GCC unroll 16
    for (size_t q = 0; q < (phases - 1) * stride + taps; q++) {
        vf at = v_load(x + q * C);

#pragma GCC unroll 4
        for (size_t n = 0; n < phases; n++)
            if (q >= n * stride && q - n * stride < taps)
                sum[n][q - n * stride] = v_fma(d[n], at, sum[n][q - n * stride]);
    }
}

/* One output, any of its taps. */
INLINE void gradient_one(vf *sum, const struct line *l, const float *dy, const float *x, size_t j, const bool whole)
{
    size_t C = (size_t)l->x_step, first, end;
    vf d = line_get(dy + j * C, whole, l->m);

    taps_inside(l, j, &first, &end);
    for (size_t t = first; t < end; t++)
        sum[t] = v_fma(d, line_get(x + ((ptrdiff_t)(j * l->stride + t) - l->left) * l->x_step, whole, l->m), sum[t]);
}

INLINE void gradient_known(vf *total, const struct gradient *g, const size_t taps, const size_t stride)
{
    const struct line *l = &g->l;
    const size_t phases = PHASES(taps);
    size_t C = (size_t)l->x_step, first, end;
    vf sum[PHASES_MOST][TAPS_MOST], ends[TAPS_MOST] = {{0}};
    const float *dy = g->dy, *x = l->x;

    line_inside(l, &first, &end);
#pragma GCC unroll 4
    for (size_t n = 0; n < phases; n++)
#pragma GCC unroll 7
        for (size_t t = 0; t < taps; t++)
            sum[n][t] = v_set(0.0f);
    for (size_t row = 0; row < l->rows; row++, dy += g->dy_row, x += l->x_row) {
        const float *inside = x + ((ptrdiff_t)(first * stride) - l->left) * l->x_step;
        size_t j = first;

        for (size_t i = 0; i < first; i++)
            gradient_one(ends, l, dy, x, i, true);
        for (; j + phases <= end; j += phases, inside += phases * stride * C)
            gradient_block(sum, dy + j * C, inside, C, phases, taps, stride);
        for (; j < end; j++, inside += stride * C)
            gradient_block(sum, dy + j * C, inside, C, 1, taps, stride);
        for (size_t i = end; i < l->outputs; i++)
            gradient_one(ends, l, dy, x, i, true);
    }
#pragma GCC unroll 7
    for (size_t t = 0; t < taps; t++) {
        total[t] = ends[t];
#pragma GCC unroll 4
        for (size_t n = 0; n < phases; n++)
            total[t] += sum[n][t];
    }
}

static void gradient_3(vf *total, const struct gradient *g) { gradient_known(total, g, 3, 1); }
static void gradient_5(vf *total, const struct gradient *g) { gradient_known(total, g, 5, 1); }
static void gradient_7(vf *total, const struct gradient *g) { gradient_known(total, g, 7, 1); }
static void gradient_3_2(vf *total, const struct gradient *g) { gradient_known(total, g, 3, 2); }
static void gradient_5_2(vf *total, const struct gradient *g) { gradient_known(total, g, 5, 2); }

/* At most TAPS_MOST taps. */
static void gradient_any(vf *total, const struct gradient *g)
{
    const float *dy = g->dy, *x = g->l.x;

    for (size_t t = 0; t < g->l.taps; t++)
        total[t] = v_set(0.0f);
    for (size_t row = 0; row < g->l.rows; row++, dy += g->dy_row, x += g->l.x_row)
        for (size_t j = 0; j < g->l.outputs; j++)
            if (g->l.m == V)
                gradient_one(total, &g->l, dy, x, j, true);
            else
                gradient_one(total, &g->l, dy, x, j, false);
}

static void (*gradient_function(size_t taps, size_t stride, size_t C))(vf *total, const struct gradient *g)
{
    if (C >= V && stride == 1 && (taps == 3 || taps == 5 || taps == 7))
        return taps == 3 ? gradient_3 : taps == 5 ? gradient_5 : gradient_7;
    if (C >= V && stride == 2 && (taps == 3 || taps == 5))
        return taps == 3 ? gradient_3_2 : gradient_5_2;
    return gradient_any;
}

/* Lanes from `skip` on of m channels. */
INLINE void lanes_add(float *to, vf a, size_t skip, size_t m)
{
    float lanes[V];

    v_store(lanes, a);
    for (size_t i = 0; i < m; i++)
        to[i] += lanes[skip + i];
}

/* Of row ky of the kernel: outputs' rows from .. until - 1 of an item, channels at .. at + V - 1, of which those from c are wanted, m of them. */
static void gradient_rows(float *dw, const float *dy, const float *x, const struct ft_windows *w, size_t ky, size_t from, size_t until, size_t at,
                          size_t c, size_t m)
{
    size_t C = w->channels, row = w->stride * w->across * C;
    void (*run)(vf *total, const struct gradient *g) = gradient_function(w->kernel, w->stride, C);
    struct gradient g = {.l = {.x_row = (ptrdiff_t)row, .x_step = (ptrdiff_t)C, .outputs = w->out_across, .across = w->across, .stride = w->stride,
                               .m = C < V ? C : V}, .dy_row = w->out_across * C};
    vf total[TAPS_MOST];

    while (from < until && from * w->stride + ky < w->above)
        from++;
    while (from < until && (until - 1) * w->stride + ky >= w->height + w->above)
        until--;
    if (from == until)
        return;
    g.l.rows = until - from;
    g.l.x = x + (from * w->stride + ky - w->above) * w->across * C + at;
    g.dy = dy + from * g.dy_row + at;
    for (size_t kx = 0; kx < w->kernel; kx += g.l.taps) {
        g.l.taps = w->kernel - kx < TAPS_MOST ? w->kernel - kx : TAPS_MOST;
        g.l.left = (ptrdiff_t)w->left - (ptrdiff_t)kx;
        run(total, &g);
        for (size_t t = 0; t < g.l.taps; t++)
            lanes_add(dw + (ky * w->kernel + kx + t) * C + c, total[t], c - at, m);
    }
}

static void depthwise_gradient(float *dw, float *db, const float *dy, const float *x, const struct ft_windows *g, size_t S, size_t from, size_t to)
{
    size_t C = g->channels, near = rows_near(g->across), map = g->height * g->across * C, outputs = g->out_height * g->out_across;

    for (size_t s = 0; s < S; s++)
        for (size_t first = 0; first < g->out_height; first += near)
            for (size_t i = from; i < to; i += V) {
                size_t at = i + V <= C ? i : C < V ? 0 : C - V, end = first + near < g->out_height ? first + near : g->out_height;

                for (size_t ky = 0; ky < g->kernel; ky++)
                    gradient_rows(dw, dy + s * outputs * C, x + s * map, g, ky, first, end, at, i, to - i < V ? to - i : V);
            }
    if (db != NULL)
        column_sums(db, NULL, dy, NULL, NULL, S * outputs, C, from, to);
}
