/* state.h - what decisions are made from: all of it follows from the lines of log.jsonl. */
#ifndef FT_TUNE_STATE_H
#define FT_TUNE_STATE_H

#include "base/memory.h"
#include "train/run.h"
#include "tune/monitor.h"

struct ft_tuning_state {
    struct ft_monitor stop, best;      /* metric "" where not asked for */
    uint64_t epoch;                    /* of the last step, 0 = none yet */
    bool evaluated;
    uint64_t evaluation;               /* the batch of the last one */
    double loss_sum;                   /* of the steps since then */
    uint64_t loss_count;
    struct ft_scores first, last;      /* of the evaluation before training, of the last one */
    struct ft_scores chosen;           /* of the best, where one is wanted, else of the last */
};

/* From the run's settings and its log, which is cut to where it goes on. FT_BAD: the log is damaged. */
int ft_tuning_state_open(struct ft_tuning_state *state, struct ft_run *run);

void ft_tuning_state_step(struct ft_tuning_state *state, uint64_t epoch, double loss);

/* train_loss, the mean loss since the last evaluation, if there was a step since. */
void ft_tuning_state_loss(const struct ft_tuning_state *state, struct ft_scores *scores);

/* 1: the best so far, where that is asked for. */
int ft_tuning_state_evaluation(struct ft_tuning_state *state, uint64_t batch, const struct ft_scores *scores);
bool ft_tuning_state_stops(const struct ft_tuning_state *state);

/* What a hook is told, a line of JSON: event, run, batch, steps, epoch, loss (the mean since the last evaluation), evaluation and metrics (of the last
 * one), best {metric, value, batch}, error; what there is not yet is null. */
int ft_tuning_state_json(const struct ft_tuning_state *state, const struct ft_run *run, const struct ft_progress *progress, const char *event,
                         const char *error, struct ft_buffer *out);

#endif
