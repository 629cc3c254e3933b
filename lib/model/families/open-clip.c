/* open-clip.c - checkpoints of open_clip (github.com/mlfoundations/open_clip): open_clip_config.json, and tensors by the names of OpenAI's own code, where
 * query, key and value are one matrix and projections lie as [width, dim]. Here are the towers of its own making; open-clip-*.c have the others. */
#include "model/families/open-clip.h"
#include "base/error.h"
#include "base/file.h"
#include "data/preprocess.h"
#include "model/families/clip-towers.h"
#include "model/families/vision.h"
#include "model/weights/tensors.h"

#include <string.h>

#define BLOCK {"transformer.resblocks.", "ln_1", "attn", NULL, NULL, "attn.heads", "attn.out_proj", "ln_2", "mlp.c_fc", "mlp.c_proj", "in_proj_weight", \
               "in_proj_bias"}

static const struct ft_clip_text_names text_names = {
    .tokens = "token_embedding", .place = {"", "positional_embedding"}, .last = "ln_final", .projection = {"", "text_projection"}, .transposed = true,
    .block = BLOCK,
};
static const struct ft_clip_text_names text_names_biased = {
    .tokens = "token_embedding", .place = {"", "positional_embedding"}, .last = "ln_final", .projection = {"text_projection", "weight"}, .block = BLOCK,
};
static const struct ft_clip_image_names image_names = {
    .patch = "conv1", .class = {"", "class_embedding"}, .place = {"", "positional_embedding"}, .first = "ln_pre", .last = "ln_post",
    .projection = {"", "proj"}, .transposed = true, .block = BLOCK,
};
static const struct ft_clip_image_names image_names_bare = {   /* no_ln_pre */
    .patch = "conv1", .class = {"", "class_embedding"}, .place = {"", "positional_embedding"}, .last = "ln_post",
    .projection = {"", "proj"}, .transposed = true, .block = BLOCK,
};

/* ---- which files ---- */

static bool has(struct ft_arena *arena, const char *directory, const char *name)
{
    const char *path = ft_arena_print(arena, "%s/%s", directory, name);

    return path && ft_file_exists(path);
}

const char *ft_open_clip_weights(struct ft_arena *arena, const char *directory)
{
    static const char *const names[] = {"open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (has(arena, directory, names[i]))
            return ft_arena_print(arena, "%s/%s", directory, names[i]);
    return NULL;
}

bool ft_open_clip_is(const char *directory)
{
    struct ft_arena arena = {0};
    bool is = has(&arena, directory, "open_clip_config.json") && (!has(&arena, directory, "config.json") || !ft_tensors_name(directory));

    ft_arena_free(&arena);
    return is;
}

const char *ft_config_name(const char *directory)
{
    return ft_open_clip_is(directory) ? "open_clip_config.json" : "config.json";
}

/* ---- the config ---- */

int ft_open_clip_keys(const json_t *part, const char *path, const char *what, const char *const *known)
{
    const char *key;
    json_t *value;

    if (!json_is_object(part))
        return ft_fail(FT_BAD, "%s: no %s", path, what);
    json_object_foreach((json_t *)part, key, value) {
        const char *const *k = known;

        while (*k && strcmp(*k, key) != 0)
            k++;
        if (!*k && !json_is_null(value) && !json_is_false(value))
            return ft_fail(FT_BAD, "%s: %s.%.64s is not supported", path, what, key);
    }
    return 0;
}

/* Width, layers and the like of one tower; heads are the caller's. */
static int read_encoder(const json_t *whole, const json_t *part, const char *path, struct ft_prenorm *e)
{
    const json_t *norm = json_object_get(part, "norm_kwargs"), *act = json_object_get(part, "act_kwargs");
    const char *approximate = ft_json_text(act, "approximate");
    bool quick = false;
    double ratio = 4;

    e->epsilon = 1e-5;
    e->bias = true;
    if (ft_json_size(part, path, "width", 1, 1 << 16, true, &e->width) < 0 || ft_json_size(part, path, "layers", 1, 1024, true, &e->layers) < 0 ||
        ft_json_number(part, path, "mlp_ratio", .01, 100, &ratio) < 0 || ft_json_number(norm, path, "eps", 0, 1, &e->epsilon) < 0 ||
        ft_json_bool(whole, path, "quick_gelu", &quick) < 0)
        return -1;
    if (approximate && strcmp(approximate, "tanh") != 0 && strcmp(approximate, "none") != 0)
        return ft_fail(FT_BAD, "%s: act_kwargs.approximate is '%.64s', expected tanh or none", path, approximate);
    e->inner = (size_t)((double)e->width * ratio);
    e->activation = quick ? FT_QUICK_GELU : approximate && strcmp(approximate, "tanh") == 0 ? FT_GELU_TANH : FT_GELU;
    return 0;
}

static int check_heads(const char *path, const char *what, const struct ft_prenorm *e)
{
    return e->heads && e->width % e->heads == 0 ? 0 : ft_fail(FT_BAD, "%s: %s: width %zu is no multiple of %zu heads", path, what, e->width, e->heads);
}

static const json_t *model_of(const json_t *config)
{
    return json_object_get(config, "model_cfg");
}

const json_t *ft_open_clip_part(const json_t *config, const char *key)
{
    return json_object_get(model_of(config), key);
}

int ft_open_clip_dim(const json_t *config, const char *path, size_t *dim)
{
    return ft_json_size(model_of(config), path, "embed_dim", 1, 1 << 16, false, dim);
}

/* ---- texts ---- */

/* Which token is embedded, and whether others see what is behind it: of a causal tower nothing does, so that ids end there, with argmax at the largest. */
static int read_way(const json_t *part, const char *path, struct ft_clip_text *t, struct ft_tokenizer_way *way)
{
    const char *pool = ft_json_text(part, "pool_type");
    bool open = false, last = pool && strcmp(pool, "last") == 0, named = pool && strcmp(pool, "eos") == 0;
    size_t end = 2;

    if (pool && !last && !named && strcmp(pool, "argmax") != 0)
        return ft_fail(FT_BAD, "%s: text_cfg.pool_type '%.64s' is not supported, expected argmax, eos or last", path, pool);
    if (ft_json_size(part, path, "eos_id", 0, (1 << 26) - 1, true, &end) < 0 || ft_json_bool(part, path, "no_causal_mask", &open) < 0)
        return -1;
    if (open && !last)
        return ft_fail(FT_BAD, "%s: text_cfg.no_causal_mask with pool_type '%.64s' is not supported, expected last", path, pool ? pool : "argmax");
    t->encoder.causal = !open;
    way->fills = last;
    way->ends = !last;
    way->end = named ? (int32_t)end : -1;
    return 0;
}

static int build_own_text(struct ft_builder *b, const json_t *config, const char *path)
{
    static const char *const keys[] = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "pad_id", "eos_id", "pool_type", "proj_bias",
                                       "proj_type", "norm_kwargs", "act_kwargs", "no_causal_mask", "output_tokens", "hf_model_pretrained", "hf_proj_type",
                                       "hf_pooler_type", FT_OPEN_CLIP_WORDS, NULL};
    const json_t *part = ft_open_clip_part(config, "text_cfg");
    struct ft_clip_text t = {.vocabulary = 49408, .positions = 77, .pooling = FT_POOL_LAST};
    const char *projection = ft_json_text(part, "proj_type");

    t.encoder = (struct ft_prenorm){.width = 512, .layers = 12, .heads = 8};
    if (ft_open_clip_keys(part, path, "text_cfg", keys) < 0 || read_encoder(model_of(config), part, path, &t.encoder) < 0 ||
        ft_open_clip_dim(config, path, &t.dim) < 0 ||
        ft_json_size(part, path, "heads", 1, 1 << 10, true, &t.encoder.heads) < 0 || check_heads(path, "text_cfg", &t.encoder) < 0 ||
        ft_json_size(part, path, "vocab_size", 1, 1 << 26, true, &t.vocabulary) < 0 ||
        ft_json_size(part, path, "context_length", 1, 1 << 20, true, &t.positions) < 0 || ft_json_bool(part, path, "proj_bias", &t.projection_bias) < 0 ||
        read_way(part, path, &t, &b->model->tokenizer_way) < 0 || ft_open_clip_words(b, part, path) < 0)
        return -1;
    if (projection && strcmp(projection, "linear") != 0)
        return ft_fail(FT_BAD, "%s: text_cfg.proj_type '%.64s' is not supported, expected linear", path, projection);
    b->model->tokenizer_way.rows = t.vocabulary;
    t.names = t.projection_bias ? &text_names_biased : &text_names;
    t.encoder.names = &t.names->block;
    return ft_clip_text_build(b, &t);
}

/* ---- images ---- */

int ft_open_clip_size(const json_t *part, const char *path, size_t *size)
{
    const json_t *value = json_object_get(part, "image_size");
    size_t two[2];

    if (!json_is_array(value))
        return ft_json_size(part, path, "image_size", 1, 1 << 14, true, size);
    if (ft_vision_list(part, path, "image_size", 2, false, two) < 0)
        return -1;
    *size = two[0];
    return two[0] == two[1] ? 0 : ft_fail(FT_BAD, "%s: image_size %zu by %zu is not supported: expected a square", path, two[0], two[1]);
}

static int read_image(const json_t *config, const char *path, struct ft_clip_image *i)
{
    static const char *const keys[] = {"layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "patch_dropout", "no_ln_pre", "pos_embed_type",
                                       "final_ln_after_pool", "pool_type", "output_tokens", "act_kwargs", "norm_kwargs", "attn_pooler_queries",
                                       "attn_pooler_heads", "timm_pool", "timm_proj", "timm_drop", NULL};
    const json_t *part = ft_open_clip_part(config, "vision_cfg");
    const char *pool = ft_json_text(part, "pool_type");
    bool bare = false;
    size_t head = 64;

    *i = (struct ft_clip_image){.patch = 16, .size = 224, .encoder = {.width = 768, .layers = 12}};
    if (ft_open_clip_keys(part, path, "vision_cfg", keys) < 0 || read_encoder(model_of(config), part, path, &i->encoder) < 0 ||
        ft_open_clip_dim(config, path, &i->dim) < 0 ||
        ft_json_size(part, path, "head_width", 1, 1 << 16, true, &head) < 0 || ft_json_size(part, path, "patch_size", 1, 1 << 10, true, &i->patch) < 0 ||
        ft_open_clip_size(part, path, &i->size) < 0 || ft_json_bool(part, path, "no_ln_pre", &bare) < 0)
        return -1;
    if (pool && strcmp(pool, "tok") != 0)
        return ft_fail(FT_BAD, "%s: vision_cfg.pool_type '%.64s' is not supported, expected tok", path, pool);
    i->encoder.heads = i->encoder.width / head;
    i->names = bare ? &image_names_bare : &image_names;
    i->encoder.names = &i->names->block;
    if (check_heads(path, "vision_cfg", &i->encoder) < 0)
        return -1;
    return i->patch <= i->size ? 0 : ft_fail(FT_BAD, "%s: patch_size %zu is larger than image_size %zu", path, i->patch, i->size);
}

int ft_open_clip_input(struct ft_builder *b, const json_t *config, const char *path, size_t size)
{
    struct ft_preprocess *p = ft_arena_take(&b->model->arena, sizeof *p);

    if (!p || ft_preprocess_read_open_clip(p, json_object_get(config, "preprocess_cfg"), path, size) < 0)
        return -1;
    ft_vision_input_given(b, p);
    return 0;
}

static int build_own_image(struct ft_builder *b, const json_t *config, const char *path)
{
    struct ft_clip_image i;

    return read_image(config, path, &i) < 0 || ft_open_clip_input(b, config, path, i.size) < 0 ? -1 : ft_clip_image_build(b, &i, path);
}

/* ---- whose tower ---- */

/* CoCa's towers are CLIP's but for what they hand to its decoder, and that would go without training. */
static int check_model(const json_t *config, const char *path)
{
    return json_is_object(ft_open_clip_part(config, "multimodal_cfg"))
               ? ft_fail(FT_BAD, "%s: a CoCa, whose decoder (multimodal_cfg) is not supported: expected a model of two towers", path) : 0;
}

static int build_text(struct ft_builder *b, const json_t *config, const char *path)
{
    if (check_model(config, path) < 0)
        return -1;
    return (ft_json_text(ft_open_clip_part(config, "text_cfg"), "hf_model_name") ? ft_open_clip_hf_build : build_own_text)(b, config, path);
}

static int build_image(struct ft_builder *b, const json_t *config, const char *path)
{
    const json_t *part = ft_open_clip_part(config, "vision_cfg");

    if (check_model(config, path) < 0)
        return -1;
    if (ft_json_text(part, "timm_model_name"))
        return ft_open_clip_timm_build(b, config, path);
    return (json_is_array(json_object_get(part, "layers")) ? ft_open_clip_resnet_build : build_own_image)(b, config, path);
}

/* A tower of transformers or timm lies one deeper than what stands behind it. */
static const char *const text_prefixes[] = {"text.transformer.", "text.", "", NULL};
static const char *const image_prefixes[] = {"visual.trunk.", "visual.", NULL};

static const struct ft_family text = {"open_clip_text", build_text, NULL, text_prefixes};
static const struct ft_family image = {"open_clip_image", build_image, NULL, image_prefixes};
const struct ft_family_pair ft_pair_open_clip = {FT_OPEN_CLIP, {&text, &image}};
