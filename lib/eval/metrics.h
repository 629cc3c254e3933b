/* metrics.h - how good rankings are: metrics of one query.
 *
 * For each query the index (without the query's own document) is ranked, nearest first, equal scores in the
 * order of the index. R items of it are relevant. With rank_1 < ... < rank_R their ranks:
 *
 *   acc@1         rank_1 = 1
 *   precision@k   how many ranks are at most k, over k (over k also where the index has fewer)
 *   recall@k      the same, over R
 *   f1@k          the harmonic mean of the two, 0 where both are
 *   hit@k         rank_1 <= k
 *   mrr           1 / rank_1, over the whole ranking; mrr@k: 0 where rank_1 is beyond k
 *   median_rank   rank_1, over the whole ranking; one more than was ranked where nothing relevant was. Of queries the median, where all
 *                 others have the mean. The less, the better
 *   map           average precision over the whole ranking: the mean of i / rank_i over all R (trec_eval's map);
 *                 map@k: of the ranks at most k only, still over R (trec_eval's map_cut)
 *   rprecision    precision at R: how many ranks are at most R, over R
 *   dcg@k         the sum of gain / log2(1 + rank) over the ranks at most k. The gain is 1, or what --qrels says
 *                 (Jarvelin and Kekalainen 2002 as trec_eval has it, linear gains)
 *   ndcg@k        the same over the largest such sum there could be (trec_eval's ndcg_cut, scikit-learn's ndcg_score with k)
 *   knn@k         the label that most of the k nearest have is the query's own; of labels with equally many
 *                 the one whose nearest member is nearest. Neighbours without a label have no vote. Groups
 *                 are labels too. Where there are none: NaN
 *
 * map, mrr and rprecision need the ranks of all relevant items, however far down; nothing is cut at k.
 *
 * Texts that ask for images, and images for texts (cross-modal): recall, hit and their k of 1, 5 and 10, mrr, median_rank. What papers on
 * captions call R@k is hit@k: one of an image's captions is enough. Where nothing has two answers it is recall@k.
 *
 * Finetuner's seven, as DocArray 0.21 computes them, look at the k nearest only:
 *
 *   precision_at_k     over as many as there are where the index has fewer than k, else precision@k
 *   recall_at_k        recall@k
 *   f1_score_at_k      the harmonic mean of these two
 *   hit_at_k           hit@k
 *   average_precision  the mean of i / rank_i over the ranks at most k, not over R: what was not found costs nothing. 0 where none was
 *   reciprocal_rank    mrr@k
 *   dcg_at_k           1 at rank 1, 1 / log2(rank) at the ranks from 2 to k: weights 1, 1, 1/log2 3, 1/2 ...; no gains */
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
    FT_METRICS_USUAL,                  /* those before are what is measured when nothing else is wished */
    FT_METRIC_F1 = FT_METRICS_USUAL,
    FT_METRIC_MRR_AT,
    FT_METRIC_MAP_AT,
    FT_METRIC_DCG,
    FT_METRIC_MEDIAN_RANK,
    FT_METRIC_FINETUNER,               /* from here on Finetuner's */
    FT_METRIC_PRECISION_AT_K = FT_METRIC_FINETUNER,
    FT_METRIC_RECALL_AT_K,
    FT_METRIC_F1_SCORE_AT_K,
    FT_METRIC_HIT_AT_K,
    FT_METRIC_AVERAGE_PRECISION,
    FT_METRIC_RECIPROCAL_RANK,
    FT_METRIC_DCG_AT_K,
    FT_METRICS,
};

/* A metric and its k, which those of whole rankings do not look at. */
struct ft_measure {
    enum ft_metric metric;
    size_t k;
};

enum { FT_MEASURES = 64 };
struct ft_measures {                   /* zero-initialised is empty */
    size_t count;
    struct ft_measure item[FT_MEASURES];
};

/* "precision@20"; `name` has room for 40. */
void ft_measure_name(const struct ft_measure *measure, char name[40]);

/* From "precision@10", "precision" (at the k given), "mrr", "average_precision". FT_USAGE lists what is known. */
int ft_measure_parse(const char *name, size_t k, struct ft_measure *measure);

/* Add those of a list with commas between; "usual", "finetuner", "cross-modal" and "all" stand for several. One that is there already is not added
 * again. */
int ft_measures_add(struct ft_measures *measures, const char *names, size_t k);

/* What is known of one query's ranking. */
struct ft_ranking {
    const struct ft_rank *rank;        /* [count] the relevant items that were found, nearest first */
    const float *gain;                 /* [count] in the same order; NULL: all 1 */
    size_t count;
    size_t relevant;                   /* R, found or not; at least 1 and at least count */
    const float *ideal;                /* [relevant] all gains, the highest first; NULL: all 1 */
    size_t length;                     /* items that were ranked at all */
};

/* How far down a ranking the measures look; SIZE_MAX: to its end. */
size_t ft_measures_depth(const struct ft_measures *measures);

/* Of queries the median stands for all, and less is better. */
bool ft_measure_median(const struct ft_measure *measure);

/* NaN for knn. */
double ft_measure_of(const struct ft_measure *measure, const struct ft_ranking *ranking);

#define FT_NO_CLASS UINT32_MAX

/* The label that wins among match[k]; FT_NO_CLASS when none has a vote. `votes` [classes] is zero before and
 * after. */
uint32_t ft_metrics_vote(const struct ft_match *match, size_t k, const uint32_t *class_of_item,
                         uint32_t *votes);

#endif
