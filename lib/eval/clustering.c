/* clustering.c - k-means by exact nearest centroids (nearest.h), and measures of agreement from a table of counts that has a place only for
 * what occurs. */
#include "eval/clustering.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/random.h"
#include "eval/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROUNDS = 300, SHARE = 1 << 10 };

struct means {
    const float *x;
    size_t count, dim, k;
    float *centroid;               /* [k, dim] */
    uint32_t *cluster;             /* [count] */
    struct ft_match *match;        /* [count] */
    double *nearest;               /* [count] squared distance to the nearest centroid so far */
    uint32_t *member;              /* [count] in the order of their clusters, */
    size_t *start;                 /* [k + 1] where each begins */
    double *moved;                 /* [k] */
    size_t newest;                 /* the centroid that is being added */
};

/* ---- the first centroids ---- */

static double square_apart(const float *a, const float *b, size_t dim)
{
    float sums[8] = {0}, sum = 0;
    size_t d = 0;

    for (; d + 8 <= dim; d += 8)
        for (size_t i = 0; i < 8; i++)
            sums[i] += (a[d + i] - b[d + i]) * (a[d + i] - b[d + i]);
    for (; d < dim; d++)
        sum += (a[d] - b[d]) * (a[d] - b[d]);
    for (size_t i = 0; i < 8; i++)
        sum += sums[i];
    return (double)sum;
}

static int come_nearer(void *argument, size_t share, int worker)
{
    struct means *m = argument;
    size_t end = (share + 1) * SHARE < m->count ? (share + 1) * SHARE : m->count;

    (void)worker;
    for (size_t i = share * SHARE; i < end; i++) {
        double apart = square_apart(m->x + i * m->dim, m->centroid + m->newest * m->dim, m->dim);

        if (m->newest == 0 || apart < m->nearest[i])
            m->nearest[i] = apart;
    }
    return 0;
}

/* In proportion to the squared distance; where all are at 0 any. */
static size_t choose(const struct means *m, struct ft_random *random)
{
    double sum = 0, at, passed = 0;
    size_t last = 0;

    for (size_t i = 0; i < m->count; i++)
        sum += m->nearest[i];
    if (!(sum > 0))
        return (size_t)ft_random_below(random, m->count);
    at = ft_random_uniform(random) * sum;
    for (size_t i = 0; i < m->count; i++) {
        if (m->nearest[i] == 0)
            continue;
        last = i;
        if ((passed += m->nearest[i]) > at)
            break;
    }
    return last;
}

static int seed_centroids(struct means *m, uint64_t seed)
{
    struct ft_random random = ft_random_start(seed, 0);

    for (m->newest = 0; m->newest < m->k; m->newest++) {
        size_t chosen = m->newest ? choose(m, &random) : (size_t)ft_random_below(&random, m->count);

        memcpy(m->centroid + m->newest * m->dim, m->x + chosen * m->dim, m->dim * sizeof *m->x);
        if (ft_pool_run((m->count + SHARE - 1) / SHARE, come_nearer, m) < 0)
            return -1;
    }
    return 0;
}

/* ---- Lloyd's iteration ---- */

static void list_members(struct means *m)
{
    memset(m->start, 0, (m->k + 1) * sizeof *m->start);
    for (size_t i = 0; i < m->count; i++)
        m->start[m->cluster[i] + 1]++;
    for (size_t c = 0; c < m->k; c++)
        m->start[c + 1] += m->start[c];
    for (size_t i = m->count; i-- > 0;)
        m->member[--m->start[m->cluster[i] + 1]] = (uint32_t)i;
    memmove(m->start, m->start + 1, m->k * sizeof *m->start);
    m->start[m->k] = m->count;
}

/* An empty cluster takes the document furthest from its centroid out of a cluster that has others. */
static void fill_empty(struct means *m)
{
    for (size_t c = 0; c < m->k; c++) {
        size_t furthest = m->count;

        if (m->start[c + 1] > m->start[c])
            continue;
        for (size_t i = 0; i < m->count; i++) {
            uint32_t of = m->cluster[i];

            if (m->start[of + 1] - m->start[of] > 1 && (furthest == m->count || m->match[i].score < m->match[furthest].score))
                furthest = i;
        }
        m->cluster[furthest] = (uint32_t)c;
        m->match[furthest].score = 0;
        list_members(m);
    }
}

static int assign(struct means *m)
{
    const struct ft_nearest nearest = {.distance = FT_EUCLIDEAN, .dim = m->dim, .index = m->centroid, .index_count = m->k,
                                       .query = m->x, .query_count = m->count};

    if (ft_nearest_find(&nearest, 1, m->match) < 0)
        return -1;
    for (size_t i = 0; i < m->count; i++)
        m->cluster[i] = m->match[i].item;
    list_members(m);
    fill_empty(m);
    return 0;
}

/* The mean of a cluster, its documents in order. */
static int move_centroid(void *argument, size_t c, int worker)
{
    struct means *m = argument;
    float *centroid = m->centroid + c * m->dim;
    double count = (double)(m->start[c + 1] - m->start[c]);

    (void)worker;
    m->moved[c] = 0;
    for (size_t from = 0; from < m->dim; from += 64) {
        size_t width = m->dim - from < 64 ? m->dim - from : 64;
        double sum[64] = {0};

        for (size_t i = m->start[c]; i < m->start[c + 1]; i++)
            for (size_t d = 0; d < width; d++)
                sum[d] += (double)m->x[m->member[i] * m->dim + from + d];
        for (size_t d = 0; d < width; d++) {
            double old = (double)centroid[from + d];

            centroid[from + d] = (float)(sum[d] / count);
            m->moved[c] += (sum[d] / count - old) * (sum[d] / count - old);
        }
    }
    return 0;
}

/* The mean over dimensions. */
static double variance(const struct means *m)
{
    double sum = 0;

    for (size_t d = 0; d < m->dim; d++) {
        double one = 0, two = 0, n = (double)m->count, first = (double)m->x[d];

        for (size_t i = 0; i < m->count; i++) {
            double apart = (double)m->x[i * m->dim + d] - first;

            one += apart;
            two += apart * apart;
        }
        sum += (two - one * one / n) / n;
    }
    return sum / (double)m->dim;
}

static int iterate(struct means *m)
{
    double least = 1e-4 * variance(m);

    for (int round = 0; round < MOST_ROUNDS; round++) {
        double moved = 0;

        if (assign(m) < 0 || ft_pool_run(m->k, move_centroid, m) < 0)
            return -1;
        for (size_t c = 0; c < m->k; c++)
            moved += m->moved[c];
        if (moved <= least)
            break;
    }
    return assign(m);
}

int ft_kmeans(const float *x, size_t count, size_t dim, size_t k, uint64_t seed, uint32_t *cluster)
{
    struct ft_arena arena = {NULL};
    struct means m = {.x = x, .count = count, .dim = dim, .k = k, .cluster = cluster,
                      .centroid = ft_arena_zero(&arena, k * dim, sizeof *m.centroid),
                      .match = ft_arena_zero(&arena, count, sizeof *m.match), .nearest = ft_arena_zero(&arena, count, sizeof *m.nearest),
                      .member = ft_arena_zero(&arena, count, sizeof *m.member), .start = ft_arena_zero(&arena, k + 1, sizeof *m.start),
                      .moved = ft_arena_zero(&arena, k, sizeof *m.moved)};
    int result = -1;

    if (m.centroid && m.match && m.nearest && m.member && m.start && m.moved)
        result = seed_centroids(&m, seed) < 0 || iterate(&m) < 0 ? -1 : 0;
    ft_arena_free(&arena);
    return result;
}

/* ---- agreement ---- */

struct cell {
    uint32_t class, cluster, unit;
};

static int compare_cells(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;

    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    return x->cluster < y->cluster ? -1 : x->cluster > y->cluster;
}

int ft_partitions_make(struct ft_partitions *p, struct ft_arena *arena, const uint32_t *class, size_t classes, const uint32_t *cluster,
                       size_t clusters, size_t units)
{
    struct cell *cell = ft_arena_take(arena, units * sizeof *cell);

    *p = (struct ft_partitions){.units = units, .classes = classes, .clusters = clusters, .class = class, .cluster = cluster,
                                .cell = ft_arena_take(arena, units * sizeof *p->cell),
                                .cell_class = ft_arena_take(arena, units * sizeof *p->cell),
                                .cell_cluster = ft_arena_take(arena, units * sizeof *p->cell)};
    if (!cell || !p->cell || !p->cell_class || !p->cell_cluster)
        return -1;
    for (size_t i = 0; i < units; i++)
        cell[i] = (struct cell){class[i], cluster[i], (uint32_t)i};
    qsort(cell, units, sizeof *cell, compare_cells);
    for (size_t i = 0; i < units; i++) {
        if (i == 0 || compare_cells(&cell[i - 1], &cell[i]) != 0) {
            p->cell_class[p->cells] = cell[i].class;
            p->cell_cluster[p->cells++] = cell[i].cluster;
        }
        p->cell[cell[i].unit] = (uint32_t)(p->cells - 1);
    }
    return 0;
}

const char *const ft_clustering_names[] = {"nmi", "v_measure", "homogeneity", "completeness", "ari", "purity"};

static double entropy(const double *count, size_t counts, double all)
{
    double sum = 0;

    for (size_t i = 0; i < counts; i++)
        if (count[i] > 0)
            sum -= count[i] / all * log(count[i] / all);
    return sum;
}

static double couples(const double *count, size_t counts)
{
    double sum = 0;

    for (size_t i = 0; i < counts; i++)
        sum += count[i] * (count[i] - 1) / 2;
    return sum;
}

static double adjusted_rand(double both, double classes, double clusters, double all)
{
    double expected = all > 0 ? classes * clusters / all : 0, most = (classes + clusters) / 2;

    return most == expected ? 1 : (both - expected) / (most - expected);
}

void ft_clustering_of(const void *data, const uint32_t *weight, double *room, double *value)
{
    const struct ft_partitions *p = data;
    double *cell = room, *class = cell + p->cells, *cluster = class + p->classes, *commonest = cluster + p->clusters;
    double all = 0, mutual = 0, pure = 0, of_classes, of_clusters;

    memset(room, 0, (p->cells + p->classes + 2 * p->clusters) * sizeof *room);
    for (size_t i = 0; i < p->units; i++)
        cell[p->cell[i]] += weight ? weight[i] : 1;
    for (size_t i = 0; i < p->cells; i++) {
        double *most = &commonest[p->cell_cluster[i]];

        all += cell[i];
        class[p->cell_class[i]] += cell[i];
        cluster[p->cell_cluster[i]] += cell[i];
        *most = cell[i] > *most ? cell[i] : *most;
    }
    for (size_t i = 0; i < p->cells; i++)
        if (cell[i] > 0)
            mutual += cell[i] / all * log(all * cell[i] / class[p->cell_class[i]] / cluster[p->cell_cluster[i]]);
    for (size_t c = 0; c < p->clusters; c++)
        pure += commonest[c];
    of_classes = entropy(class, p->classes, all);
    of_clusters = entropy(cluster, p->clusters, all);
    mutual = mutual > 0 ? mutual : 0;
    value[0] = value[1] = of_classes + of_clusters > 0 ? 2 * mutual / (of_classes + of_clusters) : 1;
    value[2] = of_classes > 0 ? mutual / of_classes : 1;
    value[3] = of_clusters > 0 ? mutual / of_clusters : 1;
    value[4] = adjusted_rand(couples(cell, p->cells), couples(class, p->classes), couples(cluster, p->clusters), all * (all - 1) / 2);
    value[5] = pure / all;
}
