/* test-sampler-views.c - texts that meet themselves: how often each comes, what its label is, what is refused. */
#include "../tap.h"
#include "sampler-world.h"

enum { TEXTS = 30 };

static void add_texts(struct world *w, const char *label)
{
    for (int i = 0; i < TEXTS; i++) {
        char text[16];

        snprintf(text, sizeof text, "t%d", i);
        add_document(w, text, label);
    }
}

/* Every text of the batch comes `views` times, side by side, with a label that no other text has; once an epoch. */
static void test_classes(uint64_t views, const char *label, uint64_t batch_rows)
{
    struct ft_sampler_options options = defaults(-1);
    int seen[TEXTS] = {0}, wrong = 0, epochs = 0;
    const struct ft_string *documents;
    struct ft_batch batch;
    struct world w;

    options.views = views;
    options.batch = batch_rows;
    open_world(&w, options);
    add_texts(&w, label);
    ok(plan(&w) == 0 && w.header.classes == TEXTS, "%lu views: each text is a class", (unsigned long)views);
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0) {
        wrong += batch.kind != FT_BATCH_CLASSES || batch.items % views != 0 || batch.items > batch_rows || !batch.label;
        epochs = (int)batch.epoch;
        for (size_t i = 0; i < batch.items && !wrong; i++) {
            seen[number_of(batch.content[i].text)] += i % views == 0;
            for (size_t j = 0; j < batch.items; j++)
                wrong += (batch.label[i] == batch.label[j]) != ft_string_equal(batch.content[i].text, batch.content[j].text) ||
                         (batch.label[i] == batch.label[j]) != (i / views == j / views);
        }
    }
    for (int i = 0; i < TEXTS; i++)
        wrong += seen[i] != epochs;
    ok(wrong == 0 && epochs == 3, "a text meets itself, and comes once an epoch");
    close_world(&w);
}

static void test_pairs(void)
{
    struct ft_sampler_options options = defaults(FT_BATCH_PAIRS);
    int seen[TEXTS] = {0}, wrong = 0;
    const struct ft_string *documents;
    struct ft_batch batch;
    struct world w;

    options.views = 2;
    options.batch = 7;
    options.epochs = 2;
    open_world(&w, options);
    add_texts(&w, NULL);
    add_document(&w, "t3", NULL);
    ok(plan(&w) == 0 && warned(&w, "1 exact duplicate (same content): left out"), "a text twice is one");
    while (ft_sampler_next(w.sampler, &batch, &documents) > 0)
        for (size_t i = 0; i < batch.items; i += 2) {
            wrong += batch.kind != FT_BATCH_PAIRS || batch.role[i] != FT_ANCHOR || batch.role[i + 1] != FT_POSITIVE ||
                     !ft_string_equal(batch.content[i].text, batch.content[i + 1].text);
            seen[number_of(batch.content[i].text)]++;
        }
    for (int i = 0; i < TEXTS; i++)
        wrong += seen[i] != 2;
    ok(wrong == 0, "pairs: anchor and positive are one text, each once an epoch");
    close_world(&w);
}

static void refused(int kind, uint64_t views, uint64_t per_class, const char *part)
{
    struct ft_sampler_options options = defaults(kind);
    struct world w;

    options.views = views;
    options.per_class = per_class;
    open_world(&w, options);
    add_texts(&w, NULL);
    fails(&w, FT_USAGE, part);
}

int main(void)
{
    struct ft_sampler_options options = defaults(-1);
    struct world w;

    test_classes(2, NULL, 10);
    test_classes(3, NULL, 15);
    test_classes(2, "one", 12);
    test_classes(2, NULL, 400);
    test_pairs();
    refused(-1, 1, 0, "expected 2 or more");
    refused(FT_BATCH_TRIPLETS, 2, 0, "classes or pairs, not triplets");
    refused(FT_BATCH_PAIRS, 3, 0, "two views of a text");
    refused(FT_BATCH_CLASSES, 2, 2, "--views and --per-class");
    options.views = 2;
    open_world(&w, options);
    ok(add_row(&w, "a", "b", NULL, -1, false) < 0 && strstr(ft_error(), "texts alone"), "pairs are refused: %s", ft_error());
    close_world(&w);
    return done();
}
