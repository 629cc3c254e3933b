/* ft-sample - documents in, batches out: who is in a batch with whom. The sampler is the library's; ft-train calls the same one. */
#include "base/tool.h"
#include "train/mix.h"

#include <stdio.h>

static bool classes, pairs, triplets, scored, random_order, drop_last, force;
static long batch_rows, per_class, views, epochs = 3, seed;
static const char *mix_name, *output;

static const struct ft_option options[] = {
    {0, "classes", FT_FLAG, &classes, NULL, "batches of labels x documents a label, for losses that find their own pairs", NULL},
    {0, "pairs", FT_FLAG, &pairs, NULL, "batches of pairs, no text twice in one", NULL},
    {0, "triplets", FT_FLAG, &triplets, NULL, "batches of triplets: an anchor, a positive and negatives a row", NULL},
    {0, "scored", FT_FLAG, &scored, NULL, "batches of scored pairs", NULL},
    {0, "random", FT_FLAG, &random_order, NULL, "batches of documents in any order (default of these five: by what the data are)", NULL},
    {0, "batch", FT_COUNT, &batch_rows, "N", "rows a batch: texts, pairs or triplets (default: by kind)", NULL},
    {0, "per-class", FT_COUNT, &per_class, "K", "documents of each label in a batch (default: 4)", NULL},
    {0, "views", FT_COUNT, &views, "N", "each text N times in a batch, alike to itself only: for texts without labels", NULL},
    {0, "epochs", FT_COUNT, &epochs, "N", "passes over the data", NULL},
    {0, "drop-last", FT_FLAG, &drop_last, NULL, "leave out a last short batch", NULL},
    {0, "mix", FT_CHOICE, &mix_name, NULL, "each FILE is a data set, and a batch is of one: how they take turns (default: all are one set)", FT_MIX_ORDERS},
    {0, "seed", FT_COUNT, &seed, "S", "of the order (default: the stream's, else 0)", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write to PATH, which appears when complete", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest train.csv | ft-sample | ft-train -m minilm -o tuned",
    "ft-ingest pairs.csv | ft-sample --triplets --batch 32 | ft-cat --limit 1",
    "ft-ingest lines.txt | ft-sample --views 2 | ft-train -m minilm -o tuned",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-sample",
    .purpose = "make batches of documents: who is in a batch with whom",
    .operands = "[FILE...]",
    .options = options,
    .examples = examples,
    .see_also = "ft-ingest(1), ft-train(1), ft-cat(1), ft-stream(5)",
};

static int chosen_kind(int *kind)
{
    const bool flags[] = {classes, pairs, triplets, scored, random_order};
    const enum ft_batch_kind kinds[] = {FT_BATCH_CLASSES, FT_BATCH_PAIRS, FT_BATCH_TRIPLETS, FT_BATCH_SCORED, FT_BATCH_RANDOM};

    *kind = -1;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (flags[i] && *kind >= 0)
            return ft_fail(FT_USAGE, "--%s and --%s: batches are of one kind", ft_batch_kind_name((enum ft_batch_kind)*kind),
                           ft_batch_kind_name(kinds[i]));
        if (flags[i])
            *kind = (int)kinds[i];
    }
    return 0;
}

static int read_documents(struct ft_reader *reader, const char *path, struct ft_mix *mix, struct ft_arena *arena)
{
    struct ft_record record;
    struct ft_document document;
    int more;

    if (ft_mix_begin(mix, path) < 0)
        return -1;
    while ((more = ft_reader_next(reader, &record)) > 0) {
        ft_arena_reset(arena);
        if (ft_document_read(arena, &record.object, &document) < 0 || ft_mix_add(mix, &document, record.bytes) < 0)
            return ft_error_prefix("%s: record %llu: ", ft_reader_name(reader), (unsigned long long)ft_reader_count(reader));
        tool.in++;
    }
    return more;
}

static int write_batches(struct ft_mix *mix, struct ft_writer *writer, struct ft_header *header)
{
    const struct ft_string *documents;
    struct ft_batch batch;
    const char *warning;
    int more;

    while ((warning = ft_mix_warning(mix)))
        ft_tool_warn(&tool, "%s", warning);
    if (ft_writer_header(writer, header, tool.whole_argc, tool.whole_argv) < 0)
        return -1;
    while ((more = ft_mix_next(mix, &batch, &documents)) > 0) {
        if (tool.out == 0)
            ft_tool_say(&tool, "%s: %llu batches of %llu rows in %llu epochs", mix_name ? "data sets" : ft_batch_kind_name(batch.kind),
                        (unsigned long long)header->steps, (unsigned long long)header->rows, (unsigned long long)header->epochs);
        ft_batch_write(ft_writer_begin(writer), &batch, documents, 0);
        if (ft_writer_commit(writer) < 0 || ft_writer_flush(writer) < 0)
            return -1;
        tool.out++;
    }
    tool.output = more < 0 ? writer : NULL;
    return more < 0 ? -1 : ft_writer_end(writer);
}

/* The first stream's header gives seed and history; the readers stay open as long as the header is used. */
static int sample(struct ft_reader **readers, int count, struct ft_sampler_options *settings, struct ft_arena *arena)
{
    struct ft_arena scratch = {0};
    struct ft_header header;
    enum ft_mix_order order;
    struct ft_mix *mix;
    int rc = 0;

    header = *ft_reader_header(readers[0]);
    settings->seed = ft_tool_given(&tool, &seed) ? (uint64_t)seed : header.seed;
    if (ft_mix_parse(mix_name, &order) < 0 || !(mix = ft_mix_open(settings, order)))
        return -1;
    for (int i = 0; i < count && rc == 0; i++)
        rc = read_documents(readers[i], tool.argc ? tool.argv[i] : NULL, mix, &scratch);
    if (rc == 0)
        rc = ft_mix_plan(mix, arena, &header);
    if (rc == 0)
        rc = write_batches(mix, tool.output, &header);
    ft_mix_close(mix);
    ft_arena_free(&scratch);
    return rc;
}

static int run(void)
{
    int count = tool.argc ? tool.argc : 1, rc = 0;
    struct ft_sampler_options settings = {.batch = (uint64_t)batch_rows, .per_class = (uint64_t)per_class, .views = (uint64_t)views,
                                          .epochs = (uint64_t)epochs, .drop_last = drop_last};
    struct ft_arena arena = {0};
    struct ft_reader **readers;

    if (!epochs)
        return ft_fail(FT_USAGE, "--epochs 0: expected 1 or more");
    if (chosen_kind(&settings.kind) < 0 || !(tool.output = ft_writer_open(output, force)))
        return -1;
    if (!(readers = ft_arena_zero(&arena, (size_t)count, sizeof *readers)))
        rc = -1;
    if (rc == 0)
        rc = ft_readers_open(readers, tool.argc ? tool.argv : NULL, (size_t)count, FT_DOCUMENTS);
    if (rc == 0)
        rc = sample(readers, count, &settings, &arena);
    for (int i = 0; readers && i < count; i++)
        if (readers[i])
            ft_reader_close(readers[i]);
    ft_arena_free(&arena);
    return rc;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    if (status >= 0)
        return status;
    return ft_tool_end(&tool, run());
}
