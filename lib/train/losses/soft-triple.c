/* soft-triple.c - softmax over classes of several learnt centres each (Qian et al. 2019, SoftTriple, eq. 8 and 9).
 *
 *   S_c = sum over centres k of class c of q_k cos(x, w_k)      q = softmax over k of cos(x, w_k) / gamma
 *   term(i) = - log( exp(la (S_y - margin)) / (exp(la (S_y - margin)) + sum over classes j but y of exp(la S_j)) )
 *
 * The loss is the mean over items of known label. pytorch-metric-learning's SoftTripleLoss (centers_per_class 10, la 20, gamma .1, margin .01),
 * without the regularizer that merges centres, which is not its default; its centres begin uniform within 1 / sqrt(classes * centers_per_class). */
#include "train/losses/losses.h"

#include <math.h>

enum { CENTRES, LA, GAMMA, MARGIN };

static const struct ft_setting_key keys[] = {
    [CENTRES] = {.name = "centers_per_class", .otherwise = 10, .low = 1, .high = 100, .whole = true},
    [LA] = {.name = "la", .otherwise = 20, .low = 1e-3, .high = 1e4},
    [GAMMA] = {.name = "gamma", .otherwise = .1, .low = 1e-4, .high = 1e4},
    [MARGIN] = {.name = "margin", .otherwise = .01, .low = 0, .high = 2},
    {.name = NULL},
};

/* S_c less 1, from distances; q goes to weight [centres]. */
static double relax(const float *distance, size_t centres, double gamma, double *weight)
{
    double nearest = INFINITY, sum = 0, mean = 0;

    for (size_t k = 0; k < centres; k++)
        nearest = fmin(nearest, distance[k]);
    for (size_t k = 0; k < centres; k++)
        sum += weight[k] = exp((nearest - distance[k]) / gamma);
    for (size_t k = 0; k < centres; k++) {
        weight[k] /= sum;
        mean += weight[k] * distance[k];
    }
    return -mean;
}

static void item_row(struct ft_compare_row *row, const void *argument)
{
    const struct ft_loss_call *call = argument;
    size_t classes = call->input->classes, centres = (size_t)call->value[CENTRES];
    double *score = row->scratch, *mean = score + classes, *weight = mean + classes, la = call->value[LA], gamma = call->value[GAMMA];
    int32_t y = call->input->label[row->query];

    if (y < 0)
        return;
    for (size_t c = 0; c < classes; c++) {
        mean[c] = relax(row->distance + c * centres, centres, gamma, weight + c * centres);
        score[c] = la * (mean[c] - (c == (size_t)y ? call->value[MARGIN] : 0));
    }
    row->loss = ft_softmax_loss(score, classes, (size_t)y);
    row->counted = row->loss > 0;
    for (size_t c = 0; c < classes; c++)
        for (size_t k = c * centres; k < (c + 1) * centres; k++)   /* d S / d distance_k = -q_k (1 + (S - s_k) (-1 / gamma)) */
            row->slope[k] = (float)(-la * score[c] * weight[k] * (1 - (row->distance[k] + mean[c]) / gamma));
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    size_t rows = input->classes * (size_t)call->value[CENTRES], known = 0;
    struct ft_units items, centres;
    double share;

    if (ft_units_make(arena, &items, input->embedding, input->n, input->d) < 0 ||
        ft_units_make(arena, &centres, call->weight[0], rows, input->d) < 0 ||
        ft_compare(arena, &(struct ft_compare){
            .queries = input->n, .candidates = rows, .d = input->d, .query = items.unit, .candidate = centres.unit,
            .query_gradient = gradient, .candidate_gradient = call->weight_gradient[0],
            .row = item_row, .argument = call, .scratch = (2 * input->classes + rows) * sizeof(double),
        }, loss, counted) < 0)
        return -1;
    for (size_t i = 0; i < input->n; i++)
        known += input->label[i] >= 0;
    share = known ? 1 / (double)known : 0;
    *loss *= share;
    ft_units_backward(&items, share, gradient);
    ft_units_backward(&centres, share, call->weight_gradient[0]);
    return 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    struct ft_arena arena = {0};
    int rc = compute_in(&arena, call, loss, gradient, counted);

    ft_arena_free(&arena);
    return rc;
}

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    size_t rows = classes * (size_t)value[CENTRES];

    tensor[0] = ft_class_tensor("fc", rows, d);
    tensor[0].uniform = true;
    tensor[0].spread = 1 / sqrt((double)rows);      /* torch.nn.init.kaiming_uniform_, a = sqrt(5) */
    return 1;
}

const struct ft_loss ft_loss_soft_triple = {
    .name = "soft-triple",
    .purpose = "softmax over classes of several learnt centres each, near ones counting more",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = compute,
    .tensors = tensors,
};
