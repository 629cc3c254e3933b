/* proxy-nca.c - softmax over learnt proxies of the classes, by squared distances (Movshovitz-Attias et al. 2017).
 *
 *   term(i) = - log( exp(-s d(x_i, w_y)^2) / sum over classes j of exp(-s d(x_i, w_j)^2) )
 *
 * d is the Euclidean distance at unit length, so that d^2 = 2 (1 - cos), and this is a softmax of cosines with the scale 2 s. The loss is the mean
 * over items of known label. pytorch-metric-learning's ProxyNCALoss (softmax_scale 1), in which, other than in the paper, the item's own proxy
 * stays in the sum. */
#include "train/losses/losses.h"

enum { SCALE };

static const struct ft_setting_key keys[] = {
    [SCALE] = {.name = "softmax_scale", .otherwise = 1, .low = 1e-3, .high = 1e4},
    {.name = NULL},
};

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    (void)value;
    tensor[0] = ft_class_tensor("proxies", classes, d);
    return 1;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_class_softmax softmax = {.scale = 2 * call->value[SCALE], .centres = 1};

    return ft_class_softmax(call, &softmax, loss, gradient, counted);
}

const struct ft_loss ft_loss_proxy_nca = {
    .name = "proxy-nca",
    .purpose = "softmax over learnt proxies of the classes by squared distances",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = compute,
    .tensors = tensors,
};
