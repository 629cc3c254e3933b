/* cosface.c - softmax over classes with a margin on the cosine (Wang et al. 2018, CosFace, eq. 4).
 *
 *   z_y = scale * (cos(x, w_y) - margin)      z_j = scale * cos(x, w_j)
 *
 * The loss is the mean of the cross entropy over items of known label. pytorch-metric-learning's CosFaceLoss (margin .35, scale 64). */
#include "train/losses/losses.h"

enum { MARGIN, SCALE };

static const struct ft_setting_key keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = .35, .low = 0, .high = 2},
    [SCALE] = {.name = "scale", .otherwise = 64, .low = 1e-3, .high = 1e4},
    {.name = NULL},
};

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    (void)value;
    tensor[0] = ft_class_tensor("weight", classes, d);
    return 1;
}

static double own(const double *value, double distance, double *slope)
{
    *slope = -1;
    return 1 - distance - value[MARGIN];
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_class_softmax softmax = {.scale = call->value[SCALE], .centres = 1, .own = own};

    return ft_class_softmax(call, &softmax, loss, gradient, counted);
}

const struct ft_loss ft_loss_cosface = {
    .name = "cosface",
    .purpose = "softmax over learnt vectors of the classes, with a margin on the cosine",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = compute,
    .tensors = tensors,
};
