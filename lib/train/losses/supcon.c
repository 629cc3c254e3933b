/* supcon.c - supervised contrastive learning (Khosla et al. 2020, eq. 2, L_out).
 *
 *   term(a) = - mean over positives p of log( exp(-d(a, p) / t) / sum over all j but a of exp(-d(a, j) / t) )
 *
 * With cosine distances, the default, that is the paper's exp(u . v / t). The loss is the mean over the anchors whose term is not zero; one
 * without a positive has none. This is pytorch-metric-learning's SupConLoss (temperature .1; the paper's own is .07 for pictures). With a
 * miner, positives and the sum are over what it chose. */
#include "train/losses/labelled.h"

#include <math.h>

enum { TEMPERATURE, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [TEMPERATURE] = {.name = "temperature", .otherwise = .1, .low = 1e-4, .high = 100},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_COSINE},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_NONZERO},
    {.name = NULL},
};

static void contrast(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    double t = value[TEMPERATURE], nearest = INFINITY, sum = 0, mean = 0, loss, weight, share = 1 / (double)anchor->positives;
    struct ft_other *sides[] = {anchor->positive, anchor->negative};
    size_t counts[] = {anchor->positives, anchor->negatives};

    if (counts[0] == 0 || !anchor->batch->any[1]) {
        ft_term(anchor, 0, 1, 0);
        return;
    }
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < counts[side]; i++)
            nearest = fmin(nearest, sides[side][i].value);
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < counts[side]; i++) {
            struct ft_other *o = &sides[side][i];

            sum += o->share = exp((nearest - o->value) / t);   /* the largest is 1 */
            mean += side == 0 ? share * o->value : 0;
        }
    loss = (mean - nearest) / t + log(sum);
    weight = ft_term(anchor, 0, 1, loss);
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < counts[side]; i++)
            sides[side][i].slope = weight * ((side == 0 ? share : 0) - sides[side][i].share / sum) / t;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER],
        .anchor = contrast, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_supcon = {
    .name = "supcon",
    .purpose = "all of a class against all others, as a softmax (supervised contrastive)",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .compute = compute,
};
