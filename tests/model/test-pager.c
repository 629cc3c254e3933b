/* test-pager.c - images by a pager: the pixels that all of them at once have, in any order of showing; what is behind is let go. */
#include "base/error.h"
#include "base/memory.h"
#include "model/encode.h"
#include "model/run/pager.h"
#include "../tap.h"

#include <string.h>

enum { SIDE = 32, COUNT = 700, PIXELS = SIDE * SIDE * 3, ROW = SIDE * 3, HEAD = 54, BMP = HEAD + ROW * SIDE };

static struct ft_arena arena;
static const struct ft_preprocess same = {.rule = FT_RESIZE_NONE, .height = SIDE, .width = SIDE};
static const struct ft_model model = {.input = FT_INPUT_IMAGE, .height = SIDE, .across = SIDE, .rows_each = 1, .preprocess = &same};

/* A BMP whose pixels tell its number. */
static struct ft_content picture(size_t number)
{
    static const uint8_t head[HEAD] = {'B', 'M', [10] = HEAD, [14] = 40, [18] = SIDE, [22] = SIDE, [26] = 1, [28] = 24};
    uint8_t *bytes = ft_arena_take(&arena, BMP);

    memcpy(bytes, head, HEAD);
    for (size_t i = 0; i < ROW * SIDE; i++)
        bytes[HEAD + i] = (uint8_t)(number * 7 + number / 256 + i / 5);
    return (struct ft_content){.blob = {(char *)bytes, BMP}};
}

static bool shown(struct ft_pager *pager, const uint8_t *all, size_t first, size_t count)
{
    return ft_pager_show(pager, first, count) == 0 && memcmp(ft_pager_pixel(pager) + first * PIXELS, all + first * PIXELS, count * PIXELS) == 0;
}

static bool is_gone(const struct ft_pager *pager, size_t item)
{
    const uint8_t *pixel = ft_pager_pixel(pager) + item * PIXELS;

    for (size_t i = 0; i < PIXELS; i++)
        if (pixel[i])
            return false;
    return true;
}

/* Several at a time to the end. */
static bool through(struct ft_pager *pager, const uint8_t *all, size_t each)
{
    bool good = true;

    for (size_t first = 0; first < COUNT; first += each)
        good &= shown(pager, all, first, COUNT - first < each ? COUNT - first : each);
    return good;
}

static void test_pixels(struct ft_content *content, const struct ft_variation *varied, const char *what)
{
    struct ft_pager *pager = ft_pager_open(&model, content, COUNT, varied);
    struct ft_packed packed;

    if (!ok(pager && ft_encode_images(&arena, &model, content, COUNT, varied, &packed) == 0, "%s: %s", what, ft_error()))
        return;
    ok(through(pager, packed.pixel, 20) && is_gone(pager, 0) && is_gone(pager, 600), "%s, twenty at a time; those behind are gone", what);
    ok(through(pager, packed.pixel, 1), "again from the first, one by one");
    ok(shown(pager, packed.pixel, 0, COUNT) && shown(pager, packed.pixel, 300, 290) && is_gone(pager, 290), "all at once, and less of them");
    ok(shown(pager, packed.pixel, 650, 50) && shown(pager, packed.pixel, 100, 3) && shown(pager, packed.pixel, 101, 400) && shown(pager, packed.pixel, 501, 99),
       "forwards and back");
    ft_pager_hide(pager);
    ok(is_gone(pager, 501) && shown(pager, packed.pixel, 501, 99) && shown(pager, packed.pixel, 0, 1), "hidden, and shown again");
    ft_pager_close(pager);
}

static void test_broken(struct ft_content *content)
{
    struct ft_pager *pager;

    content[400].blob.size = 60;
    pager = ft_pager_open(&model, content, COUNT, NULL);
    ok(ft_pager_show(pager, 0, 200) == 0 && ft_pager_show(pager, 200, 201) < 0 && ft_error_status() == FT_BAD &&
           strncmp(ft_error(), "item 401: ", 10) == 0, "a broken one: %s", ft_error());
    ft_pager_close(pager);
    content[400] = (struct ft_content){.uri = FT_STRING("/none.bmp")};
    pager = ft_pager_open(&model, content, COUNT, NULL);
    ok(ft_pager_show(pager, 390, 20) < 0 && strncmp(ft_error(), "/none.bmp: ", 11) == 0, "one that is not there: %s", ft_error());
    ft_pager_close(pager);
}

int main(void)
{
    struct ft_content *content = ft_arena_take(&arena, COUNT * sizeof *content);
    struct ft_augment augment;

    for (size_t i = 0; i < COUNT; i++)
        content[i] = picture(i);
    test_pixels(content, NULL, "plain");
    if (ok(ft_augment_parse(&augment, "flip:p=0.5 jitter:p=1,brightness=0.5") == 0, "%s", ft_error()))
        test_pixels(content, &(struct ft_variation){&augment, 5, 3, 0}, "varied");
    test_broken(content);
    ft_arena_free(&arena);
    return done();
}
