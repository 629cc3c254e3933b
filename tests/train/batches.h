/* batches.h - what the tests of losses share: batches made by a formula, and a batch that owns its arrays. */
#ifndef FT_TESTS_BATCHES_H
#define FT_TESTS_BATCHES_H

#include "train/losses/losses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUIDE_DIM = 3 };

struct made {
    struct ft_arena arena;
    struct ft_loss_input input;
    struct ft_loss_layout layout;      /* of the losses' own weights */
    float *weights, *weights_gradient; /* NULL where they have none */
    float *embedding, *score, *item_score, *teacher, *guide;
    int32_t *label, *row;
    uint8_t *role;
};

/* The sequence that tests/golden/loss/make.py calls words(). -1000 .. 1000 */
static int made_word(uint64_t *state)
{
    *state = (*state * 1103515245u + 12345u) % (1u << 31);
    return (int)((*state >> 8) % 2001) - 1000;
}

static void made_vectors(float *x, size_t n, size_t d, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++)
            x[i * d + k] = (float)(made_word(state) / 1000.0 * ((double)(i % 5 + 1) / 2));
}

static void made_fill(struct made *made, uint64_t *state)
{
    made_vectors(made->embedding, made->input.n, made->input.d, state);
}

__attribute__((unused)) static void made_init(struct made *made, enum ft_batch_kind kind, size_t n, size_t d, size_t rows)
{
    *made = (struct made){.input = {.kind = kind, .n = n, .d = d, .rows = rows}};
    made->embedding = ft_arena_zero(&made->arena, n * d, sizeof(float));
    made->score = ft_arena_zero(&made->arena, rows, sizeof(float));
    made->item_score = ft_arena_zero(&made->arena, n, sizeof(float));
    made->teacher = ft_arena_zero(&made->arena, n * d, sizeof(float));
    made->guide = ft_arena_zero(&made->arena, n * GUIDE_DIM, sizeof(float));
    made->label = ft_arena_zero(&made->arena, n, sizeof(int32_t));
    made->row = ft_arena_zero(&made->arena, n, sizeof(int32_t));
    made->role = ft_arena_zero(&made->arena, n, sizeof(uint8_t));
    if (!made->embedding || !made->score || !made->item_score || !made->teacher || !made->guide || !made->label || !made->row || !made->role) {
        printf("Bail out! %s\n", ft_error());
        exit(1);
    }
    made->input.embedding = made->embedding;
    made->input.row = made->row;
}

/* A teacher of as many dimensions and a guide of fewer, and scores of triplets. */
__attribute__((unused)) static void made_second(struct made *made, uint64_t *state)
{
    struct ft_loss_input *input = &made->input;

    made_vectors(made->teacher, input->n, input->d, state);
    made_vectors(made->guide, input->n, GUIDE_DIM, state);
    input->teacher = made->teacher, input->teacher_d = input->d;
    input->guide = made->guide, input->guide_d = GUIDE_DIM;
    for (size_t i = 0; i < input->n; i++)
        made->item_score[i] = made->role[i] == FT_ANCHOR ? 0 : (float)(made_word(state) / 1000.0);
    if (input->kind == FT_BATCH_TRIPLETS)
        input->item_score = made->item_score;
}

/* A batch of any kind, as the sampler would make it: `rows` rows; labels of uneven classes, some -1 where the kind allows it; second models. */
__attribute__((unused)) static void made_random(struct made *made, enum ft_batch_kind kind, size_t rows, size_t d, uint64_t seed)
{
    size_t each = kind == FT_BATCH_PAIRS || kind == FT_BATCH_SCORED ? 2 : kind == FT_BATCH_TRIPLETS ? 3 : 1;
    uint64_t state = seed;

    made_init(made, kind, rows * each, d, rows);
    made_fill(made, &state);
    for (size_t i = 0; i < made->input.n; i++) {
        made->row[i] = (int32_t)(i / each);
        made->role[i] = (uint8_t)(i % each);
        made->label[i] = (made_word(&state) + 1000) % (int)(rows / 3 + 1) - (kind == FT_BATCH_RANDOM);
    }
    for (size_t r = 0; r < rows; r++)
        made->score[r] = (float)(made_word(&state) / 1000.0);
    if (kind == FT_BATCH_CLASSES || kind == FT_BATCH_RANDOM)
        made->input.label = made->label;
    if (kind == FT_BATCH_PAIRS || kind == FT_BATCH_TRIPLETS)
        made->input.role = made->role;
    if (kind == FT_BATCH_SCORED)
        made->input.score = made->score;
    made_second(made, &state);
}

/* Settings as the command line gives them; NULL with ft_error. */
__attribute__((unused)) static struct ft_losses *made_losses(struct ft_arena *arena, enum ft_batch_kind kind, const char *loss,
                                                             const char *miner)
{
    const char *items[] = {loss};
    struct ft_list list = {items, loss ? 1 : 0};

    return ft_losses_parse(arena, kind, &list, miner);
}

/* What the losses learn, as it begins: input's classes, unless set, weights, weights_gradient. False with ft_error. */
__attribute__((unused)) static bool made_weights(struct made *made, const struct ft_losses *losses)
{
    struct ft_loss_input *input = &made->input;
    struct ft_loss_layout *layout = &made->layout;

    if (!input->classes) {
        input->classes = 1;
        for (size_t i = 0; input->label && i < input->n; i++)
            if (input->label[i] >= 0 && (size_t)input->label[i] >= input->classes)
                input->classes = (size_t)input->label[i] + 1;
    }
    if (ft_losses_layout(&made->arena, losses, input->classes, input->d, layout) < 0)
        return false;
    if (!layout->floats)
        return true;
    made->weights = ft_arena_zero(&made->arena, layout->floats, sizeof(float));
    made->weights_gradient = ft_arena_zero(&made->arena, layout->floats, sizeof(float));
    input->weights = made->weights;
    input->weights_gradient = made->weights_gradient;
    return made->weights && made->weights_gradient && ft_losses_begin(layout, 3, made->weights) == 0;
}

#endif
