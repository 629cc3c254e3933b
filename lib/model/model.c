/* model.c - a model directory opened: nodes by its family, its tokenizer; parameters.c has what its files hold. */
#include "model/model.h"
#include "base/error.h"
#include "base/file.h"
#include "model/adapter.h"
#include "model/model-build.h"
#include "model/tailor/tailoring.h"
#include "model/towers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

const char *ft_op_name(enum ft_op op)
{
    static const char *const names[] = {"embedding", "linear", "layer-norm", "dropout", "attention", "activation", "add", "pool",
                                        "gem", "normalize", "vector", "pixels", "convolution", "batch-norm", "max-pool", "scale", "tokens",
                                        "rms-norm", "multiply", "bias-table", "rotary", "gate", "probe", "attend", "mean-pool"};

    return (size_t)op < sizeof names / sizeof *names ? names[op] : "unknown";
}

/* Does the tokenizer make lower case of everything? tokenizer.json knows best, tokenizer_config.json next; BERT's own habit is yes. */
static int tokenizer_lowers(struct ft_arena *arena, const char *body, bool *lowers)
{
    const char *path = ft_arena_print(arena, "%s/tokenizer.json", body), *config = ft_arena_print(arena, "%s/tokenizer_config.json", body);
    bool whole = path && ft_file_exists(path);
    json_t *json;
    int result;

    *lowers = true;
    if (!path || !config)
        return -1;
    if (!whole && !ft_file_exists(config))
        return 0;
    if (!(json = ft_json_read(whole ? path : config)))
        return -1;
    result = whole ? ft_json_bool(json_object_get(json, "normalizer"), path, "lowercase", lowers) :
                     ft_json_bool(json, config, "do_lower_case", lowers);
    json_decref(json);
    return result;
}

/* Where the tokenizer lies, and what limits it: an adapter need not bring its own. */
static const char *text_directory(struct ft_model *model)
{
    static const char *const files[] = {"tokenizer.json", "vocab.txt"};
    const char *body = ft_model_path(&model->arena, model->directory, model->body);

    for (int i = 0; body && model->adapter && i < 2; i++) {
        const char *path = ft_arena_print(&model->arena, "%s/%s", body, files[i]);

        if (path && ft_file_exists(path))
            return body;
    }
    return model->adapter ? model->weights : body;
}

/* Token limit and case, as sentence-transformers takes them: its own file first, else the tokenizer's. */
static int read_limits(struct ft_builder *build)
{
    struct ft_model *model = build->model;
    const char *body = text_directory(model);
    const char *own = body ? ft_arena_print(&model->arena, "%s/sentence_bert_config.json", body) : NULL;
    const char *other = own ? ft_arena_print(&model->arena, "%s/tokenizer_config.json", body) : NULL;
    size_t positions = model->max_length, limit = 0;
    bool lower = false, lowers;
    double length = 0;
    json_t *json;
    int result = 0;

    if (!other)
        return -1;
    if (ft_file_exists(own)) {
        if (!(json = ft_json_read(own)))
            return -1;
        result = ft_json_size(json, own, "max_seq_length", 1, 1 << 30, true, &limit) < 0 ||
                 ft_json_bool(json, own, "do_lower_case", &lower) < 0;
        json_decref(json);
    }
    if (result == 0 && ft_file_exists(other)) {
        if (!(json = ft_json_read(other)))
            return -1;
        /* "No limit" is written as 1e30 there. */
        result = ft_json_number(json, other, "model_max_length", 1, 1e300, &length) < 0;
        if (!limit && length > 0 && length < 1e9)
            limit = (size_t)length;
        json_decref(json);
    }
    if (result)
        return -1;
    if (lower && tokenizer_lowers(&model->arena, body, &lowers) < 0)
        return -1;
    if (lower && !lowers)
        return ft_fail(FT_BAD, "%s: do_lower_case over a tokenizer that keeps the case is not supported", own);
    if (limit && limit < positions)
        model->max_length = limit;
    if (model->max_length < 2)
        return ft_fail(FT_BAD, "%s: at most %zu tokens, expected 2 or more", model->directory, model->max_length);
    return 0;
}

/* Does modules.json, or the want of any file but weights, say that the model is one of static embeddings? */
static int says_static(struct ft_model *model, bool *says)
{
    struct ft_modules modules;

    if (ft_modules_read(&model->arena, model->directory, &modules) < 0)
        return -1;
    *says = model->tokenizer_file || modules.items[0].type == FT_MODULE_STATIC;
    return 0;
}

/* The family that config.json names (transformers by model_type, timm by an architecture), or ft.json in its stead. */
static const struct ft_family *find_family(const struct ft_model *model, const json_t *config, const char *path, bool is_static, int tower)
{
    const char *name = ft_family_type(config), *tailored = model->tailored ? model->tailored->family : NULL;
    const char *architecture = ft_architecture_text(config);
    const struct ft_family_pair *pair = name ? ft_family_pair_find(name) : NULL;
    const struct ft_family *family = NULL;

    if (pair && tower >= 0)
        return pair->tower[tower];
    if (!name && !architecture && !is_static)
        ft_fail(FT_BAD, "%s: no model_type", path);
    else if (!tailored != !(name && strcmp(name, FT_TAILORED_TYPE) == 0))
        ft_fail(FT_BAD, "%s: model_type is '%.64s' where ft.json names %s", path, name ? name : "", tailored ? "the family" : "no family");
    else if (!(family = tailored || name || !architecture ? ft_family_find(tailored ? tailored : name ? name : ft_family_static.name) :
                                                            ft_family_of_architecture(architecture)))
        ft_error_prefix("%s: ", path);
    else if (is_static && family->build != ft_family_static.build) {
        ft_fail(FT_BAD, "%s: model_type %s, and modules.json has a StaticEmbedding", path, name);
        family = NULL;
    }
    return family;
}

/* The family's nodes, and of a cross-encoder its head; the last one, or -1. */
static int build_family(struct ft_builder *build, const struct ft_family *family, const json_t *config, const char *path)
{
    struct ft_model *model = build->model;
    int node = family->build(build, config, path);

    if (node < 0)
        return -1;
    model->family = family->name;
    model->body_nodes = model->node_count;
    if (model->tailored) {
        model->tailored->whole = model->nodes[node].name;
        model->tailored->positions = model->max_length;
        model->tailored->pooling = build->pooling;
    }
    if (model->scorer)
        node = ft_head_build(build, family, config, path, node);
    return node < 0 || (model->input == FT_INPUT_TEXT && !ft_static_is(model) && read_limits(build) < 0) ? -1 : node;
}

/* config.json says the family, the family the nodes, modules.json or ft.json the rest. */
static int build_nodes(struct ft_builder *build, const struct ft_tailoring *how, int tower)
{
    struct ft_model *model = build->model;
    const char *path = ft_arena_print(&model->arena, "%s/%s", model->weights, ft_config_name(model->weights));
    const struct ft_family *family;
    json_t *json = NULL;
    bool is_static;
    int result = -1, node;

    if (!path || says_static(model, &is_static) < 0 || (!(is_static && !ft_file_exists(path)) && !(json = ft_json_read(path))))
        return -1;
    if ((family = find_family(model, json, path, is_static, tower)) && (!how || ft_tailor_config(model, json, tower, path, how) == 0) &&
        (node = build_family(build, family, json, path)) >= 0)
        result = model->scorer || (ft_modules_build(build, node) == 0 && (!model->tailored || ft_tailored_freeze(model) == 0)) ? 0 : -1;
    if (result == 0 && how)
        result = ft_tailor_apply(build, family, json, path, how);
    json_decref(json);
    return result;
}

/* Where a model is read from. An adapter's directory stands for its base model with the adapter added; modules that lie beside the adapter come after
 * the base model's body in the stead of its own. */
static int find_places(struct ft_model *model, const char *directory)
{
    struct ft_arena *arena = &model->arena;
    const char *modules = ft_arena_print(arena, "%s/modules.json", directory), *base = directory;
    const char *config = ft_arena_print(arena, "%s/config.json", directory);
    struct ft_modules own;

    if (!modules || !config || !(model->directory = ft_arena_text(arena, ft_string_of(directory))))
        return -1;
    if (ft_adapter_is(directory)) {
        model->adapter = model->directory;
        if (!(base = ft_adapter_base(arena, directory, FT_ADAPTER_CONFIG)))
            return -1;
        if (!ft_file_exists(modules))
            model->directory = base;
    } else if (!ft_file_exists(modules) && !ft_file_exists(config) && !ft_open_clip_is(directory) &&
               ft_wordllama_find(arena, directory, &model->weights_file, &model->tokenizer_file) < 0) {
        return -1;
    }
    if (ft_modules_read(arena, base, &own) < 0 || !(model->weights = ft_model_path(arena, base, own.items[0].path)) ||
        ft_modules_read(arena, model->directory, &own) < 0)
        return -1;
    if (ft_open_clip_is(model->weights))
        model->weights_file = ft_open_clip_weights(arena, model->weights);
    model->body = own.items[0].path;
    return 0;
}

static int open_tokenizer(struct ft_model *model)
{
    const char *body = model->tokenizer_file ? model->tokenizer_file : text_directory(model);

    if (!body || !(model->tokenizer = model->tokenizer_file ? ft_tokenizer_open_file(body) : ft_tokenizer_open(body)))
        return -1;
    if (ft_tokenizer_set_way(model->tokenizer, &model->tokenizer_way) < 0)
        return ft_error_prefix("%s: ", body);
    if (ft_tokenizer_size(model->tokenizer) > model->vocabulary)
        return ft_fail(FT_BAD, "%s: the tokenizer has %zu entries, the model's table %zu rows", body, ft_tokenizer_size(model->tokenizer),
                       model->vocabulary);
    return ft_tokenizer_use(model->tokenizer, model->tokenizer_use) < 0 || ft_static_limit(model) < 0 ? -1 : 0;
}

/* What ft.json says, which of two towers of one config.json is of both, and where it is to be changed a place for that. */
static int read_tailored(struct ft_model *model, const struct ft_tailoring *how, int tower)
{
    if (tower < 0 && ft_tailored_read(model) < 0)
        return -1;
    if (how && !model->tailored && !(model->tailored = ft_arena_zero(&model->arena, 1, sizeof *model->tailored)))
        return -1;
    return model->tailored && model->tailored->family && model->scorer ? ft_fail(FT_USAGE, "%s is no cross-encoder any more", model->directory) : 0;
}

struct ft_model *ft_model_open_one(const char *directory, const struct ft_opening *how)
{
    struct ft_model *model = calloc(1, sizeof *model);
    struct ft_builder build = {.model = model, .side = how->side, .file = ""};
    int result = -1;

    if (!model) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    model->scorer = how->scorer;
    if (find_places(model, directory) == 0 && read_tailored(model, how->tailoring, how->tower) == 0)
        result = build_nodes(&build, how->tailoring, how->tower);
    if (ft_build_finish(&build) == 0 && result == 0 && (model->input != FT_INPUT_TEXT || open_tokenizer(model) == 0))
        return model;
    ft_model_close(model);
    return NULL;
}

struct ft_model *ft_model_open_sized(const char *directory, size_t side)
{
    struct ft_arena arena = {0};
    struct ft_towers towers;
    struct ft_model *model = NULL;

    if (ft_towers_find(&arena, directory, &towers) == 0)
        model = towers.kind ? ft_towers_open(directory, &towers, NULL) : ft_model_open_one(directory, &(struct ft_opening){.side = side, .tower = -1});
    ft_arena_free(&arena);
    return model;
}

struct ft_model *ft_model_open_nodes(const char *directory)
{
    return ft_model_open_sized(directory, 0);
}

struct ft_model *ft_model_open(const char *directory, float *block)
{
    struct ft_model *model = ft_model_open_nodes(directory);

    if (!model || !block)
        return model ? ft_model_load(model) : NULL;
    ft_model_use_block(model, block);
    return model;
}

static struct ft_model *open_whole(const char *directory, const struct ft_opening *how)
{
    struct ft_model *model = ft_model_open_one(directory, how);

    return model ? ft_model_load(model) : NULL;
}

struct ft_model *ft_model_open_scorer(const char *directory)
{
    struct ft_arena arena = {0};
    struct ft_towers towers;
    int result = ft_towers_find(&arena, directory, &towers);

    if (result == 0 && towers.kind)
        result = ft_fail(FT_USAGE, "%s is a model of two towers and no cross-encoder", directory);
    ft_arena_free(&arena);
    return result < 0 ? NULL : open_whole(directory, &(struct ft_opening){.scorer = true, .tower = -1});
}

struct ft_model *ft_model_open_tower(const char *directory, enum ft_tower tower)
{
    return open_whole(directory, &(struct ft_opening){.tower = (int)tower});
}

struct ft_model *ft_model_open_tailored(const char *directory, const struct ft_tailoring *how)
{
    return open_whole(directory, &(struct ft_opening){.tailoring = how, .tower = -1});
}

void ft_model_close(struct ft_model *model)
{
    if (!model)
        return;
    for (int t = 0; t < model->tower_count; t++)
        ft_model_close(model->towers[t]);
    ft_adapters_free(model->adapters);
    if (model->map)
        munmap(model->map, model->map_size);
    if (model->tokenizer)
        ft_tokenizer_close(model->tokenizer);
    ft_arena_free(&model->arena);
    free(model);
}
