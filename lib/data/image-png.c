/* image-png.c - PNG by libspng, which unpacks; what the samples mean is here, so that it is Pillow's meaning. */
#include "base/error.h"
#include "data/image-format.h"

#include <stdlib.h>
#include <string.h>

#include <spng.h>

/* What texts and profiles of a file may take together when unpacked. */
#define MOST_CHUNK ((size_t)64 << 20)

struct png {
    spng_ctx *context;
    struct spng_ihdr header;
    uint8_t palette[256][3];
};

static int fail(int code)
{
    if (code == SPNG_IO_EOF)
        return ft_image_fail_cut();
    return ft_fail(code == SPNG_EMEM ? FT_SYSTEM : FT_BAD, "%s", spng_strerror(code));
}

static int start(struct png *png, struct ft_string bytes)
{
    int code;

    if (!(png->context = spng_ctx_new(0)))
        return ft_fail(FT_SYSTEM, "out of memory");
    if ((code = spng_set_chunk_limits(png->context, MOST_CHUNK, MOST_CHUNK)) != 0 ||
        (code = spng_set_png_buffer(png->context, bytes.data, bytes.size)) != 0 ||
        (code = spng_get_ihdr(png->context, &png->header)) != 0)
        return fail(code);
    return 0;
}

static int png_size(struct ft_string bytes, size_t *width, size_t *height)
{
    struct png png = {0};
    int rc = start(&png, bytes);

    *width = png.header.width;
    *height = png.header.height;
    spng_ctx_free(png.context);
    return rc;
}

/* An index past the palette is black, as in Pillow. */
static int read_palette(struct png *png)
{
    struct spng_plte plte;
    int code = spng_get_plte(png->context, &plte);

    if (code != 0)
        return fail(code);
    for (int i = 0; i < 256; i++)
        if ((uint32_t)i < plte.n_entries)
            memcpy(png->palette[i], (uint8_t[]){plte.entries[i].red, plte.entries[i].green, plte.entries[i].blue}, 3);
        else
            memset(png->palette[i], 0, 3);
    return 0;
}

/* Sample `x` of a row of samples of 1, 2, 4 or 8 bits. */
static unsigned sample(const uint8_t *row, size_t x, unsigned depth)
{
    size_t bit = x * depth;

    return row[bit / 8] >> (8 - depth - bit % 8) & ((1u << depth) - 1);
}

/* Samples as they lie in the file, 16 bits with the upper byte first, to RGB. */
static void row_convert(const struct png *png, const uint8_t *row, uint8_t *out)
{
    unsigned depth = png->header.bit_depth, type = png->header.color_type;
    bool color = type == SPNG_COLOR_TYPE_TRUECOLOR || type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
    bool alpha = type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA || type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
    size_t byte = depth / 8, step = ((color ? 3 : 1) + alpha) * byte, width = png->header.width;

    if (color)
        for (size_t x = 0; x < width; x++, row += step, out += 3)
            out[0] = row[0], out[1] = row[byte], out[2] = row[2 * byte];
    else if (alpha)
        for (size_t x = 0; x < width; x++, row += step, out += 3)
            memset(out, row[0], 3);
    else if (depth == 16)
        for (size_t x = 0; x < width; x++, row += step, out += 3)
            memset(out, row[0] ? 255 : row[1], 3);
    else if (type == SPNG_COLOR_TYPE_INDEXED)
        for (size_t x = 0; x < width; x++, out += 3)
            memcpy(out, png->palette[sample(row, x, depth)], 3);
    else
        for (size_t x = 0; x < width; x++, out += 3)
            memset(out, (int)(sample(row, x, depth) * (255 / ((1u << depth) - 1))), 3);
}

/* Row by row; -1 with the reason, also when the picture is all there but the file's end is not. */
static int read_rows(struct png *png, uint8_t *row, size_t size, uint8_t *out)
{
    int code = spng_decode_image(png->context, NULL, 0, SPNG_FMT_RAW, SPNG_DECODE_PROGRESSIVE);

    for (uint32_t y = 0; code == 0 && y < png->header.height; y++, out += (size_t)png->header.width * 3) {
        code = spng_decode_row(png->context, row, size);
        if (code == SPNG_EOI && y == png->header.height - 1)
            code = 0;
        row_convert(png, row, out);
    }
    return code ? fail(code) : 0;
}

/* Interlaced: all of it, since a row is complete only after the last pass. */
static int read_passes(struct png *png, uint8_t *rows, size_t size, uint8_t *out)
{
    int code = spng_decode_image(png->context, rows, size, SPNG_FMT_RAW, 0);

    if (code)
        return fail(code);
    for (uint32_t y = 0; y < png->header.height; y++)
        row_convert(png, rows + size / png->header.height * y, out + (size_t)png->header.width * 3 * y);
    return 0;
}

static int read_image(struct png *png, const struct ft_image *image)
{
    bool interlaced = png->header.interlace_method != SPNG_INTERLACE_NONE;
    size_t size;
    uint8_t *raw;
    int code = spng_decoded_image_size(png->context, SPNG_FMT_RAW, &size), rc;

    if (code)
        return fail(code);
    size = interlaced ? size : size / png->header.height;
    if (!(raw = calloc(size, 1)))    /* libspng sets bits of interlaced samples by or */
        return ft_fail(FT_SYSTEM, "out of memory for %zu bytes", size);
    rc = (interlaced ? read_passes : read_rows)(png, raw, size, image->pixel);
    free(raw);
    if (rc == 0 && (code = spng_decode_chunks(png->context)) != 0)
        return fail(code);
    return rc;
}

static int png_decode(struct ft_string bytes, const struct ft_image *image)
{
    struct png png = {0};
    int rc = start(&png, bytes);

    if (rc == 0 && png.header.color_type == SPNG_COLOR_TYPE_INDEXED)
        rc = read_palette(&png);
    if (rc == 0)
        rc = read_image(&png, image);
    spng_ctx_free(png.context);
    return rc;
}

/* Chunks: length, type, data, checksum. XMP is an iTXt of a known keyword, here only when it is not compressed. */
static void find_exif(struct ft_string bytes, struct ft_string *exif, struct ft_string *xmp)
{
    static const struct ft_string mark = FT_STRING("XML:com.adobe.xmp\0\0");
    size_t at = 8, size;
    const uint8_t *p;

    while (ft_bytes_at(bytes, at, 8, &p)) {
        const uint8_t *type = p + 4, *data;

        size = ft_big32(p);
        if (!ft_bytes_at(bytes, at + 8, size, &data))
            return;
        if (memcmp(type, "eXIf", 4) == 0)
            *exif = (struct ft_string){(const char *)data, size};
        if (memcmp(type, "iTXt", 4) == 0 && size >= mark.size && memcmp(data, mark.data, mark.size) == 0)
            *xmp = (struct ft_string){(const char *)data, size};
        at += 12 + size;
    }
}

const struct ft_image_format ft_image_png = {.name = "PNG", .magic = "\x89PNG\r\n\x1a\n", .size = png_size, .decode = png_decode, .find_exif = find_exif};
