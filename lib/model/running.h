/* running.h - what runner.c and backward.c share: a runner's inside. */
#ifndef FT_MODEL_RUNNING_H
#define FT_MODEL_RUNNING_H

#include "model/runner.h"

struct ft_floats {
    float *data;
    size_t capacity;
};

/* Room for `count` floats, 64-byte aligned; what was there is lost when it grows. */
float *ft_floats_reserve(struct ft_floats *floats, size_t count);

struct ft_worker {
    struct ft_floats slots;      /* values that are not kept */
    struct ft_floats scratch;    /* attention's, and after it: */
    float *temporary;            /* one value of a shard */
    bool *written;               /* backward: which values' gradients have been begun */
};

struct ft_shard {
    struct ft_rows rows, items;  /* items: one row each, for what has one row an item */
    size_t chunk, tokens;
    size_t first_token, first_text;   /* counted from the chunk's first */
};

struct ft_kept {
    size_t chunk;                /* SIZE_MAX = free */
    struct ft_floats floats;
};

/* The weights of some linear steps, for the forward or `transposed` for the backward, in the order the products read them. */
struct ft_packed_weights {
    struct ft_floats floats;
    size_t *offset;              /* [steps] */
    int first, last;             /* steps; last < first: none */
    bool transposed;
};

struct ft_runner {
    const struct ft_model *model;
    const struct ft_kernels *kernels;
    struct ft_arena arena, batch_arena;
    struct ft_plan *plan;
    struct ft_worker *workers;
    int worker_count;
    const struct ft_packed *packed;
    const struct ft_cut *cut;
    uint64_t seed, batch;
    struct ft_shard *shards;
    struct {
        size_t tokens, sequences;
    } *chunk_rows;
    struct ft_kept *kept;
    size_t kept_count;
    struct ft_floats gradient;
    struct ft_packed_weights weights;
    struct ft_floats narrow;     /* what adapters' gradients are made of, of one step */
    struct ft_floats operands;   /* what the parameter gradients of one step multiply, in the order the products read it */
};

/* One chunk going through. */
struct ft_running {
    struct ft_runner *runner;
    size_t first_shard, shard_count, first_text, tokens, sequences;
    const int32_t *id;           /* the chunk's tokens */
    bool keep, backward;
    float *kept, *kept_item;   /* its kept activations, token rows and text rows */
    float *out;                  /* forward: the batch's embeddings */
    /* backward */
    float *dvalue, *dvalue_item;   /* gradients of values, of the whole chunk */
    float *gradient;             /* of parameters */
    float *operands;             /* of the step at hand */
    float *narrow;               /* of the step at hand */
};

/* Kept chunks that go through together, segment by segment: what is packed for one serves all, and threads meet less often. */
struct ft_group {
    struct ft_runner *runner;
    size_t chunk, count;         /* the first, how many */
    struct ft_running *run;      /* [count] */
    size_t first_shard, shard_count, tokens;
    const struct ft_segment *segment;
    const struct ft_step *step;  /* whose parameter gradients are at hand, */
    int slice;                   /* and the first of its slices */
};

/* Chunks `chunk` .. chunk + count - 1, with the places of what is kept of them: made, or for the backward found and let go. The run of a shard's chunk. */
int ft_group_start(struct ft_runner *r, size_t chunk, size_t count, bool backward, struct ft_group *group);
struct ft_running *ft_group_run(const struct ft_group *group, const struct ft_shard *shard);

struct ft_running ft_running_start(struct ft_runner *runner, size_t chunk);

/* A shard's rows of a value; of a step's statistics (`floats` a row; `otherwise` when nothing is kept). */
float *ft_running_value(const struct ft_running *run, int value, const struct ft_shard *shard, const struct ft_worker *worker);
float *ft_running_saved(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, size_t floats,
                        float *otherwise);
/* A shard's rows of the gradient of a value. */
float *ft_running_gradient(const struct ft_running *run, int value, const struct ft_shard *shard);
float ft_running_power(const struct ft_running *run, const struct ft_step *step);   /* a generalised mean's p */
struct ft_dropout ft_running_dropout(const struct ft_running *run, const struct ft_step *step);
void ft_running_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard,
                        const struct ft_worker *worker);

/* Pack the weights of steps first .. last, unless they are, or `tokens` are too few to be worth it. */
int ft_runner_pack(struct ft_runner *r, int first, int last, bool transposed, size_t tokens);
void ft_runner_unpack(struct ft_runner *r);

/* A step's packed weight, NULL when it is not packed. */
const float *ft_running_packed(const struct ft_runner *r, const struct ft_step *step, bool transposed);

/* For the adapters of the step at hand: bring the rows of its input and of its output's gradient down to the adapters' width; then their slices. */
int ft_group_narrow(struct ft_group *group);
void ft_running_part_slice(const struct ft_running *run, const struct ft_slice *slice, int worker);

/* Pack the operands of the step at hand; one of them: of the step's input or of its output's gradient, NULL when there is none packed. */
int ft_group_pack_operands(struct ft_group *group);
float *ft_running_operand(const struct ft_running *run, const struct ft_step *step, bool of_output);

#endif
