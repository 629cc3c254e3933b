/* image-bmp.c - BMP: 1, 4 and 8 bits with a palette, also run-length coded, 16, 24 and 32 bits, also with masks; rows from below or above.
 *
 * Headers of 12 (OS/2), 40, 52, 56, 64, 108 and 124 bytes; Microsoft's "Bitmap Header Types" and "Bitmap Compression" of Windows GDI. */
#include "base/error.h"
#include "data/image-format.h"

#include <string.h>

enum { RAW, RLE8, RLE4, BITFIELDS };

struct bmp {
    struct ft_string bytes;
    size_t width, height, pixels;      /* pixels: where they begin */
    bool top_down;
    unsigned bits, compression;
    uint32_t mask[3];                  /* of red, green, blue; of 16 and 32 bits */
    uint8_t palette[256][3];
};

static int check(const struct bmp *bmp)
{
    if (bmp->bits != 1 && bmp->bits != 4 && bmp->bits != 8 && bmp->bits != 16 && bmp->bits != 24 && bmp->bits != 32)
        return ft_fail(FT_BAD, "%u bits a pixel, expected 1, 4, 8, 16, 24 or 32", bmp->bits);
    if (bmp->compression > BITFIELDS || (bmp->compression == RLE8 && bmp->bits != 8) || (bmp->compression == RLE4 && bmp->bits != 4) ||
        (bmp->compression == BITFIELDS && bmp->bits < 16))
        return ft_fail(FT_BAD, "compression %u of %u bits a pixel, expected none, RLE of 4 or 8 bits, or masks of 16 bits and more", bmp->compression, bmp->bits);
    if (bmp->compression != BITFIELDS || bmp->bits == 24)
        return 0;
    for (int c = 0; c < 3; c++) {
        uint32_t low = bmp->mask[c] & -bmp->mask[c];

        if (bmp->mask[c] == 0 || (bmp->mask[c] / low & (bmp->mask[c] / low + 1)) != 0 || (bmp->bits == 16 && bmp->mask[c] > 0xffff))
            return ft_fail(FT_BAD, "the mask 0x%x of %u bits a pixel, expected one run of bits", bmp->mask[c], bmp->bits);
    }
    return 0;
}

/* Of 16 bits the usual is 5 each; of 32 the upper byte is not looked at. All masks zero means the usual too. */
static void read_masks(struct bmp *bmp, const uint8_t *masks)
{
    for (int c = 0; c < 3; c++)
        bmp->mask[c] = masks ? ft_little32(masks + 4 * c) : 0;
    if (!(bmp->mask[0] | bmp->mask[1] | bmp->mask[2]))
        memcpy(bmp->mask, bmp->bits == 16 ? (uint32_t[]){0x7c00, 0x3e0, 0x1f} : (uint32_t[]){0xff0000, 0xff00, 0xff}, sizeof bmp->mask);
}

/* Entries are blue, green, red and, but for OS/2, a byte more. An index past them is black, as in Pillow. */
static void read_palette(struct bmp *bmp, size_t at, size_t entry, size_t colors)
{
    const uint8_t *p;

    for (size_t i = 0; i < 256; i++)
        if (i < colors && ft_bytes_at(bmp->bytes, at + i * entry, 3, &p))
            memcpy(bmp->palette[i], (uint8_t[]){p[2], p[1], p[0]}, 3);
        else
            memset(bmp->palette[i], 0, 3);
}

static int read_header(struct bmp *bmp)
{
    const uint8_t *p, *masks = NULL;
    size_t header, at, entry = 4, colors = 0;
    bool os2;

    if (!ft_bytes_at(bmp->bytes, 14, 4, &p))
        return ft_image_fail_cut();
    header = ft_little32(p);
    os2 = header == 12;
    if (!os2 && header != 40 && header != 52 && header != 56 && header != 64 && header != 108 && header != 124)
        return ft_fail(FT_BAD, "a header of %zu bytes, expected 12, 40, 52, 56, 64, 108 or 124", header);
    if (!ft_bytes_at(bmp->bytes, 14, header, &p))
        return ft_image_fail_cut();
    at = 14 + header;
    if (os2) {
        bmp->width = ft_little16(p + 4), bmp->height = ft_little16(p + 6), bmp->bits = ft_little16(p + 10);
        entry = 3;
    } else {
        bmp->width = ft_little32(p + 4), bmp->height = ft_little32(p + 8), bmp->bits = ft_little16(p + 14);
        bmp->compression = ft_little32(p + 16), colors = ft_little32(p + 32);
        bmp->top_down = bmp->height >> 31;
        bmp->height = bmp->top_down ? ((size_t)1 << 32) - bmp->height : bmp->height;
    }
    if (bmp->compression == BITFIELDS) {
        if (!ft_bytes_at(bmp->bytes, 54, 12, &masks))    /* in a header of 52 and more, else behind it: the same place */
            return ft_image_fail_cut();
        at += header == 40 ? 12 : 0;
    }
    read_masks(bmp, masks);
    if (check(bmp) < 0)
        return -1;
    if (bmp->bits <= 8) {
        colors = colors ? colors : (size_t)1 << bmp->bits;
        read_palette(bmp, at, entry, colors);
        at += colors * entry;
    }
    bmp->pixels = ft_little32((const uint8_t *)bmp->bytes.data + 10);
    if (bmp->pixels == 0 || (bmp->bits <= 8 && bmp->pixels == 14 + header))    /* some writers forget the palette */
        bmp->pixels = at;
    return 0;
}

static int bmp_size(struct ft_string bytes, size_t *width, size_t *height)
{
    struct bmp bmp = {.bytes = bytes};
    int rc = read_header(&bmp);

    *width = bmp.width;
    *height = bmp.height;
    return rc;
}

static void row_of_indices(const struct bmp *bmp, const uint8_t *row, uint8_t *out)
{
    for (size_t x = 0; x < bmp->width; x++, out += 3) {
        size_t bit = x * bmp->bits;

        memcpy(out, bmp->palette[row[bit / 8] >> (8 - bmp->bits - bit % 8) & ((1u << bmp->bits) - 1)], 3);
    }
}

/* A channel is its share of the mask's largest number, times 255 and rounded down, as in Pillow. */
static void row_of_masks(const struct bmp *bmp, const uint8_t *row, uint8_t *out)
{
    for (size_t x = 0; x < bmp->width; x++, row += bmp->bits / 8) {
        uint32_t pixel = bmp->bits == 16 ? ft_little16(row) : ft_little32(row);

        for (int c = 0; c < 3; c++) {
            uint32_t low = bmp->mask[c] & -bmp->mask[c];

            *out++ = (uint8_t)((uint64_t)((pixel & bmp->mask[c]) / low) * 255 / (bmp->mask[c] / low));
        }
    }
}

static void row_of_bytes(const uint8_t *row, size_t width, uint8_t *out)
{
    for (size_t x = 0; x < width; x++, row += 3, out += 3)
        out[0] = row[2], out[1] = row[1], out[2] = row[0];
}

static uint8_t *row_at(const struct bmp *bmp, const struct ft_image *image, size_t y)
{
    return image->pixel + (bmp->top_down ? y : bmp->height - 1 - y) * bmp->width * 3;
}

static int read_raw(const struct bmp *bmp, const struct ft_image *image)
{
    size_t used = (bmp->width * bmp->bits + 7) / 8, stride = (bmp->width * bmp->bits + 31) / 32 * 4;
    const uint8_t *row;

    for (size_t y = 0; y < bmp->height; y++) {
        if (!ft_bytes_at(bmp->bytes, bmp->pixels + y * stride, used, &row))
            return ft_image_fail_cut();
        if (bmp->bits <= 8)
            row_of_indices(bmp, row, row_at(bmp, image, y));
        else if (bmp->bits == 24)
            row_of_bytes(row, bmp->width, row_at(bmp, image, y));
        else
            row_of_masks(bmp, row, row_at(bmp, image, y));
    }
    return 0;
}

/* Write `count` pixels from place `at` on, of one index (4 bits: of two in turn); or, with more bytes, of those. */
static void put(const struct bmp *bmp, const struct ft_image *image, size_t at, size_t count, const uint8_t *index, bool run)
{
    for (size_t i = 0; i < count; i++, at++) {
        uint8_t byte = index[run ? 0 : bmp->bits == 8 ? i : i / 2];
        unsigned number = bmp->bits == 8 ? byte : i % 2 ? byte & 15 : byte >> 4;

        memcpy(row_at(bmp, image, at / bmp->width) + at % bmp->width * 3, bmp->palette[number], 3);
    }
}

/* Pairs of bytes: a count and an index; or 0 and what to do: end a row, end all, move, or so many indices as they are. */
static int read_runs(const struct bmp *bmp, const struct ft_image *image)
{
    size_t width = bmp->width, place = 0, x = 0, end = width * bmp->height, at = bmp->pixels, count, size;
    const uint8_t *p;

    for (size_t i = 0; i < end; i++)
        memcpy(image->pixel + 3 * i, bmp->palette[0], 3);    /* what is moved over */
    while (place < end) {
        if (!ft_bytes_at(bmp->bytes, at, 2, &p))
            return ft_image_fail_cut();
        at += 2;
        if (p[0]) {
            count = x + p[0] > width ? width > x ? width - x : 0 : p[0];
            put(bmp, image, place, count, p + 1, true);
            place += count, x += count;
        } else if (p[1] == 0) {
            place += (width - place % width) % width, x = 0;
        } else if (p[1] == 1) {
            return ft_fail(FT_BAD, "run lengths end after %zu of %zu pixels", place, end);
        } else if (p[1] == 2) {
            if (!ft_bytes_at(bmp->bytes, at, 2, &p))
                return ft_image_fail_cut();
            at += 2, place += p[0] + p[1] * width, x = place % width;
        } else {
            count = p[1], size = (count * bmp->bits + 7) / 8;
            if (!ft_bytes_at(bmp->bytes, at, size, &p))
                return ft_image_fail_cut();
            put(bmp, image, place, count < end - place ? count : end - place, p, false);
            at += size + size % 2, place += count, x += count;
        }
    }
    return 0;
}

static int bmp_decode(struct ft_string bytes, const struct ft_image *image)
{
    struct bmp bmp = {.bytes = bytes};

    if (read_header(&bmp) < 0)
        return -1;
    return bmp.compression == RLE8 || bmp.compression == RLE4 ? read_runs(&bmp, image) : read_raw(&bmp, image);
}

const struct ft_image_format ft_image_bmp = {.name = "BMP", .magic = "BM", .size = bmp_size, .decode = bmp_decode};
