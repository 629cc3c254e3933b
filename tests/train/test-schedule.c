/* test-schedule.c - learning rates by step: the formula of schedule.h, its ends, and what is refused. */
#include "base/error.h"
#include "train/schedule.h"
#include "../tap.h"

static void refused(struct ft_schedule s, const char *message)
{
    bool good = ft_schedule_check(&s) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), message);

    ok(good, "refused: %s", message);
}

static void check_linear(void)
{
    const struct ft_schedule s = {"linear", 2e-4, .1};
    double sum = 0;
    bool falls = true, rises = true;

    ok(ft_schedule_check(&s) == 0, "linear with a tenth of warm-up");
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

/* transformers' get_linear_schedule_with_warmup gives step / w and (total - step) / (total - w) for steps from 0: ours is one step ahead. */
static void check_transformers(void)
{
    const struct ft_schedule s = {"linear", 1, 7};
    bool same = true;

    for (uint64_t step = 1; step <= 40; step++) {
        double theirs = step < 7 ? (double)step / 7 : (40 - (double)step) / (40 - 7);

        same &= fabs(ft_schedule_rate(&s, step + (step >= 7), 40) - theirs) < 1e-15 || step == 40;
    }
    ok(same, "the schedule of transformers, without its step at zero");
}

static void check_ends(void)
{
    const struct ft_schedule none = {"linear", 1, 0}, constant = {"constant", 1, 3}, all = {"linear", 1, 10}, share = {"constant", 1, .5};
    bool finite = true;

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
    for (uint64_t steps = 1; steps < 50; steps++)
        for (uint64_t step = 1; step <= steps; step++)
            for (double warmup = 0; warmup < 60; warmup = warmup < 1 ? warmup + .24 : warmup * 1.7) {
                struct ft_schedule s = {"linear", 1, warmup};
                double rate = ft_schedule_rate(&s, step, steps);

                finite &= rate > 0 && rate <= 1;
            }
    ok(finite, "between 0 and the rate for every length and warm-up, and no step is wasted at 0");
}

int main(void)
{
    check_linear();
    check_transformers();
    check_ends();
    refused((struct ft_schedule){"cosine", 1, 0}, "unknown schedule 'cosine': known are linear constant");
    refused((struct ft_schedule){"linear", -1, 0}, "--lr -1");
    refused((struct ft_schedule){"linear", NAN, 0}, "--lr nan");
    refused((struct ft_schedule){"linear", INFINITY, 0}, "--lr inf");
    refused((struct ft_schedule){"linear", 1, -.1}, "--warmup -0.1");
    refused((struct ft_schedule){"linear", 1, NAN}, "--warmup nan");
    return done();
}
