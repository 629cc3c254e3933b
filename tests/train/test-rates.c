/* test-rates.c - what a step of the trainer changes: rates of layers and of patterns, weight decay by patterns, gradients of several batches,
 * schedules by batch and by epoch. Under plain SGD a change is the rate times the gradient, so the changes of two runs have the ratios of
 * their rates. */
#include "base/error.h"
#include "base/file.h"
#include "model/encode.h"
#include "train/trainer.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

#define MODEL "tests/golden/model/mean"

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-rates-XXXXXX";
static int runs;
static size_t count;

/* Settings of a run that begins as all the others. */
static struct ft_settings plain(void)
{
    return (struct ft_settings){.model = MODEL, .loss = {NULL, 0}, .optimizer = "sgd", .schedule = "constant", .lr = .5, .precision = "fp32",
                                .loss_lr = FT_RATE_AS_MODEL};
}

static struct ft_batch batch_of(uint64_t number)
{
    static struct ft_content content[2][4] = {
        {{.text = FT_STRING("the cat")}, {.text = FT_STRING("a cat sat")}, {.text = FT_STRING("my balance")}, {.text = FT_STRING("what is my balance")}},
        {{.text = FT_STRING("music")}, {.text = FT_STRING("play music")}, {.text = FT_STRING("edit photo")}, {.text = FT_STRING("photo on web")}}};
    static int32_t label[] = {0, 0, 1, 1}, row[] = {0, 1, 2, 3};

    return (struct ft_batch){.number = number, .epoch = (number + 1) / 2, .rows = 4, .items = 4, .content = content[number % 2], .label = label, .row = row};
}

/* The changes of the parameters by batches 1..last of `steps`; the first `skip` have a gradient of nothing. */
static float *take(const struct ft_settings *settings, uint64_t last, uint64_t steps, uint64_t skip, struct ft_step_report *report)
{
    const struct ft_trainer_options how = {.keep = 1};
    const char *directory = ft_arena_print(&arena, "%s/%d", place, ++runs);
    struct ft_settings s = *settings;
    struct ft_model *model = ft_model_open(MODEL, NULL);
    char checksum[9];
    struct ft_run *run;
    struct ft_trainer *t;
    float *after;
    bool good = true;

    s.model_checksum = ft_model_checksum(model, checksum);
    run = ft_run_create(directory, &s, 0, NULL) == 0 ? ft_run_open(directory) : NULL;
    t = run ? ft_trainer_open(run, &how) : NULL;
    good = t && ft_trainer_plan(t, steps, (steps + 1) / 2, 2) == 0;
    for (uint64_t n = 1; good && n <= last; n++) {
        struct ft_batch b = batch_of(n);

        if (n <= skip) {
            struct ft_packed packed;
            float *zero = ft_arena_zero(&arena, 4 * model->dim, sizeof *zero);

            good = ft_encode_batch(&arena, ft_trainer_model(t), &s.prompts, 0, &b, &packed) == 0 && ft_trainer_begin(t, &b, &packed) == 0 &&
                   ft_trainer_apply(t, 1, zero, report) == 0;
        } else {
            good = ft_trainer_step(t, &arena, &b, NULL, report) == 0;
        }
    }
    good &= good && ft_trainer_finish(t) == 0;
    if (!good)
        ok(false, "a run of %d batches: %s", (int)last, ft_error());
    count = model->block_count;
    after = ft_arena_take(&arena, count * sizeof *after);
    for (size_t i = 0; i < count; i++)
        after[i] = good ? ft_trainer_model(t)->block[i] - model->block[i] : NAN;
    ft_trainer_close(t);
    ft_run_close(run);
    ft_model_close(model);
    return after;
}

static float *step_of(const struct ft_settings *s)
{
    struct ft_step_report report;

    return take(s, 1, 1, 0, &report);
}

/* Is every change of the parameters that match so many times that of `base`? A change rounds with the parameter it is a change of. */
static bool times(const float *got, const float *base, const char *pattern, double factor)
{
    struct ft_model *model = ft_model_open(MODEL, NULL);
    bool *matched = ft_arena_zero(&arena, (size_t)model->parameter_count, sizeof *matched), good = true;
    double moved = 0;

    good = ft_model_match(model, pattern, matched) == 0;
    for (int k = 0; k < model->parameter_count; k++)
        for (size_t i = 0; matched[k] && i < model->parameters[k].rows * model->parameters[k].columns; i++) {
            size_t at = model->parameters[k].offset + i;

            good &= fabs(got[at] - factor * base[at]) <= 1e-6 * (fabs(model->block[at]) + fabs(base[at])) + 1e-9;
            moved = fmax(moved, fabs(base[at]));
        }
    ft_model_close(model);
    return good && moved > 1e-4;
}

static void check_layers(void)
{
    struct ft_settings s = plain();
    float *base = step_of(&s), *got;

    s.rates.layer_decay = .5;
    got = step_of(&s);
    ok(times(got, base, "encoder.layer.1.*", 1), "--layer-decay .5: the top layer's change is what it was");
    ok(times(got, base, "encoder.layer.0.*", .5), "the one below changes by half of it");
    ok(times(got, base, "embeddings*", .25), "embeddings by a quarter");
    s.rates.layer_decay = 1;
    ok(memcmp(step_of(&s), base, count * sizeof *base) == 0, "1 is none");
}

static void check_patterns(void)
{
    const char *patterns[] = {"*.bias=.05", "embeddings*=*.1", "encoder.layer.1.*=*0", "encoder.layer.1.output.dense=1"};
    struct ft_settings s = plain();
    float *base = step_of(&s), *got;

    s.rates.lr_for = (struct ft_list){patterns, 4};
    got = step_of(&s);
    ok(times(got, base, "encoder.layer.0.*.bias", .1), "--lr-for: a rate by the parameters' names");
    ok(times(got, base, "encoder.layer.0.*.weight", 1), "others stay");
    ok(times(got, base, "embeddings.word_embeddings.weight", .1) && times(got, base, "embeddings.LayerNorm.bias", .01), "times what it was");
    ok(times(got, base, "encoder.layer.1.attention.*", 0), "times nothing");
    ok(times(got, base, "encoder.layer.1.output.dense", 2), "the last one counts, by nodes' names");
    s.rates.layer_decay = .5;
    got = step_of(&s);
    ok(times(got, base, "encoder.layer.0.*.weight", .5) && times(got, base, "encoder.layer.0.*.bias", .1), "and over the layer decay");
}

static void check_decay(void)
{
    const char *patterns[] = {"*=.5", "*LayerNorm*=0"};
    struct ft_model *model = ft_model_open(MODEL, NULL);
    struct ft_settings s = plain();
    float *base = step_of(&s), *got, *shrunk = ft_arena_take(&arena, count * sizeof *shrunk);

    for (size_t i = 0; i < count; i++)
        shrunk[i] = base[i] - .5f * .5f * model->block[i];
    s.optimizer = "sgd:decay=.5";
    got = step_of(&s);
    ok(times(got, shrunk, "encoder.layer.*.dense.weight", 1) && times(got, base, "encoder.layer.*.bias", 1), "weights decay, biases and norms do not");
    s.rates.decay_for = (struct ft_list){patterns, 2};
    s.optimizer = "sgd";
    got = step_of(&s);
    ok(times(got, shrunk, "encoder.layer.*.dense.*", 1) && times(got, base, "*LayerNorm*", 1), "--decay-for: all but norms decay");
    ft_model_close(model);
}

static void check_fit(void)
{
    struct ft_model *model = ft_model_open(MODEL, NULL);
    struct ft_rates r = {.lr_for = {(const char *[]){"nothing.*=1"}, 1}};

    ok(ft_rates_fit(&r, model) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), "--lr-for: 'nothing.*' matches no node"), "%s", ft_error());
    r = (struct ft_rates){.decay_for = {(const char *[]){"below:nothing=1"}, 1}};
    ok(ft_rates_fit(&r, model) < 0 && strstr(ft_error(), "below:nothing: the model has no such node"), "%s", ft_error());
    r = (struct ft_rates){.lr_for = {(const char *[]){"below:encoder.layer.1.output.dense=1", "*bias=*2"}, 2}, .layer_decay = .9};
    ok(ft_rates_fit(&r, model) == 0, "patterns as --freeze has them");
    ft_model_close(model);
}

/* What a layer is by the names of libraries of images. */
static void check_names(void)
{
    static const struct { const char *names[6]; double want[6]; } all[] = {
        {{"conv1.weight", "layer1.0.conv1.weight", "layer1.2.bn1.weight", "layer2.1.conv1.weight", "layer4.0.downsample.0.weight"}, {.0625, .125, .125, .25, 1}},
        {{"conv_proj.weight", "encoder.layers.encoder_layer_0.ln_1.weight", "encoder.layers.encoder_layer_1.mlp.3.weight", "encoder.ln.weight"}, {.25, .5, 1, 1}},
        {{"embedder.embedder.convolution.weight", "encoder.stages.0.layers.2.layer.0.convolution.weight", "encoder.stages.1.layers.0.layer.1.convolution.weight"},
         {.25, .5, 1}},
        {{"_conv_stem.weight", "_blocks.0._bn1.weight", "_blocks.1._bn1.weight", "_conv_head.weight"}, {.25, .5, 1, 1}},
        {{"conv_stem.weight", "blocks.0.0.conv_dw.weight", "blocks.1.1.se.conv_reduce.weight", "conv_head.weight"}, {.25, .5, 1, 1}},
    };
    const struct ft_rates rates = {.layer_decay = .5};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ft_parameter parameters[6] = {0};
        struct ft_model model = {.parameters = parameters};
        double peak[6];
        bool good = true;

        for (; model.parameter_count < 6 && all[i].names[model.parameter_count]; model.parameter_count++)
            parameters[model.parameter_count] = (struct ft_parameter){.name = all[i].names[model.parameter_count], .file = ""};
        good = ft_rates_peaks(&rates, &model, 1, peak) == 0;
        for (int k = 0; k < model.parameter_count; k++)
            good &= peak[k] == all[i].want[k];
        ok(good, "--layer-decay by names as %s", all[i].names[1]);
    }
}

static void check_accumulation(void)
{
    struct ft_settings s = plain();
    struct ft_step_report report;
    float *first = take(&s, 1, 4, 0, &report), *second = take(&s, 2, 4, 1, &report), *mean = ft_arena_take(&arena, count * sizeof *mean), *got;

    for (size_t i = 0; i < count; i++)
        mean[i] = (first[i] + second[i]) / 2;
    s.accumulate = 2;
    got = take(&s, 2, 4, 0, &report);
    ok(times(got, mean, "*", 1) && report.gradient_norm > 0 && !times(got, first, "*", 1), "--accumulate 2: one step by the mean of two gradients");
    ok(times(take(&s, 1, 4, 0, &report), mean, "*", 0) && isnan(report.gradient_norm), "after the first batch nothing has changed");
    ok(memcmp(take(&s, 3, 4, 0, &report), got, count * sizeof *got) == 0, "nor has more after the third");
    ok(memcmp(take(&s, 3, 3, 0, &report), got, count * sizeof *got) != 0 && report.gradient_norm > 0, "unless it is the last: a step of its own");
    ok(memcmp(take(&s, 3, 0, 0, &report), take(&s, 3, 3, 0, &report), count * sizeof *got) == 0, "also where nobody knew that it would be");
    s.accumulate = 9;
    ok(times(take(&s, 2, 2, 0, &report), mean, "*", 1), "a group that never fills up is a mean of what there is");
}

/* The rates of `steps` batches, two an epoch. */
static void check_rates(const char *schedule, double warmup, uint64_t accumulate, uint64_t steps, const double *want)
{
    struct ft_settings s = plain();
    double worst = 0;

    s.schedule = schedule;
    s.warmup = warmup;
    s.lr = 1;
    s.accumulate = accumulate;
    for (uint64_t n = 1; n <= steps; n++) {
        struct ft_step_report report;

        take(&s, n, steps, steps, &report);
        worst = fmax(worst, fabs(report.lr - want[n - 1]));
    }
    ok(worst < 1e-12, "%s, warm-up %g, accumulate %d: the rates of %d batches", schedule, warmup, (int)accumulate, (int)steps);
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    check_layers();
    check_patterns();
    check_decay();
    check_fit();
    check_names();
    check_accumulation();
    check_rates("linear", 0, 1, 6, (const double[]){1, 5. / 6, 4. / 6, 3. / 6, 2. / 6, 1. / 6});
    check_rates("linear:by=epoch", 0, 1, 6, (const double[]){1, 1, 2. / 3, 2. / 3, 1. / 3, 1. / 3});
    check_rates("linear:by=epoch", 1, 1, 6, (const double[]){1, 1, 1, 1, .5, .5});
    check_rates("linear", 0, 2, 5, (const double[]){1, 1, 2. / 3, 2. / 3, 1. / 3});
    check_rates("linear", 2, 2, 8, (const double[]){.5, .5, 1, 1, 1, 1, .5, .5});
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
