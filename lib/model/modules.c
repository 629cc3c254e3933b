/* modules.c - modules.json: what sentence-transformers puts after the encoder (and, of old, where it puts the encoder). */
#include "base/error.h"
#include "base/file.h"
#include "model/tailor/tailoring.h"

#include <string.h>

enum { MODULES_MAX = 64 };

const char *ft_model_path(struct ft_arena *arena, const char *directory, const char *path)
{
    return *path ? ft_arena_print(arena, "%s/%s", directory, path) : ft_arena_text(arena, ft_string_of(directory));
}

/* Types are Python paths; the class at their end has kept its name from the first version to the sixth, in the order of enum ft_module_type. */
static int read_type(const char *type, const char *path, enum ft_module_type *result)
{
    static const char *const names[] = {"Transformer", "Pooling", "Dense", "Normalize", "StaticEmbedding"};
    const int count = sizeof names / sizeof *names;
    const char *last = type ? strrchr(type, '.') : NULL;

    if (last && strcmp(last, ".CLIPModel") == 0)   /* of before version 5, around transformers' CLIPModel */
        last = ".Transformer";
    for (int i = 0; last && strncmp(type, "sentence_transformers.", 22) == 0 && i < count; i++)
        if (strcmp(last + 1, names[i]) == 0) {
            *result = (enum ft_module_type)i;
            return 0;
        }
    return ft_fail(FT_BAD, "%s: module type '%.128s' is not supported, expected sentence_transformers' Transformer, StaticEmbedding, "
                   "Pooling, Dense or Normalize", path, type ? type : "");
}

static int read_modules(struct ft_arena *arena, const json_t *json, const char *path, struct ft_modules *modules)
{
    size_t count = json_array_size(json);

    if (!json_is_array(json) || count == 0 || count > MODULES_MAX)
        return ft_fail(FT_BAD, "%s: not a list of 1 to %d modules", path, MODULES_MAX);
    modules->written = true;
    modules->count = count;
    if (!(modules->items = ft_arena_zero(arena, count, sizeof *modules->items)))
        return -1;
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(json, i);
        const char *inside = ft_json_text(entry, "path");

        if (inside && strcmp(inside, ".") == 0)
            inside = "";
        if (read_type(ft_json_text(entry, "type"), path, &modules->items[i].type) < 0)
            return -1;
        if (!inside || (*inside && !ft_path_inside(inside)))
            return ft_fail(FT_BAD, "%s: path '%.128s' of module %zu does not stay inside the directory", path, inside ? inside : "", i);
        if ((i == 0) != (modules->items[i].type == FT_MODULE_BODY || modules->items[i].type == FT_MODULE_STATIC))
            return ft_fail(FT_BAD, "%s: module %zu is '%.128s', expected a Transformer or StaticEmbedding first and only there", path, i,
                           ft_json_text(entry, "type"));
        if (i > 0 && *inside == '\0' && modules->items[i].type != FT_MODULE_NORMALIZE)
            return ft_fail(FT_BAD, "%s: module %zu has no path", path, i);
        if (!(modules->items[i].path = ft_arena_text(arena, ft_string_of(inside))))
            return -1;
    }
    return 0;
}

int ft_modules_read(struct ft_arena *arena, const char *directory, struct ft_modules *modules)
{
    static struct ft_module plain[] = {{FT_MODULE_BODY, ""}, {FT_MODULE_POOLING, "1_Pooling"}};
    const char *path = ft_arena_print(arena, "%s/modules.json", directory);
    json_t *json;
    int result;

    if (!path)
        return -1;
    *modules = (struct ft_modules){.items = plain, .count = 2};
    if (!ft_file_exists(path))
        return 0;
    if (!(json = ft_json_read(path)))
        return -1;
    result = read_modules(arena, json, path, modules);
    json_decref(json);
    return result;
}

const struct ft_pooling_mode ft_pooling_modes[FT_POOLING_MODES] = {
    {"cls", "cls", "pooling_mode_cls_token", FT_POOL_CLS},
    {"max", "max", "pooling_mode_max_tokens", FT_POOL_MAX},
    {"mean", "mean", "pooling_mode_mean_tokens", FT_POOL_MEAN},
    {"mean-sqrt", "mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", FT_POOL_MEAN_SQRT},
    {"weighted-mean", "weightedmean", "pooling_mode_weightedmean_tokens", FT_POOL_WEIGHTED_MEAN},
    {"last", "lasttoken", "pooling_mode_lasttoken", FT_POOL_LAST},
};

const char *ft_pooling_name(enum ft_pooling pooling)
{
    int i = 0;

    while (i + 1 < FT_POOLING_MODES && ft_pooling_modes[i].pooling != pooling)
        i++;
    return ft_pooling_modes[i].ours;
}

/* The old spelling has a flag for each mode, the new one a name or a list of names; several at once are concatenated there. */
static int read_pooling(const json_t *json, const char *path, enum ft_pooling *pooling)
{
    const json_t *mode = json_object_get(json, "pooling_mode");
    const char *name = NULL;
    int count = 0;

    if (json_is_array(mode) && json_array_size(mode) == 1)
        mode = json_array_get(mode, 0);
    if (json_is_array(mode))
        return ft_fail(FT_BAD, "%s: pooling_mode holds %zu modes, expected one", path, json_array_size(mode));
    if (mode && !json_is_string(mode))
        return ft_fail(FT_BAD, "%s: pooling_mode is not a name", path);
    if (mode)
        name = json_string_value(mode);
    for (size_t i = 0; !mode && i < FT_POOLING_MODES; i++)
        if (json_is_true(json_object_get(json, ft_pooling_modes[i].old))) {
            name = ft_pooling_modes[i].name;
            if (++count > 1)
                return ft_fail(FT_BAD, "%s: more than one pooling mode (%s is the second), expected one", path, ft_pooling_modes[i].old);
        }
    for (size_t i = 0; i < FT_POOLING_MODES; i++)
        if (strcmp(name ? name : "mean", ft_pooling_modes[i].name) == 0) {
            *pooling = ft_pooling_modes[i].pooling;
            return 0;
        }
    return ft_fail(FT_BAD, "%s: pooling mode '%.64s' is not supported, expected mean, max, cls, mean_sqrt_len_tokens, weightedmean or lasttoken",
                   path, name);
}

/* A width that the file states must be the one that arrives. */
static int check_width(const json_t *json, const char *path, const char *key, size_t width)
{
    size_t stated = width;

    if (ft_json_size(json, path, key, 1, 1 << 20, true, &stated) < 0)
        return -1;
    if (stated != width)
        return ft_fail(FT_BAD, "%s: %s is %zu, expected %zu", path, key, stated, width);
    return 0;
}

static int build_pooling(struct ft_builder *build, const json_t *json, const char *path, int input, size_t width)
{
    enum ft_pooling pooling = build->pooling;
    bool prompt = true;
    int node;

    if (json && (read_pooling(json, path, &pooling) < 0 || check_width(json, path, "word_embedding_dimension", width) < 0 ||
                 check_width(json, path, "embedding_dimension", width) < 0 ||
                 ft_json_bool(json, path, "include_prompt", &prompt) < 0))
        return -1;
    build->model->prompt_left_out = !prompt && pooling != FT_POOL_CLS;
    node = ft_build_node(build, FT_OP_POOL, width, input, -1, -1, "pooling");
    ft_build_at(build, node)->pooling = pooling;
    return node;
}

/* Both modules that work on embeddings may be told to work on token vectors instead; that is another model. */
static int check_names(const json_t *json, const char *path)
{
    static const char *const keys[] = {"module_input_name", "module_output_name"};

    for (int i = 0; i < 2; i++) {
        const char *name = ft_json_text(json, keys[i]);

        if (name && strcmp(name, "sentence_embedding") != 0)
            return ft_fail(FT_BAD, "%s: %s '%.64s' is not supported, expected sentence_embedding", path, keys[i], name);
    }
    return 0;
}

int ft_torch_activation_parse(const char *type, const char *path, const char *key, enum ft_activation *activation)
{
    static const struct { const char *name; enum ft_activation activation; } known[] = {
        {"Tanh", FT_TANH}, {"Identity", FT_IDENTITY}, {"GELU", FT_GELU}, {"ReLU", FT_RELU}, {"SiLU", FT_SILU}, {"Sigmoid", FT_SIGMOID},
    };
    const char *last = strrchr(type, '.');

    for (size_t i = 0; last && strncmp(type, "torch.nn.", 9) == 0 && i < sizeof known / sizeof *known; i++)
        if (strcmp(last + 1, known[i].name) == 0) {
            *activation = known[i].activation;
            return 0;
        }
    return ft_fail(FT_BAD, "%s: %s '%.128s' is not supported, expected torch.nn's Tanh, Identity, GELU, ReLU, SiLU or Sigmoid", path, key,
                   type);
}

/* Absent is Tanh, as in sentence-transformers. */
static int read_dense_activation(const json_t *json, const char *path, enum ft_activation *activation)
{
    const char *type = ft_json_text(json, "activation_function");

    *activation = FT_TANH;
    return type ? ft_torch_activation_parse(type, path, "activation_function", activation) : 0;
}

static int build_dense(struct ft_builder *build, const json_t *json, const char *path, const char *file, int input, size_t width)
{
    enum ft_activation activation;
    bool bias = true, residual = false;
    char name[256];
    size_t out;
    int node;

    if (ft_json_size(json, path, "out_features", 1, 1 << 16, false, &out) < 0 || check_width(json, path, "in_features", width) < 0 ||
        ft_json_bool(json, path, "bias", &bias) < 0 || ft_json_bool(json, path, "use_residual", &residual) < 0 ||
        check_names(json, path) < 0 || read_dense_activation(json, path, &activation) < 0)
        return -1;
    if (residual)
        return ft_fail(FT_BAD, "%s: use_residual is not supported", path);
    build->file = file;
    node = ft_build_linear(build, input, width, out, bias, file, "linear");
    build->file = "";
    snprintf(name, sizeof name, "%s.activation", file);
    return activation == FT_IDENTITY ? node : ft_build_activation(build, node, out, activation, name);
}

/* One module after the body: its node, or -1. A Normalize of old has no file at all. */
static int build_module(struct ft_builder *build, const struct ft_module *module, bool written, int input)
{
    struct ft_model *model = build->model;
    const char *path = ft_arena_print(&model->arena, "%s/%s/config.json", model->directory, module->path);
    size_t width = ft_build_at(build, input)->width;
    json_t *json = NULL;
    int node = -1;

    if (!path || ((written && module->type != FT_MODULE_NORMALIZE) || ft_file_exists(path) ? !(json = ft_json_read(path)) : 0))
        return -1;
    if (json && !json_is_object(json))
        ft_fail(FT_BAD, "%s: not an object", path);
    else if (module->type == FT_MODULE_POOLING)
        node = build_pooling(build, written ? json : NULL, path, input, width);
    else if (module->type == FT_MODULE_DENSE)
        node = build_dense(build, json, path, module->path, input, width);
    else if (!json || check_names(json, path) == 0)
        node = ft_build_node(build, FT_OP_NORMALIZE, width, input, -1, -1, "normalize");
    json_decref(json);
    return node;
}

static void read_distance(struct ft_builder *build, const json_t *json, const char *path)
{
    static const char *const known[] = {"cosine", "dot", "euclidean"};
    const char *name = ft_json_text(json, "similarity_fn_name");
    int i = 0;

    while (name && i < 3 && strcmp(known[i], name) != 0)
        i++;
    if (i == 3)
        ft_build_note(build, "%s: similarity_fn_name '%.64s' is not known: cosine is taken", path, name);
    build->model->distance = known[i % 3];
}

/* What sentence-transformers says of the model as a whole. */
static int read_whole(struct ft_builder *build)
{
    struct ft_model *model = build->model;
    const char *path = ft_arena_print(&model->arena, "%s/config_sentence_transformers.json", model->directory);
    json_t *json = NULL;
    int result;

    if (!path || (ft_file_exists(path) && !(json = ft_json_read(path))))
        return -1;
    read_distance(build, json, path);
    result = ft_prompts_read(&model->arena, &model->prompts, json, path);
    json_decref(json);
    return result;
}

int ft_model_prompts_check(const struct ft_model *model, const struct ft_prompts *prompts)
{
    if (model->prompt_left_out && ft_prompts_any(prompts))
        return ft_fail(FT_USAGE, "%s: a prompt, and its pooling leaves out the prompt's tokens (include_prompt false): that is not supported",
                       model->directory);
    return 0;
}

/* Pooling and what follows it. Without the file there is no more to a model whose own nodes end with an embedding of a text. */
static int build_modules(struct ft_builder *build, const struct ft_modules *modules, int node)
{
    const char *directory = build->model->directory;
    bool pooled = ft_static_is(build->model) || ft_node_pooled(build->model, node);

    for (size_t i = 1; i < modules->count && (modules->written || !pooled); i++) {
        if ((modules->items[i].type == FT_MODULE_POOLING) == pooled)
            return ft_fail(FT_BAD, "%s/modules.json: module %zu: expected one Pooling, right after the Transformer", directory, i);
        pooled = true;
        if ((node = build_module(build, modules->items + i, modules->written, node)) < 0)
            return -1;
    }
    if (!pooled)
        return ft_fail(FT_BAD, "%s/modules.json: no Pooling: the model has no embedding of a text", directory);
    return node;
}

int ft_modules_build(struct ft_builder *build, int tokens)
{
    struct ft_model *model = build->model;
    struct ft_modules modules;
    int node;

    if (build->failed || ft_modules_read(&model->arena, model->directory, &modules) < 0 || read_whole(build) < 0)
        return -1;
    if (model->tailored && model->tailored->family)
        return modules.written ? ft_fail(FT_BAD, "%s: ft.json and modules.json both say what comes after the family's nodes: expected one of them",
                                         model->directory) : ft_tailored_build(build) < 0 ? -1 : 0;
    if (!modules.written && ft_node_pooled(model, tokens)) {   /* the family's own nodes end with an embedding */
        model->dim = ft_build_at(build, tokens)->width;
        model->normalized = ft_build_at(build, tokens)->op == FT_OP_NORMALIZE;
        return 0;
    }
    if (!modules.written && model->input == FT_INPUT_TEXT && !ft_static_is(model))
        ft_build_note(build, "%s: no modules.json: mean pooling, no normalisation", model->directory);
    if ((node = build_modules(build, &modules, tokens)) < 0)
        return -1;
    model->dim = ft_build_at(build, node)->width;
    model->normalized = ft_build_at(build, node)->op == FT_OP_NORMALIZE;
    return 0;
}
