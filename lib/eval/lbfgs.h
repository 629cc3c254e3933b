/* lbfgs.h - limited-memory BFGS for a smooth convex function (Nocedal and Wright 2006, algorithms 7.4 and 7.5): ten pairs are
 * remembered, and a step is halved until the function has fallen enough (Armijo, 1e-4). */
#ifndef FT_EVAL_LBFGS_H
#define FT_EVAL_LBFGS_H

#include <stddef.h>

/* The function's value at x[size], and its gradient; NaN when it cannot be computed, with ft_error set. */
typedef double ft_objective(void *argument, const double *x, double *gradient);

/* From x to a minimum, in place: until no entry of the gradient is above `tolerance`, no step makes the function smaller (rounding),
 * or after `most` steps. How many steps were taken, or -1. */
long ft_lbfgs(ft_objective *objective, void *argument, double *x, size_t size, double tolerance, size_t most);

#endif
