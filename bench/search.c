/* search.c - data for bench/search.sh, and the time of exact search by its parts.
 *
 *     search make COUNT DIM SEED PATH     a stream of documents with unit vectors, each a text of its own, and 1,000 labels
 *     search time INDEX QUERIES K THREADS     one line: seconds to search, to read and to make ready; megabytes
 *
 * Vectors are normal numbers scaled to length 1, a function of SEED alone. The whole command is timed from outside: bench/search.sh. */
#include "base/pool.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/random.h"
#include "base/tool.h"
#include "eval/collection.h"
#include "eval/nearest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MOST_DIM = 1 << 16 };

static int write_document(struct ft_writer *writer, uint64_t number, uint64_t dim, const float *vector)
{
    msgpack_packer *pk = ft_writer_begin(writer);
    char text[64];

    if (!pk)
        return -1;
    msgpack_pack_map(pk, 4);
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    ft_pack_text(pk, "id");
    ft_pack_text(pk, text);
    snprintf(text, sizeof text, "document number %llu", (unsigned long long)number);
    ft_pack_text(pk, "text");
    ft_pack_text(pk, text);
    ft_pack_text(pk, "tags");
    msgpack_pack_map(pk, 1);
    ft_pack_text(pk, "finetuner_label");
    msgpack_pack_uint64(pk, number % 1000);
    ft_pack_text(pk, "embedding");
    ft_wire_write(pk, FT_WIRE_F4, 1, &dim, vector);
    return ft_writer_commit(writer);
}

static int make(uint64_t count, uint64_t dim, uint64_t seed, const char *path, int argc, char **argv)
{
    const struct ft_header header = {.kind = FT_DOCUMENTS, .dim = dim};
    struct ft_random random = ft_random_start(seed, 0);
    struct ft_writer *writer = ft_writer_open(path, true);
    float *vector = ft_resize(NULL, dim, sizeof *vector);

    if (!writer || !vector || ft_writer_header(writer, &header, argc, argv) < 0)
        return -1;
    for (uint64_t i = 0; i < count; i++) {
        double sum = 0;

        for (uint64_t k = 0; k < dim; k++) {
            vector[k] = (float)ft_random_normal(&random);
            sum += (double)vector[k] * vector[k];
        }
        for (uint64_t k = 0; k < dim; k++)
            vector[k] = (float)(vector[k] / sqrt(sum));
        /* Queries (another seed) have other numbers, so that none is its own answer. */
        if (write_document(writer, seed * 1000000000 + i, dim, vector) < 0)
            return -1;
    }
    free(vector);
    return ft_writer_end(writer);
}

static int take(struct ft_collection *collection, const char *path)
{
    unsigned long records = 0;

    return ft_collections_read(&collection, 1, path, &records);
}

static int measure(const char *index_path, const char *query_path, size_t k)
{
    struct ft_contents contents = {.model = ""};
    struct ft_collection index = {.shared = &contents, .side = FT_INDEX, .views = 1};
    struct ft_collection queries = {.shared = &contents, .side = FT_QUERIES, .views = 1};
    double start = ft_seconds(), read, ready, search;
    struct ft_nearest nearest;
    struct ft_match *match;
    struct rusage usage;
    size_t bad;

    if (take(&index, index_path) < 0 || take(&queries, query_path) < 0 ||
        !(match = ft_resize(NULL, queries.count * k, sizeof *match)))
        return -1;
    read = ft_seconds() - start;
    start = ft_seconds();
    if (ft_vectors_ready(FT_COSINE, index.view->vector, index.count, index.view->dim, &bad) < 0 ||
        ft_vectors_ready(FT_COSINE, queries.view->vector, queries.count, index.view->dim, &bad) < 0)
        return -1;
    ready = ft_seconds() - start;
    nearest = (struct ft_nearest){FT_COSINE, index.view->dim, index.view->vector, index.count, queries.view->vector,
                                  queries.count, NULL};
    start = ft_seconds();
    if (ft_nearest_find(&nearest, k, match) < 0)
        return -1;
    search = ft_seconds() - start;
    getrusage(RUSAGE_SELF, &usage);
    printf("ft: %zu queries, %.3f s search, %.3f s read, %.3f s ready, %ld MB\n", queries.count, search, read, ready,
           usage.ru_maxrss / 1024);
    free(match);
    ft_collection_free(&index);
    ft_collection_free(&queries);
    ft_contents_free(&contents);
    return 0;
}

int main(int argc, char **argv)
{
    int result = -2;

    if (argc == 6 && strcmp(argv[1], "make") == 0 && strtoull(argv[3], NULL, 10) - 1 < MOST_DIM)
        result = make(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10), argv[5], argc, argv);
    if (argc == 6 && strcmp(argv[1], "time") == 0) {
        ft_pool_set_threads(strtol(argv[5], NULL, 10));
        result = measure(argv[2], argv[3], (size_t)strtoull(argv[4], NULL, 10));
    }
    if (result == -2)
        fprintf(stderr, "search make COUNT DIM SEED PATH | search time INDEX QUERIES K THREADS\n");
    else if (result < 0)
        fprintf(stderr, "search: %s\n", ft_error());
    return result == 0 ? 0 : result == -2 ? FT_USAGE : 3;
}
