/* test-schedule.c - learning rates by step: every schedule against transformers and torch (tests/golden/schedule/make.py), its ends, and what is
 * refused. */
#include "base/error.h"
#include "train/schedule.h"
#include "../tap.h"

#define GOLDEN "tests/golden/schedule/schedules.txt"

static void refused(const char *text, double lr, double warmup, const char *message)
{
    struct ft_schedule s;
    bool good = ft_schedule_parse(&s, text, lr, warmup) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), message);

    ok(good, "refused: %s (%s)", message, ft_error());
}

static struct ft_schedule made(const char *text, double lr, double warmup)
{
    struct ft_schedule s;

    if (ft_schedule_parse(&s, text, lr, warmup) < 0)
        ok(false, "%s: %s", text, ft_error());
    return s;
}

/* Theirs counts steps from 0. Ours is a step ahead over the warm-up, and where theirs is after it; one-cycle is theirs. */
static double golden_error(const struct ft_schedule *s, const double *theirs, uint64_t steps, bool cycle)
{
    double worst = 0;

    for (uint64_t step = 1; step <= steps; step++) {
        double want = theirs[!cycle && (double)step <= s->warmup ? step : step - 1];

        worst = fmax(worst, fabs(ft_schedule_rate(s, step, steps) - want) / s->lr);
    }
    return worst;
}

static void check_golden(void)
{
    FILE *file = fopen(GOLDEN, "r");
    char setting[128];
    double lr, warmup, theirs[64];
    unsigned long steps;
    bool seen[16] = {false}, all = true;

    while (file && fscanf(file, " case %127s %lf %lf %lu", setting, &lr, &warmup, &steps) == 4 && steps < 64) {
        const struct ft_schedule s = made(setting, lr, warmup);
        bool whole = true;
        double error;

        for (unsigned long i = 0; i < steps; i++)
            whole &= fscanf(file, "%lf", &theirs[i]) == 1;
        error = golden_error(&s, theirs, steps, strncmp(setting, "one-cycle", 9) == 0);
        ok(whole && error < 1e-11, "%s, warm-up %g, %lu steps (%.2g)", setting, warmup, steps, error);
        for (size_t i = 0; ft_schedule_name_at(i); i++)
            seen[i] |= strlen(ft_schedule_name_at(i)) == strcspn(setting, ":") &&
                       strncmp(setting, ft_schedule_name_at(i), strcspn(setting, ":")) == 0;
    }
    for (size_t i = 0; ft_schedule_name_at(i); i++)
        all &= seen[i] && strstr(ft_schedule_names(), ft_schedule_name_at(i));
    ok(file && feof(file) && all, "all of the file, and every schedule of the table has a case in it");
    if (file)
        fclose(file);
}

static void check_linear(void)
{
    const struct ft_schedule s = made("linear", 2e-4, .1);
    double sum = 0;
    bool falls = true, rises = true;

    is_close(ft_schedule_rate(&s, 1, 100), 2e-5, 1e-18, "100 steps: the first has a tenth of the rate");
    is_close(ft_schedule_rate(&s, 10, 100), 2e-4, 1e-18, "the tenth has all of it");
    is_close(ft_schedule_rate(&s, 11, 100), 2e-4, 1e-18, "and the first after the warm-up");
    is_close(ft_schedule_rate(&s, 56, 100), 1e-4, 1e-18, "half way down it is half");
    is_close(ft_schedule_rate(&s, 100, 100), 2e-4 / 90, 1e-18, "the last is one ninetieth, not nothing");
    is_close(ft_schedule_rate(&s, 101, 100), 0, 0, "past the end there is nothing");
    for (uint64_t step = 2; step <= 100; step++) {
        double before = ft_schedule_rate(&s, step - 1, 100), now = ft_schedule_rate(&s, step, 100);

        rises &= step > 10 || now > before;
        falls &= step <= 11 || now < before;
        sum += now;
    }
    ok(rises && falls, "it rises, then falls");
    ok(sum > 0 && sum < 100 * 2e-4, "and stays below the rate");
}

static void check_ends(void)
{
    const struct ft_schedule none = made("linear", 1, 0), constant = made("constant", 1, 3), all = made("linear", 1, 10);
    const struct ft_schedule share = made("constant", 1, .5);

    is_close(ft_schedule_rate(&none, 1, 4), 1, 0, "no warm-up: the first step has all");
    is_close(ft_schedule_rate(&none, 4, 4), .25, 0, "the last a quarter");
    is_close(ft_schedule_rate(&none, 1, 1), 1, 0, "one step");
    is_close(ft_schedule_rate(&constant, 2, 9), 2. / 3, 1e-16, "constant: after a warm-up of three");
    is_close(ft_schedule_rate(&constant, 9, 9), 1, 0, "it stays");
    is_close(ft_schedule_rate(&constant, 1000000, 0), 1, 0, "also where the number of steps is not known");
    is_close(ft_schedule_rate(&none, 1000000, 0), 1, 0, "as linear does then");
    is_close(ft_schedule_rate(&all, 10, 10), 1, 0, "warm-up to the last step");
    is_close(ft_schedule_rate(&all, 3, 5), .3, 1e-16, "a warm-up that is longer than the run never arrives");
    is_close(ft_schedule_rate(&share, 1, 4), .5, 0, "half of four steps");
}

/* For every schedule, length and warm-up. */
static void check_range(const char *text)
{
    bool good = true;

    for (uint64_t steps = 1; steps < 50; steps++)
        for (uint64_t step = 1; step <= steps + 1; step++)
            for (double warmup = 0; warmup < 60; warmup = warmup < 1 ? warmup + .24 : warmup * 1.7) {
                const struct ft_schedule s = made(text, 1, warmup);
                double rate = ft_schedule_rate(&s, step, steps);

                good &= rate >= 0 && rate <= 1 && (rate > 0 || step > steps || strchr(text, '0'));
            }
    ok(good, "%s: between 0 and the rate, and no step is wasted at 0", text);
}

static void check_unknown(void)
{
    const struct ft_schedule linear = made("linear", 1, 3), cosine = made("cosine", 1, 3), share = made("constant:by=epoch", 1, .1);

    ok(ft_schedule_fits(&linear, 0) == 0 && ft_schedule_fits(&cosine, 9) == 0, "linear goes without a number of steps");
    ok(ft_schedule_fits(&cosine, 0) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), "--schedule cosine runs over all steps"), "%s", ft_error());
    ok(ft_schedule_fits(&share, 0) < 0 && strstr(ft_error(), "--warmup 0.1 is a share of the epochs"), "%s", ft_error());
    ok(ft_schedule_by_epoch(&share) && !ft_schedule_by_epoch(&linear), "by epoch");
}

int main(void)
{
    check_golden();
    check_linear();
    check_ends();
    for (size_t i = 0; ft_schedule_name_at(i); i++)
        check_range(ft_schedule_name_at(i));
    check_range("one-cycle:pct-start=1");
    check_range("one-cycle:pct-start=0,anneal=linear");
    check_range("polynomial:power=0");
    check_range("polynomial:power=3,end=2");
    check_unknown();
    refused("sine", 1, 0, "unknown schedule 'sine': known are linear cosine");
    refused("linear:x=1", 1, 0, "linear has no key 'x': it has by");
    refused("cosine:by=step", 1, 0, "expected one of batch epoch");
    refused("cosine-with-restarts:cycles=.5", 1, 0, "expected 1 to");
    refused("one-cycle:pct-start=1.1", 1, 0, "expected 0 to 1");
    refused("one-cycle:div-factor=0", 1, 0, "div-factor=0");
    refused("polynomial:power=-1", 1, 0, "power=-1");
    refused("linear", -1, 0, "--lr -1");
    refused("linear", NAN, 0, "--lr nan");
    refused("linear", INFINITY, 0, "--lr inf");
    refused("linear", 1, -.1, "--warmup -0.1");
    refused("linear", 1, NAN, "--warmup nan");
    return done();
}
