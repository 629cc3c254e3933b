/* plan.c - nodes to steps: what is computed together. Where values live is layout.c's. */
#include "model/plan.h"
#include "base/error.h"
#include "model/layout.h"

#include <stdint.h>

/* What building knows of each node. */
struct build {
    struct ft_plan *plan;
    const struct ft_model *model;
    int *value;              /* [nodes] the value that holds its output, -1 = not yet, or never (fused away) */
    int *consumers;          /* [nodes] */
    int *joined;             /* [nodes] of a query, key or value: 1 when its attention computes it */
    int *absorbed;           /* [nodes] of a dropout: 1 when the addition after it computes it */
    bool fused, training;
};

static const struct ft_node *node_at(const struct build *b, int i)
{
    return &b->model->nodes[i];
}

static bool trainable(const struct ft_model *model, int parameter)
{
    return parameter >= 0 && ft_parameter_learns(&model->parameters[parameter]);
}

static int new_value(struct build *b, size_t width, bool of_items)
{
    struct ft_value *value = &b->plan->values[b->plan->value_count];

    *value = (struct ft_value){.width = width, .of_items = of_items};
    if (width > b->plan->widest)
        b->plan->widest = width;
    return b->plan->value_count++;
}

static struct ft_step *new_step(struct build *b, enum ft_step_kind kind, int node, int in, size_t width)
{
    struct ft_plan *plan = b->plan;
    struct ft_step *step = &plan->steps[plan->step_count++];
    bool of_items = kind == FT_STEP_POOL || kind == FT_STEP_GEM || (in >= 0 && plan->values[in].of_items);

    *step = (struct ft_step){.kind = kind, .node = node, .random = node, .weight = -1, .bias = -1};
    if (in >= 0)
        step->in[step->in_count++] = in;
    step->out = new_value(b, width, of_items);
    return step;
}

static void set_parameters(struct ft_step *step, const struct ft_node *node)
{
    if (node->parameter_count > 0)
        step->weight = node->parameters[0];
    if (node->parameter_count > 1)
        step->bias = node->parameters[1];
}

/* Do query, key and value read one input and lie one after another, so that they are one product? */
static bool can_join(const struct build *b, const struct ft_node *attention)
{
    const struct ft_node *q = node_at(b, attention->inputs[0]);
    const struct ft_parameter *p = b->model->parameters;
    size_t expected_w = 0, expected_b = 0;

    for (int i = 0; i < 3; i++) {
        const struct ft_node *n = node_at(b, attention->inputs[i]);

        if (n->op != FT_OP_LINEAR || n->inputs[0] != q->inputs[0] || n->width != q->width ||
            n->parameter_count != 2 || b->consumers[attention->inputs[i]] != 1)
            return false;
        if (i && (p[n->parameters[0]].offset != expected_w || p[n->parameters[1]].offset != expected_b ||
                  p[n->parameters[0]].frozen != p[q->parameters[0]].frozen ||
                  p[n->parameters[1]].frozen != p[q->parameters[1]].frozen))
            return false;
        expected_w = p[n->parameters[0]].offset + p[n->parameters[0]].rows * p[n->parameters[0]].columns;
        expected_b = p[n->parameters[1]].offset + p[n->parameters[1]].columns;
    }
    return true;
}

/* Mark what is fused away before any step is made. */
static void find_fusions(struct build *b)
{
    for (int i = 0; i < b->model->node_count; i++)
        for (int k = 0; k < node_at(b, i)->input_count; k++)
            b->consumers[node_at(b, i)->inputs[k]]++;
    for (int i = 0; b->fused && i < b->model->node_count; i++) {
        const struct ft_node *n = node_at(b, i);

        if (n->op == FT_OP_ATTENTION && can_join(b, n))
            for (int k = 0; k < 3; k++)
                b->joined[n->inputs[k]] = 1;
        if (n->op == FT_OP_ADD && b->training && node_at(b, n->inputs[0])->op == FT_OP_DROPOUT &&
            b->consumers[n->inputs[0]] == 1)
            b->absorbed[n->inputs[0]] = 1;
    }
}

static void linear_step(struct build *b, int i, int in, size_t outputs)
{
    struct ft_step *step = new_step(b, FT_STEP_LINEAR, i, in, outputs);

    step->inputs = b->plan->values[in].width;
    step->outputs = outputs;
}

static void attention_steps(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    struct ft_step *step;
    int qkv;

    if (b->joined[n->inputs[0]]) {
        const struct ft_node *q = node_at(b, n->inputs[0]);

        linear_step(b, n->inputs[2], b->value[q->inputs[0]], 3 * n->width);
        step = &b->plan->steps[b->plan->step_count - 1];
        set_parameters(step, q);
    } else {
        step = new_step(b, FT_STEP_JOIN, i, b->value[n->inputs[0]], 3 * n->width);
        for (int k = 1; k < 3; k++)
            step->in[step->in_count++] = b->value[n->inputs[k]];
    }
    qkv = step->out;
    step = new_step(b, FT_STEP_ATTENTION, i, qkv, n->width);
    step->rate = b->training ? n->rate : 0;
    b->value[i] = step->out;
}

static void add_step(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    int first = n->inputs[0];
    bool with_dropout = b->absorbed[first];
    int x = with_dropout ? b->value[node_at(b, first)->inputs[0]] : b->value[first];
    struct ft_step *step = new_step(b, FT_STEP_DROPOUT_ADD, i, x, n->width);

    step->in[step->in_count++] = b->value[n->inputs[1]];
    if (with_dropout) {
        step->rate = node_at(b, first)->rate;
        step->random = first;
    }
    b->value[i] = step->out;
}

static void plain_step(struct build *b, int i, enum ft_step_kind kind)
{
    const struct ft_node *n = node_at(b, i);
    struct ft_step *step = new_step(b, kind, i, n->input_count ? b->value[n->inputs[0]] : -1, n->width);

    if (n->op == FT_OP_LAYER_NORM || n->op == FT_OP_GEM)
        set_parameters(step, n);
    if (n->op == FT_OP_DROPOUT)
        step->rate = n->rate;
    b->value[i] = step->out;
}

static int node_steps(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);

    for (int k = 0; k < n->input_count; k++)
        if (n->inputs[k] < 0 || n->inputs[k] >= i)
            return ft_fail(FT_BAD, "%s: reads a node that does not come before it", n->name);
    switch (n->op) {
    case FT_OP_EMBEDDING: plain_step(b, i, FT_STEP_EMBEDDING); break;
    case FT_OP_LAYER_NORM: plain_step(b, i, FT_STEP_NORM); break;
    case FT_OP_ACTIVATION: plain_step(b, i, FT_STEP_ACTIVATION); break;
    case FT_OP_POOL: plain_step(b, i, FT_STEP_POOL); break;
    case FT_OP_GEM: plain_step(b, i, FT_STEP_GEM); break;
    case FT_OP_NORMALIZE: plain_step(b, i, FT_STEP_NORMALIZE); break;
    case FT_OP_ATTENTION: attention_steps(b, i); break;
    case FT_OP_ADD: add_step(b, i); break;
    case FT_OP_DROPOUT:
        if (!b->training)
            b->value[i] = b->value[n->inputs[0]];
        else if (!b->absorbed[i])
            plain_step(b, i, FT_STEP_DROPOUT);
        break;
    case FT_OP_LINEAR:
        if (b->joined[i])
            break;
        linear_step(b, i, b->value[n->inputs[0]], n->width);
        set_parameters(&b->plan->steps[b->plan->step_count - 1], n);
        b->value[i] = b->plan->steps[b->plan->step_count - 1].out;
        break;
    case FT_OP_VECTOR: case FT_OP_PIXELS: case FT_OP_CONVOLUTION: case FT_OP_BATCH_NORM: case FT_OP_MAX_POOL: case FT_OP_SCALE:
    case FT_OP_TOKENS:
        return ft_fail(FT_BAD, "%s: %s is not there yet", n->name, ft_op_name(n->op));
    }
    return 0;
}

int ft_plan_parts(const struct ft_plan *plan, const struct ft_step *step, struct ft_part parts[FT_PARTS])
{
    const struct ft_parameter *p = plan->model->parameters + step->weight;
    int count = 0;

    if (!plan->model->adapters || step->kind != FT_STEP_LINEAR)
        return 0;
    /* The weights of a joined product follow one another in the list too. */
    for (size_t first = 0; first < step->outputs; first += p->rows, p++)
        if (p->adapter)
            parts[count++] = (struct ft_part){p->adapter, first, p->rows};
    return count;
}

/* A value needs a gradient when anything trainable is above it. */
static void mark_gradients(struct ft_plan *plan)
{
    for (int s = 0; s < plan->step_count; s++) {
        struct ft_step *step = &plan->steps[s];
        struct ft_part parts[FT_PARTS];
        bool needs = trainable(plan->model, step->weight) || trainable(plan->model, step->bias) || ft_plan_parts(plan, step, parts);

        if (step->kind == FT_STEP_EMBEDDING)
            for (int k = 0; k < plan->model->nodes[step->node].parameter_count; k++)
                needs |= trainable(plan->model, plan->model->nodes[step->node].parameters[k]);
        for (int k = 0; k < step->in_count; k++)
            needs |= plan->values[step->in[k]].needs_gradient;
        plan->values[step->out].needs_gradient = needs;
    }
}

/* A key's bias adds the same to all scores of a query, and softmax does not see what all its inputs share: the gradient is zero. Computed, it would be
 * rounding noise, which Adam scales up to whole steps; so it is set to what it is. */
static int find_inert(struct ft_arena *arena, struct ft_plan *plan)
{
    const struct ft_model *model = plan->model;

    if (!(plan->inert = ft_arena_zero(arena, (size_t)model->node_count, sizeof *plan->inert)))
        return -1;
    for (int i = 0; i < model->node_count; i++) {
        const struct ft_node *n = &model->nodes[i], *key = n->op == FT_OP_ATTENTION ? &model->nodes[n->inputs[1]] : NULL;

        if (key && key->op == FT_OP_LINEAR && key->parameter_count == 2 && !model->parameters[key->parameters[1]].frozen)
            plan->inert[plan->inert_count++] = key->parameters[1];
    }
    return 0;
}

struct ft_plan *ft_plan_make(struct ft_arena *arena, const struct ft_model *model, int flags)
{
    size_t n = (size_t)model->node_count;
    struct ft_plan *plan = ft_arena_zero(arena, 1, sizeof *plan);
    struct build b = {.plan = plan, .model = model, .fused = !(flags & FT_PLAN_UNFUSED),
                      .training = flags & FT_PLAN_TRAINING};

    b.value = ft_arena_zero(arena, n, sizeof(int));
    b.consumers = ft_arena_zero(arena, n, sizeof(int));
    b.joined = ft_arena_zero(arena, n, sizeof(int));
    b.absorbed = ft_arena_zero(arena, n, sizeof(int));
    if (!plan || !b.value || !b.consumers || !b.joined || !b.absorbed)
        return NULL;
    plan->model = model;
    plan->training = b.training;
    /* A node makes one step and one value, an attention two of each. */
    plan->steps = ft_arena_zero(arena, 2 * n, sizeof *plan->steps);
    plan->values = ft_arena_zero(arena, 2 * n, sizeof *plan->values);
    if (!plan->steps || !plan->values)
        return NULL;
    find_fusions(&b);
    for (int i = 0; i < model->node_count; i++)
        if (node_steps(&b, i) < 0)
            return NULL;
    mark_gradients(plan);
    return find_inert(arena, plan) < 0 || ft_plan_lay_out(arena, plan) < 0 ? NULL : plan;
}
