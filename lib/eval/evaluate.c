/* evaluate.c - blocks of queries through the ranks, and means over all. */
#include "eval/evaluate.h"
#include "base/error.h"
#include "base/memory.h"
#include "eval/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one block of queries needs: bounded, whatever the number of queries. */
enum { BLOCK_QUERIES = 4096, BLOCK_ITEMS = 4 << 20, SHALLOW = 4096 };

struct work {
    const struct ft_evaluation *e;
    struct ft_result *result;
    struct ft_arena block;
    size_t kept;                /* neighbours that there are and that are wanted; 0: none are */
    bool shallow;               /* they are all that the measures look at: the ranks are theirs, and nobody ranks the rest */
    size_t voted;
    uint32_t *votes;
    struct ft_arena all;
    double *ranks[FT_MEASURES]; /* [queries so far] of metrics with a median, else NULL */

    /* Of the block. */
    struct ft_rank *rank;
    size_t *count;
    struct ft_match *match;
    float *gain, *ideal;
};

/* Gains in the order of the ranks. */
static const float *gains_of(const struct work *w, size_t query, const struct ft_rank *rank, size_t count)
{
    const struct ft_items *relevant = &w->e->relevant[query];

    if (!w->e->gain)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t low = 0, high = relevant->count;

        while (high - low > 1) {
            size_t middle = low + (high - low) / 2;

            if (relevant->item[middle] <= rank[i].item)
                low = middle;
            else
                high = middle;
        }
        w->gain[i] = w->e->gain[query][low];
    }
    return w->gain;
}

static int compare_gains(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x > y ? -1 : x < y;
}

/* Of the `all` that are not excluded. */
static const float *ideal_of(const struct work *w, size_t query, size_t all)
{
    const struct ft_items *relevant = &w->e->relevant[query], *excluded = w->e->nearest.excluded;
    size_t count = 0;

    if (!w->e->gain)
        return NULL;
    for (size_t i = 0; i < relevant->count && count < all; i++)
        if (!excluded || !ft_items_have(excluded + query, relevant->item[i]))
            w->ideal[count++] = w->e->gain[query][i];
    qsort(w->ideal, count, sizeof *w->ideal, compare_gains);
    return w->ideal;
}

static double vote(const struct work *w, size_t query, size_t k, const struct ft_match *match)
{
    const struct ft_evaluation *e = w->e;
    uint32_t class = e->query_class ? e->query_class[query] : FT_NO_CLASS;

    if (class == FT_NO_CLASS)
        return NAN;
    return ft_metrics_vote(match, k < w->kept ? k : w->kept, e->index_class, w->votes) == class;
}

static int add_query(struct work *w, size_t query, const struct ft_rank *rank, size_t count, size_t all, const struct ft_match *match)
{
    const struct ft_evaluation *e = w->e;
    const struct ft_measures *measures = &w->result->measures;
    double *each = e->each ? e->each + query * measures->count : NULL;
    const float *gain = gains_of(w, query, rank, count);
    const struct ft_ranking ranking = {.rank = rank, .gain = gain, .count = count, .relevant = all, .ideal = ideal_of(w, query, all),
                                       .length = e->nearest.index_count - (e->nearest.excluded ? e->nearest.excluded[query].count : 0)};
    bool voted = false;

    if (e->found && e->found(e->argument, query, match, w->kept) < 0)
        return -1;
    for (size_t m = 0; m < measures->count; m++) {
        bool knn = measures->item[m].metric == FT_METRIC_KNN;
        double value = !all ? NAN : knn ? vote(w, query, measures->item[m].k, match) : ft_measure_of(&measures->item[m], &ranking);

        if (each)
            each[m] = value;
        if (!isnan(value))
            w->result->value[m] += value;
        if (w->ranks[m] && all)
            w->ranks[m][w->result->queries] = value;
        voted |= knn && !isnan(value);
    }
    w->voted += voted;
    *(all ? &w->result->queries : &w->result->left_out) += 1;
    return 0;
}

/* Those of the relevant items that are among the neighbours; `all`: how many there are that are not excluded. */
static size_t ranks_of_matches(const struct work *w, size_t query, const struct ft_match *match, struct ft_rank *rank, size_t *all)
{
    const struct ft_items *relevant = &w->e->relevant[query], *excluded = w->e->nearest.excluded;
    size_t count = 0;

    *all = relevant->count;
    for (size_t i = 0; excluded && i < excluded[query].count; i++)
        *all -= ft_items_have(relevant, excluded[query].item[i]);
    for (size_t i = 0; i < w->kept && match[i].item != FT_NO_ITEM; i++)
        if (ft_items_have(relevant, match[i].item))
            rank[count++] = (struct ft_rank){(uint32_t)i + 1, match[i].item};
    return count;
}

static int rank_block(struct work *w, const struct ft_nearest *part, size_t first)
{
    if (w->shallow)
        return ft_nearest_find(part, w->kept, w->match);
    return ft_nearest_ranks(part, w->e->relevant + first, w->rank, w->count, w->kept, w->match);
}

static int evaluate_block(struct work *w, size_t first, size_t count, size_t items)
{
    const struct ft_evaluation *e = w->e;
    struct ft_nearest part = e->nearest;
    struct ft_rank *rank;

    part.query += first * part.dim;
    part.query_count = count;
    if (part.excluded)
        part.excluded += first;
    ft_arena_reset(&w->block);
    rank = w->rank = ft_arena_take(&w->block, items * sizeof *w->rank);
    w->gain = ft_arena_take(&w->block, items * sizeof *w->gain);
    w->ideal = ft_arena_take(&w->block, items * sizeof *w->ideal);
    w->count = ft_arena_take(&w->block, count * sizeof *w->count);
    w->match = w->kept ? ft_arena_zero(&w->block, count, w->kept * sizeof *w->match) : NULL;
    if (!w->rank || !w->gain || !w->ideal || !w->count || (w->kept && !w->match) || rank_block(w, &part, first) < 0)
        return -1;
    for (size_t q = 0; q < count; q++) {
        const struct ft_match *match = w->match ? w->match + q * w->kept : NULL;
        size_t found, all;

        if (w->shallow)
            found = ranks_of_matches(w, first + q, match, rank, &all);
        else
            found = all = w->count[q];
        if (add_query(w, first + q, rank, found, all, match) < 0)
            return -1;
        rank += e->relevant[first + q].count;
    }
    return 0;
}

static uint32_t *zero_votes(const struct ft_evaluation *e)
{
    uint32_t classes = 0, *votes;

    for (size_t i = 0; e->index_class && i < e->nearest.index_count; i++)
        if (e->index_class[i] != FT_NO_CLASS && e->index_class[i] >= classes)
            classes = e->index_class[i] + 1;
    if (!(votes = calloc((size_t)classes + 1, sizeof *votes)))
        ft_fail(FT_SYSTEM, "out of memory for %u labels", classes);
    return votes;
}

/* Voters, what the caller wants to see, and all that the measures look at where that is not much. */
static size_t neighbours(const struct ft_evaluation *e, const struct ft_measures *measures, size_t depth)
{
    size_t most = e->found ? e->k : 0, items = e->nearest.index_count;

    if (depth <= SHALLOW && depth > most)
        most = depth;
    for (size_t m = 0; m < measures->count && e->query_class; m++)
        if (measures->item[m].metric == FT_METRIC_KNN && measures->item[m].k > most)
            most = measures->item[m].k;
    return most < items ? most : items;
}

static int evaluate_all(struct work *w)
{
    const struct ft_evaluation *e = w->e;
    size_t most = BLOCK_ITEMS / (w->kept + 1) + 1, first = 0;

    if (most > BLOCK_QUERIES)
        most = BLOCK_QUERIES;
    while (first < e->nearest.query_count) {
        size_t n = 0, items = 0;

        do
            items += e->relevant[first + n++].count;
        while (n < most && first + n < e->nearest.query_count &&
               items + e->relevant[first + n].count <= BLOCK_ITEMS);
        if (evaluate_block(w, first, n, items) < 0)
            return -1;
        first += n;
    }
    return 0;
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Of a metric's values, which ascend then. */
static double median_of(double *value, size_t count)
{
    qsort(value, count, sizeof *value, compare_values);
    return count ? (value[(count - 1) / 2] + value[count / 2]) / 2 : NAN;
}

/* Room for the values of metrics of which the median stands for all; NULL of others, and where memory is out. */
static int take_medians(struct work *w)
{
    for (size_t m = 0; m < w->result->measures.count; m++)
        if (ft_measure_median(&w->result->measures.item[m]) &&
            !(w->ranks[m] = ft_arena_take(&w->all, (w->e->nearest.query_count + 1) * sizeof(double))))
            return -1;
    return 0;
}

int ft_evaluate(const struct ft_evaluation *e, struct ft_result *result)
{
    struct work w = {.e = e, .result = result, .votes = zero_votes(e)};
    size_t depth;
    int status = w.votes ? 0 : -1;

    *result = (struct ft_result){.k = e->k};
    if (e->measures)
        result->measures = *e->measures;
    else if (ft_measures_add(&result->measures, "usual", e->k) < 0)
        status = -1;
    depth = ft_measures_depth(&result->measures);
    w.kept = neighbours(e, &result->measures, depth);
    w.shallow = depth != SIZE_MAX && (w.kept >= depth || w.kept == e->nearest.index_count);
    if (status == 0 && (status = take_medians(&w)) == 0)
        status = evaluate_all(&w);
    for (size_t m = 0; m < result->measures.count; m++) {
        size_t over = result->measures.item[m].metric == FT_METRIC_KNN ? w.voted : result->queries;

        result->value[m] = w.ranks[m] ? median_of(w.ranks[m], result->queries) : over ? result->value[m] / (double)over : NAN;
    }
    ft_arena_free(&w.block);
    ft_arena_free(&w.all);
    free(w.votes);
    return status;
}
