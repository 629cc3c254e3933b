/* image-webp.c - WebP by libwebp; of an animation the first frame on a black canvas. */
#include "base/error.h"
#include "data/image-format.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

static const char *reason(VP8StatusCode code)
{
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY: return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE: return "something that libwebp does not do";
    case VP8_STATUS_NOT_ENOUGH_DATA: return "the file is cut short";
    default: return "damaged";
    }
}

static int fail(VP8StatusCode code)
{
    return ft_fail(code == VP8_STATUS_OUT_OF_MEMORY ? FT_SYSTEM : FT_BAD, "%s", reason(code));
}

static int webp_size(struct ft_string bytes, size_t *width, size_t *height)
{
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures((const uint8_t *)bytes.data, bytes.size, &features);

    if (code != VP8_STATUS_OK)
        return fail(code);
    *width = (size_t)features.width;
    *height = (size_t)features.height;
    return 0;
}

/* The frame's own pixels into their place. */
static int read_frame(const WebPIterator *frame, const struct ft_image *image)
{
    size_t stride = image->width * 3, x = (size_t)frame->x_offset, y = (size_t)frame->y_offset;
    size_t width = (size_t)frame->width, height = (size_t)frame->height;
    WebPDecoderConfig config;
    VP8StatusCode code;

    if (x + width > image->width || y + height > image->height)
        return ft_fail(FT_BAD, "a frame of %zu x %zu at %zu, %zu lies outside of %zu x %zu pixels", width, height, x, y, image->width, image->height);
    if (!WebPInitDecoderConfig(&config))
        return ft_fail(FT_SYSTEM, "another version of libwebp than ft was built with");
    code = WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input);
    if (code == VP8_STATUS_OK && ((size_t)config.input.width != width || (size_t)config.input.height != height))
        code = VP8_STATUS_BITSTREAM_ERROR;
    if (code != VP8_STATUS_OK)
        return fail(code);
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->pixel + y * stride + x * 3;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = (height - 1) * stride + width * 3;
    code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    return code == VP8_STATUS_OK ? 0 : fail(code);
}

static int webp_decode(struct ft_string bytes, const struct ft_image *image)
{
    WebPData data = {(const uint8_t *)bytes.data, bytes.size};
    WebPDemuxer *demuxer = WebPDemux(&data);
    WebPIterator frame;
    int rc;

    if (!demuxer)
        return ft_fail(FT_BAD, "the file is cut short or damaged");
    if (WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH) != image->width || WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT) != image->height ||
        !WebPDemuxGetFrame(demuxer, 1, &frame)) {
        WebPDemuxDelete(demuxer);
        return ft_fail(FT_BAD, "no frame in it");
    }
    if ((size_t)frame.width != image->width || (size_t)frame.height != image->height)
        memset(image->pixel, 0, image->width * image->height * 3);
    rc = read_frame(&frame, image);
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    return rc;
}

/* Chunks of RIFF: type, length, data padded to even. */
static void find_exif(struct ft_string bytes, struct ft_string *exif, struct ft_string *xmp)
{
    size_t at = 12, size;
    const uint8_t *p;

    while (ft_bytes_at(bytes, at, 8, &p)) {
        const uint8_t *type = p, *data;

        size = ft_little32(p + 4);
        if (!ft_bytes_at(bytes, at + 8, size, &data))
            return;
        if (memcmp(type, "EXIF", 4) == 0 && !exif->size)
            *exif = (struct ft_string){(const char *)data, size};
        if (memcmp(type, "XMP ", 4) == 0 && !xmp->size)
            *xmp = (struct ft_string){(const char *)data, size};
        at += 8 + size + size % 2;
    }
}

const struct ft_image_format ft_image_webp = {.name = "WebP", .magic = "RIFF????WEBP", .size = webp_size, .decode = webp_decode, .find_exif = find_exif};
