/* image-jpeg.c - JPEG by libjpeg-turbo, with its default of exact transform and smooth chroma, as Pillow. */
#include "base/error.h"
#include "data/image-format.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

/* A progressive file may hold any number of scans, each as dear as the whole picture; encoders write about ten. */
enum { MOST_SCANS = 500 };

/* libjpeg's structures point at `errors` and `progress`, and its callbacks get back to `failed` from there. */
struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
};

static void stop(j_common_ptr jpeg)
{
    struct decoder *decoder = jpeg->client_data;
    char message[JMSG_LENGTH_MAX];

    jpeg->err->format_message(jpeg, message);
    ft_fail(jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? FT_SYSTEM : FT_BAD, "%s", message);
    longjmp(decoder->failed, 1);
}

/* A warning means that libjpeg goes on with pixels of its own making, or that it skipped something that made no difference. */
static void warn(j_common_ptr jpeg, int level)
{
    if (level >= 0)
        return;
    switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
        ft_image_fail_cut();
        longjmp(((struct decoder *)jpeg->client_data)->failed, 1);
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        stop(jpeg);
    }
}

static void watch(j_common_ptr jpeg)
{
    struct decoder *decoder = jpeg->client_data;

    if (decoder->jpeg.input_scan_number <= MOST_SCANS)
        return;
    ft_fail(FT_BAD, "more than %d scans", MOST_SCANS);
    longjmp(decoder->failed, 1);
}

static void print_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

/* Up to the headers; the caller has set `failed`. */
static void start(struct decoder *decoder, struct ft_string bytes)
{
    jpeg_create_decompress(&decoder->jpeg);   /* keeps err and client_data */
    decoder->progress.progress_monitor = watch;
    decoder->jpeg.progress = &decoder->progress;
    jpeg_mem_src(&decoder->jpeg, (const unsigned char *)bytes.data, bytes.size);
    jpeg_read_header(&decoder->jpeg, TRUE);
}

static void prepare(struct decoder *decoder)
{
    memset(decoder, 0, sizeof *decoder);
    decoder->jpeg.err = jpeg_std_error(&decoder->errors);
    decoder->jpeg.client_data = decoder;
    decoder->errors.error_exit = stop;
    decoder->errors.emit_message = warn;
    decoder->errors.output_message = print_nothing;
}

/* a * b / 255, rounded. */
static unsigned multiply(unsigned a, unsigned b)
{
    unsigned product = a * b + 128;

    return (product + (product >> 8)) >> 8;
}

/* Inks as Adobe stores them, 255 for none, to Pillow's RGB: white of the key's lightness less the ink. */
static void row_from_inks(const uint8_t *ink, size_t width, uint8_t *out)
{
    for (size_t x = 0; x < width; x++, ink += 4)
        for (int c = 0; c < 3; c++)
            *out++ = (uint8_t)(ink[3] - multiply(255u - ink[c], ink[3]));
}

static void read_rows(struct decoder *decoder, const struct ft_image *image)
{
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    bool inks = jpeg->num_components == 4;
    JSAMPARRAY row = NULL;

    if (jpeg->num_components == 2 || jpeg->num_components > 4) {
        ft_fail(FT_BAD, "%d components, expected 1, 3 or 4", jpeg->num_components);
        longjmp(decoder->failed, 1);
    }
    jpeg->out_color_space = inks ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    if (inks)
        row = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * 4, 1);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *out = image->pixel + jpeg->output_scanline * image->width * 3;

        jpeg_read_scanlines(jpeg, inks ? row : &out, 1);
        if (inks)
            row_from_inks(row[0], image->width, out);
    }
    jpeg_finish_decompress(jpeg);
}

/* In a function of its own: what setjmp's caller changes afterwards would be lost. */
static int read_all(struct decoder *decoder, struct ft_string bytes, const struct ft_image *image)
{
    if (setjmp(decoder->failed))
        return -1;
    start(decoder, bytes);
    if (image)
        read_rows(decoder, image);
    return 0;
}

static int jpeg_size(struct ft_string bytes, size_t *width, size_t *height)
{
    struct decoder decoder;
    int rc;

    prepare(&decoder);
    rc = read_all(&decoder, bytes, NULL);
    *width = decoder.jpeg.image_width;
    *height = decoder.jpeg.image_height;
    jpeg_destroy_decompress(&decoder.jpeg);
    return rc;
}

static int jpeg_decode(struct ft_string bytes, const struct ft_image *image)
{
    struct decoder decoder;
    int rc;

    prepare(&decoder);
    rc = read_all(&decoder, bytes, image);
    jpeg_destroy_decompress(&decoder.jpeg);
    return rc;
}

/* APP1 segments before the first scan. Of several with EXIF the first has the directory. */
static void find_exif(struct ft_string bytes, struct ft_string *exif, struct ft_string *xmp)
{
    static const struct ft_string exif_mark = FT_STRING("Exif\0\0"), xmp_mark = FT_STRING("http://ns.adobe.com/xap/1.0/\0");
    size_t at = 2, size;
    const uint8_t *p;

    while (ft_bytes_at(bytes, at, 4, &p)) {
        struct ft_string segment;

        if (p[0] != 0xff || p[1] == 0xff || p[1] == 0) {    /* fill bytes, and rubbish between segments */
            at++;
            continue;
        }
        if (p[1] == 0xda || p[1] == 0xd9)
            return;
        if (p[1] == 1 || (p[1] >= 0xd0 && p[1] <= 0xd8)) {
            at += 2;
            continue;
        }
        size = ft_big16(p + 2);
        if (size < 2 || !ft_bytes_at(bytes, at + 2, size, &p))
            return;
        segment = (struct ft_string){(const char *)p + 2, size - 2};
        if (p[-1] == 0xe1 && segment.size >= exif_mark.size && memcmp(segment.data, exif_mark.data, exif_mark.size) == 0 && !exif->size)
            *exif = segment;
        if (p[-1] == 0xe1 && segment.size >= xmp_mark.size && memcmp(segment.data, xmp_mark.data, xmp_mark.size) == 0)
            *xmp = segment;
        at += 2 + size;
    }
}

const struct ft_image_format ft_image_jpeg = {.name = "JPEG", .magic = "\xff\xd8\xff", .size = jpeg_size, .decode = jpeg_decode, .find_exif = find_exif};
