/* siglip.c - of each anchor and each positive of the batch: are they a pair? (Zhai et al. 2023, algorithm 1)
 *
 *   loss = -1/n sum over i, j of log sigmoid( l_ij (s a_i . p_j + b) )      l_ij = 1 where j is i's, else -1;  s = exp(logit_scale), b = logit_bias
 *
 * a and p at unit length, n the rows. Both are learnt: logit_scale begins as log(1 / temperature) and stays within 0 and log(100), as in open_clip,
 * whose SigLipLoss this is; logit_bias begins as `bias`. temperature=0 is the model's own, or .1 where it has none, and so is `bias` then unless it is
 * given. With learn=0 they are 1 / temperature (0: .1) and `bias`. No term needs the others, so batches may be small. */
#include "train/losses/losses.h"

#include <math.h>
#include <string.h>

enum { TEMPERATURE, BIAS, LEARN };

static const double USUAL = .1, USUAL_BIAS = -10;      /* temperature; bias */

static const struct ft_setting_key keys[] = {
    [TEMPERATURE] = {.name = "temperature", .otherwise = 0, .low = 0, .high = 100},
    [BIAS] = {.name = "bias", .otherwise = USUAL_BIAS, .low = -1000, .high = 1000},
    [LEARN] = {.name = "learn", .choices = "0 1", .otherwise = 1},
    {.name = NULL},
};

struct judge {
    double scale, bias;
    const int32_t *row;        /* [positives] whose each is */
    double *by_scale, *by_bias;            /* [anchors] d terms / d scale, d bias */
};

static int check(const double *value)
{
    return ft_temperature_check("siglip", value[TEMPERATURE], USUAL, value[LEARN] != 0);
}

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    (void)classes;
    (void)d;
    tensor[0] = ft_logit_scale(value[TEMPERATURE], USUAL);
    tensor[1] = (struct ft_loss_tensor){.name = "logit_bias", .rows = 1, .columns = 1, .mean = value[BIAS], .undecayed = true,
                                        .own = "logit_bias", .begins_as_own = tensor[0].begins_as_own && value[BIAS] == USUAL_BIAS};
    return value[LEARN] != 0 ? 2 : 0;
}

/* A row of an anchor's logits z, right ones as they are and wrong ones turned round: sum of log(1 + exp(-z)). */
static void judge_row(struct ft_compare_row *row, const void *argument)
{
    const struct judge *judge = argument;
    double by_scale = 0, by_bias = 0;

    for (size_t j = 0; j < row->candidates; j++) {
        double cosine = 1 - (double)row->distance[j], sign = (size_t)judge->row[j] == row->query ? 1 : -1;
        double z = sign * (judge->scale * cosine + judge->bias), small = exp(-fabs(z)), wrong = (z > 0 ? small : 1) / (1 + small);

        row->loss += fmax(-z, 0) + log1p(small);
        row->slope[j] = (float)(sign * judge->scale * wrong);
        by_scale -= sign * wrong * cosine;
        by_bias -= sign * wrong;
    }
    row->counted = row->candidates;
    judge->by_scale[row->query] = by_scale;
    judge->by_bias[row->query] = by_bias;
}

/* Anchors, then positives, row by row. */
static void take_vectors(const struct ft_role_items *items, const struct ft_units *units, size_t anchors, float *vector)
{
    size_t d = units->d;

    for (size_t i = 0; i < anchors; i++)
        memcpy(vector + i * d, units->unit + items->anchor[i] * d, d * sizeof *vector);
    for (size_t j = 0; j < items->positive.count; j++)
        memcpy(vector + (anchors + j) * d, units->unit + items->positive.item[j] * d, d * sizeof *vector);
}

static void give_back(const struct ft_role_items *items, const float *slope, size_t anchors, size_t d, float *gradient)
{
    for (size_t i = 0; i < anchors + items->positive.count; i++) {
        size_t item = i < anchors ? items->anchor[i] : items->positive.item[i - anchors];

        for (size_t k = 0; k < d; k++)
            gradient[item * d + k] = slope[i * d + k];
    }
}

static void give_learnt(const struct ft_loss_call *call, const struct judge *judge, size_t anchors, double share)
{
    double by_scale = 0, by_bias = 0;

    for (size_t i = 0; i < anchors; i++) {
        by_scale += judge->by_scale[i];
        by_bias += judge->by_bias[i];
    }
    call->weight_gradient[0][0] = (float)(share * judge->scale * by_scale);
    call->weight_gradient[1][0] = (float)(share * by_bias);
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    bool learns = call->value[LEARN] != 0;
    size_t n = input->rows, d = input->d, positives;
    double share = n ? 1 / (double)n : 0;
    struct judge judge = {.scale = ft_logit_scale_now(call, learns, call->value[TEMPERATURE], USUAL),
                          .bias = learns ? (double)call->weight[1][0] : call->value[BIAS]};
    struct ft_role_items items;
    struct ft_units units;
    float *vector, *slope;
    int32_t *row;

    if (ft_role_items_find(arena, input, &items) < 0 || ft_units_make(arena, &units, input->embedding, input->n, d) < 0)
        return -1;
    positives = items.positive.count;
    vector = ft_arena_zero(arena, n + positives, d * sizeof *vector);
    slope = ft_arena_zero(arena, n + positives, d * sizeof *slope);
    judge.row = row = ft_arena_zero(arena, positives, sizeof *row);
    judge.by_scale = ft_arena_zero(arena, n, sizeof *judge.by_scale);
    judge.by_bias = ft_arena_zero(arena, n, sizeof *judge.by_bias);
    if (!vector || !slope || !row || !judge.by_scale || !judge.by_bias)
        return -1;
    for (size_t j = 0; j < positives; j++)
        row[j] = input->row[items.positive.item[j]];
    take_vectors(&items, &units, n, vector);
    if (ft_compare(arena, &(struct ft_compare){
            .queries = n, .candidates = positives, .d = d, .query = vector, .candidate = vector + n * d, .query_gradient = slope,
            .candidate_gradient = slope + n * d, .row = judge_row, .argument = &judge,
        }, loss, counted) < 0)
        return -1;
    give_back(&items, slope, n, d, gradient);
    *loss *= share;
    ft_units_backward(&units, share, gradient);
    if (learns)
        give_learnt(call, &judge, n, share);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_siglip = {
    .name = "siglip",
    .purpose = "of each anchor and each positive, whether they are a pair; temperature and bias learnt",
    .kinds = FT_LOSS_TAKES(FT_BATCH_PAIRS),
    .keys = keys,
    .check = check,
    .compute = compute,
    .tensors = tensors,
    .unlabelled = true,
};
