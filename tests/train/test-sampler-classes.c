/* test-sampler-classes.c - batches of P classes x K documents: exact, distinct, nothing dropped, over random corpora. */
#include "base/random.h"
#include "sampler-world.h"

/* Classes: exactly P x K rows, P different labels, no text of a large class twice in a place, every document once an epoch and no more
 * than the rounding allows, as many batches as planned. */
static int check_classes(struct ft_random *random, struct ft_sampler_options options, int classes, int largest, char *what, size_t size)
{
    static int seen[MOST], label[MOST], class_size[64];
    struct world w;
    struct ft_batch batch;
    const struct ft_string *documents;
    uint64_t batches = 0, epochs = options.epochs, k, p;
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
    while ((rc = ft_sampler_next(w.sampler, &batch, &documents)) > 0) {
        int of_label[64] = {0}, labels = 0;

        batches++;
        wrong += batch.number != batches || batch.rows != w.header.rows || batch.items != batch.rows || batch.epoch > epochs;
        for (size_t i = 0; i < batch.items; i++) {
            int document = number_of(batch.content[i].text);

            seen[document]++;
            wrong += batch.label[i] != label[document] || batch.row[i] != (int)i;
            labels += of_label[label[document]]++ == 0;
        }
        k = batch.rows / (uint64_t)labels;
        p = (uint64_t)labels;
        wrong += k * p != batch.rows || p * k > options.batch;
        wrong += p < (uint64_t)classes && k != options.per_class;
        for (int c = 0; c < classes; c++)
            wrong += of_label[c] && of_label[c] != (int)k;
        for (size_t i = 0; i < batch.items; i++)   /* a document twice in a batch only where its class is short of documents */
            for (size_t j = 0; j < i; j++)
                wrong += (uint64_t)class_size[batch.label[i]] >= k && ft_string_equal(batch.content[i].text, batch.content[j].text);
        for (int i = 0; i < n; i++) {              /* and then all of them come, equally often but for one */
            uint64_t times = 0, of = (uint64_t)class_size[label[i]];

            for (size_t j = 0; j < batch.items; j++)
                times += number_of(batch.content[j].text) == i;
            wrong += of_label[label[i]] && of < k && (times < k / of || times > (k + of - 1) / of);
        }
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
    ok(plan(&w) == 0 && w.header.rows == 256 && w.header.steps == 176, "CLINC150's shape: 256 rows, 176 batches in 3 epochs (11250 places of 4)");
    ok(!warned(&w, ""), "nothing to warn of");
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0)
        for (size_t i = 0; i < batch.items; i++)
            seen[number_of(batch.content[i].text)]++;
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
        seen[number_of(batch.content[i].text)]++;
    for (int i = 0; i < 10; i++)
        once += seen[i];
    ft_sampler_next(w.sampler, &batch, &documents);
    for (size_t i = 0; i < 8; i++)
        twice += seen[number_of(batch.content[i].text)]++ == 0;
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
        bottom += number_of(batch.content[i].text) < 3;
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
            seen[number_of(batch.content[i].text)]++;
    for (int i = 0; i < 500; i++)
        missed += seen[i] == 0;
    ok(missed == 0, "and every document comes");
    close_world(&w);
}

int main(void)
{
    test_classes();
    test_classes_exact();
    test_left_overs();
    test_raised();
    test_crowded_classes();
    return done();
}
