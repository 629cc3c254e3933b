/* convolution-gradient-amx.h - the gradient by a convolution's weight straight from the map, for products-amx.c: under all taps the same packed map.
 *
 *     dw[K,O,I] += dy[S*P,O]^T x[windows,I] under each tap
 *
 * Positions are the product's k. They are counted through the padded rows of an item's phases, as in convolution-amx.h, and dy is 0 where a window begins in
 * the padding. A word is two numbers 16 positions apart, so x is packed as one for every position, x[q] and x[q + 16]: then 16 lines from any q on are a
 * square of B, and a tap is only another q. A number is there twice, but once for all taps.
 *
 * Items follow one another, and in an item positions do: an element of dw is one chain of sums, whoever makes it. */
#ifndef FT_TENSOR_CPU_CONVOLUTION_GRADIENT_AMX_H
#define FT_TENSOR_CPU_CONVOLUTION_GRADIENT_AMX_H

#include "tensor/cpu/convolution-amx.h"

/* Words of x that stay in the second cache beside a strip of dy, in floats; so many items go by at once. */
enum { NEAR_WORDS = 196608 };

/* An item: floats of a position, positions of its phases, steps of its windows; floats of its words. */
struct raster {
    struct phases phases;
    size_t positions, steps, words;
};

INLINE struct raster raster_of(const int products, const struct ft_windows *g)
{
    struct raster r = {.phases = {.size = (size_t)parts_of(products) * g->channels}};
    struct phases *p = &r.phases;
    size_t over = (g->kernel - 1) / g->stride;

    p->along = g->kernel < g->stride ? g->kernel : g->stride;
    p->across = g->out_across + over;
    p->down = g->out_height + over;
    r.positions = p->along * p->along * p->down * p->across;
    r.steps = steps_of(g->out_height * p->across);
    r.words = r.positions * p->size;
    return r;
}

INLINE bool gradient_fits(const struct ft_windows *g, size_t O)
{
    return !(g->kernel == 1 && g->stride == 1) && g->kernel <= KERNEL_MOST && g->channels > 0 && g->channels % STRIP == 0 && O > 0 && O % STRIP == 0;
}

/* What lies at a position of the item's phases, NULL: zeros. */
INLINE const float *position_at(const struct raster *r, const struct ft_windows *g, const float *item, size_t q)
{
    const struct phases *p = &r->phases;
    size_t phase = q / (p->down * p->across), row = q / p->across % p->down, i = q % p->across;
    size_t y = row * g->stride + phase / p->along, x = i * g->stride + phase % p->along;

    if (q >= r->positions || y < g->above || y - g->above >= g->height || x < g->left || x - g->left >= g->across)
        return NULL;
    return item + ((y - g->above) * g->across + x - g->left) * g->channels;
}

INLINE const float *window_at(const struct raster *r, const struct ft_windows *g, const float *item, size_t w, size_t O)
{
    size_t row = w / r->phases.across, i = w % r->phases.across;

    return row < g->out_height && i < g->out_across ? item + (row * g->out_across + i) * O : NULL;
}

INLINE void pack_words(const int products, float *to, const float *item, const struct ft_windows *g, const struct raster *r)
{
    const float *at[LINES];

    for (size_t q = 0; q < LINES; q++)
        at[q] = position_at(r, g, item, q);
    for (size_t q = 0; q < r->positions; q++, to += r->phases.size) {
        const float *first = at[q % LINES], *second = at[q % LINES] = position_at(r, g, item, q + LINES);

        for (size_t c = 0; c < g->channels; c += V) {
            vf word[3];

            words(products, first ? v_load(first + c) : v_set(0.0f), second ? v_load(second + c) : v_set(0.0f), word);
            for (int n = 0; n < parts_of(products); n++)
                v_store(to + (size_t)n * g->channels + c, word[n]);
        }
    }
}

/* All strips of an item's windows; a strip of all items is `strip` floats. */
INLINE void pack_windows(const int products, float *to, const float *item, const struct ft_windows *g, const struct raster *r, size_t O, size_t strip)
{
    for (size_t s = 0; s < r->steps; s++) {
        const float *at[STEP];

        for (size_t i = 0; i < STEP; i++)
            at[i] = window_at(r, g, item, s * STEP + i, O);
        for (size_t o = 0; o < O; o += LINES) {
            float *square = to + o / STRIP * strip + s * step_size(products) + o / LINES % 2 * step_size(products) / 2;
            vf lines[3][LINES];

#pragma GCC unroll 16
            for (size_t i = 0; i < LINES; i++) {
                vf word[3];

                words(products, at[i] ? v_load(at[i] + o) : v_set(0.0f), at[i + LINES] ? v_load(at[i + LINES] + o) : v_set(0.0f), word);
                for (int n = 0; n < parts_of(products); n++)
                    lines[n][i] = word[n];
            }
            for (int n = 0; n < parts_of(products); n++) {
                v_transpose(lines[n]);
#pragma GCC unroll 16
                for (size_t i = 0; i < LINES; i++)
                    v_store(square + n * SQUARE + i * V, lines[n][i]);
            }
        }
    }
}

/* 32 outputs by 32 channels under one tap, over `items` items. */
INLINE void tap_block(const int products, float *dw, const float *a, const float *b, const struct ft_windows *g, const struct raster *r, size_t items)
{
    const struct extent e = {true, false};

    MEMORY();
    load_c(e, dw, g->channels);
    for (size_t n = 0; n < items; n++, b += r->words)
        for (size_t s = 0; s < r->steps; s++, a += step_size(products)) {
            const struct squares one = squares_at(products, a);
            const struct squares other = {b + s * STEP * r->phases.size, g->channels, V, r->phases.size * sizeof *b};

            step(products, e, &one, &other);
        }
    store_c(e, dw, g->channels);
    MEMORY();
}

INLINE void gradient_straight(const int products, float *dw, const float *dy, const float *x, const struct ft_windows *g, size_t S, size_t O, size_t from,
                              size_t to)
{
    struct raster r = raster_of(products, g);
    size_t most = r.words < NEAR_WORDS ? NEAR_WORDS / r.words : 1, item = r.steps * step_size(products), taps = g->kernel * g->kernel;

    find_taps(g, &r.phases);
    product_begin();
    for (size_t s = 0, items; s < S; s += items) {
        items = S - s < most ? S - s : most;
        for (size_t o = from; o < to; o += STRIP)
            for (size_t c = 0; c < g->channels; c += STRIP)
                for (size_t t = 0; t < taps; t++)
                    tap_block(products, dw + (t * O + o) * g->channels + c, dy + (o / STRIP * S + s) * item, x + s * r.words + r.phases.tap[t] + c, g, &r,
                              items);
    }
    product_end();
}

/* Positions are read past the last item's, by windows that are not there. */
#define FT_CONVOLUTION_GRADIENT(suffix, GRADIENT)                                                                                                     \
    static size_t convolution_packed_##suffix(const struct ft_windows *g, size_t S, size_t O, bool of_output)                                         \
    {                                                                                                                                                 \
        struct raster r = raster_of(GRADIENT, g);                                                                                                     \
                                                                                                                                                      \
        return of_output ? S * O / STRIP * r.steps * step_size(GRADIENT) : S * r.words + 2 * STEP * r.phases.size;                                    \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void convolution_pack_##suffix(float *to, const float *x, const struct ft_windows *g, size_t S, size_t O, size_t item, bool of_output)     \
    {                                                                                                                                                 \
        struct raster r = raster_of(GRADIENT, g);                                                                                                     \
        size_t steps = r.steps * step_size(GRADIENT);                                                                                                 \
                                                                                                                                                      \
        if (of_output)                                                                                                                                \
            pack_windows(GRADIENT, to + item * steps, x + item * g->out_height * g->out_across * O, g, &r, O, S * steps);                             \
        else                                                                                                                                          \
            pack_words(GRADIENT, to + item * r.words, x + item * g->height * g->across * g->channels, g, &r);                                         \
        if (!of_output && item + 1 == S)                                                                                                              \
            memset(to + S * r.words, 0, 2 * STEP * r.phases.size * sizeof *to);                                                                       \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void convolution_gradient_##suffix(float *dw, const float *dy, const float *x, const struct ft_windows *g, size_t S, size_t O,             \
                                              size_t from, size_t to)                                                                                 \
    {                                                                                                                                                 \
        gradient_straight(GRADIENT, dw, dy, x, g, S, O, from, to);                                                                                    \
    }                                                                                                                                                 \
                                                                                                                                                      \
    static void put_convolution_gradient_##suffix(struct ft_kernels *kernels)                                                                         \
    {                                                                                                                                                 \
        kernels->convolution_gradient_fits = gradient_fits;                                                                                           \
        kernels->convolution_packed = convolution_packed_##suffix;                                                                                    \
        kernels->convolution_pack = convolution_pack_##suffix;                                                                                        \
        kernels->convolution_gradient = convolution_gradient_##suffix;                                                                                \
    }

#endif
