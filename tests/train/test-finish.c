/* test-finish.c - what is written at the end: the last parameters, the best ones, averages with the base model; and what a crash leaves of them. */
#include "base/error.h"
#include "base/file.h"
#include "model/encode.h"
#include "train/best.h"
#include "train/trainer.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

#define MODEL "tests/golden/model/mean"

enum { TEXTS = 4 };

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-finish-XXXXXX";

static const char *in(const char *name)
{
    return ft_arena_print(&arena, "%s/%s", place, name);
}

static struct ft_settings settings_of(const struct ft_callbacks *callbacks)
{
    static char checksum[9];
    char *whole = realpath(MODEL, NULL);
    struct ft_settings s = {.optimizer = "adamw", .precision = "fp32", .schedule = "constant", .lr = 1e-2, .clip = 1, .callbacks = *callbacks};
    struct ft_model *model = ft_model_open(whole, NULL);

    s.model = ft_arena_text(&arena, ft_string_of(whole));
    s.model_checksum = ft_model_checksum(model, checksum);
    ft_model_close(model);
    free(whole);
    return s;
}

/* Batch `number`: its gradient is a function of the number alone. */
static int step(struct ft_trainer *t, uint64_t number)
{
    struct ft_content content[TEXTS] = {{.text = FT_STRING("the cat sat")}, {.text = FT_STRING("the dog")}, {.text = FT_STRING("play music")}, {.text = FT_STRING("what time is it")}};
    int32_t row[TEXTS] = {0, 1, 2, 3}, label[TEXTS] = {0, 0, 1, 1};
    struct ft_batch b = {.number = number, .epoch = 1, .kind = FT_BATCH_CLASSES, .rows = TEXTS, .items = TEXTS, .content = content, .label = label, .row = row};
    const struct ft_model *model = ft_trainer_model(t);
    float *gradient = ft_arena_take(&arena, TEXTS * model->dim * sizeof *gradient), *embedding = ft_arena_take(&arena, TEXTS * model->dim * sizeof *embedding);
    struct ft_step_report report;
    struct ft_packed packed;

    for (size_t i = 0; i < TEXTS * model->dim; i++)
        gradient[i] = (float)sin((double)(i * number) * .7 + (double)number);
    if (ft_trainer_skip(t, &b) != 0 || ft_encode_items(&arena, model, &(struct ft_prompts){{NULL}}, 0, content, NULL, TEXTS, &packed) < 0 || ft_trainer_begin(t, &b, &packed) < 0 ||
        ft_trainer_forward(t, embedding) < 0)
        return -1;
    return ft_trainer_apply(t, 1, gradient, &report);
}

/* Three batches; the parameters after batch `keep` are put aside, and chosen. `keep` above 3: the base model is. */
static const float *train(const char *name, const struct ft_callbacks *callbacks, uint64_t keep, size_t *count)
{
    const struct ft_trainer_options how = {.keep = 2};
    struct ft_settings s = settings_of(callbacks);
    struct ft_run *run = ft_run_create(in(name), &s, 0, NULL) == 0 ? ft_run_open(in(name)) : NULL;
    struct ft_trainer *t = run ? ft_trainer_open(run, &how) : NULL;
    int bad = !t || ft_trainer_plan(t, 3, 1, 0) < 0;
    struct ft_model *model;
    float *block = NULL;

    for (uint64_t n = 1; !bad && n <= 3; n++)
        bad |= step(t, n) < 0 || (n == keep && ft_trainer_keep(t) < 0);
    if (!bad && keep)
        ft_trainer_choose(t, keep > 3 ? 0 : keep);
    bad |= !t || ft_trainer_finish(t) < 0;
    ft_trainer_close(t);
    ft_run_close(run);
    if (!bad && (model = ft_model_open(in(name), NULL))) {
        *count = model->block_count;
        block = ft_arena_take(&arena, *count * sizeof *block);
        memcpy(block, model->block, *count * sizeof *block);
        ft_model_close(model);
    }
    if (!block)
        printf("# %s: %s\n", name, ft_error());
    return block;
}

static bool same(const float *a, const float *b, size_t count)
{
    return a && b && memcmp(a, b, count * sizeof *a) == 0;
}

static void check_averages(void)
{
    struct ft_callbacks none = {.log = NULL}, zero = {.average = true, .wise_ft = 0}, one = {.average = true, .wise_ft = 1},
                        half = {.average = true, .wise_ft = .5}, some = {.average = true, .wise_ft = .4};
    size_t count = 0, halves = 0, differ = 0, wrong = 0;
    const float *tuned = train("tuned", &none, 0, &count), *base = train("base", &none, 4, &count), *mixed;
    struct ft_model *model = ft_model_open(MODEL, NULL);

    ok(same(base, model->block, count) && !same(tuned, base, count), "chosen before any training: the base model to the bit");
    ft_model_close(model);
    ok(same(train("zero", &zero, 0, &count), base, count), "alpha 0 is the base model to the bit");
    ok(same(train("one", &one, 0, &count), tuned, count), "alpha 1 is the tuned model to the bit");
    mixed = train("half", &half, 0, &count);
    for (size_t i = 0; mixed && i < count; i++) {
        halves += mixed[i] == (float)(((double)base[i] + tuned[i]) / 2);
        differ += base[i] != tuned[i];
    }
    ok(halves == count && differ > count / 4, "alpha .5 is the mean of every parameter (%zu of %zu were trained)", differ, count);
    mixed = train("some", &some, 0, &count);
    for (size_t i = 0; mixed && i < count; i++)
        wrong += !(fabs(mixed[i] - (.6 * base[i] + .4 * tuned[i])) <= 6e-8 * (fabs(base[i]) + fabs(tuned[i])));   /* half an ulp */
    ok(mixed && !wrong, "alpha .4: .6 of the base model, .4 of the tuned one");
    mixed = train("best-half", &half, 1, &count);
    tuned = train("best", &none, 1, &count);
    halves = 0;
    for (size_t i = 0; mixed && tuned && i < count; i++)
        halves += mixed[i] == (float)(((double)base[i] + tuned[i]) / 2);
    ok(mixed && halves == count, "and of the best one where that is chosen");
}

static void check_best(void)
{
    const struct ft_callbacks none = {.log = NULL};
    size_t count = 0;
    const float *last = train("last", &none, 0, &count), *first = train("first", &none, 1, &count), *third = train("third", &none, 3, &count);

    ok(first && !same(first, last, count), "the parameters of batch 1 are not the last ones");
    ok(same(third, last, count), "those of batch 3 are");
    ok(!ft_file_exists(in("first/run/best")) && !ft_file_exists(in("first/run/checkpoints")), "nothing is left of them beside the model");
}

static int present(struct ft_run *run)
{
    int bits = 0;

    for (int n = 1; n < 16; n++)
        bits |= ft_file_exists(ft_arena_print(&arena, "%s/run/best/%d", run->directory, n)) << n;
    return bits;
}

/* Best at 2, 4, 8, 9; checkpoints at 5 and 8. */
static void check_kept(void)
{
    struct ft_settings s = settings_of(&(struct ft_callbacks){.log = NULL});
    struct ft_run *run = ft_run_create(in("kept"), &s, 0, NULL) == 0 ? ft_run_open(in("kept")) : NULL;
    const struct ft_logits logits = {{false, true}, {7, -9.5}};
    struct ft_logits found = {{true, false}, {1, 1}};
    float block[1000], back[1000];
    char *path;

    for (int i = 0; i < 1000; i++)
        block[i] = (float)i;
    ok(ft_best_save(run, 2, block, 1000, &logits, 0) == 0 && present(run) == 1 << 2, "the first");
    ok(ft_best_save(run, 4, block, 1000, &logits, 0) == 0 && present(run) == 1 << 4, "another, no checkpoint: one is enough");
    ok(ft_best_save(run, 8, block, 1000, &logits, 5) == 0 && present(run) == (1 << 4 | 1 << 8), "a checkpoint after 5: that of 4 stays");
    ok(ft_best_save(run, 9, block, 1000, &logits, 8) == 0 && present(run) == (1 << 8 | 1 << 9), "a checkpoint after 8: that of 4 goes");
    block[7] = -1;
    ok(ft_best_save(run, 6, block, 1000, &logits, 5) == 0 && present(run) == 1 << 6, "a run that went back to 5: what lies ahead is another attempt's");
    ok(ft_best_load(run, 6, back, 1000, &found) == 0 && memcmp(back, block, sizeof back) == 0, "what was saved is loaded");
    ok(!found.there[FT_LOGIT_SCALE] && found.there[FT_LOGIT_BIAS] && found.value[FT_LOGIT_BIAS] == -9.5, "with what the loss had learnt");
    ok(ft_best_load(run, 6, back, 999, &found) < 0 && ft_error_status() == FT_BAD, "not by another model: %s", ft_error());
    ok(ft_best_load(run, 4, back, 1000, &found) < 0, "not what is not there: %s", ft_error());
    path = ft_arena_print(&arena, "%s/run/best/6", run->directory);
    ok(truncate(path, 4000) == 0 && ft_best_load(run, 6, back, 1000, &found) < 0 && ft_error_status() == FT_BAD, "not what is cut short: %s", ft_error());
    ft_best_save(run, 6, block, 1000, &logits, 5);
    {
        FILE *file = fopen(path, "r+");

        fseek(file, 17, SEEK_SET);
        fputc(1, file);
        fclose(file);
    }
    ok(ft_best_load(run, 6, back, 1000, &found) < 0 && strstr(ft_error(), "damaged"), "not what is damaged: %s", ft_error());
    ft_best_save(run, 6, block, 1000, &logits, 5);
    {
        FILE *file = fopen(path, "r+");

        fseek(file, 4000 + 8 + 8 + 3, SEEK_SET);
        fputc(1, file);
        fclose(file);
    }
    ok(ft_best_load(run, 6, back, 1000, &found) < 0 && strstr(ft_error(), "damaged"), "there neither: %s", ft_error());
    ok(ft_best_remove_all(run) == 0 && ft_best_remove_all(run) == 0 && !ft_file_exists(in("kept/run/best")), "removed");
    ft_run_close(run);
}

static void check_shared(void)
{
    const struct ft_trainer_options how = {.shared = true, .keep = 2};
    struct ft_settings s = settings_of(&(struct ft_callbacks){.best = "map"});
    struct ft_run *run = ft_run_create(in("shared"), &s, 0, NULL) == 0 ? ft_run_open(in("shared")) : NULL;

    ok(!ft_trainer_open(run, &how) && ft_error_status() == FT_USAGE && strstr(ft_error(), "only ft-train"), "a pipe does not go on with it: %s", ft_error());
    ft_run_close(run);
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    check_averages();
    check_best();
    check_kept();
    check_shared();
    ok(ft_directory_remove(place) == 0, "removed");
    ft_arena_free(&arena);
    return done();
}
