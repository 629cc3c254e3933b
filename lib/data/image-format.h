/* image-format.h - what image.c asks of a format. */
#ifndef FT_DATA_IMAGE_FORMAT_H
#define FT_DATA_IMAGE_FORMAT_H

#include "data/image.h"

#include <stdbool.h>

struct ft_image_format {
    const char *name;
    const char *magic;             /* the first bytes, '?' stands for any */
    /* Width and height before any turning. */
    int (*size)(struct ft_string bytes, size_t *width, size_t *height);
    /* Fill image->pixel; width and height are those that `size` gave, and both at least 1. */
    int (*decode)(struct ft_string bytes, const struct ft_image *image);
    /* Where EXIF and XMP are; an empty string is none. NULL for a format without. */
    void (*find_exif)(struct ft_string bytes, struct ft_string *exif, struct ft_string *xmp);
};

extern const struct ft_image_format ft_image_jpeg, ft_image_png, ft_image_webp, ft_image_gif, ft_image_bmp;

/* The orientation, 1 to 8, that EXIF says, else XMP, else 1. Damage is 1: it is no reason to refuse a picture. */
int ft_exif_orientation(struct ft_string exif, struct ft_string xmp);

/* FT_BAD: the bytes end too early. */
int ft_image_fail_cut(void);

/* `size` bytes of `bytes` at `at`; false when they are not there. */
bool ft_bytes_at(struct ft_string bytes, size_t at, size_t size, const uint8_t **found);

static inline uint32_t ft_big16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t ft_big32(const uint8_t *p) { return ft_big16(p) << 16 | ft_big16(p + 2); }
static inline uint32_t ft_little16(const uint8_t *p) { return (uint32_t)p[1] << 8 | p[0]; }
static inline uint32_t ft_little32(const uint8_t *p) { return ft_little16(p + 2) << 16 | ft_little16(p); }

#endif
