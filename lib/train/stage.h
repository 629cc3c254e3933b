/* stage.h - ft-embed's side of a run in training: the shared block, batches in step with the writer. */
#ifndef FT_TRAIN_STAGE_H
#define FT_TRAIN_STAGE_H

#include "model/cut.h"
#include "stream/document.h"
#include "train/run.h"

struct ft_stage;

/* Wait for the writer (ft_live_attach: see there for output and waiting). The run must outlive the stage. */
struct ft_stage *ft_stage_open(struct ft_run *run, int output, void (*waiting)(void *), void *argument);
void ft_stage_close(struct ft_stage *stage);
const struct ft_model *ft_stage_model(const struct ft_stage *stage);

/* Was this batch applied before the run was resumed? 1 yes (checked, pass nothing on), 0 no, -1 another stream (FT_BAD). */
int ft_stage_skip(struct ft_stage *stage, const struct ft_batch *batch);

/* Wait until the batches before are applied; then tokens (from the arena) and embeddings [items, dim], in training mode. */
int ft_stage_embed(struct ft_stage *stage, struct ft_arena *arena, const struct ft_batch *batch, int output,
                   struct ft_packed *packed, float **embedding);

#endif
