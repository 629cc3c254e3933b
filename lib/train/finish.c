/* finish.c - the best parameters, and averages with those of the base model. */
#include "train/finish.h"
#include "train/best.h"

int ft_finish_choose(struct ft_run *run, struct ft_model *model, uint64_t batch)
{
    if (batch)
        return ft_best_load(run, batch, model->block, model->block_count);
    return ft_model_read_parameters(model, model->block);
}

int ft_finish_average(const struct ft_run *run, struct ft_model *model)
{
    double tuned = run->settings.callbacks.wise_ft;
    float *base;

    if (!run->settings.callbacks.average || tuned == 1)
        return 0;
    if (!(base = ft_model_zeros(model)) || ft_model_read_parameters(model, base) < 0) {
        if (base)
            ft_model_zeros_free(model, base);
        return -1;
    }
    for (size_t i = 0; i < model->block_count; i++)
        model->block[i] = tuned == 0 ? base[i] : (float)((1 - tuned) * base[i] + tuned * model->block[i]);
    ft_model_zeros_free(model, base);
    return 0;
}
