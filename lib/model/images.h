/* images.h - images of items, read, decoded and made as large as a model wants them, by threads that run beside it.
 *
 *     images = ft_images_begin(model, content, count, varied, pixel)  threads begin to fill pixel [count, height, across, 3]
 *     ...                                                             the model works on what was read before
 *     ft_images_end(images, bad, argument)                            all of them; the pool helps with what is left
 *
 * The threads are as many as the pool's and take only what is idle; where nothing is, the pool decodes, and reading ahead costs nothing.
 * A pixel is a function of the item (and, varied, of its place) alone, whoever reads it. */
#ifndef FT_MODEL_IMAGES_H
#define FT_MODEL_IMAGES_H

#include "data/augment.h"
#include "model/items.h"

struct ft_images;

/* Images of a training batch are varied: item i by (seed, batch, first + i). */
struct ft_variation {
    const struct ft_augment *augment;
    uint64_t seed, batch;
    size_t first;              /* the number in the batch of the first that is given */
};

/* `varied` NULL: as they are. Content, pixel, model and the augmentation must stay until the end. NULL: memory. */
struct ft_images *ft_images_begin(const struct ft_model *model, const struct ft_content *content, size_t count, const struct ft_variation *varied,
                                  uint8_t *pixel);

/* An item whose image cannot be had; ft_error says why, "icons/a.png: ...". 0: go on, its pixels are zeros; -1: the end, with the error that stands. */
typedef int ft_images_bad(void *argument, size_t item);

/* Wait for all, and free. `bad` is called in the order of the items, after all are read; NULL: the first of them is the error. */
int ft_images_end(struct ft_images *images, ft_images_bad *bad, void *argument);

/* Free without waiting for more than what is being decoded just now. NULL is fine. */
void ft_images_drop(struct ft_images *images);

/* The bytes of an item's image: its blob, else what its uri means, from the arena. FT_BAD: a file that cannot be read, an address of the web. */
int ft_image_bytes(struct ft_arena *arena, const struct ft_content *content, struct ft_string *bytes);

/* How many images an embedder takes at once: some 24 MiB of pixels, 16 to 256. */
size_t ft_images_window(const struct ft_model *model);

#endif
