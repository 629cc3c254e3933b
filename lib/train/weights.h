/* weights.h - what the losses of a run learn and remember: the trainer's side of it. The losses' side is loss.h.
 *
 * The numbers lie in one array, shared with ft-loss where the run is (lib/train/live.c). What is learnt has moments and an optimizer of its
 * own, by default the run's settings; clipping is by the norm over the model's parameters and these together. */
#ifndef FT_TRAIN_WEIGHTS_H
#define FT_TRAIN_WEIGHTS_H

#include "train/loss.h"
#include "train/run.h"

struct ft_weights;

/* For losses over `classes` classes and the model's dimensions: as they begin, what it has of its own (logits.h) as there, or as the run's checkpoint of
 * batch `batch` has them. `live`, if not NULL, gets the block and announces it. NULL with an error; an object also where the losses have nothing. */
struct ft_weights *ft_weights_open(struct ft_run *run, size_t classes, const struct ft_model *model, uint64_t batch, struct ft_live *live);
void ft_weights_close(struct ft_weights *weights);

const struct ft_loss_layout *ft_weights_layout(const struct ft_weights *weights);
float *ft_weights_gradient(struct ft_weights *weights);     /* [learnt], zero between batches; NULL where nothing is learnt */

/* What was learnt, in place of the model's own where `own` has that; and what the model had before, or where its files have none how that began. */
void ft_weights_own(const struct ft_weights *weights, struct ft_logits *own);
void ft_weights_own_before(const struct ft_weights *weights, struct ft_logits *own);

/* Fill in input's classes, weights and weights_gradient. */
void ft_weights_give(struct ft_weights *weights, struct ft_loss_input *input);

/* The gradient of a batch is there: it is one of those of the coming step. */
void ft_weights_take(struct ft_weights *weights);

/* The sum of the squares of the step's gradient; 0 where nothing is learnt. */
double ft_weights_square(struct ft_weights *weights);

/* Can what is remembered take in this batch? FT_BAD. */
int ft_weights_check(const struct ft_weights *weights, const struct ft_loss_input *input);

/* A step; `how` has what the schedule makes of the run's rate, and the scale of clipping. Then what is remembered takes in the batch of `input`
 * (embedding, labels), unless NULL. */
int ft_weights_step(struct ft_weights *weights, const struct ft_optimizer_how *how, const struct ft_loss_input *input);

/* For a checkpoint: how many parts, 0 where there is nothing. */
enum { FT_WEIGHTS_PARTS = 2 };
size_t ft_weights_parts(struct ft_weights *weights, struct ft_checkpoint_part parts[FT_WEIGHTS_PARTS]);

#endif
