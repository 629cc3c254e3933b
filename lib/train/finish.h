/* finish.h - what parameters the finished model has, where they are not simply the last ones. */
#ifndef FT_TRAIN_FINISH_H
#define FT_TRAIN_FINISH_H

#include "model/model.h"
#include "train/run.h"

/* Into model->block and model->logits: the parameters after that batch, 0 the base model's, whose logits were `opened`. */
int ft_finish_choose(struct ft_run *run, struct ft_model *model, uint64_t batch, const struct ft_logits *opened);

/* Weights between the base model and the tuned one: (1 - a) base + a tuned for every parameter and of two towers what model->logits has, whose base is
 * `before`, where the run's settings ask for it. WiSE-FT: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, whose code takes all of a CLIP's
 * state, logit_scale too. a = 0 and a = 1 are one of them to the bit. */
int ft_finish_average(const struct ft_run *run, struct ft_model *model, const struct ft_logits *before);

/* Adapters, where the model has some, as PEFT keeps them: DIR/adapter. */
int ft_finish_adapter(struct ft_run *run, const struct ft_model *model);

#endif
