/* test-scorer.c - cross-encoders: tokens and scores of pairs against transformers, whatever company a pair is in; what is refused, by name.
 * Numbers: tests/golden/scorer/make.py. */
#include "base/error.h"
#include "base/file.h"
#include "base/pool.h"
#include "model/embed.h"
#include "../tap.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOLDEN "tests/golden/scorer/"
enum { MOST = 64, IDS = 64 };

struct golden {
    size_t count;
    struct ft_string text[MOST], other[MOST];
    double score[MOST];
    size_t second[MOST], ids[MOST];
    int32_t id[MOST][IDS];
};

static struct ft_arena arena;

static struct ft_string text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    struct ft_string text = {json_string_value(value), json_string_length(value)};

    return (struct ft_string){ft_arena_text(&arena, text), text.size};
}

static int read_golden(const char *path, struct golden *g)
{
    size_t size;
    char *line = ft_file_read(&arena, path, 1 << 20, &size), *end;

    for (g->count = 0; line && *line; line = end + 1, g->count++) {
        json_t *root, *ids;

        if (!(end = strchr(line, '\n')) || g->count == MOST)
            return -1;
        root = json_loadb(line, (size_t)(end - line), 0, NULL);
        ids = json_object_get(root, "ids");
        g->text[g->count] = text_of(root, "text");
        g->other[g->count] = text_of(root, "other");
        g->score[g->count] = json_number_value(json_object_get(root, "score"));
        g->second[g->count] = (size_t)json_integer_value(json_object_get(root, "second"));
        g->ids[g->count] = json_array_size(ids);
        for (size_t i = 0; i < json_array_size(ids) && i < IDS; i++)
            g->id[g->count][i] = (int32_t)json_integer_value(json_array_get(ids, i));
        json_decref(root);
    }
    return g->count ? 0 : -1;
}

static void test_tokens(const char *name, const struct ft_model *model, const struct golden *g)
{
    size_t same = 0;

    for (size_t i = 0; i < g->count; i++) {
        struct ft_tokens tokens = {NULL, 0, 0};
        size_t second = 0;

        same += ft_tokenizer_encode_pair(model->tokenizer, g->text[i], g->other[i], model->max_length, &tokens, &second) == 0 &&
                tokens.count == g->ids[i] && memcmp(tokens.id, g->id[i], tokens.count * sizeof *tokens.id) == 0 && second == g->second[i];
        ft_tokens_free(&tokens);
    }
    ok(same == g->count, "%s: tokens and types of %zu of %zu pairs are transformers'", name, same, g->count);
}

static void test_directory(const char *name)
{
    const struct ft_embed_options how = {.precision = FT_FP32};
    struct ft_model *model = ft_model_open_scorer(ft_arena_print(&arena, GOLDEN "%s", name));
    struct ft_embedder *embedder = model ? ft_embedder_open(model, &how) : NULL;
    static struct golden g;
    float score[MOST], alone;
    double far = 0, company = 0;

    if (!ok(embedder && read_golden(ft_arena_print(&arena, GOLDEN "%s.jsonl", name), &g) == 0, "%s opens: %s", name, ft_error()))
        return;
    ok(model->scorer && model->dim == 1 && model->max_length == 24, "%s: one number for at most 24 tokens", name);
    test_tokens(name, model, &g);
    ok(ft_embedder_score(embedder, g.text, g.other, g.count, score) == 0, "%s: scores", name);
    for (size_t i = 0; i < g.count; i++) {
        far = fmax(far, fabs(score[i] - g.score[i]));
        company = fmax(company, ft_embedder_score(embedder, &g.text[i], &g.other[i], 1, &alone) == 0 ? fabs(alone - score[i]) : 1);
    }
    ok(far <= 1e-5, "%s: %zu scores within 1e-5 of transformers in float64 (farthest %.2g)", name, g.count, far);
    ok(company <= 1e-6, "%s: a pair alone has the score it has in company (%.2g)", name, company);
    ft_embedder_close(embedder);
    ft_model_close(model);
}

/* The types matter: the same pair, all of type 0, has another score; and so does the pair the other way round. */
static void test_sides(void)
{
    const struct ft_embed_options how = {.precision = FT_FP32};
    const struct ft_string text[2] = {FT_STRING("the cat sat"), FT_STRING("a dog")}, other[2] = {FT_STRING("a dog"), FT_STRING("the cat sat")};
    struct ft_model *model = ft_model_open_scorer(GOLDEN "identity");
    struct ft_embedder *embedder = model ? ft_embedder_open(model, &how) : NULL;
    float score[2];

    ok(embedder && ft_embedder_score(embedder, text, other, 2, score) == 0 && fabsf(score[0] - score[1]) > 1e-3f,
       "which text comes first matters");
    ft_embedder_close(embedder);
    ft_model_close(model);
}

/* A copy of identity/ whose file `name` is `content`. */
static void refuse(const char *name, const char *content, const char *message)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"};
    char directory[] = "/tmp/test-scorer-XXXXXX", *top = realpath(GOLDEN "identity", NULL);
    struct ft_model *model;

    if (!mkdtemp(directory) || !top)
        return;
    for (size_t i = 0; i < 4; i++)
        if (strcmp(files[i], name) != 0 && symlink(ft_arena_print(&arena, "%s/%s", top, files[i]),
                                                   ft_arena_print(&arena, "%s/%s", directory, files[i])) < 0)
            return;
    ft_file_write(ft_arena_print(&arena, "%s/%s", directory, name), content, strlen(content));
    model = ft_model_open_scorer(directory);
    ok(!model && strstr(ft_error(), message), "refused: %s (%s)", message, model ? "opened" : ft_error());
    ft_model_close(model);
    for (size_t i = 0; i < 4; i++)
        unlink(ft_arena_print(&arena, "%s/%s", directory, files[i]));
    unlink(ft_arena_print(&arena, "%s/%s", directory, name));
    rmdir(directory);
    free(top);
}

static char *with(const char *from, const char *to)
{
    size_t size;
    char *text = ft_file_read(&arena, GOLDEN "identity/config.json", 1 << 20, &size), *at = text ? strstr(text, from) : NULL;

    return at ? ft_arena_print(&arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) : (char *)"";
}

static void test_refusals(void)
{
    struct ft_model *model = ft_model_open_scorer(GOLDEN "two");
    size_t size;
    char *tokenizer = ft_file_read(&arena, GOLDEN "identity/tokenizer.json", 1 << 20, &size);

    ok(!model && strstr(ft_error(), "2 labels, expected a cross-encoder with one output"), "refused: two labels (%s)", ft_error());
    model = ft_model_open_scorer("tests/golden/model/mean");
    ok(!model && strstr(ft_error(), "architectures 'BertModel': not a cross-encoder"), "refused: an embedding model (%s)", ft_error());
    refuse("config.json", with("\"BertForSequenceClassification\"", ""), "architectures '': not a cross-encoder");
    refuse("config.json", with("torch.nn.modules.linear.Identity", "torch.nn.Softplus"), "'torch.nn.Softplus' is not supported");
    refuse("config.json", with("torch.nn.modules.linear.Identity", "mine.Identity"), "'mine.Identity' is not supported");
    refuse("config.json", with("\"id2label\"", "\"id2name\""), "2 labels");
    refuse("config.json", with("\"type_vocab_size\": 2", "\"type_vocab_size\": 1"), "type_vocab_size is 1, expected 2 or more");
    refuse("config.json", with("\"hidden_size\": 20", "\"hidden_size\": 16"), "shape [106, 20], expected [106, 16]");
    refuse("config_sentence_transformers.json", "{\"activation_fn\": \"torch.nn.Nothing\"}", "torch.nn.Nothing");
    refuse("modules.json", "[{\"type\": \"sentence_transformers.models.Transformer\", \"path\": \"\"},"
           "{\"type\": \"sentence_transformers.models.Dense\", \"path\": \"1_Dense\"}]", "modules behind the Transformer are not supported");
    if (tokenizer) {     /* types of a pair as no BERT has them: opens, but scores nothing */
        char *at = strstr(tokenizer, "\"pair\""), *type = at ? strstr(at, "\"type_id\": 1") : NULL;

        ok(type != NULL, "the template for pairs is there");
        if (type)
            type[strlen("\"type_id\": ")] = '0';
    }
    model = ft_model_open_nodes("tests/golden/model/mean");
    if (model && tokenizer) {
        char directory[] = "/tmp/test-scorer-XXXXXX";
        struct ft_tokens tokens = {NULL, 0, 0};
        struct ft_tokenizer *other;
        size_t second;

        if (mkdtemp(directory)) {
            char *path = ft_arena_print(&arena, "%s/tokenizer.json", directory);

            ft_file_write(path, tokenizer, size);
            other = ft_tokenizer_open(directory);
            ok(other && ft_tokenizer_encode_pair(other, FT_STRING("a"), FT_STRING("b"), 0, &tokens, &second) < 0 &&
               strstr(ft_error(), "does not make pairs as BERT's does") && !tokens.count, "another template of pairs is refused: %s", ft_error());
            ok(ft_tokenizer_encode_pair(model->tokenizer, FT_STRING("a"), FT_STRING("b"), 2, &tokens, &second) < 0 &&
               strstr(ft_error(), "a pair has 3 special ones"), "fewer tokens than the special ones: %s", ft_error());
            ok(ft_tokenizer_encode_pair(model->tokenizer, FT_STRING("a"), FT_STRING("b"), 3, &tokens, &second) == 0 && tokens.count == 3 && second == 2,
               "and no more than these");
            ft_tokenizer_close(other);
            unlink(path), rmdir(directory);
        }
        ft_tokens_free(&tokens);
    }
    ft_model_close(model);
}

int main(void)
{
    ft_pool_set_threads(2);
    test_directory("plain");
    test_directory("identity");
    test_directory("own");
    test_directory("tanh");
    test_sides();
    test_refusals();
    ft_arena_free(&arena);
    return done();
}
