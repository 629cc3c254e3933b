/* study.c - models and documents together, then a task for each view. */
#include "eval/study.h"
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "eval/beir.h"
#include "eval/tasks.h"
#include "eval/zeroshot.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ft_study_warn(struct ft_study *s, const char *format, ...)
{
    char text[sizeof *s->warning];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < s->warnings; i++)
        if (strcmp(s->warning[i], text) == 0)
            return;
    if (s->warnings < FT_WARNINGS)
        memcpy(s->warning[s->warnings++], text, sizeof text);
}

/* ---- setting up ---- */

/* One number of dimensions is the model's to cut to; of several all are cut from whole embeddings. */
static int open_encoder(struct ft_study *s, struct ft_encoder *encoder, const char *name)
{
    struct ft_encoder_options how = {.model = name, .prompts = s->options.prompts, .embed = s->options.embed};

    how.embed.truncate_dim = s->options.dims == 1 ? s->options.dim[0] : 0;
    how.embed.normalize = s->options.embed.normalize && s->options.dims < 2;
    return ft_encoder_open(encoder, &how);
}

static bool prompted(const struct ft_study *s)
{
    return s->encoder[0].embedder[FT_QUERIES] != s->encoder[0].embedder[FT_INDEX] ||
           s->encoder[1].embedder[FT_QUERIES] != s->encoder[1].embedder[FT_INDEX];
}

static bool crossed(const struct ft_study *s)
{
    return ft_modalities_differ((struct ft_modalities){s->queries->modality, s->index->modality});
}

/* Texts ask and images answer; then, where nothing says which, the other way round: so what asks in the one must be all of it. */
static int choose_both(struct ft_study *s)
{
    struct ft_collection *c = s->collection;

    const char *alone = s->options.index ? "--index" : s->options.qrels ? "--qrels" : s->options.alone;

    if (alone)
        return ft_fail(FT_USAGE, "pairs of a text and an image are measured both ways, and %s goes with one: add --modality text:image, or image:text",
                       alone);
    if (prompted(s))
        return ft_fail(FT_USAGE, "a pair of a text and an image, and texts have one prompt as queries and another as documents: add --modality text:image, "
                       "or image:text");
    s->ways = 2;
    c[FT_QUERIES].modality = FT_MODALITY_TEXT;
    c[FT_INDEX].modality = FT_MODALITY_IMAGE;
    c[FT_QUERIES].lists_pairs = true;
    c[FT_QUERIES].anchors_only = false;
    s->index = &c[FT_INDEX];
    return 0;
}

/* Nobody said what asks for what: the first document does. */
static int see_first(void *argument, const struct ft_document *document)
{
    struct ft_study *s = argument;

    if (ft_document_text_image(document))
        return choose_both(s);
    s->collection[FT_INDEX].closed = s->index == s->queries;
    return 0;
}

/* One collection is both unless there is an index, its texts have a prompt of their own, or one asks for the other. */
static void set_up_sides(struct ft_study *s)
{
    const struct ft_study_options *o = &s->options;
    bool said = o->modalities.queries != FT_MODALITY_ANY, retrieval = !s->task || !s->task->names;

    s->ways = 1;
    s->queries = &s->collection[FT_QUERIES];
    s->index = o->index || s->folder || prompted(s) || ft_modalities_differ(o->modalities) ? &s->collection[FT_INDEX] : s->queries;
    s->queries->modality = o->modalities.queries;
    s->index->modality = o->modalities.answers;
    s->queries->lists_pairs = s->index->lists_pairs = ft_modalities_differ(o->modalities);
    s->queries->anchors_only = s->index != s->queries;
    if (!said && retrieval && !s->folder) {
        s->queries->first = see_first;
        s->queries->first_argument = s;
    }
}

static int set_up(struct ft_study *s)
{
    const struct ft_study_options *o = &s->options;

    for (int side = FT_QUERIES; side <= FT_INDEX; side++) {
        struct ft_collection *c = &s->collection[side];

        c->shared = &s->contents;
        c->side = (enum ft_side)side;
        c->view[0].encoder = o->model ? &s->encoder[0] : NULL;
        c->view[1].encoder = &s->encoder[1];
        c->views = o->before ? 2 : 1;
        c->tuples_wanted = !s->task ? FT_TUPLES_SCORED_TOO : s->task->tuples;
        if ((side == FT_QUERIES ? o->each || o->run : o->run) && !(c->kept = ft_corpus_open(FT_CORPUS_MEMORY)))
            return -1;
        c->ids_only = true;
    }
    set_up_sides(s);
    return 0;
}

void ft_study_turn(struct ft_study *s)
{
    struct ft_collection *queries = s->queries;

    s->queries = s->index;
    s->index = queries;
    ft_relevance_free(&s->relevance);
    s->related = false;
}

static int check_names(struct ft_study *s)
{
    const struct ft_study_options *o = &s->options;

    if (!s->task || !s->task->named)
        return !o->names && !o->templates->count ? 0 : ft_fail(FT_USAGE, "--template and --names go with --task zero-shot");
    if (!o->model)
        return ft_fail(FT_USAGE, "--task %s: add -m MODEL: it embeds the names of the labels", s->task->name);
    if (ft_templates_check(o->templates) < 0)
        return -1;
    return (s->contents.label_names = ft_corpus_open(FT_CORPUS_MEMORY)) ? 0 : -1;
}

int ft_study_open(struct ft_study *s, const struct ft_study_options *options)
{
    *s = (struct ft_study){.options = *options, .task = options->task};
    s->folder = options->input && ft_directory_exists(options->input);
    if (s->task && s->task->index && !options->index)
        return ft_fail(FT_USAGE, "--task %s learns from documents with labels: add --index FILE", s->task->name);
    if (check_names(s) < 0)
        return -1;
    if (s->task && s->task->names && ft_modalities_differ(options->modalities))
        return ft_fail(FT_USAGE, "--modality %s:%s: the task %s takes one modality", ft_modality_name(options->modalities.queries),
                       ft_modality_name(options->modalities.answers), s->task->name);
    if (s->folder && (options->index || (s->task && strcmp(s->task->name, "retrieval") != 0)))
        return ft_fail(FT_USAGE, "%s is a folder, queries and documents of BEIR: it takes no --index, and no --task but retrieval", options->input);
    if ((options->model && open_encoder(s, &s->encoder[0], options->model) < 0) ||
        (options->before && open_encoder(s, &s->encoder[1], options->before) < 0))
        return -1;
    return set_up(s);
}

void ft_study_close(struct ft_study *s)
{
    ft_relevance_free(&s->relevance);
    for (int side = FT_QUERIES; side <= FT_INDEX; side++) {
        ft_corpus_close(s->collection[side].kept);
        ft_collection_free(&s->collection[side]);
        ft_encoder_close(&s->encoder[side]);
    }
    ft_contents_free(&s->contents);
    ft_arena_free(&s->dim_arena);
    ft_arena_free(&s->arena);
}

/* ---- reading ---- */

static const char *input_name(const struct ft_study *s)
{
    return s->options.input && strcmp(s->options.input, "-") != 0 ? s->options.input : "standard input";
}

static int read_folder(struct ft_study *s, unsigned long *records)
{
    if (!s->options.qrels && !(s->options.qrels = ft_arena_print(&s->arena, "%s/qrels/test.tsv", s->options.input)))
        return -1;
    return ft_beir_read(s->options.input, s->options.qrels, s->queries, s->index, records);
}

static int read_streams(struct ft_study *s, unsigned long *records)
{
    struct ft_collection *both[2] = {&s->collection[FT_QUERIES], &s->collection[FT_INDEX]};
    const char *index = s->options.index;
    size_t count = index || (s->index == s->queries && !s->queries->first) ? 1 : 2;

    if (ft_collections_read(both, count, s->options.input, records) < 0)
        return -1;
    if (index)
        s->index->tuples_wanted = FT_TUPLES_NONE;
    return index ? ft_collections_read(both + 1, 1, index, records) : 0;
}

/* Scores decide only where nobody said. */
static void choose_task(struct ft_study *s)
{
    const struct ft_collection *c = s->queries;
    bool classes = true;

    if (s->task)
        return;
    for (size_t i = 0; i < c->tuple_count; i++)
        classes &= c->tuple[i].score == 0 || c->tuple[i].score == 1;
    s->task = ft_task_find(c->tuples_wanted != FT_TUPLES_SCORED ? "retrieval" : classes ? "pair-classification" : "sts");
}

/* What only rankings have; and an index, which is no pair. */
static int check_task(const struct ft_study *s)
{
    const struct ft_study_options *o = &s->options;
    const char *given = o->qrels ? "--qrels" : o->each ? "--per-query" : o->run ? "--run" : o->index && !s->task->index ? "--index" : NULL;

    if (given && s->task->names)
        return ft_fail(FT_USAGE, "%s: the task %s does not take it", given, s->task->name);
    return 0;
}

int ft_study_read(struct ft_study *s, unsigned long *records)
{
    if (s->task && check_task(s) < 0)
        return -1;
    if ((s->folder ? read_folder(s, records) : read_streams(s, records)) < 0)
        return -1;
    if (!s->queries->count || !s->index->count)
        return ft_collection_fail_empty(s->queries->count ? s->index : s->queries, s->queries->count && s->options.index ? s->options.index : input_name(s));
    if (s->queries->passed_over && !crossed(s))
        ft_study_warn(s, "%zu documents are no %ss and are left out", s->queries->passed_over, ft_modality_name(s->queries->modality));
    if (crossed(s) && s->options.cross)
        s->options.measures = s->options.cross;
    choose_task(s);
    return check_task(s);
}

static int id_of(struct ft_collection *c, uint32_t item, struct ft_buffer *into, struct ft_string *id)
{
    struct ft_kept kept;

    if (ft_collection_kept(c, item, into, &kept) < 0)
        return -1;
    *id = kept.id;
    return id->size ? 0 : ft_fail(FT_BAD, "document %u has no id", item + 1);
}

int ft_study_query_id(struct ft_study *s, size_t query, struct ft_buffer *into, struct ft_string *id)
{
    return id_of(s->queries, s->relevance.query ? s->relevance.query[query] : (uint32_t)query, into, id);
}

int ft_study_item_id(struct ft_study *s, uint32_t item, struct ft_buffer *into, struct ft_string *id)
{
    return id_of(s->index, item, into, id);
}

/* ---- vectors ---- */

float *ft_study_copy(struct ft_study *s, const struct ft_vectors *v)
{
    float *copy = ft_arena_take(&s->dim_arena, v->count * v->dim * sizeof *copy);

    if (copy)
        memcpy(copy, v->vector, v->count * v->dim * sizeof *copy);
    return copy;
}

struct cut {
    const float *from;
    float *to;
    size_t count, width, dim;
    bool unit;
};

enum { SHARE = 1 << 12 };

static int cut_share(void *argument, size_t share, int worker)
{
    struct cut *c = argument;
    size_t end = (share + 1) * SHARE < c->count ? (share + 1) * SHARE : c->count;

    (void)worker;
    for (size_t i = share * SHARE; i < end; i++)
        ft_embedding_shorten(c->to + i * c->dim, c->from + i * c->width, c->dim, c->unit);
    return 0;
}

int ft_study_vectors(struct ft_study *s, enum ft_side side, int view, struct ft_vectors *vectors)
{
    struct ft_collection *c = side == FT_QUERIES ? s->queries : s->index;
    const struct ft_view *v = &c->view[view];
    bool unit = s->options.embed.normalize || (v->encoder && v->encoder->model && v->encoder->model->normalized && s->dim < v->dim);
    struct cut cut = {v->vector, NULL, c->count, v->dim, s->dim, unit};

    *vectors = (struct ft_vectors){v->vector, c->count, v->dim};
    if (!s->dim)
        return 0;
    if (s->dim > v->dim)
        return ft_fail(FT_USAGE, "--truncate-dim %zu: embeddings have %zu dimensions", s->dim, v->dim);
    if (side == FT_INDEX && s->index == s->queries && s->cut[view]) {
        vectors->vector = s->cut[view];
    } else {
        if (!(cut.to = vectors->vector = ft_arena_take(&s->dim_arena, c->count * s->dim * sizeof(float))) ||
            ft_pool_run((c->count + SHARE - 1) / SHARE, cut_share, &cut) < 0)
            return -1;
        s->cut[view] = vectors->vector;
    }
    vectors->dim = s->dim;
    return 0;
}

enum ft_distance ft_study_distance(const struct ft_study *s, int view)
{
    const struct ft_encoder *encoder = s->queries->view[view].encoder;
    const char *name = encoder && encoder->model ? encoder->model->distance : "cosine";
    enum ft_distance distance = FT_COSINE;
    struct ft_error_copy error;

    ft_error_save(&error);
    if (ft_distance_parse(s->options.distance ? s->options.distance : name, &distance) < 0)
        ft_error_restore(&error);      /* a model may name one that we lack; cosine then */
    return distance;
}

/* ---- measuring ---- */

static const char *figure_name(const struct ft_study *s, size_t figure, char name[40])
{
    if (s->task->names)
        return s->task->names[figure];
    ft_measure_name(&s->options.measures->item[figure], name);
    return name;
}

static size_t figures_of(const struct ft_study *s)
{
    return s->task->names ? s->task->figures : s->options.measures->count;
}

const char *ft_study_way(const struct ft_study *s)
{
    return !crossed(s) ? NULL : s->queries->modality == FT_MODALITY_TEXT ? "text:image" : "image:text";
}

static int fill_report(struct ft_study *s, const struct ft_measured *m, struct ft_report *report)
{
    double value[FT_FIGURES], *room = ft_arena_zero(&s->dim_arena, m->room + 1, sizeof *room);
    bool retrieval = !s->task->names;
    char name[40];

    if (!room)
        return -1;
    *report = (struct ft_report){.task = retrieval ? NULL : s->task->name, .unit = s->task->unit, .units = m->counted, .modality = ft_study_way(s),
                                 .k = retrieval ? s->options.k : 0, .dim = s->options.dims > 1 ? s->dim : 0};
    m->statistic(m->data, NULL, room, value);
    for (size_t f = 0; f < figures_of(s); f++)
        ft_report_add(report, figure_name(s, f, name), value[f]);
    return 0;
}

int ft_study_measure(struct ft_study *s, size_t number, struct ft_report report[2])
{
    struct ft_resampling resampling = {.figures = figures_of(s), .times = s->options.bootstrap, .seed = s->options.seed};
    int views = s->queries->views;

    ft_arena_reset(&s->dim_arena);
    memset(s->cut, 0, sizeof s->cut);
    s->dim = s->options.dims > 1 || (s->options.dims && !s->options.model) ? s->options.dim[number] : 0;
    for (int v = 0; v < views; v++) {
        if (s->task->measure(s, v, &s->measured[v]) < 0 || fill_report(s, &s->measured[v], &report[v]) < 0)
            return -1;
        resampling.data[v] = s->measured[v].data;
    }
    if (!s->options.bootstrap)
        return 0;
    resampling.units = s->measured[0].units;
    resampling.statistic = s->measured[0].statistic;
    resampling.room = s->measured[0].room > s->measured[views - 1].room ? s->measured[0].room : s->measured[views - 1].room;
    return ft_resample(&resampling, &report[0], views == 2 ? &report[1] : NULL);
}
