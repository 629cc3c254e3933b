/* teacher.c - second models in evaluation mode, and what streams and losses have of them. */
#include "train/teacher.h"
#include "base/error.h"
#include "model/encode.h"

#include <stdlib.h>
#include <string.h>

struct ft_teacher {
    struct ft_model *model;
    struct ft_embedder *embedder;
};

static const char *const names[] = {"teacher", "guide"};

int ft_second_find(struct ft_arena *arena, struct ft_settings *settings, enum ft_second which, const char *name)
{
    const char *directory = ft_model_find(arena, name);
    char *whole;

    if (!directory)
        return ft_error_prefix("--%s: ", names[which]);
    if (!(whole = realpath(directory, NULL)))
        return ft_fail_errno("%s", directory);
    settings->second[which].model = ft_arena_text(arena, ft_string_of(whole));
    free(whole);
    return settings->second[which].model ? 0 : -1;
}

int ft_second_measure(struct ft_arena *arena, struct ft_settings *settings)
{
    for (int which = 0; which < FT_SECONDS; which++) {
        struct ft_model *model;
        char checksum[9];

        if (!settings->second[which].model)
            continue;
        if (!(model = ft_model_open(settings->second[which].model, NULL)))
            return ft_error_prefix("--%s: ", names[which]);
        settings->second[which].checksum = ft_arena_text(arena, ft_string_of(ft_model_checksum(model, checksum)));
        ft_model_close(model);
        if (!settings->second[which].checksum)
            return -1;
    }
    return 0;
}

static int open_model(struct ft_teacher *t, const struct ft_settings *settings, enum ft_second which)
{
    const char *directory = settings->second[which].model;
    struct ft_embed_options how = {.max_length = 0};
    char checksum[9];

    if (ft_precision_parse(&how.precision, settings->precision) < 0 || !(t->model = ft_model_open(directory, NULL)))
        return ft_error_prefix("%s: ", names[which]);
    if (strcmp(ft_model_checksum(t->model, checksum), settings->second[which].checksum) != 0)
        return ft_fail(FT_BAD, "the %s in %s has changed since the run began (checksum %s, was %s)", names[which], directory, checksum,
                       settings->second[which].checksum);
    how.prompts = t->model->prompts;
    return (t->embedder = ft_embedder_open(t->model, &how)) ? 0 : -1;
}

struct ft_teacher *ft_teacher_open(const struct ft_settings *settings, enum ft_second which)
{
    struct ft_teacher *t = calloc(1, sizeof *t);

    if (!t) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    if (open_model(t, settings, which) == 0)
        return t;
    ft_teacher_close(t);
    return NULL;
}

void ft_teacher_close(struct ft_teacher *t)
{
    if (!t)
        return;
    ft_embedder_close(t->embedder);
    ft_model_close(t->model);
    free(t);
}

size_t ft_teacher_bytes(const struct ft_teacher *t)
{
    return t ? t->model->block_count * sizeof(float) : 0;
}

size_t ft_teacher_dim(const struct ft_teacher *t)
{
    return t->model->dim;
}

struct ft_embedder *ft_teacher_embedder(const struct ft_teacher *t)
{
    return t->embedder;
}

/* [items, dim] */
static float *embed(struct ft_teacher *t, struct ft_arena *arena, const struct ft_batch *batch)
{
    float *embedding = ft_arena_take(arena, batch->items * t->model->dim * sizeof *embedding);
    const uint8_t *role;

    if (!embedding || ft_batch_roles(arena, batch, &role) < 0)
        return NULL;
    if (ft_embedder_run(t->embedder, batch->content, role, batch->items, embedding) < 0) {
        ft_error_prefix("batch %lu: ", (unsigned long)batch->number);
        return NULL;
    }
    return embedding;
}

static void give(struct ft_loss_input *input, enum ft_second which, const float *embedding, size_t dim)
{
    if (which == FT_TEACHER)
        input->teacher = embedding, input->teacher_d = dim;
    else
        input->guide = embedding, input->guide_d = dim;
}

int ft_second_read(struct ft_arena *arena, const struct ft_batch *batch, enum ft_second which, struct ft_loss_input *input)
{
    uint64_t shape[2];
    float *embedding;

    if (!batch->object || !ft_map_get(batch->object, names[which]))
        return 0;
    if (!(embedding = ft_wire_floats(arena, batch->object, names[which], 2, shape)))
        return ft_error_prefix("batch %lu: ", (unsigned long)batch->number);
    if (shape[0] != batch->items)
        return ft_fail(FT_BAD, "batch %lu: %s: %lu embeddings for %zu items", (unsigned long)batch->number, names[which],
                       (unsigned long)shape[0], batch->items);
    give(input, which, embedding, (size_t)shape[1]);
    return 0;
}

int ft_second_ask(struct ft_arena *arena, struct ft_teacher *const *second, const struct ft_batch *batch, struct ft_loss_input *input)
{
    for (int i = 0; i < FT_SECONDS; i++) {
        enum ft_second which = (enum ft_second)i;
        const float *embedding;

        if (ft_second_read(arena, batch, which, input) < 0)
            return -1;
        if (!second[i] || (which == FT_TEACHER ? input->teacher : input->guide))
            continue;
        if (!(embedding = embed(second[i], arena, batch)))
            return -1;
        give(input, which, embedding, second[i]->model->dim);
    }
    return 0;
}

int ft_second_check(const struct ft_settings *settings, const struct ft_losses *losses)
{
    static const char *const askers[] = {"margin-mse, distill-kl and mse do", "gist does, and infonce with a margin_strategy"};
    static const unsigned bits[] = {FT_ASKS_TEACHER, FT_ASKS_GUIDE};

    for (int which = 0; which < FT_SECONDS; which++)
        if (settings->second[which].model && !(ft_losses_asks(losses) & bits[which]))
            return ft_fail(FT_USAGE, "--%s: no loss given looks at a %s: %s", names[which], names[which], askers[which]);
    return 0;
}

int ft_second_check_stream(const struct ft_settings *settings, const struct ft_header *header, bool required)
{
    const struct ft_string brought[] = {header->teacher, header->guide};

    for (int which = 0; which < FT_SECONDS; which++) {
        const char *wanted = settings->second[which].checksum;

        if (!wanted || (!brought[which].size && !required))
            continue;
        if (!brought[which].size)
            return ft_fail(FT_BAD, "the run has a %s, and the stream has no embeddings of it: add ft-embed -m RUN --as %s before", names[which],
                           names[which]);
        if (!ft_string_is(brought[which], wanted))
            return ft_fail(FT_BAD, "the stream's %s is another model (checksum %.*s) than the run's, %s (%s)", names[which],
                           (int)(brought[which].size < 40 ? brought[which].size : 40), brought[which].data, settings->second[which].model, wanted);
    }
    return 0;
}
