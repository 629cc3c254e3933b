/* tailor-file.c - ft.json in, read as what a stranger wrote. */
#include "base/error.h"
#include "base/file.h"
#include "model/tailor/tailoring.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EDITS_MAX = 4096 };

struct reading {
    struct ft_model *model;
    struct ft_tailored *tailored;
    const char *path;
    bool built;                  /* an edit of nodes has been read */
};

/* The text of `key`, in the arena. */
static const char *text_of(struct reading *r, const json_t *edit, const char *key)
{
    const char *text = ft_json_text(edit, key);

    if (text && *text && strlen(text) < 512)
        return ft_arena_text(&r->model->arena, ft_string_of(text));
    ft_fail(FT_BAD, "%s: edit '%s' has no %s", r->path, ft_json_text(edit, "edit"), key);
    return NULL;
}

static int read_pool(struct reading *r, const json_t *edit, struct ft_link *link)
{
    const char *name = ft_json_text(edit, "pooling");

    for (int i = 0; name && i < FT_POOLING_MODES; i++)
        if (strcmp(name, ft_pooling_modes[i].ours) == 0) {
            link->pooling = ft_pooling_modes[i].pooling;
            return 0;
        }
    return ft_fail(FT_BAD, "%s: pooling '%.64s' is not known, expected mean, max, cls, last, mean-sqrt or weighted-mean", r->path, name ? name : "");
}

static int read_gem(struct reading *r, const json_t *edit, struct ft_link *link)
{
    double p = 3;

    link->file = "1_Pooling";
    link->epsilon = 1e-6f;
    link->learn = true;
    if (ft_json_number(edit, r->path, "p", .01, 100, &p) < 0 || ft_json_bool(edit, r->path, "learn", &link->learn) < 0)
        return -1;
    link->power = (float)p;
    return 0;
}

static int read_linear(struct reading *r, const json_t *edit, struct ft_link *link)
{
    link->file = link->name;
    link->bias = true;
    return ft_json_size(edit, r->path, "out", 1, 1 << 16, false, &link->out) < 0 || ft_json_bool(edit, r->path, "bias", &link->bias) < 0 ? -1 : 0;
}

static int read_norm(struct reading *r, const json_t *edit, struct ft_link *link)
{
    double epsilon = 1e-5;

    link->file = link->name;
    if (ft_json_number(edit, r->path, "epsilon", 0, 1, &epsilon) < 0)
        return -1;
    link->epsilon = (float)epsilon;
    return 0;
}

static int read_activation(struct reading *r, const json_t *edit, struct ft_link *link)
{
    const char *name = ft_json_text(edit, "activation");

    return ft_activation_parse(name ? name : "", &link->activation) < 0 ? ft_error_prefix("%s: ", r->path) : 0;
}

static int read_dropout(struct reading *r, const json_t *edit, struct ft_link *link)
{
    double rate = 0;

    if (ft_json_number(edit, r->path, "rate", 0, .999, &rate) < 0)
        return -1;
    link->rate = (float)rate;
    return 0;
}

static int read_nothing(struct reading *r, const json_t *edit, struct ft_link *link)
{
    (void)r, (void)edit, (void)link;
    return 0;
}

static const struct kind {
    const char *name, *keys;     /* keys beside "edit", each followed by a blank */
    enum ft_op op;
    int (*read)(struct reading *r, const json_t *edit, struct ft_link *link);   /* NULL: no node */
} kinds[] = {
    {"embedding", "node ", FT_OP_EMBEDDING, NULL},
    {"freeze", "nodes ", FT_OP_EMBEDDING, NULL},
    {"unfreeze", "nodes ", FT_OP_EMBEDDING, NULL},
    {"pool", "name pooling ", FT_OP_POOL, read_pool},
    {"gem", "name p learn ", FT_OP_GEM, read_gem},
    {"linear", "name out bias ", FT_OP_LINEAR, read_linear},
    {"layer-norm", "name epsilon ", FT_OP_LAYER_NORM, read_norm},
    {"batch-norm", "name epsilon ", FT_OP_BATCH_NORM, read_norm},
    {"activation", "name activation ", FT_OP_ACTIVATION, read_activation},
    {"dropout", "name rate ", FT_OP_DROPOUT, read_dropout},
    {"normalize", "name ", FT_OP_NORMALIZE, read_nothing},
};

static const struct kind *find_kind(const struct reading *r, const json_t *edit)
{
    const char *name = ft_json_text(edit, "edit"), *key;
    const json_t *value;

    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) != 0)
            continue;
        json_object_foreach((json_t *)edit, key, value) {
            const char *known = strstr(kinds[i].keys, key);
            size_t size = strlen(key);

            if (strcmp(key, "edit") != 0 && !(size && known && known[size] == ' ' && (known == kinds[i].keys || known[-1] == ' '))) {
                ft_fail(FT_BAD, "%s: edit '%s' has a '%.64s', expected %s", r->path, name, key, kinds[i].keys);
                return NULL;
            }
        }
        return &kinds[i];
    }
    ft_fail(FT_BAD, "%s: edit '%.64s' is not known, expected embedding, pool, gem, linear, layer-norm, batch-norm, activation, dropout, normalize, freeze or unfreeze",
            r->path, name ? name : "");
    return NULL;
}

static int read_freezing(struct reading *r, const json_t *edit, const char *sign)
{
    const char *pattern = text_of(r, edit, "nodes");
    struct ft_list *list = &r->tailored->freezing;

    return pattern && (list->items[list->count++] = ft_arena_print(&r->model->arena, "%s%s", sign, pattern)) ? 0 : -1;
}

static int read_edit(struct reading *r, const json_t *edit)
{
    const struct kind *kind = find_kind(r, edit);
    struct ft_chain *chain = &r->tailored->chain;
    struct ft_link *link = chain->items + chain->count;

    if (!kind)
        return -1;
    if (kind->op == FT_OP_EMBEDDING && *kind->name != 'e')
        return read_freezing(r, edit, *kind->name == 'u' ? "!" : "");
    if (!r->tailored->family)
        return ft_fail(FT_BAD, "%s: edit '%s', and no family whose nodes it is of", r->path, kind->name);
    if (r->built != (kind->read != NULL))
        return ft_fail(FT_BAD, "%s: edit '%s': expected one embedding, and that first", r->path, kind->name);
    r->built = true;
    if (!kind->read)
        return (r->tailored->cut = text_of(r, edit, "node")) ? 0 : -1;
    *link = (struct ft_link){.op = kind->op, .name = text_of(r, edit, "name"), .file = ""};
    if (!link->name || kind->read(r, edit, link) < 0)
        return -1;
    if (!ft_path_inside(link->name))
        return ft_fail(FT_BAD, "%s: name '%.128s' does not stay inside the directory", r->path, link->name);
    chain->count++;
    return 0;
}

static int read_top(struct reading *r, const json_t *json)
{
    const json_t *edits = json_object_get(json, "edits"), *value;
    const char *key;
    bool towers = r->model->tower_count > 0;

    if (!json_is_object(json) || json_integer_value(json_object_get(json, "ft")) != 1)
        return ft_fail(FT_BAD, "%s: \"ft\" is not 1: of another version than this one reads", r->path);
    json_object_foreach((json_t *)json, key, value)
        if (strcmp(key, "ft") != 0 && strcmp(key, towers ? "towers" : "family") != 0 && strcmp(key, "edits") != 0 && !(towers && ft_logit_find(key) >= 0))
            return ft_fail(FT_BAD, "%s: key '%.64s' is not known, expected ft, %s and edits", r->path, key, towers ? "towers" : "family");
    if (towers && !edits)
        return 0;
    if (!json_is_array(edits) || json_array_size(edits) > EDITS_MAX)
        return ft_fail(FT_BAD, "%s: edits is not a list of at most %d", r->path, EDITS_MAX);
    if (json_object_get(json, "family") && !(r->tailored->family = text_of(r, json, "family")))
        return -1;
    return 0;
}

static int read_all(struct reading *r, const json_t *json)
{
    size_t count = json_array_size(json_object_get(json, "edits"));
    struct ft_arena *arena = &r->model->arena;

    if (read_top(r, json) < 0)
        return -1;
    r->tailored->chain.items = ft_arena_zero(arena, count + 1, sizeof *r->tailored->chain.items);
    r->tailored->freezing.items = ft_arena_zero(arena, count + 1, sizeof *r->tailored->freezing.items);
    if (!r->tailored->chain.items || !r->tailored->freezing.items)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (read_edit(r, json_array_get(json_object_get(json, "edits"), i)) < 0)
            return -1;
    return r->tailored->family && !r->built ? ft_fail(FT_BAD, "%s: a family, and no embedding to end its nodes", r->path) : 0;
}

int ft_tailored_read(struct ft_model *model)
{
    struct reading r = {.model = model, .path = ft_arena_print(&model->arena, "%s/ft.json", model->directory)};
    json_t *json;
    int result;

    if (!r.path || !ft_file_exists(r.path))
        return r.path ? 0 : -1;
    if (!(r.tailored = model->tailored = ft_arena_zero(&model->arena, 1, sizeof *model->tailored)) || !(json = ft_json_read(r.path)))
        return -1;
    result = read_all(&r, json);
    json_decref(json);
    return result;
}

int ft_tailored_build(struct ft_builder *build)
{
    struct ft_model *model = build->model;
    int node = model->node_count - 1;

    if (build->failed)
        return -1;
    while (node >= 0 && strcmp(model->nodes[node].name, model->tailored->cut) != 0)
        node--;
    if (node < 0)
        return ft_fail(FT_BAD, "%s/ft.json: the family %s has no node '%.200s'", model->directory, model->tailored->family, model->tailored->cut);
    if (node == model->node_count - 1)
        model->tailored->cut = NULL;
    node = ft_build_keep(build, node);
    model->body_nodes = model->node_count;
    return ft_chain_build(build, node, &model->tailored->chain);
}

int ft_tailored_freeze(struct ft_model *model)
{
    const struct ft_list *list = &model->tailored->freezing;

    for (size_t i = 0; i < list->count; i++) {
        const char *pattern = list->items[i];
        bool frozen = *pattern != '!';

        if (ft_model_freeze(model, pattern + !frozen, frozen) < 0) {
            ft_fail(FT_BAD, "%s/ft.json: '%.200s' is no node of the model", model->directory, pattern + !frozen);
            return -1;
        }
    }
    return 0;
}

/* A name as a pattern that only it matches. */
static const char *exactly(struct ft_arena *arena, const char *sign, const char *name)
{
    char *text = ft_arena_take(arena, 2 * strlen(name) + 2), *to = text;

    if (!text)
        return NULL;
    for (to = stpcpy(to, sign); *name; *to++ = *name++)
        if (strchr("*?[\\", *name))
            *to++ = '\\';
    *to = '\0';
    return text;
}

int ft_tailored_settle(struct ft_model *model)
{
    struct ft_tailored *tailored = model->tailored;
    struct ft_arena *arena = &model->arena;
    size_t nodes = (size_t)model->node_count;
    bool *frozen = ft_arena_zero(arena, nodes + 1, sizeof *frozen);
    const char **items = ft_arena_zero(arena, tailored->freezing.count + nodes + 1, sizeof *items);
    struct ft_list left = {items, 0};

    if (!frozen || !items)
        return -1;
    for (size_t i = 0; i < nodes; i++)
        frozen[i] = model->nodes[i].frozen;
    ft_model_freeze(model, "*", false);
    for (size_t i = 0; i < tailored->freezing.count; i++) {   /* what is of nodes that are gone goes too */
        const char *pattern = tailored->freezing.items[i];

        if (ft_model_freeze(model, pattern + (*pattern == '!'), *pattern != '!') == 0)
            items[left.count++] = pattern;
    }
    for (size_t i = 0; i < nodes; i++) {
        const struct ft_node *n = model->nodes + i;

        if (!n->parameter_count || n->frozen == frozen[i])
            continue;
        if (!(items[left.count] = exactly(arena, frozen[i] ? "" : "!", n->name)) ||
            ft_model_freeze(model, items[left.count] + !frozen[i], frozen[i]) < 0)
            return -1;
        left.count++;
    }
    tailored->freezing = left;
    ft_error_clear();
    return 0;
}
