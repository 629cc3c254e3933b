/* nca.c - neighbourhood components analysis (Goldberger et al. 2005): the chance that a random neighbour is of the same class.
 *
 *   term(a) = - log( sum over j of a's class of exp(-scale d(a, j)) / sum over all j but a of exp(-scale d(a, j)) )
 *
 * The loss is the mean over the anchors that have another of their class: pytorch-metric-learning's NCALoss (softmax_scale 1, squared Euclidean
 * distance). A miner weighs anchors: by how often it chose them, the most chosen 1. */
#include "train/losses/labelled.h"

enum { SOFTMAX_SCALE, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [SOFTMAX_SCALE] = {.name = "softmax_scale", .otherwise = 1, .low = 1e-3, .high = 1e4},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_SQEUCLIDEAN},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

struct nca {
    double scale;
    const double *weight;      /* [items] */
};

static void find(struct ft_anchor *anchor, const void *argument)
{
    const struct nca *nca = argument;
    double loss = 0, slope = 0, weight = nca->weight[anchor->item];

    if (anchor->positives == 0)
        return;
    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].power = -nca->scale * anchor->positive[i].value;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].power = -nca->scale * anchor->negative[i].value;
    if (anchor->negatives)
        loss = ft_chance(ft_log_sum(anchor->negative, anchor->negatives, false) - ft_log_sum(anchor->positive, anchor->positives, false),
                         &slope);
    slope *= ft_term(anchor, 0, 1, loss * weight) * weight * nca->scale;
    for (size_t i = 0; i < anchor->positives; i++)
        anchor->positive[i].slope = slope * anchor->positive[i].share;
    for (size_t i = 0; i < anchor->negatives; i++)
        anchor->negative[i].slope = -slope * anchor->negative[i].share;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct nca nca = {.scale = call->value[SOFTMAX_SCALE]};
    struct ft_labelled_loss how = {
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER], .whole = true,
        .anchor = find, .argument = &nca,
    };
    struct ft_arena arena = {0};
    struct ft_labelled batch;
    int rc = ft_labelled_open(&arena, &batch, call, &how);

    if (rc == 0 && !(nca.weight = ft_labelled_weights(&arena, &batch)))
        rc = -1;
    if (rc == 0)
        rc = ft_labelled_each(&arena, &batch, &how);
    if (rc == 0)
        rc = ft_labelled_close(&batch, &how, loss, gradient, counted);
    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_nca = {
    .name = "nca",
    .purpose = "the chance that a neighbour is of the same class (neighbourhood components)",
    .kinds = FT_LABELLED | FT_LOSS_TAKES(FT_BATCH_PAIRS),
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .compute = compute,
};
