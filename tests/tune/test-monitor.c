/* test-monitor.c - when a metric is better, and when it has stopped becoming so; decisions made again from a log are the same. */
#include "base/error.h"
#include "base/file.h"
#include "train/log.h"
#include "tune/state.h"
#include "../tap.h"

#include <stdlib.h>

static struct ft_arena arena;

/* The batch (1 is the first after training began) at which watching `text` stops over these values, 0 = never; *best the best one's. */
static int stops(const char *text, const double *values, int count, uint64_t *best)
{
    struct ft_monitor m;

    if (ft_monitor_parse(&m, text) < 0) {
        printf("# %s\n", ft_error());
        return -1;
    }
    for (int i = 0; i < count; i++) {
        struct ft_scores scores = {.count = 0};

        ft_scores_add(&scores, m.metric, values[i]);
        if (ft_monitor_see(&m, (uint64_t)i, &scores) < 0)
            return -1;
        *best = m.batch;
        if (ft_monitor_stops(&m))
            return i;
    }
    return 0;
}

static void check(const char *text, int want, uint64_t want_best, const double *values, int count, const char *what)
{
    uint64_t best = 0;
    int at = stops(text, values, count, &best);

    ok(at == want && best == want_best, "%s: %s stops at %d, expected %d; best %d", what, text, at, want, (int)best);
}

#define CHECK(text, want, best, what, ...) \
    check(text, want, best, (const double[]){__VA_ARGS__}, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), what)

static void check_decisions(void)
{
    CHECK("map", 2, 0, "never better than the base model", .5, .4, .3, .2);
    CHECK("map", 4, 2, "twice in a row worse", .5, .4, .6, .6, .5, .9);
    CHECK("map", 0, 4, "a rise in between begins anew", .5, .4, .6, .5, .7, .5);
    CHECK("map:patience=1", 1, 0, "equal is not better", .5, .5);
    CHECK("val_loss", 3, 1, "a loss falls", 2, 1, 1.5, 1.2);
    CHECK("median_rank", 3, 1, "so does a median rank", 9, 7, 7.5, 8);
    CHECK("val_loss:mode=max", 0, 3, "unless told otherwise", 1, 2, 3, 4);
    CHECK("map:mode=min,patience=1", 2, 1, "and the reverse", .5, .4, .45);
    CHECK("map:min-delta=.1", 3, 1, "by less than min-delta", .5, .7, .75, .79);
    CHECK("map:min-delta=.1", 0, 3, "added up over evaluations", .5, .7, .75, .81);
    CHECK("map:baseline=.8", 2, 0, "the baseline is not beaten", .9 - .2, .75, .79, .9);
    CHECK("map:baseline=.8", 4, 2, "or is", .5, .7, .85, .84, .83);
    CHECK("map", 3, 1, "what is not defined is not better", .5, .6, NAN, NAN);
    CHECK("train_loss", 0, 2, "what is not there before training", NAN, 3, 2);
}

static void refused(const char *text, const char *message)
{
    struct ft_monitor m;

    ok(ft_monitor_parse(&m, text) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), message), "'%s' is refused: %s", text, ft_error());
}

static void check_refused(void)
{
    struct ft_monitor m;
    struct ft_scores scores = {.count = 0};

    refused("map:patience=0", "at least 1");
    refused("map:patience=1.5", "whole number");
    refused("map:min-delta=-1", "at least 0");
    refused("map:baseline=inf", "expected a number");
    refused("map:mode=up", "auto, min or max");
    refused("map:wait=3", "it has patience min-delta baseline mode");
    refused("", "no setting");
    ft_scores_add(&scores, "map", .5);
    ft_scores_add(&scores, "val_loss", 1);
    refused("maps", "val_loss, train_loss or a metric");
    ok(ft_monitor_parse(&m, "precision") == 0 && strcmp(m.metric, "precision@20") == 0 && ft_monitor_parse(&m, "average_precision:patience=1") == 0,
       "metrics have the names of evaluations");
    ok(ft_monitor_parse(&m, "map@10") == 0 && ft_monitor_see(&m, 0, &scores) < 0 && strstr(ft_error(), "it has map val_loss"),
       "a metric there is not: %s", ft_error());
}

static struct ft_settings settings = {
    .model = "/nowhere", .model_checksum = "00000000", .optimizer = "adamw", .precision = "fp32", .schedule = "linear", .lr = 1e-4, .warmup = .1,
    .clip = 1, .callbacks = {.stop = "map:patience=3", .best = "train_loss"}};

/* What a run does, one step an evaluation; written to the log as far as there is one. */
static int go_on(struct ft_tuning_state *s, struct ft_log *log, int from, int to)
{
    for (int i = from; i <= to; i++) {
        struct ft_scores scores = {.count = 0};
        double loss = sin(i * 1.7) / 3 + 2, map = cos(i * .9) / 7;

        if (i) {
            ft_tuning_state_step(s, (uint64_t)(i + 4) / 5, loss);
            if (log && ft_log_add(log, ft_arena_print(&arena, "{\"step\": %d, \"epoch\": %d, \"loss\": %.9g}", i, (i + 4) / 5, loss)) < 0)
                return -1;
        }
        if (i % 2)
            continue;
        ft_scores_add(&scores, "map", map);
        ft_tuning_state_loss(s, &scores);
        if (ft_tuning_state_evaluation(s, (uint64_t)i, &scores) < 0)
            return -1;
        if (log && ft_log_add(log, scores.count == 1 ? ft_arena_print(&arena, "{\"evaluation\": %d, \"map\": %.9g}", i, scores.item[0].value)
                                   : ft_arena_print(&arena, "{\"evaluation\": %d, \"map\": %.9g, \"train_loss\": %.9g}", i, scores.item[0].value,
                                                    scores.item[1].value)) < 0)
            return -1;
    }
    return 0;
}

static void check_resumed(void)
{
    char place[] = "/tmp/ft-test-monitor-XXXXXX";
    const char *directory = mkdtemp(place) ? ft_arena_print(&arena, "%s/run", place) : "";
    struct ft_run *run = ft_run_create(directory, &settings, 0, NULL) == 0 ? ft_run_open(directory) : NULL;
    struct ft_tuning_state straight, resumed;
    struct ft_log *log;
    bool same = true;

    for (int cut = 0; run && cut < 20; cut++) {
        same = same && (log = ft_log_open(run, 0, false)) && ft_file_write(ft_run_path(run, "log.jsonl"), "", 0) == 0;
        ft_log_close(log);
        log = ft_log_open(run, 0, false);
        same = same && ft_tuning_state_open(&straight, run) == 0 && go_on(&straight, log, 0, 20) == 0;
        ft_log_close(log);
        log = ft_log_open(run, (uint64_t)cut, false);
        same = same && ft_tuning_state_open(&resumed, run) == 0 && go_on(&resumed, log, cut + 1, 20) == 0;
        ft_log_close(log);
        same = same && memcmp(&straight.stop, &resumed.stop, sizeof straight.stop) == 0 &&
               memcmp(&straight.best, &resumed.best, sizeof straight.best) == 0 && straight.loss_sum == resumed.loss_sum &&
               straight.epoch == resumed.epoch && straight.evaluation == resumed.evaluation &&
               straight.chosen.item[1].value == resumed.chosen.item[1].value;
    }
    ok(run && same && straight.best.batch && straight.epoch == 4, "resumed anywhere, the state is to the bit that of a straight run");
    ok(ft_file_write(ft_run_path(run, "log.jsonl"), "{\"step\": 1, \"x\n", 15) == 0 && ft_tuning_state_open(&resumed, run) < 0 &&
       ft_error_status() == FT_BAD, "a damaged log is refused: %s", ft_error());
    ft_run_close(run);
    ok(ft_directory_remove(place) == 0, "removed");
}

int main(void)
{
    check_decisions();
    check_refused();
    check_resumed();
    ft_arena_free(&arena);
    return done();
}
