/* loss-internal.h - the losses of a run as parsed, between loss.c (settings), loss-compute.c (their sum) and loss-layout.c (what they learn). */
#ifndef FT_TRAIN_LOSS_INTERNAL_H
#define FT_TRAIN_LOSS_INTERNAL_H

#include "train/miner.h"

struct ft_chosen {
    double weight;
    const struct ft_loss *loss;
    double value[FT_LOSS_KEYS];
};

struct ft_losses {
    enum ft_batch_kind kind;
    bool any;                  /* parsed without a kind in view */
    size_t count;
    struct ft_chosen *losses;
    const struct ft_miner *miner;
    double miner_value[FT_LOSS_KEYS];
};

/* What one of the losses learns: its tensors with their places. Gives how many; 0 without a layout. */
size_t ft_chosen_tensors(const struct ft_losses *losses, size_t index, const struct ft_loss_layout *layout,
                         const struct ft_loss_tensor *tensor[FT_LOSS_TENSORS]);

#endif
