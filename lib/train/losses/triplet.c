/* triplet.c - the triplet loss: a positive nearer than a negative by a margin (Schroff et al. 2015, FaceNet, eq. 1).
 *
 *   term(a, p, n) = max(0, d(a, p) - d(a, n) + margin)          smooth=1: log(1 + exp(d(a, p) - d(a, n) + margin))
 *
 * Embeddings are taken at unit length. distance=cosine is 1 - u.v; euclidean |u - v|; sqeuclidean |u - v|^2, twice the cosine one. The
 * loss is the mean over the terms that are not zero, not over all of them: as terms are met, those left keep their weight. This is
 * pytorch-metric-learning's TripletMarginLoss with its defaults (margin .05, euclidean, AvgNonZeroReducer; smooth is smooth_loss).
 *
 * Batches with labels give triplets through a miner; without one, all: a positive shares the anchor's label, a negative has another,
 * and an item of unknown label (-1) is in none. Triplet batches give their own: each row its anchor with each of its positives and
 * each of its negatives.
 * The gradient of the Euclidean distance of two equal vectors is 0, which is one of its subgradients. */
#include "train/miner.h"

#include <math.h>
#include <string.h>

enum { DISTANCE, MARGIN, SMOOTH };
enum { COSINE, EUCLIDEAN, SQEUCLIDEAN };

static const struct ft_loss_key keys[] = {
    [DISTANCE] = {.name = "distance", .choices = "cosine euclidean sqeuclidean", .otherwise = EUCLIDEAN},
    [MARGIN] = {.name = "margin", .otherwise = .05, .low = 0, .high = 4},
    [SMOOTH] = {.name = "smooth", .choices = "0 1", .otherwise = 0},
    {.name = NULL},
};

/* From the cosine distance to the one asked for, and its derivative by the cosine distance. */
static double distance_of(int kind, double cosine)
{
    return kind == COSINE ? cosine : kind == SQEUCLIDEAN ? 2 * cosine : sqrt(cosine > 0 ? 2 * cosine : 0);
}

static double slope_of(int kind, double distance)
{
    return kind == COSINE ? 1 : kind == SQEUCLIDEAN ? 2 : distance > 0 ? 1 / distance : 0;
}

/* The term and its derivative by d(a, p). */
static double term_of(bool smooth, double violation, double *slope)
{
    if (smooth) {
        *slope = 1 / (1 + exp(-violation));
        return violation > 0 ? violation + log1p(exp(-violation)) : log1p(exp(violation));
    }
    *slope = violation > 0;
    return violation > 0 ? violation : 0;
}

/* An anchor's items, and the weight each distance gets: sums of the terms' slopes. */
struct lists {
    struct ft_mined mined;
    double *weight;            /* [negatives] */
};

static struct lists lists_in(void *scratch, size_t n)
{
    char *at = scratch;
    struct lists lists = {.weight = (double *)at};

    at += n * sizeof(double);
    lists.mined.positive.item = (uint32_t *)at;
    lists.mined.negative.item = (uint32_t *)(at += n * sizeof(uint32_t));
    lists.mined.positive.distance = (float *)(at += n * sizeof(uint32_t));
    lists.mined.negative.distance = (float *)(at + n * sizeof(float));
    lists.mined.above = -INFINITY;
    lists.mined.most = INFINITY;
    return lists;
}

enum { SCRATCH = sizeof(double) + 2 * sizeof(uint32_t) + 2 * sizeof(float) };   /* bytes an item */

static void sort_out(const struct ft_compare_row *row, const int32_t *label, int kind, struct ft_mined *mined)
{
    for (size_t j = 0; j < row->candidates; j++) {
        struct ft_mined_items *items = label[j] == label[row->query] ? &mined->positive : &mined->negative;

        if (j == row->query || label[j] < 0)
            continue;
        items->item[items->count] = (uint32_t)j;
        items->distance[items->count++] = (float)distance_of(kind, row->distance[j]);
    }
}

/* All terms with one positive. Gives the positive's weight. */
static double add_terms(struct ft_compare_row *row, const double *value, const struct lists *lists, float positive)
{
    const struct ft_mined *mined = &lists->mined;
    const float *distance = mined->negative.distance;
    double sum = 0, weight = 0;
    uint64_t counted = 0;

    for (size_t j = 0; j < mined->negative.count; j++) {
        double gap = (double)distance[j] - positive, slope, term;

        if (gap <= mined->above || gap > mined->most)
            continue;
        term = term_of(value[SMOOTH] != 0, value[MARGIN] - gap, &slope);
        sum += term;
        weight += slope;
        counted += term > 0;
        lists->weight[j] += slope;
    }
    row->loss += sum;
    row->counted += counted;
    return weight;
}

static void mine_row(struct ft_compare_row *row, const void *argument)
{
    const struct ft_loss_call *call = argument;
    const int32_t *label = call->input->label;
    int kind = (int)call->value[DISTANCE];
    struct lists lists = lists_in(row->scratch, row->candidates);
    struct ft_mined_items *positive = &lists.mined.positive, *negative = &lists.mined.negative;

    if (label[row->query] < 0)
        return;
    sort_out(row, label, kind, &lists.mined);
    if (positive->count == 0 || negative->count == 0)
        return;
    if (call->miner)
        call->miner->mine(call->miner_value, &lists.mined);
    memset(lists.weight, 0, negative->count * sizeof(double));
    for (size_t i = 0; i < positive->count; i++) {
        double weight = add_terms(row, call->value, &lists, positive->distance[i]);

        row->slope[positive->item[i]] = (float)(weight * slope_of(kind, positive->distance[i]));
    }
    for (size_t j = 0; j < negative->count; j++)
        row->slope[negative->item[j]] = (float)(-lists.weight[j] * slope_of(kind, negative->distance[j]));
}

static int compute_classes(struct ft_arena *arena, const struct ft_loss_call *call, const struct ft_units *units,
                           double *loss, float *gradient, uint64_t *counted)
{
    struct ft_compare compare = {
        .queries = units->n, .candidates = units->n, .d = units->d, .query = units->unit, .candidate = units->unit,
        .query_gradient = gradient, .candidate_gradient = gradient,
        .row = mine_row, .argument = call, .scratch = SCRATCH * units->n,
    };

    if (!call->input->label)
        return ft_fail(FT_BAD, "the triplet loss needs labels, and this batch of %s has none",
                       ft_batch_kind_name(call->input->kind));
    return ft_compare(arena, &compare, loss, counted);
}

/* gradient of a and b += slope (by the cosine distance) */
static void add_pair(const struct ft_units *units, size_t a, size_t b, double slope, float *gradient)
{
    const float *u = units->unit + a * units->d, *v = units->unit + b * units->d;

    for (size_t k = 0; k < units->d; k++) {
        float step = (float)(slope * ((double)u[k] - v[k]));

        gradient[a * units->d + k] += step;
        gradient[b * units->d + k] -= step;
    }
}

/* All terms of an anchor with one positive and its row's negatives. */
static void add_row(const struct ft_loss_call *call, const struct ft_units *units, size_t a, size_t p,
                    const uint32_t *negative, size_t negatives, double *loss, float *gradient, uint64_t *counted)
{
    const float *u = units->unit + a * units->d;
    int kind = (int)call->value[DISTANCE];
    double weight = 0, near = distance_of(kind, ft_unit_distance(u, units->unit + p * units->d, units->d));

    for (size_t j = 0; j < negatives; j++) {
        double far = distance_of(kind, ft_unit_distance(u, units->unit + negative[j] * units->d, units->d)), slope;
        double term = term_of(call->value[SMOOTH] != 0, near - far + call->value[MARGIN], &slope);

        *loss += term;
        *counted += term > 0;
        weight += slope;
        add_pair(units, a, negative[j], -slope * slope_of(kind, far), gradient);
    }
    add_pair(units, a, p, weight * slope_of(kind, near), gradient);
}

static int compute_triplets(struct ft_arena *arena, const struct ft_loss_call *call, const struct ft_units *units,
                            double *loss, float *gradient, uint64_t *counted)
{
    struct ft_role_items items;

    if (ft_role_items_find(arena, call->input, &items) < 0)
        return -1;
    for (size_t r = 0; r < call->input->rows; r++) {
        const uint32_t *first = items.negative.first;

        for (size_t i = items.positive.first[r]; i < items.positive.first[r + 1]; i++)
            add_row(call, units, items.anchor[r], items.positive.item[i],
                    items.negative.item + first[r], first[r + 1] - first[r], loss, gradient, counted);
    }
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    struct ft_units units;
    int rc = ft_units_make(&arena, &units, call->input->embedding, call->input->n, call->input->d);

    if (rc == 0)
        rc = call->input->kind == FT_BATCH_TRIPLETS ? compute_triplets(&arena, call, &units, loss, gradient, counted)
                                                    : compute_classes(&arena, call, &units, loss, gradient, counted);
    if (rc == 0) {
        double share = *counted ? 1 / (double)*counted : 0;

        *loss *= share;
        ft_units_backward(&units, share, gradient);
    }
    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_triplet = {
    .name = "triplet",
    .purpose = "a positive nearer than a negative by a margin",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM) | FT_LOSS_TAKES(FT_BATCH_TRIPLETS),
    .mined = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = compute,
};
