/* evaluate.h - metrics (metrics.h) of many queries, ranked block by block. A query for which nothing is relevant is left
 * out of every mean, and counted. */
#ifndef FT_EVAL_EVALUATE_H
#define FT_EVAL_EVALUATE_H

#include "eval/metrics.h"

/* What is ranked, what is relevant, and what is wanted. */
struct ft_evaluation {
    struct ft_nearest nearest;
    size_t k;                          /* at least 1 */
    const struct ft_measures *measures;/* NULL: the usual ones at k */
    const struct ft_items *relevant;   /* [query_count] each query's items ascend */
    const float *const *gain;          /* [query_count][relevant[q].count], or NULL: all 1 */
    const uint32_t *query_class;       /* [query_count] and [index_count] label numbers, or both NULL */
    const uint32_t *index_class;

    double *each;                      /* [query_count][measures->count] goes there, NaN where not defined; or NULL */
    int (*found)(void *argument, size_t query, const struct ft_match *match, size_t count);    /* the nearest of each query, k or */
    void *argument;                    /* more, queries in their order, as ft_nearest_find gives them; or NULL */
};

struct ft_result {
    size_t k, queries, left_out;       /* queries in the means; those without a relevant item */
    struct ft_measures measures;
    double value[FT_MEASURES];         /* means, or the median (ft_measure_median); NaN where not defined. Of the usual ones in the order of enum ft_metric */
};

int ft_evaluate(const struct ft_evaluation *evaluation, struct ft_result *result);

#endif
