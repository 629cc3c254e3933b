/* tuning.h - a run from its first batch, or from where it stopped, to its end: steps, evaluations, what is decided by them.
 *
 * Evaluations are made before the first batch, then at the end of each epoch or after every so many batches, and at the end; each is a line of
 * log.jsonl (log.h). Early stopping and the best model are decided from these lines alone, so that a run which stopped and goes on decides
 * as one which did not. An epoch has ended when a batch of the next one, or the end of all, has come. */
#ifndef FT_TUNE_TUNING_H
#define FT_TUNE_TUNING_H

#include "train/trainer.h"
#include "tune/source.h"
#include "tune/validation.h"

struct ft_tuning {
    struct ft_run *run;
    struct ft_source *source;
    struct ft_validation *validation;  /* or NULL */
    struct ft_trainer_options trainer;
    long steps;                        /* stop after that batch; -1: at the end */

    /* What is told on the way: steps, and lines for people. */
    void (*step)(void *argument, const struct ft_step_report *report);
    void (*say)(void *argument, bool warning, const char *line);
    void *argument;
};

/* The hook of the callbacks is run at "begin", at the end of each "epoch", after its evaluation, at the "end", when the model is written, and at a
 * "failure" after the beginning; that it failed is said, and stops nothing.
 *
 * 0: the model is written. -1: what was learned is saved in a checkpoint, where that was possible. */
int ft_tune(const struct ft_tuning *tuning);

/* Do the callbacks of a new run go together, and are those of --stop and --best well formed? FT_USAGE. */
int ft_tuning_check(const struct ft_callbacks *callbacks);

#endif
