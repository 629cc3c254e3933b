/* ft-eval - how well documents find what is relevant: metrics of exact nearest-neighbour rankings.
 *
 * Queries come as a stream of documents; the index is another one, or the queries themselves. Embeddings come
 * with the documents or are made on the way by -m. With --before a second model looks at the same documents. */
#include "base/file.h"
#include "base/pool.h"
#include "base/tool.h"
#include "eval/collection.h"
#include "eval/relevance.h"
#include "eval/result.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *model_name, *index_path, *distance_name, *before_name, *qrels_path, *output;
static struct ft_list minima, prompts;
static bool json, normalize, force;
static const char *precision_name = "fp32";
static enum ft_precision precision;
static long k = 20, threads, max_length, truncate_dim;

static const struct ft_option options[] = {
    {'m', "model", FT_TEXT, &model_name, "MODEL", "embed with it on the way (else the documents have embeddings)", NULL},
    {0, "before", FT_TEXT, &before_name, "MODEL|RESULT.json", "compare with this model, or this earlier --json result", NULL},
    {0, "index", FT_TEXT, &index_path, "FILE", "documents to find (default: the queries themselves)", NULL},
    {0, "qrels", FT_TEXT, &qrels_path, "FILE", "what is relevant (default: equal labels, or pairs)", NULL},
    {'k', NULL, FT_COUNT, &k, "N", "neighbours that count for the metrics at k", NULL},
    {0, "distance", FT_CHOICE, &distance_name, NULL, "how near (default: the model's, else cosine)", FT_DISTANCES},
    {0, "min", FT_LIST, &minima, "METRIC=X", "exit 1 when METRIC is below X; may repeat", NULL},
    {0, "json", FT_FLAG, &json, NULL, "one line of JSON", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write there instead of standard output", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, "normalize", FT_FLAG, &normalize, NULL, "make embeddings unit length", NULL},
    {0, "precision", FT_TEXT, &precision_name, "P", "of matrix products: fp32 or bf16", NULL},
    {0, "truncate-dim", FT_COUNT, &truncate_dim, "N", "keep the first N dimensions", NULL},
    {0, "max-length", FT_COUNT, &max_length, "N", "tokens of a text at most (default: the model's)", NULL},
    {0, "prompt", FT_LIST, &prompts, "[ROLE=]TEXT", "put before texts: query= queries, document= the index; may repeat (default: the model's)", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest test.csv | ft-eval -m tuned --before minilm",
    "ft-ingest test.csv | ft-eval -m tuned --index train.ft --json --min map=.9 >result.json",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-eval",
    .purpose = "measure how well documents find what is relevant",
    .operands = "[FILE]",
    .options = options,
    .examples = examples,
    .see_also = "ft-ingest(1), ft-embed(1), ft-search(1), ft-train(1), ft(7)",
};

struct minimum {
    enum ft_metric metric;
    double least;
};

static int read_minimum(const char *text, struct minimum *minimum)
{
    const char *equals = strrchr(text, '=');
    char name[64];

    if (!equals || equals == text || (size_t)(equals - text) >= sizeof name)
        return ft_fail(FT_USAGE, "--min %s: expected METRIC=X", text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    if (ft_metric_parse(name, (size_t)k, &minimum->metric) < 0 ||
        ft_number_parse(equals + 1, &minimum->least) < 0)
        return ft_error_prefix("--min %s: ", text);
    return 0;
}

/* FT_DONE, or FT_NO after a line for each that is not met; -1 for those that are none. With `result` NULL
 * they are only parsed. */
static int check_minima(const struct ft_result *result)
{
    int status = FT_DONE;

    for (size_t i = 0; i < minima.count; i++) {
        struct minimum minimum;
        char name[32];

        if (read_minimum(minima.items[i], &minimum) < 0)
            return -1;
        if (!result || result->value[minimum.metric] >= minimum.least)
            continue;
        ft_metric_name(minimum.metric, result->k, name);
        if (isnan(result->value[minimum.metric]))
            ft_tool_warn(&tool, "%s is not defined here, expected at least %g", name, minimum.least);
        else
            ft_tool_warn(&tool, "%s is %.6g, expected at least %g", name, result->value[minimum.metric],
                         minimum.least);
        status = FT_NO;
    }
    return status;
}

/* Everything of one run. */
struct world {
    struct ft_encoder encoder[2];      /* of -m, of --before */
    struct ft_contents contents;
    struct ft_collection collection[2];/* queries, index; without --index and differing prompts the first is both */
    struct ft_collection *queries, *index;
    struct ft_relevance relevance;
    struct ft_result result[2];
    bool compared, before_is_result;
};

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static int open_encoder(struct ft_encoder *encoder, const char *name)
{
    const struct ft_encoder_options how = {
        .model = name, .prompts = &prompts,
        .embed = {.max_length = (size_t)max_length, .truncate_dim = (size_t)truncate_dim, .normalize = normalize,
                  .precision = precision}};

    if (ft_encoder_open(encoder, &how) < 0)
        return -1;
    if (encoder->model->extra_text)
        ft_tool_say(&tool, "%s", encoder->model->extra_text);
    return 0;
}

static int open_models(struct world *w)
{
    w->compared = before_name != NULL;
    w->before_is_result = before_name && is_file(before_name);
    if (!model_name && (!before_name || w->before_is_result) &&
        (normalize || truncate_dim || max_length || prompts.count || ft_tool_given(&tool, &precision_name)))
        return ft_fail(FT_USAGE, "--normalize, --truncate-dim, --max-length, --prompt and --precision need -m MODEL");
    if (w->before_is_result && ft_result_read(before_name, (size_t)k, &w->result[1]) < 0)
        return -1;
    if (model_name && open_encoder(&w->encoder[0], model_name) < 0)
        return -1;
    return w->compared && !w->before_is_result ? open_encoder(&w->encoder[1], before_name) : 0;
}

/* One collection is both unless there is an index, or its texts have a prompt of their own. */
static void set_up(struct world *w)
{
    bool prompted = false;

    for (int v = 0; v < 2; v++)
        prompted |= w->encoder[v].embedder[FT_QUERIES] != w->encoder[v].embedder[FT_INDEX];
    for (int side = FT_QUERIES; side <= FT_INDEX; side++) {
        struct ft_collection *c = &w->collection[side];

        c->shared = &w->contents;
        c->side = (enum ft_side)side;
        c->view[0].encoder = model_name ? &w->encoder[0] : NULL;
        c->view[1].encoder = &w->encoder[1];
        c->views = w->compared && !w->before_is_result ? 2 : 1;
    }
    w->queries = &w->collection[FT_QUERIES];
    w->index = index_path || prompted ? &w->collection[FT_INDEX] : w->queries;
    w->queries->anchors_only = w->index != w->queries;
}

static const char *input_name(void)
{
    return tool.argc ? tool.argv[0] : "standard input";
}

static int read_all(struct world *w)
{
    struct ft_collection *both[2] = {w->queries, w->index};
    size_t count = index_path || w->index == w->queries ? 1 : 2;

    if (ft_collections_read(both, count, tool.argc ? tool.argv[0] : NULL, &tool.in) < 0)
        return -1;
    if (index_path && ft_collections_read(both + 1, 1, index_path, &tool.in) < 0)
        return -1;
    if (!w->queries->count || !w->index->count)
        return ft_fail(FT_BAD, "%s is empty", w->queries->count ? index_path : input_name());
    return 0;
}

static enum ft_distance distance_of(const struct ft_encoder *encoder)
{
    enum ft_distance distance = FT_COSINE;
    const char *name = encoder && encoder->model ? encoder->model->distance : "cosine";
    struct ft_error_copy error;

    ft_error_save(&error);
    if (ft_distance_parse(distance_name ? distance_name : name, &distance) < 0)
        ft_error_restore(&error);      /* a model may name one that we lack; cosine then */
    return distance;
}

static int make_ready(const char *what, enum ft_distance distance, struct ft_collection *c, int view)
{
    size_t bad;

    if (ft_vectors_ready(distance, c->view[view].vector, c->count, c->view[view].dim, &bad) < 0)
        return ft_error_prefix("%s %zu: ", what, bad + 1);
    return 0;
}

static int evaluate(struct world *w, int view, enum ft_distance distance)
{
    struct ft_view *queries = &w->queries->view[view], *index = &w->index->view[view];
    struct ft_evaluation e = {.k = (size_t)k, .relevant = w->relevance.relevant, .gain = w->relevance.gain,
                              .query_class = w->relevance.query_class, .index_class = w->relevance.index_class};

    if (queries->dim != index->dim)
        return ft_fail(FT_BAD, "queries have %zu dimensions, the index %zu: were they embedded by one model?",
                       queries->dim, index->dim);
    if (make_ready("query", distance, w->queries, view) < 0 ||
        (w->index != w->queries && make_ready("document of the index", distance, w->index, view) < 0))
        return -1;
    e.nearest = (struct ft_nearest){distance, index->dim, index->vector, w->index->count,
                                    ft_relevance_queries(&w->relevance, queries), w->relevance.query_count,
                                    w->relevance.excluded};
    return e.nearest.query && ft_evaluate(&e, &w->result[view]) == 0 ? 0 : -1;
}

static int measure(struct world *w)
{
    const struct ft_relevance *r = &w->relevance;
    enum ft_distance distance = distance_of(w->queries->view[0].encoder);

    if (ft_relevance_build(&w->relevance, w->queries, w->index, qrels_path) < 0 || evaluate(w, 0, distance) < 0)
        return -1;
    if (w->queries->views == 2 && evaluate(w, 1, distance_of(&w->encoder[1])) < 0)
        return -1;
    if (r->unknown)
        ft_tool_warn(&tool, "%s: %zu judgements are of a query or a document that is not here", qrels_path,
                     r->unknown);
    if (w->result[0].left_out)
        ft_tool_warn(&tool, "%zu of %zu queries have nothing relevant in the index and are left out",
                     w->result[0].left_out, r->query_count);
    if (!w->result[0].queries)
        return ft_fail(FT_BAD, "no query has anything relevant in the index");
    if (w->before_is_result && w->result[1].queries != w->result[0].queries)
        ft_tool_warn(&tool, "%s: of %zu queries, now there are %zu", before_name, w->result[1].queries,
                     w->result[0].queries);
    ft_tool_say(&tool, "%zu queries, %zu documents, relevant by %s, %s", w->result[0].queries,
                w->index->count, r->by, ft_distance_name(distance));
    tool.out = w->result[0].queries;
    return 0;
}

static int write_result(const struct world *w)
{
    const struct ft_result *before = w->compared ? &w->result[1] : NULL;
    struct ft_buffer text = {NULL, 0, 0};
    int result = (json ? ft_result_json : ft_result_text)(&text, &w->result[0], before);

    if (result == 0 && output)
        result = ft_file_write(output, text.data, text.size);
    else if (result == 0 && ft_write_all(STDOUT_FILENO, text.data, text.size) < 0)
        result = ft_fail_errno("standard output");
    ft_buffer_free(&text);
    return result;
}

static int check_usage(void)
{
    bool from_input = !tool.argc || strcmp(tool.argv[0], "-") == 0;

    if (tool.argc > 1)
        return ft_fail(FT_USAGE, "one FILE at most, got %d", tool.argc);
    if (from_input && index_path && strcmp(index_path, "-") == 0)
        return ft_fail(FT_USAGE, "queries and --index cannot both be standard input");
    if (k < 1)
        return ft_fail(FT_USAGE, "-k 0: expected 1 or more");
    if (output && !force && ft_file_exists(output))
        return ft_fail(FT_USAGE, "%s exists: add --force to replace it", output);
    return check_minima(NULL);
}

static int run_tool(void)
{
    struct world w = {.compared = false};
    int result = check_usage();

    if (output && strcmp(output, "-") == 0)
        output = NULL;
    if (ft_precision_parse(&precision, precision_name) < 0)
        return -1;
    ft_pool_set_threads(threads);
    if (result == 0)
        result = open_models(&w);
    if (result == 0) {
        set_up(&w);
        if (read_all(&w) < 0 || measure(&w) < 0 || write_result(&w) < 0)
            result = -1;
        else
            result = check_minima(&w.result[0]);
    }
    ft_relevance_free(&w.relevance);
    ft_collection_free(&w.collection[FT_QUERIES]);
    ft_collection_free(&w.collection[FT_INDEX]);
    ft_contents_free(&w.contents);
    ft_encoder_close(&w.encoder[0]);
    ft_encoder_close(&w.encoder[1]);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    return status >= 0 ? status : ft_tool_end(&tool, run_tool());
}
