/* open-clip-hf.c - texts by an encoder of transformers (open_clip/hf_model.py): text_cfg.hf_model_name says whose, a pooled vector, a projection of one or two
 * layers. The encoder's config is not in a checkpoint, open_clip fetches it by that name. What is not among the tensors' shapes is told here of the names
 * that published checkpoints have; of any other its config.json is to lie beside open_clip_config.json. */
#include "base/error.h"
#include "base/file.h"
#include "model/families/open-clip.h"
#include "model/families/vision.h"
#include "model/weights/safetensors.h"

#include <stdio.h>
#include <string.h>

enum { HEAD = 64, LAYERS = 1024, CONTEXT = 77 };

static const char *const prefixes[] = {"text.transformer.", NULL};

/* Encoders that open_clip knows how to pool (hf_configs.py) and we how to run. Of each the names, behind an owner's, whose config follows: heads of 64. */
static const struct encoder {
    const char *type;
    const struct ft_family *family;
    const char *pooler;
    const char *names[4];
    double epsilon;
    int padding;
} encoders[] = {
    {"xlm-roberta", &ft_family_xlm_roberta, "mean_pooler", {"xlm-roberta-base", "xlm-roberta-large"}, 1e-5, 1},
    {"roberta", &ft_family_roberta, "mean_pooler", {"roberta-base", "roberta-large"}, 1e-5, 1},
    {"bert", &ft_family_bert, "cls_last_hidden_state_pooler",
     {"bert-base-uncased", "bert-base-cased", "bert-large-uncased", "bert-base-multilingual-cased"}, 1e-12, 0},
};
enum { ENCODERS = sizeof encoders / sizeof *encoders };

static const struct encoder *find_type(const char *type)
{
    for (int i = 0; type && i < ENCODERS; i++)
        if (strcmp(encoders[i].type, type) == 0)
            return &encoders[i];
    return NULL;
}

static const struct encoder *find_name(const char *name)
{
    const char *slash = strrchr(name, '/');

    for (int i = 0; i < ENCODERS; i++)
        for (int k = 0; k < 4 && encoders[i].names[k]; k++)
            if (strcmp(encoders[i].names[k], slash ? slash + 1 : name) == 0)
                return &encoders[i];
    return NULL;
}

/* ---- its config ---- */

static int find_shape(struct ft_builder *b, const char *path, const char *name, size_t *rows, size_t *columns)
{
    const struct ft_safetensor *tensor;
    char full[160];

    snprintf(full, sizeof full, "%s%s", *prefixes, name);
    if (!ft_build_has(b, prefixes, name) || !(tensor = ft_safetensors_find(b->files, full)) || tensor->rank != 2)
        return b->failed ? -1 : ft_fail(FT_BAD, "%s: no matrix %s among the tensors", path, full);
    *rows = (size_t)tensor->shape[0];
    *columns = (size_t)tensor->shape[1];
    return 0;
}

/* As its config.json would say it, by the tensors. */
static json_t *make_config(struct ft_builder *b, const char *path, const struct encoder *e)
{
    size_t vocabulary, width, positions, types, inner, layers = 1;
    char name[80];

    if (find_shape(b, path, "embeddings.word_embeddings.weight", &vocabulary, &width) < 0 ||
        find_shape(b, path, "embeddings.position_embeddings.weight", &positions, &width) < 0 ||
        find_shape(b, path, "embeddings.token_type_embeddings.weight", &types, &width) < 0 ||
        find_shape(b, path, "encoder.layer.0.intermediate.dense.weight", &inner, &width) < 0)
        return NULL;
    for (; layers < LAYERS; layers++) {
        snprintf(name, sizeof name, "encoder.layer.%zu.intermediate.dense.weight", layers);
        if (!ft_build_has(b, prefixes, name))
            break;
    }
    return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:i}", "model_type", e->type, "vocab_size", (json_int_t)vocabulary, "hidden_size", (json_int_t)width,
                     "max_position_embeddings", (json_int_t)positions, "type_vocab_size", (json_int_t)types, "intermediate_size", (json_int_t)inner,
                     "num_hidden_layers", (json_int_t)layers, "num_attention_heads", (json_int_t)(width / HEAD), "layer_norm_eps", e->epsilon,
                     "pad_token_id", e->padding);
}

/* The encoder's own config.json where one lies there, or what follows from the name. */
static json_t *find_config(struct ft_builder *b, const char *path, const char *name)
{
    const char *own = ft_arena_print(&b->model->arena, "%s/config.json", b->model->weights);
    json_t *json = own && ft_file_exists(own) ? ft_json_read(own) : NULL;
    const struct encoder *e = find_name(name);

    if (!own || (!json && ft_file_exists(own)) || find_type(ft_json_text(json, "model_type")))
        return json;
    json_decref(json);
    if (e)
        return make_config(b, path, e);
    ft_fail(FT_BAD, "%s: text_cfg.hf_model_name is '%.128s', whose sizes a checkpoint does not say: expected xlm-roberta-base or -large, roberta-base or "
            "-large, bert-base-uncased and its like, or its config.json, of a bert, roberta or xlm-roberta, beside this file", path, name);
    return NULL;
}

/* ---- behind it ---- */

static int build_pool(struct ft_builder *b, const char *path, const char *pooler, int node, size_t width)
{
    bool first = strcmp(pooler, "cls_pooler") == 0;

    if (!first && strcmp(pooler, "mean_pooler") != 0 && strcmp(pooler, "cls_last_hidden_state_pooler") != 0)
        return ft_fail(FT_BAD, "%s: text_cfg.hf_pooler_type '%.64s' is not supported, expected mean_pooler, cls_pooler or cls_last_hidden_state_pooler", path,
                       pooler);
    node = ft_build_node(b, FT_OP_POOL, width, node, -1, -1, "pooling");
    ft_build_at(b, node)->pooling = strcmp(pooler, "mean_pooler") == 0 ? FT_POOL_MEAN : FT_POOL_CLS;
    if (!first)
        return node;
    node = ft_build_linear(b, node, width, width, true, "pooler.dense", "pooler.dense");
    return ft_build_activation(b, node, width, FT_TANH, "pooler.activation");
}

static int build_projection(struct ft_builder *b, const json_t *part, const char *path, int node, size_t width, size_t dim)
{
    const json_t *said = json_object_get(part, "hf_proj_type");
    const char *type = said ? ft_json_text(part, "hf_proj_type") : "mlp";
    size_t between = (width + dim) / 2;

    if (!type && json_is_null(said) && width == dim)
        return node;
    if (type && strcmp(type, "linear") == 0)
        return ft_build_linear(b, node, width, dim, false, "proj", "proj");
    if (!type || strcmp(type, "mlp") != 0)
        return ft_fail(FT_BAD, "%s: text_cfg.hf_proj_type is '%.64s' from %zu to %zu dimensions, expected linear or mlp", path, type ? type : "null", width,
                       dim);
    node = ft_build_linear(b, node, width, between, false, "proj.0", "proj.0");
    node = ft_build_activation(b, node, between, FT_GELU, "proj.1");
    return ft_build_linear(b, node, between, dim, false, "proj.2", "proj.2");
}

/* Where the key is null open_clip takes the pooler of the encoder's kind, but leaves out transformers' layer. */
static const char *find_pooler(const json_t *part, const struct encoder *e)
{
    const json_t *said = json_object_get(part, "hf_pooler_type");

    return !said ? "mean_pooler" : json_is_null(said) ? e->pooler : json_is_string(said) ? json_string_value(said) : "";
}

static int build(struct ft_builder *b, const json_t *part, const json_t *own, const char *path, size_t dim)
{
    const struct encoder *e = find_type(ft_json_text(own, "model_type"));
    size_t context = CONTEXT, width;
    int node;

    if (ft_json_size(part, path, "context_length", 1, 1 << 20, true, &context) < 0 || (node = e->family->build(b, own, path)) < 0)
        return -1;
    width = ft_build_at(b, node)->width;
    if (context < b->model->max_length)
        b->model->max_length = context;
    node = build_pool(b, path, find_pooler(part, e), node, width);
    return node < 0 ? -1 : build_projection(b, part, path, node, width, dim);
}

int ft_open_clip_hf_build(struct ft_builder *b, const json_t *config, const char *path)
{
    static const char *const keys[] = {"hf_model_name", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "context_length", "output_tokens",
                                       "vocab_size", "width", "heads", "layers", "mlp_ratio", "pad_id", "eos_id", FT_OPEN_CLIP_WORDS, NULL};
    const json_t *part = ft_open_clip_part(config, "text_cfg");
    json_t *own;
    size_t dim;
    int node;

    if (ft_open_clip_keys(part, path, "text_cfg", keys) < 0 || ft_open_clip_dim(config, path, &dim) < 0 || ft_open_clip_words(b, part, path) < 0 ||
        !(own = find_config(b, path, ft_json_text(part, "hf_model_name"))))
        return -1;
    node = build(b, part, own, path, dim);
    json_decref(own);
    return node;
}
