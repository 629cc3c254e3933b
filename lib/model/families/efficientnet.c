/* efficientnet.c - EfficientNet B0 to B7 (Tan and Le 2019) and lite0 to lite4: inverted bottlenecks (Sandler et al. 2018) with squeeze and excitation, which
 * the lite ones lack, as they have ReLU6 for SiLU and a stem and head that do not grow. By the names of transformers, timm, torchvision, and of
 * lukemelas' EfficientNet-PyTorch; what lies beyond a map's edge, and the norms' epsilon, goes with the names. Stochastic depth is not applied. */
#include "base/error.h"
#include "model/families/vision.h"

#include <stdio.h>
#include <string.h>

enum { STAGES = 7, NAME = 160 };

/* Names of a block's parts: those of a block that does not expand are others in some files. */
struct parts {
    const char *expand, *expand_norm, *deep, *deep_norm, *reduce, *excite, *project, *project_norm;
};

struct scheme {
    const char *stem, *stem_norm, *head, *head_norm;
    const char *blocks;          /* before the numbers: of stage and layer, or of the block alone */
    bool by_stage;
    size_t first_stage;
    struct parts expanded, plain;
};

static const struct scheme schemes[] = {
    {"embeddings.convolution", "embeddings.batchnorm", "encoder.top_conv", "encoder.top_bn", "encoder.blocks", false, 0,
     {"expansion.expand_conv", "expansion.expand_bn", "depthwise_conv.depthwise_conv", "depthwise_conv.depthwise_norm", "squeeze_excite.reduce",
      "squeeze_excite.expand", "projection.project_conv", "projection.project_bn"},
     {NULL, NULL, "depthwise_conv.depthwise_conv", "depthwise_conv.depthwise_norm", "squeeze_excite.reduce", "squeeze_excite.expand",
      "projection.project_conv", "projection.project_bn"}},
    {"conv_stem", "bn1", "conv_head", "bn2", "blocks", true, 0,
     {"conv_pw", "bn1", "conv_dw", "bn2", "se.conv_reduce", "se.conv_expand", "conv_pwl", "bn3"},
     {NULL, NULL, "conv_dw", "bn1", "se.conv_reduce", "se.conv_expand", "conv_pw", "bn2"}},
    {"features.0.0", "features.0.1", "features.8.0", "features.8.1", "features", true, 1,
     {"block.0.0", "block.0.1", "block.1.0", "block.1.1", "block.2.fc1", "block.2.fc2", "block.3.0", "block.3.1"},
     {NULL, NULL, "block.0.0", "block.0.1", "block.1.fc1", "block.1.fc2", "block.2.0", "block.2.1"}},
    {"_conv_stem", "_bn0", "_conv_head", "_bn1", "_blocks", false, 0,
     {"_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand", "_project_conv", "_bn2"},
     {NULL, NULL, "_depthwise_conv", "_bn1", "_se_reduce", "_se_expand", "_project_conv", "_bn2"}},
};
enum { HUGGING_FACE, TIMM, TORCHVISION, LUKEMELAS };

/* Of each scheme a tensor that no other has. */
static const char *const probes[] = {"embeddings.convolution.weight", "conv_stem.weight", "features.0.0.weight", "_conv_stem.weight", NULL};
static const char *const prefixes[] = {"", "efficientnet.", NULL};

struct efficientnet {
    double width, depth, narrow;                 /* narrow: of a block's inputs, the squeezed; 0 = none */
    size_t divisor, kernel[STAGES], in[STAGES], out[STAGES], stride[STAGES], repeats[STAGES], expand[STAGES], head;
    bool lite;
    enum ft_activation activation;
    enum ft_padding padding;
    struct ft_norms norms, expand_norms;
    const json_t *square;        /* transformers' depthwise_padding: blocks padded evenly */
    const struct scheme *scheme;
};

/* Channels grow by a factor, to multiples of the divisor, and never shrink by more than a tenth. */
static size_t round_channels(const struct efficientnet *e, size_t channels)
{
    double wide = (double)channels * e->width;
    size_t rounded = (size_t)(wide + (double)e->divisor / 2) / e->divisor * e->divisor;

    rounded = rounded < e->divisor ? e->divisor : rounded;
    return (double)rounded < .9 * wide ? rounded + e->divisor : rounded;
}

static size_t round_repeats(const struct efficientnet *e, size_t stage)
{
    double deep = (double)e->repeats[stage] * e->depth;

    return e->lite && (stage == 0 || stage == STAGES - 1) ? e->repeats[stage] : (size_t)deep + ((double)(size_t)deep < deep);
}

struct block {
    size_t stage, number, in, out, stride;
    bool residual;
    char name[NAME / 2];
};

static const char *part(char text[NAME], const struct block *block, const char *name)
{
    snprintf(text, NAME, "%s.%s", block->name, name);
    return text;
}

static bool padded_evenly(const struct efficientnet *e, size_t number)
{
    size_t i;
    const json_t *value;

    json_array_foreach(e->square, i, value)
        if (json_integer_value(value) == (json_int_t)number)
            return true;
    return false;
}

static int build_block(struct ft_builder *b, const struct efficientnet *e, int input, const struct block *block)
{
    bool expands = e->expand[block->stage] != 1;
    const struct parts *names = expands ? &e->scheme->expanded : &e->scheme->plain;
    size_t wide = block->in * e->expand[block->stage];
    const struct ft_convolution expand = {.outputs = wide, .kernel = 1, .stride = 1}, project = {.outputs = block->out, .kernel = 1, .stride = 1};
    const struct ft_convolution deep = {.outputs = wide, .kernel = e->kernel[block->stage], .stride = block->stride, .depthwise = true,
                                        .padding = padded_evenly(e, block->number) ? FT_PADDING_SYMMETRIC : e->padding};
    size_t squeezed = (size_t)((double)block->in * e->narrow);
    char name[NAME];
    int node = input;

    if (expands) {
        node = ft_vision_convolution(b, node, &expand, part(name, block, names->expand));
        node = ft_vision_norm(b, node, &e->expand_norms, part(name, block, names->expand_norm));
        node = ft_vision_activation(b, node, e->activation, part(name, block, "expand_act"));
    }
    node = ft_vision_convolution(b, node, &deep, part(name, block, names->deep));
    node = ft_vision_norm(b, node, &e->norms, part(name, block, names->deep_norm));
    node = ft_vision_activation(b, node, e->activation, part(name, block, "deep_act"));
    if (e->narrow > 0)
        node = ft_vision_squeeze(b, node, squeezed ? squeezed : 1, e->activation, block->name, names->reduce, names->excite);
    node = ft_vision_convolution(b, node, &project, part(name, block, names->project));
    node = ft_vision_norm(b, node, &e->norms, part(name, block, names->project_norm));
    return block->residual ? ft_vision_add(b, node, input, part(name, block, "add")) : node;
}

static struct efficientnet usual(void)
{
    return (struct efficientnet){
        .width = 1, .depth = 1, .narrow = .25, .divisor = 8, .head = 1280, .activation = FT_SILU, .kernel = {3, 3, 5, 3, 5, 5, 3},
        .in = {32, 16, 24, 40, 80, 112, 192}, .out = {16, 24, 40, 80, 112, 192, 320}, .stride = {1, 2, 2, 2, 1, 2, 1},
        .repeats = {1, 2, 2, 3, 3, 4, 1}, .expand = {1, 6, 6, 6, 6, 6, 6}, .norms = {1e-5, .1}, .expand_norms = {1e-5, .1},
    };
}

/* Of transformers, whose norms after an expansion have a momentum of their own, and whose depth is stated by its own rule. */
static int read_config(struct efficientnet *e, const json_t *config, const char *path)
{
    const char *activation = ft_json_text(config, "hidden_act"), *pooling = ft_json_text(config, "pooling_type");
    size_t channels = 3, head;

    *e = usual();
    e->width = 2;
    e->depth = 3.1;
    e->padding = FT_PADDING_CORRECT;
    e->norms = (struct ft_norms){.001, .99};
    if (ft_activation_parse(activation ? activation : "swish", &e->activation) < 0)
        return ft_error_prefix("%s: hidden_act: ", path);
    if (pooling && strcmp(pooling, "mean") != 0)
        return ft_fail(FT_BAD, "%s: pooling_type '%.64s' is not supported, expected mean", path, pooling);
    if (ft_json_number(config, path, "width_coefficient", .01, 100, &e->width) < 0 || ft_json_number(config, path, "depth_coefficient", .01, 100, &e->depth) < 0 ||
        ft_json_size(config, path, "depth_divisor", 1, 1 << 10, true, &e->divisor) < 0 || ft_vision_list(config, path, "kernel_sizes", STAGES, true, e->kernel) < 0 ||
        ft_vision_list(config, path, "in_channels", STAGES, true, e->in) < 0 || ft_vision_list(config, path, "out_channels", STAGES, true, e->out) < 0 ||
        ft_vision_list(config, path, "strides", STAGES, true, e->stride) < 0 || ft_vision_list(config, path, "num_block_repeats", STAGES, true, e->repeats) < 0 ||
        ft_vision_list(config, path, "expand_ratios", STAGES, true, e->expand) < 0 || ft_json_number(config, path, "squeeze_expansion_ratio", 0, 1, &e->narrow) < 0 ||
        ft_json_number(config, path, "batch_norm_eps", 0, 1, &e->norms.epsilon) < 0 ||
        ft_json_number(config, path, "batch_norm_momentum", 0, 1, &e->norms.momentum) < 0 ||
        ft_json_size(config, path, "num_channels", 3, 3, true, &channels) < 0 || ft_json_size(config, path, "hidden_dim", 1, 1 << 20, true, &head) < 0)
        return -1;
    e->expand_norms = (struct ft_norms){e->norms.epsilon, .1};
    e->square = json_object_get(config, "depthwise_padding");
    return 0;
}

/* "efficientnet_b0", "tf_efficientnet_lite0" of timm; torchvision and lukemelas have the same numbers. `size` is of their images. */
static int read_architecture(struct efficientnet *e, const char *name, const char *path, const struct scheme *scheme, size_t *size)
{
    static const struct { const char *name; double width, depth; size_t size; } known[] = {
        {"b0", 1, 1, 224}, {"b1", 1, 1.1, 240}, {"b2", 1.1, 1.2, 260}, {"b3", 1.2, 1.4, 300}, {"b4", 1.4, 1.8, 380}, {"b5", 1.6, 2.2, 456},
        {"b6", 1.8, 2.6, 528}, {"b7", 2, 3.1, 600}, {"lite0", 1, 1, 224}, {"lite1", 1, 1.1, 240}, {"lite2", 1.1, 1.2, 260}, {"lite3", 1.2, 1.4, 280},
        {"lite4", 1.4, 1.8, 300},
    };
    bool tf = strncmp(name, "tf_", 3) == 0 || scheme == &schemes[LUKEMELAS];
    const char *kind = strstr(name, "efficientnet_");

    for (size_t i = 0; kind && i < sizeof known / sizeof *known; i++)
        if (strcmp(kind + strlen("efficientnet_"), known[i].name) == 0) {
            bool deep_torchvision = scheme == &schemes[TORCHVISION] && i >= 5 && i < 8;

            *e = usual();
            e->width = known[i].width;
            e->depth = known[i].depth;
            e->lite = i > 7;
            e->padding = tf ? FT_PADDING_SAME : FT_PADDING_SYMMETRIC;
            if (tf || deep_torchvision)   /* timm took over TensorFlow's epsilon, and not its momentum */
                e->norms = e->expand_norms = (struct ft_norms){.001, scheme == &schemes[TIMM] ? .1 : .01};
            if (e->lite) {
                e->narrow = 0;
                e->activation = FT_RELU6;
            }
            *size = known[i].size;
            return 0;
        }
    return ft_fail(FT_BAD, "%s: architecture '%.64s' is not known, expected efficientnet_b0 to _b7 or efficientnet_lite0 to _lite4", path, name);
}

static int build_blocks(struct ft_builder *b, const struct efficientnet *e, int node)
{
    size_t number = 0;

    for (size_t s = 0; s < STAGES && !b->failed; s++)
        for (size_t l = 0; l < round_repeats(e, s) && !b->failed; l++, number++) {
            struct block block = {.stage = s, .number = number, .out = round_channels(e, e->out[s]), .stride = l ? 1 : e->stride[s]};

            block.in = ft_build_at(b, node)->width;
            block.residual = block.stride == 1 && block.in == block.out && (l || e->scheme != &schemes[HUGGING_FACE]);
            if (e->scheme->by_stage)
                snprintf(block.name, sizeof block.name, "%s.%zu.%zu", e->scheme->blocks, s + e->scheme->first_stage, l);
            else
                snprintf(block.name, sizeof block.name, "%s.%zu", e->scheme->blocks, number);
            node = build_block(b, e, node, &block);
        }
    return node;
}

static int build(struct ft_builder *b, const json_t *config, const char *path)
{
    const char *architecture = ft_architecture_text(config);
    struct ft_convolution stem = {.kernel = 3, .stride = 2}, head = {.kernel = 1, .stride = 1};
    int which = ft_vision_scheme(b, prefixes, probes, path), node;
    const struct scheme *scheme = &schemes[which < 0 ? 0 : which];
    struct efficientnet e;
    size_t size = 600;

    if (which < 0 || (architecture ? read_architecture(&e, architecture, path, scheme, &size) : read_config(&e, config, path)) < 0 ||
        ft_json_size(config, path, "image_size", 1, 1 << 14, true, &size) < 0 || ft_vision_input(b, size, size) < 0)
        return -1;
    e.scheme = scheme;
    stem.outputs = e.lite ? 32 : round_channels(&e, 32);
    stem.padding = e.padding;
    head.outputs = e.lite ? e.head : round_channels(&e, e.head);
    node = ft_vision_norm(b, ft_vision_convolution(b, ft_vision_pixels(b), &stem, scheme->stem), &e.norms, scheme->stem_norm);
    node = build_blocks(b, &e, ft_vision_activation(b, node, e.activation, "stem_act"));
    node = ft_vision_norm(b, ft_vision_convolution(b, node, &head, scheme->head), &e.norms, scheme->head_norm);
    return ft_vision_finish(b, ft_vision_activation(b, node, e.activation, "head_act"));
}

const struct ft_family ft_family_efficientnet = {"efficientnet", build, NULL, prefixes};
