/* ops.h - every operation of tensor/kernels.h in one form: inputs -> output, and gradient of the output -> gradients of the inputs.
 *
 * By this one declaration an operation is held against plain C, central differences and PyTorch's numbers, for every table of kernels. */
#ifndef FT_TESTS_OPS_H
#define FT_TESTS_OPS_H

#include "base/random.h"
#include "tensor/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCES_MAX = 8, INPUTS_MAX = 3 };

/* W: width (linear: inputs); O: outputs of linear, rows of the word table. Sequence s has length[s] tokens. */
struct shape {
    size_t sequences, length[SEQUENCES_MAX], W, H, O;
};

struct problem {
    struct shape shape;
    const struct ft_kernels *k;
    struct ft_rows rows;
    size_t R;
    uint32_t offset[SEQUENCES_MAX + 1], number[SEQUENCES_MAX];
    int32_t *id;
    struct ft_dropout dropout;
    float *aux, *scratch;          /* what a forward leaves for its backward; work space */
    uint32_t *arg;
    size_t cut;                    /* gradients of parameters are taken in two slices, divided here; 0 for one */
};

struct op {
    const char *name;
    int inputs;
    int setting;                   /* which activation, which pooling, which windows */
    float rate;
    void (*sizes)(const struct problem *p, size_t size[INPUTS_MAX], size_t *output);
    void (*forward)(const struct op *op, struct problem *p, float *y, float *const in[]);
    void (*backward)(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y);
    size_t entry;                  /* offset of its entry in the table; a table without it is skipped */
    double tolerance;              /* of a fast table against plain, relative to the largest number of the result */
    bool by_row;                   /* a sequence's result has the same bits without the others */
    bool in_place;                 /* y may be in[0] */
};

#define ENTRY(name) offsetof(struct ft_kernels, name)

__attribute__((unused)) static bool has_op(const struct ft_kernels *k, const struct op *op)
{
    void (*entry)(void);

    memcpy(&entry, (const char *)k + op->entry, sizeof entry);
    return entry != NULL;
}

/* linear: x[R, W], w[O, W], b[O] */

static void linear_sizes(const struct problem *p, size_t size[], size_t *output)
{
    size[0] = p->R * p->shape.W;
    size[1] = p->shape.O * p->shape.W;
    size[2] = p->shape.O;
    *output = p->R * p->shape.O;
}

static void linear_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    p->k->linear_forward(y, in[0], in[1], NULL, op->inputs == 3 ? in[2] : NULL, p->R, p->shape.W, p->shape.O);
}

static void linear_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                               const float *y)
{
    size_t W = p->shape.W, O = p->shape.O, cut = p->cut % O;
    float *db = op->inputs == 3 ? d[2] : NULL;

    (void)y;
    p->k->linear_backward(d[0], dy, in[1], NULL, p->R, W, O);
    if (cut > 0)
        p->k->linear_gradient(d[1], db, dy, in[0], NULL, NULL, p->R, W, O, 0, cut);
    p->k->linear_gradient(d[1], db, dy, in[0], NULL, NULL, p->R, W, O, cut, O);
}

/* layer_norm: x[R, W], gain[W], bias[W] */

static void norm_sizes(const struct problem *p, size_t size[], size_t *output)
{
    *output = size[0] = p->R * p->shape.W;
    size[1] = size[2] = p->shape.W;
}

static void norm_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    p->k->layer_norm_forward(y, p->aux, in[0], in[1], op->inputs > 2 ? in[2] : NULL, 1e-12f, p->R, p->shape.W);
}

static void norm_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                             const float *y)
{
    size_t W = p->shape.W, cut = p->cut % W;
    float *dbias = op->inputs > 2 ? d[2] : NULL;

    (void)y;
    p->k->layer_norm_backward(d[0], dy, in[0], p->aux, in[1], p->R, W);
    if (cut > 0)
        p->k->layer_norm_gradient(d[1], dbias, dy, in[0], p->aux, p->R, W, 0, cut);
    p->k->layer_norm_gradient(d[1], dbias, dy, in[0], p->aux, p->R, W, cut, W);
}

/* rms_norm: x[R, W], gain[W]; with an epsilon by which the gradient of a row of one column is not all rounding */

static void rms_norm_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    p->k->rms_norm_forward(y, p->aux, in[0], in[1], 0.25f, p->R, p->shape.W);
}

static void rms_norm_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                                 const float *y)
{
    size_t W = p->shape.W, cut = p->cut % W;

    (void)op, (void)y;
    p->k->rms_norm_backward(d[0], dy, in[0], p->aux, in[1], p->R, W);
    if (cut > 0)
        p->k->layer_norm_gradient(d[1], NULL, dy, in[0], p->aux, p->R, W, 0, cut);
    p->k->layer_norm_gradient(d[1], NULL, dy, in[0], p->aux, p->R, W, cut, W);
}

/* One or two inputs of the output's size: activation, dropout, dropout_add, normalize, add, multiply. */

static void rows_sizes(const struct problem *p, size_t size[], size_t *output)
{
    *output = size[0] = size[1] = p->R * p->shape.W;
}

static void activation_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    p->k->activation_forward((enum ft_activation)op->setting, y, in[0], p->R * p->shape.W);
}

static void activation_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                                   const float *y)
{
    (void)y;
    p->k->activation_backward((enum ft_activation)op->setting, d[0], dy, in[0], p->R * p->shape.W);
}

static void dropout_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    p->k->dropout(y, in[0], &p->dropout, &p->rows, p->shape.W);
}

static void dropout_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                                const float *y)
{
    (void)op, (void)in, (void)y;
    p->k->dropout(d[0], dy, &p->dropout, &p->rows, p->shape.W);
}

static void dropout_add_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    p->k->dropout_add(y, in[0], in[1], &p->dropout, &p->rows, p->shape.W);
}

static void dropout_add_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                                    const float *y)
{
    (void)op, (void)in, (void)y;
    p->k->dropout(d[0], dy, &p->dropout, &p->rows, p->shape.W);
    memcpy(d[1], dy, p->R * p->shape.W * sizeof *dy);
}

static void normalize_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    p->k->normalize_forward(y, p->aux, in[0], p->R, p->shape.W);
}

static void normalize_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                                  const float *y)
{
    (void)op, (void)in;
    p->k->normalize_backward(d[0], dy, y, p->aux, p->R, p->shape.W);
}

static void add_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    if (y != in[0])
        memcpy(y, in[0], p->R * p->shape.W * sizeof *y);
    p->k->add(y, in[1], p->R * p->shape.W);
}

static void add_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                            const float *y)
{
    (void)op, (void)in, (void)y;
    memcpy(d[0], dy, p->R * p->shape.W * sizeof *dy);
    memcpy(d[1], dy, p->R * p->shape.W * sizeof *dy);
}

static void multiply_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    p->k->multiply(y, in[0], in[1], p->R * p->shape.W);
}

static void multiply_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                                 const float *y)
{
    (void)op, (void)y;
    p->k->multiply(d[0], dy, in[1], p->R * p->shape.W);
    p->k->multiply(d[1], dy, in[0], p->R * p->shape.W);
}

/* attention: qkv[R, 3W], and where it is BIASED bias[BUCKETS, H] */
enum { CAUSAL = 1, SCALED = 2, BIASED = 4, WINDOWED = 8, WIDE = 16, WINDOW = 2, WIDE_WINDOW = 40, BUCKETS = 8, DISTANCE = 6 };

static void attention_sizes(const struct problem *p, size_t size[], size_t *output)
{
    size[0] = p->R * 3 * p->shape.W;
    size[1] = BUCKETS * p->shape.H;
    *output = p->R * p->shape.W;
}

static struct ft_attention attention_of(const struct op *op, const struct problem *p, float *const in[])
{
    return (struct ft_attention){
        .heads = p->shape.H, .scale = op->setting & SCALED ? 0.25f : 0, .causal = op->setting & CAUSAL,
        .bias = op->setting & BIASED ? in[1] : NULL, .buckets = op->setting & BIASED ? BUCKETS : 0, .distance = DISTANCE,
        .window = op->setting & WINDOWED ? WINDOW : op->setting & WIDE ? WIDE_WINDOW : 0,
    };
}

static void attention_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    const struct ft_attention attention = attention_of(op, p, in);

    p->k->attention_forward(y, in[0], &attention, &p->dropout, &p->rows, p->shape.W, p->scratch);
}

static void attention_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                                  const float *y)
{
    const struct ft_attention attention = attention_of(op, p, in);
    size_t size = BUCKETS * p->shape.H;
    float *dbias = attention.bias != NULL ? calloc(p->rows.sequences * size + 1, sizeof *dbias) : NULL;

    (void)y;
    p->k->attention_backward(d[0], dbias, dy, in[0], &attention, &p->dropout, &p->rows, p->shape.W, p->scratch);
    for (size_t s = 0; dbias != NULL && s < p->rows.sequences; s++)
        p->k->add(d[1], dbias + s * size, size);
    free(dbias);
}

/* embedding: word[O, W], position[longest + 2, W], type[W]; positions begin at 2. With one input there are words only. */

static size_t longest(const struct problem *p)
{
    size_t most = 0;

    for (size_t s = 0; s < p->rows.sequences; s++)
        if (p->shape.length[s] > most)
            most = p->shape.length[s];
    return most;
}

/* rotary: qkv[R, 3W], turned by theta 100 so that far places turn much */

static void rotary_sizes(const struct problem *p, size_t size[], size_t *output)
{
    *output = size[0] = p->R * 3 * p->shape.W;
}

static void rotate(const struct problem *p, float *y, const float *x, bool back)
{
    size_t D = p->shape.W / p->shape.H;
    float *table = calloc(longest(p) * D + 1, sizeof *table);

    ft_rotary_table(table, longest(p), D, 100);
    p->k->rotary(y, x, table, back, &p->rows, p->shape.H, p->shape.W);
    free(table);
}

static void rotary_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    rotate(p, y, in[0], false);
}

static void rotary_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    (void)op, (void)in, (void)y;
    rotate(p, d[0], dy, true);
}

/* gate: x[R, 2W] */

static void gate_sizes(const struct problem *p, size_t size[], size_t *output)
{
    size[0] = p->R * 2 * p->shape.W;
    *output = p->R * p->shape.W;
}

static void gate_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    p->k->gate_forward((enum ft_activation)op->setting, y, in[0], p->R, p->shape.W);
}

static void gate_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    (void)y;
    p->k->gate_backward((enum ft_activation)op->setting, d[0], dy, in[0], p->R, p->shape.W);
}

static void embedding_sizes(const struct problem *p, size_t size[], size_t *output)
{
    size[0] = p->shape.O * p->shape.W;
    size[1] = (longest(p) + 2) * p->shape.W;
    size[2] = p->shape.W;
    *output = p->R * p->shape.W;
}

static void embedding_two_sizes(const struct problem *p, size_t size[], size_t *output)
{
    embedding_sizes(p, size, output);
    size[2] = 2 * p->shape.W;
}

/* `setting`: the later half of each sequence is a second text. */
static struct ft_rows embedding_rows(const struct op *op, const struct problem *p, uint32_t second[SEQUENCES_MAX])
{
    struct ft_rows rows = p->rows;

    for (size_t s = 0; s < rows.sequences; s++)
        second[s] = (rows.offset[s + 1] - rows.offset[s] + 1) / 2;
    if (op->setting)
        rows.second = second;
    return rows;
}

static void embedding_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    uint32_t second[SEQUENCES_MAX];
    struct ft_rows rows = embedding_rows(op, p, second);

    p->k->embedding_forward(y, p->id, in[0], op->inputs > 1 ? in[1] : NULL, op->inputs > 1 ? in[2] : NULL, &rows, 2, p->shape.W);
}

static void embedding_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                                  const float *y)
{
    size_t W = p->shape.W, cut = p->cut % W;
    uint32_t second[SEQUENCES_MAX];
    struct ft_rows rows = embedding_rows(op, p, second);
    float *dposition = op->inputs > 1 ? d[1] : NULL, *dtype = op->inputs > 1 ? d[2] : NULL;

    (void)in, (void)y;
    if (cut > 0)
        p->k->embedding_gradient(d[0], dposition, dtype, dy, p->id, &rows, 2, W, 0, cut);
    p->k->embedding_gradient(d[0], dposition, dtype, dy, p->id, &rows, 2, W, cut, W);
}

/* pool: x[R, W] */

static void pool_sizes(const struct problem *p, size_t size[], size_t *output)
{
    size[0] = p->R * p->shape.W;
    *output = p->rows.sequences * p->shape.W;
}

static void pool_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    p->k->pool_forward((enum ft_pooling)op->setting, y, p->arg, in[0], &p->rows, p->shape.W);
}

static void pool_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[],
                             const float *y)
{
    (void)in, (void)y;
    p->k->pool_backward((enum ft_pooling)op->setting, d[0], dy, p->arg, &p->rows, p->shape.W);
}

/* gem: x[R, W], p[1]; p is moved to where it makes sense */

static float gem_power(float in)
{
    return 3 + in / 4;
}

static void gem_sizes(const struct problem *p, size_t size[], size_t *output)
{
    pool_sizes(p, size, output);
    size[1] = 1;
}

static void gem_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    p->k->gem_forward(y, in[0], gem_power(in[1][0]), 1e-6f, &p->rows, p->shape.W);
}

static void gem_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    (void)op;
    p->k->gem_backward(d[0], dy, y, in[0], gem_power(in[1][0]), 1e-6f, &p->rows, p->shape.W);
    d[1][0] *= 4;
    p->k->gem_gradient(d[1], dy, y, in[0], gem_power(in[1][0]), 1e-6f, &p->rows, p->shape.W);
    d[1][0] /= 4;
}

#include "ops-attend.h"
#include "ops-maps.h"

#define ROWWISE .by_row = true, .in_place = true
#define LINEAR linear_sizes, linear_forward_op, linear_backward_op, ENTRY(linear_forward)
#define ACTIVATION rows_sizes, activation_forward_op, activation_backward_op, ENTRY(activation_forward)
#define ATTENTION attention_sizes, attention_forward_op, attention_backward_op, ENTRY(attention_forward)
#define GATE gate_sizes, gate_forward_op, gate_backward_op, ENTRY(gate_forward)
#define POOL pool_sizes, pool_forward_op, pool_backward_op, ENTRY(pool_forward)

static const struct op ops[] = {
    {"linear", 3, 0, 0, LINEAR, 2e-6, false, false},
    {"linear without bias", 2, 0, 0, LINEAR, 2e-6, false, false},
    {"layer_norm", 3, 0, 0, norm_sizes, norm_forward_op, norm_backward_op, ENTRY(layer_norm_forward), 1e-6, ROWWISE},
    {"rms_norm", 2, 0, 0, norm_sizes, rms_norm_forward_op, rms_norm_backward_op, ENTRY(rms_norm_forward), 1e-6, ROWWISE},
    {"identity", 1, FT_IDENTITY, 0, ACTIVATION, 0, ROWWISE},
    {"gelu", 1, FT_GELU, 0, ACTIVATION, 3e-7, ROWWISE},
    {"gelu_tanh", 1, FT_GELU_TANH, 0, ACTIVATION, 5e-7, ROWWISE},
    {"quick_gelu", 1, FT_QUICK_GELU, 0, ACTIVATION, 5e-7, ROWWISE},
    {"relu", 1, FT_RELU, 0, ACTIVATION, 0, ROWWISE},
    MAP_OPS
    {"tanh", 1, FT_TANH, 0, ACTIVATION, 3e-7, ROWWISE},
    {"silu", 1, FT_SILU, 0, ACTIVATION, 5e-7, ROWWISE},
    {"sigmoid", 1, FT_SIGMOID, 0, ACTIVATION, 3e-7, ROWWISE},
    {"relu6", 1, FT_RELU6, 0, ACTIVATION, 0, ROWWISE},
    {"dropout", 1, 0, 0.1f, rows_sizes, dropout_forward_op, dropout_backward_op, ENTRY(dropout), 0, ROWWISE},
    {"dropout 0", 1, 0, 0, rows_sizes, dropout_forward_op, dropout_backward_op, ENTRY(dropout), 0, ROWWISE},
    {"dropout_add", 2, 0, 0.3f, rows_sizes, dropout_add_forward_op, dropout_add_backward_op, ENTRY(dropout_add), 0, ROWWISE},
    {"dropout_add 0", 2, 0, 0, rows_sizes, dropout_add_forward_op, dropout_add_backward_op, ENTRY(dropout_add), 0, ROWWISE},
    {"attention", 1, 0, 0, ATTENTION, 2e-6, true, false},
    {"attention with dropout", 1, 0, 0.1f, ATTENTION, 2e-6, true, false},
    {"attention, causal", 1, CAUSAL, 0, ATTENTION, 2e-6, true, false},
    {"attention, scaled", 1, SCALED, 0, ATTENTION, 2e-6, true, false},
    {"attention with bias", 2, BIASED, 0, ATTENTION, 2e-6, true, false},
    {"attention, causal, with bias", 2, CAUSAL | SCALED | BIASED, 0, ATTENTION, 2e-6, true, false},
    {"attention with all", 2, CAUSAL | SCALED | BIASED, 0.1f, ATTENTION, 2e-6, true, false},
    {"attention, window", 1, WINDOWED, 0, ATTENTION, 2e-6, true, false},
    {"attention, window, causal", 1, WINDOWED | CAUSAL, 0, ATTENTION, 2e-6, true, false},
    {"attention, window, with all", 2, WINDOWED | SCALED | BIASED, 0.1f, ATTENTION, 2e-6, true, false},
    {"attention, wide window", 1, WIDE, 0.1f, ATTENTION, 2e-6, true, false},
    {"attend", 2, 0, 0, attend_sizes, attend_forward_op, attend_backward_op, ENTRY(attend_forward), 0, false, false},   /* one input has a row an item */
    {"rotary", 1, 0, 0, rotary_sizes, rotary_forward_op, rotary_backward_op, ENTRY(rotary), 2e-7, ROWWISE},
    {"gate gelu", 1, FT_GELU, 0, GATE, 5e-7, true, false},
    {"gate silu", 1, FT_SILU, 0, GATE, 5e-7, true, false},
    {"layer_norm without bias", 2, 0, 0, norm_sizes, norm_forward_op, norm_backward_op, ENTRY(layer_norm_forward), 1e-6, ROWWISE},
    {"embedding", 3, 0, 0, embedding_sizes, embedding_forward_op, embedding_backward_op, ENTRY(embedding_forward), 1e-6, true, false},
    {"embedding of two texts", 3, 1, 0, embedding_two_sizes, embedding_forward_op, embedding_backward_op, ENTRY(embedding_forward), 1e-6, true,
     false},
    {"embedding of words", 1, 0, 0, embedding_sizes, embedding_forward_op, embedding_backward_op, ENTRY(embedding_forward), 1e-6, true, false},
    {"pool mean", 1, FT_POOL_MEAN, 0, POOL, 5e-7, true, false},
    {"pool max", 1, FT_POOL_MAX, 0, POOL, 0, true, false},
    {"pool cls", 1, FT_POOL_CLS, 0, POOL, 0, true, false},
    {"pool mean_sqrt", 1, FT_POOL_MEAN_SQRT, 0, POOL, 5e-7, true, false},
    {"pool last", 1, FT_POOL_LAST, 0, POOL, 0, true, false},
    {"pool weighted_mean", 1, FT_POOL_WEIGHTED_MEAN, 0, POOL, 5e-7, true, false},
    {"gem", 2, 0, 0, gem_sizes, gem_forward_op, gem_backward_op, ENTRY(gem_forward), 2e-6, true, false},
    {"normalize", 1, 0, 0, rows_sizes, normalize_forward_op, normalize_backward_op, ENTRY(normalize_forward), 1e-6, ROWWISE},
    {"add", 2, 0, 0, rows_sizes, add_forward_op, add_backward_op, ENTRY(add), 0, ROWWISE},
    {"multiply", 2, 0, 0, rows_sizes, multiply_forward_op, multiply_backward_op, ENTRY(multiply), 0, ROWWISE},
};
enum { OPS = sizeof ops / sizeof *ops };

static float *floats(size_t count)
{
    return calloc(count + 1, sizeof(float));
}

__attribute__((unused)) static void problem_open(struct problem *p, const struct shape *shape, const struct ft_kernels *k, float rate)
{
    struct ft_random random = ft_random_start(7, shape->W);

    *p = (struct problem){.shape = *shape, .k = k};
    for (size_t s = 0; s < shape->sequences; s++) {
        p->offset[s + 1] = p->offset[s] + (uint32_t)shape->length[s];
        p->number[s] = (uint32_t)(1000 + 3 * s);
    }
    p->R = p->offset[shape->sequences];
    p->rows = (struct ft_rows){shape->sequences, p->offset, p->number, NULL};
    p->dropout = (struct ft_dropout){rate, 0x123456789abcdef0u, 5, 77};
    p->id = calloc(p->R + 1, sizeof *p->id);
    for (size_t r = 0; r < p->R; r++)
        p->id[r] = (int32_t)ft_random_below(&random, shape->O);
    p->aux = floats(2 * p->R);
    p->arg = calloc(shape->sequences * shape->W * MAP_MOST + 1, sizeof *p->arg);
    p->scratch = floats(ft_attention_scratch(longest(p), shape->H, shape->W));
}

__attribute__((unused)) static void problem_close(struct problem *p)
{
    free(p->id);
    free(p->aux);
    free(p->arg);
    free(p->scratch);
}

/* What one op computes: y and the gradients of its inputs. */
struct result {
    float *y, *d[INPUTS_MAX];
    size_t size[INPUTS_MAX], output;
};

__attribute__((unused)) static void result_open(struct result *result, const struct op *op, const struct problem *p)
{
    *result = (struct result){0};
    op->sizes(p, result->size, &result->output);
    result->y = floats(result->output);
    for (int i = 0; i < op->inputs; i++)
        result->d[i] = floats(result->size[i]);
}

__attribute__((unused)) static void result_close(struct result *result)
{
    free(result->y);
    for (int i = 0; i < INPUTS_MAX; i++)
        free(result->d[i]);
}

#endif
