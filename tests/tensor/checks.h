/* checks.h - what every table of kernels is put through: nearness to plain C and to PyTorch, and the promises of kernels.h. */
#ifndef FT_TESTS_CHECKS_H
#define FT_TESTS_CHECKS_H

#include "ops.h"
#include "../tap.h"

static const struct shape shapes[] = {
    {1, {1}, 1, 1, 1},
    {1, {1}, 16, 1, 3},
    {2, {1, 2}, 7, 1, 5},
    {3, {3, 1, 5}, 24, 3, 17},
    {4, {11, 7, 16, 13}, 64, 2, 40},
    {3, {33, 8, 24}, 100, 4, 31},
    {2, {64, 65}, 96, 3, 10},
    {1, {70}, 48, 2, 129},
    {2, {130, 2}, 128, 2, 20},
    {8, {2, 3, 4, 9, 10, 12, 14, 15}, 384, 12, 64},
    {5, {17, 31, 32, 47, 48}, 33, 1, 15},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void fill(float *x, size_t count, uint64_t stream, double spread)
{
    struct ft_random random = ft_random_start(42, stream);

    for (size_t i = 0; i < count; i++)
        x[i] = (float)(ft_random_normal(&random) * spread);
}

struct inputs {
    float *in[INPUTS_MAX], *dy;
};

static void inputs_open(struct inputs *inputs, const struct op *op, const struct problem *p)
{
    size_t size[INPUTS_MAX], output;

    *inputs = (struct inputs){0};
    op->sizes(p, size, &output);
    for (int i = 0; i < op->inputs; i++) {
        inputs->in[i] = floats(size[i]);
        fill(inputs->in[i], size[i], (uint64_t)i, 1.3);
    }
    inputs->dy = floats(output);
    fill(inputs->dy, output, 99, 1);
}

static void inputs_close(struct inputs *inputs)
{
    for (int i = 0; i < INPUTS_MAX; i++)
        free(inputs->in[i]);
    free(inputs->dy);
}

/* kernels.h: gradients of parameters are added, everything else is written. */
static bool is_added(const struct op *op, int input)
{
    bool weights = op->entry == ENTRY(linear_forward) || op->entry == ENTRY(layer_norm_forward) ||
                   op->entry == ENTRY(rms_norm_forward) || op->entry == ENTRY(gem_forward);

    if (op->entry == ENTRY(attention_forward) || op->entry == ENTRY(windows_gather) || op->entry == ENTRY(depthwise_forward))
        return input > 0;
    return op->entry == ENTRY(embedding_forward) || (weights && input > 0);
}

/* What is written must not depend on what was there. */
static void run(struct result *result, const struct op *op, struct problem *p, const struct inputs *inputs)
{
    result_open(result, op, p);
    for (size_t i = 0; i < result->output; i++)
        result->y[i] = NAN;
    for (int i = 0; i < op->inputs; i++)
        for (size_t j = 0; j < result->size[i] && !is_added(op, i); j++)
            result->d[i][j] = NAN;
    op->forward(op, p, result->y, inputs->in);
    op->backward(op, p, result->d, inputs->dy, inputs->in, result->y);
}

/* The largest difference, relative to the largest number wanted; infinite when a NaN is on one side only. */
static double distance(const float *got, const float *want, size_t count)
{
    double worst = 0, largest = 1e-30;

    for (size_t i = 0; i < count; i++) {
        if (isnan(got[i]) != isnan(want[i]))
            return INFINITY;
        if (fabs((double)got[i] - want[i]) > worst)
            worst = fabs((double)got[i] - want[i]);
        if (fabs(want[i]) > largest)
            largest = fabs(want[i]);
    }
    return worst / largest;
}

static double result_distance(const struct result *got, const struct result *want, const struct op *op)
{
    double worst = distance(got->y, want->y, want->output);

    for (int i = 0; i < op->inputs; i++)
        worst = fmax(worst, distance(got->d[i], want->d[i], want->size[i]));
    return worst;
}

/* A gradient is a function of what the forward kept, so slices and in-place work must give the same bits, not just close ones. */
static bool same_bits(const struct result *a, const struct result *b, const struct op *op)
{
    bool same = memcmp(a->y, b->y, a->output * sizeof *a->y) == 0;

    for (int i = 0; i < op->inputs; i++)
        same &= memcmp(a->d[i], b->d[i], a->size[i] * sizeof *a->y) == 0;
    return same;
}

/* What a table's products may err by is the table's own word; sums of few terms may cancel, and then it shows against the largest result. */
static double allowed(const struct op *op, const struct ft_kernels *k, double tolerance)
{
    bool products = op->entry == ENTRY(linear_forward) || op->entry == ENTRY(windows_gather);

    return products ? fmax(tolerance, 4 * fmax(k->rounding, k->gradient_rounding)) : tolerance;
}

static void test_against_plain(const struct op *op, const struct ft_kernels *k, const struct ft_kernels *plain)
{
    double worst = 0;

    for (int s = 0; s < SHAPES; s++) {
        struct problem p;
        struct inputs inputs;
        struct result want, got;

        problem_open(&p, &shapes[s], plain, op->rate);
        inputs_open(&inputs, op, &p);
        run(&want, op, &p, &inputs);
        p.k = k;
        run(&got, op, &p, &inputs);
        worst = fmax(worst, result_distance(&got, &want, op));
        result_close(&want);
        result_close(&got);
        inputs_close(&inputs);
        problem_close(&p);
    }
    if (!ok(worst <= allowed(op, k, op->tolerance), "%s: %s is plain's", k->name, op->name) || getenv("FT_TEST_VERBOSE") != NULL)
        printf("# %s %s: %.3g, tolerance %.3g\n", k->name, op->name, worst, allowed(op, k, op->tolerance));
}

/* Sequence s alone: the same rows of every input that has rows, and of the result. */
static bool alone_is_same(const struct op *op, const struct problem *p, const struct inputs *inputs, const struct result *all, size_t s)
{
    struct problem one;
    struct inputs mine = *inputs;
    struct result got;
    size_t L = p->shape.length[s], row = p->R == 0 ? 0 : all->size[0] / p->R, y_row = all->output / p->R;
    bool pooled = all->output == p->rows.sequences * p->shape.W && all->output != all->size[0], same;
    bool table = op->entry == ENTRY(embedding_forward);

    problem_open(&one, &p->shape, p->k, op->rate);
    one.rows.sequences = 1;
    one.shape.length[0] = L;
    one.rows.number = p->number + s;
    one.offset[1] = (uint32_t)L;
    one.R = L;
    memcpy(one.id, p->id + p->offset[s], L * sizeof *one.id);
    if (!table)
        mine.in[0] = inputs->in[0] + p->offset[s] * row;
    if (op->inputs == 2 && !is_added(op, 1))
        mine.in[1] = inputs->in[1] + p->offset[s] * row;
    mine.dy = inputs->dy + (pooled ? s * p->shape.W : p->offset[s] * y_row);
    run(&got, op, &one, &mine);
    same = memcmp(got.y, all->y + (pooled ? s * p->shape.W : p->offset[s] * y_row), got.output * sizeof *got.y) == 0;
    if (!table)
        same &= memcmp(got.d[0], all->d[0] + p->offset[s] * row, got.size[0] * sizeof *got.y) == 0;
    result_close(&got);
    problem_close(&one);
    return same;
}

/* The backward a second time: what is written stays, what is added doubles. */
static bool adds_up(const struct op *op, struct problem *p, const struct inputs *inputs, const struct result *once)
{
    struct result twice;
    bool right = true;

    run(&twice, op, p, inputs);
    op->backward(op, p, twice.d, inputs->dy, inputs->in, twice.y);
    for (int i = 0; i < op->inputs; i++) {
        for (size_t j = 0; j < twice.size[i] && is_added(op, i); j++)
            twice.d[i][j] /= 2;
        right &= distance(twice.d[i], once->d[i], twice.size[i]) <= 1e-6;
    }
    result_close(&twice);
    return right;
}

static void test_conventions(const struct op *op, const struct ft_kernels *k)
{
    bool alone = true, in_place = true, slices = true, adds = true;

    for (int i = 0; i < SHAPES; i++) {
        struct problem p;
        struct inputs inputs;
        struct result all, other;

        problem_open(&p, &shapes[i], k, op->rate);
        inputs_open(&inputs, op, &p);
        run(&all, op, &p, &inputs);
        for (size_t s = 0; op->by_row && s < p.rows.sequences; s++)
            alone &= alone_is_same(op, &p, &inputs, &all, s);
        adds &= adds_up(op, &p, &inputs, &all);
        p.cut = 5;
        run(&other, op, &p, &inputs);
        slices &= op->by_row ? same_bits(&other, &all, op) : result_distance(&other, &all, op) <= allowed(op, k, op->tolerance);
        if (op->in_place) {
            memcpy(other.y, inputs.in[0], other.output * sizeof *other.y);
            op->forward(op, &p, other.y, (float *[]){other.y, inputs.in[1], inputs.in[2]});
            in_place &= memcmp(other.y, all.y, all.output * sizeof *all.y) == 0;
        }
        result_close(&all);
        result_close(&other);
        inputs_close(&inputs);
        problem_close(&p);
    }
    ok(alone && in_place && slices && adds, "%s: %s: same bits alone (%d), in place (%d), in slices (%d); = and += (%d)",
       k->name, op->name, alone, in_place, slices, adds);
}

static bool has_nan(const float *x, size_t count)
{
    size_t nans = 0;

    for (size_t i = 0; i < count; i++)
        nans += isnan(x[i]);
    return nans > 0;
}

/* One NaN in the middle of the first input shows in the output, and one in the gradient of the output in that of the first input. */
static void test_nan(const struct op *op, const struct ft_kernels *k)
{
    bool seen = true, seen_back = true;

    for (int s = 0; s < SHAPES; s++) {
        struct problem p;
        struct inputs inputs;
        struct result result;
        size_t size[INPUTS_MAX], output, at;

        problem_open(&p, &shapes[s], k, 0);
        inputs_open(&inputs, op, &p);
        op->sizes(&p, size, &output);
        at = op->entry == ENTRY(embedding_forward) ? (size_t)p.id[0] * p.shape.W : size[0] / 2;
        if (op->entry == ENTRY(pool_forward) && op->setting == FT_POOL_CLS)
            at = 0;
        if (op->entry == ENTRY(pool_forward) && op->setting == FT_POOL_LAST)
            at = size[0] - 1;
        inputs.in[0][at] = NAN;
        run(&result, op, &p, &inputs);
        seen &= has_nan(result.y, output);
        result_close(&result);
        inputs.in[0][at] = 1;
        inputs.dy[output / 2] = NAN;
        run(&result, op, &p, &inputs);
        seen_back &= has_nan(result.d[0], size[0]);
        result_close(&result);
        inputs_close(&inputs);
        problem_close(&p);
    }
    ok(seen && seen_back, "%s: %s: NaN stays visible forward (%d), backward (%d)", k->name, op->name, seen, seen_back);
}

static bool read_floats(FILE *file, float *x, size_t count)
{
    return fread(x, sizeof *x, count, file) == count;
}

static const struct op *op_named(const char *name)
{
    for (int i = 0; i < OPS; i++)
        if (strcmp(ops[i].name, name) == 0)
            return &ops[i];
    return NULL;
}

/* One record, through one table. */
static void test_record(FILE *file, const struct op *op, const int32_t *head, const struct ft_kernels *k)
{
    struct shape shape = {.sequences = (size_t)head[1], .W = (size_t)head[10], .H = (size_t)head[11], .O = (size_t)head[12]};
    struct problem p;
    struct inputs inputs;
    struct result want, got;
    bool whole;

    for (int s = 0; s < SEQUENCES_MAX; s++)
        shape.length[s] = (size_t)head[2 + s];
    problem_open(&p, &shape, k, 0);
    inputs_open(&inputs, op, &p);
    result_open(&want, op, &p);
    whole = fread(p.id, sizeof *p.id, p.R, file) == p.R;
    for (int i = 0; i < op->inputs; i++)
        whole &= read_floats(file, inputs.in[i], want.size[i]);
    whole &= read_floats(file, inputs.dy, want.output) && read_floats(file, want.y, want.output);
    for (int i = 0; i < op->inputs; i++)
        whole &= read_floats(file, want.d[i], want.size[i]);
    if (has_op(k, op)) {
        run(&got, op, &p, &inputs);
        ok(whole && result_distance(&got, &want, op) < allowed(op, k, 1e-6), "%s: %s is PyTorch's (%.1e)", k->name, op->name,
           result_distance(&got, &want, op));
        result_close(&got);
    }
    result_close(&want);
    inputs_close(&inputs);
    problem_close(&p);
}

/* A file of tests/golden/kernels, from the top of the tree. */
static void test_golden(const struct ft_kernels *k, const char *path, int least)
{
    FILE *file = fopen(path, "rb");
    char name[32];
    int32_t head[13];
    int records = 0;

    for (; file != NULL && fread(name, sizeof name, 1, file) == 1 && fread(head, sizeof head, 1, file) == 1; records++) {
        const struct op *op = op_named(name);

        if (op == NULL || head[0] != op->inputs)
            break;
        test_record(file, op, head, k);
    }
    ok(file != NULL && feof(file) && records >= least, "%s: %s holds %d operations or more, all known (%d)", k->name, path, least, records);
    if (file != NULL)
        fclose(file);
}

/* The products alone. */
static __attribute__((unused)) void test_products(const struct ft_kernels *k, const struct ft_kernels *plain)
{
    for (int i = 0; i < OPS; i++)
        if (ops[i].entry == ENTRY(linear_forward)) {
            test_against_plain(&ops[i], k, plain);
            test_conventions(&ops[i], k);
            test_nan(&ops[i], k);
        }
}

/* All of it for one table; what the table has not is skipped, and said. */
static void test_table(const struct ft_kernels *k)
{
    for (int i = 0; i < OPS; i++) {
        if (!has_op(k, &ops[i])) {
            ok(true, "%s: %s # SKIP not written yet", k->name, ops[i].name);
            continue;
        }
        if (strcmp(k->name, "plain") != 0)
            test_against_plain(&ops[i], k, &ft_kernels_plain);
        test_conventions(&ops[i], k);
        test_nan(&ops[i], k);
    }
    test_golden(k, "tests/golden/kernels/kernels.bin", 34);
    test_golden(k, "tests/golden/kernels/maps.bin", 12);
}

#endif
