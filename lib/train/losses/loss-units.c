/* loss-units.c - vectors at unit length and back, and who is who in rows of pairs and triplets. */
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

int ft_units_make(struct ft_arena *arena, struct ft_units *units, const float *x, size_t n, size_t d)
{
    units->n = n;
    units->d = d;
    units->unit = ft_arena_zero(arena, n * d, sizeof(float));
    units->length = ft_arena_zero(arena, n, sizeof(float));
    if (!units->unit || !units->length)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const float *from = x + i * d;
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

void ft_units_backward(const struct ft_units *units, double scale, float *gradient)
{
    size_t d = units->d;

    for (size_t i = 0; i < units->n; i++) {
        const float *u = units->unit + i * d;
        float *g = gradient + i * d;
        double along = dot(u, g, d), factor = units->length[i] >= SHORTEST ? scale / units->length[i] : 0;

        for (size_t k = 0; k < d; k++)
            g[k] = (float)((g[k] - along * u[k]) * factor);
    }
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

static int find_role(const struct ft_loss_input *input, size_t i, struct ft_role_items *items)
{
    int32_t row = input->row[i];
    uint32_t *place;

    if (row < 0 || (size_t)row >= input->rows)
        return ft_fail(FT_BAD, "item %zu is of row %d, and the batch has %zu rows", i, (int)row, input->rows);
    if (input->role[i] == FT_NEGATIVE) {
        items->first[row + 1]++;
        return 0;
    }
    if (input->role[i] != FT_ANCHOR && input->role[i] != FT_POSITIVE)
        return ft_fail(FT_BAD, "item %zu of row %d has no role: expected anchor, positive or negative", i, (int)row);
    place = input->role[i] == FT_ANCHOR ? &items->anchor[row] : &items->positive[row];
    if (*place != UINT32_MAX)
        return ft_fail(FT_BAD, "row %d has two items of role %s", (int)row, ft_role_name(input->role[i]));
    *place = (uint32_t)i;
    return 0;
}

int ft_role_items_find(struct ft_arena *arena, const struct ft_loss_input *input, struct ft_role_items *items)
{
    size_t rows = input->rows, negatives = 0;

    if (!input->role || !input->row)
        return ft_fail(FT_BAD, "a batch of %s without roles: expected an anchor and a positive in each row",
                       ft_batch_kind_name(input->kind));
    items->anchor = ft_arena_zero(arena, rows, sizeof(uint32_t));
    items->positive = ft_arena_zero(arena, rows, sizeof(uint32_t));
    items->negative = ft_arena_zero(arena, input->n, sizeof(uint32_t));
    items->first = ft_arena_zero(arena, rows + 1, sizeof(uint32_t));
    if (!items->anchor || !items->positive || !items->negative || !items->first)
        return -1;
    for (size_t r = 0; r < rows; r++)
        items->anchor[r] = items->positive[r] = UINT32_MAX;
    for (size_t i = 0; i < input->n; i++)
        if (find_role(input, i, items) < 0)
            return -1;
    for (size_t r = 0; r < rows; r++)
        if (items->anchor[r] == UINT32_MAX || items->positive[r] == UINT32_MAX)
            return ft_fail(FT_BAD, "row %zu has no %s", r, items->anchor[r] == UINT32_MAX ? "anchor" : "positive");
    /* first[r + 1] holds a count; make it where row r's begin, and let filling move it to where they end. */
    for (size_t r = 0; r < rows; r++) {
        size_t count = items->first[r + 1];

        items->first[r + 1] = (uint32_t)negatives;
        negatives += count;
    }
    for (size_t i = 0; i < input->n; i++)
        if (input->role[i] == FT_NEGATIVE)
            items->negative[items->first[input->row[i] + 1]++] = (uint32_t)i;
    items->negatives = negatives;
    return 0;
}
