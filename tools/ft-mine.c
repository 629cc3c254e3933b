/* ft-mine - pairs, triplets or labelled texts in, triplets out: with hard negatives, found by exact search through a whole corpus. */
#include "base/pool.h"
#include "base/tool.h"
#include "eval/mine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *model_name, *index_path, *distance_name, *modality, *range, *pick_name = "top", *precision_name = "fp32", *output;
static double absolute = NAN, relative = NAN, largest = NAN, smallest = NAN;
static bool scores, normalize, force;
static struct ft_list prompts;
static long k, negatives = 3, seed, threads, max_length, truncate_dim;

static const struct ft_option options[] = {
    {0, "index", FT_TEXT, &index_path, "FILE", "documents to search in, beside those that answer in the input", NULL},
    {'m', "model", FT_TEXT, &model_name, "MODEL", "embed with it what it has not embedded (default: all is embedded)", NULL},
    {0, "modality", FT_TEXT, &modality, "M[:M]", "text, image, or what asks and what answers: text:image (default: all)", NULL},
    {0, "negatives", FT_COUNT, &negatives, "N", "negatives of a row at most", NULL},
    {0, "range", FT_TEXT, &range, "LO:HI", "ranks that count, the nearest being 0 (default: by how many are asked for)", NULL},
    {0, "relative-margin", FT_NUMBER, &relative, "X", "drop what is nearer than the positive's similarity less this share of it", NULL},
    {0, "absolute-margin", FT_NUMBER, &absolute, "X", "drop what is nearer than the positive's similarity less X", NULL},
    {0, "max-score", FT_NUMBER, &largest, "X", "drop what is more similar than X", NULL},
    {0, "min-score", FT_NUMBER, &smallest, "X", "drop what is less similar than X", NULL},
    {0, "pick", FT_CHOICE, &pick_name, NULL, "the nearest of what is left, or any", "top random"},
    {'k', NULL, FT_COUNT, &k, "N", "nearest documents looked at (default: by --range)", NULL},
    {0, "distance", FT_CHOICE, &distance_name, NULL, "how near (default: the model's, else cosine)", FT_DISTANCES},
    {0, "scores", FT_FLAG, &scores, NULL, "write how near positives and negatives are", NULL},
    {0, "seed", FT_COUNT, &seed, "S", "of what is drawn (default: the stream's, else 0)", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write to PATH, which appears when complete", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, "normalize", FT_FLAG, &normalize, NULL, "make embeddings unit length", NULL},
    {0, "precision", FT_TEXT, &precision_name, "P", "of matrix products: fp32 or bf16", NULL},
    {0, "truncate-dim", FT_COUNT, &truncate_dim, "N", "keep the first N dimensions", NULL},
    {0, "max-length", FT_COUNT, &max_length, "N", "tokens of a text at most (default: the model's)", NULL},
    {0, "prompt", FT_LIST, &prompts, "[ROLE=]TEXT", "put before texts: query= anchors, document= what may answer; may repeat (default: the model's)", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest pairs.csv | ft-mine -m minilm --relative-margin .05 | ft-train -o tuned",
    "ft-embed train.ft | ft-mine --index corpus.ft --range 10:50 --pick random -o hard.ft",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-mine",
    .purpose = "find hard negatives in a whole corpus, exactly",
    .operands = "[FILE...]",
    .options = options,
    .examples = examples,
    .see_also = "ft-ingest(1), ft-sample(1), ft-search(1), ft-train(1), ft(7)",
};

static int read_options(struct ft_mine_options *how)
{
    *how = (struct ft_mine_options){.pool = (size_t)k, .negatives = (size_t)negatives, .random = strcmp(pick_name, "random") == 0,
                                    .scores = scores, .absolute = absolute, .relative = relative, .largest = largest,
                                    .smallest = smallest};
    if (negatives < 1)
        return ft_fail(FT_USAGE, "--negatives 0: expected 1 or more");
    if (negatives > 10000)
        return ft_fail(FT_USAGE, "--negatives %ld: expected 10000 or fewer", negatives);
    if (modality && ft_modalities_parse(modality, &how->modalities) < 0)
        return -1;
    if (ft_tool_given(&tool, &k) && k < 1)
        return ft_fail(FT_USAGE, "-k 0: expected 1 or more");
    if (!model_name && (normalize || truncate_dim || max_length || prompts.count || ft_tool_given(&tool, &precision_name)))
        return ft_fail(FT_USAGE, "--normalize, --truncate-dim, --max-length, --prompt and --precision need -m MODEL");
    return range ? ft_mine_range(range, how) : 0;
}

static int check_inputs(void)
{
    int streams = !tool.argc || (index_path && strcmp(index_path, "-") == 0);

    for (int i = 0; i < tool.argc; i++)
        streams += strcmp(tool.argv[i], "-") == 0;
    if (index_path && strcmp(index_path, "-") == 0 && (!tool.argc || streams > 1))
        return ft_fail(FT_USAGE, "documents and --index cannot both be standard input");
    return streams > 1 ? ft_fail(FT_USAGE, "standard input can be read once only") : 0;
}

static int open_encoder(struct ft_encoder *encoder, enum ft_distance *distance)
{
    struct ft_encoder_options how = {.model = model_name, .prompts = &prompts,
                                     .embed = {.max_length = (size_t)max_length, .truncate_dim = (size_t)truncate_dim,
                                               .normalize = normalize}};

    if (ft_precision_parse(&how.embed.precision, precision_name) < 0)
        return -1;
    if (model_name && ft_encoder_open(encoder, &how) < 0)
        return -1;
    if (model_name && encoder->model->extra_text)
        ft_tool_say(&tool, "%s", encoder->model->extra_text);
    *distance = FT_COSINE;
    if (distance_name)
        return ft_distance_parse(distance_name, distance);
    return model_name ? ft_distance_parse(encoder->model->distance, distance) : 0;
}

static int read_stream(struct ft_reader *reader, struct ft_mine *mine, struct ft_arena *arena)
{
    struct ft_document document;
    struct ft_record record;
    int more = 1, result = ft_mine_start(mine, ft_reader_header(reader));

    while (result == 0 && (more = ft_reader_next(reader, &record)) > 0) {
        ft_arena_reset(arena);
        tool.in++;
        result = ft_document_read(arena, &record.object, &document) < 0 ? -1 : ft_mine_add(mine, &document, record.bytes);
    }
    if (result < 0)
        ft_error_prefix("%s: ", ft_reader_name(reader));
    return more < 0 ? -1 : result;
}

static int write_rows(struct ft_mine *mine, const struct ft_header *header)
{
    const struct ft_mine_counts *counts = ft_mine_counts(mine);
    struct ft_writer *writer = tool.output;
    int more;

    if (ft_writer_header(writer, header, tool.whole_argc, tool.whole_argv) < 0)
        return -1;
    while ((more = ft_mine_next(mine, ft_writer_begin(writer))) > 0) {
        if (ft_writer_commit(writer) < 0)
            return -1;
        tool.out++;
    }
    if (more < 0)
        return -1;
    if (counts->alone)
        ft_tool_warn(&tool, "%zu of %lu left out: no other text has their label", counts->alone, tool.in);
    if (counts->empty)
        ft_tool_warn(&tool, "%zu of %lu left out: no candidate is left for them; a wider --range, a larger -k or a smaller margin leaves more",
                     counts->empty, tool.in);
    if (counts->few)
        ft_tool_say(&tool, "%zu have fewer than %ld negatives", counts->few, negatives);
    if (counts->near)
        ft_tool_say(&tool, "%zu candidates dropped by margins and bounds", counts->near);
    tool.output = NULL;
    return ft_writer_end(writer);
}

/* The first stream gives seed and history; readers stay open as long as its header is used. */
static int mine_streams(struct ft_reader **readers, size_t count, struct ft_mine_options *how, struct ft_encoder *encoder)
{
    struct ft_header header = *ft_reader_header(readers[0]);
    struct ft_arena arena = {NULL};
    struct ft_mine *mine;
    int result = 0;

    how->seed = header.seed = ft_tool_given(&tool, &seed) ? (uint64_t)seed : header.seed;
    header.model = header.prompt = (struct ft_string){"", 0};   /* the triplets are not embedded */
    header.dim = 0;
    if (!(mine = ft_mine_open(how, encoder)))
        return -1;
    for (size_t i = 0; result == 0 && i < count; i++)
        result = read_stream(readers[i], mine, &arena);
    if (result == 0 && !modality && ft_modalities_differ(ft_mine_modalities(mine)))
        ft_tool_say(&tool, "pairs of a text and an image: only %ss are candidates", ft_modality_name(ft_mine_modalities(mine).answers));
    if (result == 0)
        result = ft_mine_run(mine, index_path);
    if (result == 0)
        result = write_rows(mine, &header);
    ft_mine_close(mine);
    ft_arena_free(&arena);
    return result;
}

static int run_tool(void)
{
    size_t count = tool.argc ? (size_t)tool.argc : 1;
    struct ft_encoder encoder = {.dim = 0};
    struct ft_mine_options how;
    struct ft_reader **readers;
    int result;

    if (read_options(&how) < 0 || check_inputs() < 0)
        return -1;
    ft_pool_set_threads(threads);
    if (!(tool.output = ft_writer_open(output, force)) || !(readers = calloc(count, sizeof *readers)))
        return tool.output ? ft_fail(FT_SYSTEM, "out of memory") : -1;
    result = open_encoder(&encoder, &how.distance) < 0 || ft_readers_open(readers, tool.argc ? tool.argv : NULL, count, FT_DOCUMENTS) < 0
                 ? -1 : mine_streams(readers, count, &how, model_name ? &encoder : NULL);
    for (size_t i = 0; i < count; i++)
        ft_reader_close(readers[i]);
    free(readers);
    ft_encoder_close(&encoder);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    return status >= 0 ? status : ft_tool_end(&tool, run_tool());
}
