/* test-augment.c - the arithmetic against torchvision (tests/golden/image/make-preprocess.py), the draws by their means and by who gets which. */
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "data/augment.h"
#include "hex.h"
#include "../tap.h"

enum { SIZE = 32 };

static struct ft_arena arena;
static const struct ft_preprocess plain = {.rule = FT_RESIZE_EXACT, .filter = FT_FILTER_BILINEAR, .resize_height = SIZE, .resize_width = SIZE,
                                           .height = SIZE, .width = SIZE, .scale = 1, .std = {1, 1, 1}};

static struct ft_image generated(size_t width, size_t height)
{
    struct ft_image image;
    uint32_t state = (uint32_t)(width * 1000 + height);

    if (ft_image_make(&image, width, height) == 0)
        for (size_t i = 0; i < width * height * 3; i++)
            image.pixel[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
    return image;
}

/* Red is the column and green the row, so that a crop shows where it came from. */
static struct ft_image map(size_t width, size_t height)
{
    struct ft_image image;

    if (ft_image_make(&image, width, height) == 0)
        for (size_t i = 0; i < width * height; i++) {
            image.pixel[3 * i] = (uint8_t)(i % width);
            image.pixel[3 * i + 1] = (uint8_t)(i / width);
            image.pixel[3 * i + 2] = 128;
        }
    return image;
}

static int adjust(const char *name, struct ft_image *image, double value)
{
    size_t count = image->width * image->height;

    if (strcmp(name, "blur") == 0)
        return ft_gaussian_blur(image->pixel, image->width, image->height, value, &arena);
    (strcmp(name, "brightness") == 0 ? ft_adjust_brightness : strcmp(name, "contrast") == 0 ? ft_adjust_contrast :
     strcmp(name, "saturation") == 0 ? ft_adjust_saturation : ft_adjust_hue)(image->pixel, count, value);
    return 0;
}

static struct ft_augment parsed(const char *text)
{
    struct ft_augment augment;

    if (ft_augment_parse(&augment, text) < 0)
        ok(false, "%s: %s", text, ft_error());
    return augment;
}

/* Sums of a crop's width, height, left and top over many items; each to about half a pixel, since the middles of its outermost pixels are seen. */
static void crop_sums(const struct ft_image *image, int draws, double mean[4])
{
    struct ft_augment augment = parsed("crop");
    struct ft_preprocess nearest = plain;
    uint8_t out[SIZE * SIZE * 3];
    const uint8_t *last = out + sizeof out - 3;

    nearest.filter = FT_FILTER_NEAREST;
    memset(mean, 0, 4 * sizeof *mean);
    for (int i = 0; i < draws; i++) {
        double width, height;

        ft_augment_run(&augment, &nearest, 5, (uint64_t)i / 100, (uint64_t)i % 100, image, &arena, out);
        ft_arena_reset(&arena);
        width = (last[0] - out[0]) * (double)SIZE / (SIZE - 1), height = (last[1] - out[1]) * (double)SIZE / (SIZE - 1);
        mean[0] += width / draws;
        mean[1] += height / draws;
        mean[2] += (out[0] - width / SIZE / 2) / draws;
        mean[3] += (out[1] - height / SIZE / 2) / draws;
    }
}

/* The same means as 400,000 draws of torchvision, up to chance (some 70 pixels of deviation over 4,000 draws) and the half pixel. */
static void check_crop(char **text)
{
    static const char *const what[] = {"width", "height", "left", "top"};
    size_t width = number_next(text), height = number_next(text);
    struct ft_image image = map(width, height);
    double mean[4];

    crop_sums(&image, 4000, mean);
    for (int i = 0; i < 4; i++) {
        double want = strtod(word_next(text), NULL);

        ok(fabs(mean[i] - want) < 2.5, "crop of %zu x %zu: mean %s %.2f, torchvision's %.2f", width, height, what[i], mean[i], want);
    }
    ft_image_free(&image);
}

static void check_pixels(const char *name, char **text)
{
    size_t width = number_next(text), height = number_next(text), count = width * height * 3, other = 0;
    double value = strtod(word_next(text), NULL);
    struct ft_string want = hex_next(text);
    struct ft_image image = generated(width, height);
    int worst = 0, most = strcmp(name, "blur") == 0 || strcmp(name, "hue") == 0;    /* floats added in another order: now and then the next byte */

    for (size_t i = 0; width == 16 && i < count; i++)
        image.pixel[i] = (uint8_t)(image.pixel[i] / 64 * 64);
    adjust(name, &image, value);
    for (size_t i = 0; i < count && i < want.size; i++) {
        int off = abs(image.pixel[i] - (uint8_t)want.data[i]);

        worst = off > worst ? off : worst;
        other += off != 0;
    }
    ok(want.size == count && worst <= most && other <= count / 100 + 1, "%s %g of %zu x %zu: %zu of %zu bytes are %d off", name, value, width, height, other,
       count, worst);
    ft_image_free(&image);
}

static void test_golden(void)
{
    size_t size, count = 0;
    char *text = ft_file_read(&arena, "tests/golden/image/augment.txt", 1 << 24, &size), *copy = malloc(size + 1);

    memcpy(copy, text ? text : "", text ? size + 1 : 1);
    for (text = copy; *text; count++) {
        const char *name = word_next(&text);

        if (strcmp(name, "crop") == 0)
            check_crop(&text);
        else
            check_pixels(name, &text);
    }
    ok(count >= 28, "%zu cases", count);
    free(copy);
}

static void test_neutral(void)
{
    static const struct {
        const char *name;
        double value;
    } cases[] = {{"brightness", 1}, {"contrast", 1}, {"saturation", 1}, {"hue", 0}, {"blur", .01}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ft_image image = generated(21, 15), before = generated(21, 15);

        adjust(cases[i].name, &image, cases[i].value);
        ok(memcmp(image.pixel, before.pixel, 21 * 15 * 3) == 0, "%s %g changes nothing", cases[i].name, cases[i].value);
        ft_image_free(&image);
        ft_image_free(&before);
    }
}

static void run(const char *text, uint64_t seed, uint64_t batch, uint64_t item, const struct ft_image *image, uint8_t *out)
{
    struct ft_augment augment = parsed(text);

    if (ft_augment_run(&augment, &plain, seed, batch, item, image, &arena, out) < 0)
        ok(false, "%s: %s", text, ft_error());
}

/* Each kind changes something, draws for itself in each place, and with p=0 nothing. */
static void test_places(void)
{
    static const char *const kinds[] = {"crop", "jitter", "blur:p=1", "grid:p=1", "default"};
    struct ft_image image = generated(41, 37);
    uint8_t bare[SIZE * SIZE * 3], a[sizeof bare], b[sizeof bare];

    run("none", 1, 2, 3, &image, bare);
    ft_preprocess_run(&plain, &image, &arena, a);
    ok(memcmp(a, bare, sizeof bare) == 0, "none is the model's preprocessing");
    run("flip:p=0 jitter:p=0 blur:p=0 grid:p=0", 1, 2, 3, &image, a);
    ok(memcmp(a, bare, sizeof bare) == 0, "with p=0 too");
    run("flip:p=1 flip:p=1", 1, 2, 3, &image, a);
    ok(memcmp(a, bare, sizeof bare) == 0, "two flips are none");
    run("flip:p=1", 1, 2, 3, &image, a);
    ok(memcmp(a, bare + (SIZE - 1) * 3, 3) == 0 && memcmp(a, bare, sizeof bare) != 0, "one is one");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        run(kinds[i], 1, 2, 3, &image, a);
        run(kinds[i], 1, 2, 3, &image, b);
        ok(memcmp(a, b, sizeof a) == 0 && memcmp(a, bare, sizeof a) != 0, "%s: the same for the same place, and it changes something", kinds[i]);
        for (int other = 0; other < 3; other++) {
            run(kinds[i], 1 + (other == 0), 2 + (other == 1), 3 + (other == 2), &image, b);
            ok(memcmp(a, b, sizeof a) != 0, "%s: other for another %s", kinds[i], other == 0 ? "seed" : other == 1 ? "batch" : "item");
        }
    }
    ft_image_free(&image);
}

static void test_shares(void)
{
    struct ft_image white;
    uint8_t out[SIZE * SIZE * 3];
    int flipped = 0, gridded = 0;
    size_t black = 0;

    ft_image_make(&white, SIZE, SIZE);
    memset(white.pixel, 255, sizeof out);
    white.pixel[0] = 254;
    for (uint64_t i = 0; i < 2000; i++) {
        run("flip:p=.3", 9, i, 0, &white, out);
        flipped += out[0] == 255;
        run("grid:p=.25,ratio=.5,cells=4", 9, i, 0, &white, out);
        for (size_t k = 0; k < sizeof out; k++)
            black += out[k] == 0;
        gridded += memchr(out, 0, sizeof out) != NULL;
        ft_arena_reset(&arena);
    }
    ok(flipped > 520 && flipped < 680, "p=.3: %d of 2000 are flipped", flipped);
    ok(gridded > 425 && gridded < 575, "p=.25: %d of 2000 have a grid", gridded);
    ok(black == (size_t)gridded * SIZE * SIZE * 3 / 4, "and a quarter of each of these is black");
    ft_image_free(&white);
}

static void refused(const char *text, const char *why)
{
    struct ft_augment augment;
    int rc = ft_augment_parse(&augment, text);

    ok(rc < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), why), "'%s': %s", text, rc < 0 ? ft_error() : "taken");
}

static void printed(const char *text, const char *want)
{
    struct ft_augment augment = parsed(text), again;
    struct ft_buffer out = {0}, twice = {0};

    ft_augment_print(&out, &augment);
    is_text(out.data, want, text);
    ok(ft_augment_parse(&again, out.data) == 0 && ft_augment_print(&twice, &again) == 0 && strcmp(twice.data, out.data) == 0, "and it reads back");
    ft_buffer_free(&out);
    ft_buffer_free(&twice);
}

static void test_text(void)
{
    printed("none", "none");
    printed("crop:scale_min=.5 flip", "crop:scale-min=0.5,scale-max=1,ratio-min=0.75,ratio-max=1.3333333333333333 flip:p=0.5");
    printed("default", "flip:p=0.5 jitter:p=1,brightness=0.2,contrast=0.2,saturation=0.2,hue=0.2 "
            "crop:scale-min=0.08,scale-max=1,ratio-min=0.75,ratio-max=1.3333333333333333 blur:p=0.5,sigma-min=0.1,sigma-max=2 grid:p=0.5,ratio=0.2,cells=10");
    refused("", "no augmentation");
    refused("turn", "unknown augmentation 'turn': known are crop flip jitter blur grid none default");
    refused("flip:q=1", "q");
    refused("flip:p=2", "p=2: expected 0 to 1");
    refused("flip:p=x", "'x' is not a number");
    refused("flip:p=nan", "expected 0 to 1");
    refused("crop:scale-min=.9,scale-max=.5", "scale-min=0.9 is above scale-max=0.5");
    refused("crop crop", "two augmentations crop");
    refused("jitter:hue=.6", "expected 0 to 0.5");
    refused("flip flip flip flip flip flip flip flip flip", "more than 8");
}

static uint8_t serial[200][SIZE * SIZE * 3], parallel[200][SIZE * SIZE * 3];
static struct ft_image shared;

static int run_one(void *argument, size_t index, int worker)
{
    struct ft_augment augment;
    struct ft_arena scratch = {0};
    int rc = ft_augment_parse(&augment, "default");

    (void)worker;
    rc = rc < 0 ? rc : ft_augment_run(&augment, &plain, 4, 1, index, &shared, &scratch, ((uint8_t (*)[SIZE * SIZE * 3])argument)[index]);
    ft_arena_free(&scratch);
    return rc;
}

static void test_threads(void)
{
    shared = generated(50, 60);
    for (size_t i = 0; i < 200; i++)
        run_one(serial, i, 0);
    ft_pool_set_threads(4);
    ok(ft_pool_run(200, run_one, parallel) == 0 && memcmp(serial, parallel, sizeof serial) == 0, "four threads give the same");
    ft_image_free(&shared);
}

int main(void)
{
    test_golden();
    test_neutral();
    test_places();
    test_shares();
    test_text();
    test_threads();
    ft_arena_free(&arena);
    return done();
}
