/* test-embed.c - embeddings of ten tiny BERT directories, each of another make, against sentence-transformers; and what must not change them:
 * the company a text is in, chunks, threads. Numbers: tests/golden/model/make.py. */
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "model/embed.h"
#include "../tap.h"

#include <jansson.h>
#include <stdlib.h>

#define GOLDEN "tests/golden/model/"
enum { MOST = 64 };

struct golden {
    size_t count, dim;
    struct ft_string text[MOST];
    float *want;
};

static struct ft_arena arena;

static int read_golden(const char *path, struct golden *g)
{
    size_t size;
    char *all = ft_file_read(&arena, path, 1 << 20, &size);

    *g = (struct golden){0};
    for (char *line = all, *end; line && *line; line = end + 1, g->count++) {
        json_t *root, *embedding;
        const char *text;

        if (!(end = strchr(line, '\n')) || g->count == MOST)
            return -1;
        root = json_loadb(line, (size_t)(end - line), JSON_ALLOW_NUL, NULL);
        embedding = json_object_get(root, "embedding");
        g->dim = json_array_size(embedding);
        if (!g->want)
            g->want = ft_arena_take(&arena, MOST * g->dim * sizeof(float));
        text = ft_arena_text(&arena, (struct ft_string){json_string_value(json_object_get(root, "text")),
                                                        json_string_length(json_object_get(root, "text"))});
        g->text[g->count] = (struct ft_string){text, json_string_length(json_object_get(root, "text"))};
        for (size_t i = 0; i < g->dim; i++)
            g->want[g->count * g->dim + i] = (float)json_number_value(json_array_get(embedding, i));
        json_decref(root);
    }
    return g->count ? 0 : -1;
}

static double farthest(const float *a, const float *b, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - b[i]) <= most))
            most = fabs((double)a[i] - b[i]);
    return most;
}

/* 2e-6 is meant for coordinates of unit vectors; an embedding that is not normalised has larger ones, and rounding grows with them. */
static double scale_of(const struct golden *g)
{
    double most = 1;

    for (size_t i = 0; i < g->count * g->dim; i++)
        most = fabs(g->want[i]) > most ? fabs(g->want[i]) : most;
    return most;
}

/* 1 - cosine, the largest of all rows. */
static double farthest_angle(const float *a, const float *b, size_t rows, size_t dim)
{
    double most = 0;

    for (size_t r = 0; r < rows; r++) {
        double ab = 0, aa = 0, bb = 0;

        for (size_t i = 0; i < dim; i++) {
            double x = a[r * dim + i], y = b[r * dim + i];

            ab += x * y, aa += x * x, bb += y * y;
        }
        most = fmax(most, 1 - ab / sqrt(aa * bb));
    }
    return most;
}

static bool has_products(const struct ft_model *model)
{
    for (int i = 0; i < model->node_count; i++)
        if (model->nodes[i].op == FT_OP_LINEAR)
            return true;
    return false;
}

/* Embeddings in bf16: within a cosine distance of 1e-3, and not those of fp32 where there are products. */
static void test_bf16(const char *name, const struct ft_model *model, const struct golden *g)
{
    float *out = ft_arena_take(&arena, g->count * g->dim * sizeof(float)), *alone = ft_arena_take(&arena, g->dim * sizeof(float));
    const struct ft_embed_options how = {.precision = FT_BF16};
    double far, one = 0;

    ok(ft_embed_texts(model, &how, g->text, g->count, out) == 0, "%s, bf16: embeds", name);
    far = farthest_angle(out, g->want, g->count, g->dim);
    ok(far <= 1e-3 && (farthest(out, g->want, g->count * g->dim) > 1e-5) == has_products(model), "%s, bf16: within a cosine distance of 1e-3 (farthest %.2g)", name, far);
    for (size_t i = 0; i < g->count; i++)
        if (ft_embed_texts(model, &how, &g->text[i], 1, alone) == 0)
            one = fmax(one, farthest_angle(alone, out + i * g->dim, 1, g->dim));
    ok(one <= 1e-4, "%s, bf16: a text alone is where it is in company (%.2g)", name, one);
}

static void test_directory(const char *name)
{
    struct ft_model *model = ft_model_open(ft_arena_print(&arena, GOLDEN "%s", name), NULL);
    struct ft_embed_options how = {.max_length = 0};
    struct golden g;
    float *out, *alone;
    double far, scale;

    if (!ok(model != NULL, "%s opens: %s", name, ft_error()) || !ok(read_golden(ft_arena_print(&arena, GOLDEN "%s.jsonl", name), &g) == 0, "%s has numbers", name))
        return;
    ok(model->dim == g.dim, "%s: %zu dimensions", name, g.dim);
    out = ft_arena_take(&arena, g.count * g.dim * sizeof(float));
    alone = ft_arena_take(&arena, g.dim * sizeof(float));
    ok(ft_embed_texts(model, &how, g.text, g.count, out) == 0, "%s: embeds %zu texts %s", name, g.count, ft_error());
    far = farthest(out, g.want, g.count * g.dim);
    scale = scale_of(&g);
    ok(far <= 2e-6 * scale, "%s: within 2e-6 of sentence-transformers (farthest %.2g)", name, far);
    far = 0;
    for (size_t i = 0; i < g.count; i++) {
        double one = ft_embed_texts(model, &how, &g.text[i], 1, alone) < 0 ? INFINITY : farthest(alone, out + i * g.dim, g.dim);

        far = one > far ? one : far;
    }
    ok(far <= 1e-6 * scale, "%s: a text alone has the embedding it has in company, but for rounding (%.2g)", name, far);
    how.chunk = 2;
    ok(ft_embed_texts(model, &how, g.text, g.count, out) == 0 && farthest(out, g.want, g.count * g.dim) <= 2e-6 * scale,
       "%s: the same in chunks of two", name);
    test_bf16(name, model, &g);
    ft_model_close(model);
}

/* The real thing, where ft-pull minilm has been: 22 million parameters, six layers. */
static void test_minilm(void)
{
    const char *directory = ft_model_find(&arena, "minilm");
    struct ft_model *model = directory ? ft_model_open(directory, NULL) : NULL;
    struct golden g;
    double far;
    float *out;

    if (!model) {
        ok(true, "MiniLM-L6 # SKIP not here: ft-pull minilm fetches it");
        return;
    }
    if (!ok(read_golden("tests/golden/minilm/embeddings.jsonl", &g) == 0 && g.dim == model->dim, "MiniLM-L6 has numbers"))
        return;
    out = ft_arena_take(&arena, g.count * g.dim * sizeof(float));
    ok(ft_embed_texts(model, &(struct ft_embed_options){.max_length = 0}, g.text, g.count, out) == 0, "MiniLM-L6: embeds");
    far = farthest(out, g.want, g.count * g.dim);
    ok(far <= 2e-6, "MiniLM-L6: within 2e-6 of sentence-transformers (farthest %.2g)", far);
    test_bf16("MiniLM-L6", model, &g);
    ft_model_close(model);
}

/* Embeddings by the prompts of a role, against sentence-transformers with the same. Numbers: tests/golden/prompts/make.py. */
static void test_prompt(const struct ft_model *model, const char *file, const struct ft_prompts *prompts, enum ft_role role)
{
    const char *path = ft_arena_print(&arena, "tests/golden/prompts/%s.jsonl", file);
    struct ft_embedder *embedder = ft_embedder_open(model, &(struct ft_embed_options){.prompts = *prompts});
    struct ft_content content[MOST];
    uint8_t roles[MOST];
    struct golden g;
    float *out;
    double far;

    if (!ok(read_golden(path, &g) == 0 && g.dim == model->dim && embedder, "%s has numbers", file))
        return;
    memset(roles, role, sizeof roles);
    for (size_t i = 0; i < g.count; i++)
        content[i] = (struct ft_content){.text = g.text[i]};
    out = ft_arena_take(&arena, g.count * g.dim * sizeof(float));
    ok(ft_embedder_run(embedder, content, roles, g.count, out) == 0, "%s: embeds", file);
    far = farthest(out, g.want, g.count * g.dim);
    ok(far <= 2e-6, "%s: within 2e-6 of sentence-transformers (farthest %.2g)", file, far);
    ft_embedder_close(embedder);
}

static void test_prompts(void)
{
    const struct ft_prompts two = {{"query: ", "passage: ", NULL, NULL}};
    struct ft_model *model = ft_model_open("tests/golden/prompts/model", NULL), *minilm;
    const char *path = ft_model_find(&arena, "minilm");

    if (ok(model != NULL, "a model with prompts opens: %s", ft_error())) {
        test_prompt(model, "query", &model->prompts, FT_ANCHOR);
        test_prompt(model, "document", &model->prompts, FT_POSITIVE);
        test_prompt(model, "document", &model->prompts, FT_NEGATIVE);
        test_prompt(model, "default", &model->prompts, FT_NO_ROLE);
    }
    ft_model_close(model);
    if (!path || !(minilm = ft_model_open(path, NULL))) {
        ok(true, "MiniLM-L6 with prompts # SKIP not here: ft-pull minilm fetches it");
        return;
    }
    test_prompt(minilm, "minilm-query", &two, FT_ANCHOR);
    test_prompt(minilm, "minilm-document", &two, FT_POSITIVE);
    ft_model_close(minilm);
}

static void test_options(void)
{
    struct ft_model *model = ft_model_open(GOLDEN "mean", NULL);
    const struct ft_embed_options shorter = {.truncate_dim = 8}, prompted = {.prompts.text[FT_NO_ROLE] = "the cat "};
    const struct ft_string text = FT_STRING("sat on the mat"), whole = FT_STRING("the cat sat on the mat");
    float a[64], b[64];
    double norm = 0;

    if (!model)
        return;
    ok(ft_embed_dim(model, &shorter) == 8 && ft_embed_texts(model, &shorter, &text, 1, a) == 0, "--truncate-dim 8");
    for (int i = 0; i < 8; i++)
        norm += (double)a[i] * a[i];
    is_close(norm, 1, 1e-6, "a shortened embedding of a normalising model is unit length again");
    ft_embed_texts(model, &prompted, &text, 1, a);
    ft_embed_texts(model, &(struct ft_embed_options){.max_length = 0}, &whole, 1, b);
    ok(memcmp(a, b, model->dim * sizeof(float)) == 0, "a prompt is the text before the text");
    ok(ft_embed_texts(model, &(struct ft_embed_options){.truncate_dim = 1000}, &text, 1, a) < 0 &&
       ft_error_status() == FT_USAGE, "more dimensions than there are: %s", ft_error());
    ok(ft_embed_texts(model, &(struct ft_embed_options){.max_length = 100000}, &text, 1, a) < 0 &&
       ft_error_status() == FT_USAGE, "more tokens than there are positions: %s", ft_error());
    ft_model_close(model);
}

int main(void)
{
    const char *const names[] = {"mean", "old", "nested", "f16", "bf16", "plain", "cls", "max", "sqrt", "dense", "families/distilbert", "families/roberta", "families/xlm-roberta",
                                 "families/mpnet", "families/t5", "families/sentence-t5", "families/umt5", "families/modernbert", "families/modernbert-old",
                                 "static/model2vec", "static/quantized", "static/bytes", "static/static", "static/wordllama"};

    ft_pool_set_threads(2);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        test_directory(names[i]);
    test_minilm();
    test_options();
    test_prompts();
    ft_arena_free(&arena);
    return done();
}
