/* schedule.c - the table of schedules. A new one is a function of x, its keys, and a line there. */
#include "train/schedule.h"
#include "base/error.h"
#include "train/losses/losses.h"

#include <math.h>
#include <string.h>

struct ft_schedule_kind {
    const char *name;
    const struct ft_setting_key *keys;          /* ends with a NULL name; the first is `by` */
    /* The rate after the warm-up, of what is left of the steps (1 - x, above 0; 0 past the end); or the rate of a step, the first is 0. */
    double (*rate)(const struct ft_schedule *s, double left);
    double (*whole)(const struct ft_schedule *s, double step, double steps);
    bool patient;                            /* goes without the number of steps */
};

enum { BY, FIRST };                          /* every schedule's key, and the first of its own */

#define BY_KEY [BY] = {.name = "by", .choices = "batch epoch"}

static const struct ft_setting_key plain_keys[] = {BY_KEY, {.name = NULL}};
static const struct ft_setting_key cosine_keys[] = {BY_KEY, {.name = "cycles", .otherwise = .5, .low = 0, .high = 1e6}, {.name = NULL}};
static const struct ft_setting_key restart_keys[] = {BY_KEY, {.name = "cycles", .otherwise = 1, .low = 1, .high = 1e6}, {.name = NULL}};

enum { POWER = FIRST, END };
static const struct ft_setting_key polynomial_keys[] = {
    BY_KEY,
    [POWER] = {.name = "power", .otherwise = 1, .low = 0, .high = 1e6},
    [END] = {.name = "end", .otherwise = 1e-7, .low = 0, .high = 1e38},
    {.name = NULL},
};

enum { PCT_START = FIRST, DIV_FACTOR, FINAL_DIV_FACTOR, ANNEAL };
static const struct ft_setting_key cycle_keys[] = {
    BY_KEY,
    [PCT_START] = {.name = "pct-start", .otherwise = .3, .low = 0, .high = 1},
    [DIV_FACTOR] = {.name = "div-factor", .otherwise = 25, .low = 1, .high = 1e38},
    [FINAL_DIV_FACTOR] = {.name = "final-div-factor", .otherwise = 1e4, .low = 1, .high = 1e38},
    [ANNEAL] = {.name = "anneal", .choices = "cos linear"},
    {.name = NULL},
};

static double linear(const struct ft_schedule *s, double left)
{
    return s->lr * left;
}

static double constant(const struct ft_schedule *s, double left)
{
    (void)left;
    return s->lr;
}

static double cosine(const struct ft_schedule *s, double left)
{
    return s->lr * .5 * (1 + cos(2 * M_PI * s->value[FIRST] * (1 - left)));
}

static double restarts(const struct ft_schedule *s, double left)
{
    return left > 0 ? s->lr * .5 * (1 + cos(M_PI * fmod(s->value[FIRST] * (1 - left), 1))) : 0;
}

/* A parameter's own rate (--lr-for) may lie below the end: it stays there. */
static double polynomial(const struct ft_schedule *s, double left)
{
    double end = fmin(s->value[END], s->lr);

    return (s->lr - end) * pow(left, s->value[POWER]) + end;
}

/* torch.optim.lr_scheduler.OneCycleLR, two phases. */
static double one_cycle(const struct ft_schedule *s, double step, double steps)
{
    double first = s->lr / s->value[DIV_FACTOR], last = first / s->value[FINAL_DIV_FACTOR];
    double top = s->value[PCT_START] * steps - 1, end = steps - 1;
    bool up = step <= top;
    double from = up ? first : s->lr, to = up ? s->lr : last, length = up ? top : end - top;
    double share = length > 0 ? fmin((step - (up ? 0 : top)) / length, 1) : 1;

    return s->value[ANNEAL] == 0 ? to + (from - to) / 2 * (1 + cos(M_PI * share)) : from + (to - from) * share;
}

static const struct ft_schedule_kind kinds[] = {
    {.name = "linear", .keys = plain_keys, .rate = linear, .patient = true},
    {.name = "cosine", .keys = cosine_keys, .rate = cosine},
    {.name = "cosine-with-restarts", .keys = restart_keys, .rate = restarts},
    {.name = "polynomial", .keys = polynomial_keys, .rate = polynomial},
    {.name = "constant", .keys = plain_keys, .rate = constant, .patient = true},
    {.name = "constant-with-warmup", .keys = plain_keys, .rate = constant, .patient = true},
    {.name = "one-cycle", .keys = cycle_keys, .whole = one_cycle},
};

const char *ft_schedule_names(void)
{
    return "linear cosine cosine-with-restarts polynomial constant constant-with-warmup one-cycle";
}

const char *ft_schedule_name_at(size_t i)
{
    return i < sizeof kinds / sizeof *kinds ? kinds[i].name : NULL;
}

int ft_schedule_parse(struct ft_schedule *s, const char *text, double lr, double warmup)
{
    struct ft_setting setting;
    size_t i = 0;

    if (ft_setting_parse(&setting, text) < 0)
        return -1;
    while (i < sizeof kinds / sizeof *kinds && strcmp(kinds[i].name, setting.name) != 0)
        i++;
    if (i == sizeof kinds / sizeof *kinds)
        return ft_fail(FT_USAGE, "unknown schedule '%s': known are %s", setting.name, ft_schedule_names());
    *s = (struct ft_schedule){.kind = &kinds[i], .lr = lr, .warmup = warmup};
    if (ft_setting_keys_read(&setting, s->kind->keys, s->value) < 0)
        return -1;
    if (!(lr >= 0) || !isfinite(lr))
        return ft_fail(FT_USAGE, "--lr %g: expected a number of at least 0", lr);
    if (!(warmup >= 0) || !isfinite(warmup))
        return ft_fail(FT_USAGE, "--warmup %g: expected a share of the steps below 1, or a number of steps", warmup);
    return 0;
}

bool ft_schedule_by_epoch(const struct ft_schedule *s)
{
    return s->value[BY] != 0;
}

int ft_schedule_fits(const struct ft_schedule *s, uint64_t steps)
{
    const char *unit = ft_schedule_by_epoch(s) ? "epochs" : "steps";

    if (steps)
        return 0;
    if (!s->kind->patient)
        return ft_fail(FT_USAGE, "--schedule %s runs over all %s, and the stream does not say how many there are", s->kind->name, unit);
    if (s->warmup > 0 && s->warmup < 1)
        return ft_fail(FT_USAGE, "--warmup %g is a share of the %s, and the stream does not say how many there are", s->warmup, unit);
    return 0;
}

double ft_schedule_rate(const struct ft_schedule *s, uint64_t step, uint64_t steps)
{
    double t = (double)step, total = (double)steps, w = s->warmup < 1 ? floor(s->warmup * total) : floor(s->warmup);

    if (s->kind->whole)
        return s->kind->whole(s, fmin(t, total) - 1, total);
    if (t <= w)
        return s->lr * t / w;
    if (!steps)
        return s->lr;
    return s->kind->rate(s, t > total ? 0 : (total - t + 1) / (total - w));
}
