/* optimizer.h - optimizers over a block of named parameters: a model's, or what a loss learns. Clipping is the caller's, by two calls:
 *
 *     ft_optimizer_touch(o, packed)                      which rows of the table have a gradient; for each batch that adds to it
 *     square = ft_optimizer_square(o, gradient)          sum of its squares, in a fixed order
 *     ft_optimizer_step(o, gradient, &how)               `how.scale` is what clipping makes of the gradient
 *
 * Every element's update is a function of that element's gradient and state and of the step's scalars (lamb and adafactor: and of sums over
 * the whole parameter), so any number of threads gives the same bits; sums are taken over fixed blocks in a fixed order.
 *
 * Tables (word embeddings): a row that no batch has touched has no state, and its dense update is the decay alone. Such rows cost nothing when
 * there is no decay, and one multiplication an element otherwise; the result equals the dense update. Where decay is a part of the
 * gradient (L2, all but adamw and those told `decoupled`) it gives every row a state, and all rows are updated. */
#ifndef FT_TRAIN_OPTIMIZER_H
#define FT_TRAIN_OPTIMIZER_H

#include "model/model.h"
#include "model/run/cut.h"

enum { FT_OPTIMIZER_BLOCKS = 3, FT_OPTIMIZER_VALUES = 8 };

struct ft_optimizer_kind;

struct ft_optimizer_settings {
    const struct ft_optimizer_kind *kind;
    double value[FT_OPTIMIZER_VALUES];     /* in the order of its keys */
};

/* "adamw:beta1=.9,beta2=.999,eps=1e-8,decay=0" - FT_USAGE lists what is known. */
int ft_optimizer_parse(struct ft_optimizer_settings *settings, const char *text);
const char *ft_optimizer_names(void);
const char *ft_optimizer_name_at(size_t i);                               /* NULL past the end of the table */
bool ft_optimizer_decays(const struct ft_optimizer_settings *settings);   /* has it weight decay at all? */
double ft_optimizer_decay(const struct ft_optimizer_settings *settings);  /* that of the setting, 0 where it has none */

struct ft_optimizer;

/* The list of parameters and the block must outlive it. `decay`: weight decay of each parameter, or NULL: that of the settings for those that
 * parameter->decay marks, 0 for the others. */
struct ft_optimizer *ft_optimizer_open(const struct ft_parameters *parameters, const struct ft_optimizer_settings *settings, const double *decay);
void ft_optimizer_close(struct ft_optimizer *optimizer);

/* What a checkpoint keeps: blocks of block_count floats, 0 to FT_OPTIMIZER_BLOCKS of them, and a few floats more. After changing them call
 * ft_optimizer_loaded. */
int ft_optimizer_blocks(const struct ft_optimizer *optimizer);
float *ft_optimizer_block(struct ft_optimizer *optimizer, int i);
float *ft_optimizer_memory(struct ft_optimizer *optimizer, size_t *count);
void ft_optimizer_loaded(struct ft_optimizer *optimizer);

/* Steps done so far; it is in the memory. */
uint64_t ft_optimizer_steps(const struct ft_optimizer *optimizer);

/* `packed` names the rows of the table that have a gradient. Not needed where the parameters have no table. */
void ft_optimizer_touch(struct ft_optimizer *optimizer, const struct ft_packed *packed);

/* The sum of the squares of the gradient, not finite when an element is not. */
double ft_optimizer_square(struct ft_optimizer *optimizer, const float *gradient);

struct ft_optimizer_how {
    double lr;
    const double *each;          /* [parameters] learning rates in place of lr, or NULL */
    double scale;                /* times the gradient */
};

/* The next step on the block. `gradient`, which must be finite, is zero again afterwards, and no row counts as touched. */
int ft_optimizer_step(struct ft_optimizer *optimizer, float *gradient, const struct ft_optimizer_how *how);

/* What clipping at `clip` (0 = none) makes of a gradient of this norm, as torch's clip_grad_norm_: min(1, clip / (norm + 1e-6)). */
double ft_clip_scale(double norm, double clip);

#endif
