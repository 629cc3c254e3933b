/* pair-world.h - tiny models of two towers, made of the lists of names in tests/golden/clip or open-clip, or joined of two, and runs over four pairs. */
#ifndef FT_TESTS_PAIR_WORLD_H
#define FT_TESTS_PAIR_WORLD_H

#include "../model/vision-names.h"
#include "base/error.h"
#include "model/tailor/tailor.h"
#include "model/towers.h"
#include "train/trainer.h"

#define STRIPES "tests/golden/pictures/stripes/"
enum { ROWS = 4, ITEMS = 2 * ROWS, STEPS = 3 };

static char place[] = "/tmp/ft-test-XXXXXX";

static const struct { const char *text, *image; } pairs[ROWS] = {
    {"the cat sat on the mat", STRIPES "kind0/0.png"}, {"a dog", STRIPES "kind1/0.png"}, {"play my music", STRIPES "kind2/0.png"}, {"my balance", STRIPES "kind3/0.png"},
};

static const char *in_place(const char *name)
{
    return ft_arena_print(&arena, "%s/%s", place, name);
}

static void copy(const char *from, const char *to)
{
    size_t size;
    char *bytes_of = ft_file_exists(from) ? ft_file_read(&arena, from, 1 << 20, &size) : NULL;

    if (bytes_of)
        ft_file_write(to, bytes_of, size);
}

/* The tiny model of tests/golden/HOME with weights, and a logit_scale of its own; texts by the tokenizer `words`. */
static const char *make_model_in(const char *directory, const char *home, const char *words, const char *name, const char *library, const char *weights)
{
    static const char *const files[] = {"config.json", "preprocessor_config.json", "open_clip_config.json", "tokenizer_config.json"};
    struct list list = *find(library, name);

    list.items = memcpy(ft_arena_take(&arena, (list.count + 1) * sizeof *list.items), list.items, list.count * sizeof *list.items);
    if (list.count && strcmp(list.items[0].name, "logit_scale") != 0)
        add(&list, "logit_scale", "1");
    ft_directory_make(directory);
    for (int i = 0; i < 4; i++)
        copy(ft_arena_print(&arena, "tests/golden/%s/%s/%s", home, name, files[i]), ft_arena_print(&arena, "%s/%s", directory, files[i]));
    copy(ft_arena_print(&arena, "tests/golden/tokenizer/general/%s.json", words), ft_arena_print(&arena, "%s/tokenizer.json", directory));
    write_weights(ft_arena_print(&arena, "%s/%s", directory, weights), &list, (struct content){.numbers = true});
    return directory;
}

static __attribute__((unused)) const char *make_model_of(const char *home, const char *words, const char *name, const char *library, const char *weights)
{
    return make_model_in(in_place(name), home, words, name, library, weights);
}

static __attribute__((unused)) const char *make_model(const char *name, const char *library, const char *weights)
{
    return make_model_of("clip", strncmp(name, "siglip", 6) == 0 ? "t5" : "clip-hf", name, library, weights);
}

/* A tower of images by itself. */
static __attribute__((unused)) const char *make_vit(const char *directory)
{
    ft_directory_make(directory);
    copy("tests/golden/vision/vit/config.json", ft_arena_print(&arena, "%s/config.json", directory));
    copy("tests/golden/vision/vit/preprocessor_config.json", ft_arena_print(&arena, "%s/preprocessor_config.json", directory));
    write_weights(ft_arena_print(&arena, "%s/model.safetensors", directory), find("transformers", "vit"), (struct content){.numbers = true});
    return directory;
}

static struct ft_batch make_batch(uint64_t number)
{
    static struct ft_content content[ITEMS];
    static uint8_t role[ITEMS];
    static int32_t row[ITEMS];

    for (int i = 0; i < ITEMS; i++) {
        content[i] = (struct ft_content){.tensor = NULL};
        *(i % 2 ? &content[i].uri : &content[i].text) = ft_string_of(i % 2 ? pairs[i / 2].image : pairs[i / 2].text);
        role[i] = i % 2 ? FT_POSITIVE : FT_ANCHOR;
        row[i] = i / 2;
    }
    return (struct ft_batch){.number = number, .epoch = 1, .kind = FT_BATCH_PAIRS, .rows = ROWS, .items = ITEMS, .content = content, .role = role, .row = row};
}

struct way {
    const char *loss, *freeze, *lora;    /* the last two or NULL */
    struct ft_callbacks callbacks;
    uint64_t keep;               /* what is after this batch is put aside and is the model; above STEPS: the base model is */
    uint64_t stop;               /* this many steps are done, and then the rest by another trainer; 0: at once */
};

/* Some steps of the run; what the loss has for a temperature before the first and after each. */
static int train_part(struct ft_run *run, const struct way *way, uint64_t from, uint64_t to, float scale[STEPS + 1])
{
    const struct ft_trainer_options how = {.keep = 1};
    struct ft_trainer *t = ft_trainer_open(run, &how);
    struct ft_loss_input input = {.n = 0};
    bool good = t && ft_trainer_plan(t, STEPS, 1, 0) == 0;

    for (uint64_t n = 0; good && n <= to; n++) {
        struct ft_batch batch = make_batch(n);
        struct ft_step_report report;

        if (n && n <= from)
            good = ft_trainer_skip(t, &batch) == 1;
        else if (n)
            good = ft_trainer_step(t, &arena, &batch, NULL, &report) == 0 && (n != way->keep || ft_trainer_keep(t) == 0);
        ft_weights_give(ft_trainer_weights(t), &input);
        if (n >= from && input.weights)
            scale[n] = input.weights[0];
    }
    if (good && to < STEPS)
        good = ft_trainer_save(t) == 0;
    else if (good && way->keep)
        ft_trainer_choose(t, way->keep > STEPS ? 0 : way->keep);
    good = good && (to < STEPS || ft_trainer_finish(t) == 0);
    ft_trainer_close(t);
    return good ? 0 : -1;
}

/* A run under `name`. */
static int train(const char *directory, const char *name, const struct way *way, float scale[STEPS + 1])
{
    const char *losses[] = {way->loss}, *patterns[] = {way->freeze};
    char checksum[9];
    struct ft_settings s = {.model = directory, .model_checksum = checksum, .loss = {losses, 1}, .optimizer = "adamw", .schedule = "constant", .lr = 1e-2, .clip = 1,
                            .precision = "fp32", .loss_lr = FT_RATE_AS_MODEL, .freeze = {patterns, way->freeze ? 1 : 0}, .lora = way->lora, .callbacks = way->callbacks};
    struct ft_model *model = ft_model_open(directory, NULL);
    struct ft_run *run = model && ft_model_checksum(model, checksum) && ft_run_create(in_place(name), &s, 0, NULL) == 0 ? ft_run_open(in_place(name)) : NULL;
    int result = run ? 0 : -1;

    ft_model_close(model);
    if (result == 0 && way->stop)
        result = train_part(run, way, 0, way->stop, scale);
    if (result == 0)
        result = train_part(run, way, way->stop, STEPS, scale);
    ft_run_close(run);
    return result;
}

/* A text model and one of images joined. */
static __attribute__((unused)) const char *make_joined(const char *name, const char *image)
{
    static const char *edits[] = {"dim=6"};
    const struct ft_list list = {edits, 1};
    struct ft_model *model = ft_model_join("tests/golden/model/mean", image, &list, 5);
    const char *directory = model && ft_model_place(model, in_place(name), false) == 0 ? in_place(name) : NULL;

    ft_model_close(model);
    return directory;
}

static float scale_of(const char *directory)
{
    struct ft_model *model = ft_model_open_nodes(directory);
    struct ft_logits logits;
    float scale = NAN;

    if (model && ft_logits_read(model, &logits) == 0 && logits.there[FT_LOGIT_SCALE])
        scale = (float)logits.value[FT_LOGIT_SCALE];
    ft_model_close(model);
    return scale;
}

#endif
