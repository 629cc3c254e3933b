/* schedule.c - linear and constant, with warm-up. */
#include "train/schedule.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

const char *ft_schedule_names(void)
{
    return "linear constant";
}

int ft_schedule_check(const struct ft_schedule *s)
{
    if (strcmp(s->name, "linear") != 0 && strcmp(s->name, "constant") != 0)
        return ft_fail(FT_USAGE, "unknown schedule '%s': known are %s", s->name, ft_schedule_names());
    if (!(s->lr >= 0) || !isfinite(s->lr))
        return ft_fail(FT_USAGE, "--lr %g: expected a number of at least 0", s->lr);
    if (!(s->warmup >= 0) || !isfinite(s->warmup))
        return ft_fail(FT_USAGE, "--warmup %g: expected a share of the steps below 1, or a number of steps", s->warmup);
    return 0;
}

double ft_schedule_rate(const struct ft_schedule *s, uint64_t step, uint64_t steps)
{
    double t = (double)step, total = (double)steps, w = s->warmup < 1 ? floor(s->warmup * total) : floor(s->warmup);

    if (t <= w)
        return s->lr * t / w;
    if (strcmp(s->name, "constant") == 0 || !steps || t > total)
        return s->lr * (steps && t > total && strcmp(s->name, "linear") == 0 ? 0 : 1);
    return s->lr * (total - t + 1) / (total - w);
}
