/* preprocess.c - where a crop lies, and the two steps over pixels. What the files say is preprocess-files.c. */
#include "data/preprocess.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

/* Resized pictures beyond this are of a ratio that no picture has. */
#define LONGEST ((size_t)1 << 20)

/* Half of what is left beside `size`; where nothing is left but `size` is larger, how much of `fill` comes first, negative. */
static ptrdiff_t margin(size_t whole, size_t size, bool even)
{
    size_t rest = whole >= size ? whole - size : size - whole;

    if (whole < size)
        return -(ptrdiff_t)(even ? rest / 2 : (rest + 1) / 2);
    return (ptrdiff_t)(even && rest % 4 == 3 ? rest / 2 + 1 : rest / 2);
}

/* One side of a picture that just fits. open_clip fails where nothing would be left of a line; here it stays a line. */
static size_t fitted(size_t side, double ratio)
{
    double size = rint((double)side / ratio);

    return size >= 1 ? (size_t)size : 1;
}

int ft_preprocess_place(const struct ft_preprocess *p, size_t width, size_t height, size_t *new_width, size_t *new_height, ptrdiff_t *left, ptrdiff_t *top)
{
    *new_width = p->rule == FT_RESIZE_NONE ? width : p->rule == FT_RESIZE_EXACT ? p->resize_width : p->resize_height;
    *new_height = p->rule == FT_RESIZE_NONE ? height : p->resize_height;
    if (p->rule == FT_RESIZE_SHORTEST && height > width)
        *new_height = p->resize_height * height / width;
    if (p->rule == FT_RESIZE_SHORTEST && width > height)
        *new_width = p->resize_height * width / height;
    if (p->rule == FT_RESIZE_SHORTEST && (*new_width > LONGEST || *new_height > LONGEST))
        return ft_fail(FT_BAD, "%zu x %zu pixels would be resized to %zu x %zu", width, height, *new_width, *new_height);
    if (p->rule == FT_RESIZE_LONGEST) {
        double ratio = fmax((double)height / (double)p->resize_height, (double)width / (double)p->resize_width);

        *new_width = fitted(width, ratio);
        *new_height = fitted(height, ratio);
    }
    *left = margin(*new_width, p->width, p->even);
    *top = margin(*new_height, p->height, p->even);
    return 0;
}

/* The part of [0, whole) that [start, start + size) has. */
static void overlap(ptrdiff_t start, size_t size, size_t whole, size_t *from, size_t *count)
{
    *from = start < 0 ? 0 : (size_t)start;
    *count = start < 0 ? whole : whole - (size_t)start < size ? whole - (size_t)start : size;
}

int ft_preprocess_run(const struct ft_preprocess *p, const struct ft_image *image, struct ft_arena *scratch, uint8_t *out)
{
    size_t width, height, before_left, before_top;
    ptrdiff_t left, top;
    struct ft_image_part want;
    uint8_t *some;

    if (ft_preprocess_place(p, image->width, image->height, &width, &height, &left, &top) < 0)
        return -1;
    overlap(left, p->width, width, &want.left, &want.width);
    overlap(top, p->height, height, &want.top, &want.height);
    if (want.width == p->width && want.height == p->height)
        return ft_image_resize(image, NULL, p->filter, width, height, &want, scratch, out);
    if (!(some = ft_arena_zero(scratch, want.width * want.height, 3)) ||
        ft_image_resize(image, NULL, p->filter, width, height, &want, scratch, some) < 0)
        return -1;
    before_left = left < 0 ? (size_t)-left : 0;
    before_top = top < 0 ? (size_t)-top : 0;
    memset(out, p->fill, p->height * p->width * 3);
    for (size_t y = 0; y < want.height; y++)
        memcpy(out + ((before_top + y) * p->width + before_left) * 3, some + y * want.width * 3, want.width * 3);
    return 0;
}

void ft_preprocess_affine(const struct ft_preprocess *p, float multiply[3], float add[3])
{
    for (int c = 0; c < 3; c++) {
        multiply[c] = (float)(p->scale / p->std[c]);
        add[c] = (float)((p->offset - p->mean[c]) / p->std[c]);
    }
}

struct ft_preprocess ft_preprocess_torchvision(size_t size, size_t resize, enum ft_filter filter)
{
    return (struct ft_preprocess){.rule = FT_RESIZE_SHORTEST, .filter = filter, .resize_height = resize, .resize_width = resize, .height = size,
                                  .width = size, .even = true, .scale = 1. / 255, .mean = {.485, .456, .406}, .std = {.229, .224, .225}};
}

struct ft_preprocess ft_preprocess_clip(size_t size)
{
    struct ft_preprocess p = ft_preprocess_torchvision(size, size, FT_FILTER_BICUBIC);
    static const double mean[3] = {.48145466, .4578275, .40821073}, std[3] = {.26862954, .26130258, .27577711};

    memcpy(p.mean, mean, sizeof mean);
    memcpy(p.std, std, sizeof std);
    return p;
}
