/* trainer.c - forward again where needed, backward, optimizer step, checkpoints, the log. */
#include "train/trainer.h"
#include "base/error.h"
#include "data/corpus.h"
#include "model/adapter.h"
#include "train/best.h"
#include "train/demand.h"
#include "train/finish.h"
#include "train/log.h"
#include "train/lookahead.h"
#include "train/passes.h"
#include "train/teacher.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ft_trainer {
    struct ft_run *run;
    struct ft_trainer_options options;
    bool limited;                /* it is found: */
    size_t activations;          /* bytes that kept ones may take */
    struct ft_model *model;
    struct ft_passes *passes;
    struct ft_optimizer *optimizer;
    struct ft_weights *weights;  /* of the losses, from ft_trainer_plan on */
    struct ft_live live;
    struct ft_progress progress, start, seen;   /* applied; when opened; skipped so far */
    struct ft_progress taken;    /* with the batches whose gradients wait for their step */
    uint64_t epoch;              /* of the last of these */
    enum ft_batch_kind kind;
    struct ft_parameters trained;   /* the model's, or its adapters' */
    float *gradient;             /* of these, zero between steps */
    uint64_t steps, epochs, saved_at;
    double saved_time, step_time;
    struct ft_log *log;
    bool ended, chosen;          /* before all steps were done; other parameters than the last are to be written: */
    uint64_t choice;             /* those after this batch */
    struct ft_teacher *second[FT_SECONDS];      /* not where other stages ask them */
    /* the batch at work */
    struct ft_arena arena;
    const struct ft_batch *batch;
    const struct ft_packed *packed;
    const float *embedding;      /* or NULL */
};

enum { PARTS = 2, ALL_PARTS = PARTS + FT_WEIGHTS_PARTS };

/* What a checkpoint holds of the model: parameters with the optimizer's blocks, and what else the optimizer remembers. */
static void checkpoint_parts(struct ft_trainer *t, struct ft_checkpoint_part parts[PARTS])
{
    parts[0] = (struct ft_checkpoint_part){"block", t->trained.block_count, 1, {t->trained.block}};
    for (int i = 0; i < ft_optimizer_blocks(t->optimizer); i++)
        parts[0].block[parts[0].blocks++] = ft_optimizer_block(t->optimizer, i);
    parts[1] = (struct ft_checkpoint_part){.name = "optimizer", .blocks = 1};
    parts[1].block[0] = ft_optimizer_memory(t->optimizer, &parts[1].count);
}

static int load_checkpoint(struct ft_trainer *t)
{
    struct ft_checkpoint_part parts[PARTS];
    int found, more;

    checkpoint_parts(t, parts);
    if ((found = ft_checkpoint_load(t->run, &t->progress, &parts[0])) <= 0)
        return found;
    if ((more = ft_checkpoint_load_part(t->run, t->progress.batch, &parts[1])) <= 0)
        return more < 0 ? -1 : ft_fail(FT_BAD, "%s: its checkpoint has no file %s", t->run->directory, parts[1].name);
    ft_optimizer_loaded(t->optimizer);
    return 0;
}

/* Numbers of the model's parameters as those of what is trained: an adapter's two matrices have their weight's. NULL on error. */
static double *of_trained(struct ft_trainer *t, double *number)
{
    const struct ft_adapters *all = t->model->adapters;
    double *own = all ? ft_arena_take(&t->arena, (size_t)all->parameter_count * sizeof *own) : number;

    for (int i = 0; all && own && i < all->parameter_count; i++)
        own[i] = number[all->items[i / 2].weight];
    return own;
}

static int merge(struct ft_trainer *t)
{
    return t->model->adapters ? ft_adapters_merge(t->model) : 0;
}

/* An eighth of --memory at most holds items in memory; the rest is on the disk. */
static int open_frozen(struct ft_trainer *t)
{
    size_t share = t->options.memory / 8;

    if (t->run->settings.augment)
        return ft_fail(FT_USAGE, "--cache-frozen: --augment makes another image of each at every pass: --augment none");
    return ft_passes_cache(t->passes, t->options.memory && share < FT_CORPUS_MEMORY ? share : FT_CORPUS_MEMORY);
}

/* The block: the base model's parameters in a place of our own, then whatever checkpoint there is over them. */
static int load(struct ft_trainer *t)
{
    struct ft_settings *s = &t->run->settings;
    struct ft_optimizer_settings optimizer;
    enum ft_precision precision;
    char checksum[9];
    double *decay;
    float *block;

    if (ft_settings_optimizer(s, &optimizer) < 0 || ft_precision_parse(&precision, s->precision) < 0 || !(t->model = ft_model_open_nodes(s->model)))
        return -1;
    if (t->options.shared ? ft_live_create(t->run, t->model->block_count, &t->live) < 0
                          : !(t->live.block = ft_model_zeros(t->model)))
        return -1;
    block = t->live.block;
    if (ft_model_read_parameters(t->model, block) < 0)
        return -1;
    ft_model_use_block(t->model, block);
    t->model->prompts = s->prompts;
    if (strcmp(ft_model_checksum(t->model, checksum), s->model_checksum) != 0)
        return ft_fail(FT_BAD, "%s: the model in %s has changed since the run began (checksum %s, was %s)",
                       t->run->directory, s->model, checksum, s->model_checksum);
    if (ft_settings_freeze(s, t->model) < 0 || (t->model->adapters && ft_adapters_start(t->model, s->seed) < 0))
        return -1;
    t->trained = ft_model_trained(t->model);
    if (!(decay = ft_arena_take(&t->arena, ((size_t)t->model->parameter_count + 1) * sizeof *decay)) ||
        ft_rates_decays(&s->rates, t->model, &optimizer, decay) < 0 || !(decay = of_trained(t, decay)) ||
        !(t->optimizer = ft_optimizer_open(&t->trained, &optimizer, decay)) || !(t->gradient = ft_parameters_zeros(&t->trained)) ||
        !(t->passes = ft_passes_open(t->model, precision)))
        return -1;
    for (int which = 0; which < FT_SECONDS && !t->options.shared; which++)
        if (s->second[which].model && !(t->second[which] = ft_teacher_open(s, (enum ft_second)which)))
            return -1;
    if (t->options.cache_frozen && open_frozen(t) < 0)
        return -1;
    return !t->options.dry && load_checkpoint(t) < 0 ? -1 : merge(t);
}

/* Evaluations are made where documents are read, and the best parameters are chosen by them: not in a pipe's last stage. */
static int check_stages(const struct ft_trainer *t)
{
    if (!t->options.shared || !ft_callbacks_evaluate(&t->run->settings.callbacks))
        return 0;
    return ft_fail(FT_USAGE, "%s is evaluated while it is trained (--eval, --hold-out, --best or --stop): only ft-train can go on with it",
                   t->run->directory);
}

struct ft_trainer *ft_trainer_open(struct ft_run *run, const struct ft_trainer_options *options)
{
    struct ft_trainer *t = calloc(1, sizeof *t);

    if (!t) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    t->run = run;
    t->options = *options;
    if (check_stages(t) < 0 || (!options->dry && ft_run_lock(run) < 0) || load(t) < 0 ||
        (!options->dry && !(t->log = ft_log_open(run, t->progress.batch, run->settings.callbacks.log != NULL)))) {
        ft_trainer_close(t);
        return NULL;
    }
    t->start = t->taken = t->progress;
    t->saved_at = t->progress.batch;
    t->saved_time = t->step_time = ft_seconds();
    if (options->shared)
        ft_live_publish(&t->live, &t->progress);
    return t;
}

void ft_trainer_close(struct ft_trainer *t)
{
    if (!t)
        return;
    ft_log_close(t->log);
    for (int which = 0; which < FT_SECONDS; which++)
        ft_teacher_close(t->second[which]);
    ft_passes_close(t->passes);
    ft_optimizer_close(t->optimizer);
    ft_weights_close(t->weights);
    if (t->gradient)
        ft_parameters_zeros_free(&t->trained, t->gradient);
    if (!t->options.shared && t->live.block)
        ft_model_zeros_free(t->model, t->live.block);
    else
        ft_live_close(&t->live);
    if (t->model)
        ft_model_use_block(t->model, NULL);
    ft_model_close(t->model);
    ft_arena_free(&t->arena);
    free(t);
}

struct ft_model *ft_trainer_model(const struct ft_trainer *t)
{
    return t->model;
}

struct ft_teacher *const *ft_trainer_seconds(const struct ft_trainer *t)
{
    return t->second;
}

const struct ft_settings *ft_trainer_settings(const struct ft_trainer *t)
{
    return &t->run->settings;
}

const struct ft_progress *ft_trainer_progress(const struct ft_trainer *t)
{
    return &t->progress;
}

struct ft_weights *ft_trainer_weights(struct ft_trainer *t)
{
    return t->weights;
}

int ft_trainer_plan(struct ft_trainer *t, uint64_t steps, uint64_t epochs, uint64_t classes)
{
    struct ft_schedule schedule;

    t->steps = steps;
    t->epochs = epochs;
    if (ft_settings_schedule(&t->run->settings, FT_BATCH_RANDOM, t->model->input, &schedule) < 0 ||
        ft_schedule_fits(&schedule, ft_schedule_by_epoch(&schedule) ? epochs : steps) < 0)
        return -1;
    /* The batches so far may be the same where only --epochs is another, but their learning rates were not those of this stream. */
    if (t->progress.batch && steps != t->progress.steps)
        return ft_fail(FT_BAD, "a stream of %" PRIu64 " batches, but the run was trained on one of %" PRIu64, steps, t->progress.steps);
    t->progress.steps = t->taken.steps = steps;
    t->weights = ft_weights_open(t->run, classes, t->model, t->progress.batch, t->options.shared ? &t->live : NULL);
    return t->weights ? 0 : -1;
}

int ft_trainer_skip(struct ft_trainer *t, const struct ft_batch *batch)
{
    /* A stage before this one may have skipped already; then the stream begins with the first new batch. */
    if (!t->seen.batch && batch->number == t->start.batch + 1)
        t->seen.batch = t->start.batch;
    return ft_progress_skip(&t->start, &t->seen, batch);
}

/* Bytes that kept activations may take; found once, as what is kept is not free any more. Decides only what is computed twice, never a result. */
static int find_limit(struct ft_trainer *t, const struct ft_batch *batch)
{
    const struct ft_settings *s = &t->run->settings;
    struct ft_demand demand = {
        .trained = &t->trained, .blocks = 1 + (t->start.batch ? 0 : ft_optimizer_blocks(t->optimizer)),   /* of a run that goes on these are loaded */
        .images = ft_lookahead_wanted(t->model), .items = batch->items, .d = t->model->dim,
    };

    if (!t->options.shared && !(demand.losses = ft_losses_of_batch(&t->arena, batch, &s->loss, s->miner)))
        return -1;
    if (ft_demand_limit(&demand, t->options.memory, t->passes, &t->activations) < 0)
        return -1;
    t->limited = true;
    return 0;
}

int ft_trainer_begin(struct ft_trainer *t, const struct ft_batch *batch, const struct ft_packed *packed)
{
    ft_arena_reset(&t->arena);
    t->batch = batch;
    t->packed = packed;
    t->embedding = NULL;
    if (ft_passes_begin(t->passes, packed, (size_t)t->run->settings.chunk, t->run->settings.seed, batch->number) < 0)
        return -1;
    return t->limited ? 0 : find_limit(t, batch);
}

int ft_trainer_forward(struct ft_trainer *t, float *embedding)
{
    t->embedding = embedding;
    return ft_passes_forward(t->passes, t->activations, embedding);
}

void ft_trainer_remember(struct ft_trainer *t, const float *embedding)
{
    t->embedding = embedding;
}

/* A batch that only adds its gradient has no norm of its own. */
static int write_log(struct ft_trainer *t, const struct ft_step_report *r)
{
    char line[512], norm[32] = "null";

    if (t->options.dry)
        return 0;
    if (isfinite(r->gradient_norm))
        snprintf(norm, sizeof norm, "%.9g", r->gradient_norm);
    snprintf(line, sizeof line, "{\"step\": %" PRIu64 ", \"steps\": %" PRIu64 ", \"epoch\": %" PRIu64 ", \"loss\": %.9g, \"lr\": %.9g, "
             "\"gradient_norm\": %s, \"texts\": %" PRIu64 ", \"seconds\": %.3f}",
             r->step, r->steps, r->epoch, r->loss, r->lr, norm, r->texts, r->seconds);
    return ft_log_add(t->log, line);
}

/* The step after batch `before` was due to one of the last. */
static bool checkpoint_due(const struct ft_trainer *t, uint64_t before)
{
    if (t->options.dry)
        return false;
    if (t->options.save_every)
        return t->progress.batch / (uint64_t)t->options.save_every > before / (uint64_t)t->options.save_every;
    return ft_seconds() - t->saved_time > 300;
}

static uint64_t group_size(const struct ft_trainer *t)
{
    return t->run->settings.accumulate ? t->run->settings.accumulate : 1;
}

/* The rate of a parameter whose highest is schedule->lr, at the step that the last batch is part of. */
static double rate_of(const struct ft_trainer *t, const struct ft_schedule *schedule)
{
    uint64_t size = group_size(t);

    if (ft_schedule_by_epoch(schedule))
        return ft_schedule_rate(schedule, t->epoch, t->epochs);
    return ft_schedule_rate(schedule, (t->taken.batch + size - 1) / size, (t->steps + size - 1) / size);
}

/* Rates of single parameters, where they differ. */
static int each_rate(struct ft_trainer *t, struct ft_schedule schedule, const double **each)
{
    double *rate;

    *each = NULL;
    if (ft_rates_plain(&t->run->settings.rates))
        return 0;
    if (!(rate = ft_arena_take(&t->arena, ((size_t)t->model->parameter_count + 1) * sizeof *rate)) ||
        ft_rates_peaks(&t->run->settings.rates, t->model, schedule.lr, rate) < 0)
        return -1;
    for (int i = 0; i < t->model->parameter_count; i++) {
        schedule.lr = rate[i];
        rate[i] = rate_of(t, &schedule);
    }
    return (*each = of_trained(t, rate)) ? 0 : -1;
}

/* Both optimizers step by the mean gradient of the batches since the last step; the norm, and clipping, is over both. `input` is the last batch,
 * for losses that remember it. */
static int step(struct ft_trainer *t, struct ft_schedule schedule, const struct ft_loss_input *input, double *norm)
{
    double share = 1 / (double)(t->taken.batch - t->progress.batch);
    struct ft_optimizer_how how = {.lr = rate_of(t, &schedule)}, own = {.lr = 0};

    *norm = share * sqrt(ft_optimizer_square(t->optimizer, t->gradient) + ft_weights_square(t->weights));
    if (!isfinite(*norm))
        return ft_fail(FT_BAD, "the gradient is not finite");
    how.scale = own.scale = share * ft_clip_scale(*norm, t->run->settings.clip);
    if (each_rate(t, schedule, &how.each) < 0 || ft_optimizer_step(t->optimizer, t->gradient, &how) < 0 || merge(t) < 0)
        return -1;
    schedule.lr = ft_settings_loss_rate(&t->run->settings, schedule.lr);
    own.lr = rate_of(t, &schedule);
    if (ft_weights_step(t->weights, &own, input) < 0)
        return -1;
    t->progress = t->taken;
    return 0;
}

/* The batch's gradient is there: a step, when it is the last of its group. */
static int take(struct ft_trainer *t, const struct ft_schedule *schedule, double *norm)
{
    const struct ft_loss_input input = ft_loss_input_of(t->batch, t->embedding, t->model->dim);
    uint64_t number = t->batch->number;

    if (ft_weights_check(t->weights, &input) < 0)
        return -1;
    ft_optimizer_touch(t->optimizer, t->packed->towers ? &t->packed->towers[FT_TOWER_TEXT] : t->packed);
    ft_weights_take(t->weights);
    t->taken.data = ft_batch_checksum(t->taken.data, t->batch);
    t->taken.batch = number;
    t->epoch = t->batch->epoch;
    t->kind = t->batch->kind;
    return number % group_size(t) == 0 || number == t->steps ? step(t, *schedule, &input, norm) : 0;
}

int ft_trainer_apply(struct ft_trainer *t, double loss, const float *gradient, struct ft_step_report *report)
{
    uint64_t number = t->batch->number, before = t->progress.batch;
    struct ft_schedule schedule;
    double now, norm = NAN;

    if (!isfinite(loss))
        return ft_fail(FT_BAD, "batch %" PRIu64 ": the loss is %s: a smaller --lr, or look at the batch with ft-cat", number,
                       isnan(loss) ? "not a number" : "infinite");
    if (ft_settings_schedule(&t->run->settings, t->batch->kind, t->model->input, &schedule) < 0 || ft_passes_backward(t->passes, t->activations, gradient, t->gradient) < 0 || take(t, &schedule, &norm) < 0)
        return ft_error_prefix("batch %" PRIu64 ": ", number);
    if (t->options.shared)
        ft_live_publish(&t->live, &t->taken);
    now = ft_seconds();
    *report = (struct ft_step_report){number, t->steps, t->batch->epoch, t->packed->texts, loss, rate_of(t, &schedule), norm, now - t->step_time};
    t->step_time = now;
    if (write_log(t, report) < 0)
        return -1;
    return t->progress.batch > before && checkpoint_due(t, before) ? ft_trainer_save(t) : 0;
}

int ft_trainer_save(struct ft_trainer *t)
{
    struct ft_checkpoint_part parts[ALL_PARTS];
    size_t more = t->weights ? ft_weights_parts(t->weights, parts + PARTS) : 0;

    if (t->saved_at == t->progress.batch)
        return 0;
    checkpoint_parts(t, parts);
    if (ft_log_sync(t->log) < 0 || ft_checkpoint_save(t->run, &t->progress, parts, PARTS + more, t->options.keep) < 0)
        return -1;
    t->saved_at = t->progress.batch;
    t->saved_time = ft_seconds();
    return 0;
}

int ft_trainer_log(struct ft_trainer *t, const char *line)
{
    t->step_time = ft_seconds();   /* what was done since the last step was not the next one's work */
    return ft_log_add(t->log, line);
}

void ft_trainer_end(struct ft_trainer *t)
{
    t->ended = true;
}

int ft_trainer_keep(struct ft_trainer *t)
{
    struct ft_logits logits = t->model->logits;

    if (t->weights)
        ft_weights_own(t->weights, &logits);
    return ft_best_save(t->run, t->progress.batch, t->trained.block, t->trained.block_count, &logits, t->saved_at);
}

void ft_trainer_choose(struct ft_trainer *t, uint64_t batch)
{
    t->chosen = true;
    t->choice = batch;
}

int ft_trainer_finish(struct ft_trainer *t)
{
    bool all = t->ended || (t->steps && t->progress.batch >= t->steps), best = t->chosen && t->choice != t->progress.batch;
    struct ft_logits opened = t->model->logits, before = {.there = {false}};
    struct ft_schedule schedule;
    double norm;

    /* Where nobody said which batch is the last, its gradient still waits. */
    if (!t->steps && t->taken.batch > t->progress.batch &&
        (ft_settings_schedule(&t->run->settings, t->kind, t->model->input, &schedule) < 0 || step(t, schedule, NULL, &norm) < 0))
        return ft_error_prefix("batch %" PRIu64 ": ", t->taken.batch);
    if (t->weights) {
        ft_weights_own(t->weights, &t->model->logits);
        ft_weights_own_before(t->weights, &before);
    }
    t->run->saving = true;
    /* A run that stopped short must be resumable before its model stands under its name. */
    if ((!all && ft_trainer_save(t) < 0) ||
        (best && ft_finish_choose(t->run, t->model, t->choice, &opened) < 0) || ft_finish_average(t->run, t->model, &before) < 0 ||
        ft_finish_adapter(t->run, t->model) < 0 || ft_model_save(t->model, t->run->directory) < 0)
        return -1;
    t->run->saving = false;
    if (ft_live_remove(t->run) < 0)
        return -1;
    /* The checkpoints first: as long as there is one a run that was killed goes on from it, and needs the best at its end. */
    return all ? ft_checkpoint_remove_all(t->run) < 0 ? -1 : ft_best_remove_all(t->run) : 0;
}
