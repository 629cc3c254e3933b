/* forward.c - forward through the steps: by shards, segment by segment where activations are kept. */
#include "model/run/running.h"
#include "base/error.h"
#include "base/pool.h"

#include <string.h>

struct ft_dropout ft_running_dropout(const struct ft_running *run, const struct ft_step *step)
{
    return (struct ft_dropout){step->rate, run->runner->seed, (uint32_t)run->runner->batch, (uint32_t)step->random};
}

float ft_running_power(const struct ft_running *run, const struct ft_step *step)
{
    const float *learnt = ft_runner_parameter(run->runner, step->weight);

    return learnt ? *learnt : run->runner->model->nodes[step->node].power;
}

struct ft_attention ft_running_attention(const struct ft_runner *r, const struct ft_step *step)
{
    struct ft_attention attention = r->model->nodes[step->node].attention;

    attention.bias = ft_runner_parameter(r, step->weight);
    return attention;
}

void ft_running_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard,
                        struct ft_worker *worker)
{
    struct ft_runner *r = run->runner;
    const struct ft_kernels *k = r->kernels;
    const struct ft_node *node = &r->model->nodes[step->node];
    const struct ft_value *value = &r->plan->values[step->out];
    size_t rows = value->of_items ? shard->rows.sequences : shard->tokens, width = value->width;
    const struct ft_dropout dropout = ft_running_dropout(run, step);
    const struct ft_rows items = ft_running_rows_in(run, step, shard, worker);
    float *y = ft_running_value(run, step->out, shard, worker);
    const float *in[3] = {NULL, NULL, NULL};
    struct ft_attention attention;

    for (int i = 0; i < step->in_count; i++)
        in[i] = ft_running_value(run, step->in[i], shard, worker);
    switch (step->kind) {
    case FT_STEP_EMBEDDING:
        k->embedding_forward(y, run->id + shard->first_token, ft_runner_parameter(r, node->parameters[0]), ft_runner_parameter(r, node->parameters[1]),
                             ft_runner_parameter(r, node->parameter_count > 2 ? node->parameters[2] : -1), &shard->rows,
                             node->first_position, width);
        break;
    case FT_STEP_LINEAR:
        k->linear_forward(y, in[0], ft_runner_parameter(r, step->weight), ft_running_packed(r, step, false), ft_runner_parameter(r, step->bias),
                          ft_running_rows(run, step->out, shard), step->inputs, step->outputs);
        break;
    case FT_STEP_NORM:
        if (node->op == FT_OP_RMS_NORM)
            k->rms_norm_forward(y, ft_running_saved(run, step, shard, 2, worker->temporary), in[0], ft_runner_parameter(r, step->weight), node->epsilon,
                                rows, width);
        else
            k->layer_norm_forward(y, ft_running_saved(run, step, shard, 2, worker->temporary), in[0], ft_runner_parameter(r, step->weight),
                                  ft_runner_parameter(r, step->bias), node->epsilon, rows, width);
        break;
    case FT_STEP_DROPOUT:
        k->dropout(y, in[0], &dropout, &items, width);
        break;
    case FT_STEP_DROPOUT_ADD:
        if (step->activation != FT_IDENTITY)
            ft_map_add(k, step->activation, y, in[0], in[1], rows * width);
        else
            k->dropout_add(y, in[0], in[1], &dropout, &items, width);
        break;
    case FT_STEP_JOIN:
        ft_rows_join(y, in, (size_t)step->in_count, rows, width / (size_t)step->in_count);
        break;
    case FT_STEP_ATTENTION:
        attention = ft_running_attention(r, step);
        k->attention_forward(y, in[0], &attention, &dropout, &shard->rows, width, worker->scratch.data);
        break;
    case FT_STEP_PROBE:
        ft_rows_repeat(y, ft_runner_parameter(r, step->weight), rows, width);
        break;
    case FT_STEP_ATTEND:
        k->attend_forward(y, in[0], in[1], node->attention.heads, &shard->rows, width, worker->scratch.data);
        break;
    case FT_STEP_ACTIVATION:
        k->activation_forward(node->activation, y, in[0], rows * width);
        break;
    case FT_STEP_MULTIPLY:
        k->multiply(y, in[0], in[1], rows * width);
        break;
    case FT_STEP_ROTARY:
        k->rotary(y, in[0], r->rotary[step->rotary].data, false, &shard->rows, node->attention.heads, width / 3);
        break;
    case FT_STEP_GATE:
        k->gate_forward(node->activation, y, in[0], rows, width);
        break;
    case FT_STEP_POOL:
        k->pool_forward(node->pooling, y, (uint32_t *)ft_running_saved(run, step, shard, width, worker->temporary), in[0], &items, width);
        break;
    case FT_STEP_GEM:
        k->gem_forward(y, in[0], ft_running_power(run, step), node->epsilon, &items, width);
        break;
    case FT_STEP_NORMALIZE:
        k->normalize_forward(y, ft_running_saved(run, step, shard, 1, worker->temporary), in[0], rows, width);
        break;
    case FT_STEP_BATCH_NORM:
        ft_norm_forward(run, step, shard, worker, y, in[0], in[1]);
        break;
    default:
        ft_map_forward(run, step, shard, worker, y, in);
        break;
    }
}

/* Steps first .. last of one shard. */
static void forward_steps(const struct ft_running *run, const struct ft_shard *shard, int worker, int first, int last)
{
    struct ft_runner *r = run->runner;
    const struct ft_plan *plan = r->plan;
    int out = plan->steps[plan->step_count - 1].out;

    if (r->given && first <= r->prefix) {
        if (last >= r->prefix)
            ft_running_take(run, shard, &r->workers[worker]);
        first = r->prefix + 1;
    }
    for (int s = first; s <= last; s++)
        ft_running_forward(run, &plan->steps[s], shard, &r->workers[worker]);
    if (last + 1 == plan->step_count)
        memcpy(run->out + (run->first_text + shard->first_text) * plan->values[out].width,
               ft_running_value(run, out, shard, &r->workers[worker]),
               shard->rows.sequences * plan->values[out].width * sizeof(float));
}

struct ft_running ft_running_start(struct ft_runner *r, size_t chunk)
{
    struct ft_span texts = r->cut->chunk[chunk];

    return (struct ft_running){
        .runner = r,
        .first_shard = r->cut->chunk_shards[chunk].first,
        .shard_count = r->cut->chunk_shards[chunk].count,
        .first_text = texts.first,
        .tokens = r->chunk_rows[chunk].tokens,
        .sequences = r->chunk_rows[chunk].sequences,
        .id = r->packed->id ? r->packed->id + r->packed->offset[texts.first] : NULL,
        .chunk = chunk,
    };
}

/* The shards of the chunks that are not kept. */
struct unkept {
    struct ft_runner *runner;
    size_t first_shard;
    float *out;
};

/* Nothing is kept, so chunks need not wait for one another. */
static int forward_any_shard(void *argument, size_t index, int worker)
{
    const struct unkept *batch = argument;
    const struct ft_shard *shard = &batch->runner->shards[batch->first_shard + index];
    struct ft_running run = ft_running_start(batch->runner, shard->chunk);

    run.out = batch->out;
    forward_steps(&run, shard, worker, 0, run.runner->plan->step_count - 1);
    return 0;
}

/* The place of a chunk's kept activations: the one it has, or a free one. */
static struct ft_kept *kept_find(struct ft_runner *r, size_t chunk)
{
    struct ft_kept *kept;

    for (size_t i = 0; i < r->kept_count; i++)
        if (r->kept[i].chunk == chunk)
            return &r->kept[i];
    for (size_t i = 0; i < r->kept_count; i++)
        if (r->kept[i].chunk == SIZE_MAX)
            return &r->kept[i];
    if (!(kept = ft_resize(r->kept, r->kept_count + 1, sizeof *kept)))
        return NULL;
    r->kept = kept;
    r->kept[r->kept_count] = (struct ft_kept){.chunk = SIZE_MAX};
    return &r->kept[r->kept_count++];
}

/* A chunk whose shards meet has to be kept for that long. */
static int forward_meeting(struct ft_runner *r, size_t chunk, size_t end, float *out)
{
    for (size_t c = chunk; c < end; c++) {
        if (ft_runner_forward(r, c, 1, out) < 0)
            return -1;
        ft_runner_forget(r, c);
    }
    return 0;
}

void ft_runner_forget(struct ft_runner *r, size_t chunk)
{
    for (size_t i = 0; i < r->kept_count; i++)
        if (r->kept[i].chunk == chunk)
            r->kept[i].chunk = SIZE_MAX;
}

int ft_runner_forward_some(struct ft_runner *r, size_t chunk, size_t count, float *out)
{
    const struct ft_span *last = &r->cut->chunk_shards[chunk + count - 1];
    struct unkept batch = {r, r->cut->chunk_shards[chunk].first, out};

    if (r->plan->moments)
        return forward_meeting(r, chunk, chunk + count, out);
    if (ft_runner_pack(r, r->given ? r->prefix + 1 : 0, r->plan->step_count - 1, false, r->packed->offset[r->packed->texts]) < 0)
        return -1;
    return ft_pool_run(last->first + last->count - batch.first_shard, forward_any_shard, &batch);
}

int ft_runner_forward_only(struct ft_runner *r, size_t chunk, float *out)
{
    if (!r->settled)
        ft_runner_unpack(r);
    return ft_runner_forward_some(r, chunk, r->cut->chunk_count - chunk, out);
}

struct ft_running *ft_group_run(const struct ft_group *group, const struct ft_shard *shard)
{
    return &group->run[shard->chunk - group->chunk];
}

int ft_group_start(struct ft_runner *r, size_t chunk, size_t count, bool backward, struct ft_group *group)
{
    *group = (struct ft_group){.runner = r, .chunk = chunk, .count = count, .first_shard = r->cut->chunk_shards[chunk].first};
    if (!(group->run = ft_arena_take(&r->batch_arena, count * sizeof *group->run)))
        return -1;
    for (size_t c = 0; c < count; c++) {
        struct ft_running run = ft_running_start(r, chunk + c);
        struct ft_kept *kept = kept_find(r, chunk + c);

        if (!kept)
            return -1;
        if (backward && kept->chunk != chunk + c)
            return ft_fail(FT_SYSTEM, "backward of chunk %zu, which is not kept", chunk + c);
        if (!backward && !ft_floats_reserve(&kept->floats, ft_runner_kept_size(r, chunk + c) / sizeof(float) + 16))
            return -1;
        kept->chunk = backward ? SIZE_MAX : chunk + c;
        run.keep = true;
        run.mix_chunk = chunk;
        run.mix_shard = group->first_shard;
        run.backward = backward;
        run.kept = kept->floats.data;
        run.kept_item = run.kept + r->plan->kept_width * run.tokens;
        group->run[c] = run;
        group->shard_count += run.shard_count;
        group->tokens += run.tokens;
    }
    ft_runner_unpack(r);
    return 0;
}

static int forward_segment_shard(void *argument, size_t index, int number)
{
    const struct ft_group *group = argument;
    struct ft_runner *r = group->runner;
    const struct ft_shard *shard = &r->shards[group->first_shard + index];
    const struct ft_running *run = ft_group_run(group, shard);
    const struct ft_step *next = group->last + 1 < r->plan->step_count ? &r->plan->steps[group->last + 1] : NULL;

    for (size_t i = 0; i < ft_segment_parts(group->segment, shard); i++) {
        struct ft_shard part = ft_segment_part(group->segment, shard, i);

        forward_steps(run, &part, number, group->first, group->last);
        if (next && next->meets)
            ft_norm_sum(run, next, &part, &r->workers[number]);
    }
    return 0;
}

/* Shards meet before a batch norm that goes by the chunk's statistics. */
static int forward_segment(struct ft_group *group, const struct ft_segment *segment)
{
    const struct ft_step *steps = group->runner->plan->steps;

    for (group->first = segment->first; group->first <= segment->last; group->first = group->last + 1) {
        for (group->last = group->first; group->last < segment->last && !steps[group->last + 1].meets; group->last++)
            ;
        if (steps[group->first].meets)
            ft_group_moments(group, &steps[group->first]);
        if (ft_group_clear_sums(group) < 0 || ft_pool_run(group->shard_count, forward_segment_shard, group) < 0)
            return -1;
    }
    return 0;
}

/* Segment by segment, so that no more than one segment's weights lie packed. */
int ft_runner_forward(struct ft_runner *r, size_t chunk, size_t count, float *out)
{
    struct ft_group group;

    if (ft_group_start(r, chunk, count, false, &group) < 0)
        return -1;
    for (size_t c = 0; c < count; c++)
        group.run[c].out = out;
    for (int s = 0; s < r->plan->segment_count; s++) {
        bool given = r->given && r->plan->segments[s].last <= r->prefix;

        group.segment = &r->plan->segments[s];
        if (given && group.segment->last < r->prefix)
            continue;
        if ((!given && ft_runner_pack(r, group.segment->first, group.segment->last, false, group.tokens) < 0) || forward_segment(&group, group.segment) < 0)
            return -1;
    }
    return 0;
}
