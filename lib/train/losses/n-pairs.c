/* n-pairs.c - one pair of each class, its positive against those of the others (Sohn 2016, eq. 7).
 *
 *   term(c) = - log( exp(a_c . p_c) / sum over classes k of exp(a_c . p_k) )
 *
 * A class's pair is the first there is, by the batch's order of anchors and then of positives; a miner chooses among which. The loss is the mean
 * over classes that have a pair: pytorch-metric-learning's NPairsLoss (dot, which like it takes vectors at unit length; with a distance, -d). */
#include "train/losses/labelled.h"

enum { DISTANCE, REDUCER };

static const struct ft_setting_key keys[] = {
    [DISTANCE] = {.name = "distance", .choices = FT_DISTANCES, .otherwise = FT_BY_DOT},
    [REDUCER] = {.name = "reducer", .choices = FT_REDUCERS, .otherwise = FT_MEAN},
    {.name = NULL},
};

enum { NONE = -1 };

/* The positive of each class's pair, and the anchor; NONE where the class has no pair. */
struct pairs {
    int64_t *anchor, *positive;    /* [classes] */
};

static int find_pairs(struct ft_arena *arena, const struct ft_labelled *batch, struct pairs *pairs)
{
    size_t n = batch->n;

    pairs->anchor = ft_arena_zero(arena, batch->classes, sizeof *pairs->anchor);
    pairs->positive = ft_arena_zero(arena, batch->classes, sizeof *pairs->positive);
    if (!pairs->anchor || !pairs->positive)
        return -1;
    for (size_t c = 0; c < batch->classes; c++) {
        pairs->anchor[c] = pairs->positive[c] = NONE;
        for (size_t i = batch->first[c]; i < batch->first[c + 1] && pairs->anchor[c] == NONE; i++)
            for (size_t j = batch->first[c]; j < batch->first[c + 1] && pairs->anchor[c] == NONE; j++) {
                size_t a = batch->member[i], p = batch->member[j];

                if (batch->mined ? batch->mined->count[a * n + p] > 0 : a != p) {
                    pairs->anchor[c] = (int64_t)a;
                    pairs->positive[c] = (int64_t)p;
                }
            }
    }
    return 0;
}

/* All are shown, and those that are a pair's positive of another class are the anchor's negatives. */
static void contrast(struct ft_anchor *anchor, const void *argument)
{
    const struct pairs *pairs = argument;
    const struct ft_labelled *batch = anchor->batch;
    size_t class = (size_t)batch->label[anchor->item], negatives = 0;

    if (pairs->anchor[class] != (int64_t)anchor->item)
        return;
    for (size_t i = 0; i < anchor->positives; i++)
        if (anchor->positive[i].item == (size_t)pairs->positive[class])
            anchor->positive[0] = anchor->positive[i];
    anchor->positives = 1;
    for (size_t j = 0; j < anchor->negatives; j++)
        if (pairs->positive[batch->label[anchor->negative[j].item]] == (int64_t)anchor->negative[j].item)
            anchor->negative[negatives++] = anchor->negative[j];
    anchor->negatives = negatives;
    anchor->positive[0].power = anchor->positive[0].value;
    for (size_t j = 0; j < negatives; j++)
        anchor->negative[j].power = -anchor->negative[j].value;
    ft_positives_each(anchor);
    for (size_t j = 0; j < negatives; j++)
        anchor->negative[j].slope *= -1;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct pairs pairs;
    struct ft_labelled_loss how = {
        .distance = (enum ft_by)call->value[DISTANCE], .reducer = (enum ft_reducer)call->value[REDUCER], .whole = true,
        .anchor = contrast, .argument = &pairs,
    };
    struct ft_arena arena = {0};
    struct ft_labelled batch;
    int rc = ft_labelled_open(&arena, &batch, call, &how);

    if (rc == 0)
        rc = find_pairs(&arena, &batch, &pairs);
    if (rc == 0)
        rc = ft_labelled_each(&arena, &batch, &how);
    if (rc == 0)
        rc = ft_labelled_close(&batch, &how, loss, gradient, counted);
    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_n_pairs = {
    .name = "n-pairs",
    .purpose = "one pair of each class, its positive against those of the others",
    .kinds = FT_LABELLED | FT_LOSS_TAKES(FT_BATCH_PAIRS),
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .compute = compute,
};
