/* snr-contrastive.c - contrastive loss over the signal-to-noise-ratio distance (Yuan et al. 2019): contrastive.c with distance=snr.
 *
 * pytorch-metric-learning's SignalToNoiseRatioContrastiveLoss (margins 0 and 1). */
#include "train/losses/labelled.h"

static const struct ft_setting_key keys[] = {      /* as contrastive's first three, and its reducer */
    {.name = "pos_margin", .otherwise = 0, .low = -4, .high = 1e3},
    {.name = "neg_margin", .otherwise = 1, .low = -4, .high = 1e3},
    {.name = "squared", .choices = "0 1", .otherwise = 0},
    {.name = "reducer", .choices = FT_PAIR_REDUCERS " joint-mean", .otherwise = FT_NONZERO},
    {.name = NULL},
};

static int compute(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted)
{
    return ft_contrastive_compute(call, FT_BY_SNR, (enum ft_reducer)call->value[3], loss, gradient, counted);
}

const struct ft_loss ft_loss_snr_contrastive = {
    .name = "snr-contrastive",
    .purpose = "contrastive, over the variance of the difference as a share of the anchor's",
    .kinds = FT_LABELLED | FT_ROWS,
    .mined = FT_MINED_KINDS,
    .keys = keys,
    .compute = compute,
};
