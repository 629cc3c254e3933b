/* bert.c - BERT (Devlin et al. 2018) and what has its shape: MiniLM, BGE, GTE and E5 of the first generation, any depth and width.
 *
 * Post-norm encoder: each block is attention, then dropout, residual and norm; then two linear maps with an activation between, then the
 * same again. Names are those of transformers' BertModel. */
#include "base/error.h"
#include "model/model-build.h"

#include <stdio.h>
#include <string.h>

struct config {
    size_t vocabulary, positions, types, width, layers, heads, inner;
    double epsilon, dropout, attention_dropout;
    enum ft_activation activation;
};

static int read_sizes(const json_t *json, const char *path, struct config *c)
{
    c->types = 2;
    if (ft_json_size(json, path, "vocab_size", 1, 1 << 26, false, &c->vocabulary) < 0 ||
        ft_json_size(json, path, "hidden_size", 1, 1 << 16, false, &c->width) < 0 ||
        ft_json_size(json, path, "num_hidden_layers", 1, 1024, false, &c->layers) < 0 ||
        ft_json_size(json, path, "num_attention_heads", 1, 1 << 10, false, &c->heads) < 0 ||
        ft_json_size(json, path, "intermediate_size", 1, 1 << 20, false, &c->inner) < 0 ||
        ft_json_size(json, path, "max_position_embeddings", 1, 1 << 20, false, &c->positions) < 0 ||
        ft_json_size(json, path, "type_vocab_size", 1, 1 << 16, true, &c->types) < 0)
        return -1;
    if (c->width % c->heads)
        return ft_fail(FT_BAD, "%s: hidden_size %zu is no multiple of num_attention_heads %zu", path, c->width, c->heads);
    return 0;
}

/* Defaults are those of transformers' BertConfig. */
static int read_config(const json_t *json, const char *path, struct config *c)
{
    const char *activation = ft_json_text(json, "hidden_act"), *position = ft_json_text(json, "position_embedding_type");
    bool decoder = false;

    *c = (struct config){.epsilon = 1e-12, .dropout = 0.1, .attention_dropout = 0.1};
    if (read_sizes(json, path, c) < 0 || ft_json_number(json, path, "layer_norm_eps", 0, 1, &c->epsilon) < 0 ||
        ft_json_number(json, path, "hidden_dropout_prob", 0, .999, &c->dropout) < 0 ||
        ft_json_number(json, path, "attention_probs_dropout_prob", 0, .999, &c->attention_dropout) < 0 ||
        ft_json_bool(json, path, "is_decoder", &decoder) < 0)
        return -1;
    if (decoder)
        return ft_fail(FT_BAD, "%s: is_decoder is true, expected an encoder", path);
    if (position && strcmp(position, "absolute") != 0)
        return ft_fail(FT_BAD, "%s: position_embedding_type '%.64s' is not supported, expected absolute", path, position);
    if (ft_activation_parse(activation ? activation : "gelu", &c->activation) < 0)
        return ft_error_prefix("%s: hidden_act: ", path);
    return 0;
}

static int build_embeddings(struct ft_builder *b, const struct config *c)
{
    int node = ft_build_node(b, FT_OP_EMBEDDING, c->width, -1, -1, -1, "embeddings");

    ft_build_give(b, node, ft_build_parameter(b, "embeddings.word_embeddings", "weight", c->vocabulary, c->width,
                                              FT_BUILD_DECAY | FT_BUILD_TABLE));
    ft_build_give(b, node, ft_build_parameter(b, "embeddings.position_embeddings", "weight", c->positions, c->width, FT_BUILD_DECAY));
    ft_build_give(b, node, ft_build_parameter(b, "embeddings.token_type_embeddings", "weight", c->types, c->width, FT_BUILD_DECAY));
    node = ft_build_norm(b, node, c->width, c->epsilon, "embeddings.LayerNorm");
    return ft_build_dropout(b, node, c->width, c->dropout, "embeddings.dropout");
}

/* Query, key and value are three nodes whose weights are one [3W, W] matrix and whose biases one vector: first the three weights, then
 * the three biases. */
static int build_attention(struct ft_builder *b, const struct config *c, int input, const char *layer)
{
    static const char *const parts[3] = {"query", "key", "value"};
    char prefix[3][128];
    int nodes[3], node;

    for (int i = 0; i < 3; i++) {
        snprintf(prefix[i], sizeof prefix[i], "%s.attention.self.%s", layer, parts[i]);
        nodes[i] = ft_build_node(b, FT_OP_LINEAR, c->width, input, -1, -1, "%s", prefix[i]);
    }
    for (int i = 0; i < 3; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, prefix[i], "weight", c->width, c->width,
                                                      FT_BUILD_DECAY | (i ? FT_BUILD_JOINED : 0)));
    for (int i = 0; i < 3; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, prefix[i], "bias", 1, c->width,
                                                      FT_BUILD_VECTOR | (i ? FT_BUILD_JOINED : 0)));
    node = ft_build_node(b, FT_OP_ATTENTION, c->width, nodes[0], nodes[1], nodes[2], "%s.attention.self", layer);
    ft_build_at(b, node)->heads = c->heads;
    ft_build_at(b, node)->rate = (float)c->attention_dropout;
    return node;
}

/* dense, dropout, add, LayerNorm: how both halves of a block end. */
static int build_output(struct ft_builder *b, const struct config *c, int input, size_t in, int residual, const char *prefix)
{
    char name[160];
    int node;

    snprintf(name, sizeof name, "%s.dense", prefix);
    node = ft_build_linear(b, input, in, c->width, true, name, name);
    snprintf(name, sizeof name, "%s.dropout", prefix);
    node = ft_build_dropout(b, node, c->width, c->dropout, name);
    node = ft_build_node(b, FT_OP_ADD, c->width, node, residual, -1, "%s.add", prefix);
    snprintf(name, sizeof name, "%s.LayerNorm", prefix);
    return ft_build_norm(b, node, c->width, c->epsilon, name);
}

static int build_layer(struct ft_builder *b, const struct config *c, int input, size_t number)
{
    char layer[64], name[128];
    int node;

    snprintf(layer, sizeof layer, "encoder.layer.%zu", number);
    node = build_attention(b, c, input, layer);
    snprintf(name, sizeof name, "%s.attention.output", layer);
    input = build_output(b, c, node, c->width, input, name);
    snprintf(name, sizeof name, "%s.intermediate.dense", layer);
    node = ft_build_linear(b, input, c->width, c->inner, true, name, name);
    snprintf(name, sizeof name, "%s.intermediate.act", layer);
    node = ft_build_activation(b, node, c->inner, c->activation, name);
    snprintf(name, sizeof name, "%s.output", layer);
    return build_output(b, c, node, c->inner, input, name);
}

static int build(struct ft_builder *b, const json_t *json, const char *path)
{
    struct config c;
    int node;

    if (read_config(json, path, &c) < 0)
        return -1;
    b->model->vocabulary = c.vocabulary;
    b->model->max_length = c.positions;
    node = build_embeddings(b, &c);
    for (size_t i = 0; i < c.layers && !b->failed; i++)
        node = build_layer(b, &c, node, i);
    return node;
}

/* BertForSequenceClassification: the first token's vector, a layer of its own (the pooler), the classifier. */
static int build_head(struct ft_builder *b, const json_t *json, const char *path, int tokens)
{
    double dropout = -1;
    struct config c;
    int node;

    if (read_config(json, path, &c) < 0 || ft_json_number(json, path, "classifier_dropout", 0, .999, &dropout) < 0)
        return -1;
    node = ft_build_node(b, FT_OP_POOL, c.width, tokens, -1, -1, "pooler");
    ft_build_at(b, node)->pooling = FT_POOL_CLS;
    node = ft_build_linear(b, node, c.width, c.width, true, "pooler.dense", "pooler.dense");
    node = ft_build_activation(b, node, c.width, FT_TANH, "pooler.activation");
    node = ft_build_dropout(b, node, c.width, dropout < 0 ? c.dropout : dropout, "dropout");
    return ft_build_linear(b, node, c.width, 1, true, "classifier", "classifier");
}

/* A checkpoint of a model that wraps BertModel has "bert." before its names. */
static const char *const prefixes[] = {"", "bert.", NULL};

const struct ft_family ft_family_bert = {"bert", build, build_head, prefixes};
