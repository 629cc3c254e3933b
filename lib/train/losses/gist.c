/* gist.c - guided in-sample selection of training negatives (Solatorio 2024).
 *
 *   term(i) = - log( exp(u_i . v_i / t) / sum over candidates of exp(cosine / t) )
 *
 * The candidates of row i are u_i with all positives and hard negatives, u_i with the other anchors (contrast_anchors), and v_i with the other
 * positives (contrast_positives), but those that a guide model finds nearer than it finds u_i and v_i. sentence-transformers' GISTEmbedLoss with its
 * defaults (t .01, absolute, margin 0); any number of hard negatives, and an anchor or positive is never compared with itself, where theirs
 * leaves that to the guide. */
#include "train/losses/contrast.h"

enum { TEMPERATURE, STRATEGY, MARGIN, ANCHORS, POSITIVES };

static const struct ft_setting_key keys[] = {
    [TEMPERATURE] = {.name = "temperature", .otherwise = .01, .low = 1e-4, .high = 1e3},
    [STRATEGY] = {.name = "margin_strategy", .choices = "absolute relative"},
    [MARGIN] = {.name = "margin", .otherwise = 0, .low = -2, .high = 2},
    [ANCHORS] = {.name = "contrast_anchors", .choices = "0 1", .otherwise = 1},
    [POSITIVES] = {.name = "contrast_positives", .choices = "0 1", .otherwise = 1},
    {.name = NULL},
};

static unsigned asks(const double *value)
{
    (void)value;
    return FT_ASKS_GUIDE;
}

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    const double *value = call->value;
    const struct ft_contrast contrast = {
        .scale = 1 / value[TEMPERATURE], .q2q = value[ANCHORS] != 0, .d2d = value[POSITIVES] != 0, .positives_only = true,
        .filter = value[STRATEGY] ? FT_MARGIN_RELATIVE : FT_MARGIN_ABSOLUTE, .margin = value[MARGIN],
    };

    return ft_contrast_compute(call, &contrast, loss, gradient, counted);
}

const struct ft_loss ft_loss_gist = {
    .name = "gist",
    .purpose = "as infonce, without the negatives that a guide model finds nearer than the positive",
    .kinds = FT_LOSS_TAKES(FT_BATCH_PAIRS) | FT_LOSS_TAKES(FT_BATCH_TRIPLETS),
    .keys = keys,
    .asks = asks,
    .compute = compute,
};
