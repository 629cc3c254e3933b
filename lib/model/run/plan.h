/* plan.h - a model's nodes compiled into steps, and the values that flow between them.
 *
 * Nodes are what a person names; steps are what runs: query, key and value in one product, dropout and residual in one pass, and in evaluation no
 * dropout at all; and a convolution's batch norm, where its statistics do not change, goes into the weights. Each value is a matrix of R rows (tokens) or
 * S rows (items): what is left of a text after pooling, or all of an image's map, positions x channels numbers. The plan also says where values live:
 *
 *   slots      forward only: a worker's buffers, reused as soon as a value is not read any more
 *   kept       training: one buffer a value for the whole chunk, shared where a step may work in place, and shared by all layers where
 *              the backward computes the value again (the output of an activation or a norm)
 *   segments   backward: stretches of steps between places where one single value is alive. Shards go through a segment without
 *              barriers; then the segment's parameter gradients are taken over the whole chunk, in slices (DESIGN, "Bytes")
 *
 * The unfused plan has one step a node and is what the fused one is tested against. */
#ifndef FT_MODEL_RUN_PLAN_H
#define FT_MODEL_RUN_PLAN_H

#include "model/model.h"

enum ft_step_kind {
    FT_STEP_EMBEDDING, FT_STEP_LINEAR, FT_STEP_NORM, FT_STEP_DROPOUT, FT_STEP_DROPOUT_ADD, FT_STEP_JOIN,
    FT_STEP_ATTENTION, FT_STEP_ACTIVATION, FT_STEP_POOL, FT_STEP_GEM, FT_STEP_NORMALIZE,
    FT_STEP_VECTOR, FT_STEP_PIXELS, FT_STEP_CONVOLUTION, FT_STEP_DEPTHWISE, FT_STEP_BATCH_NORM, FT_STEP_MAX_POOL, FT_STEP_SCALE, FT_STEP_TOKENS,
    FT_STEP_MULTIPLY, FT_STEP_ROTARY, FT_STEP_GATE, FT_STEP_PROBE, FT_STEP_ATTEND, FT_STEP_MEAN_POOL,
};

struct ft_value {
    size_t width;            /* of a map: positions x channels */
    size_t positions;        /* of a map; else 1 */
    bool of_items;           /* S rows instead of R */
    bool needs_gradient;     /* something trainable is above it */
    bool recomputed;         /* kept: not kept, but computed again in the backward */
    bool late;               /* and in one pass with the gradient of the step's input */
    bool unread;             /* and never in fact: the backward does not look at it */
    int slot;                /* forward only: which of a worker's buffers */
    size_t kept;             /* training: offset of its buffer, in floats a row, among the buffers of its kind of rows */
    size_t gradient;         /* backward: the same among the gradients' buffers */
    int handed, onto;        /* backward: an addition hands on the gradient of its output, the value `handed`; nobody copies that, but step `onto` adds
                                it to its own; -1 = none */
};

struct ft_step {
    enum ft_step_kind kind;
    int node;                /* the node it computes, the last one where several became one */
    int random;              /* the node that names its random numbers */
    int in[3], in_count, out;/* values; DROPOUT_ADD, and perhaps CONVOLUTION and BATCH_NORM: in[1] is the residual */
    int weight, bias;        /* parameters (the first of a joined matrix), -1 = none; NORM: gain, bias; GEM: p;
                                ATTENTION: its table of biases */
    size_t inputs, outputs;  /* LINEAR, and CONVOLUTION: I, O; the former at each position */
    struct ft_windows windows;      /* CONVOLUTION, DEPTHWISE, MAX_POOL, MEAN_POOL */
    int norm;                /* CONVOLUTION, DEPTHWISE: the batch norm that went into its weights, -1 = none */
    enum ft_activation activation;  /* CONVOLUTION, DEPTHWISE, BATCH_NORM, DROPOUT_ADD: what comes after it in the same step */
    int rotary;              /* ROTARY: which of the plan's */
    float rate;              /* dropout while training */
    size_t moments;          /* and where its mean and variance are among a chunk's, 2 * channels floats */
    bool meets;              /* BATCH_NORM by the chunk's own statistics: all its shards come as far as this before any goes on */
    size_t sums;             /* BATCH_NORM, or with norm: where its sums, 2 * channels doubles, are among a shard's of the segment */
    size_t saved;            /* floats a row it saves beside its values (statistics), offset among the kept floats */
};

/* One slice of a parameter's gradient, taken over the whole chunk. */
struct ft_slice {
    int step;
    size_t from, to;
    int part;                /* 0: of the step's own parameters; k + 1: of the A, or B, of its part k */
    bool of_a;
};

/* The outputs of a LINEAR step whose weight has an adapter; of a joined product up to three. */
struct ft_part {
    const struct ft_adapter *adapter;
    size_t first, count;     /* outputs */
};
enum { FT_PARTS = 3 };

struct ft_segment {
    int first, last;         /* steps first .. last */
    int slice, slice_count;  /* its slices */
    bool biases;             /* some of its attentions have biases that learn */
    bool by_items;           /* an item goes through alone: its maps, which are larger than the weights, stay in the second cache meanwhile */
};

/* A table of biases that learns. Attentions of several segments may share it, so each item's part of its gradient has a place of its own for all of a
 * backward, and these are added up at the end: the sum's order is the same however many chunks go together. */
struct ft_bias {
    int parameter;
    size_t size;             /* floats */
    size_t gradient;         /* offset of the items' parts, in floats an item, among the gradients' buffers of items */
};

/* A kind of rotary position embedding, by which the runner keeps a table: width of a head, base. */
struct ft_rotary {
    size_t head;
    float theta;
};

struct ft_plan {
    const struct ft_model *model;
    bool training;
    struct ft_value *values;
    int value_count;
    struct ft_step *steps;
    int step_count;
    size_t *slot_width, *slot_item_width;   /* of each slot, floats a token and a text: the larger of the two is what it takes */
    int slot_count;
    size_t kept_width, kept_item_width;           /* floats a token and a text, all kept values and statistics */
    size_t gradient_width, gradient_item_width;   /* the same of a backward's buffers */
    struct ft_segment *segments;
    int segment_count;       /* in the order of the forward */
    struct ft_bias *biases;
    int bias_count;
    struct ft_slice *slices;
    int slice_count;
    struct ft_rotary *rotary;
    int rotary_count;
    size_t moments;          /* floats a chunk, of all steps that meet */
    size_t sums;             /* doubles a shard, of the batch norms of one segment */
    size_t widest, widest_item;   /* of all values with rows of tokens, of items */
    struct ft_inert {
        size_t offset, count;
    } *inert;                /* stretches of the block whose gradient is zero by nature */
    int inert_count;
};

/* Are the slices of a CONVOLUTION's gradient taps of its kernel, rather than outputs? Where a tap is wide enough for a product of its own. */
static inline bool ft_step_by_taps(const struct ft_step *step)
{
    return step->windows.kernel > 1 && step->inputs >= 16;
}

/* Rows of a value over so many tokens, which are so many items; a map's positions are counted one by one. */
static inline size_t ft_value_rows(const struct ft_value *value, size_t tokens, size_t items)
{
    return (value->of_items ? items : tokens) * value->positions;
}

/* Does it add a residual, in[1]? Then that is handed the output's gradient as it is. */
static inline bool ft_step_adds(const struct ft_step *step)
{
    return step->kind == FT_STEP_DROPOUT_ADD || ((step->kind == FT_STEP_CONVOLUTION || step->kind == FT_STEP_BATCH_NORM) && step->in_count > 1);
}

/* An activation whose slope can be told from what comes out of it. */
static inline bool ft_step_told_by_output(const struct ft_model *model, const struct ft_step *step)
{
    enum ft_activation f = step->kind == FT_STEP_ACTIVATION ? model->nodes[step->node].activation : step->activation;

    return (step->kind == FT_STEP_ACTIVATION || step->kind == FT_STEP_DROPOUT_ADD || step->kind == FT_STEP_CONVOLUTION ||
            step->kind == FT_STEP_DEPTHWISE || (step->kind == FT_STEP_BATCH_NORM && step->in_count > 1)) && (f == FT_RELU || f == FT_RELU6);
}

/* Does each window of a CONVOLUTION cover one position, the next one the next? Then it is a linear layer over the map. */
static inline bool ft_step_direct(const struct ft_step *step)
{
    return step->kind == FT_STEP_CONVOLUTION && step->windows.kernel == 1 && step->windows.stride == 1;
}

enum { FT_PLAN_TRAINING = 1, FT_PLAN_UNFUSED = 2 };

/* The parts of a step that have adapters; how many. */
int ft_plan_parts(const struct ft_plan *plan, const struct ft_step *step, struct ft_part parts[FT_PARTS]);

/* The last step of the frozen prefix (runner.h), -1: there is none. */
int ft_plan_prefix(const struct ft_plan *plan);

/* Everything in the arena. NULL with ft_error set: FT_BAD when the nodes do not fit together. */
struct ft_plan *ft_plan_make(struct ft_arena *arena, const struct ft_model *model, int flags);

#endif
