/* listing.c - the node list as rows, as JSON, as a graph. */
#include "model/listing.h"
#include "base/error.h"
#include "model/tailor/tailoring.h"
#include "model/towers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ft_shape ft_node_shape(const struct ft_model *model, int node, size_t tokens)
{
    const struct ft_node *n = model->nodes + node;
    int inside = node;

    if (model->tower_count) {
        const struct ft_model *tower = ft_towers_node(model, node, &inside);

        return ft_node_shape(tower, inside, tokens);
    }
    if (n->height)
        return (struct ft_shape){3, {n->height, n->across, n->width}};
    if (ft_node_pooled(model, node))
        return (struct ft_shape){1, {n->width}};
    return (struct ft_shape){2, {model->input == FT_INPUT_IMAGE ? model->rows_each : tokens, n->width}};
}

void ft_shape_text(const struct ft_shape *shape, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");

    for (int i = 0; i < shape->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%zu", i ? ", " : "", shape->size[i]);
    if (used < size)
        snprintf(text + used, size - used, "]");
}

static size_t numbers(const struct ft_parameter *p, bool trainable)
{
    return trainable && !ft_parameter_learns(p) ? 0 : p->rows * p->columns;
}

size_t ft_node_numbers(const struct ft_model *model, int node, bool trainable)
{
    const struct ft_node *n = model->nodes + node;
    size_t sum = 0;

    for (int k = 0; k < n->parameter_count; k++)
        sum += numbers(model->parameters + n->parameters[k], trainable);
    return sum;
}

size_t ft_model_numbers(const struct ft_model *model, bool trainable)
{
    size_t sum = 0;

    for (int i = 0; i < model->parameter_count; i++)
        sum += numbers(model->parameters + i, trainable);
    return sum;
}

static json_t *node_json(const struct ft_model *model, int node, size_t tokens)
{
    const struct ft_node *n = model->nodes + node;
    const struct ft_shape shape = ft_node_shape(model, node, tokens);
    json_t *inputs = json_array(), *sizes = json_array(), *tensors = json_array();

    for (int k = 0; k < n->input_count; k++)
        json_array_append_new(inputs, json_string(model->nodes[n->inputs[k]].name));
    for (int k = 0; k < shape.rank; k++)
        json_array_append_new(sizes, json_integer((json_int_t)shape.size[k]));
    for (int k = 0; k < n->parameter_count; k++)
        json_array_append_new(tensors, json_string(model->parameters[n->parameters[k]].name));
    return json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o}", "name", n->name, "op", ft_op_name(n->op), "inputs", inputs, "shape", sizes,
                     "parameters", (json_int_t)ft_node_numbers(model, node, false), "trainable", (json_int_t)ft_node_numbers(model, node, true),
                     "tensors", tensors);
}

static json_t *freezing_json(const struct ft_model *model)
{
    const struct ft_list none = {NULL, 0}, *list = model->tailored ? &model->tailored->freezing : &none;
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++) {
        bool frozen = *list->items[i] != '!';

        json_array_append_new(array, json_pack("{s:s,s:s}", "edit", frozen ? "freeze" : "unfreeze", "nodes", list->items[i] + !frozen));
    }
    return array;
}

static json_t *totals_json(const struct ft_model *model)
{
    size_t all = ft_model_numbers(model, false);

    return json_pack("{s:I,s:I,s:I,s:I}", "nodes", (json_int_t)model->node_count, "parameters", (json_int_t)all, "trainable",
                     (json_int_t)ft_model_numbers(model, true), "bytes", (json_int_t)(all * sizeof(float)));
}

/* Of each tower its family and its totals; NULL where there are none. */
static json_t *towers_json(const struct ft_model *model)
{
    json_t *json = model->tower_count ? json_object() : NULL;

    for (int t = 0; t < model->tower_count; t++)
        json_object_set_new(json, ft_tower_name((enum ft_tower)t),
                            json_pack("{s:s,s:o}", "family", model->towers[t]->family, "totals", totals_json(model->towers[t])));
    return json;
}

json_t *ft_listing_json(const struct ft_model *model, size_t tokens)
{
    json_t *nodes = json_array(), *json;

    for (int i = 0; nodes && i < model->node_count; i++)
        if (json_array_append_new(nodes, node_json(model, i, tokens)) < 0)
            break;
    json = json_pack("{s:s,s:s,s:o,s:o,s:o*,s:o}", "model", model->directory, "family", model->family, "nodes", nodes,
                     "edits", freezing_json(model), "towers", towers_json(model), "totals", totals_json(model));
    if (json && json_array_size(json_object_get(json, "nodes")) == (size_t)model->node_count)
        return json;
    json_decref(json);
    ft_fail(FT_SYSTEM, "the list of nodes is not UTF-8, or memory is short");
    return NULL;
}

/* Inside "": graphviz takes \" and \\. */
static const char *escaped(struct ft_arena *arena, const char *name)
{
    char *text = ft_arena_take(arena, 2 * strlen(name) + 1), *to = text;

    for (; to && *name; *to++ = *name++)
        if (strchr("\"\\", *name))
            *to++ = '\\';
    if (to)
        *to = '\0';
    return text;
}

static int dot_node(struct ft_arena *arena, FILE *out, const struct ft_model *model, int node, size_t tokens)
{
    const struct ft_node *n = model->nodes + node;
    const struct ft_shape shape = ft_node_shape(model, node, tokens);
    size_t count = ft_node_numbers(model, node, false);
    const char *name = escaped(arena, n->name);
    char size[96];

    if (!name)
        return -1;
    ft_shape_text(&shape, size, sizeof size);
    fprintf(out, "    n%d [label=\"%s\\n%s %s", node, name, ft_op_name(n->op), size);
    if (count)
        fprintf(out, "\\n%zu parameters%s", count, ft_node_numbers(model, node, true) ? "" : ", frozen");
    fprintf(out, "\"%s];\n", !count ? "" : ft_node_numbers(model, node, true) ? ", fillcolor=palegreen" : ", fillcolor=lightblue");
    for (int k = 0; k < n->input_count; k++)
        fprintf(out, "    n%d -> n%d;\n", n->inputs[k], node);
    return 0;
}

char *ft_listing_dot(struct ft_arena *arena, const struct ft_model *model, size_t tokens)
{
    char *text = NULL, *kept = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int result = out ? 0 : -1;

    if (result == 0)
        fprintf(out, "digraph model {\n    node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\"];\n");
    for (int i = 0; result == 0 && i < model->node_count; i++)
        result = dot_node(arena, out, model, i, tokens);
    if (out && fprintf(out, "}\n") > 0 && fclose(out) == 0 && result == 0)
        kept = ft_arena_text(arena, (struct ft_string){text, size});
    else
        ft_fail(FT_SYSTEM, "out of memory");
    free(text);
    return kept;
}
