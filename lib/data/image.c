/* image.c - which format, how many pixels, and the turn that EXIF asks for. */
#include "data/image.h"
#include "base/error.h"
#include "data/image-format.h"

#include <stdlib.h>
#include <string.h>

static const struct ft_image_format *const formats[] = {&ft_image_jpeg, &ft_image_png, &ft_image_webp, &ft_image_gif, &ft_image_bmp};

/* What else a picture may be, so that the message can say it. */
static const struct {
    struct ft_string magic;
    const char *name;
} others[] = {
    {FT_STRING("II*\0"), "TIFF"}, {FT_STRING("MM\0*"), "TIFF"}, {FT_STRING("????ftypavif"), "AVIF"}, {FT_STRING("????ftypheic"), "HEIC"},
    {FT_STRING("????ftypmif1"), "HEIC"}, {FT_STRING("????jP  "), "JPEG 2000"}, {FT_STRING("<svg"), "SVG"}, {FT_STRING("<?xml"), "XML"},
    {FT_STRING("<!DOCTYPE"), "HTML"}, {FT_STRING("<html"), "HTML"}, {FT_STRING("%PDF"), "PDF"},
};

static bool begins(struct ft_string bytes, struct ft_string magic)
{
    if (bytes.size < magic.size)
        return false;
    for (size_t i = 0; i < magic.size; i++)
        if (magic.data[i] != '?' && magic.data[i] != bytes.data[i])
            return false;
    return true;
}

static const struct ft_image_format *find(struct ft_string bytes)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (begins(bytes, ft_string_of(formats[i]->magic)))
            return formats[i];
    return NULL;
}

static int fail_unknown(struct ft_string bytes)
{
    const char *expected = "expected JPEG, PNG, WebP, GIF or BMP";

    if (bytes.size == 0)
        return ft_fail(FT_BAD, "an empty file: %s", expected);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (begins(bytes, others[i].magic))
            return ft_fail(FT_BAD, "%s: %s", others[i].name, expected);
    return ft_fail(FT_BAD, "not a picture: %s", expected);
}

int ft_image_fail_cut(void)
{
    return ft_fail(FT_BAD, "the file is cut short");
}

bool ft_bytes_at(struct ft_string bytes, size_t at, size_t size, const uint8_t **found)
{
    if (at > bytes.size || size > bytes.size - at)
        return false;
    *found = (const uint8_t *)bytes.data + at;
    return true;
}

const char *ft_image_format(struct ft_string bytes)
{
    const struct ft_image_format *format = find(bytes);

    return format ? format->name : NULL;
}

static int orientation(const struct ft_image_format *format, struct ft_string bytes)
{
    struct ft_string exif = {"", 0}, xmp = {"", 0};

    if (!format->find_exif)
        return 1;
    format->find_exif(bytes, &exif, &xmp);
    return ft_exif_orientation(exif, xmp);
}

static int size_of(const struct ft_image_format *format, struct ft_string bytes, size_t *width, size_t *height)
{
    if (format->size(bytes, width, height) < 0)
        return ft_error_prefix("%s: ", format->name);
    if (*width == 0 || *height == 0)
        return ft_fail(FT_BAD, "%s: a picture of %zu x %zu pixels", format->name, *width, *height);
    return 0;
}

int ft_image_size(struct ft_string bytes, size_t *width, size_t *height)
{
    const struct ft_image_format *format = find(bytes);
    size_t w, h;
    bool lying;

    if (!format)
        return fail_unknown(bytes);
    if (size_of(format, bytes, &w, &h) < 0)
        return -1;
    lying = orientation(format, bytes) >= 5;
    *width = lying ? h : w;
    *height = lying ? w : h;
    return 0;
}

int ft_image_make(struct ft_image *image, size_t width, size_t height)
{
    *image = (struct ft_image){.width = width, .height = height};
    if (width && height > SIZE_MAX / 3 / width)
        return ft_fail(FT_BAD, "a picture of %zu x %zu pixels", width, height);
    if (!(image->pixel = ft_resize(NULL, width * height, 3))) {
        *image = (struct ft_image){0};
        return -1;
    }
    return 0;
}

void ft_image_free(struct ft_image *image)
{
    free(image->pixel);
    *image = (struct ft_image){0};
}

/* Orientations of EXIF: 2, 3, 7 and 8 run the rows from their end, 3, 4, 6 and 7 the columns; from 5 on rows become columns. */
static int turn(struct ft_image *image, int orientation)
{
    bool swap = orientation >= 5, right = strchr("2378", '0' + orientation) != NULL, bottom = strchr("3467", '0' + orientation) != NULL;
    ptrdiff_t across = right ? -3 : 3, down = (ptrdiff_t)image->width * (bottom ? -3 : 3);
    struct ft_image out;
    const uint8_t *first = image->pixel;
    uint8_t *to;

    if (ft_image_make(&out, swap ? image->height : image->width, swap ? image->width : image->height) < 0)
        return -1;
    first += right ? (image->width - 1) * 3 : 0;
    first += bottom ? (image->height - 1) * image->width * 3 : 0;
    to = out.pixel;
    for (size_t y = 0; y < out.height; y++) {
        const uint8_t *from = first + (ptrdiff_t)y * (swap ? across : down);

        for (size_t x = 0; x < out.width; x++, from += swap ? down : across, to += 3)
            memcpy(to, from, 3);
    }
    ft_image_free(image);
    *image = out;
    return 0;
}

int ft_image_decode(struct ft_string bytes, size_t most_pixels, struct ft_image *image)
{
    const struct ft_image_format *format = find(bytes);
    size_t width, height;
    int turned;

    *image = (struct ft_image){0};
    if (!format)
        return fail_unknown(bytes);
    if (size_of(format, bytes, &width, &height) < 0)
        return -1;
    if (width > most_pixels / height)
        return ft_fail(FT_BAD, "%s: %zu x %zu pixels, expected at most %zu", format->name, width, height, most_pixels);
    if (ft_image_make(image, width, height) < 0)
        return -1;
    if (format->decode(bytes, image) < 0) {
        ft_image_free(image);
        return ft_error_prefix("%s: ", format->name);
    }
    turned = orientation(format, bytes);
    if (turned != 1 && turn(image, turned) < 0) {
        ft_image_free(image);
        return -1;
    }
    return 0;
}
