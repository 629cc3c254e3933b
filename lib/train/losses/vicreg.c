/* vicreg.c - variance, invariance, covariance (Bardes, Ponce and LeCun 2022): pairs alike, and no collapse, without any negative.
 *
 *   invariance_lambda mean((x - y)^2) + variance_mu (v(x) + v(y)) + covariance_v (c(x) + c(y))
 *
 * x [N, d] are the anchors, y the positives, as the model gives them; v is the mean over dimensions of max(0, 1 - sqrt(variance + eps)) / 2, c the sum of the
 * squares of the covariances of different dimensions over d; variances and covariances divide by N - 1. pytorch-metric-learning's
 * VICRegLoss with its defaults. A row of several positives is as many pairs. One pair has no variance: the first part is all there is. */
#include "tensor/blas.h"
#include "train/losses/losses.h"

#include <math.h>

enum { INVARIANCE, VARIANCE, COVARIANCE, EPS };

static const struct ft_setting_key keys[] = {
    [INVARIANCE] = {.name = "invariance_lambda", .otherwise = 25, .low = 0, .high = 1e4},
    [VARIANCE] = {.name = "variance_mu", .otherwise = 25, .low = 0, .high = 1e4},
    [COVARIANCE] = {.name = "covariance_v", .otherwise = 1, .low = 0, .high = 1e4},
    [EPS] = {.name = "eps", .otherwise = 1e-4, .low = 1e-12, .high = 1},
    {.name = NULL},
};

/* One side: its vectors, less their mean, and their gradient. */
struct side {
    size_t n, d;
    const uint32_t *item;      /* [n] */
    float *centred, *slope;    /* [n, d] */
};

static int side_take(struct ft_arena *arena, struct side *side, const float *x)
{
    size_t n = side->n, d = side->d;

    side->centred = ft_arena_zero(arena, n, d * sizeof(float));
    side->slope = ft_arena_zero(arena, n, d * sizeof(float));
    if (!side->centred || !side->slope)
        return -1;
    for (size_t k = 0; k < d; k++) {
        double mean = 0;

        for (size_t i = 0; i < n; i++)
            mean += x[side->item[i] * d + k];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++)
            side->centred[i * d + k] = (float)(x[side->item[i] * d + k] - mean);
    }
    return 0;
}

/* v, times `part`. */
static double add_variance(struct side *side, double eps, double part)
{
    size_t n = side->n, d = side->d;
    double loss = 0;

    for (size_t k = 0; k < d; k++) {
        double variance = 0, deviation, slope;

        for (size_t i = 0; i < n; i++)
            variance += (double)side->centred[i * d + k] * side->centred[i * d + k];
        deviation = sqrt(variance / (double)(n - 1) + eps);
        if (deviation >= 1)
            continue;
        loss += (1 - deviation) / 2 / (double)d;
        slope = -part / (2 * (double)d * deviation * (double)(n - 1));
        for (size_t i = 0; i < n; i++)
            side->slope[i * d + k] += (float)(slope * side->centred[i * d + k]);
    }
    return part * loss;
}

/* c, times `part`: of C = X'X / (N - 1) without its diagonal the gradient is 4 X C / (d (N - 1)). */
static int add_covariance(struct ft_arena *arena, struct side *side, double part, double *loss)
{
    size_t n = side->n, d = side->d;
    float *covariance = ft_arena_zero(arena, d, d * sizeof *covariance);
    double sum = 0;

    if (!covariance)
        return -1;
    ft_blas_sgemm(true, false, d, d, n, (float)(1 / (double)(n - 1)), side->centred, d, side->centred, d, 0, covariance, d);
    for (size_t k = 0; k < d; k++)
        covariance[k * d + k] = 0;
    for (size_t k = 0; k < d * d; k++)
        sum += (double)covariance[k] * covariance[k];
    *loss += part * sum / (double)d;
    ft_blas_sgemm(false, false, n, d, d, (float)(4 * part / ((double)d * (double)(n - 1))), side->centred, d, covariance, d, 1,
                  side->slope, d);
    return 0;
}

static double add_invariance(const struct ft_loss_input *input, struct side *x, struct side *y, double part)
{
    size_t d = input->d;
    double loss = 0, share = 1 / ((double)x->n * (double)d);

    for (size_t i = 0; i < x->n; i++)
        for (size_t k = 0; k < d; k++) {
            double off = (double)input->embedding[x->item[i] * d + k] - input->embedding[y->item[i] * d + k];

            loss += off * off;
            x->slope[i * d + k] += (float)(2 * part * share * off);
            y->slope[i * d + k] -= (float)(2 * part * share * off);
        }
    return part * share * loss;
}

static void side_give(const struct side *side, float *gradient)
{
    for (size_t i = 0; i < side->n; i++)
        for (size_t k = 0; k < side->d; k++)
            gradient[side->item[i] * side->d + k] += side->slope[i * side->d + k];
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient)
{
    const struct ft_loss_input *input = call->input;
    const double *value = call->value;
    struct ft_role_items items;
    struct side side[2];
    uint32_t *anchor;
    size_t n;

    if (ft_role_items_find(arena, input, &items) < 0 || !(anchor = ft_arena_zero(arena, items.positive.count, sizeof *anchor)))
        return -1;
    n = items.positive.count;
    for (size_t i = 0; i < n; i++)
        anchor[i] = items.anchor[input->row[items.positive.item[i]]];
    side[0] = (struct side){.n = n, .d = input->d, .item = anchor};
    side[1] = (struct side){.n = n, .d = input->d, .item = items.positive.item};
    if (side_take(arena, &side[0], input->embedding) < 0 || side_take(arena, &side[1], input->embedding) < 0)
        return -1;
    *loss = add_invariance(input, &side[0], &side[1], value[INVARIANCE]);
    for (int s = 0; n > 1 && s < 2; s++) {
        *loss += add_variance(&side[s], value[EPS], value[VARIANCE]);
        if (add_covariance(arena, &side[s], value[COVARIANCE], loss) < 0)
            return -1;
    }
    side_give(&side[0], gradient);
    side_give(&side[1], gradient);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient);

    ft_arena_free(&arena);
    *counted = call->input->rows;
    return rc;
}

const struct ft_loss ft_loss_vicreg = {
    .name = "vicreg",
    .purpose = "pairs alike, dimensions spread and unlike each other; no negatives",
    .kinds = FT_LOSS_TAKES(FT_BATCH_PAIRS),
    .keys = keys,
    .compute = compute,
};
