/* test-tokenizer-clean.c - texts cleaned before their tokenizer sees them: ids against those of open_clip's HFTokenizer (tests/golden/open-clip/make-names.py),
 * the token with which ids are filled up, and bytes that are no text. */
#include "base/error.h"
#include "base/file.h"
#include "data/tokenizer.h"
#include "../tap.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "tests/golden/"

static struct ft_arena arena;

static struct ft_tokenizer *open_way(struct ft_tokenizer_way *way)
{
    struct ft_tokenizer *t = ft_tokenizer_open_file(GOLDEN "tokenizer/general/roberta.json");

    if (t && ft_tokenizer_set_way(t, way) == 0)
        return t;
    ft_tokenizer_close(t);
    return NULL;
}

static bool same(const struct ft_tokenizer *t, const json_t *line)
{
    const json_t *text = json_object_get(line, "text"), *ids = json_object_get(line, "ids");
    struct ft_tokens got = {0};
    bool equal = ft_tokenizer_encode(t, (struct ft_string){json_string_value(text), json_string_length(text)}, 0, &got) == 0 && got.count == json_array_size(ids);

    for (size_t i = 0; equal && i < got.count; i++)
        equal = got.id[i] == json_integer_value(json_array_get(ids, i));
    if (!equal)
        printf("# %lld: %s\n", (long long)json_integer_value(json_object_get(line, "clean")), json_string_value(text));
    ft_tokens_free(&got);
    return equal;
}

static void test_cleaned(void)
{
    static const char *const names[] = {"not", "whitespace", "lower", "canonicalize"};
    struct ft_tokenizer *t[4];
    int cases[4] = {0}, wrong[4] = {0};
    size_t size;
    char *line = ft_file_read(&arena, GOLDEN "open-clip/cleaned.jsonl", 1 << 20, &size), *end;

    for (int clean = 0; clean < 4; clean++)
        ok((t[clean] = open_way(&(struct ft_tokenizer_way){.clean = (enum ft_clean)clean})) != NULL, "%s cleaned: opens", names[clean]);
    for (; line && (end = strchr(line, '\n')); line = end + 1) {
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        int clean = (int)json_integer_value(json_object_get(json, "clean"));

        cases[clean]++;
        wrong[clean] += !same(t[clean], json);
        json_decref(json);
    }
    for (int clean = 1; clean < 4; clean++)
        ok(cases[clean] > 35 && !wrong[clean], "%s: %d texts as open_clip has them", names[clean], cases[clean]);
    for (int clean = 0; clean < 4; clean++)
        ft_tokenizer_close(t[clean]);
}

static void test_filled(void)
{
    struct ft_tokenizer_way way = {.fills = true, .filler_name = "<pad>", .clean = FT_CLEAN_CANONICAL}, none = {.fills = true, .filler_name = "<fill>"};
    struct ft_tokenizer *t = open_way(&way);
    struct ft_tokens got = {0};

    ok(t && way.filler == 1, "the padding's id by its name");
    ok(t && ft_tokenizer_encode(t, FT_STRING("?"), 8, &got) == 0 && got.count == 8 && got.id[2] == 1 && got.id[7] == 1, "filled up with it, of a text without letters too");
    got.count = 0;
    ok(t && ft_tokenizer_encode(t, FT_STRING("a\xff\xc3(\xe2\x82 b"), 64, &got) == 0 && got.count == 64, "bytes that are no UTF-8");
    ft_tokens_free(&got);
    ft_tokenizer_close(t);
    ok(!open_way(&none) && strstr(ft_error(), "pad_token is '<fill>'"), "no such token: %s", ft_error());
}

/* T5's tokenizer with tokens behind its 401 entries, as published files have them, for a table of 401 rows. */
static void test_beyond(void)
{
    static const char *const lists[] = {"{\"id\":401,\"content\":\"<extra_id_1>\",\"special\":true},{\"id\":402,\"content\":\"<extra_id_0>\",\"special\":true},",
                                        "{\"id\":402,\"content\":\"<extra_id_0>\",\"special\":true},"};
    char place[] = "/tmp/ft-test-XXXXXX", *text, *at;
    struct ft_tokens plain = {0}, got = {0};
    size_t size;

    text = ft_file_read(&arena, GOLDEN "tokenizer/general/t5.json", 1 << 24, &size);
    at = text ? strstr(text, "\"added_tokens\"") : NULL;
    at = at ? strchr(at, '[') : NULL;
    if (!ok(at && mkstemp(place) >= 0, "a file"))
        return;
    for (int k = 0; k < 2; k++) {
        struct ft_tokenizer_way way = {.rows = 401}, none = {0};
        const char *changed = ft_arena_print(&arena, "%.*s%s%s", (int)(at + 1 - text), text, lists[k], at + 1);
        struct ft_tokenizer *t = ft_file_write(place, changed, strlen(changed)) == 0 ? ft_tokenizer_open_file(place) : NULL;

        ok(t && ft_tokenizer_size(t) == 403 && ft_tokenizer_set_way(t, k ? &way : &none) == 0 && ft_tokenizer_size(t) == 403, "%s", k ? "a hole among them: as it is" : "as it is");
        if (!k) {
            ok(ft_tokenizer_set_way(t, &way) == 0 && ft_tokenizer_size(t) == 401, "no larger than the table");
            ok(ft_tokenizer_encode(t, FT_STRING("a cat"), 0, &plain) == 0 && ft_tokenizer_encode(t, FT_STRING("<extra_id_0>a cat<extra_id_1>"), 0, &got) == 0 &&
                   got.count == plain.count, "they are left out");
        }
        ft_tokenizer_close(t);
    }
    unlink(place);
    ft_tokens_free(&plain);
    ft_tokens_free(&got);
}

int main(void)
{
    test_cleaned();
    test_filled();
    test_beyond();
    ft_arena_free(&arena);
    return done();
}
