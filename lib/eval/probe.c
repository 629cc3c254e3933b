/* probe.c - logistic regression by L-BFGS. Products are lib/tensor's in fp32, of cuts that are the same for any number of threads; sums over
 * documents and all that the optimizer sees are doubles. */
#include "eval/probe.h"
#include "base/error.h"
#include "base/pool.h"
#include "eval/lbfgs.h"
#include "eval/metrics.h"
#include "tensor/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS = 256,                    /* documents that a thread takes at once */
    SLICE = 32,                    /* outputs that a thread sums the gradient of */
    CHUNK_NUMBERS = 4 << 20,       /* logits that are held */
    MOST_STEPS = 1000,
};

struct fit {
    const struct ft_kernels *kernels;
    const float *x;
    const uint32_t *column;        /* [count] of the class, FT_NO_CLASS: takes no part */
    size_t count, used, dim, outputs, chunk;
    size_t first, rows;            /* the chunk in hand */
    float *w, *b, *z, *dw, *db;    /* z: logits, then what flows back from them */
    double *loss;                  /* [blocks of the chunk] */
    double *gradient;
};

static size_t up(size_t count, size_t step)
{
    return (count + step - 1) / step;
}

/* -log of the class's probability; z becomes probabilities less the class's 1. */
static double softmax(float *z, size_t outputs, uint32_t column)
{
    double most = z[0], sum = 0, of_class = z[column];

    for (size_t o = 1; o < outputs; o++)
        most = (double)z[o] > most ? (double)z[o] : most;
    for (size_t o = 0; o < outputs; o++)
        sum += exp(z[o] - most);
    for (size_t o = 0; o < outputs; o++)
        z[o] = (float)(exp(z[o] - most) / sum - (o == column));
    return log(sum) + most - of_class;
}

/* The same of one logit for two classes. */
static double logistic(float *z, uint32_t column)
{
    double margin = column ? (double)*z : -(double)*z, other = 1 / (1 + exp(margin));

    *z = (float)(column ? -other : other);
    return margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin;
}

static int forward(void *argument, size_t block, int worker)
{
    struct fit *f = argument;
    size_t at = block * ROWS, rows = f->rows - at < ROWS ? f->rows - at : ROWS;
    const float *x = f->x + (f->first + at) * f->dim;
    float *z = f->z + at * f->outputs;

    (void)worker;
    f->kernels->linear_forward(z, x, f->w, NULL, f->b, rows, f->dim, f->outputs);
    f->loss[block] = 0;
    for (size_t r = 0; r < rows; r++, z += f->outputs) {
        uint32_t column = f->column[f->first + at + r];

        if (column == FT_NO_CLASS)
            memset(z, 0, f->outputs * sizeof *z);
        else
            f->loss[block] += f->outputs == 1 ? logistic(z, column) : softmax(z, f->outputs, column);
    }
    return 0;
}

/* A slice of outputs of the chunk's gradient, into the doubles. */
static int backward(void *argument, size_t slice, int worker)
{
    struct fit *f = argument;
    size_t from = slice * SLICE, to = from + SLICE < f->outputs ? from + SLICE : f->outputs;

    (void)worker;
    memset(f->dw + from * f->dim, 0, (to - from) * f->dim * sizeof *f->dw);
    memset(f->db + from, 0, (to - from) * sizeof *f->db);
    f->kernels->linear_gradient(f->dw, f->db, f->z, f->x + f->first * f->dim, NULL, NULL, f->rows, f->dim, f->outputs, from, to);
    for (size_t i = from * f->dim; i < to * f->dim; i++)
        f->gradient[i] += (double)f->dw[i];
    for (size_t o = from; o < to; o++)
        f->gradient[f->outputs * f->dim + o] += (double)f->db[o];
    return 0;
}

static double objective(void *argument, const double *theta, double *gradient)
{
    struct fit *f = argument;
    size_t weights = f->outputs * f->dim;
    double loss = 0, square = 0, n = (double)f->used;

    for (size_t i = 0; i < weights; i++)
        f->w[i] = (float)theta[i];
    for (size_t o = 0; o < f->outputs; o++)
        f->b[o] = (float)theta[weights + o];
    memset(gradient, 0, (weights + f->outputs) * sizeof *gradient);
    f->gradient = gradient;
    for (f->first = 0; f->first < f->count; f->first += f->chunk) {
        f->rows = f->count - f->first < f->chunk ? f->count - f->first : f->chunk;
        if (ft_pool_run(up(f->rows, ROWS), forward, f) < 0 || ft_pool_run(up(f->outputs, SLICE), backward, f) < 0)
            return NAN;
        for (size_t b = 0; b < up(f->rows, ROWS); b++)
            loss += f->loss[b];
    }
    for (size_t i = 0; i < weights; i++) {
        square += theta[i] * theta[i];
        gradient[i] += theta[i];
    }
    for (size_t i = 0; i < weights + f->outputs; i++)
        gradient[i] /= n;
    return (loss + square / 2) / n;
}

/* Columns in the order in which classes were seen. */
static uint32_t *columns_of(struct ft_probe *probe, struct ft_arena *arena, const uint32_t *class, struct fit *f)
{
    uint32_t *of_class = ft_arena_take(arena, probe->classes * sizeof *of_class);
    uint32_t *column = ft_arena_take(arena, f->count * sizeof *column);

    probe->class = ft_arena_take(arena, probe->classes * sizeof *probe->class);
    if (!of_class || !column || !probe->class)
        return NULL;
    for (size_t c = 0; c < probe->classes; c++)
        of_class[c] = FT_NO_CLASS;
    for (size_t i = 0; i < f->count; i++) {
        if ((column[i] = class[i]) == FT_NO_CLASS)
            continue;
        if (of_class[class[i]] == FT_NO_CLASS) {
            of_class[class[i]] = (uint32_t)probe->columns;
            probe->class[probe->columns++] = class[i];
        }
        column[i] = of_class[class[i]];
        f->used++;
    }
    return column;
}

int ft_probe_fit(struct ft_probe *probe, struct ft_arena *arena, const float *x, const uint32_t *class, size_t count, size_t dim,
                 size_t classes)
{
    struct fit f = {.kernels = ft_kernels_cpu(FT_FP32), .x = x, .count = count, .dim = dim};
    size_t size, chunk;
    double *theta;
    long steps;

    *probe = (struct ft_probe){.dim = dim, .classes = classes};
    if (!(f.column = columns_of(probe, arena, class, &f)))
        return -1;
    if (probe->columns < 2)
        return ft_fail(FT_BAD, "%zu labels among the documents to learn from, expected 2 or more", probe->columns);
    f.outputs = probe->columns == 2 ? 1 : probe->columns;
    size = f.outputs * (dim + 1);
    chunk = CHUNK_NUMBERS / f.outputs / ROWS * ROWS;
    f.chunk = chunk < ROWS ? ROWS : chunk > 32 * ROWS ? 32 * ROWS : chunk;
    probe->weight = f.w = ft_arena_zero(arena, f.outputs * dim, sizeof *f.w);
    probe->bias = f.b = ft_arena_zero(arena, f.outputs, sizeof *f.b);
    f.dw = ft_arena_take(arena, f.outputs * dim * sizeof *f.dw);
    f.db = ft_arena_take(arena, f.outputs * sizeof *f.db);
    f.z = ft_arena_take(arena, f.chunk * f.outputs * sizeof *f.z);
    f.loss = ft_arena_take(arena, f.chunk / ROWS * sizeof *f.loss);
    theta = ft_arena_zero(arena, size, sizeof *theta);
    if (!f.w || !f.b || !f.dw || !f.db || !f.z || !f.loss || !theta)
        return -1;
    steps = ft_lbfgs(objective, &f, theta, size, 1e-6, MOST_STEPS);
    for (size_t i = 0; steps >= 0 && i < f.outputs * dim; i++)
        f.w[i] = (float)theta[i];
    for (size_t o = 0; steps >= 0 && o < f.outputs; o++)
        f.b[o] = (float)theta[f.outputs * dim + o];
    probe->iterations = steps < 0 ? 0 : (size_t)steps;
    return steps < 0 ? -1 : 0;
}

/* ---- answers ---- */

struct asked {
    const struct ft_probe *probe;
    const struct ft_kernels *kernels;
    const float *x;
    size_t count, outputs;
    uint32_t *class;
    float *z;                      /* [threads][ROWS, outputs] */
};

static int answer(void *argument, size_t block, int worker)
{
    struct asked *a = argument;
    size_t at = block * ROWS, rows = a->count - at < ROWS ? a->count - at : ROWS;
    float *z = a->z + (size_t)worker * ROWS * a->outputs;

    a->kernels->linear_forward(z, a->x + at * a->probe->dim, a->probe->weight, NULL, a->probe->bias, rows, a->probe->dim, a->outputs);
    for (size_t r = 0; r < rows; r++, z += a->outputs) {
        size_t best = a->outputs == 1 ? *z > 0 : 0;

        for (size_t o = 1; o < a->outputs; o++)
            best = z[o] > z[best] ? o : best;
        a->class[at + r] = a->probe->class[best];
    }
    return 0;
}

int ft_probe_predict(const struct ft_probe *probe, const float *x, size_t count, uint32_t *class)
{
    struct asked a = {probe, ft_kernels_cpu(FT_FP32), x, count, probe->columns == 2 ? 1 : probe->columns, class, NULL};
    int result = -1;

    a.z = ft_resize(NULL, (size_t)ft_pool_threads() * ROWS * a.outputs, sizeof *a.z);
    if (a.z)
        result = ft_pool_run(up(count, ROWS), answer, &a);
    free(a.z);
    return result;
}

const char *const ft_answer_names[] = {"accuracy", "macro_f1"};

void ft_answers_of(const void *data, const uint32_t *weight, double *room, double *value)
{
    const struct ft_answers *a = data;
    double *right = room, *given = room + a->classes, *there = room + 2 * a->classes;
    double all = 0, all_right = 0, f1 = 0, classes = 0;

    memset(room, 0, 3 * a->classes * sizeof *room);
    for (size_t i = 0; i < a->count; i++) {
        double w = weight ? weight[i] : 1;

        if (a->class[i] == FT_NO_CLASS)
            continue;
        all += w;
        there[a->class[i]] += w;
        given[a->given[i]] += w;
        if (a->class[i] == a->given[i]) {
            right[a->class[i]] += w;
            all_right += w;
        }
    }
    for (size_t c = 0; c < a->classes; c++)
        if (there[c] + given[c] > 0) {
            f1 += 2 * right[c] / (there[c] + given[c]);
            classes++;
        }
    value[0] = all > 0 ? all_right / all : NAN;
    value[1] = classes > 0 ? f1 / classes : NAN;
}
