/* layout.h - where a plan's values live. */
#ifndef FT_MODEL_RUN_LAYOUT_H
#define FT_MODEL_RUN_LAYOUT_H

#include "model/run/plan.h"

/* Fill slots, kept offsets, segments, slices and gradient offsets of a plan whose steps and values are made. */
int ft_plan_lay_out(struct ft_arena *arena, struct ft_plan *plan);

#endif
