/* model-build.c - nodes and parameters written down one after another, offsets given as they come. */
#include "model/model-build.h"
#include "base/error.h"
#include "model/weights/safetensors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 1 << 16, ALIGN_FLOATS = 16 };

int ft_build_fail(struct ft_builder *build, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (!build->failed) {
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        ft_fail(FT_BAD, "%s", text);
    }
    build->failed = true;
    return -1;
}

static int out_of_memory(struct ft_builder *build)
{
    build->failed = true;
    return -1;
}

int ft_build_parameter(struct ft_builder *build, const char *prefix, const char *suffix, size_t rows, size_t columns, int flags)
{
    struct ft_model *model = build->model;
    struct ft_parameter *p;
    size_t offset = model->block_count, count;

    if (build->failed)
        return -1;
    if (model->parameter_count == build->parameter_capacity) {
        p = ft_resize(model->parameters, (size_t)build->parameter_capacity * 2 + 64, sizeof *p);
        if (!p)
            return out_of_memory(build);
        model->parameters = p;
        build->parameter_capacity = build->parameter_capacity * 2 + 64;
    }
    if (!(flags & FT_BUILD_JOINED))
        offset = (offset + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    if (__builtin_mul_overflow(rows, columns, &count) || count > SIZE_MAX / 16 - offset)
        return ft_build_fail(build, "%s.%s: [%zu, %zu] is too large", prefix, suffix, rows, columns);
    p = model->parameters + model->parameter_count;
    *p = (struct ft_parameter){.file = build->file, .rank = flags & FT_BUILD_VECTOR ? 1 : 2, .rows = rows, .columns = columns,
                               .shape = {flags & FT_BUILD_VECTOR ? columns : rows, flags & FT_BUILD_VECTOR ? 0 : columns}, .offset = offset,
                               .decay = flags & FT_BUILD_DECAY, .table = flags & FT_BUILD_TABLE, .statistic = flags & FT_BUILD_STATISTIC,
                               .joined = flags & FT_BUILD_JOINED};
    p->name = *prefix ? ft_arena_print(&model->arena, "%s.%s", prefix, suffix) : ft_arena_text(&model->arena, ft_string_of(suffix));
    if (!p->name)
        return out_of_memory(build);
    model->block_count = offset + count;
    return model->parameter_count++;
}

int ft_build_shaped(struct ft_builder *build, const char *prefix, const char *suffix, int rank, const size_t *shape, int flags)
{
    size_t columns = 1;
    int number;

    for (int i = 1; i < rank; i++)
        if (__builtin_mul_overflow(columns, shape[i], &columns))
            return ft_build_fail(build, "%s.%s is too large", prefix, suffix);
    number = ft_build_parameter(build, prefix, suffix, shape[0], columns, flags);
    if (number >= 0) {
        build->model->parameters[number].rank = rank;
        memcpy(build->model->parameters[number].shape, shape, (size_t)rank * sizeof *shape);
    }
    return number;
}

int ft_build_transposed(struct ft_builder *build, const char *prefix, const char *suffix, size_t rows, size_t columns, int flags)
{
    int number = ft_build_parameter(build, prefix, suffix, rows, columns, flags);
    struct ft_parameter *p = build->model->parameters + number;

    if (number >= 0) {
        p->transposed = true;
        p->shape[0] = columns;
        p->shape[1] = rows;
    }
    return number;
}

int ft_build_part(struct ft_builder *build, const char *prefix, const char *whole, const char *suffix, size_t rows, size_t columns, size_t first, size_t all,
                  int flags)
{
    int number = ft_build_parameter(build, prefix, suffix, rows, columns, flags | (first ? FT_BUILD_JOINED : 0));
    struct ft_parameter *p = build->model->parameters + number;

    if (number < 0)
        return -1;
    p->first = first * (flags & FT_BUILD_VECTOR ? 1 : columns);
    p->shape[0] = all;
    p->whole = ft_arena_print(&build->model->arena, "%s.%s", prefix, whole);
    return p->whole ? number : out_of_memory(build);
}

int ft_build_node(struct ft_builder *build, enum ft_op op, size_t width, int a, int b, int c, const char *format, ...)
{
    struct ft_model *model = build->model;
    struct ft_node *node;
    char name[512];
    va_list args;

    if (build->failed)
        return -1;
    if (model->node_count == build->node_capacity) {
        if (model->node_count >= NODES_MAX)
            return ft_build_fail(build, "more than %d nodes", NODES_MAX);
        if (!(node = ft_resize(model->nodes, (size_t)build->node_capacity * 2 + 64, sizeof *node)))
            return out_of_memory(build);
        model->nodes = node;
        build->node_capacity = build->node_capacity * 2 + 64;
    }
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    node = model->nodes + model->node_count;
    *node = (struct ft_node){.op = op, .width = width, .inputs = {a, b, c, -1}, .parameters = {-1, -1, -1, -1}};
    node->input_count = (a >= 0) + (b >= 0) + (c >= 0);
    if (!(node->name = ft_arena_text(&model->arena, ft_string_of(name))))
        return out_of_memory(build);
    return model->node_count++;
}

struct ft_node *ft_build_at(struct ft_builder *build, int node)
{
    static _Thread_local struct ft_node none;

    return build->failed || node < 0 ? &none : build->model->nodes + node;
}

void ft_build_give(struct ft_builder *build, int node, int parameter)
{
    struct ft_node *at = ft_build_at(build, node);

    if (!build->failed && at->parameter_count < 4)
        at->parameters[at->parameter_count++] = parameter;
}

int ft_build_linear(struct ft_builder *build, int input, size_t in, size_t out, bool bias, const char *name, const char *prefix)
{
    int node = ft_build_node(build, FT_OP_LINEAR, out, input, -1, -1, "%s", name);

    ft_build_give(build, node, ft_build_parameter(build, prefix, "weight", out, in, FT_BUILD_DECAY));
    if (bias)
        ft_build_give(build, node, ft_build_parameter(build, prefix, "bias", 1, out, FT_BUILD_VECTOR));
    return node;
}

int ft_build_norm_without_bias(struct ft_builder *build, int input, size_t width, double epsilon, const char *name)
{
    int node = ft_build_node(build, FT_OP_LAYER_NORM, width, input, -1, -1, "%s", name);

    ft_build_at(build, node)->epsilon = (float)epsilon;
    ft_build_give(build, node, ft_build_parameter(build, name, "weight", 1, width, FT_BUILD_VECTOR));
    return node;
}

int ft_build_norm(struct ft_builder *build, int input, size_t width, double epsilon, const char *name)
{
    int node = ft_build_norm_without_bias(build, input, width, epsilon, name);

    ft_build_give(build, node, ft_build_parameter(build, name, "bias", 1, width, FT_BUILD_VECTOR));
    return node;
}

int ft_build_rms_norm(struct ft_builder *build, int input, size_t width, double epsilon, const char *name)
{
    int node = ft_build_node(build, FT_OP_RMS_NORM, width, input, -1, -1, "%s", name);

    ft_build_at(build, node)->epsilon = (float)epsilon;
    ft_build_give(build, node, ft_build_parameter(build, name, "weight", 1, width, FT_BUILD_VECTOR));
    return node;
}

int ft_build_relative_bias(struct ft_builder *build, size_t buckets, size_t heads, const char *name)
{
    int node = ft_build_node(build, FT_OP_RELATIVE_BIAS, heads, -1, -1, -1, "%s", name);

    ft_build_give(build, node, ft_build_parameter(build, name, "weight", buckets, heads, 0));
    return node;
}

void ft_build_bias(struct ft_builder *build, int attention, int bias, size_t buckets, size_t distance)
{
    struct ft_node *at = ft_build_at(build, attention);

    at->inputs[3] = bias;
    at->input_count = 4;
    at->attention.buckets = buckets;
    at->attention.distance = distance;
}

int ft_build_dropout(struct ft_builder *build, int input, size_t width, double rate, const char *name)
{
    int node = ft_build_node(build, FT_OP_DROPOUT, width, input, -1, -1, "%s", name);

    ft_build_at(build, node)->rate = (float)rate;
    return node;
}

int ft_build_activation(struct ft_builder *build, int input, size_t width, enum ft_activation f, const char *name)
{
    int node = ft_build_node(build, FT_OP_ACTIVATION, width, input, -1, -1, "%s", name);

    ft_build_at(build, node)->activation = f;
    return node;
}

/* Which nodes `last` depends on, itself among them; and of those the parameters. */
static void mark_below(const struct ft_model *model, int last, bool *nodes, bool *parameters)
{
    nodes[last] = true;
    for (int i = last; i >= 0; i--) {
        const struct ft_node *n = model->nodes + i;

        for (int k = 0; nodes[i] && k < n->input_count; k++)
            nodes[n->inputs[k]] = true;
        for (int k = 0; nodes[i] && k < n->parameter_count; k++)
            parameters[n->parameters[k]] = true;
    }
}

/* The parameters kept close up; number[old] is the new one. */
static void keep_parameters(struct ft_model *model, const bool *kept, int *number)
{
    int count = 0, before = -1;

    model->block_count = 0;
    for (int i = 0; i < model->parameter_count; i++) {
        struct ft_parameter *p = model->parameters + count;

        if (!kept[i])
            continue;
        number[i] = count++;
        *p = model->parameters[i];
        p->joined &= before == i - 1;
        p->offset = p->joined ? model->block_count : (model->block_count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
        model->block_count = p->offset + p->rows * p->columns;
        before = i;
    }
    model->parameter_count = count;
}

int ft_build_keep(struct ft_builder *build, int last)
{
    struct ft_model *model = build->model;
    bool *nodes = ft_arena_zero(&model->arena, (size_t)model->node_count + 1, sizeof *nodes);
    bool *parameters = ft_arena_zero(&model->arena, (size_t)model->parameter_count + 1, sizeof *parameters);
    int *node = ft_arena_zero(&model->arena, (size_t)model->node_count + 1, sizeof *node), count = 0;
    int *parameter = ft_arena_zero(&model->arena, (size_t)model->parameter_count + 1, sizeof *parameter);

    if (build->failed || !nodes || !parameters || !node || !parameter)
        return out_of_memory(build);
    mark_below(model, last, nodes, parameters);
    keep_parameters(model, parameters, parameter);
    for (int i = 0; i <= last; i++) {
        struct ft_node *n = model->nodes + count;

        if (!nodes[i])
            continue;
        node[i] = count++;
        *n = model->nodes[i];
        for (int k = 0; k < n->input_count; k++)
            n->inputs[k] = node[n->inputs[k]];
        for (int k = 0; k < n->parameter_count; k++)
            n->parameters[k] = parameter[n->parameters[k]];
    }
    model->node_count = count;
    return count - 1;
}

void ft_build_note(struct ft_builder *build, const char *format, ...)
{
    struct ft_model *model = build->model;
    const char *before = model->extra_text;
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    model->extra_text = ft_arena_print(&model->arena, "%s%s%s", before ? before : "", before ? "; " : "", text);
}

/* The lists were grown with realloc; from here on they hang off the arena like all the rest. */
int ft_build_finish(struct ft_builder *build)
{
    struct ft_model *model = build->model;
    size_t node_size = (size_t)model->node_count * sizeof *model->nodes;
    size_t parameter_size = (size_t)model->parameter_count * sizeof *model->parameters;
    struct ft_node *nodes = ft_arena_take(&model->arena, node_size);
    struct ft_parameter *parameters = ft_arena_take(&model->arena, parameter_size);

    if (nodes && node_size)
        memcpy(nodes, model->nodes, node_size);
    if (parameters && parameter_size)
        memcpy(parameters, model->parameters, parameter_size);
    if (build->files)
        ft_safetensors_close(build->files);
    free(build->files);
    build->files = NULL;
    free(model->nodes);
    free(model->parameters);
    model->nodes = nodes;
    model->parameters = parameters;
    return build->failed || !nodes || !parameters ? -1 : 0;
}

const char *ft_activation_name(enum ft_activation activation)
{
    static const char *const names[] = {"linear", "gelu", "gelu_new", "quick_gelu", "relu", "tanh", "silu", "sigmoid", "relu6"};

    return (size_t)activation < sizeof names / sizeof *names ? names[activation] : "unknown";
}

int ft_activation_parse(const char *name, enum ft_activation *activation)
{
    static const struct { const char *name; enum ft_activation activation; } known[] = {
        {"gelu", FT_GELU}, {"gelu_python", FT_GELU}, {"gelu_new", FT_GELU_TANH}, {"gelu_pytorch_tanh", FT_GELU_TANH},
        {"gelu_fast", FT_GELU_TANH}, {"quick_gelu", FT_QUICK_GELU}, {"relu", FT_RELU}, {"tanh", FT_TANH}, {"silu", FT_SILU},
        {"swish", FT_SILU}, {"sigmoid", FT_SIGMOID}, {"relu6", FT_RELU6}, {"linear", FT_IDENTITY},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            *activation = known[i].activation;
            return 0;
        }
    return ft_fail(FT_BAD, "activation '%.64s' is not known, expected gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, relu, tanh, "
                   "silu, swish, sigmoid, relu6 or linear", name);
}
