/* groups.h - which contents belong together.
 *
 * A query and the documents that answer it are alike; so are two documents that share a query, and so on: groups are the connected
 * components over equal contents (union-find). With `q1,d1 / q2,d1` all three are one group, so d1 is never its own negative.
 *
 *     struct ft_groups groups = {0};
 *     ft_groups_add(&groups, ft_document_hash(anchor), &a);         nodes: equal contents give the same one
 *     ft_groups_add(&groups, ft_document_hash(positive), &p);
 *     ft_groups_unite(&groups, a, p);
 *     ...
 *     count = ft_groups_number(&groups);                               all are in: now
 *     ft_groups_of(&groups, a)                                         is a number in [0, count)
 *
 * About 28 bytes a different content (16 its hash, 4 its parent, 5 to 8 in the table); 4 once numbered. */
#ifndef FT_DATA_GROUPS_H
#define FT_DATA_GROUPS_H

#include "base/hash.h"

#include <stdbool.h>

struct ft_groups {               /* zero-initialised is empty */
    struct ft_hash *content;     /* [count] */
    uint32_t *parent;            /* [count], never larger than its own index; after ft_groups_number the group's number */
    uint32_t *slot;              /* [slots] open addressing: node + 1, 0 = free */
    size_t count, capacity, slots;
    bool numbered;
};

/* The node of this content, made when it is new: nodes count up from 0 in the order of first appearance. -1 (FT_SYSTEM) when memory
 * or the 2^32 - 2 numbers run out. Not after ft_groups_number. */
int ft_groups_add(struct ft_groups *groups, struct ft_hash content, uint32_t *node);

/* Is this content known? Not after ft_groups_number, which frees the table. */
bool ft_groups_seek(const struct ft_groups *groups, struct ft_hash content, uint32_t *node);

void ft_groups_unite(struct ft_groups *groups, uint32_t a, uint32_t b);

/* The group's first node, while groups may still be united. */
uint32_t ft_groups_root(struct ft_groups *groups, uint32_t node);

/* Number the groups from 0 in the order of their first nodes and give how many there are. Frees the table; a second call only counts. */
uint32_t ft_groups_number(struct ft_groups *groups);
uint32_t ft_groups_of(const struct ft_groups *groups, uint32_t node);

void ft_groups_free(struct ft_groups *groups);   /* leaves an empty, usable one */

#endif
