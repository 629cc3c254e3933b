/* margin-mse.c - the margin of a positive over a negative as somebody else has it (Hofstaetter et al. 2020): the mean over positives p
 * and negatives n of all rows of ((s(a, p) - s(a, n)) - (score(p) - score(n)))^2.
 *
 * s is the product of the embeddings as they are, or with similarity=cosine their cosine. Scores are the rows' own; rows without scores take those of
 * a teacher: the same similarity of its embeddings. sentence-transformers' MarginMSELoss with any number of negatives. */
#include "train/losses/rows.h"

enum { SIMILARITY };

static const struct ft_setting_key keys[] = {
    [SIMILARITY] = {.name = "similarity", .choices = "dot cosine"},
    {.name = NULL},
};

static unsigned asks(const double *value)
{
    (void)value;
    return FT_ASKS_TEACHER;
}

/* All terms of one row. */
static void add_row(const struct ft_products *products, const struct ft_role_items *items, size_t r, const double *score,
                    double *loss, float *gradient, uint64_t *counted)
{
    size_t a = items->anchor[r];

    for (size_t i = items->positive.first[r]; i < items->positive.first[r + 1]; i++)
        for (size_t j = items->negative.first[r]; j < items->negative.first[r + 1]; j++) {
            size_t p = items->positive.item[i], n = items->negative.item[j];
            double off = ft_product(products, a, p) - ft_product(products, a, n) - (score[p] - score[n]);

            *loss += off * off;
            *counted += 1;
            ft_product_backward(products, a, p, 2 * off, gradient);
            ft_product_backward(products, a, n, -2 * off, gradient);
        }
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    enum ft_similarity similarity = (enum ft_similarity)call->value[SIMILARITY];
    struct ft_products products;
    struct ft_role_items items;
    double *score, share;

    if (ft_role_items_find(arena, input, &items) < 0 || ft_item_scores(arena, call, "margin-mse", &items, similarity, &score) < 0 ||
        ft_products_make(arena, &products, similarity, input->embedding, input->n, input->d) < 0)
        return -1;
    for (size_t r = 0; r < input->rows; r++)
        add_row(&products, &items, r, score, loss, gradient, counted);
    share = *counted ? 1 / (double)*counted : 0;
    *loss *= share;
    ft_products_backward(&products, share, gradient);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

const struct ft_loss ft_loss_margin_mse = {
    .name = "margin-mse",
    .purpose = "the margin of a positive over a negative is that of the scores or of a teacher",
    .kinds = FT_LOSS_TAKES(FT_BATCH_TRIPLETS),
    .keys = keys,
    .asks = asks,
    .compute = compute,
};
