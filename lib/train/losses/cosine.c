/* cosine.c - the cosine of two items should be their score: the mean over rows of (u . v - score)^2.
 *
 * sentence-transformers' CosineSimilarityLoss. Scores are in the cosine's own range, -1 to 1 (mostly 0 to 1); others can never be met
 * and are the ingester's to refuse. */
#include "train/losses/rows.h"

static const struct ft_setting_key keys[] = {{.name = NULL}};

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    double share = input->rows ? 1 / (double)input->rows : 0;
    size_t d = input->d;
    struct ft_units units;
    uint32_t (*items)[2];

    if (ft_units_make(arena, &units, input->embedding, input->n, d) < 0 || ft_row_pairs_find(arena, input, &items) < 0)
        return -1;
    for (size_t r = 0; r < input->rows; r++) {
        size_t a = items[r][0] * d, b = items[r][1] * d;
        double off = 1 - ft_unit_distance(units.unit + a, units.unit + b, d) - input->score[r];

        *loss += off * off;
        *counted += off != 0;
        for (size_t k = 0; k < d; k++) {
            gradient[a + k] = (float)(2 * off * units.unit[b + k]);
            gradient[b + k] = (float)(2 * off * units.unit[a + k]);
        }
    }
    *loss *= share;
    ft_units_backward(&units, share, gradient);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_cosine = {
    .name = "cosine",
    .purpose = "the cosine of two items is their score (mean squared error)",
    .kinds = FT_LOSS_TAKES(FT_BATCH_SCORED),
    .keys = keys,
    .compute = compute,
};
