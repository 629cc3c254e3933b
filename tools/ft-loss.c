/* ft-loss - embedded batches in, the same with their loss and d(loss)/d(embedding) out. */
#include "base/pool.h"
#include "base/tool.h"
#include "train/loss.h"
#include "train/stage.h"
#include "train/teacher.h"

#include <math.h>
#include <string.h>

static const char *run_name, *output, *miner;
static struct ft_list loss;
static bool force;
static long threads;

static const struct ft_option options[] = {
    {'m', "model", FT_TEXT, &run_name, "RUN", "run in training, whose losses these are", NULL},
    {'o', "output", FT_TEXT, &output, "PATH", "write to PATH, which appears when complete", NULL},
    {0, "force", FT_FLAG, &force, NULL, "replace PATH if it exists", NULL},
    {0, "loss", FT_LIST, &loss, "[SET=][W*]NAME:k=v", "a loss of ft-loss(1), as infonce:scale=50; repeated ones add up (default: by kind of batch)", NULL},
    {0, "miner", FT_TEXT, &miner, "NAME:k=v", "which pairs or triplets of labelled batches a loss compares: batch-hard, ... (default: all)", NULL},
    {0, "threads", FT_COUNT, &threads, "N", "threads (default: the CPUs allowed)", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-ingest train.csv | ft-sample | ft-embed -m RUN | ft-loss -m RUN | ft-update -m RUN",
    "ft-ingest train.csv | ft-sample --classes | ft-embed | ft-loss --loss supcon:temperature=.1 | ft-cat",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-loss",
    .purpose = "embedded batches in, the same with their loss and its gradient by the embeddings out",
    .operands = "[FILE]",
    .options = options,
    .examples = examples,
    .see_also = "ft-embed(1), ft-update(1), ft-train(1), ft(7)",
};

static const char *const drop[] = {"loss", "gradient", "terms", "parameters", NULL};

/* What the losses learn, by name: d loss / d each. */
static void write_parameters(msgpack_packer *pk, const struct ft_loss_layout *layout, const float *gradient)
{
    size_t count = 0;

    for (size_t i = 0; i < layout->count; i++)
        count += layout->tensor[i].learnt;
    ft_pack_text(pk, "parameters");
    msgpack_pack_map(pk, count);
    for (size_t i = 0; i < layout->count; i++) {
        const struct ft_loss_tensor *t = &layout->tensor[i];

        if (!t->learnt)
            continue;
        ft_pack_text(pk, t->name);
        ft_wire_write(pk, FT_WIRE_F4, 2, (const uint64_t[]){t->rows, t->columns}, gradient + t->first);
    }
}

static int write_batch(const struct ft_record *record, const struct ft_loss_input *input, const struct ft_loss_layout *layout, double value,
                       const float *gradient, uint64_t terms)
{
    msgpack_packer *pk = ft_writer_begin(tool.output);

    ft_document_copy(pk, &record->object, drop, 3 + (layout && layout->learnt));
    ft_pack_text(pk, "loss");
    msgpack_pack_double(pk, value);
    ft_pack_text(pk, "terms");
    msgpack_pack_uint64(pk, terms);
    ft_pack_text(pk, "gradient");
    ft_wire_write(pk, FT_WIRE_F4, 2, (const uint64_t[]){input->n, input->d}, gradient);
    if (layout && layout->learnt)
        write_parameters(pk, layout, input->weights_gradient);
    tool.out++;
    return ft_writer_commit(tool.output) < 0 ? -1 : ft_writer_flush(tool.output);
}

/* Losses, of the run or of the options. */
struct asked {
    const struct ft_settings *settings;
    struct ft_run *run;            /* or NULL */
    struct ft_loss_stage *stage;   /* likewise */
};

static int one_batch(struct ft_arena *arena, const struct ft_record *record, const struct asked *asked)
{
    struct ft_loss_input input;
    struct ft_losses *losses;
    struct ft_batch batch;
    uint64_t shape[2], terms = 0;
    float *embedding, *gradient;
    double value;
    int skip;

    if (ft_batch_read(arena, record, &batch) < 0)
        return -1;
    if (!(embedding = ft_wire_floats(arena, &record->object, "embedding", 2, shape)))
        return ft_error_prefix("batch %lu: ", (unsigned long)batch.number);
    if (shape[0] != batch.items)
        return ft_fail(FT_BAD, "batch %lu: %lu embeddings for %zu items", (unsigned long)batch.number,
                       (unsigned long)shape[0], batch.items);
    input = ft_loss_input_of(&batch, embedding, shape[1]);
    input.seed = asked->settings->seed;
    if (asked->stage && (skip = ft_loss_stage_ready(asked->stage, &batch, &input)) != 0)
        return skip < 0 ? -1 : 0;
    if (!(losses = ft_losses_of_batch(arena, &batch, &asked->settings->loss, asked->settings->miner)) ||
        (!batch.set.data && ft_second_check(asked->settings, losses) < 0) ||
        ft_second_read(arena, &batch, FT_TEACHER, &input) < 0 || ft_second_read(arena, &batch, FT_GUIDE, &input) < 0 ||
        !(gradient = ft_arena_take(arena, input.n * input.d * sizeof *gradient)) ||
        ft_losses_compute(losses, &input, &value, gradient, &terms) < 0)
        return -1;
    if (!isfinite(value))
        return ft_fail(FT_BAD, "batch %lu: the loss is %s", (unsigned long)batch.number,
                       isnan(value) ? "not a number" : "infinite");
    return write_batch(record, &input, asked->stage ? ft_loss_stage_layout(asked->stage) : NULL, value, gradient, terms);
}

static void say_waiting(void *argument)
{
    ft_tool_say(&tool, "waiting for ft-update -m %s", (const char *)argument);
}

static int copy_stream(struct ft_reader *reader, struct asked *asked)
{
    struct ft_arena arena = {0};
    struct ft_record record;
    struct ft_writer *writer;
    int more = -1;

    if (ft_losses_check_sets(&asked->settings->loss, ft_reader_header(reader)->sets) < 0)
        return -1;
    /* The header goes on at once: the next stage opens the run that the stage before waits for. */
    if (ft_writer_header(tool.output, ft_reader_header(reader), tool.whole_argc, tool.whole_argv) == 0 &&
        ft_writer_flush(tool.output) == 0 &&
        (!asked->run || (asked->stage = ft_loss_stage_open(asked->run, ft_reader_header(reader)->classes, ft_writer_fd(tool.output),
                                                           say_waiting, (void *)run_name))))
        while ((more = ft_reader_next(reader, &record)) > 0) {
            ft_arena_reset(&arena);
            tool.in++;
            if (one_batch(&arena, &record, asked) < 0) {
                more = -1;
                break;
            }
        }
    ft_arena_free(&arena);
    if (more < 0)
        return -1;
    writer = tool.output;
    tool.output = NULL;
    return ft_writer_end(writer);
}

static int run_tool(void)
{
    struct ft_settings own = {.loss = loss, .miner = miner};
    struct asked asked = {&own, NULL, NULL};
    struct ft_reader *reader = NULL;
    int result = -1;

    if (tool.argc > 1)
        return ft_fail(FT_USAGE, "one FILE at most, got %d", tool.argc);
    ft_pool_set_threads(threads);
    if (run_name && (loss.count || miner))
        return ft_fail(FT_USAGE, "--loss and --miner are the run's: they were set when %s was made", run_name);
    /* Output first: while this tool waits for its first byte it must notice that its own reader has gone, and a failure must have a way on. */
    if ((tool.output = ft_writer_open(output, force)) && (!run_name || (asked.run = ft_run_open(run_name))) &&
        (reader = ft_reader_open(tool.argc ? tool.argv[0] : NULL)) &&
        ft_reader_expect(reader, FT_BATCHES) == 0) {
        own.seed = ft_reader_header(reader)->seed;
        if (asked.run)
            asked.settings = &asked.run->settings;
        if (!asked.run || ft_run_finished(run_name) || ft_second_check_stream(asked.settings, ft_reader_header(reader), true) == 0)
            result = copy_stream(reader, &asked);
    }
    ft_loss_stage_close(asked.stage);
    ft_reader_close(reader);
    ft_run_close(asked.run);
    return result;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    return status >= 0 ? status : ft_tool_end(&tool, run_tool());
}
