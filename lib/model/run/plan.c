/* plan.c - nodes to steps: what is computed together. Where values live is layout.c's. */
#include "model/run/plan.h"
#include "base/error.h"
#include "model/run/layout.h"

#include <stdint.h>

/* What building knows of each node. */
struct build {
    struct ft_plan *plan;
    const struct ft_model *model;
    int *value;              /* [nodes] the value that holds its output, -1 = not yet, or never (fused away) */
    int *consumers;          /* [nodes] */
    int *joined;             /* [nodes] of a query, key or value: 1 when what attends computes it */
    int *absorbed;           /* [nodes] 1 when another node's step computes it: a dropout's the addition after it, a batch norm's and an activation's
                                the convolution or the norm before it */
    bool *learns;            /* [nodes] it, or a node below it, has a parameter to learn */
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

static int new_value(struct build *b, size_t width, size_t positions, bool of_items)
{
    struct ft_value *value = &b->plan->values[b->plan->value_count];

    *value = (struct ft_value){.width = width * positions, .positions = positions, .of_items = of_items};
    width = value->width;
    if (width > *(of_items ? &b->plan->widest_item : &b->plan->widest))
        *(of_items ? &b->plan->widest_item : &b->plan->widest) = width;
    return b->plan->value_count++;
}

static struct ft_step *new_step(struct build *b, enum ft_step_kind kind, int node, int in, size_t width)
{
    struct ft_plan *plan = b->plan;
    struct ft_step *step = &plan->steps[plan->step_count++];
    bool of_items = kind == FT_STEP_POOL || kind == FT_STEP_GEM || kind == FT_STEP_VECTOR || kind == FT_STEP_PIXELS || kind == FT_STEP_PROBE || (in >= 0 && plan->values[in].of_items);
    const struct ft_node *n = node_at(b, node);
    bool map = n->height && kind != FT_STEP_POOL && kind != FT_STEP_GEM && kind != FT_STEP_TOKENS;

    *step = (struct ft_step){.kind = kind, .node = node, .random = node, .weight = -1, .bias = -1, .norm = -1};
    if (in >= 0)
        step->in[step->in_count++] = in;
    step->out = new_value(b, width, map ? n->height * n->across : 1, of_items && kind != FT_STEP_TOKENS);
    return step;
}

static void set_parameters(struct ft_step *step, const struct ft_node *node)
{
    if (node->parameter_count > 0)
        step->weight = node->parameters[0];
    if (node->parameter_count > 1)
        step->bias = node->parameters[1];
}

/* Do query, key and value, or what is from input `first` on, read one input and lie one after another, so that they are one product? */
static bool can_join(const struct build *b, const struct ft_node *attention, int first)
{
    const struct ft_node *q = node_at(b, attention->inputs[first]);
    const struct ft_parameter *p = b->model->parameters;
    size_t expected_w = 0, expected_b = 0;
    bool biased = q->parameter_count == 2;

    for (int i = first; i < 3; i++) {
        const struct ft_node *n = node_at(b, attention->inputs[i]);

        if (n->op != FT_OP_LINEAR || n->inputs[0] != q->inputs[0] || n->width != q->width ||
            n->parameter_count != q->parameter_count || b->consumers[attention->inputs[i]] != 1)
            return false;
        if (i > first && (p[n->parameters[0]].offset != expected_w || p[n->parameters[0]].frozen != p[q->parameters[0]].frozen))
            return false;
        if (i > first && biased && (p[n->parameters[1]].offset != expected_b || p[n->parameters[1]].frozen != p[q->parameters[1]].frozen))
            return false;
        expected_w = p[n->parameters[0]].offset + p[n->parameters[0]].rows * p[n->parameters[0]].columns;
        expected_b = biased ? p[n->parameters[1]].offset + p[n->parameters[1]].columns : 0;
    }
    return true;
}

/* Does a backward come by node i? */
static bool goes_back(const struct build *b, int i)
{
    return b->training && b->learns[i];
}

/* Does the norm go by what its data are, in training? */
static bool follows_data(const struct build *b, const struct ft_node *norm)
{
    return b->training && b->model->batch_statistics && !b->model->parameters[norm->parameters[2]].frozen;
}

/* A batch norm whose statistics do not change while the plan is used is a factor and a shift of the convolution before it. While it learns, its gradients are
 * told from those by the weight it went into (norms.c). */
static bool can_fold(const struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i), *made = i > 0 ? node_at(b, i - 1) : NULL;

    return made && n->inputs[0] == i - 1 && made->op == FT_OP_CONVOLUTION && b->consumers[i - 1] == 1 && !(goes_back(b, i) && follows_data(b, n)) &&
           !b->model->parameters[made->parameters[0]].adapter;
}

/* Does node i's step apply the activation f after it as well? Where a backward comes by, of convolutions and additions only what tells its slope by what comes
 * out of it. */
static bool takes_activation(const struct build *b, int i, enum ft_activation f)
{
    const struct ft_node *n = node_at(b, i);
    bool told = f == FT_RELU || f == FT_RELU6;

    if (n->op == FT_OP_ADD)
        return b->absorbed[i] ? told || !goes_back(b, i) : told && !b->absorbed[n->inputs[0]];
    if (n->op == FT_OP_BATCH_NORM)
        return !b->absorbed[i] || told || !goes_back(b, i);
    return n->op == FT_OP_CONVOLUTION && !goes_back(b, i);
}

/* An addition to what a convolution or a norm gives of something that is there before it: done block by block as it is made. Where a backward comes by, only
 * to a convolution with a norm: another may be a linear layer. */
static bool can_add(const struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    int last = n->inputs[0], made = b->absorbed[last] ? last - 1 : last;

    if (b->consumers[last] != 1 || n->inputs[1] >= made)
        return false;
    if (node_at(b, last)->op == FT_OP_BATCH_NORM && made == last)
        return goes_back(b, i);
    return node_at(b, last)->op != FT_OP_ACTIVATION && node_at(b, made)->op == FT_OP_CONVOLUTION && node_at(b, made)->groups == 1 &&
           (made != last || !goes_back(b, i));
}

/* A norm that is not frozen changes in training even where none of its parameters learns. */
static void find_learning(struct build *b)
{
    for (int i = 0; i < b->model->node_count; i++) {
        const struct ft_node *n = node_at(b, i);

        for (int k = 0; k < n->parameter_count; k++)
            b->learns[i] |= !b->model->parameters[n->parameters[k]].frozen || b->model->parameters[n->parameters[k]].adapter;
        for (int k = 0; k < n->input_count; k++)
            b->learns[i] |= b->learns[n->inputs[k]];
    }
}

/* Mark what is fused away before any step is made. */
static void find_fusions(struct build *b)
{
    for (int i = 0; i < b->model->node_count; i++)
        for (int k = 0; k < node_at(b, i)->input_count; k++)
            b->consumers[node_at(b, i)->inputs[k]]++;
    for (int i = 0; b->fused && i < b->model->node_count; i++) {
        const struct ft_node *n = node_at(b, i);

        int first = n->op == FT_OP_ATTEND;

        if ((n->op == FT_OP_ATTENTION && n->input_count > 1 && can_join(b, n, 0)) || (n->op == FT_OP_ATTEND && n->input_count > 2 && can_join(b, n, 1)))
            for (int k = first; k < 3; k++)
                b->joined[n->inputs[k]] = 1;
        if (n->op == FT_OP_ADD && b->training && node_at(b, n->inputs[0])->op == FT_OP_DROPOUT &&
            b->consumers[n->inputs[0]] == 1)
            b->absorbed[n->inputs[0]] = 1;
        if ((n->op == FT_OP_BATCH_NORM && can_fold(b, i)) || (n->op == FT_OP_ADD && can_add(b, i)))
            b->absorbed[i] = 1;
        if (n->op == FT_OP_ACTIVATION && b->consumers[n->inputs[0]] == 1 && takes_activation(b, n->inputs[0], n->activation))
            b->absorbed[i] = 1;
    }
}

static void linear_step(struct build *b, int i, int in, size_t outputs)
{
    struct ft_step *step = new_step(b, FT_STEP_LINEAR, i, in, outputs);

    step->inputs = b->plan->values[in].width / b->plan->values[in].positions;
    step->outputs = outputs;
}

static struct ft_windows windows_of(const struct build *b, const struct ft_node *n)
{
    const struct ft_node *in = node_at(b, n->inputs[0]);

    return (struct ft_windows){in->height, in->across, in->width, n->height, n->across, n->kernel, n->stride, n->above, n->left};
}

/* A map must come from windows that lie where the sizes say. */
static int check_windows(const struct ft_node *n, const struct ft_windows *g)
{
    bool within = n->op != FT_OP_MEAN_POOL || (n->kernel == n->stride && g->out_height * n->kernel <= g->height && g->out_across * n->kernel <= g->across);
    bool fits = within && g->height && g->across && g->out_height && g->out_across && g->kernel && g->stride && g->above < g->kernel && g->left < g->kernel &&
                (g->out_height - 1) * g->stride < g->height + g->above && (g->out_across - 1) * g->stride < g->across + g->left;

    return fits ? 0 : ft_fail(FT_BAD, "%s: %zu x %zu windows of %zu by %zu do not fit a map of %zu x %zu", n->name, g->out_height, g->out_across, g->kernel,
                              g->stride, g->height, g->across);
}

/* 1 x 1, a position at a time, is a linear layer; with a channel of its own for each output it is depthwise. */
static int convolution_step(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    const struct ft_windows g = windows_of(b, n);
    int in = b->value[n->inputs[0]];
    int norm = i + 1 < b->model->node_count && b->absorbed[i + 1] && node_at(b, i + 1)->op == FT_OP_BATCH_NORM ? i + 1 : -1;
    struct ft_step *step;

    if (check_windows(n, &g) < 0)
        return -1;
    if (n->groups != 1 && (n->groups != g.channels || n->width != g.channels))
        return ft_fail(FT_BAD, "%s: %zu groups of %zu channels, expected 1 or as many as channels", n->name, n->groups, g.channels);
    if (n->groups == 1 && n->kernel == 1 && n->stride == 1 && norm < 0 && b->training)
        linear_step(b, i, in, n->width);
    else
        new_step(b, n->groups == 1 ? FT_STEP_CONVOLUTION : FT_STEP_DEPTHWISE, i, in, n->width);
    step = &b->plan->steps[b->plan->step_count - 1];
    step->inputs = g.channels;
    step->outputs = n->width;
    step->windows = g;
    step->norm = norm;
    set_parameters(step, n);
    b->value[i] = step->out;
    return 0;
}

/* What a step that is already there computes as well. */
static void absorbed_node(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    int value = b->value[i] = b->value[n->inputs[0]];

    for (int s = b->plan->step_count - 1; s >= 0; s--)
        if (b->plan->steps[s].out == value) {
            if (n->op == FT_OP_ACTIVATION)
                b->plan->steps[s].activation = n->activation;
            if (n->op == FT_OP_ADD)
                b->plan->steps[s].in[b->plan->steps[s].in_count++] = b->value[n->inputs[1]];
            return;
        }
}

static int map_step(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    bool pool = n->op == FT_OP_MAX_POOL || n->op == FT_OP_MEAN_POOL;
    enum ft_step_kind kind = n->op == FT_OP_MAX_POOL ? FT_STEP_MAX_POOL : pool ? FT_STEP_MEAN_POOL : n->op == FT_OP_SCALE ? FT_STEP_SCALE : FT_STEP_TOKENS;
    struct ft_step *step = new_step(b, kind, i, b->value[n->inputs[0]], n->width);

    if (pool)
        step->windows = windows_of(b, n);
    if (n->input_count > 1)
        step->in[step->in_count++] = b->value[n->inputs[1]];
    if (n->op == FT_OP_TOKENS) {
        step->bias = n->parameters[n->parameter_count - 1];
        step->weight = n->parameter_count > 1 ? n->parameters[0] : -1;
    }
    b->value[i] = step->out;
    return pool ? check_windows(n, &step->windows) : 0;
}

/* The inputs of node i from number `first` on side by side: one product, or put so. The value. */
static int side_by_side(struct build *b, int i, int first)
{
    const struct ft_node *n = node_at(b, i), *q = node_at(b, n->inputs[first]);
    size_t width = (size_t)(3 - first) * n->width;
    struct ft_step *step;

    if (b->joined[n->inputs[first]]) {
        linear_step(b, n->inputs[2], b->value[q->inputs[0]], width);
        step = &b->plan->steps[b->plan->step_count - 1];
        set_parameters(step, q);
        return step->out;
    }
    step = new_step(b, FT_STEP_JOIN, i, b->value[n->inputs[first]], width);
    for (int k = first + 1; k < 3; k++)
        step->in[step->in_count++] = b->value[n->inputs[k]];
    return step->out;
}

static void attention_steps(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    struct ft_step *step = new_step(b, FT_STEP_ATTENTION, i, n->input_count > 1 ? side_by_side(b, i, 0) : b->value[n->inputs[0]], n->width);

    step->rate = b->training ? n->rate : 0;
    if (n->input_count > 3)
        step->weight = node_at(b, n->inputs[3])->parameters[0];
    b->value[i] = step->out;
}

/* Its kind is found among the plan's, or is a new one. */
static void rotary_step(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    struct ft_plan *plan = b->plan;
    struct ft_step *step = new_step(b, FT_STEP_ROTARY, i, b->value[n->inputs[0]], n->width);
    struct ft_rotary kind = {n->width / 3 / n->attention.heads, n->theta};

    while (step->rotary < plan->rotary_count && (plan->rotary[step->rotary].head != kind.head || plan->rotary[step->rotary].theta != kind.theta))
        step->rotary++;
    if (step->rotary == plan->rotary_count)
        plan->rotary[plan->rotary_count++] = kind;
    b->value[i] = step->out;
}

static void add_step(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);
    int first = n->inputs[0];
    struct ft_step *step = new_step(b, FT_STEP_DROPOUT_ADD, i, b->value[first], n->width);

    step->in[step->in_count++] = b->value[n->inputs[1]];
    if (b->absorbed[first] && node_at(b, first)->op == FT_OP_DROPOUT) {
        step->rate = node_at(b, first)->rate;
        step->random = first;
    }
    b->value[i] = step->out;
}

/* One of two inputs; of an ATTEND with three key and value become one. */
static void two_step(struct build *b, int i, enum ft_step_kind kind)
{
    const struct ft_node *n = node_at(b, i);
    int other = n->input_count > 2 ? side_by_side(b, i, 1) : b->value[n->inputs[1]];
    struct ft_step *step = new_step(b, kind, i, b->value[n->inputs[0]], n->width);

    step->in[step->in_count++] = other;
    b->value[i] = step->out;
}

static void plain_step(struct build *b, int i, enum ft_step_kind kind)
{
    const struct ft_node *n = node_at(b, i);
    struct ft_step *step = new_step(b, kind, i, n->input_count ? b->value[n->inputs[0]] : -1, n->width);

    if (kind == FT_STEP_NORM || kind == FT_STEP_PROBE || n->op == FT_OP_BATCH_NORM || n->op == FT_OP_GEM)
        set_parameters(step, n);
    if (n->op == FT_OP_DROPOUT)
        step->rate = n->rate;
    if (n->op == FT_OP_BATCH_NORM && follows_data(b, n)) {
        step->meets = true;
        step->moments = b->plan->moments;
        b->plan->moments += 2 * n->width;
    }
    b->value[i] = step->out;
}

static int node_steps(struct build *b, int i)
{
    const struct ft_node *n = node_at(b, i);

    for (int k = 0; k < n->input_count; k++)
        if (n->inputs[k] < 0 || n->inputs[k] >= i)
            return ft_fail(FT_BAD, "%s: reads a node that does not come before it", n->name);
        else if (node_at(b, n->inputs[k])->op == FT_OP_RELATIVE_BIAS && (n->op != FT_OP_ATTENTION || k < 3))
            return ft_fail(FT_BAD, "%s: reads %s, which has no output", n->name, node_at(b, n->inputs[k])->name);
    if (b->absorbed[i]) {
        absorbed_node(b, i);
        return 0;
    }
    switch (n->op) {
    case FT_OP_EMBEDDING: plain_step(b, i, FT_STEP_EMBEDDING); break;
    case FT_OP_LAYER_NORM: case FT_OP_RMS_NORM: plain_step(b, i, FT_STEP_NORM); break;
    case FT_OP_ACTIVATION: plain_step(b, i, FT_STEP_ACTIVATION); break;
    case FT_OP_BATCH_NORM: plain_step(b, i, FT_STEP_BATCH_NORM); break;
    case FT_OP_VECTOR: plain_step(b, i, FT_STEP_VECTOR); break;
    case FT_OP_PIXELS: plain_step(b, i, FT_STEP_PIXELS); break;
    case FT_OP_CONVOLUTION: return convolution_step(b, i);
    case FT_OP_MAX_POOL: case FT_OP_MEAN_POOL: case FT_OP_SCALE: case FT_OP_TOKENS: return map_step(b, i);
    case FT_OP_POOL: plain_step(b, i, FT_STEP_POOL); break;
    case FT_OP_GEM: plain_step(b, i, FT_STEP_GEM); break;
    case FT_OP_NORMALIZE: plain_step(b, i, FT_STEP_NORMALIZE); break;
    case FT_OP_ATTENTION: attention_steps(b, i); break;
    case FT_OP_ROTARY: rotary_step(b, i); break;
    case FT_OP_GATE: plain_step(b, i, FT_STEP_GATE); break;
    case FT_OP_ADD: add_step(b, i); break;
    case FT_OP_MULTIPLY: two_step(b, i, FT_STEP_MULTIPLY); break;
    case FT_OP_ATTEND: two_step(b, i, FT_STEP_ATTEND); break;
    case FT_OP_PROBE: plain_step(b, i, FT_STEP_PROBE); break;
    case FT_OP_RELATIVE_BIAS: break;
    case FT_OP_DROPOUT:
        if (!b->training)
            b->value[i] = b->value[n->inputs[0]];
        else
            plain_step(b, i, FT_STEP_DROPOUT);
        break;
    case FT_OP_LINEAR:
        if (b->joined[i])
            break;
        linear_step(b, i, b->value[n->inputs[0]], n->width);
        set_parameters(&b->plan->steps[b->plan->step_count - 1], n);
        b->value[i] = b->plan->steps[b->plan->step_count - 1].out;
        break;
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
        const int *norm = step->norm < 0 ? NULL : plan->model->nodes[step->norm].parameters;
        bool needs = trainable(plan->model, step->weight) || trainable(plan->model, step->bias) || ft_plan_parts(plan, step, parts) ||
                     (norm && (trainable(plan->model, norm[0]) || trainable(plan->model, norm[1])));

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
        const struct ft_node *n = &model->nodes[i];
        const struct ft_node *key = n->op == FT_OP_ATTENTION || n->op == FT_OP_ATTEND ? &model->nodes[n->inputs[n->input_count > 1]] : NULL;
        const struct ft_parameter *bias = key && key->op == FT_OP_LINEAR && key->parameter_count == 2 ? &model->parameters[key->parameters[1]] : NULL;

        /* Of query, key and value in one the second third is the key's, of key and value the first half. */
        if (bias && !bias->frozen)
            plan->inert[plan->inert_count++] = bias->columns == n->width ? (struct ft_inert){bias->offset, bias->columns} :
                                               n->op == FT_OP_ATTEND     ? (struct ft_inert){bias->offset, bias->columns / 2} :
                                                                           (struct ft_inert){bias->offset + bias->columns / 3, bias->columns / 3};
    }
    return 0;
}

struct ft_plan *ft_plan_make(struct ft_arena *arena, const struct ft_model *model, int flags)
{
    size_t n = (size_t)model->node_count;
    struct ft_plan *plan = ft_arena_zero(arena, 1, sizeof *plan);
    struct build b = {.plan = plan, .model = model, .fused = !(flags & FT_PLAN_UNFUSED),
                      .training = flags & FT_PLAN_TRAINING};

    if (model->tower_count) {
        ft_fail(FT_USAGE, "%s: a model of two towers is not run as one", model->directory);
        return NULL;
    }
    b.value = ft_arena_zero(arena, n, sizeof(int));
    b.consumers = ft_arena_zero(arena, n, sizeof(int));
    b.joined = ft_arena_zero(arena, n, sizeof(int));
    b.absorbed = ft_arena_zero(arena, n, sizeof(int));
    b.learns = ft_arena_zero(arena, n, sizeof(bool));
    if (!plan || !b.value || !b.consumers || !b.joined || !b.absorbed || !b.learns)
        return NULL;
    plan->model = model;
    plan->training = b.training;
    /* A node makes one step and one value, what attends two of each. */
    plan->steps = ft_arena_zero(arena, 2 * n, sizeof *plan->steps);
    plan->values = ft_arena_zero(arena, 2 * n, sizeof *plan->values);
    plan->rotary = ft_arena_zero(arena, n, sizeof *plan->rotary);
    if (!plan->steps || !plan->values || !plan->rotary)
        return NULL;
    find_learning(&b);
    find_fusions(&b);
    for (int i = 0; i < model->node_count; i++)
        if (node_steps(&b, i) < 0)
            return NULL;
    mark_gradients(plan);
    return find_inert(arena, plan) < 0 || ft_plan_lay_out(arena, plan) < 0 ? NULL : plan;
}
