/* test-sampler.c - what batches promise, over random corpora: see each test's first line. The references are plain and slow. */
#include "base/error.h"
#include "base/random.h"
#include "data/corpus.h"
#include "train/sampler.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

enum { MOST = 3000 };

/* A corpus in the making, and the sampler that gets it. */
struct world {
    struct ft_sampler *sampler;
    struct ft_arena arena;
    struct ft_header header;
    int count;
};

static struct ft_sampler_options defaults(int kind)
{
    return (struct ft_sampler_options){.kind = kind, .seed = 1};
}

static void open_world(struct world *w, struct ft_sampler_options options)
{
    *w = (struct world){0};
    w->sampler = ft_sampler_open(&options);
}

static void close_world(struct world *w)
{
    ft_sampler_close(w->sampler);
    ft_arena_free(&w->arena);
}

static void pack_one(msgpack_packer *pk, const char *id, const char *text, const char *key, const char *value)
{
    msgpack_pack_map(pk, (uint32_t)(1 + (id != NULL) + (value != NULL)));
    if (id) {
        ft_pack_text(pk, "id");
        ft_pack_text(pk, id);
    }
    ft_pack_text(pk, "text");
    ft_pack_text(pk, text);
    if (value) {
        ft_pack_text(pk, "tags");
        msgpack_pack_map(pk, 2);
        ft_pack_text(pk, "other");
        msgpack_pack_int(pk, 7);
        ft_pack_text(pk, key);
        ft_pack_text(pk, value);
    }
}

static int add_bytes(struct world *w, const msgpack_sbuffer *bytes)
{
    msgpack_unpacked unpacked;
    struct ft_document document;
    struct ft_arena arena = {0};
    size_t used = 0;
    int rc = -1;

    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, bytes->data, bytes->size, &used) == MSGPACK_UNPACK_SUCCESS &&
        ft_document_read(&arena, &unpacked.data, &document) == 0)
        rc = ft_sampler_add(w->sampler, &document, (struct ft_string){bytes->data, bytes->size});
    msgpack_unpacked_destroy(&unpacked);
    ft_arena_free(&arena);
    return rc;
}

/* A document with id "0", "1", ...; label NULL = none. */
static int add_document(struct world *w, const char *text, const char *label)
{
    msgpack_sbuffer bytes;
    msgpack_packer pk;
    char id[16];
    int rc;

    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&pk, &bytes, msgpack_sbuffer_write);
    snprintf(id, sizeof id, "%d", w->count++);
    pack_one(&pk, id, text, "finetuner_label", label);
    rc = add_bytes(w, &bytes);
    msgpack_sbuffer_destroy(&bytes);
    return rc;
}

/* A row with two or three chunks; roles unless `bare`; scored where score is not below zero. */
static int add_row(struct world *w, const char *a, const char *p, const char *n, double score, bool bare)
{
    msgpack_sbuffer bytes;
    msgpack_packer pk;
    char id[16];
    int rc;

    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&pk, &bytes, msgpack_sbuffer_write);
    snprintf(id, sizeof id, "%d", w->count++);
    msgpack_pack_map(&pk, score >= 0 ? 3 : 2);
    ft_pack_text(&pk, "id");
    ft_pack_text(&pk, id);
    if (score >= 0) {
        ft_pack_text(&pk, "tags");
        msgpack_pack_map(&pk, 1);
        ft_pack_text(&pk, "finetuner_score");
        msgpack_pack_double(&pk, score);
    }
    ft_pack_text(&pk, "chunks");
    msgpack_pack_array(&pk, n ? 3 : 2);
    pack_one(&pk, NULL, a, "role", bare ? NULL : "anchor");
    pack_one(&pk, NULL, p, "role", bare ? NULL : "positive");
    if (n)
        pack_one(&pk, NULL, n, "role", bare ? NULL : "negative");
    rc = add_bytes(w, &bytes);
    msgpack_sbuffer_destroy(&bytes);
    return rc;
}

static int plan(struct world *w)
{
    return ft_sampler_plan(w->sampler, &w->arena, &w->header);
}

static int number_of(struct ft_string text)
{
    char digits[16] = "";

    memcpy(digits, text.data, text.size < 15 ? text.size : 15);
    return (int)strtol(digits + (digits[0] < '0' || digits[0] > '9'), NULL, 10);
}

static bool warned(struct world *w, const char *part)
{
    const char *line;
    bool found = false;

    while ((line = ft_sampler_warning(w->sampler))) {
        printf("# %s\n", line);
        found |= strstr(line, part) != NULL;
    }
    return found;
}

static void fails(struct world *w, enum ft_status status, const char *part)
{
    int rc = plan(w);

    ok(rc < 0 && ft_error_status() == status && strstr(ft_error(), part), "refused: %s", rc < 0 ? ft_error() : "(it was not)");
    close_world(w);
}

/* Classes: exactly P x K rows, P different labels, no text of a large class twice in a place, every document once an epoch and no more
 * than the rounding allows, as many batches as planned. */
static int check_classes(struct ft_random *random, struct ft_sampler_options options, int classes, int largest, char *what, size_t size)
{
    static int seen[MOST], label[MOST], class_size[64];
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    uint64_t batches = 0, epochs = options.epochs ? options.epochs : 3, k, p;
    int wrong = 0, n = 0, rc;
    char text[16], name[16];

    open_world(&w, options);
    for (int c = 0; c < classes; c++) {
        class_size[c] = 1 + (int)ft_random_below(random, (uint64_t)largest);
        for (int i = 0; i < class_size[c]; i++, n++) {
            snprintf(text, sizeof text, "t%d", n);
            snprintf(name, sizeof name, "l%d", c);
            add_document(&w, text, name);
            label[n] = c;
            seen[n] = 0;
        }
    }
    if (plan(&w) < 0) {
        snprintf(what, size, "%s", ft_error());
        close_world(&w);
        return 1;
    }
    k = 0;
    while ((rc = ft_sampler_next(w.sampler, &batch, &documents)) > 0) {
        int of_label[64] = {0}, labels = 0;

        batches++;
        wrong += batch.number != batches || batch.rows != w.header.rows || batch.items != batch.rows || batch.epoch > epochs;
        for (size_t i = 0; i < batch.items; i++) {
            int document = number_of(batch.text[i]);

            seen[document]++;
            wrong += batch.label[i] != label[document] || batch.row[i] != (int)i;
            labels += of_label[label[document]]++ == 0;
            for (size_t j = 0; j < i; j++)   /* a document twice in a batch only where its class is short of documents */
                wrong += ft_string_equal(batch.text[i], batch.text[j]) && (uint64_t)class_size[label[document]] >= w.header.rows / (uint64_t)labels &&
                         k && (uint64_t)class_size[label[document]] >= k;
        }
        k = batch.rows / (uint64_t)labels;
        p = (uint64_t)labels;
        wrong += k * p != batch.rows || (options.per_class && p * k > options.batch) || (p < (uint64_t)classes && options.per_class && k != options.per_class);
        for (int c = 0; c < classes; c++)
            wrong += of_label[c] && of_label[c] != (int)k;
    }
    wrong += rc < 0 || batches != w.header.steps || w.header.classes != (uint64_t)classes || w.header.epochs != epochs;
    for (int i = 0; i < n && !options.drop_last; i++)
        wrong += seen[i] < (int)epochs;
    snprintf(what, size, "%d documents of %d labels, %llu rows, %llu batches", n, classes, (unsigned long long)w.header.rows,
             (unsigned long long)batches);
    close_world(&w);
    return wrong;
}

static void test_classes(void)
{
    struct ft_random random = ft_random_start(11, 0);
    char what[1024] = "", bad[1024] = "";
    int wrong = 0;

    for (int trial = 0; trial < 300; trial++) {
        struct ft_sampler_options options = defaults(-1);
        int classes = 2 + (int)ft_random_below(&random, 40), largest = 1 + (int)ft_random_below(&random, 60);

        options.seed = (uint64_t)trial;
        options.per_class = 2 + ft_random_below(&random, 5);
        options.batch = options.per_class * (2 + ft_random_below(&random, 12));
        options.epochs = 1 + ft_random_below(&random, 4);
        options.drop_last = ft_random_below(&random, 4) == 0;
        if (check_classes(&random, options, classes, largest, what, sizeof what)) {
            wrong++;
            memcpy(bad, what, sizeof bad);
        }
    }
    ok(wrong == 0, "classes: 300 random corpora (%s)", wrong ? bad : what);
}

/* 150 labels of 100 documents: as CLINC150. Each document exactly three times in three epochs, but for the rounding of the last batch. */
static void test_classes_exact(void)
{
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    static int seen[15000];
    int least = 99, most = 0;
    char text[16], label[16];

    open_world(&w, defaults(-1));
    for (int i = 0; i < 15000; i++) {
        snprintf(text, sizeof text, "t%d", i);
        snprintf(label, sizeof label, "l%d", i % 150);
        add_document(&w, text, label);
    }
    ok(plan(&w) == 0 && w.header.rows == 128 && w.header.steps == 352, "CLINC150's shape: 128 rows, 352 batches in 3 epochs (11250 places of 4)");
    ok(!warned(&w, ""), "nothing to warn of");
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0)
        for (size_t i = 0; i < batch.items; i++)
            seen[number_of(batch.text[i])]++;
    for (int i = 0; i < 15000; i++) {
        least = seen[i] < least ? seen[i] : least;
        most = seen[i] > most ? seen[i] : most;
    }
    ok(least == 3 && most <= 4, "every document 3 times, 4 in the last batch's repeats");
    close_world(&w);
}

/* Left-overs: 5 documents of each label, K = 4. The one that does not fit begins the next epoch. */
static void test_left_overs(void)
{
    struct ft_sampler_options options = defaults(FT_BATCH_CLASSES);
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    int seen[10] = {0}, once = 0, twice = 0;

    options.batch = 8;
    options.epochs = 2;
    open_world(&w, options);
    for (int i = 0; i < 10; i++)
        add_document(&w, (char[]){'t', (char)('0' + i), 0}, i < 5 ? "a" : "b");
    ok(plan(&w) == 0 && w.header.steps == 3, "5 + 5 documents by fours: one batch, then two");
    ft_sampler_next(w.sampler, &batch, &documents);
    for (int i = 0; i < 8; i++)
        seen[number_of(batch.text[i])]++;
    for (int i = 0; i < 10; i++)
        once += seen[i];
    ft_sampler_next(w.sampler, &batch, &documents);
    for (size_t i = 0; i < 8; i++)
        twice += seen[number_of(batch.text[i])]++ == 0;
    ok(once == 8 && twice == 2 && batch.epoch == 2, "what was left over comes in the next epoch's first batch");
    close_world(&w);
}

static void test_raised(void)
{
    struct ft_sampler_options options = defaults(FT_BATCH_CLASSES);
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    int bottom = 0;
    char text[16];

    options.batch = 32;
    open_world(&w, options);
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "t%d", i);
        add_document(&w, text, i < 3 ? "short" : i % 2 ? "odd" : "even");
    }
    ok(plan(&w) == 0 && w.header.rows == 30, "3 labels for 8 places: 10 of each, 30 rows");
    ok(warned(&w, "3 labels, fewer than the 8 places of a batch: 10 documents of each instead of 4"), "K raised, and said");
    ft_sampler_next(w.sampler, &batch, &documents);
    for (size_t i = 0; i < batch.items; i++)
        bottom += number_of(batch.text[i]) < 3;
    ok(bottom == 10, "a short class is topped up with repeats of its own");
    close_world(&w);
}

static void test_crowded_classes(void)
{
    struct ft_sampler_options options = defaults(FT_BATCH_CLASSES);
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    static int seen[500];
    int missed = 0;
    char text[16], label[16];

    options.batch = 16;
    options.epochs = 1;
    open_world(&w, options);
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "t%d", i);
        snprintf(label, sizeof label, "l%d", i % 50 ? 0 : i / 50 % 5);
        add_document(&w, text, label);
    }
    plan(&w);
    ok(w.header.steps == 123 && warned(&w, "label 'l0' has 492 of 500 documents: 123 batches"), "a label that outnumbers the others sets the epoch");
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0)
        for (size_t i = 0; i < batch.items; i++)
            seen[number_of(batch.text[i])]++;
    for (int i = 0; i < 500; i++)
        missed += seen[i] == 0;
    ok(missed == 0, "and every document comes");
    close_world(&w);
}

/* Groups as anybody would find them: the smallest row number reachable over shared texts. */
static void find_groups(int rows, int (*text)[2], int *group)
{
    bool changed = true;

    for (int r = 0; r < rows; r++)
        group[r] = r;
    while (changed) {
        changed = false;
        for (int r = 0; r < rows; r++)
            for (int q = 0; q < r; q++)
                if (group[r] != group[q] && (text[r][0] == text[q][0] || text[r][0] == text[q][1] || text[r][1] == text[q][0] ||
                                             text[r][1] == text[q][1])) {
                    group[r] = group[q] = group[r] < group[q] ? group[r] : group[q];
                    changed = true;
                }
    }
}

/* Pairs: every row once an epoch; no text twice in a batch, no two rows of one group; only the last batch short where groups allow. */
static int check_pairs(struct ft_random *random, struct ft_sampler_options options, int rows, int texts, uint64_t *crowded)
{
    static int text[400][2], group[400], seen[400];
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    uint64_t batches = 0, epochs = options.epochs, last = 0;
    int wrong = 0, rc, largest = 0;
    char a[16], b[16];

    open_world(&w, options);
    for (int r = 0; r < rows; r++) {
        text[r][0] = (int)ft_random_below(random, (uint64_t)texts);
        while ((text[r][1] = (int)ft_random_below(random, (uint64_t)texts)) == text[r][0])
            ;
        snprintf(a, sizeof a, "t%d", text[r][0]);
        snprintf(b, sizeof b, "t%d", text[r][1]);
        add_row(&w, a, b, NULL, -1, r % 2);
        seen[r] = 0;
    }
    find_groups(rows, text, group);
    for (int r = 0, of = 0; r < rows; r++, of = 0) {
        for (int q = 0; q < rows; q++)
            of += group[q] == group[r];
        largest = of > largest ? of : largest;
    }
    if (plan(&w) < 0) {
        wrong = largest == rows ? 0 : 1;
        close_world(&w);
        return wrong;
    }
    while ((rc = ft_sampler_next(w.sampler, &batch, &documents)) > 0) {
        batches++;
        last = batch.rows;
        wrong += batch.kind != FT_BATCH_PAIRS || batch.items != 2 * batch.rows || batch.rows > w.header.rows;
        for (size_t i = 0; i < batch.items; i++) {
            wrong += batch.role[i] != (i % 2 ? FT_POSITIVE : FT_ANCHOR) || batch.row[i] != (int)i / 2;
            for (size_t j = 0; j < i; j++)
                wrong += ft_string_equal(batch.text[i], batch.text[j]);
        }
        for (size_t i = 0; i < batch.rows; i++) {
            int row = -1;

            for (int r = 0; r < rows && row < 0; r++)   /* equal rows are counted on the first that is not seen enough */
                if (text[r][0] == number_of(batch.text[2 * i]) && text[r][1] == number_of(batch.text[2 * i + 1]) &&
                    seen[r] < (int)batch.epoch)
                    row = r;
            wrong += row < 0;
            if (row >= 0)
                seen[row]++;
            for (size_t j = 0; j < i; j++)
                for (int r = 0; r < rows; r++)
                    if (text[r][0] == number_of(batch.text[2 * j]) && text[r][1] == number_of(batch.text[2 * j + 1])) {
                        wrong += group[r] == group[row];
                        break;
                    }
        }
    }
    wrong += rc < 0 || batches != w.header.steps;
    for (int r = 0; r < rows && !options.drop_last; r++)
        wrong += seen[r] != (int)epochs;
    *crowded += (uint64_t)largest * epochs == batches && !options.drop_last;
    if (!options.drop_last)
        wrong += batches != epochs * (uint64_t)(largest > (rows + (int)options.batch - 1) / (int)options.batch ? largest :
                                                (rows + (int)options.batch - 1) / (int)options.batch);
    (void)last;
    close_world(&w);
    return wrong;
}

static void test_pairs(void)
{
    struct ft_random random = ft_random_start(12, 0);
    uint64_t crowded = 0;
    int wrong = 0;

    for (int trial = 0; trial < 150; trial++) {
        struct ft_sampler_options options = defaults(trial % 2 ? -1 : FT_BATCH_PAIRS);
        int rows = 30 + (int)ft_random_below(&random, 200);

        options.seed = (uint64_t)trial;
        options.batch = 2 + ft_random_below(&random, 28);
        options.epochs = 1 + ft_random_below(&random, 3);
        options.drop_last = trial % 5 == 0;
        wrong += check_pairs(&random, options, rows, rows * (2 + (int)ft_random_below(&random, 6)), &crowded) > 0;
    }
    ok(wrong == 0, "pairs: 150 random corpora, in %llu of them one group sets the number of batches", (unsigned long long)crowded);
}

/* Distinct rows: all batches full but the last; --drop-last leaves that out. */
static void test_short_batches(void)
{
    for (int drop = 0; drop < 2; drop++) {
        struct ft_sampler_options options = defaults(-1);
        struct world w;
        struct ft_batch batch;
        const struct ft_string *documents;
        uint64_t rows = 0, full = 0, count = 0;
        char a[16], b[16];

        options.batch = 16;
        options.epochs = 2;
        options.drop_last = drop;
        open_world(&w, options);
        for (int r = 0; r < 100; r++) {
            snprintf(a, sizeof a, "q%d", r);
            snprintf(b, sizeof b, "d%d", r / 2);   /* groups of two rows */
            add_row(&w, a, b, NULL, -1, false);
        }
        plan(&w);
        while (ft_sampler_next(w.sampler, &batch, &documents) > 0) {
            rows += batch.rows;
            full += batch.rows == 16;
            count++;
        }
        ok(full == 12 && count == (drop ? 12u : 14u) && rows == (drop ? 192u : 200u) && count == w.header.steps,
           drop ? "--drop-last: 6 full batches an epoch" : "6 full batches an epoch and one of 4");
        close_world(&w);
    }
}

static void test_finetuner_examples(void)
{
    static const char *const rows[2][3][2] = {
        {{"q1", "d1"}, {"q2", "d1"}, {"q3", "d3"}},
        {{"q1", "d1"}, {"q2", "d2"}, {"q1", "d2"}},
    };

    for (int example = 0; example < 2; example++)
        for (int triplets = 0; triplets < 2; triplets++) {
            struct ft_sampler_options options = defaults(triplets ? FT_BATCH_TRIPLETS : FT_BATCH_PAIRS);
            struct world w;
            struct ft_batch batch;
            const struct ft_string *documents;
            int wrong = 0;

            open_world(&w, options);
            for (int r = 0; r < 3; r++)
                add_row(&w, rows[example][r][0], rows[example][r][1], NULL, -1, false);
            add_row(&w, "q9", "d9", NULL, -1, false);
            wrong += plan(&w) < 0;
            while (ft_sampler_next(w.sampler, &batch, &documents) > 0)
                for (size_t i = 0; i < batch.items; i++)
                    for (size_t j = 0; j < batch.items; j++) {
                        bool negatives = triplets ? batch.role[i] == FT_ANCHOR && batch.role[j] == FT_NEGATIVE && batch.row[i] == batch.row[j]
                                                  : batch.row[i] != batch.row[j];
                        bool both = number_of(batch.text[i]) < 3 && number_of(batch.text[j]) < 3;

                        wrong += negatives && (ft_string_equal(batch.text[i], batch.text[j]) || both);
                    }
            ok(wrong == 0, "%s, %s: no document is its own negative", example ? "q1,d1 / q2,d2 / q1,d2" : "q1,d1 / q2,d1",
               triplets ? "triplets" : "pairs");
            close_world(&w);
        }
}

/* Triplets and pairs of labelled documents: same label, other text; the negative of another label, and of no text that the anchor's label has;
 * each document that has a positive is an anchor once an epoch. */
static int check_labelled(struct ft_random *random, int kind, uint64_t seed)
{
    static int seen[600], label[600], of_label[32];
    struct ft_sampler_options options = defaults(kind);
    int n = 20 + (int)ft_random_below(random, 500), labels = 3 + (int)ft_random_below(random, 29), wrong = 0, rc;
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    uint64_t batches = 0;
    char text[16], name[16];

    options.seed = seed;
    options.batch = 2 + ft_random_below(random, 20);
    options.epochs = 2;
    memset(of_label, 0, sizeof of_label);
    memset(seen, 0, sizeof seen);
    open_world(&w, options);
    for (int i = 0; i < n; i++) {
        label[i] = i < 4 ? i % 2 : (int)ft_random_below(random, (uint64_t)labels);
        of_label[label[i]]++;
        snprintf(text, sizeof text, "t%d", i);
        snprintf(name, sizeof name, "l%d", label[i]);
        add_document(&w, text, name);
        if (i % 7 == 0)
            add_document(&w, text, name);   /* an exact duplicate */
    }
    add_document(&w, "t0", "l1");           /* one text under two labels: l0 and l1 are taken for one */
    wrong += plan(&w) < 0;
    while ((rc = ft_sampler_next(w.sampler, &batch, &documents)) > 0) {
        size_t each = kind == FT_BATCH_PAIRS ? 2 : 3;

        batches++;
        wrong += batch.items != each * batch.rows;
        for (size_t r = 0; r < batch.rows; r++) {
            const struct ft_string *item = batch.text + each * r;
            int a = number_of(item[0]), p = number_of(item[1]), la = label[a] == 1 ? 0 : label[a];
            int lp = label[p] == 1 ? 0 : label[p];

            seen[a]++;
            seen[p] += kind == FT_BATCH_PAIRS;
            wrong += a == p || la != lp || batch.role[each * r] != FT_ANCHOR || batch.role[each * r + 1] != FT_POSITIVE;
            if (each == 3) {
                int ln = label[number_of(item[2])] == 1 ? 0 : label[number_of(item[2])];

                wrong += ln == la || batch.role[each * r + 2] != FT_NEGATIVE;
            } else {
                for (size_t q = 0; q < r; q++)
                    wrong += (label[number_of(batch.text[2 * q])] == 1 ? 0 : label[number_of(batch.text[2 * q])]) == la;
            }
        }
    }
    wrong += rc < 0 || batches != w.header.steps;
    for (int i = 0; i < n; i++)
        wrong += of_label[label[i]] >= 2 && seen[i] < 2;
    close_world(&w);
    return wrong;
}

static void test_labelled(void)
{
    struct ft_random random = ft_random_start(13, 0);
    int wrong[2] = {0, 0};

    for (uint64_t trial = 0; trial < 100; trial++) {
        wrong[0] += check_labelled(&random, FT_BATCH_PAIRS, trial) > 0;
        wrong[1] += check_labelled(&random, FT_BATCH_TRIPLETS, trial) > 0;
    }
    ok(wrong[0] == 0, "pairs of labelled documents: 100 random corpora");
    ok(wrong[1] == 0, "triplets of labelled documents: 100 random corpora, no false negatives");
}

/* Made rows are documents: id, chunks with all fields, and roles. */
static void test_made_rows(void)
{
    struct ft_sampler_options options = defaults(FT_BATCH_TRIPLETS);
    struct world w;
    struct ft_batch batch;
    struct ft_document d;
    struct ft_arena arena = {0};
    msgpack_unpacked unpacked;
    const struct ft_string *documents;
    size_t used = 0;
    int64_t other = 0;

    open_world(&w, options);
    add_document(&w, "ta", "x");
    add_document(&w, "tb", "x");
    add_document(&w, "tc", "y");
    plan(&w);
    ft_sampler_next(w.sampler, &batch, &documents);
    msgpack_unpacked_init(&unpacked);
    ok(batch.rows == 2 && msgpack_unpack_next(&unpacked, documents[0].data, documents[0].size, &used) == MSGPACK_UNPACK_SUCCESS &&
       used == documents[0].size && ft_document_read(&arena, &unpacked.data, &d) == 0, "a made row is one document");
    ok(ft_string_is(d.id, ft_string_is(d.chunks[0].id, "0") ? "0|1|2" : "1|0|2"), "its id is made of its parts': %.*s", (int)d.id.size, d.id.data);
    ok(d.chunk_count == 3 && d.chunks[0].role == FT_ANCHOR && d.chunks[1].role == FT_POSITIVE && d.chunks[2].role == FT_NEGATIVE &&
       ft_string_is(d.chunks[2].text, "tc") && ft_string_is(d.chunks[2].label, "y"), "its chunks keep text and label and have roles");
    const msgpack_object *tags = ft_map_get(d.chunks[1].object, "tags"), *value = tags ? ft_map_get(tags, "other") : NULL;
    if (value && value->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
        other = (int64_t)value->via.u64;
    ok(other == 7, "and their other tags");
    msgpack_unpacked_destroy(&unpacked);
    ft_arena_free(&arena);
    close_world(&w);
}

/* Triplets that come as triplets, or from pairs; a negative that is a positive elsewhere is left out. */
static void test_given_triplets(void)
{
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    uint64_t rows = 0;
    int wrong = 0;

    open_world(&w, defaults(-1));
    add_row(&w, "a1", "p1", "n1", -1, false);
    add_row(&w, "a1", "p2", "p1", -1, false);   /* p1 is a positive of a1 */
    add_row(&w, "a3", "p3", "n3", -1, false);
    add_row(&w, "a4", "p4", NULL, -1, false);   /* a pair among them gets a negative */
    ok(plan(&w) == 0 && warned(&w, "1 triplet has a negative that is a positive"), "a contradictory triplet is left out, and said");
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0) {
        rows += batch.rows;
        wrong += batch.kind != FT_BATCH_TRIPLETS || batch.items != 3 * batch.rows;
        for (size_t i = 0; i < batch.items; i++)
            wrong += batch.role[i] != i % 3;
    }
    ok(rows == 9 && wrong == 0, "triplets and a pair: 3 rows in each of 3 epochs");
    close_world(&w);
}

static void test_scored_and_random(void)
{
    struct ft_sampler_options options = defaults(-1);
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    int wrong = 0, seen[50] = {0};
    char a[16];

    options.batch = 8;
    options.epochs = 2;
    open_world(&w, options);
    for (int i = 0; i < 50; i++) {
        snprintf(a, sizeof a, "t%d", i);
        add_row(&w, a, "same", NULL, i / 64.0, true);
    }
    ok(plan(&w) == 0 && w.header.steps == 14, "scored: 50 rows, 7 batches an epoch");
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0)
        for (size_t r = 0; r < batch.rows; r++) {
            int i = number_of(batch.text[2 * r]);

            seen[i]++;
            wrong += batch.score[r] != (float)(i / 64.0) || batch.label || batch.role;
        }
    for (int i = 0; i < 50; i++)
        wrong += seen[i] != 2;
    ok(wrong == 0, "scored: each row once an epoch, with its score");
    close_world(&w);

    options.kind = FT_BATCH_RANDOM;
    open_world(&w, options);
    for (int i = 0; i < 20; i++) {
        snprintf(a, sizeof a, "t%d", i);
        add_document(&w, a, i % 2 ? "odd" : NULL);
    }
    wrong = plan(&w) < 0 || w.header.classes != 1;
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0)
        for (size_t i = 0; i < batch.items; i++)
            wrong += batch.label[i] != (number_of(batch.text[i]) % 2 ? 0 : -1);
    ok(wrong == 0, "random: labels where known, -1 where not");
    close_world(&w);
}

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
        struct ft_hash a, b, c;
        bool agree = true;

        if (kind == FT_BATCH_SCORED)
            continue;
        options.batch = 12;
        a = all_bytes(options, first, &agree);
        b = all_bytes(options, second, &agree);
        options.seed = 2;
        c = all_bytes(options, second, &agree);
        ok(a.low == b.low && a.high == b.high && strcmp(first, second) == 0, "%s: the same seed gives the same bytes", ft_batch_kind_name((enum ft_batch_kind)kind));
        ok(a.low != c.low, "%s: another seed does not", ft_batch_kind_name((enum ft_batch_kind)kind));
        ok(agree, "%s: a batch that was written and read is the one that was made", ft_batch_kind_name((enum ft_batch_kind)kind));
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
    ok(added > 0 && added / N <= 48 && planned / N <= 48, "memory: %ld bytes a document while adding, %ld while sampling", added / N, planned / N);
    close_world(&w);
}

/* The spool: documents smaller and larger than its buffer come back as they went in. */
static void test_corpus(void)
{
    struct ft_corpus *corpus = ft_corpus_open(0);
    struct ft_buffer into = {0};
    static char bytes[300000];
    int wrong = 0;

    for (int i = 0; i < 2000; i++) {
        size_t size = i % 500 == 7 ? sizeof bytes : (size_t)(i * 37 % 1000);

        memset(bytes, i, size);
        wrong += ft_corpus_add(corpus, (struct ft_string){bytes, size}) < 0;
    }
    for (int i = 1999; i >= 0; i--) {
        size_t size = i % 500 == 7 ? sizeof bytes : (size_t)(i * 37 % 1000);

        memset(bytes, i, size);
        into.size = 0;
        wrong += ft_corpus_size(corpus, (size_t)i) != size || ft_corpus_read(corpus, (size_t)i, &into) < 0 || into.size != size ||
                 (size && memcmp(into.data, bytes, size) != 0);
    }
    ok(wrong == 0 && ft_corpus_count(corpus) == 2000, "the spool gives back what it got, larger than its buffer or not");
    ft_corpus_close(corpus);
    setenv("TMPDIR", "/nonexistent", 1);
    corpus = ft_corpus_open(0);
    for (wrong = 0; wrong < 100000 && ft_corpus_add(corpus, (struct ft_string){bytes, 1000}) == 0; wrong++)
        ;
    ok(wrong < 100 && ft_error_status() == FT_SYSTEM && strstr(ft_error(), "/nonexistent"), "no place for it: %s", ft_error());
    unsetenv("TMPDIR");
    ft_corpus_close(corpus);
    ft_buffer_free(&into);
}

int main(void)
{
    test_corpus();
    test_classes();
    test_classes_exact();
    test_left_overs();
    test_raised();
    test_crowded_classes();
    test_pairs();
    test_short_batches();
    test_finetuner_examples();
    test_labelled();
    test_made_rows();
    test_given_triplets();
    test_scored_and_random();
    test_same_bytes();
    test_warnings();
    test_refusals();
    test_memory();
    return done();
}
