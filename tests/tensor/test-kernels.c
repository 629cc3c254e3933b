/* test-kernels.c - each operation, in each table this CPU runs: against plain C, plain C against central differences, and all against
 * numbers PyTorch computed (tests/golden/kernels/make.py). Then what the conventions of kernels.h promise: bits that depend on a row alone,
 * work in place, slices, masks by definition, NaN in NaN out. */
#include "checks.h"

static const char *const tables[] = {"plain", "baseline", "avx2", "avx512", "amx"};
enum { TABLES = sizeof tables / sizeof *tables };

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
    k->attention_forward(y, qkv, &(struct ft_attention){.heads = H}, &p.dropout, &p.rows, W, p.scratch);
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

/* An activation computed again beside its gradient: what the two would give one after the other, but for rounding. */
static void test_again(const struct ft_kernels *k)
{
    enum { N = 1000 };
    static const char *const names[] = {"identity", "gelu", "gelu_tanh", "quick_gelu", "relu", "tanh", "silu", "sigmoid", "relu6"};
    float x[N], dy[N], y[N], dx[N], y_want[N], dx_want[N];

    fill(x, N, 1, 3);
    fill(dy, N, 2, 1);
    x[0] = INFINITY, x[1] = -INFINITY, x[2] = NAN, x[3] = -0.0f;
    for (int f = FT_IDENTITY; f <= FT_RELU6; f++) {
        bool same = true;

        k->activation_forward((enum ft_activation)f, y_want, x, N);
        k->activation_backward((enum ft_activation)f, dx_want, dy, x, N);
        memcpy(dx, dy, sizeof dx);
        k->activation_again((enum ft_activation)f, y, dx, dx, x, N);
        for (int i = 0; i < 4; i++)
            same &= isnan(y[i]) == isnan(y_want[i]) && isnan(dx[i]) == isnan(dx_want[i]);
        ok(same && distance(y + 3, y_want + 3, N - 3) < 3e-7 && distance(dx + 3, dx_want + 3, N - 3) < 3e-7,
           "%s: %s again, with its gradient", k->name, names[f]);
    }
}

/* Products of operands packed in advance, and of all of them at once: the same bits as without. */
static void test_packed(const struct ft_kernels *k)
{
    static const size_t sizes[][3] = {{1, 1, 1}, {5, 16, 40}, {40, 33, 7}, {33, 100, 65}, {200, 384, 96}, {70, 1600, 33}, {1700, 40, 70}};
    bool forward = true, backward = true, gradient = true;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t R = sizes[i][0], I = sizes[i][1], O = sizes[i][2], cut = O > 32 ? 32 : O;
        float *x = floats(R * I), *dy = floats(R * O), *w = floats(O * I), *b = floats(O), *a = floats(R * (I + O) + O * I), *c = floats(R * (I + O) + O * I);
        float *packed = floats(k->linear_packed(I, O, false)), *across = floats(k->linear_packed(I, O, true));
        float *x_packed = floats(k->gradient_packed(R, I)), *dy_packed = floats(k->gradient_packed(R, O));

        fill(x, R * I, 1, 1);
        fill(dy, R * O, 2, 1);
        fill(w, O * I, 3, 1);
        fill(b, O, 4, 1);
        k->linear_pack(packed, w, I, O, false);
        k->linear_pack(across, w, I, O, true);
        k->gradient_pack(x_packed, x, R, I, 0, I, false);
        k->gradient_pack(dy_packed, dy, R, O, 0, cut, true);
        k->gradient_pack(dy_packed, dy, R, O, cut, O, true);
        k->linear_forward(a, x, w, NULL, b, R, I, O);
        k->linear_forward(c, x, w, packed, b, R, I, O);
        forward &= memcmp(a, c, R * O * sizeof *a) == 0;
        k->linear_backward(a, dy, w, NULL, R, I, O);
        k->linear_backward(c, dy, w, across, R, I, O);
        backward &= memcmp(a, c, R * I * sizeof *a) == 0;
        memcpy(a, w, O * I * sizeof *a);
        memcpy(c, w, O * I * sizeof *a);
        k->linear_gradient(a, NULL, dy, x, NULL, NULL, R, I, O, 0, O);
        k->linear_gradient(c, NULL, dy, x, dy_packed, x_packed, R, I, O, 0, cut);
        k->linear_gradient(c, NULL, dy, x, dy_packed, x_packed, R, I, O, cut, O);
        gradient &= memcmp(a, c, O * I * sizeof *a) == 0;
        free(x), free(dy), free(w), free(b), free(a), free(c), free(packed), free(across), free(x_packed), free(dy_packed);
    }
    ok(forward && backward && gradient, "%s: packed in advance: the same bits forward (%d), backward (%d), gradient (%d)", k->name,
       forward, backward, gradient);
}

/* How deep along k a product goes at once follows from the number of rows: a row's bits do not. */
static void test_rows_alone(const struct ft_kernels *k)
{
    enum { R = 300, I = 3100, O = 40 };
    static const size_t rows[] = {0, 1, 31, 200};
    float *x = floats(R * I), *w = floats(O * I), *b = floats(O), *all = floats(R * O), *some = floats(R * O);
    bool same = true;

    fill(x, R * I, 1, 1);
    fill(w, O * I, 2, 1);
    fill(b, O, 3, 1);
    k->linear_forward(all, x, w, NULL, b, R, I, O);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        k->linear_forward(some, x + 7 * I, w, NULL, b, rows[i], I, O);
        same &= memcmp(some, all + 7 * O, rows[i] * O * sizeof *all) == 0;
    }
    ok(same, "%s: rows of a product alone: the same bits", k->name);
    free(x), free(w), free(b), free(all), free(some);
}

/* All of a level's table in fp32; its products in every precision, where they are others. */
static void test_precision(const char *name, int precision)
{
    const struct ft_kernels *k = ft_kernels_named(name, (enum ft_precision)precision), *first = ft_kernels_named(name, FT_FP32);

    if (k == NULL) {
        ok(true, "%s # SKIP not on this CPU", name);
        return;
    }
    if (precision == FT_FP32) {
        test_table(k);
        test_mask(k);
        test_attention_mask(k);
        test_short_rows(k);
        test_large_mean(k);
        test_again(k);
    } else if (k->linear_forward != first->linear_forward)
        test_products(k, ft_kernels_named("plain", (enum ft_precision)precision));
    if (k->linear_pack != NULL) {
        test_packed(k);
        test_rows_alone(k);
    }
}

int main(void)
{
    setenv("FT_CPU", "baseline", 1);
    ok(strcmp(ft_kernels_cpu(FT_FP32)->name, "baseline") == 0, "FT_CPU chooses the table");
    ok(ft_kernels_named("none", FT_FP32) == NULL && ft_kernels_named("plain", FT_FP32) != NULL, "tables by name");
    for (int i = 0; i < OPS; i++)
        test_differences(&ops[i]);
    for (int t = 0; t < TABLES; t++)
        for (int p = 0; p < FT_PRECISIONS; p++)
            test_precision(tables[t], p);
    return done();
}
