/* loss-temperature.c - a temperature that is learnt: CLIP's logit_scale. */
#include "train/losses/losses.h"

#include <math.h>

/* What CLIP's authors let the scale grow to. */
static const double LARGEST = 100;

struct ft_loss_tensor ft_logit_scale(double temperature, bool own)
{
    return (struct ft_loss_tensor){.name = "logit_scale", .rows = 1, .columns = 1, .mean = log(1 / temperature), .low = 0, .high = log(LARGEST),
                                   .undecayed = true, .own = "logit_scale", .begins_as_own = own};
}

int ft_temperature_check(const char *loss, double temperature, bool learnt)
{
    double low = learnt ? 1 / LARGEST : 1e-4, high = learnt ? 1 : 100;

    if (temperature == 0 || (temperature >= low && temperature <= high))
        return 0;
    return ft_fail(FT_USAGE, "%s: temperature=%g: expected %g to %g where it %s, or 0 for the model's own", loss, temperature, low, high,
                   learnt ? "is learnt" : "stays");
}
