/* test-resize.c - resizing against Pillow's bytes (tests/golden/image/make.py), and parts of a picture against wholes. */
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "data/resize.h"
#include "hex.h"
#include "../tap.h"

static struct ft_arena arena;

/* As `generated` of make.py. */
static struct ft_image generated(size_t width, size_t height)
{
    struct ft_image image;
    uint32_t state = (uint32_t)(width * 1000 + height);

    if (ft_image_make(&image, width, height) < 0)
        return image;
    for (size_t i = 0; i < width * height * 3; i++) {
        state = state * 1664525u + 1013904223u;
        image.pixel[i] = (uint8_t)(height % 2 ? state >> 24 : state >> 31 ? 255 : 0);
    }
    return image;
}

static void test_golden(void)
{
    size_t size, count = 0;
    char *text = ft_file_read(&arena, "tests/golden/image/resize.txt", 1 << 24, &size);

    while (text && *text) {
        const char *name = word_next(&text);
        size_t width = number_next(&text), height = number_next(&text), w = number_next(&text), h = number_next(&text);
        struct ft_string want = hex_next(&text);
        struct ft_image image = generated(width, height);
        uint8_t *out = malloc(w * h * 3);
        int rc = ft_image_resize(&image, NULL, ft_filter_find(name), w, h, NULL, &arena, out), worst = 0;

        for (size_t i = 0; rc == 0 && i < w * h * 3; i++)
            worst = abs(out[i] - (uint8_t)want.data[i]) > worst ? abs(out[i] - (uint8_t)want.data[i]) : worst;
        ok(rc == 0 && want.size == w * h * 3 && worst == 0, "%s, %zu x %zu to %zu x %zu: at most %d off", name, width, height, w, h, worst);
        free(out);
        ft_image_free(&image);
        count++;
    }
    ok(count >= 80, "%zu cases", count);
}

/* A part is as if it had been cut out before, and what is wanted of the result as if it were cut out behind. */
static void test_parts(void)
{
    struct ft_random random = ft_random_start(3, 0);
    struct ft_image image = generated(61, 47);

    for (int round = 0; round < 60; round++) {
        struct ft_image_part part, want;
        size_t w = 1 + ft_random_below(&random, 70), h = 1 + ft_random_below(&random, 70);
        enum ft_filter filter = (enum ft_filter)ft_random_below(&random, FT_FILTERS);
        uint8_t whole[70 * 70 * 3], some[70 * 70 * 3];
        struct ft_image cut;
        bool equal = true;

        part.left = ft_random_below(&random, 61), part.top = ft_random_below(&random, 47);
        part.width = 1 + ft_random_below(&random, 61 - part.left), part.height = 1 + ft_random_below(&random, 47 - part.top);
        want.left = ft_random_below(&random, w), want.top = ft_random_below(&random, h);
        want.width = 1 + ft_random_below(&random, w - want.left), want.height = 1 + ft_random_below(&random, h - want.top);
        ft_image_make(&cut, part.width, part.height);
        for (size_t y = 0; y < part.height; y++)
            memcpy(cut.pixel + y * part.width * 3, image.pixel + ((part.top + y) * 61 + part.left) * 3, part.width * 3);
        equal = ft_image_resize(&cut, NULL, filter, w, h, NULL, &arena, whole) == 0 &&
                ft_image_resize(&image, &part, filter, w, h, &want, &arena, some) == 0;
        for (size_t y = 0; equal && y < want.height; y++)
            equal = memcmp(some + y * want.width * 3, whole + ((want.top + y) * w + want.left) * 3, want.width * 3) == 0;
        ok(equal, "%s: part and wanted part, %zu x %zu to %zu x %zu", ft_filter_name(filter), part.width, part.height, w, h);
        ft_image_free(&cut);
        ft_arena_reset(&arena);
    }
    ft_image_free(&image);
}

static void test_refused(void)
{
    struct ft_image image = generated(5, 4);
    uint8_t out[300];

    ok(ft_image_resize(&image, NULL, FT_FILTER_BOX, 0, 4, NULL, &arena, out) < 0 && ft_error_status() == FT_USAGE, "no width: %s", ft_error());
    ok(ft_image_resize(&image, NULL, FT_FILTER_BOX, 4, ((size_t)1 << 24) + 1, NULL, &arena, out) < 0, "too high");
    ok(ft_image_resize(&image, &(struct ft_image_part){1, 0, 5, 4}, FT_FILTER_BOX, 4, 4, NULL, &arena, out) < 0, "a part outside");
    ok(ft_image_resize(&image, NULL, FT_FILTER_BOX, 4, 4, &(struct ft_image_part){0, 3, 4, 2}, &arena, out) < 0, "a wanted part outside");
    ok(ft_image_resize(&image, NULL, FT_FILTERS, 4, 4, NULL, &arena, out) < 0, "no filter");
    ok(ft_filter_find("bilinear") == FT_FILTER_BILINEAR && ft_filter_find("cubic") == FT_FILTERS && ft_filter_name(FT_FILTERS) == NULL, "names");
    ft_image_free(&image);
}

int main(void)
{
    test_golden();
    test_parts();
    test_refused();
    ft_arena_free(&arena);
    return done();
}
