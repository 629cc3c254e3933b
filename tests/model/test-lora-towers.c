/* test-lora-towers.c - adapters on two towers: against PEFT over a CLIPModel, its files read, gradients and steps in float64; in one tower alone; saved and read
 * again, for a model of both and for joined ones; what is refused. Numbers: tests/golden/lora/make-towers.py. With arguments "clip DIR", "open-clip DIR" or
 * "vit DIR": make a model there, for the tests of tools. */
#include "../train/pair-world.h"
#include "base/pool.h"
#include "model/adapter.h"
#include "model/embed.h"
#include "model/weights/safetensors.h"
#include "train/inputs.h"
#include "train/passes.h"
#include "../tap.h"

#include <jansson.h>

#define GOLDEN "tests/golden/lora/"
#define SAME "r=3,alpha=7,target=q_proj+v_proj+fc1+text_projection+visual_projection"
enum { DIM = 16, LAYERS = 14 };

static json_t *golden;

/* A file of the golden numbers or of PEFT's, into a block as the adapters have it; as many tensors as these have. */
static int fill(const struct ft_model *model, const char *path, float *block)
{
    const struct ft_adapters *all = model->adapters;
    struct ft_safetensors files;
    int result = ft_safetensors_open(&files, path);

    for (int i = 0; result == 0 && i < all->parameter_count; i++) {
        const struct ft_parameter *p = &all->parameters[i];
        const struct ft_safetensor *t = NULL;
        static const char *const before[] = {"", "text_model.", "vision_model."};

        for (int k = 0; k < 3 && !t; k++)   /* encoders of both towers have layers of one name: text's come first */
            if (k != (i < 2 * model->towers[FT_TOWER_TEXT]->adapters->count ? 2 : 1))
                t = ft_safetensors_find(&files, ft_arena_print(&arena, "base_model.model.%s%s", before[k], p->name));
        result = t && t->count == p->rows * p->columns ? ft_safetensor_floats(t, block + p->offset) : -1;
    }
    if (result == 0 && files.count != (size_t)all->parameter_count)
        result = -1;
    ft_safetensors_close(&files);
    return result;
}

static double norm_of(const float *x, const float *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - (y ? y[i] : 0)) * ((double)x[i] - (y ? y[i] : 0));
    return sqrt(sum);
}

static double worst(const struct ft_adapters *all, const float *got, const float *want, const float *from, const char **where)
{
    double most = 0;

    for (int i = 0; i < all->parameter_count; i++) {
        const struct ft_parameter *p = &all->parameters[i];
        size_t count = p->rows * p->columns;
        double far = norm_of(got + p->offset, want + p->offset, count) / norm_of(want + p->offset, from ? from + p->offset : NULL, count);

        if (!(far <= most)) {
            most = far;
            *where = p->name;
        }
    }
    return most;
}

static struct ft_model *adapted(const char *directory, const char *settings)
{
    struct ft_model *model = ft_model_open(directory, NULL);
    struct ft_lora lora;

    if (model && ft_lora_parse(&arena, &lora, settings) == 0 && ft_model_adapt(model, &lora) == 0 && ft_adapters_start(model, 5) == 0)
        return model;
    ft_model_close(model);
    return NULL;
}

/* ---- against PEFT ---- */

static void test_reading(const char *adapter)
{
    struct ft_model *model = ft_model_open(adapter, NULL);
    struct ft_batch batch = make_batch(1);
    float out[ITEMS * DIM];
    double most = 0, largest = 0;
    struct ft_embedder *embedder = model ? ft_embedder_open(model, &(struct ft_embed_options){.max_length = 0}) : NULL;
    bool good = embedder && model->tower_count && model->adapter && model->dim == DIM && ft_embedder_run(embedder, batch.content, NULL, ITEMS, out) == 0;

    for (int i = 0; good && i < ITEMS; i++)
        for (int k = 0; k < DIM; k++) {
            double want = json_number_value(json_array_get(json_array_get(json_object_get(golden, i % 2 ? "image" : "text"), (size_t)i / 2), (size_t)k));

            most = fmax(most, fabs(out[i * DIM + k] - want));
            largest = fmax(largest, fabs(want));
        }
    ok(good && most <= 2e-6 * largest, "PEFT's files over a CLIPModel: embeddings within 2e-6 of the largest (%.2g): %s", most / largest, ft_error());
    ft_embedder_close(embedder);
    ft_model_close(model);
}

static int gradient_of(const struct ft_model *model, float scale, double *loss, float *gradient, float *by_scale)
{
    static const char *clip[] = {"clip"};
    const struct ft_list list = {clip, 1};
    const struct ft_settings s = {.precision = "fp32"};
    struct ft_passes *passes = ft_passes_open(model, FT_FP32);
    struct ft_batch batch = make_batch(1);
    float out[ITEMS * DIM], down[ITEMS * DIM], own[16] = {scale}, down_own[16] = {0};
    struct ft_losses *losses = ft_losses_of_batch(&arena, &batch, &list, NULL);
    struct ft_loss_input input = ft_loss_input_of(&batch, out, DIM);
    struct ft_packed packed;
    int result = -1;

    input.weights = own;
    input.weights_gradient = down_own;
    if (passes && losses && ft_inputs_encode(&arena, model, &s, &batch, &packed) == 0 && ft_passes_begin(passes, &packed, 0, 7, 1) == 0 &&
        ft_passes_forward(passes, SIZE_MAX, out) == 0 && ft_losses_compute(losses, &input, loss, down, NULL) == 0)
        result = ft_passes_backward(passes, SIZE_MAX, down, gradient);
    *by_scale = down_own[0];
    ft_passes_close(passes);
    return result;
}

static double said(const char *key, size_t i)
{
    const json_t *value = json_object_get(golden, key);

    return json_number_value(json_is_array(value) ? json_array_get(value, i) : value);
}

static void test_gradients(const char *directory)
{
    struct ft_model *model = adapted(directory, SAME);
    const char *where = "";
    float *want, *got, by_scale;
    double loss = 0, far;

    if (!ok(model && model->adapters->count == LAYERS, "%d layers are adapted: %s", model ? model->adapters->count : 0, model ? "" : ft_error()))
        return;
    want = ft_arena_zero(&arena, model->adapters->block_count, sizeof *want);
    got = ft_arena_zero(&arena, model->adapters->block_count, sizeof *got);
    ok(fill(model, GOLDEN "towers/adapter_model.safetensors", model->adapters->block) == 0 && ft_adapters_merge(model) == 0 &&
       fill(model, GOLDEN "towers-gradients.safetensors", want) == 0, "the golden adapter has just these matrices");
    ok(gradient_of(model, scale_of(directory), &loss, got, &by_scale) == 0, "runs: %s", ft_error());
    is_close(loss, said("loss", 0), 1e-5, "the loss is PEFT's");
    is_close(by_scale, said("gradient", 0), 1e-5, "its gradient by logit_scale");
    far = worst(model->adapters, got, want, NULL, &where);
    ok(far <= 2e-5, "the gradient of every matrix within 2e-5 (worst %.2g, %s)", far, where);
    ft_model_close(model);
}

static void test_steps(const char *directory)
{
    static const char *losses[] = {"clip"};
    char checksum[9];
    struct ft_settings s = {.model = directory, .model_checksum = checksum, .loss = {losses, 1}, .optimizer = "adamw:decay=.01", .schedule = "constant", .lr = 1e-3, .clip = 1,
                            .precision = "fp32", .loss_lr = FT_RATE_AS_MODEL, .lora = SAME};
    const struct ft_trainer_options how = {.keep = 1};
    struct ft_model *base = ft_model_open(directory, NULL), *model;
    struct ft_run *run = base && ft_model_checksum(base, checksum) && ft_run_create(in_place("steps"), &s, 0, NULL) == 0 ? ft_run_open(in_place("steps")) : NULL;
    struct ft_trainer *t = run ? ft_trainer_open(run, &how) : NULL;
    bool good = t && ft_trainer_plan(t, STEPS, 1, 0) == 0;
    float *begin, *want;
    const char *where = "";
    double far;

    model = good ? ft_trainer_model(t) : NULL;
    begin = ft_arena_zero(&arena, good ? model->adapters->block_count : 1, sizeof *begin);
    want = ft_arena_zero(&arena, good ? model->adapters->block_count : 1, sizeof *want);
    good = good && fill(model, GOLDEN "towers/adapter_model.safetensors", begin) == 0 && fill(model, GOLDEN "towers-steps.safetensors", want) == 0;
    if (good)
        memcpy(model->adapters->block, begin, model->adapters->block_count * sizeof *begin);
    good = good && ft_adapters_merge(model) == 0;
    for (uint64_t n = 1; good && n <= STEPS; n++) {
        struct ft_batch batch = make_batch(n);
        struct ft_step_report report;
        struct ft_logits logits = {.there = {false}};

        good = ft_trainer_step(t, &arena, &batch, NULL, &report) == 0;
        ft_weights_own(ft_trainer_weights(t), &logits);
        is_close(report.loss, said("loss", n - 1), 2e-5, "loss of a step");
        is_close(report.gradient_norm, said("norm", n - 1), 2e-5 * said("norm", n - 1), "norm of its gradient");
        is_close(logits.value[FT_LOGIT_SCALE], said("scale", n - 1), 1e-6, "logit_scale after it");
    }
    if (ok(good, "three steps: %s", ft_error())) {
        far = worst(model->adapters, model->adapters->block, want, begin, &where);
        ok(far <= 1e-4, "A and B changed as PyTorch's, within 1e-4 of the change (worst %.2g, %s)", far, where);
        for (int w = 0; w < FT_TOWERS; w++)
            for (int i = 0; i < base->towers[w]->parameter_count; i++) {
                const struct ft_parameter *p = &model->towers[w]->parameters[i];

                good &= p->adapter || memcmp(model->towers[w]->block + p->offset, base->towers[w]->block + p->offset, p->rows * p->columns * sizeof(float)) == 0;
            }
        ok(good, "what has no adapter has not moved");
    }
    ft_trainer_close(t);
    ft_run_close(run);
    ft_model_close(base);
}

/* ---- files ---- */

/* The names that both files have, of how many. */
static size_t same_names(const char *one, const char *other, size_t *count)
{
    struct ft_safetensors a = {0}, b = {0};
    size_t same = 0;

    if (ft_safetensors_open(&a, one) < 0 || ft_safetensors_open(&b, other) < 0)
        return 0;
    for (size_t i = 0; i < a.count; i++)
        same += ft_safetensors_find(&b, a.tensors[i].name) != NULL;
    *count = a.count > b.count ? a.count : b.count;
    ft_safetensors_close(&a);
    ft_safetensors_close(&b);
    return same;
}

/* What came of a run is its adapter over its base, to the bit, with the logit_scale. */
static void test_run(const char *directory, const char *name, const char *lora, const char *freeze)
{
    const char *run = ft_arena_print(&arena, "%s-run", name), *whole = in_place(run), *adapter = ft_arena_print(&arena, "%s/adapter", whole);
    const struct way way = {.loss = "clip", .lora = lora, .freeze = freeze}, stopped = {.loss = "clip", .lora = lora, .freeze = freeze, .stop = 2};
    float scale[STEPS + 1];
    char sum[9], again[9];
    struct ft_model *model, *read, *base = ft_model_open(directory, NULL), *resumed;

    if (!ok(base && train(directory, run, &way, scale) == 0, "%s, --lora %s: trained: %s", name, lora, ft_error()))
        return;
    ok(train(directory, ft_arena_print(&arena, "%s-stopped", run), &stopped, scale) == 0, "stopped, resumed: %s", ft_error());
    model = ft_model_open(whole, NULL);
    resumed = ft_model_open(in_place(ft_arena_print(&arena, "%s-stopped", run)), NULL);
    read = ft_model_open(adapter, NULL);
    if (!ok(model && read && resumed, "its adapter opens: %s", ft_error()))
        return;
    is_text(ft_model_checksum(resumed, again), ft_model_checksum(model, sum), "resumed: the same bytes");
    is_text(ft_model_checksum(read, again), ft_model_checksum(model, sum), "the adapter over its base is the model to the bit");
    ok(read->logits.there[FT_LOGIT_SCALE] && (float)read->logits.value[FT_LOGIT_SCALE] == scale[STEPS] && scale[STEPS] != scale[0] && scale_of(whole) == scale[STEPS],
       "with its logit_scale, %g", (double)scale[STEPS]);
    for (int t = 0; t < FT_TOWERS; t++) {
        size_t first = base->tower_first[t], bytes = base->towers[t]->block_count * sizeof(float);
        bool learns = !(freeze && strcmp(freeze, ft_tower_name((enum ft_tower)t)) == 0) && strncmp(lora, t ? "r=2,target=text" : "r=2,target=image", 15) != 0;

        ok((memcmp(base->block + first, model->block + first, bytes) != 0) == learns, "the %s tower is %s", ft_tower_name((enum ft_tower)t),
           learns ? "another" : "what it was");
    }
    ok(ft_model_save(read, in_place(ft_arena_print(&arena, "%s-merged", run))) == 0 &&
       scale_of(in_place(ft_arena_print(&arena, "%s-merged", run))) == scale[STEPS], "saved as a whole model: %s", ft_error());
    ft_model_close(base);
    ft_model_close(model);
    ft_model_close(resumed);
    ft_model_close(read);
}

static void test_files(const char *clip, const char *joined)
{
    size_t count = 0, same;

    test_run(clip, "clip", SAME, NULL);
    same = same_names(in_place("clip-run/adapter/adapter_model.safetensors"), GOLDEN "towers/adapter_model.safetensors", &count);
    ok(count == 2 * LAYERS && same == count, "%zu of %zu tensors under PEFT's names", same, count);
    test_run(clip, "clip-text", "r=2,target=text.*_proj", NULL);
    test_run(clip, "clip-image", "r=2,target=q_proj+fc2", "text");
    test_run(joined, "joined", "r=2", NULL);
    ok(ft_file_exists(in_place("joined-run/adapter/text/adapter_config.json")) && ft_file_exists(in_place("joined-run/adapter/image/adapter_config.json")),
       "joined: an adapter for each tower");
    test_run(joined, "joined-image", "r=2,target=image.*.value", NULL);
    ok(!ft_file_exists(in_place("joined-image-run/adapter/text")) && ft_file_exists(in_place("joined-image-run/adapter/image/adapter_config.json")), "or for one");
}

/* ---- what is refused ---- */

static void refused(const char *directory, const char *settings, const char *message)
{
    struct ft_model *model = adapted(directory, settings);

    ok(!model && ft_error_status() == FT_USAGE && strstr(ft_error(), message), "%s: %s", settings, model ? "adapted" : ft_error());
    ft_model_close(model);
}

/* The adapter's file with `from` replaced. */
static void damaged(const char *file, const char *from, const char *to, const char *message)
{
    size_t size;
    char *text = ft_file_read(&arena, file, 1 << 16, &size), *at = text ? strstr(text, from) : NULL;
    const char *directory = ft_arena_print(&arena, "%.*s", (int)(strrchr(file, '/') - file), file), *changed;
    struct ft_model *model = NULL;

    if (at) {
        changed = ft_arena_print(&arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
        ft_file_write(file, changed, strlen(changed));
        model = ft_model_open(directory, NULL);
    }
    ok(at && !model && strstr(ft_error(), message), "%s instead of %s: %s", to, from, model ? "opened" : ft_error());
    ft_model_close(model);
    if (text)
        ft_file_write(file, text, size);
}

static void test_refused(const char *clip, const char *open, const char *siglip, const char *joined)
{
    const char *of_joined = in_place("joined-run/adapter/ft.json"), *of_clip = in_place("clip-run/adapter/adapter_config.json");

    refused(clip, "r=2", "target=query names no linear layer: they are called like image.visual_projection");
    refused(clip, "r=2,target=image.*.query", "names no linear layer");
    refused(joined, "r=2,target=text.2_Dense", "names no linear layer");
    refused(open, "r=2,target=out_proj", "names no linear layer");    /* a part of torch's MultiheadAttention */
    refused(open, "r=2,target=*in_proj*", "names no linear layer");
    refused(siglip, "r=2,target=image.head.attention.*", "names no linear layer");
    refused(in_place("joined-run/adapter"), "r=2,target=text.*", "merges that one first");
    refused(in_place("clip-run/adapter"), "r=2,target=text.*", "merges that one first");
    damaged(of_joined, "\"ft\": 1", "\"ft\": 2", "later ft");
    damaged(of_joined, "\"ft\": 1", "\"ft\": 1, \"towers_of\": 3", "'towers_of' is not known");
    damaged(of_joined, "/joined\"", "/nowhere\"", "base_model_name_or_path: ");
    damaged(of_joined, "/joined\"", "/clip\"", "has no two towers that were joined");
    damaged(of_joined, "/joined\"", "/joined-run/adapter\"", "has no two towers that were joined");
    damaged(of_clip, "/clip\"", "/nowhere\"", "base_model_name_or_path: ");
    damaged(of_clip, "/clip\"", "/siglip-projected\"", "is no lora_A or lora_B of a linear layer");
}

int main(int argc, char **argv)
{
    const char *clip, *joined, *adapter;
    size_t size;
    char *text;

    if (read_lists("tests/golden/clip/names.txt") < 0 || read_lists("tests/golden/vision/names-tiny.txt") < 0)
        return 1;
    if (argc == 3) {
        bool own = strcmp(argv[1], "open-clip") == 0;

        if (strcmp(argv[1], "vit") == 0)
            make_vit(argv[2]);
        else
            make_model_in(argv[2], "clip", "clip-hf", argv[1], own ? "open_clip" : "transformers", own ? "open_clip_model.safetensors" : "model.safetensors");
        return 0;
    }
    ft_pool_set_threads(2);
    text = ft_file_read(&arena, GOLDEN "towers.json", 1 << 20, &size);
    ok(mkdtemp(place) && text && (golden = json_loadb(text, size, 0, NULL)), "golden numbers");
    clip = make_model("clip", "transformers", "model.safetensors");
    adapter = in_place("adapter");
    ft_directory_make(adapter);
    copy(GOLDEN "towers/adapter_config.json", ft_arena_print(&arena, "%s/adapter_config.json", adapter));
    copy(GOLDEN "towers/adapter_model.safetensors", ft_arena_print(&arena, "%s/adapter_model.safetensors", adapter));
    test_reading(adapter);
    test_gradients(clip);
    test_steps(clip);
    joined = make_joined("joined", make_vit(in_place("vit")));
    ok(joined != NULL, "joined: %s", ft_error());
    test_files(clip, joined);
    test_refused(clip, make_model("open-clip", "open_clip", "open_clip_model.safetensors"), make_model("siglip-projected", "transformers", "model.safetensors"), joined);
    ft_directory_remove(place);
    json_decref(golden);
    ft_arena_free(&arena);
    return done();
}
