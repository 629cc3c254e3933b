/* siglip-towers.c - SigLIP (Zhai et al. 2023) as transformers' SiglipModel: texts filled up with padding, over which the transformer looks as over all else, and
 * embedded by what stands last; images by a query of the model's own that looks at all patches, and an MLP. */
#include "base/error.h"
#include "data/preprocess.h"
#include "model/families/clip-towers.h"
#include "model/families/vision.h"

#include <stdio.h>

#define BLOCK {"encoder.layers.", "layer_norm1", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn", "self_attn.out_proj", \
               "layer_norm2", "mlp.fc1", "mlp.fc2", NULL, NULL}

static const struct ft_clip_text_names text_names = {
    .tokens = "embeddings.token_embedding", .place = {"embeddings.position_embedding", "weight"}, .last = "final_layer_norm",
    .projection = {"head", "weight"}, .block = BLOCK,
};
static const struct ft_clip_image_names image_names = {
    .patch = "embeddings.patch_embedding", .class = {NULL, NULL}, .place = {"embeddings.position_embedding", "weight"}, .last = "post_layernorm", .block = BLOCK,
};

static const char *const text_prefixes[] = {"text_model.", "", NULL};
static const char *const image_prefixes[] = {"vision_model.", "", NULL};

static int read_encoder(const json_t *part, const char *path, struct ft_prenorm *e)
{
    *e = (struct ft_prenorm){.width = 768, .layers = 12, .heads = 12, .inner = 3072, .epsilon = 1e-6, .bias = true, .activation = FT_GELU_TANH};
    return ft_prenorm_read(part, path, e) < 0 ? -1 : ft_json_number(part, path, "attention_dropout", 0, .999, &e->attention_dropout);
}

static int build_text(struct ft_builder *b, const json_t *config, const char *path)
{
    const json_t *part = ft_clip_part(config, "text_config");
    struct ft_clip_text t = {.names = &text_names, .vocabulary = 32000, .positions = 64, .projection_bias = true, .pooling = FT_POOL_LAST};
    size_t padding = 1;

    if (read_encoder(part, path, &t.encoder) < 0 || ft_json_size(part, path, "vocab_size", 1, 1 << 26, true, &t.vocabulary) < 0 ||
        ft_json_size(part, path, "max_position_embeddings", 1, 1 << 20, true, &t.positions) < 0 ||
        ft_json_size(part, path, "pad_token_id", 0, t.vocabulary - 1, true, &padding) < 0)
        return -1;
    t.encoder.names = &text_names.block;
    t.dim = t.encoder.width;
    if (ft_json_size(part, path, "projection_size", 1, 1 << 16, true, &t.dim) < 0)
        return -1;
    b->model->tokenizer_way = (struct ft_tokenizer_way){.fills = true, .filler = (int32_t)padding};
    return ft_clip_text_build(b, &t);
}

/* torch's MultiheadAttention has query, key and value in one matrix; here the query is the probe's. */
static const struct ft_probe_names head_names = {
    .probe = {"head", "probe"}, .query = "head.attention.query", .rest = "head.attention.key_value", .joined = "head.attention", .attention = "head.attention",
    .out = "head.attention.out_proj", .norm = "head.layernorm", .inner = "head.mlp.fc1", .outer = "head.mlp.fc2", .add = "head.add",
};

/* Parts of one matrix, or two layers. */
static void give_maps(struct ft_builder *b, const struct ft_probe_names *n, size_t W, int query, int rest)
{
    if (!n->joined) {
        ft_build_give(b, query, ft_build_parameter(b, n->query, "weight", W, W, FT_BUILD_DECAY));
        ft_build_give(b, query, ft_build_parameter(b, n->query, "bias", 1, W, FT_BUILD_VECTOR));
        ft_build_give(b, rest, ft_build_parameter(b, n->rest, "weight", 2 * W, W, FT_BUILD_DECAY));
        ft_build_give(b, rest, ft_build_parameter(b, n->rest, "bias", 1, 2 * W, FT_BUILD_VECTOR));
        return;
    }
    ft_build_give(b, query, ft_build_part(b, n->joined, "in_proj_weight", "query.weight", W, W, 0, 3 * W, FT_BUILD_DECAY));
    ft_build_give(b, rest, ft_build_part(b, n->joined, "in_proj_weight", "key_value.weight", 2 * W, W, W, 3 * W, FT_BUILD_DECAY));
    ft_build_give(b, query, ft_build_part(b, n->joined, "in_proj_bias", "query.bias", 1, W, 0, 3 * W, FT_BUILD_VECTOR));
    ft_build_give(b, rest, ft_build_part(b, n->joined, "in_proj_bias", "key_value.bias", 1, 2 * W, W, 3 * W, FT_BUILD_VECTOR));
}

int ft_probe_build(struct ft_builder *b, const struct ft_prenorm *e, const struct ft_probe_names *n, int tokens)
{
    size_t W = e->width;
    const size_t shape[3] = {1, 1, W};
    char act[160];
    int query = ft_build_node(b, FT_OP_PROBE, W, -1, -1, -1, "%s.%s", n->probe.prefix, n->probe.suffix), rest, node;

    ft_build_give(b, query, ft_build_shaped(b, n->probe.prefix, n->probe.suffix, 3, shape, 0));
    query = ft_build_node(b, FT_OP_LINEAR, W, query, -1, -1, "%s", n->query);
    rest = ft_build_node(b, FT_OP_LINEAR, 2 * W, tokens, -1, -1, "%s", n->rest);
    give_maps(b, n, W, query, rest);
    node = ft_build_node(b, FT_OP_ATTEND, W, query, rest, -1, "%s", n->attention);
    ft_build_at(b, node)->attention.heads = e->heads;
    tokens = ft_build_linear(b, node, W, W, true, n->out, n->out);
    node = ft_build_norm(b, tokens, W, e->epsilon, n->norm);
    node = ft_build_linear(b, node, W, e->inner, true, n->inner, n->inner);
    snprintf(act, sizeof act, "%s.act", n->inner);
    node = ft_build_activation(b, node, e->inner, e->activation, act);
    node = ft_build_linear(b, node, e->inner, W, true, n->outer, n->outer);
    return ft_build_node(b, FT_OP_ADD, W, node, tokens, -1, "%s", n->add);
}

static int build_image(struct ft_builder *b, const json_t *config, const char *path)
{
    const json_t *part = ft_clip_part(config, "vision_config");
    struct ft_clip_image i = {.names = &image_names, .patch = 16, .size = 224, .patch_bias = true};
    struct ft_preprocess otherwise;
    bool head = true;
    size_t channels = 3;
    int node;

    if (read_encoder(part, path, &i.encoder) < 0 || ft_json_size(part, path, "patch_size", 1, 1 << 10, true, &i.patch) < 0 ||
        ft_json_size(part, path, "image_size", 1, 1 << 14, true, &i.size) < 0 || ft_json_size(part, path, "num_channels", 3, 3, true, &channels) < 0 ||
        ft_json_bool(part, path, "vision_use_head", &head) < 0)
        return -1;
    if (!head || i.patch > i.size)
        return head ? ft_fail(FT_BAD, "%s: patch_size %zu is larger than image_size %zu", path, i.patch, i.size) :
                      ft_fail(FT_BAD, "%s: vision_use_head is false: there is no embedding of an image", path);
    i.encoder.names = &image_names.block;
    otherwise = ft_preprocess_torchvision(i.size, i.size, FT_FILTER_BICUBIC);
    otherwise.rule = FT_RESIZE_EXACT;
    for (int c = 0; c < 3; c++)
        otherwise.mean[c] = otherwise.std[c] = .5;
    if (ft_vision_input_or(b, &otherwise, "SigLIP has them") < 0 || (node = ft_clip_image_tokens(b, &i, path)) < 0)
        return -1;
    return ft_probe_build(b, &i.encoder, &head_names, ft_build_norm(b, node, i.encoder.width, i.encoder.epsilon, i.names->last));
}

static const struct ft_family text = {"siglip_text_model", build_text, NULL, text_prefixes};
static const struct ft_family image = {"siglip_vision_model", build_image, NULL, image_prefixes};
const struct ft_family_pair ft_pair_siglip = {"siglip", {&text, &image}};
