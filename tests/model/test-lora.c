/* test-lora.c - adapters against PEFT: gradients of A and B in float64, embeddings with an adapter read from its files, files written and read again; what is
 * refused. The numbers and how they were made: tests/golden/lora/make.py. */
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "model/adapter.h"
#include "model/embed.h"
#include "model/encode.h"
#include "model/run/runner.h"
#include "model/weights/safetensors.h"
#include "../tap.h"
#include "train/optimizer.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>

#define GOLDEN "tests/golden/lora/"
#define BASE "tests/golden/model/mean"
enum { MOST = 16, DIM = 20 };

static struct ft_arena arena;

static json_t *read_json(const char *path)
{
    size_t size;
    char *text = ft_file_read(&arena, path, 1 << 20, &size);

    return text ? json_loadb(text, size, JSON_ALLOW_NUL, NULL) : NULL;
}

static double norm_of(const float *x, const float *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - (y ? y[i] : 0)) * ((double)x[i] - (y ? y[i] : 0));
    return sqrt(sum);
}

/* The golden adapter over the golden model, dropout off. */
static struct ft_model *adapted(const char *settings)
{
    struct ft_model *model = ft_model_open(BASE, NULL);
    struct ft_lora lora;

    if (!model || ft_lora_parse(&arena, &lora, settings) < 0 || ft_model_adapt(model, &lora) < 0 || ft_adapters_start(model, 5) < 0) {
        ft_model_close(model);
        return NULL;
    }
    for (int i = 0; i < model->node_count; i++)
        if (model->nodes[i].op == FT_OP_DROPOUT || model->nodes[i].op == FT_OP_ATTENTION)
            model->nodes[i].rate = 0;
    return model;
}

static const char *const same = "r=3,alpha=7,target=query+value+*.dense";

/* Parameters from a file of PEFT's. */
static int fill(const struct ft_adapters *all, const char *path, float *block)
{
    struct ft_safetensors files;
    int result = ft_safetensors_open(&files, path);

    for (int i = 0; i < all->parameter_count && result == 0; i++) {
        const struct ft_parameter *p = &all->parameters[i];
        const struct ft_safetensor *t = ft_safetensors_find(&files, ft_arena_print(&arena, "base_model.model.%s", p->name));

        result = t && t->count == p->rows * p->columns ? ft_safetensor_floats(t, block + p->offset) : -1;
    }
    if (result == 0 && files.count != (size_t)all->parameter_count)
        result = -1;
    ft_safetensors_close(&files);
    return result;
}

static int gradients(struct ft_model *model, int flags, size_t per_chunk, enum ft_precision precision, bool group, double *loss, float *gradient)
{
    json_t *golden = read_json("tests/golden/model/gradients.json"), *texts = json_object_get(golden, "texts");
    struct ft_runner *runner = ft_runner_open(model, FT_PLAN_TRAINING | flags, precision);
    const struct ft_prompts none = {{NULL}};
    struct ft_string text[MOST];
    size_t n = json_array_size(texts);
    float out[MOST * DIM], dout[MOST * DIM];
    struct ft_packed packed;
    struct ft_cut cut;
    int result = 0;

    for (size_t i = 0; i < n; i++)
        text[i] = ft_string_of(json_string_value(json_array_get(texts, i)));
    if (!runner || ft_encode_texts(&arena, model, &none, 0, text, NULL, n, &packed) < 0 || ft_cut_make(&arena, &packed, per_chunk, &cut) < 0 ||
        ft_runner_batch(runner, &packed, &cut, 1, 1) < 0)
        return -1;
    for (size_t c = 0; c < cut.chunk_count; c += group ? cut.chunk_count : 1)
        result |= ft_runner_forward(runner, c, group ? cut.chunk_count : 1, out);
    *loss = 0;
    for (size_t i = 0; i < n * DIM; i++) {
        dout[i] = (float)sin(7.0 * (double)(i / DIM) + 3.0 * (double)(i % DIM) + 1);
        *loss += sin(7.0 * (double)(i / DIM) + 3.0 * (double)(i % DIM) + 1) * out[i];
    }
    for (size_t c = 0; c < cut.chunk_count; c += group ? cut.chunk_count : 1)
        result |= ft_runner_backward(runner, c, group ? cut.chunk_count : 1, dout, gradient);
    ft_runner_close(runner);
    json_decref(golden);
    return result;
}

static double worst(const struct ft_adapters *all, const float *got, const float *want, const char **where)
{
    double most = 0;

    for (int i = 0; i < all->parameter_count; i++) {
        const struct ft_parameter *p = &all->parameters[i];
        double far = norm_of(got + p->offset, want + p->offset, p->rows * p->columns) / norm_of(want + p->offset, NULL, p->rows * p->columns);

        if (!(far <= most)) {
            most = far;
            *where = p->name;
        }
    }
    return most;
}

static void test_gradients(void)
{
    static const struct {
        const char *name;
        int flags;
        size_t per_chunk;
        bool group;
    } cases[] = {{"fused", 0, 0, false}, {"unfused", FT_PLAN_UNFUSED, 0, false}, {"chunks of 2", 0, 2, false}, {"chunks of 2 together", 0, 2, true}};
    struct ft_model *model = adapted(same);
    json_t *golden = read_json(GOLDEN "gradients.json");
    double want_loss = json_number_value(json_array_get(json_object_get(golden, "loss"), 0));
    float *want, *got, *first = NULL;

    if (!ok(model && model->adapters->count == 10, "ten layers are adapted: %s", ft_error()))
        return;
    want = ft_arena_zero(&arena, model->adapters->block_count, sizeof *want);
    ok(fill(model->adapters, GOLDEN "adapter/adapter_model.safetensors", model->adapters->block) == 0 && ft_adapters_merge(model) == 0 &&
       fill(model->adapters, GOLDEN "gradients.safetensors", want) == 0, "the golden adapter has just these matrices");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *where = "";
        double loss = 0, far;

        got = ft_arena_zero(&arena, model->adapters->block_count, sizeof *got);
        ok(gradients(model, cases[i].flags, cases[i].per_chunk, FT_FP32, cases[i].group, &loss, got) == 0, "%s: runs: %s", cases[i].name, ft_error());
        is_close(loss, want_loss, 1e-5, "the loss is PEFT's");
        far = worst(model->adapters, got, want, &where);
        ok(norm_of(got, want, model->adapters->block_count) <= 1e-5 * norm_of(want, NULL, model->adapters->block_count),
           "%s: the gradient within 1e-5 of PyTorch's in float64 (%.2g)", cases[i].name,
           norm_of(got, want, model->adapters->block_count) / norm_of(want, NULL, model->adapters->block_count));
        /* s B^T dW keeps the error of dW, which on AMX is 9e-6 of dW's norm, where its own norm is a small part of that: the query of the last layer. */
        ok(far <= 2e-5, "%s: that of every matrix within 2e-5 (worst %.2g, %s)", cases[i].name, far, where);
        if (i == 2)
            first = got;
        if (i == 3)
            ok(memcmp(first, got, model->adapters->block_count * sizeof *got) == 0, "chunks together: the same bits");
    }
    got = ft_arena_zero(&arena, model->adapters->block_count, sizeof *got);
    gradients(model, 0, 0, FT_BF16, false, &want_loss, got);
    ok(norm_of(got, want, model->adapters->block_count) <= 2e-2 * norm_of(want, NULL, model->adapters->block_count),
       "bf16: the gradient within 2 %% of float64's (%.2g %%)",
       100 * norm_of(got, want, model->adapters->block_count) / norm_of(want, NULL, model->adapters->block_count));
    json_decref(golden);
    ft_model_close(model);
}

static void test_steps(void)
{
    struct ft_model *model = adapted(same), *base = ft_model_open(BASE, NULL);
    json_t *golden = read_json("tests/golden/model/gradients.json"), *own = read_json(GOLDEN "gradients.json");
    struct ft_parameters trained = ft_model_trained(model);
    struct ft_optimizer_settings settings;
    struct ft_optimizer *optimizer;
    float *gradient = ft_arena_zero(&arena, trained.block_count, sizeof *gradient), *want = ft_arena_zero(&arena, trained.block_count, sizeof *want);
    double losses = 0, norms = 0, far;
    const char *where = "";
    int result = ft_optimizer_parse(&settings, "adamw:decay=.01");

    fill(model->adapters, GOLDEN "adapter/adapter_model.safetensors", trained.block);
    fill(model->adapters, GOLDEN "steps.safetensors", want);
    optimizer = ft_optimizer_open(&trained, &settings, NULL);
    for (size_t step = 0; step < 5 && result == 0; step++) {
        struct ft_optimizer_how how = {.lr = json_number_value(json_array_get(json_object_get(golden, "lr"), step))};
        double loss, norm;

        result = ft_adapters_merge(model) | gradients(model, 0, 0, FT_FP32, false, &loss, gradient);
        norm = sqrt(ft_optimizer_square(optimizer, gradient));
        how.scale = ft_clip_scale(norm, 1);
        result |= ft_optimizer_step(optimizer, gradient, &how);
        losses = fmax(losses, fabs(loss - json_number_value(json_array_get(json_object_get(own, "loss"), step))));
        norms = fmax(norms, fabs(norm / json_number_value(json_array_get(json_object_get(own, "norm"), step)) - 1));
    }
    ok(result == 0 && losses <= 2e-5 && norms <= 1e-5, "five steps of AdamW: losses within 2e-5 (%.2g), norms within 1e-5 (%.2g)", losses, norms);
    far = worst(model->adapters, trained.block, want, &where);
    ok(far <= 1e-4, "A and B are PyTorch's (worst %.2g, %s)", far, where);
    ok(memcmp(model->adapters->base, base->block + base->parameters[model->adapters->items[0].weight].offset, 400 * sizeof(float)) == 0,
       "W itself has not moved");
    ft_optimizer_close(optimizer);
    ft_model_close(model);
    ft_model_close(base);
    json_decref(golden);
    json_decref(own);
}

/* Embeddings against a file of them; the farthest coordinate. */
static double farthest(const struct ft_model *model, const char *path)
{
    size_t size;
    char *all = ft_file_read(&arena, path, 1 << 20, &size);
    double most = 0;

    for (char *line = all, *end; line && *line; line = end + 1) {
        float out[DIM];
        json_t *root;
        struct ft_string text;

        end = strchr(line, '\n');
        root = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
        text = (struct ft_string){json_string_value(json_object_get(root, "text")), json_string_length(json_object_get(root, "text"))};
        if (ft_embed_texts(model, &(struct ft_embed_options){.max_length = 0}, &text, 1, out) < 0)
            return INFINITY;
        for (size_t i = 0; i < DIM; i++)
            most = fmax(most, fabs(out[i] - json_number_value(json_array_get(json_object_get(root, "embedding"), i))));
        json_decref(root);
    }
    return all ? most : INFINITY;
}

static void test_reading(void)
{
    struct ft_model *base = ft_model_open(BASE, NULL), *model = ft_model_open(GOLDEN "adapter", NULL), *rank2 = ft_model_open(GOLDEN "rslora", NULL);
    struct ft_model *own = ft_model_open(GOLDEN "modules", NULL);
    double far;

    if (!ok(base && model && rank2 && own, "adapters open over their base model: %s", ft_error()))
        return;
    far = farthest(model, GOLDEN "embeddings.jsonl");
    ok(far <= 2e-6, "embeddings within 2e-6 of PEFT's (farthest %.2g)", far);
    far = farthest(rank2, GOLDEN "rslora.jsonl");
    ok(far <= 2e-6, "with use_rslora too (farthest %.2g)", far);
    far = farthest(own, GOLDEN "modules.jsonl");
    ok(!own->normalized && far <= 2e-6, "with modules beside it, whose embeddings are no unit vectors (farthest %.2g)", far);
    ok(farthest(base, GOLDEN "embeddings.jsonl") > 1e-2, "and the base model's are others");
    ft_model_close(base);
    ft_model_close(model);
    ft_model_close(rank2);
    ft_model_close(own);
}

/* What training begins with, and what a file keeps. */
static void test_start(void)
{
    struct ft_model *base = ft_model_open(BASE, NULL), *model = adapted("r=4,alpha=6"), *again;
    char directory[] = "/tmp/ft-test-lora-XXXXXX", sum[9], other[9], back[9], place[PATH_MAX];
    const struct ft_parameter *a = model ? model->adapters->items[0].a : NULL;
    double most = 0, mean = 0;

    if (!ok(base && model && mkdtemp(directory), "adapters of query and value: %s", ft_error()))
        return;
    for (size_t i = 0; i < 4 * DIM; i++) {
        most = fmax(most, fabs(model->adapters->block[a->offset + i]));
        mean += model->adapters->block[a->offset + i] / (4 * DIM);
    }
    ok(most <= 1 / sqrt(DIM) && most > .9 / sqrt(DIM) && fabs(mean) < .05, "A is uniform in +-1/sqrt(I) (largest %.3f, mean %.3f)", most, mean);
    ft_adapters_merge(model);
    is_text(ft_model_checksum(model, sum), ft_model_checksum(base, other), "B is zero: the model begins as its base");
    for (size_t i = 0; i < model->adapters->block_count; i++)
        model->adapters->block[i] += .01f * (float)(i % 7);
    ft_adapters_merge(model);
    ok(strcmp(ft_model_checksum(model, sum), other) != 0, "what is merged is another model");
    ok(ft_adapters_save(model, directory, realpath(BASE, place)) == 0 && (again = ft_model_open(directory, NULL)), "written and read: %s", ft_error());
    is_text(ft_model_checksum(again, back), sum, "the same model to the bit");
    ft_model_close(again);
    memset(model->adapters->block, 0, model->adapters->block_count * sizeof(float));
    ft_adapters_merge(model);
    is_text(ft_model_checksum(model, sum), other, "zero adapters give the base model back to the bit");
    ft_directory_remove(directory);
    ft_model_close(base);
    ft_model_close(model);
}

static void refused(const char *settings, const char *message)
{
    struct ft_model *model = adapted(settings);

    ok(!model && ft_error_status() == FT_USAGE && strstr(ft_error(), message), "%s: %s", settings, ft_error());
    ft_model_close(model);
}

static void count(const char *settings, int layers)
{
    struct ft_model *model = adapted(settings);

    ok(model && model->adapters->count == layers && model->nodes[0].frozen, "%s: %d layers, all else is frozen", settings, layers);
    ft_model_close(model);
}

static void test_settings(void)
{
    struct ft_model *model = ft_model_open(BASE, NULL);
    struct ft_lora lora;

    count("r=1", 4);
    count("target=all-linear", 12);
    count("target=encoder.layer.1.*", 6);
    count("target=query+encoder.layer.0.output.dense", 3);
    refused("", "expected key=value");
    refused("r", "expected key=value");
    refused("r=0", "expected 1 to");
    refused("r=1.5", "expected a whole number");
    refused("r=99999999", "expected 1 to");
    refused("alpha=x", "alpha");
    refused("alpha=nan", "alpha");
    refused("dropout=.1", "expected 0");
    refused("bias=all", "expected none");
    refused("use_dora=1", "no key 'use_dora'");
    refused("target=queries", "names no linear layer: they are called like encoder.layer.1.output.dense");
    refused("target=query+", "names no linear layer");
    refused("target=pooling", "names no linear layer");
    ok(model && ft_lora_parse(&arena, &lora, "use_rslora=1,r=4,alpha=6") == 0 && fabs(ft_lora_scale(&lora) - 3) < 1e-12, "rsLoRA's scale");
    ok(ft_model_freeze(model, "encoder.layer.0.*", true) == 0 && ft_model_adapt(model, &lora) == 0 && model->adapters->count == 2,
       "frozen layers get no adapters");
    ft_model_close(model);
    model = ft_model_open(BASE, NULL);
    ok(ft_model_freeze(model, "encoder.*", true) == 0 && ft_model_adapt(model, &lora) < 0 && strstr(ft_error(), "are frozen"), "all frozen: %s", ft_error());
    ft_model_close(model);
}

/* A copy of the golden adapter with its configuration changed. */
static void broken(const char *from, const char *to, const char *message)
{
    char directory[] = "/tmp/ft-test-lora-XXXXXX";
    size_t size, weights;
    char place[PATH_MAX];
    char *text = ft_file_read(&arena, GOLDEN "adapter/adapter_config.json", 1 << 16, &size), *at = text ? strstr(text, from) : NULL;
    char *data = ft_file_read(&arena, GOLDEN "adapter/adapter_model.safetensors", 1 << 20, &weights);
    struct ft_model *model;

    if (!at || !data || !mkdtemp(directory)) {
        ok(false, "no %s", from);
        return;
    }
    text = ft_arena_print(&arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    at = strstr(text, "../../model/mean");
    if (at)
        text = ft_arena_print(&arena, "%.*s%s%s", (int)(at - text), text, realpath(BASE, place), at + strlen("../../model/mean"));
    ft_file_write(ft_arena_print(&arena, "%s/adapter_config.json", directory), text, strlen(text));
    ft_file_write(ft_arena_print(&arena, "%s/adapter_model.safetensors", directory), data, weights);
    model = ft_model_open(directory, NULL);
    if (*message)
        ok(!model && strstr(ft_error(), message), "%s: %s", to, ft_error());
    else
        ok(model != NULL, "the copy itself is good: %s", ft_error());
    ft_model_close(model);
    ft_directory_remove(directory);
}

static void test_broken(void)
{
    broken("\"LORA\"", "\"LORA\"", "");
    broken("\"LORA\"", "\"LOHA\"", "peft_type 'LOHA'");
    broken("\"LORA\"", "3", "peft_type ''");
    broken("\"use_dora\": false", "\"use_dora\": true", "use_dora is not supported");
    broken("\"fan_in_fan_out\": false", "\"fan_in_fan_out\": true", "fan_in_fan_out is not supported");
    broken("\"modules_to_save\": null", "\"modules_to_save\": [\"dense\"]", "modules_to_save is not supported");
    broken("\"alpha_pattern\": {}", "\"alpha_pattern\": {\"query\": 3}", "alpha_pattern is not supported");
    broken("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"", "init_lora_weights 'pissa'");
    broken("\"bias\": \"none\"", "\"bias\": \"all\"", "bias 'all'");
    broken("\"lora_alpha\": 7", "\"lora_alpha\": -7", "lora_alpha");
    broken("\"lora_alpha\": 7", "\"lora_alpha\": \"7\"", "lora_alpha");
    broken("\"use_rslora\": false", "\"use_rslora\": 3", "use_rslora");
    broken("../../model/mean", "no/such-model", "base_model_name_or_path");
    broken("\"base_model_name_or_path\"", "\"base\"", "no base_model_name_or_path");
    broken("../../model/mean", "../../model/dense\", \"x\": \"", "base_model_name_or_path");
    broken("{", "[", "adapter_config.json");
}

/* The file of tensors cut at any byte, and tensors that do not fit. */
static void test_tensors(void)
{
    char directory[] = "/tmp/ft-test-lora-XXXXXX";
    const char *file = mkdtemp(directory) ? ft_arena_print(&arena, "%s/adapter_model.safetensors", directory) : NULL;
    struct ft_model *model = ft_model_open(BASE, NULL);
    float *block = ft_arena_zero(&arena, model->block_count, sizeof *block), zeros[60] = {0};
    struct ft_safetensor pair[2] = {{.name = "base_model.model.encoder.layer.0.attention.self.query.lora_A.weight", .dtype = "F32", .rank = 2,
                                     .shape = {3, 20}, .count = 60, .data = zeros, .size = sizeof zeros}};
    size_t size, good = 0, config;
    char *data = ft_file_read(&arena, GOLDEN "adapter/adapter_model.safetensors", 1 << 20, &size);
    char *text = ft_file_read(&arena, GOLDEN "adapter/adapter_config.json", 1 << 16, &config);

    ft_file_write(ft_arena_print(&arena, "%s/adapter_config.json", directory), text, config);
    for (size_t n = 0; n < size; n += n < 2000 ? 1 : 97) {
        ft_file_write(file, data, n);
        good += ft_adapter_add(model, block, directory) == 0;
    }
    ok(good == 0, "a file cut at any byte is refused");
    pair[1] = pair[0];
    ok(ft_safetensors_write(file, pair, 1) == 0 && ft_adapter_add(model, block, directory) < 0 && strstr(ft_error(), "no tensor"), "A without B: %s", ft_error());
    pair[1].name = "base_model.model.encoder.layer.0.attention.self.query.lora_B.weight";
    ok(ft_safetensors_write(file, pair, 2) == 0 && ft_adapter_add(model, block, directory) < 0 && strstr(ft_error(), "do not fit"), "B's shape: %s", ft_error());
    pair[1].shape[0] = 20, pair[1].shape[1] = 3;
    ok(ft_safetensors_write(file, pair, 2) == 0 && ft_adapter_add(model, block, directory) == 0, "a pair that fits: %s", ft_error());
    ok(ft_safetensors_write(file, pair + 1, 1) == 0 && ft_adapter_add(model, block, directory) < 0 && strstr(ft_error(), "a lora_B for each"), "B alone: %s", ft_error());
    pair[0].name = "base_model.model.embeddings.word_embeddings.lora_A.weight";
    ok(ft_safetensors_write(file, pair, 1) == 0 && ft_adapter_add(model, block, directory) < 0 && strstr(ft_error(), "is no lora_A"), "no linear layer: %s", ft_error());
    ft_model_close(model);
    ft_directory_remove(directory);
}

int main(void)
{
    ft_pool_set_threads(2);
    test_gradients();
    test_steps();
    test_reading();
    test_start();
    test_settings();
    test_broken();
    test_tensors();
    ft_arena_free(&arena);
    return done();
}
