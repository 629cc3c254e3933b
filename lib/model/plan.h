/* plan.h - a model's nodes compiled into steps, and the values that flow between them.
 *
 * Nodes are what a person names; steps are what runs: query, key and value in one product, dropout and residual in one pass, and in evaluation no
 * dropout at all. Each value is a matrix of R rows (tokens) or S rows (texts, after pooling). The plan also says where values live:
 *
 *   slots      forward only: a worker's buffers, reused as soon as a value is not read any more
 *   kept       training: one buffer a value for the whole chunk, shared where a step may work in place, and shared by all layers where
 *              the backward computes the value again (the output of an activation or a norm)
 *   segments   backward: stretches of steps between places where one single value is alive. Shards go through a segment without
 *              barriers; then the segment's parameter gradients are taken over the whole chunk, in slices (DESIGN, "Bytes")
 *
 * The unfused plan has one step a node and is what the fused one is tested against. */
#ifndef FT_MODEL_PLAN_H
#define FT_MODEL_PLAN_H

#include "model/model.h"

enum ft_step_kind {
    FT_STEP_EMBEDDING, FT_STEP_LINEAR, FT_STEP_NORM, FT_STEP_DROPOUT, FT_STEP_DROPOUT_ADD, FT_STEP_JOIN,
    FT_STEP_ATTENTION, FT_STEP_ACTIVATION, FT_STEP_POOL, FT_STEP_GEM, FT_STEP_NORMALIZE,
};

struct ft_value {
    size_t width;
    bool of_items;             /* S rows instead of R */
    bool needs_gradient;     /* something trainable is above it */
    bool recomputed;         /* kept: not kept, but computed again in the backward */
    bool late;               /* and in one pass with the gradient of the step's input */
    int slot;                /* forward only: which of a worker's buffers */
    size_t kept;             /* training: offset of its buffer, in floats a row, among the buffers of its kind of rows */
    size_t gradient;         /* backward: the same among the gradients' buffers */
};

struct ft_step {
    enum ft_step_kind kind;
    int node;                /* the node it computes, the last one where several became one */
    int random;              /* the node that names its random numbers */
    int in[3], in_count, out;/* values; DROPOUT_ADD: in[1] is the residual */
    int weight, bias;        /* parameters (the first of a joined matrix), -1 = none; NORM: gain, bias; GEM: p */
    size_t inputs, outputs;  /* LINEAR: I, O */
    float rate;              /* dropout while training */
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
};

struct ft_plan {
    const struct ft_model *model;
    bool training;
    struct ft_value *values;
    int value_count;
    struct ft_step *steps;
    int step_count;
    size_t *slot_width;      /* floats a row of each slot */
    int slot_count;
    size_t kept_width, kept_item_width;           /* floats a token and a text, all kept values and statistics */
    size_t gradient_width, gradient_item_width;   /* the same of a backward's buffers */
    struct ft_segment *segments;
    int segment_count;       /* in the order of the forward */
    struct ft_slice *slices;
    int slice_count;
    size_t widest;           /* of all values */
    int *inert;              /* parameters whose gradient is zero by nature */
    int inert_count;
};

enum { FT_PLAN_TRAINING = 1, FT_PLAN_UNFUSED = 2 };

/* The parts of a step that have adapters; how many. */
int ft_plan_parts(const struct ft_plan *plan, const struct ft_step *step, struct ft_part parts[FT_PARTS]);

/* Everything in the arena. NULL with ft_error set: FT_BAD when the nodes do not fit together. */
struct ft_plan *ft_plan_make(struct ft_arena *arena, const struct ft_model *model, int flags);

#endif
