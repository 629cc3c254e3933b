/* tailor-links.c - edits of the chain behind the family's nodes: pooling, projections, normalisation. */
#include "base/error.h"
#include "model/tailor/tailor-edits.h"

#include <stdlib.h>
#include <string.h>

enum { WIDEST = 1 << 16, MOST_LAYERS = 64 };

bool ft_tailor_is_pool(enum ft_op op)
{
    return op == FT_OP_POOL || op == FT_OP_GEM;
}

bool ft_tailor_pools_maps(const struct ft_link *link)
{
    return link->op == FT_OP_GEM || link->pooling == FT_POOL_MEAN || link->pooling == FT_POOL_MAX;
}

struct ft_link *ft_tailor_room(struct ft_tailor *t, size_t place, size_t count)
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
static const char *new_name(struct ft_tailor *t, size_t place, const char *kind)
{
    size_t number = 1;
    const char *name;
    bool taken;

    for (size_t i = 0; i < place; i++)
        number += t->chain.items[i].op != FT_OP_ACTIVATION && t->chain.items[i].name;
    do {
        if (!(name = ft_arena_print(t->arena, "%zu_%s", number++, kind)))
            return NULL;
        taken = ft_tailor_node(t->model, name) >= 0;
        for (size_t i = 0; i < t->chain.count; i++)
            taken |= t->chain.items[i].name && strcmp(t->chain.items[i].name, name) == 0;
    } while (taken);
    return name;
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

    if (!node->height || ft_tailor_pools_maps(link))
        return 0;
    return ft_fail(FT_USAGE, "%s is a map, which has no order of tokens: expected mean, max or gem", node->name);
}

/* The pooling is the chain's first node, or the last of the family's own. */
int ft_edit_pool(struct ft_tailor *t, const char *text)
{
    int last = t->model->body_nodes - 1;
    bool own = !(t->chain.count && ft_tailor_is_pool(t->chain.items[0].op)), ends = ft_tailor_is_pool(t->model->nodes[last].op);
    struct ft_link link, *first;

    if (read_pool(&link, text) < 0 || check_pool(t->model, own && ends ? t->model->nodes[last].inputs[0] : last, &link) < 0)
        return -1;
    if (!own) {
        t->chain.items[0] = link;
        return ft_tailor_rebuild(t, last);
    }
    if (!ends)
        return ft_fail(FT_USAGE, "no pooling ends the model's own nodes: cut it before one with --embedding");
    if (!(first = ft_tailor_room(t, 0, 1)))
        return -1;
    *first = link;
    last = t->model->nodes[last].inputs[0];
    t->tailored->cut = t->model->nodes[last].name;
    return ft_tailor_rebuild(t, last);
}

/* New links come before a normalisation that ends the model. */
static size_t place_of_new(const struct ft_tailor *t)
{
    return t->chain.count && t->chain.items[t->chain.count - 1].op == FT_OP_NORMALIZE ? t->chain.count - 1 : t->chain.count;
}

int ft_edit_dim(struct ft_tailor *t, const char *text)
{
    size_t place = place_of_new(t);
    char *end;
    unsigned long out = strtoul(text, &end, 10);
    const char *name = new_name(t, place, "Dense");
    struct ft_link *link;

    if (*end || end == text || out < 1 || out > WIDEST)
        return ft_fail(FT_USAGE, "expected a whole number, 1 to %d", WIDEST);
    if (!name || !(link = ft_tailor_room(t, place, 1)))
        return -1;
    *link = (struct ft_link){.op = FT_OP_LINEAR, .name = name, .file = name, .out = out, .bias = true, .fresh = true};
    return ft_tailor_rebuild(t, t->model->body_nodes - 1);
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
static int add_layer(struct ft_tailor *t, const struct head *head, size_t place, bool last)
{
    const char *norm = head->norm == FT_OP_LAYER_NORM ? "LayerNorm" : "BatchNorm", *name, *before;
    const size_t start = place;
    struct ft_link *link;

    if (!(name = before = new_name(t, place, "Dense")) || !(link = ft_tailor_room(t, place++, 1)))
        return -1;
    *link = (struct ft_link){.op = FT_OP_LINEAR, .name = name, .file = name, .out = last ? head->out : head->hidden, .bias = head->bias, .fresh = true};
    if (!last && head->norm != FT_OP_LINEAR) {
        if (!(before = new_name(t, place, norm)) || !(link = ft_tailor_room(t, place++, 1)))
            return -1;
        *link = (struct ft_link){.op = head->norm, .name = before, .file = before, .epsilon = 1e-5f, .fresh = true};
    }
    if (!last && head->activation != FT_IDENTITY) {
        if (!(name = ft_arena_print(t->arena, "%s.activation", before)) || !(link = ft_tailor_room(t, place++, 1)))
            return -1;
        *link = (struct ft_link){.op = FT_OP_ACTIVATION, .name = name, .file = "", .activation = head->activation};
    }
    if (!last && head->dropout > 0) {
        if (!(name = new_name(t, place, "Dropout")) || !(link = ft_tailor_room(t, place++, 1)))
            return -1;
        *link = (struct ft_link){.op = FT_OP_DROPOUT, .name = name, .file = "", .rate = (float)head->dropout};
    }
    return (int)(place - start);
}

int ft_edit_head(struct ft_tailor *t, const char *text)
{
    size_t place = place_of_new(t);
    struct head head;
    int added;

    if (read_head(&head, text, t->model->nodes[t->model->node_count - 1].width) < 0)
        return -1;
    for (size_t i = 0; i < head.layers; i++, place += (size_t)added)
        if ((added = add_layer(t, &head, place, i + 1 == head.layers)) < 0)
            return -1;
    return ft_tailor_rebuild(t, t->model->body_nodes - 1);
}

int ft_edit_normalize(struct ft_tailor *t, const char *text)
{
    struct ft_link *link;
    const char *name;

    (void)text;
    if (t->model->normalized)
        return 0;
    name = ft_tailor_node(t->model, "normalize") < 0 ? "normalize" : new_name(t, t->chain.count, "Normalize");
    if (!name || !(link = ft_tailor_room(t, t->chain.count, 1)))
        return -1;
    *link = (struct ft_link){.op = FT_OP_NORMALIZE, .name = name, .file = ""};
    return ft_tailor_rebuild(t, t->model->body_nodes - 1);
}
