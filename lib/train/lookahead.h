/* lookahead.h - batches of images, of which the next is decoded while the model is at the one at hand.
 *
 * Each lies in memory of its own, so that the next may be read before this one is done with; there are never more than two, and of large ones (256 MiB of
 * pixels) one: its pixels go when the next are decoded. Of larger ones still not even those lie there whole, but come by a pager (model/run/pager.h). */
#ifndef FT_TRAIN_LOOKAHEAD_H
#define FT_TRAIN_LOOKAHEAD_H

#include "model/images.h"
#include "train/settings.h"

struct ft_lookahead;

/* Give the next batch's record, which is copied: 1; 0 after the last; -1. With `wait` false 2 where it is not there yet. */
typedef int ft_lookahead_next_record(void *argument, bool wait, struct ft_string *bytes);

/* Does the model read images at all? */
bool ft_lookahead_wanted(const struct ft_model *model);

/* Bytes of pixels of one batch that may lie decoded: a 32nd of --memory, so that they are never what makes a step too large for it, else (0) a quarter of what
 * is free. To decode an image twice takes some percent of what training on it does. */
size_t ft_lookahead_most(size_t memory);

/* Items are encoded as the settings say; more than `most` bytes of pixels come by a pager. The model and the settings must outlive it. NULL: memory. */
struct ft_lookahead *ft_lookahead_open(const struct ft_model *model, const struct ft_settings *settings, size_t most, ft_lookahead_next_record *next,
                                       void *argument);
void ft_lookahead_close(struct ft_lookahead *ahead);       /* NULL is fine */

/* The next batch, and its record: 1, or 0 after the last, or -1. They stay until the next call but one, and are copies of what came. */
int ft_lookahead_next(struct ft_lookahead *ahead, struct ft_batch *batch, const struct ft_record **record);

/* The images of the batch at hand, and of two towers its texts; then, with `more`, those of the next are begun. A batch that is not asked for is not decoded. */
int ft_lookahead_encode(struct ft_lookahead *ahead, bool more, struct ft_packed *packed);

#endif
