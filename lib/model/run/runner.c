/* runner.c - a runner's buffers, and a batch laid out in them; forward.c and backward.c run it. */
#include "model/run/runner.h"
#include "base/error.h"
#include "base/pool.h"
#include "model/run/running.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE = 8 << 20, LARGE_PAGE = 2 << 20 };

float *ft_floats_reserve(struct ft_floats *floats, size_t count)
{
    if (count > floats->capacity) {
        free(floats->data);
        floats->capacity = 0;
        /* Somewhat more than asked, as the next batch may be a little larger; 64 bytes for the vector units, and large buffers in large
         * pages, which cost a fraction of the faults. */
        count = (count + count / 8 + 15) / 16 * 16;
        if (count * sizeof(float) >= LARGE)
            count = (count * sizeof(float) + LARGE_PAGE - 1) / LARGE_PAGE * (LARGE_PAGE / sizeof(float));
        if (!(floats->data = aligned_alloc(count * sizeof(float) >= LARGE ? LARGE_PAGE : 64, count * sizeof(float)))) {
            ft_fail(FT_SYSTEM, "out of memory for %zu bytes of activations", count * sizeof(float));
            return NULL;
        }
        if (count * sizeof(float) >= LARGE)
            madvise(floats->data, count * sizeof(float), MADV_HUGEPAGE);
        floats->capacity = count;
    }
    return floats->data ? floats->data : (floats->data = aligned_alloc(64, 64));
}

struct ft_runner *ft_runner_open(const struct ft_model *model, int flags, enum ft_precision precision)
{
    struct ft_runner *r = calloc(1, sizeof *r);

    if (!r) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    r->model = model;
    r->kernels = ft_kernels_cpu(precision);
    r->worker_count = ft_pool_threads();
    r->workers = calloc((size_t)r->worker_count, sizeof *r->workers);
    if (!r->workers || !(r->plan = ft_plan_make(&r->arena, model, flags))) {
        if (!r->workers)
            ft_fail(FT_SYSTEM, "out of memory");
        ft_runner_close(r);
        return NULL;
    }
    for (int i = 0; i < r->worker_count; i++)
        if (!(r->workers[i].written = ft_arena_zero(&r->arena, (size_t)r->plan->value_count, sizeof(bool)))) {
            ft_runner_close(r);
            return NULL;
        }
    /* A library's products give an item other bits alone than among others, and what is not kept goes through by shards. */
    for (int g = 0; g < r->plan->segment_count; g++)
        r->plan->segments[g].by_items &= r->kernels->linear_pack != NULL;
    r->prefix = ft_plan_prefix(r->plan);
    return r;
}

static void free_kept(struct ft_runner *r)
{
    for (size_t i = 0; i < r->kept_count; i++)
        free(r->kept[i].floats.data);
    free(r->kept);
    r->kept = NULL;
    r->kept_count = 0;
}

void ft_runner_close(struct ft_runner *r)
{
    if (!r)
        return;
    for (int i = 0; r->workers && i < r->worker_count; i++) {
        free(r->workers[i].slots.data);
        free(r->workers[i].scratch.data);
        free(r->workers[i].columns.data);
        free(r->workers[i].offset);
    }
    ft_rotary_free(r);
    free(r->workers);
    free_kept(r);
    free(r->gradient.data);
    free(r->weights.floats.data);
    free(r->operands.data);
    free(r->narrow.data);
    free(r->moments.data);
    free(r->mix.data);
    free(r->sums);
    ft_arena_free(&r->batch_arena);
    ft_arena_free(&r->arena);
    free(r);
}

/* Offsets of every shard's texts, counted from the shard's first token, and the texts' numbers in the batch. */
static int lay_out_shards(struct ft_runner *r)
{
    const struct ft_packed *packed = r->packed;
    const struct ft_cut *cut = r->cut;
    uint32_t *number = ft_arena_take(&r->batch_arena, (packed->texts + 1) * sizeof *number);
    uint32_t *offset = ft_arena_take(&r->batch_arena, (packed->texts + cut->shard_count + 1) * sizeof *offset);

    r->shards = ft_arena_zero(&r->batch_arena, cut->shard_count + 1, sizeof *r->shards);
    r->chunk_rows = ft_arena_zero(&r->batch_arena, cut->chunk_count + 1, sizeof *r->chunk_rows);
    if (!number || !offset || !r->shards || !r->chunk_rows)
        return -1;
    for (size_t i = 0; i <= packed->texts; i++)
        number[i] = (uint32_t)i;
    for (size_t c = 0; c < cut->chunk_count; c++) {
        struct ft_span texts = cut->chunk[c];
        uint32_t chunk_start = packed->offset[texts.first];

        r->chunk_rows[c].sequences = texts.count;
        r->chunk_rows[c].tokens = packed->offset[texts.first + texts.count] - chunk_start;
        for (size_t s = cut->chunk_shards[c].first; s < cut->chunk_shards[c].first + cut->chunk_shards[c].count; s++) {
            struct ft_span span = cut->shard[s];
            struct ft_shard *shard = &r->shards[s];

            shard->rows = (struct ft_rows){span.count, offset, number + span.first, packed->second ? packed->second + span.first : NULL};
            shard->number = s;
            shard->chunk = c;
            shard->first_token = packed->offset[span.first] - chunk_start;
            shard->first_text = span.first - texts.first;
            shard->tokens = packed->offset[span.first + span.count] - packed->offset[span.first];
            for (size_t i = 0; i <= span.count; i++)
                *offset++ = packed->offset[span.first + i] - packed->offset[span.first];
        }
    }
    return 0;
}

static void raise_to(size_t *most, size_t value)
{
    *most = value > *most ? value : *most;
}

/* Floats of slot i. */
static size_t slot_size(const struct ft_runner *r, int i)
{
    size_t tokens = r->plan->slot_width[i] * r->cut->most_shard_tokens, items = r->plan->slot_item_width[i] * r->cut->most_shard_texts;

    return ((tokens > items ? tokens : items) + 15) / 16 * 16;
}

static int reserve_worker(struct ft_runner *r, struct ft_worker *worker)
{
    const struct ft_plan *plan = r->plan;
    size_t slots = 0, scratch = 0, widest = plan->widest * (r->cut->most_shard_tokens + 1), channels = 0;

    for (int i = 0; i < plan->slot_count; i++)
        slots += slot_size(r, i);
    for (int s = 0; s < plan->step_count; s++) {
        const struct ft_step *step = &plan->steps[s];
        const struct ft_node *node = &r->model->nodes[step->node];

        if (step->kind == FT_STEP_ATTENTION)
            raise_to(&scratch, ft_attention_scratch(r->cut->longest, node->attention.heads, node->width));
        raise_to(&scratch, step->kind == FT_STEP_ATTEND ? 2 * r->cut->longest : 0);
        if (step->kind == FT_STEP_BATCH_NORM)
            raise_to(&channels, node->width);
        raise_to(&scratch, ft_map_scratch(r, step));
    }
    raise_to(&widest, plan->widest_item * (r->cut->most_shard_texts + 1));
    scratch = (scratch + 15) / 16 * 16;
    if (!ft_floats_reserve(&worker->slots, slots + 16) || !ft_floats_reserve(&worker->scratch, scratch + 16 + widest) ||
        !ft_floats_reserve(&worker->columns, 5 * channels))
        return -1;
    free(worker->offset);
    worker->offset_step = 0;
    worker->items = r->cut->most_shard_texts;
    if (!(worker->offset = ft_resize(NULL, r->cut->most_shard_texts + 1, sizeof *worker->offset)))
        return -1;
    worker->temporary = worker->scratch.data + scratch;
    return 0;
}

void ft_runner_settle(struct ft_runner *r)
{
    r->settled = true;
}

int ft_runner_batch(struct ft_runner *r, const struct ft_packed *packed, const struct ft_cut *cut,
                    uint64_t seed, uint64_t batch)
{
    ft_arena_reset(&r->batch_arena);
    r->given = NULL;
    r->packed = packed;
    r->cut = cut;
    r->seed = seed;
    r->batch = batch;
    if (!r->settled)
        ft_runner_unpack(r);
    for (size_t i = 0; i < r->kept_count; i++)
        r->kept[i].chunk = SIZE_MAX;
    if (lay_out_shards(r) < 0 || ft_rotary_reserve(r) < 0 || !ft_floats_reserve(&r->moments, r->plan->moments * cut->chunk_count))
        return -1;
    for (int i = 0; i < r->worker_count; i++)
        if (reserve_worker(r, &r->workers[i]) < 0)
            return -1;
    return 0;
}

const struct ft_model *ft_runner_model(const struct ft_runner *r)
{
    return r->model;
}

size_t ft_runner_tokens(const struct ft_runner *r, size_t chunk)
{
    return r->chunk_rows[chunk].tokens;
}

size_t ft_runner_kept_size(const struct ft_runner *r, size_t chunk)
{
    return (r->plan->kept_width * r->chunk_rows[chunk].tokens +
            r->plan->kept_item_width * r->chunk_rows[chunk].sequences) * sizeof(float);
}

float *ft_running_value(const struct ft_running *run, int value, const struct ft_shard *shard, const struct ft_worker *worker)
{
    const struct ft_value *v = &run->runner->plan->values[value];
    size_t first = v->of_items ? shard->first_text : shard->first_token;

    if (run->keep && !(v->recomputed && !run->backward))
        return (v->of_items ? run->kept_item + v->kept * run->sequences : run->kept + v->kept * run->tokens) +
               first * v->width;
    {
        float *slot = worker->slots.data;

        for (int i = 0; i < v->slot; i++)
            slot += slot_size(run->runner, i);
        return slot;
    }
}

float *ft_running_saved(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, size_t floats,
                        float *otherwise)
{
    if (!run->keep)
        return otherwise;
    return run->runner->plan->values[step->out].of_items
               ? run->kept_item + step->saved * run->sequences + shard->first_text * floats
               : run->kept + step->saved * run->tokens + shard->first_token * floats;
}
