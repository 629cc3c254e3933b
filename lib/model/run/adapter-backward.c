/* adapter-backward.c - gradients of adapters: u = s x A^T and v = s dy B by shards, then dA = v^T x and dB = dy^T u over the whole chunk, in slices. */
#include "base/pool.h"
#include "model/adapter.h"
#include "model/run/running.h"

#include <string.h>

/* Of one part, in a chunk's narrow floats: u and v [rows, r], and where a product is joined its own columns of dy [rows, O]. */
struct narrow {
    float *u, *v, *dy;
};

static bool joined(const struct ft_step *step, const struct ft_part *part)
{
    return part->count != step->outputs;
}

/* Floats a row. */
static size_t part_width(const struct ft_step *step, const struct ft_part *part)
{
    return 2 * part->adapter->a->rows + (joined(step, part) ? part->count : 0);
}

static struct narrow find(const struct ft_running *run, const struct ft_step *step, const struct ft_part *parts, int k)
{
    size_t rank = parts[k].adapter->a->rows, rows = ft_running_chunk_rows(run, step->out);
    float *at = run->narrow;

    for (int i = 0; i < k; i++)
        at += rows * part_width(step, &parts[i]);
    return (struct narrow){at, at + rows * rank, joined(step, &parts[k]) ? at + 2 * rows * rank : NULL};
}

static void scale(float *x, size_t count, float by)
{
    for (size_t i = 0; i < count; i++)
        x[i] *= by;
}

static void narrow_part(const struct ft_running *run, const struct ft_step *step, const struct ft_part *part, struct narrow n,
                        const struct ft_shard *shard, const struct ft_worker *worker)
{
    const struct ft_kernels *k = run->runner->kernels;
    const struct ft_adapters *all = run->runner->model->adapters;
    size_t rank = all->lora.rank, rows = ft_running_rows(run, step->out, shard);
    size_t first = ft_value_rows(&run->runner->plan->values[step->out], shard->first_token, shard->first_text);
    const float *x = ft_running_value(run, step->in[0], shard, worker), *dy = ft_running_gradient(run, step->out, shard);
    float *u = n.u + first * rank, *v = n.v + first * rank, by = (float)ft_lora_scale(&all->lora);

    if (n.dy) {
        float *own = n.dy + first * part->count;

        for (size_t r = 0; r < rows; r++)
            memcpy(own + r * part->count, dy + r * step->outputs + part->first, part->count * sizeof *own);
        dy = own;
    }
    k->linear_forward(u, x, all->block + part->adapter->a->offset, NULL, NULL, rows, step->inputs, rank);
    k->linear_backward(v, dy, all->block + part->adapter->b->offset, NULL, rows, rank, part->count);
    scale(u, rows * rank, by);
    scale(v, rows * rank, by);
}

static int narrow_shard(void *argument, size_t index, int worker)
{
    const struct ft_group *group = argument;
    struct ft_runner *r = group->runner;
    const struct ft_shard *shard = &r->shards[group->first_shard + index];
    const struct ft_running *run = ft_group_run(group, shard);
    struct ft_part parts[FT_PARTS];
    int count = ft_plan_parts(r->plan, group->step, parts);

    for (int k = 0; k < count; k++)
        narrow_part(run, group->step, &parts[k], find(run, group->step, parts, k), shard, &r->workers[worker]);
    return 0;
}

int ft_group_narrow(struct ft_group *group)
{
    struct ft_runner *r = group->runner;
    struct ft_part parts[FT_PARTS];
    int count = ft_plan_parts(r->plan, group->step, parts);
    size_t width = 0, size = 0;

    if (!count)
        return 0;
    for (int k = 0; k < count; k++)
        width += part_width(group->step, &parts[k]);
    for (size_t c = 0; c < group->count; c++)
        size += width * ft_running_chunk_rows(&group->run[c], group->step->out);
    if (!ft_floats_reserve(&r->narrow, size))
        return -1;
    for (size_t c = group->count; c-- > 0;) {
        size -= width * ft_running_chunk_rows(&group->run[c], group->step->out);
        group->run[c].narrow = r->narrow.data + size;
    }
    return ft_pool_run(group->shard_count, narrow_shard, group);
}

void ft_running_part_slice(const struct ft_running *run, const struct ft_slice *slice, int worker)
{
    struct ft_runner *r = run->runner;
    const struct ft_step *step = &r->plan->steps[slice->step];
    const struct ft_shard whole = {.first_token = 0};
    const size_t rows = ft_running_chunk_rows(run, step->out);
    struct ft_part parts[FT_PARTS];
    const struct ft_part *part = &parts[slice->part - 1];
    struct narrow n;

    ft_plan_parts(r->plan, step, parts);
    n = find(run, step, parts, slice->part - 1);
    if (slice->of_a)
        r->kernels->linear_gradient(run->gradient + part->adapter->a->offset, NULL, n.v,
                                    ft_running_value(run, step->in[0], &whole, &r->workers[worker]), NULL, NULL, rows, step->inputs,
                                    part->adapter->a->rows, slice->from, slice->to);
    else
        r->kernels->linear_gradient(run->gradient + part->adapter->b->offset, NULL, n.dy ? n.dy : ft_running_gradient(run, step->out, &whole),
                                    n.u, NULL, NULL, rows, part->adapter->b->columns, part->count, slice->from, slice->to);
}
