/* normalized-softmax.c - softmax over classes of cosines by a temperature (Zhai and Wu 2019, Classification is a strong baseline for deep
 * metric learning).
 *
 *   term(i) = - log( exp(cos(x_i, w_y) / t) / sum over classes j of exp(cos(x_i, w_j) / t) )
 *
 * The loss is the mean over items of known label. pytorch-metric-learning's NormalizedSoftmaxLoss (temperature .05). Both sides are taken at unit
 * length. */
#include "train/losses/losses.h"

enum { TEMPERATURE };

static const struct ft_setting_key keys[] = {
    [TEMPERATURE] = {.name = "temperature", .otherwise = .05, .low = 1e-4, .high = 100},
    {.name = NULL},
};

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    (void)value;
    tensor[0] = ft_class_tensor("weight", classes, d);
    return 1;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_class_softmax softmax = {.scale = 1 / call->value[TEMPERATURE], .centres = 1};

    return ft_class_softmax(call, &softmax, loss, gradient, counted);
}

const struct ft_loss ft_loss_normalized_softmax = {
    .name = "normalized-softmax",
    .purpose = "softmax over learnt vectors of the classes, all at unit length",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = compute,
    .tensors = tensors,
};
