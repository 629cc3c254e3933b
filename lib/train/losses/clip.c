/* clip.c - each anchor finds its positive and each positive its anchor, the temperature learnt (Radford et al. 2021, fig. 3):
 *
 *   loss = 1/2 [ mean over i of -log( exp(s a_i . p_i) / sum over j of exp(s a_i . p_j) )
 *              + mean over i of -log( exp(s a_i . p_i) / sum over j of exp(s a_j . p_i) ) ]        s = exp(logit_scale)
 *
 * a and p at unit length: a text and its image, or any pairs. logit_scale begins as log(1 / temperature) and stays within 0 and log(100), as in
 * open_clip, whose ClipLoss this is. temperature=0 is the model's own, or .07 where it has none. With learn=0 the scale is 1 / temperature (0: .07). */
#include "train/losses/contrast.h"

enum { TEMPERATURE, LEARN };

static const double USUAL = .07;           /* temperature */

static const struct ft_setting_key keys[] = {
    [TEMPERATURE] = {.name = "temperature", .otherwise = 0, .low = 0, .high = 100},
    [LEARN] = {.name = "learn", .choices = "0 1", .otherwise = 1},
    {.name = NULL},
};

static int check(const double *value)
{
    return ft_temperature_check("clip", value[TEMPERATURE], USUAL, value[LEARN] != 0);
}

static size_t tensors(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS])
{
    (void)classes;
    (void)d;
    tensor[0] = ft_logit_scale(value[TEMPERATURE], USUAL);
    return value[LEARN] != 0;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    bool learns = call->value[LEARN] != 0;
    double by_scale = 0;
    const struct ft_contrast contrast = {
        .scale = ft_logit_scale_now(call, learns, call->value[TEMPERATURE], USUAL), .d2q = true, .per_direction = true, .by_scale = &by_scale,
    };

    if (ft_contrast_compute(call, &contrast, loss, gradient, counted) < 0)
        return -1;
    if (learns)
        call->weight_gradient[0][0] = (float)(contrast.scale * by_scale);
    return 0;
}

const struct ft_loss ft_loss_clip = {
    .name = "clip",
    .purpose = "each anchor finds its positive and each positive its anchor, the temperature learnt",
    .kinds = FT_LOSS_TAKES(FT_BATCH_PAIRS),
    .keys = keys,
    .check = check,
    .compute = compute,
    .tensors = tensors,
    .unlabelled = true,
};
