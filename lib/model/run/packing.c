/* packing.c - operands in the order the products read them: weights once a chunk or a batch instead of once a call, activations and their gradients
 * once a step instead of once a slice. */
#include "base/error.h"
#include "base/pool.h"
#include "model/run/running.h"

#include <math.h>

/* Below WORTH tokens, about what two threads have in hand at once, each weight is read about once, and packing it where it is read is as good.
 * PIECE: columns of an activation that one thread packs at a time. */
enum { WORTH = 384, PIECE = 192 };

static bool is_map_step(const struct ft_step *step)
{
    return step->kind == FT_STEP_CONVOLUTION || step->kind == FT_STEP_DEPTHWISE;
}

size_t ft_map_weight_size(const struct ft_runner *r, const struct ft_step *step, bool transposed)
{
    size_t deep = step->windows.kernel * step->windows.kernel * step->inputs;

    if (step->kind == FT_STEP_DEPTHWISE)
        return (deep + 15) / 16 * 16;
    if (transposed && ft_map_straight(r->kernels, step, true))
        return r->kernels->linear_packed(step->inputs, step->windows.kernel * step->windows.kernel * step->outputs, true);
    return r->kernels->linear_pack ? r->kernels->linear_packed(deep, step->outputs, transposed) : (deep * step->outputs + 15) / 16 * 16;
}

/* y = (x - mean) rstd gain + bias. */
void ft_folded_scale(const struct ft_runner *r, const struct ft_step *step, size_t o, double *factor, double *shift)
{
    const float *own = ft_runner_parameter(r, step->bias);
    const struct ft_node *norm = step->norm < 0 ? NULL : &r->model->nodes[step->norm];

    *factor = 1;
    *shift = own ? own[o] : 0;
    if (!norm)
        return;
    *factor = ft_runner_parameter(r, norm->parameters[0])[o] / sqrt((double)ft_runner_parameter(r, norm->parameters[3])[o] + (double)norm->epsilon);
    *shift = (*shift - ft_runner_parameter(r, norm->parameters[2])[o]) * *factor + ft_runner_parameter(r, norm->parameters[1])[o];
}

/* From [O, I, taps] to [O, taps, I], or turned, to [taps, O, I] with the last tap first; of a depthwise one from [I, taps] to [taps, I]. Then, of a
 * product, into the order that it is read in. */
static void pack_map(struct ft_runner *r, const struct ft_step *step, bool transposed, float *packed, float *room)
{
    size_t taps = step->windows.kernel * step->windows.kernel, I = step->inputs, O = step->outputs;
    const float *w = ft_runner_parameter(r, step->weight);
    bool turned = step->kind == FT_STEP_CONVOLUTION && transposed && ft_map_straight(r->kernels, step, true);
    float *bias = packed + ft_map_weight_size(r, step, transposed), *to = r->kernels->linear_pack ? room : packed, scale;

    if (step->kind == FT_STEP_DEPTHWISE)
        to = packed;
    for (size_t o = 0; o < O; o++) {
        double factor, shift;

        ft_folded_scale(r, step, o, &factor, &shift);
        scale = (float)factor;
        if (!transposed)
            bias[o] = (float)shift;
        for (size_t t = 0; step->kind == FT_STEP_DEPTHWISE && t < taps; t++)
            to[t * O + o] = w[o * taps + t] * scale;
        for (size_t t = 0; step->kind == FT_STEP_CONVOLUTION && t < taps; t++)
            for (size_t i = 0; i < I; i++)
                to[(turned ? (taps - 1 - t) * O + o : o * taps + t) * I + i] = w[(o * I + i) * taps + t] * scale;
    }
    if (turned)
        r->kernels->linear_pack(packed, room, I, taps * O, true);
    else if (step->kind == FT_STEP_CONVOLUTION && r->kernels->linear_pack)
        r->kernels->linear_pack(packed, room, taps * I, O, transposed);
}

static int pack_step(void *argument, size_t index, int worker)
{
    struct ft_runner *r = argument;
    const struct ft_step *step = &r->plan->steps[r->weights.first + (int)index];
    float *packed = r->weights.floats.data + r->weights.offset[step - r->plan->steps];

    if (is_map_step(step))
        pack_map(r, step, r->weights.transposed, packed, r->workers[worker].scratch.data);
    else if (step->kind == FT_STEP_LINEAR && r->weights.linear)
        r->kernels->linear_pack(packed, r->model->block + r->model->parameters[step->weight].offset, step->inputs, step->outputs,
                                r->weights.transposed);
    return 0;
}

/* Floats of a step's weights as they are packed. */
static size_t packed_size(const struct ft_runner *r, const struct ft_step *step, bool transposed, bool linear)
{
    if (is_map_step(step))
        return ft_map_weight_size(r, step, transposed) + (step->outputs + 15) / 16 * 16;
    return step->kind == FT_STEP_LINEAR && linear ? r->kernels->linear_packed(step->inputs, step->outputs, transposed) : 0;
}

size_t ft_runner_packed_size(const struct ft_runner *r, int first, int last, bool transposed)
{
    size_t size = 0;

    for (int s = first; s <= last; s++)
        size += packed_size(r, &r->plan->steps[s], transposed, r->kernels->linear_pack != NULL);
    return size;
}

int ft_runner_pack(struct ft_runner *r, int first, int last, bool transposed, size_t tokens)
{
    struct ft_packed_weights *w = &r->weights;
    bool linear = r->kernels->linear_pack && tokens >= WORTH, any = linear;
    size_t size = 0;

    for (int s = first; s <= last && !any; s++)
        any = is_map_step(&r->plan->steps[s]);
    if (!any || (w->first == first && w->last == last && w->transposed == transposed && (w->linear || !linear)))
        return 0;
    if (!w->offset && !(w->offset = ft_arena_zero(&r->arena, (size_t)r->plan->step_count, sizeof *w->offset)))
        return -1;
    ft_runner_unpack(r);
    for (int s = first; s <= last; s++) {
        w->offset[s] = size;
        size += packed_size(r, &r->plan->steps[s], transposed, linear);
    }
    if (!ft_floats_reserve(&w->floats, size))
        return -1;
    w->first = first;
    w->last = last;
    w->transposed = transposed;
    w->linear = linear;
    return ft_pool_run((size_t)(last - first + 1), pack_step, r);
}

void ft_runner_unpack(struct ft_runner *r)
{
    r->weights.first = 0;
    r->weights.last = -1;
}

const float *ft_running_packed(const struct ft_runner *r, const struct ft_step *step, bool transposed)
{
    const struct ft_packed_weights *w = &r->weights;
    int s = (int)(step - r->plan->steps);

    return s >= w->first && s <= w->last && w->transposed == transposed && (w->linear || is_map_step(step)) ? w->floats.data + w->offset[s] : NULL;
}

/* Of a pooled value's layers the rows are too few to be worth it. */
static bool wants_gradient(const struct ft_runner *r, const struct ft_step *step)
{
    const struct ft_value *out = &r->plan->values[step->out];

    if (step->kind == FT_STEP_CONVOLUTION)
        return (ft_step_direct(step) || ft_step_by_taps(step)) && ft_map_learns(r, step);
    return step->kind == FT_STEP_LINEAR && (!out->of_items || out->positions > 1) && ft_parameter_learns(&r->model->parameters[step->weight]);
}

/* A convolution's slices gather their inputs themselves. */
static size_t width_of(const struct ft_step *step, bool of_output)
{
    return of_output ? step->outputs : step->kind == FT_STEP_LINEAR || ft_step_direct(step) ? step->inputs : 0;
}

static size_t operand_size(const struct ft_running *run, const struct ft_step *step, bool of_output)
{
    const struct ft_kernels *k = run->runner->kernels;
    size_t width = width_of(step, of_output);

    if (ft_map_gradient_straight(k, step))
        return (k->convolution_packed(&step->windows, run->sequences, step->outputs, of_output) + 15) / 16 * 16;
    return width ? k->gradient_packed(ft_running_chunk_rows(run, step->out), width) : 0;
}

/* Floats of the operands of a chunk. */
static size_t operands_size(const struct ft_running *run, const struct ft_step *step)
{
    if (!run->runner->kernels->gradient_pack || !wants_gradient(run->runner, step))
        return 0;
    return operand_size(run, step, false) + operand_size(run, step, true);
}

float *ft_running_operand(const struct ft_running *run, const struct ft_step *step, bool of_output)
{
    if (!run->runner->kernels->gradient_pack || !wants_gradient(run->runner, step))
        return NULL;
    return run->operands + (of_output ? operand_size(run, step, false) : 0);
}

/* Pieces of the input come first, then those of the output's gradient, chunk by chunk: columns, or items where the map itself is packed. */
static size_t pieces_of(const struct ft_running *run, const struct ft_step *step, bool of_output)
{
    return ft_map_gradient_straight(run->runner->kernels, step) ? run->sequences : (width_of(step, of_output) + PIECE - 1) / PIECE;
}

static size_t all_pieces(const struct ft_running *run, const struct ft_step *step)
{
    return pieces_of(run, step, false) + pieces_of(run, step, true);
}

static int pack_piece(void *argument, size_t index, int worker)
{
    const struct ft_group *group = argument;
    const struct ft_step *step = group->step;
    struct ft_runner *r = group->runner;
    const struct ft_running *run = group->run;
    size_t in, width, from;
    bool of_output;
    const float *x;
    const struct ft_shard whole = {.first_token = 0};

    for (; index >= all_pieces(run, step); run++)
        index -= all_pieces(run, step);
    in = pieces_of(run, step, false);
    of_output = index >= in;
    index -= of_output ? in : 0;
    x = of_output ? ft_running_gradient(run, step->out, &whole) : ft_running_value(run, step->in[0], &whole, &r->workers[worker]);
    if (ft_map_gradient_straight(r->kernels, step)) {
        r->kernels->convolution_pack(ft_running_operand(run, step, of_output), x, &step->windows, run->sequences, step->outputs, index, of_output);
        return 0;
    }
    width = width_of(step, of_output);
    from = index * PIECE;
    r->kernels->gradient_pack(ft_running_operand(run, step, of_output), x, ft_running_chunk_rows(run, step->out), width, from,
                              width - from < PIECE ? width : from + PIECE, of_output);
    return 0;
}

size_t ft_running_operands_size(const struct ft_running *run)
{
    const struct ft_plan *plan = run->runner->plan;
    size_t most = 0;

    for (int s = 0; s < plan->step_count; s++) {
        size_t size = operands_size(run, &plan->steps[s]);

        most = size > most ? size : most;
    }
    return most;
}

int ft_group_pack_operands(struct ft_group *group)
{
    struct ft_runner *r = group->runner;
    size_t size = 0, pieces = 0;

    if (!r->kernels->gradient_pack || !wants_gradient(r, group->step))
        return 0;
    for (size_t c = 0; c < group->count; c++)
        size += operands_size(&group->run[c], group->step);
    if (!ft_floats_reserve(&r->operands, size))
        return -1;
    size = 0;
    for (size_t c = 0; c < group->count; c++) {
        group->run[c].operands = r->operands.data + size;
        size += operands_size(&group->run[c], group->step);
        pieces += all_pieces(&group->run[c], group->step);
    }
    return ft_pool_run(pieces, pack_piece, group);
}
