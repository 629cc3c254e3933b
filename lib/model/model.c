/* model.c - a model directory opened: nodes by its family, parameters from its files, its tokenizer.
 *
 * The block is found in one of three ways: it is the caller's; or the file holds the parameters exactly as the block wants them (a file
 * that ft_model_save wrote), then it is a private map of the file and only what is used is ever read; or it is fresh memory, filled. */
#include "model/model.h"
#include "base/error.h"
#include "base/file.h"
#include "model/adapter.h"
#include "model/model-build.h"
#include "model/tailoring.h"
#include "model/tensors.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *ft_op_name(enum ft_op op)
{
    static const char *const names[] = {"embedding", "linear", "layer-norm", "dropout", "attention", "activation", "add", "pool",
                                        "gem", "normalize", "vector", "pixels", "convolution", "batch-norm", "max-pool", "scale", "tokens",
                                        "rms-norm", "multiply", "bias-table", "rotary", "gate"};

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
    *says = model->weights_file || modules.items[0].type == FT_MODULE_STATIC;
    return 0;
}

/* The family that config.json names (transformers by model_type, timm by an architecture), or ft.json in its stead. */
static const struct ft_family *find_family(const struct ft_model *model, const json_t *config, const char *path, bool is_static, int tower)
{
    const char *name = ft_json_text(config, "model_type"), *tailored = model->tailored ? model->tailored->family : NULL;
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
    const char *path = ft_arena_print(&model->arena, "%s/config.json", model->weights);
    const struct ft_family *family;
    json_t *json = NULL;
    bool is_static;
    int result = -1, node;

    if (!path || says_static(model, &is_static) < 0 || (!(is_static && !ft_file_exists(path)) && !(json = ft_json_read(path))))
        return -1;
    if ((family = find_family(model, json, path, is_static, tower)) && (!how || ft_tailor_config(model, json, path, how) == 0) &&
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
        if (!(base = ft_adapter_base(arena, directory)))
            return -1;
        if (!ft_file_exists(modules))
            model->directory = base;
    } else if (!ft_file_exists(modules) && !ft_file_exists(config) &&
               ft_wordllama_find(arena, directory, &model->weights_file, &model->tokenizer_file) < 0) {
        return -1;
    }
    if (ft_modules_read(arena, base, &own) < 0 || !(model->weights = ft_model_path(arena, base, own.items[0].path)) ||
        ft_modules_read(arena, model->directory, &own) < 0)
        return -1;
    model->body = own.items[0].path;
    return 0;
}

static int open_tokenizer(struct ft_model *model)
{
    const char *body = model->tokenizer_file ? model->tokenizer_file : text_directory(model);

    if (!body || !(model->tokenizer = model->tokenizer_file ? ft_tokenizer_open_file(body) : ft_tokenizer_open(body)))
        return -1;
    if (ft_tokenizer_size(model->tokenizer) > model->vocabulary)
        return ft_fail(FT_BAD, "%s: the tokenizer has %zu entries, the model's table %zu rows", body, ft_tokenizer_size(model->tokenizer),
                       model->vocabulary);
    return ft_tokenizer_use(model->tokenizer, model->tokenizer_use) < 0 || ft_static_limit(model) < 0 ? -1 : 0;
}

/* What ft.json says, and where it is to be changed a place for that. */
static int read_tailored(struct ft_model *model, const struct ft_tailoring *how)
{
    if (ft_tailored_read(model) < 0)
        return -1;
    if (how && !model->tailored && !(model->tailored = ft_arena_zero(&model->arena, 1, sizeof *model->tailored)))
        return -1;
    return model->tailored && model->tailored->family && model->scorer ? ft_fail(FT_USAGE, "%s is no cross-encoder any more", model->directory) : 0;
}

/* How a directory is opened beyond what its files say. */
struct opening {
    bool scorer;
    const struct ft_tailoring *tailoring;    /* or NULL */
    size_t side;                             /* of images, to be listed; 0: the model's */
    int tower;                               /* the one wanted of a pair, -1: not said */
};

static struct ft_model *open_nodes(const char *directory, const struct opening *how)
{
    struct ft_model *model = calloc(1, sizeof *model);
    struct ft_builder build = {.model = model, .side = how->side, .file = ""};
    int result = -1;

    if (!model) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    model->scorer = how->scorer;
    if (find_places(model, directory) == 0 && read_tailored(model, how->tailoring) == 0)
        result = build_nodes(&build, how->tailoring, how->tower);
    if (ft_build_finish(&build) == 0 && result == 0 && (model->input != FT_INPUT_TEXT || open_tokenizer(model) == 0))
        return model;
    ft_model_close(model);
    return NULL;
}

struct ft_model *ft_model_open_nodes(const char *directory)
{
    return open_nodes(directory, &(struct opening){.tower = -1});
}

struct ft_model *ft_model_open_sized(const char *directory, size_t side)
{
    return open_nodes(directory, &(struct opening){.side = side, .tower = -1});
}

/* Weights were called gamma and beta in the days of TensorFlow. */
static const struct ft_safetensor *find_named(struct ft_arena *arena, const struct ft_safetensors *files, const char *prefix,
                                              const char *name)
{
    const char *full = ft_arena_print(arena, "%s%s", prefix, name), *old;
    const struct ft_safetensor *tensor = full ? ft_safetensors_find(files, full) : NULL;
    size_t length = full ? strlen(full) : 0;
    bool weight = length > 17 && strcmp(full + length - 17, ".LayerNorm.weight") == 0;
    bool bias = length > 15 && strcmp(full + length - 15, ".LayerNorm.bias") == 0;

    if (tensor || (!weight && !bias))
        return tensor;
    old = ft_arena_print(arena, "%.*s%s", (int)(length - (weight ? 6 : 4)), full, weight ? "gamma" : "beta");
    return old ? ft_safetensors_find(files, old) : NULL;
}

const struct ft_safetensor *ft_parameter_find(const struct ft_model *model, const struct ft_safetensors *files,
                                              const struct ft_parameter *parameter)
{
    const struct ft_family *family = ft_family_find(model->family);
    const struct ft_safetensor *tensor = NULL;
    struct ft_arena arena = {0};

    if (*parameter->file)
        return ft_safetensors_find(files, parameter->name);
    for (const char *const *prefix = family ? family->prefixes : NULL; prefix && *prefix && !tensor; prefix++)
        tensor = find_named(&arena, files, *prefix, parameter->name);
    for (const char *const *copy = parameter->copies; copy && *copy && !tensor; copy++)
        tensor = ft_safetensors_find(files, *copy);
    ft_arena_free(&arena);
    return tensor;
}

static const char *shape_text(struct ft_arena *arena, int rank, const uint64_t *shape)
{
    const char *text = "[";

    for (int i = 0; i < rank && text; i++)
        text = ft_arena_print(arena, "%s%s%llu", text, i ? ", " : "", (unsigned long long)shape[i]);
    return text ? ft_arena_print(arena, "%s]", text) : NULL;
}

int ft_model_weights(const struct ft_model *model, struct ft_safetensors *files)
{
    return ft_tensors_open(files, model->weights_file ? model->weights_file : model->weights);
}

int ft_parameter_fits(const struct ft_parameter *p, const struct ft_safetensor *tensor)
{
    uint64_t shape[4] = {p->shape[0], p->shape[1], p->shape[2], p->shape[3]};
    struct ft_arena arena = {0};
    bool good = tensor->rank == p->rank;

    for (int i = 0; good && i < p->rank; i++)
        good = tensor->shape[i] == shape[i];

    if (!good) {
        const char *got = shape_text(&arena, tensor->rank, tensor->shape), *want = shape_text(&arena, p->rank, shape);

        ft_fail(FT_BAD, "%s: shape %s, expected %s", tensor->name, got ? got : "", want ? want : "");
        ft_arena_free(&arena);
    }
    return good ? 0 : -1;
}

/* All files a model's parameters lie in, open, and the tensor of each parameter: found and of the right shape. */
struct sources {
    struct ft_safetensors *files;
    size_t count;
    const struct ft_safetensor **tensors;   /* [parameter_count] */
};

static void close_sources(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        ft_safetensors_close(sources->files + i);
    free(sources->files);
    free(sources->tensors);
}

/* Parameters of one file follow one another in the list, so the last file opened is the one wanted or a new one is. */
static int open_sources(const struct ft_model *model, struct sources *sources)
{
    const char *directory = NULL, *file = NULL;
    struct ft_arena arena = {0};
    int result = -1;

    *sources = (struct sources){0};
    sources->tensors = ft_resize(NULL, (size_t)model->parameter_count, sizeof *sources->tensors);
    if (!sources->tensors)
        return -1;
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;

        sources->tensors[i] = NULL;
        if (p->fresh)
            continue;
        if (!file || strcmp(file, p->file) != 0) {
            struct ft_safetensors *files = ft_resize(sources->files, sources->count + 1, sizeof *files);

            if (!files)
                goto end;
            sources->files = files;
            directory = *p->file ? ft_model_path(&arena, model->directory, p->file) : model->weights;
            if (!directory || (*p->file ? ft_tensors_open(files + sources->count, directory) : ft_model_weights(model, files + sources->count)) < 0)
                goto end;
            sources->count++;
            file = p->file;
        }
        if (!(sources->tensors[i] = ft_parameter_find(model, sources->files + sources->count - 1, p))) {
            ft_fail(FT_BAD, "%s: no tensor %s", directory, p->name);
            goto end;
        }
        if (!p->fold && ft_parameter_fits(p, sources->tensors[i]) < 0) {
            ft_error_prefix("%s: ", directory);
            goto end;
        }
    }
    result = 0;
end:
    ft_arena_free(&arena);
    if (result < 0) {
        close_sources(sources);
        *sources = (struct sources){0};
    }
    return result;
}

/* Fill the block; gaps between parameters are zero, so that the same model is the same bytes. */
static int fill(const struct ft_model *model, const struct sources *sources, float *block)
{
    size_t place = 0;

    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;

        if (p->offset > place)
            memset(block + place, 0, (p->offset - place) * sizeof *block);
        /* What is folded lies in the model's own file, which is the first. */
        if (p->fresh)
            ft_parameter_begin(model, i, model->tailored->seed, block + p->offset);
        else if ((p->fold ? ft_fold_read(p, sources->files, sources->tensors[i], block + p->offset)
                          : ft_safetensor_floats(sources->tensors[i], block + p->offset)) < 0)
            return ft_error_prefix("%s: ", model->directory);
        place = p->offset + p->rows * p->columns;
    }
    return 0;
}

int ft_model_read_parameters(struct ft_model *model, float *block)
{
    struct sources sources;
    int result;

    if (open_sources(model, &sources) < 0)
        return -1;
    result = fill(model, &sources, block);
    close_sources(&sources);
    return result < 0 || !model->adapter ? result : ft_adapter_add(model, block, model->adapter);
}

/* Does one file hold all of the block, in place? Then `*data` is where it begins. */
static bool in_place(const struct ft_model *model, const struct sources *sources, const char **data)
{
    const char *map;

    if (sources->count != 1 || sources->files->map_count != 1)
        return false;
    if (!sources->tensors[0])
        return false;
    *data = sources->tensors[0]->data;
    map = sources->files->maps->data;
    if (*data < map || *data >= map + sources->files->maps->size)   /* a copy: it was not contiguous in its file */
        return false;
    for (int i = 0; i < model->parameter_count; i++)
        if (!sources->tensors[i] || strcmp(sources->tensors[i]->dtype, "F32") != 0 || ft_fold_is(&model->parameters[i], sources->files) ||
            (const char *)sources->tensors[i]->data != *data + model->parameters[i].offset * sizeof(float))
            return false;
    return ((uintptr_t)*data & 63) == 0;
}

/* Private and writable: a training step may write into the block without the file knowing. */
static int map_block(struct ft_model *model, struct sources *sources, const char *data)
{
    struct ft_safetensors_map *map = sources->files->maps;

    if (mprotect((void *)map->data, map->size, PROT_READ | PROT_WRITE) < 0)
        return ft_fail_errno("%s", model->directory);
    model->map = (void *)map->data;
    model->map_size = map->size;
    model->block = (float *)(void *)data;
    sources->files->map_count = 0;   /* ours now */
    return 0;
}

/* Large pages, where the system has them: a fifth of the page faults' time otherwise spent here. */
static int allocate_block(struct ft_model *model)
{
    size_t size = (model->block_count ? model->block_count : 1) * sizeof(float);
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return ft_fail_errno("%s: %zu bytes of parameters", model->directory, size);
    madvise(map, size, MADV_HUGEPAGE);
    model->map = map;
    model->map_size = size;
    model->block = map;
    return 0;
}

/* The model with its parameters from its files; closed where that fails. */
static struct ft_model *load(struct ft_model *model)
{
    struct sources sources;
    const char *data;
    int result;

    if (open_sources(model, &sources) < 0) {
        ft_model_close(model);
        return NULL;
    }
    if (in_place(model, &sources, &data))
        result = map_block(model, &sources, data);
    else if ((result = allocate_block(model)) == 0)
        result = fill(model, &sources, model->block);
    close_sources(&sources);
    if (result == 0 && model->adapter)
        result = ft_adapter_add(model, model->block, model->adapter);
    if (result < 0) {
        ft_model_close(model);
        return NULL;
    }
    return model;
}

struct ft_model *ft_model_open(const char *directory, float *block)
{
    struct ft_model *model = open_nodes(directory, &(struct opening){.tower = -1});

    if (!model || !block)
        return model ? load(model) : NULL;
    model->block = block;
    return model;
}

struct ft_model *ft_model_open_scorer(const char *directory)
{
    struct ft_model *model = open_nodes(directory, &(struct opening){.scorer = true, .tower = -1});

    return model ? load(model) : NULL;
}

struct ft_model *ft_model_open_tower(const char *directory, enum ft_tower tower)
{
    struct ft_model *model = open_nodes(directory, &(struct opening){.tower = (int)tower});

    return model ? load(model) : NULL;
}

struct ft_model *ft_model_open_tailored(const char *directory, const struct ft_tailoring *how)
{
    struct ft_model *model = open_nodes(directory, &(struct opening){.tailoring = how, .tower = -1});

    return model ? load(model) : NULL;
}

void ft_model_close(struct ft_model *model)
{
    if (!model)
        return;
    ft_adapters_free(model->adapters);
    if (model->map)
        munmap(model->map, model->map_size);
    if (model->tokenizer)
        ft_tokenizer_close(model->tokenizer);
    ft_arena_free(&model->arena);
    free(model);
}
