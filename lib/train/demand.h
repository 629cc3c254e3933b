/* demand.h - what a step of training takes of memory, and what --memory leaves for activations.
 *
 * Counted is what the process holds when its first batch is at hand (program, documents, parameters, the batch and its pixels), as the kernel says, and
 * what comes on top of that in the step. */
#ifndef FT_TRAIN_DEMAND_H
#define FT_TRAIN_DEMAND_H

#include "train/loss.h"
#include "train/passes.h"

struct ft_demand {
    const struct ft_parameters *trained;
    int blocks;                  /* that lie beside the parameters and are touched from now on: their gradient, what the optimizer keeps */
    bool images;
    const struct ft_losses *losses;        /* NULL: computed elsewhere */
    size_t items, d;             /* of the batch */
};

/* Bytes that kept activations may take in a process of `memory` bytes; `passes` has begun the batch, and is told to spare where that is needed. FT_USAGE: a
 * step takes more in any case. 0: no bound was given, and it is a quarter of what is free, at most 1 GiB, of images 2. */
int ft_demand_limit(const struct ft_demand *demand, size_t memory, struct ft_passes *passes, size_t *limit);

#endif
