/* onnx-check.h - a file of ONNX read again by somebody who did not write it: fields by their numbers in onnx.proto, names, sizes, and what each operator
 * takes in opset 17. */
#ifndef FT_TESTS_ONNX_CHECK_H
#define FT_TESTS_ONNX_CHECK_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- fields ---- */

struct bytes {
    const uint8_t *at, *end;
};
struct field {
    unsigned number, type;       /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
    uint64_t value;
    struct bytes bytes;
};

static bool read_varint(struct bytes *in, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        *value |= (uint64_t)(*in->at & 127) << shift;
        if (!(*in->at++ & 128))
            return true;
    }
    return false;
}

/* 1: a field, 0: the end, -1: no message. */
static int next_field(struct bytes *in, struct field *f)
{
    uint64_t tag, size;

    if (in->at == in->end)
        return 0;
    if (!read_varint(in, &tag))
        return -1;
    f->number = (unsigned)(tag >> 3);
    f->type = tag & 7;
    if (f->type == 0)
        return read_varint(in, &f->value) ? 1 : -1;
    size = f->type == 1 ? 8 : 4;
    if ((f->type != 1 && f->type != 5 && (f->type != 2 || !read_varint(in, &size))) || size > (uint64_t)(in->end - in->at))
        return -1;
    f->bytes = (struct bytes){in->at, in->at + size};
    in->at += size;
    return 1;
}

static bool bytes_are(struct bytes b, const char *text)
{
    return (size_t)(b.end - b.at) == strlen(text) && memcmp(b.at, text, strlen(text)) == 0;
}

static struct ft_string string_of(struct bytes b)
{
    return (struct ft_string){(const char *)b.at, (size_t)(b.end - b.at)};
}

/* ---- what is found ---- */

enum { TENSORS = 4096, VALUES = 16384 };
struct tensor {
    struct ft_string name;
    uint64_t dims[8], type, count;
    int rank;
    const uint8_t *data;
    uint64_t size, offset;
    bool external;
};
struct onnx {
    struct tensor tensors[TENSORS];
    size_t tensor_count, node_count, input_count, output_count;
    struct ft_string values[VALUES], inputs[8], outputs[8];   /* values: all that has a name when a node is read */
    size_t value_count;
    const uint8_t *other;        /* the other file, or NULL */
    size_t other_size;
    const char *location;        /* what it must be called */
    char why[256];
};

static bool no(struct onnx *o, const char *what, struct ft_string name)
{
    snprintf(o->why, sizeof o->why, "%s: %.*s", what, (int)name.size, name.data);
    return false;
}

static bool is_known(const struct onnx *o, struct ft_string name)
{
    for (size_t i = o->value_count; i-- > 0;)
        if (ft_string_equal(o->values[i], name))
            return true;
    return false;
}

static bool add_value(struct onnx *o, struct ft_string name)
{
    if (!name.size || is_known(o, name))
        return no(o, "no name, or one that is there already", name);
    if (o->value_count == VALUES)
        return no(o, "too many values", name);
    o->values[o->value_count++] = name;
    return true;
}

/* ---- tensors ---- */

static bool read_entry(struct onnx *o, struct tensor *t, struct bytes in)
{
    struct bytes key = {0}, value = {0};
    struct field f;
    char digits[32] = "";

    while (next_field(&in, &f) > 0)
        *(f.number == 1 ? &key : &value) = f.bytes;
    snprintf(digits, sizeof digits, "%.*s", (int)(value.end - value.at), (const char *)value.at);
    if (bytes_are(key, "location"))
        return o->location && bytes_are(value, o->location) ? true : no(o, "another location", string_of(value));
    if (bytes_are(key, "offset"))
        t->offset = strtoull(digits, NULL, 10);
    else if (bytes_are(key, "length"))
        t->size = strtoull(digits, NULL, 10);
    else
        return no(o, "an unknown key", string_of(key));
    return true;
}

static bool read_tensor(struct onnx *o, struct bytes in)
{
    struct tensor *t = &o->tensors[o->tensor_count++];
    struct field f;
    int more;

    *t = (struct tensor){.count = 1};
    while ((more = next_field(&in, &f)) > 0) {
        if (f.number == 1 && f.type == 0 && t->rank < 8) {
            t->dims[t->rank++] = f.value;
            t->count *= f.value;
        } else if (f.number == 2 && f.type == 0) {
            t->type = f.value;
        } else if (f.number == 8 && f.type == 2) {
            t->name = string_of(f.bytes);
        } else if (f.number == 9 && f.type == 2) {
            t->data = f.bytes.at;
            t->size = (uint64_t)(f.bytes.end - f.bytes.at);
        } else if (f.number == 13 && f.type == 2) {
            if (!read_entry(o, t, f.bytes))
                return false;
        } else if (f.number == 14 && f.type == 0 && f.value == 1) {
            t->external = true;
        } else {
            return no(o, "a tensor with another field", t->name);
        }
    }
    if (more < 0 || !add_value(o, t->name))
        return false;
    if (t->external) {
        if (t->data || !o->other || t->offset % 4096 || t->offset > o->other_size || t->size > o->other_size - t->offset)
            return no(o, "lies outside of the other file, or askew", t->name);
        t->data = o->other + t->offset;
    }
    if ((t->type != 1 && t->type != 7) || !t->data || t->size != t->count * (t->type == 1 ? 4 : 8))
        return no(o, "its size is not that of its dimensions", t->name);
    return true;
}

/* ---- nodes ---- */

/* As onnx.ai has them in opset 17: least and most inputs, attributes. */
static const struct op {
    const char *name;
    int least, most;
    const char *attributes;
} ops[] = {
    {"Abs", 1, 1, ""}, {"Add", 2, 2, ""}, {"AveragePool", 1, 1, "kernel_shape pads strides "}, {"And", 2, 2, ""}, {"BatchNormalization", 5, 5, "epsilon "}, {"Cast", 1, 1, "to "}, {"Clip", 1, 3, ""},
    {"Concat", 1, 8, "axis "}, {"Conv", 2, 3, "group kernel_shape pads strides "}, {"Cos", 1, 1, ""}, {"CumSum", 2, 2, "exclusive "}, {"Div", 2, 2, ""},
    {"Equal", 2, 2, ""}, {"Erf", 1, 1, ""}, {"Exp", 1, 1, ""}, {"Expand", 2, 2, ""}, {"Flatten", 1, 1, "axis "}, {"Gather", 2, 2, "axis "},
    {"GatherND", 2, 2, "batch_dims "}, {"GlobalAveragePool", 1, 1, ""}, {"Identity", 1, 1, ""}, {"LayerNormalization", 2, 3, "axis epsilon "},
    {"LessOrEqual", 2, 2, ""}, {"Log", 1, 1, ""}, {"MatMul", 2, 2, ""}, {"Max", 1, 8, ""}, {"MaxPool", 1, 1, "kernel_shape pads strides "}, {"Min", 1, 8, ""},
    {"Mul", 2, 2, ""}, {"Not", 1, 1, ""}, {"Pad", 2, 3, ""}, {"Range", 3, 3, ""}, {"ReduceL2", 1, 1, "axes keepdims "}, {"ReduceLogSumExp", 1, 1, "axes keepdims "},
    {"ReduceMax", 1, 1, "axes keepdims "}, {"ReduceMean", 1, 1, "axes keepdims "}, {"ReduceSum", 1, 2, "keepdims "}, {"Relu", 1, 1, ""},
    {"Reshape", 2, 2, ""}, {"Shape", 1, 1, "start end "}, {"Sigmoid", 1, 1, ""}, {"Sin", 1, 1, ""}, {"Softmax", 1, 1, "axis "}, {"Split", 1, 2, "axis "},
    {"Sqrt", 1, 1, ""}, {"Squeeze", 1, 2, ""}, {"Sub", 2, 2, ""}, {"Tanh", 1, 1, ""}, {"Transpose", 1, 1, "perm "}, {"Unsqueeze", 2, 2, ""},
    {"Where", 3, 3, ""},
};

static const struct op *find_op(struct ft_string name)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ft_string_is(name, ops[i].name))
            return &ops[i];
    return NULL;
}

/* A name that the operator has, a type, and of that type a value: one, or a list. */
static bool read_attribute(struct onnx *o, const struct op *op, struct bytes in)
{
    char name[64] = "";
    uint64_t type = 0;
    unsigned held = 0;
    struct field f;

    while (next_field(&in, &f) > 0) {
        if (f.number == 1)
            snprintf(name, sizeof name, "%.*s ", (int)(f.bytes.end - f.bytes.at), (const char *)f.bytes.at);
        else if (f.number == 20)
            type = f.value;
        else
            held = held && held != f.number ? 99 : f.number;
    }
    if (in.at != in.end || !strstr(op->attributes, name) || !((type == 1 && held == 2) || (type == 2 && held == 3) || (type == 7 && held == 8)))
        return no(o, op->name, ft_string_of(name));
    return true;
}

static bool read_node(struct onnx *o, struct bytes in)
{
    struct bytes again = in;
    struct ft_string name = {0}, kind = {0};
    const struct op *op;
    struct field f;
    int inputs = 0, more;

    while ((more = next_field(&again, &f)) > 0)
        *(f.number == 4 ? &kind : &name) = f.number == 3 || f.number == 4 ? string_of(f.bytes) : name;
    if (more < 0 || !(op = find_op(kind)) || !name.size)
        return no(o, "no node, or of an operator that is not known", kind);
    while (next_field(&in, &f) > 0) {
        if (f.type != 2 || f.number < 1 || f.number > 5)
            return no(o, "a node with another field", name);
        if (f.number == 1 && (inputs++, f.bytes.at != f.bytes.end) && !is_known(o, string_of(f.bytes)))
            return no(o, "reads what is not there yet", name);
        if (f.number == 2 && !add_value(o, string_of(f.bytes)))
            return false;
        if (f.number == 5 && !read_attribute(o, op, f.bytes))
            return false;
    }
    o->node_count++;
    return inputs >= op->least && inputs <= op->most ? true : no(o, "too few or too many inputs", name);
}

/* ---- the whole ---- */

/* A name, and a tensor's type with a shape in which each dimension is something. */
static bool read_value(struct onnx *o, struct bytes in, struct ft_string *name)
{
    struct bytes type = {0}, tensor = {0}, shape = {0};
    struct field f;
    uint64_t element = 0;

    while (next_field(&in, &f) > 0)
        if (f.number == 1)
            *name = string_of(f.bytes);
        else
            type = f.bytes;
    if (next_field(&type, &f) > 0 && f.number == 1)
        tensor = f.bytes;
    while (next_field(&tensor, &f) > 0)
        if (f.number == 1)
            element = f.value;
        else
            shape = f.bytes;
    if ((element != 1 && element != 7) || shape.at == shape.end)
        return no(o, "an input or output of no type, or without a shape", *name);
    while (next_field(&shape, &f) > 0)
        if (f.number != 1 || f.bytes.at == f.bytes.end)
            return no(o, "a dimension that is nothing", *name);
    return true;
}

/* In the file nodes come first, but what they read has names: two times through. */
static bool read_graph(struct onnx *o, struct bytes graph)
{
    struct bytes in = graph;
    struct field f;
    int more;

    while ((more = next_field(&in, &f)) > 0) {
        if (f.number == 5 && (f.type != 2 || o->tensor_count == TENSORS || !read_tensor(o, f.bytes)))
            return false;
        if (f.number == 11 && (o->input_count == 8 || !read_value(o, f.bytes, &o->inputs[o->input_count]) || !add_value(o, o->inputs[o->input_count++])))
            return false;
        if (f.number == 12 && (o->output_count == 8 || !read_value(o, f.bytes, &o->outputs[o->output_count++])))
            return false;
    }
    if (more < 0)
        return no(o, "the graph is no message", FT_STRING(""));
    for (in = graph; next_field(&in, &f) > 0;)
        if (f.number == 1 && !read_node(o, f.bytes))
            return false;
    for (size_t i = 0; i < o->output_count; i++)
        if (!is_known(o, o->outputs[i]))
            return no(o, "an output that nothing makes", o->outputs[i]);
    return true;
}

/* Is it a model of IR version 8 and opset 17 that holds together? `why` says what is wrong. */
static bool onnx_read(struct onnx *o, const void *data, size_t size)
{
    struct bytes in = {data, (const uint8_t *)data + size}, graph = {0}, opset = {0};
    uint64_t ir = 0, version = 0;
    struct field f;
    int more;

    while ((more = next_field(&in, &f)) > 0) {
        if (f.number == 1)
            ir = f.value;
        if (f.number == 7)
            graph = f.bytes;
        if (f.number == 8)
            opset = f.bytes;
    }
    while (next_field(&opset, &f) > 0)
        if (f.number == 2)
            version = f.value;
    if (more < 0 || ir != 8 || version != 17 || !graph.at)
        return no(o, "no model of IR version 8 and opset 17", FT_STRING(""));
    return read_graph(o, graph);
}

#endif
