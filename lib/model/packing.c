/* packing.c - operands in the order the products read them: weights once a chunk or a batch instead of once a call, activations and their gradients
 * once a segment instead of once a slice. */
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
    return step->kind == FT_STEP_LINEAR && !r->model->parameters[step->weight].frozen && !r->plan->values[step->out].pooled;
}

static int operands_open(struct ft_runner *r)
{
    struct ft_operands *o = &r->operands;
    size_t steps = (size_t)r->plan->step_count, pieces = 0;

    for (size_t s = 0; s < steps; s++)
        pieces += r->plan->steps[s].inputs / PIECE + r->plan->steps[s].outputs / PIECE + 2;
    o->pieces = ft_arena_take(&r->arena, pieces * sizeof *o->pieces);
    o->offset[0] = ft_arena_zero(&r->arena, steps, sizeof(size_t));
    o->offset[1] = ft_arena_zero(&r->arena, steps, sizeof(size_t));
    return o->pieces && o->offset[0] && o->offset[1] ? 0 : -1;
}

/* Offsets and pieces of one operand, after `size` floats; gives the floats then. */
static size_t operand_add(const struct ft_running *run, int step, bool of_output, size_t size)
{
    struct ft_operands *o = &run->runner->operands;
    size_t width = of_output ? run->runner->plan->steps[step].outputs : run->runner->plan->steps[step].inputs;

    o->offset[of_output][step] = size;
    for (size_t from = 0; from < width; from += PIECE)
        o->pieces[o->piece_count++] = (struct ft_piece){step, of_output, from, width - from < PIECE ? width : from + PIECE};
    return size + run->runner->kernels->gradient_packed(run->tokens, width);
}

static int pack_piece(void *argument, size_t index, int worker)
{
    const struct ft_running *run = argument;
    struct ft_runner *r = run->runner;
    const struct ft_piece *piece = &r->operands.pieces[index];
    const struct ft_step *step = &r->plan->steps[piece->step];
    const struct ft_shard whole = {.first_token = 0};
    const float *x = piece->of_output ? ft_running_gradient(run, step->out, &whole)
                                      : ft_running_value(run, step->in[0], &whole, &r->workers[worker]);

    r->kernels->gradient_pack(r->operands.floats.data + r->operands.offset[piece->of_output][piece->step], x, run->tokens,
                              piece->of_output ? step->outputs : step->inputs, piece->from, piece->until, piece->of_output);
    return 0;
}

int ft_running_pack_operands(struct ft_running *run)
{
    struct ft_runner *r = run->runner;
    size_t size = 0;

    if (!r->kernels->gradient_pack)
        return 0;
    if (!r->operands.pieces && operands_open(r) < 0)
        return -1;
    r->operands.piece_count = 0;
    for (int s = run->segment->first; s <= run->segment->last; s++)
        if (wants_gradient(r, &r->plan->steps[s])) {
            size = operand_add(run, s, false, size);
            size = operand_add(run, s, true, size);
        }
    return ft_floats_reserve(&r->operands.floats, size) ? ft_pool_run(r->operands.piece_count, pack_piece, run) : -1;
}

const float *ft_running_operand(const struct ft_running *run, int step, bool of_output)
{
    const struct ft_runner *r = run->runner;

    return r->kernels->gradient_pack && wants_gradient(r, &r->plan->steps[step])
               ? r->operands.floats.data + r->operands.offset[of_output][step] : NULL;
}
