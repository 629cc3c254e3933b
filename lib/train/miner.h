/* miner.h - which triplets of a batch with labels the triplet loss looks at.
 *
 * A miner sees one anchor at a time: all other items of its class and all items of other classes, with their distances (those of the
 * loss). It strikes items from the two lists, and may bound the gap between the distances. What remains - each positive with each
 * negative whose gap fits - are the anchor's triplets. No gradient passes through the choice. */
#ifndef FT_TRAIN_MINER_H
#define FT_TRAIN_MINER_H

#include "train/losses/losses.h"

/* Items in the order of the batch. */
struct ft_mined_items {
    size_t count;
    uint32_t *item;
    float *distance;           /* from the anchor */
};

struct ft_mined {
    struct ft_mined_items positive, negative;    /* both have at least one item when a miner is called */
    float above, most;         /* a triplet counts if above < d(a, n) - d(a, p) <= most; they come as -inf and inf */
};

struct ft_miner {
    const char *name;
    const char *purpose;
    const struct ft_loss_key *keys;                       /* ends with a NULL name */
    int (*check)(const double *value);                    /* settings that do not go together: FT_USAGE; or NULL */
    void (*mine)(const double *value, struct ft_mined *mined);
};

const struct ft_miner *ft_miner_at(size_t i);             /* NULL past the end of the table */
const struct ft_miner *ft_miner_find(const char *name);   /* NULL with FT_USAGE, which lists the known ones */

#endif
