/* test-windows.c - the kernels for images on maps drawn at random: odd sizes, kernels of 1 to 9, strides of 1 to 3, any padding on any side, channels that
 * fill no vector. Every table against plain C; what only copies, compares or adds in one order has its very bits. */
#include "base/random.h"
#include "tensor/kernels.h"
#include "../tap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAPS = 120, GUARD = 32 };

static struct ft_random dice;

static size_t pick(size_t least, size_t most)
{
    return least + ft_random_below(&dice, most - least + 1);
}

/* Multiples of 1 / 64: there are ties among them, and products and sums are exact, so that a term too many or too few shows whole (what rounding
 * does is test-kernels.c's to say). Behind the last a guard that nothing may touch. */
static float *numbers(size_t count)
{
    float *x = malloc((count + GUARD) * sizeof *x);

    for (size_t i = 0; i < count; i++)
        x[i] = (float)round(ft_random_normal(&dice) * 64) / 64;
    for (size_t i = count; i < count + GUARD; i++)
        x[i] = 12345;
    return x;
}

static float *copy(const float *x, size_t count)
{
    float *y = malloc((count + GUARD) * sizeof *y);

    memcpy(y, x, (count + GUARD) * sizeof *y);
    return y;
}

/* What is to be written, all of it. */
static float *blank(size_t count)
{
    float *x = numbers(count);

    for (size_t i = 0; i < count; i++)
        x[i] = NAN;
    return x;
}

static bool same(const float *a, const float *b, size_t count)
{
    return memcmp(a, b, (count + GUARD) * sizeof *a) == 0;
}

/* Relative to the largest number wanted; the guard as it was. */
static double distance(const float *got, const float *want, size_t count)
{
    double worst = 0, largest = 1e-6;

    for (size_t i = 0; i < count + GUARD; i++) {
        if (isnan(got[i]) != isnan(want[i]) || (i >= count && got[i] != 12345))
            return INFINITY;
        worst = fmax(worst, fabs((double)got[i] - want[i]));
        if (i < count)
            largest = fmax(largest, fabs(want[i]));
    }
    return worst / largest;
}

struct map {
    struct ft_windows g;
    size_t S, K, in, out;        /* taps, numbers of the map and of what comes out, all items */
};

/* One side of the map: as many windows as fit, when there are `before` and `after` places beyond the ends. */
static size_t side(size_t kernel, size_t stride, size_t *size, size_t *before)
{
    size_t after = pick(0, kernel - 1), most = pick(0, 4) == 0 ? 40 : 9;

    *before = pick(0, kernel - 1);
    do
        *size = pick(1, most);
    while (*size + *before + after < kernel);
    return (*size + *before + after - kernel) / stride + 1;
}

static struct map map_draw(void)
{
    static const size_t kernels[] = {1, 2, 3, 3, 3, 4, 5, 5, 7, 9};
    struct map m = {.g = {.kernel = kernels[pick(0, 9)], .stride = pick(1, 6) % 3 + 1}, .S = pick(1, 3)};

    m.g.channels = pick(0, 2) == 0 ? 16 * pick(1, 4) : pick(1, 70);
    m.g.out_height = side(m.g.kernel, m.g.stride, &m.g.height, &m.g.above);
    m.g.out_across = side(m.g.kernel, m.g.stride, &m.g.across, &m.g.left);
    m.K = m.g.kernel * m.g.kernel;
    m.in = m.S * m.g.height * m.g.across * m.g.channels;
    m.out = m.S * m.g.out_height * m.g.out_across * m.g.channels;
    return m;
}

static bool gather_is_plain(const struct ft_kernels *k, const struct map *m)
{
    size_t windows = m->out / m->g.channels, from = pick(0, windows), until = pick(from, windows), first = pick(0, m->K - 1);
    size_t taps = pick(0, 1) ? m->K - first : pick(1, m->K - first), count = (until - from) * taps * m->g.channels;
    float *x = numbers(m->in), *got = blank(count), *want = blank(count);
    bool right;

    k->windows_gather(got, x, &m->g, from, until, first, taps);
    ft_kernels_plain.windows_gather(want, x, &m->g, from, until, first, taps);
    right = same(got, want, count);
    free(x), free(got), free(want);
    return right;
}

static bool scatter_is_plain(const struct ft_kernels *k, const struct map *m)
{
    size_t windows = m->out / m->g.channels, from = pick(0, windows), until = pick(from, windows), count = (until - from) * m->K * m->g.channels;
    float *dcol = numbers(count), *got = numbers(m->in), *want = copy(got, m->in);
    bool right;

    k->windows_scatter(got, dcol, &m->g, from, until);
    ft_kernels_plain.windows_scatter(want, dcol, &m->g, from, until);
    right = same(got, want, m->in);
    free(dcol), free(got), free(want);
    return right;
}

/* The last item alone must have the bits it has among the others. */
static double depthwise_forward(const struct ft_kernels *k, const struct map *m)
{
    size_t C = m->g.channels, one = m->out / m->S;
    enum ft_activation f = (enum ft_activation)pick(FT_IDENTITY, FT_RELU6);
    float *x = numbers(m->in), *w = numbers(m->K * C), *b = numbers(C), *got = blank(m->out), *want = blank(m->out), *alone = blank(one);
    const float *bias = pick(0, 1) ? b : NULL;
    double apart;

    k->depthwise_forward(f, got, x, w, bias, &m->g, m->S);
    ft_kernels_plain.depthwise_forward(f, want, x, w, bias, &m->g, m->S);
    k->depthwise_forward(f, alone, x + m->in / m->S * (m->S - 1), w, bias, &m->g, 1);
    apart = same(alone, got + m->out - one, one) ? distance(got, want, m->out) : INFINITY;
    free(x), free(w), free(b), free(got), free(want), free(alone);
    return apart;
}

static double depthwise_backward(const struct ft_kernels *k, const struct map *m)
{
    size_t one = m->in / m->S;
    float *dy = numbers(m->out), *w = numbers(m->K * m->g.channels), *got = blank(m->in), *want = blank(m->in), *alone = blank(one);
    double apart;

    k->depthwise_backward(got, dy, w, &m->g, m->S);
    ft_kernels_plain.depthwise_backward(want, dy, w, &m->g, m->S);
    k->depthwise_backward(alone, dy + m->out / m->S * (m->S - 1), w, &m->g, 1);
    apart = same(alone, got + m->in - one, one) ? distance(got, want, m->in) : INFINITY;
    free(dy), free(w), free(got), free(want), free(alone);
    return apart;
}

/* In slices, the same bits. */
static double depthwise_gradient(const struct ft_kernels *k, const struct map *m)
{
    size_t C = m->g.channels, count = m->K * C, cut = pick(0, C), next = pick(cut, C);
    float *dy = numbers(m->out), *x = numbers(m->in), *got = numbers(count), *want = copy(got, count), *slices = copy(got, count);
    float *db = numbers(C), *db_want = copy(db, C), *db_slices = copy(db, C);
    double apart;

    k->depthwise_gradient(got, db, dy, x, &m->g, m->S, 0, C);
    ft_kernels_plain.depthwise_gradient(want, db_want, dy, x, &m->g, m->S, 0, C);
    k->depthwise_gradient(slices, db_slices, dy, x, &m->g, m->S, 0, cut);
    k->depthwise_gradient(slices, db_slices, dy, x, &m->g, m->S, next, C);
    k->depthwise_gradient(slices, db_slices, dy, x, &m->g, m->S, cut, next);
    apart = same(got, slices, count) && same(db, db_slices, C) ? fmax(distance(got, want, count), distance(db, db_want, C)) : INFINITY;
    free(dy), free(x), free(got), free(want), free(slices), free(db), free(db_want), free(db_slices);
    return apart;
}

/* With a NaN here and there. */
static bool max_pool_is_plain(const struct ft_kernels *k, const struct map *m)
{
    float *x = numbers(m->in), *dy = numbers(m->out), *got = blank(m->out), *want = blank(m->out), *dx = blank(m->in), *dx_want = blank(m->in);
    uint32_t *arg = calloc(m->out + 1, sizeof *arg), *arg_want = calloc(m->out + 1, sizeof *arg);
    bool right;

    for (size_t n = pick(0, 5); n > 0; n--)
        x[pick(0, m->in - 1)] = NAN;
    k->max_pool_forward(got, arg, x, &m->g, m->S);
    ft_kernels_plain.max_pool_forward(want, arg_want, x, &m->g, m->S);
    k->max_pool_backward(dx, dy, arg_want, &m->g, m->S);
    ft_kernels_plain.max_pool_backward(dx_want, dy, arg_want, &m->g, m->S);
    right = distance(got, want, m->out) == 0 && memcmp(arg, arg_want, (m->out + 1) * sizeof *arg) == 0 && same(dx, dx_want, m->in);
    free(x), free(dy), free(got), free(want), free(dx), free(dx_want), free(arg), free(arg_want);
    return right;
}

static double affine(const struct ft_kernels *k, size_t R, size_t W)
{
    enum ft_activation f = (enum ft_activation)pick(FT_IDENTITY, FT_RELU6);
    size_t count = R * W;
    float *x = numbers(count), *dy = numbers(count), *scale = numbers(W), *shift = numbers(W);
    float *y = blank(count), *y_want = blank(count), *again = blank(count), *dz = copy(dy, count), *dz_want = blank(count), *dz_only = blank(count);
    double apart;

    k->affine_forward(f, y, x, scale, shift, R, W);
    ft_kernels_plain.affine_forward(f, y_want, x, scale, shift, R, W);
    k->affine_backward(f, dz, again, dz, x, scale, shift, R, W);
    ft_kernels_plain.affine_backward(f, dz_want, NULL, dy, x, scale, shift, R, W);
    k->affine_backward(f, dz_only, NULL, dy, x, scale, shift, R, W);
    apart = fmax(distance(y, y_want, count), fmax(distance(dz, dz_want, count), distance(dz_only, dz, count)));
    apart = fmax(apart, distance(again, y, count));
    k->affine_forward(f, x, x, scale, shift, R, W);
    apart = same(x, y, count) ? apart : INFINITY;
    free(x), free(dy), free(scale), free(shift), free(y), free(y_want), free(again), free(dz), free(dz_want), free(dz_only);
    return apart;
}

static double columns_mix(const struct ft_kernels *k, size_t R, size_t W)
{
    size_t count = R * W;
    float *x = numbers(count), *z = numbers(count), *a = numbers(W), *b = numbers(W), *c = numbers(W), *got = blank(count), *want = blank(count);
    const float *other = pick(0, 2) ? z : NULL, *by = pick(0, 2) ? b : NULL;
    double apart;

    k->columns_mix(got, x, a, other, by, c, R, W);
    ft_kernels_plain.columns_mix(want, x, a, other, by, c, R, W);
    apart = distance(got, want, count);
    k->columns_mix(x, x, a, other, by, c, R, W);
    apart = same(x, got, count) ? apart : INFINITY;
    free(x), free(z), free(a), free(b), free(c), free(got), free(want);
    return apart;
}

/* In two slices; what is left out is not touched. */
static double columns_sum(const struct ft_kernels *k, size_t R, size_t W)
{
    size_t cut = pick(0, W);
    float *x = numbers(R * W), *z = numbers(R * W), *centre = numbers(W);
    double *sum = calloc(6 * W, sizeof *sum), *want = sum + 3 * W, worst = 0;

    for (size_t i = 0; i < R * W; i++) {
        x[i] = fabsf(x[i]);
        z[i] = fabsf(z[i]) + 5;
    }
    k->columns_sum(sum, NULL, x, NULL, NULL, R, W, cut, W);
    k->columns_sum(NULL, sum + W, x, z, centre, R, W, cut, W);
    k->columns_sum(sum, sum + W, x, z, centre, R, W, 0, cut);
    k->columns_sum(NULL, sum + 2 * W, NULL, z, centre, R, W, 0, W);
    ft_kernels_plain.columns_sum(want, want + W, x, z, centre, R, W, 0, W);
    ft_kernels_plain.columns_sum(NULL, want + 2 * W, NULL, z, centre, R, W, 0, W);
    for (size_t i = 0; i < 3 * W; i++)
        if (want[i] != 0)
            worst = fmax(worst, fabs(sum[i] - want[i]) / want[i]);
        else
            worst = fmax(worst, fabs(sum[i]));
    free(x), free(z), free(centre), free(sum);
    return worst;
}

static double scale(const struct ft_kernels *k, size_t P, size_t C)
{
    size_t S = pick(1, 3), count = S * P * C;
    float *x = numbers(count), *dy = numbers(count), *s = numbers(S * C), *y = blank(count), *y_want = blank(count), *dx = copy(dy, count);
    float *dx_want = blank(count), *ds = blank(S * C), *ds_want = blank(S * C), *ds_only = blank(S * C);
    bool right;
    double apart;

    k->scale_forward(y, x, s, S, P, C);
    ft_kernels_plain.scale_forward(y_want, x, s, S, P, C);
    k->scale_backward(dx, ds, dx, x, s, S, P, C);
    ft_kernels_plain.scale_backward(dx_want, ds_want, dy, x, s, S, P, C);
    right = same(y, y_want, count) && same(dx, dx_want, count);
    k->scale_backward(NULL, ds_only, dy, x, s, S, P, C);
    k->scale_backward(dy, NULL, dy, NULL, s, S, P, C);
    apart = right && same(ds, ds_only, S * C) && same(dy, dx, count) ? distance(ds, ds_want, S * C) : INFINITY;
    free(x), free(dy), free(s), free(y), free(y_want), free(dx), free(dx_want), free(ds), free(ds_want), free(ds_only);
    return apart;
}

static double pixels(const struct ft_kernels *k, size_t R)
{
    const float multiply[3] = {0.017f, 0.0175f, 0.0174f}, add[3] = {-2.1f, -2.0f, -1.8f};
    uint8_t *x = malloc(3 * R);
    float *got = blank(3 * R), *want = blank(3 * R);
    double apart;

    for (size_t i = 0; i < 3 * R; i++)
        x[i] = (uint8_t)pick(0, 255);
    k->pixels_forward(got, x, multiply, add, R);
    ft_kernels_plain.pixels_forward(want, x, multiply, add, R);
    apart = distance(got, want, 3 * R);
    free(x), free(got), free(want);
    return apart;
}

/* Windows of `kernel` along a side, some of them perhaps beyond it altogether. */
static size_t windows_along(const struct ft_windows *g, size_t size, size_t before)
{
    size_t all = size + before + pick(0, g->kernel - 1);

    return (all < g->kernel ? 0 : (all - g->kernel) / g->stride) + 1;
}

/* A map that is convolved, mostly at a stride of one and mostly of whole steps of channels. */
static struct map map_draw_for_convolution(void)
{
    struct map m = map_draw();

    m.g.stride = pick(0, 2) ? 1 : pick(2, 3);
    m.g.channels = pick(0, 9) ? 32 * pick(1, 3) : m.g.channels;
    m.g.across += pick(0, 9) ? 0 : 200;
    m.g.out_height = windows_along(&m.g, m.g.height, m.g.above);
    m.g.out_across = windows_along(&m.g, m.g.across, m.g.left);
    m.S = pick(0, 9) ? m.S : 20;
    m.in = m.S * m.g.height * m.g.across * m.g.channels;
    m.out = m.S * m.g.out_height * m.g.out_across;
    return m;
}

/* The bits of windows gathered and multiplied. */
static bool convolution_forward_is_same(const struct ft_kernels *k, const struct map *m, size_t O, const float *w)
{
    size_t I = m->K * m->g.channels;
    float *x = numbers(m->in), *b = numbers(O), *packed = blank(k->linear_packed(I, O, false)), *col = blank(m->out * I), *got = blank(m->out * O);
    float *want = blank(m->out * O);
    const float *bias = pick(0, 1) ? b : NULL;
    bool right;

    k->linear_pack(packed, w, I, O, false);
    k->windows_gather(col, x, &m->g, 0, m->out, 0, m->K);
    k->linear_forward(want, col, w, packed, bias, m->out, I, O);
    k->convolution_forward(got, x, packed, bias, &m->g, m->S, O);
    right = same(got, want, m->out * O);
    free(x), free(b), free(packed), free(col), free(got), free(want);
    return right;
}

static double convolution_backward(const struct ft_kernels *k, const struct ft_kernels *plain, const struct map *m, size_t O, const float *w)
{
    size_t C = m->g.channels, I = m->K * C;
    float *dy = numbers(m->out * O), *packed = blank(k->linear_packed(C, m->K * O, true)), *turned = blank(O * I), *dcol = blank(m->out * I);
    float *got = blank(m->in), *want = numbers(m->in);
    double apart;

    for (size_t o = 0; o < O; o++)
        for (size_t t = 0; t < m->K; t++)
            memcpy(turned + ((m->K - 1 - t) * O + o) * C, w + (o * m->K + t) * C, C * sizeof *w);
    k->linear_pack(packed, turned, C, m->K * O, true);
    memset(want, 0, m->in * sizeof *want);
    plain->linear_backward(dcol, dy, w, NULL, m->out, I, O);
    plain->windows_scatter(want, dcol, &m->g, 0, m->out);
    k->convolution_backward(got, dy, packed, &m->g, m->S, O);
    apart = distance(got, want, m->in);
    free(dy), free(packed), free(turned), free(dcol), free(got), free(want);
    return apart;
}

/* Against windows gathered; in two slices, and onto what is there. */
static double convolution_gradient(const struct ft_kernels *k, const struct ft_kernels *plain, const struct map *m, size_t O)
{
    size_t C = m->g.channels, I = m->K * C, cut = 32 * pick(0, O / 32);
    float *x = numbers(m->in), *dy = numbers(m->out * O), *col = blank(m->out * I), *want = blank(O * I), *got = numbers(O * I), *turned = blank(O * I);
    float *packed_x = blank(k->convolution_packed(&m->g, m->S, O, false)), *packed_dy = blank(k->convolution_packed(&m->g, m->S, O, true));
    double apart;

    for (size_t i = 0; i < m->in; i++)
        x[i] *= 0.7123f;
    for (size_t o = 0; o < O; o++)
        for (size_t t = 0; t < m->K; t++)
            memcpy(want + (o * m->K + t) * C, got + (t * O + o) * C, C * sizeof *got);
    plain->windows_gather(col, x, &m->g, 0, m->out, 0, m->K);
    plain->linear_gradient(want, NULL, dy, col, NULL, NULL, m->out, I, O, 0, O);
    for (size_t s = 0; s < m->S; s++) {
        k->convolution_pack(packed_x, x, &m->g, m->S, O, s, false);
        k->convolution_pack(packed_dy, dy, &m->g, m->S, O, s, true);
    }
    k->convolution_gradient(got, packed_dy, packed_x, &m->g, m->S, O, cut, O);
    k->convolution_gradient(got, packed_dy, packed_x, &m->g, m->S, O, 0, cut);
    for (size_t o = 0; o < O; o++)
        for (size_t t = 0; t < m->K; t++)
            memcpy(turned + (o * m->K + t) * C, got + (t * O + o) * C, C * sizeof *got);
    apart = distance(turned, want, O * I);
    free(x), free(dy), free(col), free(want), free(got), free(turned), free(packed_x), free(packed_dy);
    return apart;
}

/* Convolutions straight from the map, where the table has them. */
static void test_convolution(const struct ft_kernels *k, enum ft_precision precision)
{
    const struct ft_kernels *plain = ft_kernels_named("plain", precision);
    bool right = true;
    double apart = 0, gradients = 0;
    int forward = 0, backward = 0, gradient = 0;

    for (int i = 0; i < MAPS; i++) {
        struct map m = map_draw_for_convolution();
        size_t O = pick(0, 1) ? 32 * pick(1, 2) : pick(1, 70), I = m.K * m.g.channels;
        float *w = numbers(O * I);

        for (size_t j = 0; j < O * I; j++)
            w[j] *= 0.7123f;
        if (k->convolution_fits(&m.g, O, false) && ++forward)
            right &= convolution_forward_is_same(k, &m, O, w);
        if (m.out * O < 50000 && k->convolution_fits(&m.g, O, true) && ++backward)
            apart = fmax(apart, convolution_backward(k, plain, &m, O, w));
        if (m.out * O < 50000 && k->convolution_gradient_fits(&m.g, O) && ++gradient)
            gradients = fmax(gradients, convolution_gradient(k, plain, &m, O));
        free(w);
    }
    ok(right && forward > MAPS / 3, "%s: convolutions without gathering: the same bits (%d shapes)", k->name, forward);
    ok(gradients < fmax(2e-6, 4 * k->gradient_rounding) && gradient > MAPS / 8, "%s: the gradient by their weight is plain's (%.1e, %d shapes)", k->name,
       gradients, gradient);
    ok(apart < fmax(2e-6, 4 * k->gradient_rounding) && backward > MAPS / 8, "%s: their backward is plain's (%.1e, %d shapes)", k->name, apart, backward);
}

static void test_maps(const struct ft_kernels *k)
{
    bool gather = true, scatter = true, pool = true;
    double forward = 0, backward = 0, gradient = 0;

    for (int i = 0; i < MAPS; i++) {
        struct map m = map_draw();

        gather &= gather_is_plain(k, &m);
        scatter &= scatter_is_plain(k, &m);
        pool &= max_pool_is_plain(k, &m);
        forward = fmax(forward, depthwise_forward(k, &m));
        backward = fmax(backward, depthwise_backward(k, &m));
        gradient = fmax(gradient, depthwise_gradient(k, &m));
    }
    ok(gather && scatter && pool, "%s: windows out (%d) and back (%d), max pooling both ways (%d): plain's bits", k->name, gather, scatter, pool);
    ok(forward < 2e-6 && backward < 1e-6 && gradient < 2e-6, "%s: depthwise forward (%.1e), backward (%.1e), gradient (%.1e) are plain's", k->name,
       forward, backward, gradient);
}

static void test_columns(const struct ft_kernels *k)
{
    double worst[5] = {0};

    for (int i = 0; i < MAPS; i++) {
        size_t R = pick(1, 50), W = pick(0, 9) == 0 ? pick(2000, 5000) : pick(1, 100);

        worst[0] = fmax(worst[0], affine(k, R, W));
        worst[1] = fmax(worst[1], columns_mix(k, R, W));
        worst[2] = fmax(worst[2], columns_sum(k, R, W));
        worst[3] = fmax(worst[3], scale(k, R, W));
        worst[4] = fmax(worst[4], pixels(k, R));
    }
    ok(worst[0] < 2e-6 && worst[1] < 1e-6, "%s: affine with activations (%.1e) and columns_mix (%.1e) are plain's", k->name, worst[0], worst[1]);
    ok(worst[2] < 5e-7 && worst[3] < 1e-6 && worst[4] < 1e-6, "%s: columns_sum (%.1e), scale (%.1e), pixels (%.1e) are plain's", k->name, worst[2],
       worst[3], worst[4]);
}

int main(void)
{
    static const char *const tables[] = {"baseline", "avx2", "avx512"};

    for (int t = 0; t < 3; t++) {
        const struct ft_kernels *k = ft_kernels_named(tables[t], FT_FP32);

        dice = ft_random_start(6, 2026);
        if (k == NULL) {
            ok(true, "%s # SKIP not on this CPU", tables[t]);
            continue;
        }
        test_maps(k);
        test_columns(k);
    }
    for (int precision = 0; precision < FT_PRECISIONS; precision++) {
        const struct ft_kernels *k = ft_kernels_named("amx", (enum ft_precision)precision);

        if (k != NULL && k->convolution_fits != NULL)
            test_convolution(k, (enum ft_precision)precision);
        else
            ok(true, "amx # SKIP not on this CPU");
    }
    return done();
}
