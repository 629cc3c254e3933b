/* augment.c - the table of augmentations. A new one is a function, its keys, and a line there. */
#include "data/augment.h"
#include "base/error.h"
#include "base/random.h"
#include "base/tool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT "flip jitter crop blur grid"

/* Random numbers of one step of one item: key = seed, counter = (place, item, batch, "augm" and the step). */
struct draws {
    uint64_t seed, batch, item;
    uint32_t step, count;
};

struct ft_augment_kind {
    const char *name;
    struct ft_setting_key keys[FT_AUGMENT_KEYS + 1];   /* ends with a NULL name; `p`, where there is one, is the first; behind X-min comes X-max */
    int (*run)(const double *value, struct draws *draws, size_t width, size_t height, struct ft_arena *scratch, uint8_t *pixel);   /* NULL: crop */
};

/* [0, 1), 53 bits */
static double draw(struct draws *draws)
{
    struct ft_philox words = ft_philox(draws->seed, draws->count++, (uint32_t)draws->item, (uint32_t)draws->batch, 0x6175676d + draws->step);

    return (double)((uint64_t)(words.word[0] >> 5) << 26 | words.word[1] >> 6) * 0x1p-53;
}

static double draw_between(struct draws *draws, double low, double high)
{
    return low + draw(draws) * (high - low);
}

/* A whole number in [0, bound). */
static size_t draw_below(struct draws *draws, size_t bound)
{
    return (size_t)(draw(draws) * (double)bound);
}

enum { SCALE_MIN, SCALE_MAX, RATIO_MIN, RATIO_MAX };

/* torchvision.transforms.RandomResizedCrop.get_params: ten tries, then as much of the middle as the ratio allows. */
static struct ft_image_part crop_part(const double *value, struct draws *draws, size_t width, size_t height)
{
    double w, h, ratio = (double)width / (double)height;

    for (int i = 0; i < 10; i++) {
        double area = (double)width * (double)height * draw_between(draws, value[SCALE_MIN], value[SCALE_MAX]);
        double wide = exp(draw_between(draws, log(value[RATIO_MIN]), log(value[RATIO_MAX])));

        w = rint(sqrt(area * wide)), h = rint(sqrt(area / wide));
        if (w >= 1 && w <= (double)width && h >= 1 && h <= (double)height) {
            size_t top = draw_below(draws, height - (size_t)h + 1), left = draw_below(draws, width - (size_t)w + 1);

            return (struct ft_image_part){left, top, (size_t)w, (size_t)h};
        }
    }
    w = ratio > value[RATIO_MAX] ? fmax(rint((double)height * value[RATIO_MAX]), 1) : (double)width;
    h = ratio < value[RATIO_MIN] ? fmax(rint((double)width / value[RATIO_MIN]), 1) : (double)height;
    return (struct ft_image_part){(width - (size_t)w) / 2, (height - (size_t)h) / 2, (size_t)w, (size_t)h};
}

static int flip(const double *value, struct draws *draws, size_t width, size_t height, struct ft_arena *scratch, uint8_t *pixel)
{
    (void)value, (void)draws, (void)scratch;
    for (size_t y = 0; y < height; y++, pixel += width * 3)
        for (size_t left = 0, right = width - 1; left < right; left++, right--) {
            uint8_t keep[3];

            memcpy(keep, pixel + left * 3, 3);
            memcpy(pixel + left * 3, pixel + right * 3, 3);
            memcpy(pixel + right * 3, keep, 3);
        }
    return 0;
}

enum { P, BRIGHTNESS, CONTRAST, SATURATION, HUE };

/* torchvision.transforms.ColorJitter */
static int jitter(const double *value, struct draws *draws, size_t width, size_t height, struct ft_arena *scratch, uint8_t *pixel)
{
    static void (*const adjust[])(uint8_t *, size_t, double) = {ft_adjust_brightness, ft_adjust_contrast, ft_adjust_saturation, ft_adjust_hue};
    int order[4] = {0, 1, 2, 3};

    (void)scratch;
    for (int i = 3; i > 0; i--) {
        int j = (int)draw_below(draws, (size_t)i + 1), keep = order[i];

        order[i] = order[j];
        order[j] = keep;
    }
    for (int i = 0; i < 4; i++) {
        double most = value[BRIGHTNESS + order[i]], middle = order[i] == 3 ? 0 : 1;
        double factor = draw_between(draws, order[i] == 3 ? -most : fmax(middle - most, 0), middle + most);

        if (most > 0)
            adjust[order[i]](pixel, width * height, factor);
    }
    return 0;
}

enum { SIGMA_MIN = P + 1, SIGMA_MAX };

static int blur(const double *value, struct draws *draws, size_t width, size_t height, struct ft_arena *scratch, uint8_t *pixel)
{
    return ft_gaussian_blur(pixel, width, height, draw_between(draws, value[SIGMA_MIN], value[SIGMA_MAX]), scratch);
}

enum { RATIO = P + 1, CELLS };

static int grid(const double *value, struct draws *draws, size_t width, size_t height, struct ft_arena *scratch, uint8_t *pixel)
{
    size_t cell = (size_t)((double)width / value[CELLS]), hole, right, down;

    (void)scratch;
    cell = cell < 2 ? 2 : cell;
    hole = (size_t)((double)cell * value[RATIO]);
    hole = hole < 1 ? 1 : hole > cell - 1 ? cell - 1 : hole;
    right = draw_below(draws, cell);
    down = draw_below(draws, cell);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; (y + down) % cell < hole && x < width; x++)
            if ((x + right) % cell < hole)
                memset(pixel + (y * width + x) * 3, 0, 3);
    return 0;
}

#define KEY(text, usual, least, most) {.name = text, .otherwise = usual, .low = least, .high = most}

static const struct ft_augment_kind kinds[] = {
    {.name = "crop",
     .keys = {KEY("scale-min", .08, 1e-4, 1), KEY("scale-max", 1, 1e-4, 1), KEY("ratio-min", .75, .01, 100), KEY("ratio-max", 4. / 3, .01, 100)}},
    {.name = "flip", .run = flip, .keys = {KEY("p", .5, 0, 1)}},
    {.name = "jitter", .run = jitter,
     .keys = {KEY("p", 1, 0, 1), KEY("brightness", .2, 0, 10), KEY("contrast", .2, 0, 10), KEY("saturation", .2, 0, 10), KEY("hue", .2, 0, .5)}},
    {.name = "blur", .run = blur, .keys = {KEY("p", .5, 0, 1), KEY("sigma-min", .1, .01, 100), KEY("sigma-max", 2, .01, 100)}},
    {.name = "grid", .run = grid, .keys = {KEY("p", .5, 0, 1), KEY("ratio", .2, 0, 1), KEY("cells", 10, 1, 1000)}},
};

static int fail_unknown(const char *name)
{
    char names[256] = "";

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", kinds[i].name);
    return ft_fail(FT_USAGE, "unknown augmentation '%s': known are %snone default", name, names);
}

static int keys_read(struct ft_augment_step *step, const struct ft_setting *setting)
{
    const struct ft_setting_key *keys = step->kind->keys;
    const double *value = step->value;

    if (ft_setting_keys_read(setting, keys, step->value) < 0)
        return -1;
    for (int i = 1; keys[i].name; i++)
        if (strstr(keys[i].name, "-max") && value[i - 1] > value[i])
            return ft_fail(FT_USAGE, "%s: %s=%g is above %s=%g", setting->name, keys[i - 1].name, value[i - 1], keys[i].name, value[i]);
    return 0;
}

static int step_parse(struct ft_augment *augment, const char *text)
{
    struct ft_augment_step *step = &augment->steps[augment->count];
    struct ft_setting setting;
    size_t i = 0;

    if (ft_setting_parse(&setting, text) < 0)
        return -1;
    while (i < sizeof kinds / sizeof *kinds && strcmp(kinds[i].name, setting.name) != 0)
        i++;
    if (i == sizeof kinds / sizeof *kinds)
        return fail_unknown(setting.name);
    if (augment->count == FT_AUGMENT_STEPS)
        return ft_fail(FT_USAGE, "more than %d augmentations", FT_AUGMENT_STEPS);
    for (int k = 0; k < augment->count; k++)
        if (!kinds[i].run && augment->steps[k].kind == &kinds[i])
            return ft_fail(FT_USAGE, "two augmentations %s: expected one", setting.name);
    *step = (struct ft_augment_step){.kind = &kinds[i]};
    augment->count++;
    return keys_read(step, &setting);
}

int ft_augment_parse(struct ft_augment *augment, const char *text)
{
    char word[256];
    size_t size;

    *augment = (struct ft_augment){.count = 0};
    if (strcmp(text, "none") == 0)
        return 0;
    if (strcmp(text, "default") == 0)
        text = DEFAULT;
    for (const char *p = text; *(p += strspn(p, " ")); p += size) {
        size = strcspn(p, " ");
        if (size >= sizeof word)
            return ft_fail(FT_USAGE, "'%.60s...' is no augmentation", p);
        memcpy(word, p, size);
        word[size] = 0;
        if (step_parse(augment, word) < 0)
            return -1;
    }
    return augment->count ? 0 : ft_fail(FT_USAGE, "no augmentation: expected NAME:key=value between blanks, none or default");
}

int ft_augment_print(struct ft_buffer *out, const struct ft_augment *augment)
{
    if (augment->count == 0)
        return ft_buffer_print(out, "none");
    for (int s = 0; s < augment->count; s++) {
        const struct ft_augment_step *step = &augment->steps[s];

        if ((s && ft_buffer_print(out, " ") < 0) || ft_setting_keys_print(out, step->kind->name, step->kind->keys, step->value) < 0)
            return -1;
    }
    return 0;
}

int ft_augment_run(const struct ft_augment *augment, const struct ft_preprocess *p, uint64_t seed, uint64_t batch, uint64_t item,
                   const struct ft_image *image, struct ft_arena *scratch, uint8_t *out)
{
    struct draws draws = {.seed = seed, .batch = batch, .item = item};
    const struct ft_augment_step *crop = NULL;

    for (int s = 0; s < augment->count; s++)
        if (!augment->steps[s].kind->run)
            crop = &augment->steps[s], draws.step = (uint32_t)s;
    if (crop) {
        struct ft_image_part part = crop_part(crop->value, &draws, image->width, image->height);

        if (ft_image_resize(image, &part, p->filter, p->width, p->height, NULL, scratch, out) < 0)
            return -1;
    } else if (ft_preprocess_run(p, image, scratch, out) < 0) {
        return -1;
    }
    for (int s = 0; s < augment->count; s++) {
        const struct ft_augment_step *step = &augment->steps[s];

        draws.step = (uint32_t)s;
        draws.count = 0;
        if (step->kind->run && draw(&draws) < step->value[P] && step->kind->run(step->value, &draws, p->width, p->height, scratch, out) < 0)
            return -1;
    }
    return 0;
}
