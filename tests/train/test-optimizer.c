/* test-optimizer.c - every optimizer against torch in float64 (tests/golden/optimizer/make.py), and what all of the table must hold to: rows that
 * no batch has touched, equal to the dense update; stopping and going on; frozen parameters; the same bits for any number of threads.
 * (Five steps of a whole BERT against torch itself: test-training.c.) */
#include "base/error.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/random.h"
#include "train/optimizer.h"
#include "../tap.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOLDEN "tests/golden/optimizer/optimizers.txt"

/* ---- torch -------------------------------------------------------------------------------------------------------------- */

enum { GOLDEN_COUNT = 9 * 6 + 5 * 7 + 7 };

static struct ft_parameter golden_parameters[] = {
    {.name = "table", .rank = 2, .rows = 9, .columns = 6, .offset = 0, .decay = true, .table = true},
    {.name = "matrix", .rank = 2, .rows = 5, .columns = 7, .offset = 54, .decay = true},
    {.name = "bias", .rank = 1, .rows = 1, .columns = 7, .offset = 89},
};

static long word(uint64_t *state)
{
    *state = (*state * 1103515245 + 12345) % ((uint64_t)1 << 31);
    return (long)(*state >> 8) % 2001 - 1000;
}

static void golden_gradient(int step, float *g, struct ft_packed *packed)
{
    uint64_t state = 100 + (uint64_t)step;

    memset(g, 0, GOLDEN_COUNT * sizeof *g);
    for (int k = 0; k < 3; k++) {
        packed->id[k] = (step * (k + 1) + k) % 6;
        for (int c = 0; c < 6; c++)
            g[packed->id[k] * 6 + c] = (float)((double)word(&state) / 1000 * (step % 3 + 1));
    }
    for (int i = 54; i < GOLDEN_COUNT; i++)
        g[i] = (float)((double)word(&state) / 1000 * (step % 3 + 1));
}

/* The largest error as a share of the largest change since `start`. */
static double error_of(FILE *file, const float *got, const float *start)
{
    double worst = 0, change = 0, want;

    for (int i = 0; i < GOLDEN_COUNT; i++) {
        if (fscanf(file, "%lf", &want) != 1)
            return INFINITY;
        worst = fabs(got[i] - want) <= worst ? worst : fabs(got[i] - want);
        change = fmax(change, fabs(want - start[i]));
    }
    return worst / change;
}

static double check_golden_case(FILE *file, const char *setting, double lr, double clip)
{
    static const double rates[] = {1, .5, 1, .75, .25, 1, .5, 1};
    float block[GOLDEN_COUNT], start[GOLDEN_COUNT], g[GOLDEN_COUNT];
    const struct ft_parameters parameters = {golden_parameters, 3, block, GOLDEN_COUNT};
    struct ft_packed packed = {.texts = 1, .id = (int32_t[3]){0}, .offset = (uint32_t[2]){0, 3}};
    struct ft_optimizer_settings s;
    struct ft_optimizer *o;
    uint64_t state = 1;
    double worst = 0;

    for (int i = 0; i < GOLDEN_COUNT; i++)
        start[i] = block[i] = (float)((double)word(&state) / 10000);
    if (ft_optimizer_parse(&s, setting) < 0 || !(o = ft_optimizer_open(&parameters, &s, NULL)))
        return INFINITY;
    for (int step = 1; step <= 8; step++) {
        struct ft_optimizer_how how = {.lr = lr * rates[step - 1]};

        golden_gradient(step, g, &packed);
        ft_optimizer_touch(o, &packed);
        how.scale = ft_clip_scale(sqrt(ft_optimizer_square(o, g)), clip);
        ft_optimizer_step(o, g, &how);
        if (step == 5 || step == 8)
            worst = fmax(worst, error_of(file, block, start));
    }
    ft_optimizer_close(o);
    return worst;
}

/* Single precision rounds a parameter at each of eight steps, by up to 6e-8 of it each; parameters are about as large as what they change by. */
static void check_golden(void)
{
    FILE *file = fopen(GOLDEN, "r");
    char setting[128];
    double lr, clip, worst = 0;
    bool seen[64] = {false}, all = true;

    while (file && fscanf(file, " case %127s %lf %lf", setting, &lr, &clip) == 3) {
        double error = check_golden_case(file, setting, lr, clip);

        ok(error < 1e-6, "torch: %s, lr %g, clip %g (%.2g of the change)", setting, lr, clip, error);
        worst = fmax(worst, error);
        for (size_t i = 0; ft_optimizer_name_at(i); i++)
            seen[i] |= strlen(ft_optimizer_name_at(i)) == strcspn(setting, ":") &&
                       strncmp(setting, ft_optimizer_name_at(i), strcspn(setting, ":")) == 0;
    }
    printf("# worst: %.2g\n", worst);
    for (size_t i = 0; ft_optimizer_name_at(i); i++)
        all &= seen[i];
    ok(file && feof(file) && all, "all of the file, and every optimizer of the table has a case in it");
    if (file)
        fclose(file);
}

/* ---- all optimizers, on more elements ----------------------------------------------------------------------------------- */

enum { ROWS = 500, COLUMNS = 24, LARGE = 40000, SMALL = 7, FROZEN = 100, COUNT = ROWS * COLUMNS + LARGE + SMALL + FROZEN + 5, TOKENS = 60 };

/* A table, a matrix of several blocks, a bias, and what does not train. */
static struct ft_parameter list[] = {
    {.name = "table", .rank = 2, .rows = ROWS, .columns = COLUMNS, .offset = 0, .decay = true, .table = true},
    {.name = "matrix", .rank = 2, .rows = 200, .columns = 200, .offset = ROWS * COLUMNS, .decay = true},
    {.name = "bias", .rank = 1, .rows = 1, .columns = SMALL, .offset = ROWS * COLUMNS + LARGE},
    {.name = "frozen", .rank = 1, .rows = 1, .columns = FROZEN, .offset = ROWS * COLUMNS + LARGE + SMALL, .decay = true, .frozen = true},
};
static float block[COUNT], gradient[COUNT];
static const struct ft_parameters parameters = {list, 4, block, COUNT};

static int32_t ids[TOKENS];
static uint32_t offsets[2] = {0, TOKENS};
static const struct ft_packed packed = {.texts = 1, .id = ids, .offset = offsets};

static const char *const settings[] = {
    "adamw", "adamw:decay=.05", "adamw:decay=.05,amsgrad=1,beta2=.5", "adam", "adam:decay=.05", "sgd", "sgd:decay=.1", "sgd:momentum=.9,dampening=.5",
    "sgd:momentum=.9,nesterov=1,decay=.1", "adagrad", "adagrad:initial=.1", "adagrad:initial=.1,decay=.1", "rmsprop", "rmsprop:centered=1,momentum=.9",
    "rmsprop:decay=.1", "adamax", "adamax:decay=.1", "nadam", "nadam:decay=.1", "nadam:decay=.1,decoupled=1", "radam:beta2=.9",
    "radam:decay=.1", "adafactor", "adafactor:decay=.1", "lamb", "lamb:decay=.1", "adadelta", "adadelta:decay=.1", "asgd", "asgd:decay=.1",
    "asgd:lambd=0", "rprop", NULL};

static void start(void)
{
    struct ft_random random = ft_random_start(11, 0);

    for (size_t i = 0; i < COUNT; i++)
        block[i] = (float)ft_random_normal(&random);
}

/* Gradients of a step: dense, but for the table only in the rows of its tokens. */
static void fill(int step)
{
    struct ft_random random = ft_random_start(12, (uint64_t)step);

    memset(gradient, 0, sizeof gradient);
    for (int t = 0; t < TOKENS; t++)
        ids[t] = (int32_t)ft_random_below(&random, step < 3 ? 20 : ROWS / 2);
    for (int t = 0; t < TOKENS; t++)
        for (int c = 0; c < COLUMNS; c++)
            gradient[ids[t] * COLUMNS + c] += (float)ft_random_normal(&random);
    for (size_t i = ROWS * COLUMNS; i < ROWS * COLUMNS + LARGE + SMALL; i++)
        gradient[i] = (float)ft_random_normal(&random);
}

static struct ft_optimizer *open_as(const char *setting)
{
    struct ft_optimizer_settings s;

    return ft_optimizer_parse(&s, setting) < 0 ? NULL : ft_optimizer_open(&parameters, &s, NULL);
}

/* Steps first..last with clipping; the norm of the last one. */
static double take(struct ft_optimizer *o, int first, int last)
{
    double norm = 0;

    for (int step = first; step <= last; step++) {
        struct ft_optimizer_how how = {.lr = 1e-2 / step};

        fill(step);
        ft_optimizer_touch(o, &packed);
        norm = sqrt(ft_optimizer_square(o, gradient));
        how.scale = ft_clip_scale(norm, 50);
        ft_optimizer_step(o, gradient, &how);
    }
    return norm;
}

/* Rows that no batch touched among them. Kinds that take norms over a parameter sum these in another order, and agree to rounding. */
static void check_dense(const char *setting)
{
    static float lazy[COUNT];
    struct ft_optimizer *o = open_as(setting);
    double worst = 0;

    start();
    take(o, 1, 6);
    memcpy(lazy, block, sizeof lazy);
    ft_optimizer_close(o);
    list[0].table = false;
    o = open_as(setting);
    start();
    take(o, 1, 6);
    ft_optimizer_close(o);
    list[0].table = true;
    for (size_t i = 0; i < COUNT; i++)
        worst = fmax(worst, fabs((double)lazy[i] - block[i]) / (1 + fabs(block[i])));
    if (strncmp(setting, "lamb", 4) == 0 || strncmp(setting, "adafactor", 9) == 0)
        ok(worst < 2e-7, "%s: rows by need agree with the dense update (%.2g)", setting, worst);
    else
        ok(memcmp(lazy, block, sizeof lazy) == 0, "%s: rows by need are the dense update, to the bit (%.2g)", setting, worst);
}

/* A second optimizer with what a checkpoint has of the first goes on as that one does. */
static void check_loaded(const char *setting)
{
    static float kept[COUNT], other[COUNT];
    struct ft_optimizer *a = open_as(setting), *b = open_as(setting);
    float *memory;
    size_t count;

    start();
    take(a, 1, 3);
    memcpy(kept, block, sizeof kept);
    for (int i = 0; i < ft_optimizer_blocks(a); i++)
        memcpy(ft_optimizer_block(b, i), ft_optimizer_block(a, i), sizeof block);
    memory = ft_optimizer_memory(b, &count);
    memcpy(memory, ft_optimizer_memory(a, &count), count * sizeof(float));
    ft_optimizer_loaded(b);
    take(a, 4, 6);
    memcpy(other, block, sizeof other);
    memcpy(block, kept, sizeof kept);
    take(b, 4, 6);
    ok(memcmp(block, other, sizeof block) == 0 && ft_optimizer_steps(b) == 6, "%s: its state carried over, the same bits from there on", setting);
    ft_optimizer_close(a);
    ft_optimizer_close(b);
}

static void check_frozen_and_untouched(const char *setting)
{
    static float before[COUNT];
    struct ft_optimizer *o = open_as(setting);
    bool decays = strstr(setting, "decay") || strcmp(setting, "asgd") == 0, still = true, frozen = true, zero = true;
    size_t moving = 0, moved = 0;

    start();
    memcpy(before, block, sizeof before);
    take(o, 1, 2);
    for (size_t i = 20 * COLUMNS; i < ROWS * COLUMNS; i++) {
        still &= block[i] == before[i];
        for (int b = 0; b < ft_optimizer_blocks(o); b++)
            still &= ft_optimizer_block(o, b)[i] == 0;
        moving += block[i] != before[i];
    }
    for (size_t i = ROWS * COLUMNS + LARGE + SMALL; i < COUNT; i++)
        frozen &= block[i] == before[i];
    for (size_t i = ROWS * COLUMNS; i < ROWS * COLUMNS + LARGE + SMALL; i++)
        moved += block[i] != before[i];
    for (size_t i = 0; i < COUNT; i++)
        zero &= gradient[i] == 0;
    ok(decays ? moving > 0 : still, "%s: rows that no batch has touched %s", setting, decays ? "decay" : "keep their bits, and have no state");
    /* A step may be too small for a large parameter. */
    ok(frozen && moved > (LARGE + SMALL) * .99 && zero, "%s: frozen parameters and gaps stay, all else moves, gradients are zero again", setting);
    ft_optimizer_close(o);
}

/* What a process with so many threads gets; the pool's number is set once a process. */
static uint32_t checksum_with(long threads)
{
    uint32_t sum = 0;
    int ends[2];
    pid_t child;

    fflush(stdout);
    if (pipe(ends) < 0 || (child = fork()) < 0)
        return 0;
    if (child == 0) {
        ft_pool_set_threads(threads);
        for (int i = 0; settings[i]; i++) {
            struct ft_optimizer *o = open_as(settings[i]);
            double norm;

            start();
            norm = take(o, 1, 4);
            sum = ft_crc32c(ft_crc32c(sum, &norm, sizeof norm), block, sizeof block);
            ft_optimizer_close(o);
        }
        _exit(write(ends[1], &sum, sizeof sum) == sizeof sum ? 0 : 1);
    }
    if (read(ends[0], &sum, sizeof sum) != sizeof sum)
        sum = 0;
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    return sum;
}

static void check_not_finite(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const size_t places[] = {3, ROWS * COLUMNS + 20000, ROWS * COLUMNS + LARGE + SMALL - 1};
    struct ft_optimizer *o = open_as("adamw");
    double square = 0;
    bool refused = true;

    for (int i = 0; i < 9; i++) {
        fill(1);
        ids[0] = 0;     /* the row of the first place */
        gradient[places[i / 3]] = bad[i % 3];
        ft_optimizer_touch(o, &packed);
        refused &= !isfinite(ft_optimizer_square(o, gradient));
    }
    ok(refused, "gradients that are not finite are seen, wherever they are");
    fill(1);
    for (size_t i = 0; i < COUNT; i++)
        square += (double)gradient[i] * gradient[i];
    ft_optimizer_touch(o, &packed);
    is_close(ft_optimizer_square(o, gradient) / square, 1, 1e-12, "the square is the whole gradient's");
    ft_optimizer_close(o);
}

/* Rates and decays of each parameter; several batches that touch rows. */
static void check_each(void)
{
    static float before[COUNT], g[COUNT];
    const double rates[] = {.1, .01, 0, 1}, decays[] = {0, .5, 0, 0};
    const struct ft_optimizer_how how = {.lr = 9, .each = rates, .scale = .5};
    struct ft_optimizer_settings s;
    struct ft_optimizer *o;
    double worst = 0;

    ft_optimizer_parse(&s, "sgd:decay=7");
    o = ft_optimizer_open(&parameters, &s, decays);
    start();
    memcpy(before, block, sizeof before);
    fill(5);
    ft_optimizer_touch(o, &packed);
    memcpy(g, gradient, sizeof g);
    fill(6);
    ft_optimizer_touch(o, &packed);
    for (size_t i = 0; i < COUNT; i++)
        g[i] = gradient[i] += g[i];
    ft_optimizer_step(o, gradient, &how);
    for (int k = 0; k < 3; k++)
        for (size_t i = list[k].offset; i < list[k].offset + list[k].rows * list[k].columns; i++)
            worst = fmax(worst, fabs(block[i] - (before[i] - rates[k] * (.5 * g[i] + decays[k] * before[i]))));
    ok(worst < 1e-6, "each parameter by its own rate and decay, the rows of two batches (%.2g)", worst);
    ft_optimizer_close(o);
}

static void refused(const char *text, const char *message)
{
    struct ft_optimizer_settings s;

    ok(ft_optimizer_parse(&s, text) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), message), "refused: %s (%s)", text, ft_error());
}

static void check_blocks(const char *setting, int want)
{
    struct ft_optimizer *o = open_as(setting);

    ok(o && ft_optimizer_blocks(o) == want, "%s remembers %d numbers an element", setting, want);
    ft_optimizer_close(o);
}

static void check_parse(void)
{
    struct ft_optimizer_settings s;

    ok(ft_optimizer_parse(&s, "adamw") == 0 && s.value[0] == .9 && s.value[1] == .999 && s.value[2] == 1e-8 && s.value[3] == 0, "defaults");
    ok(ft_optimizer_parse(&s, "adamw:beta1=0,beta2=.5,eps=1,decay=2") == 0 && s.value[0] == 0 && s.value[1] == .5 && s.value[2] == 1 &&
       s.value[3] == 2, "all settings");
    ok(ft_optimizer_decays(&s) && ft_optimizer_parse(&s, "rprop") == 0 && !ft_optimizer_decays(&s), "rprop has no weight decay");
    refused("sgdx", "unknown optimizer 'sgdx': known are adamw adam sgd");
    refused("adamw:lr=1", "adamw has no key 'lr'");
    refused("adamw:beta1=1", "expected 0 to 1");
    refused("adamw:beta2=-1", "expected 0 to 1");
    refused("adamw:eps=0", "adamw: eps=0");
    refused("adamw:decay=nan", "adamw: decay=nan");
    refused("adamw:decay=x", "'x' is not a number");
    refused("sgd:nesterov=1", "needs a momentum");
    refused("sgd:nesterov=1,momentum=.9,dampening=.1", "no dampening");
    refused("sgd:nesterov=yes", "expected one of 0 1");
    refused("rprop:step-min=2,step-max=1", "is more than");
    refused("rprop:decay=.1", "rprop has no key 'decay'");
    check_blocks("sgd", 0);
    check_blocks("sgd:momentum=.9", 1);
    check_blocks("adagrad", 1);
    check_blocks("adamw", 2);
    check_blocks("adam:amsgrad=1", 3);
    check_blocks("rmsprop", 1);
    check_blocks("rmsprop:momentum=.9,centered=1", 3);
    check_blocks("adafactor", 0);
    is_close(ft_clip_scale(4, 2), 2 / (4 + 1e-6), 0, "clipping: what is left of a norm of 4 at 2");
    is_close(ft_clip_scale(4, 0), 1, 0, "0 clips nothing");
    is_close(ft_clip_scale(1, 2), 1, 0, "nor does more than the norm");
}

int main(void)
{
    uint32_t one = checksum_with(1);

    ok(one && checksum_with(2) == one && checksum_with(3) == one && checksum_with(8) == one, "1, 2, 3 and 8 threads: the same bits, all optimizers");
    check_golden();
    check_parse();
    check_not_finite();
    check_each();
    for (int i = 0; settings[i]; i++) {
        check_dense(settings[i]);
        check_loaded(settings[i]);
        check_frozen_and_untouched(settings[i]);
    }
    return done();
}
