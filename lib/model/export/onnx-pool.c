/* onnx-pool.c - pooling in an ONNX graph: of texts what the mask leaves, of pictures all positions. */
#include "model/export/onnx-graph.h"

#include <float.h>

static const char *as_float(struct ft_onnx *o, const char *x)
{
    ft_onnx_int(o, "to", FT_ONNX_FLOAT);
    return ft_onnx_node(o, "Cast", x, NULL);
}

static const char *along(struct ft_onnx *o, const char *op, const char *x)
{
    ft_onnx_list(o, "axes", FT_ONNX_LIST(1));
    ft_onnx_int(o, "keepdims", 0);
    return ft_onnx_node(o, op, x, NULL);
}

/* Sums take their axes as an input from opset 13 on, other reductions from 18. */
static const char *sum_along(struct ft_onnx *o, const char *x)
{
    ft_onnx_int(o, "keepdims", 0);
    return ft_onnx_node(o, "ReduceSum", x, ft_onnx_wholes(o, FT_ONNX_LIST(1)), NULL);
}

/* What rows weigh, [batch, length, 1]: each 1, or `rising` 1, 2, ... as they come; of what has `positions` rows always, [1, positions, 1]. */
static const char *weights_of(struct ft_onnx *o, size_t positions, bool rising)
{
    const char *name = ft_arena_print(&o->arena, "%s/%zu", rising ? "rising" : "ones", positions), *weights;
    float *table;

    if (o->mask) {
        weights = rising ? ft_onnx_node(o, "Mul", ft_onnx_node(o, "CumSum", o->mask, ft_onnx_whole(o, 1), NULL), o->mask, NULL) : o->mask;
        return ft_onnx_node(o, "Unsqueeze", as_float(o, weights), ft_onnx_wholes(o, FT_ONNX_LIST(2)), NULL);
    }
    if (!name || !(table = ft_arena_take(&o->arena, positions * sizeof *table))) {
        o->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < positions; i++)
        table[i] = rising ? (float)(i + 1) : 1;
    return ft_onnx_tensor(o, name, FT_ONNX_FLOAT, 3, (const int64_t[]){1, (int64_t)positions, 1}, table);
}

static const char *mean(struct ft_onnx *o, const char *x, size_t positions, enum ft_pooling how)
{
    const char *weights = weights_of(o, positions, how == FT_POOL_WEIGHTED_MEAN);
    const char *sum = sum_along(o, ft_onnx_node(o, "Mul", x, weights, NULL));
    const char *total = ft_onnx_node(o, "Max", sum_along(o, weights), ft_onnx_number(o, 1), NULL);

    return ft_onnx_node(o, "Div", sum, how == FT_POOL_MEAN_SQRT ? ft_onnx_node(o, "Sqrt", total, NULL) : total, NULL);
}

/* Of texts `x` where there is a token, else the least number. */
static const char *least_hidden(struct ft_onnx *o, const char *x)
{
    const char *is_there;

    if (!o->mask)
        return x;
    ft_onnx_int(o, "to", FT_ONNX_BOOL);
    is_there = ft_onnx_node(o, "Unsqueeze", ft_onnx_node(o, "Cast", o->mask, NULL), ft_onnx_wholes(o, FT_ONNX_LIST(2)), NULL);
    return ft_onnx_node(o, "Where", is_there, x, ft_onnx_number(o, -FLT_MAX), NULL);
}

static const char *row_at(struct ft_onnx *o, const char *x, int64_t place)
{
    ft_onnx_int(o, "axis", 1);
    return ft_onnx_node(o, "Gather", x, ft_onnx_whole(o, place), NULL);
}

/* The row of a text's last token. */
static const char *last(struct ft_onnx *o, const char *x)
{
    const char *place;

    if (!o->mask)
        return row_at(o, x, -1);
    place = ft_onnx_node(o, "Mul", o->mask, ft_onnx_places(o), NULL);
    ft_onnx_list(o, "axes", FT_ONNX_LIST(1));
    place = ft_onnx_node(o, "ReduceMax", place, NULL);
    ft_onnx_int(o, "batch_dims", 1);
    return ft_onnx_node(o, "GatherND", x, place, NULL);
}

/* What is pooled, as rows, and how many of them a picture has. */
static const char *rows_of(struct ft_onnx *o, const struct ft_node *n, size_t *positions)
{
    const struct ft_node *from = &o->model->nodes[n->inputs[0]];
    bool map = o->form[n->inputs[0]] == FT_ONNX_MAP;

    if (o->form[n->inputs[0]] == FT_ONNX_ITEMS)
        ft_onnx_fail(o, "%s: pooling of what is pooled", n->name);
    *positions = map ? from->height * from->across : o->ids ? o->model->max_length : o->model->rows_each;
    return map ? ft_onnx_rows(o, ft_onnx_in(o, n, 0), from) : ft_onnx_in(o, n, 0);
}

const char *ft_onnx_pool(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    const char *x;
    size_t positions;

    if (*form == FT_ONNX_MAP && n->pooling == FT_POOL_MEAN) {
        *form = FT_ONNX_ITEMS;
        return ft_onnx_node(o, "Flatten", ft_onnx_node(o, "GlobalAveragePool", ft_onnx_in(o, n, 0), NULL), NULL);
    }
    x = rows_of(o, n, &positions);
    *form = FT_ONNX_ITEMS;
    switch (n->pooling) {
    case FT_POOL_CLS: return row_at(o, x, 0);
    case FT_POOL_LAST: return last(o, x);
    case FT_POOL_MAX: return along(o, "ReduceMax", least_hidden(o, x));
    case FT_POOL_MEAN: case FT_POOL_MEAN_SQRT: case FT_POOL_WEIGHTED_MEAN: return mean(o, x, positions, n->pooling);
    default: return ft_onnx_fail(o, "%s: pooling number %d has no form in ONNX", n->name, (int)n->pooling) < 0 ? NULL : x;
    }
}

/* exp((log of the sum of exp(p log x) - log length) / p), in which no power overflows. */
const char *ft_onnx_gem(struct ft_onnx *o, const struct ft_node *n, enum ft_onnx_form *form)
{
    size_t positions;
    const char *x = rows_of(o, n, &positions), *length, *p;

    p = n->parameter_count ? ft_onnx_parameter(o, n->parameters[0], 1, (const int64_t[]){1}) : ft_onnx_number(o, n->power);
    *form = FT_ONNX_ITEMS;
    x = ft_onnx_node(o, "Log", ft_onnx_node(o, "Max", x, ft_onnx_number(o, n->epsilon), NULL), NULL);
    x = along(o, "ReduceLogSumExp", least_hidden(o, ft_onnx_node(o, "Mul", x, p, NULL)));
    length = ft_onnx_node(o, "Max", sum_along(o, weights_of(o, positions, false)), ft_onnx_number(o, 1), NULL);
    x = ft_onnx_node(o, "Sub", x, ft_onnx_node(o, "Log", length, NULL), NULL);
    return ft_onnx_node(o, "Exp", ft_onnx_node(o, "Div", x, p, NULL), NULL);
}
