/* run.h - a run directory: a model in the making.
 *
 *   DIR/run/run.json            every training setting, written once
 *   DIR/run/lock                held (fcntl) by the one process that writes
 *   DIR/run/log.jsonl           one line a step (log.h)
 *   DIR/run/live/               the working block, mapped and shared by the stages of a pipe; never a model
 *   DIR/run/checkpoints/N/      parameters and moments, of the model and of what losses learn, and the data's checksum after batch N; built
 *                               under another name, synced, renamed
 *   DIR/model.safetensors, ...  the model: last, when training is done
 */
#ifndef FT_TRAIN_RUN_H
#define FT_TRAIN_RUN_H

#include "stream/document.h"
#include "train/settings.h"

struct ft_run {
    struct ft_arena arena;
    const char *directory;
    struct ft_settings settings;
    int lock;                    /* descriptor, -1 = not held */
    bool saving;                 /* its model is being written */
};

bool ft_run_is(const char *directory);          /* has run/run.json */
bool ft_run_finished(const char *directory);    /* and a model beside it, all steps done */

/* May a run begin there? FT_USAGE: a run is there already (with `force`: one that a process is training), or a model that no run made. */
int ft_run_may_begin(const char *directory, bool force);

/* Make DIR/run with these settings (checked). An existing run is FT_USAGE. */
int ft_run_create(const char *directory, const struct ft_settings *settings, int argc, char **argv);
/* May the run that is there be removed for one with these settings? FT_USAGE: the model that it begins with, its teacher or its guide is of that run. */
int ft_run_may_replace(const char *directory, const struct ft_settings *settings);
/* Remove a run, finished or not, and the model files it made, if one is there; what else lies there stays. FT_USAGE as ft_run_may_begin. */
int ft_run_remove(const char *directory);

/* DIR/README.md is not there, or is a card that ft-train wrote, which this line in it says: it may be written. */
#define FT_CARD_MARK "# written by ft-train; without this line the file would be left alone"
bool ft_run_card_ours(const char *directory);

struct ft_run *ft_run_open(const char *directory);
/* One that is not on the disk, for a trainer that is dry. */
struct ft_run *ft_run_imagine(const char *directory, const struct ft_settings *settings);
/* Undo ft_run_create, and a model that could not be written whole, unless there is a checkpoint: what failed with nothing to go on from leaves nothing that
 * the next attempt would stumble on. */
int ft_run_take_back(struct ft_run *run);
void ft_run_close(struct ft_run *run);
const char *ft_run_path(struct ft_run *run, const char *name);   /* DIR/run/name, from the run's arena */
int ft_run_lock(struct ft_run *run);            /* FT_USAGE names the process that holds it */

/* How far training has come. */
struct ft_progress {
    uint64_t batch;              /* batches applied */
    struct ft_hash data;         /* ft_batch_checksum of them all */
    uint64_t steps;              /* batches the whole stream had, 0 = unknown: the schedule ran over so many */
};

/* Stages skip the batches that were applied before the run was resumed (start), and check that they are the same ones. `seen` is the caller's,
 * zero in the beginning. 1: skip this one; 0: it is new; -1: FT_BAD, out of order or another stream. */
int ft_progress_skip(const struct ft_progress *start, struct ft_progress *seen, const struct ft_batch *batch);

/* A file of a checkpoint: blocks of as many floats each, parameters and then their moments. */
enum { FT_CHECKPOINT_BLOCKS = 8 };
struct ft_checkpoint_part {
    const char *name;            /* "block": the model's; "loss": what the losses learn and remember */
    size_t count;                /* floats a block */
    int blocks;
    float *block[FT_CHECKPOINT_BLOCKS];
};

/* Keeps the newest `keep`. */
int ft_checkpoint_save(struct ft_run *run, const struct ft_progress *progress, const struct ft_checkpoint_part *parts, size_t count, long keep);
bool ft_checkpoint_any(struct ft_run *run);
/* Of the newest that is whole, all its parts: progress and this part, 1; or 0 when there is none (both are left alone). FT_BAD when there are
 * some and all are damaged. Another part of checkpoint `number`: 1, or 0 when it has none of that name. */
int ft_checkpoint_load(struct ft_run *run, struct ft_progress *progress, const struct ft_checkpoint_part *part);
int ft_checkpoint_load_part(struct ft_run *run, uint64_t number, const struct ft_checkpoint_part *part);
int ft_checkpoint_remove_all(struct ft_run *run);

/* The working blocks that stages share: the model's, and what the losses learn and remember. */
struct ft_live {
    float *block;                /* read-only for those who attached */
    size_t count;
    float *loss;                 /* NULL until there is one */
    size_t loss_count;
    struct ft_live_state *state;
    bool owner;
};

/* By the process that holds the lock: a fresh block (zeros), not announced yet. */
int ft_live_create(struct ft_run *run, size_t count, struct ft_live *live);
/* Announce it, and after each batch how far it is. */
void ft_live_publish(struct ft_live *live, const struct ft_progress *progress);
/* The block of the losses, whose size is known when the stream's header has come: made like the other, announced when it is filled. */
int ft_live_create_loss(struct ft_run *run, struct ft_live *live, size_t count);
void ft_live_publish_loss(struct ft_live *live);
/* By the others: wait until a process that holds the lock has announced one. `output`: die quietly when nobody reads it any more; `waiting` is called
 * once when it takes long. `start` is how far the run was at that moment. ft_live_attach is for the model's block, ft_live_attach_loss for the
 * losses'; the other stays NULL. FT_BAD when the losses' is of another size. */
int ft_live_attach(struct ft_run *run, size_t count, int output, void (*waiting)(void *), void *argument,
                   struct ft_live *live, struct ft_progress *start);
int ft_live_attach_loss(struct ft_run *run, size_t count, int output, void (*waiting)(void *), void *argument,
                        struct ft_live *live, struct ft_progress *start);
/* Wait until batch `number` is applied. FT_BAD when the writer is gone. */
int ft_live_wait(struct ft_run *run, const struct ft_live *live, uint64_t number, int output);
void ft_live_close(struct ft_live *live);
int ft_live_remove(struct ft_run *run);

#endif
