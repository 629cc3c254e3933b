/* inputs.h - what a model in training reads of a batch; and the same as fields of the batch: ft-embed writes them and ft-update reads them, so that
 * nothing is tokenized or decoded twice.
 *
 *     tokens, offsets    of texts
 *     pixels             of images: 8-bit, [items, height, across, 3]
 *     vectors            of vectors: floats, [items, width]
 *
 * Pixels that came by a pager (model/run/pager.h), and those of more bytes than a stream carries, are left out: nil stands for them, and they are decoded again.
 *
 * Of a model of two towers a batch has the first two of its texts and the third of its images, each in their order. */
#ifndef FT_TRAIN_INPUTS_H
#define FT_TRAIN_INPUTS_H

#include "model/run/pager.h"
#include "train/settings.h"

/* A batch as the run trains on it: its texts with the run's prompts, its images varied as --augment says. `packed` from the arena. */
int ft_inputs_encode(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *settings, const struct ft_batch *batch,
                     struct ft_packed *packed);

/* The same of two towers, where the images' pixels are there already, all of them or by a pager, or, `pixel` NULL, are decoded now. */
int ft_inputs_encode_towers(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *settings, const struct ft_batch *batch,
                            const uint8_t *pixel, struct ft_pager *pager, struct ft_packed *packed);

/* Can a stream carry the pixels or numbers? Else FT_USAGE. */
int ft_inputs_check(const struct ft_model *model, const struct ft_packed *packed);

/* How many fields ft_inputs_write writes. */
uint32_t ft_inputs_count(const struct ft_model *model);
void ft_inputs_write(msgpack_packer *pk, const struct ft_model *model, const struct ft_packed *packed);

/* `packed` from the arena and the batch's record. Everything is checked: ids against the vocabulary, lengths against `longest` tokens, shapes against the
 * model. FT_BAD names the batch. */
int ft_inputs_read(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_model *model, size_t longest, struct ft_packed *packed);

/* Then, where pixels were left out: *pager, the caller's to close after the batch, shows `packed` those of the batch's documents. Else it is NULL. */
int ft_inputs_show(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *settings, const struct ft_batch *batch,
                   struct ft_packed *packed, struct ft_pager **pager);

#endif
