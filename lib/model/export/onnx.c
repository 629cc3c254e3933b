/* onnx.c - the walk over a model's nodes, and the nodes that need but a line. */
#include "model/export/onnx.h"
#include "base/error.h"
#include "base/file.h"
#include "model/export/onnx-graph.h"
#include "model/place.h"
#include "model/towers.h"

#include <math.h>

static const char *const token_dims[] = {"batch", "length"};

/* ---- writers ------------------------------------------------------------------------------------------------------------- */

static const char *vector(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const char *const dims[] = {"batch", ft_onnx_digits(o, n->width)};

    ft_onnx_input(o, "features", FT_ONNX_FLOAT, 2, dims);
    *form = FT_ONNX_ITEMS;
    return "features";
}

/* Of a map it is a convolution of one position. */
static const char *linear(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const int64_t width = (int64_t)n->width, dims[4] = {width, (int64_t)o->model->parameters[n->parameters[0]].columns, 1, 1};
    const char *x = ft_onnx_in(o, n, 0), *bias = n->parameter_count > 1 ? ft_onnx_parameter(o, n->parameters[1], 1, &width) : NULL;

    if (*form == FT_ONNX_MAP)
        return ft_onnx_node(o, "Conv", x, ft_onnx_parameter(o, n->parameters[0], 4, dims), bias, NULL);
    x = ft_onnx_node(o, "MatMul", x, ft_onnx_transposed(o, n->parameters[0]), NULL);
    return bias ? ft_onnx_node(o, "Add", x, bias, NULL) : x;
}

static const char *vector_of(struct ft_onnx *o, const struct ft_node *n, int k)
{
    const int64_t width = (int64_t)n->width;

    return ft_onnx_parameter(o, n->parameters[k], 1, &width);
}

static const char *layer_norm(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const char *gain = vector_of(o, n, 0), *bias = n->parameter_count > 1 ? vector_of(o, n, 1) : NULL;

    if (*form == FT_ONNX_MAP)
        ft_onnx_fail(o, "%s: a layer-norm of a map has no form in ONNX", n->name);
    ft_onnx_int(o, "axis", -1);
    ft_onnx_real(o, "epsilon", n->epsilon);
    return ft_onnx_node(o, "LayerNormalization", ft_onnx_in(o, n, 0), gain, bias, NULL);
}

static const char *last_axis(struct ft_onnx *o, const char *op, const char *x)
{
    ft_onnx_list(o, "axes", FT_ONNX_LIST(-1));
    return ft_onnx_node(o, op, x, NULL);
}

static const char *rms_norm(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const char *x = ft_onnx_in(o, n, 0), *square;

    if (*form == FT_ONNX_MAP)
        ft_onnx_fail(o, "%s: an rms-norm of a map has no form in ONNX", n->name);
    square = last_axis(o, "ReduceMean", ft_onnx_node(o, "Mul", x, x, NULL));
    square = ft_onnx_node(o, "Sqrt", ft_onnx_node(o, "Add", square, ft_onnx_number(o, n->epsilon), NULL), NULL);
    return ft_onnx_node(o, "Mul", ft_onnx_node(o, "Div", x, square, NULL), vector_of(o, n, 0), NULL);
}

static const char *normalize(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const char *x = ft_onnx_in(o, n, 0), *norm;

    if (*form == FT_ONNX_MAP)
        ft_onnx_fail(o, "%s: normalising a map has no form in ONNX", n->name);
    norm = ft_onnx_node(o, "Max", last_axis(o, "ReduceL2", x), ft_onnx_number(o, 1e-12f), NULL);
    return ft_onnx_node(o, "Div", x, norm, NULL);
}

static const char *times(struct ft_onnx *o, const char *x, double factor)
{
    return ft_onnx_node(o, "Mul", x, ft_onnx_number(o, (float)factor), NULL);
}

/* x (1 + f(x / sqrt 2)) / 2, f = erf; in the form with tanh f is that of sqrt(2 / pi) (x + 0.044715 x^3). */
static const char *gelu(struct ft_onnx *o, const char *x, bool with_tanh)
{
    const char *inner = x;

    if (with_tanh)
        inner = ft_onnx_node(o, "Add", x, times(o, ft_onnx_node(o, "Mul", ft_onnx_node(o, "Mul", x, x, NULL), x, NULL), 0.044715), NULL);
    inner = times(o, inner, with_tanh ? sqrt(2 / M_PI) : M_SQRT1_2);
    inner = ft_onnx_node(o, "Add", ft_onnx_node(o, with_tanh ? "Tanh" : "Erf", inner, NULL), ft_onnx_number(o, 1), NULL);
    return ft_onnx_node(o, "Mul", times(o, x, 0.5), inner, NULL);
}

static const char *activated(struct ft_onnx *o, const struct ft_node *n, const char *x)
{
    switch (n->activation) {
    case FT_IDENTITY: return x;
    case FT_GELU: return gelu(o, x, false);
    case FT_GELU_TANH: return gelu(o, x, true);
    case FT_QUICK_GELU: return ft_onnx_node(o, "Mul", x, ft_onnx_node(o, "Sigmoid", times(o, x, 1.702), NULL), NULL);
    case FT_RELU: return ft_onnx_node(o, "Relu", x, NULL);
    case FT_TANH: return ft_onnx_node(o, "Tanh", x, NULL);
    case FT_SILU: return ft_onnx_node(o, "Mul", x, ft_onnx_node(o, "Sigmoid", x, NULL), NULL);
    case FT_SIGMOID: return ft_onnx_node(o, "Sigmoid", x, NULL);
    case FT_RELU6: return ft_onnx_node(o, "Clip", x, ft_onnx_number(o, 0), ft_onnx_number(o, 6), NULL);
    }
    return ft_onnx_fail(o, "%s: activation number %d has no form in ONNX", n->name, (int)n->activation) < 0 ? NULL : x;
}

static const char *activation(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    (void)form;
    return activated(o, n, ft_onnx_in(o, n, 0));
}

static const char *gate(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const int64_t halves[2] = {(int64_t)n->width, (int64_t)n->width};
    const char *part[2];

    (void)form;
    ft_onnx_split(o, ft_onnx_in(o, n, 0), -1, 2, halves, part);
    return ft_onnx_node(o, "Mul", activated(o, n, part[0]), part[1], NULL);
}

static const char *dropout(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    (void)form;
    return ft_onnx_in(o, n, 0);
}

static const char *add(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    (void)form;
    return ft_onnx_node(o, "Add", ft_onnx_in(o, n, 0), ft_onnx_in(o, n, 1), NULL);
}

static const char *multiply(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    (void)form;
    return ft_onnx_node(o, "Mul", ft_onnx_in(o, n, 0), ft_onnx_in(o, n, 1), NULL);
}

/* A table that attentions look at. */
static const char *relative_bias(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    (void)o;
    *form = FT_ONNX_NOTHING;
    return n->name;
}

/* [1, width]. */
static const char *probe(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const int64_t dims[2] = {1, (int64_t)n->width};

    *form = FT_ONNX_ITEMS;
    return ft_onnx_parameter(o, n->parameters[0], 2, dims);
}

static ft_onnx_writer *const writers[] = {
    [FT_OP_EMBEDDING] = ft_onnx_embedding, [FT_OP_LINEAR] = linear, [FT_OP_LAYER_NORM] = layer_norm, [FT_OP_DROPOUT] = dropout,
    [FT_OP_ATTENTION] = ft_onnx_attention, [FT_OP_ACTIVATION] = activation, [FT_OP_ADD] = add, [FT_OP_POOL] = ft_onnx_pool, [FT_OP_GEM] = ft_onnx_gem,
    [FT_OP_NORMALIZE] = normalize, [FT_OP_VECTOR] = vector, [FT_OP_PIXELS] = ft_onnx_pixels, [FT_OP_CONVOLUTION] = ft_onnx_convolution,
    [FT_OP_BATCH_NORM] = ft_onnx_batch_norm, [FT_OP_MAX_POOL] = ft_onnx_max_pool, [FT_OP_SCALE] = ft_onnx_scale, [FT_OP_TOKENS] = ft_onnx_tokens,
    [FT_OP_RMS_NORM] = rms_norm, [FT_OP_MULTIPLY] = multiply, [FT_OP_RELATIVE_BIAS] = relative_bias, [FT_OP_ROTARY] = ft_onnx_rotary,
    [FT_OP_GATE] = gate, [FT_OP_PROBE] = probe, [FT_OP_ATTEND] = ft_onnx_attend, [FT_OP_MEAN_POOL] = ft_onnx_mean_pool,
};

/* ---- the walk ------------------------------------------------------------------------------------------------------------ */

static void write_node(struct ft_onnx *o, int i)
{
    const struct ft_node *n = &o->model->nodes[i];
    enum ft_onnx_form *form = &o->form[i];

    if ((size_t)n->op >= sizeof writers / sizeof *writers || !writers[n->op]) {
        ft_onnx_fail(o, "%s: a node '%s' has no form in ONNX", n->name, ft_op_name(n->op));
        return;
    }
    o->place = n->name;
    *form = n->input_count ? o->form[n->inputs[0]] : FT_ONNX_NOTHING;
    o->value[i] = writers[n->op](o, n, form);
}

/* 1 where `condition` is met and there is a token. */
static void mask_more(struct ft_onnx *o, const char *condition)
{
    ft_onnx_int(o, "to", FT_ONNX_INT64);
    o->mask = ft_onnx_node(o, "Mul", o->mask, ft_onnx_node(o, "Cast", condition, NULL), NULL);
}

/* A text ends with the first of its end tokens, which may be what it is padded with too. */
static void mask_after(struct ft_onnx *o, int32_t end)
{
    const char *last, *before;

    if (end < 0)
        ft_onnx_list(o, "axes", FT_ONNX_LIST(1));
    last = ft_onnx_node(o, "Equal", o->ids, end < 0 ? ft_onnx_node(o, "ReduceMax", o->ids, NULL) : ft_onnx_whole(o, end), NULL);
    ft_onnx_int(o, "to", FT_ONNX_INT64);
    last = ft_onnx_node(o, "Cast", last, NULL);
    ft_onnx_int(o, "exclusive", 1);
    before = ft_onnx_node(o, "CumSum", last, ft_onnx_whole(o, 1), NULL);
    mask_more(o, ft_onnx_node(o, "Equal", before, ft_onnx_whole(o, 0), NULL));
}

/* Ids filled up to the model's length, where padding is looked at as all else: no mask. */
static void fill_up(struct ft_onnx *o, const struct ft_tokenizer_way *way)
{
    const char *missing;

    ft_onnx_int(o, "start", 1);
    ft_onnx_int(o, "end", 2);
    missing = ft_onnx_node(o, "Shape", o->ids, NULL);
    missing = ft_onnx_node(o, "Sub", ft_onnx_wholes(o, FT_ONNX_LIST((int64_t)o->model->max_length)), missing, NULL);
    ft_onnx_int(o, "axis", 0);
    missing = ft_onnx_node(o, "Concat", ft_onnx_wholes(o, FT_ONNX_LIST(0, 0, 0)), missing, NULL);
    o->ids = ft_onnx_node(o, "Pad", o->ids, missing, ft_onnx_whole(o, way->filler), NULL);
}

/* Tokens that a model of static embeddings leaves out are as if masked. */
static void text_inputs(struct ft_onnx *o)
{
    int32_t left_out = o->model->tokenizer ? ft_tokenizer_left_out(o->model->tokenizer) : -1;

    ft_onnx_input(o, "input_ids", FT_ONNX_INT64, 2, token_dims);
    o->ids = "input_ids";
    o->place = "mask";
    if (o->model->tokenizer_way.fills) {
        fill_up(o, &o->model->tokenizer_way);
        return;
    }
    ft_onnx_input(o, "attention_mask", FT_ONNX_INT64, 2, token_dims);
    o->mask = "attention_mask";
    if (left_out >= 0)
        mask_more(o, ft_onnx_node(o, "Not", ft_onnx_node(o, "Equal", o->ids, ft_onnx_whole(o, left_out), NULL), NULL));
    if (o->model->tokenizer_way.ends)
        mask_after(o, o->model->tokenizer_way.end);
}

/* The tokens as they were last before they were pooled, where a model has any; the embedding. */
static void graph_outputs(struct ft_onnx *o)
{
    int last = o->model->node_count - 1, tokens = last;
    const char *const dims[] = {"batch", ft_onnx_digits(o, o->model->nodes[last].width)};

    if (o->form[last] != FT_ONNX_ITEMS) {
        ft_onnx_fail(o, "%s: the last node, and it is no embedding", o->model->nodes[last].name);
        return;
    }
    while (tokens >= 0 && o->form[tokens] != FT_ONNX_TOKENS)
        tokens--;
    o->place = "output";
    if (tokens >= 0) {
        bool fixed = o->model->input != FT_INPUT_TEXT || !o->mask;
        const char *const shape[] = {"batch", fixed ? ft_onnx_digits(o, o->model->input == FT_INPUT_TEXT ? o->model->max_length : o->model->rows_each) : "length",
                                     ft_onnx_digits(o, o->model->nodes[tokens].width)};

        ft_onnx_named(o, "Identity", o->value[tokens], "last_hidden_state");
        ft_onnx_output(o, "last_hidden_state", 3, shape);
    }
    ft_onnx_named(o, "Identity", o->value[last], "sentence_embedding");
    ft_onnx_output(o, "sentence_embedding", 2, dims);
}

static int make_graph(struct ft_onnx *o)
{
    o->value = ft_arena_zero(&o->arena, (size_t)o->model->node_count, sizeof *o->value);
    o->form = ft_arena_zero(&o->arena, (size_t)o->model->node_count, sizeof *o->form);
    if (!o->value || !o->form)
        return -1;
    if (o->model->input == FT_INPUT_TEXT)
        text_inputs(o);
    for (int i = 0; i < o->model->node_count && !o->failed; i++)
        write_node(o, i);
    if (!o->failed)
        graph_outputs(o);
    return o->failed ? -1 : 0;
}

int ft_onnx_write(const struct ft_model *model, const char *path, uint64_t limit)
{
    struct ft_onnx o = {.model = model, .place = ""};
    int result;

    if (model->tower_count)
        return ft_fail(FT_USAGE, "%s has two towers, of which each is a graph: expected a directory for them, not %s", model->directory, path);
    result = make_graph(&o) < 0 ? -1 : ft_onnx_save(&o, path, limit);
    ft_onnx_free(&o);
    return result;
}

static int make_one(const struct ft_model *model, const char *directory)
{
    struct ft_arena arena = {0};
    const char *path = ft_arena_print(&arena, "%s/model.onnx", directory);
    int result = !path || ft_model_save_around(model, directory) < 0 ? -1 : ft_onnx_write(model, path, FT_ONNX_LIMIT);

    ft_arena_free(&arena);
    return result;
}

/* A directory for each tower, each whole by itself. */
static int make_towers(const struct ft_model *model, const char *directory)
{
    struct ft_arena arena = {0};
    int result = ft_model_save_around(model, directory);

    for (int t = 0; result == 0 && t < model->tower_count; t++) {
        const char *inside = model->tower_path[t] ? model->tower_path[t] : ft_tower_name((enum ft_tower)t);
        const char *path = ft_arena_print(&arena, "%s/%s", directory, inside);

        result = path ? make_one(model->towers[t], path) : -1;
    }
    ft_arena_free(&arena);
    return result;
}

static int make_directory(const void *what, const char *directory)
{
    const struct ft_model *model = what;

    return model->tower_count ? make_towers(model, directory) : make_one(model, directory);
}

int ft_onnx_place(const struct ft_model *model, const char *directory, bool force)
{
    return ft_directory_place(directory, force, make_directory, model);
}
