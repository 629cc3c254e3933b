/* passes.c - each tower's chunks kept while there is room, and run again where there was none. */
#include "train/passes.h"
#include "base/error.h"
#include "model/adapter.h"
#include "model/run/pager.h"
#include "model/run/runner.h"
#include "model/towers.h"
#include "train/frozen.h"

#include <stdlib.h>
#include <string.h>

struct pass {
    const struct ft_model *model;
    struct ft_runner *runner;
    struct ft_frozen *frozen;    /* or NULL */
    bool learns;                 /* something of it does, or follows the batches */
    size_t first;                /* where its parameters' gradients begin */
    const struct ft_packed *packed;
    const size_t *number;        /* of its items among all, or NULL: they are all */
    struct ft_cut cut;
    size_t kept;                 /* chunks, the first ones */
};

struct ft_passes {
    const struct ft_model *model;
    struct pass pass[FT_TOWERS];
    int count;
    bool sparing;                /* memory is short */
    struct ft_arena arena;       /* of the batch */
};

static int open_pass(struct pass *p, const struct ft_model *model, enum ft_precision precision)
{
    p->model = model;
    for (int i = 0; i < model->parameter_count; i++)
        p->learns |= !model->parameters[i].frozen || model->parameters[i].adapter;
    return (p->runner = ft_runner_open(model, FT_PLAN_TRAINING, precision)) ? 0 : -1;
}

struct ft_passes *ft_passes_open(const struct ft_model *model, enum ft_precision precision)
{
    struct ft_passes *passes = calloc(1, sizeof *passes);
    int result = 0;

    if (!passes) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    passes->model = model;
    passes->count = model->tower_count ? model->tower_count : 1;
    for (int t = 0; result == 0 && t < passes->count; t++) {
        passes->pass[t].first = model->tower_count && model->towers[t]->adapters ? model->towers[t]->adapters->first : model->tower_first[t];
        result = open_pass(&passes->pass[t], model->tower_count ? model->towers[t] : model, precision);
    }
    if (result == 0)
        return passes;
    ft_passes_close(passes);
    return NULL;
}

void ft_passes_close(struct ft_passes *passes)
{
    if (!passes)
        return;
    for (int t = 0; t < passes->count; t++) {
        ft_frozen_close(passes->pass[t].frozen);
        ft_runner_close(passes->pass[t].runner);
    }
    ft_arena_free(&passes->arena);
    free(passes);
}

/* Of two towers one may have nothing frozen. */
int ft_passes_cache(struct ft_passes *passes, size_t memory)
{
    const char *random;
    bool of_items, any = false;

    for (int t = 0; t < passes->count; t++)
        any |= ft_runner_prefix(passes->pass[t].runner, &of_items, &random) > 0;
    for (int t = 0; t < passes->count; t++) {
        struct pass *p = &passes->pass[t];

        if ((!any || ft_runner_prefix(p->runner, &of_items, &random)) && !(p->frozen = ft_frozen_open(p->runner, memory / (size_t)passes->count)))
            return passes->count == 1 || !any ? -1 : ft_error_prefix("the %s tower: ", ft_tower_name((enum ft_tower)t));
    }
    return 0;
}

static int begin_pass(struct ft_passes *passes, struct pass *p, size_t chunk, uint64_t seed, uint64_t batch)
{
    const float *prefix = NULL;

    p->kept = 0;
    if (ft_cut_make(&passes->arena, p->packed, chunk, &p->cut) < 0 || (p->frozen && !(prefix = ft_frozen_rows(p->frozen, p->packed))) ||
        ft_runner_batch(p->runner, p->packed, &p->cut, seed, batch) < 0)
        return -1;
    if (prefix)
        ft_runner_give(p->runner, prefix);
    return 0;
}

int ft_passes_begin(struct ft_passes *passes, const struct ft_packed *packed, size_t chunk, uint64_t seed, uint64_t batch)
{
    ft_arena_reset(&passes->arena);
    for (int t = 0; t < passes->count; t++) {
        struct pass *p = &passes->pass[t];
        uint64_t own = t ? seed | (uint64_t)1 << 63 : seed;   /* a run's seeds are smaller */

        p->packed = packed->towers ? &packed->towers[t] : packed;
        p->number = packed->number[t];
        if (p->packed->texts && begin_pass(passes, p, chunk, own, batch) < 0)
            return -1;
    }
    return 0;
}

/* As many chunks as there is room for; a single one is kept in any case, as it would be made again at once. Texts come first: what keeping them takes is
 * less for what running them again costs. */
static void choose_kept(struct pass *p, size_t limit, size_t *size)
{
    while (p->learns && p->kept < p->cut.chunk_count &&
           ((*size += ft_runner_kept_size(p->runner, p->kept)) <= limit || p->cut.chunk_count == 1))
        p->kept++;
}

/* The rows of the pass' items, where they are not all of the batch's. */
static float *own_rows(struct ft_passes *passes, const struct pass *p, float *all)
{
    return p->number ? ft_arena_take(&passes->arena, p->packed->texts * passes->model->dim * sizeof(float) + 1) : all;
}

/* The pixels of so many chunks, where they come by a pager. */
static int show(const struct pass *p, size_t chunk, size_t count)
{
    const struct ft_span *first = &p->cut.chunk[chunk], *last = first + count - 1;

    return p->packed->pager ? ft_pager_show(p->packed->pager, first->first, last->first + last->count - first->first) : 0;
}

/* Several at once but where memory is short of it: then each goes through alone, by segments, as those do that are kept. */
static int forward_chunks(const struct ft_passes *passes, struct pass *p, size_t chunk, size_t count, float *own)
{
    bool kept = chunk < p->kept;

    if (show(p, chunk, count) < 0)
        return -1;
    if (!kept && !passes->sparing)
        return ft_runner_forward_some(p->runner, chunk, count, own);
    if (ft_runner_forward(p->runner, chunk, count, own) < 0)
        return -1;
    if (!kept)
        ft_runner_forget(p->runner, chunk);
    return 0;
}

static int forward_pass(const struct ft_passes *passes, struct pass *p, float *own)
{
    for (size_t c = 0, count; c < p->cut.chunk_count; c += count) {
        count = (c < p->kept ? p->kept : p->cut.chunk_count) - c;
        if (p->packed->pager || (passes->sparing && c >= p->kept))
            count = 1;
        if (forward_chunks(passes, p, c, count, own) < 0)
            return -1;
    }
    if (p->packed->pager)
        ft_pager_hide(p->packed->pager);
    return 0;
}

static int forward(struct ft_passes *passes, bool keep, size_t limit, float *embedding)
{
    size_t dim = passes->model->dim, size = 0;

    for (int t = 0; t < passes->count; t++) {
        struct pass *p = &passes->pass[t];
        float *own = own_rows(passes, p, embedding);

        if (!own)
            return -1;
        if (!p->packed->texts)
            continue;
        if (keep)
            choose_kept(p, limit, &size);
        if (forward_pass(passes, p, own) < 0)
            return -1;
        if (passes->sparing)
            ft_runner_shrink(p->runner);
        for (size_t i = 0; p->number && i < p->packed->texts; i++)
            memcpy(embedding + p->number[i] * dim, own + i * dim, dim * sizeof *own);
    }
    return 0;
}

int ft_passes_forward(struct ft_passes *passes, size_t limit, float *embedding)
{
    return forward(passes, true, limit, embedding);
}

int ft_passes_forward_only(struct ft_passes *passes, float *embedding)
{
    return forward(passes, false, 0, embedding);
}

size_t ft_passes_least(const struct ft_passes *passes, size_t loss)
{
    size_t bytes = passes->sparing ? 0 : loss, items = 0, most = loss;

    for (int t = 0; t < passes->count; t++) {
        const struct pass *p = &passes->pass[t];
        size_t least;

        if (!p->packed->texts)
            continue;
        least = ft_runner_least(p->runner, p->learns, !passes->sparing);
        least += p->packed->pager ? 2 * ft_images_window(p->model) * ft_item_bytes(p->model) : 0;
        most = least > most ? least : most;
        bytes += ft_runner_standing(p->runner) + (passes->sparing ? 0 : least);
        items += (p->number ? 3 : 1) * p->packed->texts;
    }
    return bytes + (passes->sparing ? most : 0) + items * passes->model->dim * sizeof(float);
}

void ft_passes_spare(struct ft_passes *passes)
{
    passes->sparing = true;
}

/* How many chunks from c on go together, all of them kept or none. Their gradients lie side by side: about 30 KB a token for MiniLM, and of images as much as
 * what is kept of them, which is what `most` bytes bound. */
static size_t together(const struct pass *p, size_t c, size_t most)
{
    enum { TOKENS = 1024 };
    size_t count = 1, end = c < p->kept ? p->kept : p->cut.chunk_count;
    size_t tokens = ft_runner_tokens(p->runner, c), bytes = ft_runner_kept_size(p->runner, c);

    while (c + count < end && (tokens += ft_runner_tokens(p->runner, c + count)) <= TOKENS &&
           (bytes += ft_runner_kept_size(p->runner, c + count)) <= most)
        count++;
    return count;
}

static int pass_backward(struct ft_passes *passes, struct pass *p, size_t limit, const float *dembedding, float *gradient)
{
    bool all = p->kept == p->cut.chunk_count;
    float *again = all ? NULL : ft_arena_take(&passes->arena, p->packed->texts * passes->model->dim * sizeof *again);

    if (!all && !again)
        return -1;
    for (size_t c = 0, count; c < p->cut.chunk_count; c += count) {
        count = together(p, c, limit / 2);
        if ((c >= p->kept && (show(p, c, count) < 0 || ft_runner_forward(p->runner, c, count, again) < 0)) ||
            ft_runner_backward(p->runner, c, count, dembedding, gradient) < 0)
            return -1;
    }
    if (p->packed->pager)
        ft_pager_hide(p->packed->pager);
    ft_runner_follow(p->runner);
    return 0;
}

int ft_passes_backward(struct ft_passes *passes, size_t limit, const float *dembedding, float *gradient)
{
    size_t dim = passes->model->dim;

    for (int t = 0; t < passes->count; t++) {
        struct pass *p = &passes->pass[t];
        float *own = NULL;

        if (!p->packed->texts || !p->learns)
            continue;
        if (p->number && !(own = own_rows(passes, p, NULL)))
            return -1;
        for (size_t i = 0; own && i < p->packed->texts; i++)
            memcpy(own + i * dim, dembedding + p->number[i] * dim, dim * sizeof *own);
        if (pass_backward(passes, p, limit, own ? own : dembedding, gradient + p->first) < 0)
            return -1;
        if (passes->sparing)
            ft_runner_shrink(p->runner);
    }
    return 0;
}
