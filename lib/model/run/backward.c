/* backward.c - gradients through a kept chunk: by shards inside a segment, then the segment's parameters by slices over the whole chunk. */
#include "base/error.h"
#include "base/pool.h"
#include "model/run/running.h"

#include <string.h>

float *ft_running_gradient(const struct ft_running *run, int value, const struct ft_shard *shard)
{
    const struct ft_value *v = &run->runner->plan->values[value];

    return v->of_items ? run->dvalue_item + v->gradient * run->sequences + shard->first_text * v->width
                     : run->dvalue + v->gradient * run->tokens + shard->first_token * v->width;
}

/* A value read by several steps gets the sum of their gradients: the first one found writes, the others add through the worker's temporary. */
struct target {
    float *where, *sum;
    const float *handed;         /* what another step found, and left where it is; then there is no sum */
    size_t count;
};

static struct target aim(const struct ft_running *run, const struct ft_step *step, int value, const struct ft_shard *shard, bool *written,
                         const struct ft_worker *worker)
{
    const struct ft_plan *plan = run->runner->plan;
    const struct ft_value *v = &plan->values[value];
    size_t rows = v->of_items ? shard->rows.sequences : shard->tokens;
    struct target target = {ft_running_gradient(run, value, shard), NULL, NULL, rows * v->width};

    if (!v->needs_gradient)
        target.where = NULL;
    else if (v->handed >= 0 && v->onto == step - plan->steps)
        target.handed = ft_running_gradient(run, v->handed, shard);
    else if (written[value]) {
        target.sum = target.where;
        target.where = worker->temporary;
    }
    written[value] = true;
    return target;
}

static void hit(const struct ft_kernels *k, struct target target)
{
    if (target.sum)
        k->add(target.sum, target.where, target.count);
    if (target.handed)
        k->add(target.where, target.handed, target.count);
}

float *ft_running_learnt(const struct ft_running *run, int number)
{
    const struct ft_parameter *p = number < 0 ? NULL : &run->runner->model->parameters[number];

    return p && ft_parameter_learns(p) ? run->gradient + p->offset : NULL;
}

/* The items' parts of the gradient of a table of biases, from the chunk's item `first`; NULL where it does not learn. */
static float *bias_parts(const struct ft_running *run, int parameter, size_t first)
{
    const struct ft_plan *plan = run->runner->plan;

    for (int i = 0; i < plan->bias_count; i++)
        if (plan->biases[i].parameter == parameter)
            return run->dvalue_item + plan->biases[i].gradient * run->sequences + first * plan->biases[i].size;
    return NULL;
}

static void step_backward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker, bool *written)
{
    struct ft_runner *r = run->runner;
    const struct ft_kernels *k = r->kernels;
    const struct ft_node *node = &r->model->nodes[step->node];
    const struct ft_value *value = &r->plan->values[step->out];
    size_t rows = value->of_items ? shard->rows.sequences : shard->tokens, width = value->width;
    const struct ft_dropout dropout = ft_running_dropout(run, step);
    const struct ft_rows items = ft_running_rows_in(run, step, shard, worker);
    const float *block = r->model->block, *dy = ft_running_gradient(run, step->out, shard);
    const float *x = step->in_count ? ft_running_value(run, step->in[0], shard, worker) : NULL;
    const float *y = ft_running_value(run, step->out, shard, worker);
    struct ft_attention attention;

    if (step->kind == FT_STEP_BATCH_NORM && !step->meets)
        ft_norm_backward_activation(run, step, shard, worker);
    if (step->kind == FT_STEP_DROPOUT_ADD && step->activation != FT_IDENTITY)
        k->activation_backward(step->activation, ft_running_gradient(run, step->out, shard), dy, y, rows * width);
    if (step->kind == FT_STEP_CONVOLUTION || step->kind == FT_STEP_DEPTHWISE)
        ft_folded_backward(run, step, shard, worker);
    for (int i = 0; i < step->in_count; i++) {
        struct target target = aim(run, step, step->in[i], shard, written, worker);
        float *dx = target.where;

        if (!dx && step->kind == FT_STEP_ATTENTION)
            dx = worker->temporary;   /* for the biases' sake */
        if (!dx)
            continue;
        if (i == 1 && ft_step_adds(step)) {
            if (r->plan->values[step->in[i]].handed != step->out)
                memcpy(dx, dy, rows * width * sizeof(float));
            hit(k, target);
            continue;
        }
        switch (step->kind) {
        case FT_STEP_EMBEDDING:
            break;
        case FT_STEP_LINEAR:
            k->linear_backward(dx, dy, block + r->model->parameters[step->weight].offset,
                               ft_running_packed(r, step, true), rows * value->positions, step->inputs, step->outputs);
            break;
        case FT_STEP_NORM:
            (node->op == FT_OP_RMS_NORM ? k->rms_norm_backward : k->layer_norm_backward)(
                dx, dy, x, ft_running_saved(run, step, shard, 2, NULL), block + r->model->parameters[step->weight].offset, rows, width);
            break;
        case FT_STEP_DROPOUT:
            k->dropout(dx, dy, &dropout, &items, width);
            break;
        case FT_STEP_DROPOUT_ADD:
            if (step->rate > 0)
                k->dropout(dx, dy, &dropout, &items, width);
            else if (dx != dy)
                memcpy(dx, dy, rows * width * sizeof(float));
            break;
        case FT_STEP_JOIN:
            ft_rows_split(dx, dy, (size_t)step->in_count, rows, width / (size_t)step->in_count, (size_t)i);
            break;
        case FT_STEP_ATTENTION:
            attention = ft_running_attention(r, step);
            k->attention_backward(dx, bias_parts(run, step->weight, shard->first_text), dy, x, &attention, &dropout, &shard->rows, width, worker->scratch.data);
            break;
        case FT_STEP_ATTEND:
            k->attend_backward(i ? NULL : dx, i ? dx : NULL, dy, x, ft_running_value(run, step->in[1], shard, worker), node->attention.heads, &shard->rows,
                               width, worker->scratch.data);
            break;
        case FT_STEP_ROTARY:
            k->rotary(dx, dy, r->rotary[step->rotary].data, true, &shard->rows, node->attention.heads, width / 3);
            break;
        case FT_STEP_GATE:
            k->gate_backward(node->activation, dx, dy, x, rows, width);
            break;
        case FT_STEP_ACTIVATION:
            if (value->late)
                k->activation_again(node->activation, ft_running_value(run, step->out, shard, worker), dx, dy, x, rows * width);
            else
                k->activation_backward(node->activation, dx, dy, ft_step_told_by_output(r->model, step) ? y : x, rows * width);
            break;
        case FT_STEP_MULTIPLY:
            k->multiply(dx, dy, ft_running_value(run, step->in[1 - i], shard, worker), rows * width);
            break;
        case FT_STEP_POOL:
            k->pool_backward(node->pooling, dx, dy, (uint32_t *)ft_running_saved(run, step, shard, width, NULL), &items, width);
            break;
        case FT_STEP_GEM:
            k->gem_backward(dx, dy, ft_running_value(run, step->out, shard, worker), x, ft_running_power(run, step), node->epsilon,
                            &items, width);
            break;
        case FT_STEP_NORMALIZE:
            k->normalize_backward(dx, dy, y, ft_running_saved(run, step, shard, 1, NULL), rows, width);
            break;
        case FT_STEP_BATCH_NORM:
            ft_norm_backward(run, step, shard, worker, dx);
            break;
        default:
            ft_map_backward(run, step, shard, worker, i, dx);
            break;
        }
        hit(k, target);
    }
}

/* Which gradients the steps of the segment after step s have begun. */
static void find_written(const struct ft_plan *plan, const struct ft_segment *segment, int s, bool *written)
{
    memset(written, 0, (size_t)plan->value_count * sizeof *written);
    while (++s <= segment->last)
        for (int k = 0; k < plan->steps[s].in_count && plan->values[plan->steps[s].out].needs_gradient; k++)
            written[plan->steps[s].in[k]] = true;
}

static void segment_part(const struct ft_group *group, const struct ft_running *run, const struct ft_shard *shard, struct ft_worker *worker)
{
    struct ft_runner *r = group->runner;

    find_written(r->plan, group->segment, group->last, worker->written);
    for (int s = group->last; s >= group->first; s--) {
        const struct ft_step *step = &r->plan->steps[s];
        const struct ft_value *out = &r->plan->values[step->out];

        if (out->recomputed && !out->late && !out->unread)
            ft_running_forward(run, step, shard, worker);
        if (group->halts && s == group->first)
            ft_norm_backward_activation(run, step, shard, worker);
        else if (out->needs_gradient)
            step_backward(run, step, shard, worker, worker->written);
    }
}

static int segment_shard(void *argument, size_t index, int number)
{
    const struct ft_group *group = argument;
    struct ft_runner *r = group->runner;
    const struct ft_shard *shard = &r->shards[group->first_shard + index];

    for (size_t i = 0; i < ft_segment_parts(group->segment, shard); i++) {
        struct ft_shard part = ft_segment_part(group->segment, shard, i);

        segment_part(group, ft_group_run(group, shard), &part, &r->workers[number]);
    }
    return 0;
}

/* A batch norm that goes by the chunk's statistics ends a stretch with its first half, and begins the next one with its second. */
static int backward_segment(struct ft_group *group)
{
    const struct ft_plan *plan = group->runner->plan;
    int s = group->last = group->segment->last;

    if (ft_group_clear_sums(group) < 0)
        return -1;
    for (;; s--) {
        while (s >= group->segment->first && !(plan->steps[s].meets && plan->values[plan->steps[s].out].needs_gradient))
            s--;
        group->halts = s >= group->segment->first;
        group->first = group->halts ? s : group->segment->first;
        if (ft_pool_run(group->shard_count, segment_shard, group) < 0)
            return -1;
        if (!group->halts)
            return 0;
        if (ft_group_mix(group, &plan->steps[s]) < 0)
            return -1;
        group->last = s;
    }
}

/* What lies in a table, or goes through a pooling, is taken shard by shard, as rows have to be told apart; in their order. */
static void slice_of_shard(const struct ft_running *run, const struct ft_step *step, const struct ft_slice *slice, const struct ft_shard *shard,
                           struct ft_worker *worker)
{
    struct ft_runner *r = run->runner;
    const struct ft_node *node = &r->model->nodes[step->node];
    const float *dy = ft_running_gradient(run, step->out, shard);
    const struct ft_rows rows = ft_running_rows_in(run, step, shard, worker);

    if (step->kind == FT_STEP_GEM)
        r->kernels->gem_gradient(ft_running_learnt(run, step->weight), dy, ft_running_value(run, step->out, shard, worker),
                                 ft_running_value(run, step->in[0], shard, worker), ft_running_power(run, step), node->epsilon, &rows,
                                 r->plan->values[step->out].width);
    else
        r->kernels->embedding_gradient(ft_running_learnt(run, node->parameters[0]), ft_running_learnt(run, node->parameters[1]),
                                       ft_running_learnt(run, node->parameter_count > 2 ? node->parameters[2] : -1), dy,
                                       run->id + shard->first_token, &rows, node->first_position,
                                       r->plan->values[step->out].width, slice->from, slice->to);
}

static void slice_of_chunk(const struct ft_running *run, const struct ft_slice *slice, int worker)
{
    struct ft_runner *r = run->runner;
    const struct ft_step *step = &r->plan->steps[slice->step];
    const struct ft_value *value = &r->plan->values[step->out];
    const struct ft_shard whole = {.first_token = 0};   /* rows from the chunk's first */
    size_t rows = ft_running_chunk_rows(run, step->out);
    float *dw = ft_running_learnt(run, step->weight), *db = ft_running_learnt(run, step->bias);
    const float *dy = ft_running_gradient(run, step->out, &whole);
    const float *x = step->in_count ? ft_running_value(run, step->in[0], &whole, &r->workers[worker]) : NULL;

    if (slice->part)
        ft_running_part_slice(run, slice, worker);
    else if (step->kind == FT_STEP_LINEAR)
        r->kernels->linear_gradient(dw, db, dy, x, ft_running_operand(run, step, true),
                                    ft_running_operand(run, step, false), rows, step->inputs, step->outputs,
                                    slice->from, slice->to);
    else if (step->kind == FT_STEP_BATCH_NORM)
        ft_norm_slice(run, slice, dw, db);
    else if (step->kind == FT_STEP_CONVOLUTION || step->kind == FT_STEP_DEPTHWISE || step->kind == FT_STEP_TOKENS)
        ft_map_slice(run, slice, &r->workers[worker]);
    else if (step->kind == FT_STEP_PROBE)
        ft_rows_sum(dw, dy, rows, value->width, slice->from, slice->to);
    else if (step->kind == FT_STEP_NORM)
        r->kernels->layer_norm_gradient(dw, db, dy, x, ft_running_saved(run, step, &whole, 2, NULL), rows, value->width,
                                        slice->from, slice->to);
    else
        for (size_t i = 0; i < run->shard_count; i++)
            slice_of_shard(run, step, slice, &r->shards[run->first_shard + i], &r->workers[worker]);
}

/* Chunks in their order, so that sums are the same however many go together. */
static int step_slice(void *argument, size_t index, int worker)
{
    const struct ft_group *group = argument;

    for (size_t c = 0; c < group->count; c++)
        slice_of_chunk(&group->run[c], &group->runner->plan->slices[group->slice + (int)index], worker);
    return 0;
}

/* The gradients of a segment's parameters, step by step, so that no more than one step's operands lie packed. */
static int segment_gradients(struct ft_group *group)
{
    const struct ft_plan *plan = group->runner->plan;
    int end = group->segment->slice + group->segment->slice_count;

    for (int s = group->segment->slice, count; s < end; s += count) {
        for (count = 1; s + count < end && plan->slices[s + count].step == plan->slices[s].step; count++)
            ;
        group->slice = s;
        group->step = &plan->steps[plan->slices[s].step];
        if (ft_group_pack_operands(group) < 0 || ft_group_narrow(group) < 0 || ft_pool_run((size_t)count, step_slice, group) < 0)
            return -1;
    }
    return 0;
}

/* Places of the gradients of all chunks' values, and in them those of the embeddings. */
static int start_gradients(struct ft_runner *r, struct ft_group *group, const float *dout, float *gradient)
{
    const struct ft_plan *plan = r->plan;
    const struct ft_value *last = &plan->values[plan->steps[plan->step_count - 1].out];
    size_t size = 0;

    for (size_t c = 0; c < group->count; c++)
        size += plan->gradient_width * group->run[c].tokens + plan->gradient_item_width * group->run[c].sequences + 16;
    if (!ft_floats_reserve(&r->gradient, size))
        return -1;
    size = 0;
    for (size_t c = 0; c < group->count; c++) {
        struct ft_running *run = &group->run[c];

        run->dvalue = r->gradient.data + size;
        run->dvalue_item = run->dvalue + plan->gradient_width * run->tokens;
        run->gradient = gradient;
        for (int i = 0; i < plan->bias_count; i++)
            memset(bias_parts(run, plan->biases[i].parameter, 0), 0, run->sequences * plan->biases[i].size * sizeof(float));
        size += (plan->gradient_width * run->tokens + plan->gradient_item_width * run->sequences + 15) / 16 * 16;
        memcpy(run->dvalue_item + last->gradient * run->sequences, dout + run->first_text * last->width,
               run->sequences * last->width * sizeof(float));
    }
    return 0;
}

/* The parts of all items, in their order. */
static void bias_gradients(const struct ft_running *run)
{
    const struct ft_plan *plan = run->runner->plan;

    for (int i = 0; i < plan->bias_count; i++) {
        const float *part = bias_parts(run, plan->biases[i].parameter, 0);

        for (size_t s = 0; s < run->sequences; s++)
            run->runner->kernels->add(ft_running_learnt(run, plan->biases[i].parameter), part + s * plan->biases[i].size, plan->biases[i].size);
    }
}

int ft_runner_backward(struct ft_runner *r, size_t chunk, size_t count, const float *dout, float *gradient)
{
    const struct ft_plan *plan = r->plan;
    struct ft_group group;
    int lowest = 0;

    if (ft_group_start(r, chunk, count, true, &group) < 0 || start_gradients(r, &group, dout, gradient) < 0)
        return -1;
    /* Segments below the lowest one that has something to learn are frozen whole: no backward there. */
    while (lowest < plan->segment_count && !plan->segments[lowest].slice_count && !plan->segments[lowest].biases)
        lowest++;
    for (int s = plan->segment_count - 1; s >= lowest; s--) {
        group.segment = &plan->segments[s];
        if (ft_runner_pack(r, group.segment->first, group.segment->last, true, group.tokens) < 0 ||
            backward_segment(&group) < 0 || segment_gradients(&group) < 0)
            return -1;
    }
    for (size_t c = 0; c < count; c++)
        bias_gradients(&group.run[c]);
    for (int i = 0; i < plan->inert_count; i++)
        memset(gradient + plan->inert[i].offset, 0, plan->inert[i].count * sizeof *gradient);
    return 0;
}
