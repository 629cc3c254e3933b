/* mlp.c - a model of feature vectors: linear maps with an activation between them. Its config.json is ours:
 *
 *     {"model_type": "mlp", "input_size": 512, "hidden_sizes": [256], "output_size": 128, "bias": true, "activation": "relu", "norm": "none",
 *      "dropout": 0.0, "l2": true} */
#include "model/tailor/tailoring.h"
#include "base/error.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum { WIDEST = 1 << 16, HIDDEN_MAX = 64 };

struct mlp {
    size_t in, out, hidden[HIDDEN_MAX], hidden_count;
    bool bias, l2;
    const char *norm;
    double dropout;
    enum ft_activation activation;
};

static int read_hidden(struct mlp *c, const json_t *config, const char *path)
{
    const json_t *list = json_object_get(config, "hidden_sizes");

    if (list && !json_is_array(list))
        return ft_fail(FT_BAD, "%s: hidden_sizes is not a list", path);
    if ((c->hidden_count = json_array_size(list)) > HIDDEN_MAX)
        return ft_fail(FT_BAD, "%s: hidden_sizes has %zu numbers, expected at most %d", path, c->hidden_count, HIDDEN_MAX);
    for (size_t i = 0; i < c->hidden_count; i++) {
        json_int_t size = json_integer_value(json_array_get(list, i));

        if (size < 1 || size > WIDEST)
            return ft_fail(FT_BAD, "%s: hidden_sizes: expected whole numbers, 1 to %d", path, WIDEST);
        c->hidden[i] = (size_t)size;
    }
    return 0;
}

static int read_config(struct mlp *c, const json_t *config, const char *path)
{
    const char *activation = ft_json_text(config, "activation");

    *c = (struct mlp){.bias = true, .norm = ft_json_text(config, "norm")};
    if (ft_json_size(config, path, "input_size", 1, WIDEST, false, &c->in) < 0 || ft_json_size(config, path, "output_size", 1, WIDEST, false, &c->out) < 0 ||
        read_hidden(c, config, path) < 0 || ft_json_bool(config, path, "bias", &c->bias) < 0 || ft_json_bool(config, path, "l2", &c->l2) < 0 ||
        ft_json_number(config, path, "dropout", 0, .999, &c->dropout) < 0)
        return -1;
    if (c->norm && strcmp(c->norm, "none") != 0 && strcmp(c->norm, "layer") != 0 && strcmp(c->norm, "batch") != 0)
        return ft_fail(FT_BAD, "%s: norm '%.64s' is not known, expected batch, layer or none", path, c->norm);
    if (ft_activation_parse(activation ? activation : "relu", &c->activation) < 0)
        return ft_error_prefix("%s: ", path);
    return 0;
}

/* Names are those of torch's LayerNorm and BatchNorm1d. */
static int build_norm(struct ft_builder *b, int node, bool batch, size_t width, const char *name)
{
    if (!batch)
        return ft_build_norm(b, node, width, 1e-5, name);
    node = ft_build_node(b, FT_OP_BATCH_NORM, width, node, -1, -1, "%s", name);
    ft_build_at(b, node)->epsilon = 1e-5f;
    ft_build_at(b, node)->momentum = .1f;
    ft_build_give(b, node, ft_build_parameter(b, name, "weight", 1, width, FT_BUILD_VECTOR));
    ft_build_give(b, node, ft_build_parameter(b, name, "bias", 1, width, FT_BUILD_VECTOR));
    ft_build_give(b, node, ft_build_parameter(b, name, "running_mean", 1, width, FT_BUILD_VECTOR | FT_BUILD_STATISTIC));
    ft_build_give(b, node, ft_build_parameter(b, name, "running_var", 1, width, FT_BUILD_VECTOR | FT_BUILD_STATISTIC));
    return node;
}

static int build_hidden(struct ft_builder *b, const struct mlp *c, int node, size_t number)
{
    char name[64], part[64];
    size_t in = ft_build_at(b, node)->width, out = c->hidden[number];

    snprintf(name, sizeof name, "layers.%zu.linear", number);
    node = ft_build_linear(b, node, in, out, c->bias, name, name);
    snprintf(part, sizeof part, "layers.%zu.norm", number);
    if (c->norm && strcmp(c->norm, "none") != 0)
        node = build_norm(b, node, *c->norm == 'b', out, part);
    snprintf(part, sizeof part, "layers.%zu.activation", number);
    if (c->activation != FT_IDENTITY)
        node = ft_build_activation(b, node, out, c->activation, part);
    snprintf(part, sizeof part, "layers.%zu.dropout", number);
    return c->dropout > 0 ? ft_build_dropout(b, node, out, c->dropout, part) : node;
}

static int build(struct ft_builder *b, const json_t *config, const char *path)
{
    struct ft_model *model = b->model;
    struct mlp c;
    int node;

    if (read_config(&c, config, path) < 0)
        return -1;
    model->input = FT_INPUT_VECTOR;
    model->input_width = c.in;
    model->rows_each = 1;
    node = ft_build_node(b, FT_OP_VECTOR, c.in, -1, -1, -1, "input");
    for (size_t i = 0; i < c.hidden_count; i++)
        node = build_hidden(b, &c, node, i);
    node = ft_build_linear(b, node, ft_build_at(b, node)->width, c.out, c.bias, "output", "output");
    return c.l2 ? ft_build_node(b, FT_OP_NORMALIZE, c.out, node, -1, -1, "normalize") : node;
}

static const char *const prefixes[] = {"", NULL};

const struct ft_family ft_family_mlp = {.name = "mlp", .build = build, .prefixes = prefixes};
