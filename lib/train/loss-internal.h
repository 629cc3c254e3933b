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
    size_t memory;             /* embeddings of batches before that are compared with; 0: none */
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
int ft_wrappers_check(const struct ft_chosen *chosen);   /* against the loss's own settings */
int ft_wrappers_print(struct ft_buffer *out, const struct ft_chosen *chosen);

/* The loss, in its wrappers; gradient comes zeroed. `memory` is what it remembers, NULL where it does not. */
int ft_wrapped_compute(const struct ft_chosen *chosen, const struct ft_loss_call *call, const float *memory, double *loss, float *gradient,
                       uint64_t *counted);

int ft_memory_compute(const struct ft_chosen *chosen, const struct ft_loss_call *call, const float *memory, double *loss, float *gradient,
                      uint64_t *counted);
int ft_matryoshka_compute(const struct ft_chosen *chosen, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted);

/* What a loss remembers lies in so many floats of the run's array, all zero in the beginning; and takes in a batch's items of known label. */
size_t ft_memory_floats(const struct ft_chosen *chosen, size_t d);
void ft_memory_add(const struct ft_chosen *chosen, const struct ft_loss_input *input, float *memory);

/* Where that is; NULL where it remembers nothing. */
const struct ft_loss_tensor *ft_chosen_memory(const struct ft_losses *losses, size_t index, const struct ft_loss_layout *layout);

/* The size of SET where an item of --loss begins with "SET=", else 0. */
size_t ft_loss_set_size(const char *item);

/* What one of the losses learns: its tensors with their places. Gives how many; 0 without a layout. */
size_t ft_chosen_tensors(const struct ft_losses *losses, size_t index, const struct ft_loss_layout *layout,
                         const struct ft_loss_tensor *tensor[FT_LOSS_TENSORS]);

#endif
