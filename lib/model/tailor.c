/* tailor.c - edits: each takes the nodes as the one before it left them. */
#include "base/error.h"
#include "model/tailoring.h"
#include "model/towers.h"

#include <stdlib.h>
#include <string.h>

enum { WIDEST = 1 << 16, MOST_LAYERS = 64 };

struct tailor {
    struct ft_builder *build;
    struct ft_model *model;
    struct ft_tailored *tailored;
    struct ft_arena *arena;
    struct ft_chain chain;       /* behind the family's nodes, when the edit began */
    bool cut;                    /* at a node that has a row a token */
};

/* Its number, or -1. */
static int node_named(const struct ft_model *model, const char *name)
{
    int i = model->node_count - 1;

    while (i >= 0 && strcmp(model->nodes[i].name, name) != 0)
        i--;
    return i;
}

/* The family's nodes up to `last`, and then the chain. */
static int rebuild(struct tailor *t, int last)
{
    last = ft_build_keep(t->build, last);
    t->model->body_nodes = t->model->node_count;
    return ft_chain_build(t->build, last, &t->chain) < 0 ? -1 : 0;
}

/* Room for `count` more links at `place`. */
static struct ft_link *make_room(struct tailor *t, size_t place, size_t count)
{
    struct ft_link *items = ft_arena_zero(t->arena, t->chain.count + count, sizeof *items);

    if (!items)
        return NULL;
    memcpy(items, t->chain.items, place * sizeof *items);
    memcpy(items + place + count, t->chain.items + place, (t->chain.count - place) * sizeof *items);
    t->chain.items = items;
    t->chain.count += count;
    return items + place;
}

/* "2_Dense": numbered by its place among what sentence-transformers calls modules; another number where that is taken. */
static const char *new_name(struct tailor *t, size_t place, const char *kind)
{
    size_t number = 1;
    const char *name;
    bool taken;

    for (size_t i = 0; i < place; i++)
        number += t->chain.items[i].op != FT_OP_ACTIVATION && t->chain.items[i].name;
    do {
        if (!(name = ft_arena_print(t->arena, "%zu_%s", number++, kind)))
            return NULL;
        taken = node_named(t->model, name) >= 0;
        for (size_t i = 0; i < t->chain.count; i++)
            taken |= t->chain.items[i].name && strcmp(t->chain.items[i].name, name) == 0;
    } while (taken);
    return name;
}

static bool is_pool(enum ft_op op)
{
    return op == FT_OP_POOL || op == FT_OP_GEM;
}

/* Can the places of a map, which have no order, be pooled so? */
static bool pools_maps(const struct ft_link *link)
{
    return link->op == FT_OP_GEM || link->pooling == FT_POOL_MEAN || link->pooling == FT_POOL_MAX;
}

static int edit_embedding(struct tailor *t, const char *name)
{
    int node = node_named(t->model, name), body = t->model->body_nodes;
    struct ft_link mean = {.op = FT_OP_POOL, .name = "pooling", .file = "", .pooling = FT_POOL_MEAN};

    if (node < 0)
        return ft_fail(FT_USAGE, "the model has no such node: ft-tailor -m MODEL lists them");
    if (t->model->nodes[node].op == FT_OP_VECTOR || t->model->nodes[node].op == FT_OP_PIXELS)
        return ft_fail(FT_USAGE, "%s is what the model reads: expected a node that computes something", name);
    if (t->model->nodes[node].op == FT_OP_RELATIVE_BIAS)
        return ft_fail(FT_USAGE, "%s is a table that attentions use and has no output: expected another node", name);
    if (node >= body) {
        t->chain.count = (size_t)(node - body) + 1;
        return rebuild(t, body - 1);
    }
    t->tailored->cut = strcmp(name, t->tailored->whole) == 0 ? NULL : t->model->nodes[node].name;
    if (ft_node_pooled(t->model, node)) {
        t->chain.count = 0;
    } else {
        if (t->chain.count && is_pool(t->chain.items[0].op))
            mean = t->chain.items[0];
        if (t->model->nodes[node].height && !pools_maps(&mean))
            mean.pooling = FT_POOL_MEAN;
        t->chain.count = 0;
        if (!make_room(t, 0, 1))
            return -1;
        t->chain.items[0] = mean;
        t->cut = true;
    }
    return rebuild(t, node);
}

static int number_of(const struct ft_setting *s, const char *key, double low, double high, double *value)
{
    int failed = 0;

    *value = ft_setting_number(s, key, *value, &failed);
    if (failed)
        return -1;
    if (!(*value >= low && *value <= high))
        return ft_fail(FT_USAGE, "%s:%s=%g: expected %g to %g", s->name, key, *value, low, high);
    return 0;
}

static int count_of(const struct ft_setting *s, const char *key, size_t low, size_t high, size_t *value)
{
    double number = (double)*value;

    if (number_of(s, key, (double)low, (double)high, &number) < 0)
        return -1;
    *value = (size_t)number;
    return number == (double)*value ? 0 : ft_fail(FT_USAGE, "%s:%s=%g is not a whole number", s->name, key, number);
}

static int flag_of(const struct ft_setting *s, const char *key, bool *value)
{
    size_t number = *value;

    if (count_of(s, key, 0, 1, &number) < 0)
        return -1;
    *value = number;
    return 0;
}

static int read_pool(struct ft_link *link, const char *text)
{
    struct ft_setting s;
    double p = 3;

    *link = (struct ft_link){.op = FT_OP_POOL, .name = "pooling", .file = "1_Pooling"};
    if (ft_setting_parse(&s, text) < 0)
        return -1;
    if (strcmp(s.name, "gem") == 0) {
        link->op = FT_OP_GEM;
        link->epsilon = 1e-6f;
        link->learn = true;
        if (ft_setting_check(&s, "p learn") < 0 || number_of(&s, "p", .01, 100, &p) < 0 || flag_of(&s, "learn", &link->learn) < 0)
            return -1;
        link->power = (float)p;
        link->fresh = link->learn;
        return 0;
    }
    if (ft_setting_check(&s, "") < 0)
        return -1;
    for (int i = 0; i < FT_POOLING_MODES; i++)
        if (strcmp(s.name, ft_pooling_modes[i].ours) == 0) {
            link->pooling = ft_pooling_modes[i].pooling;
            return 0;
        }
    return ft_fail(FT_USAGE, "'%s' is not known: one of mean, max, cls, last, mean-sqrt, weighted-mean, gem", s.name);
}

/* The places of a map have no first, no last and no number. */
static int check_pool(const struct ft_model *model, int pooled, const struct ft_link *link)
{
    const struct ft_node *node = model->nodes + pooled;

    if (!node->height || pools_maps(link))
        return 0;
    return ft_fail(FT_USAGE, "%s is a map, which has no order of tokens: expected mean, max or gem", node->name);
}

/* The pooling is the chain's first node, or the last of the family's own. */
static int edit_pool(struct tailor *t, const char *text)
{
    int last = t->model->body_nodes - 1;
    bool own = !(t->chain.count && is_pool(t->chain.items[0].op)), ends = is_pool(t->model->nodes[last].op);
    struct ft_link link, *first;

    if (read_pool(&link, text) < 0 || check_pool(t->model, own && ends ? t->model->nodes[last].inputs[0] : last, &link) < 0)
        return -1;
    if (!own) {
        t->chain.items[0] = link;
        return rebuild(t, last);
    }
    if (!ends)
        return ft_fail(FT_USAGE, "no pooling ends the model's own nodes: cut it before one with --embedding");
    if (!(first = make_room(t, 0, 1)))
        return -1;
    *first = link;
    last = t->model->nodes[last].inputs[0];
    t->tailored->cut = t->model->nodes[last].name;
    return rebuild(t, last);
}

/* New links come before a normalisation that ends the model. */
static size_t place_of_new(const struct tailor *t)
{
    return t->chain.count && t->chain.items[t->chain.count - 1].op == FT_OP_NORMALIZE ? t->chain.count - 1 : t->chain.count;
}

static int edit_dim(struct tailor *t, const char *text)
{
    size_t place = place_of_new(t);
    char *end;
    unsigned long out = strtoul(text, &end, 10);
    const char *name = new_name(t, place, "Dense");
    struct ft_link *link;

    if (*end || end == text || out < 1 || out > WIDEST)
        return ft_fail(FT_USAGE, "expected a whole number, 1 to %d", WIDEST);
    if (!name || !(link = make_room(t, place, 1)))
        return -1;
    *link = (struct ft_link){.op = FT_OP_LINEAR, .name = name, .file = name, .out = out, .bias = true, .fresh = true};
    return rebuild(t, t->model->body_nodes - 1);
}

struct head {
    size_t layers, hidden, out;
    double dropout;
    bool bias;
    enum ft_op norm;             /* FT_OP_LINEAR: none */
    enum ft_activation activation;
};

static int read_norm(const struct ft_setting *s, enum ft_op *norm)
{
    const char *name = ft_setting_text(s, "norm", "none");

    if (strcmp(name, "none") != 0 && strcmp(name, "layer") != 0 && strcmp(name, "batch") != 0)
        return ft_fail(FT_USAGE, "%s:norm=%s: expected batch, layer or none", s->name, name);
    *norm = *name == 'l' ? FT_OP_LAYER_NORM : *name == 'b' ? FT_OP_BATCH_NORM : FT_OP_LINEAR;
    return 0;
}

static int read_activation(const struct ft_setting *s, enum ft_activation *activation)
{
    const char *name = ft_setting_text(s, "activation", "relu");
    int result = ft_activation_parse(strcmp(name, "none") == 0 ? "linear" : name, activation);

    return result < 0 ? ft_fail(FT_USAGE, "%s:activation=%s: expected relu, gelu, tanh, silu, sigmoid, ... or none", s->name, name) : 0;
}

static int read_head(struct head *head, const char *text, size_t width)
{
    struct ft_setting s;

    *head = (struct head){.layers = 2, .hidden = width, .out = width, .bias = true};
    if (ft_setting_parse(&s, text) < 0)
        return -1;
    if (strcmp(s.name, "mlp") != 0)
        return ft_fail(FT_USAGE, "'%s' is not known: mlp", s.name);
    return ft_setting_check(&s, "layers hidden out activation norm dropout bias") < 0 || count_of(&s, "layers", 1, MOST_LAYERS, &head->layers) < 0 ||
           count_of(&s, "hidden", 1, WIDEST, &head->hidden) < 0 || count_of(&s, "out", 1, WIDEST, &head->out) < 0 ||
           number_of(&s, "dropout", 0, .99, &head->dropout) < 0 || flag_of(&s, "bias", &head->bias) < 0 || read_norm(&s, &head->norm) < 0 ||
           read_activation(&s, &head->activation) < 0 ? -1 : 0;
}

/* One layer's links at `place`: a linear map and, but for the last, norm, activation and dropout. How many. */
static int add_layer(struct tailor *t, const struct head *head, size_t place, bool last)
{
    const char *norm = head->norm == FT_OP_LAYER_NORM ? "LayerNorm" : "BatchNorm", *name, *before;
    const size_t start = place;
    struct ft_link *link;

    if (!(name = before = new_name(t, place, "Dense")) || !(link = make_room(t, place++, 1)))
        return -1;
    *link = (struct ft_link){.op = FT_OP_LINEAR, .name = name, .file = name, .out = last ? head->out : head->hidden, .bias = head->bias, .fresh = true};
    if (!last && head->norm != FT_OP_LINEAR) {
        if (!(before = new_name(t, place, norm)) || !(link = make_room(t, place++, 1)))
            return -1;
        *link = (struct ft_link){.op = head->norm, .name = before, .file = before, .epsilon = 1e-5f, .fresh = true};
    }
    if (!last && head->activation != FT_IDENTITY) {
        if (!(name = ft_arena_print(t->arena, "%s.activation", before)) || !(link = make_room(t, place++, 1)))
            return -1;
        *link = (struct ft_link){.op = FT_OP_ACTIVATION, .name = name, .file = "", .activation = head->activation};
    }
    if (!last && head->dropout > 0) {
        if (!(name = new_name(t, place, "Dropout")) || !(link = make_room(t, place++, 1)))
            return -1;
        *link = (struct ft_link){.op = FT_OP_DROPOUT, .name = name, .file = "", .rate = (float)head->dropout};
    }
    return (int)(place - start);
}

static int edit_head(struct tailor *t, const char *text)
{
    size_t place = place_of_new(t);
    struct head head;
    int added;

    if (read_head(&head, text, t->model->nodes[t->model->node_count - 1].width) < 0)
        return -1;
    for (size_t i = 0; i < head.layers; i++, place += (size_t)added)
        if ((added = add_layer(t, &head, place, i + 1 == head.layers)) < 0)
            return -1;
    return rebuild(t, t->model->body_nodes - 1);
}

static int edit_normalize(struct tailor *t, const char *text)
{
    struct ft_link *link;
    const char *name;

    (void)text;
    if (t->model->normalized)
        return 0;
    name = node_named(t->model, "normalize") < 0 ? "normalize" : new_name(t, t->chain.count, "Normalize");
    if (!name || !(link = make_room(t, t->chain.count, 1)))
        return -1;
    *link = (struct ft_link){.op = FT_OP_NORMALIZE, .name = name, .file = ""};
    return rebuild(t, t->model->body_nodes - 1);
}

static int add_freezing(struct tailor *t, const char *pattern)
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

static int edit_freeze(struct tailor *t, const char *pattern)
{
    return ft_model_freeze(t->model, pattern, true) < 0 || !(pattern = ft_arena_text(t->arena, ft_string_of(pattern))) ? -1 : add_freezing(t, pattern);
}

static int edit_unfreeze(struct tailor *t, const char *pattern)
{
    return ft_model_freeze(t->model, pattern, false) < 0 || !(pattern = ft_arena_print(t->arena, "!%s", pattern)) ? -1 : add_freezing(t, pattern);
}

static int edit_max_length(struct tailor *t, const char *text)
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

static int edit_prompt(struct tailor *t, const char *text)
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

static int edit_layers(struct tailor *t, const char *text)
{
    (void)text;
    return ft_model_blocks(t->model) == t->tailored->layers ? 0 : ft_fail(FT_USAGE, "blocks of this family cannot be left out by their number; --embedding NODE cuts after any node");
}

/* The family has read it. */
static int edit_dropout(struct tailor *t, const char *text)
{
    (void)t, (void)text;
    return 0;
}

/* The family has been built for it, where it has pixels. */
static int edit_image_size(struct tailor *t, const char *text)
{
    (void)text;
    return t->model->input == FT_INPUT_IMAGE ? 0 : ft_fail(FT_USAGE, "the model reads no images");
}

static const struct edit {
    const char *name;
    int (*make)(struct tailor *t, const char *value);
} known_edits[] = {
    {"layers", edit_layers}, {"dropout", edit_dropout}, {"image-size", edit_image_size}, {"embedding", edit_embedding}, {"pool", edit_pool}, {"dim", edit_dim},
    {"head", edit_head}, {"normalize", edit_normalize}, {"freeze", edit_freeze}, {"unfreeze", edit_unfreeze}, {"max-length", edit_max_length}, {"prompt", edit_prompt},
};

static int make_edit(struct tailor *t, const char *text)
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
static int fold_cut(struct tailor *t, const struct ft_family *family, const json_t *config, const char *path)
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
static void say_pooling(const struct tailor *t)
{
    const struct ft_node *pool = t->model->nodes + t->model->body_nodes;

    if (t->model->body_nodes < t->model->node_count && is_pool(pool->op))
        ft_build_note(t->build, "%s is no single vector: pooled by %s", t->model->nodes[pool->inputs[0]].name,
                      pool->op == FT_OP_GEM ? "gem" : ft_pooling_name(pool->pooling));
}

int ft_tailor_apply(struct ft_builder *build, const struct ft_family *family, const json_t *config, const char *path, const struct ft_tailoring *how)
{
    struct ft_model *model = build->model;
    struct tailor t = {.build = build, .model = model, .tailored = model->tailored, .arena = &model->arena};

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
