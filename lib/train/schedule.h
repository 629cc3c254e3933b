/* schedule.h - the learning rate of each step. */
#ifndef FT_TRAIN_SCHEDULE_H
#define FT_TRAIN_SCHEDULE_H

#include <stdint.h>

struct ft_schedule {
    const char *name;        /* "linear" or "constant" */
    double lr, warmup;       /* below 1 a warm-up is a share of the steps */
};

int ft_schedule_check(const struct ft_schedule *schedule);      /* FT_USAGE */
const char *ft_schedule_names(void);

/* Step 1..steps: rises linearly over the warm-up, w steps, as step / w; then "linear" falls as (steps - step + 1) / (steps - w), so that no step is
 * wasted at zero (transformers' schedule begins with a step at zero; ours is the same one step ahead). steps 0 = unknown: constant after the
 * warm-up, which must then be a number of steps. */
double ft_schedule_rate(const struct ft_schedule *schedule, uint64_t step, uint64_t steps);

#endif
