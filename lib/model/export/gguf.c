/* gguf.c - a model as llama.cpp reads it.
 *
 *     "GGUF", version, number of tensors, number of pairs | pairs | names, shapes, types and places of tensors | their data, each at a multiple of 32 */
#include "base/error.h"
#include "base/file.h"
#include "model/export/gguf-parts.h"
#include "model/model-build.h"

#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 32, NAME = 80, PIECE = 1 << 14 };

static const char *const families[] = {"bert", "distilbert", "roberta", "xlm-roberta", "camembert"};

/* What a parameter's name becomes, its last word left out; of those inside a block what follows "layer.N.". */
static const struct { const char *ours, *theirs; } whole[] = {
    {"embeddings.word_embeddings", "token_embd"}, {"embeddings.position_embeddings", "position_embd"},
    {"embeddings.token_type_embeddings", "token_types"}, {"embeddings.LayerNorm", "token_embd_norm"},
}, block[] = {
    {"attention.self.query", "attn_q"}, {"attention.self.key", "attn_k"}, {"attention.self.value", "attn_v"},
    {"attention.output.dense", "attn_output"}, {"attention.output.LayerNorm", "attn_output_norm"},
    {"intermediate.dense", "ffn_up"}, {"output.dense", "ffn_down"}, {"output.LayerNorm", "layer_output_norm"},
    {"attention.q_lin", "attn_q"}, {"attention.k_lin", "attn_k"}, {"attention.v_lin", "attn_v"},
    {"attention.out_lin", "attn_output"}, {"sa_layer_norm", "attn_output_norm"},
    {"ffn.lin1", "ffn_up"}, {"ffn.lin2", "ffn_down"}, {"output_layer_norm", "layer_output_norm"},
};

static bool is_called(const char *name, size_t size, const char *other)
{
    return strlen(other) == size && strncmp(name, other, size) == 0;
}

/* "encoder.layer.3.output.dense.weight" gives "blk.3.ffn_down.weight"; false where the architecture has no such thing. */
static bool name_of(const char *name, char out[NAME])
{
    const char *layer = strstr(name, "layer."), *last = strrchr(name, '.'), *part;
    int number, used = 0;

    if (!last)
        return false;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (is_called(name, (size_t)(last - name), whole[i].ours))
            return snprintf(out, NAME, "%s%s", whole[i].theirs, last) < NAME;
    if (!layer || sscanf(layer, "layer.%d.%n", &number, &used) != 1 || !used || (part = layer + used) > last)
        return false;
    for (size_t i = 0; i < sizeof block / sizeof *block; i++)
        if (is_called(part, (size_t)(last - part), block[i].ours))
            return snprintf(out, NAME, "blk.%d.%s%s", number, block[i].theirs, last) < NAME;
    return false;
}

/* ---- what the architecture asks of a model ---- */

struct shape {
    size_t layers, heads, inner, positions, first, types;
    float epsilon;
    uint32_t pooling;
};

static int look_at(const struct ft_model *model, const struct ft_node *node, struct shape *shape)
{
    switch (node->op) {
    case FT_OP_EMBEDDING:
        shape->first = node->first_position;
        shape->positions = model->parameters[node->parameters[1]].rows - node->first_position;
        shape->types = node->parameter_count > 2 ? model->parameters[node->parameters[2]].rows : 1;
        return 0;
    case FT_OP_LAYER_NORM:
        if (shape->epsilon != 0 && node->epsilon != shape->epsilon)
            return ft_fail(FT_USAGE, "%s: epsilon %g where others have %g", node->name, (double)node->epsilon, (double)shape->epsilon);
        shape->epsilon = node->epsilon;
        return 0;
    case FT_OP_ATTENTION:
        shape->heads = node->attention.heads;
        shape->layers++;
        return 0;
    case FT_OP_ACTIVATION:
        shape->inner = node->width;
        if (node->activation != FT_GELU && node->activation != FT_GELU_TANH)
            return ft_fail(FT_USAGE, "%s: llama.cpp's bert has gelu there and nothing else", node->name);
        return 0;
    case FT_OP_LINEAR: case FT_OP_DROPOUT: case FT_OP_ADD:
        return 0;
    default:
        return ft_fail(FT_USAGE, "%s: llama.cpp's bert has no %s", node->name, ft_op_name(node->op));
    }
}

/* Behind the blocks: pooling, and perhaps unit length, which llama.cpp does itself unless told otherwise. */
static int look_at_chain(const struct ft_model *model, struct shape *shape)
{
    const struct ft_node *pool = model->nodes + model->body_nodes, *last = model->nodes + model->node_count - 1, *tokens = pool - 1;
    char name[NAME];

    if (model->node_count == model->body_nodes || pool->op != FT_OP_POOL ||
        (pool->pooling != FT_POOL_MEAN && pool->pooling != FT_POOL_CLS && pool->pooling != FT_POOL_LAST))
        return ft_fail(FT_USAGE, "llama.cpp pools by mean, cls or last, and the model otherwise");
    shape->pooling = pool->pooling == FT_POOL_MEAN ? 1 : pool->pooling == FT_POOL_CLS ? 2 : 3;
    if (last > pool + 1 || (last == pool + 1 && last->op != FT_OP_NORMALIZE))
        return ft_fail(FT_USAGE, "%s: llama.cpp's bert has nothing behind its pooling", pool[1].name);
    if (tokens->op == FT_OP_LAYER_NORM && name_of(model->parameters[tokens->parameters[0]].name, name) && strstr(name, "layer_output_norm"))
        return 0;
    return ft_fail(FT_USAGE, "the model is cut at %s: llama.cpp's bert ends with a whole block", tokens->name);
}

static int look(const struct ft_model *model, struct shape *shape)
{
    bool known = false;

    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        known |= strcmp(model->family, families[i]) == 0;
    if (!known)
        return ft_fail(FT_USAGE, "family %s: --to gguf is of bert, distilbert, roberta, xlm-roberta and camembert", model->family);
    for (int i = 0; i < model->body_nodes; i++)
        if (look_at(model, model->nodes + i, shape) < 0)
            return -1;
    return look_at_chain(model, shape);
}

/* ---- the file ---- */

/* A tensor of the file: a parameter, or of the table of positions those that a text has. */
struct tensor {
    char name[NAME];
    const float *data;
    size_t rows, columns;
    int rank;
    enum ft_weights_type type;
    uint64_t place, size;
};

static int make_tensor(const struct ft_model *model, const struct ft_parameter *p, const struct shape *shape, struct tensor *t)
{
    bool matrix;

    if (!name_of(p->name, t->name))
        return ft_fail(FT_USAGE, "%s: llama.cpp's bert has no such tensor", p->name);
    t->data = model->block + p->offset;
    t->rows = p->rank == 1 ? 1 : p->rows;
    t->columns = p->columns;
    t->rank = p->rank;
    matrix = t->rank == 2 && strcmp(t->name, "position_embd.weight") != 0 && strcmp(t->name, "token_types.weight") != 0;
    t->type = matrix ? model->saved_as : FT_WEIGHTS_F32;
    if (strcmp(t->name, "position_embd.weight") == 0) {
        t->data += shape->first * t->columns;
        t->rows -= shape->first;
    }
    t->size = (uint64_t)t->rows * t->columns * ft_weights_type_size(t->type);
    return 0;
}

static struct tensor *make_tensors(struct ft_arena *arena, const struct ft_model *model, const struct shape *shape)
{
    struct tensor *tensors = ft_arena_zero(arena, (size_t)model->parameter_count, sizeof *tensors);
    uint64_t place = 0;

    for (int i = 0; tensors && i < model->parameter_count; i++) {
        if (make_tensor(model, &model->parameters[i], shape, &tensors[i]) < 0)
            return NULL;
        tensors[i].place = place;
        place += (tensors[i].size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return tensors;
}

static int put_pairs(struct ft_gguf *gguf, const struct ft_model *model, const struct shape *shape)
{
    static const uint32_t file_types[] = {[FT_WEIGHTS_F32] = 0, [FT_WEIGHTS_F16] = 1, [FT_WEIGHTS_BF16] = 32};   /* LlamaFileType */
    const char *slash = strrchr(model->directory, '/');

    ft_gguf_text(gguf, "general.architecture", "bert");
    ft_gguf_text(gguf, "general.type", "model");
    ft_gguf_text(gguf, "general.name", slash && slash[1] ? slash + 1 : model->directory);
    ft_gguf_u32(gguf, "bert.block_count", (uint32_t)shape->layers);
    ft_gguf_u32(gguf, "bert.context_length", (uint32_t)shape->positions);
    ft_gguf_u32(gguf, "bert.embedding_length", (uint32_t)model->dim);
    ft_gguf_u32(gguf, "bert.feed_forward_length", (uint32_t)shape->inner);
    ft_gguf_u32(gguf, "bert.attention.head_count", (uint32_t)shape->heads);
    ft_gguf_f32(gguf, "bert.attention.layer_norm_epsilon", shape->epsilon);
    ft_gguf_u32(gguf, "general.file_type", file_types[model->saved_as]);
    ft_gguf_bool(gguf, "bert.attention.causal", false);
    ft_gguf_u32(gguf, "bert.pooling_type", shape->pooling);
    ft_gguf_u32(gguf, "general.quantization_version", 2);
    ft_gguf_u32(gguf, "tokenizer.ggml.token_type_count", (uint32_t)shape->types);
    return ft_gguf_tokenizer(gguf, model);
}

/* Names, shapes with the last dimension first, types, places. */
static void put_tensors(struct ft_gguf *gguf, const struct tensor *tensors, int count)
{
    static const uint32_t types[] = {[FT_WEIGHTS_F32] = 0, [FT_WEIGHTS_F16] = 1, [FT_WEIGHTS_BF16] = 30};        /* ggml_type */

    for (int i = 0; i < count; i++) {
        const struct tensor *t = &tensors[i];
        uint64_t shape[2] = {t->columns, t->rows};
        uint32_t rank = (uint32_t)t->rank;

        ft_gguf_put_text(gguf, ft_string_of(t->name));
        ft_gguf_put(gguf, &rank, sizeof rank);
        ft_gguf_put(gguf, shape, rank * sizeof *shape);
        ft_gguf_put(gguf, &types[t->type], sizeof *types);
        ft_gguf_put(gguf, &t->place, sizeof t->place);
    }
}

static int write_tensor(int fd, const char *path, const struct tensor *t)
{
    static const char zeros[ALIGNMENT];
    size_t count = t->rows * t->columns, padding = (size_t)((ALIGNMENT - t->size % ALIGNMENT) % ALIGNMENT);
    uint16_t piece[PIECE];

    if (t->type == FT_WEIGHTS_F32 && ft_write_all(fd, t->data, (size_t)t->size) < 0)
        return ft_fail_errno("%s", path);
    for (size_t i = 0; t->type != FT_WEIGHTS_F32 && i < count; i += PIECE) {
        size_t some = count - i < PIECE ? count - i : PIECE;

        if (ft_narrow(t->type, t->data + i, some, piece) < 0)
            return ft_error_prefix("%s: ", t->name);
        if (ft_write_all(fd, piece, some * sizeof *piece) < 0)
            return ft_fail_errno("%s", path);
    }
    return ft_write_all(fd, zeros, padding) < 0 ? ft_fail_errno("%s", path) : 0;
}

static int write_file(const char *path, const struct ft_gguf *head, const struct tensor *tensors, int count)
{
    char temporary[4096];
    int fd = ft_file_begin(path, temporary), result;

    if (fd < 0)
        return -1;
    result = ft_write_all(fd, head->bytes.data, head->bytes.size) < 0 ? ft_fail_errno("%s", path) : 0;
    for (int i = 0; result == 0 && i < count; i++)
        result = write_tensor(fd, path, &tensors[i]);
    if (result < 0)
        ft_file_abandon(fd, temporary);
    return result < 0 ? -1 : ft_file_commit(fd, temporary, path);
}

static int make_head(struct ft_gguf *head, const struct ft_gguf *pairs, const struct tensor *tensors, int count)
{
    static const char zeros[ALIGNMENT];
    const uint32_t version = 3;
    const uint64_t counts[2] = {(uint64_t)count, pairs->count};

    ft_gguf_put(head, "GGUF", 4);
    ft_gguf_put(head, &version, sizeof version);
    ft_gguf_put(head, counts, sizeof counts);
    ft_gguf_put(head, pairs->bytes.data, pairs->bytes.size);
    put_tensors(head, tensors, count);
    ft_gguf_put(head, zeros, (ALIGNMENT - head->bytes.size % ALIGNMENT) % ALIGNMENT);
    return pairs->failed || head->failed ? -1 : 0;
}

int ft_gguf_write(const struct ft_model *model, const char *path)
{
    struct ft_gguf pairs = {.count = 0}, head = {.count = 0};
    struct ft_arena arena = {0};
    struct tensor *tensors;
    struct shape shape = {0};
    int result = -1;

    if (look(model, &shape) == 0 && (tensors = make_tensors(&arena, model, &shape)) && put_pairs(&pairs, model, &shape) == 0 &&
        make_head(&head, &pairs, tensors, model->parameter_count) == 0)
        result = write_file(path, &head, tensors, model->parameter_count);
    ft_buffer_free(&pairs.bytes);
    ft_buffer_free(&head.bytes);
    ft_arena_free(&arena);
    return result;
}
