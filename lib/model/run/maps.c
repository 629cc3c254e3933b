/* maps.c - steps over an image's maps: convolutions by gathered windows, pooling, channels' factors, a transformer's tokens. Batch norms are norms.c's.
 *
 * A convolution is a linear layer over what its windows cover (Chellapilla, Puri, Simard 2006), gathered a block at a time, so that a block is still in the
 * second cache when it is multiplied: no matrix of all windows is ever made in the forward. Where the table convolves straight from the map, nothing is
 * gathered. The gradient by its weight is taken over a whole chunk, one tap of the kernel at a time. */
#include "base/error.h"
#include "model/run/running.h"

#include <string.h>

/* Floats of gathered windows at once; at least so many rows, which a product needs to be fast, and at most. SLICE_ROWS: the same for a slice by outputs. */
enum { GATHERED = 131072, ROWS_LEAST = 192, ROWS_MOST = 1024, SLICE_ROWS = 2048 };

static size_t taps_of(const struct ft_step *step)
{
    return step->windows.kernel * step->windows.kernel;
}

static size_t positions_of(const struct ft_step *step)
{
    return step->windows.out_height * step->windows.out_across;
}

static size_t block_rows(const struct ft_step *step)
{
    size_t rows = GATHERED / (taps_of(step) * step->inputs);

    return rows < ROWS_LEAST ? ROWS_LEAST : rows > ROWS_MOST ? ROWS_MOST : rows;
}

bool ft_map_straight(const struct ft_kernels *k, const struct ft_step *step, bool backward)
{
    return k->convolution_fits && k->convolution_fits(&step->windows, step->outputs, backward);
}

bool ft_map_gradient_straight(const struct ft_kernels *k, const struct ft_step *step)
{
    return step->kind == FT_STEP_CONVOLUTION && ft_step_by_taps(step) && step->bias < 0 && k->convolution_gradient_fits &&
           k->convolution_gradient_fits(&step->windows, step->outputs);
}

size_t ft_map_scratch(const struct ft_runner *r, const struct ft_step *step)
{
    size_t deep = taps_of(step) * step->inputs, rows = r->cut->most_chunk_texts * positions_of(step), most, slice;

    if (step->kind == FT_STEP_DEPTHWISE)
        return deep;
    if (step->kind != FT_STEP_CONVOLUTION)
        return 0;
    most = block_rows(step) * deep;
    slice = step->outputs * deep + (ft_map_gradient_straight(r->kernels, step) ? 0 : ft_step_by_taps(step) ? rows * step->inputs : SLICE_ROWS * deep);
    if (r->plan->training && slice > most)
        most = slice;
    return most > deep * step->outputs ? most : deep * step->outputs;
}

/* ---- forward ------------------------------------------------------------------------------------------------------------- */

static void convolution_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, const struct ft_worker *worker,
                                float *y, const float *x, const float *residual)
{
    const struct ft_kernels *k = run->runner->kernels;
    const struct ft_windows *g = &step->windows;
    size_t rows = shard->rows.sequences * positions_of(step), deep = taps_of(step) * step->inputs, O = step->outputs, most = block_rows(step);
    const float *w = ft_running_packed(run->runner, step, false), *b = w + ft_map_weight_size(run->runner, step, false);

    if (ft_map_straight(k, step, false)) {
        k->convolution_forward(y, x, w, b, g, shard->rows.sequences, O);
        if (residual)
            k->add(y, residual, rows * O);
        if (step->activation != FT_IDENTITY)
            k->activation_forward(step->activation, y, y, rows * O);
        return;
    }
    for (size_t from = 0, n; from < rows; from += n, y += n * O) {
        const float *col = ft_step_direct(step) ? x + from * deep : worker->scratch.data;

        n = rows - from < most ? rows - from : most;
        if (!ft_step_direct(step))
            k->windows_gather(worker->scratch.data, x, g, from, from + n, 0, taps_of(step));
        k->linear_forward(y, col, w, k->linear_pack ? w : NULL, b, n, deep, O);
        if (residual)
            k->add(y, residual + from * O, n * O);
        if (step->activation != FT_IDENTITY)
            k->activation_forward(step->activation, y, y, n * O);
    }
}

/* The mean of each window, which lies within the map; the next begins where it ends. */
static void mean_pool_forward(const struct ft_kernels *k, float *y, const float *x, const struct ft_windows *g, size_t items)
{
    size_t C = g->channels, row = g->across * C;
    float share = 1 / (float)(g->kernel * g->kernel);

    for (size_t i = 0; i < items; i++, x += g->height * row)
        for (size_t at = 0; at < g->out_height * g->out_across; at++, y += C) {
            const float *from = x + at / g->out_across * g->stride * row + at % g->out_across * g->stride * C;

            memcpy(y, from, C * sizeof *y);
            for (size_t t = 1; t < g->kernel * g->kernel; t++)
                k->add(y, from + t / g->kernel * row + t % g->kernel * C, C);
            for (size_t c = 0; c < C; c++)
                y[c] *= share;
        }
}

static void mean_pool_backward(float *dx, const float *dy, const struct ft_windows *g, size_t items)
{
    size_t C = g->channels, row = g->across * C;
    float share = 1 / (float)(g->kernel * g->kernel);

    memset(dx, 0, items * g->height * row * sizeof *dx);
    for (size_t i = 0; i < items; i++, dx += g->height * row)
        for (size_t at = 0; at < g->out_height * g->out_across; at++, dy += C) {
            float *to = dx + at / g->out_across * g->stride * row + at % g->out_across * g->stride * C;

            for (size_t t = 0; t < g->kernel * g->kernel; t++)
                for (size_t c = 0; c < C; c++)
                    to[t / g->kernel * row + t % g->kernel * C + c] = share * dy[c];
        }
}

/* Has an item a token before those of its map, of its own or the class token? */
static bool has_first(const struct ft_step *step)
{
    return step->weight >= 0 || step->in_count > 1;
}

/* An item's tokens: its class token, if it has one, or its own first (`stride` W), and its positions, each with its place's vector added (Dosovitskiy et al.
 * 2020; the other, the mean of its positions, Radford et al. 2021). */
static void tokens_forward(float *y, const float *x, const float *class, size_t stride, const float *place, size_t items, size_t positions, size_t W)
{
    size_t first = class ? W : 0;

    for (size_t i = 0; i < items; i++, x += positions * W, y += first + positions * W) {
        for (size_t c = 0; c < first; c++)
            y[c] = class[i * stride + c] + place[c];
        for (size_t c = 0; c < positions * W; c++)
            y[first + c] = x[c] + place[first + c];
    }
}

void ft_map_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker,
                    float *y, const float *const in[])
{
    struct ft_runner *r = run->runner;
    const struct ft_kernels *k = r->kernels;
    const struct ft_node *node = &r->model->nodes[step->node];
    const struct ft_value *value = &r->plan->values[step->out], *x = step->in_count ? &r->plan->values[step->in[0]] : NULL;
    size_t items = shard->rows.sequences, channels = value->width / value->positions, first = run->first_text + shard->first_text;
    const float *w;

    switch (step->kind) {
    case FT_STEP_VECTOR:
        memcpy(y, r->packed->vector + first * value->width, items * value->width * sizeof *y);
        break;
    case FT_STEP_PIXELS:
        k->pixels_forward(y, r->packed->pixel + first * value->width, node->multiply, node->add, items * value->positions);
        break;
    case FT_STEP_CONVOLUTION:
        convolution_forward(run, step, shard, worker, y, in[0], in[1]);
        break;
    case FT_STEP_DEPTHWISE:
        w = ft_running_packed(r, step, false);
        k->depthwise_forward(step->activation, y, in[0], w, w + ft_map_weight_size(r, step, false), &step->windows, items);
        break;
    case FT_STEP_MAX_POOL:
        k->max_pool_forward(y, (uint32_t *)ft_running_saved(run, step, shard, value->width, worker->temporary), in[0], &step->windows, items);
        break;
    case FT_STEP_MEAN_POOL:
        mean_pool_forward(k, y, in[0], &step->windows, items);
        break;
    case FT_STEP_SCALE:
        k->scale_forward(y, in[0], in[1], items, value->positions, channels);
        break;
    case FT_STEP_TOKENS:
        tokens_forward(y, in[0], step->in_count > 1 ? in[1] : ft_runner_parameter(r, step->weight), step->in_count > 1 ? value->width : 0,
                       ft_runner_parameter(r, step->bias), items, x->positions, value->width);
        break;
    default:
        break;
    }
}

/* y may be either of them. A piece at a time, so that it is in the first cache when it is looked at again. */
void ft_map_add(const struct ft_kernels *k, enum ft_activation f, float *y, const float *x, const float *residual, size_t count)
{
    enum { PIECE = 4096 };
    const float *other = y == residual ? x : residual;

    for (size_t from = 0, n; from < count; from += n) {
        n = count - from < PIECE ? count - from : PIECE;
        if (y != x && y != residual)
            memcpy(y + from, x + from, n * sizeof *y);
        k->add(y + from, other + from, n);
        k->activation_forward(f, y + from, y + from, n);
    }
}

/* ---- backward ------------------------------------------------------------------------------------------------------------ */

static void convolution_backward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, const struct ft_worker *worker,
                                 float *dx, const float *dy)
{
    const struct ft_kernels *k = run->runner->kernels;
    const struct ft_windows *g = &step->windows;
    size_t rows = shard->rows.sequences * positions_of(step), deep = taps_of(step) * step->inputs, O = step->outputs, most = block_rows(step);
    const float *w = ft_running_packed(run->runner, step, true);

    if (ft_map_straight(k, step, true)) {
        k->convolution_backward(dx, dy, w, g, shard->rows.sequences, O);
        return;
    }
    if (!ft_step_direct(step))
        memset(dx, 0, shard->rows.sequences * g->height * g->across * g->channels * sizeof *dx);
    for (size_t from = 0, n; from < rows; from += n) {
        float *dcol = ft_step_direct(step) ? dx + from * deep : worker->scratch.data;

        n = rows - from < most ? rows - from : most;
        k->linear_backward(dcol, dy + from * O, w, k->linear_pack ? w : NULL, n, deep, O);
        if (!ft_step_direct(step))
            k->windows_scatter(dx, dcol, g, from, from + n);
    }
}

/* To the map, or with `first` to the token before it. */
static void tokens_backward(float *dx, const float *dy, bool class, bool first, size_t items, size_t positions, size_t W)
{
    size_t rows = first ? 1 : positions;

    for (size_t i = 0; i < items; i++)
        memcpy(dx + i * rows * W, dy + (i * (positions + class) + (class && !first)) * W, rows * W * sizeof *dx);
}

void ft_map_backward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker, int input, float *dx)
{
    struct ft_runner *r = run->runner;
    const struct ft_kernels *k = r->kernels;
    const struct ft_value *value = &r->plan->values[step->out];
    size_t items = shard->rows.sequences, channels = value->width / value->positions;
    const float *dy = ft_running_gradient(run, step->out, shard);

    switch (step->kind) {
    case FT_STEP_CONVOLUTION:
        convolution_backward(run, step, shard, worker, dx, dy);
        break;
    case FT_STEP_DEPTHWISE:
        k->depthwise_backward(dx, dy, ft_running_packed(r, step, true), &step->windows, items);
        break;
    case FT_STEP_MAX_POOL:
        k->max_pool_backward(dx, dy, (uint32_t *)ft_running_saved(run, step, shard, value->width, NULL), &step->windows, items);
        break;
    case FT_STEP_MEAN_POOL:
        mean_pool_backward(dx, dy, &step->windows, items);
        break;
    case FT_STEP_SCALE:
        k->scale_backward(input ? NULL : dx, input ? dx : NULL, dy, ft_running_value(run, step->in[0], shard, worker),
                          ft_running_value(run, step->in[1], shard, worker), items, value->positions, channels);
        break;
    case FT_STEP_TOKENS:
        tokens_backward(dx, dy, has_first(step), input > 0, items, r->plan->values[step->in[0]].positions, value->width);
        break;
    default:
        break;
    }
}

/* ---- gradients of parameters ----------------------------------------------------------------------------------------------- */

bool ft_map_learns(const struct ft_runner *r, const struct ft_step *step)
{
    const struct ft_parameter *p = r->model->parameters;

    return ft_parameter_learns(&p[step->weight]) || (step->norm >= 0 && ft_parameter_learns(&p[r->model->nodes[step->norm].parameters[0]]));
}

/* Does only a norm's bias learn? */
static bool only_sums(const struct ft_runner *r, const struct ft_step *step)
{
    return step->norm >= 0 && !ft_map_learns(r, step);
}

/* The outputs that fall to slice number `slice`, where there are as many as taps. By taps gathered, few slices, as each gathers them all. */
static struct ft_span outputs_of(const struct ft_kernels *k, const struct ft_step *step, size_t slice)
{
    enum { UNIT = 32, WIDE = 128 };
    size_t units = step->outputs / UNIT, parts = taps_of(step), from, to;

    if (!ft_map_gradient_straight(k, step) && step->outputs / WIDE < parts)
        parts = step->outputs < 2 * WIDE ? 2 : step->outputs / WIDE;
    if (slice >= parts)
        return (struct ft_span){0, 0};
    from = units * slice / parts * UNIT;
    to = slice + 1 == parts ? step->outputs : units * (slice + 1) / parts * UNIT;
    return (struct ft_span){from, to - from};
}

/* Under one tap after the other. */
static void convolution_taps(const struct ft_running *run, const struct ft_step *step, size_t slice, const struct ft_worker *worker, float *db,
                             const float *dy, const float *x)
{
    const struct ft_kernels *k = run->runner->kernels;
    size_t rows = run->sequences * positions_of(step), taps = taps_of(step), I = step->inputs, O = step->outputs;
    struct ft_span outputs = outputs_of(k, step, slice);
    size_t from = outputs.first, to = outputs.first + outputs.count;
    bool sums_only = only_sums(run->runner, step);
    float *temporary = worker->scratch.data, *col = temporary + taps * O * I;

    for (size_t t = 0; t < taps && from < to; t++)
        memset(temporary + (t * O + from) * I, 0, (to - from) * I * sizeof *temporary);
    if (from < to && !sums_only && ft_map_gradient_straight(k, step))
        k->convolution_gradient(temporary, ft_running_operand(run, step, true), ft_running_operand(run, step, false), &step->windows, run->sequences, O,
                                from, to);
    else
        for (size_t t = 0; t < taps && from < to && !sums_only; t++) {
            k->windows_gather(col, x, &step->windows, 0, rows, t, 1);
            k->linear_gradient(temporary + t * O * I, t ? NULL : db, dy, col, ft_running_operand(run, step, true), NULL, rows, I, O, from, to);
        }
    ft_folded_slice(run, step, temporary, I, O * I, from, to);
}

static void convolution_outputs(const struct ft_running *run, const struct ft_slice *slice, const struct ft_step *step, const struct ft_worker *worker,
                                float *db, const float *dy, const float *x)
{
    const struct ft_kernels *k = run->runner->kernels;
    size_t rows = run->sequences * positions_of(step), deep = taps_of(step) * step->inputs, O = step->outputs;
    size_t most = ft_step_direct(step) ? rows : SLICE_ROWS;
    float *temporary = worker->scratch.data, *col = temporary + O * deep;

    memset(temporary + slice->from * deep, 0, (slice->to - slice->from) * deep * sizeof *temporary);
    for (size_t from = 0, n; from < rows && !only_sums(run->runner, step); from += n) {
        n = rows - from < most ? rows - from : most;
        if (!ft_step_direct(step))
            k->windows_gather(col, x, &step->windows, from, from + n, 0, taps_of(step));
        k->linear_gradient(temporary, db, dy + from * O, ft_step_direct(step) ? x : col, ft_running_operand(run, step, true),
                           ft_running_operand(run, step, false), n, deep, O, slice->from, slice->to);
    }
    ft_folded_slice(run, step, temporary, deep, step->inputs, slice->from, slice->to);
}

static void depthwise_slice(const struct ft_running *run, const struct ft_slice *slice, const struct ft_step *step, const struct ft_worker *worker,
                            float *db, const float *dy, const float *x)
{
    size_t taps = taps_of(step), C = step->inputs;
    float *temporary = worker->scratch.data;

    for (size_t t = 0; t < taps; t++)
        memset(temporary + t * C + slice->from, 0, (slice->to - slice->from) * sizeof *temporary);
    if (!only_sums(run->runner, step))
        run->runner->kernels->depthwise_gradient(temporary, db, dy, x, &step->windows, run->sequences, slice->from, slice->to);
    ft_folded_slice(run, step, temporary, 1, C, slice->from, slice->to);
}

static void tokens_slice(float *dclass, float *dplace, const float *dy, size_t items, size_t rows, size_t W, size_t from, size_t to)
{
    for (size_t i = 0; i < items; i++, dy += rows * W) {
        for (size_t c = from; dclass && c < to; c++)
            dclass[c] += dy[c];
        for (size_t r = 0; dplace && r < rows; r++)
            for (size_t c = from; c < to; c++)
                dplace[r * W + c] += dy[r * W + c];
    }
}

void ft_map_slice(const struct ft_running *run, const struct ft_slice *slice, struct ft_worker *worker)
{
    struct ft_runner *r = run->runner;
    const struct ft_step *step = &r->plan->steps[slice->step];
    const struct ft_shard whole = {.first_token = 0};   /* rows from the chunk's first */
    const float *dy = ft_running_gradient(run, step->out, &whole), *x = ft_running_value(run, step->in[0], &whole, worker);
    float *db = step->norm < 0 ? ft_running_learnt(run, step->bias) : NULL;

    if (step->kind == FT_STEP_DEPTHWISE)
        depthwise_slice(run, slice, step, worker, db, dy, x);
    else if (step->kind == FT_STEP_TOKENS)
        tokens_slice(ft_running_learnt(run, step->weight), db, dy, run->sequences, r->plan->values[step->in[0]].positions + has_first(step),
                     r->plan->values[step->out].width, slice->from, slice->to);
    else if (ft_step_by_taps(step))
        convolution_taps(run, step, slice->from, worker, db, dy, x);
    else
        convolution_outputs(run, slice, step, worker, db, dy, x);
}

/* ---- rows of what is a map, and what is not ------------------------------------------------------------------------------- */

size_t ft_running_rows(const struct ft_running *run, int value, const struct ft_shard *shard)
{
    return ft_value_rows(&run->runner->plan->values[value], shard->tokens, shard->rows.sequences);
}

size_t ft_running_chunk_rows(const struct ft_running *run, int value)
{
    return ft_value_rows(&run->runner->plan->values[value], run->tokens, run->sequences);
}

size_t ft_segment_parts(const struct ft_segment *segment, const struct ft_shard *shard)
{
    return segment->by_items ? shard->rows.sequences : 1;
}

/* All items of a model whose segments go by items have as many rows. */
struct ft_shard ft_segment_part(const struct ft_segment *segment, const struct ft_shard *shard, size_t i)
{
    struct ft_shard part = *shard;

    if (!segment->by_items)
        return part;
    part.tokens /= shard->rows.sequences;
    part.first_token += i * part.tokens;
    part.first_text += i;
    part.rows.sequences = 1;
    part.rows.number += i;
    return part;
}

/* Items of `positions` rows each. */
static struct ft_rows item_rows(const struct ft_shard *shard, struct ft_worker *worker, size_t positions)
{
    struct ft_rows rows = shard->rows;

    if (worker->offset_step != (uint32_t)positions)
        for (size_t i = 0; i <= worker->items; i++)
            worker->offset[i] = (uint32_t)(i * positions);
    worker->offset_step = (uint32_t)positions;
    rows.offset = worker->offset;
    rows.second = NULL;
    return rows;
}

struct ft_rows ft_running_rows_in(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker)
{
    const struct ft_value *in = step->in_count ? &run->runner->plan->values[step->in[0]] : NULL;

    if (!in || !in->of_items)
        return shard->rows;
    return item_rows(shard, worker, step->kind == FT_STEP_POOL || step->kind == FT_STEP_GEM ? in->positions : 1);
}
