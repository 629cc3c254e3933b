/* fuzz-image.c - damaged pictures: pixels or an error, never a crash, and never more pixels than allowed. Run from the top of the tree.
 *
 * Seeds are the pictures of tests/golden/image/decode.txt, and EXIF by itself: any input is taken as that too. PNG's checksums are made right again, or nothing behind them would be reached. */
#include "base/error.h"
#include "base/file.h"
#include "data/image-format.h"
#include "mutate.h"

enum { PIXELS = 1 << 20 };

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void mend_png(uint8_t *data, size_t size)
{
    size_t at = 8;

    while (at + 12 <= size) {
        size_t length = (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 | data[at + 3];
        uint32_t crc;

        if (length > size - at - 12)
            return;
        crc = crc32_of(data + at + 4, length + 4);
        for (size_t i = 0; i < 4; i++)
            data[at + 8 + length + i] = (uint8_t)(crc >> (24 - 8 * i));
        at += 12 + length;
    }
}

static void check(struct ft_string bytes)
{
    struct ft_image image;
    size_t width = 0, height = 0, sum = 0;
    int size = ft_image_size(bytes, &width, &height);

    if (size < 0 && (ft_error_status() != FT_BAD || !*ft_error()))
        abort();
    if (ft_image_decode(bytes, PIXELS, &image) < 0) {
        if (ft_error_status() != FT_BAD || !*ft_error() || image.pixel)
            abort();
        return;
    }
    if (size < 0 || width != image.width || height != image.height || width > PIXELS / height)
        abort();
    for (size_t i = 0; i < width * height * 3; i++)
        sum += image.pixel[i];
    if (sum > width * height * 3 * 255)
        abort();
    ft_image_free(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ft_string whole;
    int orientation;
    uint8_t *copy = malloc(size ? size : 1);    /* so that a sanitizer sees one byte past the end */

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    whole = (struct ft_string){(const char *)copy, size};
    orientation = ft_exif_orientation(whole, whole);
    if (orientation < 1 || orientation > 8)
        abort();
    check(whole);
    if (size > 8 && copy[0] == 0x89) {
        mend_png(copy, size);
        check(whole);
    }
    free(copy);
    return 0;
}

#ifndef FT_LIBFUZZER
static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The fourth word of each line is the file in hex; it becomes bytes in place. */
static size_t seeds_read(struct ft_arena *arena, struct ft_string *seeds, size_t most)
{
    size_t size, count = 0;
    char *text = ft_file_read(arena, "tests/golden/image/decode.txt", 1 << 24, &size);

    for (char *line = text, *end; line && count < most && (end = strchr(line, '\n')); line = end + 1) {
        for (int word = 0; word < 3; word++)
            line = strchr(line, ' ') + 1;
        size = strcspn(line, " ") / 2;
        for (size_t i = 0; i < size; i++)
            line[i] = (char)(digit(line[2 * i]) << 4 | digit(line[2 * i + 1]));
        if (size <= MOST)
            seeds[count++] = (struct ft_string){line, size};
    }
    return count;
}

int main(int argc, char **argv)
{
    static struct ft_string seeds[200] = {
        FT_STRING("Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x04\0\0\0abc\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
        FT_STRING("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x08"),
        FT_STRING("<rdf tiff:Orientation=\"6\"><tiff:Orientation>3</tiff:Orientation>"),
    };
    struct ft_arena arena = {0};
    size_t count = 3 + seeds_read(&arena, seeds + 3, sizeof seeds / sizeof *seeds - 3);
    int rc = count > 3 ? fuzz_main(argc, argv, seeds, count, "\xff\x7f\x80\x01\xfe\xd9\xda\xc0\x40") : 1;

    ft_arena_free(&arena);
    return rc;
}
#endif
