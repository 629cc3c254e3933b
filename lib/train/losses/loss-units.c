/* loss-units.c - vectors at unit length and back, and who is who in rows of pairs and triplets. */
#include "base/pool.h"
#include "train/losses/losses.h"

#include <math.h>

static const float SHORTEST = 1e-12f;   /* torch.nn.functional.normalize's */

static double dot(const float *a, const float *b, size_t d)
{
    double sum = 0;

    for (size_t i = 0; i < d; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

/* Rows are each on their own; what classes learn may be many of them. */
enum { PIECE_ROWS = 128 };

struct rows {
    const struct ft_units *units;
    const float *x;            /* forward: the vectors */
    float *gradient;           /* backward */
    double scale;
};

static int run_rows(struct rows *rows, int (*f)(void *argument, size_t piece, int worker))
{
    size_t pieces = (rows->units->n + PIECE_ROWS - 1) / PIECE_ROWS;

    return pieces == 1 ? f(rows, 0, 0) : ft_pool_run(pieces, f, rows);
}

static int make_rows(void *argument, size_t piece, int worker)
{
    const struct rows *rows = argument;
    const struct ft_units *units = rows->units;
    size_t d = units->d;

    (void)worker;
    for (size_t i = piece * PIECE_ROWS; i < (piece + 1) * PIECE_ROWS && i < units->n; i++) {
        const float *from = rows->x + i * d;
        float *to = units->unit + i * d;
        double length = sqrt(dot(from, from, d));

        units->length[i] = (float)length;
        if (!(units->length[i] >= SHORTEST))
            continue;
        for (size_t k = 0; k < d; k++)
            to[k] = (float)(from[k] / length);
    }
    return 0;
}

int ft_units_make(struct ft_arena *arena, struct ft_units *units, const float *x, size_t n, size_t d)
{
    units->n = n;
    units->d = d;
    units->unit = ft_arena_zero(arena, n, d * sizeof(float));
    units->length = ft_arena_zero(arena, n, sizeof(float));
    if (!units->unit || !units->length)
        return -1;
    return run_rows(&(struct rows){.units = units, .x = x}, make_rows);
}

static int backward_rows(void *argument, size_t piece, int worker)
{
    const struct rows *rows = argument;
    const struct ft_units *units = rows->units;
    size_t d = units->d;

    (void)worker;
    for (size_t i = piece * PIECE_ROWS; i < (piece + 1) * PIECE_ROWS && i < units->n; i++) {
        const float *u = units->unit + i * d;
        float *g = rows->gradient + i * d;
        double along = dot(u, g, d), factor = units->length[i] >= SHORTEST ? rows->scale / units->length[i] : 0;

        for (size_t k = 0; k < d; k++)
            g[k] = (float)((g[k] - along * u[k]) * factor);
    }
    return 0;
}

void ft_units_backward(const struct ft_units *units, double scale, float *gradient)
{
    run_rows(&(struct rows){.units = units, .gradient = gradient, .scale = scale}, backward_rows);   /* which cannot fail */
}

double ft_unit_distance(const float *u, const float *v, size_t d)
{
    double cosine = 0, square = 0;

    for (size_t i = 0; i < d; i++) {
        double difference = (double)u[i] - v[i];

        cosine += (double)u[i] * v[i];
        square += difference * difference;
    }
    return cosine > .5 ? square / 2 : 1 - cosine;
}

static int list_role(struct ft_arena *arena, const struct ft_loss_input *input, enum ft_role role, struct ft_role_list *list)
{
    list->count = 0;
    list->item = ft_arena_zero(arena, input->n, sizeof(uint32_t));
    list->first = ft_arena_zero(arena, input->rows + 1, sizeof(uint32_t));
    if (!list->item || !list->first)
        return -1;
    /* first[r + 1] counts row r's, then says where they begin; filling moves it to where they end. */
    for (size_t i = 0; i < input->n; i++)
        if (input->role[i] == role)
            list->first[input->row[i] + 1]++;
    for (size_t r = 0; r < input->rows; r++) {
        size_t count = list->first[r + 1];

        list->first[r + 1] = (uint32_t)list->count;
        list->count += count;
    }
    for (size_t i = 0; i < input->n; i++)
        if (input->role[i] == role)
            list->item[list->first[input->row[i] + 1]++] = (uint32_t)i;
    return 0;
}

static int check_items(const struct ft_loss_input *input)
{
    if (!input->role || !input->row)
        return ft_fail(FT_BAD, "a batch of %s without roles: expected an anchor and a positive in each row",
                       ft_batch_kind_name(input->kind));
    for (size_t i = 0; i < input->n; i++) {
        if (input->row[i] < 0 || (size_t)input->row[i] >= input->rows)
            return ft_fail(FT_BAD, "item %zu is of row %d, and the batch has %zu rows", i, (int)input->row[i], input->rows);
        if (input->role[i] != FT_ANCHOR && input->role[i] != FT_POSITIVE && input->role[i] != FT_NEGATIVE)
            return ft_fail(FT_BAD, "item %zu of row %d has no role: expected anchor, positive or negative", i, (int)input->row[i]);
    }
    return 0;
}

int ft_role_items_find(struct ft_arena *arena, const struct ft_loss_input *input, struct ft_role_items *items)
{
    struct ft_role_list anchor;

    if (check_items(input) < 0 || list_role(arena, input, FT_ANCHOR, &anchor) < 0 ||
        list_role(arena, input, FT_POSITIVE, &items->positive) < 0 || list_role(arena, input, FT_NEGATIVE, &items->negative) < 0)
        return -1;
    for (size_t r = 0; r < input->rows; r++) {
        size_t anchors = anchor.first[r + 1] - anchor.first[r];

        if (anchors != 1)
            return ft_fail(FT_BAD, "row %zu has %zu anchors: expected one", r, anchors);
        if (items->positive.first[r + 1] == items->positive.first[r])
            return ft_fail(FT_BAD, "row %zu has no positive", r);
    }
    items->anchor = anchor.item;
    return 0;
}
