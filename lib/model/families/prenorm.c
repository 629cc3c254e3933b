/* prenorm.c - the transformer of vision transformers and CLIP (Dosovitskiy et al. 2020; Radford et al. 2021): each block is norm, attention and residual, then
 * norm, two linear maps with an activation between, and residual. */
#include "model/families/prenorm.h"
#include "base/error.h"

#include <stdio.h>

enum { NAME = 200 };

static const char *in_layer(char name[NAME], const struct ft_prenorm *e, size_t number, const char *part)
{
    snprintf(name, NAME, "%s%zu.%s", e->names->layer, number, part);
    return name;
}

static int build_apart(struct ft_builder *b, const struct ft_prenorm *e, int input, size_t number)
{
    const char *const parts[3] = {e->names->query, e->names->key, e->names->value};
    char prefix[3][NAME], name[NAME];
    int nodes[3];

    for (int i = 0; i < 3; i++)
        nodes[i] = ft_build_node(b, FT_OP_LINEAR, e->width, input, -1, -1, "%s", in_layer(prefix[i], e, number, parts[i]));
    for (int i = 0; i < 3; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, prefix[i], "weight", e->width, e->width, FT_BUILD_DECAY | (i ? FT_BUILD_JOINED : 0)));
    for (int i = 0; i < 3 && e->bias; i++)
        ft_build_give(b, nodes[i], ft_build_parameter(b, prefix[i], "bias", 1, e->width, FT_BUILD_VECTOR | (i ? FT_BUILD_JOINED : 0)));
    return ft_build_node(b, FT_OP_ATTENTION, e->width, nodes[0], nodes[1], nodes[2], "%s", in_layer(name, e, number, e->names->attention));
}

static int build_joined(struct ft_builder *b, const struct ft_prenorm *e, int input, size_t number)
{
    char prefix[NAME], name[NAME];
    int node = ft_build_node(b, FT_OP_LINEAR, 3 * e->width, input, -1, -1, "%s", in_layer(prefix, e, number, e->names->query));

    ft_build_give(b, node, ft_build_parameter(b, prefix, e->names->joined_weight, 3 * e->width, e->width, FT_BUILD_DECAY));
    if (e->bias)
        ft_build_give(b, node, ft_build_parameter(b, prefix, e->names->joined_bias, 1, 3 * e->width, FT_BUILD_VECTOR));
    return ft_build_node(b, FT_OP_ATTENTION, e->width, node, -1, -1, "%s", in_layer(name, e, number, e->names->attention));
}

static int drop_and_add(struct ft_builder *b, const struct ft_prenorm *e, int node, int residual, size_t number, const char *part)
{
    char name[NAME], drop[NAME], add[NAME];

    in_layer(name, e, number, part);
    snprintf(drop, NAME, "%.180s.dropout", name);
    snprintf(add, NAME, "%.180s.add", name);
    if (e->dropout > 0)
        node = ft_build_dropout(b, node, e->width, e->dropout, drop);
    return ft_build_node(b, FT_OP_ADD, e->width, node, residual, -1, "%s", add);
}

static int build_layer(struct ft_builder *b, const struct ft_prenorm *e, int input, size_t number)
{
    const struct ft_prenorm_names *n = e->names;
    char name[NAME], act[NAME];
    int node = ft_build_norm(b, input, e->width, e->epsilon, in_layer(name, e, number, n->before));

    node = n->joined_weight ? build_joined(b, e, node, number) : build_apart(b, e, node, number);
    ft_build_at(b, node)->attention.heads = e->heads;
    ft_build_at(b, node)->attention.causal = e->causal;
    ft_build_at(b, node)->rate = (float)e->attention_dropout;
    in_layer(name, e, number, n->out);
    input = drop_and_add(b, e, ft_build_linear(b, node, e->width, e->width, true, name, name), input, number, n->out);
    node = ft_build_norm(b, input, e->width, e->epsilon, in_layer(name, e, number, n->after));
    in_layer(name, e, number, n->inner);
    node = ft_build_linear(b, node, e->width, e->inner, true, name, name);
    snprintf(act, NAME, "%.180s.act", name);
    node = ft_build_activation(b, node, e->inner, e->activation, act);
    in_layer(name, e, number, n->outer);
    return drop_and_add(b, e, ft_build_linear(b, node, e->inner, e->width, true, name, name), input, number, n->outer);
}

int ft_prenorm_build(struct ft_builder *b, const struct ft_prenorm *e, int input)
{
    for (size_t i = 0; i < e->layers && !b->failed; i++)
        input = build_layer(b, e, input, i);
    return input;
}

int ft_prenorm_read(const json_t *config, const char *path, struct ft_prenorm *e)
{
    const char *activation = ft_json_text(config, "hidden_act");

    if (ft_json_size(config, path, "hidden_size", 1, 1 << 16, true, &e->width) < 0 || ft_json_size(config, path, "num_hidden_layers", 1, 1024, true, &e->layers) < 0 ||
        ft_json_size(config, path, "num_attention_heads", 1, 1 << 10, true, &e->heads) < 0 ||
        ft_json_size(config, path, "intermediate_size", 1, 1 << 20, true, &e->inner) < 0 || ft_json_number(config, path, "layer_norm_eps", 0, 1, &e->epsilon) < 0)
        return -1;
    if (e->width % e->heads)
        return ft_fail(FT_BAD, "%s: hidden_size %zu is no multiple of num_attention_heads %zu", path, e->width, e->heads);
    if (activation && ft_activation_parse(activation, &e->activation) < 0)
        return ft_error_prefix("%s: hidden_act: ", path);
    return 0;
}
