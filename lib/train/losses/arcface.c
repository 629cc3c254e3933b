/* arcface.c - softmax over classes with a margin on the angle (Deng et al. 2019, ArcFace, eq. 3; Deng et al. 2020, Sub-center ArcFace, eq. 3).
 *
 *   z_y = scale * cos(theta_y + margin)      z_j = scale * cos(theta_j)      theta_j: the angle between x and w_j
 *
 * Where theta_y + margin passes pi, cos(theta_y) - margin sin(margin) stands in, so that the score goes on falling. The loss is the mean of the
 * cross entropy over items of known label. With sub-centres a class has several vectors, and the nearest one counts.
 * pytorch-metric-learning's ArcFaceLoss and SubCenterArcFaceLoss (margin 28.6 degrees, scale 64, sub_centers 3). */
#include "train/losses/losses.h"

#include <math.h>

enum { MARGIN, SCALE, CENTRES };

static const struct ft_setting_key keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = 28.6, .low = 0, .high = 180},
    [SCALE] = {.name = "scale", .otherwise = 64, .low = 1e-3, .high = 1e4},
    {.name = NULL},
};

static const struct ft_setting_key sub_centre_keys[] = {
    [MARGIN] = {.name = "margin", .otherwise = 28.6, .low = 0, .high = 180},
    [SCALE] = {.name = "scale", .otherwise = 64, .low = 1e-3, .high = 1e4},
    [CENTRES] = {.name = "sub_centers", .otherwise = 3, .low = 1, .high = 100, .whole = true},
    {.name = NULL},
};

static const double PI = 3.14159265358979323846;

/* From the cosine distance, 2 sin^2(theta / 2), which is exact where the angle is small. */
static double own(const double *value, double distance, double *slope)
{
    double half = sqrt(distance > 0 ? fmin(distance / 2, 1) : 0), theta = 2 * asin(half), margin = value[MARGIN] * PI / 180, sine = sin(theta);

    if (theta > PI - margin) {
        *slope = -1;
        return 1 - distance - margin * sin(margin);
    }
    *slope = sine > 0 ? -sin(theta + margin) / sine : -1;
    return cos(theta + margin);
}

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    (void)value;
    tensor[0] = ft_class_tensor("weight", classes, d);
    return 1;
}

static size_t sub_centre_tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    tensor[0] = ft_class_tensor("weight", classes * (size_t)value[CENTRES], d);
    return 1;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_class_softmax softmax = {.scale = call->value[SCALE], .centres = 1, .own = own};

    return ft_class_softmax(call, &softmax, loss, gradient, counted);
}

static int sub_centre_compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_class_softmax softmax = {.scale = call->value[SCALE], .centres = (size_t)call->value[CENTRES], .own = own};

    return ft_class_softmax(call, &softmax, loss, gradient, counted);
}

const struct ft_loss ft_loss_arcface = {
    .name = "arcface",
    .purpose = "softmax over learnt vectors of the classes, with a margin on the angle",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = compute,
    .tensors = tensors,
};

const struct ft_loss ft_loss_sub_center_arcface = {
    .name = "sub-center-arcface",
    .purpose = "arcface with several vectors a class, of which the nearest counts",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = sub_centre_keys,
    .compute = sub_centre_compute,
    .tensors = sub_centre_tensors,
};
