/* freeze.c - which parameters stay as they are. */
#include "base/error.h"
#include "model/model.h"

#include <fnmatch.h>
#include <string.h>

static void set(struct ft_model *model, struct ft_node *node, bool frozen)
{
    for (int i = 0; i < node->parameter_count; i++)
        model->parameters[node->parameters[i]].frozen = frozen;
    node->frozen = frozen && node->parameter_count > 0;
}

/* Nodes read only nodes before them, so one pass from NODE down to the first finds all it depends on. */
static int freeze_below(struct ft_model *model, const char *name, bool frozen)
{
    struct ft_arena arena = {0};
    int top = model->node_count - 1;
    bool *needed;

    while (top >= 0 && strcmp(model->nodes[top].name, name) != 0)
        top--;
    if (top < 0)
        return ft_fail(FT_USAGE, "below:%.200s: the model has no such node", name);
    if (!(needed = ft_arena_zero(&arena, (size_t)model->node_count, sizeof *needed)))
        return -1;
    needed[top] = true;
    for (int i = top; i >= 0; i--) {
        const struct ft_node *node = model->nodes + i;

        for (int k = 0; needed[i] && k < node->input_count; k++)
            needed[node->inputs[k]] = true;
        if (needed[i] && i != top)
            set(model, model->nodes + i, frozen);
    }
    ft_arena_free(&arena);
    return 0;
}

int ft_model_freeze(struct ft_model *model, const char *pattern, bool frozen)
{
    int matched = 0;

    if (strncmp(pattern, "below:", 6) == 0)
        return freeze_below(model, pattern + 6, frozen);
    for (int i = 0; i < model->node_count; i++)
        if (fnmatch(pattern, model->nodes[i].name, 0) == 0) {
            set(model, model->nodes + i, frozen);
            matched += model->nodes[i].parameter_count > 0;
        }
    if (!matched)
        return ft_fail(FT_USAGE, "'%.200s' matches no node with parameters, expected something like '%s' or 'encoder.layer.[0-3].*'", pattern,
                       model->node_count ? model->nodes[0].name : "");
    return 0;
}
