/* freeze.c - parameters by patterns: which stay as they are, and which have a rate of their own. */
#include "base/error.h"
#include "model/towers.h"

#include <fnmatch.h>
#include <string.h>

/* Nodes read only nodes before them, so one pass from NODE down to the first finds all it depends on. */
static int find_below(const struct ft_model *model, const char *name, bool *found)
{
    int top = model->node_count - 1;

    while (top >= 0 && strcmp(model->nodes[top].name, name) != 0)
        top--;
    if (top < 0)
        return ft_fail(FT_USAGE, "below:%.200s: the model has no such node", name);
    found[top] = true;
    for (int i = top; i >= 0; i--) {
        const struct ft_node *node = model->nodes + i;

        for (int k = 0; found[i] && k < node->input_count; k++)
            found[node->inputs[k]] = true;
    }
    found[top] = false;
    return 0;
}

/* "text" and "image" where they are towers: all nodes of one. */
static bool is_tower(const struct ft_model *model, const char *pattern, int node)
{
    int inside;

    return model->tower_count && strcmp(pattern, ft_tower_name(ft_towers_node(model, node, &inside) == model->towers[0] ? FT_TOWER_TEXT : FT_TOWER_IMAGE)) == 0;
}

/* [node_count], from the arena. */
static bool *find_nodes(struct ft_arena *arena, const struct ft_model *model, const char *pattern)
{
    bool *found = ft_arena_zero(arena, (size_t)model->node_count + 1, sizeof *found);

    if (found && strncmp(pattern, "below:", 6) == 0)
        return find_below(model, pattern + 6, found) < 0 ? NULL : found;
    for (int i = 0; found && i < model->node_count; i++)
        found[i] = fnmatch(pattern, model->nodes[i].name, 0) == 0 || is_tower(model, pattern, i);
    return found;
}

static int fail_none(const struct ft_model *model, const char *pattern)
{
    int some = 0;

    while (some < model->node_count && model->nodes[some].parameter_count == 0)
        some++;
    return ft_fail(FT_USAGE, "'%.200s' matches no node with parameters, expected something like '%s': ft-tailor -m MODEL lists them", pattern,
                   some < model->node_count ? model->nodes[some].name : "*");
}

int ft_model_freeze(struct ft_model *model, const char *pattern, bool frozen)
{
    struct ft_arena arena = {0};
    bool *found = find_nodes(&arena, model, pattern), below = strncmp(pattern, "below:", 6) == 0;
    int matched = 0, result = found ? 0 : -1;

    for (int i = 0; found && i < model->node_count; i++) {
        struct ft_node *node = model->nodes + i;

        for (int k = 0; found[i] && k < node->parameter_count; k++)
            model->parameters[node->parameters[k]].frozen = frozen;
        if (found[i])
            node->frozen = frozen && node->parameter_count > 0;
        matched += found[i] && node->parameter_count > 0;
    }
    if (found && !matched && !below)
        result = fail_none(model, pattern);
    ft_towers_tell(model);
    ft_arena_free(&arena);
    return result;
}

int ft_model_match(const struct ft_model *model, const char *pattern, bool *matched)
{
    struct ft_arena arena = {0};
    bool *found = find_nodes(&arena, model, pattern), any = false;

    for (int i = 0; i < model->parameter_count; i++)
        any |= matched[i] = fnmatch(pattern, model->parameters[i].name, 0) == 0;
    for (int i = 0; found && i < model->node_count; i++)
        for (int k = 0; found[i] && k < model->nodes[i].parameter_count; k++)
            any |= matched[model->nodes[i].parameters[k]] = true;
    ft_arena_free(&arena);
    if (!found)
        return -1;
    return any ? 0 : fail_none(model, pattern);
}
