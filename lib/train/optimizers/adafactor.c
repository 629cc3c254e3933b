/* adafactor.c - the mean squares of a matrix as the product of those of its rows and of its columns (Shazeer and Stern 2018), as
 * torch.optim.Adafactor computes it. A vector has its own mean squares v. RMS(x) = |x| / sqrt(count).
 *
 *     rest = step^beta2-decay             R += (mean of g g along rows - R) rest            C likewise along columns
 *     v = R C / max(mean(R), eps1)        vectors: v += (g g - v) rest
 *     u = g / sqrt(max(v, eps1^2))
 *     p = p (1 - lr decay) - max(eps2, RMS(p)) min(lr, 1 / sqrt(step)) u / max(1, RMS(u) / d)
 *
 * lr is the most that a step may be of a parameter's size: torch's default for it is 1e-2. eps1 is the distance from 1 to the next float, as
 * torch's None means for float32. */
#include "train/optimizers/optimizers.h"

#include <float.h>
#include <math.h>

enum { BETA2_DECAY, EPSILON1, EPSILON2, D, DECAY };

static const struct ft_setting_key keys[] = {
    [BETA2_DECAY] = {.name = "beta2-decay", .otherwise = -.8, .low = -1e38, .high = 0},
    [EPSILON1] = {.name = "eps1", .otherwise = FLT_EPSILON, .low = 1e-18, .high = 1e18},
    [EPSILON2] = {.name = "eps2", .otherwise = 1e-3, FT_NOT_NEGATIVE},
    [D] = {.name = "d", .otherwise = 1, .low = 1, .high = 1e38},
    [DECAY] = {.name = "decay", .otherwise = 0, FT_NOT_NEGATIVE},
    {.name = NULL},
};

/* A matrix: the mean of R, R, C, and room for sums by columns. A vector: v. */
static size_t memory(const struct ft_parameter *p)
{
    return p->rank == 1 ? p->columns : 1 + p->rows + 2 * p->columns;
}

static void prepare(const struct ft_optimizer_when *w, struct ft_scalars *s)
{
    s->keep = (float)(1 - w->lr * w->decay);
    s->rest2 = (float)pow(w->step, w->value[BETA2_DECAY]);
    s->epsilon = (float)w->value[EPSILON1];
    s->low = (float)w->value[EPSILON2];
    s->alpha = fmin(w->lr, 1 / sqrt(w->step));
    s->most = w->value[D];
}

static void measure_vector(size_t count, const float *g, double *v, const struct ft_scalars *s)
{
    for (size_t i = 0; i < count; i++) {
        double gradient = (double)g[i] * s->scale;

        v[i] += (gradient * gradient - v[i]) * s->rest2;
    }
}

FT_VECTORISED static void add_squares(double *restrict sum, const float *restrict g, size_t count, double scale)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += g[i] * scale * (g[i] * scale);
}

static void measure(const struct ft_parameter *p, const float *g, const uint8_t *has, double *m, const struct ft_scalars *s)
{
    double *rows = m + 1, *columns = rows + p->rows, *sum = columns + p->columns, mean = 0;

    if (p->rank == 1) {
        measure_vector(p->columns, g, m, s);
        return;
    }
    for (size_t c = 0; c < p->columns; c++)
        sum[c] = 0;
    for (size_t r = 0; r < p->rows; r++) {
        const float *row = g + r * p->columns;
        double square = 0;

        if (!has || has[r]) {
            square = ft_sum_of_squares(row, p->columns) * s->scale * s->scale;
            add_squares(sum, row, p->columns, s->scale);
        }
        rows[r] += (square / (double)p->columns - rows[r]) * s->rest2;
        mean += rows[r];
    }
    for (size_t c = 0; c < p->columns; c++)
        columns[c] += (sum[c] / (double)p->rows - columns[c]) * s->rest2;
    m[0] = mean / (double)p->rows;
}

/* v = row * column[i] */
FT_VECTORISED static void divide(float *restrict g, const double *restrict column, double row, size_t count, double least, float scale)
{
    for (size_t i = 0; i < count; i++) {
        double v = row * column[i];

        g[i] = (float)(g[i] * (double)scale / sqrt(v > least ? v : least));
    }
}

static void update(const struct ft_elements *x, const struct ft_scalars *s)
{
    const struct ft_parameter *p = x->parameter;
    const double *rows = x->memory + 1, *columns = rows + p->rows;
    double epsilon = s->epsilon, mean = x->memory[0] > epsilon ? x->memory[0] : epsilon, least = epsilon * epsilon;

    if (p->rank == 1) {
        divide(x->g, x->memory + x->at, 1, x->count, least, s->scale);
        return;
    }
    for (size_t done = 0, n; done < x->count; done += n) {
        size_t row = (x->at + done) / p->columns, column = (x->at + done) % p->columns;

        n = p->columns - column < x->count - done ? p->columns - column : x->count - done;
        divide(x->g + done, columns + column, rows[row] / mean, n, least, s->scale);
    }
}

static double factor(const struct ft_scalars *s, double p_square, double direction_square, size_t count)
{
    double size = sqrt(p_square / (double)count), length = sqrt(direction_square / (double)count) / s->most;

    return (size > s->low ? size : s->low) * s->alpha / (length > 1 ? length : 1);
}

const struct ft_optimizer_kind ft_optimizer_adafactor = {
    .name = "adafactor", .keys = keys, .memory = memory, .prepare = prepare, .update = update, .factor = factor, .measure = measure};
