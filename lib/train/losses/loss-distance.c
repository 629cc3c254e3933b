/* loss-distance.c - the distances of unit vectors that losses and miners know, as functions of the cosine distance. */
#include "train/losses/labelled.h"

#include <math.h>

/* d * var(u) / |u|^2 of a unit: 1 - (sum of elements)^2 / d. */
static double spread(const struct ft_labelled *batch, size_t anchor)
{
    double rest = 1 - batch->total[anchor] * batch->total[anchor] / (double)batch->d;

    return rest > 1e-6 ? rest : 0;     /* all elements equal: there is no variance to compare with */
}

static double snr(const struct ft_labelled *batch, size_t anchor, size_t other, double cosine)
{
    double apart = batch->total[anchor] - batch->total[other], noise = 2 * cosine - apart * apart / (double)batch->d;
    double signal = spread(batch, anchor);

    return signal > 0 && noise > 0 ? noise / signal : 0;
}

double ft_distance_value(const struct ft_labelled *batch, enum ft_by distance, size_t anchor, size_t other)
{
    double cosine = batch->cosine[anchor * batch->n + other];

    switch (distance) {
    case FT_BY_EUCLIDEAN:
        return sqrt(2 * cosine);
    case FT_BY_SQEUCLIDEAN:
        return 2 * cosine;
    case FT_BY_SNR:
        return snr(batch, anchor, other, cosine);
    default:
        return cosine;
    }
}

double ft_distance_margin(enum ft_by distance, double margin)
{
    return distance == FT_BY_COSINE || distance == FT_BY_DOT ? 1 - margin : margin;
}

/* By the cosine distance. Two equal vectors have Euclidean distance 0, of which 0 is one of the subgradients. */
static double slope_of(const struct ft_labelled *batch, size_t anchor, double value)
{
    double signal;

    switch (batch->distance) {
    case FT_BY_EUCLIDEAN:
        return value > 0 ? 1 / value : 0;
    case FT_BY_SQEUCLIDEAN:
        return 2;
    case FT_BY_SNR:
        signal = spread(batch, anchor);
        return signal > 0 ? 2 / signal : 0;
    default:
        return 1;
    }
}

void ft_slope_add(struct ft_labelled *batch, size_t anchor, size_t other, double value, double slope)
{
    batch->slope[anchor * batch->n + other] += (float)(slope * slope_of(batch, anchor, value));
}
