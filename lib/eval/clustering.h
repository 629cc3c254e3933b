/* clustering.h - do documents of one label lie together? k-means, and how well its clusters agree with the labels.
 *
 * k-means: centroids by k-means++ (Arthur and Vassilvitskii 2007), then Lloyd's iteration until they move by less than 1e-4 of
 * the mean variance of a dimension (as scikit-learn's KMeans) or 300 times. A cluster that is left without documents gets the one
 * furthest from its own centroid. Seeded; the same for any number of threads.
 *
 * Agreement, with logarithms to base e, H entropies and I mutual information (scikit-learn's functions of these names):
 *
 *   nmi            I / ((H(labels) + H(clusters)) / 2)   normalized_mutual_info_score with its arithmetic mean; v_measure is the
 *                                                        same number (Rosenberg and Hirschberg 2007)
 *   homogeneity    I / H(labels)        completeness    I / H(clusters)        (1 where that entropy is 0)
 *   ari            adjusted Rand index (Hubert and Arabie 1985)
 *   purity         the share of documents whose label is the commonest of their cluster */
#ifndef FT_EVAL_CLUSTERING_H
#define FT_EVAL_CLUSTERING_H

#include "base/memory.h"
#include "eval/resample.h"

/* cluster[count] of x[count, dim], in [0, k); k at most count. */
int ft_kmeans(const float *x, size_t count, size_t dim, size_t k, uint64_t seed, uint32_t *cluster);

/* Two ways to part `units` documents. */
struct ft_partitions {
    size_t units, classes, clusters, cells;
    const uint32_t *class, *cluster;   /* [units] */
    uint32_t *cell;                    /* [units] which (class, cluster) */
    uint32_t *cell_class, *cell_cluster;   /* [cells] */
};
int ft_partitions_make(struct ft_partitions *partitions, struct ft_arena *arena, const uint32_t *class, size_t classes,
                       const uint32_t *cluster, size_t clusters, size_t units);

enum { FT_CLUSTERING_FIGURES = 6 };
extern const char *const ft_clustering_names[FT_CLUSTERING_FIGURES];

/* A statistic (resample.h) of partitions; `room` is [cells + classes + 2 clusters]. */
void ft_clustering_of(const void *partitions, const uint32_t *weight, double *room, double *value);

#endif
