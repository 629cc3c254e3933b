/* source.c - documents or batches in, batches out. */
#include "tune/source.h"
#include "base/error.h"
#include "base/stop.h"
#include "train/loss.h"
#include "train/teacher.h"
#include "tune/holdout.h"

#include <stdlib.h>

int ft_source_open(struct ft_source *source, const char *const *paths, size_t count)
{
    static const char *const standard_input[] = {NULL};

    *source = (struct ft_source){.paths = count ? paths : standard_input};
    count = count ? count : 1;
    if (!(source->readers = calloc(count, sizeof *source->readers)))
        return ft_fail(FT_SYSTEM, "out of memory");
    for (; source->count < count; source->count++)
        if (!(source->readers[source->count] = ft_reader_open(source->paths[source->count])))
            return -1;
    return 0;
}

const struct ft_header *ft_source_header(const struct ft_source *source)
{
    return ft_reader_header(source->readers[0]);
}

void ft_source_close(struct ft_source *source)
{
    ft_mix_close(source->mix);
    for (size_t i = 0; i < source->count; i++)
        ft_reader_close(source->readers[i]);
    free(source->readers);
    ft_buffer_free(&source->made);
    *source = (struct ft_source){.readers = NULL};
}

struct choice {
    struct ft_room *room;
    uint64_t per_class;
};

static uint64_t choose_rows(void *argument, uint64_t documents)
{
    const struct choice *choice = argument;

    return ft_room_rows(choice->room, documents, choice->per_class);
}

static int open_mix(struct ft_source *source, struct ft_arena *arena, const struct ft_settings *s)
{
    struct ft_sampler_options how = {.kind = -1, .seed = s->seed, .batch = s->batch, .per_class = s->per_class, .views = s->views,
                                     .epochs = s->epochs, .drop_last = s->drop_last};
    struct choice *choice = ft_arena_take(arena, sizeof *choice);
    enum ft_mix_order order;
    enum ft_batch_kind kind;

    if (!choice)
        return -1;
    *choice = (struct choice){source->room, s->views ? s->views : s->per_class};
    if (source->room && s->mix)
        return ft_fail(FT_USAGE, "--batch auto: data sets may need batches of different sizes: give a number");
    if (source->room)
        how.choose = choose_rows, how.argument = choice;
    if (s->kind) {
        if (ft_batch_kind_parse(ft_string_of(s->kind), &kind) < 0)
            return -1;
        how.kind = (int)kind;
    }
    return ft_mix_parse(s->mix, &order) == 0 && (source->mix = ft_mix_open(&how, order)) ? 0 : -1;
}

static int train_on(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    struct ft_source *source = argument;

    if (source->validation && ft_validation_trained(source->validation, document) < 0)
        return -1;
    if (source->room && ft_room_add(source->room, document) < 0)
        return -1;
    return ft_mix_add(source->mix, document, bytes);
}

static int hold_out(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    return ft_holdout_add(argument, document, bytes);
}

static int each_document(struct ft_source *source, size_t stream, ft_documents_take *take, void *argument)
{
    struct ft_arena scratch = {0};
    struct ft_document document;
    struct ft_record record;
    int more;

    if (ft_reader_expect(source->readers[stream], FT_DOCUMENTS) < 0 || ft_mix_begin(source->mix, source->paths[stream]) < 0)
        return -1;
    while ((more = ft_reader_next(source->readers[stream], &record)) > 0) {
        ft_arena_reset(&scratch);
        source->records++;
        if (ft_document_read(&scratch, &record.object, &document) < 0 || take(argument, &document, record.bytes) < 0 || ft_stop_check() < 0) {
            more = -1;
            break;
        }
    }
    ft_arena_free(&scratch);
    return more;
}

/* What is held out is chosen when all documents are known. */
static int add_documents(struct ft_source *source, const struct ft_settings *s)
{
    struct ft_holdout *holdout = NULL;
    bool hold = s->callbacks.hold_out > 0;
    int result = 0;

    if (hold && s->mix)
        return ft_fail(FT_USAGE, "--hold-out: of several data sets nothing is held out: give documents of their own to --eval");
    if (hold && !(holdout = ft_holdout_open(s->callbacks.hold_out, s->seed)))
        return -1;
    for (size_t i = 0; result == 0 && i < source->count; i++)
        result = each_document(source, i, hold ? hold_out : train_on, hold ? (void *)holdout : source);
    if (result == 0 && hold)
        result = ft_holdout_split(holdout, source->validation, train_on, source);
    ft_holdout_close(holdout);
    return result;
}

static void keep_header(struct ft_source *source, const struct ft_header *header)
{
    source->steps = header->steps;
    source->rows = header->rows;
    source->epochs = header->epochs;
    source->classes = header->classes;
    source->sets = header->sets;
    source->fingerprint = header->fingerprint;
}

int ft_source_read(struct ft_source *source, struct ft_arena *arena, const struct ft_settings *settings, bool sampling)
{
    struct ft_header header = *ft_source_header(source);

    if (header.kind != FT_DOCUMENTS) {
        if (ft_reader_expect(source->readers[0], FT_BATCHES) < 0)
            return -1;
        if (sampling)
            return ft_fail(FT_USAGE, "batches come in, so options of sampling belong to ft-sample");
        if (settings->callbacks.hold_out > 0)
            return ft_fail(FT_USAGE, "--hold-out: batches come in, of which nothing can be held out: give ft-train the documents");
        if (source->count > 1)
            return ft_fail(FT_USAGE, "%s: a stream of batches comes alone: mix documents, or let ft-sample --mix", source->paths[0]);
        if (ft_second_check_stream(settings, &header, false) < 0)
            return -1;
    } else if (open_mix(source, arena, settings) < 0 || add_documents(source, settings) < 0 || ft_mix_plan(source->mix, arena, &header) < 0) {
        return -1;
    }
    keep_header(source, &header);
    return ft_losses_check_sets(&settings->loss, header.sets);
}

const char *ft_source_warning(struct ft_source *source)
{
    return source->mix ? ft_mix_warning(source->mix) : NULL;
}

/* Of the reader, or made of what the mix gives. */
static int next_record(void *argument, bool wait, struct ft_string *bytes)
{
    struct ft_source *source = argument;
    const struct ft_string *documents;
    struct ft_batch batch;
    msgpack_packer pk;
    int more;

    if (!source->mix) {
        if (!wait && !ft_reader_ready(source->readers[0]))
            return 2;
        if ((more = ft_reader_next(source->readers[0], &source->record)) > 0)
            source->records++;
        *bytes = source->record.bytes;
        return more;
    }
    if ((more = ft_mix_next(source->mix, &batch, &documents)) <= 0)
        return more;
    source->made.size = 0;
    msgpack_packer_init(&pk, &source->made, ft_buffer_write);
    ft_batch_write(&pk, &batch, documents, 0);
    *bytes = (struct ft_string){source->made.data, source->made.size};
    return 1;
}

int ft_source_look_ahead(struct ft_source *source, const struct ft_model *model, const struct ft_settings *settings, size_t most)
{
    if (!ft_lookahead_wanted(model))
        return 0;
    return (source->ahead = ft_lookahead_open(model, settings, most, next_record, source)) ? 0 : -1;
}

int ft_source_next(struct ft_source *source, struct ft_arena *arena, struct ft_batch *batch)
{
    const struct ft_string *documents;
    const struct ft_record *record;
    int more;

    if (!source->ahead && source->mix)
        return ft_mix_next(source->mix, batch, &documents);
    if (source->ahead && (more = ft_lookahead_next(source->ahead, batch, &record)) <= 0)
        return more;
    if (!source->ahead) {
        if ((more = ft_reader_next(source->readers[0], &source->record)) <= 0)
            return more;
        source->records++;
        if (ft_batch_read(arena, &source->record, batch) < 0)
            return -1;
    }
    return source->validation && !source->mix && ft_validation_trained_batch(source->validation, batch) < 0 ? -1 : 1;
}
