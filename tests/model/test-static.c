/* test-static.c - models of static embeddings: what opens, what a text's tokens are, what is refused, and that what is saved opens as the same model.
 * The numbers of the same directories are test-embed's and test-training's; tests/golden/model/make-static.py made them. */
#include "base/error.h"
#include "base/file.h"
#include "model/embed.h"
#include "model/encode.h"
#include "model/model-build.h"
#include "model/weights/tensors.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "tests/golden/model/static/"

static char scratch[] = "/tmp/ft-test-XXXXXX";
static struct ft_arena arena;

static const char *in(const char *directory, const char *file)
{
    return ft_arena_print(&arena, "%s/%s", directory, file);
}

static void test_kinds(void)
{
    static const struct { const char *name, *family; bool normalized; size_t length, vocabulary; } kinds[] = {
        {"model2vec", "model2vec", true, 12, 106}, {"quantized", "model2vec", false, 1 << 28, 106}, {"bytes", "model2vec", true, 512, 420},
        {"static", "static", false, 9, 401}, {"wordllama", "static", false, 1 << 28, 700},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct ft_model *m = ft_model_open(in(GOLDEN, kinds[i].name), NULL);

        if (!ok(m != NULL, "%s opens: %s", kinds[i].name, ft_error()))
            continue;
        is_text(m->family, kinds[i].family, "its family");
        ok(m->normalized == kinds[i].normalized && m->max_length == kinds[i].length && m->vocabulary == kinds[i].vocabulary && m->dim == 24 &&
           m->parameter_count == 1 && m->parameters[0].table, "normalised %d, %zu tokens at most, a table of %zu rows", m->normalized, m->max_length,
           m->vocabulary);
        ok(!m->extra_text, "nothing to be said of it");
        ft_model_close(m);
    }
}

static size_t token_count(const char *name, struct ft_string text, size_t limit)
{
    struct ft_model *m = ft_model_open(in(GOLDEN, name), NULL);
    struct ft_packed packed = {0};

    if (!m || ft_encode_texts(&arena, m, &m->prompts, limit, &text, NULL, 1, &packed) < 0)
        return SIZE_MAX;
    ft_model_close(m);
    return packed.offset[1];
}

/* model2vec's vocabulary here has a median of 4 characters, so 12 tokens look at 48. */
static void test_tokens(void)
{
    const struct ft_string sat = FT_STRING("the cat sat on the mat"), unknown = FT_STRING("\xe6\x9d\xb1 \xe2\x98\x83 [UNK]"), none = FT_STRING("");
    const struct ft_string far = FT_STRING("                                                  the cat"), bad = FT_STRING("\xff\xfe the cat");

    ok(token_count("model2vec", sat, 0) == 6, "no special tokens");
    ok(token_count("model2vec", sat, 3) == 3, "--max-length");
    ok(token_count("model2vec", unknown, 0) == 0 && token_count("model2vec", none, 0) == 0, "unknown tokens are left out");
    ok(token_count("model2vec", bad, 3) == 1, "but count towards the limit");
    ok(token_count("model2vec", far, 0) == 0 && token_count("quantized", far, 0) == 2, "where there is a limit a text is cut by characters, too");
    ok(token_count("static", unknown, 0) > 0 && token_count("wordllama", unknown, 0) > 0, "others keep unknown ones");
}

/* Saved, opened again: the same parameters, the same embeddings; nothing folded is left. */
static void test_save(const char *name)
{
    struct ft_model *m = ft_model_open(in(GOLDEN, name), NULL), *again;
    const char *path = in(scratch, name);
    const struct ft_string texts[] = {FT_STRING("the cat sat on the mat"), FT_STRING(""), FT_STRING("zebra \xe6\x9d\xb1")};
    float a[3 * 24], b[3 * 24];
    struct ft_safetensors files = {0};
    char sum[9], sum_again[9];

    if (!ok(m && ft_model_save(m, path) == 0 && (again = ft_model_open(path, NULL)), "%s: saved and opened again: %s", name, ft_error()))
        return;
    is_text(ft_model_checksum(again, sum_again), ft_model_checksum(m, sum), "the same model");
    ok(ft_embed_texts(m, &(struct ft_embed_options){.max_length = 0}, texts, 3, a) == 0 &&
       ft_embed_texts(again, &(struct ft_embed_options){.max_length = 0}, texts, 3, b) == 0 && memcmp(a, b, sizeof a) == 0, "the same embeddings");
    ok(again->max_length == m->max_length && again->normalized == m->normalized, "the same limits");
    ok(ft_file_exists(in(path, "tokenizer.json")) && ft_file_exists(in(path, "modules.json")) &&
       ft_tensors_open(&files, path) == 0 && files.count == 1 && strcmp(files.tensors[0].dtype, "F32") == 0,
       "tokenizer.json, modules.json, and one table of floats");
    ft_safetensors_close(&files);
    ft_model_close(again);
    ft_model_close(m);
}

static void test_config_saved(void)
{
    json_t *json = ft_json_read(in(in(scratch, "quantized"), "config.json"));

    ok(json && !json_object_get(json, "vocabulary_quantization") && strcmp(ft_json_text(json, "embedding_dtype"), "float32") == 0 &&
       json_is_null(json_object_get(json, "max_length")), "config.json says no more of quantization");
    json_decref(json);
}

/* Copies of model2vec/ with other files. */
static const char *copy(void)
{
    static const char *const files[] = {"config.json", "modules.json", "tokenizer.json", "model.safetensors"};
    const char *to = in(scratch, "copy");

    ft_directory_remove(to);
    ft_directory_make(to);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t size;
        char *data = ft_file_read(&arena, in(GOLDEN "model2vec", files[i]), 1 << 24, &size);

        if (!data || ft_file_write(in(to, files[i]), data, size) < 0)
            return NULL;
    }
    return to;
}

static const char *message_of(const char *directory)
{
    struct ft_model *m;

    ft_error_clear();
    if (!(m = ft_model_open(directory, NULL)))
        return ft_error_status() == FT_BAD ? ft_error() : "?";
    ft_model_close(m);
    return "";
}

static void refused(const char *file, const char *text, const char *says)
{
    const char *directory = copy(), *got;

    if (ft_file_write(in(directory, file), text, strlen(text)) < 0)
        return;
    got = message_of(directory);
    if (!ok(*says ? strstr(got, says) != NULL : !*got, "%s: %s", file, *says ? says : text))
        printf("# got \"%s\"\n", got);
}

#define STATIC "{\"path\":\".\",\"type\":\"sentence_transformers.models.StaticEmbedding\"}"
#define MODULE(path, type) "{\"path\":\"" path "\",\"type\":\"sentence_transformers.models." type "\"}"

static void test_refusals(void)
{
    refused("config.json", "{\"model_type\":\"model2vec\",\"normalize\":false}", "normalize is false, and modules.json has a Normalize");
    refused("config.json", "{\"model_type\":\"bert\"}", "model_type bert, and modules.json has a StaticEmbedding");
    refused("config.json", "{\"model_type\":\"model2vec\",\"max_length\":0}", "max_length is 0");
    refused("config.json", "{\"model_type\":\"model2vec\",\"normalize\":1}", "normalize");
    refused("config.json", "{}", "");
    refused("modules.json", "[" STATIC "," MODULE("1_Pooling", "Pooling") "," MODULE("2_Normalize", "Normalize") "]", "expected one Pooling");
    refused("modules.json", "[" STATIC "]", "normalize is true, and modules.json has no Normalize");
    refused("modules.json", "[" MODULE("", "Transformer") "," STATIC "]", "first and only there");
    refused("tokenizer.json", "{}", "tokenizer.json");
    unlink(in(copy(), "config.json"));
    is_text(message_of(in(scratch, "copy")), "", "without config.json modules.json says enough");
    unlink(in(copy(), "modules.json"));
    is_text(message_of(in(scratch, "copy")), "", "and the other way round");
}

/* Tensors that a stranger may write: each with a table of two rows of three, and a mapping and weights for the vocabulary's 106. */
static void folded(const char *says, const struct ft_safetensor *tensors, size_t count)
{
    const char *directory = copy(), *got;

    if (ft_safetensors_write(in(directory, "model.safetensors"), tensors, count) < 0)
        return;
    got = message_of(directory);
    if (!ok(*says ? strstr(got, says) != NULL : !*got, "folded: %s", *says ? says : "as it should be"))
        printf("# got \"%s\"\n", got);
}

static void test_folds(void)
{
    static float table[6] = {1, 2, 3, 4, 5, 6}, weights[106];
    static int64_t mapping[106];
    static const int32_t narrow[106];
    struct ft_safetensor t[3] = {{"embeddings", "F32", 2, {2, 3}, 6, table, sizeof table, FT_WEIGHTS_F32, false},
                                 {"mapping", "I64", 1, {106}, 106, mapping, sizeof mapping, FT_WEIGHTS_F32, false},
                                 {"weights", "F32", 1, {106}, 106, weights, sizeof weights, FT_WEIGHTS_F32, false}};

    folded("", t, 3);
    folded("", t, 2);
    mapping[105] = 2;
    folded("mapping: row 2 of a table of 2", t, 3);
    mapping[105] = -1;
    folded("mapping: row -1 of a table of 2", t, 3);
    mapping[105] = INT64_MIN;
    folded("mapping: row -9223372036854775808", t, 3);
    t[1] = (struct ft_safetensor){"mapping", "I32", 1, {106}, 106, narrow, sizeof narrow, FT_WEIGHTS_F32, false};
    folded("", t, 3);
    t[1].dtype = "F32";
    folded("mapping: dtype F32, expected I64 or I32", t, 3);
    t[1].dtype = "I32", t[1].rank = 2, t[1].shape[0] = 53, t[1].shape[1] = 2;
    folded("mapping: expected a vector", t, 3);
    t[1] = (struct ft_safetensor){"mapping", "I32", 1, {106}, 106, narrow, sizeof narrow, FT_WEIGHTS_F32, false};
    t[2].shape[0] = t[2].count = 105, t[2].size = 105 * 4;
    folded("weights: expected a vector of 106 numbers", t, 3);
    folded("the tokenizer has 106 entries", t, 1);
    t[0] = (struct ft_safetensor){"embeddings", "F32", 1, {6}, 6, table, sizeof table, FT_WEIGHTS_F32, false};
    folded("embeddings: expected a table", t, 3);
    t[0] = (struct ft_safetensor){"embeddings", "I16", 2, {4, 3}, 12, table, sizeof table, FT_WEIGHTS_F32, false};
    folded("I16", t, 2);
    t[0] = (struct ft_safetensor){"other", "F32", 2, {2, 3}, 6, table, sizeof table, FT_WEIGHTS_F32, false};
    folded("no tensor embeddings or embedding.weight", t, 3);
}

static void test_wordllama(void)
{
    const char *to = in(scratch, "llama"), *weights = in(to, "weights/custom_24.safetensors"), *tokenizer = in(to, "tokenizers/custom_tokenizer_config.json");
    size_t size, size_tokenizer;
    char *data = ft_file_read(&arena, GOLDEN "wordllama/weights/custom_24.safetensors", 1 << 24, &size);
    char *json = ft_file_read(&arena, GOLDEN "wordllama/tokenizers/custom_tokenizer_config.json", 1 << 24, &size_tokenizer);

    ft_directory_make(in(to, "weights"));
    ft_directory_make(in(to, "tokenizers"));
    ok(!ft_model_find(&arena, to) && strstr(ft_error(), "no config.json"), "empty folders are no model");
    ft_file_write(weights, data, size);
    ok(strstr(message_of(to), "no tokenizer for custom_24.safetensors"), "weights without their tokenizer");
    ft_file_write(tokenizer, json, size_tokenizer);
    is_text(message_of(to), "", "weights with it");
    ok(ft_model_find(&arena, to) != NULL, "it is found: %s", ft_error());
    ft_file_write(in(to, "weights/custom_24_binary.safetensors"), data, size);
    is_text(message_of(to), "", "binary weights are passed over");
    ft_file_write(in(to, "weights/custom_48.safetensors"), data, size);
    ok(strstr(message_of(to), "expected one"), "two sets of weights");
}

static void test_truncation(void)
{
    const char *to = in(scratch, "left");
    size_t size;
    char *data = ft_file_read(&arena, GOLDEN "static/tokenizer.json", 1 << 24, &size), *right = strstr(data, "\"Right\"");
    struct ft_model *m = ft_model_open(GOLDEN "static", NULL);

    ok(m && right && ft_model_save(m, to) == 0, "a copy");
    memcpy(right, "\"Left\" ", 7);
    ft_file_write(in(to, "tokenizer.json"), data, size);
    ok(strstr(message_of(to), "truncation from the left"), "a tokenizer that cuts the beginning: %s", ft_error());
    ft_model_close(m);
}

int main(void)
{
    if (!mkdtemp(scratch))
        return 1;
    test_kinds();
    test_tokens();
    test_save("model2vec"), test_save("quantized"), test_save("bytes"), test_save("static"), test_save("wordllama");
    test_config_saved();
    test_refusals();
    test_folds();
    test_wordllama();
    test_truncation();
    ft_directory_remove(scratch);
    ft_arena_free(&arena);
    return done();
}
