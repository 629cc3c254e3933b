/* room.h - how large a batch fits: --batch auto.
 *
 * Batches of any size fit any memory, since what is not kept is computed again; that costs an extra forward. So a batch fits when nothing need be
 * computed twice: for its n items
 *
 *     kept activations, of as many tokens as the longest documents have   (plan.h: kept_width a token, kept_item_width a text)
 *     embeddings, their gradients, and unit vectors of the loss           16 bytes x dimensions an item
 *     two matrices of all with all in the loss                            8 bytes x n x n
 *     pixels or numbers, of the next batch too                            2 x those of an image or a vector
 *
 * lie, beside the parameters, their gradient, the optimizer's blocks, and the gradients of one backward, within --memory. And it leaves eight batches an
 * epoch at least: fewer steps are worth less than larger batches. The largest such number that is a multiple of 8, or of --per-class or --views; where even 8
 * rows do not fit, 8. It follows from the data, the model and --memory alone. */
#ifndef FT_TUNE_ROOM_H
#define FT_TUNE_ROOM_H

#include "train/settings.h"

struct ft_room;

struct ft_room *ft_room_open(const struct ft_settings *settings, size_t memory);
void ft_room_close(struct ft_room *room);      /* NULL is fine */

/* A document that is trained on: its texts are measured in tokens, its images and vectors in rows. */
int ft_room_add(struct ft_room *room, const struct ft_document *document);

/* Rows, for batches whose rows are made of so many documents each, a multiple of `each`. 0: FT_SYSTEM or what the tokenizer said. */
uint64_t ft_room_rows(struct ft_room *room, uint64_t documents, uint64_t each);

uint64_t ft_room_chosen(const struct ft_room *room);     /* what it said, 0 = it was not asked */

/* What `rows` rows take, in bytes: all together. After ft_room_rows. */
size_t ft_room_bytes(const struct ft_room *room, uint64_t rows);

#endif
