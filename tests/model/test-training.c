/* test-training.c - a whole small BERT against PyTorch in float64: every gradient, five optimizer steps; the fused plan against the unfused
 * one; chunks against no chunks. The numbers and how they were made: tests/golden/model/make.py. */
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/random.h"
#include "model/encode.h"
#include "model/run/runner.h"
#include "model/weights/safetensors.h"
#include "../tap.h"
#include "train/optimizer.h"

#include <jansson.h>
#include <stdlib.h>

#define GOLDEN "tests/golden/model/"

static struct ft_arena arena;

static json_t *read_json(const char *path)
{
    size_t size;
    char *text = ft_file_read(&arena, path, 1 << 20, &size);

    return text ? json_loadb(text, size, 0, NULL) : NULL;
}

/* The ids of `text` from inputs.jsonl, so that this test does not hang on the tokenizer's. */
static size_t find_ids(const char *text, int32_t *ids)
{
    size_t size, count = 0;
    char *all = ft_file_read(&arena, GOLDEN "inputs.jsonl", 1 << 20, &size);

    for (char *line = all, *end; line && *line; line = end + 1) {
        json_t *root;

        end = strchr(line, '\n');
        root = json_loadb(line, (size_t)(end - line), 0, NULL);
        if (strcmp(json_string_value(json_object_get(root, "text")), text) == 0) {
            json_t *array = json_object_get(root, "ids");

            for (count = 0; count < json_array_size(array); count++)
                ids[count] = (int32_t)json_integer_value(json_array_get(array, count));
        }
        json_decref(root);
    }
    return count;
}

static int pack_texts(const json_t *texts, struct ft_packed *packed)
{
    packed->texts = json_array_size(texts);
    packed->second = NULL;
    packed->id = ft_arena_take(&arena, 4096 * sizeof(int32_t));
    packed->offset = ft_arena_take(&arena, 64 * sizeof(uint32_t));
    packed->offset[0] = 0;
    for (size_t i = 0; i < packed->texts; i++) {
        size_t n = find_ids(json_string_value(json_array_get(texts, i)), packed->id + packed->offset[i]);

        if (!n)
            return -1;
        packed->offset[i + 1] = packed->offset[i] + (uint32_t)n;
    }
    return 0;
}

static void set_rates(struct ft_model *model, float rate)
{
    for (int i = 0; i < model->node_count; i++)
        if (model->nodes[i].op == FT_OP_DROPOUT || model->nodes[i].op == FT_OP_ATTENTION)
            model->nodes[i].rate = rate;
}

struct outcome {
    double loss;
    float *embedding, *gradient;
};

/* How many chunks go together. */
static size_t together = 1;

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Forward, loss = sum sin(7 i + 3 j + 1) e_ij, backward. */
static enum ft_precision precision = FT_FP32;

static int work(struct ft_model *model, const struct ft_packed *packed, int flags, size_t per_chunk, uint64_t batch,
                struct outcome *outcome)
{
    struct ft_runner *runner = ft_runner_open(model, FT_PLAN_TRAINING | flags, precision);
    size_t n = packed->texts, d = model->dim;
    float *dout = ft_arena_take(&arena, n * d * sizeof *dout);
    struct ft_cut cut;
    int result = 0;

    outcome->embedding = ft_arena_zero(&arena, n * d, sizeof(float));
    outcome->gradient = ft_arena_zero(&arena, model->block_count, sizeof(float));
    outcome->loss = 0;
    if (!runner || ft_cut_make(&arena, packed, per_chunk, &cut) < 0 || ft_runner_batch(runner, packed, &cut, 1, batch) < 0)
        return -1;
    for (size_t c = 0; c < cut.chunk_count; c += together)
        result |= ft_runner_forward(runner, c, least(together, cut.chunk_count - c), outcome->embedding);
    for (size_t i = 0; i < n * d; i++) {
        dout[i] = (float)sin(7.0 * (double)(i / d) + 3.0 * (double)(i % d) + 1);
        outcome->loss += sin(7.0 * (double)(i / d) + 3.0 * (double)(i % d) + 1) * outcome->embedding[i];
    }
    for (size_t c = 0; c < cut.chunk_count; c += together)
        result |= ft_runner_backward(runner, c, least(together, cut.chunk_count - c), dout, outcome->gradient);
    ft_runner_close(runner);
    return result;
}

static double norm_of(const float *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum);
}

/* The worst distance over all parameters, in units of `share` of max(the parameter's norm, 1e-6 of the whole). */
static double worst(const struct ft_model *model, const float *got, const struct ft_safetensors *want, double whole,
                    const char **where)
{
    double most = 0;

    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];
        const struct ft_safetensor *t = ft_safetensors_find(want, p->name);
        size_t n = p->rows * p->columns;
        float *reference = ft_arena_take(&arena, n * sizeof(float));
        double floor_norm = 1e-6 * whole, norm, far;

        if (!t || t->count != n || ft_safetensor_floats(t, reference) < 0) {
            *where = p->name;
            return INFINITY;
        }
        norm = norm_of(reference, n);
        far = distance(got + p->offset, reference, n) / (norm > floor_norm ? norm : floor_norm);
        if (!(far <= most)) {
            most = far;
            *where = p->name;
        }
    }
    return most;
}

static void test_gradients(struct ft_model *model, const struct ft_packed *packed, const json_t *golden)
{
    const double whole = json_number_value(json_array_get(json_object_get(golden, "norm"), 0));
    const double loss = json_number_value(json_array_get(json_object_get(golden, "loss"), 0));
    const struct {
        const char *name;
        int flags;
        size_t per_chunk;
    } cases[] = {{"fused", 0, 0}, {"unfused", FT_PLAN_UNFUSED, 0}, {"fused, chunks of 2", 0, 2}, {"fused, chunks of 1", 0, 1}};
    struct ft_safetensors want = {0};
    struct outcome out;

    ok(ft_safetensors_open(&want, GOLDEN "gradients.safetensors") == 0, "golden gradients: %s", ft_error());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *where = "";
        double far;

        ok(work(model, packed, cases[i].flags, cases[i].per_chunk, 1, &out) == 0, "%s: runs: %s", cases[i].name, ft_error());
        is_close(out.loss, loss, 2e-6 * 5, "the loss");
        far = worst(model, out.gradient, &want, whole, &where);
        ok(far <= 1e-5, "%s: every gradient within 1e-5 of float64 (worst %.2g, %s)", cases[i].name, far, where);
    }
    precision = FT_BF16;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double far = 0;

        ok(work(model, packed, cases[i].flags, cases[i].per_chunk, 1, &out) == 0, "%s, bf16: runs: %s", cases[i].name, ft_error());
        for (int p = 0; p < model->parameter_count; p++) {
            const struct ft_parameter *at = &model->parameters[p];
            const struct ft_safetensor *t = ft_safetensors_find(&want, at->name);
            float *reference = ft_arena_take(&arena, at->rows * at->columns * sizeof(float));

            if (t != NULL && ft_safetensor_floats(t, reference) == 0)
                far = hypot(far, distance(out.gradient + at->offset, reference, at->rows * at->columns));
        }
        ok(far <= 2e-2 * whole && far > 1e-4 * whole, "%s, bf16: the gradient within 2 %% of float64's (%.2g %%)", cases[i].name, 100 * far / whole);
    }
    precision = FT_FP32;
    ft_safetensors_close(&want);
}

static void test_fusion_with_dropout(struct ft_model *model, const struct ft_packed *packed)
{
    struct outcome fused, unfused, again, other, chunked, joined;
    size_t n = packed->texts * model->dim;

    set_rates(model, .1f);
    work(model, packed, 0, 0, 3, &fused);
    work(model, packed, 0, 0, 3, &again);
    work(model, packed, FT_PLAN_UNFUSED, 0, 3, &unfused);
    work(model, packed, 0, 0, 4, &other);
    work(model, packed, 0, 2, 3, &chunked);
    together = 3;
    work(model, packed, 0, 2, 3, &joined);
    together = 1;
    ok(memcmp(chunked.gradient, joined.gradient, model->block_count * 4) == 0 && memcmp(chunked.embedding, joined.embedding, n * 4) == 0,
       "chunks that go together give the same bits");
    ok(memcmp(fused.gradient, again.gradient, model->block_count * 4) == 0, "dropout: the same batch number gives the same bits");
    ok(distance(fused.embedding, unfused.embedding, n) < 1e-6 * norm_of(fused.embedding, n), "dropout: fused and unfused embeddings agree");
    ok(distance(fused.gradient, unfused.gradient, model->block_count) < 1e-5 * norm_of(fused.gradient, model->block_count),
       "dropout: fused and unfused gradients agree");
    ok(distance(fused.gradient, chunked.gradient, model->block_count) < 1e-6 * norm_of(fused.gradient, model->block_count),
       "dropout: masks do not depend on chunks");
    ok(distance(fused.embedding, other.embedding, n) > 1e-3 * norm_of(fused.embedding, n), "dropout: another batch number, another mask");
    set_rates(model, 0);
}

/* Gradients by central differences along random directions, dropout on: the masks are fixed, so the function is smooth. */
static void test_differences(struct ft_model *model, const struct ft_packed *packed)
{
    struct ft_random random = ft_random_start(5, 0);
    float *saved = ft_arena_take(&arena, model->block_count * 4), *direction = ft_arena_take(&arena, model->block_count * 4);
    struct outcome at, plus, minus;

    set_rates(model, .2f);
    memcpy(saved, model->block, model->block_count * 4);
    work(model, packed, 0, 0, 9, &at);
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];
        double slope = 0, size = p->rows * p->columns > 1 ? sqrt((double)(p->rows * p->columns)) : 1, difference;
        const double h = 5e-3;

        for (size_t k = 0; k < p->rows * p->columns; k++) {
            direction[k] = (float)(ft_random_normal(&random) / size);
            slope += (double)direction[k] * at.gradient[p->offset + k];
        }
        for (int sign = -1; sign <= 1; sign += 2) {
            for (size_t k = 0; k < p->rows * p->columns; k++)
                model->block[p->offset + k] = (float)(saved[p->offset + k] + sign * h * direction[k]);
            work(model, packed, 0, 0, 9, sign < 0 ? &minus : &plus);
        }
        memcpy(model->block, saved, model->block_count * 4);
        difference = (plus.loss - minus.loss) / (2 * h);
        if (!(fabs(difference - slope) <= 2e-3 * (fabs(slope) + .05)))
            ok(false, "%s: slope %.6g, central difference %.6g", p->name, slope, difference);
    }
    ok(true, "central differences of %d parameters were taken", model->parameter_count);
    set_rates(model, 0);
}

static void test_steps(struct ft_model *model, const struct ft_packed *packed, const json_t *golden)
{
    struct ft_optimizer_settings settings;
    struct ft_parameters parameters = ft_model_parameters(model);
    struct ft_optimizer *optimizer;
    struct ft_safetensors want = {0};
    const char *where = "";
    struct outcome out;
    struct ft_optimizer_how how;
    double norm, far;

    ft_optimizer_parse(&settings, "adamw:decay=.01");
    optimizer = ft_optimizer_open(&parameters, &settings, NULL);
    for (uint64_t step = 1; step <= 5; step++) {
        work(model, packed, 0, 0, step, &out);
        is_close(out.loss, json_number_value(json_array_get(json_object_get(golden, "loss"), step - 1)), 1e-4, "loss before the step");
        ft_optimizer_touch(optimizer, packed);
        norm = sqrt(ft_optimizer_square(optimizer, out.gradient));
        how = (struct ft_optimizer_how){json_number_value(json_array_get(json_object_get(golden, "lr"), step - 1)), NULL, ft_clip_scale(norm, 1)};
        ok(ft_optimizer_step(optimizer, out.gradient, &how) == 0, "step %d: %s", (int)step, ft_error());
        is_close(norm, json_number_value(json_array_get(json_object_get(golden, "norm"), step - 1)), 1e-4 * norm, "gradient norm");
        ok(norm_of(out.gradient, model->block_count) == 0, "the gradient is zero again");
    }
    ok(ft_safetensors_open(&want, GOLDEN "steps.safetensors") == 0, "golden steps: %s", ft_error());
    far = worst(model, model->block, &want, 0, &where);
    ok(far < 1e-5, "after five steps every parameter within 1e-5 (worst %.2g, %s)", far, where);
    ft_safetensors_close(&want);
    ft_optimizer_close(optimizer);
}

/* A table of biases that learns alone has the gradient it has in company, to the bit. */
static void test_bias_alone(struct ft_model *model, const struct ft_packed *packed)
{
    struct outcome whole, alone;
    int table = -1;

    for (int i = 0; i < model->node_count; i++)
        table = table < 0 && model->nodes[i].op == FT_OP_RELATIVE_BIAS ? model->nodes[i].parameters[0] : table;
    if (table < 0)
        return;
    work(model, packed, 0, 0, 3, &whole);
    ok(ft_model_freeze(model, "*", true) == 0 && ft_model_freeze(model, "*relative_attention_bias", false) == 0, "all but the biases are frozen");
    work(model, packed, 0, 0, 3, &alone);
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];
        size_t n = p->rows * p->columns;

        if (p->frozen ? norm_of(alone.gradient + p->offset, n) > 0 : memcmp(alone.gradient + p->offset, whole.gradient + p->offset, n * 4) != 0)
            ok(false, "%s: the gradient of what is frozen is 0, of the biases what it was", p->name);
    }
    ok(norm_of(alone.gradient, model->block_count) > 0, "the biases learn alone");
    ft_model_freeze(model, "*", false);
}

/* A family of tests/golden/model/make-families.py, or of make-static.py: all of its gradients, fused, unfused and in chunks; ids by its own tokenizer. */
static void test_family(const char *folder, const char *name)
{
    json_t *golden = read_json(ft_arena_print(&arena, GOLDEN "%s/gradients.json", folder));
    const json_t *texts = json_object_get(golden, "texts"), *numbers = json_object_get(json_object_get(golden, "families"), name);
    const double whole = json_number_value(json_object_get(numbers, "norm")), loss = json_number_value(json_object_get(numbers, "loss"));
    struct ft_model *model = ft_model_open(ft_arena_print(&arena, GOLDEN "%s/%s", folder, name), NULL);
    struct ft_safetensors want = {0};
    struct ft_string text[16];
    struct ft_packed packed;
    struct outcome out;

    for (size_t i = 0; i < json_array_size(texts); i++)
        text[i] = ft_string_of(json_string_value(json_array_get(texts, i)));
    if (!ok(model && ft_encode_texts(&arena, model, &model->prompts, 0, text, NULL, json_array_size(texts), &packed) == 0 &&
            ft_safetensors_open(&want, ft_arena_print(&arena, GOLDEN "%s/%s.safetensors", folder, name)) == 0, "%s opens: %s", name, ft_error()))
        return;
    set_rates(model, 0);
    for (int flags = 0; flags <= FT_PLAN_UNFUSED; flags += FT_PLAN_UNFUSED)
        for (size_t per_chunk = 0; per_chunk <= 2; per_chunk += 2) {
            const char *where = "";
            double far = INFINITY;

            if (work(model, &packed, flags, per_chunk, 1, &out) == 0)
                far = worst(model, out.gradient, &want, whole, &where);
            is_close(out.loss, loss, 1e-5 * fabs(loss), "the loss");
            ok(far <= 1e-5, "%s, %s, %zu a chunk: every gradient within 1e-5 of float64 (worst %.2g, %s)", name, flags ? "unfused" : "fused", per_chunk, far,
               where);
        }
    if (strcmp(folder, "families") == 0)   /* those with dropout */
        test_fusion_with_dropout(model, &packed);
    test_bias_alone(model, &packed);
    ft_safetensors_close(&want);
    ft_model_close(model);
    json_decref(golden);
}

int main(void)
{
    json_t *golden = read_json(GOLDEN "gradients.json");
    struct ft_model *model = ft_model_open(GOLDEN "mean", NULL);
    struct ft_packed packed;

    ft_pool_set_threads(2);
    if (!ok(golden && model, "the golden model opens: %s", ft_error()) ||
        !ok(pack_texts(json_object_get(golden, "texts"), &packed) == 0, "the golden texts are there"))
        return done();
    set_rates(model, 0);
    test_gradients(model, &packed, golden);
    test_fusion_with_dropout(model, &packed);
    test_differences(model, &packed);
    test_steps(model, &packed, golden);
    ft_model_close(model);
    json_decref(golden);
    test_family("families", "distilbert");
    test_family("families", "roberta");
    test_family("families", "xlm-roberta");
    test_family("families", "mpnet");
    test_family("families", "t5");
    test_family("families", "sentence-t5");
    test_family("families", "umt5");
    test_family("families", "modernbert");
    test_family("families", "modernbert-old");
    test_family("static", "model2vec");
    test_family("static", "quantized");
    test_family("static", "bytes");
    test_family("static", "static");
    test_family("static", "wordllama");
    return done();
}
