/* encode.h - texts to packed token ids, on the pool. */
#ifndef FT_MODEL_ENCODE_H
#define FT_MODEL_ENCODE_H

#include "model/cut.h"
#include "model/model.h"

/* `packed` from the arena, texts in order, each at most `limit` tokens (0 = the model's). `prompt` is put before each text (NULL = none).
 * FT_BAD when a token has no row in the model's table. */
int ft_encode_texts(struct ft_arena *arena, const struct ft_model *model, const char *prompt, size_t limit,
                    const struct ft_string *text, size_t count, struct ft_packed *packed);

#endif
