/* inputs.c - tokens, pixels and vectors of a batch, made and on a stream. */
#include "train/inputs.h"
#include "base/error.h"
#include "model/encode.h"
#include "model/towers.h"

#include <math.h>
#include <string.h>

/* Images, varied as --augment says. */
static int encode_images(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *s, uint64_t number, const struct ft_content *content,
                         size_t count, struct ft_packed *packed)
{
    struct ft_augment augment;
    const struct ft_variation varied = {&augment, s->seed, number, 0};

    if (s->augment && ft_augment_parse(&augment, s->augment) < 0)
        return -1;
    return ft_encode_images(arena, model, content, count, s->augment ? &varied : NULL, packed);
}

/* Both towers' items, and where they belong. */
static int pack_towers(struct ft_arena *arena, const struct ft_share share[FT_TOWERS], const struct ft_packed towers[FT_TOWERS], struct ft_packed *packed)
{
    struct ft_packed *own = ft_arena_take(arena, FT_TOWERS * sizeof *own);

    if (!own)
        return -1;
    memcpy(own, towers, FT_TOWERS * sizeof *own);
    *packed = (struct ft_packed){.texts = share[0].count + share[1].count, .towers = own, .number = {share[0].number, share[1].number}};
    return 0;
}

static int share_batch(struct ft_arena *arena, const struct ft_model *model, const struct ft_batch *batch, struct ft_share share[FT_TOWERS])
{
    const uint8_t *role;

    if (ft_batch_roles(arena, batch, &role) < 0)
        return -1;
    for (int t = 0; t < FT_TOWERS; t++)
        if (ft_share_make(arena, model, (enum ft_tower)t, batch->content, role, batch->items, &share[t]) < 0)
            return -1;
    return 0;
}

static int encode_towers(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *s, const struct ft_batch *batch,
                         const uint8_t *pixel, struct ft_pager *pager, struct ft_packed *packed)
{
    const struct ft_model *text = model->towers[FT_TOWER_TEXT], *image = model->towers[FT_TOWER_IMAGE];
    struct ft_share share[FT_TOWERS];
    struct ft_packed towers[FT_TOWERS];

    if (share_batch(arena, model, batch, share) < 0 ||
        ft_encode_items(arena, text, &s->prompts, (size_t)s->max_length, share[0].content, share[0].role, share[0].count, &towers[0]) < 0 ||
        (pixel ? ft_items_pack(arena, image, share[1].count, pixel, NULL, &towers[1])
               : encode_images(arena, image, s, batch->number, share[1].content, share[1].count, &towers[1])) < 0)
        return -1;
    towers[FT_TOWER_IMAGE].pager = pager;
    return pack_towers(arena, share, towers, packed);
}

int ft_inputs_encode_towers(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *s, const struct ft_batch *batch,
                            const uint8_t *pixel, struct ft_pager *pager, struct ft_packed *packed)
{
    return encode_towers(arena, model, s, batch, pixel, pager, packed) < 0 ? ft_error_prefix("batch %lu: ", (unsigned long)batch->number) : 0;
}

int ft_inputs_encode(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *s, const struct ft_batch *batch,
                     struct ft_packed *packed)
{
    if (model->tower_count)
        return ft_inputs_encode_towers(arena, model, s, batch, NULL, NULL, packed);
    if (model->input != FT_INPUT_IMAGE)
        return ft_encode_batch(arena, model, &s->prompts, (size_t)s->max_length, batch, packed);
    return encode_images(arena, model, s, batch->number, batch->content, batch->items, packed) < 0
               ? ft_error_prefix("batch %lu: ", (unsigned long)batch->number) : 0;
}

int ft_inputs_check(const struct ft_model *model, const struct ft_packed *packed)
{
    size_t each = ft_item_bytes(model);

    if (packed->towers)
        return ft_inputs_check(model->towers[FT_TOWER_IMAGE], &packed->towers[FT_TOWER_IMAGE]);
    if (packed->pager || packed->texts * each <= FT_LIMIT_BLOB)
        return 0;
    return ft_fail(FT_USAGE, "%zu items of %zu bytes are more than the %d MiB that a stream carries of a batch: take smaller batches, or ft-train",
                   packed->texts, each, FT_LIMIT_BLOB >> 20);
}

uint32_t ft_inputs_count(const struct ft_model *model)
{
    return model->tower_count ? 3 : model->input == FT_INPUT_TEXT ? 2 : 1;
}

void ft_inputs_write(msgpack_packer *pk, const struct ft_model *model, const struct ft_packed *packed)
{
    for (int t = 0; packed->towers && t < FT_TOWERS; t++)
        ft_inputs_write(pk, model->towers[t], &packed->towers[t]);
    if (packed->towers)
        return;
    if (model->input == FT_INPUT_IMAGE) {
        ft_pack_text(pk, "pixels");
        if (packed->pager)
            msgpack_pack_nil(pk);
        else
            ft_wire_write(pk, FT_WIRE_U1, 4, (const uint64_t[]){packed->texts, model->height, model->across, 3}, packed->pixel);
    } else if (model->input == FT_INPUT_VECTOR) {
        ft_pack_text(pk, "vectors");
        ft_wire_write(pk, FT_WIRE_F4, 2, (const uint64_t[]){packed->texts, model->input_width}, packed->vector);
    } else {
        ft_pack_text(pk, "tokens");
        ft_wire_write(pk, FT_WIRE_I4, 1, (const uint64_t[]){packed->offset[packed->texts]}, packed->id);
        ft_pack_text(pk, "offsets");
        ft_wire_write(pk, FT_WIRE_I4, 1, (const uint64_t[]){packed->texts + 1}, packed->offset);
    }
}

static int read_tokens(struct ft_arena *arena, const struct ft_batch *batch, size_t items, const struct ft_model *model, size_t longest,
                       struct ft_packed *packed)
{
    uint64_t tokens, offsets;

    *packed = (struct ft_packed){.texts = items, .chunk_rows = model->chunk_rows, .shard_rows = model->shard_rows};
    if (!(packed->id = ft_wire_integers(arena, batch->object, "tokens", 1, &tokens)) ||
        !(packed->offset = (uint32_t *)ft_wire_integers(arena, batch->object, "offsets", 1, &offsets)))
        return ft_error_prefix("add ft-embed -m RUN before: ");
    if (offsets != items + 1 || packed->offset[0] != 0 || packed->offset[items] != tokens)
        return ft_fail(FT_BAD, "offsets and tokens disagree");
    for (size_t i = 0; i < items; i++)
        if (packed->offset[i + 1] <= packed->offset[i] || packed->offset[i + 1] > tokens || packed->offset[i + 1] - packed->offset[i] > longest)
            return ft_fail(FT_BAD, "offsets of text %zu: expected 1 to %zu tokens", i, longest);
    for (size_t i = 0; i < tokens; i++)
        if (packed->id[i] < 0 || (size_t)packed->id[i] >= model->vocabulary)
            return ft_fail(FT_BAD, "token %d is not in the vocabulary", (int)packed->id[i]);
    return 0;
}

/* The pixels stay where they are, in the record. Of those left out `pixel` is NULL. */
static int read_pixels(struct ft_arena *arena, const struct ft_batch *batch, size_t items, const struct ft_model *model, struct ft_packed *packed)
{
    const msgpack_object *object = ft_map_get(batch->object, "pixels");
    struct ft_wire_tensor t;

    if (!object)
        return ft_fail(FT_BAD, "add ft-embed -m RUN before: no pixels");
    if (object->type == MSGPACK_OBJECT_NIL)
        return ft_items_pack(arena, model, items, NULL, NULL, packed);
    if (ft_wire_read(object, &t) < 0)
        return ft_error_prefix("pixels: ");
    if (t.type != FT_WIRE_U1 || t.rank != 4 || t.shape[0] != items || t.shape[1] != model->height || t.shape[2] != model->across ||
        t.shape[3] != 3)
        return ft_fail(FT_BAD, "pixels: a tensor of another type or shape than 8-bit [%zu, %zu, %zu, 3]", items, model->height, model->across);
    return ft_items_pack(arena, model, items, t.data, NULL, packed);
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

static int read_towers(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_model *model, size_t longest, struct ft_packed *packed)
{
    struct ft_share share[FT_TOWERS];
    struct ft_packed towers[FT_TOWERS];

    return share_batch(arena, model, batch, share) < 0 ||
           read_tokens(arena, batch, share[FT_TOWER_TEXT].count, model->towers[FT_TOWER_TEXT], longest, &towers[FT_TOWER_TEXT]) < 0 ||
           read_pixels(arena, batch, share[FT_TOWER_IMAGE].count, model->towers[FT_TOWER_IMAGE], &towers[FT_TOWER_IMAGE]) < 0
               ? -1 : pack_towers(arena, share, towers, packed);
}

static int read_inputs(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_model *model, size_t longest, struct ft_packed *packed)
{
    switch (model->input) {
    case FT_INPUT_IMAGE:
        return read_pixels(arena, batch, batch->items, model, packed);
    case FT_INPUT_VECTOR:
        return read_vectors(arena, batch, model, packed);
    case FT_INPUT_BOTH:
        return read_towers(arena, batch, model, longest, packed);
    default:
        return read_tokens(arena, batch, batch->items, model, longest, packed);
    }
}

int ft_inputs_read(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_model *model, size_t longest, struct ft_packed *packed)
{
    return read_inputs(arena, batch, model, longest, packed) < 0 ? ft_error_prefix("batch %lu: ", (unsigned long)batch->number) : 0;
}

static int show(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *s, uint64_t number, const struct ft_content *content,
                struct ft_packed *packed, struct ft_pager **pager)
{
    struct ft_augment *augment = s->augment ? ft_arena_take(arena, sizeof *augment) : NULL;
    const struct ft_variation varied = {augment, s->seed, number, 0};

    if ((s->augment && (!augment || ft_augment_parse(augment, s->augment) < 0)) ||
        !(*pager = ft_pager_open(model, content, packed->texts, augment ? &varied : NULL)))
        return -1;
    packed->pager = *pager;
    packed->pixel = ft_pager_pixel(*pager);
    return 0;
}

int ft_inputs_show(struct ft_arena *arena, const struct ft_model *model, const struct ft_settings *s, const struct ft_batch *batch,
                   struct ft_packed *packed, struct ft_pager **pager)
{
    struct ft_share share[FT_TOWERS];
    struct ft_packed towers[FT_TOWERS];

    *pager = NULL;
    if (model->input == FT_INPUT_IMAGE)
        return packed->pixel ? 0 : show(arena, model, s, batch->number, batch->content, packed, pager);
    if (model->input != FT_INPUT_BOTH || packed->towers[FT_TOWER_IMAGE].pixel)
        return 0;
    memcpy(towers, packed->towers, sizeof towers);
    if (share_batch(arena, model, batch, share) < 0 ||
        show(arena, model->towers[FT_TOWER_IMAGE], s, batch->number, share[FT_TOWER_IMAGE].content, &towers[FT_TOWER_IMAGE], pager) < 0)
        return -1;
    return pack_towers(arena, share, towers, packed);
}
