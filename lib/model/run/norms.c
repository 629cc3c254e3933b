/* norms.c - batch norm (Ioffe and Szegedy 2015): y = f((x - mean) / sqrt(variance + epsilon) * gain + bias), each channel by itself.
 *
 * Mean and variance are the running ones of the model, in evaluation and, by default, while fine-tuning too: then an item's embedding does not depend on what
 * it is batched with. With model->batch_statistics they are the chunk's own while training, for which all its shards must have come as far; the running ones
 * follow them after each batch. */
#include "base/error.h"
#include "base/pool.h"
#include "model/run/running.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t channels_of(const struct ft_runner *r, const struct ft_step *step)
{
    return r->plan->values[step->out].width / r->plan->values[step->out].positions;
}

static const struct ft_node *norm_of(const struct ft_runner *r, const struct ft_step *step)
{
    return &r->model->nodes[step->norm < 0 ? step->node : step->norm];
}

static const float *number(const struct ft_runner *r, const struct ft_step *step, int which)
{
    return ft_runner_parameter(r, norm_of(r, step)->parameters[which]);
}

static const float *mean_of(const struct ft_runner *r, const struct ft_step *step, size_t chunk)
{
    return step->meets ? r->moments.data + chunk * r->plan->moments + step->moments : number(r, step, 2);
}

static const float *variance_of(const struct ft_runner *r, const struct ft_step *step, size_t chunk)
{
    return step->meets ? mean_of(r, step, chunk) + channels_of(r, step) : number(r, step, 3);
}

static double reciprocal_deviation(const struct ft_runner *r, const struct ft_step *step, float variance)
{
    return 1 / sqrt((double)variance + (double)norm_of(r, step)->epsilon);
}

/* scale[C] and shift[C] of the norm, in the worker's columns. */
static void find_scale(const struct ft_running *run, const struct ft_step *step, struct ft_worker *worker, float **scale, float **shift)
{
    struct ft_runner *r = run->runner;
    size_t C = channels_of(r, step);
    const float *mean = mean_of(r, step, run->chunk), *variance = variance_of(r, step, run->chunk), *gain = number(r, step, 0), *bias = number(r, step, 1);

    *scale = worker->columns.data;
    *shift = *scale + C;
    for (size_t c = 0; c < C; c++) {
        double factor = gain[c] * reciprocal_deviation(r, step, variance[c]);

        (*scale)[c] = (float)factor;
        (*shift)[c] = (float)(bias[c] - mean[c] * factor);
    }
}

/* A block of rows stays in the second cache from one pass over it to the next. */
enum { NEAR_FLOATS = 65536 };

static size_t near_rows(size_t C)
{
    return C < NEAR_FLOATS ? NEAR_FLOATS / C : 1;
}

void ft_norm_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker, float *y, const float *x,
                     const float *residual)
{
    const struct ft_kernels *k = run->runner->kernels;
    size_t C = channels_of(run->runner, step), rows = ft_running_rows(run, step->out, shard), most = residual ? near_rows(C) : rows;
    float *scale, *shift;

    find_scale(run, step, worker, &scale, &shift);
    for (size_t from = 0, n, at; from < rows; from += n) {
        n = rows - from < most ? rows - from : most;
        at = from * C;
        k->affine_forward(residual ? FT_IDENTITY : step->activation, y + at, x + at, scale, shift, n, C);
        if (residual)
            k->add(y + at, residual + at, n * C);
        if (residual && step->activation != FT_IDENTITY)
            k->activation_forward(step->activation, y + at, y + at, n * C);
    }
}

/* sum[C], product[C] of the shard. */
static double *sums_of(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard)
{
    return run->runner->sums + (shard->number - run->mix_shard) * run->runner->plan->sums + step->sums;
}

void ft_norm_backward_activation(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker)
{
    struct ft_runner *r = run->runner;
    const struct ft_value *out = &r->plan->values[step->out];
    bool again = out->late && !out->unread, told = ft_step_told_by_output(r->model, step);
    size_t rows = ft_running_rows(run, step->out, shard), C = channels_of(r, step);
    float *dy = ft_running_gradient(run, step->out, shard), *y = ft_running_value(run, step->out, shard, worker), *scale, *shift;
    const float *x = ft_running_value(run, step->in[0], shard, worker);
    double *sum = sums_of(run, step, shard);

    find_scale(run, step, worker, &scale, &shift);
    for (size_t from = 0, n, at; from < rows; from += n) {
        n = rows - from < near_rows(C) ? rows - from : near_rows(C);
        at = from * C;
        if (told)
            r->kernels->activation_backward(step->activation, dy + at, dy + at, y + at, n * C);
        else if (step->activation != FT_IDENTITY || again)
            r->kernels->affine_backward(step->activation, dy + at, again ? y + at : NULL, dy + at, x + at, scale, shift, n, C);
        r->kernels->columns_sum(sum, sum + C, dy + at, x + at, mean_of(r, step, run->chunk), n, C, 0, C);
    }
}

void ft_norm_backward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker, float *dx)
{
    struct ft_runner *r = run->runner;
    size_t C = channels_of(r, step);
    float *dy = ft_running_gradient(run, step->out, shard), *scale, *zero;
    const float *mix = r->mix.data + (run->chunk - run->mix_chunk) * 3 * C;

    if (step->meets) {
        r->kernels->columns_mix(dx, dy, mix, ft_running_value(run, step->in[0], shard, worker), mix + C, mix + 2 * C,
                                ft_running_rows(run, step->out, shard), C);
        return;
    }
    find_scale(run, step, worker, &scale, &zero);
    memset(zero, 0, C * sizeof *zero);
    r->kernels->columns_mix(dx, dy, scale, NULL, NULL, zero, ft_running_rows(run, step->out, shard), C);
}

/* Column c of one chunk: its shards' sums, in order. */
static double whole_sum(const struct ft_running *run, const struct ft_step *step, size_t c)
{
    const struct ft_runner *r = run->runner;
    double sum = 0;

    for (size_t s = 0; s < run->shard_count; s++)
        sum += sums_of(run, step, &r->shards[run->first_shard + s])[c];
    return sum;
}

void ft_folded_backward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker)
{
    struct ft_runner *r = run->runner;
    size_t rows = ft_running_rows(run, step->out, shard), C = channels_of(r, step);
    float *dy = ft_running_gradient(run, step->out, shard);
    const float *y = ft_running_value(run, step->out, shard, worker);

    for (size_t from = 0, n, at; from < rows && (step->norm >= 0 || step->activation != FT_IDENTITY); from += n) {
        n = rows - from < near_rows(C) ? rows - from : near_rows(C);
        at = from * C;
        if (step->activation != FT_IDENTITY)
            r->kernels->activation_backward(step->activation, dy + at, dy + at, y + at, n * C);
        if (step->norm >= 0)
            r->kernels->columns_sum(sums_of(run, step, shard), NULL, dy + at, NULL, NULL, n, C, 0, C);
    }
}

/* The sum of d[t,i] w[i,t], in LANES chains that do not wait for one another. */
static double weighted_sum(const float *d, size_t tap, const float *w, size_t I, size_t taps)
{
    enum { LANES = 8 };
    double sum[LANES] = {0}, all = 0;

    for (size_t t = 0; t < taps; t++, d += tap)
        for (size_t i = 0; i < I; i += LANES)
            for (size_t l = 0; l < LANES && i + l < I; l++)
                sum[l] += (double)d[i + l] * w[(i + l) * taps + t];
    for (size_t l = 0; l < LANES; l++)
        all += sum[l];
    return all;
}

/* With W' = s W, s = gain rstd, and dW' the gradient by it: dW = s dW', and since what the convolution gives is W x, the sum of dy W x over all rows is that
 * of dW' W: dgain = rstd (sum dW' W - mean sum dy). No map is looked at. */
void ft_folded_slice(const struct ft_running *run, const struct ft_step *step, const float *d, size_t output, size_t tap, size_t from, size_t to)
{
    const struct ft_runner *r = run->runner;
    const int *norm = step->norm < 0 ? NULL : r->model->nodes[step->norm].parameters;
    size_t taps = step->windows.kernel * step->windows.kernel, I = step->kind == FT_STEP_DEPTHWISE ? 1 : step->inputs;
    const float *w = ft_runner_parameter(r, step->weight), *own = ft_runner_parameter(r, step->bias);
    float *dw = ft_running_learnt(run, step->weight), *db = norm ? ft_running_learnt(run, step->bias) : NULL;
    float *dgain = norm ? ft_running_learnt(run, norm[0]) : NULL, *dbias = norm ? ft_running_learnt(run, norm[1]) : NULL;

    for (size_t o = from; o < to; o++) {
        double factor, shift, product = norm ? weighted_sum(d + o * output, tap, w + o * I * taps, I, taps) : 0, sum = norm ? whole_sum(run, step, o) : 0;

        ft_folded_scale(r, step, o, &factor, &shift);
        for (size_t i = 0; dw && i < I; i++)
            for (size_t t = 0; t < taps; t++)
                dw[(o * I + i) * taps + t] += (float)factor * d[o * output + t * tap + i];
        if (dgain)
            dgain[o] += (float)((product + ((own ? own[o] : 0) - number(r, step, 2)[o]) * sum) *
                                reciprocal_deviation(r, step, number(r, step, 3)[o]));
        if (dbias)
            dbias[o] += (float)sum;
        if (db)
            db[o] += (float)(factor * sum);
    }
}

/* Columns from..to of dgain, dbias. */
void ft_norm_slice(const struct ft_running *run, const struct ft_slice *slice, float *dgain, float *dbias)
{
    struct ft_runner *r = run->runner;
    const struct ft_step *step = &r->plan->steps[slice->step];
    size_t C = channels_of(r, step);
    const float *variance = variance_of(r, step, run->chunk);

    for (size_t c = slice->from; c < slice->to; c++) {
        if (dgain)
            dgain[c] += (float)(whole_sum(run, step, C + c) * reciprocal_deviation(r, step, variance[c]));
        if (dbias)
            dbias[c] += (float)whole_sum(run, step, c);
    }
}

/* ---- a chunk's own statistics ------------------------------------------------------------------------------------------------ */

int ft_group_clear_sums(const struct ft_group *group)
{
    struct ft_runner *r = group->runner;
    size_t count = group->shard_count * r->plan->sums;

    if (count > r->sums_capacity) {
        double *sums = ft_resize(r->sums, count, sizeof *sums);

        if (!sums)
            return -1;
        r->sums = sums;
        r->sums_capacity = count;
    }
    if (count)
        memset(r->sums, 0, count * sizeof *r->sums);
    return 0;
}

static size_t rows_of(const struct ft_runner *r, const struct ft_step *step, size_t chunk)
{
    return ft_value_rows(&r->plan->values[step->out], r->chunk_rows[chunk].tokens, r->chunk_rows[chunk].sequences);
}

/* Rows and sums of squared deviations joined with those of n rows more (Chan, Golub, LeVeque 1983). */
static void join_moments(double *sum, double *squares, size_t count, const double *more, const double *more_squares, size_t n, size_t C)
{
    double share = count ? (double)count * (double)n / (double)(count + n) : 0;

    for (size_t c = 0; c < C; c++) {
        double apart = count ? more[c] / (double)n - sum[c] / (double)count : 0;

        squares[c] += more_squares[c] + apart * apart * share;
        sum[c] += more[c];
    }
}

/* Twice over each block while it is near: the mean, then the squares about it. The rows `before` it are those of the shard that are summed already. */
void ft_norm_sum(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker)
{
    struct ft_runner *r = run->runner;
    size_t C = channels_of(r, step), rows = ft_running_rows(run, step->out, shard);
    const struct ft_shard *whole = &r->shards[shard->number];
    size_t before = ft_value_rows(&r->plan->values[step->out], shard->first_token - whole->first_token, shard->first_text - whole->first_text);
    const float *x = ft_running_value(run, step->in[0], shard, worker);
    double *sum = sums_of(run, step, shard), *more = (double *)(void *)worker->columns.data, *squares = more + C;
    float *mean = worker->columns.data + 4 * C;

    for (size_t from = 0, n; from < rows; from += n, before += n) {
        n = rows - from < near_rows(C) ? rows - from : near_rows(C);
        memset(more, 0, 2 * C * sizeof *more);
        r->kernels->columns_sum(more, NULL, x + from * C, NULL, NULL, n, C, 0, C);
        for (size_t c = 0; c < C; c++)
            mean[c] = (float)(more[c] / (double)n);
        r->kernels->columns_sum(NULL, squares, NULL, x + from * C, mean, n, C, 0, C);
        join_moments(sum, sum + C, before, more, squares, n, C);
    }
}

void ft_group_moments(struct ft_group *group, const struct ft_step *step)
{
    struct ft_runner *r = group->runner;
    size_t C = channels_of(r, step);

    for (size_t i = 0; i < group->count; i++) {
        const struct ft_running *run = &group->run[i];
        float *out = r->moments.data + run->chunk * r->plan->moments + step->moments;
        double *first = sums_of(run, step, &r->shards[run->first_shard]);
        size_t rows = 0, n;

        for (size_t s = 0; s < run->shard_count; s++, rows += n) {
            const struct ft_shard *shard = &r->shards[run->first_shard + s];
            const double *sum = sums_of(run, step, shard);

            n = ft_running_rows(run, step->out, shard);
            if (s > 0)
                join_moments(first, first + C, rows, sum, sum + C, n, C);
        }
        for (size_t c = 0; c < C; c++) {
            out[c] = (float)(first[c] / (double)rows);
            out[C + c] = (float)(first[C + c] / (double)rows);
        }
    }
}

/* dx = scale (dy - mean(dy) - xhat mean(dy xhat)), as dy a + x b + c. */
int ft_group_mix(struct ft_group *group, const struct ft_step *step)
{
    struct ft_runner *r = group->runner;
    size_t C = channels_of(r, step);

    if (!ft_floats_reserve(&r->mix, group->count * 3 * C))
        return -1;
    for (size_t i = 0; i < group->count; i++) {
        const struct ft_running *run = &group->run[i];
        const float *mean = mean_of(r, step, run->chunk), *variance = variance_of(r, step, run->chunk), *gain = number(r, step, 0);
        double n = (double)rows_of(r, step, run->chunk);
        float *mix = r->mix.data + i * 3 * C;

        for (size_t c = 0; c < C; c++) {
            double rstd = reciprocal_deviation(r, step, variance[c]), scale = gain[c] * rstd;
            double slope = scale * rstd * rstd * whole_sum(run, step, C + c) / n;

            mix[c] = (float)scale;
            mix[C + c] = (float)-slope;
            mix[2 * C + c] = (float)(slope * mean[c] - scale * whole_sum(run, step, c) / n);
        }
    }
    return 0;
}

/* As torch.nn.BatchNorm: running += momentum (of the chunk - running), of a variance with n - 1 in its denominator. */
static void follow(const struct ft_runner *r, const struct ft_step *step, size_t chunk)
{
    const struct ft_node *node = &r->model->nodes[step->node];
    float *mean = r->model->block + r->model->parameters[node->parameters[2]].offset;
    float *variance = r->model->block + r->model->parameters[node->parameters[3]].offset;
    size_t C = channels_of(r, step);
    double n = (double)rows_of(r, step, chunk);

    for (size_t c = 0; c < C; c++) {
        mean[c] += node->momentum * (mean_of(r, step, chunk)[c] - mean[c]);
        variance[c] += node->momentum * ((float)(variance_of(r, step, chunk)[c] * n / (n > 1 ? n - 1 : 1)) - variance[c]);
    }
}

void ft_runner_follow(const struct ft_runner *r)
{
    for (size_t chunk = 0; r->plan->moments && chunk < r->cut->chunk_count; chunk++)
        for (int s = 0; s < r->plan->step_count; s++)
            if (r->plan->steps[s].meets)
                follow(r, &r->plan->steps[s], chunk);
}
