/* test-tokenizer.c - ids against those that Hugging Face tokenizers gave (tests/golden/tokenizer/make.py), for hand-made
 * texts and for every code point; files that must be refused; many threads. */
#include "base/error.h"
#include "base/file.h"
#include "data/tokenizer.h"
#include "golden-ids.h"
#include "../tap.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define GOLDEN "tests/golden/tokenizer/"

enum { READ_LIMIT = 1 << 24 };

static char directory[64] = "/tmp/ft-tokenizer-XXXXXX";
static struct ft_arena arena;

static void write_file(const char *name, const char *data, size_t size)
{
    if (ft_file_write(ft_arena_print(&arena, "%s/%s", directory, name), data, size) < 0) {
        printf("Bail out! %s\n", ft_error());
        exit(1);
    }
}

static void remove_file(const char *name)
{
    unlink(ft_arena_print(&arena, "%s/%s", directory, name));
}

static char *read_file(const char *path, size_t *size)
{
    char *text = ft_file_read(&arena, path, READ_LIMIT, size);

    if (!text) {
        printf("Bail out! %s (run from the top of the tree)\n", ft_error());
        exit(1);
    }
    return text;
}

static void write_json(const char *name, const json_t *value, size_t flags)
{
    char *text = json_dumps(value, JSON_COMPACT | flags);

    write_file(name, text, strlen(text));
    free(text);
}

/* The golden vocabulary as an object of piece and id. */
static json_t *golden_vocab(const char *text, size_t size)
{
    json_t *vocab = json_object();
    const char *line, *end;
    int id = 0;

    for (line = text; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        json_object_setn_new_nocheck(vocab, line, (size_t)(end - line), json_integer(id++));
    }
    return vocab;
}

/* A tokenizer of variants.json, by way of files. Every other one has its JSON escaped to ASCII. */
static struct ft_tokenizer *variant_open(json_t *files, json_t *vocab, struct ft_string lines)
{
    static int count;
    json_t *spec = json_object_get(files, "tokenizer.json"), *config = json_object_get(files, "tokenizer_config.json");

    remove_file("tokenizer.json");
    remove_file("vocab.txt");
    remove_file("tokenizer_config.json");
    if (spec) {
        json_object_set(json_object_get(spec, "model"), "vocab", vocab);
        write_json("tokenizer.json", spec, count++ % 2 ? JSON_ENSURE_ASCII : JSON_INDENT(1));
    } else {
        write_file("vocab.txt", lines.data, lines.size);
    }
    if (config)
        write_json("tokenizer_config.json", config, 0);
    return ft_tokenizer_open(directory);
}

/* The cases of one variant; those that fail are printed. */
static size_t run_cases(const struct ft_tokenizer *tokenizer, json_t *const *cases, size_t count, const char *name,
                        size_t *failed)
{
    struct ft_tokens tokens = {0};
    size_t i, j, done_cases = 0;

    for (i = 0; i < count; i++) {
        struct ft_buffer text = case_text(json_object_get(cases[i], "text"));
        size_t limit = (size_t)json_integer_value(json_object_get(cases[i], "limit"));
        const json_t *groups = json_object_get(cases[i], "ids");
        int rc;

        tokens.count = 0;
        rc = ft_tokenizer_encode(tokenizer, (struct ft_string){text.data, text.size}, limit, &tokens);
        for (j = 0; j < json_array_size(groups); j++) {
            const json_t *group = json_array_get(groups, j);

            if (!case_has(json_array_get(group, 1), name))
                continue;
            done_cases++;
            if (rc < 0 || !ids_equal(&tokens, json_array_get(group, 0))) {
                printf("# %s, case %zu, limit %zu: \"%.60s\"\n", name, i + 1, limit, text.data ? text.data : "");
                ++*failed;
            }
        }
        ft_buffer_free(&text);
    }
    ft_tokens_free(&tokens);
    return done_cases;
}

static void test_cases(json_t *variants)
{
    size_t vocab_size, size, count = 0, failed;
    char *lines = read_file(GOLDEN "vocab.txt", &vocab_size), *text = read_file(GOLDEN "cases.jsonl", &size);
    json_t *vocab = golden_vocab(lines, vocab_size), *cases[1024], *files;
    const char *name;
    char *line, *end;

    for (line = text; line < text + size && count < 1024; line = end + 1) {
        end = strchr(line, '\n');
        cases[count++] = json_loadb(line, (size_t)(end - line), 0, NULL);
    }
    json_object_foreach(variants, name, files) {
        struct ft_tokenizer *tokenizer = variant_open(files, vocab, (struct ft_string){lines, vocab_size});

        if (!ok(tokenizer != NULL, "%s opens: %s", name, tokenizer ? "" : ft_error()))
            continue;
        failed = 0;
        size = run_cases(tokenizer, cases, count, name, &failed);
        ok(failed == 0 && size == count, "%s: %zu of %zu texts as the golden ids", name, size - failed, count);
        ft_tokenizer_close(tokenizer);
    }
    while (count)
        json_decref(cases[--count]);
    json_decref(vocab);
}

/* "c" as JSON text: escaped for every other code point. */
static void add_point(struct ft_buffer *out, uint32_t c)
{
    char bytes[4];

    if (c < 0x20 || c == '"' || c == '\\' || (c & 1 && c < 0x10000)) {
        ft_buffer_print(out, "\\u%04x", c);
    } else if (c & 1) {
        ft_buffer_print(out, "\\u%04X\\u%04X", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
    } else {
        size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;

        for (i = size - 1; i; i--, c >>= 6)
            bytes[i] = (char)(0x80 | (c & 0x3f));
        bytes[0] = (char)(size == 1 ? c : (0xf00u >> size & 0xff) | c);
        ft_buffer_add(out, bytes, size);
    }
}

static bool is_surrogate(uint32_t c)
{
    return c >= 0xd800 && c < 0xe000;
}

/* The vocabulary of make.py's sweep: every character of planes 0 to 2 and of tags, alone and continuing. */
static void points_vocab(struct ft_buffer *out)
{
    uint32_t c, id = 1000;

    ft_buffer_print(out, "{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4");
    for (c = 0; c < 0xe1000; c++) {
        if (c == 0x30000)
            c = 0xe0000;
        if (is_surrogate(c))
            continue;
        ft_buffer_print(out, ",\"");
        add_point(out, c);
        ft_buffer_print(out, "\":%u,\"##", id);
        add_point(out, c);
        ft_buffer_print(out, "\": %u", id + 1);
        id += 2;
    }
    ft_buffer_print(out, "}");
}

static size_t encode_point(uint32_t c, char *text)
{
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, i;

    for (i = size - 1; i; i--, c >>= 6)
        text[i] = (char)(0x80 | (c & 0x3f));
    text[0] = (char)(size == 1 ? c : (0xf00u >> size & 0xff) | c);
    return size;
}

static uint64_t sweep_block(const struct ft_tokenizer *tokenizer, uint32_t c, uint32_t end)
{
    struct ft_tokens tokens = {0};
    uint64_t hash = 0;
    char text[8] = "a";

    for (; c < end; c++) {
        size_t size = is_surrogate(c) ? 0 : encode_point(c, text + 1);

        if (size == 0)
            continue;
        text[size + 1] = 'b';
        tokens.count = 0;
        ft_tokenizer_encode(tokenizer, (struct ft_string){text + 1, size}, 0, &tokens);
        ft_tokenizer_encode(tokenizer, (struct ft_string){text, size + 2}, 0, &tokens);
        hash = hash_ids(hash, &tokens);
    }
    ft_tokens_free(&tokens);
    return hash;
}

/* The sweep's tokenizer for one variant: its settings around the vocabulary of single characters. */
static struct ft_tokenizer *sweep_open(json_t *variants, const char *name, struct ft_buffer vocab)
{
    json_t *spec = json_object_get(json_object_get(variants, name), "tokenizer.json");
    struct ft_buffer file = {0};
    struct ft_tokenizer *tokenizer;
    char *text, *cut;

    json_object_set_new(json_object_get(spec, "model"), "vocab", json_string("HERE"));
    text = json_dumps(spec, 0);
    cut = strstr(text, "\"HERE\"");
    ft_buffer_add(&file, text, (size_t)(cut - text));
    ft_buffer_add(&file, vocab.data, vocab.size);
    ft_buffer_add(&file, cut + 6, strlen(cut + 6));
    write_file("tokenizer.json", file.data, file.size);
    ft_buffer_free(&file);
    free(text);
    tokenizer = ft_tokenizer_open(directory);
    if (!tokenizer)
        printf("# %s\n", ft_error());
    return tokenizer;
}

static void test_sweep(json_t *variants)
{
    char *line, *next, name[32], last[32] = "";
    struct ft_tokenizer *tokenizer = NULL;
    struct ft_buffer vocab = {0};
    unsigned long long want, got;
    unsigned start, end;
    size_t size, wrong = 0;

    points_vocab(&vocab);
    for (line = read_file(GOLDEN "sweep.txt", &size); *line; line = next + 1) {
        next = strchr(line, '\n');
        if (sscanf(line, "%31s %x %x %llx", name, &start, &end, &want) != 4)
            break;
        if (strcmp(name, last) != 0) {
            if (*last)
                ok(wrong == 0, "%s: every code point as the golden ids", last);
            wrong = 0;
            snprintf(last, sizeof last, "%s", name);
            ft_tokenizer_close(tokenizer);
            if (!(tokenizer = sweep_open(variants, name, vocab)))
                break;
        }
        if ((got = sweep_block(tokenizer, start, end)) != want) {
            printf("# %s: something in %x .. %x differs\n", name, start, end - 1);
            wrong++;
        }
    }
    ok(*line == '\0' && wrong == 0, "%s: every code point as the golden ids", last);
    ok(tokenizer && ft_tokenizer_size(tokenizer) == 1000 + 2 * (0x30000 - 0x800 + 0x1000), "the vocabulary has all its ids");
    ft_tokenizer_close(tokenizer);
    ft_buffer_free(&vocab);
    remove_file("tokenizer.json");
}

#define MODEL(inside) "\"model\":{" inside "}"
#define PIECES "\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3"
#define WORDPIECE "\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"," \
                  "\"max_input_chars_per_word\":100"
#define PRE "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"
#define WITH(more) "{" PRE more "," MODEL(WORDPIECE ",\"vocab\":{" PIECES "}") "}"
#define VOCAB(pieces) "{" PRE "," MODEL(WORDPIECE ",\"vocab\":{" pieces "}") "}"
#define GOOD "{" PRE ",\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"special\":true}],\"post_processor\":null," \
             MODEL(WORDPIECE ",\"vocab\": {" PIECES "} ") "}"

static void refused(const char *json, const char *expected)
{
    struct ft_tokenizer *tokenizer;
    bool good;

    write_file("tokenizer.json", json, strlen(json));
    ft_error_clear();
    tokenizer = ft_tokenizer_open(directory);
    good = !tokenizer && ft_error_status() == FT_BAD && strstr(ft_error(), expected) &&
           strstr(ft_error(), "tokenizer.json: ");
    if (!good)
        printf("# %.200s\n# gives \"%s\"\n", json, tokenizer ? "a tokenizer" : ft_error());
    ok(good, "refused: %s", expected);
    ft_tokenizer_close(tokenizer);
}

static void test_refused(void)
{
    refused("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}}", "model \"WordLevel\" is not supported");
    refused("{}", "model null is not supported");
    refused("{" MODEL(WORDPIECE ",\"vocab\":{" PIECES "}") "}", "pre_tokenizer null is not supported");
    refused(WITH(",\"normalizer\":{\"type\":\"Sequence\"}"),
            "normalizer \"Sequence\" is not supported");
    refused(WITH(",\"post_processor\":{\"type\":\"ByteLevel\"}"),
            "post_processor \"ByteLevel\" is not supported");
    refused(WITH(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}"),
            "expected once");
    refused(WITH(",\"post_processor\":{\"type\":\"BertProcessing\"}"), "an id");
    refused(VOCAB("\"a\":0"), "\"[UNK]\" is not in the vocabulary");
    refused(VOCAB(""), "no pieces");
    refused(VOCAB("\"[UNK]\":-1"), "whole number");
    refused(VOCAB("\"[UNK]\":1.5"), "whole number");
    refused(VOCAB("\"[UNK]\":99999999999999"), "an id of");
    refused(VOCAB("\"\\ud800x\":1"), "bad escape");
    refused(VOCAB("\"[UNK]\":1,"), "expected a string");
    refused("{" PRE "," MODEL("\"vocab\":{" PIECES "},\"vocab\":{}") "}", "duplicate");
    refused(WITH(",\"added_tokens\":[{\"content\":\"x\",\"id\":-4}]"), "has no id");
    refused("[1,2,3]", "model null");
    refused("", "not JSON");
}

/* A good file cut at every byte. */
static void test_cut(void)
{
    struct ft_tokenizer *tokenizer;
    size_t size, wrong = 0;

    for (size = 0; size < sizeof GOOD - 1; size++) {
        write_file("tokenizer.json", GOOD, size);
        tokenizer = ft_tokenizer_open(directory);
        wrong += tokenizer || ft_error_status() != FT_BAD;
        ft_tokenizer_close(tokenizer);
    }
    ok(wrong == 0, "a tokenizer.json cut at any of its %zu bytes is refused", size);
    write_file("tokenizer.json", GOOD, size);
    tokenizer = ft_tokenizer_open(directory);
    ok(tokenizer && ft_tokenizer_size(tokenizer) == 10, "whole, it opens, and an added token's id counts for the size");
    ft_tokenizer_close(tokenizer);
    remove_file("tokenizer.json");
}

static void vocab_refused(const char *vocab, const char *config, const char *expected)
{
    struct ft_tokenizer *tokenizer;

    write_file("vocab.txt", vocab, strlen(vocab));
    if (config)
        write_file("tokenizer_config.json", config, strlen(config));
    tokenizer = ft_tokenizer_open(directory);
    if (!ok(!tokenizer && ft_error_status() == FT_BAD && strstr(ft_error(), expected), "refused: %s", expected))
        printf("# \"%s\"\n", tokenizer ? "a tokenizer" : ft_error());
    ft_tokenizer_close(tokenizer);
}

static void test_vocab_txt(void)
{
    struct ft_tokenizer *tokenizer;
    struct ft_tokens tokens = {0};
    const char *config = "{\"added_tokens_decoder\":{\"7\":{\"content\":\"<x>\",\"lstrip\":true}},"
                         "\"cls_token\":{\"content\":\"<s>\"}}";

    remove_file("vocab.txt");
    remove_file("tokenizer_config.json");
    ok(!ft_tokenizer_open(directory) && ft_error_status() == FT_BAD &&
       strstr(ft_error(), "expected tokenizer.json, vocab.txt"),
       "a directory without a tokenizer is refused");
    vocab_refused("", NULL, "\"[UNK]\" is not in the vocabulary");
    vocab_refused("[UNK]\na\n", NULL, "\"[CLS]\" is not in the vocabulary");
    vocab_refused("[UNK]\n[CLS]\n[SEP]\n", "{", "not JSON");
    vocab_refused("[UNK]\n[CLS]\n[SEP]\n",
                  "{\"tokenizer_class\":\"BertJapaneseTokenizer\"}", "\"BertJapaneseTokenizer\" is not supported");
    write_file("vocab.txt", "[UNK]\r\n<s>\r\n[SEP]\r\na\r\n##b", 25);
    write_file("tokenizer_config.json", config, strlen(config));
    tokenizer = ft_tokenizer_open(directory);
    ok(tokenizer && ft_tokenizer_encode(tokenizer, FT_STRING("AB  <x><s>c"), 0, &tokens) == 0, "lines that end in CR LF are read");
    ok(tokens.count == 7 && memcmp(tokens.id, (int32_t[]){1, 3, 4, 7, 1, 0, 2}, 28) == 0,
       "added tokens of tokenizer_config.json are found");
    ft_tokens_free(&tokens);
    ft_tokenizer_close(tokenizer);
}

/* As transformers has it for this class: other names, a mask that takes the blanks before it. */
static void test_vocab_mpnet(void)
{
    const char *vocab = "<s>\n<pad>\n</s>\n<unk>\n[UNK]\nthe\ncat\n<mask>\n", *config = "{\"tokenizer_class\":\"MPNetTokenizer\"}";
    struct ft_tokenizer *tokenizer;
    struct ft_tokens tokens = {0};

    write_file("vocab.txt", vocab, strlen(vocab));
    write_file("tokenizer_config.json", config, strlen(config));
    tokenizer = ft_tokenizer_open(directory);
    ok(tokenizer && ft_tokenizer_encode(tokenizer, FT_STRING("The cat  <mask> <pad>dog"), 0, &tokens) == 0 && tokens.count == 7 &&
       memcmp(tokens.id, (int32_t[]){0, 5, 6, 7, 1, 4, 2}, 28) == 0, "an MPNet vocabulary");
    ft_tokens_free(&tokens);
    ft_tokenizer_close(tokenizer);
}

static void test_limits(void)
{
    struct ft_tokenizer *tokenizer = ft_tokenizer_open(directory);   /* of test_vocab_txt */
    struct ft_tokens tokens = {0};
    bool good = tokenizer != NULL;
    size_t limit;

    for (limit = 1; good && limit < 8; limit++) {
        size_t before = tokens.count, want = limit < 5 ? limit : 5;

        good = ft_tokenizer_encode(tokenizer, FT_STRING("a a a"), limit, &tokens) == 0 &&
               tokens.count == before + want &&
               tokens.id[before] == 1 && (limit == 1 || tokens.id[tokens.count - 1] == 2);
    }
    ok(good, "at most `limit` ids, appended to those that are there");
    ft_tokens_free(&tokens);
    ft_tokenizer_close(tokenizer);
}

static void *thread_encode(void *argument)
{
    const struct ft_tokenizer *tokenizer = argument;
    struct ft_tokens tokens = {0};
    uint64_t *hash = calloc(1, sizeof *hash);
    int i;

    for (i = 0; i < 3000; i++) {
        char text[64];
        int size = snprintf(text, sizeof text, "word%d caf\xc3\xa9 \xe4\xb8\xad[SEP] embedding%d", i, i * 7);

        tokens.count = 0;
        ft_tokenizer_encode(tokenizer, (struct ft_string){text, (size_t)size}, 0, &tokens);
        *hash = hash_ids(*hash, &tokens);
    }
    ft_tokens_free(&tokens);
    return hash;
}

static void test_threads(void)
{
    struct ft_tokenizer *tokenizer;
    pthread_t threads[4];
    uint64_t *hashes[5];
    size_t size;
    char *vocab = read_file(GOLDEN "vocab.txt", &size);
    int i;

    remove_file("tokenizer_config.json");
    write_file("vocab.txt", vocab, size);
    if (!ok((tokenizer = ft_tokenizer_open(directory)) != NULL, "the golden vocab.txt opens"))
        return;
    for (i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, thread_encode, tokenizer);
    hashes[4] = thread_encode(tokenizer);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], (void **)&hashes[i]);
    ok(*hashes[0] == *hashes[4] && *hashes[1] == *hashes[4] && *hashes[2] == *hashes[4] &&
       *hashes[3] == *hashes[4],
       "five threads with one tokenizer agree");
    for (i = 0; i < 5; i++)
        free(hashes[i]);
    ft_tokenizer_close(tokenizer);
}

int main(void)
{
    size_t size;
    char *text = read_file(GOLDEN "variants.json", &size);
    json_t *variants = json_loadb(text, size, 0, NULL);

    if (!variants || !mkdtemp(directory)) {
        puts("Bail out! no variants, or no temporary directory");
        return 1;
    }
    test_cases(variants);
    test_sweep(variants);
    test_refused();
    test_cut();
    test_vocab_mpnet();
    test_vocab_txt();
    test_limits();
    test_threads();
    json_decref(variants);
    ft_directory_remove(directory);
    ft_arena_free(&arena);
    return done();
}
