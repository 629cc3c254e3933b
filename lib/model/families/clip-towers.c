/* clip-towers.c - CLIP's towers (Radford et al. 2021), and transformers' CLIPModel, CLIPTextModelWithProjection and CLIPVisionModelWithProjection.
 *
 * A text's embedding is that of its end-of-text token. transformers finds it as the first `eos_token_id`, or, where config.json says 2 as it did before that
 * was mended, as the largest id; nothing before it sees what comes behind, so a text's ids end there (data/tokenizer.h) and the last one is pooled. */
#include "model/families/clip-towers.h"
#include "base/error.h"
#include "data/preprocess.h"
#include "model/families/vision.h"

#include <stdio.h>

enum { OLD_END = 2 };

#define BLOCK {"encoder.layers.", "layer_norm1", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn", "self_attn.out_proj", \
               "layer_norm2", "mlp.fc1", "mlp.fc2", NULL, NULL}

const struct ft_clip_text_names ft_clip_text_transformers = {
    .tokens = "embeddings.token_embedding", .place = {"embeddings.position_embedding", "weight"}, .last = "final_layer_norm",
    .projection = {"text_projection", "weight"}, .block = BLOCK,
};
const struct ft_clip_image_names ft_clip_image_transformers = {
    .patch = "embeddings.patch_embedding", .class = {"embeddings", "class_embedding"}, .place = {"embeddings.position_embedding", "weight"},
    .first = "pre_layrnorm", .last = "post_layernorm", .projection = {"visual_projection", "weight"}, .block = BLOCK,
};

/* ---- nodes ---- */

static int project(struct ft_builder *b, int node, size_t width, size_t dim, const struct ft_clip_name *name, bool transposed, bool bias)
{
    if (!dim)
        return node;
    node = ft_build_node(b, FT_OP_LINEAR, dim, node, -1, -1, "%s", *name->prefix ? name->prefix : name->suffix);
    ft_build_give(b, node, transposed ? ft_build_transposed(b, name->prefix, name->suffix, dim, width, FT_BUILD_DECAY) :
                                        ft_build_parameter(b, name->prefix, name->suffix, dim, width, FT_BUILD_DECAY));
    if (bias)
        ft_build_give(b, node, ft_build_parameter(b, name->prefix, "bias", 1, dim, FT_BUILD_VECTOR));
    return node;
}

static int pool(struct ft_builder *b, int node, size_t width, enum ft_pooling how)
{
    node = ft_build_node(b, FT_OP_POOL, width, node, -1, -1, "pooling");
    ft_build_at(b, node)->pooling = how;
    return node;
}

int ft_clip_text_build(struct ft_builder *b, const struct ft_clip_text *t)
{
    const struct ft_clip_text_names *n = t->names;
    size_t width = t->encoder.width;
    int node = ft_build_node(b, FT_OP_EMBEDDING, width, -1, -1, -1, "embeddings");

    ft_build_give(b, node, ft_build_parameter(b, n->tokens, "weight", t->vocabulary, width, FT_BUILD_DECAY | FT_BUILD_TABLE));
    ft_build_give(b, node, ft_build_parameter(b, n->place.prefix, n->place.suffix, t->positions, width, FT_BUILD_DECAY));
    b->model->vocabulary = t->vocabulary;
    b->model->max_length = t->positions;
    node = ft_build_norm(b, ft_prenorm_build(b, &t->encoder, node), width, t->encoder.epsilon, n->last);
    return project(b, pool(b, node, width, t->pooling), width, t->dim, &n->projection, n->transposed, t->projection_bias);
}

static int table(struct ft_builder *b, const struct ft_clip_name *name, size_t rows, size_t width, bool batched)
{
    const size_t shape[3] = {1, rows, width};

    return batched ? ft_build_shaped(b, name->prefix, name->suffix, 3, shape, 0) :
                     ft_build_parameter(b, name->prefix, name->suffix, rows, width, rows == 1 ? FT_BUILD_VECTOR : 0);
}

int ft_clip_image_tokens(struct ft_builder *b, const struct ft_clip_image *i, const char *path)
{
    const struct ft_clip_image_names *n = i->names;
    const struct ft_convolution patch = {.outputs = i->encoder.width, .kernel = i->patch, .stride = i->patch, .bias = i->patch_bias,
                                         .padding = FT_PADDING_VALID};
    bool classed = n->class.suffix;
    size_t positions;
    int node;

    if (b->model->height != i->size || b->model->across != i->size)
        return ft_fail(b->side ? FT_USAGE : FT_BAD, "%s: images of %zu x %zu, and its positions are for %zu x %zu: that is not supported", path,
                       b->model->height, b->model->across, i->size, i->size);
    node = ft_vision_convolution(b, ft_vision_pixels(b), &patch, n->patch);
    positions = ft_build_at(b, node)->height * ft_build_at(b, node)->across + classed;
    node = ft_build_node(b, FT_OP_TOKENS, i->encoder.width, node, -1, -1, "tokens");
    if (classed)
        ft_build_give(b, node, table(b, &n->class, 1, i->encoder.width, n->batched));
    ft_build_give(b, node, table(b, &n->place, positions, i->encoder.width, n->batched));
    b->model->rows_each = positions;
    if (n->first)
        node = ft_build_norm(b, node, i->encoder.width, i->encoder.epsilon, n->first);
    return ft_prenorm_build(b, &i->encoder, node);
}

int ft_clip_image_build(struct ft_builder *b, const struct ft_clip_image *i, const char *path)
{
    size_t width = i->encoder.width;
    int node = ft_clip_image_tokens(b, i, path);

    if (node < 0)
        return -1;
    node = ft_build_norm(b, pool(b, node, width, FT_POOL_CLS), width, i->encoder.epsilon, i->names->last);
    return project(b, node, width, i->dim, &i->names->projection, i->names->transposed, false);
}

/* ---- config.json ---- */

const json_t *ft_clip_part(const json_t *config, const char *key)
{
    char dictionary[64];
    const json_t *part;

    /* Files of 2022 say it twice, and this one counts. */
    snprintf(dictionary, sizeof dictionary, "%s_dict", key);
    part = json_object_get(config, dictionary);
    if (!json_is_object(part))
        part = json_object_get(config, key);
    return json_is_object(part) ? part : config;
}

int ft_clip_dim(struct ft_builder *b, const json_t *config, const char *path, const char *const *prefixes, const char *name, size_t *dim)
{
    *dim = 512;
    if (!ft_build_has(b, prefixes, name))
        *dim = 0;
    return b->failed || ft_json_size(config, path, "projection_dim", 1, 1 << 16, true, dim) < 0 ? -1 : 0;
}

int ft_clip_image_read(const json_t *part, const char *path, struct ft_clip_image *i)
{
    struct ft_prenorm *e = &i->encoder;
    size_t channels = 3;

    *i = (struct ft_clip_image){.names = &ft_clip_image_transformers, .patch = 32, .size = 224};
    *e = (struct ft_prenorm){.names = &ft_clip_image_transformers.block, .width = 768, .layers = 12, .heads = 12, .inner = 3072, .epsilon = 1e-5,
                             .bias = true, .activation = FT_QUICK_GELU};
    if (ft_prenorm_read(part, path, e) < 0 || ft_json_size(part, path, "patch_size", 1, 1 << 10, true, &i->patch) < 0 ||
        ft_json_size(part, path, "image_size", 1, 1 << 14, true, &i->size) < 0 || ft_json_size(part, path, "num_channels", 3, 3, true, &channels) < 0 ||
        ft_json_number(part, path, "attention_dropout", 0, .999, &e->attention_dropout) < 0)
        return -1;
    return i->patch <= i->size ? 0 : ft_fail(FT_BAD, "%s: patch_size %zu is larger than image_size %zu", path, i->patch, i->size);
}

static int read_text(const json_t *part, const char *path, struct ft_clip_text *t, struct ft_tokenizer_way *way)
{
    struct ft_prenorm *e = &t->encoder;
    size_t end = 49407;

    *t = (struct ft_clip_text){.names = &ft_clip_text_transformers, .vocabulary = 49408, .positions = 77, .pooling = FT_POOL_LAST};
    *e = (struct ft_prenorm){.names = &ft_clip_text_transformers.block, .width = 512, .layers = 12, .heads = 8, .inner = 2048, .epsilon = 1e-5,
                             .bias = true, .causal = true, .activation = FT_QUICK_GELU};
    if (ft_prenorm_read(part, path, e) < 0 || ft_json_size(part, path, "vocab_size", 1, 1 << 26, true, &t->vocabulary) < 0 ||
        ft_json_size(part, path, "max_position_embeddings", 1, 1 << 20, true, &t->positions) < 0 ||
        ft_json_number(part, path, "attention_dropout", 0, .999, &e->attention_dropout) < 0 ||
        ft_json_size(part, path, "eos_token_id", 0, (1 << 26) - 1, true, &end) < 0)
        return -1;
    *way = (struct ft_tokenizer_way){.ends = true, .end = end == OLD_END ? -1 : (int32_t)end};
    return 0;
}

static const char *const text_prefixes[] = {"text_model.", "", NULL};
static const char *const image_prefixes[] = {"vision_model.", "", NULL};

static int build_text(struct ft_builder *b, const json_t *config, const char *path)
{
    const json_t *part = ft_clip_part(config, "text_config");
    struct ft_clip_text t;

    if (read_text(part, path, &t, &b->model->tokenizer_way) < 0 ||
        ft_clip_dim(b, config, path, text_prefixes, "text_projection.weight", &t.dim) < 0)
        return -1;
    return ft_clip_text_build(b, &t);
}

int ft_clip_image_family(struct ft_builder *b, const json_t *config, const char *path, const char *const *prefixes, const char *whose)
{
    struct ft_preprocess otherwise;
    struct ft_clip_image i;

    if (ft_clip_image_read(ft_clip_part(config, "vision_config"), path, &i) < 0 ||
        ft_clip_dim(b, config, path, prefixes, "visual_projection.weight", &i.dim) < 0)
        return -1;
    otherwise = ft_preprocess_clip(i.size);
    return ft_vision_input_or(b, &otherwise, whose) < 0 ? -1 : ft_clip_image_build(b, &i, path);
}

static int build_image(struct ft_builder *b, const json_t *config, const char *path)
{
    return ft_clip_image_family(b, config, path, image_prefixes, "CLIP has them");
}

static const struct ft_family text = {"clip_text_model", build_text, NULL, text_prefixes};
static const struct ft_family image = {"clip_vision_model", build_image, NULL, image_prefixes};
const struct ft_family_pair ft_pair_clip = {"clip", {&text, &image}};
