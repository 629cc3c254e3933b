/* resize.c - weights of a filter, then one pass along rows and one along columns.
 *
 * The pass along rows takes GROUP rows at a time, turned so that their pixels of one column lie together: the sums of a column are then
 * independent and of fixed number, which is what a compiler makes vectors of. All sums are of integers: no order changes a bit. */
#include "data/resize.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { FRACTION = 22, GROUP = 32, LANES = 3 * GROUP, BLOCK = 64, MOST = 1 << 24 };

static const char *const names[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};

/* Output i is the sum over t < count[i] of weight[i * taps + t] times input first[i] + t. */
struct weights {
    size_t outputs, taps;
    uint32_t *first, *count;
    int32_t *weight;
};

/* Rows of bytes somewhere. */
struct rows {
    uint8_t *at;
    size_t stride;
};

const char *ft_filter_name(enum ft_filter filter)
{
    return filter < FT_FILTERS ? names[filter] : NULL;
}

enum ft_filter ft_filter_find(const char *name)
{
    int i = 0;

    while (i < FT_FILTERS && strcmp(names[i], name) != 0)
        i++;
    return (enum ft_filter)i;
}

static double sinc(double x)
{
    return x == 0 ? 1 : sin(x * M_PI) / (x * M_PI);
}

static double support_of(enum ft_filter filter)
{
    return filter == FT_FILTER_LANCZOS ? 3 : filter == FT_FILTER_BICUBIC ? 2 : filter == FT_FILTER_BOX ? .5 : 1;
}

static double filter_at(enum ft_filter filter, double x)
{
    const double a = -.5;

    if (filter == FT_FILTER_BOX)
        return x > -.5 && x <= .5 ? 1 : 0;
    if (filter == FT_FILTER_LANCZOS)
        return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
    x = fabs(x);
    if (filter == FT_FILTER_BILINEAR)
        return x < 1 ? 1 - x : 0;
    if (filter == FT_FILTER_HAMMING)
        return x == 0 ? 1 : x >= 1 ? 0 : sin(x * M_PI) / (x * M_PI) * (.54f + .46f * cos(x * M_PI));   /* floats in Pillow too */
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* The weights of one output whose center lies at `center` of the input, normalised, then rounded to integers away from zero. */
static void weigh(enum ft_filter filter, double center, double stretch, size_t inputs, double *real, struct weights *w, size_t i)
{
    double support = support_of(filter) * stretch, sum = 0;
    int first = (int)(center - support + .5), last = (int)(center + support + .5);

    first = first < 0 ? 0 : first;
    last = last > (int)inputs ? (int)inputs : last;
    for (int t = 0; t < last - first; t++)
        sum += real[t] = filter_at(filter, (t + first - center + .5) * (1 / stretch));
    for (int t = 0; t < last - first; t++) {
        double share = sum != 0 ? real[t] / sum : real[t];

        w->weight[i * w->taps + (size_t)t] = (int32_t)((share < 0 ? -.5 : .5) + share * (1 << FRACTION));
    }
    w->first[i] = (uint32_t)first;
    w->count[i] = (uint32_t)(last - first);
}

/* Of `inputs` resized to `outputs`, for those from `from` on, `count` of them. */
static int weights_make(struct weights *w, struct ft_arena *scratch, enum ft_filter filter, size_t inputs, size_t outputs, size_t from, size_t count)
{
    double scale = (double)inputs / (double)outputs, stretch = scale < 1 ? 1 : scale;
    double *real;

    w->outputs = count;
    w->taps = (size_t)ceil(support_of(filter) * stretch) * 2 + 1;
    w->first = ft_arena_zero(scratch, count, sizeof *w->first);
    w->count = ft_arena_zero(scratch, count, sizeof *w->count);
    w->weight = ft_arena_zero(scratch, count, w->taps * sizeof *w->weight);
    real = ft_arena_zero(scratch, w->taps, sizeof *real);
    if (!w->first || !w->count || !w->weight || !real)
        return -1;
    for (size_t i = 0; i < count; i++)
        weigh(filter, ((double)(from + i) + .5) * scale, stretch, inputs, real, w, i);
    return 0;
}

static inline uint8_t clip(int32_t sum)
{
    sum >>= FRACTION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* in: [columns, LANES], of GROUP rows; the outputs of the row r go to out[r], for r < rows. */
static inline __attribute__((always_inline)) void across_body(const struct weights *w, const uint8_t *in, uint8_t *const *out, size_t rows)
{
    for (size_t i = 0; i < w->outputs; i++) {
        const uint8_t *column = in + (size_t)w->first[i] * LANES;
        const int32_t *weight = w->weight + i * w->taps;
        int32_t sum[LANES];
        uint8_t byte[LANES];

        for (int k = 0; k < LANES; k++)
            sum[k] = 1 << (FRACTION - 1);
        for (uint32_t t = 0; t < w->count[i]; t++, column += LANES)
            for (int k = 0; k < LANES; k++)
                sum[k] += weight[t] * column[k];
        for (int k = 0; k < LANES; k++)
            byte[k] = clip(sum[k]);
        for (size_t r = 0; r < rows; r++)
            memcpy(out[r] + 3 * i, byte + 3 * r, 3);
    }
}

/* `size` bytes of one row of the output, of as many bytes of `count` rows. */
static inline __attribute__((always_inline)) void block_body(const int32_t *weight, uint32_t count, struct rows in, size_t size, uint8_t *out)
{
    int32_t sum[BLOCK];

    for (size_t k = 0; k < size; k++)
        sum[k] = 1 << (FRACTION - 1);
    for (uint32_t t = 0; t < count; t++, in.at += in.stride)
        for (size_t k = 0; k < size; k++)
            sum[k] += weight[t] * in.at[k];
    for (size_t k = 0; k < size; k++)
        out[k] = clip(sum[k]);
}

static inline __attribute__((always_inline)) void down_body(const int32_t *weight, uint32_t count, struct rows in, size_t size, uint8_t *out)
{
    for (; size >= BLOCK; size -= BLOCK, in.at += BLOCK, out += BLOCK)
        block_body(weight, count, in, BLOCK, out);
    block_body(weight, count, in, size, out);
}

static void across_plain(const struct weights *w, const uint8_t *in, uint8_t *const *out, size_t rows)
{
    across_body(w, in, out, rows);
}

static void down_plain(const int32_t *weight, uint32_t count, struct rows in, size_t size, uint8_t *out)
{
    down_body(weight, count, in, size, out);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static void across_avx2(const struct weights *w, const uint8_t *in, uint8_t *const *out, size_t rows)
{
    across_body(w, in, out, rows);
}

__attribute__((target("avx2"))) static void down_avx2(const int32_t *weight, uint32_t count, struct rows in, size_t size, uint8_t *out)
{
    down_body(weight, count, in, size, out);
}

static bool wide(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
#define across_avx2 across_plain
#define down_avx2 down_plain

static bool wide(void)
{
    return false;
}
#endif

/* [rows, columns, 3] to [columns, GROUP, 3]; rows that are not there are the last one again. */
static void turn(struct rows in, size_t rows, size_t columns, uint8_t *to)
{
    const uint8_t *row[GROUP];

    for (size_t r = 0; r < GROUP; r++)
        row[r] = in.at + (r < rows ? r : rows - 1) * in.stride;
    for (size_t x = 0; x < columns; x++, to += LANES)
        for (size_t r = 0; r < GROUP; r++)
            memcpy(to + 3 * r, row[r] + 3 * x, 3);
}

static int pass_across(const struct weights *w, struct ft_arena *scratch, struct rows in, size_t rows, size_t columns, struct rows to)
{
    uint8_t *turned = ft_arena_take(scratch, columns * LANES), *out[GROUP];

    if (!turned)
        return -1;
    for (size_t y = 0; y < rows; y += GROUP) {
        size_t some = rows - y < GROUP ? rows - y : GROUP;

        turn((struct rows){in.at + y * in.stride, in.stride}, some, columns, turned);
        for (size_t r = 0; r < some; r++)
            out[r] = to.at + (y + r) * to.stride;
        (wide() ? across_avx2 : across_plain)(w, turned, out, some);
    }
    return 0;
}

static void pass_down(const struct weights *w, struct rows in, size_t size, struct rows to)
{
    for (size_t i = 0; i < w->outputs; i++, to.at += to.stride) {
        struct rows from = {in.at + w->first[i] * in.stride, in.stride};

        (wide() ? down_avx2 : down_plain)(w->weight + i * w->taps, w->count[i], from, size, to.at);
    }
}

/* Pillow adds the step up rather than multiplying, so the sums must round as there. */
static int nearest(struct rows in, const struct ft_image_part *part, size_t width, size_t height, const struct ft_image_part *want,
                   struct ft_arena *scratch, uint8_t *out)
{
    double step = (double)part->width / (double)width, down = (double)part->height / (double)height, place = step * .5;
    size_t *column = ft_arena_zero(scratch, width, sizeof *column);

    if (!column)
        return -1;
    for (size_t x = 0; x < width; x++, place += step)
        column[x] = (size_t)place < part->width ? (size_t)place : part->width - 1;
    place = down * .5;
    for (size_t y = 0; y < want->top + want->height; y++, place += down) {
        const uint8_t *row = in.at + ((size_t)place < part->height ? (size_t)place : part->height - 1) * in.stride;

        if (y >= want->top)
            for (size_t x = 0; x < want->width; x++, out += 3)
                memcpy(out, row + column[want->left + x] * 3, 3);
    }
    return 0;
}

/* The inputs that any output looks at; they are counted from the first of them afterwards. */
static void narrow(struct weights *w, size_t *first, size_t *count)
{
    *first = w->first[0];
    *count = w->first[w->outputs - 1] + w->count[w->outputs - 1] - *first;
    for (size_t i = 0; i < w->outputs; i++)
        w->first[i] -= (uint32_t)*first;
}

/* Both directions. Rows first, but columns where the height loses more than twice what the width does: so Pillow since 13, before always
 * rows, and the order shows in the bytes. */
static int both(const struct weights *x, const struct weights *y, bool down_first, struct ft_arena *scratch, struct rows in, size_t columns,
                size_t rows, uint8_t *out)
{
    struct rows to = {out, x->outputs * 3}, middle = {.stride = down_first ? columns * 3 : to.stride};

    if (!(middle.at = ft_arena_zero(scratch, down_first ? y->outputs : rows, middle.stride)))
        return -1;
    if (down_first) {
        pass_down(y, in, columns * 3, middle);
        return pass_across(x, scratch, middle, y->outputs, columns, to);
    }
    if (pass_across(x, scratch, in, rows, columns, middle) < 0)
        return -1;
    pass_down(y, middle, to.stride, to);
    return 0;
}

static int average(struct rows in, const struct ft_image_part *part, enum ft_filter filter, size_t width, size_t height,
                   const struct ft_image_part *want, struct ft_arena *scratch, uint8_t *out)
{
    bool across = part->width != width, down = part->height != height;
    bool down_first = part->height > height && part->height - height + 2 * width > 2 * part->width;
    struct rows to = {out, want->width * 3};
    size_t left = want->left, top = want->top, columns = want->width, rows = want->height;
    struct weights x, y;

    if (across && weights_make(&x, scratch, filter, part->width, width, want->left, want->width) < 0)
        return -1;
    if (down && weights_make(&y, scratch, filter, part->height, height, want->top, want->height) < 0)
        return -1;
    if (across)
        narrow(&x, &left, &columns);
    if (down)
        narrow(&y, &top, &rows);
    in.at += top * in.stride + left * 3;
    if (across && down)
        return both(&x, &y, down_first, scratch, in, columns, rows, out);
    if (across)
        return pass_across(&x, scratch, in, rows, columns, to);
    if (down)
        pass_down(&y, in, to.stride, to);
    for (size_t r = 0; !down && r < rows; r++)
        memcpy(to.at + r * to.stride, in.at + r * in.stride, to.stride);
    return 0;
}

static bool inside(const struct ft_image_part *part, size_t width, size_t height)
{
    return part->width >= 1 && part->height >= 1 && part->width <= width && part->height <= height &&
           part->left <= width - part->width && part->top <= height - part->height;
}

int ft_image_resize(const struct ft_image *image, const struct ft_image_part *part, enum ft_filter filter, size_t width, size_t height,
                    const struct ft_image_part *want, struct ft_arena *scratch, uint8_t *out)
{
    struct ft_image_part all = {0, 0, image->width, image->height}, whole = {0, 0, width, height};
    struct rows in = {image->pixel, image->width * 3};

    part = part ? part : &all;
    want = want ? want : &whole;
    if (width > MOST || height > MOST || filter >= FT_FILTERS || !inside(part, image->width, image->height) || !inside(want, width, height))
        return ft_fail(FT_USAGE, "a picture of %zu x %zu pixels cannot be resized to %zu x %zu", image->width, image->height, width, height);
    in.at += part->top * in.stride + part->left * 3;
    if (filter == FT_FILTER_NEAREST)
        return nearest(in, part, width, height, want, scratch, out);
    return average(in, part, filter, width, height, want, scratch, out);
}
