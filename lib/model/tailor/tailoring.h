/* tailoring.h - what model.c, modules.c and save.c share with tailor*.c: opening and saving a tailored model. */
#ifndef FT_MODEL_TAILOR_TAILORING_H
#define FT_MODEL_TAILOR_TAILORING_H

#include "model/model-build.h"
#include "model/tailor/tailor.h"

/* config.json's model_type where only ft.json says the family: nothing else loads such a directory. */
#define FT_TAILORED_TYPE "ft-tailored"

/* What to do to a model while it is opened. */
struct ft_tailoring {
    const struct ft_list *edits;
    uint64_t seed;
    bool begin;                  /* no parameter has a file */
};

/* A directory's model with these edits made. */
struct ft_model *ft_model_open_tailored(const char *directory, const struct ft_tailoring *tailoring);

/* ft.json of model->directory, where there is one: model->tailored. */
int ft_tailored_read(struct ft_model *model);

/* Behind the family's nodes: the chain that ft.json has. The last node, or -1. */
int ft_tailored_build(struct ft_builder *build);

/* All nodes are there: freeze those that ft.json names. */
int ft_tailored_freeze(struct ft_model *model);

/* Afterwards: write `freezing` so that, replayed in the end, it freezes what is frozen. */
int ft_tailored_settle(struct ft_model *model);

/* Edits of what config.json says: layers, dropout; of two towers' what it says of `tower`, else -1. Before the family reads it. */
int ft_tailor_config(struct ft_model *model, json_t *config, int tower, const char *path, const struct ft_tailoring *tailoring);

/* What it has of one tower, which files of 2022 say twice; how many, at most FT_CONFIG_PARTS. */
enum { FT_CONFIG_PARTS = 2 };
size_t ft_config_parts(json_t *config, int tower, json_t *part[FT_CONFIG_PARTS]);

/* So many blocks under `key`, and where config.json names the kind of each as many kinds. */
int ft_config_layers(json_t *config, const char *key, size_t count);

/* Every rate of dropout that config.json has; how many. */
size_t ft_config_dropout(json_t *config, double rate);

/* All nodes are there: make the edits. `family`, `config`: what the nodes were made of. */
int ft_tailor_apply(struct ft_builder *build, const struct ft_family *family, const json_t *config, const char *path,
                    const struct ft_tailoring *tailoring);

/* The chain behind the family's nodes, and nodes from links: after `node`; the last node, or -1. */
int ft_chain_read(const struct ft_model *model, struct ft_arena *arena, struct ft_chain *chain);
int ft_chain_build(struct ft_builder *build, int node, const struct ft_chain *chain);

/* Has the node's output one row an item, and is no map? */
bool ft_node_pooled(const struct ft_model *model, int node);

/* What a fresh parameter begins as. */
void ft_parameter_begin(const struct ft_model *model, int parameter, uint64_t seed, float *to);

/* The block that a node or tensor of the name is in ("encoder.layer.3.output": the fourth), 0: in none; and how many the family's nodes are in. */
size_t ft_name_block(const char *name);
size_t ft_model_blocks(const struct ft_model *model);

/* Where config.json says how many blocks there are; NULL where it does not. */
const char *ft_layers_key(const json_t *config);

/* Write config.json, modules.json and what it names, and ft.json of a model that was edited; weights are the caller's. */
int ft_tailored_write(struct ft_arena *arena, const struct ft_model *model, const char *directory);

/* Write into config.json what was edited of two towers that it is of. */
int ft_pair_write_config(struct ft_arena *arena, const struct ft_model *model, const char *directory);

/* What is frozen, as "edits" of an ft.json; none where nothing is. FT_USAGE: a pattern is not UTF-8. */
int ft_freezing_put(const struct ft_model *model, json_t *json);

/* May this tensor, which no node uses, go with an edited model? */
bool ft_tensor_kept(const char *name);

#endif
