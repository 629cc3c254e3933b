/* test-items.c - items that are no texts: what fits a model, vectors, and images decoded beside the model. */
#include "../tap.h"

#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "model/images.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-items-XXXXXX";

static void test_fits(void)
{
    const msgpack_object any = {.type = MSGPACK_OBJECT_MAP};
    const struct ft_content text = {.text = FT_STRING("a")}, empty = {.text = FT_STRING("")}, uri = {.uri = FT_STRING("a.png")};
    const struct ft_content blob = {.blob = FT_STRING("x")}, vector = {.tensor = &any}, none = {.tensor = NULL};
    const struct ft_model texts = {.input = FT_INPUT_TEXT}, images = {.input = FT_INPUT_IMAGE}, vectors = {.input = FT_INPUT_VECTOR};
    const struct {
        const struct ft_model *model;
        const struct ft_content *content;
        const char *why;      /* NULL: it fits */
    } cases[] = {
        {&texts, &text, NULL}, {&texts, &empty, NULL}, {&images, &uri, NULL}, {&images, &blob, NULL},
        {&texts, &uri, "an image, and the model reads text"},       {&texts, &vector, "a vector, and the model reads text"},
        {&texts, &none, "no text, and the model reads text"},       {&images, &text, "a text, and the model reads images"},
        {&images, &vector, "a vector, and the model reads images"}, {&images, &empty, "no image, and the model reads images"},
        {&vectors, &text, "a text, and the model reads vectors"},   {&vectors, &blob, "an image, and the model reads vectors"},
        {&vectors, &none, "no vector, and the model reads vectors"}, {&vectors, &vector, "no tensor: expected a map with nd, type, kind, shape and data"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool fits = ft_item_fits(cases[i].model, cases[i].content), good = ft_item_check(cases[i].model, cases[i].content) == 0;

        ok(fits == good && good == !cases[i].why && (good || (strcmp(ft_error(), cases[i].why) == 0 && ft_error_status() == FT_BAD)), "%s",
           cases[i].why ? cases[i].why : "fits");
    }
}

/* ---- vectors ---- */

static struct ft_content tensor(msgpack_zone *zone, enum ft_wire_type type, int rank, const uint64_t *shape, const void *data)
{
    struct ft_content content = {.tensor = NULL}, copy;
    msgpack_object object;
    msgpack_sbuffer bytes;
    msgpack_packer pk;
    size_t used = 0;

    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&pk, &bytes, msgpack_sbuffer_write);
    ft_wire_write(&pk, type, rank, shape, data);
    if (msgpack_unpack(bytes.data, bytes.size, &used, zone, &object) != MSGPACK_UNPACK_SUCCESS)
        abort();
    content.tensor = &object;
    if (ft_content_copy(&arena, &content, &copy) < 0)
        abort();
    msgpack_sbuffer_destroy(&bytes);
    return copy;
}

static bool is_refused(const struct ft_model *model, const struct ft_content *content, const char *why)
{
    float out[3];

    return ok(ft_items_vectors(model, content, 1, out) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), why), "%s", ft_error());
}

static void test_vectors(void)
{
    const struct ft_model model = {.input = FT_INPUT_VECTOR, .input_width = 3, .rows_each = 1, .chunk_rows = 7, .shard_rows = 5};
    const float f4[] = {1, -.5f, 3e-7f}, bad[] = {1, INFINITY, 0};
    const double f8[] = {.1, 1e-300, -2}, huge[] = {1, 2, 1e39};
    const int32_t i4[] = {1, -2, 3};
    const int64_t i8[] = {1LL << 60, -1, 0};
    const uint8_t u1[] = {0, 128, 255};
    const uint64_t three[] = {3}, two[] = {2}, flat[] = {1, 3};
    struct ft_packed packed;
    struct ft_content c[5];
    msgpack_zone zone;
    float out[15];

    msgpack_zone_init(&zone, 4096);
    c[0] = tensor(&zone, FT_WIRE_F4, 1, three, f4), c[1] = tensor(&zone, FT_WIRE_F8, 1, three, f8), c[2] = tensor(&zone, FT_WIRE_I4, 1, three, i4);
    c[3] = tensor(&zone, FT_WIRE_I8, 1, three, i8), c[4] = tensor(&zone, FT_WIRE_U1, 1, three, u1);
    ok(ft_items_vectors(&model, c, 5, out) == 0 && memcmp(out, f4, sizeof f4) == 0 && out[3] == .1f && out[4] == 0 && out[5] == -2 && out[7] == -2 &&
           out[9] == 0x1p60f && out[14] == 255, "floats, doubles and integers are vectors");
    ok(ft_item_fits(&model, &c[4]) && ft_item_check(&model, &c[4]) == 0, "and fit");
    ok(ft_items_pack(&arena, &model, 5, NULL, out, &packed) == 0 && packed.texts == 5 && packed.offset[0] == 0 && packed.offset[5] == 5 && !packed.id &&
           packed.vector == out && packed.chunk_rows == 7 && packed.shard_rows == 5, "five rows");
    c[0] = tensor(&zone, FT_WIRE_F4, 1, two, f4);
    ok(!ft_item_fits(&model, c), "one of another size does not");
    is_refused(&model, c, "item 1: a tensor of 1 dimension and 2 numbers, expected one dimension and 3");
    c[0] = tensor(&zone, FT_WIRE_F4, 2, flat, f4);
    is_refused(&model, c, "item 1: a tensor of 2 dimensions and 3 numbers, expected one dimension and 3");
    c[0] = tensor(&zone, FT_WIRE_F4, 1, three, bad);
    is_refused(&model, c, "item 1: number 2 of its vector is not finite");
    c[0] = tensor(&zone, FT_WIRE_F8, 1, three, huge);
    is_refused(&model, c, "item 1: number 3 of its vector is not finite, or too large for a float");
    is_refused(&model, &(struct ft_content){.text = FT_STRING("a")}, "item 1: a text, and the model reads vectors");
    is_refused(&model, &(struct ft_content){.tensor = &(msgpack_object){.type = MSGPACK_OBJECT_MAP}}, "item 1: no tensor");
    msgpack_zone_destroy(&zone);
}

/* ---- images ---- */

enum { SIDE = 12, IMAGES = 60 };

/* Item i's picture, [SIDE, SIDE, 3], and the same as a BMP file of 24 bits: rows from below, blue first; 12 x 3 bytes need no padding. */
static void picture(size_t item, uint8_t *pixel)
{
    for (size_t k = 0; k < SIDE * SIDE * 3; k++)
        pixel[k] = (uint8_t)(k * (item + 1) * 7 + item * 31 + k / 36);
}

static struct ft_string bmp(size_t item)
{
    static const uint8_t head[54] = {'B', 'M', [10] = 54, [14] = 40, [18] = SIDE, [22] = SIDE, [26] = 1, [28] = 24};
    uint8_t pixel[SIDE * SIDE * 3], *bytes = ft_arena_take(&arena, sizeof head + sizeof pixel);

    picture(item, pixel);
    memcpy(bytes, head, sizeof head);
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++)
            for (size_t c = 0; c < 3; c++)
                bytes[sizeof head + ((SIDE - 1 - y) * SIDE + x) * 3 + c] = pixel[(y * SIDE + x) * 3 + 2 - c];
    return (struct ft_string){(char *)bytes, sizeof head + sizeof pixel};
}

static const char *path_of(const char *name)
{
    return ft_arena_print(&arena, "%s/%s", place, name);
}

static struct ft_content at(const char *uri)
{
    return (struct ft_content){.uri = ft_string_of(uri)};
}

/* Every third by path, by file: URI, by bytes. */
static void make_images(struct ft_content *content)
{
    for (size_t i = 0; i < IMAGES; i++) {
        const char *path = path_of(ft_arena_print(&arena, "a b%zu.bmp", i));
        struct ft_string bytes = bmp(i);

        if (i % 3 < 2 && ft_file_write(path, bytes.data, bytes.size) < 0)
            abort();
        content[i] = i % 3 == 0   ? at(path)
                     : i % 3 == 1 ? at(ft_arena_print(&arena, "file://%s/a%%20b%zu.bmp", place, i))
                                  : (struct ft_content){.blob = bytes};
    }
}

static bool is_error(const struct ft_model *model, struct ft_content content, const char *why)
{
    static uint8_t pixel[SIDE * SIDE * 3];
    struct ft_images *images = ft_images_begin(model, &content, 1, NULL, pixel);

    return ok(ft_images_end(images, NULL, NULL) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), why), "%s", ft_error());
}

static void test_refused(const struct ft_model *model)
{
    const char *cut = path_of("cut.bmp"), *none = path_of("none.bmp"), *fifo = path_of("fifo.bmp");

    if (ft_file_write(cut, bmp(0).data, 300) < 0 || mkfifo(fifo, 0600) < 0)
        abort();
    is_error(model, at(cut), ft_arena_print(&arena, "%s: ", cut));
    is_error(model, at(none), ft_arena_print(&arena, "%s: No such file or directory", none));
    is_error(model, at(fifo), ft_arena_print(&arena, "%s: no regular file", fifo));
    is_error(model, at(place), ft_arena_print(&arena, "%s: no regular file", place));
    is_error(model, at("https://example.org/a.png"), "https://example.org/a.png: nothing is fetched from the web here: ft-ingest --fetch --blob");
    is_error(model, at("file:///a%2"), "file:///a%2: ");
    is_error(model, at("data:image/png;base64,AAAA"), "data:image/png;base64,AAAA: ");
    is_error(model, (struct ft_content){.uri = {"a\0b", 3}}, "a path with a null byte in it");
    is_error(model, (struct ft_content){.blob = FT_STRING("no picture")}, "item 1: ");
    is_error(model, (struct ft_content){.blob = FT_STRING("")}, "item 1: ");
    is_error(model, (struct ft_content){.text = FT_STRING("a")}, "item 1: a text, and the model reads images");
}

struct told {
    size_t item[IMAGES], count, most;
};

static int tell(void *argument, size_t item)
{
    struct told *told = argument;

    if (told->count == told->most)
        return -1;
    told->item[told->count++] = item;
    return 0;
}

static void test_tolerated(const struct ft_model *model, struct ft_content *content)
{
    static uint8_t pixel[IMAGES][SIDE * SIDE * 3], zero[SIDE * SIDE * 3];
    struct told told = {.most = IMAGES};
    bool good;

    content[7] = at("/none.bmp"), content[50] = (struct ft_content){.blob = FT_STRING("x")}, content[20] = at("http://x/y");
    memset(pixel, 1, sizeof pixel);
    good = ft_images_end(ft_images_begin(model, content, IMAGES, NULL, *pixel), tell, &told) == 0;
    ok(good && told.count == 3 && told.item[0] == 7 && told.item[1] == 20 && told.item[2] == 50, "bad images are told in order");
    ok(memcmp(pixel[7], zero, sizeof zero) == 0 && memcmp(pixel[50], zero, sizeof zero) == 0 && memcmp(pixel[8], zero, sizeof zero) != 0,
       "and their pixels are zeros");
    ok(ft_images_end(ft_images_begin(model, content, IMAGES, NULL, *pixel), NULL, NULL) < 0 && strstr(ft_error(), "/none.bmp: No such"),
       "the first of them is the error: %s", ft_error());
    told = (struct told){.most = 1};
    ok(ft_images_end(ft_images_begin(model, content, IMAGES, NULL, *pixel), tell, &told) < 0 && told.count == 1 && strstr(ft_error(), "http://x/y"),
       "or the one that is one too many: %s", ft_error());
}

static void test_images(const struct ft_model *model)
{
    static uint8_t pixel[IMAGES][SIDE * SIDE * 3], want[SIDE * SIDE * 3];
    struct ft_content content[IMAGES];
    size_t wrong = 0;

    make_images(content);
    for (int round = 0; round < 3; round++) {
        memset(pixel, 0, sizeof pixel);
        wrong += ft_images_end(ft_images_begin(model, content, IMAGES, NULL, *pixel), NULL, NULL) < 0;
        for (size_t i = 0; i < IMAGES; i++) {
            picture(i, want);
            wrong += memcmp(pixel[i], want, sizeof want) != 0;
        }
    }
    ok(wrong == 0, "paths, file: addresses and bytes are decoded, each in its place");
    for (int round = 0; round < 50; round++)
        ft_images_drop(ft_images_begin(model, content, IMAGES, NULL, *pixel));
    ok(true, "dropped at once");
    ok(ft_images_end(ft_images_begin(model, content, 0, NULL, *pixel), NULL, NULL) == 0, "none is fine");
    test_tolerated(model, content);
}

/* The pictures are as large as the model wants them, so that nothing but decoding happens to them. */
int main(void)
{
    const struct ft_preprocess same = {.rule = FT_RESIZE_NONE, .height = SIDE, .width = SIDE};
    const struct ft_model model = {.input = FT_INPUT_IMAGE, .height = SIDE, .across = SIDE, .rows_each = 1, .preprocess = &same};

    ft_pool_set_threads(3);
    if (!mkdtemp(place))
        return 1;
    test_fits();
    test_vectors();
    test_images(&model);
    test_refused(&model);
    ft_directory_remove(place);
    ft_arena_free(&arena);
    return done();
}
