/* loss-rows.c - scored pairs, their order (CoSENT), products and cosines, and the scores of a row's texts. */
#include "train/losses/rows.h"

#include <math.h>
#include <stdlib.h>

int ft_row_pairs_find(struct ft_arena *arena, const struct ft_loss_input *input, uint32_t (**items)[2])
{
    uint32_t *count = ft_arena_zero(arena, input->rows, sizeof *count);

    *items = ft_arena_zero(arena, input->rows, sizeof **items);
    if (!count || !*items)
        return -1;
    if (!input->row || !input->score)
        return ft_fail(FT_BAD, "a batch of %s without %s", ft_batch_kind_name(input->kind), input->row ? "scores" : "rows");
    for (size_t i = 0; i < input->n; i++) {
        int32_t row = input->row[i];

        if (row < 0 || (size_t)row >= input->rows || count[row] == 2)
            return ft_fail(FT_BAD, "item %zu is of row %d: expected %zu rows of two items", i, (int)row, input->rows);
        (*items)[row][count[row]++] = (uint32_t)i;
    }
    if (input->n != 2 * input->rows)
        return ft_fail(FT_BAD, "%zu items in %zu rows: expected two a row", input->n, input->rows);
    return 0;
}

struct place {
    double score;
    size_t at;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* log(exp(a) + exp(b)) */
static double log_add(double a, double b)
{
    double most = fmax(a, b);

    return most == -INFINITY ? most : most + log1p(exp(fmin(a, b) - most));
}

/* Sorted by score, the sum over pairs i before j is a sum over i of exp(s_i) times the sum of exp(-s_j) of all scored higher: one pass from the
 * end. The slope of s_j needs the sum of exp(s_i) of all scored lower: one pass from the beginning. Sums are kept as logarithms. */
int ft_rank(struct ft_arena *arena, const struct ft_ranked *ranked, double scale, double *loss, uint64_t *counted)
{
    size_t n = ranked->count;
    struct place *place = ft_arena_zero(arena, n + 1, sizeof *place);
    double *higher = ft_arena_zero(arena, n + 1, sizeof *higher), above = -INFINITY, below = -INFINITY, all = 0;

    if (!place || !higher)
        return -1;
    for (size_t i = 0; i < n; i++)
        place[i] = (struct place){ranked->score[i], i};
    qsort(place, n, sizeof *place, compare_places);
    for (size_t end = n, begin; end > 0; end = begin) {
        for (begin = end; begin > 0 && place[begin - 1].score == place[end - 1].score; begin--) {
            higher[begin - 1] = above;
            all = log_add(all, scale * ranked->similarity[place[begin - 1].at] + above);
        }
        *counted += (uint64_t)(end - begin) * (n - end);
        for (size_t i = end; i > begin; i--)
            above = log_add(above, -scale * ranked->similarity[place[i - 1].at]);
    }
    for (size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && place[end].score == place[begin].score; end++) {
            double s = scale * ranked->similarity[place[end].at];

            ranked->slope[place[end].at] = scale * (exp(s + higher[end] - all) - exp(below - s - all));
        }
        for (size_t i = begin; i < end; i++)
            below = log_add(below, scale * ranked->similarity[place[i].at]);
    }
    *loss = all;
    return 0;
}

int ft_products_make(struct ft_arena *arena, struct ft_products *products, enum ft_similarity similarity, const float *x, size_t n, size_t d)
{
    *products = (struct ft_products){.x = x, .n = n, .d = d, .similarity = similarity};
    if (similarity == FT_SIMILARITY_COSINE && ft_units_make(arena, &products->units, x, n, d) < 0)
        return -1;
    if (similarity == FT_SIMILARITY_COSINE)
        products->x = products->units.unit;
    return 0;
}

double ft_product(const struct ft_products *products, size_t i, size_t j)
{
    const float *u = products->x + i * products->d, *v = products->x + j * products->d;
    double sum = 0;

    if (products->similarity == FT_SIMILARITY_COSINE)
        return 1 - ft_unit_distance(u, v, products->d);
    for (size_t k = 0; k < products->d; k++)
        sum += (double)u[k] * v[k];
    return sum;
}

void ft_product_backward(const struct ft_products *products, size_t i, size_t j, double slope, float *gradient)
{
    size_t d = products->d;

    for (size_t k = 0; k < d; k++) {
        gradient[i * d + k] += (float)(slope * products->x[j * d + k]);
        gradient[j * d + k] += (float)(slope * products->x[i * d + k]);
    }
}

void ft_products_backward(const struct ft_products *products, double scale, float *gradient)
{
    if (products->similarity == FT_SIMILARITY_COSINE) {
        ft_units_backward(&products->units, scale, gradient);
        return;
    }
    for (size_t k = 0; k < products->n * products->d; k++)
        gradient[k] = (float)(scale * gradient[k]);
}

int ft_item_scores(struct ft_arena *arena, const struct ft_loss_call *call, const char *name, const struct ft_role_items *items,
                   enum ft_similarity similarity, double **score)
{
    const struct ft_loss_input *input = call->input;
    struct ft_products products;

    if (!(*score = ft_arena_zero(arena, input->n, sizeof **score)))
        return -1;
    for (size_t i = 0; input->item_score && i < input->n; i++)
        (*score)[i] = input->item_score[i];
    if (input->item_score)
        return 0;
    if (!input->teacher)
        return ft_fail(FT_BAD, "the %s loss learns scores, and the rows have none: give documents a score column, or a model whose similarities "
                       "they are: ft-train --teacher MODEL, or ft-embed -m MODEL --as teacher before ft-loss", name);
    if (ft_products_make(arena, &products, similarity, input->teacher, input->n, input->teacher_d) < 0)
        return -1;
    for (size_t i = 0; i < input->n; i++)
        if (input->role[i] != FT_ANCHOR)
            (*score)[i] = ft_product(&products, items->anchor[input->row[i]], i);
    return 0;
}
