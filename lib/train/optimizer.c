/* optimizer.c - AdamW in one pass over memory, blocks of it on the pool. */
#include "train/optimizer.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/tool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
/* Without contraction every instruction set gives the same bits; wider ones are faster. */
#define VECTORISED __attribute__((optimize("O3"), target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define VECTORISED
#endif

enum { BLOCK = 1 << 14, LANES = 16 };

/* A run of elements that is updated alike: part of a dense parameter, or a row of a table. */
struct piece {
    size_t first, count;
    bool decay;
};

struct ft_optimizer {
    const struct ft_model *model;
    struct ft_optimizer_settings settings;
    float *m, *v;
    struct piece *pieces;        /* dense parameters in blocks */
    size_t piece_count;
    int table;                   /* the parameter that is one, or -1 */
    uint8_t *ever;               /* [table rows] has had a gradient */
    uint32_t *batch_rows;        /* those of this batch, each once */
    size_t batch_row_count;
    uint8_t *in_batch;           /* [table rows] */
    double *sums;                /* partial norms, a piece each, then a table row each */
};

int ft_optimizer_parse(struct ft_optimizer_settings *s, const char *text)
{
    struct ft_setting setting;
    int failed = 0;

    if (ft_setting_parse(&setting, text) < 0)
        return -1;
    if (strcmp(setting.name, "adamw") != 0)
        return ft_fail(FT_USAGE, "unknown optimizer '%s': known are %s", setting.name, ft_optimizer_names());
    if (ft_setting_check(&setting, "beta1 beta2 eps decay") < 0)
        return -1;
    s->beta1 = ft_setting_number(&setting, "beta1", .9, &failed);
    s->beta2 = ft_setting_number(&setting, "beta2", .999, &failed);
    s->epsilon = ft_setting_number(&setting, "eps", 1e-8, &failed);
    s->decay = ft_setting_number(&setting, "decay", 0, &failed);
    if (failed)
        return -1;
    if (!(s->beta1 >= 0 && s->beta1 < 1 && s->beta2 >= 0 && s->beta2 < 1 && s->epsilon > 0 && s->decay >= 0))
        return ft_fail(FT_USAGE, "adamw: expected 0 <= beta1, beta2 < 1, eps > 0, decay >= 0");
    return 0;
}

const char *ft_optimizer_names(void)
{
    return "adamw";
}

static int list_pieces(struct ft_optimizer *o)
{
    size_t count = 0;

    for (int i = 0; i < o->model->parameter_count; i++)
        count += o->model->parameters[i].rows * o->model->parameters[i].columns / BLOCK + 1;
    if (!(o->pieces = calloc(count, sizeof *o->pieces)))
        return ft_fail(FT_SYSTEM, "out of memory");
    o->table = -1;
    for (int i = 0; i < o->model->parameter_count; i++) {
        const struct ft_parameter *p = &o->model->parameters[i];
        size_t size = p->rows * p->columns;

        if (p->frozen)
            continue;
        if (p->table && o->table < 0) {
            o->table = i;
            continue;
        }
        for (size_t at = 0; at < size; at += BLOCK)
            o->pieces[o->piece_count++] = (struct piece){p->offset + at, size - at < BLOCK ? size - at : BLOCK, p->decay};
    }
    return 0;
}

struct ft_optimizer *ft_optimizer_open(const struct ft_model *model, const struct ft_optimizer_settings *settings)
{
    struct ft_optimizer *o = calloc(1, sizeof *o);
    size_t rows;

    if (!o) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    o->model = model;
    o->settings = *settings;
    if (list_pieces(o) < 0 || !(o->m = ft_model_zeros(model)) || !(o->v = ft_model_zeros(model))) {
        ft_optimizer_close(o);
        return NULL;
    }
    rows = o->table < 0 ? 0 : model->parameters[o->table].rows;
    o->ever = calloc(rows + 1, 1);
    o->in_batch = calloc(rows + 1, 1);
    o->batch_rows = calloc(rows + 1, sizeof *o->batch_rows);
    o->sums = calloc(o->piece_count + rows + 1, sizeof *o->sums);
    if (!o->ever || !o->in_batch || !o->batch_rows || !o->sums) {
        ft_fail(FT_SYSTEM, "out of memory");
        ft_optimizer_close(o);
        return NULL;
    }
    return o;
}

void ft_optimizer_close(struct ft_optimizer *o)
{
    if (!o)
        return;
    ft_model_zeros_free(o->model, o->m);
    ft_model_zeros_free(o->model, o->v);
    free(o->pieces);
    free(o->ever);
    free(o->in_batch);
    free(o->batch_rows);
    free(o->sums);
    free(o);
}

float *ft_optimizer_first(struct ft_optimizer *o)
{
    return o->m;
}

float *ft_optimizer_second(struct ft_optimizer *o)
{
    return o->v;
}

void ft_optimizer_loaded(struct ft_optimizer *o)
{
    const struct ft_parameter *p = o->table < 0 ? NULL : &o->model->parameters[o->table];

    for (size_t r = 0; p && r < p->rows; r++) {
        const float *m = o->m + p->offset + r * p->columns, *v = o->v + p->offset + r * p->columns;
        bool any = false;

        for (size_t c = 0; c < p->columns && !any; c++)
            any = m[c] != 0 || v[c] != 0;
        o->ever[r] = any;
    }
}

/* The rows of this batch, in the order of first appearance: the norm is summed in it, and the batch alone decides it. */
static void find_rows(struct ft_optimizer *o, const struct ft_packed *packed)
{
    for (size_t i = 0; i < o->batch_row_count; i++)
        o->in_batch[o->batch_rows[i]] = 0;
    o->batch_row_count = 0;
    for (size_t t = 0; t < packed->offset[packed->texts]; t++) {
        uint32_t row = (uint32_t)packed->id[t];

        if (!o->in_batch[row]) {
            o->in_batch[row] = 1;
            o->batch_rows[o->batch_row_count++] = row;
        }
        o->ever[row] = 1;
    }
}

VECTORISED static double sum_of_squares(const float *x, size_t count)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= count; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k] * x[i + k];
    for (; i < count; i++)
        sum += (double)x[i] * x[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

struct scalars {
    float keep, rest1, beta2, rest2, rate, root, epsilon, scale;
};

/* torch.optim.AdamW: p *= 1 - lr decay; m += (g - m)(1 - b1); v = b2 v + (1 - b2) g g; p -= lr / bias1 * m / (sqrt(v) / sqrt(bias2) + eps) */
VECTORISED static void update(float *restrict p, float *restrict m, float *restrict v, float *restrict g, size_t count,
                              const struct scalars s)
{
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * s.scale;
        float first = m[i] + (gradient - m[i]) * s.rest1;
        float second = v[i] * s.beta2 + gradient * gradient * s.rest2;

        m[i] = first;
        v[i] = second;
        p[i] = p[i] * s.keep - s.rate * (first / (sqrtf(second) * s.root + s.epsilon));
        g[i] = 0;
    }
}

VECTORISED static void shrink(float *p, size_t count, float keep)
{
    for (size_t i = 0; i < count; i++)
        p[i] *= keep;
}

struct work {
    struct ft_optimizer *o;
    float *gradient;
    struct scalars with_decay, without;
};

/* Tasks: the dense pieces, then the table's rows in blocks. */
enum { ROWS = 64 };

static int norm_task(void *argument, size_t index, int worker)
{
    const struct work *w = argument;
    struct ft_optimizer *o = w->o;

    (void)worker;
    if (index < o->piece_count) {
        o->sums[index] = sum_of_squares(w->gradient + o->pieces[index].first, o->pieces[index].count);
    } else {
        const struct ft_parameter *p = &o->model->parameters[o->table];
        size_t first = (index - o->piece_count) * ROWS;

        for (size_t i = first; i < first + ROWS && i < o->batch_row_count; i++)
            o->sums[o->piece_count + i] =
                sum_of_squares(w->gradient + p->offset + o->batch_rows[i] * p->columns, p->columns);
    }
    return 0;
}

static int update_task(void *argument, size_t index, int worker)
{
    const struct work *w = argument;
    struct ft_optimizer *o = w->o;
    float *block = o->model->block;

    (void)worker;
    if (index < o->piece_count) {
        const struct piece *p = &o->pieces[index];

        update(block + p->first, o->m + p->first, o->v + p->first, w->gradient + p->first, p->count,
               p->decay ? w->with_decay : w->without);
    } else {
        const struct ft_parameter *p = &o->model->parameters[o->table];
        size_t first = (index - o->piece_count) * ROWS;

        for (size_t r = first; r < first + ROWS && r < p->rows; r++) {
            size_t at = p->offset + r * p->columns;

            if (o->ever[r])
                update(block + at, o->m + at, o->v + at, w->gradient + at, p->columns, p->decay ? w->with_decay : w->without);
            else if (p->decay && w->with_decay.keep != 1)
                shrink(block + at, p->columns, w->with_decay.keep);
        }
    }
    return 0;
}

static double whole_norm(struct ft_optimizer *o, struct work *w)
{
    double sum = 0;

    if (ft_pool_run(o->piece_count + (o->batch_row_count + ROWS - 1) / ROWS, norm_task, w) < 0)
        return NAN;
    for (size_t i = 0; i < o->piece_count + o->batch_row_count; i++)
        sum += o->sums[i];
    return sqrt(sum);
}

int ft_optimizer_step(struct ft_optimizer *o, float *gradient, const struct ft_packed *packed, uint64_t step, double lr,
                      double clip, double *norm)
{
    const struct ft_optimizer_settings *s = &o->settings;
    double bias1 = 1 - pow(s->beta1, (double)step), bias2 = 1 - pow(s->beta2, (double)step);
    size_t rows = o->table < 0 ? 0 : o->model->parameters[o->table].rows;
    struct work w = {.o = o, .gradient = gradient};

    if (o->table >= 0)
        find_rows(o, packed);
    *norm = whole_norm(o, &w);
    if (!isfinite(*norm))
        return ft_fail(FT_BAD, "the gradient is not finite");
    w.without = (struct scalars){
        .keep = 1,
        .rest1 = (float)(1 - s->beta1),
        .beta2 = (float)s->beta2,
        .rest2 = (float)(1 - s->beta2),
        .rate = (float)(lr / bias1),
        .root = (float)(1 / sqrt(bias2)),
        .epsilon = (float)s->epsilon,
        .scale = clip > 0 && *norm > clip ? (float)(clip / (*norm + 1e-6)) : 1,
    };
    w.with_decay = w.without;
    w.with_decay.keep = (float)(1 - lr * s->decay);
    return ft_pool_run(o->piece_count + (rows + ROWS - 1) / ROWS, update_task, &w);
}
