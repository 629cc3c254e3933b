/* frozen.c - items by the hash of what the model reads of them, their rows in a corpus. */
#include "train/frozen.h"
#include "base/error.h"
#include "base/hash.h"
#include "data/corpus.h"
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

struct ft_frozen {
    struct ft_runner *runner;
    const struct ft_model *model;
    struct ft_corpus *corpus;    /* record n is the n-th item met */
    size_t width, count;
    bool of_items;
    struct slot {
        struct ft_hash hash;
        size_t record;           /* + 1; 0: free */
    } *slots;
    size_t capacity;             /* a power of two */
    struct ft_arena arena;       /* of one batch's new items */
    struct ft_buffer rows;       /* of a batch */
};

struct ft_frozen *ft_frozen_open(struct ft_runner *runner, size_t memory)
{
    struct ft_frozen *f = calloc(1, sizeof *f);
    const char *random;

    if (!f) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    f->runner = runner;
    f->model = ft_runner_model(runner);
    f->width = ft_runner_prefix(runner, &f->of_items, &random);
    if (!f->width)
        ft_fail(FT_USAGE, "--cache-frozen: no part of the model is frozen below all that trains: --freeze below:NODE freezes one");
    else if (random)
        ft_fail(FT_USAGE, "--cache-frozen: %s is frozen and drops out at random, which makes every pass another: ft-tailor --dropout 0 leaves that out", random);
    else if ((f->corpus = ft_corpus_open(memory)))
        return f;
    ft_frozen_close(f);
    return NULL;
}

void ft_frozen_close(struct ft_frozen *f)
{
    if (!f)
        return;
    ft_corpus_close(f->corpus);
    ft_buffer_free(&f->rows);
    ft_arena_free(&f->arena);
    free(f->slots);
    free(f);
}

static struct ft_hash hash_of(const struct ft_frozen *f, const struct ft_packed *packed, size_t item)
{
    size_t first = packed->offset[item], rows = packed->offset[item + 1] - first;

    if (packed->pixel)
        return ft_hash_bytes(packed->pixel + item * f->model->height * f->model->across * 3, f->model->height * f->model->across * 3);
    if (packed->vector)
        return ft_hash_bytes(packed->vector + item * f->model->input_width, f->model->input_width * sizeof(float));
    return ft_hash_bytes(packed->id + first, rows * sizeof *packed->id);
}

static struct slot *find(struct slot *slots, size_t capacity, struct ft_hash hash)
{
    size_t i = hash.low & (capacity - 1);

    while (slots[i].record && ft_hash_compare(slots[i].hash, hash) != 0)
        i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static int grow(struct ft_frozen *f)
{
    size_t capacity = f->capacity ? f->capacity * 2 : 1024;
    struct slot *slots = calloc(capacity, sizeof *slots);

    if (!slots)
        return ft_fail(FT_SYSTEM, "out of memory for %zu items of a frozen part", f->count);
    for (size_t i = 0; i < f->capacity; i++)
        if (f->slots[i].record)
            *find(slots, capacity, f->slots[i].hash) = f->slots[i];
    free(f->slots);
    f->slots = slots;
    f->capacity = capacity;
    return 0;
}

/* Which record each item is, and which items are new. */
static int look_up(struct ft_frozen *f, const struct ft_packed *packed, size_t *record, size_t *fresh, size_t *fresh_count)
{
    *fresh_count = 0;
    for (size_t i = 0; i < packed->texts; i++) {
        struct ft_hash hash = hash_of(f, packed, i);
        struct slot *slot;

        if (f->count * 2 >= f->capacity && grow(f) < 0)
            return -1;
        slot = find(f->slots, f->capacity, hash);
        if (!slot->record) {
            *slot = (struct slot){hash, ++f->count};
            fresh[(*fresh_count)++] = i;
        }
        record[i] = slot->record - 1;
    }
    return 0;
}

static void *part(struct ft_arena *arena, const void *all, size_t size, const size_t *items, size_t count)
{
    char *some = ft_arena_take(arena, count * size + 1);

    for (size_t i = 0; some && i < count; i++)
        memcpy(some + i * size, (const char *)all + items[i] * size, size);
    return some;
}

/* Some of a batch's items as a batch of their own. */
static int choose(struct ft_frozen *f, const struct ft_packed *packed, const size_t *items, size_t count, struct ft_packed *some)
{
    struct ft_arena *arena = &f->arena;
    size_t rows = 0;

    *some = *packed;
    some->texts = count;
    some->second = NULL;
    some->offset = ft_arena_zero(arena, count + 1, sizeof *some->offset);
    some->id = packed->id ? ft_arena_take(arena, (packed->offset[packed->texts] + 1) * sizeof *some->id) : NULL;
    if (!some->offset || !some->id != !packed->id)
        return -1;
    for (size_t i = 0; i < count; i++) {
        size_t first = packed->offset[items[i]], size = packed->offset[items[i] + 1] - first;

        if (packed->id)
            memcpy(some->id + rows, packed->id + first, size * sizeof *some->id);
        some->offset[i + 1] = (uint32_t)(rows += size);
    }
    if (packed->pixel && !(some->pixel = part(arena, packed->pixel, f->model->height * f->model->across * 3, items, count)))
        return -1;
    return packed->vector && !(some->vector = part(arena, packed->vector, f->model->input_width * sizeof(float), items, count)) ? -1 : 0;
}

/* New items through the prefix; each a shard of its own where company would change its bits. */
static int add_fresh(struct ft_frozen *f, const struct ft_packed *packed, const size_t *items, size_t count)
{
    struct ft_packed some;
    struct ft_cut cut;
    float *rows;

    if (choose(f, packed, items, count, &some) < 0 || ft_cut_make(&f->arena, &some, !ft_runner_prefix_apart(f->runner), &cut) < 0 ||
        !(rows = ft_arena_take(&f->arena, ((f->of_items ? count : some.offset[count]) + 1) * f->width * sizeof *rows)) ||
        ft_runner_batch(f->runner, &some, &cut, 0, 0) < 0 || ft_runner_prefix_forward(f->runner, rows) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        size_t first = f->of_items ? i : some.offset[i], size = f->of_items ? 1 : some.offset[i + 1] - first;

        if (ft_corpus_add(f->corpus, (struct ft_string){(const char *)(rows + first * f->width), size * f->width * sizeof *rows}) < 0)
            return -1;
    }
    return 0;
}

const float *ft_frozen_rows(struct ft_frozen *f, const struct ft_packed *packed)
{
    size_t *record, *fresh, count;

    ft_arena_reset(&f->arena);
    record = ft_arena_take(&f->arena, (packed->texts + 1) * sizeof *record);
    fresh = ft_arena_take(&f->arena, (packed->texts + 1) * sizeof *fresh);
    if (!record || !fresh || look_up(f, packed, record, fresh, &count) < 0 || (count && add_fresh(f, packed, fresh, count) < 0))
        return NULL;
    f->rows.size = 0;
    for (size_t i = 0; i < packed->texts; i++)
        if (ft_corpus_read(f->corpus, record[i], &f->rows) < 0)
            return NULL;
    return (const float *)(const void *)f->rows.data;
}
