/* step.c - a whole batch in one process: what ft-embed, ft-loss and ft-update do to it one after another. */
#include "model/encode.h"
#include "train/teacher.h"
#include "train/trainer.h"

/* What the stream brings of a second model, else what the model says now. */
static int ask_second(struct ft_trainer *trainer, struct ft_arena *arena, const struct ft_batch *b, enum ft_second which,
                      struct ft_loss_input *input)
{
    struct ft_teacher *second = ft_trainer_second(trainer, which);
    const float *embedding;

    if (ft_second_read(arena, b, which, input) < 0)
        return -1;
    if (!second || (which == FT_TEACHER ? input->teacher : input->guide))
        return 0;
    if (!(embedding = ft_teacher_embed(second, arena, b)))
        return -1;
    ft_second_give(input, which, embedding, ft_teacher_dim(second));
    return 0;
}

int ft_trainer_step(struct ft_trainer *trainer, struct ft_arena *arena, const struct ft_batch *b, struct ft_step_report *report)
{
    const struct ft_settings *s = ft_trainer_settings(trainer);
    const struct ft_model *model = ft_trainer_model(trainer);
    float *embedding = ft_arena_take(arena, b->items * model->dim * sizeof *embedding);
    float *gradient = ft_arena_take(arena, b->items * model->dim * sizeof *gradient);
    struct ft_losses *loss = ft_losses_parse(arena, b->kind, &s->loss, s->miner);
    struct ft_loss_input input = ft_loss_input_of(b, embedding, model->dim);
    struct ft_packed packed;
    double value;

    ft_weights_give(ft_trainer_weights(trainer), &input);
    if (!embedding || !gradient || !loss || ft_second_check(s, loss) < 0 ||
        ask_second(trainer, arena, b, FT_TEACHER, &input) < 0 || ask_second(trainer, arena, b, FT_GUIDE, &input) < 0 ||
        ft_encode_batch(arena, model, &s->prompts, (size_t)s->max_length, b, &packed) < 0 ||
        ft_trainer_begin(trainer, b, &packed) < 0 || ft_trainer_forward(trainer, embedding) < 0 ||
        ft_losses_compute(loss, &input, &value, gradient, NULL) < 0)
        return -1;
    return ft_trainer_apply(trainer, value, gradient, report);
}
