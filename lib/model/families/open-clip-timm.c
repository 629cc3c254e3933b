/* open-clip-timm.c - images by a vision transformer of timm (open_clip/timm_model.py; timm/models/vision_transformer.py): vision_cfg.timm_model_name says
 * heads, patches, size and activation, the tensors the rest. Those of SigLIP pool by attention; of CLIP and plain ones the class token is projected. */
#include "base/error.h"
#include "model/families/clip-towers.h"
#include "model/families/open-clip.h"
#include "model/families/vision.h"
#include "model/weights/safetensors.h"

#include <stdio.h>
#include <string.h>

enum { LAYERS = 1024 };

#define BLOCK {"blocks.", "norm1", "attn.qkv", NULL, NULL, "attn", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2", "weight", "bias"}

static const struct ft_clip_image_names plain_names = {
    .patch = "patch_embed.proj", .class = {"", "cls_token"}, .place = {"", "pos_embed"}, .last = "norm", .batched = true, .block = BLOCK,
};
static const struct ft_clip_image_names clip_names = {
    .patch = "patch_embed.proj", .class = {"", "cls_token"}, .place = {"", "pos_embed"}, .first = "norm_pre", .last = "norm", .batched = true, .block = BLOCK,
};
static const struct ft_clip_image_names siglip_names = {
    .patch = "patch_embed.proj", .place = {"", "pos_embed"}, .last = "norm", .batched = true, .block = BLOCK,
};
static const struct ft_probe_names pool_names = {
    .probe = {"attn_pool", "latent"}, .query = "attn_pool.q", .rest = "attn_pool.kv", .attention = "attn_pool", .out = "attn_pool.proj",
    .norm = "attn_pool.norm", .inner = "attn_pool.mlp.fc1", .outer = "attn_pool.mlp.fc2", .add = "attn_pool.add",
};

static const char *const prefixes[] = {"visual.trunk.", NULL};

/* ---- which one ---- */

struct timm {
    struct ft_clip_image image;
    bool attends;                    /* pools by attention */
};

/* timm gives these GELU by tanh, all others GELU. */
static bool is_tanh(const char *name)
{
    static const char *const names[] = {
        "vit_base_patch32_siglip_256", "vit_large_patch16_siglip_512", "vit_so400m_patch16_siglip_256", "vit_so400m_patch16_siglip_384",
        "vit_so400m_patch16_siglip_512", "vit_giantopt_patch16_siglip_256", "vit_giantopt_patch16_siglip_384",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* vit_SIZE_patchP[_siglip or _clip or _clip_quickgelu]_S. */
static int read_name(struct timm *t, const char *name, const char *path)
{
    static const struct { const char *begins; size_t heads; } sizes[] = {
        {"vit_tiny_patch", 3}, {"vit_small_patch", 6}, {"vit_base_patch", 12}, {"vit_large_patch", 16}, {"vit_huge_patch", 16}, {"vit_so400m_patch", 16},
        {"vit_giantopt_patch", 16},
    };
    static const struct { const char *form; const struct ft_clip_image_names *names; double epsilon; bool quick; } kinds[] = {
        {"%u_%u%n", &plain_names, 1e-6, false}, {"%u_siglip_%u%n", &siglip_names, 1e-6, false}, {"%u_clip_%u%n", &clip_names, 1e-5, false},
        {"%u_clip_quickgelu_%u%n", &clip_names, 1e-5, true},
    };

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t begins = strlen(sizes[i].begins);

        for (size_t k = 0; strncmp(name, sizes[i].begins, begins) == 0 && k < sizeof kinds / sizeof *kinds; k++) {
            unsigned patch = 0, size = 0;
            int end = 0;

            if (sscanf(name + begins, kinds[k].form, &patch, &size, &end) != 2 || name[begins + (size_t)end] || patch < 1 || patch > size || size > 1 << 14)
                continue;
            *t = (struct timm){.attends = kinds[k].names == &siglip_names,
                               .image = {.names = kinds[k].names, .patch = patch, .size = size, .patch_bias = kinds[k].names != &clip_names,
                                         .encoder = {.names = &kinds[k].names->block, .heads = sizes[i].heads, .epsilon = kinds[k].epsilon, .bias = true,
                                                     .activation = kinds[k].quick ? FT_QUICK_GELU : is_tanh(name) ? FT_GELU_TANH : FT_GELU}}};
            return 0;
        }
    }
    return ft_fail(FT_BAD, "%s: vision_cfg.timm_model_name '%.64s' is not supported, expected a vision transformer as vit_base_patch16_siglip_224, "
                   "vit_base_patch32_clip_224 or vit_base_patch32_224", path, name);
}

/* Width, blocks and what is between a block's two linear maps. */
static int read_tensors(struct ft_builder *b, const char *path, struct ft_prenorm *e)
{
    const struct ft_safetensor *tensor = NULL;
    char name[80];

    if (ft_build_has(b, prefixes, "blocks.0.mlp.fc1.weight"))
        tensor = ft_safetensors_find(b->files, "visual.trunk.blocks.0.mlp.fc1.weight");
    if (!tensor || tensor->rank != 2 || !tensor->shape[1] || tensor->shape[1] > 1 << 16 || !tensor->shape[0] || tensor->shape[0] > 1 << 20)
        return b->failed ? -1 : ft_fail(FT_BAD, "%s: no matrix visual.trunk.blocks.0.mlp.fc1.weight among the tensors", path);
    e->inner = (size_t)tensor->shape[0];
    e->width = (size_t)tensor->shape[1];
    for (e->layers = 1; e->layers < LAYERS; e->layers++) {
        snprintf(name, sizeof name, "blocks.%zu.mlp.fc1.weight", e->layers);
        if (!ft_build_has(b, prefixes, name))
            break;
    }
    return e->width % e->heads ? ft_fail(FT_BAD, "%s: vectors of %zu numbers, no multiple of %zu heads", path, e->width, e->heads) : 0;
}

/* ---- behind the tokens ---- */

static int build_pool(struct ft_builder *b, const struct timm *t, int node)
{
    const struct ft_clip_image *i = &t->image;

    if (t->attends)
        return ft_probe_build(b, &i->encoder, &pool_names, ft_build_norm(b, node, i->encoder.width, i->encoder.epsilon, i->names->last));
    node = ft_build_node(b, FT_OP_POOL, i->encoder.width, node, -1, -1, "pooling");
    ft_build_at(b, node)->pooling = FT_POOL_CLS;
    return ft_build_norm(b, node, i->encoder.width, i->encoder.epsilon, i->names->last);
}

/* timm_proj: linear or mlp behind the trunk; none, and the trunk's own classifier where it is null. */
static int build_projection(struct ft_builder *b, const json_t *part, const char *path, int node, size_t width, size_t dim)
{
    const json_t *said = json_object_get(part, "timm_proj");
    const char *type = said ? json_is_null(said) ? "" : ft_json_text(part, "timm_proj") : "linear";
    bool bias = false;
    double drop = 0;

    if (ft_json_bool(part, path, "timm_proj_bias", &bias) < 0 || ft_json_number(part, path, "timm_drop", 0, .999, &drop) < 0)
        return -1;
    if (type && strcmp(type, "none") == 0)
        return width == dim ? node : ft_fail(FT_BAD, "%s: timm_proj is none, from %zu to %zu dimensions", path, width, dim);
    if (type && !*type)
        return ft_build_linear(b, node, width, dim, true, "head", "head");
    if (type && strcmp(type, "linear") == 0) {
        node = drop > 0 ? ft_build_dropout(b, node, width, drop, "head.drop") : node;
        return ft_build_linear(b, node, width, dim, bias, "head.proj", "head.proj");
    }
    if (!type || strcmp(type, "mlp") != 0)
        return ft_fail(FT_BAD, "%s: vision_cfg.timm_proj '%.64s' is not supported, expected none, linear or mlp", path, type ? type : "");
    node = ft_build_linear(b, node, width, 2 * dim, true, "head.mlp.fc1", "head.mlp.fc1");
    node = ft_build_activation(b, node, 2 * dim, FT_GELU, "head.mlp.act");
    node = drop > 0 ? ft_build_dropout(b, node, 2 * dim, drop, "head.mlp.drop1") : node;
    return ft_build_linear(b, node, 2 * dim, dim, bias, "head.mlp.fc2", "head.mlp.fc2");
}

static int check_pool(const json_t *part, const char *path, bool attends)
{
    const json_t *said = json_object_get(part, "timm_pool");
    const char *pool = json_is_null(said) ? "" : ft_json_text(part, "timm_pool"), *own = attends ? "map" : "token";

    pool = pool ? pool : "avg";
    return !*pool || strcmp(pool, own) == 0 ? 0 : ft_fail(FT_BAD, "%s: vision_cfg.timm_pool '%.64s' is not supported, expected %s", path, pool, own);
}

int ft_open_clip_timm_build(struct ft_builder *b, const json_t *config, const char *path)
{
    static const char *const keys[] = {"timm_model_name", "timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop", "timm_drop_path",
                                       "image_size", "patch_dropout", "layers", "width", "head_width", "mlp_ratio", "patch_size", "output_tokens", NULL};
    const json_t *part = ft_open_clip_part(config, "vision_cfg");
    size_t size = 224, dim;
    struct timm t;
    int node;

    if (ft_open_clip_keys(part, path, "vision_cfg", keys) < 0 || ft_open_clip_dim(config, path, &dim) < 0 || ft_open_clip_size(part, path, &size) < 0 ||
        read_name(&t, ft_json_text(part, "timm_model_name"), path) < 0 || check_pool(part, path, t.attends) < 0 ||
        read_tensors(b, path, &t.image.encoder) < 0 || ft_open_clip_input(b, config, path, size) < 0)
        return -1;
    if ((node = ft_clip_image_tokens(b, &t.image, path)) < 0)
        return -1;
    return build_projection(b, part, path, build_pool(b, &t, node), t.image.encoder.width, dim);
}
