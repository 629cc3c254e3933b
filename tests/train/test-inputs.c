/* test-inputs.c - pixels and vectors as fields of a batch: written, read, refused; and batches decoded ahead of their turn. */
#include "../tap.h"

#include "base/error.h"
#include "train/inputs.h"
#include "train/lookahead.h"

#include <stdlib.h>

enum { ITEMS = 4, SIDE = 2, PIXELS = SIDE * SIDE * 3 };

static struct ft_arena arena;
static msgpack_zone zone;

/* What a test changes in a batch before it is read. */
struct wrong {
    const char *what, *why;
    enum ft_wire_type type;
    int rank;
    uint64_t shape[4];
};

/* A batch of ITEMS documents with a field of that shape, its elements zeros. */
static const struct ft_batch *batch_of(const char *field, enum ft_wire_type type, int rank, const uint64_t *shape, const void *data)
{
    struct ft_batch batch = {.number = 3, .epoch = 1, .kind = FT_BATCH_RANDOM, .rows = ITEMS, .items = ITEMS}, *read = ft_arena_take(&arena, sizeof *read);
    struct ft_record *record = ft_arena_take(&arena, sizeof *record);
    struct ft_string documents[ITEMS] = {FT_STRING("\x80"), FT_STRING("\x80"), FT_STRING("\x80"), FT_STRING("\x80")};
    static const double zeros[256];
    struct ft_buffer bytes = {0};
    msgpack_packer pk;
    char *copy;

    msgpack_packer_init(&pk, &bytes, ft_buffer_write);
    ft_batch_write(&pk, &batch, documents, 1);
    ft_pack_text(&pk, field);
    ft_wire_write(&pk, type, rank, shape, data ? data : zeros);
    copy = ft_arena_text(&arena, (struct ft_string){bytes.data, bytes.size});
    if (ft_record_decode(&zone, (struct ft_string){copy, bytes.size}, record) < 0 || ft_batch_read(&arena, record, read) < 0)
        abort();
    ft_buffer_free(&bytes);
    return read;
}

static void test_refused(const struct ft_model *model, const char *field, const struct wrong *wrong, size_t count)
{
    struct ft_packed packed;

    for (size_t i = 0; i < count; i++) {
        const struct ft_batch *batch = batch_of(field, wrong[i].type, wrong[i].rank, wrong[i].shape, NULL);

        ok(ft_inputs_read(&arena, batch, model, 9, &packed) < 0 && ft_error_status() == FT_BAD && strncmp(ft_error(), "batch 3: ", 9) == 0 &&
               strstr(ft_error(), wrong[i].why), "%s of %s: %s", field, wrong[i].what, ft_error());
    }
}

/* Write `packed` with the library, and read what was written. */
static int again(const struct ft_model *model, const struct ft_packed *packed, struct ft_packed *read)
{
    struct ft_buffer bytes = {0};
    struct ft_batch *batch = ft_arena_zero(&arena, 1, sizeof *batch);
    msgpack_object *object = ft_arena_take(&arena, sizeof *object);
    msgpack_packer pk;
    size_t used = 0;
    char *copy;

    msgpack_packer_init(&pk, &bytes, ft_buffer_write);
    msgpack_pack_map(&pk, ft_inputs_count(model));
    ft_inputs_write(&pk, model, packed);
    copy = ft_arena_text(&arena, (struct ft_string){bytes.data, bytes.size});
    if (msgpack_unpack(copy, bytes.size, &used, &zone, object) != MSGPACK_UNPACK_SUCCESS || used != bytes.size)
        abort();
    ft_buffer_free(&bytes);
    batch->items = packed->texts;
    batch->object = object;
    return ft_inputs_read(&arena, batch, model, 9, read);
}

static void test_inputs(void)
{
    const struct ft_model images = {.input = FT_INPUT_IMAGE, .height = SIDE, .across = SIDE, .rows_each = 5, .chunk_rows = 11};
    const struct ft_model vectors = {.input = FT_INPUT_VECTOR, .input_width = 3, .rows_each = 1}, texts = {.vocabulary = 10, .chunk_rows = 8};
    const struct wrong pixels[] = {{"floats", "8-bit [4, 2, 2, 3]", FT_WIRE_F4, 4, {ITEMS, SIDE, SIDE, 3}},
                                   {"three items", "8-bit", FT_WIRE_U1, 4, {3, SIDE, SIDE, 3}},
                                   {"another height", "8-bit", FT_WIRE_U1, 4, {ITEMS, 3, SIDE, 3}},
                                   {"grey images", "8-bit", FT_WIRE_U1, 4, {ITEMS, SIDE, SIDE, 1}},
                                   {"three dimensions", "8-bit", FT_WIRE_U1, 3, {ITEMS, SIDE, SIDE * 3}}};
    const struct wrong numbers[] = {{"another width", "vectors of 4 by 2, expected 4 by 3", FT_WIRE_F4, 2, {ITEMS, 2}},
                                    {"five items", "vectors of 5 by 3", FT_WIRE_F4, 2, {5, 3}},
                                    {"one dimension", "of 1 dimension", FT_WIRE_F4, 1, {ITEMS * 3}}};
    const float bad[ITEMS * 3] = {[7] = NAN};
    float vector[ITEMS * 3];
    uint8_t pixel[ITEMS * PIXELS];
    struct ft_packed packed, more, read;
    int32_t id[] = {1, 2, 3};
    uint32_t offset[] = {0, 2, 3};

    for (size_t i = 0; i < sizeof pixel; i++)
        pixel[i] = (uint8_t)(i * 37);
    for (size_t i = 0; i < ITEMS * 3; i++)
        vector[i] = (float)i / 7;
    ok(ft_items_pack(&arena, &images, ITEMS, pixel, NULL, &packed) == 0 && again(&images, &packed, &read) == 0 && read.texts == ITEMS && !read.id &&
           memcmp(read.pixel, pixel, sizeof pixel) == 0 && read.offset[ITEMS] == 5 * ITEMS && read.chunk_rows == 11, "pixels, and back");
    ok(ft_items_pack(&arena, &vectors, ITEMS, NULL, vector, &packed) == 0 && again(&vectors, &packed, &read) == 0 && !read.pixel &&
           memcmp(read.vector, vector, sizeof vector) == 0, "vectors, and back");
    packed = (struct ft_packed){.texts = 2, .id = id, .offset = offset};
    ok(again(&texts, &packed, &read) == 0 && read.id[2] == 3 && read.offset[1] == 2 && read.chunk_rows == 8, "tokens, and back");
    test_refused(&images, "pixels", pixels, sizeof pixels / sizeof *pixels);
    test_refused(&vectors, "vectors", numbers, sizeof numbers / sizeof *numbers);
    test_refused(&images, "vectors", &(struct wrong){"images", "add ft-embed -m RUN before: no pixels", FT_WIRE_F4, 2, {ITEMS, 3}}, 1);
    test_refused(&vectors, "pixels", &(struct wrong){"vectors", "add ft-embed -m RUN before: no vectors", FT_WIRE_U1, 1, {4}}, 1);
    ok(ft_inputs_read(&arena, batch_of("vectors", FT_WIRE_F4, 2, (const uint64_t[]){ITEMS, 3}, bad), &vectors, 9, &read) < 0, "%s", ft_error());
    packed = (struct ft_packed){.texts = FT_LIMIT_BLOB / PIXELS};
    more = (struct ft_packed){.texts = FT_LIMIT_BLOB / PIXELS + 1};
    ok(ft_inputs_check(&images, &packed) == 0 && ft_inputs_check(&images, &more) < 0 && ft_error_status() == FT_USAGE, "%s", ft_error());
}

/* ---- ahead ---- */

static const struct ft_settings plain = {.seed = 5};

/* Batches 1 to `last`, of two images each; those of `broken` have no such file. */
struct source {
    uint64_t number, last, broken, stall;     /* stall: not there yet when nobody waits */
    int asked, fails;                         /* times; after the last it fails instead of ending */
    struct ft_buffer bytes;
};

static uint8_t shade(uint64_t number, int item)
{
    return (uint8_t)(number * 16 + (uint64_t)item);
}

/* A BMP of 2 x 2 pixels all alike, its rows of 6 bytes padded to 8. */
static void pack_image(msgpack_packer *pk, uint8_t value)
{
    uint8_t bytes[54 + 16] = {'B', 'M', [10] = 54, [14] = 40, [18] = SIDE, [22] = SIDE, [26] = 1, [28] = 24};

    memset(bytes + 54, value, 16);
    msgpack_pack_map(pk, 1);
    ft_pack_text(pk, "blob");
    msgpack_pack_bin(pk, sizeof bytes), msgpack_pack_bin_body(pk, bytes, sizeof bytes);
}

static int next_record(void *argument, bool wait, struct ft_string *bytes)
{
    struct source *s = argument;
    struct ft_batch batch = {.epoch = 1, .kind = FT_BATCH_RANDOM, .rows = 2, .items = 2};
    struct ft_buffer rows[2] = {{0}};
    struct ft_string documents[2];
    msgpack_packer pk;

    s->asked++;
    if (!wait && s->stall == s->number + 1)
        return 2;
    if (s->number == s->last)
        return s->fails ? ft_fail(FT_BAD, "the stream was cut") : 0;
    batch.number = ++s->number;
    for (int i = 0; i < 2; i++) {
        msgpack_packer_init(&pk, &rows[i], ft_buffer_write);
        if (batch.number == s->broken && i == 1)
            msgpack_pack_map(&pk, 1), ft_pack_text(&pk, "uri"), ft_pack_text(&pk, "/none.bmp");
        else
            pack_image(&pk, shade(batch.number, i));
        documents[i] = (struct ft_string){rows[i].data, rows[i].size};
    }
    if (s->bytes.size)      /* what was given before is not to be looked at any more */
        memset(s->bytes.data, 0xc1, s->bytes.size);
    s->bytes.size = 0;
    msgpack_packer_init(&pk, &s->bytes, ft_buffer_write);
    ft_batch_write(&pk, &batch, documents, 0);
    ft_buffer_free(&rows[0]), ft_buffer_free(&rows[1]);
    *bytes = (struct ft_string){s->bytes.data, s->bytes.size};
    return 1;
}

/* Batches one after another, those before `skip` without their images: how many were right, or -1. */
static int go(const struct ft_model *model, struct source *s, uint64_t skip)
{
    struct ft_lookahead *ahead = ft_lookahead_open(model, &plain, SIZE_MAX, next_record, s);
    const struct ft_record *record;
    struct ft_packed packed;
    struct ft_batch batch;
    int right = 0, more;

    while ((more = ft_lookahead_next(ahead, &batch, &record)) > 0) {
        bool good = batch.number == (uint64_t)right + 1 && batch.object == &record->object && ft_map_get(&record->object, "documents");

        if (batch.number >= skip) {
            if (ft_lookahead_encode(ahead, true, &packed) < 0) {
                more = -1;
                break;
            }
            for (int i = 0; i < 2; i++)
                for (int k = 0; k < PIXELS; k++)
                    good &= packed.pixel[i * PIXELS + k] == shade(batch.number, i);
            good &= packed.texts == 2 && batch.content[0].blob.size == 70;
        }
        right += good;
    }
    ft_lookahead_close(ahead);
    ft_buffer_free(&s->bytes);
    return more < 0 ? -1 : right;
}

/* Of a lookahead that may have nothing decoded, then written and read again: are they the batch's pixels, when they are shown? */
static bool is_paged(const struct ft_model *model, const struct ft_settings *s, const struct ft_batch *batch, const uint8_t *pixels)
{
    struct source source = {.number = batch->number - 1, .last = batch->number};
    struct ft_lookahead *ahead = ft_lookahead_open(model, s, 1, next_record, &source);
    const struct ft_record *record;
    struct ft_pager *pager = NULL;
    struct ft_packed packed, left;
    struct ft_batch own;
    bool good = ft_lookahead_next(ahead, &own, &record) > 0 && ft_lookahead_encode(ahead, true, &packed) == 0 && packed.pager && packed.pixel &&
                ft_pager_show(packed.pager, 0, 2) == 0 && memcmp(packed.pixel, pixels, 2 * PIXELS) == 0 && ft_inputs_check(model, &packed) == 0;

    good = good && again(model, &packed, &left) == 0 && !left.pixel && !left.pager && ft_inputs_show(&arena, model, s, batch, &left, &pager) == 0 &&
           left.pager == pager && ft_pager_show(pager, 1, 1) == 0 && memcmp(left.pixel + PIXELS, pixels + PIXELS, PIXELS) == 0 &&
           ft_pager_show(pager, 0, 2) == 0 && memcmp(left.pixel, pixels, 2 * PIXELS) == 0;
    ft_pager_close(pager);
    ft_lookahead_close(ahead);
    ft_buffer_free(&source.bytes);
    return good;
}

/* What ft-train decodes ahead and what ft-embed encodes are the same pixels, varied by seed, batch and place. */
static void test_varied(const struct ft_model *model)
{
    const struct ft_settings s = {.seed = 5, .augment = "flip:p=0.5 jitter:p=1,brightness=0.5,contrast=0.5,saturation=0.5,hue=0.1"};
    const struct ft_settings other = {.seed = 6, .augment = s.augment};
    struct source source = {.last = 3};
    struct ft_lookahead *ahead = ft_lookahead_open(model, &s, SIZE_MAX, next_record, &source);
    int same = 0, plainly = 0, others = 0, paged = 0;
    struct ft_packed packed, now, unvaried, elsewise;
    const struct ft_record *record;
    struct ft_batch batch;

    while (ahead && ft_lookahead_next(ahead, &batch, &record) > 0) {
        if (ft_lookahead_encode(ahead, true, &packed) < 0 || ft_inputs_encode(&arena, model, &s, &batch, &now) < 0 ||
            ft_inputs_encode(&arena, model, &plain, &batch, &unvaried) < 0 || ft_inputs_encode(&arena, model, &other, &batch, &elsewise) < 0)
            break;
        paged += is_paged(model, &s, &batch, now.pixel);
        same += memcmp(packed.pixel, now.pixel, 2 * PIXELS) == 0;
        plainly += memcmp(packed.pixel, unvaried.pixel, 2 * PIXELS) == 0;
        others += memcmp(packed.pixel, elsewise.pixel, 2 * PIXELS) == 0;
    }
    ok(paged == 3, "and alike a window at a time, ahead and from a stream that left them out (%d of 3): %s", paged, ft_error());
    ok(same == 3 && plainly == 0 && others == 0, "varied alike ahead and at once (%d of 3), otherwise than plain and than by another seed", same);
    ft_lookahead_close(ahead);
    ft_buffer_free(&source.bytes);
}

static void test_ahead(const struct ft_model *model)
{
    struct source s = {.last = 9};
    struct ft_lookahead *ahead;
    const struct ft_record *record;
    struct ft_packed packed;
    struct ft_batch batch;

    ok(go(model, &s, 0) == 9, "nine batches, each its own pixels");
    s = (struct source){.last = 9};
    ok(go(model, &s, 5) == 9, "those that are passed over are not decoded");
    s = (struct source){.last = 9, .broken = 2};
    ok(go(model, &s, 3) == 9, "nor missed");
    s = (struct source){.last = 9, .stall = 4};
    ok(go(model, &s, 0) == 9, "one that is late is waited for in its turn");
    s = (struct source){.last = 9, .broken = 4};
    ok(go(model, &s, 0) < 0 && s.number == 4, "a broken image is said when it is its turn: %s", ft_error());
    ok(strstr(ft_error(), "batch 4: /none.bmp: No such file"), "with batch and name");
    s = (struct source){.last = 3, .fails = 1};
    ok(go(model, &s, 0) < 0 && strcmp(ft_error(), "the stream was cut") == 0, "so is a stream that was cut");
    s = (struct source){.last = 9};
    ahead = ft_lookahead_open(model, &plain, SIZE_MAX, next_record, &s);
    ok(ft_lookahead_next(ahead, &batch, &record) == 1 && ft_lookahead_encode(ahead, false, &packed) == 0 && s.asked == 1,
       "without more the next batch is left where it is");
    ok(ft_lookahead_next(ahead, &batch, &record) == 1 && ft_lookahead_encode(ahead, true, &packed) == 0 && s.asked == 3 && batch.number == 2,
       "with more it is read, and can be left alone");
    ft_lookahead_close(ahead);
    ft_buffer_free(&s.bytes);
}

/* The pictures are as large as the model wants them. */
int main(void)
{
    const struct ft_preprocess same = {.rule = FT_RESIZE_NONE, .height = SIDE, .width = SIDE};
    const struct ft_model model = {.input = FT_INPUT_IMAGE, .height = SIDE, .across = SIDE, .rows_each = 1, .preprocess = &same};

    msgpack_zone_init(&zone, 4096);
    test_inputs();
    test_ahead(&model);
    test_varied(&model);
    msgpack_zone_destroy(&zone);
    ft_arena_free(&arena);
    return done();
}
