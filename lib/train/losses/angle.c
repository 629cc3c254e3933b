/* angle.c - as cosent, of an angle in the complex plane (Li and Li 2023, AnglE): where cosines are near 1 or -1 they hardly move, angles do.
 *
 * The first half of a vector are real parts, the second half imaginary ones (an odd last one has none). With u and v at unit length the similarity is
 *
 *   | u . v + sum over k of (im u_k re v_k - re u_k im v_k) |
 *
 * sentence-transformers' AnglELoss, which follows the authors' code. Triplets are pairs of the anchor with each of its positives, of score 1, and with
 * each of its negatives, of score 0. */
#include "train/losses/rows.h"

#include <math.h>
#include <string.h>

enum { SCALE };

static const struct ft_setting_key keys[] = {
    [SCALE] = {.name = "scale", .otherwise = 20, .low = 1e-3, .high = 1e4},
    {.name = NULL},
};

/* v turned: re part + im part, im part - re part, so that the similarity is |u . turned v|; d numbers, the odd half's missing one being 0. */
static void turn(const float *v, size_t d, double *turned)
{
    size_t half = (d + 1) / 2;

    for (size_t k = 0; k < half; k++) {
        double re = v[k], im = k + half < d ? v[k + half] : 0;

        turned[k] = re - im;
        if (k + half < d)
            turned[k + half] = im + re;
    }
}

/* The other way round: |turned back u . v|. */
static void turn_back(const float *u, size_t d, double *turned)
{
    size_t half = (d + 1) / 2;

    for (size_t k = 0; k < half; k++) {
        double re = u[k], im = k + half < d ? u[k + half] : 0;

        turned[k] = re + im;
        if (k + half < d)
            turned[k + half] = im - re;
    }
}

static double angle(const float *u, const float *v, size_t d, double *turned)
{
    double sum = 0;

    turn(v, d, turned);
    for (size_t k = 0; k < d; k++)
        sum += u[k] * turned[k];
    return sum;
}

static int take(struct ft_arena *arena, struct ft_ranked *ranked, size_t count)
{
    ranked->score = ft_arena_zero(arena, count, sizeof(double));
    ranked->similarity = ft_arena_zero(arena, count, sizeof(double));
    ranked->slope = ft_arena_zero(arena, count, sizeof(double));
    return ranked->score && ranked->similarity && ranked->slope ? 0 : -1;
}

static int list_pairs(struct ft_arena *arena, const struct ft_loss_input *input, struct ft_ranked *ranked)
{
    struct ft_role_items items;

    if (take(arena, ranked, input->n) < 0)
        return -1;
    if (input->kind == FT_BATCH_SCORED) {
        ranked->count = input->rows;
        for (size_t r = 0; input->score && r < input->rows; r++)
            ranked->score[r] = input->score[r];
        return ft_row_pairs_find(arena, input, &ranked->items);
    }
    if (ft_role_items_find(arena, input, &items) < 0 || !(ranked->items = ft_arena_zero(arena, input->n, sizeof *ranked->items)))
        return -1;
    for (size_t i = 0; i < input->n; i++)
        if (input->role[i] != FT_ANCHOR) {
            ranked->score[ranked->count] = input->role[i] == FT_POSITIVE;
            ranked->items[ranked->count][0] = items.anchor[input->row[i]];
            ranked->items[ranked->count++][1] = (uint32_t)i;
        }
    return 0;
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    double *turned = ft_arena_zero(arena, input->d, sizeof *turned);
    struct ft_ranked ranked = {.count = 0};
    struct ft_units units;
    size_t d = input->d;

    if (!turned || ft_units_make(arena, &units, input->embedding, input->n, d) < 0 || list_pairs(arena, input, &ranked) < 0)
        return -1;
    for (size_t r = 0; r < ranked.count; r++)
        ranked.similarity[r] = fabs(angle(units.unit + ranked.items[r][0] * d, units.unit + ranked.items[r][1] * d, d, turned));
    if (ft_rank(arena, &ranked, call->value[SCALE], loss, counted) < 0)
        return -1;
    for (size_t r = 0; r < ranked.count; r++) {
        size_t a = ranked.items[r][0] * d, b = ranked.items[r][1] * d;
        double sum = angle(units.unit + a, units.unit + b, d, turned), slope = sum > 0 ? ranked.slope[r] : sum < 0 ? -ranked.slope[r] : 0;

        for (size_t k = 0; k < d; k++)
            gradient[a + k] += (float)(slope * turned[k]);
        turn_back(units.unit + a, d, turned);
        for (size_t k = 0; k < d; k++)
            gradient[b + k] += (float)(slope * turned[k]);
    }
    ft_units_backward(&units, 1, gradient);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_angle = {
    .name = "angle",
    .purpose = "angles in the order of their scores",
    .kinds = FT_LOSS_TAKES(FT_BATCH_SCORED) | FT_LOSS_TAKES(FT_BATCH_TRIPLETS),
    .keys = keys,
    .compute = compute,
};
