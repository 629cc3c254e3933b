/* optimizer.h - AdamW over a model's block (Loshchilov and Hutter 2019, as torch.optim.AdamW computes it), with clipping by the whole norm.
 *
 * Every element's update is a function of that element's gradient, moments and of the step's scalars, so any number of threads gives the
 * same bits; sums for the norm are taken over fixed blocks in a fixed order.
 *
 * Tables (word embeddings): a row that no batch has touched has zero moments, and its dense update is the weight decay alone. Such rows cost
 * nothing when there is no decay, and one multiplication an element otherwise; the result equals the dense update. */
#ifndef FT_TRAIN_OPTIMIZER_H
#define FT_TRAIN_OPTIMIZER_H

#include "model/cut.h"
#include "model/model.h"

struct ft_optimizer_settings {
    double beta1, beta2, epsilon, decay;
};

/* "adamw:beta1=.9,beta2=.999,eps=1e-8,decay=0" - FT_USAGE lists what is known. */
int ft_optimizer_parse(struct ft_optimizer_settings *settings, const char *text);
const char *ft_optimizer_names(void);

struct ft_optimizer;

/* Moments are the caller's or, NULL, its own: block_count zeros each. */
struct ft_optimizer *ft_optimizer_open(const struct ft_model *model, const struct ft_optimizer_settings *settings);
void ft_optimizer_close(struct ft_optimizer *optimizer);

/* The moments, [block_count] each: what a checkpoint keeps. After changing them call ft_optimizer_loaded. */
float *ft_optimizer_first(struct ft_optimizer *optimizer);
float *ft_optimizer_second(struct ft_optimizer *optimizer);
void ft_optimizer_loaded(struct ft_optimizer *optimizer);

/* Step number `step` (the first is 1) on model->block. `gradient` is zero again afterwards. `packed` names the table rows that have a gradient.
 * clip 0 = none. The norm before clipping goes to `norm`. FT_BAD when it is not finite: nothing is changed then. */
int ft_optimizer_step(struct ft_optimizer *optimizer, float *gradient, const struct ft_packed *packed, uint64_t step,
                      double lr, double clip, double *norm);

#endif
