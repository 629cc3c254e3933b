/* fast-depthwise.h - convolutions of each channel by itself.
 *
 * A vector is V channels of one position. Along a row of outputs, COLUMNS sums stay in registers while the kernel's rows go by, each input loaded once
 * for all the taps it is under. A sum's order is its taps' order, so its bits do not depend on what is summed beside it. A block of channels is taken
 * over some rows at once, which then come from the first cache.
 *
 * The backward is the same line over dy: a place x takes from the windows o with o stride + k = x + left, so the places of one x mod stride (a phase)
 * have the same taps, every stride-th of the kernel from the last to the first, and windows at a stride of one. */
#include "tensor/cpu/column-sums.h"
#include "tensor/kernels.h"

enum { COLUMNS = V == 16 ? 8 : 4, TAPS_MOST = 7 };

/* A row of outputs for one block of channels: y[j] = start + sum over rows and taps of w[row][t] x[row][j * stride + t - left], where that is in 0 ..
 * across - 1. Pointers are at the block's first channel; steps in floats. */
struct line {
    float *y;
    const float *x, *w, *start;                          /* of the first row; start may be NULL */
    ptrdiff_t y_step, x_row, x_step, w_row, w_step, left;
    size_t outputs, across, rows, taps, stride, m;
};

INLINE vf line_get(const float *p, const bool whole, size_t m)
{
    return whole ? v_load(p) : v_load_first(p, m);
}

INLINE vf line_start(const struct line *l, const bool whole)
{
    return l->start != NULL ? line_get(l->start, whole, l->m) : v_set(0.0f);
}

/* Outputs j .. j + columns - 1, whose taps are all on the row. */
INLINE void line_block(const struct line *l, size_t j, const size_t columns, const size_t taps, const size_t stride)
{
    const float *x = l->x + ((ptrdiff_t)(j * stride) - l->left) * l->x_step, *w = l->w;
    vf sum[COLUMNS], tap[TAPS_MOST];

#pragma GCC unroll 8
    for (size_t n = 0; n < columns; n++)
        sum[n] = line_start(l, true);
    for (size_t row = 0; row < l->rows; row++, x += l->x_row, w += l->w_row) {
#pragma GCC unroll 7
        for (size_t t = 0; t < taps; t++)
            tap[t] = v_load(w + (ptrdiff_t)t * l->w_step);
#pragma GCC unroll 24
        for (size_t q = 0; q < (columns - 1) * stride + taps; q++) {
            vf at = v_load(x + (ptrdiff_t)q * l->x_step);

#pragma GCC unroll 8
            for (size_t n = 0; n < columns; n++)
                if (q >= n * stride && q - n * stride < taps)
                    sum[n] = v_fma(tap[q - n * stride], at, sum[n]);
        }
    }
#pragma GCC unroll 8
    for (size_t n = 0; n < columns; n++)
        v_store(l->y + (ptrdiff_t)(j + n) * l->y_step, sum[n]);
}

/* The taps of output j that are on the row. */
INLINE void taps_inside(const struct line *l, size_t j, size_t *first, size_t *end)
{
    ptrdiff_t at = (ptrdiff_t)(j * l->stride) - l->left, room = (ptrdiff_t)l->across - at;

    *first = at < 0 ? (size_t)-at : 0;
    *end = room < 0 ? 0 : (size_t)room < l->taps ? (size_t)room : l->taps;
}

/* Output j, at an end of the row or of no usual kernel. */
INLINE void line_one(const struct line *l, size_t j, const bool whole)
{
    const float *x = l->x + ((ptrdiff_t)(j * l->stride) - l->left) * l->x_step, *w = l->w;
    vf sum = line_start(l, whole);
    size_t first, end;

    taps_inside(l, j, &first, &end);
    for (size_t row = 0; row < l->rows; row++, x += l->x_row, w += l->w_row)
        for (size_t t = first; t < end; t++)
            sum = v_fma(line_get(w + (ptrdiff_t)t * l->w_step, whole, l->m), line_get(x + (ptrdiff_t)t * l->x_step, whole, l->m), sum);
    v_put(l->y + (ptrdiff_t)j * l->y_step, sum, whole ? V : l->m);
}

/* Where outputs begin, and end, to have all taps on the row. */
INLINE void line_inside(const struct line *l, size_t *first, size_t *end)
{
    ptrdiff_t stride = (ptrdiff_t)l->stride, room = (ptrdiff_t)l->across + l->left - (ptrdiff_t)l->taps;
    size_t fit = room < 0 ? 0 : (size_t)(room / stride) + 1;

    *first = l->left > 0 ? (size_t)((l->left + stride - 1) / stride) : 0;
    if (*first > l->outputs)
        *first = l->outputs;
    *end = fit < *first ? *first : fit < l->outputs ? fit : l->outputs;
}

INLINE void line_known(const struct line *l, const size_t taps, const size_t stride)
{
    size_t j = 0, first, end;

    line_inside(l, &first, &end);
    for (; j < first; j++)
        line_one(l, j, true);
    for (; j + COLUMNS <= end; j += COLUMNS)
        line_block(l, j, COLUMNS, taps, stride);
    if (j + COLUMNS / 2 <= end) {
        line_block(l, j, COLUMNS / 2, taps, stride);
        j += COLUMNS / 2;
    }
    for (; j < end; j++)
        line_block(l, j, 1, taps, stride);
    for (; j < l->outputs; j++)
        line_one(l, j, true);
}

static void line_1(const struct line *l) { line_known(l, 1, 1); }
static void line_2(const struct line *l) { line_known(l, 2, 1); }
static void line_3(const struct line *l) { line_known(l, 3, 1); }
static void line_5(const struct line *l) { line_known(l, 5, 1); }
static void line_7(const struct line *l) { line_known(l, 7, 1); }
static void line_3_2(const struct line *l) { line_known(l, 3, 2); }
static void line_5_2(const struct line *l) { line_known(l, 5, 2); }

static void line_any(const struct line *l)
{
    for (size_t j = 0; j < l->outputs; j++)
        if (l->m == V)
            line_one(l, j, true);
        else
            line_one(l, j, false);
}

static void (*line_function(size_t taps, size_t stride, size_t C))(const struct line *l)
{
    static void (*const one[TAPS_MOST + 1])(const struct line *l) = {NULL, line_1, line_2, line_3, NULL, line_5, NULL, line_7};
    static void (*const two[TAPS_MOST + 1])(const struct line *l) = {[3] = line_3_2, [5] = line_5_2};
    void (*known)(const struct line *l) = C < V || taps > TAPS_MOST ? NULL : stride == 1 ? one[taps] : stride == 2 ? two[taps] : NULL;

    return known != NULL ? known : line_any;
}

/* Rows that a block of channels is taken over at once. */
INLINE size_t rows_near(size_t across)
{
    return across < 192 ? 192 / across : 1;
}

/* for (EACH_BLOCK(i, at, C)): blocks of channels. The last begins early enough to be whole, and gives some channels the same result again. */
#define EACH_BLOCK(i, at, C) size_t i = 0, at = 0; i < (C); i += V, at = (C) >= V && (C) - i < V ? (C) - V : i

static void depthwise_forward(enum ft_activation f, float *y, const float *x, const float *w, const float *b, const struct ft_windows *g, size_t S)
{
    size_t C = g->channels, near = rows_near(g->across), row = g->out_across * C;
    void (*run)(const struct line *l) = line_function(g->kernel, g->stride, C);
    struct line l = {.y_step = (ptrdiff_t)C, .x_row = (ptrdiff_t)(g->across * C), .x_step = (ptrdiff_t)C, .w_row = (ptrdiff_t)(g->kernel * C),
                     .w_step = (ptrdiff_t)C, .left = (ptrdiff_t)g->left, .outputs = g->out_across, .across = g->across, .taps = g->kernel,
                     .stride = g->stride, .m = C < V ? C : V};

    for (size_t s = 0; s < S; s++, x += g->height * g->across * C, y += g->out_height * row)
        for (size_t first = 0; first < g->out_height; first += near) {
            size_t end = first + near < g->out_height ? first + near : g->out_height;

            for (EACH_BLOCK(i, at, C))
                for (size_t oy = first; oy < end; oy++) {
                    size_t top = oy * g->stride, skip = top < g->above ? g->above - top : 0, left = g->height + g->above;

                    skip = skip < g->kernel ? skip : g->kernel;
                    left = left > top ? left - top : 0;
                    l.rows = (left < g->kernel ? left : g->kernel);
                    l.rows = l.rows > skip ? l.rows - skip : 0;
                    l.x = l.rows > 0 ? x + (top + skip - g->above) * g->across * C + at : x;
                    l.w = w + skip * g->kernel * C + at;
                    l.start = b != NULL ? b + at : NULL;
                    l.y = y + oy * row + at;
                    run(&l);
                }
            if (f != FT_IDENTITY)
                activation_forward(f, y + first * row, y + first * row, (end - first) * row);
        }
}

/* A phase of the backward along one side of the map: place o stride + phase. Of the kernel, `taps` taps from `last` down by the stride. */
struct phase {
    size_t taps, last;
    ptrdiff_t left;
};

INLINE struct phase phase_of(const struct ft_windows *g, size_t place, size_t before)
{
    size_t at = place + before, least = at % g->stride, taps = least < g->kernel ? (g->kernel - least - 1) / g->stride + 1 : 0;

    return (struct phase){taps, taps > 0 ? least + (taps - 1) * g->stride : 0, (ptrdiff_t)taps - 1 - (ptrdiff_t)(at / g->stride)};
}

/* Row y of dx, of a block of channels. */
INLINE void backward_row(float *dx, const float *dy, const float *w, const struct ft_windows *g, size_t y)
{
    size_t C = g->channels, stride = g->stride;
    struct phase down = phase_of(g, y, g->above);
    ptrdiff_t first = -down.left, skip = first < 0 ? -first : 0, rows = (ptrdiff_t)g->out_height - first;
    struct line l = {.y_step = (ptrdiff_t)(stride * C), .x_row = (ptrdiff_t)(g->out_across * C), .x_step = (ptrdiff_t)C,
                     .w_row = -(ptrdiff_t)(stride * g->kernel * C), .w_step = -(ptrdiff_t)(stride * C), .across = g->out_across, .stride = 1,
                     .m = C < V ? C : V};

    if (rows > (ptrdiff_t)down.taps)
        rows = (ptrdiff_t)down.taps;
    l.rows = rows > skip ? (size_t)(rows - skip) : 0;
    for (size_t phase = 0; phase < stride && phase < g->across; phase++) {
        struct phase side = phase_of(g, phase, g->left);

        l.taps = side.taps;
        l.left = side.left;
        l.outputs = (g->across - phase - 1) / stride + 1;
        l.y = dx + phase * C;
        l.x = l.rows > 0 ? dy + (size_t)(first + skip) * g->out_across * C : dy;
        l.w = w + (l.rows > 0 ? (down.last - (size_t)skip * stride) * g->kernel + side.last : 0) * C;
        line_function(side.taps, 1, C)(&l);
    }
}

static void depthwise_backward(float *dx, const float *dy, const float *w, const struct ft_windows *g, size_t S)
{
    size_t C = g->channels, near = rows_near(g->across), row = g->across * C;

    for (size_t s = 0; s < S; s++, dx += g->height * row, dy += g->out_height * g->out_across * C)
        for (size_t first = 0; first < g->height; first += near)
            for (EACH_BLOCK(i, at, C))
                for (size_t y = first; y < first + near && y < g->height; y++)
                    backward_row(dx + y * row + at, dy + at, w + at, g, y);
}
