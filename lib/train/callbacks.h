/* callbacks.h - what a run does beside its steps, kept in run.json under "callbacks". What is not asked for is NULL or 0. */
#ifndef FT_TRAIN_CALLBACKS_H
#define FT_TRAIN_CALLBACKS_H

#include "base/memory.h"

#include <jansson.h>
#include <stdbool.h>

struct ft_callbacks {
    const char *log;             /* "tensorboard" */
    const char *eval, *eval_index;   /* files of documents */
    const char *eval_data;       /* fingerprint of the documents that are evaluated, once they were read */
    double hold_out;             /* share of the training's documents that are */
    uint64_t eval_every;         /* batches; 0: at the end of each epoch */
    const char *stop;            /* METRIC:patience=2,... */
    const char *best;            /* METRIC */
    bool average;                /* write (1 - wise_ft) of the base model's parameters and wise_ft of the tuned ones */
    double wise_ft;
    const char *hook;            /* a program, absolute */
};

/* Does it take what only ft-train does? The tools of the pipe cannot go on with such a run. */
bool ft_callbacks_evaluate(const struct ft_callbacks *callbacks);

/* FT_USAGE. */
int ft_callbacks_check(const struct ft_callbacks *callbacks);

json_t *ft_callbacks_write(const struct ft_callbacks *callbacks);
/* NULL: a run of before there were any. FT_BAD names the path. */
int ft_callbacks_read(struct ft_arena *arena, struct ft_callbacks *callbacks, json_t *object, const char *path);

#endif
