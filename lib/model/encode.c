/* encode.c - many items as the model reads them. Texts: blocks of them are tokenized on the pool, then packed in order. */
#include "model/encode.h"
#include "base/error.h"
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 };

struct encoding {
    const struct ft_model *model;
    const struct ft_content *content;       /* items, or NULL: */
    const struct ft_string *text, *other;   /* texts by themselves; other: of pairs, or NULL */
    const struct ft_prompts *prompts;       /* of texts */
    const uint8_t *role;                    /* or NULL */
    size_t count, limit;
    struct ft_tokens *blocks;    /* [ceil(count / BLOCK)] */
    uint32_t *length, *second;   /* [count]; second of pairs only */
};

static int encode_pair(const struct encoding *e, size_t i, struct ft_tokens *tokens)
{
    size_t second;

    if (!e->text[i].data || !e->other[i].data)
        return ft_fail(FT_BAD, "no text, and the model reads text");
    if (ft_tokenizer_encode_pair(e->model->tokenizer, e->text[i], e->other[i], e->limit, tokens, &second) < 0)
        return -1;
    e->second[i] = (uint32_t)second;
    return 0;
}

static int encode_one(const struct encoding *e, size_t i, struct ft_tokens *tokens, struct ft_buffer *joined)
{
    const char *prompt = e->prompts->text[e->role ? e->role[i] : FT_NO_ROLE];
    struct ft_string text = e->content ? e->content[i].text : e->text[i];

    if (e->content ? ft_item_check(e->model, &e->content[i]) < 0 : !text.data)
        return e->content ? ft_item_prefix(&e->content[i], i + 1) : ft_fail(FT_BAD, "no text, and the model reads text");
    if (prompt && *prompt) {
        joined->size = 0;
        if (ft_buffer_add(joined, prompt, strlen(prompt)) < 0 || ft_buffer_add(joined, text.data, text.size) < 0)
            return -1;
        text = (struct ft_string){joined->data, joined->size};
    }
    return ft_tokenizer_encode(e->model->tokenizer, text, e->limit, tokens);
}

static int encode_block(void *argument, size_t index, int worker)
{
    const struct encoding *e = argument;
    size_t end = (index + 1) * BLOCK < e->count ? (index + 1) * BLOCK : e->count;
    struct ft_tokens *tokens = &e->blocks[index];
    struct ft_buffer joined = {0};
    int result = 0;

    (void)worker;
    for (size_t i = index * BLOCK; i < end && result == 0; i++) {
        size_t before = tokens->count;

        result = e->other ? encode_pair(e, i, tokens) : encode_one(e, i, tokens, &joined);
        e->length[i] = (uint32_t)(tokens->count - before);
    }
    for (size_t t = 0; t < tokens->count && result == 0; t++)
        if (tokens->id[t] < 0 || (size_t)tokens->id[t] >= e->model->vocabulary)
            result = ft_fail(FT_BAD, "token %d has no row in the model's table of %zu", (int)tokens->id[t],
                             e->model->vocabulary);
    ft_buffer_free(&joined);
    return result;
}

static int pack(struct ft_arena *arena, const struct encoding *e, size_t blocks, struct ft_packed *packed)
{
    uint64_t total = 0;
    int32_t *id;

    *packed = (struct ft_packed){.texts = e->count, .second = e->second, .chunk_rows = e->model->chunk_rows, .shard_rows = e->model->shard_rows};
    if (!(packed->offset = ft_arena_take(arena, (e->count + 1) * sizeof *packed->offset)))
        return -1;
    for (size_t i = 0; i < e->count; i++) {
        packed->offset[i] = (uint32_t)total;
        total += e->length[i];
    }
    if (total > INT32_MAX)
        return ft_fail(FT_BAD, "%zu texts have more tokens than one batch can hold", e->count);
    packed->offset[e->count] = (uint32_t)total;
    if (!(packed->id = id = ft_arena_take(arena, (total + 1) * sizeof *id)))
        return -1;
    for (size_t b = 0; b < blocks; b++) {
        if (e->blocks[b].count)
            memcpy(id, e->blocks[b].id, e->blocks[b].count * sizeof *id);
        id += e->blocks[b].count;
    }
    return 0;
}

static int encode(struct ft_arena *arena, struct encoding *e, struct ft_packed *packed)
{
    size_t blocks = (e->count + BLOCK - 1) / BLOCK, most = e->model->max_length;
    int result = -1;

    if (e->model->input != FT_INPUT_TEXT)
        return ft_item_check(e->model, &(struct ft_content){.text = FT_STRING("a")});
    if (e->limit > most)
        return ft_fail(FT_USAGE, "--max-length %zu is more than the model's %zu", e->limit, most);
    e->limit = e->limit ? e->limit : most;
    e->blocks = ft_arena_zero(arena, blocks + 1, sizeof *e->blocks);
    e->length = ft_arena_take(arena, (e->count + 1) * sizeof *e->length);
    if (e->other && !(e->second = ft_arena_take(arena, (e->count + 1) * sizeof *e->second)))
        return -1;
    if (e->blocks && e->length && ft_pool_run(blocks, encode_block, e) == 0)
        result = pack(arena, e, blocks, packed);
    for (size_t b = 0; e->blocks && b < blocks; b++)
        free(e->blocks[b].id);
    return result;
}

static int encode_vectors(struct ft_arena *arena, const struct ft_model *model, const struct ft_content *content, size_t count,
                          struct ft_packed *packed)
{
    float *vector = ft_arena_take(arena, count * ft_item_bytes(model));

    if (!vector || ft_items_vectors(model, content, count, vector) < 0)
        return -1;
    return ft_items_pack(arena, model, count, NULL, vector, packed);
}

int ft_encode_images(struct ft_arena *arena, const struct ft_model *model, const struct ft_content *content, size_t count,
                     const struct ft_variation *varied, struct ft_packed *packed)
{
    uint8_t *pixel = ft_arena_take(arena, count * ft_item_bytes(model));
    struct ft_images *images = pixel ? ft_images_begin(model, content, count, varied, pixel) : NULL;

    if (!images || ft_images_end(images, NULL, NULL) < 0)
        return -1;
    return ft_items_pack(arena, model, count, pixel, NULL, packed);
}

int ft_encode_items(struct ft_arena *arena, const struct ft_model *model, const struct ft_prompts *prompts, size_t limit,
                    const struct ft_content *content, const uint8_t *role, size_t count, struct ft_packed *packed)
{
    struct encoding e = {.model = model, .content = content, .prompts = prompts, .role = role, .count = count, .limit = limit};

    if (model->input == FT_INPUT_VECTOR)
        return encode_vectors(arena, model, content, count, packed);
    if (model->input == FT_INPUT_IMAGE)
        return ft_encode_images(arena, model, content, count, NULL, packed);
    return encode(arena, &e, packed);
}

int ft_encode_texts(struct ft_arena *arena, const struct ft_model *model, const struct ft_prompts *prompts, size_t limit,
                    const struct ft_string *text, const uint8_t *role, size_t count, struct ft_packed *packed)
{
    struct encoding e = {.model = model, .text = text, .prompts = prompts, .role = role, .count = count, .limit = limit};

    return encode(arena, &e, packed);
}

int ft_encode_pairs(struct ft_arena *arena, const struct ft_model *model, size_t limit, const struct ft_string *text,
                    const struct ft_string *other, size_t count, struct ft_packed *packed)
{
    struct encoding e = {.model = model, .text = text, .other = other, .count = count, .limit = limit};

    return encode(arena, &e, packed);
}

int ft_batch_roles(struct ft_arena *arena, const struct ft_batch *batch, const uint8_t **role)
{
    uint8_t *made;

    *role = batch->role;
    if (batch->kind != FT_BATCH_SCORED)
        return 0;
    if (!(made = ft_arena_take(arena, batch->items + 1)))
        return -1;
    for (size_t i = 0; i < batch->items; i++)
        made[i] = i % 2 ? FT_POSITIVE : FT_ANCHOR;
    *role = made;
    return 0;
}

int ft_encode_batch(struct ft_arena *arena, const struct ft_model *model, const struct ft_prompts *prompts, size_t limit,
                    const struct ft_batch *batch, struct ft_packed *packed)
{
    const uint8_t *role;

    if (ft_batch_roles(arena, batch, &role) < 0)
        return -1;
    if (ft_encode_items(arena, model, prompts, limit, batch->content, role, batch->items, packed) < 0)
        return ft_error_prefix("batch %lu: ", (unsigned long)batch->number);
    return 0;
}
