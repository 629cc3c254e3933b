/* distilbert.c - DistilBERT (Sanh et al. 2019): BERT's encoder with half the blocks, no token types, no dropout after attention, and names of its own. */
#include "model/families/postnorm.h"
#include "base/error.h"

static const struct ft_postnorm_names names = {
    .layer = "transformer.layer.",
    .attention = "attention", .query = "attention.q_lin", .key = "attention.k_lin", .value = "attention.v_lin",
    .attended = "attention.out_lin", .attended_add = "attention.add", .attended_norm = "sa_layer_norm",
    .inner = "ffn.lin1", .activation = "ffn.activation",
    .outer = "ffn.lin2", .outer_dropout = "ffn.dropout", .outer_add = "ffn.add", .outer_norm = "output_layer_norm",
};

static int read_config(const json_t *json, const char *path, struct ft_postnorm *e, struct ft_postnorm_embeddings *t)
{
    const char *activation = ft_json_text(json, "activation");

    *t = (struct ft_postnorm_embeddings){0};
    *e = (struct ft_postnorm){.names = &names, .epsilon = 1e-12, .dropout = 0.1, .attention_dropout = 0.1};
    if (ft_json_size(json, path, "vocab_size", 1, 1 << 26, false, &t->vocabulary) < 0 ||
        ft_json_size(json, path, "dim", 1, 1 << 16, false, &e->width) < 0 ||
        ft_json_size(json, path, "n_layers", 1, 1024, false, &e->layers) < 0 ||
        ft_json_size(json, path, "n_heads", 1, 1 << 10, false, &e->heads) < 0 ||
        ft_json_size(json, path, "hidden_dim", 1, 1 << 20, false, &e->inner) < 0 ||
        ft_json_size(json, path, "max_position_embeddings", 1, 1 << 20, false, &t->positions) < 0 ||
        ft_json_number(json, path, "dropout", 0, .999, &e->dropout) < 0 ||
        ft_json_number(json, path, "attention_dropout", 0, .999, &e->attention_dropout) < 0)
        return -1;
    if (e->width % e->heads)
        return ft_fail(FT_BAD, "%s: dim %zu is no multiple of n_heads %zu", path, e->width, e->heads);
    if (ft_activation_parse(activation ? activation : "gelu", &e->activation) < 0)
        return ft_error_prefix("%s: activation: ", path);
    return 0;
}

static int build(struct ft_builder *b, const json_t *json, const char *path)
{
    struct ft_postnorm_embeddings table;
    struct ft_postnorm encoder;

    if (read_config(json, path, &encoder, &table) < 0)
        return -1;
    b->model->vocabulary = table.vocabulary;
    b->model->max_length = table.positions;
    return ft_postnorm_build(b, &encoder, ft_postnorm_embed(b, &encoder, &table));
}

static const char *const prefixes[] = {"", "distilbert.", NULL};

const struct ft_family ft_family_distilbert = {"distilbert", build, NULL, prefixes};
