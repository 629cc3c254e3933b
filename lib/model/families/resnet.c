/* resnet.c - residual networks (He et al. 2016), with the stride in a bottleneck's 3 x 3 convolution: ResNet 18 to 152, by the names of transformers, and
 * those of torchvision and timm, which are the same. */
#include "base/error.h"
#include "model/families/vision.h"

#include <stdio.h>
#include <string.h>

enum { STAGES = 4, NAME = 160 };

struct resnet {
    size_t stem, width[STAGES], depth[STAGES];   /* width: what a stage gives */
    bool bottleneck, first_strides, stride_in_first;
    enum ft_activation activation;
    bool hugging_face;       /* whose names */
};

static const struct ft_norms norms = {1e-5, .1};
static const char *const prefixes[] = {"", "resnet.", NULL};

/* A convolution, its norm and, perhaps, an activation: number k of a layer. */
static int unit(struct ft_builder *b, const struct resnet *r, int input, const struct ft_convolution *c, const char *layer, int k, bool activation)
{
    char name[2 * NAME], after[2 * NAME], act[3 * NAME];

    if (r->hugging_face) {
        snprintf(name, sizeof name, "%s.layer.%d.convolution", layer, k);
        snprintf(after, sizeof after, "%s.layer.%d.normalization", layer, k);
    } else {
        snprintf(name, sizeof name, "%s.conv%d", layer, k + 1);
        snprintf(after, sizeof after, "%s.bn%d", layer, k + 1);
    }
    snprintf(act, sizeof act, "%s.act", after);
    input = ft_vision_norm(b, ft_vision_convolution(b, input, c, name), &norms, after);
    return ft_vision_activation(b, input, activation ? r->activation : FT_IDENTITY, act);
}

static int shortcut(struct ft_builder *b, const struct resnet *r, int input, size_t width, size_t stride, const char *layer)
{
    const struct ft_convolution c = {.outputs = width, .kernel = 1, .stride = stride};
    char name[2 * NAME], after[2 * NAME];

    if (ft_build_at(b, input)->width == width && stride == 1)
        return input;
    snprintf(name, sizeof name, r->hugging_face ? "%s.shortcut.convolution" : "%s.downsample.0", layer);
    snprintf(after, sizeof after, r->hugging_face ? "%s.shortcut.normalization" : "%s.downsample.1", layer);
    return ft_vision_norm(b, ft_vision_convolution(b, input, &c, name), &norms, after);
}

static int layer(struct ft_builder *b, const struct resnet *r, int input, size_t width, size_t stride, const char *name)
{
    size_t narrow = width / 4, first = r->stride_in_first ? stride : 1;
    const struct ft_convolution basic[] = {{.outputs = width, .kernel = 3, .stride = stride}, {.outputs = width, .kernel = 3, .stride = 1}};
    const struct ft_convolution bottleneck[] = {{.outputs = narrow, .kernel = 1, .stride = first},
                                                {.outputs = narrow, .kernel = 3, .stride = stride / first},
                                                {.outputs = width, .kernel = 1, .stride = 1}};
    int count = r->bottleneck ? 3 : 2, node = input;
    char text[2 * NAME];

    input = shortcut(b, r, input, width, stride, name);
    for (int k = 0; k < count; k++)
        node = unit(b, r, node, r->bottleneck ? &bottleneck[k] : &basic[k], name, k, k + 1 < count);
    snprintf(text, sizeof text, "%s.add", name);
    node = ft_vision_add(b, node, input, text);
    snprintf(text, sizeof text, "%s.act", name);
    return ft_vision_activation(b, node, r->activation, text);
}

static int read_config(struct resnet *r, const json_t *config, const char *path)
{
    const char *type = ft_json_text(config, "layer_type"), *activation = ft_json_text(config, "hidden_act");
    size_t channels = 3;

    *r = (struct resnet){.hugging_face = true, .bottleneck = !type || strcmp(type, "bottleneck") == 0};
    if (!r->bottleneck && strcmp(type, "basic") != 0)
        return ft_fail(FT_BAD, "%s: layer_type '%.64s' is not known, expected basic or bottleneck", path, type);
    if (ft_activation_parse(activation ? activation : "relu", &r->activation) < 0)
        return ft_error_prefix("%s: hidden_act: ", path);
    if (ft_json_size(config, path, "embedding_size", 1, 1 << 16, false, &r->stem) < 0 || ft_vision_list(config, path, "hidden_sizes", STAGES, false, r->width) < 0 ||
        ft_vision_list(config, path, "depths", STAGES, false, r->depth) < 0 || ft_json_size(config, path, "num_channels", 3, 3, true, &channels) < 0 ||
        ft_json_bool(config, path, "downsample_in_first_stage", &r->first_strides) < 0)
        return -1;
    for (size_t s = 0; r->bottleneck && s < STAGES; s++)
        if (r->width[s] < 4)
            return ft_fail(FT_BAD, "%s: hidden_sizes: %zu, of which a bottleneck is a quarter: expected 4 or more", path, r->width[s]);
    return ft_json_bool(config, path, "downsample_in_bottleneck", &r->stride_in_first);
}

/* "resnet50" of torchvision and timm. */
static int read_architecture(struct resnet *r, const char *name, const char *path)
{
    static const struct { const char *name; size_t depth[STAGES]; } known[] = {
        {"resnet18", {2, 2, 2, 2}}, {"resnet34", {3, 4, 6, 3}}, {"resnet50", {3, 4, 6, 3}}, {"resnet101", {3, 4, 23, 3}}, {"resnet152", {3, 8, 36, 3}},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            *r = (struct resnet){.stem = 64, .activation = FT_RELU, .bottleneck = i > 1};
            for (size_t s = 0; s < STAGES; s++) {
                r->width[s] = (size_t)64 << s << (r->bottleneck ? 2 : 0);
                r->depth[s] = known[i].depth[s];
            }
            return 0;
        }
    return ft_fail(FT_BAD, "%s: architecture '%.64s' is not known, expected resnet18, resnet34, resnet50, resnet101 or resnet152", path, name);
}

static int build(struct ft_builder *b, const json_t *config, const char *path)
{
    const char *architecture = ft_architecture_text(config);
    struct resnet r;
    struct ft_convolution stem = {.kernel = 7, .stride = 2};
    char name[NAME];
    int node;

    if ((architecture ? read_architecture(&r, architecture, path) : read_config(&r, config, path)) < 0 ||
        ft_vision_input(b, 224, 256) < 0)
        return -1;
    stem.outputs = r.stem;
    node = ft_vision_convolution(b, ft_vision_pixels(b), &stem, r.hugging_face ? "embedder.embedder.convolution" : "conv1");
    node = ft_vision_norm(b, node, &norms, r.hugging_face ? "embedder.embedder.normalization" : "bn1");
    node = ft_vision_max_pool(b, ft_vision_activation(b, node, r.activation, "act1"), 3, 2, "maxpool");
    for (size_t s = 0; s < STAGES; s++)
        for (size_t l = 0; l < r.depth[s] && !b->failed; l++) {
            if (r.hugging_face)
                snprintf(name, NAME, "encoder.stages.%zu.layers.%zu", s, l);
            else
                snprintf(name, NAME, "layer%zu.%zu", s + 1, l);
            node = layer(b, &r, node, r.width[s], l == 0 && (s > 0 || r.first_strides) ? 2 : 1, name);
        }
    return ft_vision_finish(b, node);
}

const struct ft_family ft_family_resnet = {"resnet", build, NULL, prefixes};
