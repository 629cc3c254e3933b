/* tasks.h - what can be measured of embeddings. A task is a line of the table in tasks.c. */
#ifndef FT_EVAL_TASKS_H
#define FT_EVAL_TASKS_H

#include "eval/study.h"

struct ft_task {
    const char *name;                  /* of --task */
    const char *unit;                  /* what is counted: "queries" */
    enum ft_tuples_wanted tuples;      /* what documents must be; FT_TUPLES_NONE: anything */
    bool index;                        /* --index is what it learns from */
    const char *const *names;          /* [figures] in their order; NULL: those of the measures */
    size_t figures;

    /* Measure one view: fill `measured`. Figures are then those of its statistic. */
    int (*measure)(struct ft_study *study, int view, struct ft_measured *measured);
    bool named;                        /* looks at what labels are called, and embeds that */
};

#define FT_TASKS "retrieval sts pair-classification triplets linear-probe clustering zero-shot"
const struct ft_task *ft_task_find(const char *name);      /* NULL with FT_USAGE */

/* Has the task, or where NULL any, a figure of this name? Not of retrieval, whose figures are measures. */
bool ft_task_has(const char *task, const char *figure);

#endif
