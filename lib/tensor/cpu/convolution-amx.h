/* convolution-amx.h - convolutions straight from the map, for products-amx.c: nothing is gathered.
 *
 * Some rows of a map are packed once, with the zeros around them: a position is its channels' words, part by part. Positions whose row and column leave
 * the same remainders by the stride make a phase, a map of its own, in which the next window is the next position; a tap lies in one phase, so many
 * positions on. Windows are counted on through the rows' padding, so sixteen windows' numbers under a tap are a tile whose rows are a position apart.
 * Windows that begin in the padding are computed and thrown away. Sums are in linear_forward's order, so the bits are those of windows_gather and
 * linear_forward. */
#ifndef FT_TENSOR_CPU_CONVOLUTION_AMX_H
#define FT_TENSOR_CPU_CONVOLUTION_AMX_H

#include "tensor/cpu/packed-linear.h"

/* Positions that are read past the end, by windows that are thrown away; windows of which a strip of sums is in packed_b. */
enum { KERNEL_MOST = 8, BEYOND = STRIP + KERNEL_MOST, WINDOWS_MOST = DEEP * 3 / 2 - STRIP };

/* How maps lie in packed_a: floats of a position, phases along a side, positions across and down a phase, rows of outputs at once; where all of them are,
 * items at once, so that a strip of B is read for more than one; floats of an item's map, and of its sums. */
struct phases {
    size_t size, along, across, down, rows, items, map, sums;
    size_t tap[KERNEL_MOST * KERNEL_MOST];       /* floats from a window's first position to that under the tap */
};

/* False where it does not fit, or more is packed for a second time than for the first. */
INLINE bool phases_of(const int products, const struct ft_windows *g, struct phases *p)
{
    size_t k = g->kernel, stride = g->stride, over, room, most;

    if ((k == 1 && stride == 1) || k > KERNEL_MOST || g->channels == 0 || g->channels % STEP != 0)
        return false;
    over = (k - 1) / stride;
    p->size = (size_t)parts_of(products) * g->channels / 2;
    p->along = k < stride ? k : stride;
    p->across = g->out_across + over;
    most = WINDOWS_MOST / p->across;
    room = (PACKED / p->size - BEYOND) / (p->along * p->along * p->across);
    if (PACKED / p->size < BEYOND || room <= over || most == 0)
        return false;
    p->rows = room - over < most ? room - over : most;
    if (p->rows > g->out_height)
        p->rows = g->out_height;
    p->down = p->rows + over;
    p->map = p->along * p->along * p->down * p->across * p->size;
    p->sums = (p->rows * p->across + STRIP - 1) / STRIP * STRIP * STRIP;
    p->items = (PACKED - BEYOND * p->size) / p->map;
    if (p->items > STRIP * DEEP * 3 / 2 / p->sums)
        p->items = STRIP * DEEP * 3 / 2 / p->sums;
    if (p->rows < g->out_height)
        p->items = 1;
    return p->rows == g->out_height || p->rows > over;
}

INLINE void find_taps(const struct ft_windows *g, struct phases *p)
{
    for (size_t t = 0; t < g->kernel * g->kernel; t++) {
        size_t y = t / g->kernel, x = t % g->kernel, phase = y % g->stride * p->along + x % g->stride;

        p->tap[t] = ((phase * p->down + y / g->stride) * p->across + x / g->stride) * p->size;
    }
}

INLINE void pack_position(const int products, float *to, const float *from, size_t C)
{
    for (size_t c = 0; c < C; c += STEP, to += V) {
        vf word[3];

        words(products, from ? v_load(from + c) : v_set(0.0f), from ? v_load(from + c + V) : v_set(0.0f), word);
        for (int n = 0; n < parts_of(products); n++)
            v_store(to + (size_t)n * C / 2, word[n]);
    }
}

/* The map's rows under windows' rows from `first` on. */
INLINE void pack_map(const int products, float *to, const float *x, const struct ft_windows *g, const struct phases *p, size_t first)
{
    size_t C = g->channels, stride = g->stride;

    for (size_t phase = 0; phase < p->along * p->along; phase++)
        for (size_t row = 0; row < p->down; row++)
            for (size_t i = 0; i < p->across; i++, to += p->size) {
                size_t y = (first + row) * stride + phase / p->along, at = i * stride + phase % p->along;
                bool inside = y >= g->above && y - g->above < g->height && at >= g->left && at - g->left < g->across;

                if (inside)
                    pack_position(products, to, x + ((y - g->above) * g->across + at - g->left) * C, C);
                else
                    memset(to, 0, p->size * sizeof *to);
            }
}

/* 32 windows' sums of 32 outputs, or 16, over steps from .. until - 1. */
INLINE void window_block(const int products, const bool half, float *sum, const float *start, size_t start_row, const float *map, const float *b,
                         const struct phases *p, size_t C, size_t from, size_t until)
{
    const struct extent e = {true, half};
    size_t steps = C / STEP, s = from % steps;
    const size_t *tap = p->tap + from / steps;

    MEMORY();
    load_c(e, start, start_row);
    for (size_t i = from; i < until; i++, b += step_size(products)) {
        const struct squares a = {map + *tap + s * V, C / 2, LINES * p->size, p->size * sizeof *map}, other = squares_at(products, b);

        step(products, e, &a, &other);
        if (++s == steps) {
            s = 0;
            tap++;
        }
    }
    store_c(e, sum, STRIP);
    MEMORY();
}

/* Outputs of a strip, of `items` maps' `windows` windows each, one after another in the padded rows. */
INLINE void window_strip(const int products, float *sum, const float *map, const float *b, const float *start, const struct ft_windows *g,
                         const struct phases *p, size_t items, size_t windows, const bool half)
{
    size_t steps = g->kernel * g->kernel * g->channels / STEP, near = near_steps(products, steps);

    for (size_t s = 0; s < steps; s += near, b += near * step_size(products))
        for (size_t i = 0; i < items; i++)
            for (size_t r = 0; r < windows; r += STRIP) {
                float *at = sum + i * p->sums + r * STRIP;

                window_block(products, half, at, s ? at : start, s ? STRIP : 0, map + i * p->map + r * p->size, b, p, g->channels, s,
                             s + near < steps ? s + near : steps);
            }
}

/* Rows first .. first + rows - 1 of outputs, of `items` maps that are packed. */
INLINE void convolve_rows(const int products, float *y, const float *packed, const float *b, const struct ft_windows *g, const struct phases *p,
                          size_t items, size_t first, size_t rows, size_t O)
{
    const float *map = ft_packed_a();
    float *sum = ft_packed_b(), start[STRIP] = {0};
    size_t strip = g->kernel * g->kernel * g->channels / STEP * step_size(products);

    for (size_t j = 0; j < O; j += STRIP, packed += strip) {
        size_t columns = O - j < STRIP ? O - j : STRIP;

        if (b != NULL)
            row_copy(start, b + j, columns);
        if (columns > LINES)
            window_strip(products, sum, map, packed, start, g, p, items, rows * p->across, false);
        else
            window_strip(products, sum, map, packed, start, g, p, items, rows * p->across, true);
        for (size_t r = 0; r < items * rows; r++)
            for (size_t i = 0; i < g->out_across; i++)
                row_copy(y + ((r / rows * g->out_height + first + r % rows) * g->out_across + i) * O + j,
                         sum + r / rows * p->sums + (r % rows * p->across + i) * STRIP, columns);
    }
}

INLINE void convolve(const int products, float *y, const float *x, const float *packed, const float *b, const struct ft_windows *g, size_t S, size_t O)
{
    size_t map = g->height * g->across * g->channels, out = g->out_height * g->out_across * O;
    struct phases p;

    phases_of(products, g, &p);
    find_taps(g, &p);
    product_begin();
    for (size_t s = 0, items; s < S; s += items) {
        items = S - s < p.items ? S - s : p.items;
        for (size_t first = 0, rows; first < g->out_height; first += rows) {
            rows = g->out_height - first < p.rows ? g->out_height - first : p.rows;
            for (size_t i = 0; i < items; i++)
                pack_map(products, ft_packed_a() + i * p.map, x + (s + i) * map, g, &p, first);
            convolve_rows(products, y + s * out, packed, b, g, &p, items, first, rows, O);
        }
    }
    product_end();
}

/* The windows over dy that the backward of these is: the kernel turned by half a circle, and as much around dy as windows hang over x. */
INLINE struct ft_windows turned(const struct ft_windows *g, size_t O)
{
    return (struct ft_windows){g->out_height, g->out_across, O, g->height, g->across, g->kernel, g->stride, g->kernel - 1 - g->above,
                               g->kernel - 1 - g->left};
}

/* The functions of the table, by how many products of parts a product is made of in each. */
#define FT_CONVOLUTION(suffix, FORWARD, BACKWARD)                                                                                                     \
    static bool convolution_fits_##suffix(const struct ft_windows *g, size_t O, bool backward)                                                        \
    {                                                                                                                                                 \
        struct ft_windows over;                                                                                                                       \
        struct phases phases;                                                                                                                         \
                                                                                                                                                      \
        if (!backward)                                                                                                                                \
            return phases_of(FORWARD, g, &phases);                                                                                                    \
        if (g->stride != 1 || g->above >= g->kernel || g->left >= g->kernel)                                                                          \
            return false;                                                                                                                             \
        over = turned(g, O);                                                                                                                          \
        return phases_of(BACKWARD, &over, &phases);                                                                                                   \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void convolution_forward_##suffix(float *y, const float *x, const float *packed, const float *b, const struct ft_windows *g, size_t S,     \
                                             size_t O)                                                                                                \
    {                                                                                                                                                 \
        convolve(FORWARD, y, x, packed, b, g, S, O);                                                                                                  \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void convolution_backward_##suffix(float *dx, const float *dy, const float *packed, const struct ft_windows *g, size_t S, size_t O)        \
    {                                                                                                                                                 \
        const struct ft_windows over = turned(g, O);                                                                                                  \
                                                                                                                                                      \
        convolve(BACKWARD, dx, dy, packed, NULL, &over, S, g->channels);                                                                              \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void put_convolution_##suffix(struct ft_kernels *kernels)                                                                                  \
    {                                                                                                                                                 \
        kernels->convolution_fits = convolution_fits_##suffix;                                                                                        \
        kernels->convolution_forward = convolution_forward_##suffix;                                                                                  \
        kernels->convolution_backward = convolution_backward_##suffix;                                                                                \
    }

#endif
