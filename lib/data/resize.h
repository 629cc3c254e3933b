/* resize.h - a picture in another size, with the bytes of Pillow's Image.resize.
 *
 * Filters but `nearest` average: each output pixel is a weighted sum of the input pixels under the filter, which is stretched when the picture
 * shrinks, first along rows, then along columns, each rounded to 8 bits, with weights in 22 bits of fraction (Pillow, src/libImaging/Resample.c). */
#ifndef FT_DATA_RESIZE_H
#define FT_DATA_RESIZE_H

#include "data/image.h"

/* Numbered as in Pillow, so as in `resample` of preprocessor_config.json. */
enum ft_filter {
    FT_FILTER_NEAREST,
    FT_FILTER_LANCZOS,      /* three lobes */
    FT_FILTER_BILINEAR,
    FT_FILTER_BICUBIC,      /* Keys, a = -0.5 */
    FT_FILTER_BOX,
    FT_FILTER_HAMMING,
    FT_FILTERS,
};

/* Of a picture, `width` x `height` pixels from (left, top) on. */
struct ft_image_part {
    size_t left, top, width, height;
};

/* Of `image` take `part` as if it were cut out first (NULL: all), resize that to width x height, and write to `out` only the part `want` of it
 * (NULL: all), [want.height, want.width, 3]. Both parts must lie inside. Sizes are at least 1 and at most 2^24. Memory comes from `scratch`
 * and stays there; without it FT_SYSTEM. */
int ft_image_resize(const struct ft_image *image, const struct ft_image_part *part, enum ft_filter filter, size_t width, size_t height,
                    const struct ft_image_part *want, struct ft_arena *scratch, uint8_t *out);

/* The name, or NULL; and the filter of a name ("bilinear"), or FT_FILTERS. */
const char *ft_filter_name(enum ft_filter filter);
enum ft_filter ft_filter_find(const char *name);

#endif
