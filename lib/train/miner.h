/* miner.h - which pairs or triplets of a batch with labels a loss looks at.
 *
 * A miner sees the whole batch (losses/labelled.h) and says what it chose: pairs, how often each, or triplets. Losses turn triplets into pairs
 * and pairs into triplets, as pytorch-metric-learning's do. No gradient passes through the choice. Distances are the miner's own, its key
 * `distance`, not those of the loss. */
#ifndef FT_TRAIN_MINER_H
#define FT_TRAIN_MINER_H

#include "train/losses/labelled.h"

struct ft_miner {
    const char *name;
    const char *purpose;
    const struct ft_setting_key *keys;                       /* ends with a NULL name */
    int (*check)(const double *value);                    /* settings that do not go together: FT_USAGE; or NULL */
    /* Fill `mined`, whose counts come zeroed; more from the arena. Deterministic, for any number of threads; what is drawn is drawn by
     * Philox from the batch's seed and number. 0, or -1 with ft_fail. */
    int (*mine)(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined);
};

const struct ft_miner *ft_miner_at(size_t i);             /* NULL past the end of the table */
const struct ft_miner *ft_miner_find(const char *name);   /* NULL with FT_USAGE, which lists the known ones */

/* Call `choose` with each anchor and all others (all counts 1); it sets the count of what it does not choose to 0, or more to what it chooses
 * more often. What is left is written to mined->count. */
int ft_mine_anchors(struct ft_arena *arena, struct ft_labelled *batch, enum ft_by distance, struct ft_mined *mined,
                    void (*choose)(struct ft_anchor *anchor, const void *argument), const void *argument);

/* All pairs, positive (part 0) or negative (1), row by row: place [count] is anchor * n + other. From the arena; NULL on error. */
uint64_t *ft_mine_pairs(struct ft_arena *arena, const struct ft_labelled *batch, int part, size_t *count);

#endif
