/* loss-wrap.c - what a loss may be wrapped in: several sizes of the embedding at once.
 *
 * matryoshka_dims=384+256+128, matryoshka_weights=1+1+1 (Kusupati et al. 2022; sentence-transformers' MatryoshkaLoss): the weighted sum of the
 * loss of the first k numbers of each embedding, brought to unit length, for each k. */
#include "train/loss-internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char DIMS[] = "matryoshka_dims", WEIGHTS[] = "matryoshka_weights";

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

int ft_wrappers_take(struct ft_setting *setting, struct ft_chosen *chosen)
{
    char dims_value[96], weights_value[96];
    const char *dims = take(setting, DIMS, dims_value), *weights = take(setting, WEIGHTS, weights_value);

    if (weights && !dims)
        return ft_fail(FT_USAGE, "%s: %s without %s", setting->name, WEIGHTS, DIMS);
    if (!dims)
        return 0;
    if (chosen->loss->tensors)
        return ft_fail(FT_USAGE, "%s: %s: its vectors are learnt for the whole embedding", setting->name, DIMS);
    return read_dims(chosen, dims, weights);
}

int ft_wrappers_print(struct ft_buffer *out, const struct ft_chosen *chosen)
{
    char before = chosen->loss->keys[0].name ? ',' : ':';
    int rc = chosen->dims ? ft_buffer_print(out, "%c%s=", before, DIMS) : 0;

    for (size_t i = 0; i < chosen->dims && rc == 0; i++)
        rc = ft_buffer_print(out, "%s%zu", i ? "+" : "", chosen->dim[i].count);
    if (rc == 0 && chosen->dims)
        rc = ft_buffer_print(out, ",%s=", WEIGHTS);
    for (size_t i = 0; i < chosen->dims && rc == 0; i++)
        if ((rc = i ? ft_buffer_print(out, "+") : 0) == 0)
            rc = ft_loss_number_print(out, chosen->dim[i].weight);
    return rc;
}

/* The first `to` of each `from` numbers. */
static float *cut(struct ft_arena *arena, const float *x, size_t n, size_t from, size_t to)
{
    float *y = ft_arena_take(arena, n * to * sizeof *y + 1);

    for (size_t i = 0; y && i < n; i++)
        memcpy(y + i * to, x + i * from, to * sizeof *y);
    return y;
}

/* One size. */
static int compute_cut(struct ft_arena *arena, const struct ft_chosen *chosen, const struct ft_loss_call *call, size_t index,
                       double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *whole = call->input;
    size_t n = whole->n, d = whole->d, k = chosen->dim[index].count;
    struct ft_loss_input input = *whole;
    struct ft_loss_call inner = *call;
    struct ft_units units;
    double one = 0;
    uint64_t one_counted = 0;
    float *slice = cut(arena, whole->embedding, n, d, k), *slope = ft_arena_zero(arena, n * k + 1, sizeof *slope);

    if (!slice || !slope || ft_units_make(arena, &units, slice, n, k) < 0)
        return -1;
    input.embedding = units.unit;
    input.d = k;
    inner.input = &input;
    if (chosen->loss->teacher_alike && whole->teacher && whole->teacher_d == d) {
        input.teacher_d = k;
        if (!(input.teacher = cut(arena, whole->teacher, n, d, k)))
            return -1;
    }
    if (chosen->loss->compute(&inner, &one, slope, &one_counted) < 0)
        return -1;
    ft_units_backward(&units, chosen->dim[index].weight, slope);
    *loss += chosen->dim[index].weight * one;
    *counted += one_counted;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < k; j++)
            gradient[i * d + j] += slope[i * k + j];
    return 0;
}

int ft_wrapped_compute(const struct ft_chosen *chosen, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = 0;

    if (!chosen->dims)
        return chosen->loss->compute(call, loss, gradient, counted);
    if (chosen->dim[0].count > call->input->d)
        return ft_fail(FT_USAGE, "loss %s: %s=%zu: the embeddings have %zu dimensions", chosen->loss->name, DIMS, chosen->dim[0].count,
                       call->input->d);
    for (size_t i = 0; i < chosen->dims && rc == 0; i++) {
        ft_arena_reset(&arena);
        rc = compute_cut(&arena, chosen, call, i, loss, gradient, counted);
    }
    ft_arena_free(&arena);
    return rc;
}
