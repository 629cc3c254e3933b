/* test-nearest.c - tiles against plain loops, the k nearest and the ranks against sorting everything: ties,
 * duplicates, exclusions, sizes around the tile's and the block's, any number of threads. */
#include "base/pool.h"
#include "base/random.h"
#include "eval/nearest.h"
#include "eval/tile.h"
#include "../tap.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct ft_random source;

/* Whole numbers below `range`, so that sums are exact and a small range makes ties; 0: normal numbers. */
static float *vectors(size_t count, size_t dim, uint64_t range)
{
    float *v = aligned_alloc(64, (count * dim * sizeof *v + 63) / 64 * 64 + 64);

    for (size_t i = 0; i < count * dim; i++)
        v[i] = range ? (float)ft_random_below(&source, range) - (float)(range / 2)
            : (float)ft_random_normal(&source);
    return v;
}

static double score(enum ft_distance distance, const float *a, const float *b, size_t dim)
{
    double sum = 0;

    for (size_t k = 0; k < dim; k++)
        sum += distance == FT_EUCLIDEAN ? -((double)a[k] - b[k]) * ((double)a[k] - b[k]) : (double)a[k] * b[k];
    return sum;
}

static void test_tile(const char *name)
{
    const struct ft_tile *tile = ft_tile_named(name);
    enum { DIM = 37 };
    double worst = 0;
    bool same = true, masks = true;

    if (!tile) {
        ok(true, "tile %s # SKIP not on this CPU", name);
        return;
    }
    float *a = vectors(tile->rows, DIM, 0), *b = vectors(tile->columns, DIM, 0);
    float *pa = vectors(tile->rows, DIM, 0), *pb = vectors(tile->columns, DIM, 0);
    float *out = vectors(tile->rows, tile->columns, 0), *again = vectors(tile->rows, tile->columns, 0);
    uint32_t item[FT_TILE_COLUMNS];

    for (size_t i = 0; i < tile->columns; i++)
        item[i] = (uint32_t)i / 2;                             /* each vector twice */
    ft_tile_pack(pa, tile->rows, a, NULL, tile->rows - 1, DIM);
    ft_tile_pack(pb, tile->columns, b, item, tile->columns, DIM);
    for (int distance = FT_DOT; distance <= FT_EUCLIDEAN; distance++) {
        uint32_t (*scores)(const float *, const float *, size_t, const float *, float *) =
            distance == FT_DOT ? tile->dot : tile->squares;
        float threshold[FT_TILE_ROWS];

        for (size_t r = 0; r < tile->rows; r++)
            threshold[r] = -INFINITY;
        masks &= scores(pa, pb, DIM, threshold, out) == (1u << tile->rows) - 1;
        for (size_t r = 0; r < tile->rows - 1; r++)
            for (size_t c = 0; c < tile->columns; c++) {
                double want = score((enum ft_distance)distance, a + r * DIM, b + item[c] * DIM, DIM);
                double got = out[r * tile->columns + c];

                worst = fabs(got - want) > worst ? fabs(got - want) : worst;
                same &= got == (double)out[r * tile->columns + (c & ~1u)];
            }
        for (size_t c = 0; c < tile->columns; c++) {
            uint32_t mask = tile->above(out, out[c]);

            for (size_t i = 0; i < tile->columns; i++)
                masks &= (mask >> i & 1) == (out[i] >= out[c]);
        }
        for (size_t r = 0; r < tile->rows; r++) {
            float largest = -INFINITY, untouched = 7;

            for (size_t c = 0; c < tile->columns; c++)
                largest = fmaxf(largest, out[r * tile->columns + c]);
            for (size_t i = 0; i < tile->rows; i++)
                threshold[i] = i == r ? largest : INFINITY;
            masks &= scores(pa, pb, DIM, threshold, again) == 1u << r && memcmp(again, out, tile->rows * tile->columns * 4) == 0;
            threshold[r] = nextafterf(largest, INFINITY);
            again[0] = untouched;
            masks &= scores(pa, pb, DIM, threshold, again) == 0 && again[0] == untouched;
        }
    }
    for (size_t c = 0; c < tile->columns; c++)
        out[(tile->rows - 1) * tile->columns + c] = NAN;
    masks &= tile->above(out + (tile->rows - 1) * tile->columns, -3e38f) == 0;
    is_close(worst, 0, 5e-5, tile->name);
    ok(same, "%s: equal vectors have equal scores at every place", name);
    ok(masks, "%s: rows and columns are marked where a score is at least the threshold, never NaN", name);
    free(a), free(b), free(pa), free(pb), free(out), free(again);
}

struct naive {
    double score;
    uint32_t item;
};

static int compare(const void *a, const void *b)
{
    const struct naive *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

/* The whole ranking of one query, excluded items last. */
static void rank_all(const struct ft_nearest *n, size_t query, struct naive *order)
{
    for (size_t i = 0; i < n->index_count; i++)
        order[i] = (struct naive){
            score(n->distance, n->query + query * n->dim, n->index + i * n->dim, n->dim), (uint32_t)i};
    for (size_t i = 0; n->excluded && i < n->excluded[query].count; i++)
        order[n->excluded[query].item[i]].score = -INFINITY;
    qsort(order, n->index_count, sizeof *order, compare);
}

static bool check_find(const struct ft_nearest *n, size_t k)
{
    struct ft_match *match = calloc(n->query_count * k + 1, sizeof *match);
    struct naive *order = calloc(n->index_count + 1, sizeof *order);
    bool good = ft_nearest_find(n, k, match) == 0;

    for (size_t q = 0; good && q < n->query_count; q++) {
        rank_all(n, q, order);
        for (size_t i = 0; i < k; i++) {
            bool there = i < n->index_count && order[i].score > -INFINITY;

            good &= match[q * k + i].item == (there ? order[i].item : FT_NO_ITEM);
            good &= !there || fabs(match[q * k + i].score - order[i].score) < 1e-4;
        }
    }
    free(match), free(order);
    return good;
}

/* And the k nearest on the way are those of a search of their own. */
static bool check_ranks(const struct ft_nearest *n, const struct ft_items *relevant, size_t k)
{
    struct ft_match *found = calloc(n->query_count * k + 1, sizeof *found), *same = calloc(n->query_count * k + 1, sizeof *same);
    size_t all = 0, at = 0, *count = calloc(n->query_count + 1, sizeof *count);
    struct naive *order = calloc(n->index_count + 1, sizeof *order);
    struct ft_rank *rank;
    bool good;

    for (size_t q = 0; q < n->query_count; q++)
        all += relevant[q].count;
    rank = calloc(all + 1, sizeof *rank);
    good = ft_nearest_ranks(n, relevant, rank, count, k, found) == 0 && ft_nearest_find(n, k, same) == 0 &&
           memcmp(found, same, n->query_count * k * sizeof *found) == 0;
    memset(rank, 0, (all + 1) * sizeof *rank);
    good &= ft_nearest_ranks(n, relevant, rank, count, 0, NULL) == 0;
    for (size_t q = 0; good && q < n->query_count; at += relevant[q++].count) {
        size_t next = 0;

        rank_all(n, q, order);
        for (size_t i = 0; i < n->index_count && order[i].score > -INFINITY; i++)
            for (size_t j = 0; j < relevant[q].count; j++)
                if (relevant[q].item[j] == order[i].item) {
                    good &= next < count[q] && rank[at + next].rank == i + 1 &&
                        rank[at + next].item == order[i].item;
                    next++;
                }
        good &= next == count[q];
    }
    free(count), free(order), free(rank), free(found), free(same);
    return good;
}

static void test_sizes(size_t queries, size_t items, size_t dim, size_t k, uint64_t range)
{
    float *index = vectors(items, dim, range), *query = vectors(queries, dim, range);
    struct ft_items *excluded = calloc(queries + 1, sizeof *excluded);
    struct ft_items *relevant = calloc(queries + 1, sizeof *relevant);
    uint32_t *self = calloc(queries + 1, sizeof *self), *numbers = calloc(items + 1, sizeof *numbers);
    uint32_t seventh = 0;
    bool found = true, ranked = true;

    for (size_t i = 0; i < items; i += 7)
        numbers[seventh++] = (uint32_t)i;
    for (size_t q = 0; q < queries; q++) {
        self[q] = items ? (uint32_t)ft_random_below(&source, items) : 0;
        excluded[q] = (struct ft_items){self + q, items && q % 2};
        relevant[q] = (struct ft_items){numbers, q % 5 == 4 ? 0 : seventh};
    }
    for (int distance = FT_DOT; distance <= FT_EUCLIDEAN; distance++)
        for (int with = 0; with < 2; with++) {
            struct ft_nearest n = {(enum ft_distance)distance, dim, index, items, query, queries,
                                   with ? excluded : NULL};

            found &= check_find(&n, k);
            ranked &= check_ranks(&n, relevant, k);
        }
    ok(found, "%zu queries, %zu items, %zu dimensions%s: the %zu nearest are those of a full sort", queries,
       items, dim,
       range == 3 ? " with ties" : "", k);
    ok(ranked, "and so are the ranks of every seventh item");
    free(index), free(query), free(excluded), free(relevant), free(self), free(numbers);
}

enum { Q = 50, N = 3000, DIM = 24, K = 9 };

static int count_one(void *argument)
{
    ++*(size_t *)argument;
    return 0;
}

/* Vectors made ready, and searched: whole, or in pieces with something to do beside. */
static int find(float *index, float *query, size_t piece, struct ft_match *match)
{
    const struct ft_nearest n = {FT_COSINE, DIM, index, N, query, Q, NULL};
    struct ft_finder *finder;
    size_t bad, beside = 0, pieces = 0;
    int result = 0;

    if (ft_vectors_ready(FT_COSINE, index, N, DIM, &bad) < 0 || ft_vectors_ready(FT_COSINE, query, Q, DIM, &bad) < 0)
        return -1;
    if (!piece)
        return ft_nearest_find(&n, K, match);
    if (!(finder = ft_finder_open(&n, K)))
        return -1;
    for (size_t i = 0; result == 0 && i < N; i += piece, pieces++)
        result = ft_finder_add(finder, index + i * DIM, i + piece < N ? piece : N - i, (uint32_t)i, NULL,
                               (struct ft_beside){count_one, &beside});
    if (result == 0)
        result = ft_finder_end(finder, K, match);
    ft_finder_close(finder);
    return beside == pieces ? result : -1;
}

/* In a process of its own: a pool's threads are set once. */
static void find_with(int threads, float *index, float *query, size_t piece, struct ft_match *match)
{
    int ends[2];
    size_t at = 0, size = Q * K * sizeof *match;
    ssize_t got;

    if (pipe(ends) != 0 || fflush(stdout) != 0)
        return;
    if (fork() == 0) {
        ft_pool_set_threads(threads);
        _exit(find(index, query, piece, match) < 0 || write(ends[1], match, size) != (ssize_t)size);
    }
    close(ends[1]);
    while (at < size && (got = read(ends[0], (char *)match + at, size - at)) > 0)
        at += (size_t)got;
    close(ends[0]);
    wait(NULL);
}

static void test_threads(void)
{
    float *index = vectors(N, DIM, 0), *query = vectors(Q, DIM, 0);
    static struct ft_match one[Q * K], three[Q * K], pieces[Q * K], none[Q * K];

    find_with(1, index, query, 0, one);
    find_with(3, index, query, 0, three);
    ok(memcmp(one, none, sizeof one) != 0 && memcmp(one, three, sizeof one) == 0,
       "one thread and three give the same bytes");
    find_with(2, index, query, 7, pieces);
    ok(memcmp(one, pieces, sizeof one) == 0, "so does an index that comes in pieces of 7");
    find_with(3, index, query, 1001, pieces);
    ok(memcmp(one, pieces, sizeof one) == 0, "and of 1001");
    free(index), free(query);
}

static void test_ready(void)
{
    float v[] = {3, 4, 0, 0, 5, 12}, huge[] = {1, 2, 3e30f, 1}, nan[] = {1, 2, NAN, 1};
    size_t bad = 9;

    ok(ft_vectors_ready(FT_COSINE, v, 3, 2, &bad) == 0 && v[0] == 0.6f && v[1] == 0.8f && v[2] == 0 &&
       v[5] == (float)(12.0 / 13),
       "cosine: vectors are scaled to unit length, zeros stay");
    ok(ft_vectors_ready(FT_DOT, huge, 2, 2, &bad) < 0 && bad == 1,
       "a vector whose products could overflow is refused");
    bad = 9;
    ok(ft_vectors_ready(FT_DOT, nan, 2, 2, &bad) < 0 && bad == 1, "so is NaN");
}

int main(void)
{
    source = ft_random_start(7, 0);
    test_tile("plain");
    test_tile("avx2");
    test_tile("avx512");
    test_threads();
    ft_pool_set_threads(2);
    test_sizes(1, 1, 1, 1, 101);
    test_sizes(5, 0, 3, 2, 101);
    test_sizes(13, 33, 5, 40, 3);
    test_sizes(24, 64, 8, 10, 3);
    test_sizes(30, 1000, 3, 20, 3);
    test_sizes(25, 700, 40, 20, 101);
    test_sizes(1500, 40, 2000, 3, 3);       /* several blocks of queries */
    test_ready();
    return done();
}
