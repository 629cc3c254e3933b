/* onnx-graph.c - nodes, attributes, tensors and shapes as the messages of onnx.proto. Field numbers are that file's. */
#include "model/export/onnx-graph.h"
#include "base/error.h"
#include "base/protobuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRAPH_NODE = 1, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTRIBUTE };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_F, ATTRIBUTE_I, ATTRIBUTE_INTS = 8, ATTRIBUTE_TYPE = 20 };
enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_INTS = 7 };   /* of an attribute */
enum { MOST_INPUTS = 8 };

/* Keep what a function of the layer below says. */
static void keep(struct ft_onnx *o, int result)
{
    o->failed |= result < 0;
}

int ft_onnx_fail(struct ft_onnx *o, const char *format, ...)
{
    char text[512];
    va_list args;

    if (o->failed)
        return -1;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    o->failed = true;
    return ft_fail(FT_USAGE, "%s", text);
}

void ft_onnx_free(struct ft_onnx *o)
{
    ft_buffer_free(&o->nodes);
    ft_buffer_free(&o->inputs);
    ft_buffer_free(&o->outputs);
    ft_buffer_free(&o->attributes);
    ft_buffer_free(&o->message);
    free(o->tensors);
    free(o->biases);
    ft_arena_free(&o->arena);
    *o = (struct ft_onnx){.failed = true};
}

/* ---- attributes ---------------------------------------------------------------------------------------------------------- */

static void begin_attribute(struct ft_onnx *o, const char *name)
{
    o->message.size = 0;
    keep(o, ft_protobuf_text(&o->message, ATTRIBUTE_NAME, name));
}

static void end_attribute(struct ft_onnx *o, uint64_t type)
{
    keep(o, ft_protobuf_integer(&o->message, ATTRIBUTE_TYPE, type));
    keep(o, ft_protobuf_bytes(&o->attributes, NODE_ATTRIBUTE, o->message.data, o->message.size));
}

void ft_onnx_int(struct ft_onnx *o, const char *name, int64_t value)
{
    begin_attribute(o, name);
    keep(o, ft_protobuf_integer(&o->message, ATTRIBUTE_I, (uint64_t)value));
    end_attribute(o, TYPE_INT);
}

void ft_onnx_list(struct ft_onnx *o, const char *name, size_t count, const int64_t *values)
{
    begin_attribute(o, name);
    for (size_t i = 0; i < count; i++)
        keep(o, ft_protobuf_integer(&o->message, ATTRIBUTE_INTS, (uint64_t)values[i]));
    end_attribute(o, TYPE_INTS);
}

void ft_onnx_real(struct ft_onnx *o, const char *name, float value)
{
    begin_attribute(o, name);
    keep(o, ft_protobuf_float(&o->message, ATTRIBUTE_F, value));
    end_attribute(o, TYPE_FLOAT);
}

/* ---- nodes --------------------------------------------------------------------------------------------------------------- */

static void make(struct ft_onnx *o, const char *op, size_t in_count, const char *const *in, size_t out_count, const char *const *out)
{
    const char *name = ft_arena_print(&o->arena, "%s/%s_%zu", o->place, op, o->made++);

    o->message.size = 0;
    o->failed |= !name;
    for (size_t i = 0; i < in_count && !o->failed; i++)
        keep(o, ft_protobuf_text(&o->message, NODE_INPUT, in[i]));
    for (size_t i = 0; i < out_count && !o->failed; i++)
        keep(o, ft_protobuf_text(&o->message, NODE_OUTPUT, out[i]));
    if (!o->failed) {
        keep(o, ft_protobuf_text(&o->message, NODE_NAME, name));
        keep(o, ft_protobuf_text(&o->message, NODE_OP, op));
        keep(o, ft_buffer_add(&o->message, o->attributes.data, o->attributes.size));
        keep(o, ft_protobuf_bytes(&o->nodes, GRAPH_NODE, o->message.data, o->message.size));
    }
    o->attributes.size = 0;
}

/* A name for an output of the node that is made next. */
static const char *output_name(struct ft_onnx *o, const char *op, size_t number)
{
    const char *name = o->failed ? NULL : ft_arena_print(&o->arena, number ? "%s/%s_%zu.%zu" : "%s/%s_%zu", o->place, op, o->made, number);

    o->failed |= !name;
    return name;
}

const char *ft_onnx_node(struct ft_onnx *o, const char *op, ...)
{
    const char *in[MOST_INPUTS], *out = output_name(o, op, 0);
    size_t count = 0;
    va_list args;

    va_start(args, op);
    while (count < MOST_INPUTS && (in[count] = va_arg(args, const char *)))
        count++;
    va_end(args);
    make(o, op, count, in, 1, &out);
    return o->failed ? NULL : out;
}

void ft_onnx_named(struct ft_onnx *o, const char *op, const char *input, const char *output)
{
    make(o, op, 1, &input, 1, &output);
}

void ft_onnx_split(struct ft_onnx *o, const char *x, int64_t axis, size_t count, const int64_t *sizes, const char **parts)
{
    const char *in[2] = {x, ft_onnx_wholes(o, count, sizes)};

    for (size_t i = 0; i < count; i++)
        parts[i] = output_name(o, "Split", i);
    ft_onnx_int(o, "axis", axis);
    make(o, "Split", 2, in, count, parts);
}

const char *ft_onnx_in(const struct ft_onnx *o, const struct ft_node *node, int k)
{
    return o->value[node->inputs[k]];
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------- */

static struct ft_onnx_tensor *find_tensor(struct ft_onnx *o, const char *name)
{
    for (size_t i = 0; i < o->tensor_count; i++)
        if (strcmp(o->tensors[i].name, name) == 0)
            return &o->tensors[i];
    return NULL;
}

static size_t type_size(enum ft_onnx_type type)
{
    return type == FT_ONNX_INT64 ? sizeof(int64_t) : type == FT_ONNX_FLOAT ? sizeof(float) : 1;
}

static struct ft_onnx_tensor *add_tensor(struct ft_onnx *o, const char *name, enum ft_onnx_type type, int rank, const int64_t *dims, const void *data)
{
    struct ft_onnx_tensor *tensor;

    if (o->failed || (tensor = find_tensor(o, name)))
        return o->failed ? NULL : tensor;
    if (ft_grow(&o->tensors, &o->tensor_capacity, o->tensor_count + 1, sizeof *o->tensors) < 0) {
        o->failed = true;
        return NULL;
    }
    tensor = &o->tensors[o->tensor_count++];
    *tensor = (struct ft_onnx_tensor){.name = name, .type = type, .rank = rank, .data = data, .size = type_size(type)};
    for (int i = 0; i < rank; i++) {
        tensor->dims[i] = dims[i];
        tensor->size *= (size_t)dims[i];
    }
    return tensor;
}

const char *ft_onnx_tensor(struct ft_onnx *o, const char *name, enum ft_onnx_type type, int rank, const int64_t *dims, const void *data)
{
    const struct ft_onnx_tensor *tensor = add_tensor(o, name, type, rank, dims, data);

    return tensor ? tensor->name : NULL;
}

/* The name is what it holds. */
static const char *add_wholes(struct ft_onnx *o, int rank, size_t count, const int64_t *values)
{
    const int64_t dims[1] = {(int64_t)count};
    int64_t *copy = ft_arena_take(&o->arena, count * sizeof *copy);
    const char *name = "int64/";

    for (size_t i = 0; i < count && name; i++)
        name = ft_arena_print(&o->arena, "%s%s%lld", name, i ? "," : rank ? "[" : "", (long long)values[i]);
    name = name && rank ? ft_arena_print(&o->arena, "%s]", name) : name;
    if (!copy || !name) {
        o->failed = true;
        return NULL;
    }
    memcpy(copy, values, count * sizeof *copy);
    return ft_onnx_tensor(o, name, FT_ONNX_INT64, rank, dims, copy);
}

const char *ft_onnx_whole(struct ft_onnx *o, int64_t value)
{
    return add_wholes(o, 0, 1, &value);
}

const char *ft_onnx_wholes(struct ft_onnx *o, size_t count, const int64_t *values)
{
    return add_wholes(o, 1, count, values);
}

const char *ft_onnx_number(struct ft_onnx *o, float value)
{
    float *copy = ft_arena_take(&o->arena, sizeof *copy);
    const char *name = ft_arena_print(&o->arena, "float/%.9g", (double)value);

    if (!copy || !name) {
        o->failed = true;
        return NULL;
    }
    *copy = value;
    return ft_onnx_tensor(o, name, FT_ONNX_FLOAT, 0, NULL, copy);
}

/* A module's have its directory in front. */
static const char *parameter_name(struct ft_onnx *o, const struct ft_parameter *p, const char *end)
{
    const char *name = ft_arena_print(&o->arena, "%s%s%s%s", p->file, *p->file ? "." : "", p->name, end);

    o->failed |= !name;
    return name;
}

const char *ft_onnx_parameter(struct ft_onnx *o, int parameter, int rank, const int64_t *dims)
{
    const struct ft_parameter *p = &o->model->parameters[parameter];
    const char *name = parameter_name(o, p, "");

    return name ? ft_onnx_tensor(o, name, FT_ONNX_FLOAT, rank, dims, o->model->block + p->offset) : NULL;
}

const char *ft_onnx_transposed(struct ft_onnx *o, int parameter)
{
    const struct ft_parameter *p = &o->model->parameters[parameter];
    const int64_t dims[2] = {(int64_t)p->columns, (int64_t)p->rows};
    const char *name = parameter_name(o, p, ".transposed");
    struct ft_onnx_tensor *tensor = name ? add_tensor(o, name, FT_ONNX_FLOAT, 2, dims, o->model->block + p->offset) : NULL;

    if (!tensor)
        return NULL;
    tensor->rows = p->rows;
    tensor->columns = p->columns;
    return tensor->name;
}

/* ---- what goes in and out ------------------------------------------------------------------------------------------------ */

const char *ft_onnx_digits(struct ft_onnx *o, size_t number)
{
    const char *text = ft_arena_print(&o->arena, "%zu", number);

    o->failed |= !text;
    return text ? text : "";
}

static int put_shape(struct ft_buffer *shape, struct ft_buffer *dim, int rank, const char *const *dims)
{
    enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_PARAM = 2 };

    for (int i = 0; i < rank; i++) {
        bool number = dims[i][0] >= '0' && dims[i][0] <= '9';

        dim->size = 0;
        if ((number ? ft_protobuf_integer(dim, DIM_VALUE, strtoull(dims[i], NULL, 10)) : ft_protobuf_text(dim, DIM_PARAM, dims[i])) < 0 ||
            ft_protobuf_bytes(shape, SHAPE_DIM, dim->data, dim->size) < 0)
            return -1;
    }
    return 0;
}

/* name, type { tensor_type { elem_type, shape { dim ... } } } */
static int put_value(struct ft_buffer *out, unsigned field, const char *name, enum ft_onnx_type type, int rank, const char *const *dims)
{
    enum { VALUE_NAME = 1, VALUE_TYPE = 2, TENSOR_TYPE = 1, ELEMENT_TYPE = 1, TENSOR_SHAPE = 2 };
    struct ft_buffer inner = {0}, shape = {0}, outer = {0};
    int result = -1;

    if (put_shape(&shape, &inner, rank, dims) == 0) {
        inner.size = 0;
        if (ft_protobuf_integer(&inner, ELEMENT_TYPE, type) == 0 && ft_protobuf_bytes(&inner, TENSOR_SHAPE, shape.data, shape.size) == 0) {
            shape.size = 0;
            result = ft_protobuf_bytes(&shape, TENSOR_TYPE, inner.data, inner.size) < 0 || ft_protobuf_text(&outer, VALUE_NAME, name) < 0 ||
                     ft_protobuf_bytes(&outer, VALUE_TYPE, shape.data, shape.size) < 0 ? -1 : ft_protobuf_bytes(out, field, outer.data, outer.size);
        }
    }
    ft_buffer_free(&inner);
    ft_buffer_free(&shape);
    ft_buffer_free(&outer);
    return result;
}

void ft_onnx_input(struct ft_onnx *o, const char *name, enum ft_onnx_type type, int rank, const char *const *dims)
{
    keep(o, put_value(&o->inputs, GRAPH_INPUT, name, type, rank, dims));
}

void ft_onnx_output(struct ft_onnx *o, const char *name, int rank, const char *const *dims)
{
    keep(o, put_value(&o->outputs, GRAPH_OUTPUT, name, FT_ONNX_FLOAT, rank, dims));
}
