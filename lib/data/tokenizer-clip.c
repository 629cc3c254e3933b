/* tokenizer-clip.c - CLIP's tokenizer from vocab.json and merges.txt, where there is no tokenizer.json: the one that transformers' CLIPTokenizer makes of them,
 * written down as a tokenizer.json would say it and read as that. */
#include "data/tokenizer-general.h"
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 28 };

/* As transformers has them; a file of JSON has these backslashes twice. */
static const char steps[] =
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},\"content\":\" \"},"
    "{\"type\":\"Lowercase\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|"
    "'s|'t|'re|'ve|'m|'ll|'d|[\\\\p{L}]+|[\\\\p{N}]|[^\\\\s\\\\p{L}\\\\p{N}]+\"},\"behavior\":\"Removed\",\"invert\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}]},";

enum { BOS, EOS, UNKNOWN, PADDING, SPECIALS };

static int add(struct ft_buffer *out, const char *text)
{
    return ft_buffer_add(out, text, strlen(text));
}

static int add_json(struct ft_buffer *out, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    int result = text ? add(out, text) : ft_fail(FT_SYSTEM, "out of memory");

    free(text);
    json_decref(value);
    return result;
}

/* Lines "left right"; the first says the version. */
static int add_merges(struct ft_buffer *out, const char *path, const char *text, size_t size)
{
    bool first = true;

    for (const char *line = text, *end; line < text + size; line = end + 1) {
        size_t length;

        end = memchr(line, '\n', size - (size_t)(line - text));
        end = end ? end : text + size;
        length = (size_t)(end - line) - (end > line && end[-1] == '\r');
        if (!length || (line == text && strncmp(line, "#version", 8) == 0))
            continue;
        if (!first && add(out, ",") < 0)
            return -1;
        if (add_json(out, json_stringn(line, length)) < 0)
            return ft_fail(FT_BAD, "%s: a line that is no UTF-8", path);
        first = false;
    }
    return 0;
}

/* The special tokens: of tokenizer_config.json a text, or an object that has flags too; else CLIP's. */
static json_t *special(const json_t *config, int which)
{
    static const char *const keys[SPECIALS] = {"bos_token", "eos_token", "unk_token", "pad_token"};
    const json_t *value = json_object_get(config, keys[which]);
    const char *content = json_is_object(value) ? ft_json_text(value, "content") : json_string_value(value);
    json_t *token;

    if (!content)
        content = which == BOS ? "<|startoftext|>" : "<|endoftext|>";
    token = json_is_object(value) ? json_deep_copy(value) : json_pack("{s:b}", "normalized", 0);
    if (token && (json_object_set_new(token, "content", json_string(content)) < 0 || json_object_set_new(token, "special", json_true()) < 0)) {
        json_decref(token);
        token = NULL;
    }
    return token;
}

static int write_all(struct ft_buffer *out, json_t *const tokens[SPECIALS], const char *vocab, size_t vocab_size, const char *path, const char *merges,
                     size_t merges_size)
{
    if (add(out, "{") < 0 || add(out, steps) < 0 || add(out, "\"added_tokens\":[") < 0)
        return -1;
    for (int i = 0; i < SPECIALS; i++) {
        bool said = false;

        for (int k = 0; k < i; k++)
            said |= strcmp(ft_json_text(tokens[i], "content"), ft_json_text(tokens[k], "content")) == 0;
        if (!said && ((i && add(out, ",") < 0) || add_json(out, json_incref(tokens[i])) < 0))
            return -1;
    }
    if (add(out, "],\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"unk_token\":") < 0 ||
        add_json(out, json_incref(json_object_get(tokens[UNKNOWN], "content"))) < 0 || add(out, ",\"vocab\":") < 0 ||
        ft_buffer_add(out, vocab, vocab_size) < 0 || add(out, ",\"merges\":[") < 0 || add_merges(out, path, merges, merges_size) < 0)
        return -1;
    return add(out, "]}}");
}

/* One special token before a text, one behind. */
static int frame(struct ft_tokenizer *tokenizer, json_t *const tokens[SPECIALS])
{
    int32_t *ids = ft_arena_take(&tokenizer->arena, 2 * sizeof *ids);

    for (int i = BOS; ids && i <= EOS; i++)
        if ((ids[i] = ft_vocabulary_find(&tokenizer->vocabulary, ft_string_of(ft_json_text(tokens[i], "content")))) < 0)
            return ft_fail(FT_BAD, "the special token \"%s\" is not in the vocabulary", ft_json_text(tokens[i], "content"));
    if (!ids)
        return -1;
    tokenizer->before = ids;
    tokenizer->after = ids + 1;
    tokenizer->before_count = tokenizer->after_count = 1;
    return 0;
}

static int read_config(const char *path, json_t **config)
{
    const char *class;

    *config = NULL;
    if (!ft_file_exists(path))
        return 0;
    if (!(*config = ft_json_read(path)))
        return -1;
    class = ft_json_text(*config, "tokenizer_class");
    if (class && strcmp(class, "CLIPTokenizer") != 0 && strcmp(class, "CLIPTokenizerFast") != 0)
        return ft_fail(FT_BAD, "%s: tokenizer_class %.64s without a tokenizer.json is not supported, expected CLIPTokenizer", path, class);
    return 0;
}

int ft_tokenizer_read_clip(struct ft_tokenizer *tokenizer, const char *directory)
{
    struct ft_arena *arena = &tokenizer->arena;
    const char *vocab = ft_arena_print(arena, "%s/vocab.json", directory), *merges = ft_arena_print(arena, "%s/merges.txt", directory);
    const char *path = ft_arena_print(arena, "%s/tokenizer_config.json", directory), *pieces = NULL, *lines = NULL;
    json_t *config = NULL, *tokens[SPECIALS] = {NULL};
    struct ft_buffer text = {0};
    size_t size[2];
    int result = -1;

    if (vocab && merges && path && read_config(path, &config) == 0 && (pieces = ft_file_read(arena, vocab, FILE_LIMIT, &size[0])))
        lines = ft_file_read(arena, merges, FILE_LIMIT, &size[1]);
    for (int i = 0; i < SPECIALS; i++)
        if (!(tokens[i] = special(config, i)))
            lines = NULL;
    if (lines && write_all(&text, tokens, pieces, size[0], merges, lines, size[1]) == 0) {
        const char *whole = ft_arena_text(arena, (struct ft_string){text.data, text.size});   /* the vocabulary's texts stay in it */

        if (whole && (ft_tokenizer_read_text(tokenizer, (char *)whole, text.size) < 0 || frame(tokenizer, tokens) < 0))
            result = ft_error_prefix("%s: ", vocab);
        else
            result = whole ? 0 : -1;
    }
    for (int i = 0; i < SPECIALS; i++)
        json_decref(tokens[i]);
    json_decref(config);
    ft_buffer_free(&text);
    return result;
}
