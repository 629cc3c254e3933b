/* lbfgs.c - two loops over the remembered pairs. */
#include "eval/lbfgs.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

enum { MEMORY = 10, HALVINGS = 30 };

struct state {
    size_t size;
    double *s[MEMORY], *y[MEMORY], rho[MEMORY];     /* steps, changes of the gradient, 1 / (s y); a ring */
    size_t pairs, next;
    double *direction, *gradient, *x, *new_gradient;
};

static double dot(const double *a, const double *b, size_t size)
{
    double sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += a[i] * b[i];
    return sum;
}

static double largest(const double *a, size_t size)
{
    double most = 0;

    for (size_t i = 0; i < size; i++)
        most = fabs(a[i]) > most ? fabs(a[i]) : most;
    return most;
}

static int start(struct state *state, struct ft_arena *arena, size_t size)
{
    double **rows[] = {&state->direction, &state->gradient, &state->x, &state->new_gradient};

    state->size = size;
    for (int i = 0; i < 4; i++)
        if (!(*rows[i] = ft_arena_zero(arena, size, sizeof(double))))
            return -1;
    for (int i = 0; i < MEMORY; i++)
        if (!(state->s[i] = ft_arena_zero(arena, size, sizeof(double))) || !(state->y[i] = ft_arena_zero(arena, size, sizeof(double))))
            return -1;
    return 0;
}

/* direction = - H gradient. */
static void set_direction(struct state *t)
{
    double alpha[MEMORY], scale = 1;
    double *q = t->direction;

    for (size_t i = 0; i < t->size; i++)
        q[i] = -t->gradient[i];
    for (size_t j = 0; j < t->pairs; j++) {
        size_t at = (t->next + MEMORY - 1 - j) % MEMORY;

        alpha[at] = t->rho[at] * dot(t->s[at], q, t->size);
        for (size_t i = 0; i < t->size; i++)
            q[i] -= alpha[at] * t->y[at][i];
    }
    if (t->pairs) {
        size_t last = (t->next + MEMORY - 1) % MEMORY;

        scale = 1 / (t->rho[last] * dot(t->y[last], t->y[last], t->size));
    }
    for (size_t i = 0; i < t->size; i++)
        q[i] *= scale;
    for (size_t j = t->pairs; j-- > 0;) {
        size_t at = (t->next + MEMORY - 1 - j) % MEMORY;
        double beta = t->rho[at] * dot(t->y[at], q, t->size);

        for (size_t i = 0; i < t->size; i++)
            q[i] += (alpha[at] - beta) * t->s[at][i];
    }
}

static void remember(struct state *t, const double *x)
{
    double *s = t->s[t->next], *y = t->y[t->next], product;

    for (size_t i = 0; i < t->size; i++) {
        s[i] = t->x[i] - x[i];
        y[i] = t->new_gradient[i] - t->gradient[i];
    }
    product = dot(s, y, t->size);
    if (!(product > 0))
        return;
    t->rho[t->next] = 1 / product;
    t->next = (t->next + 1) % MEMORY;
    t->pairs += t->pairs < MEMORY;
}

/* 1: moved, 0: no step makes it smaller, -1. */
static int step(struct state *t, ft_objective *objective, void *argument, double *x, double *value)
{
    double slope = dot(t->direction, t->gradient, t->size), length = t->pairs ? 1 : 1 / (1 + largest(t->gradient, t->size)), new;

    for (int halving = 0; halving < HALVINGS; halving++, length /= 2) {
        for (size_t i = 0; i < t->size; i++)
            t->x[i] = x[i] + length * t->direction[i];
        if (isnan(new = objective(argument, t->x, t->new_gradient)))
            return -1;
        if (new > *value + 1e-4 * length * slope)
            continue;
        remember(t, x);
        memcpy(x, t->x, t->size * sizeof *x);
        memcpy(t->gradient, t->new_gradient, t->size * sizeof *x);
        *value = new;
        return 1;
    }
    return 0;
}

long ft_lbfgs(ft_objective *objective, void *argument, double *x, size_t size, double tolerance, size_t most)
{
    struct ft_arena arena = {NULL};
    struct state t = {.pairs = 0};
    long steps = -1;
    double value;

    if (start(&t, &arena, size) == 0 && !isnan(value = objective(argument, x, t.gradient))) {
        int moved = 1;

        for (steps = 0; moved > 0 && (size_t)steps < most && largest(t.gradient, size) > tolerance; steps++) {
            set_direction(&t);
            moved = step(&t, objective, argument, x, &value);
        }
        steps = moved < 0 ? -1 : steps;
    }
    ft_arena_free(&arena);
    return steps;
}
