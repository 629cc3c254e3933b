/* test-frozen.c - the frozen prefix of a model, kept: the rows it would make, made once for an item, given to the forward and the backward with the same
 * bits; and what has no such prefix. */
#include "train/frozen.h"
#include "base/error.h"
#include "model/encode.h"
#include "../tap.h"

#include <stdlib.h>

static struct ft_arena arena;

static struct ft_model *open_model(float rate, const char *frozen)
{
    struct ft_model *model = ft_model_open("tests/golden/model/mean", NULL);

    for (int i = 0; model && i < model->node_count; i++)
        model->nodes[i].rate = rate;
    if (!model || ft_model_freeze(model, frozen, true) < 0)
        return NULL;
    return model;
}

static int encode(const struct ft_model *model, const char *const *texts, size_t count, struct ft_packed *packed)
{
    const struct ft_prompts none = {{NULL}};
    struct ft_string text[8];

    for (size_t i = 0; i < count; i++)
        text[i] = ft_string_of(texts[i]);
    return ft_encode_texts(&arena, model, &none, 0, text, NULL, count, packed);
}

/* Forward and backward of a batch, in chunks of two; with the prefix given or not. */
static int work(struct ft_runner *r, const struct ft_model *model, const struct ft_packed *packed, const float *given, float *out, float *gradient)
{
    float *dout = ft_arena_zero(&arena, packed->texts * model->dim, sizeof *dout);
    struct ft_cut cut;

    if (ft_cut_make(&arena, packed, 2, &cut) < 0 || ft_runner_batch(r, packed, &cut, 1, 1) < 0)
        return -1;
    if (given)
        ft_runner_give(r, given);
    if (ft_runner_forward_only(r, 0, out) < 0 || ft_runner_forward(r, 0, cut.chunk_count, out) < 0)
        return -1;
    for (size_t i = 0; i < packed->texts * model->dim; i++)
        dout[i] = (float)sin(3.0 * (double)i);
    return ft_runner_backward(r, 0, cut.chunk_count, dout, gradient);
}

/* The rows of item 1. */
static struct ft_span rows_of(const struct ft_packed *packed, bool of_items)
{
    return of_items ? (struct ft_span){1, 1} : (struct ft_span){packed->offset[1], packed->offset[2] - packed->offset[1]};
}

static void test_given(const char *frozen, bool items)
{
    static const char *const one[] = {"the cat sat", "a dog", "x", "play music on the web", "a dog"}, *const two[] = {"zebra", "a dog", "the cat sat"};
    struct ft_model *model = open_model(0, frozen);
    struct ft_runner *r = model ? ft_runner_open(model, FT_PLAN_TRAINING, FT_FP32) : NULL;
    struct ft_frozen *f = r ? ft_frozen_open(r, 0) : NULL;
    struct ft_packed packed, other;
    const float *rows;
    float *out[2], *gradient[2], *kept;
    size_t width, size;
    bool of_items;
    const char *random;

    if (!ok(f && encode(model, one, 5, &packed) == 0 && encode(model, two, 3, &other) == 0, "%s: a frozen prefix: %s", frozen, ft_error()))
        return;
    width = ft_runner_prefix(r, &of_items, &random);
    ok(width == 20 && of_items == items && !random, "%s: of %zu numbers %s", frozen, width, items ? "an item" : "a token");
    for (int i = 0; i < 2; i++) {
        out[i] = ft_arena_zero(&arena, 5 * model->dim, sizeof(float));
        gradient[i] = ft_arena_zero(&arena, model->block_count, sizeof(float));
    }
    rows = ft_frozen_rows(f, &packed);
    ok(rows && work(r, model, &packed, NULL, out[0], gradient[0]) == 0 && work(r, model, &packed, rows, out[1], gradient[1]) == 0, "%s: runs", frozen);
    ok(memcmp(out[0], out[1], 5 * model->dim * sizeof(float)) == 0 && memcmp(gradient[0], gradient[1], model->block_count * sizeof(float)) == 0,
       "%s: embeddings and gradients are the same bytes with what was kept", frozen);
    size = rows_of(&packed, items).count * width;
    kept = ft_arena_take(&arena, size * sizeof *kept);
    memcpy(kept, rows + rows_of(&packed, items).first * width, size * sizeof *kept);
    for (size_t i = 0; i < model->block_count; i++)
        model->block[i] *= 1.5f;
    rows = ft_frozen_rows(f, &other);
    ok(rows && memcmp(kept, rows + rows_of(&other, items).first * width, size * sizeof *kept) == 0, "%s: an item met before is not computed again", frozen);
    encode(model, two, 3, &other);
    ft_frozen_close(f);
    f = ft_frozen_open(r, 0);
    rows = ft_frozen_rows(f, &other);
    ok(rows && memcmp(kept, rows + rows_of(&other, items).first * width, size * sizeof *kept) != 0, "%s: by another model it would be another", frozen);
    ft_frozen_close(f);
    ft_runner_close(r);
    ft_model_close(model);
}

static void test_refused(float rate, const char *frozen, const char *says)
{
    struct ft_model *model = open_model(rate, frozen);
    struct ft_runner *r = model ? ft_runner_open(model, FT_PLAN_TRAINING, FT_FP32) : NULL;

    ok(r && !ft_frozen_open(r, 0) && ft_error_status() == FT_USAGE && strstr(ft_error(), says), "refused: %s", ft_error());
    ft_runner_close(r);
    ft_model_close(model);
}

int main(void)
{
    setenv("FT_CPU", "plain", 1);   /* whose products give a row the same bits in any company */
    test_given("below:encoder.layer.1.output.LayerNorm", false);
    test_given("below:encoder.layer.1.attention.self", false);
    test_given("below:encoder.layer.0.intermediate.act", false);
    test_given("*", true);
    test_refused(.1f, "below:encoder.layer.1.output.LayerNorm", "embeddings.dropout is frozen and drops out");
    test_refused(0, "encoder.layer.1.*", "no part of the model is frozen");
    ft_arena_free(&arena);
    return done();
}
