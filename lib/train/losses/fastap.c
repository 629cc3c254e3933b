/* fastap.c - average precision of each anchor's ranking, from soft histograms of distances (Cakir et al. 2019, FastAP, eq. 12).
 *
 *   term(a) = 1 - sum over bins b of h+(b) H+(b) / H(b) / number of positives
 *
 * h+ and h count positives, and all, in a bin, each distance shared between the two bins it lies between; H+ and H are their running sums. The
 * bins are num_bins + 1 points from 0 to the greatest distance there is. The loss is the mean over the anchors that have a positive:
 * pytorch-metric-learning's FastAPLoss (10 bins, squared Euclidean distance). A miner weighs anchors: by how often it chose them. */
#include "train/losses/labelled.h"

#include <math.h>

enum { NUM_BINS, DISTANCE, REDUCER };
enum { MOST_BINS = 1000 };

static const struct ft_setting_key keys[] = {
    [NUM_BINS] = {.name = "num_bins", .otherwise = 10, .low = 1, .high = MOST_BINS},
    [DISTANCE] = {.name = "distance", .choices = "euclidean sqeuclidean", .otherwise = FT_BY_SQEUCLIDEAN},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

struct fastap {
    size_t points;
    double step;               /* from point to point */
    const double *weight;      /* [items] */
};

/* Between which points: the lower one's number; what the upper one gets is in share. */
static size_t place(const struct fastap *fastap, struct ft_other *o)
{
    double at = o->value / fastap->step;
    size_t low = at >= (double)(fastap->points - 1) ? fastap->points - 2 : (size_t)at;

    o->share = fmin(1, at - (double)low);
    return low;
}

static void fill(const struct fastap *fastap, struct ft_other *others, size_t count, double *histogram)
{
    for (size_t b = 0; b < fastap->points; b++)
        histogram[b] = 0;
    for (size_t i = 0; i < count; i++) {
        size_t low = place(fastap, &others[i]);

        histogram[low] += 1 - others[i].share;
        histogram[low + 1] += others[i].share;
    }
}

/* The sum over bins, and in the histograms its slopes by them. */
static double precision(const struct fastap *fastap, double *positive, double *negative)
{
    double running[2][MOST_BINS + 1], sum = 0, all = 0, own = 0, by_own = 0, by_all = 0;

    for (size_t b = 0; b < fastap->points; b++) {
        running[0][b] = own += positive[b];
        running[1][b] = all += positive[b] + negative[b];
        if (positive[b] > 0 && all > 0)
            sum += positive[b] * own / all;
    }
    for (size_t b = fastap->points; b-- > 0;) {
        double h = positive[b], total = running[1][b];

        positive[b] = 0;
        if (h * running[0][b] > 0 && total > 0) {
            by_own += h / total;
            by_all -= h * running[0][b] / (total * total);
            positive[b] = running[0][b] / total;
        }
        positive[b] += by_own + by_all;
        negative[b] = by_all;
    }
    return sum;
}

static void give_slopes(const struct fastap *fastap, struct ft_other *others, size_t count, const double *slope, double scale)
{
    for (size_t i = 0; i < count; i++) {
        size_t low = place(fastap, &others[i]);

        others[i].slope = scale * (slope[low + 1] - slope[low]) / fastap->step;
    }
}

static void rank(struct ft_anchor *anchor, const void *argument)
{
    const struct fastap *fastap = argument;
    double positive[MOST_BINS + 1], negative[MOST_BINS + 1], weight = fastap->weight[anchor->item], share = 1 / (double)anchor->positives, loss;

    if (anchor->positives == 0)
        return;
    fill(fastap, anchor->positive, anchor->positives, positive);
    fill(fastap, anchor->negative, anchor->negatives, negative);
    loss = 1 - precision(fastap, positive, negative) * share;
    if (loss < 1e-12)
        loss = 0;              /* a perfect ranking; the rest is rounding */
    weight *= ft_term(anchor, 0, 1, weight * loss);
    give_slopes(fastap, anchor->positive, anchor->positives, positive, -weight * share);
    give_slopes(fastap, anchor->negative, anchor->negatives, negative, -weight * share);
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct fastap fastap = {.points = (size_t)call->value[NUM_BINS] + 1};
    struct ft_labelled_loss how = {
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER], .whole = true,
        .anchor = rank, .argument = &fastap,
    };
    struct ft_arena arena = {0};
    struct ft_labelled batch;
    int rc = ft_labelled_open(&arena, &batch, call, &how);

    fastap.step = (how.distance == FT_BY_EUCLIDEAN ? 2 : 4) / (double)(fastap.points - 1);
    if (rc == 0 && !(fastap.weight = ft_labelled_weights(&arena, &batch)))
        rc = -1;
    if (rc == 0)
        rc = ft_labelled_each(&arena, &batch, &how);
    if (rc == 0)
        rc = ft_labelled_close(&batch, &how, loss, gradient, counted);
    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_fastap = {
    .name = "fastap",
    .purpose = "average precision of each anchor's ranking, from soft histograms",
    .kinds = FT_LABELLED | FT_LOSS_TAKES(FT_BATCH_PAIRS),
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .compute = compute,
};
