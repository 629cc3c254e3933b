/* pairs.c - similarities, correlations, thresholds. Everything is computed of weighted pairs in an order found once, so that a draw of
 * the bootstrap sorts nothing. */
#include "eval/pairs.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const ft_sts_names[] = {"pearson_cosine", "spearman_cosine", "pearson_dot", "spearman_dot", "pearson_euclidean", "spearman_euclidean"};
#define CLASSES(d) d "_accuracy", d "_accuracy_threshold", d "_f1", d "_f1_threshold", d "_precision", d "_recall", d "_ap", d "_mcc"
const char *const ft_pair_names[] = {CLASSES("cosine"), CLASSES("dot"), CLASSES("euclidean")};
const char *const ft_triplet_names[] = {"cosine_accuracy", "dot_accuracy", "euclidean_accuracy"};
enum { ACCURACY, ACCURACY_THRESHOLD, F1, F1_THRESHOLD, PRECISION, RECALL, AP, MCC, OF_A_DISTANCE };

void ft_similarities(const float *a, const float *b, size_t dim, double similarity[3])
{
    double dot = 0, aa = 0, bb = 0, apart = 0;

    for (size_t k = 0; k < dim; k++) {
        double x = a[k], y = b[k];

        dot += x * y;
        aa += x * x;
        bb += y * y;
        apart += (x - y) * (x - y);
    }
    similarity[FT_COSINE] = aa > 0 && bb > 0 ? dot / (sqrt(aa) * sqrt(bb)) : 0;
    similarity[FT_DOT] = dot;
    similarity[FT_EUCLIDEAN] = -sqrt(apart);
}

/* ---- order ---- */

struct place {
    double value;
    uint32_t number;
};

static int compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static uint32_t *order_of(struct ft_arena *arena, struct place *place, const double *value, size_t count)
{
    uint32_t *order = ft_arena_take(arena, count * sizeof *order);

    if (!order)
        return NULL;
    for (size_t i = 0; i < count; i++)
        place[i] = (struct place){value[i], (uint32_t)i};
    qsort(place, count, sizeof *place, compare);
    for (size_t i = 0; i < count; i++)
        order[i] = place[i].number;
    return order;
}

int ft_pairs_make(struct ft_pairs *pairs, struct ft_arena *arena, const struct ft_tuple *tuple, size_t count, const struct ft_sides *sides)
{
    struct place *place = ft_arena_take(arena, count * sizeof *place);
    double *column[4];

    for (int c = 0; c < 4; c++)
        if (!(column[c] = ft_arena_take(arena, count * sizeof **column)))
            return -1;
    if (!place)
        return -1;
    for (size_t i = 0; i < count; i++) {
        double similarity[3];

        ft_similarities(sides->first + tuple[i].item[0] * sides->dim, sides->other + tuple[i].item[1] * sides->dim, sides->dim, similarity);
        for (int d = 0; d < 3; d++)
            column[d][i] = similarity[d];
        column[3][i] = tuple[i].score;
    }
    *pairs = (struct ft_pairs){.count = count, .score = column[3], .score_order = order_of(arena, place, column[3], count)};
    for (int d = 0; d < 3; d++) {
        pairs->similarity[d] = column[d];
        if (!(pairs->order[d] = order_of(arena, place, column[d], count)))
            return -1;
    }
    return pairs->score_order ? 0 : -1;
}

static double weight_of(const uint32_t *weight, size_t i)
{
    return weight ? weight[i] : 1;
}

/* ---- correlation ---- */

/* NaN where one of them does not vary. */
static double pearson(const double *x, const double *y, const uint32_t *weight, size_t count)
{
    double n = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;

    for (size_t i = 0; i < count; i++) {
        double w = weight_of(weight, i);

        n += w;
        mx += w * x[i];
        my += w * y[i];
    }
    mx /= n;
    my /= n;
    for (size_t i = 0; i < count; i++) {
        double w = weight_of(weight, i), dx = x[i] - mx, dy = y[i] - my;

        xx += w * dx * dx;
        yy += w * dy * dy;
        xy += w * dx * dy;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx) / sqrt(yy) : NAN;
}

/* The mean rank of each, counted from the highest, every pair as often as its weight says. */
static void ranks_of(const double *value, const uint32_t *order, const uint32_t *weight, size_t count, double *rank)
{
    double before = 0;

    for (size_t i = 0; i < count;) {
        double tied = 0;
        size_t end = i;

        while (end < count && value[order[end]] == value[order[i]])
            tied += weight_of(weight, order[end++]);
        for (; i < end; i++)
            rank[order[i]] = before + (tied + 1) / 2;
        before += tied;
    }
}

void ft_sts_of(const void *data, const uint32_t *weight, double *room, double *value)
{
    const struct ft_pairs *p = data;
    double *score_rank = room, *rank = room + p->count;

    ranks_of(p->score, p->score_order, weight, p->count, score_rank);
    for (int d = 0; d < 3; d++) {
        ranks_of(p->similarity[d], p->order[d], weight, p->count, rank);
        value[2 * d] = pearson(p->similarity[d], p->score, weight, p->count);
        value[2 * d + 1] = pearson(rank, score_rank, weight, p->count);
    }
}

/* ---- thresholds ---- */

/* Pairs by what they are and on which side of a threshold. */
struct counts {
    double positives, negatives, alike, found;      /* alike: positives among the found */
};

static double mcc(const struct counts *c)
{
    double wrong = c->found - c->alike, missed = c->positives - c->alike, right = c->negatives - wrong;
    double under = (c->alike + wrong) * (c->alike + missed) * (right + wrong) * (right + missed);

    return under > 0 ? (c->alike * right - wrong * missed) / sqrt(under) : 0;
}

/* Between this similarity and the next lower one; where doubles have none between, itself. */
static double middle(double similarity, double next)
{
    double between = (similarity + next) / 2;

    return between == next ? similarity : between;
}

/* The threshold below pair order[i], the last of its similarity that is drawn. */
static void try_threshold(const struct counts *c, double threshold, double *before, double *value)
{
    double all = c->positives + c->negatives, wrong = c->found - c->alike;
    double accuracy = (c->alike + c->negatives - wrong) / all;
    double precision = c->alike / c->found, recall = c->alike / c->positives;
    double f1 = c->alike > 0 ? 2 * precision * recall / (precision + recall) : 0;

    value[AP] += (recall - *before) * precision;
    *before = recall;
    if (accuracy > value[ACCURACY]) {
        value[ACCURACY] = accuracy;
        value[ACCURACY_THRESHOLD] = threshold;
    }
    if (f1 > value[F1]) {
        value[F1] = f1;
        value[F1_THRESHOLD] = threshold;
        value[PRECISION] = precision;
        value[RECALL] = recall;
        value[MCC] = mcc(c);
    }
}

/* `order` without what is not drawn: the next place from `i` on. */
static size_t drawn(const uint32_t *order, const uint32_t *weight, size_t count, size_t i)
{
    while (i < count && weight_of(weight, order[i]) == 0)
        i++;
    return i;
}

static void classes_of(const struct ft_pairs *p, const double *similarity, const uint32_t *order, const uint32_t *weight, double *value)
{
    struct counts c = {.found = 0};
    double recall = 0;
    size_t i = drawn(order, weight, p->count, 0), next;

    for (size_t j = 0; j < p->count; j++)
        *(p->score[j] > 0 ? &c.positives : &c.negatives) += weight_of(weight, j);
    for (int v = 0; v < OF_A_DISTANCE; v++)
        value[v] = 0;
    if (c.positives == 0 || c.negatives == 0) {       /* a draw of one kind only */
        for (int v = 0; v < OF_A_DISTANCE; v++)
            value[v] = NAN;
        return;
    }
    value[ACCURACY] = c.negatives / (c.positives + c.negatives);
    value[ACCURACY_THRESHOLD] = nextafter(similarity[order[i]], INFINITY);
    for (; i < p->count; i = next) {
        double here = similarity[order[i]], w = weight_of(weight, order[i]);

        c.found += w;
        c.alike += p->score[order[i]] > 0 ? w : 0;
        next = drawn(order, weight, p->count, i + 1);
        if (next < p->count && similarity[order[next]] == here)
            continue;
        try_threshold(&c, next < p->count ? middle(here, similarity[order[next]]) : here, &recall, value);
    }
}

void ft_pair_classes_of(const void *data, const uint32_t *weight, double *room, double *value)
{
    const struct ft_pairs *p = data;

    (void)room;
    for (int d = 0; d < 3; d++)
        classes_of(p, p->similarity[d], p->order[d], weight, value + d * OF_A_DISTANCE);
    value += FT_EUCLIDEAN * OF_A_DISTANCE;
    value[ACCURACY_THRESHOLD] = -value[ACCURACY_THRESHOLD];
    value[F1_THRESHOLD] = -value[F1_THRESHOLD];
}

/* ---- triplets ---- */

void ft_triplets_of(const struct ft_tuple *tuple, size_t count, const struct ft_sides *sides, double *each)
{
    for (size_t i = 0; i < count; i++) {
        const float *anchor = sides->first + tuple[i].item[0] * sides->dim;
        double positive[3], negative[3];

        ft_similarities(anchor, sides->other + tuple[i].item[1] * sides->dim, sides->dim, positive);
        ft_similarities(anchor, sides->other + tuple[i].item[2] * sides->dim, sides->dim, negative);
        for (int d = 0; d < 3; d++)
            each[i * FT_TRIPLET_FIGURES + (size_t)d] = positive[d] > negative[d];
    }
}
