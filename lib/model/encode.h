/* encode.h - what items hold to what a model reads (texts to packed token ids), on the pool. */
#ifndef FT_MODEL_ENCODE_H
#define FT_MODEL_ENCODE_H

#include "model/images.h"

/* `packed` from the arena, items in order, each at most `limit` tokens (0 = the model's). Before each goes the prompt of role[i] (enum ft_role; NULL: no
 * item has a role). FT_BAD when a token has no row in the model's table, or an item is nothing that the model reads. */
int ft_encode_items(struct ft_arena *arena, const struct ft_model *model, const struct ft_prompts *prompts, size_t limit,
                    const struct ft_content *content, const uint8_t *role, size_t count, struct ft_packed *packed);

/* The same of texts as they are. */
int ft_encode_texts(struct ft_arena *arena, const struct ft_model *model, const struct ft_prompts *prompts, size_t limit,
                    const struct ft_string *text, const uint8_t *role, size_t count, struct ft_packed *packed);

/* Roles of a batch's items, NULL where none has one. Those of scored rows are an anchor and a positive each, though the batch does not say so. */
int ft_batch_roles(struct ft_arena *arena, const struct ft_batch *batch, const uint8_t **role);

/* Images, varied or (NULL) as they are. */
int ft_encode_images(struct ft_arena *arena, const struct ft_model *model, const struct ft_content *content, size_t count,
                     const struct ft_variation *varied, struct ft_packed *packed);

/* The items of a batch, with their roles, images as they are. */
int ft_encode_batch(struct ft_arena *arena, const struct ft_model *model, const struct ft_prompts *prompts, size_t limit,
                    const struct ft_batch *batch, struct ft_packed *packed);

/* The same of pairs: text i and other i in one sequence. */
int ft_encode_pairs(struct ft_arena *arena, const struct ft_model *model, size_t limit, const struct ft_string *text,
                    const struct ft_string *other, size_t count, struct ft_packed *packed);

#endif
