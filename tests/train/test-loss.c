/* test-loss.c - every loss, miner, distance and option against pytorch-metric-learning and sentence-transformers in float64
 * (tests/golden/loss/losses.txt and labelled.txt, made by make.py and make-labelled.py there): the loss, how many terms counted, and each
 * element of the gradient. */
#include "../tap.h"
#include "batches.h"
#include "golden-file.h"

#include "base/pool.h"

enum { MOST = 4096 };

static void bail(const char *what)
{
    printf("Bail out! tests/golden/loss: %s\n", what);
    exit(1);
}

static void read_inputs(FILE *file, struct made *made, uint64_t seed)
{
    struct ft_loss_input *input = &made->input;
    size_t n = input->n, d = input->d;

    made_fill(made, &seed);
    expect(file, "near");
    for (long count = next_long(file); count > 0; count--) {
        size_t to = (size_t)next_long(file), from = (size_t)next_long(file);
        double e = (double)next_long(file);

        if (to >= n || from >= n)
            bail("near: no such item");
        for (size_t k = 0; k < d; k++)
            made->embedding[to * d + k] = (float)((double)made->embedding[from * d + k] + e / 1000 * (made_word(&seed) / 1000.0));
    }
    expect(file, "labels");
    if (next_long(file))
        for (size_t i = 0; i < n; i++)
            made->label[i] = (int32_t)next_long(file), input->label = made->label;
    expect(file, "roles");
    if (next_long(file))
        for (size_t i = 0; i < n; i++)
            made->role[i] = (uint8_t)next_long(file), input->role = made->role;
    expect(file, "rows");
    if (next_long(file))
        for (size_t i = 0; i < n; i++)
            made->row[i] = (int32_t)next_long(file);
    expect(file, "scores");
    if (next_long(file))
        for (size_t r = 0; r < input->rows; r++)
            made->score[r] = (float)next_double(file), input->score = made->score;
}

/* The largest error of an element as a share of the gradient's norm; of 1 where the gradient is 0. */
static double gradient_error(FILE *file, const float *got, size_t count)
{
    double square = 0, worst = 0;

    for (size_t i = 0; i < count; i++) {
        double want = next_double(file), error = fabs(got[i] - want);

        square += want * want;
        if (!(error <= worst))
            worst = error;
    }
    return square > 0 ? worst / sqrt(square) : worst;
}

static double worst_loss, worst_gradient;

static void check_case(FILE *file)
{
    static float gradient[MOST];
    char name[64], kind_name[32], loss[256], miner[256], what[768];
    long n, d, rows, seed, want_counted;
    enum ft_batch_kind kind;
    struct made made;
    struct ft_losses *losses;
    double value = 0, want, error;
    uint64_t counted = 0;
    int rc = -1;

    if (fscanf(file, "%63s %31s %ld %ld %ld %ld %255s %255s", name, kind_name, &n, &d, &rows, &seed, loss, miner) != 8 ||
        ft_batch_kind_parse(ft_string_of(kind_name), &kind) < 0 || n * d > MOST)
        bail("not a case");
    made_init(&made, kind, (size_t)n, (size_t)d, (size_t)rows);
    read_inputs(file, &made, (uint64_t)seed);
    expect(file, "value");
    want = next_double(file);
    want_counted = next_long(file);
    expect(file, "gradient");
    losses = made_losses(&made.arena, kind, loss, strcmp(miner, "-") == 0 ? NULL : miner);
    if (losses)
        rc = ft_losses_compute(losses, &made.input, &value, gradient, &counted);
    error = gradient_error(file, gradient, (size_t)(n * d));
    snprintf(what, sizeof what, "%s %s %s", name, loss, miner);
    if (!ok(rc == 0 && fabs(value - want) <= 2e-6 * fabs(want) + 1e-9 && error <= 1e-5 && counted == (uint64_t)want_counted, "%s", what))
        printf("# %s loss %.10g want %.10g, counted %lu want %ld, gradient off by %.3g of its norm\n", rc ? ft_error() : "",
               value, want, (unsigned long)counted, want_counted, error);
    if (want != 0 && fabs(value / want - 1) > worst_loss)
        worst_loss = fabs(value / want - 1);
    if (error > worst_gradient)
        worst_gradient = error;
    ft_arena_free(&made.arena);
}

static void check_file(const char *name, int least)
{
    FILE *file = fopen(name, "r");
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
    ok(cases >= least, "%s: %d cases", name, cases);
}

int main(void)
{
    ft_pool_set_threads(2);
    check_file("tests/golden/loss/losses.txt", 28);
    check_file("tests/golden/loss/labelled.txt", 715);
    printf("# worst: loss %.2g relative, gradient %.2g of its norm\n", worst_loss, worst_gradient);
    return done();
}
