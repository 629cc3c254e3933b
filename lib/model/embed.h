/* embed.h - items in, embeddings out, in evaluation mode (no dropout). */
#ifndef FT_MODEL_EMBED_H
#define FT_MODEL_EMBED_H

#include "model/images.h"
#include "tensor/kernels.h"

struct ft_embed_options {
    size_t max_length;         /* tokens; 0 = the model's */
    size_t truncate_dim;       /* keep the first N dimensions; 0 = all */
    bool normalize;            /* unit length whatever the model does */
    size_t chunk;              /* texts through the model at once; 0 = by token count */
    struct ft_prompts prompts; /* put before texts; the model's own are not looked at */
    enum ft_precision precision;
};

/* Dimensions of what ft_embed_texts writes. */
size_t ft_embed_dim(const struct ft_model *model, const struct ft_embed_options *options);

/* The first `dim` numbers of an embedding, and with `unit` (--normalize, or a model whose embeddings have unit length) scaled to unit length
 * again. `out` may be `in`. */
void ft_embedding_shorten(float *out, const float *in, size_t dim, bool unit);

/* An embedder keeps its buffers from call to call; the model must outlive it, and its parameters stay as they are. FT_USAGE for options the model cannot meet. */
struct ft_embedder;
struct ft_embedder *ft_embedder_open(const struct ft_model *model, const struct ft_embed_options *options);
void ft_embedder_close(struct ft_embedder *embedder);
const struct ft_model *ft_embedder_model(const struct ft_embedder *embedder);

/* out[count, ft_embed_dim] in the order of the items, which of a model of two towers may be texts and images in any order. role[count], enum ft_role, says whose prompt goes before a text; NULL: no item has a role. Work
 * runs on the pool, texts sorted by length inside, and images are decoded while those before are embedded; the result does not depend on the number of
 * threads. Memory beyond `out` is bounded. */
int ft_embedder_run(struct ft_embedder *embedder, const struct ft_content *content, const uint8_t *role, size_t count, float *out);

/* The same, where an image that cannot be had need not be the end: `bad` decides, and where it gives 0 the item's embedding is of no image. */
int ft_embedder_try(struct ft_embedder *embedder, const struct ft_content *content, const uint8_t *role, size_t count, ft_images_bad *bad,
                    void *argument, float *out);

/* The same of a cross-encoder (ft_model_open_scorer): one number a pair. */
int ft_embedder_score(struct ft_embedder *embedder, const struct ft_string *text, const struct ft_string *other, size_t count, float *score);

/* Open, run over texts without roles, close. */
int ft_embed_texts(const struct ft_model *model, const struct ft_embed_options *options,
                   const struct ft_string *text, size_t count, float *out);

#endif
