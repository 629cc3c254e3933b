/* stage.h - ft-embed's and ft-loss's side of a run in training: the shared blocks, batches in step with the writer. */
#ifndef FT_TRAIN_STAGE_H
#define FT_TRAIN_STAGE_H

#include "model/run/cut.h"
#include "stream/document.h"
#include "train/loss.h"
#include "train/run.h"

struct ft_stage;

/* Wait for the writer (ft_live_attach: see there for output and waiting). The run must outlive the stage. */
struct ft_stage *ft_stage_open(struct ft_run *run, int output, void (*waiting)(void *), void *argument);
void ft_stage_close(struct ft_stage *stage);
const struct ft_model *ft_stage_model(const struct ft_stage *stage);
const struct ft_settings *ft_stage_settings(const struct ft_stage *stage);

/* Was this batch applied before the run was resumed? 1 yes (checked, pass nothing on), 0 no, -1 another stream (FT_BAD). */
int ft_stage_skip(struct ft_stage *stage, const struct ft_batch *batch);

/* What the model reads of a batch, from the arena. That does not need the parameters, so it goes before the waiting. */
int ft_stage_encode(struct ft_stage *stage, struct ft_arena *arena, const struct ft_batch *batch, struct ft_packed *packed);

/* Wait until the batches before are applied; then embeddings [items, dim], in training mode. */
int ft_stage_embed(struct ft_stage *stage, struct ft_arena *arena, const struct ft_batch *batch, int output,
                   const struct ft_packed *packed, float **embedding);

/* ft-loss's side: the losses of the run, and what they learn and remember, where they do. `classes` is the stream's header's. The run must outlive
 * it; output and waiting as for ft_live_attach. */
struct ft_loss_stage;
struct ft_loss_stage *ft_loss_stage_open(struct ft_run *run, size_t classes, int output, void (*waiting)(void *), void *argument);
void ft_loss_stage_close(struct ft_loss_stage *stage);

/* Fill in input's classes, weights and weights_gradient for this batch. Where losses learn or remember, it waits until the batches before are
 * applied, and 1 says that this one was applied before the run was resumed (checked; pass nothing on). 0: go on. Else it never waits. */
int ft_loss_stage_ready(struct ft_loss_stage *stage, const struct ft_batch *batch, struct ft_loss_input *input);
const struct ft_loss_layout *ft_loss_stage_layout(const struct ft_loss_stage *stage);   /* after ft_loss_stage_ready */

#endif
