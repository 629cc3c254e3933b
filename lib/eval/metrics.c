/* metrics.c - metrics of one query from the ranks of what is relevant. */
#include "eval/metrics.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* at: "@k" belongs to the name. */
static const struct {
    const char *name;
    bool at;
} metrics[FT_METRICS] = {
    [FT_METRIC_ACCURACY] = {"acc@1", false},
    [FT_METRIC_PRECISION] = {"precision", true},
    [FT_METRIC_RECALL] = {"recall", true},
    [FT_METRIC_HIT] = {"hit", true},
    [FT_METRIC_MRR] = {"mrr", false},
    [FT_METRIC_MAP] = {"map", false},
    [FT_METRIC_RPRECISION] = {"rprecision", false},
    [FT_METRIC_NDCG] = {"ndcg", true},
    [FT_METRIC_KNN] = {"knn", true},
    [FT_METRIC_F1] = {"f1", true},
    [FT_METRIC_MRR_AT] = {"mrr", true},
    [FT_METRIC_MAP_AT] = {"map", true},
    [FT_METRIC_DCG] = {"dcg", true},
    [FT_METRIC_MEDIAN_RANK] = {"median_rank", false},
    [FT_METRIC_PRECISION_AT_K] = {"precision_at_k", false},
    [FT_METRIC_RECALL_AT_K] = {"recall_at_k", false},
    [FT_METRIC_F1_SCORE_AT_K] = {"f1_score_at_k", false},
    [FT_METRIC_HIT_AT_K] = {"hit_at_k", false},
    [FT_METRIC_AVERAGE_PRECISION] = {"average_precision", false},
    [FT_METRIC_RECIPROCAL_RANK] = {"reciprocal_rank", false},
    [FT_METRIC_DCG_AT_K] = {"dcg_at_k", false},
};

void ft_measure_name(const struct ft_measure *measure, char name[40])
{
    if (metrics[measure->metric].at)
        snprintf(name, 40, "%s@%zu", metrics[measure->metric].name, measure->k);
    else
        snprintf(name, 40, "%s", metrics[measure->metric].name);
}

static int unknown(const char *name, size_t k)
{
    char known[768] = "", full[40];
    size_t used = 0;

    for (int m = 0; m < FT_METRICS; m++) {
        ft_measure_name(&(struct ft_measure){(enum ft_metric)m, k}, full);
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", full);
    }
    return ft_fail(FT_USAGE, "metric '%.60s': known are%s, with any number for %zu", name, known, k);
}

/* "mrr" is that of the whole ranking, "mrr@20" another metric. */
int ft_measure_parse(const char *name, size_t k, struct ft_measure *measure)
{
    const char *at = strchr(name, '@');
    size_t size = at ? (size_t)(at - name) : strlen(name);
    char *end = NULL;
    long number = at && at[1] >= '0' && at[1] <= '9' ? strtol(at + 1, &end, 10) : 0;

    for (int m = 0; m < FT_METRICS; m++)
        if (strcmp(name, metrics[m].name) == 0) {
            *measure = (struct ft_measure){(enum ft_metric)m, k};
            return 0;
        }
    for (int m = 0; m < FT_METRICS && at && end && !*end && number >= 1 && number <= INT32_MAX; m++)
        if (metrics[m].at && strlen(metrics[m].name) == size && strncmp(name, metrics[m].name, size) == 0) {
            *measure = (struct ft_measure){(enum ft_metric)m, (size_t)number};
            return 0;
        }
    return unknown(name, k);
}

static int add(struct ft_measures *measures, struct ft_measure measure)
{
    for (size_t i = 0; i < measures->count; i++)
        if (measures->item[i].metric == measure.metric &&
            (measures->item[i].k == measure.k || !metrics[measure.metric].at))
            return 0;
    if (measures->count == FT_MEASURES)
        return ft_fail(FT_USAGE, "more than %d metrics", FT_MEASURES);
    measures->item[measures->count++] = measure;
    return 0;
}

static int add_named(struct ft_measures *measures, const char *name, size_t k)
{
    static const struct {
        const char *name;
        int from, to;
    } several[] = {{"usual", 0, FT_METRICS_USUAL}, {"finetuner", FT_METRIC_FINETUNER, FT_METRICS}, {"all", 0, FT_METRICS}};
    struct ft_measure measure;

    if (strcmp(name, "cross-modal") == 0)
        return ft_measures_add(measures, "recall@1,recall@5,recall@10,hit@1,hit@5,hit@10,mrr,median_rank", k);
    for (size_t s = 0; s < sizeof several / sizeof *several; s++)
        if (strcmp(name, several[s].name) == 0) {
            for (int m = several[s].from; m < several[s].to; m++)
                if (add(measures, (struct ft_measure){(enum ft_metric)m, k}) < 0)
                    return -1;
            return 0;
        }
    return ft_measure_parse(name, k, &measure) < 0 ? -1 : add(measures, measure);
}

int ft_measures_add(struct ft_measures *measures, const char *names, size_t k)
{
    while (true) {
        size_t size = strcspn(names, ",");
        char name[64];

        if (size >= sizeof name)
            return unknown(names, k);
        memcpy(name, names, size);
        name[size] = '\0';
        if (add_named(measures, name, k) < 0)
            return -1;
        if (!names[size])
            return 0;
        names += size + 1;
    }
}

size_t ft_measures_depth(const struct ft_measures *measures)
{
    size_t depth = 1;

    for (size_t m = 0; m < measures->count; m++)
        switch (measures->item[m].metric) {
        case FT_METRIC_MRR:
        case FT_METRIC_MAP:
        case FT_METRIC_RPRECISION:
        case FT_METRIC_MEDIAN_RANK:
            return SIZE_MAX;
        case FT_METRIC_ACCURACY:
            break;
        default:
            depth = measures->item[m].k > depth ? measures->item[m].k : depth;
        }
    return depth;
}

bool ft_measure_median(const struct ft_measure *measure)
{
    return measure->metric == FT_METRIC_MEDIAN_RANK;
}

/* ---- of one query ---- */

/* How many ranks are at most k. */
static size_t found_at(const struct ft_ranking *r, size_t k)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->rank[middle].rank <= k)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The sum of i / rank_i over the first `count`. */
static double precisions(const struct ft_ranking *r, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += (double)(i + 1) / r->rank[i].rank;
    return sum;
}

static double gained(const struct ft_ranking *r, size_t k)
{
    double sum = 0;

    for (size_t i = 0; i < r->count && r->rank[i].rank <= k; i++)
        sum += (r->gain ? (double)r->gain[i] : 1.0) / log2((double)r->rank[i].rank + 1);
    return sum;
}

/* The largest sum: all relevant items first, the highest gains before. */
static double ideally_gained(const struct ft_ranking *r, size_t k)
{
    double sum = 0;

    for (size_t i = 0; i < r->relevant && i < k; i++)
        sum += (r->ideal ? (double)r->ideal[i] : 1.0) / log2((double)i + 2);
    return sum;
}

/* Finetuner's: the first two places weigh the same, and every gain is 1. */
static double gained_from_two(const struct ft_ranking *r, size_t k)
{
    double sum = 0;

    for (size_t i = 0; i < r->count && r->rank[i].rank <= k; i++)
        sum += r->rank[i].rank == 1 ? 1 : 1 / log2((double)r->rank[i].rank);
    return sum;
}

static double harmonic(double precision, double recall)
{
    return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

double ft_measure_of(const struct ft_measure *measure, const struct ft_ranking *r)
{
    size_t k = measure->k, at = found_at(r, k), shown = k < r->length ? k : r->length;
    double all = (double)r->relevant, precision = (double)at / (double)k, recall = (double)at / all;
    double shown_precision = shown ? (double)at / (double)shown : 0;

    switch (measure->metric) {
    case FT_METRIC_ACCURACY:
        return r->count && r->rank[0].rank == 1;
    case FT_METRIC_PRECISION:
        return precision;
    case FT_METRIC_RECALL:
    case FT_METRIC_RECALL_AT_K:
        return recall;
    case FT_METRIC_F1:
        return harmonic(precision, recall);
    case FT_METRIC_HIT:
    case FT_METRIC_HIT_AT_K:
        return at > 0;
    case FT_METRIC_MRR:
        return r->count ? 1.0 / r->rank[0].rank : 0;
    case FT_METRIC_MEDIAN_RANK:
        return r->count ? (double)r->rank[0].rank : (double)r->length + 1;
    case FT_METRIC_MRR_AT:
    case FT_METRIC_RECIPROCAL_RANK:
        return at ? 1.0 / r->rank[0].rank : 0;
    case FT_METRIC_MAP:
        return precisions(r, r->count) / all;
    case FT_METRIC_MAP_AT:
        return precisions(r, at) / all;
    case FT_METRIC_AVERAGE_PRECISION:
        return at ? precisions(r, at) / (double)at : 0;
    case FT_METRIC_RPRECISION:
        return (double)found_at(r, r->relevant) / all;
    case FT_METRIC_DCG:
        return gained(r, k);
    case FT_METRIC_NDCG:
        return gained(r, k) / ideally_gained(r, k);
    case FT_METRIC_DCG_AT_K:
        return gained_from_two(r, k);
    case FT_METRIC_PRECISION_AT_K:
        return shown_precision;
    case FT_METRIC_F1_SCORE_AT_K:
        return harmonic(shown_precision, recall);
    default:
        return NAN;
    }
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
