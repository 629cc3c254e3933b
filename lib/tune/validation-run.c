/* validation-run.c - one evaluation: metrics of rankings, and the run's loss. */
#include "tune/validation-internal.h"
#include "base/error.h"
#include "eval/collection.h"
#include "eval/evaluate.h"
#include "eval/relevance.h"
#include "model/encode.h"
#include "train/loss.h"
#include "train/sampler.h"
#include "train/teacher.h"
#include "train/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- metrics ---- */

struct ranking {
    struct ft_encoder encoder;
    struct ft_contents contents;
    struct ft_collection collection[2], *queries, *index;
    struct ft_relevance relevance;
    bool text_image;
};

static int add_document(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    (void)bytes;
    return ft_collection_add(argument, document);
}

static int fill(struct ft_corpus *corpus, struct ranking *r, enum ft_side side)
{
    struct ft_collection *c = &r->collection[side];
    const struct ft_header header = {.kind = FT_DOCUMENTS};

    c->shared = &r->contents;
    c->side = side;
    c->anchors_only = side == FT_QUERIES && r->index != r->queries;
    c->modality = !r->text_image ? FT_MODALITY_ANY : side == FT_QUERIES ? FT_MODALITY_TEXT : FT_MODALITY_IMAGE;
    c->lists_pairs = r->text_image;
    c->view[0].encoder = &r->encoder;
    c->views = 1;
    if (ft_collection_start(c, &header) < 0 || ft_documents_again(corpus, add_document, c) < 0)
        return -1;
    return ft_collection_flush(c);
}

/* The usual ones, and those that --stop and --best go by. */
static int choose_measures(const struct ft_callbacks *c, bool text_image, struct ft_measures *measures)
{
    const char *const watched[] = {c->stop, c->best};
    struct ft_monitor monitor;
    struct ft_measure measure;

    if (ft_measures_add(measures, text_image ? "usual,cross-modal" : "usual", FT_SCORE_NEIGHBOURS) < 0)
        return -1;
    for (size_t i = 0; i < 2; i++)
        if (watched[i] && ft_monitor_parse(&monitor, watched[i]) == 0 && ft_measure_parse(monitor.metric, FT_SCORE_NEIGHBOURS, &measure) == 0 &&
            ft_measures_add(measures, monitor.metric, FT_SCORE_NEIGHBOURS) < 0)
            return -1;
    return 0;
}

static int rank(struct ranking *r, const struct ft_measures *measures, struct ft_result *result)
{
    struct ft_view *queries = &r->queries->view[0], *index = &r->index->view[0];
    struct ft_evaluation e;
    enum ft_distance distance = FT_COSINE;
    struct ft_error_copy error;
    size_t bad;

    ft_error_save(&error);
    if (ft_distance_parse(r->encoder.model->distance, &distance) < 0)
        ft_error_restore(&error);      /* a model may name one that we lack; cosine then */
    if (ft_relevance_build(&r->relevance, r->queries, r->index, NULL) < 0 ||
        ft_vectors_ready(distance, queries->vector, r->queries->count, queries->dim, &bad) < 0 ||
        (r->index != r->queries && ft_vectors_ready(distance, index->vector, r->index->count, index->dim, &bad) < 0))
        return -1;
    e = (struct ft_evaluation){.k = FT_SCORE_NEIGHBOURS, .measures = measures, .relevant = r->relevance.relevant, .gain = r->relevance.gain,
                               .query_class = r->relevance.query_class, .index_class = r->relevance.index_class};
    e.nearest = (struct ft_nearest){distance, index->dim, index->vector, r->index->count,
                                    ft_relevance_queries(&r->relevance, &r->relevance.arena, queries->vector, queries->dim),
                                    r->relevance.query_count, r->relevance.excluded};
    if (!e.nearest.query || ft_evaluate(&e, result) < 0)
        return -1;
    return result->queries ? 0 : ft_fail(FT_BAD, "no query has anything relevant in the index");
}

/* One collection is both unless there is an index, its texts have a prompt of their own, or they ask for images: as in ft-eval. */
static int measure(struct ft_validation *v, struct ranking *r, const struct ft_measures *measures, struct ft_result *result)
{
    struct ft_corpus *corpus = v->corpus[FT_INDEX];
    bool prompted = r->encoder.embedder[FT_QUERIES] != r->encoder.embedder[FT_INDEX], own = ft_corpus_count(corpus) > 0;

    r->queries = &r->collection[FT_QUERIES];
    r->index = own || prompted || r->text_image ? &r->collection[FT_INDEX] : r->queries;
    if (fill(v->corpus[FT_QUERIES], r, FT_QUERIES) < 0 ||
        (r->index != r->queries && fill(own ? corpus : v->corpus[FT_QUERIES], r, FT_INDEX) < 0))
        return -1;
    return rank(r, measures, result);
}

static int add_metrics(struct ft_validation *v, struct ft_model *model, const struct ft_embed_options *how, const struct ft_callbacks *callbacks,
                       struct ft_scores *scores, size_t *queries)
{
    const struct ft_encoder_options options = {.embed = *how};
    struct ranking r = {.text_image = v->text_image};
    struct ft_measures measures = {0};
    struct ft_result result;
    char name[FT_SCORE_NAME];
    int status = choose_measures(callbacks, v->text_image, &measures) < 0 || ft_encoder_over(&r.encoder, model, &options) < 0 ? -1 : measure(v, &r, &measures, &result);

    for (size_t m = 0; status == 0 && m < result.measures.count; m++) {
        ft_measure_name(&result.measures.item[m], name);
        ft_scores_add(scores, name, result.value[m]);
    }
    if (status == 0)
        *queries = result.queries;
    ft_relevance_free(&r.relevance);
    ft_collection_free(&r.collection[FT_QUERIES]);
    ft_collection_free(&r.collection[FT_INDEX]);
    ft_contents_free(&r.contents);
    ft_encoder_close(&r.encoder);
    return status;
}

/* ---- the loss ---- */

static int sample_document(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    return ft_sampler_add(argument, document, bytes);
}

/* What was learnt by labels is of the labels of training, numbered there; a temperature is of any batch. */
static int give_learnt(struct ft_arena *arena, const struct ft_losses *loss, struct ft_weights *weights, struct ft_loss_input *input)
{
    if (!weights || !ft_losses_unlabelled(loss))
        return 0;
    ft_weights_give(weights, input);
    input->weights_gradient = ft_arena_zero(arena, ft_weights_layout(weights)->learnt + 1, sizeof(float));
    return input->weights_gradient ? 0 : -1;
}

static int batch_loss(struct ft_arena *arena, struct ft_embedder *embedder, const struct ft_model *model, const struct ft_settings *s,
                      const struct ft_validation_batches *how, const struct ft_batch *b, double *value)
{
    float *embedding = ft_arena_take(arena, b->items * model->dim * sizeof *embedding);
    float *gradient = ft_arena_take(arena, b->items * model->dim * sizeof *gradient);
    struct ft_losses *loss = ft_losses_of_batch(arena, b, &s->loss, s->miner);
    struct ft_loss_input input = ft_loss_input_of(b, embedding, model->dim);
    const uint8_t *role;

    input.seed = s->seed;
    if (!embedding || !gradient || !loss || ft_batch_roles(arena, b, &role) < 0 ||
        ft_embedder_run(embedder, b->content, role, b->items, embedding) < 0 || ft_second_ask(arena, how->second, b, &input) < 0 ||
        give_learnt(arena, loss, how->weights, &input) < 0)
        return -1;
    return ft_losses_compute(loss, &input, value, gradient, NULL);
}

static int all_losses(struct ft_sampler *sampler, struct ft_embedder *embedder, const struct ft_model *model, const struct ft_settings *s,
                      const struct ft_validation_batches *how, double *mean)
{
    struct ft_arena arena = {0};
    struct ft_batch batch;
    const struct ft_string *documents;
    double sum = 0, rows = 0, value;
    int more;

    while ((more = ft_sampler_next(sampler, &batch, &documents)) > 0) {
        ft_arena_reset(&arena);
        if (batch_loss(&arena, embedder, model, s, how, &batch, &value) < 0) {
            more = -1;
            break;
        }
        sum += value * (double)batch.rows;
        rows += (double)batch.rows;
    }
    ft_arena_free(&arena);
    *mean = sum / rows;
    return more;
}

static int add_loss(struct ft_validation *v, const struct ft_model *model, const struct ft_embed_options *how, const struct ft_settings *s,
                    const struct ft_validation_batches *batches, struct ft_scores *scores)
{
    const struct ft_sampler_options options = {.kind = (int)batches->kind, .seed = s->seed, .batch = batches->rows,
                                               .per_class = batches->per_class, .views = s->views, .epochs = 1};
    struct ft_sampler *sampler = ft_sampler_open(&options);
    struct ft_embedder *embedder = ft_embedder_open(model, how);
    struct ft_arena arena = {0};
    struct ft_header header = {.kind = FT_DOCUMENTS};
    double mean;
    int result = -1;

    if (sampler && embedder && ft_documents_again(v->corpus[FT_QUERIES], sample_document, sampler) == 0 &&
        ft_sampler_plan(sampler, &arena, &header) == 0)
        result = all_losses(sampler, embedder, model, s, batches, &mean);
    if (result == 0)
        ft_scores_add(scores, "val_loss", mean);
    ft_embedder_close(embedder);
    ft_sampler_close(sampler);
    ft_arena_free(&arena);
    return result;
}

/* What these documents do not have is asked for once only. Anything but the data's or the options' fault is a failure. */
static int do_without(struct ft_validation *v, int which, const char *what, bool *without)
{
    if (ft_error_status() == FT_SYSTEM)
        return -1;
    *without = true;
    snprintf(v->warning[which], sizeof v->warning[which], "no %s of the evaluation: %.500s", what, ft_error());
    return 0;
}

int ft_validation_run(struct ft_validation *v, struct ft_model *model, const struct ft_settings *s, const struct ft_validation_batches *batches,
                      struct ft_scores *scores, size_t *queries)
{
    struct ft_embed_options how = {.max_length = (size_t)s->max_length, .prompts = s->prompts};

    *scores = (struct ft_scores){.count = 0};
    *queries = 0;
    if (ft_precision_parse(&how.precision, s->precision) < 0)
        return -1;
    if (!v->no_metrics && add_metrics(v, model, &how, &s->callbacks, scores, queries) < 0 && do_without(v, 0, "metrics", &v->no_metrics) < 0)
        return -1;
    if (!v->no_loss && add_loss(v, model, &how, s, batches, scores) < 0 && do_without(v, 1, "val_loss", &v->no_loss) < 0)
        return -1;
    if (v->no_metrics && v->no_loss)
        return ft_fail(FT_BAD, "nothing can be said of the documents of the evaluation: %s; %s", v->warning[0], v->warning[1]);
    return 0;
}
