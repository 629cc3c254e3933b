/* test-maps.c - steps over images' maps, in two small models built by hand: a convolutional one with every such node, and a transformer over patches. Fused
 * against unfused, training against evaluation, gradients against central differences, with running statistics and with the chunk's own. */
#include "base/pool.h"
#include "base/random.h"
#include "model/model-build.h"
#include "model/run/runner.h"
#include "../tap.h"

#include <stdlib.h>

enum { ITEMS = 6, HEIGHT = 20, ACROSS = 18, PIXELS = HEIGHT * ACROSS * 3 };

static struct ft_arena arena;

static double draw(uint32_t number)
{
    return ft_philox(7, number, 0, 0, 0).word[0] / 4294967296.0 - .5;
}

static int convolution(struct ft_builder *b, int input, size_t width, size_t kernel, size_t stride, bool depthwise, bool bias, const char *name)
{
    struct ft_node in = *ft_build_at(b, input), *at;
    int node = ft_build_node(b, FT_OP_CONVOLUTION, width, input, -1, -1, "%s", name);
    const size_t shape[4] = {width, depthwise ? 1 : in.width, kernel, kernel};

    ft_build_give(b, node, ft_build_shaped(b, name, "weight", 4, shape, FT_BUILD_DECAY));
    if (bias)
        ft_build_give(b, node, ft_build_parameter(b, name, "bias", 1, width, FT_BUILD_VECTOR));
    at = ft_build_at(b, node);
    at->kernel = kernel;
    at->stride = stride;
    at->groups = depthwise ? width : 1;
    at->above = at->left = kernel == stride ? 0 : (kernel - 1) / 2;
    at->height = (in.height + 2 * at->above - kernel) / stride + 1;
    at->across = (in.across + 2 * at->left - kernel) / stride + 1;
    return node;
}

static int same_size(struct ft_builder *b, int node, int input)
{
    ft_build_at(b, node)->height = ft_build_at(b, input)->height;
    ft_build_at(b, node)->across = ft_build_at(b, input)->across;
    return node;
}

static int norm(struct ft_builder *b, int input, const char *name)
{
    size_t width = ft_build_at(b, input)->width;
    int node = ft_build_node(b, FT_OP_BATCH_NORM, width, input, -1, -1, "%s", name);

    ft_build_give(b, node, ft_build_parameter(b, name, "weight", 1, width, FT_BUILD_VECTOR));
    ft_build_give(b, node, ft_build_parameter(b, name, "bias", 1, width, FT_BUILD_VECTOR));
    ft_build_give(b, node, ft_build_parameter(b, name, "running_mean", 1, width, FT_BUILD_VECTOR | FT_BUILD_STATISTIC));
    ft_build_give(b, node, ft_build_parameter(b, name, "running_var", 1, width, FT_BUILD_VECTOR | FT_BUILD_STATISTIC));
    ft_build_at(b, node)->epsilon = 1e-3f;
    ft_build_at(b, node)->momentum = .1f;
    return same_size(b, node, input);
}

static int activate(struct ft_builder *b, int input, enum ft_activation f, const char *name)
{
    return same_size(b, ft_build_activation(b, input, ft_build_at(b, input)->width, f, name), input);
}

static int pixels(struct ft_builder *b)
{
    int node = ft_build_node(b, FT_OP_PIXELS, 3, -1, -1, -1, "pixels");
    struct ft_node *at = ft_build_at(b, node);

    at->height = HEIGHT;
    at->across = ACROSS;
    for (int c = 0; c < 3; c++) {
        at->multiply[c] = .015f + .002f * (float)c;
        at->add[c] = -1.8f - .1f * (float)c;
    }
    return node;
}

/* A stem, max pooling, a block with depthwise convolution, squeeze and excitation and a residual, one of the width that products
 * take whole, a strided convolution, a strided 1 x 1. */
static int convolutional(struct ft_builder *b)
{
    int n = pixels(b), block, gate;

    n = activate(b, norm(b, convolution(b, n, 20, 3, 1, false, false, "stem"), "stem_norm"), FT_RELU6, "stem_relu");
    block = n;
    n = ft_build_node(b, FT_OP_MAX_POOL, 20, n, -1, -1, "max_pool");
    ft_build_at(b, n)->kernel = 3;
    ft_build_at(b, n)->stride = 2;
    ft_build_at(b, n)->above = ft_build_at(b, n)->left = 1;
    ft_build_at(b, n)->height = (ft_build_at(b, block)->height - 1) / 2 + 1;
    ft_build_at(b, n)->across = (ft_build_at(b, block)->across - 1) / 2 + 1;
    block = n;
    n = activate(b, norm(b, convolution(b, n, 33, 1, 1, false, false, "expand"), "expand_norm"), FT_SILU, "expand_silu");
    n = activate(b, norm(b, convolution(b, n, 33, 5, 1, true, false, "deep"), "deep_norm"), FT_SILU, "deep_silu");
    gate = ft_build_node(b, FT_OP_POOL, 33, n, -1, -1, "squeeze");
    gate = ft_build_activation(b, ft_build_linear(b, gate, 33, 6, true, "reduce", "reduce"), 6, FT_SILU, "reduce_silu");
    gate = ft_build_activation(b, ft_build_linear(b, gate, 6, 33, true, "excite", "excite"), 33, FT_SIGMOID, "excite_sigmoid");
    n = same_size(b, ft_build_node(b, FT_OP_SCALE, 33, n, gate, -1, "scale"), n);
    n = norm(b, convolution(b, n, 20, 1, 1, false, false, "project"), "project_norm");
    n = same_size(b, ft_build_node(b, FT_OP_ADD, 20, n, block, -1, "add"), n);
    n = activate(b, n, FT_RELU, "relu");
    block = n;
    n = norm(b, convolution(b, n, 20, 3, 1, false, false, "basic"), "basic_norm");
    n = activate(b, same_size(b, ft_build_node(b, FT_OP_ADD, 20, n, block, -1, "basic_add"), n), FT_RELU, "basic_relu");
    n = convolution(b, n, 32, 3, 1, false, false, "wide");
    n = activate(b, norm(b, convolution(b, n, 32, 3, 1, false, false, "straight"), "straight_norm"), FT_SILU, "straight_silu");
    n = convolution(b, n, 24, 3, 2, false, true, "strided");
    n = activate(b, n, FT_TANH, "tanh");
    n = activate(b, norm(b, convolution(b, n, 24, 3, 2, true, true, "deep_strided"), "last_norm"), FT_IDENTITY, "nothing");
    n = convolution(b, n, 17, 1, 2, false, false, "down");
    return ft_build_node(b, FT_OP_POOL, 17, n, -1, -1, "pool");
}

static int patches(struct ft_builder *b)
{
    int n = convolution(b, pixels(b), 16, 4, 4, false, true, "patch"), q[3], attention;
    const size_t shape[3] = {1, 1, 16}, places[3] = {1, 1 + ft_build_at(b, n)->height * ft_build_at(b, n)->across, 16};
    static const char *const names[] = {"query", "key", "value"};
    int tokens = ft_build_node(b, FT_OP_TOKENS, 16, n, -1, -1, "tokens"), normed;

    ft_build_give(b, tokens, ft_build_shaped(b, "tokens", "class", 3, shape, 0));
    ft_build_give(b, tokens, ft_build_shaped(b, "tokens", "place", 3, places, 0));
    normed = ft_build_norm(b, tokens, 16, 1e-6, "norm");
    for (int i = 0; i < 3; i++)
        q[i] = ft_build_linear(b, normed, 16, 16, true, names[i], names[i]);
    attention = ft_build_node(b, FT_OP_ATTENTION, 16, q[0], q[1], q[2], "attention");
    ft_build_at(b, attention)->attention.heads = 2;
    n = ft_build_node(b, FT_OP_ADD, 16, attention, tokens, -1, "add");
    n = ft_build_node(b, FT_OP_POOL, 16, n, -1, -1, "pool");
    ft_build_at(b, n)->pooling = FT_POOL_CLS;
    return n;
}

static struct ft_model *build(int (*make)(struct ft_builder *), size_t rows_each)
{
    struct ft_model *model = calloc(1, sizeof *model);
    struct ft_builder b = {.model = model, .file = ""};
    int last = make(&b);

    if (ft_build_finish(&b) < 0)
        exit(1);
    model->input = FT_INPUT_IMAGE;
    model->height = HEIGHT;
    model->across = ACROSS;
    model->rows_each = rows_each;
    model->dim = model->nodes[last].width;
    model->block = aligned_alloc(64, (model->block_count + 16) / 16 * 64);
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];
        bool is_norm = p->rank == 1 && strstr(p->name, "norm.weight"), variance = strstr(p->name, "running_var") != NULL;
        double scale = p->rank == 1 ? .5 : 2 / sqrt((double)p->columns);

        for (size_t k = 0; k < p->rows * p->columns; k++)
            model->block[p->offset + k] = (float)(draw((uint32_t)(i * 100000) + (uint32_t)k) * scale + (is_norm ? 1 : variance ? .8 : 0));
    }
    return model;
}

static struct ft_packed images(size_t rows_each, size_t chunk_rows, size_t shard_rows)
{
    struct ft_packed packed = {.texts = ITEMS, .chunk_rows = chunk_rows, .shard_rows = shard_rows};
    uint8_t *pixel = ft_arena_take(&arena, ITEMS * PIXELS);

    packed.offset = ft_arena_take(&arena, (ITEMS + 1) * sizeof *packed.offset);
    for (size_t i = 0; i <= ITEMS; i++)
        packed.offset[i] = (uint32_t)(i * rows_each);
    for (size_t i = 0; i < ITEMS * PIXELS; i++)
        pixel[i] = (uint8_t)(127.5 + 200 * draw((uint32_t)i + 5000000) + 50 * sin((double)(i % 54) * .3));
    packed.pixel = pixel;
    return packed;
}

/* Embeddings and, for gradient not NULL, the gradient of sum(weight * embedding), which is returned. */
static double run(struct ft_model *model, int flags, const struct ft_packed *packed, size_t together, float *out, float *gradient)
{
    struct ft_runner *runner = ft_runner_open(model, flags, FT_FP32);
    float *dout = ft_arena_take(&arena, ITEMS * model->dim * sizeof *dout);
    struct ft_cut cut;
    double loss = 0;

    for (size_t i = 0; i < ITEMS * model->dim; i++)
        dout[i] = (float)draw((uint32_t)i + 9000000);
    if (!runner || ft_cut_make(&arena, packed, 0, &cut) < 0 || ft_runner_batch(runner, packed, &cut, 1, 1) < 0)
        exit(1);
    if (!gradient && ft_runner_forward_only(runner, 0, out) < 0)
        exit(1);
    for (size_t c = 0; gradient && c < cut.chunk_count; c += together)
        if (ft_runner_forward(runner, c, together, out) < 0 || ft_runner_backward(runner, c, together, dout, gradient) < 0)
            exit(1);
    for (size_t i = 0; i < ITEMS * model->dim; i++)
        loss += (double)dout[i] * out[i];
    ft_runner_close(runner);
    return loss;
}

static double apart(const float *x, const float *y, size_t n)
{
    double square = 0, norm = 0;

    for (size_t i = 0; i < n; i++) {
        square += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
        norm += (double)y[i] * y[i];
    }
    return sqrt(square / (norm > 0 ? norm : 1));
}

/* Each parameter moved along a direction of its own: the loss changes as its gradient says. */
static double worst_slope(struct ft_model *model, const struct ft_packed *packed, const float *gradient, float *out, const char **where)
{
    double worst = 0;

    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];
        size_t n = p->rows * p->columns;
        float *at = model->block + p->offset, *saved = ft_arena_take(&arena, n * sizeof *saved);
        double slope = 0, norm = 0, gradient_norm = 0, loss[2], error, step = 2e-3;

        if (!ft_parameter_learns(p))
            continue;
        memcpy(saved, at, n * sizeof *saved);
        for (size_t k = 0; k < n; k++) {
            norm += (double)saved[k] * saved[k];
            gradient_norm += (double)gradient[p->offset + k] * gradient[p->offset + k];
        }
        /* Along the gradient itself, mixed with noise, so that a wrong scale and a wrong direction both show. */
        for (int side = 0; side < 2; side++) {
            for (size_t k = 0; k < n; k++) {
                double d = gradient[p->offset + k] / sqrt(gradient_norm + 1e-30) + draw((uint32_t)k + 77) / sqrt((double)n);

                if (!side)
                    slope += d * gradient[p->offset + k];
                at[k] = (float)(saved[k] + (side ? -1 : 1) * d * step * sqrt(norm + 1e-3));
            }
            loss[side] = run(model, FT_PLAN_TRAINING, packed, 1, out, NULL);
        }
        memcpy(at, saved, n * sizeof *saved);
        slope *= 2 * step * sqrt(norm + 1e-3);
        error = fabs(loss[0] - loss[1] - slope) / (fabs(slope) + 1e-3);
        if (error > worst) {
            worst = error;
            *where = p->name;
        }
    }
    return worst;
}

static void check_model(const char *name, int (*make)(struct ft_builder *), size_t rows_each, bool own)
{
    struct ft_model *model = build(make, rows_each);
    const struct ft_packed packed = images(rows_each, own ? 0 : 3 * rows_each, 2 * rows_each);
    float *out[3], *gradient[3];
    const char *where = "";
    double worst;

    model->batch_statistics = own;
    for (int i = 0; i < 3; i++) {
        out[i] = ft_arena_zero(&arena, ITEMS * model->dim, sizeof(float));
        gradient[i] = ft_arena_zero(&arena, model->block_count, sizeof(float));
    }
    if (!own) {
        run(model, 0, &packed, 1, out[0], NULL);
        run(model, FT_PLAN_UNFUSED, &packed, 1, out[1], NULL);
        ok(apart(out[0], out[1], ITEMS * model->dim) < 2e-6, "%s: fused as unfused (%.1g)", name, apart(out[0], out[1], ITEMS * model->dim));
    }
    run(model, FT_PLAN_TRAINING, &packed, 1, out[1], gradient[1]);
    if (!own)
        ok(apart(out[1], out[0], ITEMS * model->dim) < 2e-6, "%s: training as evaluation (%.1g)", name, apart(out[1], out[0], ITEMS * model->dim));
    run(model, FT_PLAN_TRAINING, &packed, 1, out[2], NULL);
    ok(memcmp(out[1], out[2], ITEMS * model->dim * sizeof(float)) == 0, "%s: kept or not, the same bits", name);
    run(model, FT_PLAN_TRAINING | FT_PLAN_UNFUSED, &packed, 1, out[2], gradient[2]);
    /* Through a variance of few numbers rounding comes out larger; so it does where the gradients of a gain are told from those of the weights that it went
       into, in which more is summed. */
    ok(apart(out[1], out[2], ITEMS * model->dim) < (own ? 1e-5 : 2e-6) && apart(gradient[1], gradient[2], model->block_count) < 1e-5,
       "%s: gradients fused as unfused (%.1g)", name, apart(gradient[1], gradient[2], model->block_count));
    memset(gradient[2], 0, model->block_count * sizeof(float));
    run(model, FT_PLAN_TRAINING, &packed, own ? 1 : 2, out[2], gradient[2]);
    ok(memcmp(gradient[1], gradient[2], model->block_count * sizeof(float)) == 0, "%s: chunks together or one by one, the same bits", name);
    worst = worst_slope(model, &packed, gradient[1], out[2], &where);
    ok(worst < 2e-2, "%s: gradients as central differences (%.2g at %s)", name, worst, where);
    free(model->block);
    ft_arena_free(&model->arena);
    free(model);
}

static size_t kept_size(const struct ft_model *model, const struct ft_packed *packed)
{
    struct ft_runner *runner = ft_runner_open(model, FT_PLAN_TRAINING, FT_FP32);
    struct ft_cut cut;
    size_t size;

    if (!runner || ft_cut_make(&arena, packed, 0, &cut) < 0 || ft_runner_batch(runner, packed, &cut, 1, 1) < 0)
        exit(1);
    size = ft_runner_kept_size(runner, 0);
    ft_runner_close(runner);
    return size;
}

/* What lies below the first parameter that learns goes through as in evaluation: little of it is kept, and what learns gets the gradient that it had. */
static void check_frozen(void)
{
    struct ft_model *model = build(convolutional, 1);
    const struct ft_packed packed = images(1, 3, 2);
    float *out = ft_arena_zero(&arena, ITEMS * model->dim, sizeof(float)), *whole = ft_arena_zero(&arena, model->block_count, sizeof(float));
    float *part = ft_arena_zero(&arena, model->block_count, sizeof(float)), *where = NULL;
    size_t all = kept_size(model, &packed), few, from = 0;

    run(model, FT_PLAN_TRAINING, &packed, 1, out, whole);
    for (int i = 0; i < model->parameter_count && !where; i++) {
        if (strcmp(model->parameters[i].name, "strided.weight") == 0) {
            where = part + (from = model->parameters[i].offset);
            break;
        }
        model->parameters[i].frozen = true;
    }
    few = kept_size(model, &packed);
    run(model, FT_PLAN_TRAINING, &packed, 1, out, part);
    /* Of what learns not much more is kept than a map a convolution, so it is not half. */
    ok(few * 5 < all * 3, "frozen below: %zu bytes are kept instead of %zu", few, all);
    ok(where && apart(where, whole + from, model->block_count - from) < 1e-5, "and what learns gets the same gradient (%.1g)",
       apart(where, whole + from, model->block_count - from));
    ok(from > 0 && apart(part, whole, from) > .99 && part[0] == 0 && part[from - 20] == 0, "what is frozen gets none");
    free(model->block);
    ft_arena_free(&model->arena);
    free(model);
}

/* An addition of what has gone through an activation: that comes first, whatever is done in one pass. */
/* Where biases alone learn they get the gradient that they had, and nothing else gets any. */
static void check_biases(void)
{
    struct ft_model *model = build(convolutional, 1);
    const struct ft_packed packed = images(1, 3, 2);
    float *out = ft_arena_zero(&arena, ITEMS * model->dim, sizeof(float)), *whole = ft_arena_zero(&arena, model->block_count, sizeof(float));
    float *part = ft_arena_zero(&arena, model->block_count, sizeof(float));
    double far = 0, largest = 0;

    run(model, FT_PLAN_TRAINING, &packed, 1, out, whole);
    for (int i = 0; i < model->parameter_count; i++)
        model->parameters[i].frozen = !strstr(model->parameters[i].name, "norm.bias");
    run(model, FT_PLAN_TRAINING, &packed, 1, out, part);
    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = &model->parameters[i];

        for (size_t k = p->offset; k < p->offset + p->rows * p->columns; k++) {
            far = fmax(far, fabs((double)part[k] - (p->frozen ? 0 : whole[k])));
            largest = fmax(largest, fabs((double)part[k]));
        }
    }
    ok(largest > 0 && far <= 1e-6 * largest, "biases alone: the same gradients (%.1g of %.1g)", far, largest);
    free(model->block);
    ft_arena_free(&model->arena);
    free(model);
}

static int activated_before(struct ft_builder *b)
{
    int n = activate(b, convolution(b, pixels(b), 16, 3, 1, false, true, "stem"), FT_RELU, "stem_relu"), block = n;

    n = activate(b, convolution(b, n, 16, 3, 1, false, true, "inner"), FT_RELU, "inner_relu");
    n = same_size(b, ft_build_node(b, FT_OP_ADD, 16, n, block, -1, "add"), n);
    return ft_build_node(b, FT_OP_POOL, 16, n, -1, -1, "pool");
}

/* The same of a convolution whose norm goes into it, activation and all: what the addition hands on is then not what the convolution goes by. */
static int folded_before(struct ft_builder *b)
{
    int n = activate(b, norm(b, convolution(b, pixels(b), 16, 3, 1, false, false, "stem"), "stem_norm"), FT_RELU, "stem_relu"), block = n;

    n = activate(b, norm(b, convolution(b, n, 16, 3, 1, false, false, "inner"), "inner_norm"), FT_RELU, "inner_relu");
    n = same_size(b, ft_build_node(b, FT_OP_ADD, 16, n, block, -1, "add"), n);
    return ft_build_node(b, FT_OP_POOL, 16, n, -1, -1, "pool");
}

static const float *numbers(const struct ft_model *model, const char *name)
{
    for (int i = 0; i < model->parameter_count; i++)
        if (strcmp(model->parameters[i].name, name) == 0)
            return model->block + model->parameters[i].offset;
    exit(1);
}

/* One training batch, after which running statistics follow; chunk_rows items a chunk. Embeddings and gradients must be finite. */
static bool follow(struct ft_model *model, size_t chunk_rows)
{
    const struct ft_packed packed = images(1, chunk_rows, 1);
    struct ft_runner *runner = ft_runner_open(model, FT_PLAN_TRAINING, FT_FP32);
    float *out = ft_arena_zero(&arena, ITEMS * model->dim, sizeof *out), *dout = ft_arena_zero(&arena, ITEMS * model->dim, sizeof *dout);
    float *gradient = ft_arena_zero(&arena, model->block_count, sizeof *gradient);
    struct ft_cut cut;
    bool finite = true;

    for (size_t i = 0; i < ITEMS * model->dim; i++)
        dout[i] = (float)draw((uint32_t)i + 9000000);
    if (!runner || ft_cut_make(&arena, &packed, 0, &cut) < 0 || ft_runner_batch(runner, &packed, &cut, 1, 1) < 0)
        exit(1);
    for (size_t c = 0; c < cut.chunk_count; c++)
        if (ft_runner_forward(runner, c, 1, out) < 0 || ft_runner_backward(runner, c, 1, dout, gradient) < 0)
            exit(1);
    ft_runner_follow(runner);
    for (size_t i = 0; i < model->block_count; i++)
        finite &= isfinite(gradient[i]) && isfinite(model->block[i]);
    for (size_t i = 0; i < ITEMS * model->dim; i++)
        finite &= isfinite(out[i]);
    ft_runner_close(runner);
    return finite;
}

static void check_follow(void)
{
    struct ft_model *model = build(convolutional, 1);
    float *before = ft_arena_take(&arena, model->block_count * sizeof *before);
    const char *const kept[] = {"stem_norm.running_mean", "stem_norm.running_var"}, *const moved[] = {"last_norm.running_mean", "last_norm.running_var"};
    bool same = true, other = true;

    memcpy(before, model->block, model->block_count * sizeof *before);
    ok(follow(model, ITEMS) && memcmp(before, model->block, model->block_count * sizeof *before) == 0, "norms that keep their statistics do not follow");
    model->batch_statistics = true;
    if (ft_model_freeze(model, "stem_norm", true) < 0)
        exit(1);
    ok(follow(model, 1), "a chunk of one item: finite");
    for (int i = 0; i < 2; i++) {
        same &= memcmp(numbers(model, kept[i]), before + (numbers(model, kept[i]) - model->block), 20 * sizeof(float)) == 0;
        other &= memcmp(numbers(model, moved[i]), before + (numbers(model, moved[i]) - model->block), 24 * sizeof(float)) != 0;
    }
    ok(same && other, "statistics of a frozen norm stay, of others follow");
    free(model->block);
    ft_arena_free(&model->arena);
    free(model);
}

int main(void)
{
    ft_pool_set_threads(2);
    check_model("activated before the addition", activated_before, 1, false);
    check_model("folded before the addition", folded_before, 1, false);
    check_follow();
    check_model("convolutional", convolutional, 1, false);
    check_model("convolutional, own statistics", convolutional, 1, true);
    check_model("patches", patches, 21, false);
    check_frozen();
    check_biases();
    ft_arena_free(&arena);
    return done();
}
