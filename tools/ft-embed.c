/* ft-embed - run a model forward: documents or batches in, the same with embeddings out.
 *
 * Documents go through in evaluation mode, sorted by length inside a window, and come out in their order. Batches of a run in training go through in
 * training mode, each after the batches before it are applied; they also get their token ids, so that nothing is tokenized twice. */
#include "base/pool.h"
#include "base/tool.h"
#include "model/embed.h"
#include "model/encode.h"
#include "model/items.h"
#include "stream/document.h"
#include "train/inputs.h"
#include "train/lookahead.h"
#include "train/stage.h"
#include "train/teacher.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *model_name = "minilm", *output, *precision_name = "fp32", *field = "embedding", *modality;
static bool force, normalize;
static long threads, chunk, max_length, truncate_dim, max_errors;
static enum ft_precision precision;
static struct ft_list prompts;

static const struct ft_option options[] = {
    {'m', "model", FT_TEXT, &model_name, "MODEL", "model, or run in training", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write to PATH, which appears when complete", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, "as", FT_CHOICE, &field, NULL, "field of batches that the embeddings go to: of the model that trains, of a teacher, of a guide",
     "embedding teacher guide"},
    {0, "modality", FT_CHOICE, &modality, NULL, "embed only texts, or only images; what else documents have is passed on as it is", "text image"},
    {0, "normalize", FT_FLAG, &normalize, NULL, "make embeddings unit length", NULL},
    {0, "truncate-dim", FT_COUNT, &truncate_dim, "N", "keep the first N dimensions", NULL},
    {0, "max-length", FT_COUNT, &max_length, "N", "tokens of a text at most (default: the model's)", NULL},
    {0, "prompt", FT_LIST, &prompts, "[ROLE=]TEXT", "put before texts: query=, document=, negative= of a role; may repeat (default: the model's)", NULL},
    {0, "precision", FT_TEXT, &precision_name, "P", "of matrix products: fp32 or bf16", NULL},
    {0, "chunk", FT_COUNT, &chunk, "N", "texts through the model at once (default: by tokens)", NULL},
    {0, "max-errors", FT_COUNT, &max_errors, "N", "documents that cannot be embedded passed on as they are (default: none)", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest docs.csv | ft-embed -m minilm | ft-export --to npy -o docs.npy",
    "ft-ingest train.csv | ft-sample | ft-embed -m RUN | ft-loss -m RUN | ft-update -m RUN",
    "ft-ingest pairs.csv | ft-sample | ft-embed -m minilm --as guide | ft-embed -m tuned | ft-loss --loss gist | ft-cat --limit 1",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-embed",
    .purpose = "run a model forward: documents or batches in, the same with embeddings out",
    .operands = "[FILE]",
    .options = options,
    .examples = examples,
    .see_also = "ft-ingest(1), ft-loss(1), ft-search(1), ft-export(1), ft(7)",
};

/* Of images few are decoded at a time in any case; a large window would only put off the first embedding. */
enum { WINDOW_DOCUMENTS = 4096, WINDOW_IMAGES = 1024, WINDOW_BYTES = 64 << 20 };

/* Documents of one window: their bytes, decoded again in one arena. */
struct window {
    struct ft_arena arena;
    msgpack_zone zone;
    struct ft_string *bytes;
    size_t count, size;
};

static void pack_embedding(msgpack_packer *pk, const float *embedding, size_t dim)
{
    ft_pack_text(pk, "embedding");
    ft_wire_write(pk, FT_WIRE_F4, 1, (const uint64_t[]){dim}, embedding);
}

/* Is it what --modality asks for? */
static bool is_asked(const struct ft_content *content)
{
    bool image = ft_content_image(content);

    return !modality || (strcmp(modality, "image") == 0 ? image : content->text.data && !image);
}

static bool is_read(const struct ft_model *model, const struct ft_content *content)
{
    return is_asked(content) && ft_item_fits(model, content);
}

static size_t items(const struct ft_document *document)
{
    return document->chunk_count ? document->chunk_count : 1;
}

/* What the model is to read of a window's documents, and what came of it. */
struct readable {
    const struct ft_model *model;
    const struct ft_document *documents;
    struct ft_content *content;        /* [count] */
    uint8_t *role;
    bool *bad;                         /* it could not be read */
    size_t *owner;                     /* number of its document */
    size_t count;
    size_t last_bad;                   /* document, SIZE_MAX: none yet */
};

/* The contents of a document, its own or its chunks', and their roles. */
static void collect(struct readable *r, size_t number)
{
    const struct ft_document *document = &r->documents[number], *one = document->chunk_count ? document->chunks : document;

    for (size_t i = 0; i < items(document); i++)
        if (is_read(r->model, &one[i].content)) {
            r->content[r->count] = one[i].content;
            r->role[r->count] = (uint8_t)one[i].role;
            r->bad[r->count] = false;
            r->owner[r->count++] = number;
        }
}

/* A document is counted once, whatever of it is bad. */
static int count_bad(struct readable *r, size_t number)
{
    const struct ft_string id = r->documents[number].id;

    ft_error_prefix("document %.*s: ", (int)(id.size < 200 ? id.size : 200), id.data ? id.data : "");
    tool.bad += r->last_bad != number;
    r->last_bad = number;
    if (tool.bad <= (unsigned long)max_errors)
        return 0;
    return max_errors ? ft_fail(FT_NO, "%s: more than %ld bad document%s", ft_error(), max_errors, max_errors == 1 ? "" : "s") : -1;
}

static int take_bad(void *readable, size_t item)
{
    struct readable *r = readable;

    r->bad[item] = true;
    if (count_bad(r, r->owner[item]) < 0)
        return -1;
    ft_tool_warn(&tool, "%s", ft_error());
    return 0;
}

/* What the next item that the model reads has. */
struct cursor {
    const struct ft_model *model;
    const float *embedding;
    const bool *bad;
    size_t dim;
};

static const char *const drop_embedding[] = {"embedding", NULL}, *const drop_chunks[] = {"chunks", NULL};

static void write_document(msgpack_packer *pk, const struct ft_document *document, struct cursor *next)
{
    if (!document->chunk_count) {
        bool fits = is_read(next->model, &document->content), has = fits && !*next->bad;

        ft_document_copy(pk, document->object, is_asked(&document->content) ? drop_embedding : drop_embedding + 1, has);
        if (has)
            pack_embedding(pk, next->embedding, next->dim);
        next->embedding += fits ? next->dim : 0;
        next->bad += fits;
        return;
    }
    ft_document_copy(pk, document->object, drop_chunks, 1);
    ft_pack_text(pk, "chunks");
    msgpack_pack_array(pk, document->chunk_count);
    for (size_t i = 0; i < document->chunk_count; i++)
        write_document(pk, &document->chunks[i], next);
}

/* Decode the window's documents; gives how many items they have. */
static long decode(struct window *w, struct ft_document *documents)
{
    msgpack_object *objects = ft_arena_take(&w->arena, w->count * sizeof *objects + 1);
    size_t most = 0;

    for (size_t i = 0; objects && i < w->count; i++) {
        size_t offset = 0;

        if (msgpack_unpack(w->bytes[i].data, w->bytes[i].size, &offset, &w->zone, &objects[i]) != MSGPACK_UNPACK_SUCCESS)
            return ft_fail(FT_SYSTEM, "out of memory");
        if (ft_document_read(&w->arena, &objects[i], &documents[i]) < 0)
            return -1;
        most += items(&documents[i]);
    }
    return objects ? (long)most : -1;
}

/* The first content of a document that should be read and cannot be, or NULL. */
static const struct ft_content *find_unread(const struct ft_model *model, const struct ft_document *d)
{
    const struct ft_document *one = d->chunk_count ? d->chunks : d;

    for (size_t i = 0; i < items(d); i++)
        if (is_asked(&one[i].content) && !ft_item_fits(model, &one[i].content))
            return &one[i].content;
    return NULL;
}

static int embed_readable(struct window *w, struct ft_embedder *embedder, struct readable *r, float *out)
{
    for (size_t i = 0; i < w->count; i++) {
        const struct ft_content *unread = find_unread(r->model, &r->documents[i]);

        collect(r, i);
        if (unread) {
            ft_item_check(r->model, unread);
            if (count_bad(r, i) < 0)
                return -1;
        }
    }
    return ft_embedder_try(embedder, r->content, r->role, r->count, take_bad, r, out);
}

static int embed_window(struct ft_embedder *embedder, struct window *w, size_t dim)
{
    struct ft_document *documents = ft_arena_take(&w->arena, w->count * sizeof *documents + 1);
    long found = documents ? decode(w, documents) : -1;
    size_t most = (size_t)found;
    struct readable r = {.model = ft_embedder_model(embedder), .documents = documents, .last_bad = SIZE_MAX};
    struct cursor next = {.model = r.model, .dim = dim};
    float *out;

    if (found < 0 || !(r.content = ft_arena_take(&w->arena, most * sizeof *r.content + 1)) || !(r.role = ft_arena_take(&w->arena, most + 1)) ||
        !(r.bad = ft_arena_take(&w->arena, most + 1)) || !(r.owner = ft_arena_take(&w->arena, most * sizeof *r.owner + 1)) ||
        !(out = ft_arena_take(&w->arena, most * dim * sizeof *out + 1)) || embed_readable(w, embedder, &r, out) < 0)
        return -1;
    next.embedding = out;
    next.bad = r.bad;
    for (size_t i = 0; i < w->count; i++) {
        write_document(ft_writer_begin(tool.output), &documents[i], &next);
        if (ft_writer_commit(tool.output) < 0)
            return -1;
        tool.out++;
    }
    return 0;
}

static int embed_documents(struct ft_reader *reader, struct ft_embedder *embedder, size_t dim)
{
    const size_t most = ft_embedder_model(embedder)->input == FT_INPUT_TEXT ? WINDOW_DOCUMENTS : WINDOW_IMAGES;
    struct window w = {.count = 0};
    struct ft_record record;
    int more = 1, result = 0;

    msgpack_zone_init(&w.zone, 1 << 16);
    while (more > 0 && result == 0) {
        ft_arena_reset(&w.arena);
        msgpack_zone_clear(&w.zone);
        w.count = w.size = 0;
        w.bytes = ft_arena_take(&w.arena, most * sizeof *w.bytes);
        while (w.bytes && w.count < most && w.size < WINDOW_BYTES &&
               (more = ft_reader_next(reader, &record)) > 0) {
            char *copy = ft_arena_take(&w.arena, record.bytes.size);

            if (!copy) {
                more = -1;
                break;
            }
            memcpy(copy, record.bytes.data, record.bytes.size);
            w.bytes[w.count++] = (struct ft_string){copy, record.bytes.size};
            w.size += record.bytes.size;
            tool.in++;
        }
        result = !w.bytes || more < 0 ? -1 : embed_window(embedder, &w, dim);
    }
    msgpack_zone_destroy(&w.zone);
    ft_arena_free(&w.arena);
    return result;
}

/* What ft-embed adds on a run. */
static const char *const drop_embedded[] = {"embedding", "tokens", "offsets", "pixels", "vectors", NULL};

static bool is_second(void)
{
    return strcmp(field, "embedding") != 0;
}

/* `packed` with what ft-update is to read again, or NULL. */
static int write_batch(const struct ft_record *record, const struct ft_batch *batch, const struct ft_model *model, const struct ft_packed *packed,
                       const float *embedding, size_t dim)
{
    const char *const drop_second[] = {field, NULL};
    msgpack_packer *pk;

    if (packed && ft_inputs_check(model, packed) < 0)
        return -1;
    pk = ft_writer_begin(tool.output);
    ft_document_copy(pk, &record->object, is_second() ? drop_second : drop_embedded, 1 + (packed ? ft_inputs_count(model) : 0));
    ft_pack_text(pk, field);
    ft_wire_write(pk, FT_WIRE_F4, 2, (const uint64_t[]){batch->items, dim}, embedding);
    if (packed)
        ft_inputs_write(pk, model, packed);
    tool.out++;
    /* The next stage waits for this batch, and we for what it does with it. */
    return ft_writer_commit(tool.output) < 0 ? -1 : ft_writer_flush(tool.output);
}

/* Batches through a run (a stage) or a model (an embedder). */
struct batches {
    struct ft_reader *reader;
    struct ft_stage *stage;
    struct ft_embedder *embedder;
    struct ft_lookahead *ahead;        /* of a run whose model reads images */
    size_t dim;
};

static int embed_batch(struct batches *b, struct ft_arena *arena, const struct ft_record *record, const struct ft_batch *batch)
{
    struct ft_packed packed;
    const uint8_t *role;
    float *embedding;
    int skip;

    if (b->stage) {
        if ((skip = ft_stage_skip(b->stage, batch)) != 0)
            return skip < 0 ? -1 : 0;
        if ((b->ahead ? ft_lookahead_encode(b->ahead, true, &packed) : ft_stage_encode(b->stage, arena, batch, &packed)) < 0 ||
            ft_stage_embed(b->stage, arena, batch, ft_writer_fd(tool.output), &packed, &embedding) < 0)
            return -1;
        return write_batch(record, batch, ft_stage_model(b->stage), &packed, embedding, b->dim);
    }
    if (!(embedding = ft_arena_take(arena, batch->items * b->dim * sizeof *embedding)) || ft_batch_roles(arena, batch, &role) < 0)
        return -1;
    if (ft_embedder_run(b->embedder, batch->content, role, batch->items, embedding) < 0)
        return ft_error_prefix("batch %lu: ", (unsigned long)batch->number);
    return write_batch(record, batch, NULL, NULL, embedding, b->dim);
}

static int next_record(void *reader, bool wait, struct ft_string *bytes)
{
    struct ft_record record;
    int more;

    if (!wait && !ft_reader_ready(reader))
        return 2;
    if ((more = ft_reader_next(reader, &record)) > 0)
        *bytes = record.bytes;
    return more;
}

static int next_batch(struct batches *b, struct ft_arena *arena, struct ft_record *record, struct ft_batch *batch)
{
    const struct ft_record *kept;
    int more;

    ft_arena_reset(arena);
    if (b->ahead) {
        if ((more = ft_lookahead_next(b->ahead, batch, &kept)) > 0)
            *record = *kept;
        return more;
    }
    if ((more = ft_reader_next(b->reader, record)) <= 0)
        return more;
    return ft_batch_read(arena, record, batch) < 0 ? -1 : 1;
}

/* As many as the stream carries of a batch. */
static size_t most_pixels(void)
{
    size_t most = ft_lookahead_most(0);

    return most < FT_LIMIT_BLOB ? most : FT_LIMIT_BLOB;
}

static int embed_batches(struct batches *b)
{
    struct ft_arena arena = {0};
    struct ft_record record;
    struct ft_batch batch;
    int more = 1;

    if (b->stage && ft_lookahead_wanted(ft_stage_model(b->stage)) &&
        !(b->ahead = ft_lookahead_open(ft_stage_model(b->stage), ft_stage_settings(b->stage), most_pixels(), next_record, b->reader)))
        return -1;
    while (more > 0 && (more = next_batch(b, &arena, &record, &batch)) > 0) {
        tool.in++;
        if (embed_batch(b, &arena, &record, &batch) < 0)
            more = -1;
    }
    ft_lookahead_close(b->ahead);
    ft_arena_free(&arena);
    return more;
}

static int copy_stream(struct ft_reader *reader, struct ft_stage *stage, struct ft_embedder *embedder,
                       const char *checksum, const char *prompt, size_t dim)
{
    struct batches batches = {reader, stage, embedder, NULL, dim};
    struct ft_header header = *ft_reader_header(reader);
    int result;

    if (is_second()) {
        *(strcmp(field, "teacher") == 0 ? &header.teacher : &header.guide) = ft_string_of(checksum);
    } else {
        header.model = ft_string_of(checksum);
        header.prompt = ft_string_of(prompt);
        header.dim = dim;
    }
    if (ft_writer_header(tool.output, &header, tool.whole_argc, tool.whole_argv) < 0)
        return -1;
    result = header.kind == FT_BATCHES ? embed_batches(&batches) : embed_documents(reader, embedder, dim);
    if (result == 0) {
        struct ft_writer *writer = tool.output;

        tool.output = NULL;
        result = ft_writer_end(writer);
    }
    return result;
}

static void say_waiting(void *argument)
{
    ft_tool_say(&tool, "waiting for ft-update -m %s", (const char *)argument);
}

static int check_run_options(void)
{
    if (normalize || truncate_dim || max_length || prompts.count || chunk || ft_tool_given(&tool, &precision_name))
        return ft_fail(FT_USAGE, "--normalize, --truncate-dim, --max-length, --prompt, --precision and --chunk are the run's: "
                       "they were set when %s was made", model_name);
    return 0;
}

/* The teacher or guide of a run. */
static int with_second(struct ft_reader *reader)
{
    enum ft_second which = strcmp(field, "teacher") == 0 ? FT_TEACHER : FT_GUIDE;
    struct ft_run *run = ft_run_open(model_name);
    struct ft_teacher *second = NULL;
    int result = -1;

    if (run && check_run_options() == 0) {
        if (!run->settings.second[which].model)
            ft_fail(FT_USAGE, "the run %s has no %s: it is made with ft-train --%s MODEL", model_name, field, field);
        else if ((second = ft_teacher_open(&run->settings, which)))
            result = copy_stream(reader, NULL, ft_teacher_embedder(second), run->settings.second[which].checksum, NULL,
                                 ft_teacher_dim(second));
    }
    ft_teacher_close(second);
    ft_run_close(run);
    return result;
}

static int with_run(struct ft_reader *reader)
{
    struct ft_run *run = ft_run_open(model_name);
    struct ft_stage *stage = NULL;
    const char *prompt;
    int result = -1;

    if (run && check_run_options() == 0 && (prompt = ft_prompts_text(&run->arena, &run->settings.prompts)) &&
             (stage = ft_stage_open(run, ft_writer_fd(tool.output), say_waiting, (void *)model_name)))
        result = copy_stream(reader, stage, NULL, run->settings.model_checksum, prompt, ft_stage_model(stage)->dim);
    ft_stage_close(stage);
    ft_run_close(run);
    return result;
}

static int check_modality(const struct ft_model *model)
{
    static const char *const names[] = {"text", "image"};
    static const enum ft_input inputs[] = {FT_INPUT_TEXT, FT_INPUT_IMAGE};

    for (int i = 0; modality && i < 2; i++)
        if (strcmp(modality, names[i]) == 0 && model->input != inputs[i] && model->input != FT_INPUT_BOTH)
            return ft_fail(FT_USAGE, "--modality %s, and the model reads %s", modality, ft_input_name(model->input));
    return 0;
}

static int with_model(struct ft_reader *reader)
{
    struct ft_embed_options how = {(size_t)max_length, (size_t)truncate_dim, normalize, (size_t)chunk, {{NULL}}, precision};
    struct ft_embedder *embedder = NULL;
    struct ft_arena arena = {0};
    const char *directory = ft_model_find(&arena, model_name);
    struct ft_model *model = directory ? ft_model_open(directory, NULL) : NULL;
    char checksum[9];
    const char *prompt;
    int result = -1;

    ft_prompts_parse(&how.prompts, &prompts);
    if (model)
        ft_prompts_complete(&how.prompts, &model->prompts);
    if (model && check_modality(model) == 0 && (prompt = ft_prompts_text(&arena, &how.prompts)) && (embedder = ft_embedder_open(model, &how))) {
        if (model->extra_text)
            ft_tool_say(&tool, "%s", model->extra_text);
        result = copy_stream(reader, NULL, embedder, ft_model_checksum(model, checksum), prompt, ft_embed_dim(model, &how));
    }
    ft_embedder_close(embedder);
    ft_model_close(model);
    ft_arena_free(&arena);
    return result;
}

static int run_tool(void)
{
    struct ft_reader *reader;
    int result = -1;

    if (tool.argc > 1)
        return ft_fail(FT_USAGE, "one FILE at most, got %d", tool.argc);
    if (ft_precision_parse(&precision, precision_name) < 0)
        return -1;
    ft_pool_set_threads(threads);
    /* Output first: while this tool waits for its first byte it must notice that its own reader has gone, and a failure must have a way on. */
    if (!(tool.output = ft_writer_open(output, force)) || !(reader = ft_reader_open(tool.argc ? tool.argv[0] : NULL)))
        return -1;
    if (ft_reader_header(reader)->kind == FT_STEPS)
        ft_fail(FT_BAD, "%s: expected documents or batches, got steps", ft_reader_name(reader));
    else if (modality && ft_reader_header(reader)->kind == FT_BATCHES)
        ft_fail(FT_USAGE, "--modality is for documents: every item of a batch needs its embedding");
    else if (is_second() && ft_reader_header(reader)->kind != FT_BATCHES)
        ft_fail(FT_USAGE, "--as %s is for batches: put it behind ft-sample", field);
    else if (ft_reader_header(reader)->kind == FT_BATCHES && ft_run_is(model_name) && !ft_run_finished(model_name))
        result = is_second() ? with_second(reader) : with_run(reader);
    else
        result = with_model(reader);
    ft_reader_close(reader);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    return status >= 0 ? status : ft_tool_end(&tool, run_tool());
}
