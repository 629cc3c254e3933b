/* contrast.h - the softmax over a batch's pairs and hard negatives that infonce, gist and clip are settings of. */
#ifndef FT_TRAIN_CONTRAST_H
#define FT_TRAIN_CONTRAST_H

#include "train/losses/losses.h"

enum ft_hardness { FT_HARDNESS_NONE, FT_HARDNESS_IN_BATCH, FT_HARDNESS_HARD, FT_HARDNESS_ALL };
enum ft_margin_strategy { FT_MARGIN_NONE, FT_MARGIN_ABSOLUTE, FT_MARGIN_RELATIVE };

/* Each anchor a with its positive p against the rest of the batch. Similarities s are cosines, times `scale`. Always a with all positives and
 * negatives; besides
 *   d2q    p with all anchors, its own among them
 *   q2q    a with all other anchors
 *   d2d    p with the positives and negatives of other rows; `positives_only`: with the positives
 * The term of a row's positive is log(sum of exp) less s(a, p): of all these together, or, per_direction, the mean of a log for each of
 * a's and p's; a row's other positives take no part in it. The loss is the mean over positives.
 *
 * Hardness adds strength * s, as a constant without gradient, to the exponent of a's negatives: those of other rows (all their texts), the row's
 * own hard ones, or both.
 *
 * The filter leaves out what a second model, the guide, finds nearer than the positive: with g its cosine, whatever has
 * g > g(a, p) - margin, or, relative, g > g(a, p) - |g(a, p)| margin. The pair itself stays. */
struct ft_contrast {
    double scale;
    bool d2q, q2q, d2d, positives_only, per_direction;
    enum ft_hardness hardness;
    double strength;
    enum ft_margin_strategy filter;
    double margin;
    double *by_scale;          /* written: d loss / d scale; or NULL */
};

/* As ft_loss.compute. FT_BAD also where the filter has no guide. */
int ft_contrast_compute(const struct ft_loss_call *call, const struct ft_contrast *contrast, double *loss, float *gradient, uint64_t *counted);

#endif
