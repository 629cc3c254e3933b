/* inputs.c - tokens, pixels and vectors of a batch, made and on a stream. */
#include "train/inputs.h"
#include "base/error.h"
#include "model/encode.h"

#include <math.h>

int ft_inputs_encode(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *s, const struct ft_batch *batch,
                     struct ft_packed *packed)
{
    struct ft_augment augment;
    const struct ft_variation varied = {&augment, s->seed, batch->number};

    if (model->input != FT_INPUT_IMAGE || !s->augment)
        return ft_encode_batch(arena, model, &s->prompts, (size_t)s->max_length, batch, packed);
    if (ft_augment_parse(&augment, s->augment) < 0)
        return -1;
    if (ft_encode_images(arena, model, batch->content, batch->items, &varied, packed) < 0)
        return ft_error_prefix("batch %lu: ", (unsigned long)batch->number);
    return 0;
}

int ft_inputs_check(const struct ft_model *model, size_t items)
{
    size_t each = ft_item_bytes(model);

    if (items * each <= FT_LIMIT_BLOB)
        return 0;
    return ft_fail(FT_USAGE, "%zu items of %zu bytes are more than the %d MiB that a stream carries of a batch: take smaller batches, or ft-train", items,
                   each, FT_LIMIT_BLOB >> 20);
}

uint32_t ft_inputs_count(const struct ft_model *model)
{
    return model->input == FT_INPUT_TEXT ? 2 : 1;
}

void ft_inputs_write(msgpack_packer *pk, const struct ft_model *model, const struct ft_packed *packed)
{
    if (packed->pixel) {
        ft_pack_text(pk, "pixels");
        ft_wire_write(pk, FT_WIRE_U1, 4, (const uint64_t[]){packed->texts, model->height, model->across, 3}, packed->pixel);
    } else if (packed->vector) {
        ft_pack_text(pk, "vectors");
        ft_wire_write(pk, FT_WIRE_F4, 2, (const uint64_t[]){packed->texts, model->input_width}, packed->vector);
    } else {
        ft_pack_text(pk, "tokens");
        ft_wire_write(pk, FT_WIRE_I4, 1, (const uint64_t[]){packed->offset[packed->texts]}, packed->id);
        ft_pack_text(pk, "offsets");
        ft_wire_write(pk, FT_WIRE_I4, 1, (const uint64_t[]){packed->texts + 1}, packed->offset);
    }
}

static int read_tokens(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_model *model, size_t longest, struct ft_packed *packed)
{
    uint64_t tokens, offsets;

    *packed = (struct ft_packed){.texts = batch->items, .chunk_rows = model->chunk_rows, .shard_rows = model->shard_rows};
    if (!(packed->id = ft_wire_integers(arena, batch->object, "tokens", 1, &tokens)) ||
        !(packed->offset = (uint32_t *)ft_wire_integers(arena, batch->object, "offsets", 1, &offsets)))
        return ft_error_prefix("add ft-embed -m RUN before: ");
    if (offsets != batch->items + 1 || packed->offset[0] != 0 || packed->offset[batch->items] != tokens)
        return ft_fail(FT_BAD, "offsets and tokens disagree");
    for (size_t i = 0; i < batch->items; i++)
        if (packed->offset[i + 1] <= packed->offset[i] || packed->offset[i + 1] > tokens || packed->offset[i + 1] - packed->offset[i] > longest)
            return ft_fail(FT_BAD, "offsets of text %zu: expected 1 to %zu tokens", i, longest);
    for (size_t i = 0; i < tokens; i++)
        if (packed->id[i] < 0 || (size_t)packed->id[i] >= model->vocabulary)
            return ft_fail(FT_BAD, "token %d is not in the vocabulary", (int)packed->id[i]);
    return 0;
}

/* The pixels stay where they are, in the record. */
static int read_pixels(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_model *model, struct ft_packed *packed)
{
    const msgpack_object *object = ft_map_get(batch->object, "pixels");
    struct ft_wire_tensor t;

    if (!object)
        return ft_fail(FT_BAD, "add ft-embed -m RUN before: no pixels");
    if (ft_wire_read(object, &t) < 0)
        return ft_error_prefix("pixels: ");
    if (t.type != FT_WIRE_U1 || t.rank != 4 || t.shape[0] != batch->items || t.shape[1] != model->height || t.shape[2] != model->across ||
        t.shape[3] != 3)
        return ft_fail(FT_BAD, "pixels: a tensor of another type or shape than 8-bit [%zu, %zu, %zu, 3]", batch->items, model->height, model->across);
    return ft_items_pack(arena, model, batch->items, t.data, NULL, packed);
}

static int read_vectors(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_model *model, struct ft_packed *packed)
{
    uint64_t shape[2];
    float *vector = ft_wire_floats(arena, batch->object, "vectors", 2, shape);

    if (!vector)
        return ft_error_prefix("add ft-embed -m RUN before: ");
    if (shape[0] != batch->items || shape[1] != model->input_width)
        return ft_fail(FT_BAD, "vectors of %lu by %lu, expected %zu by %zu", (unsigned long)shape[0], (unsigned long)shape[1], batch->items,
                       model->input_width);
    for (size_t i = 0; i < batch->items * model->input_width; i++)
        if (!isfinite(vector[i]))
            return ft_fail(FT_BAD, "vectors: item %zu has a number that is not finite", i / model->input_width);
    return ft_items_pack(arena, model, batch->items, NULL, vector, packed);
}

int ft_inputs_read(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_model *model, size_t longest, struct ft_packed *packed)
{
    int result = model->input == FT_INPUT_IMAGE    ? read_pixels(arena, batch, model, packed)
                 : model->input == FT_INPUT_VECTOR ? read_vectors(arena, batch, model, packed)
                                                   : read_tokens(arena, batch, model, longest, packed);

    return result < 0 ? ft_error_prefix("batch %lu: ", (unsigned long)batch->number) : 0;
}
