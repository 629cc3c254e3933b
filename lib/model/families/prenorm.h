/* prenorm.h - what vision transformers and the towers of CLIP share: blocks that normalise before each half. */
#ifndef FT_MODEL_FAMILIES_PRENORM_H
#define FT_MODEL_FAMILIES_PRENORM_H

#include "model/model-build.h"

/* Names of a block's parts, put after the block's own name and a dot. Query, key and value are three linear maps, or one: then `query` is where the
 * parameters joined_weight and joined_bias lie, whose rows are the three's one after another. */
struct ft_prenorm_names {
    const char *layer;                        /* "encoder.layer.": its number follows */
    const char *before, *query, *key, *value, *attention, *out, *after, *inner, *outer;
    const char *joined_weight, *joined_bias;  /* NULL: the three are apart */
};

struct ft_prenorm {
    const struct ft_prenorm_names *names;
    size_t width, layers, heads, inner;
    double epsilon, dropout, attention_dropout;
    bool bias;                                /* of query, key and value */
    bool causal;
    enum ft_activation activation;
};

/* All blocks after node `input`; the last node. A last norm is the family's. */
int ft_prenorm_build(struct ft_builder *b, const struct ft_prenorm *encoder, int input);

/* hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, hidden_act, layer_norm_eps of config.json, where they are there; `path` is for
 * messages. FT_BAD names what is wrong. */
int ft_prenorm_read(const json_t *config, const char *path, struct ft_prenorm *encoder);

#endif
