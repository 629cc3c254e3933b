/* validation.h - documents that are kept apart from training, and how good the model at work is on them.
 *
 * Queries and, where there is one, an index: metrics as ft-eval's, of exact rankings at k = 20; and where batches of the run's kind can be made
 * of the queries, val_loss: the run's loss over them, without dropout, each row counting the same. Documents are kept as ft_corpus keeps them
 * and embedded anew each time. An evaluation draws no random number and changes nothing of the training. */
#ifndef FT_TUNE_VALIDATION_H
#define FT_TUNE_VALIDATION_H

#include "eval/encoder.h"
#include "train/settings.h"
#include "tune/monitor.h"

struct ft_teacher;
struct ft_validation;

struct ft_validation *ft_validation_open(void);

/* What the callbacks of a run ask for, with the files they name read; NULL in `validation` where there is nothing to evaluate. */
int ft_validation_make(const struct ft_callbacks *callbacks, struct ft_validation **validation);

/* All documents are in: their fingerprint is noted in the callbacks, or is the noted one, else FT_BAD. */
int ft_validation_settle(const struct ft_validation *validation, struct ft_arena *arena, struct ft_callbacks *callbacks);
void ft_validation_close(struct ft_validation *validation);      /* NULL is fine */

int ft_validation_add(struct ft_validation *validation, enum ft_side side, const struct ft_document *document, struct ft_string bytes);
int ft_validation_read(struct ft_validation *validation, enum ft_side side, const char *path);    /* all of a file: documents.h */
size_t ft_validation_count(const struct ft_validation *validation, enum ft_side side);

/* This document, or this batch, is trained on. What the queries have the same content as is a leak, counted once. Negatives are none: to know what
 * does not answer is no help. */
int ft_validation_trained(struct ft_validation *validation, const struct ft_document *document);
int ft_validation_trained_batch(struct ft_validation *validation, const struct ft_batch *batch);
size_t ft_validation_leaks(const struct ft_validation *validation, const char **example);

/* How batches of the queries are made, for val_loss. */
struct ft_validation_batches {
    enum ft_batch_kind kind;
    uint64_t rows, per_class;    /* 0: the defaults */
    struct ft_teacher *const *second;    /* [FT_SECONDS], what the run's losses look at besides */
    struct ft_weights *weights;          /* what they learn, or NULL */
};

/* Evaluate the model as it is now. Metrics that documents of this sort do not have are left out, and why is said once by ft_validation_warning;
 * FT_BAD when none is left. `queries` counts those of the averages. */
int ft_validation_run(struct ft_validation *validation, struct ft_model *model, const struct ft_settings *settings,
                      const struct ft_validation_batches *batches, struct ft_scores *scores, size_t *queries);
const char *ft_validation_warning(struct ft_validation *validation);     /* until NULL */

#endif
