/* optimizer.c - an optimizer's state and steps: blocks of the parameters on the pool, rows of a table only where there is something to do. */
#include "train/optimizers/optimizers.h"
#include "base/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 14, LANES = 16 };

/* A run of elements that is updated alike: part of a dense parameter. */
struct piece {
    size_t at, count;            /* in the parameter */
    int parameter;
};

/* Of a row of the table. */
enum { NEVER, NEW, EVER };       /* had a gradient; NEW: in this step for the first time */

struct ft_optimizer {
    struct ft_parameters parameters;
    struct ft_optimizer_settings settings;
    int blocks;
    float *state[FT_OPTIMIZER_BLOCKS];
    double *memory;              /* [0] steps done, then place[i].. of each parameter */
    size_t memory_count, *place;
    double *decay;               /* [parameters] */
    struct ft_scalars *scalars;  /* [parameters], of this step */
    double *factor;              /* [parameters], of kinds that have one */
    struct piece *pieces;        /* dense parameters in blocks */
    size_t piece_count;
    int table;                   /* the parameter that is one, or -1 */
    size_t rows;                 /* its */
    uint8_t *ever;               /* [rows] */
    uint32_t *batch_rows;        /* those touched since the last step, each once, in the order of first appearance */
    size_t batch_row_count;
    uint8_t *in_batch;           /* [rows] */
    double *sums;                /* [pieces + rows]: squares of the gradient by touched rows, or of the direction */
    double *squares;             /* [pieces + rows]: of the parameters, NAN = not known; for kinds with a factor */
};

double ft_clip_scale(double norm, double clip)
{
    return clip > 0 && norm > clip ? clip / (norm + 1e-6) : 1;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

static int list_pieces(struct ft_optimizer *o)
{
    size_t count = 0;

    for (int i = 0; i < o->parameters.count; i++)
        count += o->parameters.list[i].rows * o->parameters.list[i].columns / BLOCK + 1;
    if (!(o->pieces = ft_resize(NULL, count + 1, sizeof *o->pieces)))
        return -1;
    o->table = -1;
    for (int i = 0; i < o->parameters.count; i++) {
        const struct ft_parameter *p = &o->parameters.list[i];
        size_t size = p->rows * p->columns;

        if (!ft_parameter_learns(p))
            continue;
        if (p->table && o->table < 0) {
            o->table = i;
            o->rows = p->rows;
            continue;
        }
        for (size_t at = 0; at < size; at += BLOCK)
            o->pieces[o->piece_count++] = (struct piece){at, size - at < BLOCK ? size - at : BLOCK, i};
    }
    return 0;
}

/* What each parameter has of its own. */
static int place_parameters(struct ft_optimizer *o, const double *decay)
{
    size_t count = (size_t)o->parameters.count + 1;
    const struct ft_optimizer_kind *kind = o->settings.kind;

    o->place = calloc(count, sizeof *o->place);
    o->decay = calloc(count, sizeof *o->decay);
    o->scalars = calloc(count, sizeof *o->scalars);
    o->factor = calloc(count, sizeof *o->factor);
    if (!o->place || !o->decay || !o->scalars || !o->factor)
        return ft_fail(FT_SYSTEM, "out of memory");
    o->memory_count = 1;
    for (int i = 0; i < o->parameters.count; i++) {
        const struct ft_parameter *p = &o->parameters.list[i];

        o->decay[i] = decay ? decay[i] : p->decay ? ft_optimizer_decay(&o->settings) : 0;
        o->place[i] = o->memory_count;
        o->memory_count += kind->memory && ft_parameter_learns(p) ? kind->memory(p) : 0;
    }
    o->memory = calloc(o->memory_count, sizeof *o->memory);
    return o->memory ? 0 : ft_fail(FT_SYSTEM, "out of memory");
}

static int take_state(struct ft_optimizer *o)
{
    o->blocks = o->settings.kind->blocks ? o->settings.kind->blocks(o->settings.value) : 0;
    for (int i = 0; i < o->blocks; i++)
        if (!(o->state[i] = ft_parameters_zeros(&o->parameters)))
            return -1;
    o->ever = calloc(o->rows + 1, 1);
    o->in_batch = calloc(o->rows + 1, 1);
    o->batch_rows = calloc(o->rows + 1, sizeof *o->batch_rows);
    o->sums = calloc(o->piece_count + o->rows + 1, sizeof *o->sums);
    o->squares = calloc(o->piece_count + o->rows + 1, sizeof *o->squares);
    if (!o->ever || !o->in_batch || !o->batch_rows || !o->sums || !o->squares)
        return ft_fail(FT_SYSTEM, "out of memory");
    for (size_t r = 0; r < o->rows; r++)
        o->squares[o->piece_count + r] = NAN;
    return 0;
}

struct ft_optimizer *ft_optimizer_open(const struct ft_parameters *parameters, const struct ft_optimizer_settings *settings, const double *decay)
{
    struct ft_optimizer *o = calloc(1, sizeof *o);

    if (!o) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    o->parameters = *parameters;
    o->settings = *settings;
    if (list_pieces(o) == 0 && place_parameters(o, decay) == 0 && take_state(o) == 0)
        return o;
    ft_optimizer_close(o);
    return NULL;
}

void ft_optimizer_close(struct ft_optimizer *o)
{
    if (!o)
        return;
    for (int i = 0; i < o->blocks; i++)
        ft_parameters_zeros_free(&o->parameters, o->state[i]);
    free(o->memory);
    free(o->place);
    free(o->decay);
    free(o->scalars);
    free(o->factor);
    free(o->pieces);
    free(o->ever);
    free(o->in_batch);
    free(o->batch_rows);
    free(o->sums);
    free(o->squares);
    free(o);
}

/* ---- state -------------------------------------------------------------------------------------------------------------- */

int ft_optimizer_blocks(const struct ft_optimizer *o)
{
    return o->blocks;
}

float *ft_optimizer_block(struct ft_optimizer *o, int i)
{
    return o->state[i];
}

float *ft_optimizer_memory(struct ft_optimizer *o, size_t *count)
{
    *count = o->memory_count * sizeof *o->memory / sizeof(float);
    return (float *)(void *)o->memory;
}

uint64_t ft_optimizer_steps(const struct ft_optimizer *o)
{
    return (uint64_t)o->memory[0];
}

/* A row with a gradient in the past whose state is all zero needs no updates either: as a row that was never touched. */
void ft_optimizer_loaded(struct ft_optimizer *o)
{
    const struct ft_parameter *p = o->table < 0 ? NULL : &o->parameters.list[o->table];

    for (size_t r = 0; r < o->rows; r++) {
        bool any = false;

        for (int b = 0; b < o->blocks; b++)
            for (size_t c = 0; c < p->columns && !any; c++)
                any = o->state[b][p->offset + r * p->columns + c] != 0;
        o->ever[r] = any ? EVER : NEVER;
        o->squares[o->piece_count + r] = NAN;
    }
}

void ft_optimizer_touch(struct ft_optimizer *o, const struct ft_packed *packed)
{
    for (size_t t = 0; o->table >= 0 && t < packed->offset[packed->texts]; t++) {
        uint32_t row = (uint32_t)packed->id[t];

        if (o->in_batch[row])
            continue;
        o->in_batch[row] = 1;
        o->batch_rows[o->batch_row_count++] = row;
    }
}

/* ---- sums --------------------------------------------------------------------------------------------------------------- */

FT_VECTORISED double ft_sum_of_squares(const float *x, size_t count)
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

struct work {
    struct ft_optimizer *o;
    float *gradient;
};

/* Tasks: the dense pieces, then rows of the table, so many a task. */
enum { ROWS = 64 };

static size_t tasks(const struct ft_optimizer *o, size_t rows)
{
    return o->piece_count + (rows + ROWS - 1) / ROWS;
}

static int square_task(void *argument, size_t index, int worker)
{
    const struct work *w = argument;
    struct ft_optimizer *o = w->o;

    (void)worker;
    if (index < o->piece_count) {
        const struct piece *piece = &o->pieces[index];

        o->sums[index] = ft_sum_of_squares(w->gradient + o->parameters.list[piece->parameter].offset + piece->at, piece->count);
    } else {
        const struct ft_parameter *p = &o->parameters.list[o->table];
        size_t first = (index - o->piece_count) * ROWS;

        for (size_t i = first; i < first + ROWS && i < o->batch_row_count; i++)
            o->sums[o->piece_count + i] = ft_sum_of_squares(w->gradient + p->offset + o->batch_rows[i] * p->columns, p->columns);
    }
    return 0;
}

double ft_optimizer_square(struct ft_optimizer *o, const float *gradient)
{
    struct work w = {o, (float *)gradient};
    double sum = 0;

    if (ft_pool_run(tasks(o, o->batch_row_count), square_task, &w) < 0)
        return NAN;
    for (size_t i = 0; i < o->piece_count + o->batch_row_count; i++)
        sum += o->sums[i];
    return sum;
}

/* ---- a step ------------------------------------------------------------------------------------------------------------- */

static void fill(float *x, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        x[i] = value;
}

/* `count` elements of parameter i from `at` on; `begins`: their state does not count yet. */
static struct ft_elements elements(const struct work *w, int i, size_t at, size_t count, bool begins)
{
    struct ft_optimizer *o = w->o;
    const struct ft_parameter *p = &o->parameters.list[i];
    struct ft_elements x = {.p = o->parameters.block + p->offset + at, .g = w->gradient + p->offset + at, .count = count,
                            .parameter = p, .at = at, .memory = o->memory + o->place[i]};

    for (int b = 0; b < o->blocks; b++) {
        x.state[b] = o->state[b] + p->offset + at;
        if (begins && o->scalars[i].initial[b] != 0)
            fill(x.state[b], count, o->scalars[i].initial[b]);
    }
    return x;
}

FT_VECTORISED static void shrink(float *p, size_t count, float keep)
{
    for (size_t i = 0; i < count; i++)
        p[i] *= keep;
}

/* A row of the table: one with a state or a gradient is updated, another decays. With a factor, `known` is its square, and `sum` gets that of
 * its direction. */
static void update_row(const struct work *w, size_t r, double *known, double *sum)
{
    struct ft_optimizer *o = w->o;
    const struct ft_scalars *s = &o->scalars[o->table];
    const struct ft_parameter *p = &o->parameters.list[o->table];
    struct ft_elements x;
    bool active = o->ever[r] != NEVER;

    x = elements(w, o->table, r * p->columns, p->columns, o->ever[r] == NEW);
    if (o->settings.kind->factor) {
        if (isnan(*known))
            *known = ft_sum_of_squares(x.p, x.count);
        if (active)
            o->settings.kind->update(&x, s);
        *sum = active ? ft_sum_of_squares(x.g, x.count) : 0;
    } else if (active) {
        o->settings.kind->update(&x, s);
    } else if (s->keep != 1) {
        shrink(x.p, x.count, s->keep);
    }
    if (active)
        o->ever[r] = EVER;
}

static int update_task(void *argument, size_t index, int worker)
{
    const struct work *w = argument;
    struct ft_optimizer *o = w->o;

    (void)worker;
    if (index < o->piece_count) {
        const struct piece *piece = &o->pieces[index];
        struct ft_elements x = elements(w, piece->parameter, piece->at, piece->count, o->memory[0] == 1);

        if (o->settings.kind->factor)
            o->squares[index] = ft_sum_of_squares(x.p, x.count);
        o->settings.kind->update(&x, &o->scalars[piece->parameter]);
        if (o->settings.kind->factor)
            o->sums[index] = ft_sum_of_squares(x.g, x.count);
    } else {
        size_t first = (index - o->piece_count) * ROWS;

        for (size_t r = first; r < first + ROWS && r < o->rows; r++)
            update_row(w, r, &o->squares[o->piece_count + r], &o->sums[o->piece_count + r]);
    }
    return 0;
}

/* Kinds with a factor: the second pass. */
FT_VECTORISED static void move(float *restrict p, float *restrict g, size_t count, float keep, float factor)
{
    for (size_t i = 0; i < count; i++) {
        p[i] = p[i] * keep - factor * g[i];
        g[i] = 0;
    }
}

static int move_task(void *argument, size_t index, int worker)
{
    const struct work *w = argument;
    struct ft_optimizer *o = w->o;

    (void)worker;
    if (index < o->piece_count) {
        const struct piece *piece = &o->pieces[index];
        struct ft_elements x = elements(w, piece->parameter, piece->at, piece->count, false);

        move(x.p, x.g, x.count, o->scalars[piece->parameter].keep, (float)o->factor[piece->parameter]);
    } else {
        const struct ft_parameter *p = &o->parameters.list[o->table];
        const struct ft_scalars *s = &o->scalars[o->table];
        size_t first = (index - o->piece_count) * ROWS;

        for (size_t r = first; r < first + ROWS && r < o->rows; r++) {
            struct ft_elements x = elements(w, o->table, r * p->columns, p->columns, false);

            if (o->sums[o->piece_count + r] == 0 && s->keep == 1)
                continue;
            move(x.p, x.g, x.count, s->keep, (float)o->factor[o->table]);
            o->squares[o->piece_count + r] = NAN;
        }
    }
    return 0;
}

/* Of each parameter, in the order of its pieces or rows. */
static void find_factors(struct ft_optimizer *o)
{
    const struct ft_optimizer_kind *kind = o->settings.kind;
    const struct ft_parameter *list = o->parameters.list;
    double p = 0, direction = 0;

    for (size_t i = 0; i < o->piece_count; i++) {
        int parameter = o->pieces[i].parameter;

        p += o->squares[i];
        direction += o->sums[i];
        if (i + 1 < o->piece_count && o->pieces[i + 1].parameter == parameter)
            continue;
        o->factor[parameter] = kind->factor(&o->scalars[parameter], p, direction, list[parameter].rows * list[parameter].columns);
        p = direction = 0;
    }
    for (size_t r = 0; r < o->rows; r++) {
        p += o->squares[o->piece_count + r];
        direction += o->sums[o->piece_count + r];
    }
    if (o->rows)
        o->factor[o->table] = kind->factor(&o->scalars[o->table], p, direction, o->rows * list[o->table].columns);
}

static int measure_task(void *argument, size_t index, int worker)
{
    const struct work *w = argument;
    struct ft_optimizer *o = w->o;
    const struct ft_parameter *p = &o->parameters.list[index];

    (void)worker;
    if (ft_parameter_learns(p))
        o->settings.kind->measure(p, w->gradient + p->offset, (int)index == o->table ? o->in_batch : NULL, o->memory + o->place[index],
                                  &o->scalars[index]);
    return 0;
}

static void prepare(struct ft_optimizer *o, const struct ft_optimizer_how *how)
{
    o->memory[0]++;
    for (int i = 0; i < o->parameters.count; i++) {
        const struct ft_optimizer_when when = {o->settings.value, o->memory[0], how->each ? how->each[i] : how->lr, o->decay[i],
                                               o->memory + o->place[i]};

        o->scalars[i] = (struct ft_scalars){.scale = (float)how->scale, .keep = 1};
        if (ft_parameter_learns(&o->parameters.list[i]))
            o->settings.kind->prepare(&when, &o->scalars[i]);
    }
    for (size_t i = 0; i < o->batch_row_count; i++)
        if (o->ever[o->batch_rows[i]] == NEVER)
            o->ever[o->batch_rows[i]] = NEW;
    /* L2 gives every row a gradient, from the first step on. */
    if (o->table >= 0 && o->scalars[o->table].l2 != 0)
        for (size_t r = 0; r < o->rows; r++)
            if (o->ever[r] == NEVER)
                o->ever[r] = o->memory[0] == 1 ? NEW : EVER;
}

int ft_optimizer_step(struct ft_optimizer *o, float *gradient, const struct ft_optimizer_how *how)
{
    const struct ft_optimizer_kind *kind = o->settings.kind;
    struct work w = {o, gradient};

    prepare(o, how);
    if (kind->measure && ft_pool_run((size_t)o->parameters.count, measure_task, &w) < 0)
        return -1;
    if (ft_pool_run(tasks(o, o->rows), update_task, &w) < 0)
        return -1;
    if (kind->factor) {
        find_factors(o);
        if (ft_pool_run(tasks(o, o->rows), move_task, &w) < 0)
            return -1;
    }
    for (size_t i = 0; i < o->batch_row_count; i++)
        o->in_batch[o->batch_rows[i]] = 0;
    o->batch_row_count = 0;
    return 0;
}
