/* vit.c - vision transformers (Dosovitskiy et al. 2020): patches and a class token as tokens, norms before attention and before the two linear maps, a last
 * norm. By the names of transformers, timm and torchvision; the latter two have query, key and value in one matrix. */
#include "base/error.h"
#include "model/families/vision.h"

#include <stdio.h>
#include <string.h>

enum { NAME = 200 };

struct scheme {
    const char *patch, *class, *class_prefix, *place, *place_prefix, *layer, *last;
    const char *before, *query, *key, *value, *attention, *out, *after, *inner, *outer;   /* inside a layer; joined: query is all three */
    const char *joined_weight, *joined_bias;    /* of query, NULL where the three are apart */
};

static const struct scheme schemes[] = {
    {"embeddings.patch_embeddings.projection", "cls_token", "embeddings", "position_embeddings",
     "embeddings", "encoder.layer.", "layernorm", "layernorm_before", "attention.attention.query", "attention.attention.key", "attention.attention.value",
     "attention.attention", "attention.output.dense", "layernorm_after", "intermediate.dense", "output.dense", NULL, NULL},
    {"patch_embed.proj", "cls_token", "", "pos_embed", "", "blocks.", "norm", "norm1", "attn.qkv", NULL, NULL, "attn", "attn.proj",
     "norm2", "mlp.fc1", "mlp.fc2", "weight", "bias"},
    {"conv_proj", "class_token", "", "pos_embedding", "encoder", "encoder.layers.encoder_layer_", "encoder.ln", "ln_1",
     "self_attention", NULL, NULL, "self_attention.heads", "self_attention.out_proj", "ln_2", "mlp.linear_1", "mlp.linear_2", "in_proj_weight",
     "in_proj_bias"},
    {"conv_proj", "class_token", "", "pos_embedding", "encoder", "encoder.layers.encoder_layer_", "encoder.ln", "ln_1",
     "self_attention", NULL, NULL, "self_attention.heads", "self_attention.out_proj", "ln_2", "mlp.0", "mlp.3", "in_proj_weight", "in_proj_bias"},
};

/* Of the names of transformers, timm, torchvision at first (which had the last one's tensor too) and torchvision a tensor each. */
static const char *const probes[] = {"embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight",
                                     "encoder.layers.encoder_layer_0.mlp.linear_1.weight", "conv_proj.weight", NULL};
static const char *const prefixes[] = {"", "vit.", NULL};

struct vit {
    size_t width, layers, heads, inner, patch, size;
    double epsilon, dropout, attention_dropout;
    bool bias;                   /* of query, key and value */
    enum ft_activation activation;
    const struct scheme *scheme;
};

static const char *in_layer(char name[NAME], const struct vit *v, size_t number, const char *part)
{
    snprintf(name, NAME, "%s%zu.%s", v->scheme->layer, number, part);
    return name;
}

static int build_apart(struct ft_builder *b, const struct vit *v, int input, size_t number)
{
    const char *const parts[3] = {v->scheme->query, v->scheme->key, v->scheme->value};
    char prefix[3][NAME], name[NAME];
    int nodes[3];

    for (int i = 0; i < 3; i++)
        nodes[i] = ft_build_node(b, FT_OP_LINEAR, v->width, input, -1, -1, "%s", in_layer(prefix[i], v, number, parts[i]));
    for (int i = 0; i < 3; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, prefix[i], "weight", v->width, v->width, FT_BUILD_DECAY | (i ? FT_BUILD_JOINED : 0)));
    for (int i = 0; i < 3 && v->bias; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, prefix[i], "bias", 1, v->width, FT_BUILD_VECTOR | (i ? FT_BUILD_JOINED : 0)));
    return ft_build_node(b, FT_OP_ATTENTION, v->width, nodes[0], nodes[1], nodes[2], "%s", in_layer(name, v, number, v->scheme->attention));
}

static int build_joined(struct ft_builder *b, const struct vit *v, int input, size_t number)
{
    char prefix[NAME], name[NAME];
    int node = ft_build_node(b, FT_OP_LINEAR, 3 * v->width, input, -1, -1, "%s", in_layer(prefix, v, number, v->scheme->query));

    ft_build_give(b, node, ft_build_parameter(b, prefix, v->scheme->joined_weight, 3 * v->width, v->width, FT_BUILD_DECAY));
    if (v->bias)
        ft_build_give(b, node, ft_build_parameter(b, prefix, v->scheme->joined_bias, 1, 3 * v->width, FT_BUILD_VECTOR));
    return ft_build_node(b, FT_OP_ATTENTION, v->width, node, -1, -1, "%s", in_layer(name, v, number, v->scheme->attention));
}

static int drop_and_add(struct ft_builder *b, const struct vit *v, int node, int residual, size_t number, const char *part)
{
    char name[NAME], drop[NAME], add[NAME];

    in_layer(name, v, number, part);
    snprintf(drop, NAME, "%.180s.dropout", name);
    snprintf(add, NAME, "%.180s.add", name);
    if (v->dropout > 0)
        node = ft_build_dropout(b, node, v->width, v->dropout, drop);
    return ft_build_node(b, FT_OP_ADD, v->width, node, residual, -1, "%s", add);
}

static int build_layer(struct ft_builder *b, const struct vit *v, int input, size_t number)
{
    const struct scheme *s = v->scheme;
    char name[NAME], act[NAME];
    int node = ft_build_norm(b, input, v->width, v->epsilon, in_layer(name, v, number, s->before));

    node = s->joined_weight ? build_joined(b, v, node, number) : build_apart(b, v, node, number);
    ft_build_at(b, node)->attention.heads = v->heads;
    ft_build_at(b, node)->rate = (float)v->attention_dropout;
    in_layer(name, v, number, s->out);
    input = drop_and_add(b, v, ft_build_linear(b, node, v->width, v->width, true, name, name), input, number, s->out);
    node = ft_build_norm(b, input, v->width, v->epsilon, in_layer(name, v, number, s->after));
    in_layer(name, v, number, s->inner);
    node = ft_build_linear(b, node, v->width, v->inner, true, name, name);
    snprintf(act, NAME, "%.180s.act", name);
    node = ft_build_activation(b, node, v->inner, v->activation, act);
    in_layer(name, v, number, s->outer);
    return drop_and_add(b, v, ft_build_linear(b, node, v->inner, v->width, true, name, name), input, number, s->outer);
}

static int build_tokens(struct ft_builder *b, const struct vit *v)
{
    const struct scheme *s = v->scheme;
    const struct ft_convolution patch = {.outputs = v->width, .kernel = v->patch, .stride = v->patch, .bias = true, .padding = FT_PADDING_SAME};
    int map = ft_vision_convolution(b, ft_vision_pixels(b), &patch, s->patch), node;
    size_t positions = ft_build_at(b, map)->height * ft_build_at(b, map)->across;
    const size_t class[3] = {1, 1, v->width}, place[3] = {1, positions + 1, v->width};

    node = ft_build_node(b, FT_OP_TOKENS, v->width, map, -1, -1, "tokens");
    ft_build_give(b, node, ft_build_shaped(b, s->class_prefix, s->class, 3, class, 0));
    ft_build_give(b, node, ft_build_shaped(b, s->place_prefix, s->place, 3, place, 0));
    b->model->rows_each = positions + 1;
    return v->dropout > 0 ? ft_build_dropout(b, node, v->width, v->dropout, "tokens.dropout") : node;
}

static int read_config(struct vit *v, const json_t *config, const char *path)
{
    const char *activation = ft_json_text(config, "hidden_act");
    size_t channels = 3;

    *v = (struct vit){.width = 768, .layers = 12, .heads = 12, .inner = 3072, .patch = 16, .size = 224, .epsilon = 1e-12, .bias = true};
    if (ft_json_size(config, path, "hidden_size", 1, 1 << 16, true, &v->width) < 0 || ft_json_size(config, path, "num_hidden_layers", 1, 1024, true, &v->layers) < 0 ||
        ft_json_size(config, path, "num_attention_heads", 1, 1 << 10, true, &v->heads) < 0 || ft_json_size(config, path, "intermediate_size", 1, 1 << 20, true, &v->inner) < 0 ||
        ft_json_size(config, path, "patch_size", 1, 1 << 10, true, &v->patch) < 0 || ft_json_size(config, path, "image_size", 1, 1 << 14, true, &v->size) < 0 ||
        ft_json_size(config, path, "num_channels", 3, 3, true, &channels) < 0 || ft_json_number(config, path, "layer_norm_eps", 0, 1, &v->epsilon) < 0 ||
        ft_json_number(config, path, "hidden_dropout_prob", 0, .999, &v->dropout) < 0 ||
        ft_json_number(config, path, "attention_probs_dropout_prob", 0, .999, &v->attention_dropout) < 0 ||
        ft_json_bool(config, path, "qkv_bias", &v->bias) < 0)
        return -1;
    if (v->width % v->heads)
        return ft_fail(FT_BAD, "%s: hidden_size %zu is no multiple of num_attention_heads %zu", path, v->width, v->heads);
    return ft_activation_parse(activation ? activation : "gelu", &v->activation) < 0 ? ft_error_prefix("%s: hidden_act: ", path) : 0;
}

/* "vit_base_patch32_224" of timm; "vit_b_32" of torchvision. */
static int read_architecture(struct vit *v, const char *name, const char *path)
{
    static const struct { const char *timm, *torchvision; size_t width, layers, heads; } known[] = {
        {"vit_tiny_", "vit_ti_", 192, 12, 3}, {"vit_small_", "vit_s_", 384, 12, 6}, {"vit_base_", "vit_b_", 768, 12, 12}, {"vit_large_", "vit_l_", 1024, 24, 16},
        {"vit_huge_", "vit_h_", 1280, 32, 16},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        unsigned patch = 0, size = 224;
        size_t timm = strlen(known[i].timm), torchvision = strlen(known[i].torchvision);

        if ((strncmp(name, known[i].timm, timm) == 0 && sscanf(name + timm, "patch%u_%u", &patch, &size) == 2) ||
            (strncmp(name, known[i].torchvision, torchvision) == 0 && sscanf(name + torchvision, "%u", &patch) == 1)) {
            if (patch < 1 || patch > 1024 || size < patch || size > 1 << 14)
                break;
            *v = (struct vit){.width = known[i].width, .layers = known[i].layers, .heads = known[i].heads, .inner = 4 * known[i].width, .patch = patch,
                              .size = size, .epsilon = 1e-6, .bias = true, .activation = FT_GELU};
            return 0;
        }
    }
    return ft_fail(FT_BAD, "%s: architecture '%.64s' is not known, expected as vit_base_patch32_224 or vit_b_32", path, name);
}

static int build(struct ft_builder *b, const json_t *config, const char *path)
{
    const char *architecture = ft_architecture_text(config);
    int which = ft_vision_scheme(b, prefixes, probes, path), node;
    struct vit v;

    if (which < 0 || (architecture ? read_architecture(&v, architecture, path) : read_config(&v, config, path)) < 0 ||
        ft_vision_input(b, v.size, v.size) < 0)
        return -1;
    v.scheme = &schemes[which];
    if (b->model->height != v.size || b->model->across != v.size)
        return ft_fail(b->side ? FT_USAGE : FT_BAD, "%s: images of %zu x %zu, and its table of positions is for %zu x %zu: that is not supported", path, b->model->height,
                       b->model->across, v.size, v.size);
    if (v.size % v.patch)
        return ft_fail(FT_BAD, "%s: image_size %zu is no multiple of patch_size %zu", path, v.size, v.patch);
    node = build_tokens(b, &v);
    for (size_t i = 0; i < v.layers && !b->failed; i++)
        node = build_layer(b, &v, node, i);
    b->pooling = FT_POOL_CLS;
    return ft_build_norm(b, node, v.width, v.epsilon, v.scheme->last);
}

const struct ft_family ft_family_vit = {"vit", build, NULL, prefixes};
