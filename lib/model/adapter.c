/* adapter.c - which layers get adapters, what these begin with, and W + s B A. */
#include "model/adapter.h"
#include "base/error.h"
#include "base/pool.h"
#include "base/random.h"
#include "base/tool.h"
#include "model/towers.h"

#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_FLOATS = 16, RANK_MAX = 1 << 14 };

static int read_number(const struct ft_setting *setting, const char *key, double otherwise, double low, double high, double *number)
{
    int failed = 0;

    *number = ft_setting_number(setting, key, otherwise, &failed);
    if (failed)
        return ft_error_prefix("--lora: ");
    if (!(*number >= low && *number <= high))
        return ft_fail(FT_USAGE, "--lora %s=%g: expected %g to %g", key, *number, low, high);
    return 0;
}

int ft_lora_parse(struct ft_arena *arena, struct ft_lora *lora, const char *text)
{
    const char *whole = ft_arena_print(arena, "lora:%s", text), *bias;
    struct ft_setting setting;
    double rank, dropout, root;

    if (!whole)
        return -1;
    if (!*text || ft_setting_parse(&setting, whole) < 0)
        return ft_fail(FT_USAGE, "--lora '%s': expected key=value,... as r=8,alpha=16,target=query+value", text);
    if (ft_setting_check(&setting, "r alpha dropout target use_rslora bias") < 0)
        return ft_error_prefix("--");
    bias = ft_setting_text(&setting, "bias", "none");
    if (read_number(&setting, "r", 8, 1, RANK_MAX, &rank) < 0 || read_number(&setting, "alpha", 8, 1e-9, 1e9, &lora->alpha) < 0 ||
        read_number(&setting, "dropout", 0, 0, 1, &dropout) < 0 || read_number(&setting, "use_rslora", 0, 0, 1, &root) < 0)
        return -1;
    if (rank != (double)(size_t)rank || root != (double)(int)root)
        return ft_fail(FT_USAGE, "--lora %s=%g: expected a whole number", root != (double)(int)root ? "use_rslora" : "r",
                       root != (double)(int)root ? root : rank);
    if (dropout > 0)
        return ft_fail(FT_USAGE, "--lora dropout=%g: adapters are merged into the weights they change, so their input has no dropout of its own; "
                       "expected 0", dropout);
    if (strcmp(bias, "none") != 0)
        return ft_fail(FT_USAGE, "--lora bias=%s: expected none", bias);
    lora->rank = (size_t)rank;
    lora->root = root > 0;
    lora->target = ft_arena_text(arena, ft_string_of(ft_setting_text(&setting, "target", "query+value")));
    return lora->target ? 0 : -1;
}

double ft_lora_scale(const struct ft_lora *lora)
{
    return lora->alpha / (lora->root ? sqrt((double)lora->rank) : (double)lora->rank);
}

/* Is it the weight of a torch.nn.Linear? Modules after the body are no part of what PEFT wraps; a linear layer whose weight has a convolution's shape is a
 * convolution to PEFT, whose adapters are convolutions too. */
static bool is_linear(const struct ft_model *model, const struct ft_node *node)
{
    const struct ft_parameter *p = node->op == FT_OP_LINEAR ? &model->parameters[node->parameters[0]] : NULL;
    size_t size = p ? strlen(p->name) : 0;

    return p && !*p->file && p->rank == 2 && !p->whole && !p->transposed && size > 7 && strcmp(p->name + size - 7, ".weight") == 0;
}

/* The layer behind a MultiheadAttention of torch is one to look at, but its weight is read past what PEFT puts around it. */
static bool ends_attention(const struct ft_model *model, const struct ft_node *node)
{
    const struct ft_node *attention = &model->nodes[node->inputs[0]], *query;

    if (attention->op != FT_OP_ATTENTION && attention->op != FT_OP_ATTEND)
        return false;
    query = &model->nodes[attention->inputs[0]];
    return query->op == FT_OP_LINEAR && !is_linear(model, query);
}

/* The name of the layer a weight belongs to, or NULL where it is of another kind. */
static const char *module_of(struct ft_arena *arena, const struct ft_model *model, const struct ft_node *node)
{
    const char *name;

    if (!is_linear(model, node) || ends_attention(model, node))
        return NULL;
    name = model->parameters[node->parameters[0]].name;
    return ft_arena_text(arena, (struct ft_string){name, strlen(name) - 7});
}

static bool fits(const char *name, const char *pattern)
{
    size_t n = strlen(name), p = strlen(pattern);

    if (strcmp(pattern, "all-linear") == 0 || (n > p && name[n - p - 1] == '.' && strcmp(name + n - p, pattern) == 0))
        return true;
    return fnmatch(pattern, name, 0) == 0;
}

/* Mark the nodes that one pattern names. */
static int mark(struct ft_arena *arena, const struct ft_model *model, const char *pattern, bool *marked)
{
    const char *some = "";
    bool found = false;

    for (int i = 0; i < model->node_count; i++) {
        const char *module = module_of(arena, model, &model->nodes[i]);

        if (!module)
            continue;
        some = module;
        if (fits(module, pattern))
            found = marked[i] = true;
    }
    if (!*some)
        return ft_fail(FT_USAGE, "--lora adapts linear layers, and this model has none");
    return found ? 0 : ft_fail(FT_USAGE, "--lora target=%s names no linear layer: they are called like %s", pattern, some);
}

static void add_parameter(struct ft_adapters *all, struct ft_parameter **place, const char *name, size_t rows, size_t columns)
{
    *place = &all->parameters[all->parameter_count++];
    **place = (struct ft_parameter){.name = name, .file = "", .rank = 2, .rows = rows, .columns = columns, .decay = true};
    (*place)->offset = (all->block_count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    all->block_count = (*place)->offset + rows * columns;
}

static int add_adapter(struct ft_model *model, struct ft_adapters *all, const struct ft_node *node)
{
    struct ft_parameter *w = &model->parameters[node->parameters[0]];
    struct ft_adapter *adapter = &all->items[all->count];
    const char *module = module_of(&model->arena, model, node);
    const char *a = ft_arena_print(&model->arena, "%s.lora_A.weight", module), *b = ft_arena_print(&model->arena, "%s.lora_B.weight", module);

    if (!module || !a || !b)
        return -1;
    *adapter = (struct ft_adapter){.module = module, .weight = node->parameters[0], .base = all->base_count};
    add_parameter(all, &adapter->a, a, all->lora.rank, w->columns);
    add_parameter(all, &adapter->b, b, w->rows, all->lora.rank);
    all->base_count += w->rows * w->columns;
    w->adapter = adapter;
    all->count++;
    return 0;
}

int ft_adapters_mark(struct ft_model *model, struct ft_adapters *all, const bool *marked)
{
    size_t most = 0;

    for (int i = 0; i < model->node_count; i++)
        most += marked[i];
    all->items = ft_arena_zero(&model->arena, most + 1, sizeof *all->items);
    all->parameters = ft_arena_zero(&model->arena, 2 * most + 1, sizeof *all->parameters);
    if (!all->items || !all->parameters)
        return -1;
    for (int i = 0; i < model->node_count; i++)
        if (marked[i] && !model->nodes[i].frozen && add_adapter(model, all, &model->nodes[i]) < 0)
            return -1;
    return 0;
}

int ft_model_adapt(struct ft_model *model, const struct ft_lora *lora)
{
    struct ft_adapters *all = ft_arena_zero(&model->arena, 1, sizeof *all);
    bool *marked = ft_arena_zero(&model->arena, (size_t)model->node_count, sizeof *marked);
    char *targets = ft_arena_text(&model->arena, ft_string_of(lora->target)), *rest = targets, *pattern;

    if (!all || !marked || !targets)
        return -1;
    if (model->adapter)
        return ft_fail(FT_USAGE, "--lora over an adapter: ft-export -m %s merges that one first", model->adapter);
    while ((pattern = strsep(&rest, "+")))
        if (mark(&model->arena, model, pattern, marked) < 0)
            return -1;
    all->lora = *lora;
    if ((model->tower_count ? ft_towers_adapt : ft_adapters_mark)(model, all, marked) < 0)
        return -1;
    if (!all->count)
        return ft_fail(FT_USAGE, "--lora target=%s: all of these layers are frozen", lora->target);
    for (int i = 0; i < model->parameter_count; i++)
        model->parameters[i].frozen = true;
    for (int i = 0; i < model->node_count; i++)
        model->nodes[i].frozen = model->nodes[i].parameter_count > 0;
    ft_towers_tell(model);
    model->adapters = all;
    return 0;
}

static void fill_uniform(float *a, size_t count, double bound, uint64_t seed, uint32_t number)
{
    for (size_t i = 0; i < count; i++) {
        struct ft_philox words = ft_philox(seed, (uint32_t)(i / 4), (uint32_t)((i / 4) >> 32), number, 0x4c6f5241);   /* "LoRA": a place of its own */

        a[i] = (float)(bound * (2 * ((double)words.word[i % 4] / 4294967296.0) - 1));
    }
}

int ft_adapters_start(struct ft_model *model, uint64_t seed)
{
    struct ft_adapters *all = model->adapters;

    all->block = calloc(all->block_count, sizeof *all->block);
    all->base = malloc(all->base_count * sizeof *all->base);
    if (!all->block || !all->base)
        return ft_fail(FT_SYSTEM, "out of memory for %d adapters", all->count);
    for (int t = 0; t < model->tower_count; t++)
        if (model->towers[t]->adapters)
            model->towers[t]->adapters->block = all->block + model->towers[t]->adapters->first;
    for (int i = 0; i < all->count; i++) {
        const struct ft_adapter *adapter = &all->items[i];
        const struct ft_parameter *w = &model->parameters[adapter->weight];

        memcpy(all->base + adapter->base, model->block + w->offset, w->rows * w->columns * sizeof *all->base);
        fill_uniform(all->block + adapter->a->offset, w->columns * all->lora.rank, 1 / sqrt((double)w->columns), seed, (uint32_t)i);
    }
    return 0;
}

struct ft_parameters ft_model_trained(const struct ft_model *model)
{
    const struct ft_adapters *all = model->adapters;

    if (!all)
        return ft_model_parameters(model);
    return (struct ft_parameters){all->parameters, all->parameter_count, all->block, all->block_count};
}

void ft_adapters_free(struct ft_adapters *all)
{
    if (!all || all->lent)
        return;
    free(all->block);
    free(all->base);
    all->block = all->base = NULL;
}

/* Blocks of rows. fp32 whatever the run's precision, and by the forward's product, which is the exactest: these are weights, not operands. */
enum { ROWS = 64 };

struct merge {
    float *w;
    const float *base, *b;
    float *across;               /* A^T [columns, rank] */
    size_t rows, columns, rank;
    float scale;
};

static int merge_rows(void *argument, size_t index, int worker)
{
    const struct merge *m = argument;
    size_t first = index * ROWS, rows = m->rows - first < ROWS ? m->rows - first : ROWS, count = rows * m->columns;
    const float *base = m->base + first * m->columns;
    float *w = m->w + first * m->columns;

    (void)worker;
    ft_kernels_cpu(FT_FP32)->linear_forward(w, m->b + first * m->rank, m->across, NULL, NULL, rows, m->rank, m->columns);
    for (size_t i = 0; i < count; i++)
        w[i] = base[i] + m->scale * w[i];
    return 0;
}

int ft_low_rank_add(float *w, const float *base, const float *a, const float *b, size_t rows, size_t columns, size_t rank, double scale)
{
    struct merge m = {w, base, b, malloc((rank * columns + 1) * sizeof *a), rows, columns, rank, (float)scale};
    int result;

    if (!m.across)
        return ft_fail(FT_SYSTEM, "out of memory for %zu numbers of an adapter", rank * columns);
    for (size_t k = 0; k < rank; k++)
        for (size_t i = 0; i < columns; i++)
            m.across[i * rank + k] = a[k * columns + i];
    result = ft_pool_run((rows + ROWS - 1) / ROWS, merge_rows, &m);
    free(m.across);
    return result;
}

int ft_adapters_merge(struct ft_model *model)
{
    const struct ft_adapters *all = model->adapters;

    for (int i = 0; i < all->count; i++) {
        const struct ft_adapter *adapter = &all->items[i];
        const struct ft_parameter *w = &model->parameters[adapter->weight];

        if (ft_low_rank_add(model->block + w->offset, all->base + adapter->base, all->block + adapter->a->offset,
                            all->block + adapter->b->offset, w->rows, w->columns, all->lora.rank, ft_lora_scale(&all->lora)) < 0)
            return -1;
    }
    return 0;
}
