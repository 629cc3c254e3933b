/* callbacks.h - what a run does beside its steps, kept in run.json under "callbacks". What is not asked for is NULL or 0. */
#ifndef FT_TRAIN_CALLBACKS_H
#define FT_TRAIN_CALLBACKS_H

#include "base/memory.h"

#include <jansson.h>

struct ft_callbacks {
    const char *log;             /* "tensorboard" */
};

/* FT_USAGE. */
int ft_callbacks_check(const struct ft_callbacks *callbacks);

json_t *ft_callbacks_write(const struct ft_callbacks *callbacks);
/* NULL: a run of before there were any. FT_BAD names the path. */
int ft_callbacks_read(struct ft_arena *arena, struct ft_callbacks *callbacks, json_t *object, const char *path);

#endif
