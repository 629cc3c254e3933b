/* labelled.c - who takes part and with whom, anchors one by one, and the terms to one number (labelled.h). */
#include "train/losses/labelled.h"

#include "base/pool.h"
#include "train/miner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct labelled_item {
    int32_t label;
    uint32_t item;
};

static int compare_items(const void *x, const void *y)
{
    const struct labelled_item *a = x, *b = y;

    if (a->label != b->label)
        return a->label < b->label ? -1 : 1;
    return a->item < b->item ? -1 : 1;
}

/* What labels rows give: a row is a class, and its negatives are each one of their own. */
static int label_rows(struct ft_arena *arena, const struct ft_loss_input *input, int32_t *label)
{
    struct ft_role_items items;
    int32_t next = (int32_t)input->rows;

    if (ft_role_items_find(arena, input, &items) < 0)
        return -1;
    for (size_t i = 0; i < input->n; i++)
        label[i] = input->role[i] == FT_NEGATIVE ? next++ : input->row[i];
    return 0;
}

/* Items of known label, in the order of the batch, and their classes, numbered in the order of labels. */
static int take_items(struct ft_arena *arena, struct ft_labelled *batch, const int32_t *label, size_t n)
{
    struct labelled_item *sorted = ft_arena_zero(arena, n, sizeof *sorted);

    batch->item = ft_arena_zero(arena, n, sizeof *batch->item);
    batch->label = ft_arena_zero(arena, n, sizeof *batch->label);
    batch->member = ft_arena_zero(arena, n, sizeof *batch->member);
    batch->first = ft_arena_zero(arena, n + 1, sizeof *batch->first);
    if (!sorted || !batch->item || !batch->label || !batch->member || !batch->first)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (label[i] >= 0) {
            sorted[batch->n] = (struct labelled_item){label[i], (uint32_t)batch->n};
            batch->item[batch->n++] = (uint32_t)i;
        }
    qsort(sorted, batch->n, sizeof *sorted, compare_items);
    for (size_t i = 0; i < batch->n; i++) {
        if (i == 0 || sorted[i].label != sorted[i - 1].label)
            batch->first[batch->classes++] = (uint32_t)i;
        batch->member[i] = sorted[i].item;
        batch->label[sorted[i].item] = (int32_t)batch->classes - 1;
    }
    batch->first[batch->classes] = (uint32_t)batch->n;
    return 0;
}

int ft_labelled_items(struct ft_arena *arena, struct ft_labelled *batch, const struct ft_loss_call *call)
{
    const struct ft_loss_input *input = call->input;
    const int32_t *label = input->label;
    int32_t *own;

    if (input->kind == FT_BATCH_PAIRS || input->kind == FT_BATCH_TRIPLETS) {
        if (!(own = ft_arena_zero(arena, input->n, sizeof *own)) || label_rows(arena, input, own) < 0)
            return -1;
        label = own;
    } else if (!label) {
        return ft_fail(FT_BAD, "the loss needs labels, and this batch of %s has none", ft_batch_kind_name(input->kind));
    }
    return take_items(arena, batch, label, input->n);
}

static int make_units(struct ft_arena *arena, struct ft_labelled *batch, const float *embedding)
{
    size_t n = batch->n, d = batch->d;
    float *x = ft_arena_zero(arena, n, d * sizeof *x);

    batch->cosine = ft_arena_zero(arena, batch->anchors, n * sizeof(float));
    batch->slope = ft_arena_zero(arena, batch->anchors, n * sizeof(float));
    batch->total = ft_arena_zero(arena, n, sizeof(double));
    batch->terms = ft_arena_zero(arena, n, sizeof *batch->terms);
    if (!x || !batch->cosine || !batch->slope || !batch->total || !batch->terms)
        return -1;
    for (size_t i = 0; i < n; i++)
        memcpy(x + i * d, embedding + batch->item[i] * d, d * sizeof *x);
    if (ft_units_make(arena, &batch->units, x, n, d) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++)
            batch->total[i] += batch->units.unit[i * d + k];
    return ft_matrix_make(batch->units.unit, batch->anchors, n, d, batch->cosine);
}

/* Triplet batches say themselves what is compared: each row its anchor with each of its positives and each of its negatives. */
static int list_rows(struct ft_arena *arena, const struct ft_loss_input *input, struct ft_mined *mined)
{
    struct ft_role_items items;
    size_t count = 0, n = input->n;

    if (ft_role_items_find(arena, input, &items) < 0)
        return -1;
    for (size_t r = 0; r < input->rows; r++)
        count += (size_t)(items.positive.first[r + 1] - items.positive.first[r]) * (items.negative.first[r + 1] - items.negative.first[r]);
    mined->how = FT_MINED_LIST;
    mined->list = ft_arena_zero(arena, count, sizeof *mined->list);
    mined->first = ft_arena_zero(arena, n + 1, sizeof *mined->first);
    if (!mined->list || !mined->first)
        return -1;
    count = 0;
    for (size_t i = 0; i < n; i++) {
        size_t r = (size_t)input->row[i];

        for (size_t p = items.positive.first[r]; input->role[i] == FT_ANCHOR && p < items.positive.first[r + 1]; p++)
            for (size_t q = items.negative.first[r]; q < items.negative.first[r + 1]; q++) {
                mined->list[count++] = (struct ft_triplet){(uint32_t)i, items.positive.item[p], items.negative.item[q]};
                mined->count[i * n + items.positive.item[p]]++;
                mined->count[i * n + items.negative.item[q]]++;
            }
        mined->first[i + 1] = count;
    }
    return 0;
}

static int mine(struct ft_arena *arena, struct ft_labelled *batch, const struct ft_loss_call *call)
{
    struct ft_mined *mined;

    if (!call->miner && call->input->kind != FT_BATCH_TRIPLETS)
        return 0;
    mined = ft_arena_zero(arena, 1, sizeof *mined);
    if (!mined || !(mined->count = ft_arena_zero(arena, batch->n, batch->n * sizeof *mined->count)))
        return -1;
    batch->mined = mined;
    return call->miner ? call->miner->mine(arena, batch, call->miner_value, mined) : list_rows(arena, call->input, mined);
}

static void find_any(struct ft_labelled *batch)
{
    size_t n = batch->n;

    for (size_t i = 0; i < batch->anchors * n && !(batch->any[0] && batch->any[1]); i++)
        if (batch->mined ? batch->mined->count[i] > 0 : i / n != i % n)
            batch->any[batch->label[i / n] != batch->label[i % n]] = true;
}

/* Items of batches before come last, and know their labels. */
static int find_anchors(struct ft_labelled *batch, const struct ft_loss_call *call, const struct ft_labelled_loss *how)
{
    batch->anchors = batch->n - call->input->references;
    batch->detached = call->input->remembering;
    if (batch->detached && call->miner)
        return ft_fail(FT_USAGE, "--miner %s: a loss with memory_size compares all, and takes no miner", call->miner->name);
    if (batch->detached && how->across)
        return ft_fail(FT_USAGE, "memory_size: with these settings the loss compares what is remembered with itself: without swap");
    return 0;
}

int ft_labelled_open(struct ft_arena *arena, struct ft_labelled *batch, const struct ft_loss_call *call, const struct ft_labelled_loss *how)
{
    *batch = (struct ft_labelled){.d = call->input->d, .distance = how->distance, .reducer = how->reducer,
                                  .seed = call->input->seed, .number = call->input->number};
    if (ft_labelled_items(arena, batch, call) < 0 || find_anchors(batch, call, how) < 0 || make_units(arena, batch, call->input->embedding) < 0 || mine(arena, batch, call) < 0)
        return -1;
    find_any(batch);
    return 0;
}

void ft_anchor_fill(struct ft_anchor *anchor, struct ft_labelled *batch, enum ft_by distance, const struct ft_mined *mined, size_t a,
                    struct ft_other *positive, struct ft_other *negative)
{
    *anchor = (struct ft_anchor){.batch = batch, .item = a, .positive = positive, .negative = negative};
    for (size_t j = 0; j < batch->n; j++) {
        uint32_t count = mined ? mined->count[a * batch->n + j] : j != a;
        struct ft_other *other = batch->label[j] == batch->label[a] ? &positive[anchor->positives] : &negative[anchor->negatives];

        if (count == 0)
            continue;
        *other = (struct ft_other){.item = (uint32_t)j, .count = count, .value = ft_distance_value(batch, distance, a, j)};
        if (batch->label[j] == batch->label[a])
            anchor->positives++;
        else
            anchor->negatives++;
    }
}

struct work {
    struct ft_labelled *batch;
    const struct ft_labelled_loss *how;
    struct ft_other *others;   /* [workers, 2, n + 1] */
};

static void do_anchor(const struct work *work, size_t a, int worker)
{
    struct ft_labelled *batch = work->batch;
    struct ft_other *positive = work->others + (size_t)worker * 2 * (batch->n + 1);
    struct ft_anchor anchor;

    ft_anchor_fill(&anchor, batch, batch->distance, work->how->whole ? NULL : batch->mined, a, positive, positive + batch->n + 1);
    work->how->anchor(&anchor, work->how->argument);
    for (int part = 0; part < 2; part++) {
        const struct ft_other *others = part ? anchor.negative : anchor.positive;

        for (size_t i = 0; i < (part ? anchor.negatives : anchor.positives); i++)
            if (others[i].slope != 0)
                ft_slope_add(batch, a, others[i].item, others[i].value, others[i].slope);
    }
}

static void do_anchors(void *argument, size_t from, size_t count, int worker)
{
    for (size_t a = from; a < from + count; a++)
        do_anchor(argument, a, worker);
}

static int do_class(void *argument, size_t class, int worker)
{
    const struct work *work = argument;
    const struct ft_labelled *batch = work->batch;

    for (size_t i = batch->first[class]; i < batch->first[class + 1]; i++)
        do_anchor(work, batch->member[i], worker);
    return 0;
}

int ft_labelled_each(struct ft_arena *arena, struct ft_labelled *batch, const struct ft_labelled_loss *how)
{
    struct work work = {batch, how, ft_arena_zero(arena, (size_t)ft_pool_threads() * 2, (batch->n + 1) * sizeof(struct ft_other))};

    if (!work.others)
        return -1;
    return how->across ? ft_pool_run(batch->classes, do_class, &work) : ft_rows_run(batch->anchors, do_anchors, &work);
}

double ft_term(struct ft_anchor *anchor, int part, double count, double loss)
{
    struct ft_terms *terms = &anchor->batch->terms[anchor->item];
    double weight = count;

    if (anchor->batch->reducer == FT_PER_ANCHOR)
        weight = 1 / ((double)(part ? anchor->negatives : anchor->positives) * (double)anchor->batch->anchors);
    terms->sum[part] += weight * loss;
    terms->entries[part] += count;
    terms->nonzero[part] += loss > 0 ? count : 0;
    return weight;
}

static double reduce(const struct ft_labelled *batch, const struct ft_terms *total, int part)
{
    double over = total->entries[part];

    if (batch->reducer == FT_SUM || batch->reducer == FT_PER_ANCHOR)
        return 1;
    if (batch->reducer == FT_NONZERO)
        over = total->nonzero[part];
    if (batch->reducer == FT_JOINT_MEAN)
        over = total->entries[0] + total->entries[1];
    return over > 0 ? 1 / over : 0;
}

struct parts {
    struct ft_labelled *batch;
    double factor[2];
};

static void scale_rows(void *argument, size_t from, size_t count, int worker)
{
    const struct parts *parts = argument;
    struct ft_labelled *batch = parts->batch;

    (void)worker;
    for (size_t i = from; i < from + count; i++)
        for (size_t j = 0; j < batch->n; j++)
            batch->slope[i * batch->n + j] *= (float)parts->factor[batch->label[i] != batch->label[j]];
}

/* The slopes of snr by the sums of the vectors' elements; those by the cosine distance are in the matrix. */
static void add_snr(struct ft_labelled *batch, float *gradient)
{
    size_t n = batch->n, d = batch->d;

    for (size_t i = 0; i < batch->anchors; i++) {
        double own = 0;

        for (size_t j = 0; j < n; j++) {
            double slope = batch->slope[i * n + j], apart = (batch->total[i] - batch->total[j]) / (double)d;

            if (slope == 0)
                continue;
            own += slope * (batch->total[i] / (double)d * ft_distance_value(batch, FT_BY_SNR, i, j) - apart);
            for (size_t k = 0; k < d && !batch->detached; k++)
                gradient[j * d + k] += (float)(slope * apart);
        }
        for (size_t k = 0; k < d; k++)
            gradient[i * d + k] += (float)own;
    }
}

static int backward(struct ft_labelled *batch, double scale, float *gradient)
{
    size_t n = batch->n, d = batch->d;
    float *own = ft_resize(NULL, n ? n : 1, (d ? d : 1) * sizeof *own);
    int rc = own ? 0 : -1;

    if (rc == 0) {
        memset(own, 0, n * d * sizeof *own);
        if (batch->distance == FT_BY_SNR)
            add_snr(batch, own);
        rc = batch->detached ? ft_matrix_backward_rows(batch->units.unit, batch->anchors, n, d, batch->cosine, batch->slope, own)
                             : ft_matrix_backward(batch->units.unit, n, d, batch->cosine, batch->slope, own);
    }
    if (rc == 0) {
        ft_units_backward(&batch->units, scale, own);
        for (size_t i = 0; i < n; i++)
            memcpy(gradient + batch->item[i] * d, own + i * d, d * sizeof *own);
    }
    free(own);
    return rc;
}

int ft_labelled_close(struct ft_labelled *batch, const struct ft_labelled_loss *how, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_terms total = {{0}, {0}, {0}};
    struct parts parts = {.batch = batch};

    for (size_t i = 0; i < batch->n; i++)
        for (int part = 0; part < 2; part++) {
            total.sum[part] += batch->terms[i].sum[part];
            total.entries[part] += batch->terms[i].entries[part];
            total.nonzero[part] += batch->terms[i].nonzero[part];
        }
    for (int part = 0; part < 2; part++)
        parts.factor[part] = reduce(batch, &total, part);
    *loss = parts.factor[0] * total.sum[0] + parts.factor[1] * total.sum[1];
    *counted = (uint64_t)(total.nonzero[0] + total.nonzero[1] + .5);
    if (how->parts && parts.factor[0] != parts.factor[1]) {
        if (ft_rows_run(batch->anchors, scale_rows, &parts) < 0)
            return -1;
        parts.factor[0] = 1;
    }
    return backward(batch, parts.factor[0], gradient);
}

int ft_labelled_compute(const struct ft_loss_call *call, const struct ft_labelled_loss *how, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    struct ft_labelled batch;
    int rc = ft_labelled_open(&arena, &batch, call, how);

    if (rc == 0)
        rc = ft_labelled_each(&arena, &batch, how);
    if (rc == 0)
        rc = ft_labelled_close(&batch, how, loss, gradient, counted);
    ft_arena_free(&arena);
    return rc;
}
