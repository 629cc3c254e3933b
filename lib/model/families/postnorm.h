/* postnorm.h - what BERT and its kin share: an encoder of blocks that normalise after each half. */
#ifndef FT_MODEL_FAMILIES_POSTNORM_H
#define FT_MODEL_FAMILIES_POSTNORM_H

#include "model/model-build.h"

/* Names of a block's parts, put after the block's own name and a dot; an attention's node is named like its query without the last word. */
struct ft_postnorm_names {
    const char *layer;                        /* "encoder.layer.": its number follows */
    const char *attention, *query, *key, *value;
    const char *attended, *attended_dropout;  /* the map of what was attended to, the dropout after it (NULL: none) */
    const char *attended_add, *attended_norm;
    const char *inner, *activation, *outer, *outer_dropout, *outer_add, *outer_norm;
};
extern const struct ft_postnorm_names ft_postnorm_bert;   /* as transformers' BertModel names them */

struct ft_postnorm {
    const struct ft_postnorm_names *names;
    size_t width, layers, heads, inner;
    double epsilon, dropout, attention_dropout;
    enum ft_activation activation;
    size_t buckets, distance;    /* of the relative positions by which scores get a bias; 0: none */
    int bias;                    /* its node, which all blocks share */
};

/* A token's vector: word + position (+ type 0, where types > 0), norm, dropout. The first token's position is row `first` of the table. */
struct ft_postnorm_embeddings {
    size_t vocabulary, positions, types, first;
};
int ft_postnorm_embed(struct ft_builder *b, const struct ft_postnorm *encoder, const struct ft_postnorm_embeddings *embeddings);

/* All blocks after node `input`; the last node. */
int ft_postnorm_build(struct ft_builder *b, const struct ft_postnorm *encoder, int input);

/* hidden_size, num_attention_heads, ... of config.json, as BERT and RoBERTa spell them; defaults are transformers'. FT_BAD names what is wrong. */
int ft_postnorm_read(const json_t *json, const char *path, struct ft_postnorm *encoder, struct ft_postnorm_embeddings *embeddings);

#endif
