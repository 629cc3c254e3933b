/* open-clip-resnet.c - OpenAI's ResNets (Radford et al. 2021; open_clip/modified_resnet.py): three convolutions and a mean pool for a stem; where a stage
 * strides a mean pool before the last convolution and before the shortcut's, so that no convolution strides but the first; at the end the mean of all
 * positions is a token before theirs, and attends to all of them. */
#include "base/error.h"
#include "data/preprocess.h"
#include "model/families/open-clip.h"
#include "model/families/vision.h"

#include <stdio.h>

enum { STAGES = 4, NAME = 160, SHRINKS = 32, EXPANDS = 4, WIDENS = 32 };

struct resnet {
    size_t width, heads, size, dim, depth[STAGES];
};

static const struct ft_norms norms = {1e-5, .1};

/* Convolution number k of a layer (or of the stem, whose name is ""), its norm, ReLU. */
static int unit(struct ft_builder *b, int input, size_t outputs, size_t kernel, size_t stride, const char *layer, int k)
{
    const struct ft_convolution c = {.outputs = outputs, .kernel = kernel, .stride = stride};
    char name[2 * NAME], after[2 * NAME], act[2 * NAME];

    snprintf(name, sizeof name, "%sconv%d", layer, k);
    snprintf(after, sizeof after, "%sbn%d", layer, k);
    snprintf(act, sizeof act, "%sact%d", layer, k);
    return ft_vision_activation(b, ft_vision_norm(b, ft_vision_convolution(b, input, &c, name), &norms, after), FT_RELU, act);
}

static int shortcut(struct ft_builder *b, int input, size_t width, size_t stride, const char *layer)
{
    const struct ft_convolution c = {.outputs = width, .kernel = 1, .stride = 1};
    char pool[2 * NAME], name[2 * NAME], after[2 * NAME];

    if (ft_build_at(b, input)->width == width && stride == 1)
        return input;
    snprintf(pool, sizeof pool, "%sdownsample.-1", layer);
    snprintf(name, sizeof name, "%sdownsample.0", layer);
    snprintf(after, sizeof after, "%sdownsample.1", layer);
    return ft_vision_norm(b, ft_vision_convolution(b, ft_vision_mean_pool(b, input, stride, pool), &c, name), &norms, after);
}

static int build_layer(struct ft_builder *b, int input, size_t narrow, size_t stride, const char *layer)
{
    const struct ft_convolution last = {.outputs = EXPANDS * narrow, .kernel = 1, .stride = 1};
    char name[2 * NAME], after[2 * NAME];
    int other = shortcut(b, input, EXPANDS * narrow, stride, layer), node;

    node = unit(b, unit(b, input, narrow, 1, 1, layer, 1), narrow, 3, 1, layer, 2);
    snprintf(name, sizeof name, "%savgpool", layer);
    node = ft_vision_mean_pool(b, node, stride, name);
    snprintf(name, sizeof name, "%sconv3", layer);
    snprintf(after, sizeof after, "%sbn3", layer);
    node = ft_vision_norm(b, ft_vision_convolution(b, node, &last, name), &norms, after);
    snprintf(name, sizeof name, "%sadd", layer);
    node = ft_vision_add(b, node, other, name);
    snprintf(name, sizeof name, "%sact3", layer);
    return ft_vision_activation(b, node, FT_RELU, name);
}

static int build_map(struct ft_builder *b, const struct resnet *r)
{
    char layer[NAME];
    int node = unit(b, ft_vision_pixels(b), r->width / 2, 3, 2, "", 1);

    node = unit(b, unit(b, node, r->width / 2, 3, 1, "", 2), r->width, 3, 1, "", 3);
    node = ft_vision_mean_pool(b, node, 2, "avgpool");
    for (size_t s = 0; s < STAGES; s++)
        for (size_t l = 0; l < r->depth[s] && !b->failed; l++) {
            snprintf(layer, sizeof layer, "layer%zu.%zu.", s + 1, l);
            node = build_layer(b, node, r->width << s, s > 0 && l == 0 ? 2 : 1, layer);
        }
    return ft_vision_finish(b, node);
}

/* Key and value lie one after the other, so that they are one product. */
static int build_attention(struct ft_builder *b, const struct resnet *r, int map)
{
    size_t W = WIDENS * r->width, positions = (r->size / SHRINKS) * (r->size / SHRINKS) + 1;
    int node = ft_build_node(b, FT_OP_POOL, W, map, -1, -1, "attnpool.mean"), tokens, query, key, value;

    ft_build_at(b, node)->pooling = FT_POOL_MEAN;
    tokens = ft_build_node(b, FT_OP_TOKENS, W, map, node, -1, "attnpool.tokens");
    ft_build_give(b, tokens, ft_build_parameter(b, "attnpool", "positional_embedding", positions, W, 0));
    query = ft_build_node(b, FT_OP_POOL, W, tokens, -1, -1, "attnpool.first");
    ft_build_at(b, query)->pooling = FT_POOL_CLS;
    query = ft_build_linear(b, query, W, W, true, "attnpool.q_proj", "attnpool.q_proj");
    key = ft_build_node(b, FT_OP_LINEAR, W, tokens, -1, -1, "attnpool.k_proj");
    value = ft_build_node(b, FT_OP_LINEAR, W, tokens, -1, -1, "attnpool.v_proj");
    ft_build_give(b, key, ft_build_parameter(b, "attnpool.k_proj", "weight", W, W, FT_BUILD_DECAY));
    ft_build_give(b, value, ft_build_parameter(b, "attnpool.v_proj", "weight", W, W, FT_BUILD_DECAY | FT_BUILD_JOINED));
    ft_build_give(b, key, ft_build_parameter(b, "attnpool.k_proj", "bias", 1, W, FT_BUILD_VECTOR));
    ft_build_give(b, value, ft_build_parameter(b, "attnpool.v_proj", "bias", 1, W, FT_BUILD_VECTOR | FT_BUILD_JOINED));
    node = ft_build_node(b, FT_OP_ATTEND, W, query, key, value, "attnpool");
    ft_build_at(b, node)->attention.heads = r->heads;
    b->model->rows_each = positions;
    b->model->shard_rows *= positions;
    b->model->chunk_rows *= positions;
    return ft_build_linear(b, node, W, r->dim, true, "attnpool.c_proj", "attnpool.c_proj");
}

static int read_config(struct resnet *r, const json_t *config, const char *path)
{
    static const char *const keys[] = {"layers", "width", "head_width", "image_size", "patch_size", "mlp_ratio", "patch_dropout", "timm_pool", "timm_proj",
                                       "timm_drop", "pos_embed_type", "pool_type", "attn_pooler_queries", "attn_pooler_heads", NULL};
    const json_t *part = ft_open_clip_part(config, "vision_cfg");
    size_t head = 64;

    *r = (struct resnet){.width = 64, .size = 224};
    if (ft_open_clip_keys(part, path, "vision_cfg", keys) < 0 || ft_open_clip_dim(config, path, &r->dim) < 0 ||
        ft_json_size(part, path, "width", 2, 1 << 10, true, &r->width) < 0 || ft_json_size(part, path, "head_width", 1, 1 << 16, true, &head) < 0 ||
        ft_vision_list(part, path, "layers", STAGES, false, r->depth) < 0 || ft_open_clip_size(part, path, &r->size) < 0)
        return -1;
    r->heads = WIDENS * r->width / head;
    if (!r->heads || WIDENS * r->width % r->heads)
        return ft_fail(FT_BAD, "%s: vision_cfg: width %zu of %d channels is no multiple of %zu heads", path, WIDENS * r->width, WIDENS, r->heads);
    return r->size < SHRINKS ? ft_fail(FT_BAD, "%s: image_size is %zu, expected %d or more", path, r->size, SHRINKS) : 0;
}

int ft_open_clip_resnet_build(struct ft_builder *b, const json_t *config, const char *path)
{
    struct resnet r;
    const struct ft_node *map;
    int node;

    if (read_config(&r, config, path) < 0 || ft_open_clip_input(b, config, path, r.size) < 0 || (node = build_map(b, &r)) < 0)
        return -1;
    map = ft_build_at(b, node);
    if (map->height != r.size / SHRINKS || map->across != r.size / SHRINKS)
        return ft_fail(b->side ? FT_USAGE : FT_BAD, "%s: images of %zu x %zu, and its positions are for %zu x %zu: that is not supported", path,
                       b->model->height, b->model->across, r.size, r.size);
    return build_attention(b, &r, node);
}
