/* intra-pair-variance.c - similarities of positives, and of negatives, not far on the wrong side of their means (Yu and Tao 2019, eq. 14 and 15).
 *
 *   positive pairs: max(0, (1 - pos_eps) mean - s)^2        negative pairs: max(0, s - (1 + neg_eps) mean)^2
 *
 * s is the cosine and the means are over all positive, and all negative, pairs of the batch; with another distance the signs are turned. The
 * loss is the sum of the means over positive and over negative pairs: pytorch-metric-learning's IntraPairVarianceLoss (.01, .01). Meant to be
 * added to another loss. */
#include "train/losses/labelled.h"

#include <math.h>

enum { POS_EPS, NEG_EPS, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [POS_EPS] = {.name = "pos_eps", .otherwise = .01, .low = 0, .high = 1},
    [NEG_EPS] = {.name = "neg_eps", .otherwise = .01, .low = 0, .high = 1},
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_COSINE},
    [REDUCER] = {.name = "reducer", .choices = FT_PAIR_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

struct variance {
    const double *eps;         /* of positives, of negatives */
    double mean[2];
    double (*sum)[2], (*count)[2], (*slope)[2];    /* [items] sums of an anchor's pairs; slopes by the means */
    double share[2];           /* slopes by the means, for each pair */
};

static bool is_similarity(const struct ft_anchor *anchor)
{
    return anchor->batch->distance == FT_BY_COSINE || anchor->batch->distance == FT_BY_DOT;
}

/* What the mean is of. */
static double measure(const struct ft_anchor *anchor, const struct ft_other *o)
{
    return is_similarity(anchor) ? 1 - o->value : o->value;
}

static void sum_pairs(struct ft_anchor *anchor, const void *argument)
{
    const struct variance *variance = argument;

    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (part ? anchor->negatives : anchor->positives); i++) {
            const struct ft_other *o = part ? &anchor->negative[i] : &anchor->positive[i];

            variance->sum[anchor->item][part] += o->count * measure(anchor, o);
            variance->count[anchor->item][part] += o->count;
        }
}

static void compare(struct ft_anchor *anchor, const void *argument)
{
    const struct variance *variance = argument;

    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (part ? anchor->negatives : anchor->positives); i++) {
            struct ft_other *o = part ? &anchor->negative[i] : &anchor->positive[i];
            double up = is_similarity(anchor) != part ? 1 : -1;      /* it should go up */
            double bound = (1 - up * variance->eps[part]), over = up * (bound * variance->mean[part] - measure(anchor, o)), slope;

            if (over < 0)
                over = 0;
            slope = ft_term(anchor, part, o->count, over * over) * 2 * over;
            o->slope = slope * (part ? -1 : 1);      /* by the value, of which further is more */
            variance->slope[anchor->item][part] += slope * up * bound * (is_similarity(anchor) ? -1 : 1);
        }
}

static void add_means(struct ft_anchor *anchor, const void *argument)
{
    const struct variance *variance = argument;

    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (part ? anchor->negatives : anchor->positives); i++) {
            struct ft_other *o = part ? &anchor->negative[i] : &anchor->positive[i];

            o->slope = o->count * variance->share[part];
        }
}

static void find_means(struct variance *variance, size_t n, double count[2])
{
    double sum[2] = {0, 0};

    for (size_t i = 0; i < n; i++)
        for (int part = 0; part < 2; part++) {
            sum[part] += variance->sum[i][part];
            count[part] += variance->count[i][part];
        }
    for (int part = 0; part < 2; part++)
        variance->mean[part] = count[part] > 0 ? sum[part] / count[part] : 0;
}

static int three_looks(struct ft_arena *arena, struct ft_labelled *batch, struct ft_labelled_loss *how, struct variance *variance)
{
    double count[2] = {0, 0};

    variance->sum = ft_arena_zero(arena, batch->n, sizeof *variance->sum);
    variance->count = ft_arena_zero(arena, batch->n, sizeof *variance->count);
    variance->slope = ft_arena_zero(arena, batch->n, sizeof *variance->slope);
    if (!variance->sum || !variance->count || !variance->slope)
        return -1;
    how->argument = variance;
    how->anchor = sum_pairs;
    if (ft_labelled_each(arena, batch, how) < 0)
        return -1;
    find_means(variance, batch->n, count);
    how->anchor = compare;
    if (ft_labelled_each(arena, batch, how) < 0)
        return -1;
    for (int part = 0; part < 2; part++) {
        for (size_t i = 0; i < batch->n; i++)
            variance->share[part] += variance->slope[i][part];
        variance->share[part] /= count[part] > 0 ? count[part] : 1;
    }
    how->anchor = add_means;
    return ft_labelled_each(arena, batch, how);
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_labelled_loss how = {.distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER], .parts = true};
    struct variance variance = {.eps = call->value};
    struct ft_arena arena = {0};
    struct ft_labelled batch;
    int rc = ft_labelled_open(&arena, &batch, call, &how);

    if (rc == 0)
        rc = three_looks(&arena, &batch, &how, &variance);
    if (rc == 0)
        rc = ft_labelled_close(&batch, &how, loss, gradient, counted);
    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_intra_pair_variance = {
    .name = "intra-pair-variance",
    .purpose = "no pair far on the wrong side of the mean of its kind; to be added to another loss",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .compute = compute,
};
