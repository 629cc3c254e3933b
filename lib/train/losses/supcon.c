/* supcon.c - supervised contrastive learning (Khosla et al. 2020, eq. 2, L_out).
 *
 *   term(a) = - mean over positives p of log( exp(u_a . u_p / t) / sum over all j but a of exp(u_a . u_j / t) )
 *
 * The loss is the mean over the anchors whose term is not zero; one without a positive or without a negative has none. This is
 * pytorch-metric-learning's SupConLoss (temperature .1; the paper's own is .07 for pictures). Items of unknown label (-1) take no part. */
#include "train/losses/losses.h"

#include <math.h>

enum { TEMPERATURE };

static const struct ft_loss_key keys[] = {
    [TEMPERATURE] = {.name = "temperature", .otherwise = .1, .low = 1e-4, .high = 100},
    {.name = NULL},
};

static bool takes_part(const int32_t *label, const struct ft_compare_row *row, size_t j)
{
    return j != row->query && label[j] >= 0;
}

static void contrast(struct ft_compare_row *row, const void *argument)
{
    const struct ft_loss_call *call = argument;
    const int32_t *label = call->input->label;
    double t = call->value[TEMPERATURE], nearest = INFINITY, sum = 0, positive = 0, *weight = row->scratch;
    size_t positives = 0, negatives = 0;

    if (label[row->query] < 0)
        return;
    for (size_t j = 0; j < row->candidates; j++)
        if (takes_part(label, row, j)) {
            bool same = label[j] == label[row->query];

            positives += same;
            negatives += !same;
            positive += same ? row->distance[j] : 0;
            nearest = fmin(nearest, row->distance[j]);
        }
    if (positives == 0 || negatives == 0)
        return;
    for (size_t j = 0; j < row->candidates; j++)
        if (takes_part(label, row, j))
            sum += weight[j] = exp((nearest - row->distance[j]) / t);   /* the largest is 1 */
    row->loss = (positive / (double)positives - nearest) / t + log(sum);
    row->counted = row->loss > 0;
    for (size_t j = 0; j < row->candidates; j++)
        if (takes_part(label, row, j))
            row->slope[j] = (float)(((label[j] == label[row->query] ? 1 / (double)positives : 0) - weight[j] / sum) / t);
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    struct ft_arena arena = {0};
    struct ft_units units;
    int rc = input->label ? 0 : ft_fail(FT_BAD, "the supcon loss needs labels, and this batch of %s has none",
                                        ft_batch_kind_name(input->kind));

    if (rc == 0)
        rc = ft_units_make(&arena, &units, input->embedding, input->n, input->d);
    if (rc == 0)
        rc = ft_compare(&arena, &(struct ft_compare){
            .queries = input->n, .candidates = input->n, .d = input->d, .query = units.unit, .candidate = units.unit,
            .query_gradient = gradient, .candidate_gradient = gradient,
            .row = contrast, .argument = call, .scratch = input->n * sizeof(double),
        }, loss, counted);
    if (rc == 0) {
        double share = *counted ? 1 / (double)*counted : 0;

        *loss *= share;
        ft_units_backward(&units, share, gradient);
    }
    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_supcon = {
    .name = "supcon",
    .purpose = "all of a class against all others, as a softmax (supervised contrastive)",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = compute,
};
