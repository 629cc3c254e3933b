/* loss-compute.c - the weighted sum of the losses that were chosen, and of their gradients. */
#include "train/loss-internal.h"

#include <math.h>
#include <string.h>

/* NULL is finite. */
static bool all_finite(const float *x, size_t count)
{
    for (size_t i = 0; x && i < count; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static bool input_finite(const struct ft_loss_input *input, const struct ft_loss_layout *layout)
{
    return all_finite(input->embedding, input->n * input->d) && all_finite(input->score, input->rows) &&
           all_finite(input->item_score, input->n) && all_finite(input->teacher, input->n * input->teacher_d) &&
           all_finite(input->guide, input->n * input->guide_d) && all_finite(input->weights, layout->learnt);
}

/* The call's weights and room for their gradient, and labels that may be used to look into them. */
static int give_weights(const struct ft_losses *losses, size_t index, const struct ft_loss_layout *layout, struct ft_loss_call *call)
{
    const struct ft_loss_tensor *tensor[FT_LOSS_TENSORS];
    const struct ft_loss_input *input = call->input;
    size_t count = ft_chosen_tensors(losses, index, layout, tensor);
    const struct ft_loss *loss = losses->losses[index].loss;
    bool labelled = count && !loss->unlabelled;

    if (labelled && !input->label)
        return ft_fail(FT_BAD, "the %s loss needs labels, and this batch of %s has none", loss->name, ft_batch_kind_name(input->kind));
    for (size_t i = 0; labelled && i < input->n; i++)
        if (input->label[i] >= 0 && (size_t)input->label[i] >= input->classes)
            return ft_fail(FT_BAD, "item %zu has label %d, and the stream's header says %zu classes", i, (int)input->label[i], input->classes);
    for (size_t i = 0; i < count; i++) {
        call->weight[i] = input->weights + tensor[i]->first;
        call->weight_gradient[i] = input->weights_gradient + tensor[i]->first;
    }
    return 0;
}

static int compute_one(const struct ft_losses *losses, size_t index, const struct ft_loss_input *input, const struct ft_loss_layout *layout,
                       double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_chosen *chosen = &losses->losses[index];
    const struct ft_loss_tensor *memory = ft_chosen_memory(losses, index, layout);
    struct ft_loss_call call = {.input = input};

    memcpy(call.value, chosen->value, sizeof call.value);
    if (chosen->loss->mined & FT_LOSS_TAKES(losses->kind)) {
        call.miner = losses->miner;
        memcpy(call.miner_value, losses->miner_value, sizeof call.miner_value);
    }
    *loss = 0;
    *counted = 0;
    memset(gradient, 0, input->n * input->d * sizeof *gradient);
    if (give_weights(losses, index, layout, &call) < 0)
        return -1;
    return ft_wrapped_compute(chosen, &call, memory ? input->weights + memory->first : NULL, loss, gradient, counted);
}

static void scale_weights(const struct ft_losses *losses, size_t index, const struct ft_loss_input *input, const struct ft_loss_layout *layout)
{
    const struct ft_loss_tensor *tensor[FT_LOSS_TENSORS];
    size_t count = ft_chosen_tensors(losses, index, layout, tensor);
    double weight = losses->losses[index].weight;

    for (size_t i = 0; i < count; i++) {
        float *gradient = input->weights_gradient + tensor[i]->first;

        for (size_t k = 0; k < tensor[i]->rows * tensor[i]->columns; k++)
            gradient[k] = (float)(weight * gradient[k]);
    }
}

static int compute_sum(const struct ft_losses *losses, const struct ft_loss_input *input, const struct ft_loss_layout *layout, float *one,
                       double *loss, float *gradient, uint64_t *counted)
{
    memset(gradient, 0, input->n * input->d * sizeof *gradient);
    for (size_t i = 0; i < losses->count; i++) {
        double weight = losses->losses[i].weight, more;
        uint64_t more_counted;

        if (compute_one(losses, i, input, layout, &more, one, &more_counted) < 0)
            return -1;
        *loss += weight * more;
        *counted += more_counted;
        for (size_t k = 0; k < input->n * input->d; k++)
            gradient[k] += (float)(weight * one[k]);
        scale_weights(losses, i, input, layout);
    }
    return 0;
}

/* What the losses learn lives in a run. */
static int check_weights(const struct ft_losses *losses, const struct ft_loss_input *input)
{
    struct ft_loss_tensor tensor[FT_LOSS_TENSORS];

    for (size_t i = 0; i < losses->count; i++) {
        const struct ft_loss *loss = losses->losses[i].loss;

        if (loss->tensors && loss->tensors(losses->losses[i].value, 1, 1, tensor) && !(input->weights && input->weights_gradient))
            return ft_fail(FT_USAGE, "loss %s has weights of its own, which live in a run: ft-train, or ft-loss -m RUN", loss->name);
        if (losses->losses[i].memory && !input->weights)
            return ft_fail(FT_USAGE, "loss %s remembers batches, and the memory lives in a run: ft-train, or ft-loss -m RUN", loss->name);
    }
    return 0;
}

static int compute(struct ft_arena *arena, const struct ft_losses *losses, const struct ft_loss_input *input,
                   double *loss, float *gradient, uint64_t *counted)
{
    size_t count = input->n * input->d;
    struct ft_loss_layout layout;
    float *one;

    if (check_weights(losses, input) < 0 || ft_losses_layout(arena, losses, input->classes, input->d, &layout) < 0)
        return -1;
    if (layout.learnt)
        memset(input->weights_gradient, 0, layout.learnt * sizeof(float));
    /* Comparisons are false for NaN, so a loss that sorts and chooses would pass over it; here it cannot be missed. */
    if (!input_finite(input, &layout)) {
        *loss = NAN;
        for (size_t k = 0; k < count; k++)
            gradient[k] = NAN;
        return 0;
    }
    if (losses->count == 1 && losses->losses[0].weight == 1)
        return compute_one(losses, 0, input, &layout, loss, gradient, counted);
    if (!(one = ft_arena_zero(arena, count, sizeof *one)))
        return -1;
    return compute_sum(losses, input, &layout, one, loss, gradient, counted);
}

int ft_losses_compute(const struct ft_losses *losses, const struct ft_loss_input *input,
                      double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    uint64_t uncounted;
    int rc;

    if (!counted)
        counted = &uncounted;
    *loss = 0;
    *counted = 0;
    if (input->kind != losses->kind)
        return ft_fail(FT_BAD, "a batch of %s where %s were expected", ft_batch_kind_name(input->kind), ft_batch_kind_name(losses->kind));
    rc = compute(&arena, losses, input, loss, gradient, counted);
    ft_arena_free(&arena);
    return rc;
}

/* Losses where a miner may choose have a matrix of all anchors with all items, of distances, slopes and counts, the others a block of the first two. */
size_t ft_losses_bytes(const struct ft_losses *losses, size_t n, size_t d)
{
    size_t most = 0;

    for (size_t i = 0; i < losses->count; i++) {
        const struct ft_chosen *chosen = &losses->losses[i];
        size_t all = n + chosen->memory, pairs = n * all * sizeof(float);
        size_t bytes = chosen->loss->mined ? 3 * pairs : 2 * (pairs < FT_COMPARE_BYTES ? pairs : FT_COMPARE_BYTES);

        bytes += 7 * all * d * sizeof(float);      /* vectors at unit length, in their places, and gradients of these */
        most = bytes > most ? bytes : most;
    }
    return most + (losses->count > 1 ? n * d * sizeof(float) : 0);
}
