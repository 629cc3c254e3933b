/* onnx-maps.c - pictures in an ONNX graph: maps are [batch, channels, height, across] there. */
#include "model/export/onnx-graph.h"

static const struct ft_node *from_of(const struct ft_onnx *o, const struct ft_node *n)
{
    return &o->model->nodes[n->inputs[0]];
}

static void expect_map(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form form)
{
    if (form != FT_ONNX_MAP)
        ft_onnx_fail(o, "%s: a %s of what is no map", n->name, ft_op_name(n->op));
}

/* Pixels come scaled and normalised, as image processors give them. */
const char *ft_onnx_pixels(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const char *const dims[] = {"batch", "3", ft_onnx_digits(o, n->height), ft_onnx_digits(o, n->across)};

    ft_onnx_input(o, "pixel_values", FT_ONNX_FLOAT, 4, dims);
    *form = FT_ONNX_MAP;
    return "pixel_values";
}

/* Zeros behind the map, on one side: as many as the output's size asks for. */
static int64_t behind(struct ft_onnx *o, const struct ft_node *n, size_t in, size_t out, size_t before)
{
    size_t reach = (out - 1) * n->stride + n->kernel, there = in + before, after = reach > there ? reach - there : 0;

    if ((there + after - n->kernel) / n->stride + 1 != out)
        ft_onnx_fail(o, "%s: %zu windows on %zu positions have no form in ONNX", n->name, out, in);
    return (int64_t)after;
}

static void windows(struct ft_onnx *o, const struct ft_node *n)
{
    const struct ft_node *in = from_of(o, n);
    int64_t kernel = (int64_t)n->kernel, stride = (int64_t)n->stride;

    ft_onnx_list(o, "kernel_shape", FT_ONNX_LIST(kernel, kernel));
    ft_onnx_list(o, "strides", FT_ONNX_LIST(stride, stride));
    ft_onnx_list(o, "pads", FT_ONNX_LIST((int64_t)n->above, (int64_t)n->left, behind(o, n, in->height, n->height, n->above),
                                         behind(o, n, in->across, n->across, n->left)));
}

const char *ft_onnx_convolution(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    int64_t width = (int64_t)n->width, kernel = (int64_t)n->kernel, groups = (int64_t)n->groups;
    const char *w, *b = NULL;

    expect_map(o, n, *form);
    w = ft_onnx_parameter(o, n->parameters[0], 4, (const int64_t[]){width, (int64_t)from_of(o, n)->width / groups, kernel, kernel});
    if (n->parameter_count > 1)
        b = ft_onnx_parameter(o, n->parameters[1], 1, &width);
    windows(o, n);
    ft_onnx_int(o, "group", groups);
    return ft_onnx_node(o, "Conv", ft_onnx_in(o, n, 0), w, b, NULL);
}

/* By the running statistics. */
const char *ft_onnx_batch_norm(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const int64_t width = (int64_t)n->width;
    const char *p[4];

    if (*form == FT_ONNX_TOKENS)
        ft_onnx_fail(o, "%s: a batch-norm of tokens has no form in ONNX", n->name);
    for (int i = 0; i < 4; i++)
        p[i] = ft_onnx_parameter(o, n->parameters[i], 1, &width);
    ft_onnx_real(o, "epsilon", n->epsilon);
    return ft_onnx_node(o, "BatchNormalization", ft_onnx_in(o, n, 0), p[0], p[1], p[2], p[3], NULL);
}

const char *ft_onnx_max_pool(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    expect_map(o, n, *form);
    windows(o, n);
    return ft_onnx_node(o, "MaxPool", ft_onnx_in(o, n, 0), NULL);
}

const char *ft_onnx_mean_pool(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    expect_map(o, n, *form);
    windows(o, n);
    return ft_onnx_node(o, "AveragePool", ft_onnx_in(o, n, 0), NULL);
}

const char *ft_onnx_scale(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const char *factor = ft_onnx_node(o, "Unsqueeze", ft_onnx_in(o, n, 1), ft_onnx_wholes(o, FT_ONNX_LIST(2, 3)), NULL);

    expect_map(o, n, *form);
    return ft_onnx_node(o, "Mul", ft_onnx_in(o, n, 0), factor, NULL);
}

const char *ft_onnx_rows(struct ft_onnx *o, const char *map, const struct ft_node *n)
{
    map = ft_onnx_node(o, "Reshape", map, ft_onnx_wholes(o, FT_ONNX_LIST(0, (int64_t)n->width, (int64_t)(n->height * n->across))), NULL);
    ft_onnx_list(o, "perm", FT_ONNX_LIST(0, 2, 1));
    return ft_onnx_node(o, "Transpose", map, NULL);
}

/* A class token is the same for all of a batch: as often as `x` has items. */
static const char *repeated(struct ft_onnx *o, const char *class, const char *x, int64_t width)
{
    const char *shape, *one = ft_onnx_wholes(o, FT_ONNX_LIST(1, width));

    ft_onnx_int(o, "start", 0);
    ft_onnx_int(o, "end", 1);
    shape = ft_onnx_node(o, "Shape", x, NULL);
    ft_onnx_int(o, "axis", 0);
    return ft_onnx_node(o, "Expand", class, ft_onnx_node(o, "Concat", shape, one, NULL), NULL);
}

const char *ft_onnx_tokens(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const struct ft_node *in = from_of(o, n);
    bool has_class = n->parameter_count > 1, has_own = n->input_count > 1;
    int64_t width = (int64_t)n->width, count = (int64_t)(in->height * in->across) + (has_class || has_own);
    const char *x = ft_onnx_rows(o, ft_onnx_in(o, n, 0), in), *class;

    expect_map(o, n, *form);
    *form = FT_ONNX_TOKENS;
    if (has_class || has_own) {
        class = has_own ? ft_onnx_node(o, "Unsqueeze", ft_onnx_in(o, n, 1), ft_onnx_wholes(o, FT_ONNX_LIST(1)), NULL) :
                          repeated(o, ft_onnx_parameter(o, n->parameters[0], 3, (const int64_t[]){1, 1, width}), x, width);
        ft_onnx_int(o, "axis", 1);
        x = ft_onnx_node(o, "Concat", class, x, NULL);
    }
    return ft_onnx_node(o, "Add", x, ft_onnx_parameter(o, n->parameters[has_class], 3, (const int64_t[]){1, count, width}), NULL);
}
