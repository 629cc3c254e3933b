/* ahead.c - a window of rows. */
#include "data/ahead.h"
#include "base/error.h"
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of an item that is a picture. */
struct picture {
    const struct picture *twin;    /* an earlier one of the window with the same address, or NULL */
    struct ft_row_item *item;
    struct ft_string address;      /* as found; the item's may go */
    struct ft_buffer bytes;        /* where they travel along */
    struct ft_error_copy *wrong;   /* NULL: nothing */
};

struct slot {
    struct ft_row row;
    struct ft_arena arena;         /* the row's copy */
    struct picture *picture;       /* [item_count] */
    bool failed;                   /* it is no row but what was wrong with one */
    struct ft_error_copy error;
    unsigned long passed;
};

struct ft_ahead {
    struct ft_rows *rows;
    const struct ft_media *media;
    double low, high;
    struct slot *slot;             /* [FT_AHEAD_ROWS] */
    size_t count, next;
    size_t bytes;                  /* about, of the window's files */
    unsigned long passed, given;
    struct ft_media_worker *worker;     /* [threads] */
    int threads;
};

struct ft_ahead *ft_ahead_open(struct ft_rows *rows, const struct ft_media *media, double low, double high)
{
    struct ft_ahead *ahead = calloc(1, sizeof *ahead);

    if (ahead) {
        *ahead = (struct ft_ahead){.rows = rows, .media = media, .low = low, .high = high, .threads = ft_pool_threads()};
        ahead->slot = calloc(FT_AHEAD_ROWS, sizeof *ahead->slot);
        ahead->worker = calloc((size_t)ahead->threads, sizeof *ahead->worker);
        if (ahead->slot && ahead->worker)
            return ahead;
    }
    ft_fail(FT_SYSTEM, "out of memory");
    ft_ahead_close(ahead);
    return NULL;
}

/* What the row held from JSON, and the bytes of its pictures. */
static void release(struct slot *slot)
{
    for (size_t i = 0; i < slot->row.item_count; i++) {
        json_decref((json_t *)(uintptr_t)slot->row.items[i].object);
        ft_buffer_free(&slot->picture[i].bytes);
    }
    for (size_t i = 0; i < slot->row.tag_count; i++)
        json_decref((json_t *)(uintptr_t)slot->row.tags[i].json);
    json_decref((json_t *)(uintptr_t)slot->row.object);
    slot->row = (struct ft_row){.kind = FT_ROW_GUESS};
    slot->failed = false;
    ft_arena_reset(&slot->arena);
}

void ft_ahead_close(struct ft_ahead *ahead)
{
    if (!ahead)
        return;
    for (size_t i = 0; ahead->slot && i < FT_AHEAD_ROWS; i++) {
        release(&ahead->slot[i]);
        ft_arena_free(&ahead->slot[i].arena);
    }
    for (int i = 0; ahead->worker && i < ahead->threads; i++)
        ft_media_worker_free(&ahead->worker[i]);
    free(ahead->slot);
    free(ahead->worker);
    free(ahead);
}

unsigned long ft_ahead_passed(const struct ft_ahead *ahead)
{
    return ahead->given;
}

/* ---- a copy ---- */

static bool copy_string(struct ft_arena *arena, struct ft_string *string)
{
    char *copy = string->data ? ft_arena_text(arena, *string) : NULL;

    if (string->data && !copy)
        return false;
    string->data = copy;
    return true;
}

static bool copy_item(struct ft_arena *arena, struct ft_row_item *item)
{
    float *vector = item->vector ? ft_arena_take(arena, item->width * sizeof *vector) : NULL;

    if (!copy_string(arena, &item->content) || (item->vector && !vector))
        return false;
    if (vector)
        item->vector = memcpy(vector, item->vector, item->width * sizeof *vector);
    if (item->shape) {
        uint64_t *shape = ft_arena_take(arena, (size_t)item->rank * sizeof *shape);

        if (!shape)
            return false;
        item->shape = memcpy(shape, item->shape, (size_t)item->rank * sizeof *shape);
    }
    return true;
}

/* Strings are copied, JSON is held. */
static int keep(struct slot *slot, const struct ft_row *row)
{
    struct ft_row copy = *row;
    struct ft_arena *arena = &slot->arena;
    bool good;

    copy.items = ft_arena_take(arena, row->item_count * sizeof *copy.items);
    copy.tags = ft_arena_take(arena, row->tag_count * sizeof *copy.tags);
    slot->picture = ft_arena_zero(arena, row->item_count, sizeof *slot->picture);
    if (!copy.items || !copy.tags || !slot->picture)
        return -1;
    memcpy(copy.items, row->items, row->item_count * sizeof *copy.items);
    if (row->tag_count)
        memcpy(copy.tags, row->tags, row->tag_count * sizeof *copy.tags);
    good = copy_string(arena, &copy.id) && copy_string(arena, &copy.label);
    for (size_t i = 0; good && i < copy.item_count; i++)
        good = copy_item(arena, &copy.items[i]);
    for (size_t i = 0; good && i < copy.tag_count; i++)
        good = copy_string(arena, &copy.tags[i].name) && copy_string(arena, &copy.tags[i].text);
    if (!good)
        return -1;
    for (size_t i = 0; i < copy.item_count; i++)
        json_incref((json_t *)(uintptr_t)copy.items[i].object);
    for (size_t i = 0; i < copy.tag_count; i++)
        json_incref((json_t *)(uintptr_t)copy.tags[i].json);
    json_incref((json_t *)(uintptr_t)copy.object);
    slot->row = copy;
    return 0;
}

/* ---- the window ---- */

static void fail_slot(struct slot *slot)
{
    slot->failed = true;
    ft_error_save(&slot->error);
}

/* What is wrong with a picture is kept without the row's place, since other rows may name it. */
static void blame(struct slot *slot, struct picture *picture)
{
    struct ft_error_copy error, *copy;

    ft_error_save(&error);
    if ((copy = ft_arena_take(&slot->arena, sizeof *copy))) {
        *copy = error;
        picture->wrong = copy;
    } else {
        fail_slot(slot);
    }
}

static const struct picture *find_twin(const struct ft_ahead *ahead, const struct ft_row_item *item)
{
    for (size_t s = 0; s < ahead->count; s++) {
        const struct slot *slot = &ahead->slot[s];

        for (size_t i = 0; i < slot->row.item_count; i++) {
            const struct picture *other = &slot->picture[i];

            if (other->item && other->item != item && !other->twin && !other->wrong && other->item->local == item->local &&
                ft_string_equal(other->address, item->content))
                return other;
        }
    }
    return NULL;
}

static void find_pictures(struct ft_ahead *ahead, struct slot *slot)
{
    struct stat st;

    for (size_t i = 0; i < slot->row.item_count; i++) {
        struct ft_row_item *item = &slot->row.items[i];
        struct picture *picture = &slot->picture[i];

        if (!item->uri)
            continue;
        if (ft_media_find(ahead->media, &slot->arena, ft_rows_base(ahead->rows), ft_rows_is_folder(ahead->rows), item) < 0) {
            blame(slot, picture);
            continue;
        }
        picture->twin = find_twin(ahead, item);
        picture->item = item;
        picture->address = item->content;
        if (picture->twin)
            continue;
        if (ahead->media->blob && item->local && stat(item->content.data, &st) == 0 && st.st_size > 0)
            ahead->bytes += (size_t)st.st_size;
        else if (!item->local)
            ahead->bytes += ahead->media->fetch && ft_uri_kind(item->content) == FT_URI_WEB ? FT_AHEAD_BYTES / 32 : item->content.size;
    }
}

/* The next row of the share wanted. */
static int next_row(struct ft_ahead *ahead, struct ft_row *row)
{
    double share;
    int got;

    while ((got = ft_rows_next(ahead->rows, row)) > 0) {
        ahead->passed++;
        if (ahead->low <= 0 && ahead->high >= 1)
            break;
        share = ft_row_share(row);
        if (share >= ahead->low && share < ahead->high)
            break;
    }
    return got;
}

/* 1: the window holds rows; 2: it is empty and `row` is one that needs none; 0; -1. */
static int fill(struct ft_ahead *ahead, size_t most, struct ft_row *row)
{
    struct slot *slot;
    int got = 1;

    ahead->count = ahead->next = ahead->bytes = 0;
    while (got > 0 && ahead->count < most && ahead->count < FT_AHEAD_ROWS && ahead->bytes < FT_AHEAD_BYTES) {
        got = next_row(ahead, row);
        if (ahead->count == 0 && (got <= 0 || !ft_row_has_uri(row)))
            return got > 0 ? 2 : got;
        if (got == 0)
            break;
        slot = &ahead->slot[ahead->count++];
        slot->passed = ahead->passed;
        if (got < 0 || keep(slot, row) < 0)
            fail_slot(slot);
        else
            find_pictures(ahead, slot);
        got = slot->failed && slot->error.status != FT_BAD ? -1 : 1;
    }
    return 1;
}

static int load(void *argument, size_t index, int worker)
{
    struct ft_ahead *ahead = argument;
    struct slot *slot = &ahead->slot[index];

    for (size_t i = 0; i < slot->row.item_count && !slot->failed; i++) {
        struct picture *picture = &slot->picture[i];
        struct ft_buffer *bytes = &ahead->worker[worker].bytes;

        if (!picture->item || picture->twin)
            continue;
        if (ft_media_load(ahead->media, &ahead->worker[worker], picture->item) < 0) {
            blame(slot, picture);
        } else if (picture->item->blob.data) {
            picture->bytes = *bytes;
            *bytes = (struct ft_buffer){0};
        }
    }
    return 0;
}

/* The row of a slot, with what its pictures are. */
static int give(const struct ft_ahead *ahead, struct slot *slot, struct ft_row *row)
{
    for (size_t i = 0; i < slot->row.item_count && !slot->failed; i++) {
        struct picture *picture = &slot->picture[i];
        const struct ft_error_copy *wrong = picture->twin ? picture->twin->wrong : picture->wrong;

        if (wrong) {
            ft_error_restore(wrong);
            return slot->row.line ? ft_error_prefix("%s:%lu: ", ft_rows_name(ahead->rows), slot->row.line) : -1;
        }
        if (picture->twin) {
            picture->item->content = picture->twin->item->content;
            picture->item->blob = picture->twin->item->blob;
            picture->item->mime_type = picture->twin->item->mime_type;
        }
    }
    if (slot->failed) {
        ft_error_restore(&slot->error);
        return -1;
    }
    *row = slot->row;
    return 1;
}

int ft_ahead_next(struct ft_ahead *ahead, size_t most, struct ft_row *row)
{
    struct slot *slot;
    int got;

    if (ahead->next == ahead->count) {
        for (size_t i = 0; i < ahead->count; i++)
            release(&ahead->slot[i]);
        got = fill(ahead, most, row);
        if (got != 1) {
            ahead->given = ahead->passed;
            return got == 2 ? 1 : got;
        }
        if (ft_pool_run(ahead->count, load, ahead) < 0)
            return -1;
    }
    slot = &ahead->slot[ahead->next++];
    ahead->given = slot->passed;
    return give(ahead, slot, row);
}
