/* ntxent.c - each positive against all negatives: normalised temperature-scaled cross entropy (Sohn 2016; Chen et al. 2020, SimCLR).
 *
 *   term(a, p) = - log( exp(-d(a, p) / t) / (exp(-d(a, p) / t) + sum over negatives n of exp(-d(a, n) / t)) )
 *
 * An anchor's other positives are not in the sum. With cosine distances, the default, exp(-d / t) stands for exp(u . v / t). The loss is the
 * mean over positive pairs: pytorch-metric-learning's NTXentLoss (temperature .07). Over pairs, or over two copies of each text under one
 * label with different dropout (SimCSE: Gao et al. 2021), it is SimCLR's loss. */
#include "train/losses/labelled.h"

enum { TEMPERATURE, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [TEMPERATURE] = {.name = "temperature", .otherwise = .07, .low = 1e-4, .high = 100},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_COSINE},
    [REDUCER] = {.name = "reducer", .choices = FT_PAIR_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

static void contrast(struct ft_anchor *anchor, const void *argument)
{
    const double *value = argument;
    double t = value[TEMPERATURE];

    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].power = anchor->positive[i].value / t;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].power = -anchor->negative[i].value / t;
    ft_positives_each(anchor);
    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].slope /= t;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].slope /= -t;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER],
        .anchor = contrast, .argument = call->value,
    }, loss, gradient, counted);
}

const struct ft_loss ft_loss_ntxent = {
    .name = "ntxent",
    .purpose = "each positive against all negatives, as a softmax (SimCLR, SimCSE)",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .compute = compute,
};
