/* groups.c - a hash table of contents over a union-find.
 *
 * Nodes lie in arrays in the order of their appearance; the table holds their numbers only, so growing it touches nothing else and
 * the old table is freed before the new one is made. */
#include "data/groups.h"
#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

/* A table slot for the hash: the high half scaled to the table's size, which may be any number (Lemire's reduction). */
static size_t home(const struct ft_groups *groups, struct ft_hash content)
{
    return (size_t)(((unsigned __int128)content.high * groups->slots) >> 64);
}

static bool same(struct ft_hash a, struct ft_hash b)
{
    return a.low == b.low && a.high == b.high;
}

/* Where the content is, or the free slot where it belongs. */
static size_t find(const struct ft_groups *groups, struct ft_hash content)
{
    size_t at = home(groups, content);

    while (groups->slot[at] && !same(groups->content[groups->slot[at] - 1], content))
        at = at + 1 == groups->slots ? 0 : at + 1;
    return at;
}

/* Twice as many nodes; for the table half as much again, so that it is between a half and three quarters full. */
static int grow_nodes(struct ft_groups *groups)
{
    size_t capacity = groups->capacity ? groups->capacity * 2 : 64;
    struct ft_hash *content = ft_resize(groups->content, capacity, sizeof *content);
    uint32_t *parent;

    if (!content)
        return -1;
    groups->content = content;
    if (!(parent = ft_resize(groups->parent, capacity, sizeof *parent)))
        return -1;
    groups->parent = parent;
    groups->capacity = capacity;
    return 0;
}

static int grow_table(struct ft_groups *groups)
{
    size_t slots = groups->slots ? groups->slots + groups->slots / 2 : 128;

    free(groups->slot);
    groups->slots = 0;
    if (!(groups->slot = calloc(slots, sizeof *groups->slot)))
        return ft_fail(FT_SYSTEM, "out of memory for %zu contents", slots);
    groups->slots = slots;
    for (size_t i = 0; i < groups->count; i++)
        groups->slot[find(groups, groups->content[i])] = (uint32_t)i + 1;
    return 0;
}

int ft_groups_add(struct ft_groups *groups, struct ft_hash content, uint32_t *node)
{
    size_t at;

    if (groups->numbered)
        return ft_fail(FT_SYSTEM, "groups are numbered: no content may be added");
    if (groups->count >= groups->slots / 4 * 3 && grow_table(groups) < 0)
        return -1;
    at = find(groups, content);
    if (!groups->slot[at]) {
        if (groups->count >= UINT32_MAX - 1)
            return ft_fail(FT_SYSTEM, "more than %u different contents", UINT32_MAX - 1);
        if (groups->count == groups->capacity && grow_nodes(groups) < 0)
            return -1;
        groups->content[groups->count] = content;
        groups->parent[groups->count] = (uint32_t)groups->count;
        groups->slot[at] = (uint32_t)++groups->count;
    }
    *node = groups->slot[at] - 1;
    return 0;
}

bool ft_groups_seek(const struct ft_groups *groups, struct ft_hash content, uint32_t *node)
{
    size_t at;

    if (!groups->slots)
        return false;
    at = find(groups, content);
    if (groups->slot[at])
        *node = groups->slot[at] - 1;
    return groups->slot[at] != 0;
}

uint32_t ft_groups_root(struct ft_groups *groups, uint32_t node)
{
    uint32_t *parent = groups->parent;

    while (parent[node] != node) {   /* path halving */
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    return node;
}

/* The earlier node becomes the root: parents are never larger than their children, which ft_groups_number relies on. */
void ft_groups_unite(struct ft_groups *groups, uint32_t a, uint32_t b)
{
    a = ft_groups_root(groups, a);
    b = ft_groups_root(groups, b);
    if (a < b)
        groups->parent[b] = a;
    else
        groups->parent[a] = b;
}

/* Parents come before children, so by the time a child is reached its parent's place holds the group's number already. */
uint32_t ft_groups_number(struct ft_groups *groups)
{
    uint32_t *parent = groups->parent, next = 0;

    if (groups->numbered) {
        for (size_t i = 0; i < groups->count; i++)
            if (parent[i] >= next)
                next = parent[i] + 1;
        return next;
    }
    for (size_t i = 0; i < groups->count; i++)
        parent[i] = parent[i] == i ? next++ : parent[parent[i]];
    free(groups->content);
    free(groups->slot);
    groups->content = NULL;
    groups->slot = NULL;
    groups->slots = 0;
    groups->numbered = true;
    return next;
}

uint32_t ft_groups_of(const struct ft_groups *groups, uint32_t node)
{
    return groups->parent[node];
}

void ft_groups_free(struct ft_groups *groups)
{
    free(groups->content);
    free(groups->parent);
    free(groups->slot);
    *groups = (struct ft_groups){0};
}
