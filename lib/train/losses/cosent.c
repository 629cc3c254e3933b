/* cosent.c - cosines in the order of their scores (Huang et al. 2024, CoSENT): log(1 + sum of exp(scale (cos_i - cos_j))) over all rows i, j
 * of the batch with score_i < score_j.
 *
 * sentence-transformers' CoSENTLoss. Only the order of scores counts, so they may be on any scale. */
#include "train/losses/rows.h"

enum { SCALE };

static const struct ft_setting_key keys[] = {
    [SCALE] = {.name = "scale", .otherwise = 20, .low = 1e-3, .high = 1e4},
    {.name = NULL},
};

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    struct ft_ranked ranked = {.count = input->rows};
    struct ft_products cosines;

    ranked.score = ft_arena_zero(arena, ranked.count, sizeof(double));
    ranked.similarity = ft_arena_zero(arena, ranked.count, sizeof(double));
    ranked.slope = ft_arena_zero(arena, ranked.count, sizeof(double));
    if (!ranked.score || !ranked.similarity || !ranked.slope || ft_row_pairs_find(arena, input, &ranked.items) < 0 ||
        ft_products_make(arena, &cosines, FT_SIMILARITY_COSINE, input->embedding, input->n, input->d) < 0)
        return -1;
    for (size_t r = 0; r < ranked.count; r++) {
        ranked.score[r] = input->score[r];
        ranked.similarity[r] = ft_product(&cosines, ranked.items[r][0], ranked.items[r][1]);
    }
    if (ft_rank(arena, &ranked, call->value[SCALE], loss, counted) < 0)
        return -1;
    for (size_t r = 0; r < ranked.count; r++)
        ft_product_backward(&cosines, ranked.items[r][0], ranked.items[r][1], ranked.slope[r], gradient);
    ft_products_backward(&cosines, 1, gradient);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_cosent = {
    .name = "cosent",
    .purpose = "cosines in the order of their scores",
    .kinds = FT_LOSS_TAKES(FT_BATCH_SCORED),
    .keys = keys,
    .compute = compute,
};
