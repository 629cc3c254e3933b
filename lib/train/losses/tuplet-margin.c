/* tuplet-margin.c - tuplet margin loss (Yu and Tao 2019, eq. 7): each positive against all negatives, its angle made harder.
 *
 *   term(a, p) = log(1 + sum over negatives n of exp(scale (cos t(a, n) - cos(t(a, p) - margin))))
 *
 * t are angles. The loss is the mean over positive pairs: pytorch-metric-learning's TupletMarginLoss (margin 5.73 degrees, scale 64). */
#include "train/losses/labelled.h"

#include <math.h>

enum { MARGIN, SCALE, REDUCER };

static const struct ft_setting_key keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = 5.73, .low = 0, .high = 90},
    [SCALE] = {.name = "scale", .otherwise = 64, .low = 1e-3, .high = 1e4},
    [REDUCER] = {.name = "reducer", .choices = FT_PAIR_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

static void contrast(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    double margin = value[MARGIN] * M_PI / 180, scale = value[SCALE];

    for (size_t i = 0; i < anchor->positives; i++) {
        double half = sqrt(fmin(anchor->positive[i].value / 2, 1));     /* sin(t / 2) */

        anchor->positive[i].power = -scale * cos(2 * asin(half) - margin);
    }
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].power = scale * (1 - anchor->negative[i].value);
    ft_positives_each(anchor);
    for (size_t i = 0; i < anchor->positives; i++) {
        double angle = 2 * asin(sqrt(fmin(anchor->positive[i].value / 2, 1))), sine = sin(angle);

        /* Equal vectors: the slope grows without bound, the gradient has no direction. */
        anchor->positive[i].slope *= sine > 1e-9 ? scale * sin(angle - margin) / sine : 0;
    }
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].slope *= -scale;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = FT_BY_COSINE, .reducer = (enum ft_reducer)call->value[REDUCER], .anchor = contrast, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_tuplet_margin = {
    .name = "tuplet-margin",
    .purpose = "each positive against all negatives, with a margin of its angle",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .compute = compute,
};
