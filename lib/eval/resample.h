/* resample.h - how far figures move by chance: the paired bootstrap over what was measured (queries, pairs, ...).
 *
 * Each of B times as many units are drawn, with replacement, as there are, and every figure is computed of the draw; with two
 * models the same units for both. The 95 % interval is from the 2.5th to the 97.5th percentile of the B figures, between two of
 * them as numpy's percentile has it (Efron and Tibshirani 1993, chapters 13 and 16).
 *
 * p of a change is twice the smaller share of draws, each plus one, in which the change is not above zero or not below it, at
 * most 1: the level at which the percentile interval of the change would reach zero. */
#ifndef FT_EVAL_RESAMPLE_H
#define FT_EVAL_RESAMPLE_H

#include "eval/report.h"

/* The figures of a draw: value[figures]. weight[units] says how often each unit is in it; NULL: once each. `room` is the worker's. */
typedef void ft_statistic(const void *data, const uint32_t *weight, double *room, double *value);

struct ft_resampling {
    size_t units, figures;
    ft_statistic *statistic;
    const void *data[2];               /* of the model, of the one before; the second may be NULL */
    size_t room;                       /* doubles that the statistic needs */
    size_t times;                      /* B, at least 1 */
    uint64_t seed;                     /* draw b is that of Philox stream b, whatever thread draws it */
};

/* Fills the intervals of the reports, and with two the changes of `report`. */
int ft_resample(const struct ft_resampling *resampling, struct ft_report *report, struct ft_report *before);

/* The statistic of values that are averaged: each figure the mean, or the median (of an even number the mean of the two in the middle), over the
 * units where it is not NaN. */
struct ft_means {
    const double *each;                /* [units][figures] */
    size_t units, figures;
    const uint32_t **order;            /* [figures] of a median the units, smallest first, those without a number last; else NULL. NULL: all are means */
};
int ft_means_median(struct ft_means *means, struct ft_arena *arena, size_t figure);    /* from the arena; `each` is full */
void ft_means_of(const void *means, const uint32_t *weight, double *room, double *value);

#endif
