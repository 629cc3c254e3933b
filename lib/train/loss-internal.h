/* loss-internal.h - the losses of a run as parsed, between loss.c (settings), loss-compute.c (their sum) and loss-layout.c (what they learn). */
#ifndef FT_TRAIN_LOSS_INTERNAL_H
#define FT_TRAIN_LOSS_INTERNAL_H

#include "train/miner.h"

enum { FT_LOSS_DIMS = 16 };    /* sizes of embedding that one loss may have at once */

struct ft_chosen {
    double weight;
    const struct ft_loss *loss;
    double value[FT_LOSS_KEYS];
    /* What any fitting loss may be wrapped in (loss-wrap.c). */
    size_t dims;               /* 0: the whole embedding */
    struct {
        size_t count;
        double weight;
    } dim[FT_LOSS_DIMS];       /* largest first */
};

struct ft_losses {
    enum ft_batch_kind kind;
    bool any;                  /* parsed without a kind in view */
    size_t count;
    struct ft_chosen *losses;
    const struct ft_miner *miner;
    double miner_value[FT_LOSS_KEYS];
};

/* Take the wrappers' keys out of a setting of this loss: FT_USAGE. And print those that were there, each after a comma or, the first key, a colon. */
int ft_wrappers_take(struct ft_setting *setting, struct ft_chosen *chosen);
int ft_wrappers_print(struct ft_buffer *out, const struct ft_chosen *chosen);

/* The loss, in its wrappers; gradient comes zeroed. */
int ft_wrapped_compute(const struct ft_chosen *chosen, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted);

/* What one of the losses learns: its tensors with their places. Gives how many; 0 without a layout. */
size_t ft_chosen_tensors(const struct ft_losses *losses, size_t index, const struct ft_loss_layout *layout,
                         const struct ft_loss_tensor *tensor[FT_LOSS_TENSORS]);

#endif
