/* layout.c - where a plan's values live: workers' slots, kept activations, gradients; and the backward's segments and slices. */
#include "model/run/layout.h"
#include "base/error.h"
#include "model/adapter.h"

/* A slice of a parameter's rows (columns of norms and tables): a multiple of 48, which the products' kernels divide. */
enum { SLICE = 192 };

/* Those of a convolution's outputs, strips of a product: an even number of slices while they are few, so that two threads have as much. A depthwise one's and
 * a norm's channels are fewer, and have more rows, than a text's. */
static size_t map_slice(const struct ft_step *step, size_t size)
{
    enum { STRIP = 32, LINE = 16, CHANNELS = 48 };

    if (step->kind != FT_STEP_CONVOLUTION && step->kind != FT_STEP_LINEAR)
        return size > 2 * CHANNELS ? CHANNELS : (size / 2 + LINE - 1) / LINE * LINE;
    return size <= 2 * SLICE ? (size / 2 + STRIP - 1) / STRIP * STRIP : size <= 4 * SLICE ? 4 * STRIP : SLICE;
}

struct life {
    int born, last;          /* steps: the one that makes it, the last that reads it */
    int readers;
    int segment;             /* that makes it */
    bool backward;           /* the backward reads its content */
};

/* A norm that adds reads its residual after it has begun to write. */
static bool in_place(const struct ft_step *step)
{
    enum ft_step_kind kind = step->kind;

    return kind == FT_STEP_NORM || kind == FT_STEP_ACTIVATION || kind == FT_STEP_DROPOUT ||
           kind == FT_STEP_DROPOUT_ADD || kind == FT_STEP_MULTIPLY || kind == FT_STEP_NORMALIZE ||
           (kind == FT_STEP_BATCH_NORM && !ft_step_adds(step)) || kind == FT_STEP_ROTARY;
}

static void find_lives(const struct ft_plan *plan, struct life *life)
{
    for (int s = 0; s < plan->step_count; s++) {
        const struct ft_step *step = &plan->steps[s];

        life[step->out] = (struct life){.born = s, .last = s};
        for (int k = 0; k < step->in_count; k++) {
            life[step->in[k]].last = s;
            life[step->in[k]].readers++;
        }
        if (step->kind == FT_STEP_LINEAR || step->kind == FT_STEP_NORM || step->kind == FT_STEP_ACTIVATION ||
            step->kind == FT_STEP_ATTENTION || step->kind == FT_STEP_CONVOLUTION || step->kind == FT_STEP_DEPTHWISE ||
            step->kind == FT_STEP_BATCH_NORM || step->kind == FT_STEP_SCALE || step->kind == FT_STEP_GEM || step->kind == FT_STEP_GATE)
            life[step->in[0]].backward |= step->kind != FT_STEP_ACTIVATION || !ft_step_told_by_output(plan->model, step);
        if (step->kind == FT_STEP_SCALE)
            life[step->in[1]].backward = true;
        if (step->kind == FT_STEP_MULTIPLY || step->kind == FT_STEP_ATTEND)
            life[step->in[0]].backward = life[step->in[1]].backward = true;
        if (step->kind == FT_STEP_NORMALIZE || step->kind == FT_STEP_GEM || ft_step_told_by_output(plan->model, step))
            life[step->out].backward = true;
    }
    life[plan->steps[plan->step_count - 1].out].last = plan->step_count;
}

/* Forward only: give each value a slot that nobody reads any more. */
static int give_slots(struct ft_arena *arena, struct ft_plan *plan, const struct life *life)
{
    int *holder = ft_arena_zero(arena, (size_t)plan->value_count, sizeof *holder);   /* value + 1 in each slot, 0 = free */

    plan->slot_width = ft_arena_zero(arena, (size_t)plan->value_count, sizeof *plan->slot_width);
    plan->slot_item_width = ft_arena_zero(arena, (size_t)plan->value_count, sizeof *plan->slot_item_width);
    if (!holder || !plan->slot_width || !plan->slot_item_width)
        return -1;
    for (int s = 0; s < plan->step_count; s++) {
        struct ft_value *out = &plan->values[plan->steps[s].out];
        /* A step that may work in place takes over its input's slot; any other needs its inputs to the end. */
        int dead = s + in_place(&plan->steps[s]), slot = 0;
        size_t *width;

        for (int i = 0; i < plan->slot_count; i++)
            if (holder[i] && life[holder[i] - 1].last < dead)
                holder[i] = 0;
        while (holder[slot])
            slot++;
        holder[slot] = plan->steps[s].out + 1;
        out->slot = slot;
        if (slot == plan->slot_count)
            plan->slot_count++;
        width = out->of_items ? &plan->slot_item_width[slot] : &plan->slot_width[slot];
        if (out->width > *width)
            *width = out->width;
    }
    return 0;
}

/* Is `value`, the output of step s, all that is alive after it? */
static bool alone_after(const struct ft_plan *plan, const struct life *life, int s)
{
    for (int v = 0; v < plan->value_count; v++)
        if (v != plan->steps[s].out && life[v].born <= s && life[v].last > s)
            return false;
    return true;
}

static void add_slices(struct ft_plan *plan, int s, size_t size, size_t each)
{
    for (size_t from = 0; from < size; from += each)
        plan->slices[plan->slice_count++] = (struct ft_slice){.step = s, .from = from, .to = size - from < each ? size : from + each};
}

/* All of A, then B in pieces. */
static void add_part_slices(struct ft_plan *plan, int s)
{
    struct ft_part parts[FT_PARTS];
    int count = ft_plan_parts(plan, &plan->steps[s], parts);

    for (int k = 0; k < count; k++) {
        int first = plan->slice_count;

        plan->slices[plan->slice_count++] = (struct ft_slice){.step = s, .to = parts[k].adapter->a->rows, .of_a = true};
        add_slices(plan, s, parts[k].count, SLICE);
        for (int i = first; i < plan->slice_count; i++)
            plan->slices[i].part = k + 1;
    }
}

static bool has_trainable(const struct ft_plan *plan, const struct ft_step *step)
{
    const struct ft_node *node = &plan->model->nodes[step->node];

    if (step->kind == FT_STEP_EMBEDDING) {
        for (int k = 0; k < node->parameter_count; k++)
            if (ft_parameter_learns(&plan->model->parameters[node->parameters[k]]))
                return true;
        return false;
    }
    if (step->norm >= 0 && (ft_parameter_learns(&plan->model->parameters[plan->model->nodes[step->norm].parameters[0]]) ||
                            ft_parameter_learns(&plan->model->parameters[plan->model->nodes[step->norm].parameters[1]])))
        return true;
    return (step->weight >= 0 && ft_parameter_learns(&plan->model->parameters[step->weight])) ||
           (step->bias >= 0 && ft_parameter_learns(&plan->model->parameters[step->bias]));
}

/* How many rows, columns or taps a step's slices share out, and how many each has. */
static size_t slice_size(const struct ft_plan *plan, const struct ft_step *step, size_t *each)
{
    const struct ft_value *out = &plan->values[step->out];
    size_t size = step->kind == FT_STEP_LINEAR || step->kind == FT_STEP_CONVOLUTION ? step->outputs : out->width / out->positions;

    *each = out->positions > 1 ? map_slice(step, size) : SLICE;
    if (step->kind == FT_STEP_CONVOLUTION && ft_step_by_taps(step)) {
        *each = 1;
        return step->windows.kernel * step->windows.kernel;
    }
    return step->kind == FT_STEP_GEM ? 1 : size;
}

static void place_sums(struct ft_plan *plan, int first, int last)
{
    size_t sums = 0;

    for (int s = first; s <= last; s++)
        if (plan->steps[s].kind == FT_STEP_BATCH_NORM || plan->steps[s].norm >= 0) {
            plan->steps[s].sums = sums;
            sums += 2 * plan->values[plan->steps[s].out].width / plan->values[plan->steps[s].out].positions;
        }
    if (sums > plan->sums)
        plan->sums = sums;
}

/* Is there more of an item's largest map than of weights? */
static bool goes_by_items(const struct ft_plan *plan, int first, int last)
{
    size_t weights = 0, most = 0;

    for (int s = first; s <= last; s++) {
        const struct ft_step *step = &plan->steps[s];
        const struct ft_value *out = &plan->values[step->out];

        if (!out->of_items)
            return false;
        if (out->width > most && out->positions > 1)
            most = out->width;
        if (step->kind == FT_STEP_LINEAR || step->kind == FT_STEP_CONVOLUTION)
            weights += step->inputs * step->outputs * (step->windows.kernel ? step->windows.kernel * step->windows.kernel : 1);
    }
    return most > weights;
}

static int cut_segments(struct ft_arena *arena, struct ft_plan *plan, struct life *life)
{
    size_t slices = 0, each;
    int first = 0;
    bool linear = false;

    for (int s = 0; s < plan->step_count; s++) {
        size_t size = slice_size(plan, &plan->steps[s], &each);

        slices += size / each + 1 + 2 * FT_PARTS + size / SLICE;
    }
    plan->slices = ft_arena_zero(arena, slices, sizeof *plan->slices);
    plan->segments = ft_arena_zero(arena, (size_t)plan->step_count, sizeof *plan->segments);
    if (!plan->slices || !plan->segments)
        return -1;
    for (int s = 0; s < plan->step_count; s++) {
        life[plan->steps[s].out].segment = plan->segment_count;
        linear |= plan->steps[s].kind == FT_STEP_LINEAR || plan->steps[s].kind == FT_STEP_CONVOLUTION || plan->steps[s].kind == FT_STEP_DEPTHWISE;
        /* Short stretches join the next one: every segment costs two meetings of all threads. */
        if (s + 1 < plan->step_count && !(linear && alone_after(plan, life, s)))
            continue;
        plan->segments[plan->segment_count] = (struct ft_segment){.first = first, .last = s, .slice = plan->slice_count};
        place_sums(plan, first, s);
        plan->segments[plan->segment_count].by_items = goes_by_items(plan, first, s);
        for (int i = s; i >= first; i--)
            if (plan->steps[i].kind == FT_STEP_ATTENTION) {
                plan->segments[plan->segment_count].biases |= has_trainable(plan, &plan->steps[i]);
            } else if (has_trainable(plan, &plan->steps[i])) {
                size_t size = slice_size(plan, &plan->steps[i], &each);

                add_slices(plan, i, size, each);
            } else {
                add_part_slices(plan, i);
            }
        plan->segments[plan->segment_count].slice_count = plan->slice_count - plan->segments[plan->segment_count].slice;
        plan->segment_count++;
        first = s + 1;
        linear = false;
    }
    return 0;
}

static bool all_readers_in(const struct ft_plan *plan, int value, int segment)
{
    for (int s = 0; s < plan->step_count; s++)
        for (int k = 0; k < plan->steps[s].in_count; k++)
            if (plan->steps[s].in[k] == value &&
                (s < plan->segments[segment].first || s > plan->segments[segment].last))
                return false;
    return true;
}

static size_t statistics(const struct ft_plan *plan, const struct ft_step *step)
{
    switch (step->kind) {
    case FT_STEP_NORM: return 2;
    case FT_STEP_NORMALIZE: return 1;
    case FT_STEP_MAX_POOL: return plan->values[step->out].width;
    case FT_STEP_POOL:
        return plan->model->nodes[step->node].pooling == FT_POOL_MAX ? plan->values[step->out].width : 0;
    default: return 0;
    }
}

static bool reads_in_slices(enum ft_step_kind kind)
{
    return kind == FT_STEP_LINEAR || kind == FT_STEP_CONVOLUTION || kind == FT_STEP_DEPTHWISE;
}

/* Slices read a linear step's input, and they come after all shards are through; every other step that looks at its input does so on the way. */
static bool only_slices_read(const struct ft_plan *plan, int value)
{
    for (int s = 0; s < plan->step_count; s++)
        for (int k = 0; k < plan->steps[s].in_count; k++)
            if (plan->steps[s].in[k] == value && !reads_in_slices(plan->steps[s].kind) && plan->steps[s].kind != FT_STEP_DROPOUT_ADD)
                return false;
    return true;
}

/* Does the backward never look at it? */
static bool nobody_reads(const struct ft_plan *plan, int value)
{
    for (int s = 0; s < plan->step_count; s++)
        for (int k = 0; k < plan->steps[s].in_count; k++)
            if (plan->steps[s].in[k] == value && plan->steps[s].kind != FT_STEP_DROPOUT_ADD)
                return false;
    return true;
}

/* Do all shards of a chunk meet while a value made by step `from` waits for step `to`? What lies in a worker's slot would not outlast that. */
static bool over_meeting(const struct ft_plan *plan, int from, int to)
{
    for (int s = from + 1; s <= to; s++)
        if (plan->steps[s].meets)
            return true;
    return false;
}

/* Is it made, and read, only where nothing learns, and by one shard's thread on its way? Then the backward never comes by. */
static bool only_passing(const struct ft_plan *plan, const struct life *life, const struct ft_step *step)
{
    for (int s = 0; s < plan->step_count; s++)
        for (int k = 0; k < plan->steps[s].in_count; k++)
            if (plan->steps[s].in[k] == step->out && plan->values[plan->steps[s].out].needs_gradient)
                return false;
    return !plan->values[step->out].needs_gradient && life[step->out].last < plan->step_count &&
           all_readers_in(plan, step->out, life[step->out].segment) && !over_meeting(plan, (int)(step - plan->steps), life[step->out].last);
}

/* Is the output soon made again from an input that is kept anyway, by when it is read? */
static bool can_recompute(const struct ft_plan *plan, const struct life *life, const struct ft_step *step)
{
    const struct ft_value *out = &plan->values[step->out];
    bool quick = step->kind == FT_STEP_ACTIVATION || step->kind == FT_STEP_NORM || (step->kind == FT_STEP_BATCH_NORM && step->in_count == 1) ||
                 step->kind == FT_STEP_SCALE || step->kind == FT_STEP_GATE;

    return quick && (!out->of_items || out->positions > 1) && life[step->in[0]].backward && !plan->values[step->in[0]].recomputed &&
           all_readers_in(plan, step->out, life[step->out].segment) && only_slices_read(plan, step->out) &&
           !over_meeting(plan, (int)(step - plan->steps), life[step->out].last);
}

/* Training: a buffer for each value, the same one where a step works in place on something nobody reads again. Outputs of activations and norms are not
 * kept but computed again, in places that all segments share: none outlives its segment. */
static void give_kept(struct ft_plan *plan, const struct life *life)
{
    size_t shared[2] = {0}, here[2] = {0};   /* rows of tokens, of items */

    for (int s = 0; s < plan->step_count; s++) {
        const struct ft_step *step = &plan->steps[s];
        struct ft_value *out = &plan->values[step->out];
        size_t *width = out->of_items ? &plan->kept_item_width : &plan->kept_width;
        const struct ft_value *in = step->in_count ? &plan->values[step->in[0]] : NULL;

        if (only_passing(plan, life, step)) {
            out->recomputed = out->unread = true;
        } else if (can_recompute(plan, life, step)) {
            out->recomputed = true;
            out->unread = nobody_reads(plan, step->out);
            out->late = (step->kind == FT_STEP_ACTIVATION && out->needs_gradient && in->needs_gradient) ||
                        (step->kind == FT_STEP_BATCH_NORM && out->needs_gradient);
            out->kept = here[out->of_items];
            here[out->of_items] += out->unread ? 0 : out->width;
            if (here[out->of_items] > shared[out->of_items])
                shared[out->of_items] = here[out->of_items];
        } else if (in && in_place(step) && in->width == out->width && in->of_items == out->of_items && !in->recomputed &&
                   life[step->in[0]].readers == 1 && !life[step->in[0]].backward) {
            out->kept = in->kept;
        } else {
            out->kept = *width;
            *width += out->width;
        }
        plan->steps[s].saved = *width;
        *width += statistics(plan, step);
        if (s == plan->segments[life[step->out].segment].last)
            here[0] = here[1] = 0;
    }
    for (int v = 0; v < plan->value_count; v++)
        if (plan->values[v].recomputed)
            plan->values[v].kept += plan->values[v].of_items ? plan->kept_item_width : plan->kept_width;
    plan->kept_width += shared[0];
    plan->kept_item_width += shared[1];
}

/* The step, which has no parameters to need its output's gradient later, works in place: its input's gradient lies where its output's does. */
static bool gradient_in_place(const struct ft_plan *plan, const struct life *life, const struct ft_step *step)
{
    bool passes = step->kind == FT_STEP_DROPOUT_ADD && step->rate == 0;   /* an addition hands on what it is given */
    const struct ft_value *in = step->in_count == 1 || passes ? &plan->values[step->in[0]] : NULL, *out = &plan->values[step->out];

    return (passes || step->kind == FT_STEP_ACTIVATION || step->kind == FT_STEP_DROPOUT || step->kind == FT_STEP_NORMALIZE ||
            step->kind == FT_STEP_ROTARY) && in &&
           in->width == out->width && in->of_items == out->of_items && life[step->in[0]].readers == 1 &&
           life[step->in[0]].segment == life[step->out].segment;
}

/* Backward: a segment's values side by side; the value between two segments lies in one of two places in turn. */
static void give_gradients(struct ft_plan *plan, const struct life *life)
{
    size_t between[2][2] = {{0}};   /* [of_items][parity] */

    for (int g = 0; g + 1 < plan->segment_count; g++) {
        const struct ft_value *v = &plan->values[plan->steps[plan->segments[g].last].out];

        if (v->width > between[v->of_items][g % 2])
            between[v->of_items][g % 2] = v->width;
    }
    for (int g = 0; g < plan->segment_count; g++) {
        size_t used[2] = {between[0][0] + between[0][1], between[1][0] + between[1][1]};

        for (int s = plan->segments[g].last; s >= plan->segments[g].first; s--) {
            struct ft_value *v = &plan->values[plan->steps[s].out];
            int reader = s + 1;

            while (reader <= plan->segments[g].last && plan->steps[reader].in[0] != plan->steps[s].out)
                reader++;
            if (s == plan->segments[g].last && g + 1 < plan->segment_count) {
                v->gradient = g % 2 ? between[v->of_items][0] : 0;
            } else if (reader <= plan->segments[g].last && gradient_in_place(plan, life, &plan->steps[reader])) {
                v->gradient = plan->values[plan->steps[reader].out].gradient;
            } else {
                v->gradient = used[v->of_items];
                used[v->of_items] += v->width;
            }
        }
        if (used[0] > plan->gradient_width)
            plan->gradient_width = used[0];
        if (used[1] > plan->gradient_item_width)
            plan->gradient_item_width = used[1];
    }
}

/* Does what makes the value leave its gradient as it is? */
static bool leaves_gradient(const struct ft_step *maker)
{
    return maker->activation == FT_IDENTITY && (maker->kind == FT_STEP_LINEAR || maker->kind == FT_STEP_CONVOLUTION ||
                                                maker->kind == FT_STEP_DEPTHWISE || maker->kind == FT_STEP_BATCH_NORM);
}

static bool reads(const struct ft_step *step, int value)
{
    for (int k = 0; k < step->in_count; k++)
        if (step->in[k] == value)
            return true;
    return false;
}

/* A residual's gradient is first the addition's; what a linear layer finds comes to it. So the former need not be copied before. */
static void hand_on(struct ft_plan *plan, const struct life *life)
{
    for (int v = 0; v < plan->value_count; v++)
        plan->values[v].handed = -1;
    for (int s = 0; s < plan->step_count; s++) {
        const struct ft_step *step = &plan->steps[s];
        const struct ft_value *in = &plan->values[step->in[0]], *out = &plan->values[step->out];
        int residual = step->in[1], reader = s - 1;
        bool shared = step->kind == FT_STEP_DROPOUT_ADD && in->of_items == out->of_items && in->gradient == out->gradient;

        if (!ft_step_adds(step) || residual == step->in[0] || life[residual].last != s || !out->needs_gradient || !plan->values[residual].needs_gradient ||
            (shared && !leaves_gradient(&plan->steps[life[step->in[0]].born])))
            continue;
        while (reader > life[residual].born && !reads(&plan->steps[reader], residual))
            reader--;
        if (reader > life[residual].born && (plan->steps[reader].kind == FT_STEP_LINEAR || plan->steps[reader].kind == FT_STEP_CONVOLUTION) &&
            plan->steps[reader].in[0] == residual && life[plan->steps[reader].out].segment == life[step->out].segment) {
            plan->values[residual].handed = step->out;
            plan->values[residual].onto = reader;
        }
    }
}

/* Behind what the segments use in turn. */
static int place_biases(struct ft_arena *arena, struct ft_plan *plan)
{
    const struct ft_model *model = plan->model;

    if (!(plan->biases = ft_arena_zero(arena, (size_t)model->node_count, sizeof *plan->biases)))
        return -1;
    for (int i = 0; i < model->node_count; i++) {
        const struct ft_parameter *p = model->nodes[i].op == FT_OP_RELATIVE_BIAS ? &model->parameters[model->nodes[i].parameters[0]] : NULL;

        if (!p || !ft_parameter_learns(p))
            continue;
        plan->biases[plan->bias_count++] = (struct ft_bias){model->nodes[i].parameters[0], p->rows * p->columns, plan->gradient_item_width};
        plan->gradient_item_width += p->rows * p->columns;
    }
    return 0;
}

int ft_plan_lay_out(struct ft_arena *arena, struct ft_plan *plan)
{
    struct life *life = ft_arena_zero(arena, (size_t)plan->value_count, sizeof *life);

    if (!life)
        return -1;
    if (!plan->step_count || !plan->values[plan->steps[plan->step_count - 1].out].of_items)
        return ft_fail(FT_BAD, "the last node gives no embedding a text: expected a pooling");
    find_lives(plan, life);
    if (give_slots(arena, plan, life) < 0 || cut_segments(arena, plan, life) < 0)
        return -1;
    give_kept(plan, life);
    give_gradients(plan, life);
    hand_on(plan, life);
    return place_biases(arena, plan);
}
