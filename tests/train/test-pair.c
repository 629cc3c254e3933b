/* test-pair.c - CLIP models, both towers of one config.json and one file of weights, in training: what is learnt lies under the names it had, with the
 * temperature that the loss learnt in the model's own logit_scale; a frozen tower's tensors are what they were. */
#include "../model/vision-names.h"
#include "base/error.h"
#include "model/tensors.h"
#include "model/towers.h"
#include "train/trainer.h"
#include "../tap.h"

#define STRIPES "tests/golden/pictures/stripes/"
enum { ROWS = 4, ITEMS = 2 * ROWS, STEPS = 3 };

static char place[] = "/tmp/ft-test-XXXXXX", checksum[9];

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

/* The tiny model of tests/golden/clip with weights, and a logit_scale of its own. */
static const char *make_model(const char *name, const char *library, const char *weights)
{
    static const char *const files[] = {"config.json", "preprocessor_config.json", "open_clip_config.json"};
    const char *directory = in_place(name);
    struct list list = *find(library, name);

    list.items = memcpy(ft_arena_take(&arena, (list.count + 1) * sizeof *list.items), list.items, list.count * sizeof *list.items);
    add(&list, "logit_scale", "1");
    ft_directory_make(directory);
    for (int i = 0; i < 3; i++)
        copy(ft_arena_print(&arena, "tests/golden/clip/%s/%s", name, files[i]), ft_arena_print(&arena, "%s/%s", directory, files[i]));
    copy("tests/golden/tokenizer/general/clip-hf.json", ft_arena_print(&arena, "%s/tokenizer.json", directory));
    write_weights(ft_arena_print(&arena, "%s/%s", directory, weights), &list, (struct content){.numbers = true});
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

/* Trained under `name`; `end` is what the loss had for a temperature. */
static int train(const char *directory, const char *name, const char *loss, const char *freeze, float *begin, float *end)
{
    const char *losses[] = {loss}, *patterns[] = {freeze};
    struct ft_settings s = {.model = directory, .model_checksum = checksum, .loss = {losses, 1}, .optimizer = "adamw", .schedule = "constant", .lr = 1e-2, .clip = 1,
                            .precision = "fp32", .loss_lr = FT_RATE_AS_MODEL, .freeze = {patterns, freeze ? 1 : 0}};
    const struct ft_trainer_options how = {.keep = 1};
    struct ft_run *run = ft_run_create(in_place(name), &s, 0, NULL) == 0 ? ft_run_open(in_place(name)) : NULL;
    struct ft_trainer *t = run ? ft_trainer_open(run, &how) : NULL;
    struct ft_loss_input input = {.n = 0};
    bool good = t && ft_trainer_plan(t, STEPS, 1, 0) == 0;

    if (good) {
        ft_weights_give(ft_trainer_weights(t), &input);
        *begin = input.weights[0];
    }
    for (uint64_t n = 1; good && n <= STEPS; n++) {
        struct ft_batch batch = make_batch(n);
        struct ft_step_report report;

        good = ft_trainer_step(t, &arena, &batch, NULL, &report) == 0;
    }
    if (good) {
        *end = input.weights[0];
        good = ft_trainer_finish(t) == 0;
    }
    ft_trainer_close(t);
    ft_run_close(run);
    return good ? 0 : -1;
}

static int open_weights(struct ft_safetensors *files, const char *directory)
{
    const char *own = ft_open_clip_weights(&arena, directory);

    return ft_tensors_open(files, own ? own : directory);
}

/* Tensors of both directories with the same names and shapes: how many, and how many of those that begin so are other bytes. */
static size_t compare(const char *one, const char *other, const char *begins, size_t *changed)
{
    struct ft_safetensors before = {0}, after = {0};
    size_t same = 0;

    *changed = 0;
    if (open_weights(&before, one) < 0 || open_weights(&after, other) < 0)
        return 0;
    for (size_t i = 0; i < before.count && before.count == after.count; i++) {
        const struct ft_safetensor *a = &before.tensors[i], *b = ft_safetensors_find(&after, a->name);

        same += b && b->rank == a->rank && b->size == a->size && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
        *changed += b && strncmp(a->name, begins, strlen(begins)) == 0 && memcmp(a->data, b->data, a->size) != 0;
    }
    same = same == before.count ? same : 0;
    ft_safetensors_close(&before);
    ft_safetensors_close(&after);
    return same;
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

static void test_model(const char *name, const char *library, const char *weights, const char *text, const char *image)
{
    const char *directory = make_model(name, library, weights), *tuned = ft_arena_print(&arena, "%s-tuned", name);
    struct ft_model *model = ft_model_open(directory, NULL);
    float begin = 0, end = 0, base = scale_of(directory);
    size_t texts, images, count;

    if (!ok(model && model->tower_count == 2, "%s: opened: %s", name, ft_error()))
        return;
    ft_model_checksum(model, checksum);
    ft_model_close(model);
    if (!ok(train(directory, tuned, "clip", NULL, &begin, &end) == 0, "%s: trained: %s", name, ft_error()))
        return;
    ok(begin == base && end != begin && base > .5f, "its logit_scale is what the loss begins with: %g, then %g", (double)begin, (double)end);
    ok(scale_of(in_place(tuned)) == end, "and what it learnt is the model's");
    count = compare(directory, in_place(tuned), text, &texts);
    compare(directory, in_place(tuned), image, &images);
    ok(count && texts > 10 && images > 10,
       "all %zu tensors under the names and in the shapes they had; %zu of texts, %zu of images changed", count, texts, images);
    ok((model = ft_model_open(in_place(tuned), NULL)) && model->tower_count == 2, "it opens again: %s", ft_error());
    ft_model_close(model);

    ok(train(directory, ft_arena_print(&arena, "%s-locked", name), "clip", "image", &begin, &end) == 0, "the image tower frozen: %s", ft_error());
    compare(directory, in_place(ft_arena_print(&arena, "%s-locked", name)), image, &images);
    compare(directory, in_place(ft_arena_print(&arena, "%s-locked", name)), text, &texts);
    ok(images == 0 && texts > 10, "its tensors are what they were (%zu changed, of texts %zu)", images, texts);

    ok(train(directory, ft_arena_print(&arena, "%s-given", name), "clip:temperature=.05", NULL, &begin, &end) == 0 && fabs(begin - log(20)) < 1e-6,
       "a temperature that is given is begun with: %s", ft_error());
    ok(scale_of(in_place(ft_arena_print(&arena, "%s-given", name))) == end, "and the model has what became of it");
}

int main(void)
{
    ok(mkdtemp(place) && read_lists("tests/golden/clip/names.txt") == 0, "lists of names");
    test_model("clip", "transformers", "model.safetensors", "text_model.", "vision_model.");
    test_model("open-clip", "open_clip", "open_clip_model.safetensors", "transformer.", "visual.");
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
