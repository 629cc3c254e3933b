/* vision.c - convolutions, batch norms, squeeze and excitation as nodes; the size of what comes in and how much of it goes through at once. */
#include "model/families/vision.h"
#include "base/error.h"
#include "data/preprocess.h"
#include "model/tailor/tailor.h"
#include "model/weights/tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a chunk's kept convolutions, about; images a chunk at most; positions of a shard's last map, which is when a product is fast; numbers of one
 * map at most, whose places are counted in 32 bits. */
enum { CHUNK_BYTES = 256 << 20, CHUNK_MOST = 32, SHARD_POSITIONS = 192, MAP_MOST = INT32_MAX };

static int same_size(struct ft_builder *b, int node, int input)
{
    ft_build_at(b, node)->height = ft_build_at(b, input)->height;
    ft_build_at(b, node)->across = ft_build_at(b, input)->across;
    return node;
}

int ft_vision_pixels(struct ft_builder *b)
{
    int node = ft_build_node(b, FT_OP_PIXELS, 3, -1, -1, -1, "pixels");
    struct ft_node *at = ft_build_at(b, node);

    at->height = b->model->height;
    at->across = b->model->across;
    if (b->model->preprocess)
        ft_preprocess_affine(b->model->preprocess, at->multiply, at->add);
    return node;
}

/* One side: the output's size, 0 where the kernel does not fit, and the zeros before it. */
static size_t place(size_t size, size_t kernel, size_t stride, enum ft_padding padding, size_t *before)
{
    size_t out, missing;

    if (padding == FT_PADDING_CORRECT && stride > 1) {
        *before = kernel / 2 ? kernel / 2 - 1 : 0;
        return size + *before + kernel / 2 < kernel ? 0 : (size + *before + kernel / 2 - kernel) / stride + 1;
    }
    if (padding == FT_PADDING_SAME) {
        out = (size + stride - 1) / stride;
        missing = (out - 1) * stride + kernel > size ? (out - 1) * stride + kernel - size : 0;
        *before = missing / 2;
        return out;
    }
    *before = padding == FT_PADDING_VALID ? 0 : (kernel - 1) / 2;
    return size + 2 * *before < kernel ? 0 : (size + 2 * *before - kernel) / stride + 1;
}

static void place_windows(struct ft_builder *b, int node, const struct ft_node *in, size_t kernel, size_t stride, enum ft_padding padding)
{
    struct ft_node *at = ft_build_at(b, node);

    at->kernel = kernel;
    at->stride = stride;
    at->height = place(in->height, kernel, stride, padding, &at->above);
    at->across = place(in->across, kernel, stride, padding, &at->left);
    if (b->failed)
        return;
    if (at->height && at->across) {
        if (at->width > MAP_MOST / (at->height * at->across))
            ft_build_fail(b, "%s: a map of %zu x %zu positions and %zu channels is too large", at->name, at->height, at->across, at->width);
        return;
    }
    ft_fail(b->side ? FT_USAGE : FT_BAD, "%s: images of %zu x %zu are too small", at->name, b->model->height, b->model->across);
    b->failed = true;
}

int ft_vision_convolution(struct ft_builder *b, int input, const struct ft_convolution *c, const char *name)
{
    const struct ft_node in = *ft_build_at(b, input);
    const size_t shape[4] = {c->outputs, c->depthwise ? 1 : in.width, c->kernel, c->kernel};
    int node;

    node = ft_build_node(b, FT_OP_CONVOLUTION, c->outputs, input, -1, -1, "%s", name);
    ft_build_give(b, node, ft_build_shaped(b, name, "weight", 4, shape, FT_BUILD_DECAY));
    if (c->bias)
        ft_build_give(b, node, ft_build_parameter(b, name, "bias", 1, c->outputs, FT_BUILD_VECTOR));
    ft_build_at(b, node)->groups = c->depthwise ? c->outputs : 1;
    place_windows(b, node, &in, c->kernel, c->stride, c->padding);
    return node;
}

int ft_vision_norm(struct ft_builder *b, int input, const struct ft_norms *norms, const char *name)
{
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    size_t width = ft_build_at(b, input)->width;
    int node = ft_build_node(b, FT_OP_BATCH_NORM, width, input, -1, -1, "%s", name);

    for (int i = 0; i < 4; i++)
        ft_build_give(b, node, ft_build_parameter(b, name, parts[i], 1, width, FT_BUILD_VECTOR | (i > 1 ? FT_BUILD_STATISTIC : 0)));
    ft_build_at(b, node)->epsilon = (float)norms->epsilon;
    ft_build_at(b, node)->momentum = (float)norms->momentum;
    return same_size(b, node, input);
}

int ft_vision_activation(struct ft_builder *b, int input, enum ft_activation f, const char *name)
{
    if (f == FT_IDENTITY)
        return input;
    return same_size(b, ft_build_activation(b, input, ft_build_at(b, input)->width, f, name), input);
}

int ft_vision_max_pool(struct ft_builder *b, int input, size_t kernel, size_t stride, const char *name)
{
    const struct ft_node in = *ft_build_at(b, input);
    int node = ft_build_node(b, FT_OP_MAX_POOL, in.width, input, -1, -1, "%s", name);

    place_windows(b, node, &in, kernel, stride, FT_PADDING_SYMMETRIC);
    return node;
}

int ft_vision_mean_pool(struct ft_builder *b, int input, size_t kernel, const char *name)
{
    const struct ft_node in = *ft_build_at(b, input);
    int node;

    if (kernel == 1)
        return input;
    node = ft_build_node(b, FT_OP_MEAN_POOL, in.width, input, -1, -1, "%s", name);
    place_windows(b, node, &in, kernel, kernel, FT_PADDING_VALID);
    return node;
}

int ft_vision_add(struct ft_builder *b, int input, int residual, const char *name)
{
    return same_size(b, ft_build_node(b, FT_OP_ADD, ft_build_at(b, input)->width, input, residual, -1, "%s", name), input);
}

/* A 1 x 1 convolution of a pooled map: a linear layer whose weight has a convolution's shape. */
static int pointwise(struct ft_builder *b, int input, size_t outputs, const char *name)
{
    const size_t shape[4] = {outputs, ft_build_at(b, input)->width, 1, 1};
    int node = ft_build_node(b, FT_OP_LINEAR, outputs, input, -1, -1, "%s", name);

    ft_build_give(b, node, ft_build_shaped(b, name, "weight", 4, shape, FT_BUILD_DECAY));
    ft_build_give(b, node, ft_build_parameter(b, name, "bias", 1, outputs, FT_BUILD_VECTOR));
    return node;
}

int ft_vision_squeeze(struct ft_builder *b, int input, size_t narrow, enum ft_activation f, const char *prefix, const char *reduce, const char *excite)
{
    size_t width = ft_build_at(b, input)->width;
    char name[256];
    int node = ft_build_node(b, FT_OP_POOL, width, input, -1, -1, "%s.squeeze", prefix);

    snprintf(name, sizeof name, "%s.%s", prefix, reduce);
    node = pointwise(b, node, narrow, name);
    snprintf(name, sizeof name, "%s.%s.act", prefix, reduce);
    node = ft_build_activation(b, node, narrow, f, name);
    snprintf(name, sizeof name, "%s.%s", prefix, excite);
    node = pointwise(b, node, width, name);
    snprintf(name, sizeof name, "%s.%s.gate", prefix, excite);
    node = ft_build_activation(b, node, width, FT_SIGMOID, name);
    return same_size(b, ft_build_node(b, FT_OP_SCALE, width, input, node, -1, "%s.scale", prefix), input);
}

void ft_vision_input_given(struct ft_builder *b, const struct ft_preprocess *p)
{
    struct ft_model *model = b->model;

    model->input = FT_INPUT_IMAGE;
    model->preprocess = p;
    model->height = b->side ? b->side : p->height;
    model->across = b->side ? b->side : p->width;
    model->rows_each = 1;
    model->max_length = 0;
}

int ft_vision_input_or(struct ft_builder *b, const struct ft_preprocess *otherwise, const char *whose)
{
    struct ft_model *model = b->model;
    struct ft_preprocess *p = ft_arena_zero(&model->arena, 1, sizeof *p);
    const char *family = model->tailored ? model->tailored->family : NULL;   /* config.json does not say it then */
    int found;

    if (!p || (found = ft_preprocess_open(model->weights, family, p)) < 0)
        return -1;
    if (!found)
        *p = *otherwise;
    if (model->tailored && model->tailored->side) {
        b->side = model->tailored->side;
        if (ft_preprocess_open_sized(model->weights, family, b->side, p) < 0)
            return -1;
    }
    ft_vision_input_given(b, p);
    if (!found)
        ft_build_note(b, "%s: no preprocessor_config.json: %zu x %zu pixels, as %s", model->directory, p->height, p->width, whose);
    return 0;
}

int ft_vision_input(struct ft_builder *b, size_t otherwise, size_t resize)
{
    const struct ft_preprocess p = ft_preprocess_torchvision(otherwise, resize, FT_FILTER_BILINEAR);

    return ft_vision_input_or(b, &p, "torchvision reads ImageNet");
}

int ft_vision_finish(struct ft_builder *b, int last)
{
    struct ft_model *model = b->model;
    size_t kept = 0, positions;

    if (b->failed)
        return -1;
    for (int i = 0; i < model->node_count; i++)
        if (model->nodes[i].op == FT_OP_CONVOLUTION)
            kept += model->nodes[i].height * model->nodes[i].across * model->nodes[i].width * sizeof(float);
    positions = ft_build_at(b, last)->height * ft_build_at(b, last)->across;
    model->shard_rows = positions < SHARD_POSITIONS ? (SHARD_POSITIONS + positions / 2) / positions : 1;
    model->chunk_rows = CHUNK_BYTES / kept / model->shard_rows * model->shard_rows;
    if (model->chunk_rows > CHUNK_MOST)
        model->chunk_rows = CHUNK_MOST;
    if (model->chunk_rows < 2 * model->shard_rows)
        model->chunk_rows = 2 * model->shard_rows;
    return last;
}

int ft_vision_list(const json_t *config, const char *path, const char *key, size_t count, bool optional, size_t *out)
{
    const json_t *list = json_object_get(config, key);

    if (!list && optional)
        return 0;
    if (!json_is_array(list) || json_array_size(list) != count)
        return ft_fail(FT_BAD, "%s: %s is not a list of %zu numbers", path, key, count);
    for (size_t i = 0; i < count; i++) {
        json_int_t value = json_integer_value(json_array_get(list, i));

        if (value < 1 || value > 1 << 16)
            return ft_fail(FT_BAD, "%s: %s holds what is no number from 1 to 65536", path, key);
        out[i] = (size_t)value;
    }
    return 0;
}

bool ft_build_has(struct ft_builder *b, const char *const *prefixes, const char *name)
{
    struct ft_arena arena = {0};
    bool found = false;

    if (!b->files) {
        if (!(b->files = calloc(1, sizeof *b->files)) || ft_model_weights(b->model, b->files) < 0) {
            free(b->files);
            b->files = NULL;
            b->failed = true;
            return false;
        }
    }
    for (; *prefixes && !found; prefixes++) {
        const char *full = ft_arena_print(&arena, "%s%s", *prefixes, name);

        found = full && ft_safetensors_find(b->files, full);
    }
    ft_arena_free(&arena);
    return found;
}

int ft_vision_scheme(struct ft_builder *b, const char *const *prefixes, const char *const *probes, const char *path)
{
    char names[512] = "";

    for (int i = 0; probes[i]; i++) {
        if (ft_build_has(b, prefixes, probes[i]))
            return i;
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i == 0 ? "" : probes[i + 1] ? ", " : " or ", probes[i]);
    }
    return b->failed ? -1 : ft_fail(FT_BAD, "%s: the tensors have no known names: there is none of %s", path, names);
}
