/* margin.c - margin loss (Wu et al. 2017, eq. 5): positives within beta - margin, negatives beyond beta + margin.
 *
 *   term(a, p, n) = max(0, d(a, p) - beta + margin) + max(0, beta - d(a, n) + margin)
 *
 * over all triplets, or those of a miner. The loss is their sum over the number of the two parts that are not zero (reducer=divisor):
 * pytorch-metric-learning's MarginLoss (margin .2, beta 1.2, Euclidean). beta is fixed, or learnt: one, or one for each class of anchors, which is
 * its num_classes. What is learnt is held back by nu times beta: the one's, or the mean over triplets, where the others' sum is over the number of
 * parts. The paper samples by --miner distance-weighted. */
#include "train/losses/labelled.h"

enum { MARGIN, BETA, DISTANCE, REDUCER, LEARN_BETA, NU };
enum { FIXED, ONE, PER_CLASS };

static const struct ft_setting_key keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = .2, .low = 0, .high = 4},
    [BETA] = {.name = "beta", .otherwise = 1.2, .low = -4, .high = 4},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    [REDUCER] = {.name = "reducer", .choices = "mean sum divisor", .otherwise = FT_NONZERO},   /* divisor: parts that are not zero */
    [LEARN_BETA] = {.name = "learn_beta", .choices = "0 1 per_class", .otherwise = FIXED},
    [NU] = {.name = "nu", .otherwise = 0, .low = 0, .high = 100},
    {.name = NULL},
};

struct margin {
    const struct ft_loss_call *call;
    double *slope;             /* [items] d terms / d beta, as the distance has it */
};

/* An anchor's beta, and whether it is one that is learnt for its class. */
static double beta_of(const struct margin *margin, const struct ft_anchor *anchor)
{
    const struct ft_loss_call *call = margin->call;
    int how = (int)call->value[LEARN_BETA];

    if (how == FIXED)
        return call->value[BETA];
    return call->weight[0][how == ONE ? 0 : call->input->label[anchor->batch->item[anchor->item]]];
}

static double count_all(const struct ft_other *others, size_t count)
{
    double all = 0;

    for (size_t i = 0; i < count; i++)
        all += others[i].count;
    return all;
}

/* The parts of a triplet share no distance, so a pair's part is taken as often as triplets have the pair. */
static void pull_apart(struct ft_anchor *anchor, const void *argument)
{
    const struct margin *margin = argument;
    const double *value = margin->call->value;
    const struct ft_mined *mined = anchor->batch->mined;
    double learnt = beta_of(margin, anchor), beta = ft_distance_margin(anchor->batch->distance, learnt);
    bool pairs = !mined || mined->how == FT_MINED_PAIRS;
    double times[] = {pairs ? count_all(anchor->negative, anchor->negatives) : 1, pairs ? count_all(anchor->positive, anchor->positives) : 1};

    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (part ? anchor->negatives : anchor->positives); i++) {
            struct ft_other *o = part ? &anchor->negative[i] : &anchor->positive[i];
            double sign = part ? -1 : 1, over = sign * (o->value - beta) + value[MARGIN], count = times[part] * o->count;
            struct ft_terms *terms = &anchor->batch->terms[anchor->item];

            terms->entries[0] += part ? 0 : count;
            if (over <= 0 || count == 0)
                continue;
            terms->sum[0] += count * over;
            terms->nonzero[0] += count;
            o->slope = sign * count;
            margin->slope[anchor->item] -= sign * count;
        }
    if (value[LEARN_BETA] == PER_CLASS)
        anchor->batch->terms[anchor->item].sum[0] += anchor->batch->terms[anchor->item].entries[0] * value[NU] * learnt;
}

/* The anchors' slopes to what is learnt, by the same share as the terms; and nu. */
static void give_beta(const struct margin *margin, const struct ft_labelled *batch, double *loss)
{
    const struct ft_loss_call *call = margin->call;
    double sign = ft_distance_margin(batch->distance, 1) - ft_distance_margin(batch->distance, 0), entries = 0, nonzero = 0, share = 1;
    bool one = call->value[LEARN_BETA] == ONE;

    for (size_t a = 0; a < batch->anchors; a++) {
        entries += batch->terms[a].entries[0];
        nonzero += batch->terms[a].nonzero[0];
    }
    if (batch->reducer != FT_SUM)
        share = batch->reducer == FT_MEAN ? entries : nonzero;
    share = batch->reducer == FT_SUM ? 1 : share > 0 ? 1 / share : 0;
    for (size_t a = 0; a < batch->anchors; a++) {
        float *to = &call->weight_gradient[0][one ? 0 : call->input->label[batch->item[a]]];

        *to += (float)(share * (sign * margin->slope[a] + (one ? 0 : call->value[NU] * batch->terms[a].entries[0])));
    }
    if (one && entries > 0) {
        *loss += call->value[NU] * call->weight[0][0];
        call->weight_gradient[0][0] += (float)call->value[NU];
    }
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct margin margin = {call, ft_arena_zero(arena, call->input->n, sizeof(double))};
    const struct ft_labelled_loss how = {
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER],
        .anchor = pull_apart, .argument = &margin,
    };
    struct ft_labelled batch;

    if (!margin.slope || ft_labelled_open(arena, &batch, call, &how) < 0 || ft_labelled_each(arena, &batch, &how) < 0 ||
        ft_labelled_close(&batch, &how, loss, gradient, counted) < 0)
        return -1;
    if (call->value[LEARN_BETA] != FIXED)
        give_beta(&margin, &batch, loss);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

static int check(const double *value)
{
    return value[NU] > 0 && value[LEARN_BETA] == FIXED ? ft_fail(FT_USAGE, "margin: nu holds back what is learnt: it goes with learn_beta") : 0;
}

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    (void)d;
    if (value[LEARN_BETA] == FIXED)
        return 0;
    tensor[0] = ft_class_tensor("beta", value[LEARN_BETA] == ONE ? 1 : classes, 1);
    tensor[0].mean = value[BETA];
    tensor[0].spread = 0;
    return 1;
}

const struct ft_loss ft_loss_margin = {
    .name = "margin",
    .purpose = "positives within, negatives beyond one distance, with a margin on both sides",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .references = true,
    .check = check,
    .compute = compute,
    .tensors = tensors,
};
