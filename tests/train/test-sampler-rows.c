/* test-sampler-rows.c - batches of rows: groups kept apart, no false negatives, every row once an epoch. The references are plain and slow. */
#include "base/random.h"
#include "sampler-world.h"

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
                wrong += ft_string_equal(batch.content[i].text, batch.content[j].text);
        }
        for (size_t i = 0; i < batch.rows; i++) {
            int row = -1;

            for (int r = 0; r < rows && row < 0; r++)   /* equal rows are counted on the first that is not seen enough */
                if (text[r][0] == number_of(batch.content[2 * i].text) && text[r][1] == number_of(batch.content[2 * i + 1].text) &&
                    seen[r] < (int)batch.epoch)
                    row = r;
            wrong += row < 0;
            if (row >= 0)
                seen[row]++;
            for (size_t j = 0; j < i; j++)
                for (int r = 0; r < rows; r++)
                    if (text[r][0] == number_of(batch.content[2 * j].text) && text[r][1] == number_of(batch.content[2 * j + 1].text)) {
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
                        bool both = number_of(batch.content[i].text) < 3 && number_of(batch.content[j].text) < 3;

                        wrong += negatives && (ft_string_equal(batch.content[i].text, batch.content[j].text) || both);
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
            const struct ft_content *item = batch.content + each * r;
            int a = number_of(item[0].text), p = number_of(item[1].text), la = label[a] == 1 ? 0 : label[a];
            int lp = label[p] == 1 ? 0 : label[p];

            seen[a]++;
            seen[p] += kind == FT_BATCH_PAIRS;
            wrong += a == p || la != lp || batch.role[each * r] != FT_ANCHOR || batch.role[each * r + 1] != FT_POSITIVE;
            if (each == 3) {
                int ln = label[number_of(item[2].text)] == 1 ? 0 : label[number_of(item[2].text)];

                wrong += ln == la || batch.role[each * r + 2] != FT_NEGATIVE;
            } else {
                for (size_t q = 0; q < r; q++)
                    wrong += (label[number_of(batch.content[2 * q].text)] == 1 ? 0 : label[number_of(batch.content[2 * q].text)]) == la;
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
       ft_string_is(d.chunks[2].content.text, "tc") && ft_string_is(d.chunks[2].label, "y"), "its chunks keep text and label and have roles");
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

/* Scores of triplets: the margin of a document as a score of its positive; scores of chunks as they are. A pair with several negatives is
 * no duplicate, and what is a negative here and a positive there no contradiction. */
static void test_scored_triplets(void)
{
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    int wrong = 0, rows = 0;

    open_world(&w, defaults(-1));
    add_row(&w, "a1", "p1", "n1", .5, false);
    add_row(&w, "a1", "p1", "n2", .25, false);
    add_row(&w, "a1", "n2", "p1", .125, false);
    ok(plan(&w) == 0 && !ft_sampler_warning(w.sampler), "scored triplets: nothing to warn of");
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0) {
        wrong += batch.kind != FT_BATCH_TRIPLETS || batch.score || !batch.item_score;
        for (size_t i = 0; batch.item_score && i < batch.items; i += 3, rows++) {
            float want = ft_string_is(batch.content[i + 1].text, "n2") ? .125f : ft_string_is(batch.content[i + 2].text, "n1") ? .5f : .25f;

            wrong += batch.item_score[i] != 0 || batch.item_score[i + 1] != want || batch.item_score[i + 2] != 0;
        }
    }
    ok(wrong == 0 && rows == 9, "each row's margin is its positive's score");
    close_world(&w);

    open_world(&w, defaults(-1));
    add_row(&w, "a1", "p1", "n1", .5, false);
    add_row(&w, "a2", "p2", "n2", -1, false);
    ok(plan(&w) == 0 && warned(&w, "as not all have scores, batches carry none"), "scores of some");
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0)
        wrong += batch.item_score != NULL;
    ok(wrong == 0, "are left out");
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
            int i = number_of(batch.content[2 * r].text);

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
            wrong += batch.label[i] != (number_of(batch.content[i].text) % 2 ? 0 : -1);
    ok(wrong == 0, "random: labels where known, -1 where not");
    close_world(&w);
}

int main(void)
{
    test_pairs();
    test_short_batches();
    test_finetuner_examples();
    test_labelled();
    test_made_rows();
    test_given_triplets();
    test_scored_triplets();
    test_scored_and_random();
    return done();
}
