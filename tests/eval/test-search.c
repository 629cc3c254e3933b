/* test-search.c - an index that passes by gives what one in memory gives: several blocks, copies of one document, and
 * queries that are documents of the index. */
#include "base/pool.h"
#include "base/random.h"
#include "eval/relevance.h"
#include "eval/search.h"
#include "../tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIM = 4096, COUNT = 5000, QUERIES = 40, K = 12 };     /* 16 kB a vector: three blocks */

/* Small whole numbers, the same for documents i and i + 1000: sums are exact, and every score ties. */
static void fill(float *vector, size_t number)
{
    struct ft_random random = ft_random_start(3, number % 1000);

    for (size_t k = 0; k < DIM; k++)
        vector[k] = (float)(int)(ft_random_word(&random) >> 30) - 1.5f;
}

static int write_stream(const char *path, size_t count, size_t step)
{
    const struct ft_header header = {.kind = FT_DOCUMENTS, .dim = DIM};
    struct ft_writer *writer = ft_writer_open(path, true);
    static float vector[DIM];
    uint64_t dim = DIM;
    char *name[] = {(char *)"test-search"}, text[32];

    if (!writer || ft_writer_header(writer, &header, 1, name) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        msgpack_packer *pk = ft_writer_begin(writer);

        fill(vector, i * step);
        snprintf(text, sizeof text, "%zu", i * step % 4000);      /* of those from 4000 on there is one before */
        msgpack_pack_map(pk, 3);
        ft_pack_text(pk, "id"), ft_pack_text(pk, text);
        ft_pack_text(pk, "text"), ft_pack_text(pk, text);
        ft_pack_text(pk, "embedding"), ft_wire_write(pk, FT_WIRE_F4, 1, &dim, vector);
        if (ft_writer_commit(writer) < 0)
            return -1;
    }
    return ft_writer_end(writer);
}

static int take(struct ft_collection *collection, const char *path)
{
    unsigned long records = 0;

    return ft_collections_read(&collection, 1, path, &records);
}

static void test_stream(const char *index_path, const char *query_path, enum ft_distance distance)
{
    static struct ft_match held[QUERIES * K], passing[QUERIES * K];
    struct ft_contents one = {.model = ""}, two = {.model = ""};
    struct ft_collection index = {.shared = &one, .side = FT_INDEX, .views = 1};
    struct ft_collection queries = {.shared = &one, .side = FT_QUERIES, .views = 1};
    struct ft_collection stream = {.shared = &two, .side = FT_INDEX, .views = 1, .passing = true};
    struct ft_collection again = {.shared = &two, .side = FT_QUERIES, .views = 1};
    struct ft_relevance selves = {.by = NULL};
    const struct ft_search search = {.distance = distance, .k = K, .queries = &again, .index = &stream};
    struct ft_nearest nearest;
    size_t bad;
    bool good = take(&index, index_path) == 0 && take(&queries, query_path) == 0 && take(&again, query_path) == 0 &&
                ft_relevance_selves(&selves, &queries, &index) == 0 &&
                ft_vectors_ready(distance, index.view->vector, COUNT, DIM, &bad) == 0 &&
                ft_vectors_ready(distance, queries.view->vector, QUERIES, DIM, &bad) == 0 &&
                ft_vectors_ready(distance, again.view->vector, QUERIES, DIM, &bad) == 0;

    nearest = (struct ft_nearest){distance, DIM, index.view->vector, COUNT, queries.view->vector, QUERIES, selves.excluded};
    good = good && ft_nearest_find(&nearest, K, held) == 0;
    ok(good && ft_search_fits(&search) && ft_search_stream(&search, index_path, passing) == 0 &&
       memcmp(held, passing, sizeof held) == 0, "%s: the same matches as with the index in memory", ft_distance_name(distance));
    /* Query q is document 97 q, whose copies are those 1000 further on; where it is listed twice both are itself. */
    ok(passing[0].item == 1000 && passing[0].score == passing[1].score && passing[1].item == 2000 &&
       passing[2].item == 3000 && passing[3].score < passing[2].score,
       "%s: copies tie in the order of the index, wherever they are; a query is none of its matches", ft_distance_name(distance));
    ok(stream.gone == COUNT && stream.view->capacity * DIM * sizeof(float) <= 64 << 20, "and no more than two blocks were held");
    ft_relevance_free(&selves);
    ft_collection_free(&index), ft_collection_free(&queries), ft_collection_free(&stream), ft_collection_free(&again);
    ft_contents_free(&one), ft_contents_free(&two);
}

int main(void)
{
    char index[] = "/tmp/test-search-XXXXXX", queries[sizeof index + 2];

    ft_pool_set_threads(3);
    close(mkstemp(index));
    snprintf(queries, sizeof queries, "%s.q", index);
    ok(write_stream(index, COUNT, 1) == 0 && write_stream(queries, QUERIES, 97) == 0, "streams are written");
    test_stream(index, queries, FT_COSINE);
    test_stream(index, queries, FT_DOT);
    test_stream(index, queries, FT_EUCLIDEAN);
    unlink(index), unlink(queries);
    return done();
}
