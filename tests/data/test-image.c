/* test-image.c - pictures in every format and mode against Pillow's pixels (tests/golden/image/make.py), cut at every byte, hostile headers,
 * and many threads at once. */
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "data/image.h"
#include "hex.h"
#include "../tap.h"

#define GOLDEN "tests/golden/image/decode.txt"

struct picture {
    const char *name;
    size_t width, height;
    struct ft_string file, pixels;
};

static struct picture pictures[200];
static size_t picture_count;
static struct ft_arena arena;

static void read_golden(void)
{
    size_t size;
    char *text = ft_file_read(&arena, GOLDEN, 1 << 24, &size);

    while (text && *text && picture_count < sizeof pictures / sizeof *pictures) {
        struct picture *p = &pictures[picture_count++];

        p->name = word_next(&text);
        p->width = number_next(&text);
        p->height = number_next(&text);
        p->file = hex_next(&text);
        p->pixels = hex_next(&text);
    }
}

static const struct picture *find(const char *name)
{
    for (size_t i = 0; i < picture_count; i++)
        if (strcmp(pictures[i].name, name) == 0)
            return &pictures[i];
    return NULL;
}

static bool right(const struct picture *p, const struct ft_image *image)
{
    return image->width == p->width && image->height == p->height && p->pixels.size == p->width * p->height * 3 &&
           memcmp(image->pixel, p->pixels.data, p->pixels.size) == 0;
}

static void test_pixels(void)
{
    static const char *const formats[] = {"JPEG", "PNG", "WebP", "GIF", "BMP"};

    ok(picture_count > 80, "%zu pictures", picture_count);
    for (size_t i = 0; i < picture_count; i++) {
        const struct picture *p = &pictures[i];
        struct ft_image image;
        size_t width = 0, height = 0;
        int rc = ft_image_decode(p->file, FT_IMAGE_PIXELS, &image), size = ft_image_size(p->file, &width, &height);
        const char *format = ft_image_format(p->file);
        bool named = false;

        for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
            named |= format && strcmp(format, formats[f]) == 0 && strncasecmp(p->name, format, strlen(format)) == 0;
        ok(rc == 0 && right(p, &image), "%s: the pixels are Pillow's%s%s", p->name, rc ? ": " : "", rc ? ft_error() : "");
        ok(size == 0 && width == p->width && height == p->height && named, "%s: %zu x %zu by its headers", p->name, width, height);
        ft_image_free(&image);
    }
}

/* A cut file is refused, but where only what no pixel needs is gone: padding of the last row, a last checksum, a second frame. */
static void test_cut(void)
{
    for (size_t i = 0; i < picture_count; i++) {
        const struct picture *p = &pictures[i];
        size_t bad = 0, trailer = strcmp(p->name, "gif-animated") == 0 ? 62 : 4;

        for (size_t size = 0; size < p->file.size; size++) {
            char *copy = malloc(size + 1);   /* of its own, so that a sanitizer sees a byte too far */
            struct ft_image image;
            int rc;

            memcpy(copy, p->file.data, size);
            copy = realloc(copy, size ? size : 1);
            rc = ft_image_decode((struct ft_string){copy, size}, FT_IMAGE_PIXELS, &image);
            bad += rc == 0 ? !right(p, &image) || p->file.size - size > trailer : ft_error_status() != FT_BAD || image.pixel || !*ft_error();
            bad += size < 10 && rc == 0;
            ft_image_free(&image);
            free(copy);
        }
        ok(bad == 0, "%s: cut at each of %zu bytes it is an error", p->name, p->file.size);
    }
}

static void refused(const char *what, struct ft_string bytes, size_t most, const char *why)
{
    struct ft_image image;
    int rc = ft_image_decode(bytes, most, &image);

    ok(rc < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), why) && !image.pixel, "%s: %s", what, rc < 0 ? ft_error() : "decoded");
    ft_image_free(&image);
}

/* The picture's bytes with `size` of them at `at` changed. */
static struct ft_string changed(const char *name, size_t at, const char *bytes, size_t size)
{
    const struct picture *p = find(name);
    char *copy = ft_arena_text(&arena, p->file);

    memcpy(copy + at, bytes, size);
    return (struct ft_string){copy, p->file.size};
}

static size_t place(const char *name, const char *bytes, size_t size)
{
    const struct picture *p = find(name);
    const char *found = memmem(p->file.data, p->file.size, bytes, size);

    return found ? (size_t)(found - p->file.data) : 0;
}

static void test_refused(void)
{
    struct ft_string jpeg = find("jpeg-grey")->file;

    refused("nothing", FT_STRING(""), FT_IMAGE_PIXELS, "an empty file");
    refused("text", FT_STRING("hello, this is no picture"), FT_IMAGE_PIXELS, "not a picture");
    refused("TIFF", FT_STRING("II*\0\x08\0\0\0"), FT_IMAGE_PIXELS, "TIFF: expected JPEG");
    refused("AVIF", FT_STRING("\0\0\0\x1c" "ftypavif"), FT_IMAGE_PIXELS, "AVIF: expected JPEG");
    refused("19 x 13 pixels where 246 are allowed", jpeg, 246, "19 x 13 pixels, expected at most 246");
    refused("a PNG of 2^31 x 2^31", changed("png-2-8", 16, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8), FT_IMAGE_PIXELS, "PNG: ");
    refused("a PNG of no width", changed("png-2-8", 16, "\0\0\0\0", 4), FT_IMAGE_PIXELS, "PNG: ");
    refused("a JPEG of 65500 x 65500", changed("jpeg-grey", place("jpeg-grey", "\xff\xc0", 2) + 5, "\xff\xdc\xff\xdc", 4), FT_IMAGE_PIXELS,
            "65500 x 65500 pixels, expected at most 178956970");
    refused("a GIF screen of 65535 x 65535", changed("gif-common", 6, "\xff\xff\xff\xff", 4), FT_IMAGE_PIXELS, "65535 x 65535 pixels");
    refused("a BMP of 2^31 - 1 pixels a row", changed("bmp-24", 18, "\xff\xff\xff\x7f", 4), FT_IMAGE_PIXELS, "2147483647 x 4 pixels");
    refused("a BMP of -2^31 rows", changed("bmp-24", 22, "\0\0\0\x80", 4), FT_IMAGE_PIXELS, "5 x 2147483648 pixels");
    refused("a BMP of 3 bits", changed("bmp-24", 28, "\x03\0", 2), FT_IMAGE_PIXELS, "3 bits a pixel, expected");
    refused("a BMP with a PNG in it", changed("bmp-24", 30, "\x05", 1), FT_IMAGE_PIXELS, "compression 5");
    refused("a BMP of an unknown header", changed("bmp-24", 14, "\x11", 1), FT_IMAGE_PIXELS, "a header of 17 bytes");
    refused("a BMP mask with a hole", changed("bmp-16-565", 54, "\x05\xf8", 2), FT_IMAGE_PIXELS, "the mask 0xf805");
    refused("an animated WebP whose frame lies outside", changed("webp-animated", place("webp-animated", "ANMF", 4) + 8, "\x02", 1), FT_IMAGE_PIXELS, "WebP: ");
    refused("a PNG whose pixels do not fit their checksum", changed("png-2-8", place("png-2-8", "IDAT", 4) + 8, "\x55", 1), FT_IMAGE_PIXELS, "PNG: ");
    refused("a JPEG of 12 bits", changed("jpeg-grey", place("jpeg-grey", "\xff\xc0", 2) + 4, "\x0c", 1), FT_IMAGE_PIXELS, "JPEG: ");
    refused("a JPEG whose scan is broken off by a marker", changed("jpeg-444", find("jpeg-444")->file.size - 40, "\xff\xd9", 2), FT_IMAGE_PIXELS, "JPEG: ");
}

/* EXIF that is damaged turns nothing and refuses nothing. */
static void test_exif(void)
{
    static const struct {
        const char *what, *bytes;
        size_t at, size;
    } cases[] = {
        {"a directory past the end", "\xff\xff\xff\x7f", 4, 4}, {"another byte order", "XX", 0, 2}, {"another version", "\x2b", 2, 1},
        {"more entries than there are", "\xff\xff", 8, 2}, {"no entries", "\0\0", 8, 2}, {"two values", "\x02", 14, 1}, {"orientation 9", "\x09", 18, 1},
        {"orientation as text", "\x02", 12, 1},
    };
    const struct picture *p = find("jpeg-exif-6"), *upright = find("jpeg-exif-0");
    size_t tiff = place("jpeg-exif-6", "II*", 3);

    ok(tiff && upright && upright->width == p->height, "a picture that EXIF turns");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ft_string bytes = changed("jpeg-exif-6", tiff + cases[i].at, cases[i].bytes, cases[i].size);
        struct ft_image image;
        size_t width = 0, height = 0;
        int rc = ft_image_decode(bytes, FT_IMAGE_PIXELS, &image), size = ft_image_size(bytes, &width, &height);
        bool lying = strcmp(cases[i].what, "more entries than there are") == 0;

        ok(rc == 0 && image.width == (lying ? p->width : p->height) && size == 0 && width == image.width && height == image.height,
           "EXIF with %s: %s", cases[i].what, lying ? "what is there counts" : "upright");
        ft_image_free(&image);
    }
}

static int decode_one(void *argument, size_t index, int worker)
{
    const struct picture *p = &pictures[index % picture_count];
    struct ft_image image;
    int rc = ft_image_decode(p->file, FT_IMAGE_PIXELS, &image);

    (void)argument;
    (void)worker;
    if (rc == 0 && !right(p, &image))
        rc = ft_fail(FT_BAD, "%s: other pixels", p->name);
    ft_image_free(&image);
    return rc;
}

static void test_threads(void)
{
    int rc;

    ft_pool_set_threads(4);
    rc = ft_pool_run(40 * picture_count, decode_one, NULL);
    ok(rc == 0, "four threads decode the same%s%s", rc ? ": " : "", rc ? ft_error() : "");
}

int main(void)
{
    read_golden();
    if (!ok(find("jpeg-grey") && find("bmp-24"), "%s is there", GOLDEN))
        return done();
    test_pixels();
    test_cut();
    test_refused();
    test_exif();
    test_threads();
    ft_arena_free(&arena);
    return done();
}
