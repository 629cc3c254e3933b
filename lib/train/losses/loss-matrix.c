/* loss-matrix.c - all cosine distances of a batch as one matrix, and slopes by them back to the vectors.
 *
 * Near pairs are taken from the differences of the vectors, for the reason told in loss-compare.c. Pieces are rows, their sizes follow from n
 * alone, and each writes places of its own: the bits do not depend on the number of threads. */
#include "base/pool.h"
#include "tensor/blas.h"
#include "train/losses/labelled.h"

#include <limits.h>

enum { PIECE_ROWS = 32 };

static const float NEAR = 1.f / 32;

struct pieces {
    size_t n;
    void (*f)(void *argument, size_t from, size_t count, int worker);
    void *argument;
};

static int do_piece(void *argument, size_t piece, int worker)
{
    const struct pieces *pieces = argument;
    size_t from = piece * PIECE_ROWS, left = pieces->n - from;

    pieces->f(pieces->argument, from, left < PIECE_ROWS ? left : PIECE_ROWS, worker);
    return 0;
}

int ft_rows_run(size_t n, void (*f)(void *argument, size_t from, size_t count, int worker), void *argument)
{
    return ft_pool_run((n + PIECE_ROWS - 1) / PIECE_ROWS, do_piece, &(struct pieces){n, f, argument});
}

struct matrix {
    const float *unit;
    size_t n, d;
    float *cosine, *slope, *gradient;
};

static void make_rows(void *argument, size_t from, size_t count, int worker)
{
    const struct matrix *m = argument;
    size_t n = m->n, d = m->d;

    (void)worker;
    ft_blas_sgemm(false, true, count, n, d, 1, m->unit + from * d, d, m->unit, d, 0, m->cosine + from * n, n);
    for (size_t i = from; i < from + count; i++) {
        float *row = m->cosine + i * n;

        for (size_t j = i + 1; j < n; j++) {
            row[j] = 1 - row[j];
            if (!(row[j] >= NEAR))
                row[j] = (float)ft_unit_distance(m->unit + i * d, m->unit + j * d, d);
        }
        row[i] = 0;
    }
}

/* A library may give (i, j) and (j, i) other bits: what lies below the diagonal is what lies above it. */
static void mirror_rows(void *argument, size_t from, size_t count, int worker)
{
    const struct matrix *m = argument;

    (void)worker;
    for (size_t i = from; i < from + count; i++)
        for (size_t j = 0; j < i; j++)
            m->cosine[i * m->n + j] = m->cosine[j * m->n + i];
}

int ft_matrix_make(const float *unit, size_t rows, size_t n, size_t d, float *cosine)
{
    struct matrix m = {.unit = unit, .n = n, .d = d, .cosine = cosine};

    if (n > INT_MAX || d > INT_MAX)
        return ft_fail(FT_BAD, "%zu items of %zu dimensions are too many for one batch", n, d);
    return ft_rows_run(rows, make_rows, &m) < 0 || ft_rows_run(rows, mirror_rows, &m) < 0 ? -1 : 0;
}

/* Above the diagonal, both directions of a pair; the rows below are filled from it. */
static void add_rows(void *argument, size_t from, size_t count, int worker)
{
    const struct matrix *m = argument;

    (void)worker;
    for (size_t i = from; i < from + count; i++) {
        m->slope[i * m->n + i] = 0;
        for (size_t j = i + 1; j < m->n; j++)
            m->slope[i * m->n + j] += m->slope[j * m->n + i];
    }
}

static void fill_rows(void *argument, size_t from, size_t count, int worker)
{
    const struct matrix *m = argument;

    (void)worker;
    for (size_t i = from; i < from + count; i++)
        for (size_t j = 0; j < i; j++)
            m->slope[i * m->n + j] = m->slope[j * m->n + i];
}

static void backward_rows(void *argument, size_t from, size_t count, int worker)
{
    const struct matrix *m = argument;
    size_t n = m->n, d = m->d;

    (void)worker;
    for (size_t i = from; i < from + count; i++) {
        const float *u = m->unit + i * d, *cosine = m->cosine + i * n;
        float *slope = m->slope + i * n, *to = m->gradient + i * d;

        for (size_t j = 0; j < n; j++) {
            const float *v = m->unit + j * d;

            if (slope[j] == 0 || cosine[j] >= NEAR)
                continue;
            for (size_t k = 0; k < d; k++)
                to[k] += slope[j] * (u[k] - v[k]);
            slope[j] = 0;
        }
    }
    ft_blas_sgemm(false, false, count, d, n, -1, m->slope + from * n, n, m->unit, d, 1, m->gradient + from * d, d);
}

int ft_matrix_backward(const float *unit, size_t n, size_t d, const float *cosine, float *slope, float *gradient)
{
    struct matrix m = {unit, n, d, (float *)cosine, slope, gradient};

    if (ft_rows_run(n, add_rows, &m) < 0 || ft_rows_run(n, fill_rows, &m) < 0)
        return -1;
    return ft_rows_run(n, backward_rows, &m);
}

int ft_matrix_backward_rows(const float *unit, size_t rows, size_t n, size_t d, const float *cosine, float *slope, float *gradient)
{
    struct matrix m = {unit, n, d, (float *)cosine, slope, gradient};

    for (size_t i = 0; i < rows; i++)
        slope[i * n + i] = 0;
    return ft_rows_run(rows, backward_rows, &m);
}
