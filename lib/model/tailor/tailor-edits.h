/* tailor-edits.h - what tailor.c and tailor-links.c make edits by. */
#ifndef FT_MODEL_TAILOR_TAILOR_EDITS_H
#define FT_MODEL_TAILOR_TAILOR_EDITS_H

#include "model/tailor/tailoring.h"

/* A model while it is edited. */
struct ft_tailor {
    struct ft_builder *build;
    struct ft_model *model;
    struct ft_tailored *tailored;
    struct ft_arena *arena;
    struct ft_chain chain;       /* behind the family's nodes, when the edit began */
    bool cut;                    /* at a node that has a row a token */
};

/* The node's number, or -1. */
int ft_tailor_node(const struct ft_model *model, const char *name);

/* The family's nodes up to `last`, and then the chain. */
int ft_tailor_rebuild(struct ft_tailor *t, int last);

/* Room for `count` more links at `place` of the chain. */
struct ft_link *ft_tailor_room(struct ft_tailor *t, size_t place, size_t count);

bool ft_tailor_is_pool(enum ft_op op);

/* Can the places of a map, which have no order, be pooled so? */
bool ft_tailor_pools_maps(const struct ft_link *link);

/* The edits of the chain, with what the option of the name has. FT_USAGE. */
int ft_edit_pool(struct ft_tailor *t, const char *text);
int ft_edit_dim(struct ft_tailor *t, const char *text);
int ft_edit_head(struct ft_tailor *t, const char *text);
int ft_edit_normalize(struct ft_tailor *t, const char *text);

#endif
