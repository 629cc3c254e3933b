/* vision.h - nodes that image families share. Names are those of the files, which decide by which library's names a family is built. */
#ifndef FT_MODEL_FAMILIES_VISION_H
#define FT_MODEL_FAMILIES_VISION_H

#include "model/model-build.h"

/* What comes behind a map's edges (a size is that of the map, o that of the output):
 * SYMMETRIC  (kernel - 1) / 2 on both sides, torch's habit
 * SAME       as TensorFlow: o = size / stride rounded up, half of what is missing before, rounded down
 * CORRECT    as Keras' EfficientNet and transformers': where the stride is 2, kernel / 2 - 1 before and kernel / 2 behind
 * VALID      nothing: what the last window does not cover is left out */
enum ft_padding { FT_PADDING_SYMMETRIC, FT_PADDING_SAME, FT_PADDING_CORRECT, FT_PADDING_VALID };

struct ft_convolution {
    size_t outputs, kernel, stride;
    bool depthwise, bias;
    enum ft_padding padding;
};

/* Batch norms of a family. */
struct ft_norms {
    double epsilon, momentum;
};

/* 8-bit pixels as numbers: the input of every image family, of model->height x across. */
int ft_vision_pixels(struct ft_builder *b);

int ft_vision_convolution(struct ft_builder *b, int input, const struct ft_convolution *c, const char *name);
int ft_vision_norm(struct ft_builder *b, int input, const struct ft_norms *norms, const char *name);

/* FT_IDENTITY adds no node. */
int ft_vision_activation(struct ft_builder *b, int input, enum ft_activation f, const char *name);
int ft_vision_max_pool(struct ft_builder *b, int input, size_t kernel, size_t stride, const char *name);
int ft_vision_mean_pool(struct ft_builder *b, int input, size_t kernel, const char *name);   /* windows side by side; 1 adds no node */
int ft_vision_add(struct ft_builder *b, int input, int residual, const char *name);

/* Each channel times a factor that all of the item's map decides (Hu et al. 2018): mean, 1 x 1 convolutions `reduce` with f and `excite` with a sigmoid. */
int ft_vision_squeeze(struct ft_builder *b, int input, size_t narrow, enum ft_activation f, const char *prefix, const char *reduce, const char *excite);

/* The size of the images (preprocessor_config.json, timm's pretrained_cfg, else `otherwise`), and how a picture is brought to it. First thing in a family. */
int ft_vision_input(struct ft_builder *b, size_t otherwise, size_t resize);

/* The same of a family that has its own way where no file says one: `whose`, for the note that says so. */
struct ft_preprocess;
void ft_vision_input_given(struct ft_builder *b, const struct ft_preprocess *preprocess);   /* what the family has read itself; it lives as long */
int ft_vision_input_or(struct ft_builder *b, const struct ft_preprocess *otherwise, const char *whose);

/* A convolutional family's end: the last map is what is pooled, and how many images go through at once follows from the list. */
int ft_vision_finish(struct ft_builder *b, int last);

/* `count` whole numbers from 1 to 65536 as the value of `key`; absent is no error where it is `optional`, and leaves `out` alone. */
int ft_vision_list(const json_t *config, const char *path, const char *key, size_t count, bool optional, size_t *out);

/* Is there such a tensor in the model's files, under one of the family's prefixes? */
bool ft_build_has(struct ft_builder *b, const char *const *prefixes, const char *name);

/* By whose names is the family built? The place of the first of `probes`, which ends with NULL, that is a tensor of the model's files; FT_BAD lists them. */
int ft_vision_scheme(struct ft_builder *b, const char *const *prefixes, const char *const *probes, const char *path);

#endif
