/* sampler-plan.c - all documents are in: what kind of batches, who is alike, what should be said of the data. */
#include "train/sampler-internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const shape_names[FT_SHAPES][2] = {
    {"document without a label", "documents without a label"}, {"labelled document", "labelled documents"},
    {"pair", "pairs"}, {"triplet", "triplets"}, {"scored triplet", "scored triplets"}, {"scored pair", "scored pairs"},
};

/* May a document of this shape be in a batch of this kind? */
static bool takes(const struct ft_sampler *s, enum ft_shape shape)
{
    switch (s->kind) {
    case FT_BATCH_CLASSES:
        return shape == FT_LABELLED;
    case FT_BATCH_PAIRS:
        return shape == (s->shapes[FT_PAIR] ? FT_PAIR : FT_LABELLED);
    case FT_BATCH_TRIPLETS:
        return s->shapes[FT_PAIR] + s->shapes[FT_TRIPLET] + s->shapes[FT_TAUGHT]
                   ? shape == FT_PAIR || shape == FT_TRIPLET || shape == FT_TAUGHT : shape == FT_LABELLED;
    case FT_BATCH_SCORED:
        return shape == FT_SCORED;
    case FT_BATCH_RANDOM:
        break;
    }
    return true;
}

/* What the documents are, for messages: "12 pairs, 3 triplets". */
static const char *what_they_are(struct ft_sampler *s)
{
    char text[256] = "";
    size_t used = 0;

    for (int shape = 0; shape < FT_SHAPES; shape++)
        if (s->shapes[shape])
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%zu %s", used ? ", " : "", s->shapes[shape],
                                     shape_names[shape][s->shapes[shape] != 1]);
    return ft_arena_print(&s->arena, "%s", text);
}

static int refuse_kind(struct ft_sampler *s)
{
    const char *are = what_they_are(s);

    switch (s->kind) {
    case FT_BATCH_CLASSES:
        return ft_fail(FT_BAD, "no labels for --classes (the input is %s): a label column makes them (ft-ingest --labeled), or leave "
                       "--classes out", are);
    case FT_BATCH_PAIRS:
        return ft_fail(FT_BAD, "no pairs and no labels for --pairs (the input is %s): leave --pairs out", are);
    case FT_BATCH_TRIPLETS:
        return ft_fail(FT_BAD, "no triplets, pairs or labels for --triplets (the input is %s): leave --triplets out", are);
    default:
        return ft_fail(FT_BAD, "no scores for --scored (the input is %s): a score column makes them (ft-ingest --scored), or leave "
                       "--scored out", are);
    }
}

static int check_views(const struct ft_sampler *s)
{
    uint64_t views = s->options.views;

    if (!views)
        return 0;
    if (views == 1 || views > FT_LARGEST_BATCH / 2)
        return ft_fail(FT_USAGE, "--views %llu: expected 2 or more: a text meets itself", (unsigned long long)views);
    if (s->options.kind >= 0 && s->options.kind != FT_BATCH_CLASSES && s->options.kind != FT_BATCH_PAIRS)
        return ft_fail(FT_USAGE, "--views makes classes or pairs, not %s", ft_batch_kind_name((enum ft_batch_kind)s->options.kind));
    if (s->options.kind == FT_BATCH_PAIRS && views != 2)
        return ft_fail(FT_USAGE, "--views %llu with --pairs: a pair is two views of a text", (unsigned long long)views);
    if (s->options.per_class)
        return ft_fail(FT_USAGE, "--views and --per-class: each text is a class, and its views are what it has");
    return 0;
}

static int choose_kind(struct ft_sampler *s)
{
    static const enum ft_batch_kind by_shape[FT_SHAPES] = {
        FT_BATCH_RANDOM, FT_BATCH_CLASSES, FT_BATCH_PAIRS, FT_BATCH_TRIPLETS, FT_BATCH_TRIPLETS, FT_BATCH_SCORED,
    };
    size_t left_out = 0, taken = 0;

    s->kind = (enum ft_batch_kind)s->options.kind;
    if (s->options.kind < 0) {
        size_t triplets = s->shapes[FT_TRIPLET] + s->shapes[FT_TAUGHT], rows = s->shapes[FT_PAIR] + triplets;

        s->kind = FT_BATCH_RANDOM;
        for (int shape = 0; shape < FT_SHAPES; shape++)
            if (s->shapes[shape] == s->count || (shape == FT_TRIPLET && rows == s->count && triplets))
                taken = s->count, s->kind = by_shape[shape];
        if (!taken)
            return ft_fail(FT_BAD, "the input is %s: say what batches to make: --classes, --pairs, --triplets, --scored or --random",
                           what_they_are(s));
    }
    for (int shape = 0; shape < FT_SHAPES; shape++)
        *(takes(s, (enum ft_shape)shape) ? &taken : &left_out) += s->shapes[shape];
    if (left_out == s->count)
        return refuse_kind(s);
    if (left_out)
        ft_sampler_warn(s, "%zu of %zu documents cannot be in batches of %s: left out (the input is %s)", left_out, s->count,
                        ft_batch_kind_name(s->kind), what_they_are(s));
    s->taught = s->kind == FT_BATCH_TRIPLETS && s->shapes[FT_TAUGHT] && !s->shapes[FT_PAIR] && !s->shapes[FT_TRIPLET];
    if (s->kind == FT_BATCH_TRIPLETS && s->shapes[FT_TAUGHT] && !s->taught)
        ft_sampler_warn(s, "the input is %s: as not all have scores, batches carry none", what_they_are(s));
    s->labelled = s->shapes[FT_LABELLED] && takes(s, FT_LABELLED) && s->kind != FT_BATCH_RANDOM;
    return 0;
}

/* Join what is alike: anchors and positives; documents of one label. Equal contents are one node already. */
static int unite(struct ft_sampler *s)
{
    bool rows = s->kind == FT_BATCH_PAIRS || s->kind == FT_BATCH_TRIPLETS;
    uint32_t *first = NULL;

    if (rows && s->labelled && !(first = ft_resize(NULL, s->label_count, sizeof *first)))
        return -1;
    for (uint32_t l = 0; first && l < s->label_count; l++)
        first[l] = UINT32_MAX;
    for (size_t i = 0; rows && i < s->count; i++) {
        uint32_t other = s->sample[i].other;

        if (!takes(s, (enum ft_shape)s->shape[i]))
            continue;
        if (!s->labelled)
            ft_groups_unite(&s->groups, s->sample[i].content, other);
        else if (first[other] == UINT32_MAX)
            first[other] = s->sample[i].content;
        else
            ft_groups_unite(&s->groups, first[other], s->sample[i].content);
    }
    free(first);
    s->group_count = ft_groups_number(&s->groups);
    return 0;
}

/* The documents that may be in a batch, into order[]. A triplet whose negative is alike its anchor says two things at once, unless scores
 * say how alike. */
static int select_documents(struct ft_sampler *s)
{
    size_t at = 0, contradictions = 0;

    if (!(s->order = ft_resize(NULL, s->count, sizeof *s->order)))
        return -1;
    for (uint32_t i = 0; i < s->count; i++) {
        bool false_negative = false;

        for (; at < s->negatives && s->negative[at].document == i; at++)
            false_negative |= s->kind == FT_BATCH_TRIPLETS && !s->taught && ft_groups_of(&s->groups, s->negative[at].content) ==
                              ft_groups_of(&s->groups, s->sample[i].content);
        contradictions += false_negative;
        if (!false_negative && takes(s, (enum ft_shape)s->shape[i]))
            s->order[s->used++] = i;
    }
    if (!s->used)
        return ft_fail(FT_BAD, "all %zu triplets have a negative that is a positive of the same group elsewhere: nothing is left",
                       contradictions);
    if (contradictions)
        ft_sampler_warn(s, "%zu triplet%s a negative that is a positive of the same group elsewhere: left out", contradictions,
                        contradictions == 1 ? " has" : "s have");
    return 0;
}

enum sort_key { BY_OTHER, BY_CONTENT, BY_GROUP };

static uint32_t key_of(const struct ft_sampler *s, uint32_t document, enum sort_key key)
{
    const struct ft_sample *sample = &s->sample[document];

    return key == BY_OTHER ? sample->other : key == BY_CONTENT ? sample->content : ft_groups_of(&s->groups, sample->content);
}

/* Sort order[] by the key, keeping the order of equals (counting sort). */
static int sort_order(struct ft_sampler *s, enum sort_key key)
{
    size_t keys = s->groups.count > s->labels.count ? s->groups.count : s->labels.count, before = 0;
    uint32_t *sorted = ft_resize(NULL, s->used, sizeof *sorted), *place = calloc(keys + 1, sizeof *place);

    if (!sorted || !place) {
        free(sorted);
        free(place);
        return ft_fail(FT_SYSTEM, "out of memory for %zu documents", s->used);
    }
    for (size_t i = 0; i < s->used; i++)
        place[key_of(s, s->order[i], key)]++;
    for (size_t k = 0; k < keys; k++) {
        uint32_t count = place[k];

        place[k] = (uint32_t)before;
        before += count;
    }
    for (size_t i = 0; i < s->used; i++)
        sorted[place[key_of(s, s->order[i], key)]++] = s->order[i];
    free(s->order);
    free(place);
    s->order = sorted;
    return 0;
}

static void warn_of_two_labels(struct ft_sampler *s, size_t count, uint32_t a, uint32_t b)
{
    struct ft_document document;
    const char *text, *first, *second;

    if (ft_sampler_load(s, a, &document) < 0)
        return;
    text = ft_sampler_excerpt(s, ft_content_name(&document.content));
    first = ft_sampler_excerpt(s, document.label);
    if (ft_sampler_load(s, b, &document) < 0)
        return;
    second = ft_sampler_excerpt(s, document.label);
    ft_sampler_warn(s, "%zu text%s more than one label, such as %s under %s and %s%s", count, count == 1 ? " has" : "s have", text, first,
                    second, s->kind == FT_BATCH_CLASSES ? "" : ": such labels are taken for one");
}

/* Equal contents lie side by side when sorted by content, and by label or positive among equals. Rows made from labelled documents do without
 * repeats: a text would be its own positive. */
static int examine(struct ft_sampler *s)
{
    size_t kept = 0, repeats = 0, two_labels = 0;
    uint32_t example[2] = {0, 0}, counted = UINT32_MAX;
    bool drop = s->labelled && s->kind != FT_BATCH_CLASSES;

    if (sort_order(s, BY_OTHER) < 0 || sort_order(s, BY_CONTENT) < 0)
        return -1;
    for (size_t i = 0; i < s->used; i++) {
        const struct ft_sample *now = &s->sample[s->order[i]], *before = i ? &s->sample[s->order[i - 1]] : NULL;
        bool same_content = before && before->content == now->content, repeat = same_content && before->other == now->other;

        if (s->labelled && same_content && !repeat && counted != now->content) {
            if (!two_labels++)
                memcpy(example, (uint32_t[]){s->order[i - 1], s->order[i]}, sizeof example);
            counted = now->content;
        }
        repeats += repeat;
        if (!repeat || !drop)
            s->order[kept++] = s->order[i];
    }
    s->used = kept;
    if (repeats && !s->taught)   /* a pair with many negatives is how scores come */
        ft_sampler_warn(s, "%zu exact duplicate%s%s%s", repeats, repeats == 1 ? "" : "s",
                        s->options.views ? " (same content)" : s->labelled ? " (same content, same label)" : " (same anchor, same positive)", drop ? ": left out" : "");
    if (two_labels)
        warn_of_two_labels(s, two_labels, example[0], example[1]);
    return 0;
}

static struct ft_slice *find_slices(const struct ft_sampler *s, uint32_t count, enum sort_key key)
{
    struct ft_slice *slice = ft_resize(NULL, (size_t)count + 1, sizeof *slice);

    if (!slice)
        return NULL;
    memset(slice, 0, ((size_t)count + 1) * sizeof *slice);
    for (size_t i = 0; i < s->used; i++) {
        struct ft_slice *own = &slice[key_of(s, s->order[i], key)];

        if (own->size++ == 0)
            own->begin = (uint32_t)i;
    }
    return slice;
}

static void warn_of_singletons(struct ft_sampler *s)
{
    uint32_t count = 0, example = 0;

    for (uint32_t l = 0; l < s->label_count; l++)
        if (s->label[l].size == 1) {
            example = count++ ? example : l;
        }
    if (count)
        ft_sampler_warn(s, "%u of %u labels %s one document only, such as %s: %s", count, s->label_count, count == 1 ? "has" : "have",
                        ft_sampler_label_name(s, example), s->kind == FT_BATCH_CLASSES ? "repeated, as a negative for others" :
                        s->kind == FT_BATCH_TRIPLETS ? "negatives for others" : "left out");
}

/* Documents of a label, and labels of a group, side by side. */
static int arrange(struct ft_sampler *s)
{
    if (s->kind == FT_BATCH_SCORED || s->kind == FT_BATCH_RANDOM)
        return 0;
    if (examine(s) < 0 || (s->labelled && sort_order(s, BY_OTHER) < 0))
        return -1;
    if (s->kind != FT_BATCH_CLASSES &&
        (sort_order(s, BY_GROUP) < 0 || !(s->group = find_slices(s, s->group_count, BY_GROUP))))
        return -1;
    if (s->labelled && !(s->label = find_slices(s, s->label_count, BY_OTHER)))
        return -1;
    if (s->labelled && !s->options.views)
        warn_of_singletons(s);
    return 0;
}

/* Documents that a row is made of: labelled ones make pairs and triplets, and a pair becomes a triplet by another one's positive. */
static uint64_t documents_a_row(const struct ft_sampler *s)
{
    if (s->kind == FT_BATCH_TRIPLETS)
        return s->labelled ? 3 : s->shapes[FT_PAIR] ? 2 : 1;
    return s->kind == FT_BATCH_PAIRS && s->labelled ? 2 : 1;
}

static int check_options(struct ft_sampler *s)
{
    s->epochs = s->options.epochs ? s->options.epochs : 3;
    if (s->options.batch > FT_LARGEST_BATCH || s->options.per_class > FT_LARGEST_BATCH / 2)
        return ft_fail(FT_USAGE, "a batch has %d rows at most", FT_LARGEST_BATCH);
    if (s->epochs > FT_MOST_EPOCHS)
        return ft_fail(FT_USAGE, "--epochs %llu: at most %d", (unsigned long long)s->epochs, FT_MOST_EPOCHS);
    if (!s->count)
        return ft_fail(FT_BAD, "no documents: there is nothing to sample");
    if (!s->options.batch && s->options.choose && !(s->options.batch = s->options.choose(s->options.argument, documents_a_row(s))))
        return -1;
    if (s->options.per_class && s->kind != FT_BATCH_CLASSES)
        return ft_fail(FT_USAGE, "--per-class goes with --classes, and these are batches of %s", ft_batch_kind_name(s->kind));
    return 0;
}

static int fill_header(struct ft_sampler *s, struct ft_arena *arena, struct ft_header *header)
{
    char *hex = ft_arena_print(arena, "%016llx%016llx", (unsigned long long)s->fingerprint.high, (unsigned long long)s->fingerprint.low);

    if (!hex)
        return -1;
    header->kind = FT_BATCHES;
    header->seed = s->options.seed;
    header->steps = s->steps;
    header->epochs = s->epochs;
    header->rows = s->rows;
    header->classes = s->label_count;
    header->fingerprint = ft_string_of(hex);
    header->model = (struct ft_string){"", 0};   /* embeddings of documents are not those of batches */
    header->dim = 0;
    return 0;
}

int ft_sampler_plan(struct ft_sampler *s, struct ft_arena *arena, struct ft_header *header)
{
    s->label_count = (uint32_t)s->labels.count;
    if (check_views(s) < 0 || (s->count && choose_kind(s) < 0) || check_options(s) < 0)
        return -1;
    if (s->without_text)
        ft_sampler_warn(s, "%zu document%s without any content", s->without_text, s->without_text == 1 ? " is" : "s are");
    if (unite(s) < 0 || select_documents(s) < 0 || arrange(s) < 0)
        return -1;
    if ((s->kind == FT_BATCH_CLASSES ? ft_sampler_plan_classes(s) : ft_sampler_plan_rows(s)) < 0)
        return -1;
    /* The most rows a batch may have. */
    if (!(s->end = ft_resize(NULL, (size_t)s->rows, sizeof *s->end)) ||
        !(s->documents = ft_resize(NULL, (size_t)s->rows, sizeof *s->documents)))
        return -1;
    return fill_header(s, arena, header);
}
