/* log.h - DIR/run/log.jsonl: what a run did, a line of JSON each, and with --log tensorboard the same for TensorBoard.
 *
 *   {"step": 7, "steps": 300, "epoch": 1, "loss": ..., "lr": ..., "gradient_norm": ..., "texts": 256, "seconds": 0.4, "time": 1790000000.123}
 *   {"evaluation": 100, "epoch": 1, ..., "seconds": 2.1, "time": ...}                  after batch 100; 0 is before training
 *
 * The log is the run's, not the attempts': lines of what a resumed run does again are dropped when it is opened. Decisions that hang on
 * evaluations (early stopping, the best model) are made from what these lines say, so a resumed run makes the same ones. */
#ifndef FT_TRAIN_LOG_H
#define FT_TRAIN_LOG_H

#include "train/run.h"

struct ft_log;

/* Keep what was done up to batch `batch`; go on behind it. */
struct ft_log *ft_log_open(struct ft_run *run, uint64_t batch, bool tensorboard);
void ft_log_close(struct ft_log *log);

/* `line` is an object; the time of day is put in at its end. */
int ft_log_add(struct ft_log *log, const char *line);

/* Onto the disk: before a checkpoint that stands on what the log says. */
int ft_log_sync(struct ft_log *log);

/* The present lines, each ended by a newline, from the arena. */
char *ft_log_read(struct ft_run *run, struct ft_arena *arena, size_t *size);

/* The number of a line that begins with {"KEY": number; false where it begins otherwise. */
bool ft_log_number(const char *line, const char *key, uint64_t *number);

#endif
