/* bitmaps.c - the pictures that a font of colored bitmaps keeps as whole PNG files (tables CBLC and CBDT), one a sequence of characters.
 *
 *   bitmaps FONT DIR <SEQUENCES >LIST
 *
 * A line in is a sequence in UTF-8, without variation selectors. Where the font has one picture for all of it, DIR/CODE-CODE-... .png is written, the
 * codes being the characters' numbers in hexadecimal, and a line SEQUENCE, a tab and that path; other sequences are passed over.
 *
 * A character's glyph is looked up in the 12th format of cmap, and that of several characters among the ligatures of GSUB, of which each emoji of
 * several characters is one: the shaping that text needs is not needed here. OpenType 1.9 has the formats.
 *
 * Pictures with a palette are laid on white: below what is transparent there is some color that nobody was meant to see, and who reads the picture
 * without its transparency would. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 16      /* characters in a sequence */

struct font {
    const char *path;
    unsigned char *data;
    size_t size;
    size_t characters, substitutions, places, pictures;     /* where cmap's subtable, GSUB, CBLC and CBDT begin */
};

struct span {
    size_t at, size;
};

static void die(const char *format, ...)
{
    va_list args;

    fputs("bitmaps: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* The number of `bytes` bytes at `at`. All of the font is read by this. */
static uint32_t number(const struct font *font, size_t at, size_t bytes)
{
    uint32_t value = 0;

    if (at > font->size || bytes > font->size - at)
        die("%s: ends where more of it was to come: byte %zu of %zu", font->path, at, font->size);
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | font->data[at + i];
    return value;
}

static uint32_t u16(const struct font *font, size_t at)
{
    return number(font, at, 2);
}

static uint32_t u32(const struct font *font, size_t at)
{
    return number(font, at, 4);
}

static size_t find_table(const struct font *font, const char tag[4])
{
    uint32_t count = u16(font, 4);

    for (uint32_t i = 0; i < count; i++)
        if (u32(font, 12 + 16 * i) == ((uint32_t)tag[0] << 24 | (uint32_t)tag[1] << 16 | (uint32_t)tag[2] << 8 | (uint32_t)tag[3]))
            return u32(font, 12 + 16 * i + 8);
    die("%s: has no table %s, which fonts of colored bitmaps have", font->path, tag);
    return 0;
}

static size_t find_characters(const struct font *font)
{
    size_t cmap = find_table(font, "cmap");
    uint32_t count = u16(font, cmap + 2);

    for (uint32_t i = 0; i < count; i++) {
        size_t table = cmap + u32(font, cmap + 4 + 8 * i + 4);

        if (u16(font, table) == 12)
            return table;
    }
    die("%s: no table of characters beyond 16 bits (cmap, format 12)", font->path);
    return 0;
}

/* 0 is the glyph of what a font has not. */
static uint32_t glyph_of(const struct font *font, uint32_t character)
{
    uint32_t low = 0, high = u32(font, font->characters + 12);

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        size_t group = font->characters + 16 + 12 * (size_t)middle;
        uint32_t first = u32(font, group);

        if (character < first)
            high = middle;
        else if (character > u32(font, group + 4))
            low = middle + 1;
        else
            return u32(font, group + 8) + (character - first);
    }
    return 0;
}

/* The place of a glyph in a coverage table, or -1. */
static long coverage(const struct font *font, size_t table, uint32_t glyph)
{
    bool ranges = u16(font, table) == 2;
    uint32_t count = u16(font, table + 2);

    for (uint32_t i = 0; i < count; i++) {
        size_t entry = table + 4 + (ranges ? 6 : 2) * (size_t)i;
        uint32_t first = u16(font, entry);

        if (glyph >= first && glyph <= (ranges ? u16(font, entry + 2) : first))
            return ranges ? (long)(u16(font, entry + 4) + (glyph - first)) : (long)i;
    }
    return -1;
}

static bool same_glyphs(const struct font *font, size_t components, const uint32_t *glyphs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (u16(font, components + 2 * i) != glyphs[i])
            return false;
    return true;
}

/* What a subtable of ligatures makes of exactly these glyphs, or 0. */
static uint32_t ligature_in(const struct font *font, size_t table, const uint32_t *glyphs, size_t count)
{
    long place = u16(font, table) == 1 ? coverage(font, table + u16(font, table + 2), glyphs[0]) : -1;
    size_t set;
    uint32_t ligatures;

    if (place < 0 || place >= (long)u16(font, table + 4))
        return 0;
    set = table + u16(font, table + 6 + 2 * (size_t)place);
    ligatures = u16(font, set);
    for (uint32_t i = 0; i < ligatures; i++) {
        size_t ligature = set + u16(font, set + 2 + 2 * (size_t)i);

        if (u16(font, ligature + 2) == count && same_glyphs(font, ligature + 4, glyphs + 1, count - 1))
            return u16(font, ligature);
    }
    return 0;
}

static uint32_t ligature_of(const struct font *font, const uint32_t *glyphs, size_t count)
{
    size_t lookups = font->substitutions + u16(font, font->substitutions + 8);
    uint32_t lookup_count = u16(font, lookups), glyph;

    for (uint32_t i = 0; i < lookup_count; i++) {
        size_t lookup = lookups + u16(font, lookups + 2 + 2 * (size_t)i);
        uint32_t tables = u16(font, lookup) == 4 ? u16(font, lookup + 4) : 0;

        for (uint32_t j = 0; j < tables; j++)
            if ((glyph = ligature_in(font, lookup + u16(font, lookup + 6 + 2 * (size_t)j), glyphs, count)))
                return glyph;
    }
    return 0;
}

/* Formats 17, 18 and 19 differ in the metrics before the length. */
static struct span png_at(const struct font *font, size_t at, uint32_t format)
{
    size_t metrics = format == 17 ? 5 : format == 18 ? 8 : 0;
    struct span png = {.at = at + metrics + 4, .size = u32(font, at + metrics)};

    if (format < 17 || format > 19)
        die("%s: pictures of format %u: expected PNG, formats 17 to 19", font->path, (unsigned)format);
    if (png.at > font->size || png.size > font->size - png.at || png.size < 8 || memcmp(font->data + png.at, "\x89PNG\r\n\x1a\n", 8))
        die("%s: no PNG at byte %zu, where one should be", font->path, png.at);
    return png;
}

/* The picture of a glyph in the first of the sizes; of size 0 where it has none. */
static struct span picture_of(const struct font *font, uint32_t glyph)
{
    size_t list = font->places + u32(font, font->places + 8);
    uint32_t count = u32(font, font->places + 4) ? u32(font, font->places + 16) : 0;

    for (uint32_t i = 0; i < count; i++) {
        size_t entry = list + 8 * (size_t)i, table = list + u32(font, entry + 4);
        uint32_t first = u16(font, entry), width = u16(font, table) == 1 ? 4 : 2;
        size_t offset = table + 8 + width * (size_t)(glyph - first);
        uint32_t begin, end;

        if (glyph < first || glyph > u16(font, entry + 2))
            continue;
        if (u16(font, table) != 1 && u16(font, table) != 3)
            die("%s: an index of pictures of format %u: expected 1 or 3", font->path, (unsigned)u16(font, table));
        begin = number(font, offset, width);
        end = number(font, offset + width, width);
        if (begin < end)
            return png_at(font, font->pictures + u32(font, table + 4) + begin, u16(font, table + 2));
    }
    return (struct span){0};
}

static struct font read_font(const char *path)
{
    struct font font = {.path = path};
    FILE *file = fopen(path, "rb");
    long size;

    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0)
        die("%s: %s", path, strerror(errno));
    rewind(file);
    font.size = (size_t)size;
    font.data = malloc(font.size + 1);
    if (!font.data || fread(font.data, 1, font.size, file) != font.size)
        die("%s: cannot be read", path);
    fclose(file);
    font.characters = find_characters(&font);
    font.substitutions = find_table(&font, "GSUB");
    font.places = find_table(&font, "CBLC");
    font.pictures = find_table(&font, "CBDT");
    return font;
}

/* The characters of a line of UTF-8; 0 where it is not that or is longer than any emoji. */
static size_t decode(const char *line, uint32_t *characters)
{
    const unsigned char *at = (const unsigned char *)line;
    size_t count = 0;

    while (*at) {
        int more = *at < 0x80 ? 0 : *at >> 5 == 6 ? 1 : *at >> 4 == 14 ? 2 : *at >> 3 == 30 ? 3 : -1;
        uint32_t character = more > 0 ? *at & (0x3fu >> more) : *at;

        if (more < 0 || count == LONGEST)
            return 0;
        for (at++; more > 0; more--, at++) {
            if (*at >> 6 != 2)
                return 0;
            character = character << 6 | (*at & 0x3f);
        }
        characters[count++] = character;
    }
    return count;
}

static void put_number(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* The CRC-32 of PNG, of the `size` bytes of a chunk's type and data. */
static uint32_t crc(const unsigned char *data, size_t size)
{
    uint32_t value = 0xffffffff;

    for (size_t i = 0; i < size; i++) {
        value ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
    }
    return ~value;
}

/* A chunk of a PNG by its type, from its length on; of size 0 where there is none. */
static struct span find_chunk(const struct font *font, struct span picture, const char type[5])
{
    size_t end = picture.at + picture.size, at = picture.at + 8;

    while (end - at >= 12) {
        size_t length = u32(font, at);

        if (length > end - at - 12)
            break;
        if (!memcmp(font->data + at + 4, type, 4))
            return (struct span){at, length + 12};
        at += length + 12;
    }
    return (struct span){0};
}

/* A color of the palette that covers alpha / 255 of what is below it covers white. What says so, tRNS, becomes a chunk that readers pass over. */
static void lay_on_white(const struct font *font, struct span picture)
{
    struct span palette = find_chunk(font, picture, "PLTE"), alphas = find_chunk(font, picture, "tRNS");
    unsigned char *color = font->data + palette.at + 8, *alpha = font->data + alphas.at + 8;

    if (!palette.size || !alphas.size)
        return;
    for (size_t i = 0; i < alphas.size - 12 && 3 * i + 2 < palette.size - 12; i++)
        for (size_t c = 0; c < 3; c++)
            color[3 * i + c] = (unsigned char)((color[3 * i + c] * alpha[i] + 255 * (255 - alpha[i]) + 127) / 255);
    memcpy(alpha - 4, "seEn", 4);
    put_number(font->data + palette.at + palette.size - 4, crc(color - 4, palette.size - 8));
    put_number(font->data + alphas.at + alphas.size - 4, crc(alpha - 4, alphas.size - 8));
}

static void write_picture(const struct font *font, struct span picture, const char *path)
{
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(font->data + picture.at, 1, picture.size, file) != picture.size || fclose(file))
        die("%s: %s", path, strerror(errno));
}

/* Adds to a path, of which `used` bytes are there. */
static size_t add(char *path, size_t room, size_t used, const char *format, ...)
{
    va_list args;
    int more;

    va_start(args, format);
    more = vsnprintf(path + used, room - used, format, args);
    va_end(args);
    if (more < 0 || (size_t)more >= room - used)
        die("%s: too long a name", path);
    return used + (size_t)more;
}

static void take(const struct font *font, const char *directory, const char *line)
{
    uint32_t characters[LONGEST], glyphs[LONGEST];
    size_t count = decode(line, characters), used;
    char path[4096];
    struct span picture;

    used = add(path, sizeof path, 0, "%s/", directory);
    for (size_t i = 0; i < count; i++) {
        if (!(glyphs[i] = glyph_of(font, characters[i])))
            return;
        used = add(path, sizeof path, used, "%s%x", i ? "-" : "", (unsigned)characters[i]);
    }
    add(path, sizeof path, used, ".png");
    if (!count || (count > 1 && !(glyphs[0] = ligature_of(font, glyphs, count))))
        return;
    picture = picture_of(font, glyphs[0]);
    if (!picture.size)
        return;
    lay_on_white(font, picture);
    write_picture(font, picture, path);
    printf("%s\t%s\n", line, path);
}

int main(int argc, char **argv)
{
    struct font font;
    char line[1024];

    if (argc != 3) {
        fputs("usage: bitmaps FONT DIR <SEQUENCES >LIST\n", stderr);
        return 2;
    }
    font = read_font(argv[1]);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        take(&font, argv[2], line);
    }
    free(font.data);
    if (ferror(stdin) || ferror(stdout) || fclose(stdout))
        die("reading or writing failed: %s", strerror(errno));
    return 0;
}
