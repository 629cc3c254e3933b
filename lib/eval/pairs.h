/* pairs.h - pairs with a score and triplets: how well similarities agree with what people said.
 *
 * Of every pair three similarities, in doubles: cosine (0 where a vector is), the dot product, and minus the euclidean
 * distance. Figures have sentence-transformers' names and, ties included, its meanings (6.2):
 *
 *   sts              pearson_D, spearman_D     correlation of similarity and score; ranks of ties are averaged
 *                                              (EmbeddingSimilarityEvaluator)
 *   pair classes     scores 1 (alike) and 0. A threshold lies between two neighbouring similarities that differ, or beyond the
 *                    last; D_accuracy, D_f1 are the best over all thresholds, the first of equals from above, with their
 *                    _threshold (of euclidean as a distance); D_precision, D_recall, D_mcc are those at the threshold of f1;
 *                    D_ap is the average precision, pairs of equal similarity found together (BinaryClassificationEvaluator,
 *                    scikit-learn's average_precision_score)
 *   triplets         D_accuracy                the share whose anchor is nearer to the positive than to the negative; equally
 *                                              near is wrong (TripletEvaluator)
 *
 * with D one of cosine, dot, euclidean. */
#ifndef FT_EVAL_PAIRS_H
#define FT_EVAL_PAIRS_H

#include "eval/collection.h"
#include "eval/nearest.h"
#include "eval/resample.h"

/* Vectors of the first item of a tuple, and of the others. */
struct ft_sides {
    const float *first, *other;        /* [items, dim] */
    size_t dim;
};

/* How near two vectors are, by enum ft_distance. */
void ft_similarities(const float *a, const float *b, size_t dim, double similarity[3]);

struct ft_pairs {
    size_t count;
    double *score;                     /* [count] */
    uint32_t *score_order;             /* [count] the highest first */
    double *similarity[3];             /* [count] by enum ft_distance */
    uint32_t *order[3];                /* the same order of each */
};

/* From the arena. */
int ft_pairs_make(struct ft_pairs *pairs, struct ft_arena *arena, const struct ft_tuple *tuple, size_t count,
                  const struct ft_sides *sides);

enum { FT_STS_FIGURES = 6, FT_PAIR_FIGURES = 24, FT_TRIPLET_FIGURES = 3 };
extern const char *const ft_sts_names[FT_STS_FIGURES], *const ft_pair_names[FT_PAIR_FIGURES], *const ft_triplet_names[FT_TRIPLET_FIGURES];

/* Statistics (resample.h) of struct ft_pairs. `room` is [2][count] for sts, not looked at by classes. */
void ft_sts_of(const void *pairs, const uint32_t *weight, double *room, double *value);
void ft_pair_classes_of(const void *pairs, const uint32_t *weight, double *room, double *value);

/* each[count][FT_TRIPLET_FIGURES]: 1 or 0, for ft_means_of. */
void ft_triplets_of(const struct ft_tuple *tuple, size_t count, const struct ft_sides *sides, double *each);

#endif
