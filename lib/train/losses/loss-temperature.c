/* loss-temperature.c - a temperature that is learnt: CLIP's logit_scale. */
#include "train/losses/losses.h"

#include <math.h>

/* What CLIP's authors let the scale grow to. */
static const double LARGEST = 100;

static double scale_of(double temperature, double usual)
{
    return 1 / (temperature > 0 ? temperature : usual);
}

struct ft_loss_tensor ft_logit_scale(double temperature, double usual)
{
    return (struct ft_loss_tensor){.name = "logit_scale", .rows = 1, .columns = 1, .mean = log(scale_of(temperature, usual)), .low = 0, .high = log(LARGEST),
                                   .undecayed = true, .own = "logit_scale", .begins_as_own = temperature == 0};
}

double ft_logit_scale_now(const struct ft_loss_call *call, bool learnt, double temperature, double usual)
{
    return learnt ? exp((double)call->weight[0][0]) : scale_of(temperature, usual);
}

int ft_temperature_check(const char *loss, double temperature, double usual, bool learnt)
{
    double low = learnt ? 1 / LARGEST : 1e-4, high = learnt ? 1 : 100;

    if (temperature == 0 || (temperature >= low && temperature <= high))
        return 0;
    return learnt ? ft_fail(FT_USAGE, "%s: temperature=%g: expected %g to %g where it is learnt, or 0 for the model's own", loss, temperature, low, high)
                  : ft_fail(FT_USAGE, "%s: temperature=%g: expected %g to %g where it stays, or 0 for %g", loss, temperature, low, high, usual);
}
