/* finish.c - the best parameters, averages with those of the base model, and adapters by themselves. */
#include "train/finish.h"
#include "model/adapter.h"
#include "train/best.h"

/* Both are the base model's where every B is times zero. */
static int scale_adapters(struct ft_model *model, float by)
{
    const struct ft_adapters *all = model->adapters;

    for (int i = 0; i < all->count; i++) {
        const struct ft_parameter *b = all->items[i].b;

        for (size_t k = 0; k < b->rows * b->columns; k++)
            all->block[b->offset + k] *= by;
    }
    return ft_adapters_merge(model);
}

int ft_finish_choose(struct ft_run *run, struct ft_model *model, uint64_t batch, const struct ft_logits *opened)
{
    const struct ft_parameters trained = ft_model_trained(model);

    if (batch && ft_best_load(run, batch, trained.block, trained.block_count, &model->logits) < 0)
        return -1;
    if (!batch)
        model->logits = *opened;
    if (model->adapters)
        return scale_adapters(model, batch ? 1 : 0);
    return batch ? 0 : ft_model_read_parameters(model, model->block);
}

static void average_logits(struct ft_logits *logits, const struct ft_logits *base, double tuned)
{
    for (int i = 0; i < FT_LOGITS; i++)
        if (logits->there[i] && base->there[i])
            logits->value[i] = tuned == 0 ? base->value[i] : (float)((1 - tuned) * base->value[i] + tuned * logits->value[i]);
}

int ft_finish_average(const struct ft_run *run, struct ft_model *model, const struct ft_logits *before)
{
    double tuned = run->settings.callbacks.wise_ft;
    float *base;

    if (!run->settings.callbacks.average || tuned == 1)
        return 0;
    average_logits(&model->logits, before, tuned);
    if (model->adapters)
        return scale_adapters(model, (float)tuned);
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

int ft_finish_adapter(struct ft_run *run, const struct ft_model *model)
{
    const char *directory = ft_arena_print(&run->arena, "%s/adapter", run->directory);

    if (!model->adapters)
        return 0;
    return directory ? ft_adapters_save(model, directory, run->settings.model) : -1;
}
