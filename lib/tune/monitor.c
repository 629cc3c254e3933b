/* monitor.c - better or not. */
#include "tune/monitor.h"
#include "base/tool.h"
#include "eval/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ft_scores_add(struct ft_scores *scores, const char *name, double value)
{
    struct ft_score *score = &scores->item[scores->count];
    char text[64];

    if (scores->count == FT_SCORES)
        return;
    snprintf(score->name, sizeof score->name, "%s", name);
    snprintf(text, sizeof text, "%.9g", value);
    score->value = isfinite(value) ? strtod(text, NULL) : NAN;   /* in the log both are null */
    scores->count++;
}

const struct ft_score *ft_scores_find(const struct ft_scores *scores, const char *name)
{
    for (size_t i = 0; i < scores->count; i++)
        if (strcmp(scores->item[i].name, name) == 0)
            return &scores->item[i];
    return NULL;
}

static bool ends_in_loss(const char *name)
{
    size_t size = strlen(name);

    return size >= 4 && strcmp(name + size - 4, "loss") == 0;
}

static bool less_is_better(const char *name)
{
    struct ft_measure measure;
    struct ft_error_copy error;
    bool less;

    if (ends_in_loss(name))
        return true;
    ft_error_save(&error);
    less = ft_measure_parse(name, FT_SCORE_NEIGHBOURS, &measure) == 0 && ft_measure_median(&measure);
    ft_error_restore(&error);
    return less;
}

/* The name that evaluations have for it: "precision" is precision@20. */
static int set_metric(struct ft_monitor *m, const char *name)
{
    struct ft_measure measure;

    snprintf(m->metric, sizeof m->metric, "%s", name);
    if (ends_in_loss(name))
        return 0;
    if (ft_measure_parse(name, FT_SCORE_NEIGHBOURS, &measure) < 0)
        return ft_error_prefix("val_loss, train_loss or a metric: ");
    ft_measure_name(&measure, m->metric);
    return 0;
}

int ft_monitor_parse(struct ft_monitor *m, const char *text)
{
    struct ft_setting setting;
    const char *mode;
    double patience;
    int failed = 0;

    if (ft_setting_parse(&setting, text) < 0 || ft_setting_check(&setting, "patience min-delta baseline mode") < 0)
        return -1;
    *m = (struct ft_monitor){.bounded = ft_setting_text(&setting, "baseline", NULL) != NULL};
    if (set_metric(m, setting.name) < 0)
        return -1;
    patience = ft_setting_number(&setting, "patience", 2, &failed);
    m->min_delta = ft_setting_number(&setting, "min-delta", 0, &failed);
    m->best = ft_setting_number(&setting, "baseline", 0, &failed);
    mode = ft_setting_text(&setting, "mode", "auto");
    if (failed)
        return -1;
    if (!(patience >= 1 && patience <= 1e6) || patience != floor(patience))
        return ft_fail(FT_USAGE, "%s:patience=%g: expected a whole number of at least 1", m->metric, patience);
    if (!(m->min_delta >= 0) || !isfinite(m->min_delta))
        return ft_fail(FT_USAGE, "%s:min-delta=%g: expected a number of at least 0", m->metric, m->min_delta);
    if (!isfinite(m->best))
        return ft_fail(FT_USAGE, "%s:baseline=%g: expected a number", m->metric, m->best);
    if (strcmp(mode, "auto") != 0 && strcmp(mode, "min") != 0 && strcmp(mode, "max") != 0)
        return ft_fail(FT_USAGE, "%s:mode=%s: expected auto, min or max", m->metric, mode);
    m->less = strcmp(mode, "auto") == 0 ? less_is_better(m->metric) : strcmp(mode, "min") == 0;
    m->patience = (long)patience;
    return 0;
}

static int no_such_metric(const struct ft_monitor *m, const struct ft_scores *scores)
{
    char known[1024] = "";
    size_t used = 0;

    for (size_t i = 0; i < scores->count && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", scores->item[i].name);
    return ft_fail(FT_USAGE, "no metric '%s' in the evaluation: it has%s", m->metric, *known ? known : " none");
}

int ft_monitor_see(struct ft_monitor *m, uint64_t batch, const struct ft_scores *scores)
{
    const struct ft_score *score = ft_scores_find(scores, m->metric);
    double value = score ? score->value : NAN;
    bool first = !m->bounded, better;

    /* The loss of training there is only after some. */
    if (!score && batch == 0 && strcmp(m->metric, "train_loss") == 0)
        return 0;
    if (!score)
        return no_such_metric(m, scores);
    better = !isnan(value) && (first || (m->less ? value < m->best - m->min_delta : value > m->best + m->min_delta));
    if (better) {
        m->best = value;
        m->batch = batch;
        m->bounded = true;
        m->improved |= !first;
    }
    m->waited = better ? 0 : m->waited + (batch > 0);
    return better;
}

bool ft_monitor_stops(const struct ft_monitor *m)
{
    return m->patience && m->waited >= m->patience;
}
