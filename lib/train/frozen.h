/* frozen.h - what a frozen prefix makes of each item, kept from its first batch on, so that all epochs pay for it once.
 *
 * An item is known by what the model reads of it (its tokens, pixels or numbers). What is kept is a function of the item alone, whatever batch it is first
 * met in: where a library's products would give it other bits in company it goes through the prefix by itself, and then the model differs from one that
 * was trained without by rounding; where products are our own (lib/tensor/cpu/packed-linear.h) the two are the same bytes. */
#ifndef FT_TRAIN_FROZEN_H
#define FT_TRAIN_FROZEN_H

#include "model/run/runner.h"

struct ft_frozen;

/* `memory` bytes are kept in memory, the rest goes to a temporary file without a name. FT_USAGE: nothing is frozen below what trains, or what is
 * frozen drops out at random; the message names the node. */
struct ft_frozen *ft_frozen_open(struct ft_runner *runner, size_t memory);
void ft_frozen_close(struct ft_frozen *frozen);

/* Rows of the prefix for all items of a batch, for ft_runner_give; valid until the next call. Uses the runner: its batch is another afterwards. */
const float *ft_frozen_rows(struct ft_frozen *frozen, const struct ft_packed *packed);

#endif
