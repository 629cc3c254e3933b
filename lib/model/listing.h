/* listing.h - a model's nodes as a person looks at them: shapes that follow from the input's size, parameters, what trains. */
#ifndef FT_MODEL_LISTING_H
#define FT_MODEL_LISTING_H

#include "model/model.h"

#include <jansson.h>

/* A node's output for one item: `rank` numbers. [tokens, width] of what has a row a token, [width] after pooling, [height, across, channels] of a map. */
struct ft_shape {
    int rank;
    size_t size[3];
};
struct ft_shape ft_node_shape(const struct ft_model *model, int node, size_t tokens);
void ft_shape_text(const struct ft_shape *shape, char *text, size_t size);       /* "[16, 384]" */

/* Numbers in a node's parameters; with `trainable`, those that training changes. */
size_t ft_node_numbers(const struct ft_model *model, int node, bool trainable);
size_t ft_model_numbers(const struct ft_model *model, bool trainable);           /* of all; one that two nodes share counts once */

/* {"model", "family", "nodes": [{"name", "op", "inputs": [...], "shape": [...], "parameters", "trainable", "tensors": [...]}], "edits": [...],
 * "totals": {"nodes", "parameters", "trainable", "bytes"}}, and of two towers "towers": {"text": {"family", "totals"}, "image": ...}; json_decref it. NULL: FT_SYSTEM. */
json_t *ft_listing_json(const struct ft_model *model, size_t tokens);

/* What graphviz's dot draws, in the arena. */
char *ft_listing_dot(struct ft_arena *arena, const struct ft_model *model, size_t tokens);

#endif
