/* ft-train - documents or batches in, a tuned model out: ft-embed, ft-loss and ft-update in one process, and ft-sample before them where documents
 * come. The same library calls as theirs, so the same bytes, faster. */
#include "base/file.h"
#include "base/options.h"
#include "base/pool.h"
#include "base/stop.h"
#include "base/tool.h"
#include "model/listing.h"
#include "train/teacher.h"
#include "tune/rehearsal.h"
#include "tune/tuning.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *model_name = "minilm", *output = "./tuned", *miner;
static const char *batch, *lora, *mix, *log_format, *eval, *eval_index, *stop, *best, *hook;
static double hold_out, wise_ft = 1;
static long eval_every;
static const char *optimizer = "adamw", *schedule = "linear", *precision = "fp32", *batch_norm = "keep", *loss_optimizer;
static double lr = FT_RATE_BY_KIND, loss_lr = FT_RATE_AS_MODEL, warmup = .1, clip = 1, layer_decay = 1;
static bool force, resume, dry_run, cache_frozen, drop_last, classes, pairs, triplets, scored, random_batches;
static long accumulate = 1, threads, chunk, max_length, seed, batch_rows, per_class, views, epochs, steps = -1, save_every, keep = 2;
static struct ft_list losses, freeze, unfreeze, prompts, lr_for, decay_for, augment;
static const char *seconds[FT_SECONDS];
static size_t memory;

static const struct ft_option options[] = {
    {'m', "model", FT_TEXT, &model_name, "MODEL", "model to start from", NULL},
    {'o', "output", FT_TEXT, &output, "DIR", "the run, and at its end the tuned model", NULL},
    {0, "force", FT_FLAG, &force, NULL, "begin again where DIR is a run already", NULL},
    {0, "resume", FT_FLAG, &resume, NULL, "go on where DIR stopped, or begin if nothing is there", NULL},
    {0, "classes", FT_FLAG, &classes, NULL, "batches of labels x documents a label, for losses that find their own pairs", NULL},
    {0, "pairs", FT_FLAG, &pairs, NULL, "batches of pairs, no text twice in one", NULL},
    {0, "triplets", FT_FLAG, &triplets, NULL, "batches of triplets: an anchor, a positive and negatives a row", NULL},
    {0, "scored", FT_FLAG, &scored, NULL, "batches of scored pairs", NULL},
    {0, "random", FT_FLAG, &random_batches, NULL, "batches of documents in any order (default of these five: by what the data are)", NULL},
    {0, "batch", FT_TEXT, &batch, "N|auto", "rows a batch: texts, pairs or triplets; auto: what fits --memory (default: by kind)", NULL},
    {0, "per-class", FT_COUNT, &per_class, "K", "documents of each label in a batch (default: 4)", NULL},
    {0, "views", FT_COUNT, &views, "N", "each text N times in a batch, alike to itself only: for texts without labels", NULL},
    {0, "epochs", FT_COUNT, &epochs, "N", "passes over the data (default: 3)", NULL},
    {0, "drop-last", FT_FLAG, &drop_last, NULL, "leave out a last short batch", NULL},
    {0, "mix", FT_CHOICE, &mix, NULL, "each FILE is a data set, and a batch is of one: how they take turns (default: all are one set)", FT_MIX_ORDERS},
    {0, "seed", FT_COUNT, &seed, "S", "of sampling and dropout (default: the stream's, else 0)", NULL},
    {0, "loss", FT_LIST, &losses, "[SET=][W*]NAME:k=v", "a loss of ft-loss(1), as infonce:scale=50; repeated ones add up (default: by kind of batch)", NULL},
    {0, "miner", FT_TEXT, &miner, "NAME:k=v", "which pairs or triplets of labelled batches a loss compares: batch-hard, ... (default: all)", NULL},
    {0, "teacher", FT_TEXT, &seconds[FT_TEACHER], "MODEL", "model whose embeddings or similarities a loss learns", NULL},
    {0, "guide", FT_TEXT, &seconds[FT_GUIDE], "MODEL", "model that tells a loss which negatives are false", NULL},
    {0, "optimizer", FT_TEXT, &optimizer, "NAME:k=v", "adamw, adam, sgd, adagrad, rmsprop, adamax, nadam, radam, adafactor, lamb, adadelta, asgd, rprop", NULL},
    {0, "loss-optimizer", FT_TEXT, &loss_optimizer, "NAME:k=v", "of what losses learn themselves (default: as --optimizer)", NULL},
    {0, "schedule", FT_TEXT, &schedule, "NAME:k=v", "linear, cosine, cosine-with-restarts, polynomial, constant, constant-with-warmup, one-cycle", NULL},
    {0, "lr", FT_NUMBER, &lr, "X", "learning rate (default: by kind of batch)", NULL},
    {0, "loss-lr", FT_NUMBER, &loss_lr, "X", "learning rate of what losses learn themselves (default: as --lr)", NULL},
    {0, "lr-for", FT_LIST, &lr_for, "PATTERN=X", "another for nodes or parameters; *X is times what it would be", NULL},
    {0, "layer-decay", FT_NUMBER, &layer_decay, "X", "each layer's rate is so many times that of the layer above it", NULL},
    {0, "decay-for", FT_LIST, &decay_for, "PATTERN=X", "another weight decay for nodes or parameters", NULL},
    {0, "warmup", FT_NUMBER, &warmup, "X", "steps of warm-up; below 1 a share of all", NULL},
    {0, "clip", FT_NUMBER, &clip, "X", "largest norm of the gradient, 0 = any", NULL},
    {0, "accumulate", FT_COUNT, &accumulate, "N", "batches whose mean gradient makes a step", NULL},
    {0, "freeze", FT_LIST, &freeze, "PATTERN", "nodes that do not train, as 'encoder.layer.[0-2].*' or below:NODE", NULL},
    {0, "unfreeze", FT_LIST, &unfreeze, "PATTERN", "nodes that do train", NULL},
    {0, "cache-frozen", FT_FLAG, &cache_frozen, NULL, "keep what frozen layers below all that train make of each item: they run once for all epochs", NULL},
    {0, "batch-norm", FT_TEXT, &batch_norm, "HOW", "keep its running statistics, or train: the batch's own, which the running ones follow", NULL},
    {0, "lora", FT_TEXT, &lora, "k=v", "train adapters alone: r=8,alpha=8,target=query+value", NULL},
    {0, "max-length", FT_COUNT, &max_length, "N", "tokens of a text at most (default: the model's)", NULL},
    {0, "prompt", FT_LIST, &prompts, "[ROLE=]TEXT", "put before texts: query=, document=, negative= of a role; may repeat (default: the model's)", NULL},
    {0, "augment", FT_LIST, &augment, "NAME:k=v", "vary the images that are trained on: crop, flip, jitter, blur, grid, default; may repeat", NULL},
    {0, "precision", FT_TEXT, &precision, "P", "of matrix products: fp32 or bf16", NULL},
    {0, "chunk", FT_COUNT, &chunk, "N", "texts through the model at once (default: by tokens)", NULL},
    {0, "dry-run", FT_FLAG, &dry_run, NULL, "say what the run would be, from two batches of it, and write nothing", NULL},
    {0, "steps", FT_COUNT, &steps, "N", "stop after N batches; 0 makes a run and reads nothing", NULL},
    {0, "save-every", FT_COUNT, &save_every, "N", "batches between checkpoints (default: every five minutes)", NULL},
    {0, "keep", FT_COUNT, &keep, "K", "checkpoints kept", NULL},
    {0, "eval", FT_TEXT, &eval, "FILE", "documents to evaluate on, before training and after each epoch: a stream, or a text file", NULL},
    {0, "eval-index", FT_TEXT, &eval_index, "FILE", "documents to find (default: the queries themselves)", NULL},
    {0, "eval-every", FT_COUNT, &eval_every, "N", "batches between evaluations (default: an epoch)", NULL},
    {0, "hold-out", FT_NUMBER, &hold_out, "SHARE", "evaluate on this share of the documents, which are not trained on", NULL},
    {0, "best", FT_TEXT, &best, "METRIC", "the model is that of the evaluation with the best METRIC, not the last one", NULL},
    {0, "stop", FT_TEXT, &stop, "METRIC:k=v", "stop when METRIC gets no better: patience=2,min-delta=0,baseline=X,mode=auto", NULL},
    {0, "wise-ft", FT_NUMBER, &wise_ft, "ALPHA", "write ALPHA of the tuned parameters and 1 - ALPHA of the base model's", NULL},
    {0, "hook", FT_TEXT, &hook, "FILE", "program to run at begin, epoch, end and failure, with the state as JSON on its input", NULL},
    {0, "log", FT_CHOICE, &log_format, NULL, "beside log.jsonl, an event file in DIR/run that TensorBoard opens", "tensorboard"},
    {0, "memory", FT_SIZE, &memory, "SIZE", "stay under this; changes no result", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest train.csv | ft-train -o tuned",
    "ft-ingest pairs.tsv | ft-train -m minilm --loss infonce:scale=20 --lr 2e-5 -o tuned",
    "ft-ingest train.csv | ft-train -o tuned --resume",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-train",
    .purpose = "documents or batches in, a tuned model out",
    .operands = "[FILE...]",
    .options = options,
    .examples = examples,
    .see_also = "ft-ingest(1), ft-sample(1), ft-eval(1), ft-export(1), ft(7)",
};

static const char *kind_wanted(int *failed)
{
    const bool given[] = {classes, pairs, triplets, scored, random_batches};
    const char *kind = NULL;

    for (int i = 0; i < 5; i++) {
        if (given[i] && kind)
            *failed = ft_fail(FT_USAGE, "one kind of batch, not --%s and --%s", kind, ft_batch_kind_name((enum ft_batch_kind)i));
        if (given[i])
            kind = ft_batch_kind_name((enum ft_batch_kind)i);
    }
    return kind;
}

static bool is_auto(void)
{
    return batch && strcmp(batch, "auto") == 0;
}

static int read_batch(void)
{
    const struct ft_option rows = {0, "batch", FT_COUNT, &batch_rows, NULL, NULL, NULL};

    if (is_auto() && !memory)
        return ft_fail(FT_USAGE, "--batch auto is what fits --memory: give that too");
    return !batch || is_auto() || ft_option_set(&rows, batch) == 0 ? 0 : ft_error_prefix("--batch: ");
}

/* --freeze first, then --unfreeze, each in its order. */
static int freezing(struct ft_arena *arena, struct ft_list *list)
{
    *list = (struct ft_list){ft_arena_zero(arena, freeze.count + unfreeze.count + 1, sizeof *list->items), 0};
    if (!list->items)
        return -1;
    for (size_t i = 0; i < freeze.count; i++)
        list->items[list->count++] = freeze.items[i];
    for (size_t i = 0; i < unfreeze.count; i++)
        if (!(list->items[list->count++] = ft_arena_print(arena, "!%s", unfreeze.items[i])))
            return -1;
    return 0;
}

/* A file is found again wherever the run is resumed from; a pipe has no name to keep. */
static int absolute(struct ft_arena *arena, const char **path)
{
    char *whole = *path ? realpath(*path, NULL) : NULL;
    struct stat st;

    if (!whole)
        return *path ? ft_fail_errno("%s", *path) : 0;
    if (stat(whole, &st) == 0 && S_ISREG(st.st_mode))
        *path = ft_arena_text(arena, ft_string_of(whole));
    free(whole);
    return *path ? 0 : -1;
}

static int settings_from_options(struct ft_arena *arena, struct ft_settings *s)
{
    int failed = read_batch();

    *s = (struct ft_settings){
        .seed = (uint64_t)seed, .loss = losses, .miner = miner, .optimizer = optimizer, .schedule = schedule, .lr = lr,
        .warmup = warmup, .clip = clip, .rates = {lr_for, decay_for, layer_decay}, .accumulate = (uint64_t)accumulate,
        .chunk = chunk, .max_length = max_length,
        .lora = lora, .precision = precision, .batch_norm = batch_norm, .loss_optimizer = loss_optimizer, .loss_lr = loss_lr,
        .kind = kind_wanted(&failed), .batch = (uint64_t)batch_rows, .per_class = (uint64_t)per_class,
        .views = (uint64_t)views,
        .epochs = (uint64_t)epochs, .drop_last = drop_last, .mix = mix,
        .callbacks = {.log = log_format, .eval = eval, .eval_index = eval_index, .hold_out = hold_out, .eval_every = (uint64_t)eval_every,
                      .stop = stop, .best = best, .average = ft_tool_given(&tool, &wise_ft), .wise_ft = wise_ft, .hook = hook},
    };
    ft_prompts_parse(&s->prompts, &prompts);
    if (ft_tool_given(&tool, &lr) && lr == FT_RATE_BY_KIND)   /* other negative rates are refused with the rest */
        failed = ft_fail(FT_USAGE, "--lr %g: expected a number of at least 0", lr);
    if (ft_tool_given(&tool, &loss_lr) && loss_lr == FT_RATE_AS_MODEL)
        failed = ft_fail(FT_USAGE, "--loss-lr %g: expected a number of at least 0", loss_lr);
    if (layer_decay == 0 || accumulate == 0)
        failed = ft_fail(FT_USAGE, "--%s 0: expected %s", layer_decay == 0 ? "layer-decay" : "accumulate",
                         layer_decay == 0 ? "more than 0, at most 1" : "at least 1");
    if (ft_tool_given(&tool, &warmup) && strncmp(schedule, "one-cycle", 9) == 0)
        failed = ft_fail(FT_USAGE, "--schedule one-cycle has a rise of its own, pct-start, in place of --warmup");
    if (ft_tool_given(&tool, &hold_out) && !(hold_out > 0))
        failed = ft_fail(FT_USAGE, "--hold-out %g: expected a share above 0 and below 1", hold_out);
    for (int which = 0; which < FT_SECONDS && !failed; which++)
        failed = seconds[which] && ft_second_find(arena, s, (enum ft_second)which, seconds[which]) < 0 ? -1 : 0;
    if (failed || absolute(arena, &s->callbacks.eval) < 0 || absolute(arena, &s->callbacks.eval_index) < 0 || absolute(arena, &s->callbacks.hook) < 0 ||
        freezing(arena, &s->freeze) < 0 || ft_settings_augment(s, arena, &augment) < 0)
        return -1;
    return ft_settings_check(s);
}

/* Options given again on resuming must say what the run says. */
static bool same_text(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const struct ft_list *a, const struct ft_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

/* What was not said now may have come from the model then. */
static bool same_prompts(const struct ft_prompts *a, const struct ft_prompts *b)
{
    for (int role = 0; role <= FT_NO_ROLE; role++)
        if (a->text[role] && !ft_prompts_same(a->text[role], b->text[role]))
            return false;
    return true;
}

static int check_resumed(const struct ft_settings *now, const struct ft_settings *run)
{
    const struct {
        const void *option;
        const char *name;
        bool same;
    } checks[] = {
        {&seed, "--seed", now->seed == run->seed},
        {&losses, "--loss", same_list(&now->loss, &run->loss)},
        {&miner, "--miner", same_text(now->miner, run->miner)},
        {&seconds[FT_TEACHER], "--teacher", same_text(now->second[FT_TEACHER].model, run->second[FT_TEACHER].model)},
        {&seconds[FT_GUIDE], "--guide", same_text(now->second[FT_GUIDE].model, run->second[FT_GUIDE].model)},
        {&optimizer, "--optimizer", same_text(now->optimizer, run->optimizer)},
        {&loss_optimizer, "--loss-optimizer", same_text(now->loss_optimizer, run->loss_optimizer)},
        {&loss_lr, "--loss-lr", now->loss_lr == run->loss_lr},
        {&schedule, "--schedule", same_text(now->schedule, run->schedule)},
        {&lr, "--lr", now->lr == run->lr},
        {&warmup, "--warmup", now->warmup == run->warmup},
        {&clip, "--clip", now->clip == run->clip},
        {&lr_for, "--lr-for", same_list(&now->rates.lr_for, &run->rates.lr_for)},
        {&layer_decay, "--layer-decay", now->rates.layer_decay == run->rates.layer_decay},
        {&decay_for, "--decay-for", same_list(&now->rates.decay_for, &run->rates.decay_for)},
        {&accumulate, "--accumulate", now->accumulate == run->accumulate},
        {&chunk, "--chunk", now->chunk == run->chunk},
        {&max_length, "--max-length", now->max_length == run->max_length},
        {&prompts, "--prompt", same_prompts(&now->prompts, &run->prompts)},
        {&augment, "--augment", same_text(now->augment, run->augment)},
        {&precision, "--precision", same_text(now->precision, run->precision)},
        {&batch_norm, "--batch-norm", same_text(now->batch_norm, run->batch_norm)},
        {&freeze, "--freeze", same_list(&now->freeze, &run->freeze)},
        {&lora, "--lora", same_text(now->lora, run->lora)},
        {&unfreeze, "--unfreeze", same_list(&now->freeze, &run->freeze)},
        {&batch, "--batch", is_auto() || now->batch == run->batch},
        {&per_class, "--per-class", now->per_class == run->per_class},
        {&views, "--views", now->views == run->views},
        {&epochs, "--epochs", now->epochs == run->epochs},
        {&drop_last, "--drop-last", now->drop_last == run->drop_last},
        {&eval, "--eval", (now->callbacks.eval != NULL) == (run->callbacks.eval != NULL)},
        {&eval_index, "--eval-index", (now->callbacks.eval_index != NULL) == (run->callbacks.eval_index != NULL)},
        {&eval_every, "--eval-every", now->callbacks.eval_every == run->callbacks.eval_every},
        {&hold_out, "--hold-out", now->callbacks.hold_out == run->callbacks.hold_out},
        {&best, "--best", same_text(now->callbacks.best, run->callbacks.best)},
        {&stop, "--stop", same_text(now->callbacks.stop, run->callbacks.stop)},
        {&wise_ft, "--wise-ft", now->callbacks.average == run->callbacks.average && now->callbacks.wise_ft == run->callbacks.wise_ft},
        {&hook, "--hook", same_text(now->callbacks.hook, run->callbacks.hook)},
        {&mix, "--mix", same_text(now->mix, run->mix)},
        {&log_format, "--log", same_text(now->callbacks.log, run->callbacks.log)},
    };

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (ft_tool_given(&tool, checks[i].option) && !checks[i].same)
            return ft_fail(FT_USAGE, "%s was set to something else when %s was made: leave it out to go on", checks[i].name, output);
    if (now->kind && !same_text(now->kind, run->kind))
        return ft_fail(FT_USAGE, "--%s was not set when %s was made: leave it out to go on", now->kind, output);
    return 0;
}

/* Two towers are tuned, where no other loss is given, by what made them such a model: with a logit_bias siglip, else clip. */
static int choose_loss(struct ft_settings *s, const struct ft_model *model)
{
    static const char *names[] = {"clip", "siglip"};
    struct ft_logits logits;

    if (!model->tower_count || s->loss.count)
        return 0;
    if (ft_logits_settle(model, &logits) < 0)
        return -1;
    s->loss = (struct ft_list){names + logits.there[FT_LOGIT_BIAS], 1};
    return 0;
}

/* The base model: where it is and what it is. */
static int find_model(struct ft_arena *arena, struct ft_settings *s)
{
    const char *directory = ft_model_find(arena, model_name);
    char *whole = directory ? realpath(directory, NULL) : NULL, checksum[9];
    struct ft_model *model;
    int result = -1;

    if (!directory)
        return -1;
    if (!whole)
        return ft_fail_errno("%s", directory);
    s->model = ft_arena_text(arena, ft_string_of(whole));
    free(whole);
    if (!s->model || !(model = ft_model_open(s->model, NULL)))
        return -1;
    if (model->extra_text)
        ft_tool_say(&tool, "%s", model->extra_text);
    s->model_checksum = ft_arena_text(arena, ft_string_of(ft_model_checksum(model, checksum)));
    ft_prompts_complete(&s->prompts, &model->prompts);
    if (choose_loss(s, model) == 0 && s->model_checksum && ft_settings_inputs(s, model) == 0 && ft_model_prompts_check(model, &s->prompts) == 0 && ft_settings_freeze(s, model) == 0 &&
        ft_rates_fit(&s->rates, model) == 0)   /* a pattern that matches nothing is said before data are read */
        result = 0;
    if (result == 0 && !s->lora && ft_model_numbers(model, true) == 0)
        ft_tool_warn(&tool, "every parameter of the model is frozen: it stays as it is");
    if (result == 0 && max_length > 0 && (size_t)max_length > model->max_length)
        result = ft_fail(FT_USAGE, "--max-length %ld is more than the model's %zu", max_length, model->max_length);
    for (int role = 0; role <= FT_NO_ROLE; role++)   /* those of the model outlive it */
        if (s->prompts.text[role] && !(s->prompts.text[role] = ft_arena_text(arena, ft_string_of(s->prompts.text[role]))))
            result = -1;
    ft_model_close(model);
    return result;
}

/* What the run trains with: a resumed one's own settings, and the run; else those of the options, and no run yet. */
static int settle(struct ft_arena *arena, const struct ft_header *header, struct ft_settings *settings, struct ft_run **run)
{
    if (settings_from_options(arena, settings) < 0)
        return -1;
    if (resume && ft_run_is(output)) {
        if (!(*run = ft_run_open(output)) || check_resumed(settings, &(*run)->settings) < 0)
            return -1;
        *settings = (*run)->settings;
        settings->callbacks.eval = eval ? eval : settings->callbacks.eval;
        settings->callbacks.eval_index = eval_index ? eval_index : settings->callbacks.eval_index;
        return 0;
    }
    if (ft_tuning_check(&settings->callbacks) < 0)
        return -1;
    if (header && !ft_tool_given(&tool, &seed))
        settings->seed = header->seed;
    return ft_run_may_begin(output, force) < 0 || find_model(arena, settings) < 0 || ft_run_may_replace(output, settings) < 0 ||
           ft_settings_check_losses(settings) < 0 ? -1 : ft_second_measure(arena, settings);
}

static struct ft_run *make_run(const struct ft_settings *settings)
{
    if ((force && ft_run_remove(output) < 0) || ft_run_create(output, settings, tool.whole_argc, tool.whole_argv) < 0)
        return NULL;
    return ft_run_open(output);
}

static bool sampling_option_given(void)
{
    return classes || pairs || triplets || scored || random_batches || batch || per_class || views || epochs || drop_last || mix;
}

/* What is evaluated first: what is trained on is held against it. */
static int read_source(struct ft_source *source, struct ft_arena *arena, struct ft_settings *settings)
{
    int result = ft_validation_make(&settings->callbacks, &source->validation);
    const char *warning;

    if (result == 0 && is_auto() && !settings->batch && !(source->room = ft_room_open(settings, memory)))
        result = -1;
    if (result == 0)
        result = ft_source_read(source, arena, settings, sampling_option_given());
    if (result == 0 && source->room) {
        settings->batch = ft_room_chosen(source->room);
        ft_tool_say(&tool, "--batch %lu: %.1f MiB with all activations kept", (unsigned long)settings->batch,
                    (double)ft_room_bytes(source->room, settings->batch) / (1 << 20));
    }
    if (result == 0 && source->validation)
        result = ft_validation_settle(source->validation, arena, &settings->callbacks);
    tool.in = source->records;
    while (result == 0 && (warning = ft_source_warning(source)))
        ft_tool_warn(&tool, "%s", warning);
    return result;
}

struct progress {
    double start, said;
    uint64_t texts, first;
};

static void show(struct progress *p, const struct ft_step_report *r)
{
    double now = ft_seconds(), elapsed = now - p->start, left;
    bool terminal = isatty(STDERR_FILENO), last = r->step == r->steps;

    p->texts += r->texts;
    p->first += !p->first;
    left = elapsed / (double)p->first * (double)(r->steps - r->step);
    p->first++;
    if (tool.quiet || (now - p->said < (terminal ? .2 : 10) && !last && p->said > 0))
        return;
    p->said = now;
    fprintf(stderr, "%sft-train: step %lu/%lu loss %.4f lr %.2e %.0f items/s %ld:%02ld left%s", terminal ? "\r" : "",
            (unsigned long)r->step, (unsigned long)r->steps, r->loss, r->lr, (double)p->texts / elapsed, (long)left / 60,
            (long)left % 60, terminal && !last ? "\033[K" : "\n");
}

static void on_step(void *progress, const struct ft_step_report *report)
{
    tool.out++;
    show(progress, report);
}

static void on_line(void *progress, bool warning, const char *line)
{
    (void)progress;
    if (isatty(STDERR_FILENO) && (warning || !tool.quiet))
        fputs("\r\033[K", stderr);   /* the line of progress has no end */
    (warning ? ft_tool_warn : ft_tool_say)(&tool, "%s", line);
}

static int train(struct ft_run *run, struct ft_source *source)
{
    struct progress progress = {.start = ft_seconds()};
    const struct ft_tuning tuning = {
        .run = run, .source = source, .validation = source->validation, .steps = steps,
        .trainer = {.memory = memory, .save_every = save_every, .keep = keep, .cache_frozen = cache_frozen},
        .step = on_step, .say = on_line, .argument = &progress};
    int result = ft_tune(&tuning);

    tool.in = source->records;
    return result;
}

static int rehearse(const struct ft_settings *settings, struct ft_source *source)
{
    const struct ft_rehearsal rehearsal = {output, settings, source, memory, steps};
    struct ft_buffer text = {0};
    int result = ft_rehearse(&rehearsal, &text);

    if (result == 0 && ft_write_all(STDOUT_FILENO, text.data, text.size) < 0)
        result = ft_fail_errno("standard output");
    tool.in = source->records;
    ft_buffer_free(&text);
    return result;
}

/* A run that failed before its first batch must not ask for --force when what was wrong has been mended. */
static void take_back(struct ft_run *run)
{
    struct ft_error_copy error;

    ft_error_save(&error);
    if (ft_run_take_back(run) < 0)
        ft_tool_warn(&tool, "%s", ft_error());
    ft_error_restore(&error);
}

static int run_tool(void)
{
    struct ft_arena arena = {0};
    struct ft_source source = {.readers = NULL};
    struct ft_settings settings;
    struct ft_run *run = NULL;
    bool made = false;
    int result = -1;

    if (dry_run && (resume || steps == 0))
        return ft_fail(FT_USAGE, "--dry-run tells of a run that begins, not with --%s", resume ? "resume" : "steps 0");
    if (resume && force)
        return ft_fail(FT_USAGE, "--resume goes on, --force begins again: one of them");
    if (resume && ft_run_finished(output) && steps != 0) {
        ft_tool_say(&tool, "%s is finished", output);
        return 0;
    }
    ft_pool_set_threads(threads);
    ft_stop_catch();
    if (steps != 0 && ft_source_open(&source, (const char *const *)tool.argv, (size_t)tool.argc) < 0) {
        ft_source_close(&source);
        return -1;
    }
    /* Documents are read before a run is made or, with --force, removed: a bad line must not cost the model of yesterday. */
    if (settle(&arena, source.readers ? ft_source_header(&source) : NULL, &settings, &run) < 0 || (source.readers && read_source(&source, &arena, &settings) < 0)) {
        result = -1;
    } else if (dry_run) {
        result = rehearse(&settings, &source);
    } else if (run || (made = (run = make_run(&settings)) != NULL)) {
        result = steps == 0 ? 0 : train(run, &source);
        if (result < 0 && made)
            take_back(run);
        if (result == 0)
            ft_tool_say(&tool, steps == 0 ? "made the run %s" : "the model is in %s", output);
    }
    ft_run_close(run);
    ft_validation_close(source.validation);
    ft_room_close(source.room);
    ft_source_close(&source);
    ft_arena_free(&arena);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    if (status >= 0)
        return status;
    status = ft_tool_end(&tool, run_tool());
    if (ft_stop_signal() && status)
        ft_stop_die();
    return status;
}
