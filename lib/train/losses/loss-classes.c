/* loss-classes.c - softmax over classes whose weights are learnt. */
#include "train/losses/losses.h"

#include <math.h>

struct ft_loss_tensor ft_class_tensor(const char *name, size_t rows, size_t d)
{
    struct ft_loss_tensor tensor = {.rows = rows, .columns = d, .mean = 0, .spread = 1};

    for (size_t i = 0; name[i] && i + 1 < sizeof tensor.name; i++)
        tensor.name[i] = name[i];
    return tensor;
}

double ft_softmax_loss(double *score, size_t count, size_t target)
{
    double own = score[target], most = own, others = 0, weight, sum, loss;

    for (size_t j = 0; j < count; j++)
        most = fmax(most, score[j]);
    for (size_t j = 0; j < count; j++)
        if (j != target)
            others += score[j] = exp(score[j] - most);
    weight = exp(own - most);
    sum = weight + others;
    loss = weight < 1 ? most - own + log(sum) : log1p(others);
    for (size_t j = 0; j < count; j++)
        score[j] = j == target ? -others / sum : score[j] / sum;
    return loss;
}

struct work {
    const struct ft_class_softmax *softmax;
    const struct ft_loss_call *call;
    const struct ft_units *items, *weights;
    size_t classes;
    double *along_item;        /* [n] d loss / d |x_i| */
    double *along_own;         /* [n] of d loss / d |w_y|, what is not slope times cosine */
};

/* Of each class the nearest centre, and the score it gets. */
static void score_row(const struct work *w, const struct ft_compare_row *row, double *score, uint32_t *nearest)
{
    const struct ft_class_softmax *s = w->softmax;
    double scale = s->scale * (s->item_length ? w->items->length[row->query] : 1);

    for (size_t c = 0; c < w->classes; c++) {
        size_t best = c * s->centres;

        for (size_t k = best + 1; k < (c + 1) * s->centres; k++)
            if (row->distance[k] < row->distance[best])
                best = k;
        nearest[c] = (uint32_t)best;
        score[c] = scale * (1 - row->distance[best]) * (s->weight_length ? w->weights->length[best] : 1);
    }
}

static void softmax_row(struct ft_compare_row *row, const void *argument)
{
    const struct work *w = argument;
    const struct ft_class_softmax *s = w->softmax;
    double *score = row->scratch, length = s->item_length ? w->items->length[row->query] : 1, slope = -1, own, along = 0;
    uint32_t *nearest = (uint32_t *)(score + w->classes);
    int32_t y = w->call->input->label[row->query];

    if (y < 0)
        return;
    score_row(w, row, score, nearest);
    own = s->own ? s->own(w->call->value, row->distance[nearest[y]], &slope) : 1 - row->distance[nearest[y]];
    score[y] = s->scale * length * own * (s->weight_length ? w->weights->length[nearest[y]] : 1);
    row->loss = ft_softmax_loss(score, w->classes, (size_t)y);
    row->counted = row->loss > 0;
    for (size_t c = 0; c < w->classes; c++) {
        double by = score[c] * s->scale * (s->weight_length ? w->weights->length[nearest[c]] : 1), cosine = 1 - row->distance[nearest[c]];

        along += by * (c == (size_t)y ? own : cosine);
        row->slope[nearest[c]] = (float)(by * length * (c == (size_t)y ? slope : -1));
    }
    w->along_item[row->query] = along;
    w->along_own[row->query] = score[y] * s->scale * length * (own + slope * (1 - row->distance[nearest[y]]));
}

/* d loss / d |w_j|, by what the product left along w_j in the gradient by the unit vectors, the sum over items of slope times cosine; but for what
 * the margin does, which is along_own. */
static int along_weights(struct ft_arena *arena, const struct work *w, const float *by_unit, double **along)
{
    const struct ft_loss_input *input = w->call->input;
    size_t d = w->weights->d;

    if (!(*along = ft_arena_zero(arena, w->weights->n, sizeof **along)))
        return -1;
    for (size_t j = 0; j < w->weights->n; j++) {
        for (size_t k = 0; k < d; k++)
            (*along)[j] += (double)w->weights->unit[j * d + k] * by_unit[j * d + k];
        (*along)[j] = w->weights->length[j] > 0 ? (*along)[j] / w->weights->length[j] : 0;
    }
    for (size_t i = 0; i < input->n; i++)
        if (input->label[i] >= 0)
            (*along)[input->label[i]] += w->along_own[i];
    return 0;
}

static void add_lengths(const struct ft_units *units, const double *along, double share, float *gradient)
{
    for (size_t i = 0; i < units->n; i++)
        for (size_t k = i * units->d; k < (i + 1) * units->d; k++)
            gradient[k] += (float)(share * along[i] * units->unit[k]);
}

static int compute(struct ft_arena *arena, const struct ft_loss_call *call, const struct ft_class_softmax *softmax,
                   double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    size_t d = input->d, rows = input->classes * softmax->centres, known = 0;
    struct ft_units items, weights;
    struct work w = {softmax, call, &items, &weights, input->classes, ft_arena_zero(arena, input->n, sizeof(double)),
                     ft_arena_zero(arena, input->n, sizeof(double))};
    double share, *along = NULL;

    if (!w.along_item || !w.along_own || ft_units_make(arena, &items, input->embedding, input->n, d) < 0 ||
        ft_units_make(arena, &weights, call->weight[0], rows, d) < 0 ||
        ft_compare(arena, &(struct ft_compare){
            .queries = input->n, .candidates = rows, .d = d, .query = items.unit, .candidate = weights.unit,
            .query_gradient = gradient, .candidate_gradient = call->weight_gradient[0], .plain = softmax->weight_length,
            .row = softmax_row, .argument = &w, .scratch = input->classes * (sizeof(double) + sizeof(uint32_t)),
        }, loss, counted) < 0 ||
        (softmax->weight_length && along_weights(arena, &w, call->weight_gradient[0], &along) < 0))
        return -1;
    for (size_t i = 0; i < input->n; i++)
        known += input->label[i] >= 0;
    share = known ? 1 / (double)known : 0;
    *loss *= share;
    ft_units_backward(&items, share, gradient);
    ft_units_backward(&weights, share, call->weight_gradient[0]);
    if (softmax->item_length)
        add_lengths(&items, w.along_item, share, gradient);
    if (softmax->weight_length)
        add_lengths(&weights, along, share, call->weight_gradient[0]);
    return 0;
}

int ft_class_softmax(const struct ft_loss_call *call, const struct ft_class_softmax *softmax, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute(&arena, call, softmax, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}
