/* ft-synthesize - plain texts in, training data out: the nearest text of a corpus and some others for each, scored by a cross-encoder. */
#include "base/pool.h"
#include "base/tool.h"
#include "eval/synthesize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *model_name, *scorer_name, *index_path, *distance_name, *range, *precision_name = "fp32", *output;
static bool normalize, force;
static struct ft_list prompts;
static long relations = 10, seed, threads, max_length, truncate_dim;

static const struct ft_option options[] = {
    {0, "index", FT_TEXT, &index_path, "FILE", "documents to search in", NULL},
    {'m', "model", FT_TEXT, &model_name, "MODEL", "embed with it what it has not embedded (default: all is embedded)", NULL},
    {0, "scorer", FT_TEXT, &scorer_name, "MODEL", "the cross-encoder", NULL},
    {0, "relations", FT_COUNT, &relations, "N", "texts of the index for a query: one similar, N - 1 dissimilar", NULL},
    {0, "range", FT_TEXT, &range, "LO:HI", "ranks that count, the nearest being 0 (default: by how many are asked for)", NULL},
    {0, "distance", FT_CHOICE, &distance_name, NULL, "how near (default: the model's, else cosine)", FT_DISTANCES},
    {0, "seed", FT_COUNT, &seed, "S", "of what is drawn (default: the stream's, else 0)", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write to PATH, which appears when complete", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, "normalize", FT_FLAG, &normalize, NULL, "make embeddings unit length", NULL},
    {0, "precision", FT_TEXT, &precision_name, "P", "of matrix products: fp32 or bf16", NULL},
    {0, "truncate-dim", FT_COUNT, &truncate_dim, "N", "keep the first N dimensions", NULL},
    {0, "max-length", FT_COUNT, &max_length, "N", "tokens of a text at most (default: the model's)", NULL},
    {0, "prompt", FT_LIST, &prompts, "[ROLE=]TEXT", "put before texts while embedding: query= queries, document= the index; may repeat (default: the model's)", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest --unlabeled queries.txt | ft-synthesize -m minilm --index corpus.ft --scorer ms-marco -o train.ft",
    "ft-synthesize -m minilm --index corpus.ft --scorer ms-marco queries.ft | ft-train --loss margin-mse -o tuned",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-synthesize",
    .purpose = "make training data of plain texts: near and far ones, scored by a cross-encoder",
    .operands = "[FILE...]",
    .options = options,
    .examples = examples,
    .see_also = "ft-ingest(1), ft-loss(1), ft-mine(1), ft-train(1), ft(7)",
};

static int check_usage(void)
{
    int streams = !tool.argc || (index_path && strcmp(index_path, "-") == 0);

    for (int i = 0; i < tool.argc; i++)
        streams += strcmp(tool.argv[i], "-") == 0;
    if (!index_path)
        return ft_fail(FT_USAGE, "--index FILE is missing: the documents to search in");
    if (!scorer_name)
        return ft_fail(FT_USAGE, "--scorer MODEL is missing: a cross-encoder, which tells how well a text answers a query");
    if (relations < 2 || relations > 10000)
        return ft_fail(FT_USAGE, "--relations %ld: expected 2 to 10000", relations);
    if (index_path && strcmp(index_path, "-") == 0 && !tool.argc)
        return ft_fail(FT_USAGE, "queries and --index cannot both be standard input");
    if (streams > 1)
        return ft_fail(FT_USAGE, "standard input can be read once only");
    if (!model_name && (normalize || truncate_dim || max_length || prompts.count))
        return ft_fail(FT_USAGE, "--normalize, --truncate-dim, --max-length and --prompt need -m MODEL");
    return 0;
}

/* What the queries and the corpus are searched by, and the distance. */
static int open_encoder(struct ft_encoder *encoder, enum ft_precision precision, enum ft_distance *distance)
{
    const struct ft_encoder_options how = {.model = model_name, .prompts = &prompts,
                                           .embed = {.max_length = (size_t)max_length, .truncate_dim = (size_t)truncate_dim,
                                                     .normalize = normalize, .precision = precision}};

    if (model_name && ft_encoder_open(encoder, &how) < 0)
        return -1;
    if (model_name && encoder->model->extra_text)
        ft_tool_say(&tool, "%s", encoder->model->extra_text);
    *distance = FT_COSINE;
    if (distance_name)
        return ft_distance_parse(distance_name, distance);
    return model_name ? ft_distance_parse(encoder->model->distance, distance) : 0;
}

static struct ft_embedder *open_scorer(struct ft_arena *arena, enum ft_precision precision, struct ft_model **model)
{
    const struct ft_embed_options how = {.precision = precision};
    const char *directory = ft_model_find(arena, scorer_name);

    *model = directory ? ft_model_open_scorer(directory) : NULL;
    if (!*model)
        return NULL;
    if ((*model)->extra_text)
        ft_tool_say(&tool, "%s", (*model)->extra_text);
    return ft_embedder_open(*model, &how);
}

static int read_stream(struct ft_reader *reader, struct ft_synthesis *synthesis, struct ft_arena *arena)
{
    struct ft_document document;
    struct ft_record record;
    int more = 1, result = ft_synthesis_start(synthesis, ft_reader_header(reader));

    while (result == 0 && (more = ft_reader_next(reader, &record)) > 0) {
        ft_arena_reset(arena);
        tool.in++;
        result = ft_document_read(arena, &record.object, &document) < 0 ? -1 : ft_synthesis_add(synthesis, &document, record.bytes);
    }
    if (result < 0)
        ft_error_prefix("%s: ", ft_reader_name(reader));
    return more < 0 ? -1 : result;
}

static int write_documents(struct ft_synthesis *synthesis, const struct ft_header *header)
{
    struct ft_writer *writer = tool.output;
    int more;

    if (ft_writer_header(writer, header, tool.whole_argc, tool.whole_argv) < 0)
        return -1;
    while ((more = ft_synthesis_next(synthesis, ft_writer_begin(writer))) > 0) {
        if (ft_writer_commit(writer) < 0)
            return -1;
        tool.out++;
    }
    if (more < 0)
        return -1;
    tool.output = NULL;
    return ft_writer_end(writer);
}

/* The first stream gives seed and history; readers stay open as long as its header is used. */
static int synthesize(struct ft_reader **readers, size_t count, struct ft_mine_options *how, struct ft_encoder *encoder,
                      struct ft_embedder *scorer)
{
    struct ft_header header = *ft_reader_header(readers[0]);
    struct ft_arena arena = {NULL};
    struct ft_synthesis *synthesis;
    int result = 0;

    how->seed = header.seed = ft_tool_given(&tool, &seed) ? (uint64_t)seed : header.seed;
    header.model = header.prompt = (struct ft_string){"", 0};   /* the triplets are not embedded */
    header.dim = 0;
    if (!(synthesis = ft_synthesis_open(how, encoder, scorer)))
        return -1;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = read_stream(readers[i], synthesis, &arena);
    if (result == 0)
        result = ft_synthesis_run(synthesis, index_path);
    if (result == 0)
        result = write_documents(synthesis, &header);
    ft_synthesis_close(synthesis);
    ft_arena_free(&arena);
    return result;
}

static int with_readers(struct ft_reader **readers, size_t count, struct ft_mine_options *how)
{
    struct ft_encoder encoder = {.dim = 0};
    struct ft_arena arena = {NULL};
    struct ft_model *model = NULL;
    struct ft_embedder *scorer = NULL;
    enum ft_precision precision;
    int result = -1;

    if (ft_precision_parse(&precision, precision_name) == 0 && open_encoder(&encoder, precision, &how->distance) == 0 &&
        (scorer = open_scorer(&arena, precision, &model)) && ft_readers_open(readers, tool.argc ? tool.argv : NULL, count, FT_DOCUMENTS) == 0)
        result = synthesize(readers, count, how, model_name ? &encoder : NULL, scorer);
    ft_embedder_close(scorer);
    ft_model_close(model);
    ft_encoder_close(&encoder);
    ft_arena_free(&arena);
    return result;
}

static int run_tool(void)
{
    struct ft_mine_options how = {.negatives = (size_t)relations - 1, .low = 1, .high = 10 * (size_t)relations,
                                  .absolute = NAN, .relative = NAN, .largest = NAN, .smallest = NAN};
    size_t count = tool.argc ? (size_t)tool.argc : 1;
    struct ft_reader **readers;
    int result;

    if (check_usage() < 0 || (range && ft_mine_range(range, &how) < 0))
        return -1;
    ft_pool_set_threads(threads);
    if (!(tool.output = ft_writer_open(output, force)) || !(readers = calloc(count, sizeof *readers)))
        return tool.output ? ft_fail(FT_SYSTEM, "out of memory") : -1;
    result = with_readers(readers, count, &how);
    for (size_t i = 0; i < count; i++)
        ft_reader_close(readers[i]);
    free(readers);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    return status >= 0 ? status : ft_tool_end(&tool, run_tool());
}
