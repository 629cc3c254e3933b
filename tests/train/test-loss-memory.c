/* test-loss-memory.c - losses that remember batches, against pytorch-metric-learning's CrossBatchMemory in float64 over several batches
 * (tests/golden/loss/memory.jsonl, made by make-memory.py there); and what is refused. */
#include "../tap.h"
#include "batches.h"

#include "base/pool.h"

#include <jansson.h>
#include <math.h>

#define GOLDEN "tests/golden/loss/memory.jsonl"

enum { MOST = 4096 };

static double worst_loss, worst_gradient;

static double number_at(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

/* One batch: its loss and gradient, then it is remembered. */
static bool step(const struct ft_losses *losses, struct made *made, const json_t *c, size_t b, float *memory)
{
    static float gradient[MOST];
    const json_t *wanted = json_array_get(json_object_get(c, "gradients"), b);
    double value = 0, want = number_at(json_object_get(c, "values"), b), square = 0, error = 0;
    bool good;

    made->input.weights = memory;
    if (ft_losses_compute(losses, &made->input, &value, gradient, NULL) < 0) {
        printf("# %s\n", ft_error());
        return false;
    }
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        square += number_at(wanted, i) * number_at(wanted, i);
        error = fmax(error, fabs(gradient[i] - number_at(wanted, i)));
    }
    error /= square > 0 ? sqrt(square) : 1;
    good = fabs(value - want) <= 1e-5 * fabs(want) + 1e-9 && error <= 1e-5;
    if (!good)
        printf("# batch %zu: loss %.10g want %.10g, gradient off by %.3g of its norm\n", b + 1, value, want, error);
    if (want != 0)
        worst_loss = fmax(worst_loss, fabs(value / want - 1));
    worst_gradient = fmax(worst_gradient, error);
    return good && ft_losses_remember(losses, &made->layout, &made->input, memory) == 0;
}

static void check_case(const json_t *c)
{
    static float memory[1 << 14];
    const char *loss = json_string_value(json_object_get(c, "loss"));
    const json_t *batches = json_object_get(c, "labels");
    size_t d = (size_t)json_integer_value(json_object_get(c, "d"));
    bool good = true;

    memset(memory, 0, sizeof memory);
    for (size_t b = 0; b < json_array_size(batches); b++) {
        const json_t *labels = json_array_get(batches, b);
        uint64_t seed = (uint64_t)json_integer_value(json_object_get(c, "seed")) + b;
        struct ft_losses *losses;
        struct made made;

        made_init(&made, FT_BATCH_CLASSES, json_array_size(labels), d, json_array_size(labels));
        made_fill(&made, &seed);
        for (size_t i = 0; i < json_array_size(labels); i++) {
            made.label[i] = (int32_t)number_at(labels, i);
            made.row[i] = (int32_t)i;
        }
        made.input.label = made.label;
        losses = made_losses(&made.arena, FT_BATCH_CLASSES, loss, NULL);
        good = good && losses && ft_losses_layout(&made.arena, losses, 0, d, &made.layout) == 0 && made.layout.learnt == 0 &&
               made.layout.floats <= sizeof memory / sizeof *memory && step(losses, &made, c, b, memory);
        ft_arena_free(&made.arena);
    }
    ok(good, "%s over %zu batches", loss, json_array_size(batches));
}

static void check_golden(void)
{
    FILE *file = fopen(GOLDEN, "r");
    json_error_t error;
    json_t *c;
    int cases = 0;

    if (!file) {
        printf("Bail out! %s: run from the top of the tree\n", GOLDEN);
        exit(1);
    }
    for (; (c = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error)); cases++) {
        check_case(c);
        json_decref(c);
    }
    fclose(file);
    printf("# worst: loss %.2g relative, gradient %.2g of its norm\n", worst_loss, worst_gradient);
    ok(cases >= 36, "%d cases", cases);
}

/* Items of unknown label are not remembered, and those that are come back in turn; sizes of embedding are cut from what is remembered. */
static void check_random(void)
{
    static float memory[256], gradient[MOST], again[MOST];
    struct made made;
    struct ft_losses *losses, *sizes;
    double value, other;
    uint64_t count;

    made_random(&made, FT_BATCH_RANDOM, 6, 4, 3);
    for (size_t i = 0; i < 6; i++)
        made.label[i] = (int32_t)(i % 3) - 1;
    losses = made_losses(&made.arena, FT_BATCH_RANDOM, "supcon:memory_size=5", NULL);
    sizes = made_losses(&made.arena, FT_BATCH_RANDOM, "supcon:memory_size=5,matryoshka_dims=4", NULL);
    made.input.weights = memory;
    ok(losses && sizes && ft_losses_layout(&made.arena, losses, 0, 4, &made.layout) == 0 && made.layout.floats == 32 &&
       strcmp(made.layout.tensor[0].name, "supcon.memory") == 0, "2 + 5 (1 + 4) floats, rounded up");
    ok(ft_losses_remember(losses, &made.layout, &made.input, memory) == 0 && memcpy(&count, memory, sizeof count) && count == 4,
       "of six items four have labels, and are remembered");
    ok(ft_losses_remember(losses, &made.layout, &made.input, memory) == 0 && memcpy(&count, memory, sizeof count) && count == 8, "and again");
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) == 0 && ft_losses_compute(sizes, &made.input, &other, again, NULL) == 0 &&
       fabs(value - other) < 1e-6 * value, "whole embeddings as one size: the same loss");
    made.embedding[5] = NAN;
    ok(ft_losses_memorable(losses, &made.input) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), "embedding 1 is not finite"), "%s", ft_error());
    made.input.weights = NULL;
    ok(ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && ft_error_status() == FT_USAGE && strstr(ft_error(), "lives in a run"), "%s",
       ft_error());
    ft_arena_free(&made.arena);
}

static void refused(enum ft_batch_kind kind, const char *loss, const char *miner, const char *want)
{
    static float memory[1 << 14], gradient[MOST];
    struct made made;
    struct ft_losses *losses;
    double value;

    made_random(&made, kind, 12, 6, 9);
    losses = made_losses(&made.arena, kind, loss, miner);
    made.input.weights = memory;
    ok((!losses || ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0) && ft_error_status() == FT_USAGE && strstr(ft_error(), want),
       "%s over %s: %s", loss, ft_batch_kind_name(kind), ft_error());
    ft_arena_free(&made.arena);
}

int main(void)
{
    ft_pool_set_threads(2);
    check_golden();
    check_random();
    refused(FT_BATCH_CLASSES, "supcon:memory_size=0", NULL, "expected a whole number");
    refused(FT_BATCH_CLASSES, "supcon:memory_size=1e9", NULL, "expected a whole number");
    refused(FT_BATCH_CLASSES, "supcon:memory_size=x", NULL, "'x' is not a number");
    refused(FT_BATCH_CLASSES, "supcon:memory_size=11", NULL, "memory_size=11 is less than a batch, of 12 items");
    refused(FT_BATCH_CLASSES, "arcface:memory_size=100", NULL, "arcface: memory_size: ");
    refused(FT_BATCH_SCORED, "cosine:memory_size=100", NULL, "cosine: memory_size: ");
    refused(FT_BATCH_PAIRS, "supcon:memory_size=100", NULL, "batches of pairs");
    refused(FT_BATCH_CLASSES, "triplet:memory_size=100,swap=1", NULL, "without swap");
    refused(FT_BATCH_CLASSES, "triplet:memory_size=100", "batch-hard", "takes no miner");
    return done();
}
