/* tailor-chain.c - the nodes behind the family's, as a list that can be changed, and back. */
#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "model/tailor/tailoring.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const float MOMENTUM = .1f;   /* torch.nn.BatchNorm1d's */

bool ft_node_pooled(const struct ft_model *model, int node)
{
    const struct ft_node *n = model->nodes + node;

    if (n->op == FT_OP_POOL || n->op == FT_OP_GEM || n->op == FT_OP_VECTOR || n->op == FT_OP_PROBE)
        return true;
    return n->height == 0 && n->op != FT_OP_TOKENS && n->input_count > 0 && ft_node_pooled(model, n->inputs[0]);
}

static struct ft_link link_of(const struct ft_model *model, const struct ft_node *n)
{
    const struct ft_parameter *p = n->parameter_count ? model->parameters + n->parameters[0] : NULL;

    return (struct ft_link){
        .op = n->op, .name = n->name, .file = p ? p->file : "", .out = n->width, .bias = n->parameter_count > 1, .learn = p != NULL,
        .pooling = n->pooling, .activation = n->activation, .power = n->power, .rate = n->rate, .epsilon = n->epsilon,
        .frozen = n->frozen, .fresh = p && p->fresh,
    };
}

int ft_chain_read(const struct ft_model *model, struct ft_arena *arena, struct ft_chain *chain)
{
    size_t count = (size_t)(model->node_count - model->body_nodes);

    *chain = (struct ft_chain){ft_arena_zero(arena, count + 1, sizeof *chain->items), count};
    for (size_t i = 0; chain->items && i < count; i++)
        chain->items[i] = link_of(model, model->nodes + model->body_nodes + i);
    return chain->items ? 0 : -1;
}

static void vector(struct ft_builder *build, int node, const char *name, size_t width, int flags)
{
    ft_build_give(build, node, ft_build_parameter(build, "", name, 1, width, FT_BUILD_VECTOR | flags));
}

/* The node and its parameters, which begin at number `first`. */
static int build_link(struct ft_builder *build, int node, const struct ft_link *link)
{
    size_t width = ft_build_at(build, node)->width;
    struct ft_node *at;

    if (link->op == FT_OP_LINEAR)
        return ft_build_linear(build, node, width, link->out, link->bias, link->name, "linear");
    node = ft_build_node(build, link->op, width, node, -1, -1, "%s", link->name);
    at = ft_build_at(build, node);
    at->pooling = link->pooling;
    at->activation = link->activation;
    at->power = link->power;
    at->rate = link->rate;
    at->epsilon = link->epsilon;
    if (link->op == FT_OP_GEM && link->learn)
        vector(build, node, "p", 1, 0);
    if (link->op == FT_OP_LAYER_NORM || link->op == FT_OP_BATCH_NORM) {
        vector(build, node, "norm.weight", width, 0);
        vector(build, node, "norm.bias", width, 0);
    }
    if (link->op == FT_OP_BATCH_NORM) {
        at->momentum = MOMENTUM;
        vector(build, node, "norm.running_mean", width, FT_BUILD_STATISTIC);
        vector(build, node, "norm.running_var", width, FT_BUILD_STATISTIC);
    }
    return node;
}

int ft_chain_build(struct ft_builder *build, int node, const struct ft_chain *chain)
{
    struct ft_model *model = build->model;

    for (size_t i = 0; i < chain->count && !build->failed; i++) {
        const struct ft_link *link = chain->items + i;
        int first = model->parameter_count;

        build->file = link->file;
        node = build_link(build, node, link);
        build->file = "";
        for (int k = first; k < model->parameter_count; k++) {
            model->parameters[k].fresh = link->fresh;
            model->parameters[k].frozen = link->frozen;
        }
        ft_build_at(build, node)->frozen = link->frozen;
    }
    if (build->failed)
        return -1;
    model->dim = ft_build_at(build, node)->width;
    model->normalized = ft_build_at(build, node)->op == FT_OP_NORMALIZE;
    return node;
}

static void fill_uniform(const struct ft_parameter *p, double bound, uint64_t seed, float *to)
{
    char name[512];
    int size = snprintf(name, sizeof name, "%s/%s", p->file, p->name);
    struct ft_random random = ft_random_start(seed, ft_crc32c(0, name, strnlen(name, (size_t)size)));

    for (size_t i = 0; i < p->rows * p->columns; i++)
        to[i] = (float)(bound * (2 * ft_random_uniform(&random) - 1));
}

void ft_parameter_begin(const struct ft_model *model, int parameter, uint64_t seed, float *to)
{
    const struct ft_parameter *p = model->parameters + parameter;
    const struct ft_node *n = model->nodes;
    int place = 0;
    float value;

    for (bool found = false; !found; n += !found)
        for (place = 0; place < n->parameter_count && !(found = n->parameters[place] == parameter); place++)
            ;
    if (n->op == FT_OP_LINEAR) {
        fill_uniform(p, 1 / sqrt((double)model->parameters[n->parameters[0]].columns), seed, to);
        return;
    }
    /* Norms: gain, bias, running mean, running variance. */
    value = n->op == FT_OP_GEM ? n->power : place == 0 || place == 3;
    for (size_t i = 0; i < p->rows * p->columns; i++)
        to[i] = value;
}
