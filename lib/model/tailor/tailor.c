/* tailor.c - edits: each takes the nodes as the one before it left them. */
#include "base/error.h"
#include "model/tailor/tailor-edits.h"
#include "model/towers.h"

#include <stdlib.h>
#include <string.h>

int ft_tailor_node(const struct ft_model *model, const char *name)
{
    int i = model->node_count - 1;

    while (i >= 0 && strcmp(model->nodes[i].name, name) != 0)
        i--;
    return i;
}

int ft_tailor_rebuild(struct ft_tailor *t, int last)
{
    last = ft_build_keep(t->build, last);
    t->model->body_nodes = t->model->node_count;
    return ft_chain_build(t->build, last, &t->chain) < 0 ? -1 : 0;
}

static int edit_embedding(struct ft_tailor *t, const char *name)
{
    int node = ft_tailor_node(t->model, name), body = t->model->body_nodes;
    struct ft_link mean = {.op = FT_OP_POOL, .name = "pooling", .file = "", .pooling = FT_POOL_MEAN};

    if (node < 0)
        return ft_fail(FT_USAGE, "the model has no such node: ft-tailor -m MODEL lists them");
    if (t->model->nodes[node].op == FT_OP_VECTOR || t->model->nodes[node].op == FT_OP_PIXELS)
        return ft_fail(FT_USAGE, "%s is what the model reads: expected a node that computes something", name);
    if (t->model->nodes[node].op == FT_OP_RELATIVE_BIAS)
        return ft_fail(FT_USAGE, "%s is a table that attentions use and has no output: expected another node", name);
    if (node >= body) {
        t->chain.count = (size_t)(node - body) + 1;
        return ft_tailor_rebuild(t, body - 1);
    }
    t->tailored->cut = strcmp(name, t->tailored->whole) == 0 ? NULL : t->model->nodes[node].name;
    if (ft_node_pooled(t->model, node)) {
        t->chain.count = 0;
    } else {
        if (t->chain.count && ft_tailor_is_pool(t->chain.items[0].op))
            mean = t->chain.items[0];
        if (t->model->nodes[node].height && !ft_tailor_pools_maps(&mean))
            mean.pooling = FT_POOL_MEAN;
        t->chain.count = 0;
        if (!ft_tailor_room(t, 0, 1))
            return -1;
        t->chain.items[0] = mean;
        t->cut = true;
    }
    return ft_tailor_rebuild(t, node);
}

static int add_freezing(struct ft_tailor *t, const char *pattern)
{
    struct ft_list *list = &t->tailored->freezing;
    const char **items = ft_arena_take(t->arena, (list->count + 1) * sizeof *items);

    if (!items)
        return -1;
    for (size_t i = 0; i < list->count; i++)
        items[i] = list->items[i];
    items[list->count] = pattern;
    *list = (struct ft_list){items, list->count + 1};
    return 0;
}

static int edit_freeze(struct ft_tailor *t, const char *pattern)
{
    return ft_model_freeze(t->model, pattern, true) < 0 || !(pattern = ft_arena_text(t->arena, ft_string_of(pattern))) ? -1 : add_freezing(t, pattern);
}

static int edit_unfreeze(struct ft_tailor *t, const char *pattern)
{
    return ft_model_freeze(t->model, pattern, false) < 0 || !(pattern = ft_arena_print(t->arena, "!%s", pattern)) ? -1 : add_freezing(t, pattern);
}

static int edit_max_length(struct ft_tailor *t, const char *text)
{
    char *end;
    unsigned long length = strtoul(text, &end, 10);
    size_t most = t->tailored->positions;

    if (!most)
        return ft_fail(FT_USAGE, "the model reads no texts");
    if (*end || end == text || length < 2 || length > most)
        return ft_fail(FT_USAGE, "expected a whole number, 2 to %zu", most);
    t->model->max_length = length;
    return 0;
}

static int edit_prompt(struct ft_tailor *t, const char *text)
{
    struct ft_prompts prompts;
    struct ft_list list = {&text, 1};

    if (t->model->input != FT_INPUT_TEXT)
        return ft_fail(FT_USAGE, "the model reads no texts");
    ft_prompts_parse(&prompts, &list);
    for (int role = 0; role <= FT_NO_ROLE; role++)
        if (prompts.text[role] && !(t->model->prompts.text[role] = ft_arena_text(t->arena, ft_string_of(prompts.text[role]))))
            return -1;
    return ft_model_prompts_check(t->model, &t->model->prompts);
}

static int edit_layers(struct ft_tailor *t, const char *text)
{
    (void)text;
    return ft_model_blocks(t->model) == t->tailored->layers ? 0 : ft_fail(FT_USAGE, "blocks of this family cannot be left out by their number; --embedding NODE cuts after any node");
}

/* The family has read it. */
static int edit_dropout(struct ft_tailor *t, const char *text)
{
    (void)t, (void)text;
    return 0;
}

/* The family has been built for it, where it has pixels. */
static int edit_image_size(struct ft_tailor *t, const char *text)
{
    (void)text;
    return t->model->input == FT_INPUT_IMAGE ? 0 : ft_fail(FT_USAGE, "the model reads no images");
}

static const struct edit {
    const char *name;
    int (*make)(struct ft_tailor *t, const char *value);
} known_edits[] = {
    {"layers", edit_layers}, {"dropout", edit_dropout}, {"image-size", edit_image_size}, {"embedding", edit_embedding}, {"pool", ft_edit_pool}, {"dim", ft_edit_dim},
    {"head", ft_edit_head}, {"normalize", ft_edit_normalize}, {"freeze", edit_freeze}, {"unfreeze", edit_unfreeze}, {"max-length", edit_max_length}, {"prompt", edit_prompt},
};

static int make_edit(struct ft_tailor *t, const char *text)
{
    size_t size = strcspn(text, "=");
    const char *value = text[size] ? text + size + 1 : "";

    if (ft_chain_read(t->model, t->arena, &t->chain) < 0)
        return -1;
    for (size_t i = 0; i < sizeof known_edits / sizeof *known_edits; i++)
        if (strlen(known_edits[i].name) == size && memcmp(known_edits[i].name, text, size) == 0) {
            if (known_edits[i].make(t, value) == 0)
                return 0;
            return ft_error_prefix("--%.*s%s%.200s: ", (int)size, text, *value ? " " : "", value);
        }
    return ft_fail(FT_USAGE, "'%.64s' is no edit", text);
}

/* Are the model's own nodes, all of them, what the family makes of this config.json? */
static bool same_body(const struct ft_model *model, const struct ft_model *other)
{
    bool same = model->body_nodes == other->node_count;

    for (int i = 0; same && i < other->node_count; i++)
        same = strcmp(model->nodes[i].name, other->nodes[i].name) == 0 && model->nodes[i].width == other->nodes[i].width;
    return same;
}

/* A cut right behind a block is a model of fewer blocks, which config.json can say. */
static int fold_cut(struct ft_tailor *t, const struct ft_family *family, const json_t *config, const char *path)
{
    struct ft_model *fewer = calloc(1, sizeof *fewer);
    struct ft_builder build = {.model = fewer, .file = "", .pooling = t->tailored->pooling};
    json_t *copy = json_deep_copy(config);
    const char *key = ft_layers_key(config);
    size_t blocks = ft_model_blocks(t->model);
    int result = 0;

    if (!fewer || (config && !copy))
        result = ft_fail(FT_SYSTEM, "out of memory");
    if (result == 0) {   /* where families look into the files */
        fewer->directory = t->model->directory;
        fewer->weights = t->model->weights;
        fewer->weights_file = t->model->weights_file;
        fewer->body = t->model->body;
    }
    if (result == 0 && key && blocks && ft_config_layers(copy, key, blocks) == 0) {
        int node = family->build(&build, copy, path);

        result = ft_build_finish(&build);
        if (result == 0 && node >= 0 && same_body(t->model, fewer)) {
            t->tailored->layers = blocks;
            t->tailored->cut = NULL;
        }
    }
    json_decref(copy);
    if (fewer)
        ft_arena_free(&fewer->arena);
    free(fewer);
    return result;
}

/* A cut brings a pooling that nobody may have asked for. */
static void say_pooling(const struct ft_tailor *t)
{
    const struct ft_node *pool = t->model->nodes + t->model->body_nodes;

    if (t->model->body_nodes < t->model->node_count && ft_tailor_is_pool(pool->op))
        ft_build_note(t->build, "%s is no single vector: pooled by %s", t->model->nodes[pool->inputs[0]].name,
                      pool->op == FT_OP_GEM ? "gem" : ft_pooling_name(pool->pooling));
}

int ft_tailor_apply(struct ft_builder *build, const struct ft_family *family, const json_t *config, const char *path, const struct ft_tailoring *how)
{
    struct ft_model *model = build->model;
    struct ft_tailor t = {.build = build, .model = model, .tailored = model->tailored, .arena = &model->arena};

    t.tailored->fresh = true;
    t.tailored->seed = how->seed;
    for (size_t i = 0; i < how->edits->count; i++)
        if (make_edit(&t, how->edits->items[i]) < 0)
            return -1;
    if (t.cut)
        say_pooling(&t);
    if (t.tailored->cut && fold_cut(&t, family, config, path) < 0)
        return -1;
    for (int i = 0; how->begin && i < model->parameter_count; i++)
        model->parameters[i].fresh = true;
    return ft_tailored_settle(model);
}

struct ft_model *ft_model_tailor(const char *directory, const struct ft_list *edits, uint64_t seed)
{
    const struct ft_tailoring how = {.edits = edits, .seed = seed};
    struct ft_arena arena = {0};
    struct ft_list head = {NULL, 0};
    struct ft_towers towers;
    struct ft_model *model = NULL;

    if (ft_towers_find(&arena, directory, &towers) == 0)
        model = towers.kind ? ft_towers_tailor(directory, &towers, edits, seed) : ft_model_open_tailored(directory, &how);
    ft_arena_free(&arena);
    if (!model || model->tower_count)
        return model;
    model->body = "";   /* where it goes; what it is read from has been found */
    if (edits->count || (ft_model_head(&model->arena, model, &head) == 0 && head.count))
        return model;
    if (head.items)
        ft_fail(FT_USAGE, "%s: no edit, and no classifier's head to take off", directory);
    ft_model_close(model);
    return NULL;
}
