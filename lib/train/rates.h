/* rates.h - learning rates and weight decays of single parameters: what --lr-for, --layer-decay and --decay-for say. */
#ifndef FT_TRAIN_RATES_H
#define FT_TRAIN_RATES_H

#include "base/tool.h"
#include "model/model.h"
#include "train/optimizer.h"

struct ft_rates {
    struct ft_list lr_for;       /* "PATTERN=X", or "PATTERN=*X": times what it would be; later ones over earlier ones */
    struct ft_list decay_for;    /* "PATTERN=X" */
    double layer_decay;          /* 0 = none */
};

/* What can be checked without a model: FT_USAGE. */
int ft_rates_check(const struct ft_rates *rates, const struct ft_optimizer_settings *optimizer);
/* And with one: patterns that match nothing, layers that are not there. */
int ft_rates_fit(const struct ft_rates *rates, const struct ft_model *model);

/* Of each parameter, [parameter_count]: the rate at its highest, of a base rate `lr`. With a layer decay d, of L layers the highest has lr, as
 * has what stands on it; each below has d times the rate of the one above it; what comes before the layers (embeddings) has lr d^L. */
int ft_rates_peaks(const struct ft_rates *rates, const struct ft_model *model, double lr, double *peak);

/* The weight decay: that of the optimizer's setting, not of biases and norms; then what the patterns say, of any. */
int ft_rates_decays(const struct ft_rates *rates, const struct ft_model *model, const struct ft_optimizer_settings *optimizer, double *decay);

/* Do all have the same? Then there is no need of peaks. */
bool ft_rates_plain(const struct ft_rates *rates);

#endif
