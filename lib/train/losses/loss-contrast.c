/* loss-contrast.c - anchors and positives against the batch: who is compared with whom, the softmax, the guide's filter.
 *
 * A term is a query of ft_compare: first its anchor's vector with some of the candidates, then its positive's. Candidates lie in the order anchors,
 * positives, negatives, row by row, so that what either is compared with is one stretch of them. */
#include "train/losses/contrast.h"

#include <math.h>
#include <string.h>

/* A stretch of the candidates. */
struct stretch {
    size_t from, count;
};

struct contrast {
    const struct ft_contrast *how;
    size_t n, terms, anchors, positives;
    uint32_t *item;            /* [n] candidates: items of the batch */
    int32_t *row;              /* [n] the row of each */
    struct stretch first, second;      /* what anchors, and what positives, are compared with */
    uint8_t *struck;           /* [terms, first and second]: left out by the guide; or NULL */
    const float *guide_anchor, *guide_positive;    /* [terms, guide_d] unit vectors */
    const float *guide;        /* [n, guide_d] */
    size_t guide_d;
    double *by_scale;          /* [terms] d term / d scale */
};

/* The candidate in a row's column. */
static size_t candidate_at(const struct contrast *c, size_t column)
{
    return column < c->first.count ? c->first.from + column : c->second.from + column - c->first.count;
}

/* Does the column take part in the term? Its own positive is counted apart. */
static bool takes_part(const struct contrast *c, size_t term, size_t column)
{
    size_t candidate = candidate_at(c, column), own = c->anchors + term;
    bool mine = c->row[candidate] == c->row[own];

    if (c->struck && c->struck[term * (c->first.count + c->second.count) + column])
        return false;
    if (column >= c->first.count)      /* the positive asks: any anchor, no text of its own row */
        return candidate < c->anchors || !mine;
    return candidate >= c->anchors + c->positives || !mine;
}

/* What hardness multiplies the cosine by, besides the scale. */
static double hardness_of(const struct contrast *c, size_t term, size_t column)
{
    size_t candidate = candidate_at(c, column);
    bool mine = c->row[candidate] == c->row[c->anchors + term];
    enum ft_hardness mode = c->how->hardness;

    if (column >= c->first.count || candidate < c->anchors || mode == FT_HARDNESS_NONE)
        return 0;
    return mode == FT_HARDNESS_ALL || (mode == FT_HARDNESS_HARD) == mine ? c->how->strength : 0;
}

/* log(sum over columns from..to of exp(s)) less the answer's exponent, times `part`. Exponents are taken from the answer's, whose weight is left
 * out of the sum, so that a term is exact, and not zero, where the answer is right by far. */
static void add_softmax(const struct contrast *c, struct ft_compare_row *row, size_t own, size_t answer, size_t from, size_t to, double part)
{
    double scale = c->how->scale, near = row->distance[own], most = 0, others = 0, right, sum, nearer = 0, *weight = row->scratch;

    for (size_t j = from; j < to; j++) {
        weight[j] = -INFINITY;
        if (j == answer || !takes_part(c, row->query, j))
            continue;
        weight[j] = scale * (near - row->distance[j]) + hardness_of(c, row->query, j) * (1 - (double)row->distance[j]);
        most = fmax(most, weight[j]);
    }
    for (size_t j = from; j < to; j++)
        others += weight[j] = exp(weight[j] - most);
    right = exp(-most);
    sum = right + others;
    row->loss += part * (most > 0 ? most + log(sum) : log1p(others));
    row->counted += others > 0;
    for (size_t j = from; j < to; j++) {
        row->slope[j] -= (float)(part * scale * weight[j] / sum);
        nearer += weight[j] * (near - row->distance[j]);
    }
    c->by_scale[row->query] += part * nearer / sum;
    row->slope[own] += (float)(part * scale * others / sum);
}

/* The anchor's own place among what positives are compared with. */
static size_t anchor_place(const struct contrast *c, size_t term)
{
    return c->first.count + (size_t)c->row[c->anchors + term] - c->second.from;
}

static void find(struct ft_compare_row *row, const void *argument)
{
    const struct contrast *c = argument;
    size_t own = c->anchors + row->query - c->first.from, first = c->first.count;

    if (!c->how->per_direction || !c->second.count) {
        add_softmax(c, row, own, own, 0, row->candidates, 1);
        return;
    }
    add_softmax(c, row, own, own, 0, first, .5);
    /* The answer of the second is the anchor: the same pair, so the same distance. */
    add_softmax(c, row, own, anchor_place(c, row->query), first, row->candidates, .5);
}

/* The guide's cosine distances. Where they are close to the limit they are taken again by a sum that is the same for the same two vectors wherever
 * they lie, so that a text equal to the positive is not struck by rounding. */
static void strike(struct ft_compare_row *row, const void *argument)
{
    const struct contrast *c = argument;
    size_t d = c->guide_d, own = c->anchors + row->query;
    const float *anchor = c->guide_anchor + row->query * d, *positive = c->guide_positive + row->query * d;
    uint8_t *struck = c->struck + row->query * row->candidates;
    double near = 1 - ft_unit_distance(anchor, positive, d);
    double limit = near - (c->how->filter == FT_MARGIN_RELATIVE ? fabs(near) : 1) * c->how->margin;

    for (size_t j = 0; j < row->candidates; j++) {
        size_t candidate = candidate_at(c, j);
        double cosine = 1 - (double)row->distance[j];

        if (fabs(cosine - limit) < 1e-5)
            cosine = 1 - ft_unit_distance(j < c->first.count ? anchor : positive, c->guide + candidate * d, d);
        struck[j] = cosine > limit && !(j < c->first.count ? candidate == own : candidate == (size_t)c->row[own]);
    }
}

static void copy_units(const struct ft_units *units, const uint32_t *item, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * units->d, units->unit + item[i] * units->d, units->d * sizeof *to);
}

/* The vectors of the terms' anchors, of their positives, and of the candidates, and the gradients of all these: of candidates one for each
 * comparison, as both go on at the same time. */
struct vectors {
    float *anchor, *positive, *candidate;
    float *again;
};

static int take_vectors(struct ft_arena *arena, const struct contrast *c, size_t d, struct vectors *vectors)
{
    vectors->again = NULL;
    vectors->anchor = ft_arena_zero(arena, c->terms, d * sizeof(float));
    vectors->positive = ft_arena_zero(arena, c->terms, d * sizeof(float));
    vectors->candidate = ft_arena_zero(arena, c->n, d * sizeof(float));
    return vectors->anchor && vectors->positive && vectors->candidate ? 0 : -1;
}

static int take_gradients(struct ft_arena *arena, const struct contrast *c, size_t d, struct vectors *gradients)
{
    return take_vectors(arena, c, d, gradients) < 0 || !(gradients->again = ft_arena_zero(arena, c->n, d * sizeof(float))) ? -1 : 0;
}

static void fill_vectors(const struct contrast *c, const struct ft_units *units, struct vectors *vectors)
{
    size_t d = units->d;

    copy_units(units, c->item, c->n, vectors->candidate);
    copy_units(units, c->item + c->anchors, c->terms, vectors->positive);
    for (size_t t = 0; t < c->terms; t++)
        memcpy(vectors->anchor + t * d, vectors->candidate + (size_t)c->row[c->anchors + t] * d, d * sizeof(float));
}

static struct ft_compare comparison(const struct contrast *c, size_t d, const struct vectors *of, const struct vectors *gradient)
{
    size_t first = c->first.from * d, second = c->second.from * d;

    return (struct ft_compare){
        .queries = c->terms, .candidates = c->first.count, .d = d, .query = of->anchor, .candidate = of->candidate + first,
        .query_gradient = gradient ? gradient->anchor : NULL, .candidate_gradient = gradient ? gradient->candidate + first : NULL,
        .second = {c->second.count, of->positive, of->candidate + second, gradient ? gradient->positive : NULL,
                   gradient ? gradient->again + second : NULL},
        .argument = c,
    };
}

/* Which columns of which terms the guide strikes. */
static int ask_guide(struct ft_arena *arena, const struct ft_loss_input *input, struct contrast *c)
{
    struct vectors vectors;
    struct ft_compare compare;
    struct ft_units units;
    uint64_t counted;
    double loss;

    if (!input->guide)
        return ft_fail(FT_BAD, "the filter of false negatives asks a guide, and the batch has no embeddings of one: ft-train --guide MODEL, "
                       "or ft-embed -m MODEL --as guide before ft-loss");
    if (!(c->struck = ft_arena_zero(arena, c->terms, c->first.count + c->second.count)) ||
        ft_units_make(arena, &units, input->guide, input->n, input->guide_d) < 0 ||
        take_vectors(arena, c, input->guide_d, &vectors) < 0)
        return -1;
    fill_vectors(c, &units, &vectors);
    c->guide_d = input->guide_d;
    c->guide = vectors.candidate;
    c->guide_anchor = vectors.anchor;
    c->guide_positive = vectors.positive;
    compare = comparison(c, input->guide_d, &vectors, NULL);
    compare.row = strike;
    return ft_compare(arena, &compare, &loss, &counted);
}

/* Candidates in their order, and who is compared with which of them. */
static int arrange(struct ft_arena *arena, const struct ft_loss_input *input, struct contrast *c)
{
    struct ft_role_items items;
    size_t texts;

    if (ft_role_items_find(arena, input, &items) < 0)
        return -1;
    c->n = input->n;
    c->anchors = input->rows;
    c->terms = c->positives = items.positive.count;
    c->item = ft_arena_zero(arena, c->n, sizeof *c->item);
    c->row = ft_arena_zero(arena, c->n, sizeof *c->row);
    if (!c->item || !c->row)
        return -1;
    memcpy(c->item, items.anchor, c->anchors * sizeof *c->item);
    memcpy(c->item + c->anchors, items.positive.item, c->positives * sizeof *c->item);
    memcpy(c->item + c->anchors + c->positives, items.negative.item, items.negative.count * sizeof *c->item);
    for (size_t i = 0; i < c->n; i++)
        c->row[i] = input->row[c->item[i]];
    texts = c->n - c->anchors;
    c->first = c->how->q2q ? (struct stretch){0, c->n} : (struct stretch){c->anchors, texts};
    if (c->how->d2d)
        texts = c->how->positives_only ? c->positives : texts;
    else
        texts = 0;
    c->second = c->how->d2q ? (struct stretch){0, c->anchors + texts} : (struct stretch){c->anchors, texts};
    return 0;
}

static void give_back(const struct contrast *c, size_t d, const struct vectors *vectors, double share, float *gradient)
{
    for (size_t i = 0; i < c->n; i++) {
        float *to = gradient + c->item[i] * d;

        for (size_t k = 0; k < d; k++)
            to[k] += (float)(share * ((double)vectors->candidate[i * d + k] + vectors->again[i * d + k]));
    }
    for (size_t t = 0; t < c->terms; t++) {
        float *anchor = gradient + c->item[c->row[c->anchors + t]] * d, *positive = gradient + c->item[c->anchors + t] * d;

        for (size_t k = 0; k < d; k++) {
            anchor[k] += (float)(share * vectors->anchor[t * d + k]);
            positive[k] += (float)(share * vectors->positive[t * d + k]);
        }
    }
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_input *input, struct contrast *c, double *loss, float *gradient,
                      uint64_t *counted)
{
    struct vectors vectors, slopes;
    struct ft_compare compare;
    struct ft_units units;
    size_t d = input->d;
    double share;

    if (ft_units_make(arena, &units, input->embedding, input->n, d) < 0 || arrange(arena, input, c) < 0 ||
        (c->how->filter != FT_MARGIN_NONE && ask_guide(arena, input, c) < 0) ||
        take_vectors(arena, c, d, &vectors) < 0 || take_gradients(arena, c, d, &slopes) < 0 ||
        !(c->by_scale = ft_arena_zero(arena, c->terms, sizeof *c->by_scale)))
        return -1;
    fill_vectors(c, &units, &vectors);
    compare = comparison(c, d, &vectors, &slopes);
    compare.row = find;
    compare.scratch = (c->first.count + c->second.count) * sizeof(double);
    if (ft_compare(arena, &compare, loss, counted) < 0)
        return -1;
    share = c->terms ? 1 / (double)c->terms : 0;
    *loss *= share;
    if (c->how->by_scale) {
        *c->how->by_scale = 0;
        for (size_t t = 0; t < c->terms; t++)
            *c->how->by_scale += share * c->by_scale[t];
    }
    give_back(c, d, &slopes, share, gradient);
    ft_units_backward(&units, 1, gradient);
    return 0;
}

int ft_contrast_compute(const struct ft_loss_call *call, const struct ft_contrast *contrast, double *loss, float *gradient, uint64_t *counted)
{
    struct contrast c = {.how = contrast};
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call->input, &c, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}
