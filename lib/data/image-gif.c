/* image-gif.c - the first frame of a GIF, by giflib.
 *
 * As Pillow: the canvas is the screen, or what the frame needs where it reaches past it; around the frame is the transparent color if there is
 * one, else color 0. A color past the palette is black; without one, or where each color of it is the grey of its number, it is that. */
#include "base/error.h"
#include "data/image-format.h"

#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

struct gif {
    GifFileType *file;
    struct ft_string bytes;
    size_t at;
    int transparent;            /* a color's number, or -1 */
    size_t width, height;       /* of the canvas */
};

static int read_bytes(GifFileType *file, GifByteType *to, int size)
{
    struct gif *gif = file->UserData;
    size_t left = gif->bytes.size - gif->at, take = (size_t)size < left ? (size_t)size : left;

    memcpy(to, gif->bytes.data + gif->at, take);
    gif->at += take;
    return (int)take;
}

static int fail(int code)
{
    const char *reason = GifErrorString(code);

    if (code == D_GIF_ERR_READ_FAILED || code == D_GIF_ERR_EOF_TOO_SOON)
        return ft_image_fail_cut();
    return ft_fail(code == D_GIF_ERR_NOT_ENOUGH_MEM ? FT_SYSTEM : FT_BAD, "%s", reason ? reason : "damaged");
}

static int read_extension(struct gif *gif)
{
    GifByteType *block;     /* length, bytes */
    int code;

    if (DGifGetExtension(gif->file, &code, &block) == GIF_ERROR)
        return fail(gif->file->Error);
    if (code == GRAPHICS_EXT_FUNC_CODE && block && block[0] >= 4 && block[1] & 1)
        gif->transparent = block[4];
    while (block)
        if (DGifGetExtensionNext(gif->file, &block) == GIF_ERROR)
            return fail(gif->file->Error);
    return 0;
}

/* Up to the pixels of the first frame. */
static int find_frame(struct gif *gif)
{
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    const GifImageDesc *frame;
    int error;

    if (!(gif->file = DGifOpen(gif, read_bytes, &error)))
        return fail(error);
    while (type != IMAGE_DESC_RECORD_TYPE) {
        if (DGifGetRecordType(gif->file, &type) == GIF_ERROR)
            return fail(gif->file->Error);
        if (type == TERMINATE_RECORD_TYPE)
            return ft_fail(FT_BAD, "no frame in it");
        if (type == EXTENSION_RECORD_TYPE && read_extension(gif) < 0)
            return -1;
    }
    if (DGifGetImageDesc(gif->file) == GIF_ERROR)
        return fail(gif->file->Error);
    frame = &gif->file->Image;
    if (frame->Left < 0 || frame->Top < 0 || frame->Width <= 0 || frame->Height <= 0)
        return ft_fail(FT_BAD, "a frame of %d x %d pixels at %d, %d", frame->Width, frame->Height, frame->Left, frame->Top);
    gif->width = (size_t)(gif->file->SWidth > frame->Left + frame->Width ? gif->file->SWidth : frame->Left + frame->Width);
    gif->height = (size_t)(gif->file->SHeight > frame->Top + frame->Height ? gif->file->SHeight : frame->Top + frame->Height);
    return 0;
}

static int gif_size(struct ft_string bytes, size_t *width, size_t *height)
{
    struct gif gif = {.bytes = bytes, .transparent = -1};
    int rc = find_frame(&gif), error;

    *width = gif.width;
    *height = gif.height;
    if (gif.file)
        DGifCloseFile(gif.file, &error);
    return rc;
}

static void read_palette(const struct gif *gif, uint8_t palette[256][3])
{
    const ColorMapObject *map = gif->file->Image.ColorMap ? gif->file->Image.ColorMap : gif->file->SColorMap;
    int count = map ? map->ColorCount : 0;
    bool grey = true;

    for (int i = 0; i < 256; i++)
        if (i < count) {
            memcpy(palette[i], (uint8_t[]){map->Colors[i].Red, map->Colors[i].Green, map->Colors[i].Blue}, 3);
            grey = grey && palette[i][0] == i && palette[i][1] == i && palette[i][2] == i;
        } else {
            memset(palette[i], grey ? i : 0, 3);
        }
}

static int read_rows(struct gif *gif, const struct ft_image *image, uint8_t palette[256][3], uint8_t *line)
{
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    const GifImageDesc *frame = &gif->file->Image;
    int passes = frame->Interlace ? 4 : 1;

    for (int pass = 0; pass < passes; pass++)
        for (int y = passes > 1 ? first[pass] : 0; y < frame->Height; y += passes > 1 ? step[pass] : 1) {
            uint8_t *out = image->pixel + ((size_t)(frame->Top + y) * image->width + (size_t)frame->Left) * 3;

            if (DGifGetLine(gif->file, line, frame->Width) == GIF_ERROR)
                return fail(gif->file->Error);
            for (int x = 0; x < frame->Width; x++, out += 3)
                memcpy(out, palette[line[x]], 3);
        }
    return 0;
}

static int gif_decode(struct ft_string bytes, const struct ft_image *image)
{
    struct gif gif = {.bytes = bytes, .transparent = -1};
    uint8_t palette[256][3], *line = NULL;
    int rc = find_frame(&gif), error;

    if (rc == 0)
        rc = (line = ft_resize(NULL, (size_t)gif.file->Image.Width, 1)) ? 0 : -1;
    if (rc == 0) {
        read_palette(&gif, palette);
        for (size_t i = 0; i < image->width * image->height; i++)
            memcpy(image->pixel + 3 * i, palette[gif.transparent < 0 ? 0 : gif.transparent], 3);
        rc = read_rows(&gif, image, palette, line);
    }
    free(line);
    if (gif.file)
        DGifCloseFile(gif.file, &error);
    return rc;
}

const struct ft_image_format ft_image_gif = {.name = "GIF", .magic = "GIF8?a", .size = gif_size, .decode = gif_decode};
