/* loss-softmax.c - logarithms of sums of exponentials, and weights of items, that losses over labels share. */
#include "train/losses/labelled.h"

#include <float.h>
#include <math.h>

double ft_softplus(double x, double *slope)
{
    *slope = 1 / (1 + exp(-x));
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

double ft_chance(double x, double *slope)
{
    double loss = ft_softplus(x, slope);

    return loss > DBL_EPSILON / 2 ? loss : 0;
}

double ft_log_sum(struct ft_other *others, size_t count, bool one)
{
    double most = one ? 0 : -INFINITY, sum;

    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, others[i].power);
    sum = one ? exp(-most) : 0;
    for (size_t i = 0; i < count; i++)
        sum += others[i].share = others[i].count * exp(others[i].power - most);
    for (size_t i = 0; i < count; i++)
        others[i].share /= sum;
    return most + log(sum);
}

void ft_positives_each(struct ft_anchor *anchor)
{
    double negatives = ft_log_sum(anchor->negative, anchor->negatives, false), all = 0;

    for (size_t i = 0; i < anchor->positives; i++) {
        struct ft_other *p = &anchor->positive[i];
        double slope = 0, loss = anchor->negatives ? ft_chance(negatives + p->power, &slope) : 0;

        p->slope = ft_term(anchor, 0, p->count, loss) * slope;
        all += p->slope;
    }
    for (size_t j = 0; j < anchor->negatives; j++)
        anchor->negative[j].slope = all * anchor->negative[j].share;
}

double *ft_labelled_weights(struct ft_arena *arena, const struct ft_labelled *batch)
{
    double *weight = ft_arena_zero(arena, batch->n, sizeof *weight), most = 0;
    size_t n = batch->n;

    if (!weight)
        return NULL;
    for (size_t a = 0; batch->mined && a < n; a++)
        for (size_t j = 0; j < n; j++) {
            double count = batch->mined->count[a * n + j];

            weight[j] += count;
            if (batch->mined->how == FT_MINED_PAIRS || batch->label[j] == batch->label[a])   /* a triplet has its anchor once */
                weight[a] += count;
        }
    for (size_t i = 0; i < n; i++)
        most = fmax(most, weight[i]);
    for (size_t i = 0; i < n; i++)
        weight[i] = most > 0 ? weight[i] / most : 1;
    return weight;
}
