/* infonce.c - each anchor must find its positive among all of the batch (van den Oord et al. 2018; Henderson et al. 2017).
 *
 *   term(i) = - log( exp(scale * u_i . v_i) / sum over candidates j of exp(scale * u_i . v_j) )
 *
 * u are the anchors, v the candidates: the positives of all rows, then the hard negatives of all rows. The loss is the mean over rows.
 * This is sentence-transformers' MultipleNegativesRankingLoss (scale 20, a temperature of .05). direction=both takes the mean of this and of
 * the same from positives to anchors, where hard negatives, which belong to nobody, take no part: CLIP's loss (Radford et al. 2021), and
 * sentence-transformers' directions=(query_to_doc, doc_to_query), partition_mode="per_direction".
 *
 * A row of several positives has a term for each, and its other positives, which are right too, are not among that term's candidates.
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

/* One side of a comparison: items of the batch put together, the rows they are of, and their gradient. */
struct side {
    size_t count;
    uint32_t *item;
    int32_t *row;              /* the row whose answer it is; -1: a hard negative */
    float *unit, *gradient;    /* [count, d] */
};

struct question {
    double scale;
    const int32_t *query_row, *candidate_row;
    const uint32_t *own;       /* [queries] the candidate that is the answer */
};

/* The answer's weight is left out of the sum, so that a term is exact, and not zero, where it is right by far. */
static void find(struct ft_compare_row *row, const void *argument)
{
    const struct question *question = argument;
    size_t own = question->own[row->query];
    int32_t mine = question->query_row[row->query];
    double scale = question->scale, nearest = row->distance[own], others = 0, sum, *weight = row->scratch;

    for (size_t j = 0; j < row->candidates; j++)
        if (question->candidate_row[j] != mine)
            nearest = fmin(nearest, row->distance[j]);
    for (size_t j = 0; j < row->candidates; j++) {
        weight[j] = question->candidate_row[j] != mine ? exp(scale * (nearest - row->distance[j])) : 0;   /* the largest is 1 */
        others += weight[j];
    }
    weight[own] = exp(scale * (nearest - row->distance[own]));
    sum = weight[own] + others;
    row->loss = weight[own] < 1 ? scale * (row->distance[own] - nearest) + log(sum) : log1p(others);
    row->counted = row->loss > 0;
    for (size_t j = 0; j < row->candidates; j++)
        row->slope[j] = (float)(scale * (j == own ? others / sum : -weight[j] / sum));
}

static int side_take(struct ft_arena *arena, struct side *side, size_t most, size_t d)
{
    side->item = ft_arena_zero(arena, most, sizeof(uint32_t));
    side->row = ft_arena_zero(arena, most, sizeof(int32_t));
    side->unit = ft_arena_zero(arena, most, d * sizeof(float));
    side->gradient = ft_arena_zero(arena, most, d * sizeof(float));
    return side->item && side->row && side->unit && side->gradient ? 0 : -1;
}

static void side_add(struct side *side, const struct ft_units *units, uint32_t item, int32_t row)
{
    side->item[side->count] = item;
    side->row[side->count] = row;
    memcpy(side->unit + side->count * units->d, units->unit + item * units->d, units->d * sizeof(float));
    side->count++;
}

/* gradient of the items += share * the side's */
static void side_give(const struct side *side, size_t d, double share, float *gradient)
{
    for (size_t i = 0; i < side->count; i++)
        for (size_t k = 0; k < d; k++)
            gradient[side->item[i] * d + k] += (float)(share * side->gradient[i * d + k]);
}

/* The mean over queries of finding own[query] among the candidates, times `part`. */
static int ask(struct ft_arena *arena, const struct ft_loss_call *call, struct side *query, struct side *candidate, const uint32_t *own,
               double part, double *loss, float *gradient, uint64_t *counted)
{
    struct question question = {call->value[SCALE], query->row, candidate->row, own};
    size_t d = call->input->d;
    double share = query->count ? part / (double)query->count : 0, sum;
    uint64_t more;

    memset(query->gradient, 0, query->count * d * sizeof(float));
    memset(candidate->gradient, 0, candidate->count * d * sizeof(float));
    if (ft_compare(arena, &(struct ft_compare){
            .queries = query->count, .candidates = candidate->count, .d = d, .query = query->unit, .candidate = candidate->unit,
            .query_gradient = query->gradient, .candidate_gradient = candidate->gradient,
            .row = find, .argument = &question, .scratch = candidate->count * sizeof(double),
        }, &sum, &more) < 0)
        return -1;
    *loss += share * sum;
    *counted += more;
    side_give(query, d, share, gradient);
    side_give(candidate, d, share, gradient);
    return 0;
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    struct ft_units units;
    struct ft_role_items items;
    struct side asking = {0}, anchors = {0}, candidates = {0};   /* asking: the anchor of each positive */
    bool both = call->value[DIRECTION] == BOTH;
    uint32_t *own;

    if (ft_units_make(arena, &units, input->embedding, input->n, input->d) < 0 || ft_role_items_find(arena, input, &items) < 0 ||
        side_take(arena, &asking, items.positive.count, input->d) < 0 || side_take(arena, &anchors, input->rows, input->d) < 0 ||
        side_take(arena, &candidates, input->n, input->d) < 0 ||
        !(own = ft_arena_zero(arena, items.positive.count, sizeof *own)))
        return -1;
    for (size_t r = 0; r < input->rows; r++) {
        side_add(&anchors, &units, items.anchor[r], (int32_t)r);
        for (size_t i = items.positive.first[r]; i < items.positive.first[r + 1]; i++) {
            own[i] = (uint32_t)i;
            side_add(&asking, &units, items.anchor[r], (int32_t)r);
            side_add(&candidates, &units, items.positive.item[i], (int32_t)r);
        }
    }
    for (size_t i = 0; i < items.negative.count; i++)
        side_add(&candidates, &units, items.negative.item[i], -1);
    if (ask(arena, call, &asking, &candidates, own, both ? .5 : 1, loss, gradient, counted) < 0)
        return -1;
    if (both) {
        for (size_t i = 0; i < items.positive.count; i++)
            own[i] = (uint32_t)candidates.row[i];
        candidates.count = items.positive.count;
        if (ask(arena, call, &candidates, &anchors, own, .5, loss, gradient, counted) < 0)
            return -1;
    }
    ft_units_backward(&units, 1, gradient);
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
