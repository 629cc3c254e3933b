/* metrics.h - how good rankings are.
 *
 * For each query the index (without the query's own document) is ranked, nearest first, equal scores in the
 * order of the index. R items of it are relevant; a query with R = 0 is left out of every average, and
 * counted. With rank_1 < ... < rank_R their ranks:
 *
 *   acc@1         rank_1 = 1
 *   precision@k   how many ranks are at most k, over k (over k also where the index has fewer)
 *   recall@k      the same, over R
 *   hit@k         rank_1 <= k
 *   mrr           1 / rank_1, over the whole ranking
 *   map           average precision over the whole ranking: the mean of i / rank_i over all R (trec_eval's map)
 *   rprecision    precision at R: how many ranks are at most R, over R
 *   ndcg@k        the sum of gain / log2(1 + rank) over the ranks at most k, over the largest such sum there
 *                 could be. The gain is 1, or what --qrels says (trec_eval's ndcg_cut, linear gains;
 *                 scikit-learn's ndcg_score with k)
 *   knn@k         the label that most of the k nearest have is the query's own; of labels with equally many
 *                 the one whose nearest member is nearest. Neighbours without a label have no vote. Groups
 *                 are labels too. Where there are none: NaN
 *
 * Each is the mean over queries. map, mrr and rprecision need the ranks of all relevant items, however far
 * down; nothing is cut at k. */
#ifndef FT_EVAL_METRICS_H
#define FT_EVAL_METRICS_H

#include "eval/nearest.h"

#include <stdbool.h>

enum ft_metric {
    FT_METRIC_ACCURACY,
    FT_METRIC_PRECISION,
    FT_METRIC_RECALL,
    FT_METRIC_HIT,
    FT_METRIC_MRR,
    FT_METRIC_MAP,
    FT_METRIC_RPRECISION,
    FT_METRIC_NDCG,
    FT_METRIC_KNN,
    FT_METRICS,
};

/* "precision@20"; `name` has room for 32. */
void ft_metric_name(enum ft_metric metric, size_t k, char name[32]);
/* From "precision@20" or "precision"; another k is FT_USAGE too. */
int ft_metric_parse(const char *name, size_t k, enum ft_metric *metric);

/* All but knn (NaN) of one query, from the ranks of its relevant items as ft_nearest_ranks gives them, at
 * least one. `gain` [count] in the same order, or NULL. */
int ft_metrics_of_ranks(const struct ft_rank *rank, const float *gain, size_t count, size_t k,
                        double value[FT_METRICS]);

#define FT_NO_CLASS UINT32_MAX

/* The label that wins among match[k]; FT_NO_CLASS when none has a vote. `votes` [classes] is zero before and
 * after. */
uint32_t ft_metrics_vote(const struct ft_match *match, size_t k, const uint32_t *class_of_item,
                         uint32_t *votes);

/* What is ranked, and what is relevant. */
struct ft_evaluation {
    struct ft_nearest nearest;
    size_t k;                          /* at least 1 */
    const struct ft_items *relevant;   /* [query_count]; where gains are given each query's items ascend */
    const float *const *gain;          /* [query_count][relevant[q].count], or NULL: all 1 */
    const uint32_t *query_class;       /* [query_count] and [index_count] label numbers, or both NULL */
    const uint32_t *index_class;
};

struct ft_result {
    size_t k, queries, left_out;       /* queries in the averages; those without a relevant item */
    double value[FT_METRICS];          /* NaN where not defined */
};

int ft_evaluate(const struct ft_evaluation *evaluation, struct ft_result *result);

#endif
