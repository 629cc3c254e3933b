/* test-loss-weights.c - losses that learn against pytorch-metric-learning in float64 (tests/golden/loss/weights.txt, made by make-weights.py there):
 * the loss, how many terms counted, and each element of the gradients by the embeddings and by what is learnt. How it begins, and where it lies. */
#include "../tap.h"
#include "batches.h"
#include "golden-file.h"

#include "base/pool.h"

#include <math.h>

#define GOLDEN "tests/golden/loss/weights.txt"

enum { MOST = 16384 };

static void bail(const char *what)
{
    printf("Bail out! %s: %s\n", GOLDEN, what);
    exit(1);
}

/* The formula that make-weights.py calls matrix(). */
static void fill(float *to, size_t rows, size_t columns, uint64_t seed)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            to[i * columns + k] = (float)(made_word(&seed) / 1000.0 * ((double)(i % 5 + 1) / 2));
}

/* The largest error of an element as a share of the gradient's norm; of 1 where the gradient is 0. */
static double gradient_error(FILE *file, const float *got, size_t count)
{
    double square = 0, worst = 0;

    for (size_t i = 0; i < count; i++) {
        double want = next_double(file), error = fabs((double)got[i] - want);

        square += want * want;
        if (!(error <= worst))
            worst = error;
    }
    return square > 0 ? worst / sqrt(square) : worst;
}

static double worst_loss, worst_items, worst_learnt;

static void read_near(FILE *file, struct made *made, uint64_t seed)
{
    size_t d = made->input.d;

    seed += 2;
    for (long count = next_long(file); count > 0; count--) {
        size_t item = (size_t)next_long(file), row = (size_t)next_long(file);
        double e = (double)next_long(file);

        if (item >= made->input.n || row >= made->layout.tensor[0].rows)
            bail("near: no such item or row");
        for (size_t k = 0; k < d; k++)
            made->embedding[item * d + k] = (float)((e < 0 ? -1 : 1) * (double)made->weights[row * d + k] + e / 1000 * (made_word(&seed) / 1000.0));
    }
}

static void check_case(FILE *file)
{
    static float gradient[MOST];
    char name[64], loss[128];
    long n, d, classes, seed, want_counted;
    struct made made;
    struct ft_losses *losses;
    double value = 0, want, items, learnt;
    uint64_t counted = 0;
    int rc = -1;

    if (fscanf(file, "%63s %ld %ld %ld %ld %127s", name, &n, &d, &classes, &seed, loss) != 6 || n * d > MOST)
        bail("not a case");
    made_init(&made, FT_BATCH_CLASSES, (size_t)n, (size_t)d, (size_t)n);
    made.input.label = made.label;
    expect(file, "labels");
    for (long i = 0; i < n; i++)
        made.label[i] = (int32_t)next_long(file);
    losses = made_losses(&made.arena, FT_BATCH_CLASSES, loss, NULL);
    made.input.classes = (size_t)classes;
    if (!losses || !made_weights(&made, losses) || made.layout.count != 1)
        bail(ft_error());
    fill(made.embedding, (size_t)n, (size_t)d, (uint64_t)seed);
    fill(made.weights, made.layout.tensor[0].rows, made.layout.tensor[0].columns, (uint64_t)seed + 1);
    expect(file, "near");
    read_near(file, &made, (uint64_t)seed);
    expect(file, "weights");
    if ((size_t)next_long(file) != made.layout.tensor[0].rows || (size_t)next_long(file) != made.layout.tensor[0].columns)
        bail("weights of another shape");
    expect(file, "value");
    want = next_double(file);
    want_counted = next_long(file);
    rc = ft_losses_compute(losses, &made.input, &value, gradient, &counted);
    expect(file, "gradient");
    items = gradient_error(file, gradient, (size_t)(n * d));
    expect(file, "learnt");
    learnt = gradient_error(file, made.weights_gradient, made.layout.tensor[0].rows * made.layout.tensor[0].columns);
    if (!ok(rc == 0 && fabs(value - want) <= 1e-5 * fabs(want) + 1e-9 && items <= 1e-5 && learnt <= 1e-5 && counted == (uint64_t)want_counted,
            "%s %s", name, loss))
        printf("# %s loss %.10g want %.10g, counted %lu want %ld, gradients off by %.3g and %.3g of their norms\n", rc ? ft_error() : "",
               value, want, (unsigned long)counted, want_counted, items, learnt);
    if (want != 0)
        worst_loss = fmax(worst_loss, fabs(value / want - 1));
    worst_items = fmax(worst_items, items);
    worst_learnt = fmax(worst_learnt, learnt);
    ft_arena_free(&made.arena);
}

static void check_golden(void)
{
    FILE *file = fopen(GOLDEN, "r");
    char word[32];
    int cases = 0;

    if (!file)
        bail("cannot open: run from the top of the tree");
    for (; fscanf(file, "%31s", word) == 1; cases++) {
        if (strcmp(word, "case") != 0)
            bail("expected 'case'");
        check_case(file);
    }
    fclose(file);
    printf("# worst: loss %.2g relative, gradients %.2g and %.2g of their norms\n", worst_loss, worst_items, worst_learnt);
    ok(cases >= 153, "%d cases", cases);
}

/* Mean, deviation and reach of what a loss begins with. */
static void begins(const char *loss, size_t classes, double deviation, double reach)
{
    struct made made;
    struct ft_losses *losses;
    double sum = 0, square = 0, most = 0, count;

    made_init(&made, FT_BATCH_CLASSES, 1, 64, 1);
    made.input.label = made.label;
    made.input.classes = classes;
    losses = made_losses(&made.arena, FT_BATCH_CLASSES, loss, NULL);
    if (!losses || !made_weights(&made, losses))
        bail(ft_error());
    for (size_t i = 0; i < made.layout.learnt; i++) {
        sum += made.weights[i];
        square += (double)made.weights[i] * made.weights[i];
        most = fmax(most, fabs(made.weights[i]));
    }
    count = (double)made.layout.learnt;
    ok(fabs(sum / count) < 4 * deviation / sqrt(count) && fabs(sqrt(square / count) / deviation - 1) < 4 / sqrt(2 * count) && most <= reach * deviation &&
       most > .95 * fmin(reach, 4) * deviation, "%s begins with deviation %.4g: mean %.2g, deviation %.4g, largest %.3g", loss, deviation, sum / count,
       sqrt(square / count), most);
    ft_arena_free(&made.arena);
}

static void check_begin(void)
{
    begins("arcface", 500, 1, 7);
    begins("normalized-softmax", 500, 1, 7);
    begins("proxy-nca", 500, 1, 7);
    begins("proxy-anchor", 500, sqrt(2. / 500), 7);
    begins("soft-triple", 50, 1 / sqrt(3. * 500), sqrt(3));   /* uniform within 1 / sqrt(500) */
}

/* Where in one array several lie, whom a seed gives what, and what is refused. */
static void check_layout(void)
{
    const char *items[] = {"arcface", "2*supcon", "arcface:scale=3", "soft-triple:centers_per_class=2"};
    struct ft_list list = {items, 4};
    struct ft_arena arena = {0};
    struct ft_loss_layout layout;
    struct ft_losses *losses = ft_losses_parse_any(&arena, &list);
    static float a[4096], b[4096], c[4096];

    ok(losses && ft_losses_layout(&arena, losses, 7, 5, &layout) == 0 && layout.count == 3 && layout.learnt == 48 + 48 + 80 &&
       layout.floats == layout.learnt && strcmp(layout.tensor[0].name, "arcface.weight") == 0 &&
       strcmp(layout.tensor[1].name, "arcface-2.weight") == 0 && strcmp(layout.tensor[2].name, "soft-triple.fc") == 0 &&
       layout.tensor[2].rows == 14 && layout.tensor[2].columns == 5 && layout.tensor[2].first == 96, "three tensors in one array");
    ok(ft_losses_begin(&layout, 1, a) == 0 && ft_losses_begin(&layout, 1, b) == 0 && ft_losses_begin(&layout, 2, c) == 0 &&
       memcmp(a, b, sizeof a) == 0 && memcmp(a, c, 35 * sizeof *a) != 0 && memcmp(a, a + 48, 35 * sizeof *a) != 0,
       "one seed, one beginning; another seed and another tensor, others");
    ok(ft_losses_layout(&arena, losses, 0, 5, &layout) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "0 classes"), "%s", ft_error());
    ok(ft_losses_layout(&arena, losses, (size_t)1 << 40, 5, &layout) < 0 && ft_error_status() == FT_BAD, "%s", ft_error());
    ok(ft_losses_layout(&arena, losses, INT32_MAX, 1 << 30, &layout) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "too many"), "%s", ft_error());
    ft_arena_free(&arena);
}

/* A weight scales both gradients; losses beside each other keep their own; labels out of bounds and weights that are not finite are seen. */
static void check_sum(void)
{
    static float alone[MOST], together[MOST];
    struct made one, two;
    struct ft_losses *single, *both;
    double value, sum;
    bool good = true;

    made_random(&one, FT_BATCH_CLASSES, 12, 6, 9);
    made_random(&two, FT_BATCH_CLASSES, 12, 6, 9);
    single = made_losses(&one.arena, FT_BATCH_CLASSES, "cosface:scale=4", NULL);
    both = made_losses(&two.arena, FT_BATCH_CLASSES, "0.5*cosface:scale=4 0.25*cosface:scale=4", NULL);
    if (!single || !both || !made_weights(&one, single) || !made_weights(&two, both))
        bail(ft_error());
    memcpy(two.weights + two.layout.tensor[1].first, two.weights, one.layout.floats * sizeof(float));
    good = ft_losses_compute(single, &one.input, &value, alone, NULL) == 0 && ft_losses_compute(both, &two.input, &sum, together, NULL) == 0;
    for (size_t i = 0; i < 12 * 6; i++)
        good = good && fabsf(together[i] - .75f * alone[i]) <= 1e-6f * fabsf(alone[i]) + 1e-9f;
    for (size_t i = 0; i < one.layout.floats; i++)
        good = good && fabsf(two.weights_gradient[i] - .5f * one.weights_gradient[i]) <= 1e-7f &&
               fabsf(two.weights_gradient[two.layout.tensor[1].first + i] - .25f * one.weights_gradient[i]) <= 1e-7f;
    ok(good && fabs(sum - .75 * value) < 1e-9, "two of a kind, each its own weights");
    one.weights[3] = NAN;
    ok(ft_losses_compute(single, &one.input, &value, alone, NULL) == 0 && isnan(value) && isnan(alone[0]), "weights that are not finite give NaN");
    two.input.classes = 1;
    ok(ft_losses_compute(both, &two.input, &value, alone, NULL) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "1 classes"), "%s", ft_error());
    two.input.weights = NULL;
    ok(ft_losses_compute(both, &two.input, &value, alone, NULL) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), "live in a run"), "%s", ft_error());
    ft_arena_free(&one.arena);
    ft_arena_free(&two.arena);
}

/* The gradient of what is learnt under matryoshka: the sizes' own, weighted. */
static void check_matryoshka(void)
{
    static const char *const losses[] = {"margin:learn_beta=1,matryoshka_dims=6+2,matryoshka_weights=3+.5", "margin:learn_beta=1,matryoshka_dims=6",
                                         "margin:learn_beta=1,matryoshka_dims=2"};
    static float scrap[MOST];
    double learnt[3] = {0}, value;

    for (int i = 0; i < 3; i++) {
        struct made made;
        struct ft_losses *loss;

        made_random(&made, FT_BATCH_CLASSES, 12, 6, 9);
        if (!(loss = made_losses(&made.arena, FT_BATCH_CLASSES, losses[i], NULL)) || !made_weights(&made, loss) ||
            ft_losses_compute(loss, &made.input, &value, scrap, NULL) < 0)
            bail(ft_error());
        learnt[i] = made.weights_gradient[0];
        ft_arena_free(&made.arena);
    }
    is_close(learnt[0], 3 * learnt[1] + .5 * learnt[2], 1e-6 * fabs(learnt[0]), "matryoshka_weights weigh what is learnt too");
    ok(learnt[1] != 0 && fabs(learnt[1] - learnt[2]) > 1e-4, "and the sizes differ");
}

int main(void)
{
    ft_pool_set_threads(2);
    check_matryoshka();
    check_golden();
    check_begin();
    check_layout();
    check_sum();
    return done();
}
