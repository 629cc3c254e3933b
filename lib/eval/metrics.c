/* metrics.c - metrics of one query from ranks, and their means over all. */
#include "eval/metrics.h"
#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool at_k;
} names[FT_METRICS] = {
    {"acc@1", false}, {"precision", true}, {"recall", true}, {"hit", true}, {"mrr", false},
    {"map", false}, {"rprecision", false}, {"ndcg", true}, {"knn", true},
};

void ft_metric_name(enum ft_metric metric, size_t k, char name[32])
{
    if (names[metric].at_k)
        snprintf(name, 32, "%s@%zu", names[metric].name, k);
    else
        snprintf(name, 32, "%s", names[metric].name);
}

int ft_metric_parse(const char *name, size_t k, enum ft_metric *metric)
{
    char full[32], known[512] = "";
    size_t used = 0;

    for (int m = 0; m < FT_METRICS; m++) {
        ft_metric_name((enum ft_metric)m, k, full);
        if (strcmp(name, full) == 0 || strcmp(name, names[m].name) == 0) {
            *metric = (enum ft_metric)m;
            return 0;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", full);
    }
    return ft_fail(FT_USAGE, "metric '%s': known are%s", name, known);
}

static int compare_gains(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x > y ? -1 : x < y;
}

/* The largest sum: all relevant items first, the highest gains before. -1: out of memory. */
static double ideal_gain(const float *gain, size_t count, size_t k)
{
    double sum = 0;
    float *sorted = NULL;

    if (gain) {
        if (!(sorted = ft_resize(NULL, count, sizeof *sorted)))
            return -1;
        memcpy(sorted, gain, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_gains);
    }
    for (size_t i = 0; i < count && i < k; i++)
        sum += (sorted ? (double)sorted[i] : 1.0) / log2((double)i + 2);
    free(sorted);
    return sum;
}

int ft_metrics_of_ranks(const struct ft_rank *rank, const float *gain, size_t count, size_t k,
                        double value[FT_METRICS])
{
    double precision = 0, gained = 0, ideal = ideal_gain(gain, count, k);
    size_t at_k = 0, at_count = 0;

    for (size_t i = 0; i < count; i++) {
        precision += (double)(i + 1) / rank[i].rank;
        at_count += rank[i].rank <= count;
        if (rank[i].rank <= k) {
            at_k++;
            gained += (gain ? (double)gain[i] : 1.0) / log2((double)rank[i].rank + 1);
        }
    }
    value[FT_METRIC_ACCURACY] = rank[0].rank == 1;
    value[FT_METRIC_PRECISION] = (double)at_k / (double)k;
    value[FT_METRIC_RECALL] = (double)at_k / (double)count;
    value[FT_METRIC_HIT] = at_k > 0;
    value[FT_METRIC_MRR] = 1.0 / rank[0].rank;
    value[FT_METRIC_MAP] = precision / (double)count;
    value[FT_METRIC_RPRECISION] = (double)at_count / (double)count;
    value[FT_METRIC_NDCG] = gained / ideal;
    value[FT_METRIC_KNN] = NAN;
    return ideal < 0 ? -1 : 0;
}

uint32_t ft_metrics_vote(const struct ft_match *match, size_t k, const uint32_t *class_of_item, uint32_t *votes)
{
    uint32_t winner = FT_NO_CLASS, most = 0;

    for (size_t i = 0; i < k && match[i].item != FT_NO_ITEM; i++)
        if (class_of_item[match[i].item] != FT_NO_CLASS)
            votes[class_of_item[match[i].item]]++;
    for (size_t i = 0; i < k && match[i].item != FT_NO_ITEM; i++) {
        uint32_t class = class_of_item[match[i].item];

        if (class != FT_NO_CLASS && votes[class] > most) {
            most = votes[class];
            winner = class;
        }
    }
    for (size_t i = 0; i < k && match[i].item != FT_NO_ITEM; i++)
        if (class_of_item[match[i].item] != FT_NO_CLASS)
            votes[class_of_item[match[i].item]] = 0;
    return winner;
}

/* What one block of queries needs: bounded, whatever the number of queries. */
enum { BLOCK_QUERIES = 4096, BLOCK_ITEMS = 4 << 20 };

struct block {
    struct ft_arena arena;
    size_t k;                   /* neighbours that there are: k, or the whole index */
    struct ft_rank *rank;
    size_t *count;
    struct ft_match *match;
    uint32_t *votes;
    float *gain;
};

/* The sums so far. */
struct sums {
    double value[FT_METRICS];
    size_t queries, voted, left_out;
};

/* Gains in the order of the ranks. */
static const float *gains_of(const struct ft_evaluation *e, size_t query, const struct ft_rank *rank,
                             size_t count, float *gain)
{
    const struct ft_items *relevant = &e->relevant[query];

    if (!e->gain)
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
        gain[i] = e->gain[query][low];
    }
    return gain;
}

static int add_query(const struct ft_evaluation *e, struct block *b, size_t query, const struct ft_rank *rank,
                     size_t count, const struct ft_match *match, struct sums *sums)
{
    double value[FT_METRICS];
    uint32_t class = e->query_class ? e->query_class[query] : FT_NO_CLASS;

    if (!count) {
        sums->left_out++;
        return 0;
    }
    if (ft_metrics_of_ranks(rank, gains_of(e, query, rank, count, b->gain), count, e->k, value) < 0)
        return -1;
    for (int m = 0; m < FT_METRIC_KNN; m++)
        sums->value[m] += value[m];
    sums->queries++;
    if (class != FT_NO_CLASS) {
        sums->value[FT_METRIC_KNN] += ft_metrics_vote(match, b->k, e->index_class, b->votes) == class;
        sums->voted++;
    }
    return 0;
}

static int evaluate_block(const struct ft_evaluation *e, struct block *b, size_t first, size_t count,
                          size_t items, struct sums *sums)
{
    struct ft_nearest part = e->nearest;
    const struct ft_rank *rank;

    part.query += first * part.dim;
    part.query_count = count;
    if (part.excluded)
        part.excluded += first;
    b->rank = ft_arena_take(&b->arena, items * sizeof *b->rank);
    b->gain = ft_arena_take(&b->arena, items * sizeof *b->gain);
    b->count = ft_arena_take(&b->arena, count * sizeof *b->count);
    b->match = e->query_class ? ft_arena_zero(&b->arena, count, b->k * sizeof *b->match) : NULL;
    if (!b->rank || !b->gain || !b->count || (e->query_class && !b->match) ||
        ft_nearest_ranks(&part, e->relevant + first, b->rank, b->count, b->k, b->match) < 0)
        return -1;
    rank = b->rank;
    for (size_t q = 0; q < count; q++) {
        if (add_query(e, b, first + q, rank, b->count[q], b->match ? b->match + q * b->k : NULL, sums) < 0)
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

int ft_evaluate(const struct ft_evaluation *e, struct ft_result *result)
{
    size_t items = e->nearest.index_count;
    struct block b = {.votes = zero_votes(e), .k = e->k < items ? e->k : items};
    size_t most = BLOCK_ITEMS / (b.k + 1), first = 0;
    struct sums sums = {.queries = 0};
    int status = b.votes ? 0 : -1;

    if (most > BLOCK_QUERIES)
        most = BLOCK_QUERIES;
    while (status == 0 && first < e->nearest.query_count) {
        size_t n = 0;

        items = 0;
        do
            items += e->relevant[first + n++].count;
        while (n < most && first + n < e->nearest.query_count &&
               items + e->relevant[first + n].count <= BLOCK_ITEMS);
        ft_arena_reset(&b.arena);
        status = evaluate_block(e, &b, first, n, items, &sums);
        first += n;
    }
    ft_arena_free(&b.arena);
    free(b.votes);
    *result = (struct ft_result){.k = e->k, .queries = sums.queries, .left_out = sums.left_out};
    for (int m = 0; m < FT_METRICS; m++) {
        size_t over = m == FT_METRIC_KNN ? sums.voted : sums.queries;

        result->value[m] = over ? sums.value[m] / (double)over : NAN;
    }
    return status;
}
