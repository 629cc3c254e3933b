/* centroid-triplet.c - each item nearer to the mean of the others of its class than to the means of other classes (Wieczorek, Rychalska and
 * Dabrowski 2021, "On the Unreasonable Effectiveness of Centroids in Image Retrieval").
 *
 *   term(a, k) = max(0, d(a, c_a) - d(a, c_k) + margin)
 *
 * c_a is the mean of a's class without a, c_k the mean of another class k; means are of embeddings as they come, and then at unit length. smooth,
 * swap and reducer are the triplet loss's, which does the rest: means are items of a batch in which the triplets are listed. pytorch-metric-learning
 * has no such loss any more; its CentroidTripletLoss of version 1.6 is this. */
#include "train/miner.h"

#include <string.h>

enum { DISTANCE, MARGIN, SMOOTH, SWAP, REDUCER };

extern const struct ft_loss ft_loss_triplet;

/* In the order of the triplet loss's keys. */
static const struct ft_setting_key keys[] = {
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_EUCLIDEAN},
    [MARGIN] = {.name = "margin", .otherwise = .05, .low = 0, .high = 4},
    [SMOOTH] = {.name = "smooth", .choices = "0 1", .otherwise = 0},
    [SWAP] = {.name = "swap", .choices = "0 1", .otherwise = 0},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_NONZERO},
    {.name = NULL},
};

/* Items that take part, then for each the mean of the others of its class, then the means of classes: [2 n + classes, d]. */
struct centroids {
    struct ft_labelled batch;  /* n, d, label, member, first */
    size_t all;
    float *vector;
    int32_t *label;
};

static size_t class_size(const struct ft_labelled *batch, size_t class)
{
    return batch->first[class + 1] - batch->first[class];
}

static void make_means(struct centroids *c, const float *embedding, double *sum)
{
    const struct ft_labelled *batch = &c->batch;
    size_t n = batch->n, d = batch->d;

    for (size_t class = 0; class < batch->classes; class++) {
        double size = (double)class_size(batch, class);

        memset(sum, 0, d * sizeof *sum);
        for (size_t m = batch->first[class]; m < batch->first[class + 1]; m++)
            for (size_t k = 0; k < d; k++)
                sum[k] += embedding[batch->item[batch->member[m]] * d + k];
        for (size_t m = batch->first[class]; m < batch->first[class + 1]; m++)
            for (size_t i = batch->member[m], k = 0; k < d; k++) {
                float own = embedding[batch->item[i] * d + k];

                c->vector[i * d + k] = own;
                c->vector[(n + i) * d + k] = size > 1 ? (float)((sum[k] - own) / (size - 1)) : 0;
                c->label[i] = c->label[n + i] = (int32_t)class;
            }
        for (size_t k = 0; k < d; k++)
            c->vector[(2 * n + class) * d + k] = (float)(sum[k] / size);
        c->label[2 * n + class] = (int32_t)class;
    }
}

/* The triplets: an item, the mean of its class's others, the mean of another class. */
static int list(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    size_t classes = batch->classes, n = (batch->n - classes) / 2, count = 0;

    (void)value;
    mined->how = FT_MINED_LIST;
    mined->list = ft_arena_zero(arena, n, classes * sizeof *mined->list);
    mined->first = ft_arena_zero(arena, batch->n + 1, sizeof *mined->first);
    if (!mined->list || !mined->first)
        return -1;
    for (size_t a = 0; a < batch->n; a++) {
        size_t own = (size_t)batch->label[a];
        bool has_others = class_size(batch, own) > 3;     /* the item, its mean of others, the class's mean */

        for (size_t k = 0; k < classes && a < n && has_others; k++)
            if (k != own) {
                mined->list[count++] = (struct ft_triplet){(uint32_t)a, (uint32_t)(n + a), (uint32_t)(2 * n + k)};
                mined->count[a * batch->n + n + a]++;
                mined->count[a * batch->n + 2 * n + k]++;
            }
        mined->first[a + 1] = count;
    }
    return 0;
}

static const struct ft_miner means = {.name = "means", .mine = list};

/* An item has its own gradient and its parts of the means' it is in. */
static void give_gradient(const struct centroids *c, const float *of, float *gradient)
{
    const struct ft_labelled *batch = &c->batch;
    size_t n = batch->n, d = batch->d;

    for (size_t class = 0; class < batch->classes; class++) {
        double size = (double)class_size(batch, class);

        for (size_t k = 0; k < d; k++) {
            double others = 0, mean = of[(2 * n + class) * d + k] / size;

            for (size_t m = batch->first[class]; m < batch->first[class + 1] && size > 1; m++)
                others += of[(n + batch->member[m]) * d + k] / (size - 1);
            for (size_t m = batch->first[class]; m < batch->first[class + 1]; m++) {
                size_t i = batch->member[m];
                double own = size > 1 ? of[(n + i) * d + k] / (size - 1) : 0;

                gradient[batch->item[i] * d + k] = (float)(of[i * d + k] + mean + others - own);
            }
        }
    }
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct centroids c = {.batch = {.d = call->input->d}};
    size_t d = call->input->d;
    struct ft_loss_call inner = *call;
    struct ft_loss_input input;
    double *sum;
    float *of;

    if (ft_labelled_items(arena, &c.batch, call) < 0)
        return -1;
    c.all = 2 * c.batch.n + c.batch.classes;
    c.vector = ft_arena_zero(arena, c.all, d * sizeof *c.vector);
    c.label = ft_arena_zero(arena, c.all, sizeof *c.label);
    sum = ft_arena_zero(arena, d, sizeof *sum);
    of = ft_arena_zero(arena, c.all, d * sizeof *of);
    if (!c.vector || !c.label || !sum || !of)
        return -1;
    make_means(&c, call->input->embedding, sum);
    input = (struct ft_loss_input){.kind = FT_BATCH_CLASSES, .n = c.all, .d = d, .rows = c.all, .embedding = c.vector, .label = c.label};
    inner.input = &input;
    inner.miner = &means;
    if (ft_loss_triplet.compute(&inner, loss, of, counted) < 0)
        return -1;
    give_gradient(&c, of, gradient);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_centroid_triplet = {
    .name = "centroid-triplet",
    .purpose = "each item nearer to the mean of its class's others than to other classes' means",
    .kinds = FT_LABELLED,
    .keys = keys,
    .compute = compute,
};
