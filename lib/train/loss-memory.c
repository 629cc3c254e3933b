/* loss-memory.c - a memory of batches before (Wang et al. 2020, Cross-batch memory; pytorch-metric-learning's CrossBatchMemory).
 *
 * The batch's items ask, and are compared with one another and with the items of known label of batches before, as many as memory_size holds with
 * the batch in it. No gradient goes to what is only compared with, which the batch's own items are too, on that side. Items are remembered as
 * the model had them when it was trained on them. */
#include "train/loss-internal.h"

#include <string.h>

/* A memory: how many items it took in so far, labels [size], embeddings [size, d]; item i is at i modulo size. */
enum { HEAD = 2 };             /* floats that the count takes */

static uint64_t memory_count(const float *memory)
{
    uint64_t count;

    memcpy(&count, memory, sizeof count);
    return count;
}

size_t ft_memory_floats(const struct ft_chosen *chosen, size_t d)
{
    return HEAD + chosen->memory * (1 + d);
}

void ft_memory_add(const struct ft_chosen *chosen, const struct ft_loss_input *input, float *memory)
{
    float *label = memory + HEAD, *embedding = label + chosen->memory;
    uint64_t count = memory_count(memory);

    for (size_t i = 0; i < input->n; i++) {
        size_t at = (size_t)(count % chosen->memory);

        if (input->label[i] < 0)
            continue;
        memcpy(label + at, &input->label[i], sizeof input->label[i]);
        memcpy(embedding + at * input->d, input->embedding + i * input->d, input->d * sizeof *embedding);
        count++;
    }
    memcpy(memory, &count, sizeof count);
}

/* The batch, and behind it what the memory keeps when the batch is in it, oldest first. */
static int join_memory(struct ft_arena *arena, const struct ft_chosen *chosen, const struct ft_loss_input *batch, const float *memory,
                       struct ft_loss_input *all)
{
    const float *label = memory + HEAD, *embedding = label + chosen->memory;
    uint64_t count = memory_count(memory);
    size_t d = batch->d, known = 0, older;
    float *x;
    int32_t *y, *row;

    if (!batch->label)
        return ft_fail(FT_BAD, "the %s loss needs labels, and this batch of %s has none", chosen->loss->name, ft_batch_kind_name(batch->kind));
    for (size_t i = 0; i < batch->n; i++)
        known += batch->label[i] >= 0;
    if (known > chosen->memory)
        return ft_fail(FT_USAGE, "loss %s: memory_size=%zu is less than a batch, of %zu items", chosen->loss->name, chosen->memory, known);
    older = count < chosen->memory - known ? (size_t)count : chosen->memory - known;
    *all = *batch;
    all->n = batch->n + older;
    all->references = older;
    all->remembering = true;
    if (!(x = ft_arena_take(arena, all->n * d * sizeof *x + 1)) || !(y = ft_arena_take(arena, all->n * sizeof *y + 1)) ||
        !(row = ft_arena_zero(arena, all->n, sizeof *row)))
        return -1;
    memcpy(x, batch->embedding, batch->n * d * sizeof *x);
    memcpy(y, batch->label, batch->n * sizeof *y);
    for (size_t i = 0; i < older; i++) {
        size_t at = (size_t)((count - older + i) % chosen->memory);

        memcpy(x + (batch->n + i) * d, embedding + at * d, d * sizeof *x);
        memcpy(&y[batch->n + i], label + at, sizeof *y);
    }
    for (size_t i = 0; i < all->n; i++)
        row[i] = i < batch->n ? batch->row[i] : -1;
    all->embedding = x;
    all->label = y;
    all->row = row;
    return 0;
}

static int compute_remembering(struct ft_arena *arena, const struct ft_chosen *chosen, const struct ft_loss_call *call, const float *memory,
                               double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *batch = call->input;
    struct ft_loss_input all;
    struct ft_loss_call inner = *call;
    float *slope;

    if (join_memory(arena, chosen, batch, memory, &all) < 0 || !(slope = ft_arena_zero(arena, all.n * all.d + 1, sizeof *slope)))
        return -1;
    inner.input = &all;
    if (ft_matryoshka_compute(chosen, &inner, loss, slope, counted) < 0)
        return -1;
    memcpy(gradient, slope, batch->n * batch->d * sizeof *gradient);
    return 0;
}

int ft_memory_compute(const struct ft_chosen *chosen, const struct ft_loss_call *call, const float *memory, double *loss, float *gradient,
                      uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_remembering(&arena, chosen, call, memory, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}
