/* augment-pixels.c - the arithmetic of augmentation, with the formulas and the rounding of torchvision.transforms.functional on bytes. */
#include "data/augment.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { KERNEL = 13, HALF = KERNEL / 2 };

static uint8_t byte_of(float value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* factor * value + (1 - factor) * other, cut off to whole numbers */
static uint8_t blend(uint8_t value, float other, double factor)
{
    return byte_of((float)factor * (float)value + (float)(1 - factor) * other);
}

static float grey(const uint8_t *pixel)
{
    return (float)(int)(.2989f * (float)pixel[0] + .587f * (float)pixel[1] + .114f * (float)pixel[2]);
}

void ft_adjust_brightness(uint8_t *pixel, size_t count, double factor)
{
    for (size_t i = 0; i < count * 3; i++)
        pixel[i] = blend(pixel[i], 0, factor);
}

/* Towards the mean of the grey picture. */
void ft_adjust_contrast(uint8_t *pixel, size_t count, double factor)
{
    uint64_t sum = 0;
    float mean;

    for (size_t i = 0; i < count; i++)
        sum += (uint64_t)grey(pixel + 3 * i);
    mean = (float)((double)sum / (double)count);
    for (size_t i = 0; i < count * 3; i++)
        pixel[i] = blend(pixel[i], mean, factor);
}

/* Towards each pixel's grey. */
void ft_adjust_saturation(uint8_t *pixel, size_t count, double factor)
{
    for (size_t i = 0; i < count; i++, pixel += 3) {
        float other = grey(pixel);

        for (int c = 0; c < 3; c++)
            pixel[c] = blend(pixel[c], other, factor);
    }
}

/* Hue in turns, of a pixel that is not grey; `high` and `spread` are of bytes. */
static float hue_of(const uint8_t *p, float high, float spread)
{
    float r = (high - (float)p[0]) / spread, g = (high - (float)p[1]) / spread, b = (high - (float)p[2]) / spread;
    float sixth = p[0] >= p[1] && p[0] >= p[2] ? b - g : p[1] >= p[2] ? 2 + r - b : 4 + g - r;

    return sixth < 0 ? sixth / 6 + 1 : sixth / 6 + 1 - 1;    /* as torch's fmod(sixth / 6 + 1, 1) rounds */
}

void ft_adjust_hue(uint8_t *pixel, size_t count, double turn)
{
    for (size_t i = 0; i < count; i++, pixel += 3) {
        uint8_t most = pixel[0] > pixel[1] ? pixel[0] : pixel[1], least = pixel[0] < pixel[1] ? pixel[0] : pixel[1];
        float high, spread, sixth, rest, part[4];
        static const uint8_t order[6][3] = {{0, 3, 1}, {2, 0, 1}, {1, 0, 3}, {1, 2, 0}, {3, 1, 0}, {0, 1, 2}};

        most = pixel[2] > most ? pixel[2] : most;
        least = pixel[2] < least ? pixel[2] : least;
        if (most == least)
            continue;
        high = (float)most, spread = (float)(most - least);
        sixth = hue_of(pixel, high, spread) + (float)turn;
        sixth = (sixth < 0 ? sixth + 1 : sixth >= 1 ? sixth - 1 : sixth) * 6;
        rest = sixth - (float)(int)sixth;
        part[0] = high;                          /* value, and the three that saturation and the place in the sixth take from it */
        part[1] = high - spread;
        part[2] = high - spread * rest;
        part[3] = high - spread * (1 - rest);
        for (int c = 0; c < 3; c++)
            pixel[c] = byte_of(part[order[(int)sixth % 6][c]] / 255 * 255.999f);
    }
}

/* Where a place outside of [0, size) is in its mirror, whose border is the outermost pixel itself. */
static size_t mirrored(ptrdiff_t at, size_t size)
{
    ptrdiff_t period = size > 1 ? 2 * ((ptrdiff_t)size - 1) : 1;

    at %= period;
    at = at < 0 ? at + period : at;
    return (size_t)at < size ? (size_t)at : (size_t)(period - at);
}

static void add_row(float *restrict to, const float *restrict from, float weight, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] += weight * from[i];
}

/* Along rows into floats, then along columns; the weights' product is torchvision's square kernel. */
int ft_gaussian_blur(uint8_t *pixel, size_t width, size_t height, double sigma, struct ft_arena *scratch)
{
    size_t size = width * 3;
    float weight[KERNEL], sum = 0, *middle = ft_arena_zero(scratch, size * height, sizeof *middle);
    float *wide = ft_arena_zero(scratch, size + 2 * HALF * 3, sizeof *wide), *total = ft_arena_zero(scratch, size, sizeof *total);

    if (!middle || !wide || !total)
        return -1;
    for (int k = 0; k < KERNEL; k++)
        sum += weight[k] = (float)exp(-.5 * (k - HALF) / sigma * ((k - HALF) / sigma));
    for (int k = 0; k < KERNEL; k++)
        weight[k] /= sum;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width + 2 * HALF; x++)
            for (size_t c = 0; c < 3; c++)
                wide[3 * x + c] = pixel[y * size + mirrored((ptrdiff_t)x - HALF, width) * 3 + c];
        for (size_t k = 0; k < KERNEL; k++)
            add_row(middle + y * size, wide + 3 * k, weight[k], size);
    }
    for (size_t y = 0; y < height; y++) {
        memset(total, 0, size * sizeof *total);
        for (int k = 0; k < KERNEL; k++)
            add_row(total, middle + mirrored((ptrdiff_t)y + k - HALF, height) * size, weight[k], size);
        for (size_t x = 0; x < size; x++)
            pixel[y * size + x] = byte_of((float)lrintf(total[x]));
    }
    return 0;
}
