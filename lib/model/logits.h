/* logits.h - two numbers that a model of two towers keeps beside its parameters, and that a loss learns: logit_scale, the logarithm of what cosines are
 * multiplied by (CLIP), and logit_bias, what is added then (SigLIP). No embedding depends on them, so nothing but the loss looks at them.
 *
 * A paired model has them among its weights, as tensors of one number; a joined one in ft.json. */
#ifndef FT_MODEL_LOGITS_H
#define FT_MODEL_LOGITS_H

#include "base/memory.h"

#include <jansson.h>
#include <stdbool.h>

enum { FT_LOGIT_SCALE, FT_LOGIT_BIAS, FT_LOGITS };

struct ft_model;
struct ft_safetensor;

struct ft_logits {
    bool there[FT_LOGITS];
    double value[FT_LOGITS];
};

const char *ft_logit_name(int which);      /* "logit_scale", "logit_bias" */
int ft_logit_find(const char *name);       /* which one is called so; -1: none */

/* Those that the model's files have; of a model that is not of two towers none. FT_BAD: one is no number. */
int ft_logits_read(const struct ft_model *model, struct ft_logits *logits);

/* Those of ft.json in a directory, where there is one. */
int ft_logits_read_beside(const char *directory, struct ft_logits *logits);

/* model->logits over those of its files: the model's own, as it is. */
int ft_logits_settle(const struct ft_model *model, struct ft_logits *logits);

/* For save.c and towers.c: what is to be saved. In place of a tensor's data where the model has another value, which the arena holds; as keys of ft.json. */
int ft_logits_replace(struct ft_arena *arena, const struct ft_model *model, struct ft_safetensor *tensors, size_t count);
int ft_logits_put(const struct ft_model *model, json_t *json);

#endif
