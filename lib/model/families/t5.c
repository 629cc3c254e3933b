/* t5.c - the encoder of T5 (Raffel et al. 2020), mT5 (Xue et al. 2021) and umT5 (Chung et al. 2023), as sentence-T5 and GTR use it: blocks that normalise
 * before each half, by the root of the mean square; no biases of layers, no positions but a bias on the scores, which are not scaled. The first block's
 * table of biases serves all; in umT5 each block has its own. Names are those of transformers' T5EncoderModel. A decoder in the file stays as it is. */
#include "base/error.h"
#include "model/model-build.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 160, NO_LIMIT = 1 << 20 };

struct t5 {
    size_t vocabulary, width, head, heads, inner, layers, buckets, distance;
    double epsilon, dropout;
    enum ft_activation activation;
    bool gated, own_biases;
};

/* "relu", "gated-gelu": what is before the hyphen, and the activation; that of gated-gelu is by the formula with tanh. */
static int read_activation(const json_t *json, const char *path, struct t5 *t)
{
    const char *name = ft_json_text(json, "feed_forward_proj");

    name = name ? name : "relu";
    t->gated = strncmp(name, "gated-", 6) == 0;
    if (ft_activation_parse(strcmp(name, "gated-gelu") == 0 ? "gelu_new" : t->gated ? name + 6 : name, &t->activation) < 0)
        return ft_error_prefix("%s: feed_forward_proj: ", path);
    return 0;
}

static int read_config(const json_t *json, const char *path, struct t5 *t)
{
    t->head = 64, t->buckets = 32, t->distance = 128, t->epsilon = 1e-6, t->dropout = 0.1;
    if (ft_json_size(json, path, "vocab_size", 1, 1 << 26, false, &t->vocabulary) < 0 ||
        ft_json_size(json, path, "d_model", 1, 1 << 16, false, &t->width) < 0 ||
        ft_json_size(json, path, "d_kv", 1, 1 << 12, true, &t->head) < 0 ||
        ft_json_size(json, path, "num_heads", 1, 1 << 10, false, &t->heads) < 0 ||
        ft_json_size(json, path, "d_ff", 1, 1 << 20, false, &t->inner) < 0 ||
        ft_json_size(json, path, "num_layers", 1, 1024, false, &t->layers) < 0 ||
        ft_json_size(json, path, "relative_attention_num_buckets", 4, 1 << 12, true, &t->buckets) < 0 ||
        ft_json_size(json, path, "relative_attention_max_distance", 2, 1 << 20, true, &t->distance) < 0 ||
        ft_json_number(json, path, "layer_norm_epsilon", 0, 1, &t->epsilon) < 0 ||
        ft_json_number(json, path, "dropout_rate", 0, .999, &t->dropout) < 0)
        return -1;
    if (t->buckets % 4)
        return ft_fail(FT_BAD, "%s: relative_attention_num_buckets %zu is no multiple of 4", path, t->buckets);
    if (t->distance <= t->buckets / 4)
        return ft_fail(FT_BAD, "%s: relative_attention_max_distance %zu, expected more than a quarter of the %zu buckets", path, t->distance, t->buckets);
    return read_activation(json, path, t);
}

static const char *in_block(char name[NAME], size_t number, const char *part)
{
    snprintf(name, NAME, "encoder.block.%zu.layer.%s", number, part);
    return name;
}

/* Query, key and value are three nodes whose weights are one [3 heads * head, width] matrix. */
static int build_attention(struct ft_builder *b, const struct t5 *t, int input, size_t number, int *bias)
{
    static const char *const parts[] = {"0.SelfAttention.q", "0.SelfAttention.k", "0.SelfAttention.v"};
    size_t all = t->heads * t->head;
    char name[NAME];
    int nodes[3], node;

    if (number == 0 || t->own_biases)
        *bias = ft_build_relative_bias(b, t->buckets, t->heads, in_block(name, number, "0.SelfAttention.relative_attention_bias"));
    for (int i = 0; i < 3; i++)
        nodes[i] = ft_build_node(b, FT_OP_LINEAR, all, input, -1, -1, "%s", in_block(name, number, parts[i]));
    for (int i = 0; i < 3; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, in_block(name, number, parts[i]), "weight", all, t->width,
                                                      FT_BUILD_DECAY | (i ? FT_BUILD_JOINED : 0)));
    node = ft_build_node(b, FT_OP_ATTENTION, all, nodes[0], nodes[1], nodes[2], "%s", in_block(name, number, "0.SelfAttention"));
    ft_build_at(b, node)->attention.heads = t->heads;
    ft_build_at(b, node)->attention.scale = 1;
    ft_build_at(b, node)->rate = (float)t->dropout;
    ft_build_bias(b, node, *bias, t->buckets, t->distance);
    in_block(name, number, "0.SelfAttention.o");
    return ft_build_linear(b, node, all, t->width, false, name, name);
}

/* f(x wi), or f(x wi_0) * (x wi_1), then wo. */
static int build_inner(struct ft_builder *b, const struct t5 *t, int input, size_t number)
{
    char name[NAME];
    int node, other = -1;

    in_block(name, number, t->gated ? "1.DenseReluDense.wi_0" : "1.DenseReluDense.wi");
    node = ft_build_linear(b, input, t->width, t->inner, false, name, name);
    if (t->gated) {
        in_block(name, number, "1.DenseReluDense.wi_1");
        other = ft_build_linear(b, input, t->width, t->inner, false, name, name);
    }
    node = ft_build_activation(b, node, t->inner, t->activation, in_block(name, number, "1.DenseReluDense.act"));
    if (t->gated)
        node = ft_build_node(b, FT_OP_MULTIPLY, t->inner, node, other, -1, "%s", in_block(name, number, "1.DenseReluDense.multiply"));
    node = ft_build_dropout(b, node, t->inner, t->dropout, in_block(name, number, "1.DenseReluDense.dropout"));
    in_block(name, number, "1.DenseReluDense.wo");
    return ft_build_linear(b, node, t->inner, t->width, false, name, name);
}

static int build_block(struct ft_builder *b, const struct t5 *t, int input, size_t number, int *bias)
{
    static const char *const norms[] = {"0.layer_norm", "1.layer_norm"}, *const dropouts[] = {"0.dropout", "1.dropout"}, *const adds[] = {"0.add", "1.add"};
    char name[NAME];

    for (int half = 0; half < 2; half++) {
        int node = ft_build_rms_norm(b, input, t->width, t->epsilon, in_block(name, number, norms[half]));

        node = half ? build_inner(b, t, node, number) : build_attention(b, t, node, number, bias);
        node = ft_build_dropout(b, node, t->width, t->dropout, in_block(name, number, dropouts[half]));
        input = ft_build_node(b, FT_OP_ADD, t->width, node, input, -1, "%s", in_block(name, number, adds[half]));
    }
    return input;
}

static int build_encoder(struct ft_builder *b, const json_t *json, const char *path, bool own_biases)
{
    static const char *const copies[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", NULL};
    struct t5 t = {.own_biases = own_biases};
    int node, words, bias = -1;

    if (read_config(json, path, &t) < 0)
        return -1;
    b->model->vocabulary = t.vocabulary;
    b->model->max_length = NO_LIMIT;
    node = ft_build_node(b, FT_OP_EMBEDDING, t.width, -1, -1, -1, "shared");
    words = ft_build_parameter(b, "shared", "weight", t.vocabulary, t.width, FT_BUILD_DECAY | FT_BUILD_TABLE);
    if (words >= 0)
        b->model->parameters[words].copies = copies;
    ft_build_give(b, node, words);
    node = ft_build_dropout(b, node, t.width, t.dropout, "shared.dropout");
    for (size_t i = 0; i < t.layers && !b->failed; i++)
        node = build_block(b, &t, node, i, &bias);
    node = ft_build_rms_norm(b, node, t.width, t.epsilon, "encoder.final_layer_norm");
    return ft_build_dropout(b, node, t.width, t.dropout, "encoder.dropout");
}

static int build(struct ft_builder *b, const json_t *json, const char *path)
{
    return build_encoder(b, json, path, false);
}

static int build_own(struct ft_builder *b, const json_t *json, const char *path)
{
    return build_encoder(b, json, path, true);
}

static const char *const prefixes[] = {"", NULL};

const struct ft_family ft_family_t5 = {"t5", build, NULL, prefixes};
const struct ft_family ft_family_mt5 = {"mt5", build, NULL, prefixes};
const struct ft_family ft_family_umt5 = {"umt5", build_own, NULL, prefixes};
