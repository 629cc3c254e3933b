/* miner-angular.c - triplets with a wide angle at the negative, as the angular loss defines it (Wang et al. 2017): atan(|a - p| / (2 |n - (a + p) / 2|))
 * greater than `angle` degrees. AngularMiner of pytorch-metric-learning (20 degrees), at unit length.
 *
 * The angle hangs on three items at once, so each negative of each positive pair is looked at. */
#include "train/miner.h"

#include <math.h>

enum { ANGLE };

static const struct ft_setting_key keys[] = {
    [ANGLE] = {.name = "angle", .otherwise = 20, .low = 0, .high = 89},
    {.name = NULL},
};

/* |n - (a + p) / 2|^2 of unit vectors is |a - n|^2 / 2 + |p - n|^2 / 2 - |a - p|^2 / 4. */
bool ft_mined_angle(const struct ft_labelled *batch, double tangent, size_t a, size_t p, size_t n)
{
    double apart = ft_distance_value(batch, FT_BY_SQEUCLIDEAN, a, p);
    double from_a = ft_distance_value(batch, FT_BY_SQEUCLIDEAN, a, n), from_p = ft_distance_value(batch, FT_BY_SQEUCLIDEAN, p, n);

    return apart > 4 * tangent * tangent * ((from_a + from_p) / 2 - apart / 4);
}

static void choose(struct ft_anchor *anchor, const void *argument)
{
    const struct ft_mined *mined = argument;

    for (size_t j = 0; j < anchor->negatives; j++)
        anchor->negative[j].count = 0;
    for (size_t i = 0; i < anchor->positives; i++) {
        anchor->positive[i].count = 0;
        for (size_t j = 0; j < anchor->negatives; j++)
            if (ft_mined_angle(anchor->batch, mined->tangent, anchor->item, anchor->positive[i].item, anchor->negative[j].item)) {
                anchor->positive[i].count++;
                anchor->negative[j].count++;
            }
    }
}

static int mine(struct ft_arena *arena, struct ft_labelled *batch, const double *value, struct ft_mined *mined)
{
    mined->how = FT_MINED_ANGLE;
    mined->tangent = tan(value[ANGLE] * M_PI / 180);
    return ft_mine_anchors(arena, batch, FT_BY_EUCLIDEAN, mined, choose, mined);
}

const struct ft_miner ft_miner_angular = {
    .name = "angular",
    .purpose = "triplets whose angle at the negative is wide",
    .keys = keys,
    .mine = mine,
};
