/* contrastive.c - positives nearer than a margin, negatives further than another (Hadsell, Chopra and LeCun 2006).
 *
 *   positive pairs: max(0, d - pos_margin)        negative pairs: max(0, neg_margin - d)
 *
 * squared=1 takes half the square of each, as the paper and sentence-transformers' ContrastiveLoss do. The loss is the sum of two means, over
 * the positive and over the negative pairs that are not zero: pytorch-metric-learning's ContrastiveLoss (margins 0 and 1, Euclidean).
 * sentence-transformers' is distance=cosine,pos_margin=1,neg_margin=.5,squared=1 with reducer=joint-mean (size_average=True) or sum: margins
 * of cosine are of the similarity, and its margin of .5 is of the distance. */
#include "train/losses/labelled.h"

enum { POS_MARGIN, NEG_MARGIN, SQUARED, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [POS_MARGIN] = {.name = "pos_margin", .otherwise = 0, .low = -4, .high = 4},
    [NEG_MARGIN] = {.name = "neg_margin", .otherwise = 1, .low = -4, .high = 4},
    [SQUARED] = {.name = "squared", .choices = "0 1", .otherwise = 0},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    [REDUCER] = {.name = "reducer", .choices = FT_PAIR_REDUCERS " joint-mean", .otherwise = FT_NONZERO},
    {.name = NULL},
};

struct margins {
    double of[2];
    bool squared;
};

static void pull_apart(struct ft_anchor *anchor, const void *argument)
{
    const struct margins *margins = argument;

    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (part ? anchor->negatives : anchor->positives); i++) {
            struct ft_other *o = part ? &anchor->negative[i] : &anchor->positive[i];
            double sign = part ? -1 : 1, over = sign * (o->value - margins->of[part]), weight;

            if (over < 0)
                over = 0;
            weight = ft_term(anchor, part, o->count, margins->squared ? over * over / 2 : over);
            o->slope = weight * sign * (margins->squared ? over : over > 0);
        }
}

int ft_contrastive_compute(const struct ft_loss_call *call, enum ft_by distance, enum ft_reducer reducer, double *loss, float *gradient,
                           uint64_t *counted)
{
    struct margins margins = {{ft_distance_margin(distance, call->value[POS_MARGIN]), ft_distance_margin(distance, call->value[NEG_MARGIN])},
                              call->value[SQUARED] != 0};

    return ft_labelled_compute(call, &(struct ft_labelled_loss){
        .distance = distance, .reducer = reducer, .parts = true,
        .anchor = pull_apart, .argument = &margins,
    }, loss, gradient, counted);
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_contrastive_compute(call, (enum ft_by)call->value[DISTANCE], (enum ft_reducer)call->value[REDUCER], loss, gradient, counted);
}

const struct ft_loss ft_loss_contrastive = {
    .name = "contrastive",
    .purpose = "positives nearer than a margin, negatives further than another",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .compute = compute,
};
