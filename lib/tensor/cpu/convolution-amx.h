/* convolution-amx.h - convolutions at a stride of one straight from the map, for products-amx.c: nothing is gathered.
 *
 * Some rows of a map are packed once, with the zeros around them: a position is its channels' words, part by part. Positions are counted on through the
 * rows' padding, so what tap (ky, kx) of window q covers is position q + ky * PW + kx, PW the padded width, and sixteen windows' numbers are a tile whose rows
 * are a position apart. Windows that begin in the padding are computed and thrown away. Sums are in linear_forward's order, so the bits are those of
 * windows_gather and linear_forward. */
#ifndef FT_TENSOR_CPU_CONVOLUTION_AMX_H
#define FT_TENSOR_CPU_CONVOLUTION_AMX_H

#include "tensor/cpu/packed-linear.h"

/* Positions that are read past the end, by windows that are thrown away. */
enum { BEYOND = STRIP + 16, WINDOWS_MOST = STRIP * DEEP * 3 / 2 / STRIP - STRIP };

/* Words of a position, and rows of outputs at once: the map's rows in packed_a, a strip of sums in packed_b. */
INLINE size_t position_size(const int products, size_t C)
{
    return (size_t)parts_of(products) * C / 2;
}

INLINE size_t padded_across(const struct ft_windows *g)
{
    return g->out_across + g->kernel - 1;
}

INLINE size_t rows_at_once(const int products, const struct ft_windows *g)
{
    size_t across = padded_across(g), room = PACKED / position_size(products, g->channels), rows, most = WINDOWS_MOST / across;

    if (room < BEYOND + g->kernel * across)
        return 0;
    rows = (room - BEYOND) / across - g->kernel + 1;
    rows = rows < most ? rows : most;
    return rows < g->out_height ? rows : g->out_height;
}

/* More than half of what is packed must be new. */
INLINE bool convolution_fits(const int products, const struct ft_windows *g)
{
    bool shaped = g->stride == 1 && g->kernel > 1 && g->kernel <= 16 && g->channels > 0 && g->channels % STEP == 0;
    size_t rows = shaped ? rows_at_once(products, g) : 0;

    return rows > 0 && (rows == g->out_height || rows >= g->kernel);
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
INLINE void pack_map(const int products, float *to, const float *x, const struct ft_windows *g, size_t first, size_t rows)
{
    size_t C = g->channels, across = padded_across(g), size = position_size(products, C);

    for (size_t y = first; y < first + rows + g->kernel - 1; y++)
        for (size_t i = 0; i < across; i++, to += size) {
            bool inside = y >= g->above && y - g->above < g->height && i >= g->left && i - g->left < g->across;

            if (inside)
                pack_position(products, to, x + ((y - g->above) * g->across + i - g->left) * C, C);
            else
                memset(to, 0, size * sizeof *to);
        }
}

/* 32 windows' sums of 32 outputs, or 16, over steps from .. until - 1. */
INLINE void window_block(const int products, const bool half, float *sum, const float *start, size_t start_row, const float *map, const float *b,
                         const struct ft_windows *g, size_t from, size_t until)
{
    const struct extent e = {true, half};
    size_t C = g->channels, size = position_size(products, C), steps = C / STEP, s = from % steps, kx = from / steps % g->kernel;
    const float *row = map + from / steps / g->kernel * padded_across(g) * size;

    MEMORY();
    load_c(e, start, start_row);
    for (size_t i = from; i < until; i++, b += step_size(products)) {
        const struct squares a = {row + kx * size + s * V, C / 2, LINES * size, size * sizeof *map};

        step(products, e, &a, b);
        if (++s < steps)
            continue;
        s = 0;
        if (++kx == g->kernel) {
            kx = 0;
            row += padded_across(g) * size;
        }
    }
    store_c(e, sum, STRIP);
    MEMORY();
}

/* Outputs j .. j + 31 of `windows` windows, one after another in the padded rows. */
INLINE void window_strip(const int products, float *sum, const float *map, const float *b, const float *start, const struct ft_windows *g, size_t windows,
                         const bool half)
{
    size_t steps = g->kernel * g->kernel * g->channels / STEP, near = near_steps(products), size = position_size(products, g->channels);

    for (size_t s = 0; s < steps; s += near, b += near * step_size(products))
        for (size_t r = 0; r < windows; r += STRIP) {
            float *at = sum + r * STRIP;

            window_block(products, half, at, s ? at : start, s ? STRIP : 0, map + r * size, b, g, s, s + near < steps ? s + near : steps);
        }
}

INLINE void convolve(const int products, float *y, const float *x, const float *packed, const float *b, const struct ft_windows *g, size_t S, size_t O)
{
    float *map = ft_packed_a(), *sum = ft_packed_b(), start[STRIP] = {0};
    size_t most = rows_at_once(products, g), across = padded_across(g), strip = g->kernel * g->kernel * g->channels / STEP * step_size(products);

    product_begin();
    for (size_t s = 0; s < S; s++, x += g->height * g->across * g->channels)
        for (size_t first = 0, rows; first < g->out_height; first += rows) {
            rows = g->out_height - first < most ? g->out_height - first : most;
            pack_map(products, map, x, g, first, rows);
            for (size_t j = 0; j < O; j += STRIP) {
                size_t columns = O - j < STRIP ? O - j : STRIP;

                if (b != NULL)
                    row_copy(start, b + j, columns);
                if (columns > LINES)
                    window_strip(products, sum, map, packed + j / STRIP * strip, start, g, rows * across, false);
                else
                    window_strip(products, sum, map, packed + j / STRIP * strip, start, g, rows * across, true);
                for (size_t r = 0; r < rows; r++)
                    for (size_t i = 0; i < g->out_across; i++)
                        row_copy(y + (((s * g->out_height) + first + r) * g->out_across + i) * O + j, sum + (r * across + i) * STRIP, columns);
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
        struct ft_windows over = *g;                                                                                                                  \
                                                                                                                                                      \
        if (!backward)                                                                                                                                \
            return convolution_fits(FORWARD, g);                                                                                                      \
        if (g->above >= g->kernel || g->left >= g->kernel)                                                                                            \
            return false;                                                                                                                             \
        over = turned(g, O);                                                                                                                          \
        return convolution_fits(BACKWARD, &over);                                                                                                     \
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
