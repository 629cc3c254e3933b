/* items.h - what a model reads of an item, and items that are no texts packed for it. */
#ifndef FT_MODEL_ITEMS_H
#define FT_MODEL_ITEMS_H

#include "model/model.h"
#include "model/run/cut.h"
#include "stream/document.h"

/* "text", "images", "vectors", "texts and images": what a model reads. */
const char *ft_input_name(enum ft_input input);

/* Has the content what the model reads? A text may be empty, a vector has as many numbers as the model takes. ft_item_check: FT_BAD says what there is
 * instead, "a text, and the model reads images". */
bool ft_item_fits(const struct ft_model *model, const struct ft_content *content);
int ft_item_check(const struct ft_model *model, const struct ft_content *content);

/* Put which item it is before the message that stands: its uri, else its number from 1 (0: nothing). Always -1. */
int ft_item_prefix(const struct ft_content *content, size_t number);

/* Bytes of an item as the model reads it: 8-bit pixels, or floats; of texts 0. */
size_t ft_item_bytes(const struct ft_model *model);

/* `count` items, none of them texts, as they lie: of images at `pixel`, of vectors at `vector`. Offsets from the arena. */
int ft_items_pack(struct ft_arena *arena, const struct ft_model *model, size_t count, const uint8_t *pixel, const float *vector,
                  struct ft_packed *packed);

/* The numbers of one, out[model->input_width], rounded to floats. FT_BAD: its tensor has not so many finite numbers. And of several, out[count, width]:
 * the message names the item. */
int ft_item_vector(const struct ft_model *model, const struct ft_content *content, float *out);
int ft_items_vectors(const struct ft_model *model, const struct ft_content *content, size_t count, float *out);

#endif
