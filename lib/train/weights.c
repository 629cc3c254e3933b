/* weights.c - what the losses of a run learn and remember: their block, an optimizer over it, and its parts of a checkpoint. */
#include "train/weights.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdlib.h>

struct ft_weights {
    struct ft_arena arena;
    struct ft_run *run;
    struct ft_losses *losses;
    struct ft_loss_layout layout;
    struct ft_parameters parameters;
    struct ft_logits before;     /* the model's own, or how they began */
    struct ft_live *live;        /* whose the block is, or NULL: our own */
    struct ft_optimizer *optimizer;   /* NULL where nothing is learnt */
    float *gradient;             /* of a batch */
    float *sum;                  /* of the batches of a step, where there may be several; else NULL */
};

static int list_parameters(struct ft_weights *w)
{
    struct ft_parameter *list = ft_arena_zero(&w->arena, w->layout.count + 1, sizeof *list);

    if (!list)
        return -1;
    w->parameters = (struct ft_parameters){.list = list, .block_count = w->layout.floats};
    for (size_t i = 0; i < w->layout.count; i++) {
        const struct ft_loss_tensor *t = &w->layout.tensor[i];

        if (t->learnt)
            list[w->parameters.count++] = (struct ft_parameter){
                .name = t->name, .file = "", .rank = 2, .rows = t->rows, .columns = t->columns, .offset = t->first, .decay = !t->undecayed};
    }
    return 0;
}

static int make_block(struct ft_weights *w)
{
    struct ft_optimizer_settings optimizer;

    /* What a batch left behind would be in the block, and a checkpoint is of the step before it. */
    if (w->run->settings.accumulate > 1 && w->layout.floats > w->layout.learnt)
        return ft_fail(FT_USAGE, "--accumulate %" PRIu64 ": a loss of this run remembers batches, and that goes by steps of one batch",
                       w->run->settings.accumulate);
    if (ft_settings_loss_optimizer(&w->run->settings, &optimizer) < 0 || list_parameters(w) < 0)
        return -1;
    if (w->live ? ft_live_create_loss(w->run, w->live, w->layout.floats) < 0 : !(w->parameters.block = ft_parameters_zeros(&w->parameters)))
        return -1;
    if (w->live)
        w->parameters.block = w->live->loss;
    if (!w->layout.learnt)
        return 0;
    if (w->run->settings.accumulate > 1 && !(w->sum = ft_parameters_zeros(&w->parameters)))
        return -1;
    return (w->gradient = ft_parameters_zeros(&w->parameters)) && (w->optimizer = ft_optimizer_open(&w->parameters, &optimizer, NULL)) ? 0 : -1;
}

/* As they begin, then whatever the checkpoint has over them. */
static int fill_block(struct ft_weights *w, const struct ft_model *model, uint64_t batch)
{
    struct ft_logits own;
    struct ft_checkpoint_part parts[FT_WEIGHTS_PARTS];
    size_t count = ft_weights_parts(w, parts);

    if (ft_losses_begin(&w->layout, w->run->settings.seed, w->parameters.block) < 0 || ft_logits_settle(model, &own) < 0)
        return -1;
    ft_losses_begin_as(&w->layout, &own, w->parameters.block);
    ft_losses_own(&w->layout, w->parameters.block, &w->before);
    for (int i = 0; i < FT_LOGITS; i++)
        if (own.there[i])
            w->before.value[i] = own.value[i];
    for (size_t i = 0; batch && i < count; i++) {
        int found = ft_checkpoint_load_part(w->run, batch, &parts[i]);

        if (found <= 0)
            return found < 0 ? -1 : ft_fail(FT_BAD, "%s/run/checkpoints/%" PRIu64 ": has no file %s", w->run->directory, batch, parts[i].name);
    }
    if (batch && w->optimizer)
        ft_optimizer_loaded(w->optimizer);
    return 0;
}

struct ft_weights *ft_weights_open(struct ft_run *run, size_t classes, const struct ft_model *model, uint64_t batch, struct ft_live *live)
{
    struct ft_weights *w = calloc(1, sizeof *w);

    if (!w) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    w->run = run;
    w->live = live;
    if (!(w->losses = ft_losses_parse_any(&w->arena, &run->settings.loss)) ||
        ft_losses_layout(&w->arena, w->losses, classes, model->dim, &w->layout) < 0 ||
        (w->layout.floats && (make_block(w) < 0 || fill_block(w, model, batch) < 0))) {
        ft_weights_close(w);
        return NULL;
    }
    if (live && w->layout.floats)
        ft_live_publish_loss(live);
    return w;
}

void ft_weights_close(struct ft_weights *w)
{
    if (!w)
        return;
    ft_optimizer_close(w->optimizer);
    ft_parameters_zeros_free(&w->parameters, w->gradient);
    ft_parameters_zeros_free(&w->parameters, w->sum);
    if (!w->live)
        ft_parameters_zeros_free(&w->parameters, w->parameters.block);
    ft_arena_free(&w->arena);
    free(w);
}

const struct ft_loss_layout *ft_weights_layout(const struct ft_weights *w)
{
    return &w->layout;
}

float *ft_weights_gradient(struct ft_weights *w)
{
    return w->gradient;
}

void ft_weights_own(const struct ft_weights *w, struct ft_logits *own)
{
    ft_losses_own(&w->layout, w->parameters.block, own);
}

void ft_weights_own_before(const struct ft_weights *w, struct ft_logits *own)
{
    *own = w->before;
}

void ft_weights_give(struct ft_weights *w, struct ft_loss_input *input)
{
    input->classes = w->layout.classes;
    input->weights = w->parameters.block;
    input->weights_gradient = w->gradient;
}

void ft_weights_take(struct ft_weights *w)
{
    for (size_t i = 0; w->sum && i < w->layout.learnt; i++)
        w->sum[i] += w->gradient[i];
}

/* Of the step. */
static float *whole_gradient(struct ft_weights *w)
{
    return w->sum ? w->sum : w->gradient;
}

double ft_weights_square(struct ft_weights *w)
{
    return w->optimizer ? ft_optimizer_square(w->optimizer, whole_gradient(w)) : 0;
}

int ft_weights_check(const struct ft_weights *w, const struct ft_loss_input *input)
{
    return w->layout.floats ? ft_losses_memorable(w->losses, input) : 0;
}

int ft_weights_step(struct ft_weights *w, const struct ft_optimizer_how *how, const struct ft_loss_input *input)
{
    if (w->optimizer && ft_optimizer_step(w->optimizer, whole_gradient(w), how) < 0)
        return -1;
    ft_losses_bound(&w->layout, w->parameters.block);
    return w->layout.floats && input ? ft_losses_remember(w->losses, &w->layout, input, w->parameters.block) : 0;
}

size_t ft_weights_parts(struct ft_weights *w, struct ft_checkpoint_part parts[FT_WEIGHTS_PARTS])
{
    if (!w->layout.floats)
        return 0;
    parts[0] = (struct ft_checkpoint_part){"loss", w->layout.floats, 1, {w->parameters.block}};
    if (!w->optimizer)
        return 1;
    for (int i = 0; i < ft_optimizer_blocks(w->optimizer); i++)
        parts[0].block[parts[0].blocks++] = ft_optimizer_block(w->optimizer, i);
    parts[1] = (struct ft_checkpoint_part){.name = "loss-optimizer", .blocks = 1};
    parts[1].block[0] = ft_optimizer_memory(w->optimizer, &parts[1].count);
    return 2;
}
