/* modernbert.c - ModernBERT (Warner et al. 2024): an encoder whose blocks normalise before each half, with rotary positions instead of a table, attention
 * to the whole text in some blocks and to a window in the others, and gated units. Names are those of transformers' ModernBertModel. */
#include "base/error.h"
#include "model/model-build.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 160, LAYERS_MAX = 1024 };

struct kind {
    size_t window;               /* of attention: to each side; 0 = all of the text */
    double theta;
};

struct modernbert {
    size_t vocabulary, width, layers, heads, inner, positions;
    double epsilon, embedding_dropout, attention_dropout, inner_dropout;
    bool norm_bias, attention_bias, inner_bias;
    enum ft_activation activation;
    struct kind global, local;
    bool is_local[LAYERS_MAX];
};

static int read_sizes(const json_t *json, const char *path, struct modernbert *m)
{
    m->positions = 8192;
    if (ft_json_size(json, path, "vocab_size", 1, 1 << 26, false, &m->vocabulary) < 0 ||
        ft_json_size(json, path, "hidden_size", 1, 1 << 16, false, &m->width) < 0 ||
        ft_json_size(json, path, "num_hidden_layers", 1, LAYERS_MAX, false, &m->layers) < 0 ||
        ft_json_size(json, path, "num_attention_heads", 1, 1 << 10, false, &m->heads) < 0 ||
        ft_json_size(json, path, "intermediate_size", 1, 1 << 20, false, &m->inner) < 0 ||
        ft_json_size(json, path, "max_position_embeddings", 1, 1 << 20, true, &m->positions) < 0)
        return -1;
    if (m->width % m->heads || m->width / m->heads % 2)
        return ft_fail(FT_BAD, "%s: hidden_size %zu is no even multiple of num_attention_heads %zu", path, m->width, m->heads);
    return 0;
}

/* transformers 5 says `layer_types`; before it every so manieth layer was global. */
static int read_layers(const json_t *json, const char *path, struct modernbert *m)
{
    const json_t *types = json_object_get(json, "layer_types");
    size_t every = 3;

    if (ft_json_size(json, path, "global_attn_every_n_layers", 1, LAYERS_MAX, true, &every) < 0)
        return -1;
    if (json_is_array(types) && json_array_size(types) != m->layers)
        return ft_fail(FT_BAD, "%s: %zu layer_types of %zu layers", path, json_array_size(types), m->layers);
    for (size_t i = 0; i < m->layers; i++) {
        const char *type = json_string_value(json_array_get(types, i));

        m->is_local[i] = json_is_array(types) ? type && strcmp(type, "sliding_attention") == 0 : i % every != 0;
        if (json_is_array(types) && !m->is_local[i] && (!type || strcmp(type, "full_attention") != 0))
            return ft_fail(FT_BAD, "%s: layer_types: '%.64s' is not supported, expected full_attention or sliding_attention", path, type ? type : "");
    }
    return 0;
}

/* `rope_parameters` of transformers 5, by type of layer; else a key of its own. */
static int read_theta(const json_t *json, const char *path, const char *type, const char *old, double *theta)
{
    const json_t *rope = json_object_get(json_object_get(json, "rope_parameters"), type);
    const char *kind = ft_json_text(rope, "rope_type");

    if (kind && strcmp(kind, "default") != 0)
        return ft_fail(FT_BAD, "%s: rope_type '%.64s' is not supported, expected default", path, kind);
    return ft_json_number(json, path, old, 1, 1e12, theta) < 0 || ft_json_number(rope, path, "rope_theta", 1, 1e12, theta) < 0 ? -1 : 0;
}

/* local_attention counts both sides of a window together. A local theta that is null is the global one. */
static int read_kinds(const json_t *json, const char *path, struct modernbert *m)
{
    const json_t *scaling = json_object_get(json, "rope_scaling");
    size_t window = 128;

    m->global = (struct kind){.theta = 160000};
    if (scaling && !json_is_null(scaling))
        return ft_fail(FT_BAD, "%s: rope_scaling is not supported", path);
    if (ft_json_size(json, path, "local_attention", 2, 1 << 20, true, &window) < 0 ||
        read_theta(json, path, "full_attention", "global_rope_theta", &m->global.theta) < 0)
        return -1;
    m->local = (struct kind){.window = window / 2, .theta = json_is_null(json_object_get(json, "local_rope_theta")) ? m->global.theta : 10000};
    return read_theta(json, path, "sliding_attention", "local_rope_theta", &m->local.theta);
}

static int read_config(const json_t *json, const char *path, struct modernbert *m)
{
    const char *activation = ft_json_text(json, "hidden_activation");

    *m = (struct modernbert){.epsilon = 1e-5};
    if (read_sizes(json, path, m) < 0 || read_layers(json, path, m) < 0 || read_kinds(json, path, m) < 0 ||
        ft_json_number(json, path, "norm_eps", 0, 1, &m->epsilon) < 0 ||
        ft_json_number(json, path, "embedding_dropout", 0, .999, &m->embedding_dropout) < 0 ||
        ft_json_number(json, path, "attention_dropout", 0, .999, &m->attention_dropout) < 0 ||
        ft_json_number(json, path, "mlp_dropout", 0, .999, &m->inner_dropout) < 0 ||
        ft_json_bool(json, path, "norm_bias", &m->norm_bias) < 0 || ft_json_bool(json, path, "attention_bias", &m->attention_bias) < 0 ||
        ft_json_bool(json, path, "mlp_bias", &m->inner_bias) < 0)
        return -1;
    if (ft_activation_parse(activation ? activation : "gelu", &m->activation) < 0)
        return ft_error_prefix("%s: hidden_activation: ", path);
    return 0;
}

static int build_norm(struct ft_builder *b, const struct modernbert *m, int input, const char *name)
{
    return (m->norm_bias ? ft_build_norm : ft_build_norm_without_bias)(b, input, m->width, m->epsilon, name);
}

static const char *in_layer(char name[NAME], size_t number, const char *part)
{
    snprintf(name, NAME, "layers.%zu.%s", number, part);
    return name;
}

/* Dropout, where there is any: a rate of 0 makes no node. */
static int build_dropout(struct ft_builder *b, int input, size_t width, double rate, const char *name)
{
    return rate > 0 ? ft_build_dropout(b, input, width, rate, name) : input;
}

/* The first block's input is normalised already. */
static int build_attention(struct ft_builder *b, const struct modernbert *m, int input, size_t number)
{
    const struct kind *kind = m->is_local[number] ? &m->local : &m->global;
    int node = input;
    char name[NAME];

    if (number)
        node = build_norm(b, m, node, in_layer(name, number, "attn_norm"));
    in_layer(name, number, "attn.Wqkv");
    node = ft_build_linear(b, node, m->width, 3 * m->width, m->attention_bias, name, name);
    node = ft_build_node(b, FT_OP_ROTARY, 3 * m->width, node, -1, -1, "%s", in_layer(name, number, "attn.rotary_emb"));
    ft_build_at(b, node)->attention.heads = m->heads;
    ft_build_at(b, node)->theta = (float)kind->theta;
    node = ft_build_node(b, FT_OP_ATTENTION, m->width, node, -1, -1, "%s", in_layer(name, number, "attn"));
    ft_build_at(b, node)->attention = (struct ft_attention){.heads = m->heads, .window = kind->window};
    ft_build_at(b, node)->rate = (float)m->attention_dropout;
    in_layer(name, number, "attn.Wo");
    node = ft_build_linear(b, node, m->width, m->width, m->attention_bias, name, name);
    node = build_dropout(b, node, m->width, m->attention_dropout, in_layer(name, number, "attn.out_drop"));
    return ft_build_node(b, FT_OP_ADD, m->width, node, input, -1, "%s", in_layer(name, number, "attn.add"));
}

static int build_inner(struct ft_builder *b, const struct modernbert *m, int input, size_t number)
{
    char name[NAME];
    int node = build_norm(b, m, input, in_layer(name, number, "mlp_norm"));

    in_layer(name, number, "mlp.Wi");
    node = ft_build_linear(b, node, m->width, 2 * m->inner, m->inner_bias, name, name);
    node = ft_build_node(b, FT_OP_GATE, m->inner, node, -1, -1, "%s", in_layer(name, number, "mlp.act"));
    ft_build_at(b, node)->activation = m->activation;
    node = build_dropout(b, node, m->inner, m->inner_dropout, in_layer(name, number, "mlp.drop"));
    in_layer(name, number, "mlp.Wo");
    node = ft_build_linear(b, node, m->inner, m->width, m->inner_bias, name, name);
    return ft_build_node(b, FT_OP_ADD, m->width, node, input, -1, "%s", in_layer(name, number, "mlp.add"));
}

static int build(struct ft_builder *b, const json_t *json, const char *path)
{
    struct modernbert m;
    int node;

    if (read_config(json, path, &m) < 0)
        return -1;
    b->model->vocabulary = m.vocabulary;
    b->model->max_length = m.positions;
    node = ft_build_node(b, FT_OP_EMBEDDING, m.width, -1, -1, -1, "embeddings.tok_embeddings");
    ft_build_give(b, node, ft_build_parameter(b, "embeddings.tok_embeddings", "weight", m.vocabulary, m.width, FT_BUILD_DECAY | FT_BUILD_TABLE));
    node = build_norm(b, &m, node, "embeddings.norm");
    node = build_dropout(b, node, m.width, m.embedding_dropout, "embeddings.drop");
    for (size_t i = 0; i < m.layers && !b->failed; i++)
        node = build_inner(b, &m, build_attention(b, &m, node, i), i);
    return build_norm(b, &m, node, "final_norm");
}

/* A checkpoint of a model that wraps ModernBertModel has "model." before its names. */
static const char *const prefixes[] = {"", "model.", NULL};

const struct ft_family ft_family_modernbert = {"modernbert", build, NULL, prefixes};
