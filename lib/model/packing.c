/* packing.c - operands in the order the products read them: weights once a chunk or a batch instead of once a call, activations and their gradients
 * once a step instead of once a slice. */
#include "base/error.h"
#include "base/pool.h"
#include "model/running.h"

/* Below WORTH tokens, about what two threads have in hand at once, each weight is read about once, and packing it where it is read is as good.
 * PIECE: columns of an activation that one thread packs at a time. */
enum { WORTH = 384, PIECE = 192 };

static int pack_step(void *argument, size_t index, int worker)
{
    struct ft_runner *r = argument;
    const struct ft_step *step = &r->plan->steps[r->weights.first + (int)index];

    (void)worker;
    if (step->kind == FT_STEP_LINEAR)
        r->kernels->linear_pack(r->weights.floats.data + r->weights.offset[step - r->plan->steps],
                                r->model->block + r->model->parameters[step->weight].offset, step->inputs, step->outputs,
                                r->weights.transposed);
    return 0;
}

int ft_runner_pack(struct ft_runner *r, int first, int last, bool transposed, size_t tokens)
{
    struct ft_packed_weights *w = &r->weights;
    size_t size = 0;

    if (!r->kernels->linear_pack || tokens < WORTH || (w->first == first && w->last == last && w->transposed == transposed))
        return 0;
    if (!w->offset && !(w->offset = ft_arena_zero(&r->arena, (size_t)r->plan->step_count, sizeof *w->offset)))
        return -1;
    ft_runner_unpack(r);
    for (int s = first; s <= last; s++) {
        w->offset[s] = size;
        if (r->plan->steps[s].kind == FT_STEP_LINEAR)
            size += r->kernels->linear_packed(r->plan->steps[s].inputs, r->plan->steps[s].outputs, transposed);
    }
    if (!ft_floats_reserve(&w->floats, size))
        return -1;
    w->first = first;
    w->last = last;
    w->transposed = transposed;
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

    return s >= w->first && s <= w->last && w->transposed == transposed ? w->floats.data + w->offset[s] : NULL;
}

static bool wants_gradient(const struct ft_runner *r, const struct ft_step *step)
{
    return step->kind == FT_STEP_LINEAR && ft_parameter_learns(&r->model->parameters[step->weight]) && !r->plan->values[step->out].of_items;
}

static size_t width_of(const struct ft_step *step, bool of_output)
{
    return of_output ? step->outputs : step->inputs;
}

/* Floats of the operands of a chunk. */
static size_t operands_size(const struct ft_running *run, const struct ft_step *step)
{
    const struct ft_kernels *k = run->runner->kernels;

    return k->gradient_packed(run->tokens, step->inputs) + k->gradient_packed(run->tokens, step->outputs);
}

float *ft_running_operand(const struct ft_running *run, const struct ft_step *step, bool of_output)
{
    if (!run->runner->kernels->gradient_pack || !wants_gradient(run->runner, step))
        return NULL;
    return run->operands + (of_output ? run->runner->kernels->gradient_packed(run->tokens, step->inputs) : 0);
}

/* Pieces of the input come first, then those of the output's gradient, chunk by chunk. */
static size_t pieces_of(size_t width)
{
    return (width + PIECE - 1) / PIECE;
}

static int pack_piece(void *argument, size_t index, int worker)
{
    const struct ft_group *group = argument;
    const struct ft_step *step = group->step;
    struct ft_runner *r = group->runner;
    size_t in = pieces_of(step->inputs), each = in + pieces_of(step->outputs), piece = index % each;
    const struct ft_running *run = &group->run[index / each];
    bool of_output = piece >= in;
    size_t width = width_of(step, of_output), from = (of_output ? piece - in : piece) * PIECE;
    const struct ft_shard whole = {.first_token = 0};
    const float *x = of_output ? ft_running_gradient(run, step->out, &whole)
                               : ft_running_value(run, step->in[0], &whole, &r->workers[worker]);

    r->kernels->gradient_pack(ft_running_operand(run, step, of_output), x, run->tokens, width, from,
                              width - from < PIECE ? width : from + PIECE, of_output);
    return 0;
}

int ft_group_pack_operands(struct ft_group *group)
{
    struct ft_runner *r = group->runner;
    size_t size = 0;

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
    }
    return ft_pool_run(group->count * (pieces_of(group->step->inputs) + pieces_of(group->step->outputs)), pack_piece, group);
}
