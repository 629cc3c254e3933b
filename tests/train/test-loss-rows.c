/* test-loss-rows.c - losses over rows, and what they need of a teacher, a guide or scores, against sentence-transformers and pytorch-metric-learning in
 * float64 (tests/golden/loss/rows.jsonl, made by make-rows.py there; matryoshka.jsonl, several sizes of embedding at once, by make-matryoshka.py);
 * clip and siglip against open_clip (clip.jsonl, make-clip.py), what they learn too, how it begins and is bounded; the guide's filter and the
 * teacher's dimensions besides. */
#include "../tap.h"
#include "batches.h"

#include "base/pool.h"

#include <jansson.h>

#define GOLDEN "tests/golden/loss/"

enum { MOST = 4096 };

static double worst_loss, worst_gradient, worst_learnt;

static double number_at(const json_t *list, size_t i)
{
    return json_number_value(json_array_get(list, i));
}

static size_t whole(const json_t *object, const char *key)
{
    return (size_t)json_integer_value(json_object_get(object, key));
}

/* [dimensions, seed] of a second model. */
static void second(struct made *made, const json_t *which, const float **x, size_t *d)
{
    uint64_t seed = (uint64_t)number_at(which, 1);
    float *to;

    if (!which)
        return;
    *d = (size_t)number_at(which, 0);
    to = ft_arena_zero(&made->arena, made->input.n, *d * sizeof *to);
    made_vectors(to, made->input.n, *d, &seed);
    *x = to;
}

static void move_near(struct made *made, const json_t *near, uint64_t *seed)
{
    size_t d = made->input.d, i;
    json_t *one;

    json_array_foreach(near, i, one)
        for (size_t k = 0; k < d; k++)
            made->embedding[(size_t)number_at(one, 0) * d + k] =
                (float)((double)made->embedding[(size_t)number_at(one, 1) * d + k] + number_at(one, 2) / 1000 * (made_word(seed) / 1000.0));
}

static void make_case(struct made *made, const json_t *c)
{
    const json_t *rows = json_object_get(c, "rows"), *roles = json_object_get(c, "roles"), *scores = json_object_get(c, "scores");
    const json_t *items = json_object_get(c, "items"), *labels = json_object_get(c, "labels");
    size_t n = json_array_size(rows);
    uint64_t seed = whole(c, "seed");
    enum ft_batch_kind kind;

    if (ft_batch_kind_parse(ft_string_of(json_string_value(json_object_get(c, "kind"))), &kind) < 0)
        exit(1);
    made_init(made, kind, n, whole(c, "d"), (size_t)number_at(rows, n - 1) + 1);
    made_fill(made, &seed);
    move_near(made, json_object_get(c, "near"), &seed);
    for (size_t i = 0; i < n; i++) {
        made->row[i] = (int32_t)number_at(rows, i);
        made->role[i] = (uint8_t)number_at(roles, i);
        made->item_score[i] = (float)number_at(items, i);
        made->label[i] = (int32_t)number_at(labels, i);
    }
    for (size_t r = 0; r < json_array_size(scores); r++)
        made->score[r] = (float)number_at(scores, r);
    made->input.role = roles ? made->role : NULL;
    made->input.label = labels ? made->label : NULL;
    made->input.score = scores ? made->score : NULL;
    made->input.item_score = items ? made->item_score : NULL;
    second(made, json_object_get(c, "teacher"), &made->input.teacher, &made->input.teacher_d);
    second(made, json_object_get(c, "guide"), &made->input.guide, &made->input.guide_d);
}

/* What the loss learns, in the place of how it begins. */
static bool give_weights(struct made *made, const struct ft_losses *losses, const json_t *weights)
{
    if (!losses || !made_weights(made, losses) || (weights && made->layout.count != json_array_size(weights)))
        return false;
    for (size_t i = 0; i < json_array_size(weights); i++)
        made->weights[made->layout.tensor[i].first] = (float)number_at(weights, i);
    return true;
}

/* The worst error of the gradients by what is learnt, each a number, as a share of it. */
static double learnt_error(const struct made *made, const json_t *wanted)
{
    double worst = 0;

    for (size_t i = 0; i < json_array_size(wanted); i++)
        worst = fmax(worst, fabs(made->weights_gradient[made->layout.tensor[i].first] / number_at(wanted, i) - 1));
    return worst;
}

static void check_case(const json_t *c)
{
    static float gradient[MOST];
    const char *loss = json_string_value(json_object_get(c, "loss")), *name = json_string_value(json_object_get(c, "name"));
    const json_t *wanted = json_object_get(c, "gradient");
    double value = 0, want = json_number_value(json_object_get(c, "value")), square = 0, error = 0, learnt;
    struct ft_losses *losses;
    struct made made;
    uint64_t counted = 0;
    int rc = -1;

    make_case(&made, c);
    losses = made_losses(&made.arena, made.input.kind, loss, NULL);
    if (give_weights(&made, losses, json_object_get(c, "weights")))
        rc = ft_losses_compute(losses, &made.input, &value, gradient, &counted);
    learnt = learnt_error(&made, json_object_get(c, "learnt"));
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        square += number_at(wanted, i) * number_at(wanted, i);
        error = fmax(error, fabs(gradient[i] - number_at(wanted, i)));
    }
    error /= square > 0 ? sqrt(square) : 1;
    if (!ok(rc == 0 && fabs(value - want) <= 1e-5 * fabs(want) + 1e-9 && error <= 1e-5 && learnt <= 1e-5 && counted == whole(c, "counted"), "%s %s", name,
            loss))
        printf("# %s loss %.10g want %.10g, counted %lu want %zu, gradient off by %.3g of its norm, what is learnt by %.3g\n", rc ? ft_error() : "",
               value, want, (unsigned long)counted, whole(c, "counted"), error, learnt);
    if (want != 0)
        worst_loss = fmax(worst_loss, fabs(value / want - 1));
    worst_gradient = fmax(worst_gradient, error);
    worst_learnt = fmax(worst_learnt, learnt);
    ft_arena_free(&made.arena);
}

static void check_golden(const char *path, int least)
{
    FILE *file = fopen(path, "r");
    json_error_t error;
    json_t *c;
    int cases = 0;

    if (!file) {
        printf("Bail out! %s: run from the top of the tree\n", path);
        exit(1);
    }
    for (; (c = json_loadf(file, JSON_DISABLE_EOF_CHECK, &error)); cases++) {
        check_case(c);
        json_decref(c);
    }
    fclose(file);
    printf("# worst: loss %.2g relative, gradient %.2g of its norm, learnt %.2g relative\n", worst_loss, worst_gradient, worst_learnt);
    ok(cases >= least, "%d cases", cases);
}

/* Two pairs that say the same: to the guide each positive answers both anchors, so neither is the other's negative. A third is unlike. */
static void check_filter(void)
{
    static const float guide[6][2] = {{1, 0}, {1, .1f}, {1, 0}, {1, .1f}, {0, 1}, {.1f, 1}};
    static const char *const filters[] = {"infonce:margin_strategy=absolute,margin=.001", "gist:margin=.001,temperature=.05"};
    static float gradient[12], moved[12];
    double with, changed;
    struct made made;

    for (size_t f = 0; f < 2; f++) {
        const struct ft_losses *losses, *plain;

        made_random(&made, FT_BATCH_PAIRS, 3, 2, 3);
        losses = made_losses(&made.arena, FT_BATCH_PAIRS, filters[f], NULL);
        plain = made_losses(&made.arena, FT_BATCH_PAIRS, "infonce", NULL);
        made.input.guide = &guide[0][0];
        made.input.guide_d = 2;
        ok(ft_losses_compute(losses, &made.input, &with, gradient, NULL) == 0, "%s", filters[f]);
        /* The second pair turns; the first one's term, alone with the third, must not see it: its anchor's gradient stays. */
        made.embedding[6] += .5f, made.embedding[7] -= .25f;
        ok(ft_losses_compute(losses, &made.input, &changed, moved, NULL) == 0 && changed != with &&
           memcmp(gradient, moved, 2 * sizeof *gradient) == 0, "a false negative is no negative: the anchor's gradient stays");
        made.embedding[6] -= .5f, made.embedding[7] += .25f;
        ok(ft_losses_compute(plain, &made.input, &with, gradient, NULL) == 0, "without a filter");
        made.embedding[6] += .5f, made.embedding[7] -= .25f;
        ok(ft_losses_compute(plain, &made.input, &changed, moved, NULL) == 0 && memcmp(gradient, moved, 2 * sizeof *gradient) != 0,
           "it is one, and the gradient changes");
        ft_arena_free(&made.arena);
    }
}

/* How a loss begins: each of its numbers, and whether a model's own stands for it. */
static void begins(const char *loss, size_t count, const double *wanted, bool own)
{
    struct made made;
    const struct ft_losses *losses;
    struct ft_logits model = {{true, true}, {3.25, -4.5}}, learnt = {.there = {false}};
    bool good;

    made_random(&made, FT_BATCH_PAIRS, 4, 6, 9);
    losses = made_losses(&made.arena, FT_BATCH_PAIRS, loss, NULL);
    good = losses && made_weights(&made, losses) && made.layout.count == count;
    for (size_t i = 0; good && i < count; i++)
        good = fabs(made.weights[made.layout.tensor[i].first] - wanted[i]) < 1e-6 && made.layout.tensor[i].undecayed;
    if (good && count) {
        ft_losses_begin_as(&made.layout, &(struct ft_logits){.there = {false}}, made.weights);
        good = fabs(made.weights[0] - wanted[0]) < 1e-6;
        ft_losses_begin_as(&made.layout, &model, made.weights);
        ft_losses_own(&made.layout, made.weights, &learnt);
        good = good && learnt.there[FT_LOGIT_SCALE] && learnt.there[FT_LOGIT_BIAS] == (count == 2) &&
               fabs(learnt.value[FT_LOGIT_SCALE] - (own ? 3.25 : wanted[0])) < 1e-6 &&
               (count < 2 || fabs(learnt.value[FT_LOGIT_BIAS] - (own ? -4.5 : wanted[1])) < 1e-6);
    }
    ok(good, "%s begins as it should%s", loss, own ? ", or as a model's own" : "");
    ft_arena_free(&made.arena);
}

/* open_clip's clamp_(0, math.log(100)) of logit_scale; logit_bias is free, and so is what has no bounds. */
static void check_bounds(void)
{
    static const float before[] = {-.5f, 0, 2.5f, 4.605f, 4.7f, 1e30f}, after[] = {0, 0, 2.5f, 4.605f, 4.6051702f, 4.6051702f};
    struct made made;
    bool good = true;

    made_random(&made, FT_BATCH_PAIRS, 4, 6, 9);
    if (!made_weights(&made, made_losses(&made.arena, FT_BATCH_PAIRS, "siglip clip", NULL)) || made.layout.count != 3)
        exit(1);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        for (size_t t = 0; t < 3; t++)
            made.weights[made.layout.tensor[t].first] = before[i];
        ft_losses_bound(&made.layout, made.weights);
        good = good && made.weights[0] == after[i] && made.weights[made.layout.tensor[1].first] == before[i] &&
               made.weights[made.layout.tensor[2].first] == after[i];
    }
    ok(good, "logit_scale stays within 0 and log(100), logit_bias where it is");
    ft_arena_free(&made.arena);
}

static void check_temperature(void)
{
    static const char *const bad[] = {"clip:temperature=.001", "clip:temperature=2", "clip:temperature=1e-9,learn=0", "siglip:temperature=.009",
                                      "clip:temperature=-1", "clip:learn=yes", "siglip:bias=nan", "clip:scale=3"};
    struct ft_arena arena = {0};

    begins("clip", 1, (double[]){log(1 / .07)}, true);
    begins("clip:temperature=.05", 1, (double[]){log(20)}, false);
    begins("clip:learn=0", 0, NULL, false);
    begins("siglip", 2, (double[]){log(10), -10}, true);
    begins("siglip:temperature=.5,bias=-3", 2, (double[]){log(2), -3}, false);
    check_bounds();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(!made_losses(&arena, FT_BATCH_PAIRS, bad[i], NULL) && ft_error_status() == FT_USAGE, "%s is refused: %s", bad[i], ft_error());
    ft_arena_free(&arena);
}

static void refused(enum ft_batch_kind kind, const char *loss, bool scores, size_t teacher_d, const char *want)
{
    static float gradient[MOST];
    struct made made;
    const struct ft_losses *losses;
    double value;

    made_random(&made, kind, 4, 6, 9);
    losses = made_losses(&made.arena, kind, loss, NULL);
    made.input.guide = NULL;
    made.input.teacher = teacher_d ? made.teacher : NULL;
    made.input.teacher_d = teacher_d;
    made.input.item_score = scores ? made.item_score : NULL;
    ok(losses && ft_losses_compute(losses, &made.input, &value, gradient, NULL) < 0 && ft_error_status() == FT_BAD && strstr(ft_error(), want),
       "%s is refused: %s", loss, ft_error());
    ft_arena_free(&made.arena);
}

static void asks(enum ft_batch_kind kind, const char *loss, unsigned want)
{
    struct ft_arena arena = {0};
    const struct ft_losses *losses = made_losses(&arena, kind, loss, NULL);

    ok(losses && ft_losses_asks(losses) == want, "%s asks %u", loss, want);
    ft_arena_free(&arena);
}

int main(void)
{
    ft_pool_set_threads(2);
    check_golden(GOLDEN "rows.jsonl", 280);
    check_golden(GOLDEN "matryoshka.jsonl", 28);
    check_golden(GOLDEN "clip.jsonl", 50);
    check_temperature();
    check_filter();
    refused(FT_BATCH_CLASSES, "mse", false, 0, "--teacher MODEL");
    refused(FT_BATCH_CLASSES, "mse", false, 5, "5 dimensions, the model's 6");
    refused(FT_BATCH_TRIPLETS, "margin-mse", false, 0, "a score column");
    refused(FT_BATCH_TRIPLETS, "distill-kl", false, 0, "--as teacher");
    refused(FT_BATCH_PAIRS, "gist", true, 6, "--guide MODEL");
    refused(FT_BATCH_TRIPLETS, "infonce:margin_strategy=relative", true, 6, "--as guide");
    asks(FT_BATCH_PAIRS, "infonce", 0);
    asks(FT_BATCH_PAIRS, "infonce:margin_strategy=absolute", FT_ASKS_GUIDE);
    asks(FT_BATCH_PAIRS, "gist mse", FT_ASKS_GUIDE | FT_ASKS_TEACHER);
    asks(FT_BATCH_TRIPLETS, "margin-mse", FT_ASKS_TEACHER);
    return done();
}
