/* resample.c - draws on the pool, then percentiles of each figure. */
#include "eval/resample.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct draws {
    const struct ft_resampling *how;
    uint32_t *weight;                  /* [threads][units] */
    double *room;                      /* [threads][room] */
    double *value[2];                  /* [figures][times] of each model */
    double *column;                    /* [times] */
};

struct column {
    const double *each;
    size_t figures;
};

/* Numbers before NaN, equal ones in their order. */
static int compare_units(const void *a, const void *b, void *argument)
{
    const struct column *c = argument;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    double x = c->each[i * c->figures], y = c->each[j * c->figures];

    if (isnan(x) != isnan(y))
        return isnan(x) ? 1 : -1;
    if (x < y || x > y)
        return x < y ? -1 : 1;
    return i < j ? -1 : i > j;
}

int ft_means_median(struct ft_means *means, struct ft_arena *arena, size_t figure)
{
    struct column column = {means->each + figure, means->figures};
    uint32_t *order = ft_arena_take(arena, (means->units + 1) * sizeof *order);

    if (!means->order && !(means->order = ft_arena_zero(arena, means->figures, sizeof *means->order)))
        return -1;
    if (!order)
        return -1;
    for (size_t u = 0; u < means->units; u++)
        order[u] = (uint32_t)u;
    qsort_r(order, means->units, sizeof *order, compare_units, &column);
    means->order[figure] = order;
    return 0;
}

/* Each unit as often as its weight. */
static double median_of(const struct ft_means *means, size_t figure, const uint32_t *weight)
{
    const uint32_t *order = means->order[figure];
    size_t all = 0, before = 0, numbers = 0;
    double low = NAN;

    for (; numbers < means->units && !isnan(means->each[order[numbers] * means->figures + figure]); numbers++)
        all += weight ? weight[order[numbers]] : 1;
    for (size_t i = 0; i < numbers; i++) {
        double one = means->each[order[i] * means->figures + figure];
        size_t times = weight ? weight[order[i]] : 1;

        if (before <= (all - 1) / 2 && before + times > (all - 1) / 2)
            low = one;
        if (before <= all / 2 && before + times > all / 2)
            return (low + one) / 2;
        before += times;
    }
    return NAN;
}

void ft_means_of(const void *data, const uint32_t *weight, double *room, double *value)
{
    const struct ft_means *means = data;

    (void)room;
    for (size_t f = 0; f < means->figures; f++) {
        const double *each = means->each + f;
        double sum = 0, count = 0;

        if (means->order && means->order[f]) {
            value[f] = median_of(means, f, weight);
            continue;
        }
        for (size_t u = 0; u < means->units; u++) {
            double times = weight ? weight[u] : 1, one = each[u * means->figures];

            if (isnan(one) || times == 0)
                continue;
            sum += times * one;
            count += times;
        }
        value[f] = count > 0 ? sum / count : NAN;
    }
}

static int draw(void *argument, size_t number, int worker)
{
    struct draws *d = argument;
    const struct ft_resampling *how = d->how;
    struct ft_random random = ft_random_start(how->seed, number);
    uint32_t *weight = d->weight + (size_t)worker * how->units;
    double value[FT_FIGURES];

    memset(weight, 0, how->units * sizeof *weight);
    for (size_t u = 0; u < how->units; u++)
        weight[ft_random_below(&random, how->units)]++;
    for (int v = 0; v < 2 && how->data[v]; v++) {
        how->statistic(how->data[v], weight, d->room + (size_t)worker * how->room, value);
        for (size_t f = 0; f < how->figures; f++)
            d->value[v][f * how->times + number] = value[f];
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Sort what is a number to the front, and count it. */
static size_t sort(double *column, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (!isnan(column[i]))
            column[kept++] = column[i];
    qsort(column, kept, sizeof *column, compare);
    return kept;
}

static double percentile(const double *sorted, size_t count, double share)
{
    double place = share * (double)(count ? count - 1 : 0);
    size_t below = (size_t)place;

    if (!count)
        return NAN;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (sorted[below + 1] - sorted[below]) * (place - (double)below);
}

static void set_interval(double *column, size_t count, double *low, double *high)
{
    size_t kept = sort(column, count);

    *low = percentile(column, kept, .025);
    *high = percentile(column, kept, .975);
}

static double p_of(const double *change, size_t count)
{
    size_t above = 0, below = 0, kept = 0;
    double share;

    for (size_t i = 0; i < count; i++) {
        kept += !isnan(change[i]);
        above += change[i] >= 0;
        below += change[i] <= 0;
    }
    if (!kept)
        return NAN;
    share = 2 * (double)((above < below ? above : below) + 1) / (double)(kept + 1);
    return share < 1 ? share : 1;
}

static void summarize(const struct draws *d, struct ft_report *report, struct ft_report *before)
{
    size_t times = d->how->times;

    for (size_t f = 0; f < d->how->figures; f++) {
        struct ft_figure *figure = &report->figure[f];
        double *after = d->value[0] + f * times, *was = d->value[1] + f * times;

        if (before) {
            for (size_t i = 0; i < times; i++)
                d->column[i] = after[i] - was[i];
            figure->p = p_of(d->column, times);
            set_interval(d->column, times, &figure->change_low, &figure->change_high);
            set_interval(was, times, &before->figure[f].low, &before->figure[f].high);
        }
        set_interval(after, times, &figure->low, &figure->high);
    }
    report->intervals = true;
    report->changes = before != NULL;
}

int ft_resample(const struct ft_resampling *how, struct ft_report *report, struct ft_report *before)
{
    struct ft_arena arena = {NULL};
    size_t threads = (size_t)ft_pool_threads(), values = how->figures * how->times;
    struct draws d = {.how = how, .weight = ft_arena_zero(&arena, threads * how->units + 1, sizeof *d.weight),
                      .room = ft_arena_zero(&arena, threads * how->room + 1, sizeof *d.room),
                      .value = {ft_arena_zero(&arena, values + 1, sizeof *d.column), ft_arena_zero(&arena, values + 1, sizeof *d.column)},
                      .column = ft_arena_zero(&arena, how->times, sizeof *d.column)};
    int result = -1;

    if (d.weight && d.room && d.value[0] && d.value[1] && d.column && ft_pool_run(how->times, draw, &d) == 0) {
        summarize(&d, report, how->data[1] ? before : NULL);
        result = 0;
    }
    ft_arena_free(&arena);
    return result;
}
