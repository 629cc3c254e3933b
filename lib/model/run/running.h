/* running.h - what runner.c, forward.c and backward.c share: a runner's inside. */
#ifndef FT_MODEL_RUN_RUNNING_H
#define FT_MODEL_RUN_RUNNING_H

#include "model/run/runner.h"

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
    struct ft_floats columns;    /* numbers of a batch norm's channels */
    uint32_t *offset;            /* [items + 1] multiples of offset_step: where items begin in a map */
    uint32_t offset_step;
    size_t items;                /* the most a shard has */
    bool *written;               /* backward: which values' gradients have been begun */
};

struct ft_shard {
    struct ft_rows rows;
    size_t number;               /* in the batch */
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
    bool transposed, linear;     /* linear: those of linear steps too */
};

struct ft_runner {
    const struct ft_model *model;
    const struct ft_kernels *kernels;
    struct ft_arena arena, batch_arena;
    struct ft_plan *plan;
    struct ft_worker *workers;
    int worker_count;
    int prefix;                  /* the last step of the frozen prefix, -1: there is none */
    const float *given;          /* what it makes of the batch, or NULL */
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
    bool settled;                /* the block does not change any more */
    struct ft_floats narrow;     /* what adapters' gradients are made of, of one step */
    struct ft_floats *rotary;    /* [plan->rotary_count] tables of rotary_length places */
    size_t rotary_length;
    struct ft_floats moments;    /* [chunks, plan->moments] mean and variance of each batch norm's input */
    struct ft_floats mix;        /* [chunks, 3, channels] of the batch norm at hand, how its input's gradient is mixed */
    double *sums;                /* [shards of the group, plan->sums] of the segment's batch norms */
    size_t sums_capacity;
    struct ft_floats operands;   /* what the parameter gradients of one step multiply, in the order the products read it */
};

/* A parameter's numbers, NULL for -1. */
static inline const float *ft_runner_parameter(const struct ft_runner *r, int number)
{
    return number < 0 ? NULL : r->model->block + r->model->parameters[number].offset;
}

/* One chunk going through. */
struct ft_running {
    struct ft_runner *runner;
    size_t first_shard, shard_count, first_text, tokens, sequences;
    const int32_t *id;           /* the chunk's tokens */
    size_t chunk, mix_chunk;     /* its number; that of the group's first chunk */
    size_t mix_shard;            /* the group's first shard */
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
    int first, last;             /* the stretch of it that shards go through without meeting, */
    bool halts;                  /* backward: of step `first` only the first half */
    const struct ft_step *step;  /* whose parameter gradients are at hand, */
    int slice;                   /* and the first of its slices */
};

/* The tables that the batch's rotary position embeddings need. */
int ft_rotary_reserve(struct ft_runner *runner);
void ft_rotary_free(struct ft_runner *runner);

/* Chunks `chunk` .. chunk + count - 1, with the places of what is kept of them: made, or for the backward found and let go. The run of a shard's chunk. */
int ft_group_start(struct ft_runner *r, size_t chunk, size_t count, bool backward, struct ft_group *group);
struct ft_running *ft_group_run(const struct ft_group *group, const struct ft_shard *shard);

/* The shard as a segment goes through it: how many parts, and part i. */
size_t ft_segment_parts(const struct ft_segment *segment, const struct ft_shard *shard);
struct ft_shard ft_segment_part(const struct ft_segment *segment, const struct ft_shard *shard, size_t i);

struct ft_running ft_running_start(struct ft_runner *runner, size_t chunk);

/* A shard's rows of a value; of a step's statistics (`floats` a row; `otherwise` when nothing is kept). */
float *ft_running_value(const struct ft_running *run, int value, const struct ft_shard *shard, const struct ft_worker *worker);
float *ft_running_saved(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, size_t floats,
                        float *otherwise);
/* A parameter's gradient, NULL where it does not learn. */
float *ft_running_learnt(const struct ft_running *run, int parameter);
/* A shard's rows of the gradient of a value. */
float *ft_running_gradient(const struct ft_running *run, int value, const struct ft_shard *shard);
float ft_running_power(const struct ft_running *run, const struct ft_step *step);   /* a generalised mean's p */
/* What a step's attention is, with its table of biases. */
struct ft_attention ft_running_attention(const struct ft_runner *r, const struct ft_step *step);
struct ft_dropout ft_running_dropout(const struct ft_running *run, const struct ft_step *step);
void ft_running_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard,
                        struct ft_worker *worker);

/* Rows of a value (ft_value_rows) in a shard, and in the whole chunk. */
size_t ft_running_rows(const struct ft_running *run, int value, const struct ft_shard *shard);
size_t ft_running_chunk_rows(const struct ft_running *run, int value);

/* The rows that make an item in a step's input: its tokens; of a map that is pooled its positions; else one. */
struct ft_rows ft_running_rows_in(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker);

/* row-steps.c: y[R,count*W] = rows side by side, and one of them back; y[R,W] = the one row again and again, and drow += the sum of columns from..to. */
void ft_rows_join(float *y, const float *const in[], size_t count, size_t rows, size_t width);
void ft_rows_split(float *dx, const float *dy, size_t count, size_t rows, size_t width, size_t which);
void ft_rows_repeat(float *y, const float *row, size_t rows, size_t width);
void ft_rows_sum(float *drow, const float *dy, size_t rows, size_t width, size_t from, size_t to);

/* maps.c: steps over maps, which are as those of running and backward. Floats of scratch that a step wants of a worker, for shards or chunks of so many items. */
size_t ft_map_scratch(const struct ft_runner *r, const struct ft_step *step);
void ft_map_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker,
                    float *y, const float *const in[]);
void ft_map_add(const struct ft_kernels *k, enum ft_activation f, float *y, const float *x, const float *residual, size_t count);   /* y = f(x + residual) */
void ft_map_backward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker, int input, float *dx);
void ft_map_slice(const struct ft_running *run, const struct ft_slice *slice, struct ft_worker *worker);

/* What a norm makes of output o: its factor; the shift that leaves, with the convolution's own bias. */
void ft_folded_scale(const struct ft_runner *r, const struct ft_step *step, size_t o, double *factor, double *shift);

/* Is the gradient by its weight asked for, for its own sake or a norm's? */
bool ft_map_learns(const struct ft_runner *r, const struct ft_step *step);

/* Does the table convolve straight from the map here, without windows gathered? Then the backward's weights are packed for that. */
bool ft_map_straight(const struct ft_kernels *k, const struct ft_step *step, bool backward);

/* And the gradient by its weight? */
bool ft_map_gradient_straight(const struct ft_kernels *k, const struct ft_step *step);

/* Floats of a CONVOLUTION's or DEPTHWISE step's prepared weight. */
size_t ft_map_weight_size(const struct ft_runner *r, const struct ft_step *step, bool transposed);

/* norms.c, batch norms. The backward: first through its activation, in the place of its output's gradient, with the sums that the gradients of the norm
 * are made of; then to its input. */
void ft_norm_forward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker, float *y,
                     const float *x, const float *residual);
void ft_norm_backward_activation(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker);

void ft_norm_backward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker, float *dx);
/* A norm that went into a convolution's weights: its activation's backward, in the place of the output's gradient, and the sums of that. */
void ft_folded_backward(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker);

/* dw[o,I,taps], outputs from..to, and where the step has a norm its gradients too, += those that follow from d[o,t,i] at d + o * output + t * tap, the gradient
 * by the weight as it was prepared. */
void ft_folded_slice(const struct ft_running *run, const struct ft_step *step, const float *d, size_t output, size_t tap, size_t from, size_t to);

void ft_norm_slice(const struct ft_running *run, const struct ft_slice *slice, float *dgain, float *dbias);

/* Before a segment's shards go through: their sums are zero. */
int ft_group_clear_sums(const struct ft_group *group);

/* Of a shard, or one of its items: what the moments of the norm's input are made of. */
void ft_norm_sum(const struct ft_running *run, const struct ft_step *step, const struct ft_shard *shard, struct ft_worker *worker);

/* All shards of the group have come to a batch norm that meets: its moments, or how gradients are mixed. */
void ft_group_moments(struct ft_group *group, const struct ft_step *step);
int ft_group_mix(struct ft_group *group, const struct ft_step *step);

/* The prefix's rows of a shard, to where the forward would have put them. */
void ft_running_take(const struct ft_running *run, const struct ft_shard *shard, struct ft_worker *worker);

/* Pack the weights of steps first .. last, unless they are; those of linear steps unless `tokens` are too few to be worth it. A convolution's are
 * brought into the order that windows are gathered in, with the norm that follows it, and its bias behind them. */
int ft_runner_pack(struct ft_runner *r, int first, int last, bool transposed, size_t tokens);
void ft_runner_unpack(struct ft_runner *r);
size_t ft_runner_packed_size(const struct ft_runner *r, int first, int last, bool transposed);     /* floats of them at most */

/* A step's packed weight, NULL when it is not packed. */
const float *ft_running_packed(const struct ft_runner *r, const struct ft_step *step, bool transposed);

/* For the adapters of the step at hand: bring the rows of its input and of its output's gradient down to the adapters' width; then their slices. */
int ft_group_narrow(struct ft_group *group);
void ft_running_part_slice(const struct ft_running *run, const struct ft_slice *slice, int worker);

/* Pack the operands of the step at hand; one of them: of the step's input or of its output's gradient, NULL when there is none packed. */
int ft_group_pack_operands(struct ft_group *group);
size_t ft_running_operands_size(const struct ft_running *run);     /* floats that a chunk's take, of the step that has most */
float *ft_running_operand(const struct ft_running *run, const struct ft_step *step, bool of_output);

#endif
