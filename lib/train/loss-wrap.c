/* loss-wrap.c - what a loss may be wrapped in: a memory of batches before (loss-memory.c), several sizes of the embedding at once
 * (loss-matryoshka.c). Their keys stand beside the loss's own. */
#include "train/loss-internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char MEMORY[] = "memory_size", DIMS[] = "matryoshka_dims", WEIGHTS[] = "matryoshka_weights";

/* "1+2.5+3". Gives how many, or -1. */
static int read_numbers(const char *loss, const char *key, const char *text, double number[FT_LOSS_DIMS])
{
    int count = 0;

    for (const char *p = text;; p++) {
        size_t size = strcspn(p, "+");
        char word[32];

        if (count == FT_LOSS_DIMS)
            return ft_fail(FT_USAGE, "%s: %s=%s: expected %d numbers at most", loss, key, text, FT_LOSS_DIMS);
        if (size >= sizeof word)
            return ft_fail(FT_USAGE, "%s: %s=%s: expected numbers joined by +", loss, key, text);
        memcpy(word, p, size);
        word[size] = 0;
        if (ft_number_parse(word, &number[count]) < 0)
            return ft_error_prefix("%s: %s=%s: ", loss, key, text);
        count++;
        if (!p[size])
            return count;
        p += size;
    }
}

/* sentence-transformers' order, in which sums are taken. */
static void sort_dims(struct ft_chosen *chosen)
{
    for (size_t i = 1; i < chosen->dims; i++)
        for (size_t j = i; j && chosen->dim[j - 1].count < chosen->dim[j].count; j--) {
            size_t count = chosen->dim[j].count;
            double weight = chosen->dim[j].weight;

            chosen->dim[j] = chosen->dim[j - 1];
            chosen->dim[j - 1].count = count;
            chosen->dim[j - 1].weight = weight;
        }
}

static int read_dims(struct ft_chosen *chosen, const char *dims, const char *weights)
{
    const char *name = chosen->loss->name;
    double dim[FT_LOSS_DIMS], weight[FT_LOSS_DIMS];
    int count = read_numbers(name, DIMS, dims, dim), given = weights ? read_numbers(name, WEIGHTS, weights, weight) : count;

    if (count < 0 || given < 0)
        return -1;
    if (given != count)
        return ft_fail(FT_USAGE, "%s: %d %s for %d %s", name, given, WEIGHTS, count, DIMS);
    for (int i = 0; i < count; i++) {
        if (!(dim[i] >= 1 && dim[i] <= 1 << 20) || dim[i] != floor(dim[i]))
            return ft_fail(FT_USAGE, "%s: %s=%s: expected whole numbers of 1 or more", name, DIMS, dims);
        if (weights && !(weight[i] >= 0 && isfinite(weight[i])))
            return ft_fail(FT_USAGE, "%s: %s=%s: expected numbers of 0 or more", name, WEIGHTS, weights);
        chosen->dim[i].count = (size_t)dim[i];
        chosen->dim[i].weight = weights ? weight[i] : 1;
    }
    chosen->dims = (size_t)count;
    sort_dims(chosen);
    return 0;
}

/* The value of a key, which leaves the setting; copied to `value`. NULL when it is not there. */
static const char *take(struct ft_setting *setting, const char *key, char value[96])
{
    for (int i = 0; i < setting->count; i++)
        if (strcmp(setting->pairs[i].key, key) == 0) {
            memcpy(value, setting->pairs[i].value, 96);
            memmove(&setting->pairs[i], &setting->pairs[i + 1], (size_t)(--setting->count - i) * sizeof *setting->pairs);
            return value;
        }
    return NULL;
}

static int read_memory(struct ft_chosen *chosen, const char *text)
{
    double size;

    if (!chosen->loss->references)
        return ft_fail(FT_USAGE, "%s: %s: it compares no items with others by their labels", chosen->loss->name, MEMORY);
    if (ft_number_parse(text, &size) < 0)
        return ft_error_prefix("%s: %s: ", chosen->loss->name, MEMORY);
    if (!(size >= 1 && size <= 1 << 24) || size != floor(size))
        return ft_fail(FT_USAGE, "%s: %s=%s: expected a whole number, 1 to %d", chosen->loss->name, MEMORY, text, 1 << 24);
    chosen->memory = (size_t)size;
    return 0;
}

int ft_wrappers_take(struct ft_setting *setting, struct ft_chosen *chosen)
{
    char memory_value[96], dims_value[96], weights_value[96];
    const char *memory = take(setting, MEMORY, memory_value), *dims = take(setting, DIMS, dims_value);
    const char *weights = take(setting, WEIGHTS, weights_value);

    if (memory && read_memory(chosen, memory) < 0)
        return -1;
    if (weights && !dims)
        return ft_fail(FT_USAGE, "%s: %s without %s", setting->name, WEIGHTS, DIMS);
    if (!dims)
        return 0;
    return read_dims(chosen, dims, weights);
}

int ft_wrappers_check(const struct ft_chosen *chosen)
{
    struct ft_loss_tensor tensor[FT_LOSS_TENSORS];
    const struct ft_loss *loss = chosen->loss;

    if (chosen->dims && loss->tensors && loss->tensors(chosen->value, 1, 2, tensor) && tensor[0].columns == 2)
        return ft_fail(FT_USAGE, "%s: %s: its vectors are learnt for the whole embedding", loss->name, DIMS);
    return 0;
}

int ft_wrappers_print(struct ft_buffer *out, const struct ft_chosen *chosen)
{
    char before = chosen->loss->keys[0].name ? ',' : ':';
    int rc = chosen->memory ? ft_buffer_print(out, "%c%s=%zu", before, MEMORY, chosen->memory) : 0;

    if (rc == 0 && chosen->dims)
        rc = ft_buffer_print(out, "%c%s=", chosen->memory ? ',' : before, DIMS);
    for (size_t i = 0; i < chosen->dims && rc == 0; i++)
        rc = ft_buffer_print(out, "%s%zu", i ? "+" : "", chosen->dim[i].count);
    if (rc == 0 && chosen->dims)
        rc = ft_buffer_print(out, ",%s=", WEIGHTS);
    for (size_t i = 0; i < chosen->dims && rc == 0; i++)
        if ((rc = i ? ft_buffer_print(out, "+") : 0) == 0)
            rc = ft_number_print(out, chosen->dim[i].weight);
    return rc;
}

int ft_wrapped_compute(const struct ft_chosen *chosen, const struct ft_loss_call *call, const float *memory, double *loss, float *gradient,
                       uint64_t *counted)
{
    if (memory)
        return ft_memory_compute(chosen, call, memory, loss, gradient, counted);
    return ft_matryoshka_compute(chosen, call, loss, gradient, counted);
}
