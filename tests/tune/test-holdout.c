/* test-holdout.c - documents held out: the share of each label, equal contents on one side, the same whatever the order. */
#include "base/error.h"
#include "tune/holdout.h"
#include "../tap.h"

#include <stdlib.h>

enum { MOST = 1000 };

static struct ft_arena arena;
static struct ft_buffer packed;

static int write_bytes(void *buffer, const char *data, size_t size)
{
    return ft_buffer_add(buffer, data, size);
}

/* A document: its text and label, or, with `other`, a pair. */
struct sample {
    const char *text, *label, *other;
};

static void pack(const struct sample *s)
{
    msgpack_packer pk;

    packed.size = 0;
    msgpack_packer_init(&pk, &packed, write_bytes);
    msgpack_pack_map(&pk, 1 + (s->label != NULL));
    if (s->other) {
        ft_pack_text(&pk, "chunks");
        msgpack_pack_array(&pk, 2);
        for (int i = 0; i < 2; i++) {
            msgpack_pack_map(&pk, 2);
            ft_pack_string(&pk, FT_STRING("text")), ft_pack_string(&pk, ft_string_of(i ? s->other : s->text));
            ft_pack_string(&pk, FT_STRING("tags")), msgpack_pack_map(&pk, 1);
            ft_pack_string(&pk, FT_STRING("role")), ft_pack_string(&pk, ft_string_of(i ? "positive" : "anchor"));
        }
    } else {
        ft_pack_text(&pk, "text"), ft_pack_string(&pk, ft_string_of(s->text));
    }
    if (s->label) {
        ft_pack_text(&pk, "tags"), msgpack_pack_map(&pk, 1);
        ft_pack_text(&pk, "finetuner_label"), ft_pack_string(&pk, ft_string_of(s->label));
    }
}

static struct ft_validation *validation;
static size_t trained;
static const char *trained_text[MOST];

static int take(void *argument, const struct ft_document *d, struct ft_string bytes)
{
    const struct ft_string text = d->chunk_count ? d->chunks[0].content.text : d->content.text;

    (void)argument;
    (void)bytes;
    trained_text[trained++] = ft_arena_text(&arena, text);
    return ft_validation_trained(validation, d);
}

/* Split them; `step` is the order in which they come. -1, or how many are held out. */
static long split(const struct sample *samples, size_t count, size_t step, double share, uint64_t seed)
{
    struct ft_holdout *h = ft_holdout_open(share, seed);
    struct ft_arena scratch = {0};
    struct ft_document document;
    struct ft_record record;
    msgpack_zone zone;
    long result = -1;
    int added = 0;

    ft_validation_close(validation);
    validation = ft_validation_open();
    trained = 0;
    msgpack_zone_init(&zone, 4096);
    for (size_t i = 0; i < count; i++) {
        pack(&samples[i * step % count]);
        added |= ft_record_decode(&zone, (struct ft_string){packed.data, packed.size}, &record) < 0 ||
                 ft_document_read(&scratch, &record.object, &document) < 0 ||
                 ft_holdout_add(h, &document, (struct ft_string){packed.data, packed.size}) < 0;
    }
    if (!added && ft_holdout_split(h, validation, take, NULL) == 0)
        result = (long)ft_validation_count(validation, FT_QUERIES);
    msgpack_zone_destroy(&zone);
    ft_arena_free(&scratch);
    ft_holdout_close(h);
    return result;
}

static size_t leaks(void)
{
    const char *example;

    return ft_validation_leaks(validation, &example);
}

static size_t trained_with(char first)
{
    size_t count = 0;

    for (size_t i = 0; i < trained; i++)
        count += trained_text[i][0] == first;
    return count;
}

/* 40 of a, 10 of b, 3 of c; each text of a twice. */
static size_t labelled(struct sample *samples)
{
    size_t count = 0;

    for (int i = 0; i < 40; i++)
        samples[count++] = (struct sample){ft_arena_print(&arena, "a%d", i / 2), "A", NULL};
    for (int i = 0; i < 10; i++)
        samples[count++] = (struct sample){ft_arena_print(&arena, "b%d", i), "B", NULL};
    for (int i = 0; i < 3; i++)
        samples[count++] = (struct sample){ft_arena_print(&arena, "c%d", i), "C", NULL};
    return count;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool same_texts(const char **before, size_t count)
{
    if (count != trained)
        return false;
    qsort(before, count, sizeof *before, compare_texts);
    qsort(trained_text, trained, sizeof *trained_text, compare_texts);
    for (size_t i = 0; i < count; i++)
        if (strcmp(before[i], trained_text[i]) != 0)
            return false;
    return true;
}

static void check_labelled(void)
{
    static struct sample samples[MOST];
    static const char *before[MOST];
    size_t count = labelled(samples), kept;

    ok(split(samples, count, 1, .2, 0) == 10 && trained == 43, "a fifth of 53: %zu remain", trained);
    ok(trained_with('a') == 32 && trained_with('b') == 8 && trained_with('c') == 3, "8 of 40, 2 of 10, none of 3: a label gives two or none");
    ok(leaks() == 0, "texts that come twice are on one side");
    memcpy(before, trained_text, sizeof before);
    kept = trained;
    split(samples, count, 7, .2, 0);
    ok(same_texts(before, kept), "the same in another order");
    memcpy(before, trained_text, sizeof before);
    split(samples, count, 1, .2, 1);
    ok(!same_texts(before, kept) && trained == kept && leaks() == 0, "others with another seed");
    ok(split(samples, count, 1, .99, 0) == 46 && trained_with('a') == 2 && trained_with('b') == 2, "two of each label stay in any case");
    ok(split(samples, 3, 1, .5, 0) < 0 || trained < 3, "three of one label in two texts");
    ok(split(samples + 50, 3, 1, .5, 0) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "none that can be held out"), "%s", ft_error());
}

/* Pairs in groups of four: the first two and the last two share their anchor, the middle ones their positive. */
static void check_pairs(void)
{
    static struct sample samples[MOST];
    size_t count = 0;

    for (int i = 0; i < 100; i++)
        samples[count++] = (struct sample){ft_arena_print(&arena, "q%d", i / 2), NULL, ft_arena_print(&arena, "d%d", i % 4 == 2 ? i - 1 : i)};
    ok(split(samples, count, 1, .3, 0) == 28 && leaks() == 0, "pairs: %zu trained on, no content on both sides", trained);
    for (size_t i = 0; i < 100; i++)
        samples[i] = (struct sample){ft_arena_print(&arena, "q%zu", i), NULL, ft_arena_print(&arena, "d%zu", i)};
    ok(split(samples, 100, 1, .3, 0) == 30 && leaks() == 0, "pairs that share nothing: exactly the share");
    for (size_t i = 0; i < 100; i++)
        samples[i].other = "one answer";
    ok(split(samples, 100, 1, .3, 0) < 0 && strstr(ft_error(), "in 1 groups"), "all connected: %s", ft_error());
}

static void check_leaks(void)
{
    const struct sample queries[] = {{"the same", "A", NULL}, {"other", "A", NULL}}, seen[] = {{"the same", "B", NULL}, {"the same", "A", NULL}, {"x", "A", NULL}};
    struct ft_arena scratch = {0};
    const char *example = "";
    msgpack_zone zone;

    ft_validation_close(validation);
    validation = ft_validation_open();
    msgpack_zone_init(&zone, 4096);
    for (size_t i = 0; i < 5; i++) {
        struct ft_document d;
        struct ft_record record;

        pack(i < 2 ? &queries[i] : &seen[i - 2]);
        if (ft_record_decode(&zone, (struct ft_string){packed.data, packed.size}, &record) < 0 || ft_document_read(&scratch, &record.object, &d) < 0 ||
            (i < 2 ? ft_validation_add(validation, FT_QUERIES, &d, (struct ft_string){packed.data, packed.size}) : ft_validation_trained(validation, &d)) < 0)
            printf("# %s\n", ft_error());
    }
    ok(ft_validation_leaks(validation, &example) == 1 && strcmp(example, "'the same'") == 0, "a content on both sides is found, and counted once: %s", example);
    msgpack_zone_destroy(&zone);
    ft_arena_free(&scratch);
}

int main(void)
{
    check_labelled();
    check_pairs();
    check_leaks();
    ft_validation_close(validation);
    ft_buffer_free(&packed);
    ft_arena_free(&arena);
    return done();
}
