/* tasks.c - the tasks: from a study's vectors to a statistic. */
#include "eval/tasks.h"
#include "base/error.h"
#include "eval/clustering.h"
#include "eval/pairs.h"
#include "eval/probe.h"
#include "eval/zeroshot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- retrieval ---- */

static int vectors_ready(const char *what, enum ft_distance distance, const struct ft_vectors *v)
{
    size_t bad;

    if (ft_vectors_ready(distance, v->vector, v->count, v->dim, &bad) < 0)
        return ft_error_prefix("%s %zu: ", what, bad + 1);
    return 0;
}

static int relate(struct ft_study *s)
{
    if (s->related)
        return 0;
    s->relevance.same_id = s->folder;
    if (ft_relevance_build(&s->relevance, s->queries, s->index, s->options.qrels) < 0)
        return -1;
    if (s->relevance.unknown)
        ft_study_warn(s, "%s: %zu judgements are of a query or a document that is not here", s->options.qrels, s->relevance.unknown);
    s->related = true;
    return 0;
}

static int rank(struct ft_study *s, int view, double *each, struct ft_result *result)
{
    const struct ft_relevance *r = &s->relevance;
    struct ft_evaluation e = {.k = s->options.k, .measures = s->options.measures, .relevant = r->relevant, .gain = r->gain,
                              .query_class = r->query_class, .index_class = r->index_class, .each = each,
                              .found = view == 0 ? s->found : NULL, .argument = s->found_argument};
    enum ft_distance distance = ft_study_distance(s, view);
    struct ft_vectors queries, index;

    if (ft_study_vectors(s, FT_QUERIES, view, &queries) < 0 || ft_study_vectors(s, FT_INDEX, view, &index) < 0)
        return -1;
    if (queries.dim != index.dim)
        return ft_fail(FT_BAD, "queries have %zu dimensions, the index %zu: were they embedded by one model?", queries.dim, index.dim);
    if (vectors_ready("query", distance, &queries) < 0 ||
        (s->index != s->queries && vectors_ready("document of the index", distance, &index) < 0))
        return -1;
    e.nearest = (struct ft_nearest){distance, index.dim, index.vector, index.count,
                                    ft_relevance_queries(r, &s->dim_arena, queries.vector, queries.dim), r->query_count, r->excluded};
    return e.nearest.query && ft_evaluate(&e, result) == 0 ? 0 : -1;
}

static const char *kind_name(enum ft_modality modality, const char *otherwise)
{
    return modality == FT_MODALITY_TEXT ? "texts" : modality == FT_MODALITY_IMAGE ? "images" : otherwise;
}

static int measure_retrieval(struct ft_study *s, int view, struct ft_measured *m)
{
    struct ft_result result;
    struct ft_means *means = ft_arena_zero(&s->dim_arena, 1, sizeof *means);
    double *each;

    if (!means || relate(s) < 0)
        return -1;
    *means = (struct ft_means){.units = s->relevance.query_count, .figures = s->options.measures->count};
    if (!(means->each = each = ft_arena_zero(&s->dim_arena, means->units * means->figures + 1, sizeof *each)) || rank(s, view, each, &result) < 0)
        return -1;
    for (size_t f = 0; f < means->figures; f++)
        if (ft_measure_median(&s->options.measures->item[f]) && ft_means_median(means, &s->dim_arena, f) < 0)
            return -1;
    if (result.left_out)
        ft_study_warn(s, "%zu of %zu queries have nothing relevant in the index and are left out", result.left_out,
                      s->relevance.query_count);
    if (!result.queries)
        return ft_fail(FT_BAD, "no query has anything relevant in the index");
    *m = (struct ft_measured){.units = means->units, .counted = result.queries, .statistic = ft_means_of, .data = means, .each = each};
    snprintf(s->said, sizeof s->said, "%zu %s, %zu %s, relevant by %s, %s", result.queries, kind_name(s->queries->modality, "queries"), s->index->count,
             kind_name(s->index->modality, "documents"), s->relevance.by, ft_distance_name(ft_study_distance(s, 0)));
    return 0;
}

/* ---- pairs and triplets ---- */

static int sides_of(struct ft_study *s, int view, struct ft_sides *sides)
{
    struct ft_vectors first, other;

    if (ft_study_vectors(s, FT_QUERIES, view, &first) < 0 || ft_study_vectors(s, FT_INDEX, view, &other) < 0)
        return -1;
    *sides = (struct ft_sides){first.vector, other.vector, first.dim};
    return first.dim == other.dim ? 0 : ft_fail(FT_BAD, "embeddings of %zu and of %zu dimensions", first.dim, other.dim);
}

static struct ft_pairs *pairs_of(struct ft_study *s, int view)
{
    struct ft_pairs *pairs = ft_arena_zero(&s->dim_arena, 1, sizeof *pairs);
    struct ft_sides sides;

    if (!pairs || sides_of(s, view, &sides) < 0 ||
        ft_pairs_make(pairs, &s->dim_arena, s->queries->tuple, s->queries->tuple_count, &sides) < 0)
        return NULL;
    return pairs;
}

static int measure_sts(struct ft_study *s, int view, struct ft_measured *m)
{
    const struct ft_pairs *pairs = pairs_of(s, view);

    if (!pairs)
        return -1;
    *m = (struct ft_measured){.units = pairs->count, .counted = pairs->count, .room = 2 * pairs->count, .statistic = ft_sts_of, .data = pairs};
    snprintf(s->said, sizeof s->said, "%zu pairs: similarity against score", pairs->count);
    return 0;
}

static int measure_pairs(struct ft_study *s, int view, struct ft_measured *m)
{
    const struct ft_pairs *pairs = pairs_of(s, view);
    size_t alike = 0;

    if (!pairs)
        return -1;
    for (size_t i = 0; i < pairs->count; i++) {
        if (pairs->score[i] != 0 && pairs->score[i] != 1)
            return ft_fail(FT_BAD, "pair %zu has score %g, expected 0 or 1", i + 1, pairs->score[i]);
        alike += pairs->score[i] > 0;
    }
    if (alike == 0 || alike == pairs->count)
        return ft_fail(FT_BAD, "all pairs have score %d, expected some of 0 and some of 1", alike != 0);
    *m = (struct ft_measured){.units = pairs->count, .counted = pairs->count, .statistic = ft_pair_classes_of, .data = pairs};
    snprintf(s->said, sizeof s->said, "%zu pairs, %zu alike", pairs->count, alike);
    return 0;
}

static int measure_triplets(struct ft_study *s, int view, struct ft_measured *m)
{
    struct ft_means *means = ft_arena_zero(&s->dim_arena, 1, sizeof *means);
    size_t count = s->queries->tuple_count;
    double *each = ft_arena_zero(&s->dim_arena, count * FT_TRIPLET_FIGURES + 1, sizeof *each);
    struct ft_sides sides;

    if (!means || !each || sides_of(s, view, &sides) < 0)
        return -1;
    ft_triplets_of(s->queries->tuple, count, &sides, each);
    *means = (struct ft_means){.each = each, .units = count, .figures = FT_TRIPLET_FIGURES};
    *m = (struct ft_measured){.units = count, .counted = count, .statistic = ft_means_of, .data = means};
    snprintf(s->said, sizeof s->said, "%zu triplets", count);
    return 0;
}

/* ---- labels ---- */

/* The label of each item; how many have one. */
static uint32_t *labels_of(struct ft_study *s, const struct ft_collection *c, size_t *labelled)
{
    uint32_t *label = ft_arena_take(&s->dim_arena, (c->count + 1) * sizeof *label);

    *labelled = 0;
    for (size_t i = 0; label && i < c->count; i++) {
        label[i] = c->item[i].label;
        *labelled += label[i] != FT_NO_CLASS;
    }
    return label;
}

static int measure_probe(struct ft_study *s, int view, struct ft_measured *m)
{
    struct ft_answers *answers = ft_arena_zero(&s->dim_arena, 1, sizeof *answers);
    size_t asked, learnt, classes = s->contents.labels.count;
    uint32_t *class = labels_of(s, s->queries, &asked), *learn = labels_of(s, s->index, &learnt);
    uint32_t *given = ft_arena_take(&s->dim_arena, (s->queries->count + 1) * sizeof *given);
    struct ft_vectors test, train;
    struct ft_probe probe;

    if (!answers || !class || !learn || !given || ft_study_vectors(s, FT_QUERIES, view, &test) < 0 ||
        ft_study_vectors(s, FT_INDEX, view, &train) < 0)
        return -1;
    if (test.dim != train.dim)
        return ft_fail(FT_BAD, "documents of %zu dimensions, those to learn from of %zu", test.dim, train.dim);
    if (!asked)
        return ft_fail(FT_BAD, "no document has a label");
    if (ft_probe_fit(&probe, &s->dim_arena, train.vector, learn, train.count, train.dim, classes) < 0)
        return ft_error_prefix("%s: ", s->options.index);
    if (ft_probe_predict(&probe, test.vector, test.count, given) < 0)
        return -1;
    if (asked < test.count)
        ft_study_warn(s, "%zu of %zu documents have no label and are left out", test.count - asked, test.count);
    *answers = (struct ft_answers){class, given, test.count, classes};
    *m = (struct ft_measured){.units = test.count, .counted = asked, .room = 3 * classes, .statistic = ft_answers_of, .data = answers};
    snprintf(s->said, sizeof s->said, "%zu documents, %zu labels learnt from %zu, %zu steps", asked, probe.columns, learnt, probe.iterations);
    return 0;
}

/* Those with a label only, labels numbered from 0. */
static size_t keep_labelled(struct ft_vectors *v, uint32_t *label, uint32_t *number, size_t *classes)
{
    size_t kept = 0;

    *classes = 0;
    for (size_t i = 0; i < v->count; i++) {
        uint32_t *of = label[i] == FT_NO_CLASS ? NULL : &number[label[i]];

        if (!of)
            continue;
        if (*of == FT_NO_CLASS)
            *of = (uint32_t)(*classes)++;
        if (kept != i)
            memcpy(v->vector + kept * v->dim, v->vector + i * v->dim, v->dim * sizeof *v->vector);
        label[kept++] = *of;
    }
    return kept;
}

static int measure_clustering(struct ft_study *s, int view, struct ft_measured *m)
{
    struct ft_partitions *partitions = ft_arena_zero(&s->dim_arena, 1, sizeof *partitions);
    size_t labelled, classes, count;
    uint32_t *label = labels_of(s, s->queries, &labelled);
    uint32_t *number = ft_arena_take(&s->dim_arena, (s->contents.labels.count + 1) * sizeof *number);
    uint32_t *cluster = ft_arena_take(&s->dim_arena, (labelled + 1) * sizeof *cluster);
    struct ft_vectors v;

    if (!partitions || !label || !number || !cluster || ft_study_vectors(s, FT_QUERIES, view, &v) < 0)
        return -1;
    if (labelled < v.count)
        ft_study_warn(s, "%zu of %zu documents have no label and are left out", v.count - labelled, v.count);
    if (labelled < v.count && !s->dim && !(v.vector = ft_study_copy(s, &v)))
        return -1;
    for (size_t i = 0; i < s->contents.labels.count; i++)
        number[i] = FT_NO_CLASS;
    count = keep_labelled(&v, label, number, &classes);
    if (!count)
        return ft_fail(FT_BAD, "no document has a label");
    if (ft_kmeans(v.vector, count, v.dim, classes, s->options.seed, cluster) < 0 ||
        ft_partitions_make(partitions, &s->dim_arena, label, classes, cluster, classes, count) < 0)
        return -1;
    *m = (struct ft_measured){.units = count, .counted = count, .statistic = ft_clustering_of, .data = partitions,
                              .room = partitions->cells + 3 * classes};
    snprintf(s->said, sizeof s->said, "%zu documents in %zu clusters, as many as labels", count, classes);
    return 0;
}

/* ---- names of labels ---- */

/* Where the own class of each document comes among all. `class` is of the documents; rank[count], 0 where there is none. */
static int rank_classes(struct ft_study *s, const struct ft_vectors *v, const float *names, size_t classes, const uint32_t *class, uint32_t *rank)
{
    struct ft_items *own = ft_arena_zero(&s->dim_arena, v->count + 1, sizeof *own);
    struct ft_rank *found = ft_arena_take(&s->dim_arena, (v->count + 1) * sizeof *found);
    size_t *count = ft_arena_zero(&s->dim_arena, v->count + 1, sizeof *count), at = 0;
    const struct ft_nearest nearest = {.distance = FT_COSINE, .dim = v->dim, .index = names, .index_count = classes, .query = v->vector,
                                       .query_count = v->count};

    if (!own || !found || !count)
        return -1;
    for (size_t i = 0; i < v->count; i++)
        if (class[i] != FT_NO_CLASS)
            own[i] = (struct ft_items){&class[i], 1};
    if (vectors_ready("document", FT_COSINE, v) < 0 || ft_nearest_ranks(&nearest, own, found, count, 0, NULL) < 0)
        return -1;
    for (size_t i = 0; i < v->count; at += own[i++].count)
        rank[i] = count[i] ? found[at].rank : 0;
    return 0;
}

/* Labels to classes; those that have none, or of which no name is known, take no part. */
static size_t find_classes(const struct ft_study *s, const struct ft_classes *classes, uint32_t *class, size_t *unnamed)
{
    size_t counted = 0;

    *unnamed = 0;
    for (size_t i = 0; i < s->queries->count; i++) {
        uint32_t label = s->queries->item[i].label;

        class[i] = label == FT_NO_CLASS ? FT_NO_CLASS : classes->of_label[label];
        *unnamed += label != FT_NO_CLASS && class[i] == FT_NO_CLASS;
        counted += class[i] != FT_NO_CLASS;
    }
    return counted;
}

static int measure_zero_shot(struct ft_study *s, int view, struct ft_measured *m)
{
    struct ft_guesses *guesses = ft_arena_zero(&s->dim_arena, 1, sizeof *guesses);
    uint32_t *class = ft_arena_take(&s->dim_arena, (s->queries->count + 1) * sizeof *class);
    uint32_t *rank = ft_arena_take(&s->dim_arena, (s->queries->count + 1) * sizeof *rank);
    const struct ft_encoder *encoder = s->queries->view[view].encoder;
    struct ft_classes classes;
    struct ft_vectors v;
    size_t counted, unnamed;
    float *names;

    if (!guesses || !class || !rank || ft_classes_read(&classes, &s->dim_arena, &s->contents, s->options.names) < 0 ||
        ft_study_vectors(s, FT_QUERIES, view, &v) < 0 || !(names = ft_arena_take(&s->dim_arena, classes.count * v.dim * sizeof *names)) ||
        ft_classes_embed(&classes, s->options.templates, encoder, v.dim, names) < 0)
        return -1;
    if (!(counted = find_classes(s, &classes, class, &unnamed)))
        return ft_fail(FT_BAD, "%s: names no label of the documents", s->options.names);
    if (counted + unnamed < v.count)
        ft_study_warn(s, "%zu of %zu documents have no label and are left out", v.count - counted - unnamed, v.count);
    if (unnamed)
        ft_study_warn(s, "%zu of %zu documents have a label that %s does not name and are left out", unnamed, v.count, s->options.names);
    if (rank_classes(s, &v, names, classes.count, class, rank) < 0)
        return -1;
    *guesses = (struct ft_guesses){class, rank, v.count, classes.count};
    *m = (struct ft_measured){.units = v.count, .counted = counted, .room = 2 * classes.count, .statistic = ft_guesses_of, .data = guesses};
    snprintf(s->said, sizeof s->said, "%zu documents, %zu labels by name, %zu template%s", counted, classes.count,
             s->options.templates->count ? s->options.templates->count : 1, s->options.templates->count > 1 ? "s" : "");
    return 0;
}

static const struct ft_task tasks[] = {
    {"retrieval", "queries", FT_TUPLES_NONE, false, NULL, 0, measure_retrieval, false},
    {"sts", "pairs", FT_TUPLES_SCORED, false, ft_sts_names, FT_STS_FIGURES, measure_sts, false},
    {"pair-classification", "pairs", FT_TUPLES_SCORED, false, ft_pair_names, FT_PAIR_FIGURES, measure_pairs, false},
    {"triplets", "triplets", FT_TUPLES_TRIPLETS, false, ft_triplet_names, FT_TRIPLET_FIGURES, measure_triplets, false},
    {"linear-probe", "documents", FT_TUPLES_NONE, true, ft_answer_names, FT_ANSWER_FIGURES, measure_probe, false},
    {"clustering", "documents", FT_TUPLES_NONE, false, ft_clustering_names, FT_CLUSTERING_FIGURES, measure_clustering, false},
    {"zero-shot", "documents", FT_TUPLES_NONE, false, ft_guess_names, FT_GUESS_FIGURES, measure_zero_shot, true},
};

const struct ft_task *ft_task_find(const char *name)
{
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (strcmp(tasks[i].name, name) == 0)
            return &tasks[i];
    ft_fail(FT_USAGE, "task '%.60s': known are %s", name, FT_TASKS);
    return NULL;
}

bool ft_task_has(const char *task, const char *figure)
{
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        for (size_t f = 0; f < tasks[i].figures; f++)
            if ((!task || strcmp(tasks[i].name, task) == 0) && strcmp(tasks[i].names[f], figure) == 0)
                return true;
    return false;
}
