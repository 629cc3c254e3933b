/* ops-maps.h - the operations on maps in the form of ops.h: convolution by windows and a linear layer, depthwise convolution, max pooling, scale and
 * shift with an activation, batch norm with the statistics of the batch, one number a channel. */
#ifndef FT_TESTS_OPS_MAPS_H
#define FT_TESTS_OPS_MAPS_H

/* `setting` of an operation of windows: ten times the kernel's width, and the stride. An item is a sequence, its channels W; its map is small. */
static struct ft_windows map_windows(const struct op *op, const struct problem *p)
{
    size_t kernel = (size_t)op->setting / 10, stride = (size_t)op->setting % 10, around = kernel / 2;
    struct ft_windows g = {.height = 5 + p->R % 3, .across = 7 + p->R % 2, .channels = p->shape.W, .kernel = kernel, .stride = stride,
                           .above = around, .left = around};

    g.out_height = (g.height + 2 * around - kernel) / stride + 1;
    g.out_across = (g.across + 2 * around - kernel) / stride + 1;
    return g;
}

enum { MAP_MOST = 7 * 8 };

/* Positions of a map, of all items. */
static size_t map_rows(const struct problem *p)
{
    return p->rows.sequences * (5 + p->R % 3) * (7 + p->R % 2);
}

static size_t map_outputs(const struct problem *p, const struct ft_windows *g)
{
    return p->rows.sequences * g->out_height * g->out_across;
}

/* Sizes do not know the operation, so there is one of them for each kernel and stride: x[S*h*a, W], w[.., K*W], b[..] */
#define MAP_SIZES(name, which, weights, biases, outputs)                             \
    static void name(const struct problem *p, size_t size[], size_t *output)         \
    {                                                                                \
        struct ft_windows g = map_windows(&(struct op){.setting = which}, p);        \
        size_t W = p->shape.W, O = p->shape.O, K = g.kernel * g.kernel;              \
                                                                                     \
        (void)O, (void)K;                                                            \
        size[0] = map_rows(p) * W;                                                   \
        size[1] = weights;                                                           \
        size[2] = biases;                                                            \
        *output = map_outputs(p, &g) * (outputs);                                    \
    }

MAP_SIZES(convolution_31_sizes, 31, O * K * W, O, O)
MAP_SIZES(convolution_72_sizes, 72, O * K * W, O, O)
MAP_SIZES(depthwise_31_sizes, 31, K * W, W, W)
MAP_SIZES(depthwise_32_sizes, 32, K * W, W, W)
MAP_SIZES(depthwise_51_sizes, 51, K * W, W, W)
MAP_SIZES(depthwise_52_sizes, 52, K * W, W, W)

static float *floats(size_t count);

static void convolution_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    struct ft_windows g = map_windows(op, p);
    size_t rows = map_outputs(p, &g), I = g.kernel * g.kernel * g.channels, half = rows / 2;
    float *col = floats(rows * I);

    p->k->windows_gather(col, in[0], &g, 0, half, 0, g.kernel * g.kernel);
    p->k->windows_gather(col + half * I, in[0], &g, half, rows, 0, g.kernel * g.kernel);
    p->k->linear_forward(y, col, in[1], NULL, in[2], rows, I, p->shape.O);
    free(col);
}

static void convolution_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    struct ft_windows g = map_windows(op, p);
    size_t rows = map_outputs(p, &g), I = g.kernel * g.kernel * g.channels, O = p->shape.O, cut = p->cut % O, half = rows / 2;
    float *col = floats(rows * I);

    (void)y;
    p->k->linear_backward(col, dy, in[1], NULL, rows, I, O);
    memset(d[0], 0, map_rows(p) * g.channels * sizeof *d[0]);
    p->k->windows_scatter(d[0], col, &g, 0, half);
    p->k->windows_scatter(d[0], col + half * I, &g, half, rows);
    p->k->windows_gather(col, in[0], &g, 0, rows, 0, g.kernel * g.kernel);
    if (cut > 0)
        p->k->linear_gradient(d[1], d[2], dy, col, NULL, NULL, rows, I, O, 0, cut);
    p->k->linear_gradient(d[1], d[2], dy, col, NULL, NULL, rows, I, O, cut, O);
    free(col);
}

static void depthwise_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    struct ft_windows g = map_windows(op, p);

    p->k->depthwise_forward(FT_IDENTITY, y, in[0], in[1], in[2], &g, p->rows.sequences);
}

static void depthwise_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    struct ft_windows g = map_windows(op, p);
    size_t W = p->shape.W, cut = p->cut % W;

    (void)y;
    p->k->depthwise_backward(d[0], dy, in[1], &g, p->rows.sequences);
    if (cut > 0)
        p->k->depthwise_gradient(d[1], d[2], dy, in[0], &g, p->rows.sequences, 0, cut);
    p->k->depthwise_gradient(d[1], d[2], dy, in[0], &g, p->rows.sequences, cut, W);
}

static void max_pool_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    struct ft_windows g = map_windows(op, p);

    p->k->max_pool_forward(y, p->arg, in[0], &g, p->rows.sequences);
}

static void max_pool_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    struct ft_windows g = map_windows(op, p);

    (void)in, (void)y;
    p->k->max_pool_backward(d[0], dy, p->arg, &g, p->rows.sequences);
}

/* affine: x[R, W], scale[W], shift[W]; how the gradients of the last two come from dz, batch norm's own way. */

static void affine_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    p->k->affine_forward((enum ft_activation)op->setting, y, in[0], in[1], in[2], p->R, p->shape.W);
}

/* Column sums of dz and of dz (x - centre), in two slices. */
static void sums(struct problem *p, double *sum, double *product, const float *dz, const float *x, const float *centre, size_t R)
{
    size_t W = p->shape.W, cut = p->cut % W;

    if (cut > 0)
        p->k->columns_sum(sum, product, dz, x, centre, R, W, 0, cut);
    p->k->columns_sum(sum, product, dz, x, centre, R, W, cut, W);
}

static void affine_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    size_t W = p->shape.W;
    float *zero = floats(W), *again = floats(p->R * W);
    double *sum = calloc(2 * W, sizeof *sum);

    p->k->affine_backward((enum ft_activation)op->setting, d[0], again, dy, in[0], in[1], in[2], p->R, W);
    if (memcmp(again, y, p->R * W * sizeof *y) != 0)
        d[0][0] = NAN;
    sums(p, sum, sum + W, d[0], in[0], zero, p->R);
    p->k->columns_mix(d[0], d[0], in[1], NULL, NULL, zero, p->R, W);
    for (size_t i = 0; i < W; i++) {
        d[1][i] = (float)sum[W + i];
        d[2][i] = (float)sum[i];
    }
    free(zero), free(again), free(sum);
}

/* batch norm (Ioffe and Szegedy 2015): x[S*h*a, W], gain[W], bias[W] */

static void batch_norm_sizes(const struct problem *p, size_t size[], size_t *output)
{
    *output = size[0] = map_rows(p) * p->shape.W;
    size[1] = size[2] = p->shape.W;
}

/* stat: [3 W], mean, 1 / standard deviation, the sums' place */
static double *batch_norm_stat(struct problem *p, const float *x, float *mean, float *rstd)
{
    size_t W = p->shape.W, R = map_rows(p);
    double *sum = calloc(2 * W, sizeof *sum);

    sums(p, sum, NULL, x, NULL, NULL, R);
    for (size_t i = 0; i < W; i++)
        mean[i] = (float)(sum[i] / (double)R);
    memset(sum, 0, 2 * W * sizeof *sum);
    sums(p, NULL, sum + W, x, x, mean, R);
    for (size_t i = 0; i < W; i++)
        rstd[i] = (float)(1 / sqrt(sum[W + i] / (double)R + 1e-5));
    memset(sum, 0, 2 * W * sizeof *sum);
    return sum;
}

static void batch_norm_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    size_t W = p->shape.W;
    float *mean = floats(W), *scale = floats(W), *shift = floats(W);

    (void)op;
    free(batch_norm_stat(p, in[0], mean, scale));
    for (size_t i = 0; i < W; i++) {
        scale[i] *= in[1][i];
        shift[i] = in[2][i] - mean[i] * scale[i];
    }
    p->k->affine_forward(FT_IDENTITY, y, in[0], scale, shift, map_rows(p), W);
    free(mean), free(scale), free(shift);
}

/* With n = (x - mean) rstd: dx = gain rstd (dy - mean(dy) - n mean(dy n)), which is dy a + x b + c. */
static void batch_norm_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    size_t W = p->shape.W, R = map_rows(p);
    float *mean = floats(W), *a = floats(W), *b = floats(W), *c = floats(W);
    double *sum = batch_norm_stat(p, in[0], mean, a);

    (void)op, (void)y;
    sums(p, sum, sum + W, dy, in[0], mean, R);
    for (size_t i = 0; i < W; i++) {
        double rstd = a[i], gain = in[1][i];

        d[1][i] = (float)(sum[W + i] * rstd);
        d[2][i] = (float)sum[i];
        a[i] = (float)(gain * rstd);
        b[i] = (float)(-gain * rstd * rstd * rstd * sum[W + i] / (double)R);
        c[i] = (float)(-gain * rstd * sum[i] / (double)R - mean[i] * (double)b[i]);
    }
    p->k->columns_mix(d[0], dy, a, in[0], b, c, R, W);
    free(mean), free(a), free(b), free(c), free(sum);
}

/* scale: x[S*h*a, W], s[S, W] */

static void scale_sizes(const struct problem *p, size_t size[], size_t *output)
{
    *output = size[0] = map_rows(p) * p->shape.W;
    size[1] = p->rows.sequences * p->shape.W;
}

static void scale_forward_op(const struct op *op, struct problem *p, float *y, float *const in[])
{
    (void)op;
    p->k->scale_forward(y, in[0], in[1], p->rows.sequences, map_rows(p) / p->rows.sequences, p->shape.W);
}

static void scale_backward_op(const struct op *op, struct problem *p, float *const d[], const float *dy, float *const in[], const float *y)
{
    (void)op, (void)y;
    p->k->scale_backward(d[0], d[1], dy, in[0], in[1], p->rows.sequences, map_rows(p) / p->rows.sequences, p->shape.W);
}

#define CONVOLUTION convolution_forward_op, convolution_backward_op, ENTRY(windows_gather)
#define DEPTHWISE depthwise_forward_op, depthwise_backward_op, ENTRY(depthwise_forward)
#define MAX_POOL max_pool_forward_op, max_pool_backward_op, ENTRY(max_pool_forward)
#define AFFINE norm_sizes, affine_forward_op, affine_backward_op, ENTRY(affine_forward)

/* Their lines of the table in ops.h. */
#define MAP_OPS                                                                                \
    {"convolution 3 x 3", 3, 31, 0, convolution_31_sizes, CONVOLUTION, 2e-6, false, false},                                                           \
    {"convolution 7 x 7 / 2", 3, 72, 0, convolution_72_sizes, CONVOLUTION, 2e-6, false, false},                                                       \
    {"depthwise 3 x 3", 3, 31, 0, depthwise_31_sizes, DEPTHWISE, 1e-6, false, false},                                                                 \
    {"depthwise 3 x 3 / 2", 3, 32, 0, depthwise_32_sizes, DEPTHWISE, 1e-6, false, false},                                                             \
    {"depthwise 5 x 5", 3, 51, 0, depthwise_51_sizes, DEPTHWISE, 1e-6, false, false},                                                                 \
    {"depthwise 5 x 5 / 2", 3, 52, 0, depthwise_52_sizes, DEPTHWISE, 1e-6, false, false},                                                             \
    {"max pool 3 x 3 / 2", 1, 32, 0, depthwise_32_sizes, MAX_POOL, 0, false, false},                                                                  \
    {"affine", 3, FT_IDENTITY, 0, AFFINE, 1e-6, true, true},                                                                                          \
    {"affine relu", 3, FT_RELU, 0, AFFINE, 1e-6, true, true},                                                                                         \
    {"affine silu", 3, FT_SILU, 0, AFFINE, 1e-6, true, true},                                                                                         \
    {"batch_norm", 3, 0, 0, batch_norm_sizes, batch_norm_forward_op, batch_norm_backward_op, ENTRY(columns_sum), 2e-6, false, false},                 \
    {"scale", 2, 0, 0, scale_sizes, scale_forward_op, scale_backward_op, ENTRY(scale_forward), 1e-6, false, true},

#endif
