/* vit.c - vision transformers (Dosovitskiy et al. 2020): patches and a class token as tokens, norms before attention and before the two linear maps, a last
 * norm. By the names of transformers, timm and torchvision; the latter two have query, key and value in one matrix. */
#include "base/error.h"
#include "model/families/prenorm.h"
#include "model/families/vision.h"

#include <stdio.h>
#include <string.h>

struct scheme {
    const char *patch, *class, *class_prefix, *place, *place_prefix, *last;
    struct ft_prenorm_names block;
};

static const struct scheme schemes[] = {
    {"embeddings.patch_embeddings.projection", "cls_token", "embeddings", "position_embeddings", "embeddings", "layernorm",
     {"encoder.layer.", "layernorm_before", "attention.attention.query", "attention.attention.key", "attention.attention.value",
      "attention.attention", "attention.output.dense", "layernorm_after", "intermediate.dense", "output.dense", NULL, NULL}},
    {"patch_embed.proj", "cls_token", "", "pos_embed", "", "norm",
     {"blocks.", "norm1", "attn.qkv", NULL, NULL, "attn", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2", "weight", "bias"}},
    {"conv_proj", "class_token", "", "pos_embedding", "encoder", "encoder.ln",
     {"encoder.layers.encoder_layer_", "ln_1", "self_attention", NULL, NULL, "self_attention.heads", "self_attention.out_proj", "ln_2", "mlp.linear_1",
      "mlp.linear_2", "in_proj_weight", "in_proj_bias"}},
    {"conv_proj", "class_token", "", "pos_embedding", "encoder", "encoder.ln",
     {"encoder.layers.encoder_layer_", "ln_1", "self_attention", NULL, NULL, "self_attention.heads", "self_attention.out_proj", "ln_2", "mlp.0", "mlp.3",
      "in_proj_weight", "in_proj_bias"}},
};

/* Of the names of transformers, timm, torchvision at first (which had the last one's tensor too) and torchvision a tensor each. */
static const char *const probes[] = {"embeddings.patch_embeddings.projection.weight", "patch_embed.proj.weight",
                                     "encoder.layers.encoder_layer_0.mlp.linear_1.weight", "conv_proj.weight", NULL};
static const char *const prefixes[] = {"", "vit.", NULL};

struct vit {
    struct ft_prenorm encoder;
    size_t patch, size;
    const struct scheme *scheme;
};

static int build_tokens(struct ft_builder *b, const struct vit *v)
{
    const struct scheme *s = v->scheme;
    const struct ft_convolution patch = {.outputs = v->encoder.width, .kernel = v->patch, .stride = v->patch, .bias = true, .padding = FT_PADDING_SAME};
    int map = ft_vision_convolution(b, ft_vision_pixels(b), &patch, s->patch), node;
    size_t positions = ft_build_at(b, map)->height * ft_build_at(b, map)->across;
    const size_t class[3] = {1, 1, v->encoder.width}, place[3] = {1, positions + 1, v->encoder.width};

    node = ft_build_node(b, FT_OP_TOKENS, v->encoder.width, map, -1, -1, "tokens");
    ft_build_give(b, node, ft_build_shaped(b, s->class_prefix, s->class, 3, class, 0));
    ft_build_give(b, node, ft_build_shaped(b, s->place_prefix, s->place, 3, place, 0));
    b->model->rows_each = positions + 1;
    return v->encoder.dropout > 0 ? ft_build_dropout(b, node, v->encoder.width, v->encoder.dropout, "tokens.dropout") : node;
}

static int read_config(struct vit *v, const json_t *config, const char *path)
{
    struct ft_prenorm *e = &v->encoder;
    size_t channels = 3;

    *v = (struct vit){.encoder = {.width = 768, .layers = 12, .heads = 12, .inner = 3072, .epsilon = 1e-12, .bias = true, .activation = FT_GELU},
                      .patch = 16, .size = 224};
    if (ft_prenorm_read(config, path, e) < 0 || ft_json_size(config, path, "patch_size", 1, 1 << 10, true, &v->patch) < 0 ||
        ft_json_size(config, path, "image_size", 1, 1 << 14, true, &v->size) < 0 || ft_json_size(config, path, "num_channels", 3, 3, true, &channels) < 0 ||
        ft_json_number(config, path, "hidden_dropout_prob", 0, .999, &e->dropout) < 0 ||
        ft_json_number(config, path, "attention_probs_dropout_prob", 0, .999, &e->attention_dropout) < 0)
        return -1;
    return ft_json_bool(config, path, "qkv_bias", &e->bias);
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
            *v = (struct vit){.encoder = {.width = known[i].width, .layers = known[i].layers, .heads = known[i].heads, .inner = 4 * known[i].width,
                                          .epsilon = 1e-6, .bias = true, .activation = FT_GELU}, .patch = patch, .size = size};
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
    v.encoder.names = &v.scheme->block;
    if (b->model->height != v.size || b->model->across != v.size)
        return ft_fail(b->side ? FT_USAGE : FT_BAD, "%s: images of %zu x %zu, and its table of positions is for %zu x %zu: that is not supported", path, b->model->height,
                       b->model->across, v.size, v.size);
    if (v.size % v.patch)
        return ft_fail(FT_BAD, "%s: image_size %zu is no multiple of patch_size %zu", path, v.size, v.patch);
    node = ft_prenorm_build(b, &v.encoder, build_tokens(b, &v));
    b->pooling = FT_POOL_CLS;
    return ft_build_norm(b, node, v.encoder.width, v.encoder.epsilon, v.scheme->last);
}

const struct ft_family ft_family_vit = {"vit", build, NULL, prefixes};
