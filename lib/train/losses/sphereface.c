/* sphereface.c - softmax over classes with a margin that multiplies the angle (Liu et al. 2016, large-margin softmax, eq. 6; Liu et al. 2017,
 * SphereFace, eq. 7).
 *
 *   z_y = scale * |x| |w_y| psi(theta_y)      z_j = scale * |x| |w_j| cos(theta_j)
 *   psi(theta) = (-1)^k cos(m theta) - 2 k for theta in [k pi / m, (k + 1) pi / m]
 *
 * sphereface leaves |w| out. The loss is the mean of the cross entropy over items of known label. pytorch-metric-learning's SphereFaceLoss and
 * LargeMarginSoftmaxLoss (margin 4, scale 1). */
#include "train/losses/losses.h"

#include <math.h>

enum { MARGIN, SCALE };

static const struct ft_setting_key keys[] = {
    [MARGIN] = {.name = "margin", .choices = "1 2 3 4 5 6 7 8", .otherwise = 3},
    [SCALE] = {.name = "scale", .otherwise = 1, .low = 1e-3, .high = 1e4},
    {.name = NULL},
};

static const double PI = 3.14159265358979323846;

/* cos(m theta) is Chebyshev's polynomial T_m of the cosine, and its derivative m U_(m - 1). */
static double own(const double *value, double distance, double *slope)
{
    int m = (int)value[MARGIN] + 1;
    double c = fmax(-1, fmin(1, 1 - distance)), k = floor(acos(c) * m / PI), sign = fmod(k, 2) != 0 ? -1 : 1;
    double t[2] = {1, c}, u[2] = {0, 1};   /* T_(n - 1), T_n; U_(n - 2), U_(n - 1) */

    for (int n = 1; n < m; n++) {
        double next_t = 2 * c * t[1] - t[0], next_u = 2 * c * u[1] - u[0];

        t[0] = t[1], t[1] = next_t;
        u[0] = u[1], u[1] = next_u;
    }
    *slope = -sign * m * u[1];
    return sign * t[1] - 2 * k;
}

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    (void)value;
    tensor[0] = ft_class_tensor("weight", classes, d);
    return 1;
}

static int sphereface_compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_class_softmax softmax = {.scale = call->value[SCALE], .centres = 1, .own = own, .item_length = true};

    return ft_class_softmax(call, &softmax, loss, gradient, counted);
}

static int large_margin_compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const struct ft_class_softmax softmax = {
        .scale = call->value[SCALE], .centres = 1, .own = own, .item_length = true, .weight_length = true};

    return ft_class_softmax(call, &softmax, loss, gradient, counted);
}

const struct ft_loss ft_loss_sphereface = {
    .name = "sphereface",
    .purpose = "softmax over learnt vectors of the classes, with a margin that multiplies the angle",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = sphereface_compute,
    .tensors = tensors,
};

const struct ft_loss ft_loss_large_margin_softmax = {
    .name = "large-margin-softmax",
    .purpose = "sphereface with the lengths of the learnt vectors",
    .kinds = FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM),
    .keys = keys,
    .compute = large_margin_compute,
    .tensors = tensors,
};
