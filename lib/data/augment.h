/* augment.h - pictures varied for training, each time otherwise: a pure function of seed, batch and item.
 *
 *     crop:scale-min=.08,scale-max=1,ratio-min=.75,ratio-max=1.3333   a part of random area and ratio, resized to the model's size, in place of
 *                                                                     its resizing and center crop (torchvision's RandomResizedCrop)
 *     flip:p=.5                                                       left and right changed
 *     jitter:p=1,brightness=.2,contrast=.2,saturation=.2,hue=.2       in random order (torchvision's ColorJitter)
 *     blur:p=.5,sigma-min=.1,sigma-max=2                              by a Gaussian (torchvision's GaussianBlur, of 13 pixels)
 *     grid:p=.5,ratio=.2,cells=10                                     a grid of black squares at a random place (GridMask, Chen et al. 2020, as
 *                                                                     albumentations' GridDropout: a cell is the width / cells, a square ratio of it)
 *
 * Crop comes first wherever it stands, the others in their order. "default" is what Finetuner did: flip, jitter, crop, blur, and grid with ratio .2. */
#ifndef FT_DATA_AUGMENT_H
#define FT_DATA_AUGMENT_H

#include "data/preprocess.h"

enum { FT_AUGMENT_STEPS = 8, FT_AUGMENT_KEYS = 5 };

struct ft_augment_kind;

struct ft_augment {
    int count;
    struct ft_augment_step {
        const struct ft_augment_kind *kind;
        double value[FT_AUGMENT_KEYS];
    } steps[FT_AUGMENT_STEPS];
};

/* Settings between blanks, "none" or "default". FT_USAGE. */
int ft_augment_parse(struct ft_augment *augment, const char *text);

/* The same again as text with every key, "none" when there are none: what a run keeps. */
int ft_augment_print(struct ft_buffer *out, const struct ft_augment *augment);

/* One picture at the model's size: out is [p->height, p->width, 3]. Without steps it is ft_preprocess_run. */
int ft_augment_run(const struct ft_augment *augment, const struct ft_preprocess *p, uint64_t seed, uint64_t batch, uint64_t item,
                   const struct ft_image *image, struct ft_arena *scratch, uint8_t *out);

/* The parts, over [count, 3] or [height, width, 3]. A factor of 1 changes nothing, nor a hue of 0 (whole turns: -.5 to .5).
 * torchvision.transforms.functional on tensors of bytes. */
void ft_adjust_brightness(uint8_t *pixel, size_t count, double factor);
void ft_adjust_contrast(uint8_t *pixel, size_t count, double factor);
void ft_adjust_saturation(uint8_t *pixel, size_t count, double factor);
void ft_adjust_hue(uint8_t *pixel, size_t count, double turn);
int ft_gaussian_blur(uint8_t *pixel, size_t width, size_t height, double sigma, struct ft_arena *scratch);

#endif
