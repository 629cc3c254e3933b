/* ft-update - batches with gradients in: forward again, backward, optimizer step; a stream of steps out, whose end names the run. */
#include "base/pool.h"
#include "base/stop.h"
#include "base/tool.h"
#include "train/inputs.h"
#include "train/trainer.h"

#include <stdio.h>
#include <string.h>

static const char *run_name;
static long threads, save_every, keep = 2;
static size_t memory;

static const struct ft_option options[] = {
    {'m', "model", FT_TEXT, &run_name, "RUN", "run to train, made by ft-train -o RUN --steps 0", NULL},
    {0, "save-every", FT_COUNT, &save_every, "N", "batches between checkpoints (default: every five minutes)", NULL},
    {0, "keep", FT_COUNT, &keep, "K", "checkpoints kept", NULL},
    {0, "memory", FT_SIZE, &memory, "SIZE", "stay under this; changes no result", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest train.csv | ft-sample | ft-embed -m RUN | ft-loss -m RUN | ft-update -m RUN | ft-export -o tuned",
    "ft-update -m RUN batches.ft | ft-cat",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-update",
    .purpose = "batches with gradients in: backward and an optimizer step; a stream of steps out",
    .operands = "[FILE]",
    .options = options,
    .examples = examples,
    .see_also = "ft-loss(1), ft-train(1), ft-export(1), ft(7)",
};

static int write_step(const struct ft_step_report *r)
{
    msgpack_packer *pk = ft_writer_begin(tool.output);

    msgpack_pack_map(pk, 6);
    ft_pack_text(pk, "step");
    msgpack_pack_uint64(pk, r->step);
    ft_pack_text(pk, "epoch");
    msgpack_pack_uint64(pk, r->epoch);
    ft_pack_text(pk, "loss");
    msgpack_pack_double(pk, r->loss);
    ft_pack_text(pk, "lr");
    msgpack_pack_double(pk, r->lr);
    ft_pack_text(pk, "gradient_norm");
    if (r->gradient_norm >= 0)
        msgpack_pack_double(pk, r->gradient_norm);
    else
        msgpack_pack_nil(pk);    /* the batch only added its gradient */
    ft_pack_text(pk, "texts");
    msgpack_pack_uint64(pk, r->texts);
    tool.out++;
    return ft_writer_commit(tool.output) < 0 ? -1 : ft_writer_flush(tool.output);
}

/* Gradients of what the losses learn, by name, and the embeddings, where a loss remembers them. */
static int read_for_losses(struct ft_trainer *trainer, struct ft_arena *arena, const struct ft_record *record, const struct ft_batch *batch)
{
    struct ft_weights *weights = ft_trainer_weights(trainer);
    const struct ft_loss_layout *layout = ft_weights_layout(weights);
    const msgpack_object *parameters = ft_map_get(&record->object, "parameters");
    uint64_t shape[2];
    float *tensor;

    if (layout->learnt && (!parameters || parameters->type != MSGPACK_OBJECT_MAP))
        return ft_fail(FT_BAD, "batch %lu has no gradients of what its losses learn: add ft-loss -m %s before", (unsigned long)batch->number, run_name);
    for (size_t i = 0; i < layout->count; i++) {
        const struct ft_loss_tensor *t = &layout->tensor[i];

        if (!t->learnt)
            continue;
        if (!(tensor = ft_wire_floats(arena, parameters, t->name, 2, shape)))
            return ft_error_prefix("batch %lu: parameters: ", (unsigned long)batch->number);
        if (shape[0] != t->rows || shape[1] != t->columns)
            return ft_fail(FT_BAD, "batch %lu: parameters: %s of %lu by %lu, expected %zu by %zu", (unsigned long)batch->number, t->name,
                           (unsigned long)shape[0], (unsigned long)shape[1], t->rows, t->columns);
        memcpy(ft_weights_gradient(weights) + t->first, tensor, t->rows * t->columns * sizeof *tensor);
    }
    if (layout->floats == layout->learnt)
        return 0;
    if (!(tensor = ft_wire_floats(arena, &record->object, "embedding", 2, shape)))
        return ft_error_prefix("batch %lu: ", (unsigned long)batch->number);
    if (shape[0] != batch->items || shape[1] != layout->d)
        return ft_fail(FT_BAD, "batch %lu: embeddings of %lu by %lu, expected %zu by %zu", (unsigned long)batch->number,
                       (unsigned long)shape[0], (unsigned long)shape[1], batch->items, layout->d);
    ft_trainer_remember(trainer, tensor);
    return 0;
}

static int one_batch(struct ft_trainer *trainer, struct ft_arena *arena, const struct ft_record *record)
{
    const struct ft_model *model = ft_trainer_model(trainer);
    struct ft_step_report report;
    struct ft_packed packed;
    struct ft_pager *pager;
    struct ft_batch batch;
    uint64_t shape[2];
    float *gradient;
    double loss;
    int skip, done;

    if (ft_batch_read(arena, record, &batch) < 0)
        return -1;
    if ((skip = ft_trainer_skip(trainer, &batch)) != 0)
        return skip < 0 ? -1 : 0;
    if (!(gradient = ft_wire_floats(arena, &record->object, "gradient", 2, shape)))
        return ft_error_prefix("batch %lu: add ft-loss before: ", (unsigned long)batch.number);
    if (shape[0] != batch.items || shape[1] != model->dim)
        return ft_fail(FT_BAD, "batch %lu: a gradient of %lu by %lu, expected %zu by %zu", (unsigned long)batch.number,
                       (unsigned long)shape[0], (unsigned long)shape[1], batch.items, model->dim);
    if (!ft_map_number(&record->object, "loss", &loss))
        return ft_fail(FT_BAD, "batch %lu has no loss", (unsigned long)batch.number);
    if (ft_inputs_read(arena, &batch, model, model->max_length, &packed) < 0 ||
        ft_inputs_show(arena, model, ft_trainer_settings(trainer), &batch, &packed, &pager) < 0)
        return -1;
    done = ft_trainer_begin(trainer, &batch, &packed) < 0 || read_for_losses(trainer, arena, record, &batch) < 0 ||
           ft_trainer_apply(trainer, loss, gradient, &report) < 0 ? -1 : 0;
    ft_pager_close(pager);
    return done < 0 ? -1 : write_step(&report);
}

static int all_batches(struct ft_trainer *trainer, struct ft_reader *reader)
{
    struct ft_arena arena = {0};
    struct ft_record record;
    int more = 1;

    while (more > 0 && (more = ft_reader_next(reader, &record)) > 0) {
        ft_arena_reset(&arena);
        tool.in++;
        if (one_batch(trainer, &arena, &record) < 0 || ft_stop_check() < 0)
            more = -1;
    }
    ft_arena_free(&arena);
    return more;
}

/* Whatever ended the stream early, what was applied is worth keeping. */
static int save_and_fail(struct ft_trainer *trainer)
{
    struct ft_error_copy error;

    ft_error_save(&error);
    if (ft_trainer_save(trainer) < 0)
        ft_tool_warn(&tool, "%s", ft_error());
    else
        ft_tool_say(&tool, "saved after batch %lu: the same pipe goes on from there",
                    (unsigned long)ft_trainer_progress(trainer)->batch);
    ft_error_restore(&error);
    return -1;
}

static int end_output(void)
{
    struct ft_writer *writer = tool.output;

    tool.output = NULL;
    return ft_writer_end(writer);
}

/* The same pipe again when all is done: no steps, and the run's name for the next tool. */
static int say_finished(void)
{
    const struct ft_header header = {.kind = FT_STEPS, .run = ft_string_of(run_name)};

    ft_tool_say(&tool, "%s is finished", run_name);
    return ft_writer_header(tool.output, &header, tool.whole_argc, tool.whole_argv) < 0 ? -1 : end_output();
}

static int train(struct ft_run *run, struct ft_trainer *trainer)
{
    struct ft_reader *reader = ft_reader_open(tool.argc ? tool.argv[0] : NULL);
    struct ft_header header = {.kind = FT_STEPS, .run = ft_string_of(run->directory)};
    int result = -1;

    if (reader && ft_reader_expect(reader, FT_BATCHES) == 0) {
        ft_reader_watch(reader, ft_writer_fd(tool.output));
        header.history = ft_reader_header(reader)->history;
        header.seed = ft_reader_header(reader)->seed;
        header.steps = ft_reader_header(reader)->steps;
        if (ft_trainer_plan(trainer, header.steps, ft_reader_header(reader)->epochs, ft_reader_header(reader)->classes) == 0 &&
            ft_writer_header(tool.output, &header, tool.whole_argc, tool.whole_argv) == 0 &&
            (result = all_batches(trainer, reader)) < 0)
            save_and_fail(trainer);
    }
    ft_reader_close(reader);
    return result < 0 || ft_trainer_finish(trainer) < 0 ? -1 : end_output();
}

static int run_tool(void)
{
    const struct ft_trainer_options how = {.shared = true, .memory = memory, .save_every = save_every, .keep = keep};
    struct ft_trainer *trainer = NULL;
    struct ft_run *run = NULL;
    int result = -1;

    if (tool.argc > 1)
        return ft_fail(FT_USAGE, "one FILE at most, got %d", tool.argc);
    if (!run_name)
        return ft_fail(FT_USAGE, "-m RUN is missing: ft-train -m MODEL -o RUN --steps 0 makes one");
    ft_pool_set_threads(threads);
    ft_stop_catch();
    /* The run first: ft-embed waits for it before it sends anything. */
    if ((tool.output = ft_writer_open(NULL, false)) && (run = ft_run_open(run_name))) {
        if (ft_run_finished(run_name))
            result = say_finished();
        else if ((trainer = ft_trainer_open(run, &how)))
            result = train(run, trainer);
    }
    ft_trainer_close(trainer);
    ft_run_close(run);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    if (status >= 0)
        return status;
    status = ft_tool_end(&tool, run_tool());
    if (ft_stop_signal() && status)
        ft_stop_die();
    return status;
}
