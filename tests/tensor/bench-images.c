/* bench-images.c - how long the kernels for images take at the shapes of ResNet-50 and EfficientNet-B0 (224 x 224), one thread.
 *
 *     make build/tests/tensor/bench-images && build/tests/tensor/bench-images [items] [part of a name]
 *
 * Times are the best of several runs; products in GFLOP/s, all else in GB/s of what is read and written once. */
#include "base/tool.h"
#include "base/random.h"
#include "tensor/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Floats of gathered windows at once. */
enum { GATHERED = 131072 };

struct bench {
    const struct ft_kernels *k;
    struct ft_windows g;
    size_t S, O;                /* O: outputs of a product, else 0 */
    float *x, *y, *z, *w, *b, *packed, *transposed, *col, *dw;
    double *sum;
    uint32_t *arg;
};

static size_t places(const struct bench *b) { return b->S * b->g.height * b->g.across; }
static size_t outputs(const struct bench *b) { return b->S * b->g.out_height * b->g.out_across; }

static void depthwise(struct bench *b) { b->k->depthwise_forward(FT_IDENTITY, b->y, b->x, b->w, b->b, &b->g, b->S); }
static void depthwise_silu(struct bench *b) { b->k->depthwise_forward(FT_SILU, b->y, b->x, b->w, b->b, &b->g, b->S); }
static void depthwise_back(struct bench *b) { b->k->depthwise_backward(b->x, b->y, b->w, &b->g, b->S); }
static void depthwise_grad(struct bench *b) { b->k->depthwise_gradient(b->col, b->z, b->y, b->x, &b->g, b->S, 0, b->g.channels); }
static void pool(struct bench *b) { b->k->max_pool_forward(b->y, b->arg, b->x, &b->g, b->S); }
static void pool_back(struct bench *b) { b->k->max_pool_backward(b->x, b->y, b->arg, &b->g, b->S); }
static void affine(struct bench *b) { b->k->affine_forward(FT_RELU, b->y, b->x, b->w, b->b, places(b), b->g.channels); }
static void affine_silu(struct bench *b) { b->k->affine_forward(FT_SILU, b->y, b->x, b->w, b->b, places(b), b->g.channels); }
static void affine_back(struct bench *b) { b->k->affine_backward(FT_SILU, b->y, NULL, b->z, b->x, b->w, b->b, places(b), b->g.channels); }
static void affine_again(struct bench *b) { b->k->affine_backward(FT_SILU, b->y, b->col, b->z, b->x, b->w, b->b, places(b), b->g.channels); }
static void mix(struct bench *b) { b->k->columns_mix(b->y, b->x, b->w, b->z, b->b, b->w, places(b), b->g.channels); }
static void sum(struct bench *b) { b->k->columns_sum(b->sum, NULL, b->x, NULL, NULL, places(b), b->g.channels, 0, b->g.channels); }
static void sum_two(struct bench *b)
{
    b->k->columns_sum(b->sum, b->sum + b->g.channels, b->x, b->z, b->w, places(b), b->g.channels, 0, b->g.channels);
}
static void scale(struct bench *b) { b->k->scale_forward(b->y, b->x, b->w, b->S, places(b) / b->S, b->g.channels); }
static void scale_back(struct bench *b) { b->k->scale_backward(b->y, b->col, b->z, b->x, b->b, b->S, places(b) / b->S, b->g.channels); }

static size_t inner(const struct bench *b) { return b->g.kernel * b->g.kernel * b->g.channels; }

static size_t rows_of(const struct bench *b)
{
    size_t rows = GATHERED / inner(b);

    return rows < 192 ? 192 : rows < 1024 ? rows : 1024;
}

/* Windows in blocks that stay in the cache. */
static void gather(struct bench *b)
{
    for (size_t r = 0; r < outputs(b); r += rows_of(b))
        b->k->windows_gather(b->col, b->x, &b->g, r, r + rows_of(b) < outputs(b) ? r + rows_of(b) : outputs(b), 0, b->g.kernel * b->g.kernel);
}
static void scatter(struct bench *b)
{
    for (size_t r = 0; r < outputs(b); r += rows_of(b))
        b->k->windows_scatter(b->x, b->col, &b->g, r, r + rows_of(b) < outputs(b) ? r + rows_of(b) : outputs(b));
}
static void convolution(struct bench *b)
{
    for (size_t r = 0; r < outputs(b); r += rows_of(b)) {
        size_t rows = r + rows_of(b) < outputs(b) ? rows_of(b) : outputs(b) - r;
        const float *from = b->col;

        if (b->g.kernel == 1 && b->g.stride == 1)
            from = b->x + r * inner(b);
        else
            b->k->windows_gather(b->col, b->x, &b->g, r, r + rows, 0, b->g.kernel * b->g.kernel);
        b->k->linear_forward(b->y + r * b->O, from, b->w, b->packed, b->b, rows, inner(b), b->O);
    }
}
static void straight(struct bench *b) { b->k->convolution_forward(b->y, b->x, b->packed, b->b, &b->g, b->S, b->O); }
static void straight_back(struct bench *b) { b->k->convolution_backward(b->x, b->y, b->transposed, &b->g, b->S, b->O); }
static void convolution_back(struct bench *b)
{
    for (size_t r = 0; r < outputs(b); r += rows_of(b)) {
        size_t rows = r + rows_of(b) < outputs(b) ? rows_of(b) : outputs(b) - r;
        bool direct = b->g.kernel == 1 && b->g.stride == 1;

        b->k->linear_backward(direct ? b->x + r * inner(b) : b->col, b->y + r * b->O, b->w, b->transposed, rows, inner(b), b->O);
        if (!direct)
            b->k->windows_scatter(b->x, b->col, &b->g, r, r + rows);
    }
}
static void convolution_grad(struct bench *b)
{
    for (size_t r = 0; r < outputs(b); r += rows_of(b)) {
        size_t rows = r + rows_of(b) < outputs(b) ? rows_of(b) : outputs(b) - r;
        const float *from = b->col;

        if (b->g.kernel == 1 && b->g.stride == 1)
            from = b->x + r * inner(b);
        else
            b->k->windows_gather(b->col, b->x, &b->g, r, r + rows, 0, b->g.kernel * b->g.kernel);
        b->k->linear_gradient(b->dw, NULL, b->y + r * b->O, from, NULL, NULL, rows, inner(b), b->O, 0, b->O);
    }
}

static const struct shape {
    size_t size, channels, outputs, kernel, stride;
} shapes[] = {
    /* depthwise: EfficientNet-B0 */
    {112, 32, 0, 3, 1}, {112, 96, 0, 3, 2}, {56, 144, 0, 3, 1}, {56, 144, 0, 5, 2}, {28, 240, 0, 5, 1}, {28, 240, 0, 3, 2}, {14, 480, 0, 3, 1},
    {14, 480, 0, 5, 1}, {14, 672, 0, 5, 1}, {14, 672, 0, 5, 2}, {7, 1152, 0, 5, 1}, {7, 1152, 0, 3, 1},
    /* products: ResNet-50 */
    {224, 3, 64, 7, 2}, {56, 64, 64, 1, 1}, {56, 64, 64, 3, 1}, {56, 64, 256, 1, 1}, {56, 256, 64, 1, 1}, {56, 128, 128, 3, 2}, {28, 128, 128, 3, 1},
    {28, 128, 512, 1, 1}, {28, 512, 128, 1, 1}, {14, 256, 256, 3, 1}, {14, 256, 1024, 1, 1}, {14, 1024, 256, 1, 1}, {7, 512, 512, 3, 1},
    {7, 512, 2048, 1, 1}, {7, 2048, 512, 1, 1},
    /* and EfficientNet-B0 */
    {224, 3, 32, 3, 2}, {112, 32, 16, 1, 1}, {112, 16, 96, 1, 1}, {56, 96, 24, 1, 1}, {56, 24, 144, 1, 1}, {56, 144, 24, 1, 1}, {28, 144, 40, 1, 1},
    {28, 40, 240, 1, 1}, {28, 240, 40, 1, 1}, {14, 240, 80, 1, 1}, {14, 80, 480, 1, 1}, {14, 480, 80, 1, 1}, {14, 672, 112, 1, 1},
    {14, 112, 672, 1, 1}, {7, 672, 192, 1, 1}, {7, 192, 1152, 1, 1}, {7, 1152, 192, 1, 1}, {7, 320, 1280, 1, 1},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static double best_of(struct bench *b, void (*run)(struct bench *b))
{
    double best = 1e9, begin = ft_seconds();

    for (int i = 0; i < 200 && (i < 3 || ft_seconds() - begin < 0.06); i++) {
        double start = ft_seconds(), took;

        run(b);
        took = ft_seconds() - start;
        if (took < best)
            best = took;
    }
    return best;
}

static void report(struct bench *b, const char *name, void (*run)(struct bench *b), double flop, double bytes)
{
    double took = best_of(b, run);

    printf("  %-16s %9.3f ms", name, took * 1e3);
    if (flop > 0)
        printf(" %8.1f GFLOP/s", flop / took * 1e-9);
    printf(" %7.1f GB/s\n", bytes / took * 1e-9);
}

static void open_bench(struct bench *b, const struct shape *s, size_t S, const struct ft_kernels *k)
{
    struct ft_random random = ft_random_start(1, 2);
    size_t out = (s->size + 2 * (s->kernel / 2) - s->kernel) / s->stride + 1, C = s->channels, O = s->outputs, wide = C > O ? C : O;
    size_t most = s->kernel * s->kernel * wide * (O ? O : 1) + wide;

    *b = (struct bench){.k = k, .S = S, .O = O, .g = {s->size, s->size, C, out, out, s->kernel, s->stride, s->kernel / 2, s->kernel / 2}};
    b->x = malloc(places(b) * wide * sizeof(float)), b->y = malloc(places(b) * wide * sizeof(float)), b->z = malloc(places(b) * wide * sizeof(float));
    b->w = malloc(most * sizeof(float)), b->dw = calloc(most, sizeof(float)), b->b = malloc(wide * S * sizeof(float));
    b->col = malloc((rows_of(b) * inner(b) > places(b) * wide ? rows_of(b) * inner(b) : places(b) * wide) * sizeof(float));
    b->sum = calloc(2 * C, sizeof(double));
    b->arg = calloc(places(b) * wide, sizeof *b->arg);
    for (size_t i = 0; i < places(b) * wide; i++)
        b->x[i] = (float)ft_random_normal(&random), b->y[i] = b->z[i] = b->x[i];
    for (size_t i = 0; i < most; i++)
        b->w[i] = 0.05f;
    for (size_t i = 0; i < wide * S; i++)
        b->b[i] = 0.1f;
    memset(b->col, 0, rows_of(b) * inner(b) * sizeof(float));
    if (O > 0 && k->linear_pack != NULL) {
        b->packed = malloc(k->linear_packed(inner(b), O, false) * sizeof(float));
        b->transposed = calloc(k->linear_packed(inner(b), O, true) + k->linear_packed(C, s->kernel * s->kernel * O, true), sizeof(float));
        k->linear_pack(b->packed, b->w, inner(b), O, false);
        k->linear_pack(b->transposed, b->w, inner(b), O, true);
    }
}

static void bench(const struct shape *s, size_t S, int precision)
{
    struct bench b;
    double flop, in, out;

    open_bench(&b, s, S, ft_kernels_cpu((enum ft_precision)precision));
    in = 4. * (double)(places(&b) * s->channels);
    out = 4. * (double)(outputs(&b) * (s->outputs ? s->outputs : s->channels));
    flop = 2. * (double)(outputs(&b) * inner(&b)) * (s->outputs ? (double)s->outputs : 1);
    printf("%zu x %zu x %zu, %zu items, %s\n", s->size, s->size, s->channels, S, precision == FT_BF16 ? "bf16" : "fp32");
    if (s->outputs == 0) {
        report(&b, "depthwise", depthwise, flop, in + out);
        report(&b, "  with silu", depthwise_silu, flop, in + out);
        report(&b, "  backward", depthwise_back, flop, in + out);
        report(&b, "  gradient", depthwise_grad, flop, in + out);
        report(&b, "affine relu", affine, 0, 2 * in);
        report(&b, "affine silu", affine_silu, 0, 2 * in);
        report(&b, "  backward", affine_back, 0, 3 * in);
        report(&b, "  and again", affine_again, 0, 4 * in);
        report(&b, "columns_mix", mix, 0, 3 * in);
        report(&b, "columns_sum", sum, 0, in);
        report(&b, "  and product", sum_two, 0, 2 * in);
        report(&b, "scale", scale, 0, 2 * in);
        report(&b, "  backward", scale_back, 0, 3 * in);
        if (s->kernel == 3) {
            report(&b, "max pool", pool, 0, in + 2 * out);
            report(&b, "  backward", pool_back, 0, in + 2 * out);
        }
    } else {
        printf("  %zu x %zu / %zu to %zu\n", s->kernel, s->kernel, s->stride, s->outputs);
        if (s->kernel > 1) {
            report(&b, "gather", gather, 0, in + 4. * (double)(outputs(&b) * inner(&b)));
            report(&b, "scatter", scatter, 0, 2 * in + 4. * (double)(outputs(&b) * inner(&b)));
        }
        report(&b, "product", convolution, flop, in + out);
        if (b.k->convolution_fits && b.k->convolution_fits(&b.g, b.O, false))
            report(&b, "  straight", straight, flop, in + out);
        report(&b, "  backward", convolution_back, flop, in + out);
        if (b.k->convolution_fits && b.k->convolution_fits(&b.g, b.O, true))
            report(&b, "  straight back", straight_back, flop, in + out);
        report(&b, "  gradient", convolution_grad, flop, in + out);
    }
    free(b.x), free(b.y), free(b.z), free(b.w), free(b.dw), free(b.b), free(b.col), free(b.sum), free(b.arg), free(b.packed), free(b.transposed);
}

int main(int argc, char **argv)
{
    size_t S = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    const char *part = argc > 2 ? argv[2] : "";

    for (int i = 0; i < SHAPES; i++)
        for (int precision = 0; precision < (shapes[i].outputs ? FT_PRECISIONS : 1); precision++)
            if (*part == '\0' || (*part == 'd') == (shapes[i].outputs == 0))
                bench(&shapes[i], S, precision);
    return 0;
}
