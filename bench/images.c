/* images.c - how fast image models go once pictures are pixels, for bench/images.sh.
 *
 *     images make ARCHITECTURE|clip DIRECTORY                  a model directory by timm's names, or CLIP's ViT-B/32 by transformers', random weights
 *     images embed DIRECTORY fp32|bf16 BATCH SECONDS THREADS
 *     images train DIRECTORY fp32|bf16 BATCH SECONDS THREADS [keep|train]
 *
 * The last two print "ft: N images, X images/s, Y MB" of steps over one batch, after one that does not count, until SECONDS have passed. A step of
 * embedding is what ft-embed does with decoded images; one of training what ft-train does: forward, infonce both ways over pairs, backward, AdamW.
 * keep or train (the default) is ft-train's --batch-norm. Pixels are random. CLIP's batch are so many pairs, each an image and a text of 16 tokens, and
 * pairs are what is counted. */
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/random.h"
#include "model/items.h"
#include "model/run/runner.h"
#include "model/weights/safetensors.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { LEAST_STEPS = 2, MOST_BATCH = 4096 };

static struct ft_arena arena;

static const char *file_in(const char *directory, const char *name)
{
    return ft_arena_print(&arena, "%s/%s", directory, name);
}

/* ---- a model ------------------------------------------------------------------------------------------------------- */

/* Gains and variances 1, biases and means 0; other weights normal, of variance 2 / inputs (He et al. 2015). */
static float *numbers(struct ft_random *random, const struct ft_parameter *p)
{
    size_t count = p->rows * p->columns, inputs = p->rank == 4 ? p->shape[1] * p->shape[2] * p->shape[3] : p->columns, length = strlen(p->name);
    bool ones = p->rank == 1 && (strstr(p->name, "running_var") || (length > 7 && strcmp(p->name + length - 7, ".weight") == 0));
    float *value = ft_arena_take(&arena, count * sizeof *value);

    for (size_t i = 0; value && i < count; i++)
        value[i] = p->rank == 1 ? (float)ones : (float)(ft_random_normal(random) * sqrt(2 / (double)inputs));
    return value;
}

/* A tower's tensors have its name in front, but for the projections. */
static const char *name_of(const struct ft_model *model, const char *tower, const char *name)
{
    return !tower || strstr(name, "_projection") ? name : ft_arena_print(&arena, "%s.%s", model->input == FT_INPUT_TEXT ? "text_model" : "vision_model", name);
}

static int give_tensors(const struct ft_model *model, const char *tower, struct ft_random *random, struct ft_safetensor *tensors)
{
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];
        struct ft_safetensor *t = &tensors[i];

        *t = (struct ft_safetensor){.name = name_of(model, tower, p->name), .dtype = "F32", .rank = p->rank, .count = p->rows * p->columns,
                                    .data = numbers(random, p)};
        t->size = t->count * sizeof(float);
        for (int k = 0; k < p->rank; k++)
            t->shape[k] = p->shape[k];
        if (!t->data || !t->name)
            return -1;
    }
    return 0;
}

static int write_weights(const struct ft_model *model, const char *path)
{
    struct ft_random random = ft_random_start(1, 0);
    struct ft_safetensor *tensors = ft_arena_zero(&arena, (size_t)model->parameter_count, sizeof *tensors);
    size_t count = 0;

    for (int t = 0; tensors && t < model->tower_count; count += (size_t)model->towers[t++]->parameter_count)
        if (give_tensors(model->towers[t], "", &random, tensors + count) < 0)
            return -1;
    if (!tensors || (!model->tower_count && give_tensors(model, NULL, &random, tensors) < 0))
        return -1;
    return ft_safetensors_write(path, tensors, (size_t)model->parameter_count);
}

/* Whose names a model has is told by a tensor of its file: so that one is written first, alone. */
static int write_first(const char *path, const char *name)
{
    static const float nothing[1];
    const struct ft_safetensor first = {.name = name, .dtype = "F32", .rank = 1, .shape = {1}, .count = 1, .data = nothing, .size = 4};

    return ft_safetensors_write(path, &first, 1);
}

/* What transformers' CLIPConfig() is, and a vocabulary that nothing is looked up in. */
static const char clip_config[] =
    "{\"architectures\": [\"CLIPModel\"], \"model_type\": \"clip\", \"projection_dim\": 512, \"logit_scale_init_value\": 2.6592,\n"
    " \"text_config\": {\"model_type\": \"clip_text_model\", \"vocab_size\": 49408, \"hidden_size\": 512, \"intermediate_size\": 2048, \"num_hidden_layers\": 12,\n"
    "  \"num_attention_heads\": 8, \"max_position_embeddings\": 77, \"hidden_act\": \"quick_gelu\", \"layer_norm_eps\": 1e-05, \"eos_token_id\": 49407},\n"
    " \"vision_config\": {\"model_type\": \"clip_vision_model\", \"hidden_size\": 768, \"intermediate_size\": 3072, \"num_hidden_layers\": 12,\n"
    "  \"num_attention_heads\": 12, \"image_size\": 224, \"patch_size\": 32, \"hidden_act\": \"quick_gelu\", \"layer_norm_eps\": 1e-05}}\n";
static const char clip_vocabulary[] = "{\"a\": 0, \"a</w>\": 1, \"<|startoftext|>\": 49406, \"<|endoftext|>\": 49407}\n";
static const char clip_merges[] = "#version: 0.2\n";

static int make_clip(const char *directory)
{
    const char *config = file_in(directory, "config.json"), *words = file_in(directory, "vocab.json"), *merges = file_in(directory, "merges.txt");
    const char *weights = file_in(directory, "model.safetensors");
    struct ft_model *model;
    int result;

    if (!config || !words || !merges || !weights || ft_directory_make(directory) < 0 || ft_file_write(config, clip_config, sizeof clip_config - 1) < 0 ||
        ft_file_write(words, clip_vocabulary, sizeof clip_vocabulary - 1) < 0 || ft_file_write(merges, clip_merges, sizeof clip_merges - 1) < 0 ||
        write_first(weights, "text_model.embeddings.token_embedding.weight") < 0 || !(model = ft_model_open_nodes(directory)))
        return -1;
    result = write_weights(model, weights);
    ft_model_close(model);
    return result;
}

static int make(const char *architecture, const char *directory)
{
    const char *config = ft_arena_print(&arena, "{\"architecture\": \"%s\"}\n", architecture), *path = file_in(directory, "config.json");
    const char *weights = file_in(directory, "model.safetensors");
    struct ft_model *model;
    int result;

    if (!config || !path || !weights || ft_directory_make(directory) < 0 || ft_file_write(path, config, strlen(config)) < 0 ||
        write_first(weights, "conv_stem.weight") < 0 || !(model = ft_model_open_nodes(directory)))
        return -1;
    result = write_weights(model, weights);
    ft_model_close(model);
    return result;
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

/* Texts of TOKENS ids each. */
static int pack_texts(const struct ft_model *model, size_t batch, struct ft_packed *packed)
{
    enum { TOKENS = 16 };
    struct ft_random random = ft_random_start(3, 0);

    *packed = (struct ft_packed){.texts = batch, .chunk_rows = model->chunk_rows, .shard_rows = model->shard_rows};
    packed->id = ft_arena_take(&arena, batch * TOKENS * sizeof *packed->id);
    packed->offset = ft_arena_take(&arena, (batch + 1) * sizeof *packed->offset);
    if (!packed->id || !packed->offset)
        return -1;
    for (size_t i = 0; i <= batch; i++)
        packed->offset[i] = (uint32_t)(i * TOKENS);
    for (size_t i = 0; i < batch * TOKENS; i++)
        packed->id[i] = (int32_t)(ft_random_word(&random) % 49000);
    return 0;
}

static int pack_pixels(const struct ft_model *model, size_t batch, struct ft_packed *packed)
{
    size_t size = batch * ft_item_bytes(model);
    struct ft_random random = ft_random_start(2, 0);
    uint8_t *pixel;

    if (model->input != FT_INPUT_IMAGE)
        return ft_fail(FT_USAGE, "%s reads no images", model->directory);
    if (!(pixel = ft_arena_take(&arena, size)))
        return -1;
    for (size_t i = 0; i < size; i++)
        pixel[i] = (uint8_t)ft_random_word(&random);
    return ft_items_pack(&arena, model, batch, pixel, NULL, packed);
}

/* Text, image, text, ... */
static int pack_pairs(const struct ft_model *model, size_t pairs, struct ft_packed *packed)
{
    struct ft_packed *towers = ft_arena_zero(&arena, FT_TOWERS, sizeof *towers);
    size_t *number = ft_arena_take(&arena, 2 * pairs * sizeof *number);

    if (!towers || !number || pack_texts(model->towers[FT_TOWER_TEXT], pairs, &towers[FT_TOWER_TEXT]) < 0 ||
        pack_pixels(model->towers[FT_TOWER_IMAGE], pairs, &towers[FT_TOWER_IMAGE]) < 0)
        return -1;
    for (size_t i = 0; i < pairs; i++) {
        number[i] = 2 * i;
        number[pairs + i] = 2 * i + 1;
    }
    *packed = (struct ft_packed){.texts = 2 * pairs, .towers = towers, .number = {number, number + pairs}};
    return 0;
}

/* `batch` images, or pairs. */
static int pack(const struct ft_model *model, size_t batch, struct ft_packed *packed)
{
    return model->tower_count ? pack_pairs(model, batch, packed) : pack_pixels(model, batch, packed);
}

/* Steps after the first one until the time is over; a line of them. */
static int measure(int (*step)(void *argument), void *argument, size_t batch, double seconds)
{
    struct rusage usage;
    double start, took = 0;
    size_t steps = 0;

    if (step(argument) < 0)
        return -1;
    for (start = ft_seconds(); steps < LEAST_STEPS || took < seconds; took = ft_seconds() - start, steps++)
        if (step(argument) < 0)
            return -1;
    getrusage(RUSAGE_SELF, &usage);
    printf("ft: %zu images, %.2f images/s, %ld MB\n", steps * batch, (double)(steps * batch) / took, usage.ru_maxrss / 1024);
    return 0;
}

struct embedding {
    struct one {
        struct ft_runner *runner;
        const struct ft_packed *packed;
        struct ft_cut cut;
        float *out;
    } one[FT_TOWERS];
    int count;
};

static int embed_step(void *argument)
{
    struct embedding *e = argument;

    for (struct one *o = e->one; o < e->one + e->count; o++)
        if (ft_runner_batch(o->runner, o->packed, &o->cut, 0, 1) < 0 || ft_runner_forward_only(o->runner, 0, o->out) < 0)
            return -1;
    return 0;
}

static int open_one(const struct ft_model *model, const struct ft_packed *packed, enum ft_precision precision, struct one *one)
{
    one->packed = packed;
    if (ft_cut_make(&arena, packed, 0, &one->cut) < 0 || !(one->out = ft_arena_take(&arena, packed->texts * model->dim * sizeof *one->out)) ||
        !(one->runner = ft_runner_open(model, 0, precision)))
        return -1;
    ft_runner_settle(one->runner);
    return 0;
}

static int embed(const char *directory, const char *precision, size_t batch, double seconds)
{
    struct ft_model *model = ft_model_open(directory, NULL);
    struct embedding e = {.count = 0};
    struct ft_packed packed;
    enum ft_precision of;
    int result = model && ft_precision_parse(&of, precision) == 0 ? pack(model, batch, &packed) : -1;

    if (result == 0 && !model->tower_count)
        result = open_one(model, &packed, of, &e.one[e.count++]);
    for (int t = 0; result == 0 && t < model->tower_count; t++)
        result = open_one(model->towers[t], &packed.towers[t], of, &e.one[e.count++]);
    if (result == 0)
        result = measure(embed_step, &e, batch, seconds);
    for (int t = 0; t < e.count; t++)
        ft_runner_close(e.one[t].runner);
    ft_model_close(model);
    return result;
}

struct training {
    struct ft_trainer *trainer;
    struct ft_arena arena;       /* of a step */
    struct ft_packed packed;
    struct ft_batch batch;
};

static int train_step(void *argument)
{
    struct training *t = argument;
    struct ft_step_report report;

    t->batch.number++;
    ft_arena_reset(&t->arena);
    return ft_trainer_step(t->trainer, &t->arena, &t->batch, &t->packed, &report);
}

/* Pairs of images, whose contents nobody looks at: the pixels are there. */
static int make_batch(size_t items, struct ft_batch *batch)
{
    *batch = (struct ft_batch){.kind = FT_BATCH_PAIRS, .rows = items / 2, .items = items, .epoch = 1};
    batch->content = ft_arena_zero(&arena, items, sizeof *batch->content);
    batch->role = ft_arena_zero(&arena, items, sizeof *batch->role);
    batch->row = ft_arena_zero(&arena, items, sizeof *batch->row);
    if (!batch->content || !batch->role || !batch->row)
        return -1;
    for (size_t i = 0; i < items; i++) {
        batch->role[i] = i % 2 ? FT_POSITIVE : FT_ANCHOR;
        batch->row[i] = (int32_t)(i / 2);
    }
    return 0;
}

/* The base model's checksum, which a run knows. */
static const char *checksum_of(const char *directory, char text[9])
{
    struct ft_model *model = ft_model_open(directory, NULL);
    const char *checksum = model ? ft_model_checksum(model, text) : NULL;

    ft_model_close(model);
    return checksum;
}

static int train(const char *directory, const char *precision, size_t batch, double seconds, const char *batch_norm)
{
    static const char *const loss[] = {"infonce:directions=q2d+d2q,partition_mode=per_direction"};
    const struct ft_trainer_options how = {.dry = true};
    char checksum[9];
    const struct ft_settings settings = {
        .model = directory, .model_checksum = checksum_of(directory, checksum), .loss = {(const char **)loss, 1}, .optimizer = "adamw:decay=0.01",
        .schedule = "constant", .lr = 1e-5, .loss_lr = FT_RATE_AS_MODEL, .precision = precision, .batch_norm = batch_norm,
    };
    struct ft_run *run = settings.model_checksum ? ft_run_imagine(directory, &settings) : NULL;
    struct training t = {.trainer = run ? ft_trainer_open(run, &how) : NULL};
    int result = -1;

    if (t.trainer && pack(ft_trainer_model(t.trainer), batch, &t.packed) == 0 && make_batch(t.packed.texts, &t.batch) == 0 &&
        ft_trainer_plan(t.trainer, 0, 0, 0) == 0)
        result = measure(train_step, &t, batch, seconds);
    ft_trainer_close(t.trainer);
    ft_run_close(run);
    ft_arena_free(&t.arena);
    return result;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t batch = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    int result = -2;

    if (argc == 4 && strcmp(what, "make") == 0)
        result = strcmp(argv[2], "clip") == 0 ? make_clip(argv[3]) : make(argv[2], argv[3]);
    if (argc >= 7 && argc <= 8 && batch > 0 && batch <= MOST_BATCH && batch % 2 == 0) {
        ft_pool_set_threads(strtol(argv[6], NULL, 10));
        if (strcmp(what, "embed") == 0 && argc == 7)
            result = embed(argv[2], argv[3], batch, strtod(argv[5], NULL));
        else if (strcmp(what, "train") == 0)
            result = train(argv[2], argv[3], batch, strtod(argv[5], NULL), argc == 8 ? argv[7] : "train");
    }
    if (result == -2)
        fprintf(stderr, "images make ARCHITECTURE|clip DIRECTORY | images embed|train DIRECTORY fp32|bf16 BATCH SECONDS THREADS [keep|train]\n");
    else if (result < 0)
        fprintf(stderr, "images: %s\n", ft_error());
    ft_arena_free(&arena);
    return result == 0 ? 0 : result == -2 ? FT_USAGE : 3;
}
