/* loss-layout.c - where in one array what the losses learn lies, and how it begins. */
#include "base/pool.h"
#include "base/random.h"
#include "train/loss-internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ALIGN = 16 };                        /* floats: tensors begin on cache lines */
static const size_t MOST = (size_t)1 << 34; /* floats in all: 64 GiB, beyond which a header's number of classes is not believed */

/* "arcface.weight"; the second arcface's is "arcface-2.weight". */
static int name_tensor(const struct ft_losses *losses, size_t index, struct ft_loss_tensor *tensor)
{
    const char *loss = losses->losses[index].loss->name;
    char name[sizeof tensor->name];
    int before = 0, size;

    for (size_t i = 0; i < index; i++)
        before += losses->losses[i].loss == losses->losses[index].loss;
    size = before ? snprintf(name, sizeof name, "%s-%d.%s", loss, before + 1, tensor->name)
                  : snprintf(name, sizeof name, "%s.%s", loss, tensor->name);
    if (size < 0 || (size_t)size >= sizeof name)
        return ft_fail(FT_USAGE, "loss %s: the name of its %s is too long", loss, tensor->name);
    memcpy(tensor->name, name, sizeof name);
    return 0;
}

static int place_tensor(struct ft_loss_layout *layout, const struct ft_loss_tensor *tensor)
{
    size_t count = tensor->rows * tensor->columns;

    if (tensor->rows && tensor->columns > MOST / tensor->rows)
        return ft_fail(FT_BAD, "%s: %zu by %zu numbers are too many", tensor->name, tensor->rows, tensor->columns);
    if (layout->floats + count > MOST)
        return ft_fail(FT_BAD, "%s: %zu by %zu numbers are too many", tensor->name, tensor->rows, tensor->columns);
    layout->tensor[layout->count] = *tensor;
    layout->tensor[layout->count++].first = layout->floats;
    layout->floats += (count + ALIGN - 1) / ALIGN * ALIGN;
    return 0;
}

static int lay_out_learnt(const struct ft_losses *losses, size_t index, struct ft_loss_layout *layout)
{
    const struct ft_chosen *chosen = &losses->losses[index];
    struct ft_loss_tensor tensor[FT_LOSS_TENSORS] = {0};
    size_t count = chosen->loss->tensors ? chosen->loss->tensors(chosen->value, layout->classes, layout->d, tensor) : 0;

    if (count && !chosen->loss->unlabelled && (layout->classes == 0 || layout->classes > INT32_MAX))
        return ft_fail(FT_BAD, "loss %s learns something for each class, and the stream's header says %zu classes: expected labelled documents "
                       "through ft-sample", chosen->loss->name, layout->classes);
    for (size_t i = 0; i < count; i++) {
        tensor[i].learnt = true;
        if (name_tensor(losses, index, &tensor[i]) < 0 || place_tensor(layout, &tensor[i]) < 0)
            return -1;
    }
    return 0;
}

int ft_losses_layout(struct ft_arena *arena, const struct ft_losses *losses, size_t classes, size_t d, struct ft_loss_layout *layout)
{
    *layout = (struct ft_loss_layout){.classes = classes, .d = d};
    if (!(layout->tensor = ft_arena_zero(arena, losses->count * (FT_LOSS_TENSORS + 1) + 1, sizeof *layout->tensor)))
        return -1;
    for (size_t i = 0; i < losses->count; i++)
        if (lay_out_learnt(losses, i, layout) < 0)
            return -1;
    layout->learnt = layout->floats;
    for (size_t i = 0; i < losses->count; i++) {
        struct ft_loss_tensor memory = {.name = "memory", .rows = 1, .columns = ft_memory_floats(&losses->losses[i], d)};

        if (losses->losses[i].memory && (name_tensor(losses, i, &memory) < 0 || place_tensor(layout, &memory) < 0))
            return -1;
    }
    return 0;
}

const struct ft_loss_tensor *ft_chosen_memory(const struct ft_losses *losses, size_t index, const struct ft_loss_layout *layout)
{
    size_t after = 0;

    if (!losses->losses[index].memory)
        return NULL;
    for (size_t i = index; i < losses->count; i++)
        after += losses->losses[i].memory != 0;
    return &layout->tensor[layout->count - after];
}

size_t ft_chosen_tensors(const struct ft_losses *losses, size_t index, const struct ft_loss_layout *layout,
                         const struct ft_loss_tensor *tensor[FT_LOSS_TENSORS])
{
    struct ft_loss_tensor scratch[FT_LOSS_TENSORS];
    size_t first = 0, count = 0;

    for (size_t i = 0; i <= index; i++) {
        const struct ft_chosen *chosen = &losses->losses[i];

        first += count;
        count = chosen->loss->tensors ? chosen->loss->tensors(chosen->value, layout->classes, layout->d, scratch) : 0;
    }
    for (size_t i = 0; i < count; i++)
        tensor[i] = &layout->tensor[first + i];
    return count;
}

/* Streams of random numbers that neither sampling (those of epochs) nor dropout (that of an element in a text) can reach: "loss" on top. */
static const uint64_t STREAM = (uint64_t)0x6c6f7373 << 32;

struct beginning {
    const struct ft_loss_tensor *tensor;
    uint64_t seed, number;     /* of the tensor */
    float *weights;
};

/* A row's numbers are its own, so rows may be filled in any order. */
static int begin_row(void *argument, size_t row, int worker)
{
    const struct beginning *b = argument;
    const struct ft_loss_tensor *t = b->tensor;
    struct ft_random random = ft_random_start(b->seed, STREAM + (b->number << 32) + row);
    float *to = b->weights + t->first + row * t->columns;

    (void)worker;
    for (size_t k = 0; k < t->columns; k++) {
        double x = t->spread == 0 ? 0 : t->uniform ? 2 * ft_random_uniform(&random) - 1 : ft_random_normal(&random);

        to[k] = (float)(t->mean + t->spread * x);
    }
    return 0;
}

int ft_losses_begin(const struct ft_loss_layout *layout, uint64_t seed, float *weights)
{
    for (size_t i = 0; i < layout->count; i++) {
        struct beginning beginning = {&layout->tensor[i], seed, i, weights};

        if (layout->tensor[i].learnt && ft_pool_run(layout->tensor[i].rows, begin_row, &beginning) < 0)
            return -1;
    }
    return 0;
}

void ft_losses_bound(const struct ft_loss_layout *layout, float *weights)
{
    for (size_t i = 0; i < layout->count; i++) {
        const struct ft_loss_tensor *t = &layout->tensor[i];

        if (!(t->low < t->high))
            continue;
        for (size_t k = t->first; k < t->first + t->rows * t->columns; k++)
            weights[k] = fminf(fmaxf(weights[k], (float)t->low), (float)t->high);
    }
}

void ft_losses_begin_as(const struct ft_loss_layout *layout, const struct ft_logits *own, float *weights)
{
    for (size_t i = 0; i < layout->count; i++) {
        const struct ft_loss_tensor *t = &layout->tensor[i];
        int which = t->own && t->begins_as_own ? ft_logit_find(t->own) : -1;

        if (which >= 0 && own->there[which])
            weights[t->first] = (float)own->value[which];
    }
    ft_losses_bound(layout, weights);
}

void ft_losses_own(const struct ft_loss_layout *layout, const float *weights, struct ft_logits *own)
{
    bool found[FT_LOGITS] = {false};

    for (size_t i = 0; i < layout->count; i++) {
        const struct ft_loss_tensor *t = &layout->tensor[i];
        int which = t->own ? ft_logit_find(t->own) : -1;

        if (which < 0 || found[which])
            continue;
        found[which] = own->there[which] = true;
        own->value[which] = weights[t->first];
    }
}

bool ft_losses_unlabelled(const struct ft_losses *losses)
{
    struct ft_loss_tensor scratch[FT_LOSS_TENSORS];
    size_t learning = 0;

    for (size_t i = 0; i < losses->count; i++) {
        const struct ft_chosen *chosen = &losses->losses[i];
        size_t count = chosen->loss->tensors ? chosen->loss->tensors(chosen->value, 1, 1, scratch) : 0;

        if (chosen->memory || (count && !chosen->loss->unlabelled))
            return false;
        learning += count;
    }
    return learning > 0;
}

static bool remembers(const struct ft_losses *losses)
{
    for (size_t i = 0; i < losses->count; i++)
        if (losses->losses[i].memory)
            return true;
    return false;
}

int ft_losses_memorable(const struct ft_losses *losses, const struct ft_loss_input *input)
{
    if (!remembers(losses))
        return 0;
    if (!input->embedding || !input->label)
        return ft_fail(FT_BAD, "no %s of the batch for the losses to remember", input->embedding ? "labels" : "embeddings");
    for (size_t k = 0; k < input->n * input->d; k++)
        if (!isfinite(input->embedding[k]))
            return ft_fail(FT_BAD, "embedding %zu is not finite", k / input->d);
    return 0;
}

int ft_losses_remember(const struct ft_losses *losses, const struct ft_loss_layout *layout, const struct ft_loss_input *input, float *weights)
{
    if (ft_losses_memorable(losses, input) < 0)
        return -1;
    for (size_t i = 0; i < losses->count; i++) {
        const struct ft_loss_tensor *memory = ft_chosen_memory(losses, i, layout);

        if (memory)
            ft_memory_add(&losses->losses[i], input, weights + memory->first);
    }
    return 0;
}
