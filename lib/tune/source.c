/* source.c - documents or batches in, batches out. */
#include "tune/source.h"
#include "base/error.h"
#include "base/stop.h"
#include "train/teacher.h"
#include "tune/holdout.h"

int ft_source_open(struct ft_source *source, const char *path)
{
    *source = (struct ft_source){.reader = ft_reader_open(path)};
    return source->reader ? 0 : -1;
}

void ft_source_close(struct ft_source *source)
{
    ft_sampler_close(source->sampler);
    ft_reader_close(source->reader);
    *source = (struct ft_source){.reader = NULL};
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

static int open_sampler(struct ft_source *source, struct ft_arena *arena, const struct ft_settings *s)
{
    struct ft_sampler_options how = {.kind = -1, .seed = s->seed, .batch = s->batch, .per_class = s->per_class, .views = s->views,
                                     .epochs = s->epochs, .drop_last = s->drop_last};
    struct choice *choice = ft_arena_take(arena, sizeof *choice);
    enum ft_batch_kind kind;

    if (!choice)
        return -1;
    *choice = (struct choice){source->room, s->views ? s->views : s->per_class};
    if (source->room)
        how.choose = choose_rows, how.argument = choice;
    if (s->kind) {
        if (ft_batch_kind_parse(ft_string_of(s->kind), &kind) < 0)
            return -1;
        how.kind = (int)kind;
    }
    return (source->sampler = ft_sampler_open(&how)) ? 0 : -1;
}

static int train_on(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    struct ft_source *source = argument;

    if (source->validation && ft_validation_trained(source->validation, document) < 0)
        return -1;
    if (source->room && ft_room_add(source->room, document) < 0)
        return -1;
    return ft_sampler_add(source->sampler, document, bytes);
}

static int hold_out(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    return ft_holdout_add(argument, document, bytes);
}

static int each_document(struct ft_source *source, ft_documents_take *take, void *argument)
{
    struct ft_arena scratch = {0};
    struct ft_document document;
    struct ft_record record;
    int more;

    while ((more = ft_reader_next(source->reader, &record)) > 0) {
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

static int add_documents(struct ft_source *source, const struct ft_settings *s)
{
    struct ft_holdout *holdout;
    int result = -1;

    if (!(s->callbacks.hold_out > 0))
        return each_document(source, train_on, source);
    if ((holdout = ft_holdout_open(s->callbacks.hold_out, s->seed)) && each_document(source, hold_out, holdout) == 0)
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
    source->fingerprint = header->fingerprint;
}

int ft_source_read(struct ft_source *source, struct ft_arena *arena, const struct ft_settings *settings, bool sampling)
{
    struct ft_header header = *ft_reader_header(source->reader);

    if (header.kind != FT_DOCUMENTS) {
        if (ft_reader_expect(source->reader, FT_BATCHES) < 0)
            return -1;
        if (sampling)
            return ft_fail(FT_USAGE, "batches come in, so options of sampling belong to ft-sample");
        if (settings->callbacks.hold_out > 0)
            return ft_fail(FT_USAGE, "--hold-out: batches come in, of which nothing can be held out: give ft-train the documents");
        keep_header(source, &header);
        return ft_second_check_stream(settings, &header, false);
    }
    if (open_sampler(source, arena, settings) < 0 || add_documents(source, settings) < 0 || ft_sampler_plan(source->sampler, arena, &header) < 0)
        return -1;
    keep_header(source, &header);
    return 0;
}

const char *ft_source_warning(struct ft_source *source)
{
    return source->sampler ? ft_sampler_warning(source->sampler) : NULL;
}

int ft_source_next(struct ft_source *source, struct ft_arena *arena, struct ft_batch *batch)
{
    const struct ft_string *documents;
    int more;

    if (source->sampler)
        return ft_sampler_next(source->sampler, batch, &documents);
    if ((more = ft_reader_next(source->reader, &source->record)) <= 0)
        return more;
    source->records++;
    if (ft_batch_read(arena, &source->record, batch) < 0)
        return -1;
    return source->validation && ft_validation_trained_batch(source->validation, batch) < 0 ? -1 : 1;
}
