/* schedule.h - the learning rate of each step.
 *
 * Steps count from 1. Over the first w of them (the warm-up) the rate rises as step / w; then it is lr f(x), where x is how much of the rest lies
 * behind the step: x = (step - 1 - w) / (steps - w).
 *
 *     linear                    1 - x
 *     cosine                    (1 + cos(2 pi cycles x)) / 2                      cycles .5: half a wave, down to 0
 *     cosine-with-restarts      (1 + cos(pi (cycles x mod 1))) / 2                cycles 1
 *     polynomial                (1 - end / lr) (1 - x)^power + end / lr           power 1, end 1e-7
 *     constant, constant-with-warmup    1
 *
 * These are transformers' get_scheduler, whose steps count from 0, but for the warm-up: there a step has (step - 1) / w, so that the first is wasted
 * at 0. Ours is one step ahead over the warm-up; the first step after it has the whole rate in both, and from there on rates are equal.
 *
 *     one-cycle                 torch's OneCycleLR: from lr / div-factor up to lr over the first pct-start of the steps, then down to
 *                               lr / div-factor / final-div-factor at the last, by half waves (anneal=cos) or lines (linear)
 *
 * one-cycle has a rise of its own and no warm-up, and leaves the optimizer's momentum alone. With by=epoch step and steps are the epoch and the
 * number of epochs, also for the warm-up: the rate changes between epochs only. */
#ifndef FT_TRAIN_SCHEDULE_H
#define FT_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FT_SCHEDULE_VALUES = 8 };

struct ft_schedule_kind;

struct ft_schedule {
    const struct ft_schedule_kind *kind;
    double value[FT_SCHEDULE_VALUES];      /* in the order of its keys */
    double lr, warmup;                     /* below 1 a warm-up is a share of the steps */
};

/* "NAME:key=value,..." with the rate and the warm-up: FT_USAGE. */
int ft_schedule_parse(struct ft_schedule *schedule, const char *text, double lr, double warmup);
const char *ft_schedule_names(void);
const char *ft_schedule_name_at(size_t i);     /* NULL past the end of the table */

bool ft_schedule_by_epoch(const struct ft_schedule *schedule);
/* Can it do with `steps` (by epoch: epochs), 0 = unknown? linear and constant then stay at the rate after the warm-up, which must be a number
 * of steps; others need to know. FT_USAGE. */
int ft_schedule_fits(const struct ft_schedule *schedule, uint64_t steps);

/* Step 1..steps. */
double ft_schedule_rate(const struct ft_schedule *schedule, uint64_t step, uint64_t steps);

#endif
