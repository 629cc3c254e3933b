/* mega-batch-margin.c - each pair near, and the nearest wrong positive of the batch far (Wieting and Gimpel 2018):
 *
 *   max(0, positive_margin - cos(a_i, p_i)) + max(0, max over j of cos(a_i, p_j) - negative_margin)
 *
 * the mean over pairs; j are the positives of other rows. sentence-transformers' MegaBatchMarginLoss with its defaults. It is meant for batches of
 * hundreds. A row of several positives is as many pairs. Of equally near positives the first counts. */
#include "train/losses/losses.h"

#include <string.h>

enum { POSITIVE, NEGATIVE };

static const struct ft_setting_key keys[] = {
    [POSITIVE] = {.name = "positive_margin", .otherwise = .8, .low = -1, .high = 1},
    [NEGATIVE] = {.name = "negative_margin", .otherwise = .3, .low = -1, .high = 1},
    {.name = NULL},
};

struct pairs {
    const double *value;
    const int32_t *row;        /* [positives] */
};

static void contrast(struct ft_compare_row *row, const void *argument)
{
    const struct pairs *pairs = argument;
    size_t nearest = row->candidates;
    double near = pairs->value[POSITIVE] - 1 + (double)row->distance[row->query], far;

    for (size_t j = 0; j < row->candidates; j++)
        if (pairs->row[j] != pairs->row[row->query] && (nearest == row->candidates || row->distance[j] < row->distance[nearest]))
            nearest = j;
    if (near > 0) {
        row->loss += near;
        row->slope[row->query] = 1;
        row->counted++;
    }
    if (nearest < row->candidates && (far = 1 - (double)row->distance[nearest] - pairs->value[NEGATIVE]) > 0) {
        row->loss += far;
        row->slope[nearest] -= 1;
        row->counted++;
    }
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    struct ft_role_items items;
    struct ft_units units;
    size_t n, d = input->d;
    int32_t *row;
    float *vector, *slope;

    if (ft_role_items_find(arena, input, &items) < 0 || ft_units_make(arena, &units, input->embedding, input->n, d) < 0)
        return -1;
    n = items.positive.count;
    row = ft_arena_zero(arena, n, sizeof *row);
    vector = ft_arena_zero(arena, 2 * n, d * sizeof *vector);      /* anchors, positives */
    slope = ft_arena_zero(arena, 2 * n, d * sizeof *slope);
    if (!row || !vector || !slope)
        return -1;
    for (size_t i = 0; i < n; i++) {
        row[i] = input->row[items.positive.item[i]];
        memcpy(vector + i * d, units.unit + items.anchor[row[i]] * d, d * sizeof *vector);
        memcpy(vector + (n + i) * d, units.unit + items.positive.item[i] * d, d * sizeof *vector);
    }
    if (ft_compare(arena, &(struct ft_compare){
            .queries = n, .candidates = n, .d = d, .query = vector, .candidate = vector + n * d, .query_gradient = slope,
            .candidate_gradient = slope + n * d, .row = contrast, .argument = &(struct pairs){call->value, row},
        }, loss, counted) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++) {
            gradient[items.anchor[row[i]] * d + k] += slope[i * d + k];
            gradient[items.positive.item[i] * d + k] += slope[(n + i) * d + k];
        }
    *loss *= n ? 1 / (double)n : 0;
    ft_units_backward(&units, n ? 1 / (double)n : 0, gradient);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_mega_batch_margin = {
    .name = "mega-batch-margin",
    .purpose = "each pair near, and the nearest wrong positive of the batch far",
    .kinds = FT_LOSS_TAKES(FT_BATCH_PAIRS),
    .keys = keys,
    .compute = compute,
};
