/* step.c - a whole batch in one process: what ft-embed, ft-loss and ft-update do to it one after another. */
#include "train/inputs.h"
#include "train/teacher.h"
#include "train/trainer.h"

int ft_trainer_step(struct ft_trainer *trainer, struct ft_arena *arena, const struct ft_batch *b, const struct ft_packed *packed,
                    struct ft_step_report *report)
{
    const struct ft_settings *s = ft_trainer_settings(trainer);
    const struct ft_model *model = ft_trainer_model(trainer);
    float *embedding = ft_arena_take(arena, b->items * model->dim * sizeof *embedding);
    float *gradient = ft_arena_take(arena, b->items * model->dim * sizeof *gradient);
    struct ft_losses *loss = ft_losses_of_batch(arena, b, &s->loss, s->miner);
    struct ft_loss_input input = ft_loss_input_of(b, embedding, model->dim);
    struct ft_packed encoded;
    double value;

    ft_weights_give(ft_trainer_weights(trainer), &input);
    input.seed = s->seed;
    /* Of several data sets some may do without a second model. */
    if (!embedding || !gradient || !loss || (!b->set.data && ft_second_check(s, loss) < 0) ||
        ft_second_ask(arena, ft_trainer_seconds(trainer), b, &input) < 0 ||
        (!packed && ft_inputs_encode(arena, model, s, b, &encoded) < 0) ||
        ft_trainer_begin(trainer, b, packed ? packed : &encoded) < 0 || ft_trainer_forward(trainer, embedding) < 0 ||
        ft_losses_compute(loss, &input, &value, gradient, NULL) < 0)
        return -1;
    return ft_trainer_apply(trainer, value, gradient, report);
}
