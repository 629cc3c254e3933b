/* lookahead.c - two batches: at hand, and ahead. */
#include "train/lookahead.h"
#include "base/error.h"
#include "model/run/pager.h"
#include "model/towers.h"
#include "train/inputs.h"

#include <stdlib.h>

/* Pixels of a batch beyond which the next one's have to wait: 4,096 pictures of 224 x 224 are 588 MiB. */
enum { MOST_AHEAD = 256 << 20 };

struct slot {
    struct ft_arena arena;
    msgpack_zone zone;
    struct ft_record record;
    struct ft_batch batch;
    uint8_t *pixel;              /* its own, [size] */
    size_t size;
    struct ft_images *images;    /* being read, or NULL */
    struct ft_pager *pager;  /* in their stead, of too many; or NULL */
};

struct ft_lookahead {
    const struct ft_model *model, *images;   /* images: the model, or its tower, that reads them */
    const struct ft_settings *settings;
    struct ft_augment augment;
    bool varies;
    uint64_t seed;
    size_t most;                 /* bytes of pixels of a batch that lie there at once */
    ft_lookahead_next_record *next;
    void *argument;
    struct slot slot[2];
    int hand;                    /* the slot of the batch at hand */
    int status;                  /* of the other: 1 filled, 2 not yet, 0 there are no more, -1 */
    struct ft_error_copy error;
};

bool ft_lookahead_wanted(const struct ft_model *model)
{
    return model->input == FT_INPUT_IMAGE || model->input == FT_INPUT_BOTH;
}

size_t ft_lookahead_most(size_t memory)
{
    size_t available = memory ? 0 : ft_memory_available();

    return memory ? memory / 32 : available ? available / 4 : SIZE_MAX;
}

struct ft_lookahead *ft_lookahead_open(const struct ft_model *model, const struct ft_settings *settings, size_t most, ft_lookahead_next_record *next,
                                       void *argument)
{
    struct ft_lookahead *a = calloc(1, sizeof *a);

    if (!a || !msgpack_zone_init(&a->slot[0].zone, 1 << 14) || !msgpack_zone_init(&a->slot[1].zone, 1 << 14)) {
        if (a)
            msgpack_zone_destroy(&a->slot[0].zone);
        free(a);
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    a->model = model;
    a->images = model->tower_count ? model->towers[FT_TOWER_IMAGE] : model;
    a->settings = settings;
    a->most = most;
    a->next = next;
    a->argument = argument;
    a->status = 2;
    a->seed = settings->seed;
    a->varies = settings->augment;
    if (!a->varies || ft_augment_parse(&a->augment, settings->augment) == 0)
        return a;
    ft_lookahead_close(a);
    return NULL;
}

void ft_lookahead_close(struct ft_lookahead *a)
{
    if (!a)
        return;
    for (int i = 0; i < 2; i++) {
        ft_images_drop(a->slot[i].images);
        ft_pager_close(a->slot[i].pager);
        free(a->slot[i].pixel);
        ft_arena_free(&a->slot[i].arena);
        msgpack_zone_destroy(&a->slot[i].zone);
    }
    free(a);
}

/* Read a batch into the slot; its images are another matter. */
static int fill(struct ft_lookahead *a, struct slot *s, bool wait)
{
    struct ft_string bytes;
    int more = a->next(a->argument, wait, &bytes);
    char *copy;

    if (more != 1)
        return more;
    ft_images_drop(s->images);       /* of a batch that nobody asked for */
    s->images = NULL;
    ft_pager_close(s->pager);
    s->pager = NULL;
    ft_arena_reset(&s->arena);
    msgpack_zone_clear(&s->zone);
    if (!(copy = ft_arena_take(&s->arena, bytes.size)))
        return -1;
    memcpy(copy, bytes.data, bytes.size);
    if (ft_record_decode(&s->zone, (struct ft_string){copy, bytes.size}, &s->record) < 0)
        return -1;
    return ft_batch_read(&s->arena, &s->record, &s->batch) < 0 ? -1 : 1;
}

/* What is there is not needed any more. */
static int reserve(struct slot *s, size_t size)
{
    if (s->size >= size)
        return 0;
    free(s->pixel);
    s->size = 0;
    if (!(s->pixel = ft_resize(NULL, size, 1)))
        return -1;
    s->size = size;
    return 0;
}

static size_t pixel_bytes(const struct ft_lookahead *a, const struct slot *s)
{
    size_t count = s->batch.items;

    for (size_t i = 0; a->model->tower_count && i < s->batch.items; i++)
        count -= ft_tower_of(&s->batch.content[i]) != FT_TOWER_IMAGE;
    return count * ft_item_bytes(a->images);
}

/* Two large ones at once would be too much: the last batch's go, and the next one's are not begun. */
static void make_room(struct ft_lookahead *a)
{
    struct slot *other = &a->slot[!a->hand];

    if (pixel_bytes(a, &a->slot[a->hand]) <= MOST_AHEAD || other->images)
        return;
    free(other->pixel);
    other->pixel = NULL;
    other->size = 0;
}

static int begin(const struct ft_lookahead *a, struct slot *s)
{
    const struct ft_variation varied = {&a->augment, a->seed, s->batch.number, 0};
    struct ft_share share = {.content = s->batch.content, .count = s->batch.items};

    if (a->model->tower_count && ft_share_make(&s->arena, a->model, FT_TOWER_IMAGE, s->batch.content, NULL, s->batch.items, &share) < 0)
        return ft_error_prefix("batch %lu: ", (unsigned long)s->batch.number);
    if (share.count * ft_item_bytes(a->images) > a->most)
        return (s->pager = ft_pager_open(a->images, share.content, share.count, a->varies ? &varied : NULL)) ? 0 : -1;
    if (reserve(s, share.count * ft_item_bytes(a->images) + 1) < 0)
        return -1;
    s->images = ft_images_begin(a->images, share.content, share.count, a->varies ? &varied : NULL, s->pixel);
    return s->images ? 0 : -1;
}

int ft_lookahead_next(struct ft_lookahead *a, struct ft_batch *batch, const struct ft_record **record)
{
    if (a->status == 2)
        a->status = fill(a, &a->slot[!a->hand], true);
    else if (a->status < 0)
        ft_error_restore(&a->error);
    if (a->status != 1)
        return a->status;
    a->hand = !a->hand;
    a->status = 2;
    *batch = a->slot[a->hand].batch;
    *record = &a->slot[a->hand].record;
    return 1;
}

/* What goes wrong with the next batch is for when it is its turn. */
static void look_ahead(struct ft_lookahead *a)
{
    struct slot *s = &a->slot[!a->hand];

    size_t most = a->most < MOST_AHEAD ? a->most : MOST_AHEAD;

    if ((a->status = fill(a, s, false)) == 1 && pixel_bytes(a, s) <= most && begin(a, s) < 0)
        a->status = -1;
    if (a->status < 0)
        ft_error_save(&a->error);
}

int ft_lookahead_encode(struct ft_lookahead *a, bool more, struct ft_packed *packed)
{
    struct slot *s = &a->slot[a->hand];
    struct ft_images *images;
    const uint8_t *pixel;

    if (!s->images)
        make_room(a);
    if (!s->images && begin(a, s) < 0)
        return -1;
    images = s->images;
    s->images = NULL;
    if (images && ft_images_end(images, NULL, NULL) < 0)
        return ft_error_prefix("batch %lu: ", (unsigned long)s->batch.number);
    if (more && a->status == 2)
        look_ahead(a);
    pixel = s->pager ? ft_pager_pixel(s->pager) : s->pixel;
    if (a->model->tower_count)
        return ft_inputs_encode_towers(&s->arena, a->model, a->settings, &s->batch, pixel, s->pager, packed);
    if (ft_items_pack(&s->arena, a->model, s->batch.items, pixel, NULL, packed) < 0)
        return -1;
    packed->pager = s->pager;
    return 0;
}
