/* prefix.c - the frozen part of a model by itself: run once for an item, and given to the rest from then on. */
#include "base/error.h"
#include "base/pool.h"
#include "model/run/running.h"

#include <string.h>

/* Does the segment give another value after a step? */
static bool changes(const struct ft_plan *plan, const struct ft_segment *segment)
{
    for (int s = segment->first; s <= segment->last; s++)
        if (plan->steps[s].meets)
            return true;
    return segment->slice_count || segment->biases;
}

/* Segments below the lowest one that changes, all of them where none does; between two of them a single value is alive. */
int ft_plan_prefix(const struct ft_plan *plan)
{
    int lowest = 0;

    while (lowest < plan->segment_count && !changes(plan, &plan->segments[lowest]))
        lowest++;
    return lowest ? plan->segments[lowest - 1].last : -1;
}

size_t ft_runner_prefix(const struct ft_runner *r, bool *of_items, const char **random)
{
    const struct ft_value *value = r->prefix < 0 ? NULL : &r->plan->values[r->plan->steps[r->prefix].out];

    *random = NULL;
    *of_items = value && value->of_items;
    for (int s = 0; s <= r->prefix && !*random; s++)
        if (r->plan->steps[s].rate > 0)
            *random = r->model->nodes[r->plan->steps[s].random].name;
    return value ? value->width : 0;
}

bool ft_runner_prefix_apart(const struct ft_runner *r)
{
    bool maps = false;

    for (int s = 0; s <= r->prefix; s++)
        maps |= r->plan->values[r->plan->steps[s].out].positions > 1;
    return r->kernels->linear_pack && !maps;
}

/* Where the rows of a shard lie among those of the batch, and how many they are. */
static size_t first_row(const struct ft_running *run, const struct ft_shard *shard, const struct ft_value *value, size_t *count)
{
    size_t text = run->first_text + shard->first_text;

    *count = value->of_items ? shard->rows.sequences : shard->tokens;
    return value->of_items ? text : run->runner->packed->offset[text];
}

void ft_running_take(const struct ft_running *run, const struct ft_shard *shard, struct ft_worker *worker)
{
    const struct ft_runner *r = run->runner;
    int number = r->plan->steps[r->prefix].out;
    const struct ft_value *value = &r->plan->values[number];
    size_t count, row = first_row(run, shard, value, &count);

    memcpy(ft_running_value(run, number, shard, worker), r->given + row * value->width, count * value->width * sizeof(float));
}

struct job {
    struct ft_runner *runner;
    float *out;
};

static int prefix_shard(void *argument, size_t index, int worker)
{
    const struct job *job = argument;
    struct ft_runner *r = job->runner;
    const struct ft_shard *shard = &r->shards[index];
    const struct ft_running run = ft_running_start(r, shard->chunk);
    int number = r->plan->steps[r->prefix].out;
    const struct ft_value *value = &r->plan->values[number];
    size_t count, row = first_row(&run, shard, value, &count);

    for (int s = 0; s <= r->prefix; s++)
        ft_running_forward(&run, &r->plan->steps[s], shard, &r->workers[worker]);
    memcpy(job->out + row * value->width, ft_running_value(&run, number, shard, &r->workers[worker]), count * value->width * sizeof(float));
    return 0;
}

int ft_runner_prefix_forward(struct ft_runner *r, float *out)
{
    struct job job = {r, out};

    ft_runner_unpack(r);
    if (ft_runner_pack(r, 0, r->prefix, false, r->packed->offset[r->packed->texts]) < 0)
        return -1;
    return ft_pool_run(r->cut->shard_count, prefix_shard, &job);
}

void ft_runner_give(struct ft_runner *r, const float *prefix)
{
    r->given = prefix;
}
