/* ft-search - the documents nearest to a text, or to each document of a stream; exact.
 *
 * Queries as operands give text for people, or JSON lines; queries as documents come out again with
 * `matches`. */
#include "base/file.h"
#include "base/pool.h"
#include "base/tool.h"
#include "data/image.h"
#include "eval/matches.h"
#include "eval/relevance.h"
#include "eval/search.h"
#include "eval/vote.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *model_name, *index_path, *distance_name, *modality, *output;
static struct ft_modalities modalities;
static struct ft_list prompts;
static bool json, normalize, force, vote;
static const char *precision_name = "fp32";
static enum ft_precision precision;
static long k = 10, threads, max_length, truncate_dim;

static const struct ft_option options[] = {
    {0, "index", FT_TEXT, &index_path, "FILE", "documents to search in", NULL},
    {'m', "model", FT_TEXT, &model_name, "MODEL", "embed queries with it, and the index where it is not embedded by it", NULL},
    {'k', NULL, FT_COUNT, &k, "N", "matches of a query", NULL},
    {0, "modality", FT_TEXT, &modality, "M[:M]", "text, image, or what asks and what answers: text:image (default: all)", NULL},
    {0, "distance", FT_CHOICE, &distance_name, NULL, "how near (default: the model's, else cosine)", FT_DISTANCES},
    {0, "vote", FT_FLAG, &vote, NULL, "predict the label that most of a query's matches have", NULL},
    {0, "json", FT_FLAG, &json, NULL, "one line of JSON a query", NULL},
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
    "ft-search -m tuned --index packages.ft 'edit photos' 'play chess'",
    "ft-ingest questions.csv | ft-search -m tuned --index answers.ft -k 3 | ft-cat",
    "ft-ingest questions.csv | ft-search -m tuned --index train.ft -k 20 --vote | ft-cat",
    "ft-search -m both --index pictures.ft --modality text:image 'a happy cat'",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-search",
    .purpose = "find the nearest documents, exactly",
    .operands = "[QUERY...]",
    .options = options,
    .examples = examples,
    .see_also = "ft-embed(1), ft-eval(1), ft(7)",
};

enum { BLOCK_QUERIES = 4096, BLOCK_MATCHES = 4 << 20, FLUSH_AT = 1 << 16 };

struct world {
    struct ft_encoder encoder;
    struct ft_contents contents;
    struct ft_collection queries, index;
    struct ft_relevance selves;
    struct ft_reader *reader;          /* queries as documents, or NULL */
    struct ft_corpus *records;         /* their bytes; with operands the texts */
    enum ft_distance distance;
    struct ft_votes votes;             /* with --vote, of the query in hand */
    struct ft_buffer text;             /* output that is no stream */
    size_t width;                      /* of the terminal, or 0 */
    bool written;                      /* a query has been */
};

static bool streams(void)
{
    return !tool.argc && !json;
}

static int check_usage(void)
{
    if (!index_path)
        return ft_fail(FT_USAGE, "--index FILE is missing: the documents to search in");
    if (k < 1)
        return ft_fail(FT_USAGE, "-k 0: expected 1 or more");
    if (tool.argc && !model_name)
        return ft_fail(FT_USAGE, "-m MODEL is missing: it embeds the queries");
    if (!tool.argc && strcmp(index_path, "-") == 0)
        return ft_fail(FT_USAGE, "queries and --index cannot both be standard input");
    if (!model_name && (normalize || truncate_dim || max_length || prompts.count || ft_tool_given(&tool, &precision_name)))
        return ft_fail(FT_USAGE, "--normalize, --truncate-dim, --max-length, --prompt and --precision need -m MODEL");
    if (modality && ft_modalities_parse(modality, &modalities) < 0)
        return -1;
    if (!streams() && output && strcmp(output, "-") != 0 && !force && ft_file_exists(output))
        return ft_fail(FT_USAGE, "%s exists: add --force to replace it", output);
    return 0;
}

static int set_up(struct world *w)
{
    const struct ft_encoder_options how = {
        .model = model_name, .prompts = &prompts,
        .embed = {.max_length = (size_t)max_length, .truncate_dim = (size_t)truncate_dim, .normalize = normalize,
                  .precision = precision}};
    struct ft_encoder *encoder = model_name ? &w->encoder : NULL;
    struct winsize size;

    if (encoder && ft_encoder_open(encoder, &how) < 0)
        return -1;
    if (encoder && encoder->model->extra_text)
        ft_tool_say(&tool, "%s", encoder->model->extra_text);
    w->queries = (struct ft_collection){.shared = &w->contents, .side = FT_QUERIES, .views = 1,
                                        .view = {{.encoder = encoder}}};
    w->index = (struct ft_collection){.shared = &w->contents, .side = FT_INDEX, .views = 1,
                                      .view = {{.encoder = encoder}}, .modality = modalities.answers};
    if (distance_name && ft_distance_parse(distance_name, &w->distance) < 0)
        return -1;
    if (!distance_name && (!encoder || ft_distance_parse(encoder->model->distance, &w->distance) < 0))
        w->distance = FT_COSINE;
    if (!output && isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        w->width = size.ws_col;
    w->votes.contents = &w->contents;
    if (vote && !(w->contents.label_names = ft_corpus_open(FT_CORPUS_MEMORY)))
        return -1;
    w->index.kept = ft_corpus_open(FT_CORPUS_MEMORY);
    w->records = ft_corpus_open(FT_CORPUS_MEMORY);
    return w->index.kept && w->records ? 0 : -1;
}

/* ---- queries ---- */

/* Does a file of this name begin as a picture does? */
static bool is_picture(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char begin[64];
    ssize_t size = fd < 0 ? -1 : read(fd, begin, sizeof begin);

    if (fd >= 0)
        close(fd);
    return size > 0 && ft_image_format((struct ft_string){begin, (size_t)size});
}

/* Where the model reads both, what --modality says, else what it is. */
static bool asks_with_image(const struct ft_model *model, const char *query)
{
    if (model->input == FT_INPUT_TEXT || model->input == FT_INPUT_IMAGE)
        return model->input == FT_INPUT_IMAGE;
    return modality ? modalities.queries == FT_MODALITY_IMAGE : is_picture(query);
}

static int check_operands(const struct ft_model *model)
{
    if (model->input == FT_INPUT_VECTOR)
        return ft_fail(FT_USAGE, "%s: the model reads vectors: queries come as documents on standard input", tool.argv[0]);
    if (modality && model->input != FT_INPUT_BOTH && (model->input == FT_INPUT_IMAGE) != (modalities.queries == FT_MODALITY_IMAGE))
        return ft_fail(FT_USAGE, "--modality %s asks with %ss, and the model reads %s", modality, ft_modality_name(modalities.queries),
                       ft_input_name(model->input));
    return 0;
}

static int read_operands(struct world *w)
{
    static const msgpack_object nothing = {.type = MSGPACK_OBJECT_MAP};
    const struct ft_header header = {.kind = FT_DOCUMENTS};

    if (ft_collection_start(&w->queries, &header) < 0)
        return -1;
    if (check_operands(w->encoder.model) < 0)
        return -1;
    for (int i = 0; i < tool.argc; i++) {
        const struct ft_string query = ft_string_of(tool.argv[i]);
        struct ft_document document = {.role = FT_NO_ROLE, .object = &nothing};

        *(asks_with_image(w->encoder.model, tool.argv[i]) ? &document.content.uri : &document.content.text) = query;
        tool.in++;
        if (ft_corpus_add(w->records, query) < 0 || ft_collection_add(&w->queries, &document) < 0)
            return -1;
    }
    return ft_collection_flush(&w->queries);
}

/* The chunk of the modality that asks. */
static const struct ft_document *find_query(const struct ft_document *document)
{
    const struct ft_document *found = NULL;
    size_t count = 0;

    for (size_t i = 0; i < document->chunk_count; i++)
        if (modality && ft_document_modality(&document->chunks[i]) == modalities.queries && count++ == 0)
            found = &document->chunks[i];
    if (count == 1)
        return found;
    if (modality)
        ft_fail(FT_BAD, "%zu chunks are %ss: expected one, which asks", count, ft_modality_name(modalities.queries));
    else
        ft_fail(FT_BAD, "has chunks: queries are plain documents, or, with --modality, one of the chunks");
    return NULL;
}

static int add_query(struct world *w, struct ft_arena *arena, const struct ft_record *record)
{
    const struct ft_document *query;
    struct ft_document document;

    tool.in++;
    ft_arena_reset(arena);
    if (ft_document_read(arena, &record->object, &document) < 0)
        return -1;
    query = document.chunk_count ? find_query(&document) : &document;
    if (query && modality && ft_document_modality(query) != modalities.queries) {
        ft_fail(FT_BAD, "no %s, which --modality %s asks with", ft_modality_name(modalities.queries), modality);
        query = NULL;
    }
    if (!query)
        return ft_error_prefix("document %.*s: ", (int)(document.id.size < 200 ? document.id.size : 200), document.id.data ? document.id.data : "");
    /* With --json only the text is wanted again. */
    if (ft_corpus_add(w->records, json ? ft_content_name(&query->content) : record->bytes) < 0)
        return -1;
    return ft_collection_add(&w->queries, query);
}

static int read_documents(struct world *w)
{
    struct ft_arena arena = {NULL};
    struct ft_record record;
    int more = 1, result;

    if (!w->reader || ft_reader_expect(w->reader, FT_DOCUMENTS) < 0)
        return -1;
    if (tool.output)
        ft_reader_watch(w->reader, ft_writer_fd(tool.output));
    result = ft_collection_start(&w->queries, ft_reader_header(w->reader));
    while (result == 0 && (more = ft_reader_next(w->reader, &record)) > 0)
        result = add_query(w, &arena, &record);
    if (result == 0 && more == 0)
        result = ft_collection_flush(&w->queries);
    if (result < 0)
        ft_error_prefix("%s: ", ft_reader_name(w->reader));
    ft_arena_free(&arena);
    return more < 0 ? -1 : result;
}

/* ---- matches ---- */

static int flush_text(struct world *w, bool at_end)
{
    if (output && strcmp(output, "-") != 0)
        return at_end ? ft_file_write(output, w->text.data ? w->text.data : "", w->text.size) : 0;
    if (w->text.size < FLUSH_AT && !at_end)
        return 0;
    if (ft_write_all(STDOUT_FILENO, w->text.data, w->text.size) < 0)
        return ft_fail_errno("standard output");
    w->text.size = 0;
    return 0;
}

static int write_text(struct world *w, struct ft_string query, const struct ft_matches *matches)
{
    if (json)
        return ft_matches_json(&w->text, query, vote ? &w->votes : NULL, matches);
    if (tool.argc > 1) {
        if (w->written && ft_buffer_print(&w->text, "\n") < 0)
            return -1;
        if (ft_line_add(&w->text, query, 0) < 0 || ft_buffer_print(&w->text, "\n") < 0)
            return -1;
    }
    return vote ? ft_votes_text(&w->text, &w->votes) : ft_matches_text(&w->text, matches, w->width);
}

static int write_document(struct world *w, struct ft_string record, const struct ft_matches *matches)
{
    static const char *const drop[] = {"matches", NULL}, *const drop_tags[] = {"matches", "tags", NULL};
    msgpack_zone zone;
    msgpack_object object;
    msgpack_packer *pk;
    size_t offset = 0;
    int result = -1;

    if (!msgpack_zone_init(&zone, 1 << 12))
        return ft_fail(FT_SYSTEM, "out of memory");
    if (msgpack_unpack(record.data, record.size, &offset, &zone, &object) != MSGPACK_UNPACK_SUCCESS) {
        ft_fail(FT_SYSTEM, "out of memory");
    } else if ((pk = ft_writer_begin(tool.output))) {
        ft_document_copy(pk, &object, vote ? drop_tags : drop, vote ? 2 : 1);
        if (vote)
            ft_pack_text(pk, "tags");
        result = vote ? ft_votes_pack(pk, ft_map_get(&object, "tags"), &w->votes) : 0;
        ft_pack_text(pk, "matches");
        if (result == 0 && (result = ft_matches_pack(pk, matches)) == 0)
            result = ft_writer_commit(tool.output);
    }
    msgpack_zone_destroy(&zone);
    return result;
}

static int write_matches(struct world *w, size_t query, const struct ft_match *match, size_t kept)
{
    const struct ft_matches matches = {w->distance, &w->index, match, kept};
    struct ft_buffer bytes = {NULL, 0, 0};
    int result = ft_corpus_read(w->records, query, &bytes);
    struct ft_string record = {bytes.data, bytes.size};

    if (result == 0 && vote)
        result = ft_votes_count(&w->votes, &matches);
    if (result == 0 && streams())
        result = write_document(w, record, &matches);
    else if (result == 0 && (result = write_text(w, record, &matches)) == 0)
        result = flush_text(w, false);
    w->written = true;
    tool.out++;
    ft_buffer_free(&bytes);
    return result;
}

static int ready(struct world *w, struct ft_collection *c, const char *what)
{
    size_t bad;

    if (ft_vectors_ready(w->distance, c->view->vector, c->count, c->view->dim, &bad) < 0)
        return ft_error_prefix("%s %zu: ", what, bad + 1);
    return 0;
}

/* The index as it passes by. */
static int search_stream(struct world *w, const struct ft_search *how)
{
    struct ft_match *match = ft_resize(NULL, w->queries.count * how->k + 1, sizeof *match);
    int result = match ? ft_search_stream(how, index_path, match) : -1;

    for (size_t q = 0; result == 0 && q < w->queries.count; q++)
        result = write_matches(w, q, match + q * how->k, how->k);
    free(match);
    return result;
}

static int read_index(struct world *w)
{
    struct ft_collection *index = &w->index;
    unsigned long indexed = 0;

    if (ft_collections_read(&index, 1, index_path, &indexed) < 0)
        return -1;
    if (!index->count)
        return ft_collection_fail_empty(index, index_path);
    if (w->queries.count && w->queries.view->dim != index->view->dim)
        return ft_fail(FT_BAD, "queries have %zu dimensions, the index %zu: were they embedded by one model?",
                       w->queries.view->dim, index->view->dim);
    if (ready(w, index, "document") < 0)
        return ft_error_prefix("%s: ", index_path);
    return ft_relevance_selves(&w->selves, &w->queries, index);
}

/* More matches than can be held: the index is, and blocks of queries go through it. */
static int search_blocks(struct world *w)
{
    size_t kept, block, dim;
    struct ft_match *match;
    int result = 0;

    if (read_index(w) < 0)
        return -1;
    dim = w->index.view->dim;
    kept = (size_t)k < w->index.count ? (size_t)k : w->index.count;
    block = BLOCK_MATCHES / kept < BLOCK_QUERIES ? BLOCK_MATCHES / kept + 1 : BLOCK_QUERIES;
    if (!(match = ft_resize(NULL, block * kept, sizeof *match)))
        return -1;
    for (size_t first = 0; result == 0 && first < w->queries.count; first += block) {
        size_t count = w->queries.count - first < block ? w->queries.count - first : block;
        const struct ft_nearest nearest = {w->distance, dim, w->index.view->vector, w->index.count,
                                           w->queries.view->vector + first * dim, count, w->selves.excluded + first};

        result = ft_nearest_find(&nearest, kept, match);
        for (size_t q = 0; result == 0 && q < count; q++)
            result = write_matches(w, first + q, match + q * kept, kept);
    }
    free(match);
    return result;
}

static int search(struct world *w)
{
    const struct ft_search how = {.distance = w->distance, .k = (size_t)k, .queries = &w->queries, .index = &w->index};

    if (ready(w, &w->queries, "query") < 0)
        return -1;
    w->index.passing = ft_search_fits(&how);
    return w->index.passing ? search_stream(w, &how) : search_blocks(w);
}

static int run_search(struct world *w)
{
    struct ft_writer *writer;

    if (set_up(w) < 0)
        return -1;
    if (streams() && !(tool.output = ft_writer_open(output, force)))
        return -1;
    if (!tool.argc && !(w->reader = ft_reader_open(NULL)))
        return -1;
    if (tool.output && ft_writer_header(tool.output, ft_reader_header(w->reader), tool.whole_argc,
                                        tool.whole_argv) < 0)
        return -1;
    if ((w->reader ? read_documents(w) : read_operands(w)) < 0 || search(w) < 0)
        return -1;
    if (!streams())
        return flush_text(w, true);
    writer = tool.output;
    tool.output = NULL;
    return ft_writer_end(writer);
}

static int run_tool(void)
{
    struct world w = {.distance = FT_COSINE};
    int result = check_usage();

    if (ft_precision_parse(&precision, precision_name) < 0)
        return -1;
    ft_pool_set_threads(threads);
    if (result == 0)
        result = run_search(&w);
    ft_reader_close(w.reader);
    ft_relevance_free(&w.selves);
    ft_corpus_close(w.index.kept);
    ft_corpus_close(w.records);
    ft_collection_free(&w.queries);
    ft_collection_free(&w.index);
    ft_contents_free(&w.contents);
    ft_votes_free(&w.votes);
    ft_encoder_close(&w.encoder);
    ft_buffer_free(&w.text);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    return status >= 0 ? status : ft_tool_end(&tool, run_tool());
}
