/* onnx-file.c - a graph written as a file: the model's message around it, weights straight from the block.
 *
 * A message says its length before it begins, so tensors are counted before any is written; no more than one tensor's head and a piece of a transposed
 * matrix is ever in memory. Protocol buffers end at 2 GiB. What has more is two files: weights lie in FILE.onnx.data, each from a multiple of 4096 bytes
 * on, so that it can be mapped, and FILE.onnx says where. */
#include "base/error.h"
#include "base/file.h"
#include "base/protobuf.h"
#include "base/tool.h"
#include "model/export/onnx-graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_GRAPH = 7, MODEL_OPSET = 8, GRAPH_NAME = 2, GRAPH_TENSOR = 5 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };
enum { PAGE = 4096, SMALL = 1024, PIECE = 1 << 16, LINE = 16 };

struct file {
    const char *path;
    char temporary[4096];
    int fd;
};

static int put(const struct file *file, const void *data, size_t size)
{
    return ft_write_all(file->fd, data, size) < 0 ? ft_fail_errno("%s", file->path) : 0;
}

/* [rows, columns] as [columns, rows]: some columns at a time, a cache line of them at least. */
static int put_transposed(const struct file *file, const struct ft_onnx_tensor *tensor)
{
    size_t most = PIECE / tensor->rows > LINE ? PIECE / tensor->rows : LINE;
    const float *from = tensor->data;
    float *piece = ft_resize(NULL, most * tensor->rows, sizeof *piece);
    int result = piece ? 0 : -1;

    for (size_t first = 0, count; result == 0 && first < tensor->columns; first += count) {
        count = tensor->columns - first < most ? tensor->columns - first : most;
        for (size_t r = 0; r < tensor->rows; r++)
            for (size_t c = 0; c < count; c++)
                piece[c * tensor->rows + r] = from[r * tensor->columns + first + c];
        result = put(file, piece, count * tensor->rows * sizeof *piece);
    }
    free(piece);
    return result;
}

static int put_data(const struct file *file, const struct ft_onnx_tensor *tensor)
{
    return tensor->rows ? put_transposed(file, tensor) : put(file, tensor->data, tensor->size);
}

/* Where an external tensor lies: pairs of a key and a value. */
static int put_place(struct ft_buffer *out, const struct ft_onnx_tensor *tensor, const char *location)
{
    enum { ENTRY_KEY = 1, ENTRY_VALUE = 2, EXTERNAL = 1 };
    char offset[24], length[24];
    const char *const pairs[3][2] = {{"location", location}, {"offset", offset}, {"length", length}};
    struct ft_buffer entry = {0};
    int result = 0;

    snprintf(offset, sizeof offset, "%llu", (unsigned long long)tensor->offset);
    snprintf(length, sizeof length, "%zu", tensor->size);
    for (int i = 0; result == 0 && i < 3; i++) {
        entry.size = 0;
        result = ft_protobuf_text(&entry, ENTRY_KEY, pairs[i][0]) < 0 || ft_protobuf_text(&entry, ENTRY_VALUE, pairs[i][1]) < 0 ? -1 :
                 ft_protobuf_bytes(out, TENSOR_EXTERNAL, entry.data, entry.size);
    }
    ft_buffer_free(&entry);
    return result < 0 ? -1 : ft_protobuf_integer(out, TENSOR_LOCATION, EXTERNAL);
}

/* A tensor's message up to its numbers, if those follow. */
static int put_head(struct ft_buffer *out, const struct ft_onnx_tensor *tensor, const char *location)
{
    for (int i = 0; i < tensor->rank; i++)
        if (ft_protobuf_integer(out, TENSOR_DIMS, (uint64_t)tensor->dims[i]) < 0)
            return -1;
    if (ft_protobuf_integer(out, TENSOR_TYPE, tensor->type) < 0 || ft_protobuf_text(out, TENSOR_NAME, tensor->name) < 0)
        return -1;
    return tensor->external ? put_place(out, tensor, location) : ft_protobuf_head(out, TENSOR_RAW, tensor->size);
}

static uint64_t inside(const struct ft_onnx_tensor *tensor)
{
    return tensor->external ? 0 : tensor->size;
}

/* Bytes of the graph's message. */
static int measure(struct ft_onnx *o, const char *name, const char *location, uint64_t *size)
{
    *size = o->nodes.size + o->inputs.size + o->outputs.size;
    o->message.size = 0;
    if (ft_protobuf_text(&o->message, GRAPH_NAME, name) < 0)
        return -1;
    *size += o->message.size;
    for (size_t i = 0; i < o->tensor_count; i++) {
        size_t head;

        o->message.size = 0;
        if (put_head(&o->message, &o->tensors[i], location) < 0)
            return -1;
        head = o->message.size;
        o->message.size = 0;
        if (ft_protobuf_head(&o->message, GRAPH_TENSOR, head + inside(&o->tensors[i])) < 0)
            return -1;
        *size += head + o->message.size + inside(&o->tensors[i]);
    }
    return 0;
}

/* All but the graph's content: what makes the file one of ONNX, and who wrote it. */
static int put_model(struct ft_buffer *out, uint64_t graph)
{
    enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
    struct ft_buffer opset = {0};
    int result = ft_protobuf_integer(out, MODEL_IR, FT_ONNX_IR) < 0 || ft_protobuf_text(out, MODEL_PRODUCER, "ft") < 0 ||
                 ft_protobuf_text(out, MODEL_PRODUCER_VERSION, FT_VERSION) < 0 || ft_protobuf_text(&opset, OPSET_DOMAIN, "") < 0 ||
                 ft_protobuf_integer(&opset, OPSET_VERSION, FT_ONNX_OPSET) < 0 || ft_protobuf_bytes(out, MODEL_OPSET, opset.data, opset.size) < 0 ? -1 : 0;

    ft_buffer_free(&opset);
    return result < 0 ? -1 : ft_protobuf_head(out, MODEL_GRAPH, graph);
}

static int put_tensors(struct ft_onnx *o, const struct file *file, const char *location)
{
    struct ft_buffer head = {0};
    int result = 0;

    for (size_t i = 0; result == 0 && i < o->tensor_count; i++) {
        o->message.size = head.size = 0;
        if (put_head(&head, &o->tensors[i], location) < 0 ||
            ft_protobuf_head(&o->message, GRAPH_TENSOR, head.size + inside(&o->tensors[i])) < 0)
            result = -1;
        else if (put(file, o->message.data, o->message.size) < 0 || put(file, head.data, head.size) < 0 ||
                 (!o->tensors[i].external && put_data(file, &o->tensors[i]) < 0))
            result = -1;
    }
    ft_buffer_free(&head);
    return result;
}

static int put_graph(struct ft_onnx *o, const struct file *file, const char *name, const char *location)
{
    uint64_t size;

    if (measure(o, name, location, &size) < 0)
        return -1;
    o->message.size = 0;
    if (put_model(&o->message, size) < 0 || ft_protobuf_text(&o->message, GRAPH_NAME, name) < 0)
        return -1;
    if (put(file, o->message.data, o->message.size) < 0 || put(file, o->nodes.data, o->nodes.size) < 0)
        return -1;
    return put_tensors(o, file, location) < 0 || put(file, o->inputs.data, o->inputs.size) < 0 ? -1 : put(file, o->outputs.data, o->outputs.size);
}

/* Weights go to the other file; small tensors, which say shapes, stay. */
static void move_out(struct ft_onnx *o)
{
    uint64_t place = 0;

    for (size_t i = 0; i < o->tensor_count; i++) {
        struct ft_onnx_tensor *tensor = &o->tensors[i];

        if (tensor->type != FT_ONNX_FLOAT || tensor->size < SMALL)
            continue;
        tensor->external = true;
        tensor->offset = place;
        place = (place + tensor->size + PAGE - 1) / PAGE * PAGE;
    }
}

static int put_external(struct ft_onnx *o, const struct file *file)
{
    static const char zeros[PAGE];
    uint64_t place = 0;

    for (size_t i = 0; i < o->tensor_count; i++) {
        const struct ft_onnx_tensor *tensor = &o->tensors[i];

        if (!tensor->external)
            continue;
        if (put(file, zeros, (size_t)(tensor->offset - place)) < 0 || put_data(file, tensor) < 0)
            return -1;
        place = tensor->offset + tensor->size;
    }
    return 0;
}

static int begin(struct file *file, const char *path)
{
    file->path = path;
    file->fd = ft_file_begin(path, file->temporary);
    return file->fd < 0 ? -1 : 0;
}

static int remove_old(const char *path)
{
    return unlink(path) < 0 && errno != ENOENT ? ft_fail_errno("%s", path) : 0;
}

/* The weights appear first: FILE.onnx is there only when all it names is, and an old one goes before its weights do. */
static int save_two(struct ft_onnx *o, const char *path, const char *data, const char *name, const char *location)
{
    struct file weights, file;

    if (begin(&weights, data) < 0)
        return -1;
    if (put_external(o, &weights) < 0 || begin(&file, path) < 0) {
        ft_file_abandon(weights.fd, weights.temporary);
        return -1;
    }
    if (put_graph(o, &file, name, location) < 0 || remove_old(path) < 0) {
        ft_file_abandon(weights.fd, weights.temporary);
        ft_file_abandon(file.fd, file.temporary);
        return -1;
    }
    if (ft_file_commit(weights.fd, weights.temporary, data) < 0) {
        ft_file_abandon(file.fd, file.temporary);
        return -1;
    }
    return ft_file_commit(file.fd, file.temporary, path);
}

static int save_one(struct ft_onnx *o, const char *path, const char *data, const char *name)
{
    struct file file;

    if (begin(&file, path) < 0)
        return -1;
    if (put_graph(o, &file, name, "") < 0) {
        ft_file_abandon(file.fd, file.temporary);
        return -1;
    }
    if (ft_file_commit(file.fd, file.temporary, path) < 0)
        return -1;
    return remove_old(data);   /* what a larger model had left there */
}

int ft_onnx_save(struct ft_onnx *o, const char *path, uint64_t limit)
{
    const char *data = ft_arena_print(&o->arena, "%s.data", path), *slash = strrchr(path, '/'), *name = o->model->family;
    uint64_t size;

    if (!data || o->failed || measure(o, name, "", &size) < 0)
        return -1;
    if (size + PAGE <= limit)
        return save_one(o, path, data, name);
    move_out(o);
    return save_two(o, path, data, name, slash ? data + (slash - path) + 1 : data);
}
