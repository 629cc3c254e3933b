/* loss-stage.c - ft-loss in a run: what the losses learn lies in a block that ft-update changes between batches. */
#include "base/error.h"
#include "train/stage.h"

#include <stdlib.h>

struct ft_loss_stage {
    struct ft_arena arena;
    struct ft_run *run;
    size_t classes;
    int output;
    void (*waiting)(void *);
    void *argument;
    struct ft_losses *losses;
    struct ft_loss_layout layout;   /* from the first batch on, which says the dimensions */
    bool laid_out;
    struct ft_live live;
    struct ft_progress start, seen;
    float *gradient;
};

struct ft_loss_stage *ft_loss_stage_open(struct ft_run *run, size_t classes, int output, void (*waiting)(void *), void *argument)
{
    struct ft_loss_stage *s = calloc(1, sizeof *s);

    if (!s) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    s->run = run;
    s->classes = classes;
    s->output = output;
    s->waiting = waiting;
    s->argument = argument;
    if (!(s->losses = ft_losses_parse_any(&s->arena, &run->settings.loss))) {
        ft_loss_stage_close(s);
        return NULL;
    }
    return s;
}

void ft_loss_stage_close(struct ft_loss_stage *s)
{
    if (!s)
        return;
    ft_live_close(&s->live);
    free(s->gradient);
    ft_arena_free(&s->arena);
    free(s);
}

const struct ft_loss_layout *ft_loss_stage_layout(const struct ft_loss_stage *s)
{
    return &s->layout;
}

static int lay_out(struct ft_loss_stage *s, size_t d)
{
    if (ft_losses_layout(&s->arena, s->losses, s->classes, d, &s->layout) < 0)
        return -1;
    s->laid_out = true;
    if (!s->layout.floats)
        return 0;
    if (s->layout.learnt && !(s->gradient = ft_resize(NULL, s->layout.learnt, sizeof *s->gradient)))
        return -1;
    return ft_live_attach_loss(s->run, s->layout.floats, s->output, s->waiting, s->argument, &s->live, &s->start);
}

int ft_loss_stage_ready(struct ft_loss_stage *s, const struct ft_batch *batch, struct ft_loss_input *input)
{
    int skip;

    if (!s->laid_out && lay_out(s, input->d) < 0)
        return -1;
    if (s->layout.d != input->d)
        return ft_fail(FT_BAD, "embeddings of %zu dimensions after some of %zu", input->d, s->layout.d);
    input->classes = s->classes;
    if (!s->layout.floats)
        return 0;
    /* ft-embed may have skipped already; then the stream begins with the first new batch. */
    if (!s->seen.batch && batch->number == s->start.batch + 1)
        s->seen.batch = s->start.batch;
    if ((skip = ft_progress_skip(&s->start, &s->seen, batch)) != 0)
        return skip;
    input->weights = s->live.loss;
    input->weights_gradient = s->gradient;
    return ft_live_wait(s->run, &s->live, batch->number - 1, s->output);
}
