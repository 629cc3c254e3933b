/* passes.h - a batch through a model that trains, forward and back: one runner, or of a model of two towers one for each.
 *
 * A tower has its own items, cut, kept activations and frozen prefix, and its gradients lie in its part of the block. Embeddings and their gradients are
 * in the order of the batch's items. Gradient caching (Gao et al. 2021) is what a limit of kept activations amounts to: all items are embedded, and
 * chunks that were not kept are run forward again before their backward, whichever tower they are of. Pixels that come by a pager are decoded again too. */
#ifndef FT_TRAIN_PASSES_H
#define FT_TRAIN_PASSES_H

#include "model/model.h"
#include "model/run/cut.h"

struct ft_passes;

/* The model, and what is frozen of it, must not change while they are open. */
struct ft_passes *ft_passes_open(const struct ft_model *model, enum ft_precision precision);
void ft_passes_close(struct ft_passes *passes);       /* NULL is fine */

/* Keep what frozen prefixes make of each item (frozen.h), in `memory` bytes and then on the disk. FT_USAGE: there is none, or one varies. */
int ft_passes_cache(struct ft_passes *passes, size_t memory);

/* The batch the next calls are about; `packed` must stay. `chunk`, `seed`, `batch` as for ft_cut_make and ft_runner_batch; towers draw apart. */
int ft_passes_begin(struct ft_passes *passes, const struct ft_packed *packed, size_t chunk, uint64_t seed, uint64_t batch);

/* Bytes that the two passes over the batch take at least, beside the gradient of parameters: one chunk at a time, and what embeddings are sorted into.
 * Between the passes the loss takes `loss` bytes. Where memory is short (ft_passes_spare) weights are packed by segments, not by towers, and towers leave no
 * buffers to one another or the loss. */
size_t ft_passes_least(const struct ft_passes *passes, size_t loss);
void ft_passes_spare(struct ft_passes *passes);

/* embedding[items, dim]. Of chunks' activations as many are kept as `limit` bytes hold, and a tower's only one in any case; forward_only keeps none, for
 * who goes no further. */
int ft_passes_forward(struct ft_passes *passes, size_t limit, float *embedding);
int ft_passes_forward_only(struct ft_passes *passes, float *embedding);

/* d(loss)/d(embedding)[items, dim]: adds to `gradient`, laid out as the model's block (or its adapters'). What is run forward again stays within `limit`, but
 * for one chunk. Running statistics follow. */
int ft_passes_backward(struct ft_passes *passes, size_t limit, const float *dembedding, float *gradient);

#endif
