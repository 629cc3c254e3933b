/* runner.h - a plan at work on one batch: forward by shards, backward by segments.
 *
 * A runner owns the workers' buffers and, while training, the kept activations of chunks. The same runner code serves every tool, so an embedding
 * made by ft-embed and one made inside ft-train are the same bits. Not for use by two callers at once; inside it uses the pool. */
#ifndef FT_MODEL_RUN_RUNNER_H
#define FT_MODEL_RUN_RUNNER_H

#include "model/run/cut.h"
#include "model/run/plan.h"

struct ft_runner;

/* `flags` as for ft_plan_make. The model must outlive the runner; its block may be set or changed between calls. */
struct ft_runner *ft_runner_open(const struct ft_model *model, int flags, enum ft_precision precision);
void ft_runner_close(struct ft_runner *runner);

/* From now on the block stays as it is: what is packed of it for one batch serves the next ones. */
void ft_runner_settle(struct ft_runner *runner);

/* The batch the next calls are about. `packed` and `cut` must stay until the next call of this; seed and batch name the random numbers.
 * Kept chunks are forgotten. */
int ft_runner_batch(struct ft_runner *runner, const struct ft_packed *packed, const struct ft_cut *cut,
                    uint64_t seed, uint64_t batch);

/* Take chunks `chunk` .. chunk + count - 1 through together. out[texts of the batch, dim]: their rows are written, and their activations kept for the
 * backward. */
int ft_runner_forward(struct ft_runner *runner, size_t chunk, size_t count, float *out);

/* Chunks from `chunk` to the last, none kept: the same rows, the same bits. */
int ft_runner_forward_only(struct ft_runner *runner, size_t chunk, float *out);

/* The same of `count` chunks; what is packed for them serves the next ones. */
int ft_runner_forward_some(struct ft_runner *runner, size_t chunk, size_t count, float *out);

/* Let go what is kept of a chunk, without a backward. */
void ft_runner_forget(struct ft_runner *runner, size_t chunk);

/* d(loss)/d(embedding)[texts of the batch, dim] back through chunks that are kept (they are let go afterwards): adds to `gradient`, which is laid out as
 * the model's block, or its adapters' where it has some. Several at once give the bits that they give one after another; they take the memory of so many, and less time. */
int ft_runner_backward(struct ft_runner *runner, size_t chunk, size_t count, const float *dout, float *gradient);

/* After a batch went through: running means and variances follow those of its chunks, one after another. Nothing where norms keep theirs. */
void ft_runner_follow(const struct ft_runner *runner);

/* The frozen prefix: the steps below the lowest segment that has anything to learn, and the value that leaves it. Floats a row of that, which is a token or,
 * `of_items`, an item; 0: there is no such part. `random`: a node of it that drops out at random, or NULL. */
size_t ft_runner_prefix(const struct ft_runner *runner, bool *of_items, const char **random);

/* Does it make the same bits of an item whatever it is in company with? So do products of our own; a library's may not. */
bool ft_runner_prefix_apart(const struct ft_runner *runner);

/* What the prefix makes of the batch, rows in their order. */
int ft_runner_prefix_forward(struct ft_runner *runner, float *out);

/* Until the next batch the forward begins with these rows in the prefix's stead. They must stay. */
void ft_runner_give(struct ft_runner *runner, const float *prefix);

const struct ft_model *ft_runner_model(const struct ft_runner *runner);

/* Of a chunk: its tokens, and the bytes of activations that keeping it takes. */
size_t ft_runner_tokens(const struct ft_runner *runner, size_t chunk);
size_t ft_runner_kept_size(const struct ft_runner *runner, size_t chunk);

/* Bytes that taking the batch's chunks through one by one takes at least: packed weights and, `learns`, the activations and gradients of the largest chunk.
 * `whole`: with all weights packed at once, as ft_runner_forward_only has them. Beside them stand the threads' own buffers. */
size_t ft_runner_least(struct ft_runner *runner, bool learns, bool whole);
size_t ft_runner_standing(const struct ft_runner *runner);

/* Free the former, but for chunks that are kept. */
void ft_runner_shrink(struct ft_runner *runner);

#endif
