/* image-exif.c - the one thing that pixels need of EXIF: which way up. Exif 2.3 over TIFF 6.0; XMP where EXIF does not say, as Pillow. */
#include "data/image-format.h"

#include <string.h>

enum { ORIENTATION = 0x0112, BYTE_SIGNED = 6, SHORT = 3, LONG = 4, SHORT_SIGNED = 8, LONG_SIGNED = 9 };

/* The number in an entry of 12 bytes: tag, type, count, value; 0 when it is not one whole number. */
static uint32_t entry_number(const uint8_t *entry, uint32_t (*get16)(const uint8_t *), uint32_t (*get32)(const uint8_t *))
{
    if (get32(entry + 4) != 1)
        return 0;
    switch (get16(entry + 2)) {
    case SHORT:
    case SHORT_SIGNED:
        return get16(entry + 8);
    case LONG:
    case LONG_SIGNED:
        return get32(entry + 8);
    case BYTE_SIGNED:
        return entry[8];
    default:
        return 0;
    }
}

/* Of the first directory of a TIFF; the last entry counts when there are several. 0: it does not say. */
static uint32_t tiff_orientation(struct ft_string tiff)
{
    const uint8_t *p;
    uint32_t (*get16)(const uint8_t *) = ft_little16, (*get32)(const uint8_t *) = ft_little32;
    uint32_t found = 0;
    size_t at, count;

    if (!ft_bytes_at(tiff, 0, 8, &p))
        return 0;
    if (p[0] == 'M' && p[1] == 'M')
        get16 = ft_big16, get32 = ft_big32;
    else if (p[0] != 'I' || p[1] != 'I')
        return 0;
    at = get32(p + 4);
    if (get16(p + 2) != 42 || !ft_bytes_at(tiff, at, 2, &p))
        return 0;
    count = get16(p);
    for (size_t i = 0; i < count && ft_bytes_at(tiff, at + 2 + 12 * i, 12, &p); i++)
        if (get16(p) == ORIENTATION)
            found = entry_number(p, get16, get32);
    return found;
}

/* tiff:Orientation="6" or <tiff:Orientation>6; 0: it does not say. */
static uint32_t xmp_orientation(struct ft_string xmp)
{
    static const struct ft_string name = FT_STRING("tiff:Orientation");
    const char *p = xmp.data, *end = xmp.data + xmp.size;

    while (p < end && (p = memmem(p, (size_t)(end - p), name.data, name.size))) {
        p += name.size;
        if (end - p >= 2 && p[0] == '>' && p[1] >= '0' && p[1] <= '9')
            return (uint32_t)(p[1] - '0');
        if (end - p >= 3 && p[0] == '=' && p[1] == '"' && p[2] >= '0' && p[2] <= '9')
            return (uint32_t)(p[2] - '0');
    }
    return 0;
}

int ft_exif_orientation(struct ft_string exif, struct ft_string xmp)
{
    static const struct ft_string mark = FT_STRING("Exif\0\0");
    uint32_t found;

    if (exif.size >= mark.size && memcmp(exif.data, mark.data, mark.size) == 0)
        exif = (struct ft_string){exif.data + mark.size, exif.size - mark.size};
    if ((found = tiff_orientation(exif)) == 0)
        found = xmp_orientation(xmp);
    return found >= 1 && found <= 8 ? (int)found : 1;
}
