/* proxy-anchor.c - proxies of the classes as anchors, the batch's items as positives and negatives (Kim et al. 2020, eq. 4).
 *
 *   loss = 1/|P+| sum over P+ of log(1 + sum over x of the class of exp(-alpha (cos(x, p) - margin)))
 *        + 1/|P|  sum over P  of log(1 + sum over x of others of exp(alpha (cos(x, p) + margin)))
 *
 * P are the proxies of all classes, P+ those of the classes in the batch. pytorch-metric-learning's ProxyAnchorLoss (margin .1, alpha 32), whose
 * proxies begin as normal random numbers of variance 2 / classes. Items of unknown label take no part. */
#include "train/losses/losses.h"

#include <math.h>

enum { MARGIN, ALPHA };

static const struct ft_setting_key keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = .1, .low = 0, .high = 2},
    [ALPHA] = {.name = "alpha", .otherwise = 32, .low = 1e-3, .high = 1e4},
    {.name = NULL},
};

struct work {
    const struct ft_loss_call *call;
    double share[2];           /* of a term over items of the class, of one over others */
};

/* log(1 + sum of exp(score)) over the items that are of the proxy's class, or are not, and its slopes. */
static double add_term(struct ft_compare_row *row, const struct work *w, bool own)
{
    const int32_t *label = w->call->input->label;
    double alpha = w->call->value[ALPHA] * (own ? 1 : -1), offset = w->call->value[ALPHA] * w->call->value[MARGIN], share = w->share[!own];
    double most = 0, sum = 0, *weight = row->scratch;
    size_t count = 0;

    /* cos is 1 - distance: -alpha (cos - margin) and alpha (cos + margin), the sign of alpha apart. */
    for (size_t i = 0; i < row->candidates; i++)
        if (label[i] >= 0 && ((size_t)label[i] == row->query) == own) {
            weight[i] = alpha * (row->distance[i] - 1) + offset;
            most = fmax(most, weight[i]);
            count++;
        }
    if (count == 0)
        return 0;
    for (size_t i = 0; i < row->candidates; i++)
        if (label[i] >= 0 && ((size_t)label[i] == row->query) == own)
            sum += weight[i] = exp(weight[i] - most);
    for (size_t i = 0; i < row->candidates; i++)
        if (label[i] >= 0 && ((size_t)label[i] == row->query) == own)
            row->slope[i] = (float)(share * alpha * weight[i] / (exp(-most) + sum));
    return share * (most > 0 ? most + log(exp(-most) + sum) : log1p(sum));
}

static void proxy_row(struct ft_compare_row *row, const void *argument)
{
    const struct work *w = argument;
    double own = add_term(row, w, true), others = add_term(row, w, false);

    row->loss = own + others;
    row->counted = (uint64_t)(own > 0) + (others > 0);
}

/* Classes of which the batch has an item. */
static int count_present(struct ft_arena *arena, const struct ft_loss_input *input, size_t *present)
{
    bool *seen = ft_arena_zero(arena, input->classes, sizeof *seen);

    *present = 0;
    for (size_t i = 0; seen && i < input->n; i++)
        if (input->label[i] >= 0 && !seen[input->label[i]]) {
            seen[input->label[i]] = true;
            (*present)++;
        }
    return seen ? 0 : -1;
}

static int compute_in(struct ft_arena *arena, const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_loss_input *input = call->input;
    struct ft_units items, proxies;
    struct work w = {.call = call};
    size_t present;

    if (count_present(arena, input, &present) < 0 || ft_units_make(arena, &items, input->embedding, input->n, input->d) < 0 ||
        ft_units_make(arena, &proxies, call->weight[0], input->classes, input->d) < 0)
        return -1;
    w.share[0] = present ? 1 / (double)present : 0;
    w.share[1] = present ? 1 / (double)input->classes : 0;
    if (ft_compare(arena, &(struct ft_compare){
            .queries = input->classes, .candidates = input->n, .d = input->d, .query = proxies.unit, .candidate = items.unit,
            .query_gradient = call->weight_gradient[0], .candidate_gradient = gradient,
            .row = proxy_row, .argument = &w, .scratch = input->n * sizeof(double),
        }, loss, counted) < 0)
        return -1;
    ft_units_backward(&items, 1, gradient);
    ft_units_backward(&proxies, 1, call->weight_gradient[0]);
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
    (void)value;
    tensor[0] = ft_class_tensor("proxies", classes, d);
    tensor[0].spread = sqrt(2 / (double)classes);   /* torch.nn.init.kaiming_normal_, fan_out */
    return 1;
}

const struct ft_loss ft_loss_proxy_anchor = {
    .name = "proxy-anchor",
    .purpose = "learnt proxies of the classes pull their items and push others, the hardest most",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = compute,
    .tensors = tensors,
};
