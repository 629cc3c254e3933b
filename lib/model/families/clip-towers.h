/* clip-towers.h - the two towers of CLIP (Radford et al. 2021) by whosever names: a causal transformer over a text's tokens, whose last one, end of text, is
 * projected; a vision transformer whose class token is. */
#ifndef FT_MODEL_FAMILIES_CLIP_TOWERS_H
#define FT_MODEL_FAMILIES_CLIP_TOWERS_H

#include "model/families/prenorm.h"

/* A parameter's name is PREFIX.SUFFIX, or SUFFIX alone. */
struct ft_clip_name {
    const char *prefix, *suffix;
};

struct ft_clip_text_names {
    const char *tokens, *last;               /* the word table, the last norm */
    struct ft_clip_name place, projection;
    bool transposed;                         /* the projection lies as [width, dim] */
    struct ft_prenorm_names block;
};

struct ft_clip_text {
    const struct ft_clip_text_names *names;
    struct ft_prenorm encoder;
    size_t vocabulary, positions, dim;       /* dim 0: no projection */
    bool projection_bias;
    enum ft_pooling pooling;
};

/* All of the tower; its last node. Sets model->vocabulary and model->max_length. */
int ft_clip_text_build(struct ft_builder *b, const struct ft_clip_text *text);

struct ft_clip_image_names {
    const char *patch, *first, *last;        /* projection of patches, norms before and after the blocks; first: NULL, none */
    struct ft_clip_name class, place, projection;   /* class: suffix NULL, none */
    bool transposed;
    bool batched;                            /* the tables of class and place have a 1 in front of their shape */
    struct ft_prenorm_names block;
};

struct ft_clip_image {
    const struct ft_clip_image_names *names;
    struct ft_prenorm encoder;
    size_t patch, size, dim;                 /* dim 0: no projection */
    bool patch_bias;
};

/* From pixels to the tokens behind the blocks, normalised; model->height and the like are set by then. */
int ft_clip_image_tokens(struct ft_builder *b, const struct ft_clip_image *image, const char *path);
/* All of the tower. */
int ft_clip_image_build(struct ft_builder *b, const struct ft_clip_image *image, const char *path);

/* What makes one vector of tokens in SigLIP (Zhai et al. 2023): a query of the model's own that attends to them, then norm, two linear maps with an
 * activation between, and residual. `joined`: where query, key and value are one in_proj_weight; NULL: query and rest are layers. */
struct ft_probe_names {
    struct ft_clip_name probe;
    const char *query, *rest, *joined, *attention, *out, *norm, *inner, *outer, *add;
};
int ft_probe_build(struct ft_builder *b, const struct ft_prenorm *encoder, const struct ft_probe_names *names, int tokens);

/* transformers' names, and the tower's config read: what it has of its own in a config.json of both ("text_config", "vision_config"), or all of it. */
extern const struct ft_clip_text_names ft_clip_text_transformers;
extern const struct ft_clip_image_names ft_clip_image_transformers;
const json_t *ft_clip_part(const json_t *config, const char *key);
int ft_clip_image_read(const json_t *part, const char *path, struct ft_clip_image *image);

/* Is there a projection, or does the tower end with what is projected in others? Its width: projection_dim of the config of both, or of the tower's own. */
int ft_clip_dim(struct ft_builder *b, const json_t *config, const char *path, const char *const *prefixes, const char *name, size_t *dim);

/* The image tower of a config in transformers' names: read, sized (`whose` ends the line that says so without a preprocessor_config.json), built. */
int ft_clip_image_family(struct ft_builder *b, const json_t *config, const char *path, const char *const *prefixes, const char *whose);

#endif
