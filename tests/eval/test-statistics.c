/* test-statistics.c - agreement of partitions against scikit-learn, intervals and p against scipy (tests/golden/eval/peers.py), draws with
 * weights against the pairs written out. */
#include "base/error.h"
#include "base/pool.h"
#include "base/random.h"
#include "eval/clustering.h"
#include "eval/lbfgs.h"
#include "eval/pairs.h"
#include "../tap.h"

#include <stdlib.h>

enum { LABELS = 80, VALUES = 120 };

static FILE *open_golden(const char *path)
{
    FILE *file = fopen(path, "r");

    if (!file) {
        printf("Bail out! no %s\n", path);
        exit(1);
    }
    return file;
}

static double next(FILE *file)
{
    double value = NAN;

    return fscanf(file, "%lf", &value) == 1 ? value : NAN;
}

static void test_partitions(void)
{
    FILE *file = open_golden("tests/golden/eval/clusters.golden");
    uint32_t class[LABELS], cluster[LABELS], one[LABELS] = {0};
    struct ft_arena arena = {NULL};
    struct ft_partitions p;
    double room[LABELS * 4], value[FT_CLUSTERING_FIGURES];

    for (int i = 0; i < LABELS; i++)
        class[i] = (uint32_t)next(file);
    for (int i = 0; i < LABELS; i++)
        cluster[i] = (uint32_t)next(file);
    ok(ft_partitions_make(&p, &arena, class, 6, cluster, 5, LABELS) == 0, "partitions");
    ft_clustering_of(&p, NULL, room, value);
    for (int f = 0; f < FT_CLUSTERING_FIGURES; f++)
        is_close(value[f], next(file), 1e-11, ft_clustering_names[f]);
    fclose(file);
    ok(ft_partitions_make(&p, &arena, one, 1, one, 1, LABELS) == 0, "one label, one cluster");
    ft_clustering_of(&p, NULL, room, value);
    ok(value[0] == 1 && value[2] == 1 && value[3] == 1 && value[4] == 1 && value[5] == 1, "agree in all");
    ft_arena_free(&arena);
}

/* Documents at the corners of a square, and two that are one. */
static void test_kmeans(void)
{
    float x[40][2];
    uint32_t cluster[40];
    bool apart = true;

    for (int i = 0; i < 40; i++) {
        x[i][0] = (float)(i % 4 / 2) * 10 + (float)(i / 4) * .01f;
        x[i][1] = (float)(i % 2) * 10;
    }
    for (uint64_t seed = 0; seed < 20; seed++) {
        ok(ft_kmeans(x[0], 40, 2, 4, seed, cluster) == 0, "k-means, seed %d", (int)seed);
        for (int i = 4; i < 40; i++)
            apart &= cluster[i] == cluster[i % 4];
    }
    ok(apart && cluster[0] != cluster[1] && cluster[0] != cluster[2] && cluster[0] != cluster[3], "corners are clusters");
    memset(x, 0, sizeof x);
    ok(ft_kmeans(x[0], 40, 2, 3, 0, cluster) == 0, "documents that are all alike");
    apart = false;
    for (int i = 0; i < 40; i++)
        apart |= cluster[i] > 2;
    ok(!apart, "have clusters all the same");
    ok(ft_kmeans(x[0], 3, 2, 3, 0, cluster) == 0 && cluster[0] + cluster[1] + cluster[2] == 3, "and as many clusters as documents are one each");
}

static void test_intervals(void)
{
    FILE *file = open_golden("tests/golden/eval/intervals.golden");
    double x[VALUES], y[VALUES], z[VALUES], want[6];
    const struct ft_means mx = {x, VALUES, 1, NULL}, my = {y, VALUES, 1, NULL}, mz = {z, VALUES, 1, NULL};
    struct ft_report report = {.unit = "u"}, before = {.unit = "u"}, other;
    struct ft_resampling how = {VALUES, 1, ft_means_of, {&my, &mx}, 0, 20000, 7};

    for (int i = 0; i < VALUES; i++)
        x[i] = next(file);
    for (int i = 0; i < VALUES; i++)
        y[i] = next(file);
    for (int i = 0; i < VALUES; i++)
        z[i] = next(file);
    for (int i = 0; i < 6; i++)
        want[i] = next(file);
    fclose(file);
    ft_report_add(&report, "f", 0);
    ft_report_add(&before, "f", 0);
    other = report;
    ok(ft_resample(&how, &report, &before) == 0, "draws");
    /* Percentiles of 20,000 draws err by about .0005 here, p by .005; the permutation test's p is another test's of the same question. */
    is_close(before.figure[0].low, want[0], .0015, "the interval of a mean begins where scipy's does");
    is_close(before.figure[0].high, want[1], .0015, "and ends there");
    is_close(report.figure[0].change_low, want[2], .0015, "of a change, paired: its low end");
    is_close(report.figure[0].change_high, want[3], .0015, "its high end");
    is_close(report.figure[0].p, want[4], .02, "p is near that of scipy's permutation test");
    how.data[0] = &mz;
    ok(ft_resample(&how, &report, &before) == 0, "draws of another change");
    is_close(report.figure[0].p, want[5], .05, "and where nothing changed");
    how = (struct ft_resampling){VALUES, 1, ft_means_of, {&my, &my}, 0, 500, 7};
    ok(ft_resample(&how, &report, &before) == 0 && report.figure[0].p == 1 && report.figure[0].change_low == 0, "no change at all: p is 1");
    how.data[1] = NULL;
    ok(ft_resample(&how, &other, NULL) == 0 && other.figure[0].low == report.figure[0].low && isnan(other.figure[0].p) && !other.changes,
       "one model: intervals alone, the same");
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Medians of draws, beside a mean: those of the values written out and sorted, without those that are no numbers. */
static void test_medians(void)
{
    enum { UNITS = 25, DRAWS = 200 };
    struct ft_random random = ft_random_start(6, 0);
    struct ft_arena arena = {NULL};
    double each[UNITS][2], value[2];
    struct ft_means means = {.each = each[0], .units = UNITS, .figures = 2};
    size_t agree = 0;

    for (int u = 0; u < UNITS; u++) {
        each[u][0] = u;
        each[u][1] = u % 7 == 3 ? NAN : (double)ft_random_below(&random, 9);
    }
    ok(ft_means_median(&means, &arena, 1) == 0 && !means.order[0] && means.order[1], "a median of two figures");
    for (int d = 0; d < DRAWS; d++) {
        uint32_t weight[UNITS];
        double written[4 * UNITS], median;
        size_t count = 0;

        for (int u = 0; u < UNITS; u++) {
            weight[u] = d == DRAWS - 1 ? 0 : d == DRAWS - 2 ? u % 7 == 3 : (uint32_t)ft_random_below(&random, 4);
            for (uint32_t i = 0; i < weight[u] && !isnan(each[u][1]); i++)
                written[count++] = each[u][1];
        }
        qsort(written, count, sizeof *written, compare_doubles);
        median = count ? (written[(count - 1) / 2] + written[count / 2]) / 2 : NAN;
        ft_means_of(&means, weight, NULL, value);
        agree += value[1] == median || (isnan(value[1]) && isnan(median));
    }
    ok(agree == DRAWS, "%zu of %d draws", agree, DRAWS);
    ft_means_of(&means, NULL, NULL, value);
    ok(value[0] == (UNITS - 1) / 2., "beside it a mean");
    ft_arena_free(&arena);
}

/* A draw's figures are those of its pairs written out. */
static void test_weights(void)
{
    enum { PAIRS = 30, DIM = 4 };
    struct ft_random random = ft_random_start(5, 0);
    float vector[2 * PAIRS * DIM];
    struct ft_tuple tuple[PAIRS], drawn[PAIRS];
    uint32_t weight[PAIRS] = {0};
    struct ft_arena arena = {NULL};
    const struct ft_sides sides = {vector, vector, DIM};
    struct ft_pairs pairs, written;
    double room[2 * PAIRS], a[FT_PAIR_FIGURES], b[FT_PAIR_FIGURES], worst = 0;

    for (int i = 0; i < 2 * PAIRS * DIM; i++)
        vector[i] = (float)ft_random_below(&random, 3) - 1;
    for (uint32_t i = 0; i < PAIRS; i++)
        tuple[i] = (struct ft_tuple){{2 * i, 2 * i + 1, 0}, (double)ft_random_below(&random, 2)};
    for (int i = 0; i < PAIRS; i++) {
        size_t at = ft_random_below(&random, PAIRS);

        weight[at]++;
        drawn[i] = tuple[at];
    }
    ok(ft_pairs_make(&pairs, &arena, tuple, PAIRS, &sides) == 0 && ft_pairs_make(&written, &arena, drawn, PAIRS, &sides) == 0, "pairs");
    ft_sts_of(&pairs, weight, room, a);
    ft_sts_of(&written, NULL, room, b);
    for (int f = 0; f < FT_STS_FIGURES; f++)
        worst = fmax(worst, fabs(a[f] - b[f]));
    ok(worst < 1e-12 && !isnan(a[0]), "correlations");
    ft_pair_classes_of(&pairs, weight, room, a);
    ft_pair_classes_of(&written, NULL, room, b);
    for (int f = 0; f < FT_PAIR_FIGURES; f++)
        worst = fmax(worst, fabs(a[f] - b[f]));
    ok(worst < 1e-12 && a[0] > 0, "classes");
    ft_arena_free(&arena);
}

/* A quadratic of badly scaled axes; the minimum is at (1, 2, ...). */
static double quadratic(void *argument, const double *x, double *gradient)
{
    double sum = 0;

    *(int *)argument += 1;
    for (int i = 0; i < 8; i++) {
        double scale = pow(4, i), apart = x[i] - (i + 1);

        sum += scale * apart * apart / 2;
        gradient[i] = scale * apart;
    }
    return sum;
}

static double hopeless(void *argument, const double *x, double *gradient)
{
    (void)argument, (void)x, (void)gradient;
    ft_fail(FT_SYSTEM, "hopeless");
    return NAN;
}

static void test_lbfgs(void)
{
    double x[8] = {0}, worst = 0;
    int calls = 0;

    ok(ft_lbfgs(quadratic, &calls, x, 8, 1e-10, 500) > 0 && calls < 200, "a minimum is found");
    for (int i = 0; i < 8; i++)
        worst = fmax(worst, fabs(x[i] - (i + 1)));
    ok(worst < 1e-8, "where it is");
    ok(ft_lbfgs(quadratic, &calls, x, 8, 1e-10, 500) == 0, "from there no step");
    ok(ft_lbfgs(hopeless, NULL, x, 8, 1e-10, 500) < 0, "what cannot be computed is a failure");
}

int main(void)
{
    ft_pool_set_threads(3);
    test_partitions();
    test_kmeans();
    test_intervals();
    test_medians();
    test_weights();
    test_lbfgs();
    return done();
}
