/* optimizers.h - what a file under optimizers/ is made of: a kind of optimizer. How to add one is told at the top of
 * optimizer-table.c. */
#ifndef FT_TRAIN_OPTIMIZERS_H
#define FT_TRAIN_OPTIMIZERS_H

#include "train/losses/losses.h"
#include "train/optimizer.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
/* Without contraction every instruction set gives the same bits; wider ones are faster. */
#define FT_VECTORISED __attribute__((optimize("O3"), target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define FT_VECTORISED
#endif

/* One parameter at one step. */
struct ft_optimizer_when {
    const double *value;         /* the settings, in the order of the keys */
    double step;                 /* the first is 1 */
    double lr, decay;
    double *memory;              /* the parameter's own doubles, zero in the beginning */
};

/* What the elements of a parameter have in common at one step. Which of the numbers a kind uses, and how, is its own affair, but for these:
 * scale times the gradient comes first; a row of a table that was never touched is multiplied by `keep`, unless `l2` is not 0: then all rows
 * are updated; blocks begin as `initial`. */
struct ft_scalars {
    float scale, keep, l2;                   /* come as the step's, 1 and 0 */
    float initial[FT_OPTIMIZER_BLOCKS];      /* come as 0 */
    float rate, rate2, beta1, rest1, beta2, rest2, root, epsilon, momentum, low, high;
    double alpha, most;
    bool flag, other;
};

/* Elements that are updated in one go: part of a parameter, or a row of a table. */
struct ft_elements {
    float *p, *g, *state[FT_OPTIMIZER_BLOCKS];
    size_t count;
    const struct ft_parameter *parameter;
    size_t at;                   /* the first one's place in the parameter */
    const double *memory;        /* the parameter's */
};

struct ft_optimizer_kind {
    const char *name;
    const struct ft_setting_key *keys;                  /* ends with a NULL name; "decay" is the weight decay */
    int (*check)(const double *value);               /* settings that do not go together: FT_USAGE; or NULL */
    int (*blocks)(const double *value);              /* blocks of state, FT_OPTIMIZER_BLOCKS at most; NULL = none */
    size_t (*memory)(const struct ft_parameter *p);  /* doubles kept for a parameter; NULL = none */
    void (*prepare)(const struct ft_optimizer_when *when, struct ft_scalars *scalars);
    /* One pass: the new p and state, and g = 0. */
    void (*update)(const struct ft_elements *x, const struct ft_scalars *scalars);

    /* Kinds whose step hangs on norms over a whole parameter have `factor`. Their update leaves p alone and puts the direction into g; then,
     * of the squares of p and of the direction summed over the `count` elements, factor is what p = p * keep - factor * g takes.
     * `measure`, or NULL, sees a whole gradient before: rows of the parameter for which `has` (NULL = all) is not 0, the others are 0. */
    double (*factor)(const struct ft_scalars *scalars, double p_square, double direction_square, size_t count);
    void (*measure)(const struct ft_parameter *parameter, const float *g, const uint8_t *has, double *memory, const struct ft_scalars *scalars);
};

/* Settings common to many, for their tables of keys: below 1, and not below 0. */
#define FT_BELOW_ONE .low = 0, .high = 1 - 1e-9
#define FT_POSITIVE .low = 1e-38, .high = 1e38
#define FT_NOT_NEGATIVE .low = 0, .high = 1e38
#define FT_YES_OR_NO .choices = "0 1"


double ft_sum_of_squares(const float *x, size_t count);      /* lanes of fixed number: the same on every kind of CPU */

#endif
