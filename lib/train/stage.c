/* stage.c - forward in training mode, on parameters that another process updates between batches. */
#include "train/stage.h"
#include "base/error.h"
#include "train/inputs.h"
#include "train/passes.h"

#include <stdlib.h>

struct ft_stage {
    struct ft_run *run;
    struct ft_model *model;
    struct ft_passes *passes;
    struct ft_live live;
    struct ft_progress start, seen;
};

struct ft_stage *ft_stage_open(struct ft_run *run, int output, void (*waiting)(void *), void *argument)
{
    struct ft_stage *s = calloc(1, sizeof *s);
    enum ft_precision precision;

    if (!s) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    s->run = run;
    if (ft_precision_parse(&precision, run->settings.precision) == 0 &&
        (s->model = ft_model_open_nodes(run->settings.model)) && ft_settings_freeze(&run->settings, s->model) == 0 &&
        (s->passes = ft_passes_open(s->model, precision)) &&
        ft_live_attach(run, s->model->block_count, output, waiting, argument, &s->live, &s->start) == 0) {
        ft_model_use_block(s->model, s->live.block);
        return s;
    }
    ft_stage_close(s);
    return NULL;
}

void ft_stage_close(struct ft_stage *s)
{
    if (!s)
        return;
    ft_passes_close(s->passes);
    if (s->model)
        ft_model_use_block(s->model, NULL);
    ft_model_close(s->model);
    ft_live_close(&s->live);
    free(s);
}

const struct ft_model *ft_stage_model(const struct ft_stage *s)
{
    return s->model;
}

const struct ft_settings *ft_stage_settings(const struct ft_stage *s)
{
    return &s->run->settings;
}

int ft_stage_skip(struct ft_stage *s, const struct ft_batch *batch)
{
    return ft_progress_skip(&s->start, &s->seen, batch);
}

int ft_stage_encode(struct ft_stage *s, struct ft_arena *arena, const struct ft_batch *batch, struct ft_packed *packed)
{
    return ft_inputs_encode(arena, s->model, &s->run->settings, batch, packed);
}

int ft_stage_embed(struct ft_stage *s, struct ft_arena *arena, const struct ft_batch *batch, int output,
                   const struct ft_packed *packed, float **embedding)
{
    const struct ft_settings *settings = &s->run->settings;

    if (!(*embedding = ft_arena_take(arena, batch->items * s->model->dim * sizeof **embedding)) ||
        ft_passes_begin(s->passes, packed, (size_t)settings->chunk, settings->seed, batch->number) < 0 ||
        ft_live_wait(s->run, &s->live, batch->number - 1, output) < 0)
        return -1;
    return ft_passes_forward_only(s->passes, *embedding);
}
