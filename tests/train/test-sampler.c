/* test-sampler.c - what holds for all kinds of batch: the same bytes for the same seed, warnings, refusals, memory. */
#include "sampler-world.h"

#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = true };    /* memory is not what it looks like */
#else
enum { SANITIZED = false };
#endif
/* All bytes of all batches, and whether the stream's reader sees the same batch in them. */
static struct ft_hash all_bytes(struct ft_sampler_options options, char *fingerprint, bool *agree)
{
    struct ft_hash sum = {0, 0}, here = {0, 0}, there = {0, 0};
    struct world w;
    struct ft_batch batch, again;
    const struct ft_string *documents;
    char text[16], label[16];

    open_world(&w, options);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "t%d", i);
        snprintf(label, sizeof label, "l%d", i * i % 23);
        add_document(&w, text, label);
    }
    plan(&w);
    memcpy(fingerprint, w.header.fingerprint.data, 33);
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0) {
        msgpack_sbuffer bytes;
        msgpack_packer pk;
        msgpack_unpacked unpacked;
        struct ft_record record;
        struct ft_arena arena = {0};
        size_t used = 0;

        msgpack_sbuffer_init(&bytes);
        msgpack_packer_init(&pk, &bytes, msgpack_sbuffer_write);
        ft_batch_write(&pk, &batch, documents, 0);
        sum = ft_hash_bytes((struct ft_hash[]){sum, ft_hash_bytes(bytes.data, bytes.size)}, 2 * sizeof sum);
        msgpack_unpacked_init(&unpacked);
        *agree &= msgpack_unpack_next(&unpacked, bytes.data, bytes.size, &used) == MSGPACK_UNPACK_SUCCESS;
        record = (struct ft_record){.bytes = {bytes.data, bytes.size}, .object = unpacked.data};
        *agree &= ft_batch_read(&arena, &record, &again) == 0;
        here = ft_batch_checksum(here, &batch);
        there = ft_batch_checksum(there, &again);
        *agree &= here.low == there.low && here.high == there.high;
        msgpack_unpacked_destroy(&unpacked);
        msgpack_sbuffer_destroy(&bytes);
        ft_arena_free(&arena);
    }
    close_world(&w);
    return sum;
}

static void test_same_bytes(void)
{
    for (int kind = FT_BATCH_CLASSES; kind <= FT_BATCH_RANDOM; kind++) {
        struct ft_sampler_options options = defaults(kind);
        char first[33] = "", second[33] = "";
        const char *name;
        struct ft_hash a, b, c;
        bool agree = true;

        if (kind == FT_BATCH_SCORED)
            continue;
        options.batch = 12;
        a = all_bytes(options, first, &agree);
        b = all_bytes(options, second, &agree);
        options.seed = 2;
        c = all_bytes(options, second, &agree);
        name = ft_batch_kind_name((enum ft_batch_kind)kind);
        ok(a.low == b.low && a.high == b.high && strcmp(first, second) == 0, "%s: the same seed gives the same bytes", name);
        ok(a.low != c.low, "%s: another seed does not", name);
        ok(agree, "%s: a batch that was written and read is the one that was made", name);
    }
}

static void test_warnings(void)
{
    struct world w;

    open_world(&w, defaults(-1));
    add_document(&w, "one", "a");
    add_document(&w, "one", "a");
    add_document(&w, "two", "a");
    add_document(&w, "two", "b");
    add_document(&w, "three", "b");
    add_document(&w, "four", "alone");
    add_document(&w, "", "b");
    ok(plan(&w) == 0, "a corpus with everything wrong is sampled");
    ok(warned(&w, "1 exact duplicate (same content, same label)"), "exact duplicates are counted");
    w.sampler = (ft_sampler_close(w.sampler), NULL);
    close_world(&w);

    open_world(&w, defaults(-1));
    add_document(&w, "two", "a");
    add_document(&w, "two", "b");
    add_document(&w, "x", "b");
    plan(&w);
    ok(warned(&w, "1 text has more than one label, such as 'two' under 'a' and 'b'"), "one text under two labels: an example");
    close_world(&w);

    open_world(&w, defaults(-1));
    add_document(&w, "a", "a");
    add_document(&w, "b", "b");
    add_document(&w, "c", "b");
    plan(&w);
    ok(warned(&w, "1 of 2 labels has one document only, such as 'a'"), "singleton labels");
    close_world(&w);

    open_world(&w, defaults(-1));
    add_document(&w, "", "b");
    add_document(&w, "c", "a");
    plan(&w);
    ok(warned(&w, "1 document is without any content"), "a document without text");
    close_world(&w);

    open_world(&w, defaults(-1));
    for (int i = 0; i < 9; i++)
        add_row(&w, "q", (char[]){'d', (char)('0' + i), 0}, NULL, -1, false);
    add_row(&w, "q2", "e", NULL, -1, false);
    plan(&w);
    ok(w.header.steps == 27 && w.header.rows == 2 && warned(&w, "9 of 10 pairs are one group ('q')"), "a group that sets the number of batches");
    close_world(&w);
}

static void test_refusals(void)
{
    struct ft_sampler_options options;
    struct world w;

    open_world(&w, defaults(-1));
    fails(&w, FT_BAD, "no documents");
    open_world(&w, defaults(-1));
    add_document(&w, "a", "greeting");
    add_document(&w, "b", "greeting");
    fails(&w, FT_BAD, "one class only ('greeting'): contrast needs two");
    open_world(&w, defaults(FT_BATCH_TRIPLETS));
    add_document(&w, "a", "greeting");
    add_document(&w, "b", "greeting");
    fails(&w, FT_BAD, "one class only ('greeting')");
    open_world(&w, defaults(FT_BATCH_CLASSES));
    add_document(&w, "a", NULL);
    fails(&w, FT_BAD, "no labels for --classes");
    open_world(&w, defaults(FT_BATCH_SCORED));
    add_document(&w, "a", "x");
    fails(&w, FT_BAD, "no scores for --scored");
    open_world(&w, defaults(FT_BATCH_PAIRS));
    add_document(&w, "a", "x");
    add_document(&w, "b", "y");
    fails(&w, FT_BAD, "no label has two documents");
    open_world(&w, defaults(-1));
    add_document(&w, "a", "x");
    add_document(&w, "b", NULL);
    fails(&w, FT_BAD, "the input is 1 document without a label, 1 labelled document: say what batches");
    for (int kind = FT_BATCH_PAIRS; kind <= FT_BATCH_TRIPLETS; kind++) {
        open_world(&w, defaults(kind));
        add_row(&w, "q", "a", NULL, -1, false);
        add_row(&w, "q", "b", NULL, -1, false);
        fails(&w, FT_BAD, "all 2 pairs are one group");
    }
    options = defaults(-1);
    options.batch = 1;
    open_world(&w, options);
    add_row(&w, "q", "a", NULL, -1, false);
    add_row(&w, "p", "b", NULL, -1, false);
    fails(&w, FT_USAGE, "--batch 1");
    options.batch = 10;
    options.per_class = 4;
    open_world(&w, options);
    add_document(&w, "a", "x");
    add_document(&w, "b", "y");
    fails(&w, FT_USAGE, "take 8 or 12");
    options.batch = 64;
    options.per_class = 0;
    options.drop_last = true;
    open_world(&w, options);
    add_row(&w, "q", "a", NULL, -1, false);
    add_row(&w, "p", "b", NULL, -1, false);
    fails(&w, FT_USAGE, "--batch 2");
}

/* Memory a document, contents apart: 400,000 labelled documents whose contents do not stay in memory. */
static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0, size = 0;

    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void test_memory(void)
{
    enum { N = 400000 };
    long before = resident(), added, planned;
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    static char text[200];
    char label[16];

    open_world(&w, defaults(FT_BATCH_CLASSES));
    memset(text, 'x', sizeof text - 1);
    for (int i = 0; i < N; i++) {
        text[snprintf(text, sizeof text, "t%d", i)] = ' ';
        snprintf(label, sizeof label, "l%d", i % 1000);
        add_document(&w, text, label);
    }
    added = resident() - before;
    plan(&w);
    ft_sampler_next(w.sampler, &batch, &documents);
    planned = resident() - before;
    ok(SANITIZED || (added > 0 && added / N <= 48 && planned / N <= 48),
       "memory: %ld bytes a document while adding, %ld while sampling", added / N, planned / N);
    close_world(&w);
}

int main(void)
{
    test_same_bytes();
    test_warnings();
    test_refusals();
    test_memory();
    return done();
}
