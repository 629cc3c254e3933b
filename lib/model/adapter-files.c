/* adapter-files.c - adapters as PEFT keeps them: adapter_config.json, and adapter_model.safetensors with tensors base_model.model.MODULE.lora_A.weight.
 * https://huggingface.co/docs/peft/developer_guides/checkpoint */
#include "base/error.h"
#include "base/file.h"
#include "model/adapter.h"
#include "model/model-build.h"
#include "model/towers.h"
#include "model/weights/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BEFORE "base_model.model."

/* ---- out ---- */

static int save_config(const struct ft_adapters *all, const char *path, const char *base, const char *task)
{
    json_t *targets = json_array(), *json;
    int result = -1;

    for (int i = 0; targets && i < all->count; i++)
        json_array_append_new(targets, json_string(all->items[i].module));
    json = json_pack("{s:s,s:s?,s:s,s:I,s:f,s:o,s:s,s:b,s:b,s:b,s:b,s:n}", "peft_type", "LORA", "task_type", task,
                     FT_ADAPTER_BASE, base, "r", (json_int_t)all->lora.rank, "lora_dropout", 0.0,
                     "target_modules", targets, "bias", "none", "use_rslora", all->lora.root, "use_dora", 0, "fan_in_fan_out", 0,
                     "inference_mode", 1, "modules_to_save");
    if (!json)
        ft_fail(FT_USAGE, "%s: the base model's path is not UTF-8", path);
    else if (json_object_set_new(json, "lora_alpha", all->lora.alpha == floor(all->lora.alpha) ? json_integer((json_int_t)all->lora.alpha)
                                                                                               : json_real(all->lora.alpha)) == 0)
        result = ft_json_save(path, json);
    json_decref(json);
    return result;
}

static int save_tensors(struct ft_arena *arena, const struct ft_adapters *all, const char *path)
{
    struct ft_safetensor *tensors = ft_arena_zero(arena, (size_t)all->parameter_count, sizeof *tensors);

    for (int i = 0; tensors && i < all->parameter_count; i++) {
        const struct ft_parameter *p = &all->parameters[i];

        tensors[i] = (struct ft_safetensor){.name = ft_arena_print(arena, BEFORE "%s", p->name), .dtype = "F32", .rank = 2,
                                            .shape = {p->rows, p->columns}, .count = p->rows * p->columns,
                                            .data = all->block + p->offset, .size = p->rows * p->columns * sizeof(float)};
        if (!tensors[i].name)
            return -1;
    }
    return tensors ? ft_safetensors_write(path, tensors, (size_t)all->parameter_count) : -1;
}

int ft_adapters_write(const struct ft_adapters *all, const char *directory, const char *base, const char *task)
{
    struct ft_arena arena = {0};
    const char *config = ft_arena_print(&arena, "%s/" FT_ADAPTER_CONFIG, directory);
    const char *tensors = ft_arena_print(&arena, "%s/adapter_model.safetensors", directory);
    int result = -1;

    if (config && tensors && ft_directory_make(directory) == 0 && save_config(all, config, base, task) == 0)
        result = save_tensors(&arena, all, tensors);
    ft_arena_free(&arena);
    return result;
}

/* PEFT's task for features hands its model what texts are made of. */
int ft_adapters_save(const struct ft_model *model, const char *directory, const char *base)
{
    struct ft_arena arena = {0};
    int result = model->tower_count ? ft_towers_adapters_save(&arena, model, directory, base) :
                 ft_adapters_write(model->adapters, directory, base, model->input == FT_INPUT_TEXT ? "FEATURE_EXTRACTION" : NULL);

    ft_arena_free(&arena);
    return result < 0 ? ft_error_prefix("saving the adapter: ") : 0;
}

/* ---- in ---- */

static json_t *read_config(struct ft_arena *arena, const char *directory, const char *file, const char **path)
{
    if (!(*path = ft_arena_print(arena, "%s/%s", directory, file)))
        return NULL;
    return ft_json_read(*path);
}

static bool has(struct ft_arena *arena, const char *directory, const char *file)
{
    const char *path = ft_arena_print(arena, "%s/%s", directory, file);

    return path && ft_file_exists(path);
}

bool ft_adapter_is(const char *directory)
{
    struct ft_arena arena = {0};
    bool is = has(&arena, directory, FT_ADAPTER_CONFIG);

    ft_arena_free(&arena);
    return is;
}

static bool has_model(struct ft_arena *arena, const char *directory)
{
    return has(arena, directory, "config.json") || has(arena, directory, "modules.json") || has(arena, directory, "open_clip_config.json");
}

/* The name may be a path from where the adapter lies, anything -m takes, or of another machine while the base lies beside the adapter. */
char *ft_adapter_base(struct ft_arena *arena, const char *directory, const char *file)
{
    const char *path, *name, *near;
    json_t *json = read_config(arena, directory, file, &path);
    char *base = NULL;

    if (!json)
        return NULL;
    if (!(name = ft_json_text(json, FT_ADAPTER_BASE)) || !*name)
        ft_fail(FT_BAD, "%s: no " FT_ADAPTER_BASE, path);
    else if (*name != '/' && (near = ft_arena_print(arena, "%s/%s", directory, name)) && (has_model(arena, near) || has(arena, near, "ft.json")))
        base = ft_arena_text(arena, ft_string_of(near));
    else if (!(base = ft_model_find(arena, name)) && has_model(arena, directory))
        base = ft_arena_text(arena, ft_string_of(directory));
    else if (!base)
        ft_error_prefix("%s: " FT_ADAPTER_BASE ": ", path);
    json_decref(json);
    return base;
}

static bool says_yes(const json_t *value)
{
    if (json_is_array(value))
        return json_array_size(value) > 0;
    if (json_is_object(value))
        return json_object_size(value) > 0;
    return value && !json_is_null(value) && !json_is_false(value);
}

struct config {
    double alpha;
    bool root;
};

/* Ranks are those of the tensors. */
static int check_config(const json_t *json, const char *path, struct config *c)
{
    static const char *const lacking[] = {
        "use_dora", "lora_bias", "fan_in_fan_out", "use_qalora", "use_bdlora", "alpha_pattern", "modules_to_save", "layer_replication",
        "target_parameters", "trainable_token_indices", "alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config", "velora_config",
    };
    const char *type = ft_json_text(json, "peft_type"), *bias = ft_json_text(json, "bias"), *start = ft_json_text(json, "init_lora_weights");

    *c = (struct config){.alpha = 8};
    if (!type || strcmp(type, "LORA") != 0)
        return ft_fail(FT_BAD, "%s: peft_type '%.64s' is not supported, expected LORA", path, type ? type : "");
    if (bias && strcmp(bias, "none") != 0)
        return ft_fail(FT_BAD, "%s: bias '%.64s' is not supported, expected none", path, bias);
    if (start && strcmp(start, "gaussian") != 0 && strcmp(start, "orthogonal") != 0 && strcmp(start, "eva") != 0)
        return ft_fail(FT_BAD, "%s: init_lora_weights '%.64s' changes the base model, which is not supported", path, start);
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++)
        if (says_yes(json_object_get(json, lacking[i])))
            return ft_fail(FT_BAD, "%s: %s is not supported", path, lacking[i]);
    return ft_json_number(json, path, "lora_alpha", 1e-9, 1e9, &c->alpha) < 0 || ft_json_bool(json, path, "use_rslora", &c->root) < 0 ? -1 : 0;
}

/* The weight that a lora_A goes with, among a model's own or a tower's. */
static const struct ft_parameter *find_among(const struct ft_model *model, const char *name)
{
    const struct ft_family *family = ft_family_find(model->family);

    for (int i = 0; i < model->node_count; i++) {
        const struct ft_node *node = &model->nodes[i];
        const struct ft_parameter *p = node->op == FT_OP_LINEAR ? &model->parameters[node->parameters[0]] : NULL;

        for (const char *const *prefix = family->prefixes; p && !*p->file && !p->whole && !p->transposed && *prefix; prefix++)
            if (strncmp(name, *prefix, strlen(*prefix)) == 0 && strcmp(name + strlen(*prefix), p->name) == 0)
                return p;
    }
    return NULL;
}

/* And where it lies in the block. */
static const struct ft_parameter *find_weight(struct ft_arena *arena, const struct ft_model *model, const char *tensor, size_t *offset)
{
    size_t before = strlen(BEFORE), size = strlen(tensor), after = strlen(".lora_A.weight");
    const struct ft_parameter *p = NULL;
    const char *name;

    if (size <= before + after || strncmp(tensor, BEFORE, before) != 0 || strcmp(tensor + size - after, ".lora_A.weight") != 0)
        return NULL;
    if (!(name = ft_arena_print(arena, "%.*s.weight", (int)(size - before - after), tensor + before)))
        return NULL;
    if (!model->tower_count && (p = find_among(model, name)))
        *offset = p->offset;
    for (int t = 0; !p && t < model->tower_count; t++)
        if ((p = find_among(model->towers[t], name)))
            *offset = model->tower_first[t] + p->offset;
    return p;
}

static bool is_shape(const struct ft_safetensor *t, uint64_t rows, uint64_t columns)
{
    return t->rank == 2 && t->shape[0] == rows && t->shape[1] == columns;
}

/* One A with its B. */
static int add_one(struct ft_arena *arena, const struct ft_model *model, float *block, const struct ft_safetensors *files,
                   const struct ft_safetensor *a, const struct config *c)
{
    size_t offset = 0;
    const struct ft_parameter *w = find_weight(arena, model, a->name, &offset);
    char *name = ft_arena_text(arena, ft_string_of(a->name));
    const struct ft_safetensor *b;
    float *base, *ab;
    size_t rank = a->rank == 2 ? a->shape[0] : 0;

    if (!name)
        return -1;
    if (!w)
        return ft_fail(FT_BAD, "tensor %.200s is no lora_A or lora_B of a linear layer of the model", a->name);
    name[strlen(name) - strlen("A.weight")] = 'B';
    if (!(b = ft_safetensors_find(files, name)))
        return ft_fail(FT_BAD, "no tensor %.200s", name);
    if (rank < 1 || rank > 1 << 20 || !is_shape(a, rank, w->columns) || !is_shape(b, w->rows, rank))
        return ft_fail(FT_BAD, "%.200s and its lora_B do not fit a weight of [%zu, %zu]", a->name, w->rows, w->columns);
    base = ft_arena_take(arena, w->rows * w->columns * sizeof *base);
    ab = ft_arena_take(arena, (a->count + b->count) * sizeof *ab);
    if (!base || !ab || ft_safetensor_floats(a, ab) < 0 || ft_safetensor_floats(b, ab + a->count) < 0)
        return -1;
    memcpy(base, block + offset, w->rows * w->columns * sizeof *base);
    return ft_low_rank_add(block + offset, base, ab, ab + a->count, w->rows, w->columns, rank,
                           c->alpha / (c->root ? sqrt((double)rank) : (double)rank));
}

static bool is_b(const char *name)
{
    size_t size = strlen(name);

    return size > 14 && strcmp(name + size - 14, ".lora_B.weight") == 0;
}

static int add_all(const struct ft_model *model, float *block, const struct ft_safetensors *files, const struct config *c)
{
    struct ft_arena arena = {0};
    size_t pairs = 0;
    int result = 0;

    for (size_t i = 0; i < files->count && result == 0; i++) {
        if (is_b(files->tensors[i].name))
            continue;
        ft_arena_reset(&arena);
        result = add_one(&arena, model, block, files, &files->tensors[i], c);
        pairs++;
    }
    ft_arena_free(&arena);
    if (result == 0 && 2 * pairs != files->count)
        return ft_fail(FT_BAD, "%zu tensors, expected %zu: a lora_B for each lora_A", files->count, 2 * pairs);
    return result;
}

int ft_adapter_add(const struct ft_model *model, float *block, const char *directory)
{
    struct ft_arena arena = {0};
    const char *path, *tensors = ft_arena_print(&arena, "%s/adapter_model.safetensors", directory);
    json_t *json = tensors ? read_config(&arena, directory, FT_ADAPTER_CONFIG, &path) : NULL;
    struct ft_safetensors files;
    struct config config;
    int result = -1;

    if (json && check_config(json, path, &config) == 0 && ft_safetensors_open(&files, tensors) == 0) {
        if ((result = add_all(model, block, &files, &config)) < 0)
            ft_error_prefix("%s: ", tensors);
        ft_safetensors_close(&files);
    }
    json_decref(json);
    ft_arena_free(&arena);
    return result;
}
