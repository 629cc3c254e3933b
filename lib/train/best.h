/* best.h - the parameters of the best evaluations so far, in DIR/run/best/N: the block after batch N and the logit_scale learnt by then (logits.h), with a
 * checksum.
 *
 * A run that is resumed goes back to a checkpoint, and may stop again before it comes to the best evaluation that an earlier attempt saw. So two
 * are kept: the best of all, and the one before it up to the newest checkpoint. Batch 0 is the base model, of which nothing need be kept. */
#ifndef FT_TRAIN_BEST_H
#define FT_TRAIN_BEST_H

#include "model/logits.h"
#include "train/run.h"

/* Of a batch from 1 on, whole or not at all. Those that `checkpoint`, the batch of the newest one, makes dispensable go. */
int ft_best_save(struct ft_run *run, uint64_t batch, const float *block, size_t count, const struct ft_logits *logits, uint64_t checkpoint);
/* FT_BAD where it is lost or damaged. */
int ft_best_load(struct ft_run *run, uint64_t batch, float *block, size_t count, struct ft_logits *logits);
int ft_best_remove_all(struct ft_run *run);

#endif
