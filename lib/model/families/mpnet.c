/* mpnet.c - MPNet (Song et al. 2020): BERT's encoder without token types, positions counted as RoBERTa counts them, and in all blocks one bias on the scores
 * by relative position, whose buckets are T5's. */
#include "model/families/postnorm.h"
#include "base/error.h"

static const struct ft_postnorm_names names = {
    .layer = "encoder.layer.",
    .attention = "attention.attn", .query = "attention.attn.q", .key = "attention.attn.k", .value = "attention.attn.v",
    .attended = "attention.attn.o", .attended_dropout = "attention.dropout",
    .attended_add = "attention.add", .attended_norm = "attention.LayerNorm",
    .inner = "intermediate.dense", .activation = "intermediate.act",
    .outer = "output.dense", .outer_dropout = "output.dropout", .outer_add = "output.add", .outer_norm = "output.LayerNorm",
};

static int build(struct ft_builder *b, const json_t *json, const char *path)
{
    struct ft_postnorm_embeddings table;
    struct ft_postnorm encoder;
    size_t buckets = 32;
    int node;

    if (ft_postnorm_read(json, path, &encoder, &table) < 0)
        return -1;
    encoder.names = &names;
    if (ft_json_size(json, path, "relative_attention_num_buckets", 1, 1 << 16, true, &buckets) < 0)
        return -1;
    if (buckets != 32)
        return ft_fail(FT_BAD, "%s: relative_attention_num_buckets is %zu, expected 32: MPNet uses no others", path, buckets);
    encoder.buckets = buckets;
    encoder.distance = 128;
    table.types = 0;
    table.first = 2;   /* after the padding token, which is always 1 there */
    if (table.positions <= table.first)
        return ft_fail(FT_BAD, "%s: max_position_embeddings is %zu, expected 3 or more", path, table.positions);
    b->model->vocabulary = table.vocabulary;
    b->model->max_length = table.positions - table.first;
    node = ft_postnorm_embed(b, &encoder, &table);
    encoder.bias = ft_build_relative_bias(b, encoder.buckets, encoder.heads, "encoder.relative_attention_bias");
    return ft_postnorm_build(b, &encoder, node);
}

static const char *const prefixes[] = {"", "mpnet.", NULL};

const struct ft_family ft_family_mpnet = {"mpnet", build, NULL, prefixes};
