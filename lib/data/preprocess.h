/* preprocess.h - from a picture of any size to the pixels a model takes: resized, cropped from the center, 8 bits a channel.
 *
 * What is to be done stands in the model's directory: preprocessor_config.json (or processor_config.json) of Hugging Face, the `pretrained_cfg` of
 * timm's config.json, or nothing, as with torchvision's weights. The numbers are those of transformers' image processors on Pillow.
 * Scaling and normalising, the last step, is one multiplication and one addition a channel, and done in the model. */
#ifndef FT_DATA_PREPROCESS_H
#define FT_DATA_PREPROCESS_H

#include "data/resize.h"

#include <jansson.h>
#include <stdbool.h>

enum ft_resize_rule {
    FT_RESIZE_NONE,
    FT_RESIZE_SHORTEST,       /* the shorter edge becomes resize_height, the other keeps the ratio, rounded down */
    FT_RESIZE_EXACT,          /* resize_height x resize_width whatever the ratio was */
    FT_RESIZE_LONGEST,        /* the picture just fits into resize_height x resize_width, and keeps the ratio, rounded to even */
};

struct ft_preprocess {
    enum ft_resize_rule rule;
    enum ft_filter filter;
    size_t resize_height, resize_width;
    size_t height, width;     /* of what comes out; where it is larger than the resized picture there is `fill` around that */
    uint8_t fill;             /* in all channels: 0 is black */
    bool even;                /* an odd rest beside the crop is halved to even, as torchvision does; else down, as transformers does */
    /* x = ((byte * scale + offset) - mean[c]) / std[c] */
    double scale, offset, mean[3], std[3];
};

/* As torchvision's ImageNet weights want it: the shorter edge to `resize`, `size` x `size` from the center, mean and deviation of ImageNet. */
struct ft_preprocess ft_preprocess_torchvision(size_t size, size_t resize, enum ft_filter filter);

/* As CLIP's towers want it: the shorter edge to `size`, bicubic, `size` x `size` from the center, CLIP's own mean and deviation. */
struct ft_preprocess ft_preprocess_clip(size_t size);

/* From the directory of a model, of the model_type `model` or, where that is NULL, of config.json's. 1: found and read; 0: there is none; -1: FT_BAD names the
 * file and what is wrong or not covered. */
int ft_preprocess_open(const char *directory, const char *model, struct ft_preprocess *p);

/* The same, were its pictures side x side pixels: where a larger one is cropped, that is as many times larger. Where the directory says nothing, `p` is
 * resized, and then what transformers' BitImageProcessor would make of that. */
int ft_preprocess_open_sized(const char *directory, const char *model, size_t side, struct ft_preprocess *p);

/* Make the files of a directory, the same that ft_preprocess_open_sized had, say `p`. */
int ft_preprocess_save_sized(const char *directory, const char *model, const struct ft_preprocess *p);

/* preprocessor_config.json. `path` is for messages; `kind` is the model_type of config.json where the file itself does not say whose it is, or NULL. */
int ft_preprocess_read(struct ft_preprocess *p, const json_t *root, const char *path, const char *kind);

/* timm's pretrained_cfg. */
int ft_preprocess_read_timm(struct ft_preprocess *p, const json_t *config, const char *path);

/* open_clip's preprocess_cfg (or NULL), of a model that takes size x size. */
int ft_preprocess_read_open_clip(struct ft_preprocess *p, const json_t *config, const char *path, size_t size);

/* Of a picture of width x height: to what size it is resized, and where in that the crop begins, negative where `fill` comes before it.
 * FT_BAD when the resized picture would be too large. */
int ft_preprocess_place(const struct ft_preprocess *p, size_t width, size_t height, size_t *new_width, size_t *new_height, ptrdiff_t *left, ptrdiff_t *top);

/* out: [height, width, 3]. Memory comes from `scratch` and stays there. */
int ft_preprocess_run(const struct ft_preprocess *p, const struct ft_image *image, struct ft_arena *scratch, uint8_t *out);

/* x = byte * multiply[c] + add[c] */
void ft_preprocess_affine(const struct ft_preprocess *p, float multiply[3], float add[3]);

#endif
