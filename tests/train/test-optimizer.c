/* test-optimizer.c - AdamW against the same in double, written down from torch.optim.AdamW; rows that no batch has touched; clipping; frozen
 * parameters; the same bits for any number of threads. (Five steps of a whole BERT against torch itself: test-training.c.) */
#include "base/error.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/random.h"
#include "train/optimizer.h"
#include "../tap.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 500, COLUMNS = 24, LARGE = 40000, SMALL = 7, FROZEN = 100, COUNT = ROWS * COLUMNS + LARGE + SMALL + FROZEN + 5, TOKENS = 60 };

/* A table, a matrix of several blocks, a bias, and what does not train. */
static struct ft_parameter parameters[] = {
    {.name = "table", .rank = 2, .rows = ROWS, .columns = COLUMNS, .offset = 0, .decay = true, .table = true},
    {.name = "matrix", .rank = 2, .rows = 200, .columns = 200, .offset = ROWS * COLUMNS, .decay = true},
    {.name = "bias", .rank = 1, .rows = 1, .columns = SMALL, .offset = ROWS * COLUMNS + LARGE},
    {.name = "frozen", .rank = 1, .rows = 1, .columns = FROZEN, .offset = ROWS * COLUMNS + LARGE + SMALL, .decay = true, .frozen = true},
};

static float block[COUNT], gradient[COUNT];
static struct ft_model model = {.parameters = parameters, .parameter_count = 4, .block = block, .block_count = COUNT};

static int32_t ids[TOKENS];
static uint32_t offsets[2] = {0, TOKENS};
static struct ft_packed packed = {1, ids, offsets};

struct twin {
    double p[COUNT], m[COUNT], v[COUNT];
};

static void start(struct twin *twin)
{
    struct ft_random random = ft_random_start(11, 0);

    memset(twin, 0, sizeof *twin);
    for (size_t i = 0; i < COUNT; i++)
        twin->p[i] = block[i] = (float)ft_random_normal(&random);
}

/* Gradients of a step: dense, but for the table only in the rows of its tokens. */
static void fill(int step, float scale)
{
    struct ft_random random = ft_random_start(12, (uint64_t)step);

    memset(gradient, 0, sizeof gradient);
    for (int t = 0; t < TOKENS; t++)
        ids[t] = (int32_t)ft_random_below(&random, step < 3 ? 20 : ROWS / 2);
    for (int t = 0; t < TOKENS; t++)
        for (int c = 0; c < COLUMNS; c++)
            gradient[ids[t] * COLUMNS + c] += scale * (float)ft_random_normal(&random);
    for (size_t i = ROWS * COLUMNS; i < ROWS * COLUMNS + LARGE + SMALL; i++)
        gradient[i] = scale * (float)ft_random_normal(&random);
}

static double norm_of_gradient(void)
{
    double sum = 0;

    for (size_t i = 0; i < COUNT; i++)
        sum += (double)gradient[i] * gradient[i];
    return sqrt(sum);
}

/* torch/optim/adamw.py, _single_tensor_adamw, without amsgrad. Every element, touched or not: what the fast one must equal. */
static void twin_step(struct twin *t, const struct ft_optimizer_settings *s, int step, double lr, double clip)
{
    double norm = norm_of_gradient(), scale = clip > 0 && norm > clip ? clip / (norm + 1e-6) : 1;

    for (int k = 0; k < 3; k++)
        for (size_t i = parameters[k].offset; i < parameters[k].offset + parameters[k].rows * parameters[k].columns; i++) {
            double g = gradient[i] * scale, bias1 = 1 - pow(s->beta1, step), bias2 = 1 - pow(s->beta2, step);

            if (parameters[k].decay)
                t->p[i] *= 1 - lr * s->decay;
            t->m[i] += (g - t->m[i]) * (1 - s->beta1);
            t->v[i] = t->v[i] * s->beta2 + g * g * (1 - s->beta2);
            t->p[i] -= lr / bias1 * t->m[i] / (sqrt(t->v[i]) / sqrt(bias2) + s->epsilon);
        }
}

static double far(const float *got, const double *want)
{
    double most = 0;

    for (size_t i = 0; i < COUNT; i++) {
        double d = fabs(got[i] - want[i]) / (1 + fabs(want[i]));

        if (!(d <= most))
            most = d;
    }
    return most;
}

static void check_against_twin(const char *text, double clip, float scale)
{
    static struct twin twin;
    struct ft_optimizer_settings s;
    struct ft_optimizer *o;
    double norm, worst_norm = 0;
    bool good = true, zero = true;

    ok(ft_optimizer_parse(&s, text) == 0 && (o = ft_optimizer_open(&model, &s)), "%s, clip %g", text, clip);
    start(&twin);
    for (int step = 1; step <= 8; step++) {
        double want;

        fill(step, scale);
        want = norm_of_gradient();
        twin_step(&twin, &s, step, 1e-2, clip);
        good &= ft_optimizer_step(o, gradient, &packed, (uint64_t)step, 1e-2, clip, &norm) == 0;
        worst_norm = fmax(worst_norm, fabs(norm - want) / want);
        for (size_t i = 0; i < COUNT; i++)
            zero &= gradient[i] == 0;
    }
    ok(good, "eight steps");
    ok(far(block, twin.p) < 5e-6, "parameters are those of torch's formula in double (%.2g)", far(block, twin.p));
    ok(far(ft_optimizer_first(o), twin.m) < 1e-6 && far(ft_optimizer_second(o), twin.v) < 1e-5, "and both moments");
    ok(worst_norm < 1e-6, "the norm is the whole gradient's, before clipping");
    ok(zero, "gradients are zero again");
    ft_optimizer_close(o);
}

static void check_frozen_and_untouched(void)
{
    static struct twin twin;
    static float before[COUNT];
    struct ft_optimizer_settings s;
    struct ft_optimizer *o;
    double norm;
    bool same = true, moved = true;

    ft_optimizer_parse(&s, "adamw");
    o = ft_optimizer_open(&model, &s);
    start(&twin);
    memcpy(before, block, sizeof before);
    for (int step = 1; step <= 2; step++) {
        fill(step, 1);
        ft_optimizer_step(o, gradient, &packed, (uint64_t)step, 1e-2, 1, &norm);
    }
    for (size_t i = 20 * COLUMNS; i < ROWS * COLUMNS; i++)
        same &= block[i] == before[i] && ft_optimizer_first(o)[i] == 0;
    for (size_t i = ROWS * COLUMNS + LARGE + SMALL; i < COUNT; i++)
        same &= block[i] == before[i];
    for (size_t i = ROWS * COLUMNS; i < ROWS * COLUMNS + LARGE + SMALL; i++)
        moved &= block[i] != before[i];
    ok(same, "without decay, rows that no batch has touched keep their bits, and so do frozen parameters and the gaps between");
    ok(moved, "everything else has moved");
    ft_optimizer_close(o);
}

static void check_not_finite(void)
{
    static struct twin twin;
    static float before[COUNT];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const size_t places[] = {3, ROWS * COLUMNS + 20000, ROWS * COLUMNS + LARGE + SMALL - 1};
    struct ft_optimizer_settings s;
    struct ft_optimizer *o;
    double norm;
    bool refused = true, same = true;

    ft_optimizer_parse(&s, "adamw:decay=.1");
    o = ft_optimizer_open(&model, &s);
    start(&twin);
    memcpy(before, block, sizeof before);
    for (int i = 0; i < 9; i++) {
        fill(1, 1);
        ids[0] = 0;     /* the row of the first place */
        gradient[places[i / 3]] = bad[i % 3];
        refused &= ft_optimizer_step(o, gradient, &packed, 1, 1e-2, 1, &norm) < 0 && ft_error_status() == FT_BAD;
        for (size_t k = 0; k < COUNT; k++)
            same &= block[k] == before[k] && ft_optimizer_first(o)[k] == 0 && ft_optimizer_second(o)[k] == 0;
    }
    ok(refused, "gradients that are not finite are refused, wherever they are");
    ok(same, "and change nothing");
    ft_optimizer_close(o);
}

/* After a checkpoint: a second optimizer given the first one's moments goes on as that one does. */
static void check_loaded(void)
{
    static struct twin twin;
    static float kept[COUNT], other[COUNT];
    struct ft_optimizer_settings s;
    struct ft_optimizer *a, *b;
    double norm;

    ft_optimizer_parse(&s, "adamw:decay=.05");
    a = ft_optimizer_open(&model, &s);
    b = ft_optimizer_open(&model, &s);
    start(&twin);
    for (int step = 1; step <= 3; step++) {
        fill(step, 1);
        ft_optimizer_step(a, gradient, &packed, (uint64_t)step, 1e-2, 1, &norm);
    }
    memcpy(kept, block, sizeof kept);
    memcpy(ft_optimizer_first(b), ft_optimizer_first(a), sizeof block);
    memcpy(ft_optimizer_second(b), ft_optimizer_second(a), sizeof block);
    ft_optimizer_loaded(b);
    for (int step = 4; step <= 6; step++) {
        fill(step, 1);
        ft_optimizer_step(a, gradient, &packed, (uint64_t)step, 1e-2, 1, &norm);
    }
    memcpy(other, block, sizeof other);
    memcpy(block, kept, sizeof kept);
    for (int step = 4; step <= 6; step++) {
        fill(step, 1);
        ft_optimizer_step(b, gradient, &packed, (uint64_t)step, 1e-2, 1, &norm);
    }
    ok(memcmp(block, other, sizeof block) == 0, "moments carried over: the same bits from there on");
    ft_optimizer_close(a);
    ft_optimizer_close(b);
}

/* What a process with so many threads gets; the pool's number is set once a process. */
static uint32_t checksum_with(long threads)
{
    static struct twin twin;
    struct ft_optimizer_settings s;
    struct ft_optimizer *o;
    uint32_t sum = 0;
    double norm;
    int ends[2];
    pid_t child;

    fflush(stdout);
    if (pipe(ends) < 0 || (child = fork()) < 0)
        return 0;
    if (child == 0) {
        ft_pool_set_threads(threads);
        ft_optimizer_parse(&s, "adamw:decay=.05");
        o = ft_optimizer_open(&model, &s);
        start(&twin);
        for (int step = 1; step <= 5; step++) {
            fill(step, 1);
            ft_optimizer_step(o, gradient, &packed, (uint64_t)step, 1e-2, .5, &norm);
            sum = ft_crc32c(sum, &norm, sizeof norm);
        }
        sum = ft_crc32c(sum, block, sizeof block);
        _exit(write(ends[1], &sum, sizeof sum) == sizeof sum ? 0 : 1);
    }
    if (read(ends[0], &sum, sizeof sum) != sizeof sum)
        sum = 0;
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    return sum;
}

static void refused(const char *text, const char *message)
{
    struct ft_optimizer_settings s;

    ok(ft_optimizer_parse(&s, text) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), message), "refused: %s", text);
}

static void check_parse(void)
{
    struct ft_optimizer_settings s;

    ok(ft_optimizer_parse(&s, "adamw") == 0 && s.beta1 == .9 && s.beta2 == .999 && s.epsilon == 1e-8 && s.decay == 0, "defaults");
    ok(ft_optimizer_parse(&s, "adamw:beta1=0,beta2=.5,eps=1,decay=2") == 0 && s.beta1 == 0 && s.beta2 == .5 && s.epsilon == 1 && s.decay == 2,
       "all settings");
    refused("sgd", "unknown optimizer 'sgd': known are adamw");
    refused("adamw:lr=1", "adamw has no key 'lr'");
    refused("adamw:beta1=1", "expected 0 <= beta1");
    refused("adamw:beta2=-1", "expected 0 <= beta1");
    refused("adamw:eps=0", "eps > 0");
    refused("adamw:decay=nan", "decay >= 0");
    refused("adamw:decay=x", "'x' is not a number");
}

int main(void)
{
    uint32_t one = checksum_with(1);

    ok(one && checksum_with(2) == one && checksum_with(3) == one && checksum_with(8) == one, "1, 2, 3 and 8 threads: the same bits");
    check_parse();
    check_against_twin("adamw", 0, 1);
    check_against_twin("adamw", 1, 1);
    check_against_twin("adamw:decay=.1", 1, 1);
    check_against_twin("adamw:beta1=.5,beta2=.9,eps=1e-3,decay=.01", 1e6, 1e-3f);
    check_frozen_and_untouched();
    check_not_finite();
    check_loaded();
    return done();
}
