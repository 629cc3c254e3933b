/* norms.c - batch norm (Ioffe and Szegedy 2015): y = f((x - mean) / sqrt(variance + epsilon) * gain + bias), each channel by itself.
 *
 * Mean and variance are the running ones of the model, in evaluation and, by default, while fine-tuning too: then an item's embedding does not depend on what
 * it is batched with. With model->batch_statistics they are the chunk's own while training, for which all its shards must have come as far; the running ones
 * follow them after each batch. */
#include "base/error.h"
#include "base/pool.h"
#include "model/running.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t channels_of(const struct ft_runner *r, const struct ft_step *step)
{
    return r->plan->values[step->out].width / r->plan->values[step->out].positions;
}

static const float *number(const struct ft_runner *r, const struct ft_step *step, int which)
{
    return ft_runner_parameter(r, r->model->nodes[step->node].parameters[which]);
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
    return 1 / sqrt((double)variance + (double)r->model->nodes[step->node].epsilon);
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

void ft_norm_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker, float *y, const float *x)
{
    float *scale, *shift;

    find_scale(run, step, worker, &scale, &shift);
    run->runner->kernels->affine_forward(step->activation, y, x, scale, shift, ft_running_rows(run, step->out, shard), channels_of(run->runner, step));
}

void ft_norm_backward_activation(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker)
{
    const struct ft_value *out = &run->runner->plan->values[step->out];
    bool again = out->late && !out->unread;
    float *dy = ft_running_gradient(run, step->out, shard), *scale, *shift;

    if (step->activation == FT_IDENTITY && !again)
        return;
    find_scale(run, step, worker, &scale, &shift);
    run->runner->kernels->affine_backward(step->activation, dy, again ? ft_running_value(run, step->out, shard, worker) : NULL, dy,
                                          ft_running_value(run, step->in[0], shard, worker), scale, shift, ft_running_rows(run, step->out, shard),
                                          channels_of(run->runner, step));
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

/* Columns from..to of dgain, dbias. */
void ft_norm_slice(const struct ft_running *run, const struct ft_slice *slice, struct ft_worker *worker, float *dgain, float *dbias)
{
    struct ft_runner *r = run->runner;
    const struct ft_step *step = &r->plan->steps[slice->step];
    const struct ft_shard whole = {.first_token = 0};
    const struct ft_value *value = &r->plan->values[step->out];
    size_t C = channels_of(r, step), rows = (value->of_items ? run->sequences : run->tokens) * value->positions;
    const float *variance = variance_of(r, step, run->chunk);
    double *sum = (double *)(void *)worker->columns.data, *product = sum + C;

    memset(sum, 0, 2 * C * sizeof *sum);
    r->kernels->columns_sum(sum, product, ft_running_gradient(run, step->out, &whole), ft_running_value(run, step->in[0], &whole, worker),
                            mean_of(r, step, run->chunk), rows, C, slice->from, slice->to);
    for (size_t c = slice->from; c < slice->to; c++) {
        if (dgain)
            dgain[c] += (float)(product[c] * reciprocal_deviation(r, step, variance[c]));
        if (dbias)
            dbias[c] += (float)sum[c];
    }
}

/* ---- a chunk's own statistics ------------------------------------------------------------------------------------------------ */

/* Sums over each shard's rows of x, and of x (z - centre); z NULL: x itself, centred on what moments hold. */
struct summing {
    struct ft_group *group;
    const struct ft_step *step;
    bool of_gradient;
};

static int sum_shard(void *argument, size_t index, int number)
{
    const struct summing *s = argument;
    struct ft_runner *r = s->group->runner;
    const struct ft_shard *shard = &r->shards[s->group->first_shard + index];
    const struct ft_running *run = ft_group_run(s->group, shard);
    struct ft_worker *worker = &r->workers[number];
    size_t C = channels_of(r, s->step);
    double *sum = r->sums + index * 2 * C;
    const float *x = ft_running_value(run, s->step->in[0], shard, worker);

    memset(sum, 0, 2 * C * sizeof *sum);
    r->kernels->columns_sum(sum, sum + C, s->of_gradient ? ft_running_gradient(run, s->step->out, shard) : x, x, mean_of(r, s->step, run->chunk),
                            ft_running_rows(run, s->step->out, shard), C, 0, C);
    return 0;
}

static int sum_shards(struct summing *s)
{
    struct ft_runner *r = s->group->runner;
    size_t count = s->group->shard_count * 2 * channels_of(r, s->step);

    if (count > r->sums_capacity) {
        double *sums = ft_resize(r->sums, count, sizeof *sums);

        if (!sums)
            return -1;
        r->sums = sums;
        r->sums_capacity = count;
    }
    return ft_pool_run(s->group->shard_count, sum_shard, s);
}

/* Column c of one chunk: its shards' sums, in order. */
static double whole_sum(const struct ft_runner *r, const struct ft_group *group, const struct ft_running *run, size_t place, size_t C)
{
    double sum = 0;

    for (size_t s = 0; s < run->shard_count; s++)
        sum += r->sums[(run->first_shard - group->first_shard + s) * 2 * C + place];
    return sum;
}

static double rows_of(const struct ft_running *run, const struct ft_step *step)
{
    const struct ft_value *value = &run->runner->plan->values[step->out];

    return (double)((value->of_items ? run->sequences : run->tokens) * value->positions);
}

/* Twice through: the mean, then the variance about it. */
int ft_group_moments(struct ft_group *group, const struct ft_step *step)
{
    struct ft_runner *r = group->runner;
    struct summing summing = {group, step, false};
    size_t C = channels_of(r, step);

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; pass == 0 && i < group->count; i++)
            memset(r->moments.data + group->run[i].chunk * r->plan->moments + step->moments, 0, 2 * C * sizeof(float));
        if (sum_shards(&summing) < 0)
            return -1;
        for (size_t i = 0; i < group->count; i++) {
            const struct ft_running *run = &group->run[i];
            float *out = r->moments.data + run->chunk * r->plan->moments + step->moments + (pass ? C : 0);

            for (size_t c = 0; c < C; c++)
                out[c] = (float)(whole_sum(r, group, run, pass ? C + c : c, C) / rows_of(run, step));
        }
    }
    return 0;
}

/* dx = scale (dy - mean(dy) - xhat mean(dy xhat)), as dy a + x b + c. */
int ft_group_mix(struct ft_group *group, const struct ft_step *step)
{
    struct ft_runner *r = group->runner;
    struct summing summing = {group, step, true};
    size_t C = channels_of(r, step);

    if (!ft_floats_reserve(&r->mix, group->count * 3 * C) || sum_shards(&summing) < 0)
        return -1;
    for (size_t i = 0; i < group->count; i++) {
        const struct ft_running *run = &group->run[i];
        const float *mean = mean_of(r, step, run->chunk), *variance = variance_of(r, step, run->chunk), *gain = number(r, step, 0);
        float *mix = r->mix.data + i * 3 * C;

        for (size_t c = 0; c < C; c++) {
            double rstd = reciprocal_deviation(r, step, variance[c]), scale = gain[c] * rstd, n = rows_of(run, step);
            double slope = scale * rstd * rstd * whole_sum(r, group, run, C + c, C) / n;

            mix[c] = (float)scale;
            mix[C + c] = (float)-slope;
            mix[2 * C + c] = (float)(slope * mean[c] - scale * whole_sum(r, group, run, c, C) / n);
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
    const struct ft_value *value = &r->plan->values[step->out];
    size_t C = channels_of(r, step);
    double n = (double)((value->of_items ? r->chunk_rows[chunk].sequences : r->chunk_rows[chunk].tokens) * value->positions);

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
