/* encoder.h - a model as -m names it, opened for embedding on the way through.
 *
 * Texts of queries and of the index may have prompts of their own: then there are two embedders over one
 * model. */
#ifndef FT_EVAL_ENCODER_H
#define FT_EVAL_ENCODER_H

#include "base/tool.h"
#include "model/embed.h"

enum ft_side { FT_QUERIES, FT_INDEX };

struct ft_encoder_options {
    const char *model;             /* as given to -m */
    struct ft_embed_options embed; /* its prompts are not looked at */
    const struct ft_list *prompts; /* as ft_prompts_parse takes them: the anchor's is for queries, the positive's for the index; NULL: none */
};

struct ft_encoder {
    struct ft_arena arena;
    struct ft_model *model;
    struct ft_embedder *embedder[2];   /* by enum ft_side; the same one twice when prompts do not differ */
    size_t dim;
    char checksum[9];
    const char *prompt[2];             /* by enum ft_side: the option's, else the model's; NULL: none */
    bool borrowed;                     /* the model is the caller's */
    bool plain;                        /* no other option that changes embeddings: those of a stream by this model and prompt are as good */
};

int ft_encoder_open(struct ft_encoder *encoder, const struct ft_encoder_options *options);
/* The same over a model that the caller has open, and keeps; options->model is not looked at. */
int ft_encoder_over(struct ft_encoder *encoder, struct ft_model *model, const struct ft_encoder_options *options);
void ft_encoder_close(struct ft_encoder *encoder);     /* zero-initialised is fine */

#endif
