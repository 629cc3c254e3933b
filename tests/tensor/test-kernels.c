/* test-kernels.c - each operation, in each table this CPU runs: against plain C, plain C against central differences, and all against
 * numbers PyTorch computed (tests/golden/kernels/make.py). Then what the conventions of kernels.h promise: bits that depend on a row alone,
 * work in place, slices, masks by definition, NaN in NaN out. */
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

static const char *const tables[] = {"baseline", "avx2", "avx512"};
enum { TABLES = sizeof tables / sizeof *tables };

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

static void run(struct result *result, const struct op *op, struct problem *p, const struct inputs *inputs)
{
    result_open(result, op, p);
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

static void test_against_plain(const struct op *op, const struct ft_kernels *k)
{
    double worst = 0;

    for (int s = 0; s < SHAPES; s++) {
        struct problem p;
        struct inputs inputs;
        struct result want, got;

        problem_open(&p, &shapes[s], &ft_kernels_plain, op->rate);
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
    if (!ok(worst <= op->tolerance, "%s: %s is plain's", k->name, op->name) || getenv("FT_TEST_VERBOSE") != NULL)
        printf("# %s %s: %.3g, tolerance %.3g\n", k->name, op->name, worst, op->tolerance);
}

/* Sequence s alone: the same rows of every input that has rows, and of the result. */
static bool alone_is_same(const struct op *op, const struct problem *p, const struct inputs *inputs, const struct result *all, size_t s)
{
    struct problem one;
    struct inputs mine = *inputs;
    struct result got;
    size_t L = p->shape.length[s], row = p->R == 0 ? 0 : all->size[0] / p->R, y_row = all->output / p->R;
    bool pooled = all->output == p->rows.sequences * p->shape.W && all->output != all->size[0], same;
    bool table = strcmp(op->name, "embedding") == 0;

    problem_open(&one, &p->shape, p->k, op->rate);
    one.rows.sequences = 1;
    one.shape.length[0] = L;
    one.rows.number = p->number + s;
    one.offset[1] = (uint32_t)L;
    one.R = L;
    memcpy(one.id, p->id + p->offset[s], L * sizeof *one.id);
    if (!table)
        mine.in[0] = inputs->in[0] + p->offset[s] * row;
    if (op->inputs == 2)
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

static void test_conventions(const struct op *op, const struct ft_kernels *k)
{
    bool alone = true, in_place = true, slices = true;

    for (int i = 0; i < SHAPES; i++) {
        struct problem p;
        struct inputs inputs;
        struct result all, other;

        problem_open(&p, &shapes[i], k, op->rate);
        inputs_open(&inputs, op, &p);
        run(&all, op, &p, &inputs);
        for (size_t s = 0; op->by_row && s < p.rows.sequences; s++)
            alone &= alone_is_same(op, &p, &inputs, &all, s);
        p.cut = 5;
        run(&other, op, &p, &inputs);
        slices &= op->by_row ? same_bits(&other, &all, op) : result_distance(&other, &all, op) <= op->tolerance;
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
    ok(alone && in_place && slices, "%s: %s: same bits alone (%d), in place (%d), in slices (%d)", k->name, op->name,
       alone, in_place, slices);
}

static double weighted(const struct op *op, struct problem *p, const struct inputs *inputs, float *y, size_t output)
{
    double sum = 0;

    op->forward(op, p, y, inputs->in);
    for (size_t i = 0; i < output; i++)
        sum += (double)y[i] * inputs->dy[i];
    return sum;
}

/* d(sum y dy) / d(in) by central differences at up to 12 places of each input. Outputs are floats: they round by 6e-8 of some 1, so a step of
 * 2^-7 leaves 1e-5 times the root of how many there are, and the third derivative h^2 / 6 = 1e-5; both well below 1e-3 of the largest. */
static void test_differences(const struct op *op)
{
    const struct shape *shape = &shapes[3];
    struct problem p;
    struct inputs inputs;
    struct result result;
    float h = 0x1p-7f, *y;
    double worst = 0;

    problem_open(&p, shape, &ft_kernels_plain, op->rate);
    inputs_open(&inputs, op, &p);
    run(&result, op, &p, &inputs);
    y = floats(result.output);
    for (int i = 0; i < op->inputs; i++) {
        double largest = 0, here = 0;

        for (size_t j = 0; j < result.size[i]; j++)
            largest = fmax(largest, fabs(result.d[i][j]));
        for (size_t n = 0, j = 0; n < 12 && j < result.size[i]; n++, j += result.size[i] / 12 + 1) {
            float x = inputs.in[i][j];
            double above, below;

            inputs.in[i][j] = x + h;
            above = weighted(op, &p, &inputs, y, result.output);
            inputs.in[i][j] = x - h;
            below = weighted(op, &p, &inputs, y, result.output);
            here = fmax(here, fabs((above - below) / (2 * h) - result.d[i][j]));
            inputs.in[i][j] = x;
        }
        worst = fmax(worst, here / largest);
    }
    if (!ok(worst < 1e-3, "plain: %s's gradients by central differences", op->name) || getenv("FT_TEST_VERBOSE") != NULL)
        printf("# %s: %.3g of the largest\n", op->name, worst);
    free(y);
    result_close(&result);
    inputs_close(&inputs);
    problem_close(&p);
}

/* One NaN in the middle of the first input must show in the row it is in. */
static void test_nan(const struct op *op, const struct ft_kernels *k)
{
    bool seen = true;

    for (int s = 0; s < SHAPES; s++) {
        struct problem p;
        struct inputs inputs;
        struct result result;
        size_t size[INPUTS_MAX], output, count = 0;

        problem_open(&p, &shapes[s], k, 0);
        inputs_open(&inputs, op, &p);
        op->sizes(&p, size, &output);
        inputs.in[0][strcmp(op->name, "embedding") == 0 ? (size_t)p.id[0] * p.shape.W : op->setting == FT_POOL_CLS ? 0 : size[0] / 2] = NAN;
        run(&result, op, &p, &inputs);
        for (size_t i = 0; i < output; i++)
            count += isnan(result.y[i]);
        seen &= count > 0;
        result_close(&result);
        inputs_close(&inputs);
        problem_close(&p);
    }
    ok(seen, "%s: %s: NaN stays visible", k->name, op->name);
}

/* Dropout of ones against the definition, word by word, and how many are kept. */
static void test_mask(const struct ft_kernels *k)
{
    enum { L = 300, W = 392 };
    struct shape shape = {1, {L}, W, 1, 1};
    struct problem p;
    float *x = floats(L * W), *y = floats(L * W);
    size_t kept = 0, wrong = 0;

    problem_open(&p, &shape, k, 0.1f);
    for (size_t i = 0; i < L * W; i++)
        x[i] = 1;
    k->dropout(y, x, &p.dropout, &p.rows, W);
    for (uint32_t e = 0; e < L * W; e++) {
        struct ft_philox words = ft_philox(p.dropout.seed, p.dropout.batch, p.number[0], p.dropout.node, e / 8);
        uint32_t lane = words.word[e % 8 / 2] >> 16 * (e % 2) & 0xffff;

        wrong += y[e] != (lane >= 6554 ? (float)(1 / (1 - (double)0.1f)) : 0);
        kept += y[e] != 0;
    }
    ok(wrong == 0, "%s: dropout's mask is the definition's", k->name);
    ok(fabs((double)kept / (L * W) - 0.9) < 0.005, "%s: it keeps nine of ten (%.4f)", k->name, (double)kept / (L * W));
    free(x);
    free(y);
    problem_close(&p);
}

/* Equal scores and V the unit matrix: attention's result is its mask / L. */
static void test_attention_mask(const struct ft_kernels *k)
{
    enum { L = 21, D = 24, H = 2, W = D * H };
    struct shape shape = {1, {L}, W, H, 1};
    struct problem p;
    float *qkv = floats(L * 3 * W), *y = floats(L * W);
    size_t wrong = 0;

    problem_open(&p, &shape, k, 0.25f);
    for (size_t j = 0; j < L; j++)
        for (size_t h = 0; h < H; h++)
            qkv[j * 3 * W + 2 * W + h * D + j] = L;
    k->attention_forward(y, qkv, &p.dropout, &p.rows, H, W, p.scratch);
    for (uint32_t h = 0; h < H; h++)
        for (uint32_t i = 0; i < L; i++)
            for (uint32_t j = 0; j < L; j++) {
                uint32_t e = (h * L + i) * 24 + j;
                struct ft_philox words = ft_philox(p.dropout.seed, p.dropout.batch, p.number[0], p.dropout.node, e / 8);
                bool keep = (words.word[e % 8 / 2] >> 16 * (e % 2) & 0xffff) >= 16384;

                wrong += !(fabs(y[i * W + h * D + j] - (keep ? 1 / 0.75 : 0)) < 1e-6);
            }
    ok(wrong == 0, "%s: the mask in attention is the definition's", k->name);
    free(qkv);
    free(y);
    problem_close(&p);
}

/* torch.nn.functional.normalize divides rows shorter than 1e-12 by 1e-12, and so does its gradient. */
static void test_short_rows(const struct ft_kernels *k)
{
    float x[3] = {0, 3e-14f, 0}, dy[3] = {1, 2, -1}, y[3], dx[3], norm;

    k->normalize_forward(y, &norm, x, 1, 3);
    k->normalize_backward(dx, dy, y, &norm, 1, 3);
    ok(fabsf(y[1] - 0.03f) < 1e-8f && fabsf(dx[0] - 1e12f) < 1e6f && fabsf(dx[1] - 2e12f) < 1e6f && fabsf(dx[2] + 1e12f) < 1e6f,
       "%s: rows without length", k->name);
}

/* A long way from zero, statistics must not cancel: x = 1000 + small. */
static void test_large_mean(const struct ft_kernels *k)
{
    enum { W = 384 };
    float x[W], y[W], gain[W], bias[W] = {0}, stat[2];
    double worst = 0, mean = 0, variance = 0;

    fill(x, W, 3, 1);
    for (int i = 0; i < W; i++) {
        x[i] += 1000;
        gain[i] = 1;
        mean += x[i] / (double)W;
    }
    for (int i = 0; i < W; i++)
        variance += (x[i] - mean) * (x[i] - mean) / W;
    k->layer_norm_forward(y, stat, x, gain, bias, 1e-12f, 1, W);
    for (int i = 0; i < W; i++)
        worst = fmax(worst, fabs(y[i] - (x[i] - mean) / sqrt(variance)));
    ok(worst < 2e-4, "%s: layer_norm of 1000 + noise (%.1g)", k->name, worst);
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
    run(&got, op, &p, &inputs);
    ok(whole && result_distance(&got, &want, op) < 1e-6, "%s: %s is PyTorch's (%.1e)", k->name, op->name,
       result_distance(&got, &want, op));
    result_close(&want);
    result_close(&got);
    inputs_close(&inputs);
    problem_close(&p);
}

/* The file of tests/golden/kernels/make.py, from the top of the tree. */
static void test_golden(const struct ft_kernels *k)
{
    FILE *file = fopen("tests/golden/kernels/kernels.bin", "rb");
    char name[32];
    int32_t head[13];
    int records = 0;

    for (; file != NULL && fread(name, sizeof name, 1, file) == 1 && fread(head, sizeof head, 1, file) == 1; records++) {
        const struct op *op = op_named(name);

        if (!ok(op != NULL && head[0] == op->inputs, "%s: golden %s is known", k->name, name))
            break;
        test_record(file, op, head, k);
    }
    ok(records == 17, "%s: 17 operations in the golden file", k->name);
    if (file != NULL)
        fclose(file);
}

int main(void)
{
    for (int i = 0; i < OPS; i++)
        test_differences(&ops[i]);
    for (int t = -1; t < TABLES; t++) {
        const struct ft_kernels *k = t < 0 ? &ft_kernels_plain : ft_kernels_named(tables[t]);

        if (k == NULL) {
            ok(true, "%s # SKIP not on this CPU", tables[t]);
            continue;
        }
        for (int i = 0; i < OPS; i++) {
            if (!has_op(k, &ops[i])) {
                ok(true, "%s: %s # SKIP not written yet", k->name, ops[i].name);
                continue;
            }
            if (t >= 0)
                test_against_plain(&ops[i], k);
            test_conventions(&ops[i], k);
            test_nan(&ops[i], k);
        }
        test_golden(k);
        test_mask(k);
        test_attention_mask(k);
        test_short_rows(k);
        test_large_mean(k);
    }
    return done();
}
