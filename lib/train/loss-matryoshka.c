/* loss-matryoshka.c - several sizes of the embedding at once (Kusupati et al. 2022; sentence-transformers' MatryoshkaLoss): the weighted sum of the
 * loss of the first k numbers of each embedding, brought to unit length, for each k of matryoshka_dims. */
#include "train/loss-internal.h"

#include <string.h>

/* The first `to` of each `from` numbers. */
static float *cut(struct ft_arena *arena, const float *x, size_t n, size_t from, size_t to)
{
    float *y = ft_arena_take(arena, n * to * sizeof *y + 1);

    for (size_t i = 0; y && i < n; i++)
        memcpy(y + i * to, x + i * from, to * sizeof *y);
    return y;
}

/* What the loss learns has a weighted gradient too: each size's own is made apart in `inner`, then added. */
struct learns {
    size_t count, floats[FT_LOSS_TENSORS];
};

static int learn_apart(struct ft_arena *arena, const struct ft_loss *loss, const struct ft_loss_call *call, struct ft_loss_call *inner, struct learns *learns)
{
    struct ft_loss_tensor tensor[FT_LOSS_TENSORS];

    *learns = (struct learns){.count = loss->tensors ? loss->tensors(call->value, call->input->classes, call->input->d, tensor) : 0};
    for (size_t i = 0; i < learns->count; i++) {
        learns->floats[i] = tensor[i].rows * tensor[i].columns;
        if (!(inner->weight_gradient[i] = ft_arena_zero(arena, learns->floats[i], sizeof(float))))
            return -1;
    }
    return 0;
}

static void add_learnt(const struct ft_loss_call *call, const struct ft_loss_call *inner, const struct learns *learns, double weight)
{
    for (size_t i = 0; i < learns->count; i++)
        for (size_t k = 0; k < learns->floats[i]; k++)
            call->weight_gradient[i][k] += (float)(weight * inner->weight_gradient[i][k]);
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
    struct learns learns;
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
    if (learn_apart(arena, chosen->loss, call, &inner, &learns) < 0 || chosen->loss->compute(&inner, &one, slope, &one_counted) < 0)
        return -1;
    add_learnt(call, &inner, &learns, chosen->dim[index].weight);
    ft_units_backward(&units, chosen->dim[index].weight, slope);
    *loss += chosen->dim[index].weight * one;
    *counted += one_counted;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < k; j++)
            gradient[i * d + j] += slope[i * k + j];
    return 0;
}

int ft_matryoshka_compute(const struct ft_chosen *chosen, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = 0;

    if (!chosen->dims)
        return chosen->loss->compute(call, loss, gradient, counted);
    if (chosen->dim[0].count > call->input->d)
        return ft_fail(FT_USAGE, "loss %s: matryoshka_dims=%zu: the embeddings have %zu dimensions", chosen->loss->name, chosen->dim[0].count,
                       call->input->d);
    for (size_t i = 0; i < chosen->dims && rc == 0; i++) {
        ft_arena_reset(&arena);
        rc = compute_cut(&arena, chosen, call, i, loss, gradient, counted);
    }
    ft_arena_free(&arena);
    return rc;
}
