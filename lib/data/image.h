/* image.h - a picture's bytes to pixels: JPEG, PNG, WebP, GIF and BMP, told apart by their first bytes.
 *
 * Pixels are those of Pillow's ImageOps.exif_transpose(Image.open(file)).convert("RGB"): turned as EXIF says, alpha dropped and not
 * blended, CMYK taken as Adobe writes it (inverted), of a GIF or an animated WebP the first frame, and of a PNG with 16 bits a channel the
 * upper 8, but 16-bit grey clipped at 255. Files that Pillow completes with grey or black are refused: what is cut or damaged is FT_BAD with
 * the format's name and what was wrong. Pixels are counted before memory is taken. Nothing here has a state: any thread may call. */
#ifndef FT_DATA_IMAGE_H
#define FT_DATA_IMAGE_H

#include "base/memory.h"

/* More than these in one picture are refused by default: twice Pillow's MAX_IMAGE_PIXELS, where it takes a file for a decompression bomb. */
enum { FT_IMAGE_PIXELS = 178956970 };

struct ft_image {
    size_t width, height;
    uint8_t *pixel;             /* [height, width, 3]: red, green, blue, rows from the top; ft_image_free */
};

/* The format's name, "JPEG" and so on, or NULL when the bytes begin as none of them does. */
const char *ft_image_format(struct ft_string bytes);

/* Width and height as ft_image_decode would give them, from the headers. FT_BAD. */
int ft_image_size(struct ft_string bytes, size_t *width, size_t *height);

/* Decode. Pictures of more than `most_pixels` pixels (usually FT_IMAGE_PIXELS) are FT_BAD, as are those that are damaged or of no known
 * format; memory is FT_SYSTEM. On error the image is empty. */
int ft_image_decode(struct ft_string bytes, size_t most_pixels, struct ft_image *image);

/* Take room for [height, width, 3], not zeroed. */
int ft_image_make(struct ft_image *image, size_t width, size_t height);
void ft_image_free(struct ft_image *image);    /* leaves it empty; an empty one may be freed */

#endif
