/* fast-windows.h - windows laid out as rows and back, and max pooling: copies and comparisons, in runs as long as the map allows. */
#include "tensor/cpu/vector.h"
#include "tensor/kernels.h"

/* The part of taps kx .. kx + taps - 1 of a row of window (oy, ox) that lies on the map: taps before it, in it, and where it begins, a position in the
 * item. Where none does, before is `taps`. */
struct taps_run {
    size_t before, inside, position;
};

INLINE struct taps_run taps_of(const struct ft_windows *g, size_t oy, size_t ox, size_t ky, size_t kx, size_t taps)
{
    size_t y = oy * g->stride + ky, x = ox * g->stride + kx, end = g->left + g->across;
    struct taps_run run = {taps, 0, 0};

    if (y < g->above || y - g->above >= g->height || x >= end || x + taps <= g->left)
        return run;
    run.before = x < g->left ? g->left - x : 0;
    run.inside = (end - x < taps ? end - x : taps) - run.before;
    run.position = (y - g->above) * g->across + x + run.before - g->left;
    return run;
}

/* Windows one after another, counted over all items. */
struct window_at {
    size_t item, oy, ox;
};

INLINE struct window_at window_first(const struct ft_windows *g, size_t number)
{
    size_t P = g->out_height * g->out_across;

    return (struct window_at){number / P, number % P / g->out_across, number % g->out_across};
}

INLINE void window_next(const struct ft_windows *g, struct window_at *at)
{
    if (++at->ox < g->out_across)
        return;
    at->ox = 0;
    if (++at->oy < g->out_height)
        return;
    at->oy = 0;
    at->item++;
}

/* A library's call is for what is long. */
INLINE void run_copy(float *to, const float *from, size_t count)
{
    if (count > 8 * V)
        memcpy(to, from, count * sizeof *to);
    else
        for (V_EACH(i, count, m))
            v_put(to + i, v_get(from + i, m), m);
}

INLINE void run_zero(float *to, size_t count)
{
    for (V_EACH(i, count, m))
        v_put(to + i, v_set(0.0f), m);
}

INLINE void run_add(float *to, const float *from, size_t count)
{
    for (V_EACH(i, count, m))
        v_put(to + i, v_get(to + i, m) + v_get(from + i, m), m);
}

/* The first position under a window that lies on the map whole; false for others. */
INLINE bool window_whole(const struct ft_windows *g, const struct window_at *at, size_t *position)
{
    size_t y = at->oy * g->stride, x = at->ox * g->stride;

    *position = (y - g->above) * g->across + x - g->left;
    return y >= g->above && y - g->above + g->kernel <= g->height && x >= g->left && x - g->left + g->kernel <= g->across;
}

/* Taps first .. first + taps - 1 of any window. */
static void gather_taps(float *col, const float *item, const struct ft_windows *g, const struct window_at *at, size_t first, size_t taps)
{
    size_t C = g->channels;

    for (size_t k = first, here; k < first + taps; k += here, col += here * C) {
        size_t kx = k % g->kernel;
        struct taps_run run;

        here = g->kernel - kx < first + taps - k ? g->kernel - kx : first + taps - k;
        run = taps_of(g, at->oy, at->ox, k / g->kernel, kx, here);
        run_zero(col, run.before * C);
        run_copy(col + run.before * C, item + run.position * C, run.inside * C);
        run_zero(col + (run.before + run.inside) * C, (here - run.before - run.inside) * C);
    }
}

static void windows_gather(float *col, const float *x, const struct ft_windows *g, size_t from, size_t until, size_t first, size_t taps)
{
    size_t C = g->channels, map = g->height * g->across * C, row = g->kernel * C, position;
    struct window_at at = window_first(g, from);

    for (size_t i = from; i < until; i++, window_next(g, &at), col += taps * C) {
        const float *item = x + at.item * map;

        if (taps == g->kernel * g->kernel && window_whole(g, &at, &position))
            for (size_t ky = 0; ky < g->kernel; ky++)
                run_copy(col + ky * row, item + (position + ky * g->across) * C, row);
        else
            gather_taps(col, item, g, &at, first, taps);
    }
}

static void windows_scatter(float *dx, const float *dcol, const struct ft_windows *g, size_t from, size_t until)
{
    size_t C = g->channels, map = g->height * g->across * C;
    struct window_at at = window_first(g, from);

    for (size_t i = from; i < until; i++, window_next(g, &at))
        for (size_t ky = 0; ky < g->kernel; ky++, dcol += g->kernel * C) {
            struct taps_run run = taps_of(g, at.oy, at.ox, ky, 0, g->kernel);

            run_add(dx + at.item * map + run.position * C, dcol + run.before * C, run.inside * C);
        }
}

INLINE vi get_places(const uint32_t *p, size_t m)
{
    vi a = {0};

    if (m == V)
        return *(const vi_anywhere *)p;
    memcpy(&a, p, m * sizeof *p);
    return a;
}

INLINE void put_places(uint32_t *p, vi a, size_t m)
{
    if (m == V)
        *(vi_anywhere *)p = a;
    else
        memcpy(p, &a, m * sizeof *p);
}

/* The part of a window that is on the map: where it begins, its rows and columns. */
struct window_part {
    size_t position, rows, columns;
};

INLINE struct window_part window_part(const struct ft_windows *g, size_t oy, size_t ox)
{
    size_t top = oy * g->stride, first = top < g->above ? g->above - top : 0, room = g->height + g->above - top;
    struct taps_run run = taps_of(g, oy, ox, first, 0, g->kernel);

    return (struct window_part){run.position, (room < g->kernel ? room : g->kernel) - first, run.inside};
}

/* m channels of one window. A NaN is larger than everything, and the first of equals is kept. */
INLINE void max_pool_block(float *y, uint32_t *arg, const float *x, const struct ft_windows *g, const struct window_part *part, size_t m)
{
    size_t C = g->channels;
    vf best = v_get(x + part->position * C, m);
    vi place = (vi){0} + (int32_t)part->position;

    for (size_t row = 0; row < part->rows; row++)
        for (size_t i = 0, at = part->position + row * g->across; i < part->columns; i++, at++) {
            vf a = v_get(x + at * C, m);
            vm better = (v_less(best, a) | v_is_nan(a)) & v_not(v_is_nan(best));

            best = v_pick(better, a, best);
            place = v_pick_i(better, (vi){0} + (int32_t)at, place);
        }
    v_put(y, best, m);
    put_places(arg, place, m);
}

static void max_pool_forward(float *y, uint32_t *arg, const float *x, const struct ft_windows *g, size_t S)
{
    size_t C = g->channels, map = g->height * g->across * C;

    for (size_t s = 0; s < S; s++)
        for (size_t oy = 0; oy < g->out_height; oy++)
            for (size_t ox = 0; ox < g->out_across; ox++, y += C, arg += C) {
                struct window_part part = window_part(g, oy, ox);

                for (V_EACH(i, C, m))
                    if (m == V)
                        max_pool_block(y + i, arg + i, x + s * map + i, g, &part, V);
                    else
                        max_pool_block(y + i, arg + i, x + s * map + i, g, &part, m);
            }
}

/* The windows [first, end) that cover a place, along one side of the map. */
struct covering {
    size_t first, end;
};

INLINE struct covering covering(const struct ft_windows *g, size_t place, size_t before, size_t windows)
{
    size_t at = place + before, end = at / g->stride + 1;

    return (struct covering){at < g->kernel ? 0 : (at - g->kernel) / g->stride + 1, end < windows ? end : windows};
}

/* m channels of one place of dx, from the windows that cover it, so that it is written once; its sum is in the order of the windows. */
INLINE void max_pool_place(float *dx, const float *dy, const uint32_t *arg, const struct ft_windows *g, struct covering y, struct covering x,
                           size_t place, size_t m)
{
    vf sum = v_set(0.0f);

    for (size_t oy = y.first; oy < y.end; oy++)
        for (size_t ox = x.first; ox < x.end; ox++) {
            size_t at = (oy * g->out_across + ox) * g->channels;
            vm mine = v_equal_i(get_places(arg + at, m), (vi){0} + (int32_t)place);

            sum += v_pick(mine, v_get(dy + at, m), v_set(0.0f));
        }
    v_put(dx, sum, m);
}

static void max_pool_backward(float *dx, const float *dy, const uint32_t *arg, const struct ft_windows *g, size_t S)
{
    size_t C = g->channels, places = g->height * g->across, outputs = g->out_height * g->out_across * C;

    for (size_t s = 0; s < S; s++, dy += outputs, arg += outputs)
        for (size_t place = 0; place < places; place++, dx += C) {
            struct covering y = covering(g, place / g->across, g->above, g->out_height);
            struct covering x = covering(g, place % g->across, g->left, g->out_across);

            for (V_EACH(i, C, m))
                if (m == V)
                    max_pool_place(dx + i, dy + i, arg + i, g, y, x, place, V);
                else
                    max_pool_place(dx + i, dy + i, arg + i, g, y, x, place, m);
        }
}
