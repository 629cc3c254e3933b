/* tuning.c - the loop over batches, and what happens between them. */
#include "tune/tuning.h"
#include "base/error.h"
#include "base/stop.h"
#include "train/log.h"
#include "tune/card.h"
#include "tune/hook.h"
#include "tune/state.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct work {
    const struct ft_tuning *tuning;
    const struct ft_callbacks *callbacks;
    struct ft_trainer *trainer;
    struct ft_tuning_state state;
    struct ft_validation_batches batches;
    bool looked, leaks_said;           /* at a batch: what kind they are is known */
};

static void say(const struct work *w, bool warning, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(const struct work *w, bool warning, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    w->tuning->say(w->tuning->argument, warning, line);
}

static int check_monitor(const struct ft_callbacks *c, const char *option, const char *text)
{
    struct ft_monitor monitor;

    if (!text)
        return 0;
    if (ft_monitor_parse(&monitor, text) < 0)
        return ft_error_prefix("%s: ", option);
    if (!c->eval && !(c->hold_out > 0) && strcmp(monitor.metric, "train_loss") != 0)
        return ft_fail(FT_USAGE, "%s %s without --eval or --hold-out: where nothing is evaluated there is train_loss alone", option, text);
    return 0;
}

int ft_tuning_check(const struct ft_callbacks *c)
{
    if (ft_callbacks_check(c) < 0 || (c->hook && ft_hook_check(c->hook) < 0) || check_monitor(c, "--stop", c->stop) < 0)
        return -1;
    return check_monitor(c, "--best", c->best);
}

static void say_leaks(struct work *w)
{
    const char *example;
    size_t leaks = w->tuning->validation ? ft_validation_leaks(w->tuning->validation, &example) : 0;

    if (leaks && !w->leaks_said)
        say(w, true, "%zu text%s of the evaluation %s trained on, such as %s: what is measured of them is no proof", leaks,
            leaks == 1 ? "" : "s", leaks == 1 ? "is" : "are", example);
    w->leaks_said |= leaks > 0;
}

/* ---- evaluations ---- */

/* The few that people look at: the metrics decisions hang on, else the usual ones. */
static void show_scores(const struct work *w, uint64_t batch, const struct ft_scores *scores)
{
    static const char *const usual[] = {"val_loss", "train_loss", "map", "ndcg@20", "recall@20", "knn@20"};
    const char *const chosen[] = {w->state.stop.metric, w->state.best.metric};
    char line[512] = "";
    size_t used = 0;

    for (size_t i = 0; i < scores->count && used < sizeof line; i++) {
        bool shown = false;

        for (size_t u = 0; u < sizeof usual / sizeof *usual; u++)
            shown |= strcmp(scores->item[i].name, usual[u]) == 0;
        for (size_t c = 0; c < 2; c++)
            shown |= strcmp(scores->item[i].name, chosen[c]) == 0;
        if (shown && !isnan(scores->item[i].value))
            used += (size_t)snprintf(line + used, sizeof line - used, " %s %.4f", scores->item[i].name, scores->item[i].value);
    }
    say(w, false, "evaluation after batch %" PRIu64 ":%s%s", batch, line,
        w->callbacks->best && w->state.best.bounded && w->state.best.batch == batch ? ", the best so far" : "");
}

static int log_scores(struct work *w, uint64_t batch, const struct ft_scores *scores, size_t queries, double seconds)
{
    struct ft_buffer line = {0};
    int result = ft_buffer_print(&line, "{\"evaluation\": %" PRIu64 ", \"epoch\": %" PRIu64 ", \"queries\": %zu", batch, w->state.epoch, queries);

    for (size_t i = 0; result == 0 && i < scores->count; i++)
        if (isfinite(scores->item[i].value))
            result = ft_buffer_print(&line, ", \"%s\": %.9g", scores->item[i].name, scores->item[i].value);
        else
            result = ft_buffer_print(&line, ", \"%s\": null", scores->item[i].name);
    if (result == 0)
        result = ft_buffer_print(&line, ", \"seconds\": %.3f}", seconds);
    if (result == 0)
        result = ft_trainer_log(w->trainer, line.data);
    ft_buffer_free(&line);
    return result;
}

static void run_hook(struct work *w, const char *event)
{
    struct ft_buffer state = {0};
    struct ft_error_copy error;

    if (!w->callbacks->hook)
        return;
    ft_error_save(&error);
    if (ft_tuning_state_json(&w->state, w->tuning->run, ft_trainer_progress(w->trainer), event,
                             strcmp(event, "failure") == 0 ? error.message : NULL, &state) < 0 ||
        ft_hook_run(w->callbacks->hook, event, state.data, state.size) < 0)
        say(w, true, "%s", ft_error());
    ft_buffer_free(&state);
    ft_error_restore(&error);
}

static bool evaluates(const struct work *w)
{
    return w->tuning->validation || w->callbacks->stop || w->callbacks->best;
}

/* The best parameters are on the disk before the log says that they are the best. */
static int evaluate(struct work *w)
{
    uint64_t batch = ft_trainer_progress(w->trainer)->batch;
    struct ft_validation *v = w->tuning->validation;
    struct ft_scores scores = {.count = 0};
    double start = ft_seconds();
    size_t queries = 0;
    const char *warning;
    int best;

    if (!evaluates(w) || (w->state.evaluated && w->state.evaluation == batch))
        return 0;
    if (v && ft_validation_run(v, ft_trainer_model(w->trainer), &w->tuning->run->settings, &w->batches, &scores, &queries) < 0)
        return ft_error_prefix("evaluation after batch %" PRIu64 ": ", batch);
    while (v && (warning = ft_validation_warning(v)))
        say(w, true, "%s", warning);
    ft_tuning_state_loss(&w->state, &scores);
    if ((best = ft_tuning_state_evaluation(&w->state, batch, &scores)) < 0)
        return -1;
    if ((best && batch && ft_trainer_keep(w->trainer) < 0) || log_scores(w, batch, &scores, queries, ft_seconds() - start) < 0)
        return -1;
    show_scores(w, batch, &scores);
    return 0;
}

static int end_epoch(struct work *w)
{
    say_leaks(w);
    if (!w->callbacks->eval_every && evaluate(w) < 0)
        return -1;
    run_hook(w, "epoch");
    return 0;
}

/* ---- batches ---- */

static bool is_enough(const struct work *w)
{
    long steps = w->tuning->steps;

    return ft_tuning_state_stops(&w->state) || (steps >= 0 && ft_trainer_progress(w->trainer)->batch >= (uint64_t)steps);
}

/* An evaluation that an attempt before this one did not come to. */
static bool pending(const struct work *w)
{
    uint64_t batch = ft_trainer_progress(w->trainer)->batch, every = w->callbacks->eval_every;

    if (w->state.evaluated && w->state.evaluation == batch)
        return false;
    /* Batches may be applied several at a time (--accumulate). */
    return batch ? every && batch / every > w->state.evaluation / every : w->tuning->validation != NULL;
}

static bool is_last(const struct work *w, const struct ft_batch *b)
{
    return w->tuning->steps >= 0 && b->number >= (uint64_t)w->tuning->steps;
}

/* A batch that is new: 1, or 0 when it comes too late, since the evaluation before it ended the training. */
static int take_batch(struct work *w, struct ft_arena *arena, const struct ft_batch *b)
{
    struct ft_source *source = w->tuning->source;
    struct ft_step_report report;
    struct ft_packed packed;

    if (w->state.epoch && b->epoch != w->state.epoch && end_epoch(w) < 0)
        return -1;
    if (is_enough(w))
        return 0;
    if (source->ahead && ft_lookahead_encode(source->ahead, !is_last(w, b), &packed) < 0)
        return -1;
    if (ft_trainer_step(w->trainer, arena, b, source->ahead ? &packed : NULL, &report) < 0)
        return -1;
    ft_tuning_state_step(&w->state, report.epoch, report.loss);
    w->tuning->step(w->tuning->argument, &report);
    if (ft_stop_check() < 0)
        return -1;
    return pending(w) && evaluate(w) < 0 ? -1 : 1;
}

static void look_at(struct work *w, const struct ft_batch *b)
{
    w->looked = true;
    w->batches = (struct ft_validation_batches){b->kind, w->tuning->source->rows, w->tuning->run->settings.per_class, ft_trainer_seconds(w->trainer),
                                                ft_trainer_weights(w->trainer)};
}

static int next_batch(struct work *w, struct ft_arena *arena)
{
    struct ft_batch b;
    int more, skip;

    ft_arena_reset(arena);
    if ((more = ft_source_next(w->tuning->source, arena, &b)) <= 0)
        return more;
    look_at(w, &b);
    if (pending(w) && evaluate(w) < 0)
        return -1;
    skip = ft_trainer_skip(w->trainer, &b);
    return skip ? skip : take_batch(w, arena, &b);
}

/* 1: all there is was trained on; 0: stopped before; -1. */
static int all_batches(struct work *w)
{
    struct ft_arena arena = {0};
    uint64_t steps = w->tuning->source->steps;
    int more = 1;

    while (more > 0 && (pending(w) || !is_enough(w)))
        more = next_batch(w, &arena);
    ft_arena_free(&arena);
    if (more < 0)
        return -1;
    return steps ? ft_trainer_progress(w->trainer)->batch >= steps : !is_enough(w);
}

static int save_and_fail(const struct work *w)
{
    struct ft_error_copy error;

    ft_error_save(&error);
    if (ft_trainer_save(w->trainer) < 0)
        say(w, true, "%s", ft_error());
    else if (ft_trainer_progress(w->trainer)->batch)
        say(w, false, "saved after batch %" PRIu64 "; to go on: the same command with --resume", ft_trainer_progress(w->trainer)->batch);
    ft_error_restore(&error);
    return -1;
}

/* The batch after which the model is what is written. */
static uint64_t choose(struct work *w)
{
    const struct ft_monitor *best = &w->state.best;

    if (!w->callbacks->best || !best->bounded)
        return ft_trainer_progress(w->trainer)->batch;
    if (w->state.evaluation == 0 && ft_trainer_progress(w->trainer)->batch) {   /* --steps ended it before the first: there is nothing to choose by */
        say(w, true, "nothing was evaluated since training began: the model is the last one, not the best");
        return ft_trainer_progress(w->trainer)->batch;
    }
    ft_trainer_choose(w->trainer, best->batch);
    if (best->batch)
        say(w, false, "the best %s, %.9g, was after batch %" PRIu64 ": the model is that one", best->metric, best->best, best->batch);
    else
        say(w, true, "no evaluation was better than that of the base model (%s %.9g): the model is that one", best->metric, best->best);
    return best->batch;
}

/* A run that was at its end when it was resumed has not looked at any batch. */
static int learn_kind(struct work *w)
{
    struct ft_arena arena = {0};
    struct ft_batch b;
    int more = w->looked ? 1 : ft_source_next(w->tuning->source, &arena, &b);

    if (!w->looked && more > 0)
        look_at(w, &b);
    ft_arena_free(&arena);
    return more;
}

/* Before the model, which is the last that appears. */
static int write_card(struct work *w, uint64_t batch)
{
    struct ft_card card = {w->tuning->run, ft_trainer_model(w->trainer), w->tuning->source, &w->state, FT_BATCH_CLASSES, batch};
    int written = learn_kind(w);

    if (written <= 0)
        return written;
    card.kind = w->batches.kind;
    written = ft_card_write(&card);

    if (written == 0)
        say(w, false, "%s/README.md is not ours: no card is written", w->tuning->run->directory);
    return written;
}

static int work(struct work *w)
{
    int ended = all_batches(w);

    if (ended < 0 || (ended && (end_epoch(w) < 0 || evaluate(w) < 0)))
        return save_and_fail(w);
    if (ft_tuning_state_stops(&w->state)) {
        say(w, false, "%s has not become better in %ld evaluations: stopped after batch %" PRIu64, w->state.stop.metric, w->state.stop.waited,
            ft_trainer_progress(w->trainer)->batch);
        ft_trainer_end(w->trainer);
    }
    return write_card(w, choose(w)) < 0 ? -1 : ft_trainer_finish(w->trainer);
}

/* What is cached of frozen parts goes by the pixels of all items. */
static size_t most_pixels(const struct ft_tuning *tuning)
{
    return tuning->trainer.cache_frozen ? SIZE_MAX : ft_lookahead_most(tuning->trainer.memory);
}

int ft_tune(const struct ft_tuning *tuning)
{
    struct work w = {.tuning = tuning, .callbacks = &tuning->run->settings.callbacks};
    int result = -1;

    if ((w.trainer = ft_trainer_open(tuning->run, &tuning->trainer)) &&
        ft_trainer_plan(w.trainer, tuning->source->steps, tuning->source->epochs, tuning->source->classes) == 0 &&
        ft_tuning_state_open(&w.state, tuning->run) == 0 &&
        ft_source_look_ahead(tuning->source, ft_trainer_model(w.trainer), &tuning->run->settings, most_pixels(tuning)) == 0) {
        say_leaks(&w);
        run_hook(&w, "begin");
        result = work(&w);
        run_hook(&w, result < 0 ? "failure" : "end");
    }
    ft_lookahead_close(tuning->source->ahead);     /* it looks at the trainer's model */
    tuning->source->ahead = NULL;
    ft_trainer_close(w.trainer);
    return result;
}
