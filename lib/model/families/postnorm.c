/* postnorm.c - the encoder that BERT, RoBERTa, DistilBERT and MPNet share (Vaswani et al. 2017; Devlin et al. 2018): each block is attention, then dropout, residual
 * and norm; then two linear maps with an activation between, then the same again. */
#include "model/families/postnorm.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

const struct ft_postnorm_names ft_postnorm_bert = {
    .layer = "encoder.layer.",
    .attention = "attention.self", .query = "attention.self.query", .key = "attention.self.key", .value = "attention.self.value",
    .attended = "attention.output.dense", .attended_dropout = "attention.output.dropout",
    .attended_add = "attention.output.add", .attended_norm = "attention.output.LayerNorm",
    .inner = "intermediate.dense", .activation = "intermediate.act",
    .outer = "output.dense", .outer_dropout = "output.dropout", .outer_add = "output.add", .outer_norm = "output.LayerNorm",
};

enum { NAME = 160 };

static const char *in_layer(char name[NAME], const struct ft_postnorm *e, size_t number, const char *part)
{
    snprintf(name, NAME, "%s%zu.%s", e->names->layer, number, part);
    return name;
}

int ft_postnorm_embed(struct ft_builder *b, const struct ft_postnorm *e, const struct ft_postnorm_embeddings *t)
{
    int node = ft_build_node(b, FT_OP_EMBEDDING, e->width, -1, -1, -1, "embeddings");

    ft_build_at(b, node)->first_position = t->first;
    ft_build_give(b, node, ft_build_parameter(b, "embeddings.word_embeddings", "weight", t->vocabulary, e->width, FT_BUILD_DECAY | FT_BUILD_TABLE));
    ft_build_give(b, node, ft_build_parameter(b, "embeddings.position_embeddings", "weight", t->positions, e->width, FT_BUILD_DECAY));
    if (t->types)
        ft_build_give(b, node, ft_build_parameter(b, "embeddings.token_type_embeddings", "weight", t->types, e->width, FT_BUILD_DECAY));
    node = ft_build_norm(b, node, e->width, e->epsilon, "embeddings.LayerNorm");
    return ft_build_dropout(b, node, e->width, e->dropout, "embeddings.dropout");
}

/* Query, key and value are three nodes whose weights are one [3W, W] matrix and whose biases one vector: first the three weights, then
 * the three biases. */
static int build_attention(struct ft_builder *b, const struct ft_postnorm *e, int input, size_t number)
{
    const char *const parts[3] = {e->names->query, e->names->key, e->names->value};
    char prefix[3][NAME], name[NAME];
    int nodes[3], node;

    for (int i = 0; i < 3; i++)
        nodes[i] = ft_build_node(b, FT_OP_LINEAR, e->width, input, -1, -1, "%s", in_layer(prefix[i], e, number, parts[i]));
    for (int i = 0; i < 3; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, prefix[i], "weight", e->width, e->width, FT_BUILD_DECAY | (i ? FT_BUILD_JOINED : 0)));
    for (int i = 0; i < 3; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, prefix[i], "bias", 1, e->width, FT_BUILD_VECTOR | (i ? FT_BUILD_JOINED : 0)));
    node = ft_build_node(b, FT_OP_ATTENTION, e->width, nodes[0], nodes[1], nodes[2], "%s", in_layer(name, e, number, e->names->attention));
    ft_build_at(b, node)->attention.heads = e->heads;
    ft_build_at(b, node)->rate = (float)e->attention_dropout;
    if (e->buckets)
        ft_build_bias(b, node, e->bias, e->buckets, e->distance);
    return node;
}

/* Dropout, addition and norm: how both halves of a block end. */
static int build_end(struct ft_builder *b, const struct ft_postnorm *e, int node, int residual, size_t number, const char *dropout, const char *add,
                     const char *norm)
{
    char name[NAME];

    if (dropout)
        node = ft_build_dropout(b, node, e->width, e->dropout, in_layer(name, e, number, dropout));
    node = ft_build_node(b, FT_OP_ADD, e->width, node, residual, -1, "%s", in_layer(name, e, number, add));
    return ft_build_norm(b, node, e->width, e->epsilon, in_layer(name, e, number, norm));
}

static int build_layer(struct ft_builder *b, const struct ft_postnorm *e, int input, size_t number)
{
    const struct ft_postnorm_names *n = e->names;
    char name[NAME];
    int node = build_attention(b, e, input, number);

    in_layer(name, e, number, n->attended);
    node = ft_build_linear(b, node, e->width, e->width, true, name, name);
    input = build_end(b, e, node, input, number, n->attended_dropout, n->attended_add, n->attended_norm);
    in_layer(name, e, number, n->inner);
    node = ft_build_linear(b, input, e->width, e->inner, true, name, name);
    node = ft_build_activation(b, node, e->inner, e->activation, in_layer(name, e, number, n->activation));
    in_layer(name, e, number, n->outer);
    node = ft_build_linear(b, node, e->inner, e->width, true, name, name);
    return build_end(b, e, node, input, number, n->outer_dropout, n->outer_add, n->outer_norm);
}

int ft_postnorm_build(struct ft_builder *b, const struct ft_postnorm *e, int input)
{
    for (size_t i = 0; i < e->layers && !b->failed; i++)
        input = build_layer(b, e, input, i);
    return input;
}

static int read_sizes(const json_t *json, const char *path, struct ft_postnorm *e, struct ft_postnorm_embeddings *t)
{
    t->types = 2;
    if (ft_json_size(json, path, "vocab_size", 1, 1 << 26, false, &t->vocabulary) < 0 ||
        ft_json_size(json, path, "hidden_size", 1, 1 << 16, false, &e->width) < 0 ||
        ft_json_size(json, path, "num_hidden_layers", 1, 1024, false, &e->layers) < 0 ||
        ft_json_size(json, path, "num_attention_heads", 1, 1 << 10, false, &e->heads) < 0 ||
        ft_json_size(json, path, "intermediate_size", 1, 1 << 20, false, &e->inner) < 0 ||
        ft_json_size(json, path, "max_position_embeddings", 1, 1 << 20, false, &t->positions) < 0 ||
        ft_json_size(json, path, "type_vocab_size", 1, 1 << 16, true, &t->types) < 0)
        return -1;
    if (e->width % e->heads)
        return ft_fail(FT_BAD, "%s: hidden_size %zu is no multiple of num_attention_heads %zu", path, e->width, e->heads);
    return 0;
}

int ft_postnorm_read(const json_t *json, const char *path, struct ft_postnorm *e, struct ft_postnorm_embeddings *t)
{
    const char *activation = ft_json_text(json, "hidden_act"), *position = ft_json_text(json, "position_embedding_type");
    bool decoder = false;

    *t = (struct ft_postnorm_embeddings){0};
    *e = (struct ft_postnorm){.names = &ft_postnorm_bert, .epsilon = 1e-12, .dropout = 0.1, .attention_dropout = 0.1};
    if (read_sizes(json, path, e, t) < 0 || ft_json_number(json, path, "layer_norm_eps", 0, 1, &e->epsilon) < 0 ||
        ft_json_number(json, path, "hidden_dropout_prob", 0, .999, &e->dropout) < 0 ||
        ft_json_number(json, path, "attention_probs_dropout_prob", 0, .999, &e->attention_dropout) < 0 ||
        ft_json_bool(json, path, "is_decoder", &decoder) < 0)
        return -1;
    if (decoder)
        return ft_fail(FT_BAD, "%s: is_decoder is true, expected an encoder", path);
    if (position && strcmp(position, "absolute") != 0)
        return ft_fail(FT_BAD, "%s: position_embedding_type '%.64s' is not supported, expected absolute", path, position);
    if (ft_activation_parse(activation ? activation : "gelu", &e->activation) < 0)
        return ft_error_prefix("%s: hidden_act: ", path);
    return 0;
}
