/* online-contrastive.c - contrastive loss over the hard pairs: positives further than the nearest negative, negatives nearer than the furthest
 * positive.
 *
 *   the sum over hard positive pairs of d^2, and over hard negative pairs of max(0, margin - d)^2
 *
 * sentence-transformers' OnlineContrastiveLoss (margin .5, cosine distance); over labels, all pairs of the batch, each once. As there, where all
 * pairs are of one kind, the hard ones are those on the wrong side of their mean. The margin is of the distance, of cosine too. */
#include "train/losses/labelled.h"

#include <math.h>

enum { MARGIN, DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = .5, .low = 0, .high = 4},
    [DISTANCE] = {.name = "distance", .choices = "euclidean sqeuclidean cosine", .otherwise = FT_BY_COSINE},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_SUM},
    {.name = NULL},
};

struct online {
    double margin;
    bool once;                 /* (a, b) is there as (b, a) too */
    double (*sum)[2], (*count)[2], (*bound)[2];    /* [items] of an anchor's positives and negatives; bound: furthest, nearest */
    double hard[2];            /* positives beyond, negatives within */
};

static bool counts(const struct online *online, const struct ft_anchor *anchor, const struct ft_other *o)
{
    return !online->once || o->item > anchor->item;
}

static void look(struct ft_anchor *anchor, const void *argument)
{
    const struct online *online = argument;
    double *bound = online->bound[anchor->item];

    bound[0] = -INFINITY;
    bound[1] = INFINITY;
    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (part ? anchor->negatives : anchor->positives); i++) {
            const struct ft_other *o = part ? &anchor->negative[i] : &anchor->positive[i];

            if (!counts(online, anchor, o))
                continue;
            online->sum[anchor->item][part] += o->value;
            online->count[anchor->item][part] += 1;
            bound[part] = part ? fmin(bound[part], o->value) : fmax(bound[part], o->value);
        }
}

static void find_hard(struct online *online, size_t n)
{
    double sum[2] = {0, 0}, count[2] = {0, 0}, bound[2] = {-INFINITY, INFINITY};

    for (size_t i = 0; i < n; i++) {
        for (int part = 0; part < 2; part++) {
            sum[part] += online->sum[i][part];
            count[part] += online->count[i][part];
        }
        bound[0] = fmax(bound[0], online->bound[i][0]);
        bound[1] = fmin(bound[1], online->bound[i][1]);
    }
    online->hard[0] = count[1] > 0 ? bound[1] : sum[0] / fmax(1, count[0]);
    online->hard[1] = count[0] > 0 ? bound[0] : sum[1] / fmax(1, count[1]);
}

static void compare(struct ft_anchor *anchor, const void *argument)
{
    const struct online *online = argument;

    for (int part = 0; part < 2; part++)
        for (size_t i = 0; i < (part ? anchor->negatives : anchor->positives); i++) {
            struct ft_other *o = part ? &anchor->negative[i] : &anchor->positive[i];
            double over = part ? fmax(0, online->margin - o->value) : o->value;

            if (counts(online, anchor, o) && (part ? o->value < online->hard[1] : o->value > online->hard[0]))
                o->slope = ft_term(anchor, 0, 1, over * over) * 2 * over * (part ? -1 : 1);
        }
}

static int two_looks(struct ft_arena *arena, struct ft_labelled *batch, struct ft_labelled_loss *how, struct online *online)
{
    online->sum = ft_arena_zero(arena, batch->n, sizeof *online->sum);
    online->count = ft_arena_zero(arena, batch->n, sizeof *online->count);
    online->bound = ft_arena_zero(arena, batch->n, sizeof *online->bound);
    if (!online->sum || !online->count || !online->bound)
        return -1;
    how->argument = online;
    how->anchor = look;
    if (ft_labelled_each(arena, batch, how) < 0)
        return -1;
    find_hard(online, batch->n);
    how->anchor = compare;
    return ft_labelled_each(arena, batch, how);
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_labelled_loss how = {.distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER]};
    struct online online = {.margin = call->value[MARGIN]};
    struct ft_arena arena = {0};
    struct ft_labelled batch;
    int rc = ft_labelled_open(&arena, &batch, call, &how);

    online.once = rc == 0 && !batch.mined;
    if (rc == 0)
        rc = two_looks(&arena, &batch, &how, &online);
    if (rc == 0)
        rc = ft_labelled_close(&batch, &how, loss, gradient, counted);
    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_online_contrastive = {
    .name = "online-contrastive",
    .purpose = "contrastive over positives beyond the nearest negative, and negatives within the furthest positive",
    .kinds = FT_LABELLED | FT_ROWS,
    .keys = keys,
    .compute = compute,
};
