/* trainer.h - the one piece of code that changes a model's parameters; ft-train and ft-update both stand on it.
 *
 * For each batch: ft_trainer_begin, then (ft-train) ft_trainer_forward and the loss, then ft_trainer_apply with d(loss)/d(embedding). ft-update has the
 * gradient from the stream and goes straight to apply. Chunks whose activations the forward kept are not computed again; the bits are the same. */
#ifndef FT_TRAIN_TRAINER_H
#define FT_TRAIN_TRAINER_H

#include "stream/document.h"
#include "train/run.h"
#include "train/weights.h"

struct ft_trainer;

struct ft_teacher;

struct ft_trainer_options {
    bool shared;                 /* the block is the run's live one: other stages read it */
    size_t memory;               /* bytes the whole process should stay under; 0 = a quarter of what is free for kept activations, at most 1 GiB, images 2 */
    long save_every, keep;       /* batches between checkpoints (0 = every five minutes); checkpoints kept */
    bool cache_frozen;           /* keep what the frozen prefix makes of each item (frozen.h); FT_USAGE where there is none, or where it or an item varies */
    bool dry;                    /* nothing of the run is on the disk, or gets there: no lock, no log, no checkpoints (ft_run_imagine) */
};

/* Lock the run, load its newest checkpoint or else the base model, and (shared) announce the block. The run must outlive the trainer. */
struct ft_trainer *ft_trainer_open(struct ft_run *run, const struct ft_trainer_options *options);
void ft_trainer_close(struct ft_trainer *trainer);
struct ft_model *ft_trainer_model(const struct ft_trainer *trainer);
const struct ft_settings *ft_trainer_settings(const struct ft_trainer *trainer);
struct ft_teacher *const *ft_trainer_seconds(const struct ft_trainer *trainer);     /* [FT_SECONDS], NULL: the run has none, or the trainer is shared */
const struct ft_progress *ft_trainer_progress(const struct ft_trainer *trainer);   /* what a checkpoint would say: up to the last step */

/* From the stream's header, before the first batch: batches and epochs in all, 0 = unknown, what the schedule runs over, and classes, which losses
 * with weights of their own need. FT_USAGE when a schedule needs what is not known. */
int ft_trainer_plan(struct ft_trainer *trainer, uint64_t steps, uint64_t epochs, uint64_t classes);

/* What the losses learn and remember: for ft_losses_compute, or for a gradient from the stream. */
struct ft_weights *ft_trainer_weights(struct ft_trainer *trainer);

/* A batch that was applied before the run was resumed: 1, and it is checked against the run's checksum; another stream is FT_BAD. A batch to be
 * trained on: 0. A number out of order: -1, FT_BAD. A stream may also begin with the first new batch. */
int ft_trainer_skip(struct ft_trainer *trainer, const struct ft_batch *batch);

/* The batch the next two are about; its texts as tokens, which must stay until apply is done. */
int ft_trainer_begin(struct ft_trainer *trainer, const struct ft_batch *batch, const struct ft_packed *packed);
int ft_trainer_forward(struct ft_trainer *trainer, float *embedding);

struct ft_step_report {
    uint64_t step, steps, epoch, texts;
    double loss, lr, gradient_norm, seconds;     /* the norm is NAN where the batch only added its gradient */
};

/* The batch's embeddings [items, dim], for losses that remember them; must stay until apply is done. ft_trainer_forward's are known. */
void ft_trainer_remember(struct ft_trainer *trainer, const float *embedding);

/* Backward, optimizer, progress, a line of log.jsonl, a checkpoint when one is due. With settings.accumulate N the optimizer steps after batches N,
 * 2 N, ... and the last, by the mean gradient of those since; checkpoints are of such batches only. A loss or gradient that is not finite is FT_BAD,
 * names the batch, and changes nothing. */
int ft_trainer_apply(struct ft_trainer *trainer, double loss, const float *gradient, struct ft_step_report *report);

/* All of a batch: encoding (unless `packed` is what comes of it), forward, the loss that the run's settings name, apply. What it needs for that is from
 * the arena. lib/train/step.c. */
int ft_trainer_step(struct ft_trainer *trainer, struct ft_arena *arena, const struct ft_batch *batch, const struct ft_packed *packed,
                    struct ft_step_report *report);

/* A checkpoint now, unless there is one of this batch. */
int ft_trainer_save(struct ft_trainer *trainer);

/* A line of log.jsonl beside those of the steps (log.h). */
int ft_trainer_log(struct ft_trainer *trainer, const char *line);

/* Training is at its end, whatever the number of steps says. */
void ft_trainer_end(struct ft_trainer *trainer);

/* The parameters as they are now are the best so far: they are put aside (best.h). And: what is written at the end are those after that batch
 * (0: the base model's), not the last ones. */
int ft_trainer_keep(struct ft_trainer *trainer);
void ft_trainer_choose(struct ft_trainer *trainer, uint64_t batch);

/* Write the model into the run's directory: the parameters as they are now, or those chosen; with --wise-ft averaged with the base model's. When all
 * steps are done the checkpoints and the working block go; else a checkpoint stays, from which --resume goes on. Nothing else can be done with
 * the trainer then. lib/train/finish.c. */
int ft_trainer_finish(struct ft_trainer *trainer);

#endif
