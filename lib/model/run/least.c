/* least.c - the memory without which a batch cannot go through a runner. */
#include "model/run/running.h"

#include <stdlib.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t packed(const struct ft_runner *r, bool learns, bool whole)
{
    const struct ft_plan *plan = r->plan;
    size_t most = whole ? ft_runner_packed_size(r, r->given ? r->prefix + 1 : 0, plan->step_count - 1, false) : 0;

    for (int g = 0; g < plan->segment_count; g++)
        for (int transposed = 0; transposed <= learns; transposed++)
            most = larger(most, ft_runner_packed_size(r, plan->segments[g].first, plan->segments[g].last, transposed));
    return most;
}

/* Activations, gradients of values and operands of a chunk. */
static size_t of_chunk(struct ft_runner *r, size_t chunk)
{
    const struct ft_running run = ft_running_start(r, chunk);
    const struct ft_plan *plan = r->plan;

    return ft_runner_kept_size(r, chunk) / sizeof(float) + plan->gradient_width * run.tokens + plan->gradient_item_width * run.sequences +
           ft_running_operands_size(&run);
}

size_t ft_runner_least(struct ft_runner *r, bool learns, bool whole)
{
    size_t most = 0;

    for (size_t c = 0; c < r->cut->chunk_count && (learns || r->plan->moments || !whole); c++)
        most = larger(most, learns ? of_chunk(r, c) : ft_runner_kept_size(r, c) / sizeof(float));
    return (packed(r, learns, whole) + most) * sizeof(float);
}

size_t ft_runner_standing(const struct ft_runner *r)
{
    size_t floats = 0;

    for (int i = 0; i < r->worker_count; i++)
        floats += r->workers[i].slots.capacity + r->workers[i].scratch.capacity + r->workers[i].columns.capacity;
    return floats * sizeof(float);
}

static void let_go(struct ft_floats *floats)
{
    free(floats->data);
    *floats = (struct ft_floats){NULL, 0};
}

void ft_runner_shrink(struct ft_runner *r)
{
    for (size_t i = 0; i < r->kept_count; i++)
        if (r->kept[i].chunk == SIZE_MAX)
            let_go(&r->kept[i].floats);
    let_go(&r->gradient);
    let_go(&r->operands);
    let_go(&r->weights.floats);
    ft_runner_unpack(r);
}
