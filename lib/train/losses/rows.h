/* rows.h - what losses over rows share: pairs with scores, anchors with scored texts, and similarities that are cosines or products. */
#ifndef FT_TRAIN_ROWS_H
#define FT_TRAIN_ROWS_H

#include "train/losses/losses.h"

/* The two items of each row of a scored batch, in their order: items[rows]. FT_BAD where a row has not two, or there are no scores. */
int ft_row_pairs_find(struct ft_arena *arena, const struct ft_loss_input *input, uint32_t (**items)[2]);

/* Pairs of items and what their similarities should be ordered by. */
struct ft_ranked {
    size_t count;
    uint32_t (*items)[2];      /* [count] */
    double *score;             /* [count] */
    double *similarity;        /* [count] */
    double *slope;             /* [count] d loss / d similarity */
};

/* CoSENT: log(1 + sum of exp(scale (s_i - s_j)) over all pairs i, j with score_i < score_j). Fills slope. O(count log count). `counted`: such i, j. */
int ft_rank(struct ft_arena *arena, const struct ft_ranked *ranked, double scale, double *loss, uint64_t *counted);

/* Similarities as a key's choice has them: "dot cosine". */
enum ft_similarity { FT_SIMILARITY_DOT, FT_SIMILARITY_COSINE };

/* Vectors to take products of: the embeddings themselves, or, for cosines, at unit length. */
struct ft_products {
    const float *x;            /* [n, d] */
    size_t n, d;
    struct ft_units units;     /* of cosines */
    enum ft_similarity similarity;
};

int ft_products_make(struct ft_arena *arena, struct ft_products *products, enum ft_similarity similarity, const float *x, size_t n, size_t d);
double ft_product(const struct ft_products *products, size_t i, size_t j);
/* gradients of items i and j += slope times the other one; then, once, ft_products_backward: by the embeddings, times `scale`. */
void ft_product_backward(const struct ft_products *products, size_t i, size_t j, double slope, float *gradient);
void ft_products_backward(const struct ft_products *products, double scale, float *gradient);

/* What each item's similarity to its row's anchor should be: the batch's own scores, or else the teacher's similarities. score[n]; FT_BAD
 * where there are neither. */
int ft_item_scores(struct ft_arena *arena, const struct ft_loss_call *call, const char *name, const struct ft_role_items *items,
                   enum ft_similarity similarity, double **score);

#endif
