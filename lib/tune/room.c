/* room.c - token counts of all documents, and what the longest of them take. */
#include "tune/room.h"
#include "base/error.h"
#include "model/encode.h"
#include "model/items.h"
#include "model/run/plan.h"
#include "model/towers.h"

#include <stdlib.h>

/* BESIDE: what the program, its libraries, tables and documents take, about; what is chosen must not depend on what it was this time. */
enum { WINDOW = 4096, GROUP_TOKENS = 1024, STEP = 8, LEAST_BATCHES = 8, BESIDE = 64 << 20 };

/* Of a document: rows and items of each tower, of other models of the first alone. */
struct size {
    uint32_t tokens[FT_TOWERS], texts[FT_TOWERS];
};

struct ft_room {
    const struct ft_settings *settings;
    size_t memory;
    struct ft_arena arena;
    struct ft_model *model;
    int parts;                       /* towers, or 1 */
    struct {
        const struct ft_model *model;
        const struct ft_plan *plan;
    } part[FT_TOWERS];
    struct size *size;               /* [count], when sorted the longest first */
    size_t count, capacity;
    size_t blocks;                   /* of the size of the model's: parameters, gradient, what the optimizer keeps */
    uint64_t documents, chosen;      /* a row; rows */
    /* texts whose tokens are not counted yet, of the last documents */
    struct ft_buffer waiting;
    size_t end[WINDOW];
    uint32_t owner[WINDOW];
    uint8_t role[WINDOW];
    size_t texts;
};

static int count_blocks(struct ft_room *r)
{
    const struct ft_parameters parameters = ft_model_parameters(r->model);
    struct ft_optimizer_settings settings;
    struct ft_optimizer *optimizer;

    if (ft_settings_optimizer(r->settings, &settings) < 0 || !(optimizer = ft_optimizer_open(&parameters, &settings, NULL)))
        return -1;
    r->blocks = 2 + (size_t)ft_optimizer_blocks(optimizer);
    ft_optimizer_close(optimizer);
    return 0;
}

static int make_plans(struct ft_room *r)
{
    r->parts = r->model->tower_count ? r->model->tower_count : 1;
    for (int t = 0; t < r->parts; t++) {
        r->part[t].model = r->model->tower_count ? r->model->towers[t] : r->model;
        if (!(r->part[t].plan = ft_plan_make(&r->arena, r->part[t].model, FT_PLAN_TRAINING)))
            return -1;
    }
    return 0;
}

struct ft_room *ft_room_open(const struct ft_settings *settings, size_t memory)
{
    struct ft_room *r = calloc(1, sizeof *r);

    if (!r) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    r->settings = settings;
    r->memory = memory;
    if ((r->model = ft_model_open_nodes(settings->model)) && ft_settings_freeze(settings, r->model) == 0 && count_blocks(r) == 0 && make_plans(r) == 0)
        return r;
    ft_room_close(r);
    return NULL;
}

void ft_room_close(struct ft_room *r)
{
    if (!r)
        return;
    ft_model_close(r->model);
    ft_arena_free(&r->arena);
    ft_buffer_free(&r->waiting);
    free(r->size);
    free(r);
}

static int count_tokens(struct ft_room *r)
{
    const struct ft_settings *s = r->settings;
    struct ft_string text[WINDOW];
    struct ft_arena arena = {0};
    struct ft_packed packed;
    int result;

    if (!r->texts)
        return 0;
    for (size_t i = 0; i < r->texts; i++) {
        size_t from = i ? r->end[i - 1] : 0;

        text[i] = (struct ft_string){r->waiting.data + from, r->end[i] - from};
    }
    result = ft_encode_texts(&arena, r->part[FT_TOWER_TEXT].model, &s->prompts, (size_t)s->max_length, text, r->role, r->texts, &packed);
    for (size_t i = 0; result == 0 && i < r->texts; i++) {
        r->size[r->owner[i]].tokens[FT_TOWER_TEXT] += packed.offset[i + 1] - packed.offset[i];
        r->size[r->owner[i]].texts[FT_TOWER_TEXT]++;
    }
    ft_arena_free(&arena);
    r->waiting.size = r->texts = 0;
    return result;
}

static int add_item(struct ft_room *r, const struct ft_document *d)
{
    const struct ft_string text = d->content.text;
    int part = r->model->tower_count ? (int)ft_tower_of(&d->content) : 0;

    if (r->part[part].model->input != FT_INPUT_TEXT) {
        r->size[r->count - 1].tokens[part] += (uint32_t)r->part[part].model->rows_each;
        r->size[r->count - 1].texts[part]++;
        return 0;
    }
    if (text.size && ft_buffer_add(&r->waiting, text.data, text.size) < 0)
        return -1;
    r->role[r->texts] = (uint8_t)d->role;
    r->owner[r->texts] = (uint32_t)r->count - 1;
    r->end[r->texts++] = r->waiting.size;
    return r->texts == WINDOW ? count_tokens(r) : 0;
}

int ft_room_add(struct ft_room *r, const struct ft_document *d)
{
    int result = 0;

    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 256;
        struct size *size = ft_resize(r->size, capacity, sizeof *size);

        if (!size)
            return -1;
        r->size = size;
        r->capacity = capacity;
    }
    r->size[r->count++] = (struct size){.tokens = {0}};
    if (!d->chunk_count)
        return add_item(r, d);
    for (size_t c = 0; result == 0 && c < d->chunk_count; c++)
        result = add_item(r, &d->chunks[c]);
    return result;
}

static int compare_sizes(const void *a, const void *b)
{
    const struct size *x = a, *y = b;
    uint64_t tokens = (uint64_t)x->tokens[0] + x->tokens[1], other = (uint64_t)y->tokens[0] + y->tokens[1];
    uint32_t texts = x->texts[0] + x->texts[1], others = y->texts[0] + y->texts[1];

    if (tokens != other)
        return tokens < other ? 1 : -1;
    return texts < others ? 1 : texts > others ? -1 : 0;
}

/* How often a document is in a batch: with --views several times. */
static uint64_t times(const struct ft_room *r)
{
    return r->settings->views ? r->settings->views : 1;
}

/* What one tower takes of so many rows, and its items. */
static size_t part_bytes(const struct ft_room *r, int part, uint64_t rows, size_t *items)
{
    const struct ft_plan *plan = r->part[part].plan;
    const struct ft_model *model = r->part[part].model;
    size_t tokens = 0, texts = 0, longest = 0, together, group = model->chunk_rows ? model->chunk_rows : GROUP_TOKENS;

    for (size_t i = 0; i < r->count && i < rows * r->documents / times(r); i++) {
        tokens += times(r) * r->size[i].tokens[part];
        texts += times(r) * r->size[i].texts[part];
        longest = r->size[i].tokens[part] > longest ? r->size[i].tokens[part] : longest;
    }
    *items += texts;
    together = tokens < group ? tokens : longest > group ? longest : group;
    return sizeof(float) * (plan->kept_width * tokens + plan->kept_item_width * texts + plan->gradient_width * together + plan->gradient_item_width * texts) +
           2 * ft_item_bytes(model) * texts;   /* of this batch and the next */
}

size_t ft_room_bytes(const struct ft_room *r, uint64_t rows)
{
    size_t items = 0, bytes = BESIDE;

    for (int t = 0; t < r->parts; t++)
        bytes += part_bytes(r, t, rows, &items);
    return bytes + sizeof(float) * (r->blocks * r->model->block_count + 4 * r->model->dim * items + 2 * items * items);
}

uint64_t ft_room_rows(struct ft_room *r, uint64_t documents, uint64_t each)
{
    uint64_t step = each && STEP % each ? each : STEP, fits = 1, most;

    if (count_tokens(r) < 0)
        return 0;
    qsort(r->size, r->count, sizeof *r->size, compare_sizes);
    r->documents = documents;
    most = r->count * times(r) / documents / LEAST_BATCHES / step;
    while (fits < most) {   /* what n rows take rises with n */
        uint64_t middle = fits + (most - fits + 1) / 2;

        if (ft_room_bytes(r, middle * step) <= r->memory)
            fits = middle;
        else
            most = middle - 1;
    }
    r->chosen = each && fits * step < 2 * each ? 2 * each : fits * step;
    return r->chosen;
}

uint64_t ft_room_chosen(const struct ft_room *r)
{
    return r->chosen;
}
