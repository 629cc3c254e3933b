/* rehearsal.c - two batches tried, and the rest reckoned from them. */
#include "tune/rehearsal.h"
#include "base/error.h"
#include "model/adapter.h"
#include "train/loss.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <sys/resource.h>

struct trial {
    struct ft_trainer *trainer;
    struct ft_batch first;
    size_t texts;                /* of the batch that was measured */
    double seconds;              /* a batch; */
    double evaluation;           /* an evaluation */
    const char *loss;
};

static int try_batches(const struct ft_rehearsal *r, struct ft_arena *arena, struct trial *t)
{
    struct ft_arena batch = {0};
    struct ft_batch b;
    int more = 1;

    for (int i = 0; i < 2 && more > 0; i++) {
        struct ft_step_report report;
        double start;

        ft_arena_reset(&batch);
        if ((more = ft_source_next(r->source, &batch, &b)) <= 0)
            break;
        start = ft_seconds();
        if (ft_trainer_skip(t->trainer, &b) < 0 || ft_trainer_step(t->trainer, &batch, &b, NULL, &report) < 0)
            more = -1;
        t->seconds = ft_seconds() - start;
        t->texts = b.items;
        if (i == 0) {
            struct ft_losses *losses = ft_losses_of_batch(arena, &b, &r->settings->loss, r->settings->miner);

            t->first = b;
            t->loss = losses ? ft_losses_text(arena, losses) : "";
        }
    }
    ft_arena_free(&batch);
    if (more == 0 && !t->loss)
        return ft_fail(FT_BAD, "no batch: there is nothing to train on");
    return more < 0 ? -1 : 0;
}

static int try_evaluation(const struct ft_rehearsal *r, struct trial *t)
{
    const struct ft_validation_batches batches = {t->first.kind, r->source->rows, r->settings->per_class, ft_trainer_seconds(t->trainer), ft_trainer_weights(t->trainer)};
    double start = ft_seconds();
    struct ft_scores scores;
    size_t queries;

    if (!r->source->validation)
        return 0;
    if (ft_validation_run(r->source->validation, ft_trainer_model(t->trainer), r->settings, &batches, &scores, &queries) < 0)
        return ft_error_prefix("evaluation: ");
    t->evaluation = ft_seconds() - start;
    return 0;
}

static int print_duration(struct ft_buffer *out, const char *name, double seconds)
{
    long whole = (long)(seconds + .5);

    if (seconds < 60)
        return ft_buffer_print(out, "%s\t%.1f s\n", name, seconds);
    return ft_buffer_print(out, "%s\t%ld:%02ld:%02ld\n", name, whole / 3600, whole / 60 % 60, whole % 60);
}

static int print_size(struct ft_buffer *out, const char *name, double bytes)
{
    return ft_buffer_print(out, "%s\t%.1f MiB\n", name, bytes / (1 << 20));
}

static int print_data(const struct ft_rehearsal *r, const struct trial *t, struct ft_buffer *out)
{
    const struct ft_source *source = r->source;

    if (ft_buffer_print(out, "run\t%s\nmodel\t%s\n", r->directory, r->settings->model) < 0)
        return -1;
    if (source->mix && ft_buffer_print(out, "documents\t%lu\n", source->records) < 0)
        return -1;
    if (source->validation && ft_buffer_print(out, "evaluated\t%zu\n", ft_validation_count(source->validation, FT_QUERIES)) < 0)
        return -1;
    if (source->classes && ft_buffer_print(out, "labels\t%" PRIu64 "\n", source->classes) < 0)
        return -1;
    return ft_buffer_print(out, "kind\t%s\nbatch\t%" PRIu64 "\ntexts\t%zu\n", ft_batch_kind_name(t->first.kind),
                           source->rows ? source->rows : (uint64_t)t->first.rows, t->texts);
}

static int print_model(const struct ft_rehearsal *r, const struct trial *t, struct ft_buffer *out)
{
    const struct ft_model *model = ft_trainer_model(t->trainer);
    const struct ft_parameters learns = ft_model_trained(model);   /* the adapters, where there are some */
    struct ft_schedule schedule;
    size_t all = 0, trained = 0;

    for (int i = 0; i < model->parameter_count; i++)
        all += model->parameters[i].rows * model->parameters[i].columns;
    for (int i = 0; i < learns.count; i++)
        trained += ft_parameter_learns(&learns.list[i]) ? learns.list[i].rows * learns.list[i].columns : 0;
    if (ft_settings_schedule(r->settings, t->first.kind, model->input, &schedule) < 0)
        return -1;
    return ft_buffer_print(out, "parameters\t%zu\ntrained\t%zu\nloss\t%s\noptimizer\t%s\nlr\t%g\n", all, trained, t->loss, r->settings->optimizer,
                           schedule.lr);
}

/* Evaluations are before training, after each epoch or every so many batches, and at the end. */
static uint64_t count_evaluations(const struct ft_rehearsal *r, uint64_t steps)
{
    uint64_t every = r->settings->callbacks.eval_every;

    if (!r->source->validation)
        return 0;
    return 1 + (every ? steps / every + (steps % every > 0) : r->source->epochs ? r->source->epochs : 1);
}

static int print_cost(const struct ft_rehearsal *r, const struct trial *t, struct ft_buffer *out)
{
    uint64_t steps = r->source->steps;
    struct rusage usage;

    if (r->steps >= 0 && (!steps || (uint64_t)r->steps < steps))
        steps = (uint64_t)r->steps;
    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return ft_fail_errno("getrusage");
    if (steps && ft_buffer_print(out, "batches\t%" PRIu64 "\n", steps) < 0)
        return -1;
    if (print_size(out, "memory", (double)usage.ru_maxrss * 1024) < 0 ||
        ft_buffer_print(out, "batch time\t%.3f s\n", t->seconds) < 0)
        return -1;
    return steps ? print_duration(out, "time", (double)steps * t->seconds + (double)count_evaluations(r, steps) * t->evaluation) : 0;
}

int ft_rehearse(const struct ft_rehearsal *r, struct ft_buffer *out)
{
    const struct ft_trainer_options how = {.dry = true, .memory = r->memory};
    struct ft_run *run = ft_run_imagine(r->directory, r->settings);
    struct ft_arena arena = {0};
    struct trial trial = {.trainer = run ? ft_trainer_open(run, &how) : NULL};
    int result = -1;

    if (trial.trainer && ft_trainer_plan(trial.trainer, r->source->steps, r->source->epochs, r->source->classes) == 0 && try_batches(r, &arena, &trial) == 0 &&
        try_evaluation(r, &trial) == 0 && print_data(r, &trial, out) == 0 && print_model(r, &trial, out) == 0)
        result = print_cost(r, &trial, out);
    ft_trainer_close(trial.trainer);
    ft_run_close(run);
    ft_arena_free(&arena);
    return result;
}
