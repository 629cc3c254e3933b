/* infonce.c - each anchor must find its positive among all of the batch (van den Oord et al. 2018; Henderson et al. 2017).
 *
 *   term(i) = - log( exp(scale * u_i . v_i) / sum over candidates j of exp(scale * u_i . v_j) )
 *
 * u are the anchors, v the candidates: the positives of all rows, then the hard negatives of all rows. The loss is the mean over rows.
 * This is sentence-transformers' MultipleNegativesRankingLoss (scale 20, a temperature of .05). direction=both takes the mean of this and of
 * the same from positives to anchors, where hard negatives, which belong to nobody, take no part: CLIP's loss (Radford et al. 2021), and
 * sentence-transformers' directions=(query_to_doc, doc_to_query), partition_mode="per_direction".
 *
 * All other candidates count as wrong: that no row's positive is also right for another row is the sampler's part. */
#include "train/losses/losses.h"

#include <math.h>
#include <string.h>

enum { SCALE, DIRECTION };
enum { ONE, BOTH };

static const struct ft_loss_key keys[] = {
    [SCALE] = {.name = "scale", .otherwise = 20, .low = 1e-3, .high = 1e4},
    [DIRECTION] = {.name = "direction", .choices = "one both", .otherwise = ONE},
    {.name = NULL},
};

/* Query i's answer is candidate i. Its weight is left out of the sum, so that a term is exact, and not zero, where it is right by far. */
static void find(struct ft_compare_row *row, const void *argument)
{
    const struct ft_loss_call *call = argument;
    size_t own = row->query;
    double scale = call->value[SCALE], nearest = row->distance[0], others = 0, sum, *weight = row->scratch;

    for (size_t j = 1; j < row->candidates; j++)
        nearest = fmin(nearest, row->distance[j]);
    for (size_t j = 0; j < row->candidates; j++) {
        weight[j] = exp(scale * (nearest - row->distance[j]));   /* the largest is 1 */
        others += j == own ? 0 : weight[j];
    }
    sum = weight[own] + others;
    row->loss = weight[own] < 1 ? scale * (row->distance[own] - nearest) + log(sum) : log1p(others);
    row->counted = row->loss > 0;
    for (size_t j = 0; j < row->candidates; j++)
        row->slope[j] = (float)(scale * (j == own ? others / sum : -weight[j] / sum));
}

/* One side: rows of the batch put together, and their gradient. */
struct side {
    size_t count;
    uint32_t *item;
    float *unit, *gradient;    /* [count, d] */
};

static int gather(struct ft_arena *arena, const struct ft_units *units, struct side *side)
{
    size_t d = units->d;

    side->unit = ft_arena_zero(arena, side->count, d * sizeof(float));
    side->gradient = ft_arena_zero(arena, side->count, d * sizeof(float));
    if (!side->unit || !side->gradient)
        return -1;
    for (size_t i = 0; i < side->count; i++)
        memcpy(side->unit + i * d, units->unit + side->item[i] * d, d * sizeof(float));
    return 0;
}

static int compare(struct ft_arena *arena, const struct ft_loss_call *call, const struct side *query, const struct side *candidate,
                   size_t candidates, double *loss, uint64_t *counted)
{
    double more;
    uint64_t more_counted;
    int rc = ft_compare(arena, &(struct ft_compare){
        .queries = call->input->rows, .candidates = candidates, .d = call->input->d,
        .query = query->unit, .candidate = candidate->unit,
        .query_gradient = query->gradient, .candidate_gradient = candidate->gradient,
        .row = find, .argument = call, .scratch = candidates * sizeof(double),
    }, &more, &more_counted);

    *loss += rc == 0 ? more : 0;
    *counted += rc == 0 ? more_counted : 0;
    return rc;
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    size_t rows = input->rows, d = input->d;
    struct ft_units units;
    struct ft_role_items items;
    struct side anchors = {.count = rows}, candidates = {.count = rows};
    const struct side *sides[] = {&anchors, &candidates};
    bool both = call->value[DIRECTION] == BOTH;
    double share = rows ? 1 / ((double)rows * (both ? 2 : 1)) : 0;

    if (ft_units_make(arena, &units, input->embedding, input->n, d) < 0 || ft_role_items_find(arena, input, &items) < 0)
        return -1;
    anchors.item = items.anchor;
    candidates.count += items.negatives;
    candidates.item = ft_arena_zero(arena, candidates.count, sizeof(uint32_t));
    if (!candidates.item)
        return -1;
    memcpy(candidates.item, items.positive, rows * sizeof(uint32_t));
    memcpy(candidates.item + rows, items.negative, items.negatives * sizeof(uint32_t));
    if (gather(arena, &units, &anchors) < 0 || gather(arena, &units, &candidates) < 0 ||
        compare(arena, call, &anchors, &candidates, candidates.count, loss, counted) < 0 ||
        (both && compare(arena, call, &candidates, &anchors, rows, loss, counted) < 0))
        return -1;
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < sides[s]->count; i++)
            memcpy(gradient + sides[s]->item[i] * d, sides[s]->gradient + i * d, d * sizeof(float));
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

const struct ft_loss ft_loss_infonce = {
    .name = "infonce",
    .purpose = "each anchor finds its positive among all positives and hard negatives of the batch",
    .kinds = FT_LOSS_TAKES(FT_BATCH_PAIRS) | FT_LOSS_TAKES(FT_BATCH_TRIPLETS),
    .keys = keys,
    .compute = compute,
};
