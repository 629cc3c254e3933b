/* state.c - the log read again, and gone on with. */
#include "tune/state.h"
#include "base/error.h"
#include "train/log.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void ft_tuning_state_step(struct ft_tuning_state *s, uint64_t epoch, double loss)
{
    struct ft_scores rounded = {.count = 0};   /* as the log has it */

    ft_scores_add(&rounded, "loss", loss);
    s->epoch = epoch;
    s->loss_sum += rounded.item[0].value;
    s->loss_count++;
}

void ft_tuning_state_loss(const struct ft_tuning_state *s, struct ft_scores *scores)
{
    if (s->loss_count)
        ft_scores_add(scores, "train_loss", s->loss_sum / (double)s->loss_count);
}

int ft_tuning_state_evaluation(struct ft_tuning_state *s, uint64_t batch, const struct ft_scores *scores)
{
    int best = 0;

    if (*s->stop.metric && ft_monitor_see(&s->stop, batch, scores) < 0)
        return ft_error_prefix("--stop: ");
    if (*s->best.metric && (best = ft_monitor_see(&s->best, batch, scores)) < 0)
        return ft_error_prefix("--best: ");
    if (batch == 0)
        s->first = *scores;
    s->last = *scores;
    if (best || !*s->best.metric || !s->evaluated)
        s->chosen = *scores;
    s->evaluated = true;
    s->evaluation = batch;
    s->loss_sum = 0;
    s->loss_count = 0;
    return best;
}

bool ft_tuning_state_stops(const struct ft_tuning_state *s)
{
    return ft_monitor_stops(&s->stop);
}

static void read_scores(json_t *line, struct ft_scores *scores)
{
    static const char *const others[] = {"evaluation", "epoch", "queries", "seconds", "time", NULL};
    const char *key;
    json_t *value;

    *scores = (struct ft_scores){.count = 0};
    json_object_foreach(line, key, value) {
        const char *const *other = others;

        while (*other && strcmp(key, *other) != 0)
            other++;
        if (!*other)
            ft_scores_add(scores, key, json_is_number(value) ? json_number_value(value) : NAN);
    }
}

static int read_line(struct ft_tuning_state *s, const char *text, size_t size)
{
    json_t *line = json_loadb(text, size, 0, NULL), *evaluation = json_object_get(line, "evaluation");
    struct ft_scores scores;
    int result = 0;

    if (json_is_integer(evaluation)) {
        read_scores(line, &scores);
        if (ft_tuning_state_evaluation(s, (uint64_t)json_integer_value(evaluation), &scores) < 0)
            result = -1;
    } else if (json_is_integer(json_object_get(line, "step"))) {
        ft_tuning_state_step(s, (uint64_t)json_integer_value(json_object_get(line, "epoch")), json_number_value(json_object_get(line, "loss")));
    } else {
        result = ft_fail(FT_BAD, "a line is neither a step nor an evaluation");
    }
    json_decref(line);
    return result;
}

int ft_tuning_state_open(struct ft_tuning_state *s, struct ft_run *run)
{
    const struct ft_callbacks *c = &run->settings.callbacks;
    struct ft_arena arena = {0};
    size_t size;
    char *text;
    int result = -1;

    *s = (struct ft_tuning_state){.epoch = 0};
    if ((c->stop && ft_monitor_parse(&s->stop, c->stop) < 0) || (c->best && ft_monitor_parse(&s->best, c->best) < 0))
        return -1;
    if ((text = ft_log_read(run, &arena, &size))) {
        result = 0;
        for (char *line = text, *end; result == 0 && (end = memchr(line, '\n', size - (size_t)(line - text))); line = end + 1)
            result = read_line(s, line, (size_t)(end - line));
    }
    ft_arena_free(&arena);
    return result < 0 ? ft_error_prefix("%s/run/log.jsonl: ", run->directory) : 0;
}

static json_t *number_or_null(double value, bool there)
{
    return there && isfinite(value) ? json_real(value) : json_null();
}

/* Paths and messages may be in any encoding; JSON is in one. */
static json_t *text_or_null(const char *text)
{
    json_t *value = text ? json_string(text) : NULL;

    return value ? value : json_null();
}

int ft_tuning_state_json(const struct ft_tuning_state *s, const struct ft_run *run, const struct ft_progress *progress, const char *event,
                         const char *error, struct ft_buffer *out)
{
    json_t *metrics = json_object(), *root;
    char *text;
    int result = -1;

    for (size_t i = 0; i < s->last.count; i++)
        json_object_set_new(metrics, s->last.item[i].name, number_or_null(s->last.item[i].value, true));
    root = json_pack("{s:s,s:o,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "event", event, "run", text_or_null(run->directory), "batch",
                     (json_int_t)progress->batch, "steps", (json_int_t)progress->steps, "epoch", (json_int_t)s->epoch, "loss",
                     number_or_null(s->loss_sum / (double)s->loss_count, s->loss_count > 0), "evaluation",
                     s->evaluated ? json_integer((json_int_t)s->evaluation) : json_null(), "metrics", metrics, "best",
                     s->best.bounded ? json_pack("{s:s,s:f,s:I}", "metric", s->best.metric, "value", s->best.best, "batch",
                                                 (json_int_t)s->best.batch) : json_null(),
                     "error", text_or_null(error));
    if (!(text = root ? json_dumps(root, JSON_REAL_PRECISION(9)) : NULL))
        ft_fail(FT_SYSTEM, "out of memory");
    else
        result = ft_buffer_print(out, "%s\n", text);
    free(text);
    json_decref(root);
    return result;
}
