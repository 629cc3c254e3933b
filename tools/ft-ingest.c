/* ft-ingest - rows of text files, and folders of pictures, to a stream of documents; every complaint has its file and line. */
#include "base/file.h"
#include "base/pool.h"
#include "base/tool.h"
#include "data/ahead.h"

#include <stdio.h>
#include <string.h>

static struct ft_rows_options rows_options = {.format = "auto", .dialect = "auto", .output = -1};
static const char *delimiter, *columns, *rate, *output;
static bool labeled, pairs, triplets, scored, text_image, unlabeled, vectors, force;
static struct ft_media media;
static struct ft_list where;
static long limit, max_errors, seed, threads;
static double low = 0, high = 1;

static const struct ft_option options[] = {
    {0, "format", FT_CHOICE, &rows_options.format, NULL, "of the files; auto goes by name, then by the first bytes", "auto csv tsv lines jsonl docarray images beir npy"},
    {0, "dialect", FT_CHOICE, &rows_options.dialect, NULL, "of CSV; auto finds the delimiter among tab, comma, semicolon and bar",
     "auto excel excel-tab unix"},
    {0, "delimiter", FT_TEXT, &delimiter, "C", "one character between fields", NULL},
    {0, "encoding", FT_TEXT, &rows_options.encoding, "E", "of the files, by its iconv name (default: UTF-8)", NULL},
    {0, "labeled", FT_FLAG, &labeled, NULL, "a row is a text and a label", NULL},
    {0, "pairs", FT_FLAG, &pairs, NULL, "a row is two texts that belong together", NULL},
    {0, "triplets", FT_FLAG, &triplets, NULL, "a row is an anchor, a positive and one or more negatives", NULL},
    {0, "scored", FT_FLAG, &scored, NULL, "a row is two texts and how alike they are", NULL},
    {0, "text-image", FT_FLAG, &text_image, NULL, "a row is a text and an image, in either order", NULL},
    {0, "unlabeled", FT_FLAG, &unlabeled, NULL, "a row is a text; without a header, each cell is", NULL},
    {0, "vectors", FT_FLAG, &vectors, NULL, "a row is numbers, and perhaps a label and an id", NULL},
    {0, "header", FT_FLAG, &rows_options.header, NULL, "the first row names the columns (inferred from names such as text, label, anchor)", NULL},
    {0, "columns", FT_TEXT, &columns, "[ROLE=]NAME|N,...", "what columns are: id text image label score anchor positive negative", NULL},
    {0, "where", FT_LIST, &where, "COLUMN=VALUE", "only rows where this holds, or with != does not; may repeat", NULL},
    {0, "limit", FT_COUNT, &limit, "N", "only the first N documents", NULL},
    {0, "rate", FT_TEXT, &rate, "LO:HI", "a share of the documents by hash of the text: 0:.9 and .9:1 are complements", NULL},
    {0, "root", FT_TEXT, &media.root, "DIR", "relative paths are relative to DIR, and none may lead out of it (default: the file's folder)", NULL},
    {0, "fetch", FT_FLAG, &media.fetch, NULL, "fetch images of the web, http and https, and carry their bytes", NULL},
    {0, "blob", FT_FLAG, &media.blob, NULL, "carry the bytes of images too, not only their paths", NULL},
    {0, "max-errors", FT_COUNT, &max_errors, "N", "bad records reported and left out (default: none)", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, "seed", FT_COUNT, &seed, "S", "of the whole pipe, kept in the stream's header (default: 0)", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write to PATH, which appears when complete", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest train.csv | ft-train -o tuned",
    "ft-ingest --columns text=synopsis,label=section --rate 0:.9 packages.csv | ft-sample --classes | ft-cat --limit 1",
    "ft-ingest --format images photos | ft-cat --limit 3",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-ingest",
    .purpose = "read CSV, TSV, lines, JSON lines, DocArray's JSON and folders of images as documents",
    .operands = "[FILE...]",
    .options = options,
    .examples = examples,
    .see_also = "ft-sample(1), ft-train(1), ft-embed(1), ft-cat(1), ft-stream(5)",
};

static unsigned long odd_scores;
static char first_odd_score[512];

static int parse_kind(void)
{
    const bool given[FT_ROW_KINDS] = {false, labeled, pairs, triplets, scored, text_image, unlabeled, vectors};

    for (int kind = FT_ROW_LABELED; kind < FT_ROW_KINDS; kind++) {
        if (given[kind] && rows_options.kind != FT_ROW_GUESS)
            return ft_fail(FT_USAGE, "%s and %s: a row is one thing only", ft_row_kind_option(rows_options.kind),
                           ft_row_kind_option((enum ft_row_kind)kind));
        if (given[kind])
            rows_options.kind = (enum ft_row_kind)kind;
    }
    return 0;
}

static int parse_rate(void)
{
    const char *colon = strchr(rate, ':');
    char lo[32];

    if (!colon || (size_t)(colon - rate) >= sizeof lo)
        return ft_fail(FT_USAGE, "--rate: '%s' is no range: expected LO:HI, such as 0:.9", rate);
    memcpy(lo, rate, (size_t)(colon - rate));
    lo[colon - rate] = '\0';
    if (ft_number_parse(lo, &low) < 0 || ft_number_parse(colon + 1, &high) < 0 || !(low >= 0 && low < high && high <= 1))
        return ft_fail(FT_USAGE, "--rate: '%s' is no range: expected 0 <= LO < HI <= 1, such as 0:.9", rate);
    return 0;
}

static int parse_where(void)
{
    static struct ft_where conditions[64];

    if (where.count > sizeof conditions / sizeof *conditions)
        return ft_fail(FT_USAGE, "--where: at most 64 conditions");
    for (size_t i = 0; i < where.count; i++)
        if (ft_where_parse(&conditions[i], where.items[i]) < 0)
            return -1;
    rows_options.where = conditions;
    rows_options.where_count = where.count;
    return 0;
}

static int parse_delimiter(void)
{
    bool tab = strcmp(delimiter, "\\t") == 0 || strcmp(delimiter, "tab") == 0;

    if (!tab && (strlen(delimiter) != 1 || strchr("\"\r\n", *delimiter) || (unsigned char)*delimiter >= 0x80))
        return ft_fail(FT_USAGE, "--delimiter: '%s' is not one ASCII character, and neither a quote nor a line end", delimiter);
    rows_options.delimiter = tab ? '\t' : *delimiter;
    return 0;
}

static int parse_options(void)
{
    int standard = 0;

    for (int i = 0; i < tool.argc; i++)
        standard += strcmp(tool.argv[i], "-") == 0;
    if (standard > 1)
        return ft_fail(FT_USAGE, "'-' twice: standard input can be read once");
    if (limit == 0 && ft_tool_given(&tool, &limit))
        return ft_fail(FT_USAGE, "--limit: expected 1 or more");
    if (parse_kind() < 0 || parse_where() < 0 || (delimiter && parse_delimiter() < 0) || (rate && parse_rate() < 0))
        return -1;
    return columns ? ft_selection_parse(&rows_options.selection, columns) : 0;
}

/* A bad record: reported and left out while --max-errors allows. */
static int tolerate(void)
{
    if (ft_error_status() != FT_BAD)
        return -1;
    tool.bad++;
    if (max_errors == 0)
        return -1;
    if (tool.bad <= (unsigned long)max_errors) {
        ft_tool_warn(&tool, "%s", ft_error());
        return 0;
    }
    return ft_fail(FT_NO, "%s: more than %ld bad record%s", ft_error(), max_errors, max_errors == 1 ? "" : "s");
}

static int write_row(const struct ft_rows *rows, const struct ft_row *row, const char *path)
{
    msgpack_packer *pk;

    if (row->scored && row->kind == FT_ROW_SCORED && !(row->score >= -1 && row->score <= 1) && odd_scores++ == 0)
        snprintf(first_odd_score, sizeof first_odd_score, "%s:%lu: %g", ft_rows_name(rows), row->line, row->score);
    rows_options.width = row->items[0].width;
    pk = ft_writer_begin(tool.output);
    ft_row_write(pk, row, path);
    tool.out++;
    return ft_writer_commit(tool.output);
}

static bool is_enough(void)
{
    return limit > 0 && tool.out >= (unsigned long)limit;
}

/* What was inferred, said once the first row shows it. All files must hold the same kind of row. */
static int announce(const struct ft_rows *rows)
{
    enum ft_row_kind kind = ft_rows_kind(rows);

    if (rows_options.usual != FT_ROW_GUESS && kind != rows_options.usual)
        return ft_fail(FT_USAGE, "%s: %s, expected %s as in the files before", ft_rows_name(rows), ft_row_kind_name(kind),
                       ft_row_kind_name(rows_options.usual));
    rows_options.usual = kind;
    ft_tool_say(&tool, "%s", ft_rows_said(rows));
    if (*ft_rows_question(rows))
        ft_tool_warn(&tool, "%s", ft_rows_question(rows));
    return 0;
}

static int ingest_rows(struct ft_rows *rows, struct ft_ahead *ahead, const char *path)
{
    unsigned long before = tool.in;
    struct ft_row row;
    bool announced = false;
    int got;

    while (!is_enough() && (got = ft_ahead_next(ahead, limit > 0 ? (size_t)limit - tool.out : SIZE_MAX, &row)) != 0) {
        tool.in = before + ft_ahead_passed(ahead);
        if (!announced && ft_rows_kind(rows) != FT_ROW_GUESS) {
            struct ft_error_copy error;

            ft_error_save(&error);
            if (announce(rows) < 0)
                return -1;
            ft_error_restore(&error);
            announced = true;
        }
        if (got < 0 ? tolerate() < 0 : write_row(rows, &row, path) < 0)
            return -1;
    }
    tool.in = before + ft_ahead_passed(ahead);
    return 0;
}

/* Of a BEIR folder the corpus. */
static int ingest_file(const char *path)
{
    struct ft_arena arena = {NULL};
    bool folder = strcmp(rows_options.format, "beir") == 0 && ft_directory_exists(path);
    const char *file = folder ? ft_arena_print(&arena, "%s/corpus.jsonl", path) : path;
    struct ft_rows *rows = file ? ft_rows_open(file, &rows_options) : NULL;
    struct ft_ahead *ahead = rows ? ft_ahead_open(rows, &media, low, high) : NULL;
    int done = ahead ? ingest_rows(rows, ahead, file) : -1;

    ft_ahead_close(ahead);
    ft_rows_close(rows);
    ft_arena_free(&arena);
    return done;
}

static int run(void)
{
    struct ft_header header = {.kind = FT_DOCUMENTS, .seed = (uint64_t)seed};
    struct ft_writer *writer;

    if (parse_options() < 0 || ft_media_begin(&media) < 0)
        return -1;
    ft_pool_set_threads(threads);
    writer = tool.output = ft_writer_open(output, force);
    if (!writer || ft_writer_header(writer, &header, tool.whole_argc, tool.whole_argv) < 0)
        return -1;
    rows_options.output = ft_writer_fd(writer);
    if (tool.argc == 0 && ingest_file("-") < 0)
        return -1;
    for (int i = 0; i < tool.argc && !is_enough(); i++)
        if (ingest_file(tool.argv[i]) < 0)
            return -1;
    if (odd_scores > 0)
        ft_tool_warn(&tool, "%lu score%s outside -1..1, which cosine losses expect; the first is %s", odd_scores,
                     odd_scores == 1 ? "" : "s", first_odd_score);
    tool.output = NULL;
    return ft_writer_end(writer);
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    if (status >= 0)
        return status;
    status = run();
    ft_media_end(&media);
    return ft_tool_end(&tool, status);
}
