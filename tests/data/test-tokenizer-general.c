/* test-tokenizer-general.c - byte-pair and unigram tokenizers: ids against those that Hugging Face tokenizers gave
 * (tests/golden/tokenizer/make-general.py), files that must be refused, and texts that would be slow if anything were quadratic. */
#include "base/error.h"
#include "base/file.h"
#include "base/tool.h"
#include "data/unicode.h"
#include "golden-ids.h"
#include "../tap.h"

#include <dirent.h>
#include <unistd.h>

#define GOLDEN "tests/golden/tokenizer/"

static char directory[64] = "/tmp/ft-general-XXXXXX";
static struct ft_arena arena;

struct named {
    char name[64];
    struct ft_tokenizer *tokenizer;
    int texts, wrong;
};

static struct ft_tokenizer *open_text(const char *text, size_t size)
{
    ft_file_write(ft_arena_print(&arena, "%s/tokenizer.json", directory), text, size);
    return ft_tokenizer_open(directory);
}

static struct ft_tokenizer *open_golden(const char *name)
{
    size_t size;
    char *text = ft_file_read(&arena, ft_arena_print(&arena, GOLDEN "general/%s.json", name), 1 << 24, &size);

    return text ? open_text(text, size) : NULL;
}

static size_t open_all(struct named *list, size_t most)
{
    DIR *files = opendir(GOLDEN "general");
    struct dirent *entry;
    size_t count = 0;

    while (files && (entry = readdir(files)) && count < most) {
        size_t length = strlen(entry->d_name);

        if (length < 6 || length > 60 || strcmp(entry->d_name + length - 5, ".json") != 0)
            continue;
        snprintf(list[count].name, sizeof list[count].name, "%.*s", (int)length - 5, entry->d_name);
        if ((list[count].tokenizer = open_golden(list[count].name)))
            count++;
        else
            ok(false, "%s opens: %s", list[count].name, ft_error());
    }
    if (files)
        closedir(files);
    return count;
}

static void compare(struct named *one, const json_t *line, struct ft_string text)
{
    const json_t *groups = json_object_get(line, "ids");
    struct ft_tokens tokens = {0};

    for (size_t g = 0; g < json_array_size(groups); g++) {
        const json_t *group = json_array_get(groups, g);

        if (!case_has(json_array_get(group, 1), one->name))
            continue;
        one->texts++;
        if ((ft_tokenizer_encode(one->tokenizer, text, (size_t)json_integer_value(json_object_get(line, "limit")), &tokens) < 0 ||
             !ids_equal(&tokens, json_array_get(group, 0))) && one->wrong++ < 3)
            printf("# %s: \"%.*s\" has other ids\n", one->name, text.size > 60 ? 60 : (int)text.size, text.data);
    }
    ft_tokens_free(&tokens);
}

static void test_golden(void)
{
    static struct named list[64];
    size_t size, count = open_all(list, 64);
    char *lines = ft_file_read(&arena, GOLDEN "general.jsonl", 1 << 24, &size);

    for (char *line = lines, *end; line && (end = memchr(line, '\n', size - (size_t)(line - lines))); line = end + 1) {
        json_t *one = json_loadb(line, (size_t)(end - line), 0, NULL);
        struct ft_buffer text = case_text(json_object_get(one, "text"));

        for (size_t i = 0; i < count; i++)
            compare(&list[i], one, (struct ft_string){text.data ? text.data : "", text.size});
        ft_buffer_free(&text);
        json_decref(one);
    }
    ok(count >= 20, "%zu tokenizers are compared", count);
    for (size_t i = 0; i < count; i++) {
        ok(list[i].wrong == 0 && list[i].texts > 100, "%s: %d texts have the ids of tokenizers, %d others", list[i].name, list[i].texts - list[i].wrong, list[i].wrong);
        ft_tokenizer_close(list[i].tokenizer);
    }
}

/* ---- every code point ---- */

static size_t add_code(char *to, const char *before, uint32_t c, const char *behind)
{
    size_t size = strlen(before), more;

    memcpy(to, before, size);
    size += ft_unicode_encode(c, to + size);
    more = strlen(behind);
    memcpy(to + size, behind, more);
    return size + more;
}

/* Of the great blocks of letters one of 61, as make-general.py has it. */
static bool is_swept(uint32_t c)
{
    if (c >= 0xd800 && c < 0xe000)
        return false;
    return c < 0x3400 || (c >= 0xa000 && c < 0xac00) || (c >= 0xf900 && c < 0x20000) || c % 61 == 0;
}

/* Alone, between letters, between digits, between combining characters, and behind what a map of characters knows. */
static uint64_t sweep_block(const struct ft_tokenizer *tokenizer, uint32_t c, uint32_t end)
{
    struct ft_tokens tokens = {0};
    uint64_t hash = 0;

    for (; c < end; c++) {
        char text[64];
        size_t size;

        if (!is_swept(c))
            continue;
        size = add_code(text, "", c, " ");
        size += add_code(text + size, "a", c, "b ");
        size += add_code(text + size, "1", c, "2 ");
        size += add_code(text + size, "e\xcd\x85", c, "\xcc\xb4\xcc\x81 ");
        size += add_code(text + size, "\xc2\xbd", c, "");
        tokens.count = 0;
        ft_tokenizer_encode(tokenizer, (struct ft_string){text, size}, 0, &tokens);
        hash = hash_ids(hash, &tokens);
    }
    ft_tokens_free(&tokens);
    return hash;
}

/* general/roberta.json cut by another pattern, which is a text of JSON. */
static struct ft_tokenizer *open_pattern(const char *pattern)
{
    size_t size;
    char *text = ft_file_read(&arena, GOLDEN "general/roberta.json", 1 << 24, &size), *whole;
    json_t *root = json_loadb(text, size, 0, NULL);
    const char *cut = ft_arena_print(&arena, "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":%s},\"behavior\":\"Isolated\","
                                     "\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}", pattern);
    struct ft_tokenizer *tokenizer;

    json_object_set_new(root, "pre_tokenizer", json_loads(cut, 0, NULL));
    whole = json_dumps(root, 0);
    tokenizer = open_text(whole, strlen(whole));
    free(whole);
    json_decref(root);
    return tokenizer;
}

/* A line is a block and its hash, or the pattern of those that follow. */
static void test_sweep(void)
{
    struct ft_tokenizer *tokenizer = NULL;
    char name[32], last[32] = "", *next;
    int blocks = 0, wrong = 0, names = 0;
    size_t size;

    for (char *line = ft_file_read(&arena, GOLDEN "general-sweep.txt", 1 << 20, &size); line && *line; line = next + 1) {
        unsigned start, end;
        unsigned long long want;
        int at = 0;

        next = strchr(line, '\n');
        *next = 0;
        sscanf(line, "%31s%n", name, &at);
        if (strcmp(name, last) != 0) {
            ft_tokenizer_close(tokenizer);
            tokenizer = line[at + 1] == '"' ? open_pattern(line + at + 1) : open_golden(name);
            snprintf(last, sizeof last, "%s", name);
            names++;
        }
        if (line[at + 1] == '"' || sscanf(line + at, "%x %x %llx", &start, &end, &want) != 3)
            continue;
        blocks++;
        if ((!tokenizer || sweep_block(tokenizer, start, end) != want) && wrong++ < 9)
            printf("# %s: U+%04X to U+%04X have other ids\n", name, start, end - 1);
    }
    ft_tokenizer_close(tokenizer);
    ok(names == 10 && blocks == 470 && wrong == 0, "every code point in five places, by %d tokenizers: %d blocks, %d with other ids", names, blocks, wrong);
}

/* One long word without an end must not take quadratic time, and gives as many ids as its parts. */
static void test_long(const char *name, const char *unit, size_t least)
{
    enum { TIMES = 200000 };
    struct ft_tokenizer *tokenizer = open_golden(name);
    struct ft_buffer text = {0};
    struct ft_tokens tokens = {0};
    double start;

    for (int i = 0; i < TIMES; i++)
        ft_buffer_add(&text, unit, strlen(unit));
    start = ft_seconds();
    ok(tokenizer && ft_tokenizer_encode(tokenizer, (struct ft_string){text.data, text.size}, 0, &tokens) == 0 && tokens.count >= least,
       "%s: %zu bytes of one word are %zu ids", name, text.size, tokens.count);
    ok(ft_seconds() - start < 20, "%s: in %.2f seconds", name, ft_seconds() - start);
    ft_tokens_free(&tokens);
    ft_buffer_free(&text);
    ft_tokenizer_close(tokenizer);
}

/* `json` with single quotes must be refused with a message that has `why`. */
static void refused(const char *why, const char *json)
{
    char *text = ft_arena_print(&arena, "%s", json);
    struct ft_tokenizer *tokenizer;

    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    tokenizer = open_text(text, strlen(text));
    ok(!tokenizer && ft_error_status() == FT_BAD && strstr(ft_error(), why), "refused: %s (%s)", why, tokenizer ? "opened" : ft_error());
    ft_tokenizer_close(tokenizer);
}

#define BPE(rest) "{'added_tokens':[],'model':{'type':'BPE','vocab':{'a':0,'b':1,'ab':2},'merges':['a b']" rest
#define UNIGRAM(rest) "{'added_tokens':[],'model':{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0],['a',-1]]" rest

static void test_refused(void)
{
    refused("model \"Word\"", "{'model':{'type':'Word','vocab':{'a':0}}}");
    refused("number 1 is not two", "{'model':{'type':'BPE','vocab':{'a':0},'merges':['aa']}}");
    refused("number 1 is of pieces", "{'model':{'type':'BPE','vocab':{'a':0},'merges':['a b']}}");
    refused("number 1 is of pieces", "{'model':{'type':'BPE','vocab':{'a':0,'b':1},'merges':[['a','b']]}}");
    refused("merges is not a list", "{'model':{'type':'BPE','vocab':{'a':0}}}");
    refused("dropout", BPE(",'dropout':0.1}}"));
    refused("unknown token \"c\"", BPE(",'unk_token':'c'}}"));
    refused("does not go on a word", BPE(",'continuing_subword_prefix':'####'}}"));
    refused("normalizer Foo", BPE("},'normalizer':{'type':'Foo'}}"));
    refused("pre_tokenizer Foo", BPE("},'pre_tokenizer':{'type':'Sequence','pretokenizers':[{'type':'Foo'}]}}"));
    refused("does not compile", BPE("},'pre_tokenizer':{'type':'Split','pattern':{'Regex':'(a'},'behavior':'Removed'}}"));
    refused("behavior", BPE("},'pre_tokenizer':{'type':'Split','pattern':{'String':'a'},'behavior':'Foo'}}"));
    refused("pattern is empty", BPE("},'pre_tokenizer':{'type':'Split','pattern':{'String':''},'behavior':'Removed'}}"));
    refused("replacement", BPE("},'pre_tokenizer':{'type':'Metaspace','replacement':''}}"));
    refused("more than 16 steps", BPE("},'normalizer':{'type':'Sequence','normalizers':[{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},"
            "{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'},{'type':'NFC'}]}}"));
    refused("\"content\" is missing", BPE("},'normalizer':{'type':'Replace','pattern':{'String':'a'}}}"));
    refused("not base64", BPE("},'normalizer':{'type':'Precompiled','precompiled_charsmap':'!'}}"));
    refused("damaged", BPE("},'normalizer':{'type':'Precompiled','precompiled_charsmap':'AAAA'}}"));
    refused("damaged", BPE("},'normalizer':{'type':'Precompiled','precompiled_charsmap':'////////'}}"));
    refused("not a list of pieces", "{'model':{'type':'Unigram','unk_id':0,'vocab':{'a':0}}}");
    refused("number 2 is not a piece", "{'model':{'type':'Unigram','unk_id':0,'vocab':[['a',0],['b']]}}");
    refused("unk_id", "{'model':{'type':'Unigram','vocab':[['a',0],['b',0]]}}");
    refused("unk_id", "{'model':{'type':'Unigram','unk_id':2,'vocab':[['a',0],['b',0]]}}");
    refused("number 2 is not a piece", "{'model':{'type':'Unigram','unk_id':0,'vocab':[['a',0],['b','c']]}}");
    refused("post_processor", UNIGRAM("},'post_processor':{'type':'Foo'}}"));
}

/* ---- CLIP's: two files instead of one, and where a text ends ---- */

static void write_file(const char *name, const char *text, size_t size)
{
    ft_file_write(ft_arena_print(&arena, "%s/%s", directory, name), text, size);
}

static void remove_files(void)
{
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json", "tokenizer.json"};

    for (int i = 0; i < 4; i++)
        unlink(ft_arena_print(&arena, "%s/%s", directory, names[i]));
}

/* vocab.json and merges.txt of general/clip-hf.json. */
static void write_two_files(void)
{
    size_t size;
    char *text = ft_file_read(&arena, GOLDEN "general/clip-hf.json", 1 << 24, &size);
    json_t *root = json_loadb(text, size, 0, NULL), *model = json_object_get(root, "model"), *merges = json_object_get(model, "merges");
    char *vocab = json_dumps(json_object_get(model, "vocab"), 0);
    struct ft_buffer lines = {0};

    ft_buffer_add(&lines, "#version: 0.2\n", 14);
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *pair = json_array_get(merges, i);
        const char *line = ft_arena_print(&arena, "%s %s\n", json_string_value(json_array_get(pair, 0)), json_string_value(json_array_get(pair, 1)));

        ft_buffer_add(&lines, line, strlen(line));
    }
    remove_files();
    write_file("vocab.json", vocab, strlen(vocab));
    write_file("merges.txt", lines.data, lines.size);
    ft_buffer_free(&lines);
    free(vocab);
    json_decref(root);
}

static void test_two_files(void)
{
    struct named two = {.name = "clip-hf"};
    size_t size;
    char *lines = ft_file_read(&arena, GOLDEN "general.jsonl", 1 << 24, &size);

    write_two_files();
    two.tokenizer = ft_tokenizer_open(directory);
    if (!ok(two.tokenizer != NULL, "vocab.json and merges.txt open: %s", two.tokenizer ? "" : ft_error()))
        return;
    for (char *line = lines, *end; line && (end = memchr(line, '\n', size - (size_t)(line - lines))); line = end + 1) {
        json_t *one = json_loadb(line, (size_t)(end - line), 0, NULL);
        struct ft_buffer text = case_text(json_object_get(one, "text"));

        compare(&two, one, (struct ft_string){text.data ? text.data : "", text.size});
        ft_buffer_free(&text);
        json_decref(one);
    }
    ok(two.wrong == 0 && two.texts > 100, "vocab.json and merges.txt: %d texts have the ids of transformers' CLIPTokenizer, %d others", two.texts - two.wrong, two.wrong);
    ft_tokenizer_close(two.tokenizer);
}

/* With `file` as it says beside or instead of the good ones. */
static void refused_beside(const char *why, const char *file, const char *text)
{
    struct ft_tokenizer *tokenizer;

    write_two_files();
    write_file(file, text, strlen(text));
    tokenizer = ft_tokenizer_open(directory);
    ok(!tokenizer && ft_error_status() == FT_BAD && strstr(ft_error(), why), "refused: %s (%s)", why, tokenizer ? "opened" : ft_error());
    ft_tokenizer_close(tokenizer);
}

static void test_two_refused(void)
{
    refused_beside("tokenizer_class RobertaTokenizer", "tokenizer_config.json", "{\"tokenizer_class\": \"RobertaTokenizer\"}");
    refused_beside("\"<s>\" is not in", "tokenizer_config.json", "{\"unk_token\": \"<s>\"}");
    refused_beside("\"<s>\"", "tokenizer_config.json", "{\"bos_token\": {\"content\": \"<s>\"}}");
    refused_beside("number 1 is not two", "merges.txt", "#version: 0.2\nabc\n");
    refused_beside("no UTF-8", "merges.txt", "a \xff\n");
    refused_beside("vocab.json", "vocab.json", "{\"a\": 0");
    refused_beside("vocab.json", "vocab.json", "{}");
    refused_beside("vocab.json", "vocab.json", "\"\"}, \"merges\": [");
    remove_files();
}

/* The real vocabulary, where somebody has it (make-clip.py). */
static void test_real(const char *place)
{
    struct named one = {.name = "clip-real"};
    size_t size;
    char *lines = ft_file_read(&arena, GOLDEN "clip-real.jsonl", 1 << 20, &size);

    one.tokenizer = place ? ft_tokenizer_open(place) : NULL;
    if (!place || !one.tokenizer) {
        ok(!place, "FT_CLIP_VOCABULARY is %s # SKIP", place ? ft_error() : "not set: CLIP's real vocabulary is not compared");
        return;
    }
    for (char *line = lines, *end; line && (end = memchr(line, '\n', size - (size_t)(line - lines))); line = end + 1) {
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        struct ft_buffer text = case_text(json_object_get(json, "text"));

        compare(&one, json, (struct ft_string){text.data ? text.data : "", text.size});
        ft_buffer_free(&text);
        json_decref(json);
    }
    ok(one.wrong == 0 && one.texts == 16, "CLIP's real vocabulary: %d texts, %d others", one.texts - one.wrong, one.wrong);
    ft_tokenizer_close(one.tokenizer);
}

/* ---- SigLIP's ---- */

static char *read_spiece(size_t *size)
{
    return ft_file_read(&arena, GOLDEN "spiece/spiece.model", 1 << 24, size);
}

static struct ft_tokenizer *open_spiece(const char *bytes, size_t size)
{
    write_file("spiece.model", bytes, size);
    return ft_tokenizer_open(directory);
}

static void test_spiece(void)
{
    struct named one = {.name = "spiece"};
    size_t size, lines_size;
    char *bytes = read_spiece(&size), *lines = ft_file_read(&arena, GOLDEN "spiece.jsonl", 1 << 24, &lines_size);

    one.tokenizer = open_spiece(bytes, size);
    if (!ok(one.tokenizer != NULL, "spiece.model opens: %s", one.tokenizer ? "" : ft_error()))
        return;
    for (char *line = lines, *end; line && (end = memchr(line, '\n', lines_size - (size_t)(line - lines))); line = end + 1) {
        json_t *json = json_loadb(line, (size_t)(end - line), 0, NULL);
        struct ft_buffer text = case_text(json_object_get(json, "text"));

        compare(&one, json, (struct ft_string){text.data ? text.data : "", text.size});
        ft_buffer_free(&text);
        json_decref(json);
    }
    ok(one.wrong == 0 && one.texts > 100, "spiece.model: %d texts have the ids of transformers' SiglipTokenizer, %d others", one.texts - one.wrong, one.wrong);
    ft_tokenizer_close(one.tokenizer);
}

/* Cut anywhere it opens as less, or is refused; another kind of model is. */
static void test_spiece_refused(void)
{
    size_t size, refused_count = 0;
    char *bytes = read_spiece(&size);
    struct ft_tokenizer *tokenizer;

    for (size_t cut = 0; cut < size; cut += cut < 300 || cut + 300 > size ? 1 : 97) {
        tokenizer = open_spiece(bytes, cut);
        refused_count += !tokenizer;
        if (!tokenizer && ft_error_status() != FT_BAD)
            ok(false, "cut at %zu: %s", cut, ft_error());
        ft_tokenizer_close(tokenizer);
    }
    ok(refused_count > 300, "cut at %zu places it is refused", refused_count);
    tokenizer = open_spiece("\x12\x02\x18\x02", 4);
    ok(!tokenizer && strstr(ft_error(), "model_type is 2"), "BPE: %s", ft_error());
    tokenizer = open_spiece("\x1a\x02\x20\x00", 4);
    ok(!tokenizer && strstr(ft_error(), "remove_extra_whitespaces"), "blanks kept: %s", ft_error());
    tokenizer = open_spiece("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
    ok(!tokenizer && strstr(ft_error(), "damaged"), "a length beyond all: %s", ft_error());
    unlink(ft_arena_print(&arena, "%s/spiece.model", directory));
}

/* Where the ids of a text end. */
static void test_way(const char *text, struct ft_tokenizer_way way, size_t count, const char *what)
{
    struct ft_tokenizer *tokenizer = open_golden("clip-hf");
    struct ft_tokens all = {0}, some = {0};
    bool good = ft_tokenizer_encode(tokenizer, ft_string_of(text), 0, &all) == 0 && ft_tokenizer_set_way(tokenizer, &way) == 0 &&
                ft_tokenizer_encode(tokenizer, ft_string_of(text), 0, &some) == 0;

    ok(good && some.count == count && all.count >= count && memcmp(all.id, some.id, count * sizeof *some.id) == 0, "%s: %zu of %zu ids", what, some.count, all.count);
    ft_tokens_free(&all);
    ft_tokens_free(&some);
    ft_tokenizer_close(tokenizer);
}

static void test_filled(void)
{
    struct ft_tokenizer *tokenizer = open_golden("clip-hf");
    struct ft_tokens some = {0};
    bool good = ft_tokenizer_set_way(tokenizer, &(struct ft_tokenizer_way){.fills = true, .filler = 7}) == 0 &&
                ft_tokenizer_encode(tokenizer, FT_STRING("a b"), 9, &some) == 0 && ft_tokenizer_encode(tokenizer, FT_STRING("a b c d e f g h"), 5, &some) == 0;

    ok(good && some.count == 14 && some.id[3] == 1036 && some.id[4] == 7 && some.id[8] == 7 && some.id[13] == 1036, "filled up to the limit: %zu ids", some.count);
    ft_tokens_free(&some);
    ft_tokenizer_close(tokenizer);
}

static void test_ways(void)
{
    enum { BEGIN = 1035, END = 1036 };
    struct ft_tokenizer *tokenizer = open_golden("clip-hf");

    test_way("a b", (struct ft_tokenizer_way){.ends = true, .end = END}, 4, "a text ends with the first end of text");
    test_way("a<|endoftext|>b", (struct ft_tokenizer_way){.ends = true, .end = END}, 3, "one inside it too");
    test_way("a<|endoftext|>b", (struct ft_tokenizer_way){.ends = true, .end = -1}, 3, "it is the largest id");
    test_way("a<|startoftext|>b", (struct ft_tokenizer_way){.ends = true, .end = -1}, 5, "the other special token is not");
    test_way("", (struct ft_tokenizer_way){.ends = true, .end = -1}, 2, "nothing but the two");
    test_filled();
    ok(ft_tokenizer_set_way(tokenizer, &(struct ft_tokenizer_way){.ends = true, .end = BEGIN}) < 0 && ft_error_status() == FT_BAD, "another end: %s", ft_error());
    ft_tokenizer_close(tokenizer);
}

/* How many ids "ab" so many times is, where matches are dropped and what is left is cut at white space. */
static void test_pattern(const char *pattern, int times, size_t ids, const char *what)
{
    const char *file = ft_arena_print(&arena, "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"Sequence\","
        "\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"%s\"},\"behavior\":\"Removed\"},{\"type\":\"WhitespaceSplit\"}]}}", pattern);
    struct ft_tokenizer *tokenizer = open_text(file, strlen(file));
    struct ft_buffer text = {0};
    struct ft_tokens tokens = {0};

    for (int i = 0; i < times; i++)
        ft_buffer_add(&text, "ab", 2);
    ok(tokenizer && ft_tokenizer_encode(tokenizer, (struct ft_string){text.data, text.size}, 0, &tokens) == 0 && tokens.count == ids,
       "%s: %zu ids", what, tokens.count);
    ft_tokens_free(&tokens);
    ft_buffer_free(&text);
    ft_tokenizer_close(tokenizer);
}

/* Files that open, and want to be read beyond the text: each step has to look after itself. */
static void test_hostile(void)
{
    static const char torn[] = "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"\xef\xbf\xbd\":1},\"merges\":[]},\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
        "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"DAAAAACAAQBhDQAAAQAAgMOpAA==\"},{\"type\":\"NFD\"}]}}";
    struct ft_tokenizer *tokenizer = open_text(torn, strlen(torn));
    struct ft_tokens tokens = {0};

    ok(tokenizer && ft_tokenizer_encode(tokenizer, FT_STRING("a"), 0, &tokens) == 0 && tokens.count == 1 && tokens.id[0] == 1,
       "a map that tears a character gives U+FFFD");
    ft_tokens_free(&tokens);
    ft_tokenizer_close(tokenizer);
    test_pattern("(?(DEFINE)(ab\\\\K))(?=(?1))", 5, 10, "a match that ends before it begins is none");
    test_pattern("(?:a|b)+", 20000, 0, "groups repeated 40000 times are one match");
}

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    test_golden();
    test_sweep();
    test_long("roberta", "ab", 1000);
    test_long("xlmr", "unbelievable", 1000);
    test_long("xlmr", "\xe2\x98\x83", 3);      /* unknown ones in a row are one */
    test_long("fallback", "q", 200000);
    test_refused();
    test_hostile();
    test_two_files();
    test_two_refused();
    test_real(getenv("FT_CLIP_VOCABULARY"));
    test_ways();
    remove_files();
    test_spiece();
    test_spiece_refused();
    unlink(ft_arena_print(&arena, "%s/tokenizer.json", directory));
    rmdir(directory);
    ft_arena_free(&arena);
    return done();
}
