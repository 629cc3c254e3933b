/* monitor.h - a metric that is watched from evaluation to evaluation: has it become better, and has it stopped doing so?
 *
 * Better is more than min-delta above the best so far, or below it where less is better (mode auto: names that end in "loss", and median_rank). The
 * best so far begins with the first evaluation, that of the model before training, or with `baseline` where one is set: then nothing
 * that does not beat it is better. After `patience` evaluations of the training in a row that were not better it is time to stop. These are the keys, and
 * patience 2 and min-delta 0 the defaults, of Finetuner's EarlyStopping. A value that is not defined (NaN) is not better. */
#ifndef FT_TUNE_MONITOR_H
#define FT_TUNE_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FT_SCORES = 80, FT_SCORE_NAME = 40, FT_SCORE_NEIGHBOURS = 20 };

/* What one evaluation found. Values are as the log shows them, so that what is decided by them is decided again from the log. */
struct ft_scores {
    size_t count;
    struct ft_score {
        char name[FT_SCORE_NAME];
        double value;            /* NaN: not defined */
    } item[FT_SCORES];
};

void ft_scores_add(struct ft_scores *scores, const char *name, double value);     /* rounds to the log's nine digits; what is not finite is NaN */
const struct ft_score *ft_scores_find(const struct ft_scores *scores, const char *name);    /* or NULL */

struct ft_monitor {
    char metric[FT_SCORE_NAME];
    bool less;                   /* is better */
    bool bounded;                /* best is set */
    double min_delta, best;
    long patience, waited;       /* patience 0: never stops */
    uint64_t batch;              /* of the best evaluation */
    bool improved;               /* some evaluation was better than what best began with */
};

/* "METRIC:patience=2,min-delta=0,baseline=X,mode=auto|min|max", METRIC a loss or any that ft-eval knows. FT_USAGE. */
int ft_monitor_parse(struct ft_monitor *monitor, const char *text);

/* The next evaluation: 1 when it is the best so far, else 0. FT_USAGE where it has no such metric: those it has are listed. */
int ft_monitor_see(struct ft_monitor *monitor, uint64_t batch, const struct ft_scores *scores);
bool ft_monitor_stops(const struct ft_monitor *monitor);

#endif
