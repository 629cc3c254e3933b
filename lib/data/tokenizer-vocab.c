/* tokenizer-vocab.c - reading vocab.txt, one piece a line, with the settings of tokenizer_config.json beside it: models
 * that were saved without tokenizer.json. */
#include "data/tokenizer-parts.h"
#include "base/error.h"
#include "base/file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 28, SPECIALS = 5 };

/* Tokenizers that are BERT's under another name. Others also have a vocab.txt but cut words by other means. */
static const char *const classes[] = {
    "BertTokenizer", "BasicTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MPNetTokenizer", "MobileBertTokenizer",
    "SqueezeBertTokenizer", "ConvBertTokenizer", "LayoutLMTokenizer", "LxmertTokenizer", "RetriBertTokenizer",
    "DPRQuestionEncoderTokenizer", "DPRContextEncoderTokenizer", "DPRReaderTokenizer", "PreTrainedTokenizerFast",
};

static int check_class(const json_t *config)
{
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
    size_t i, length = name ? strlen(name) : 0;

    if (!name)
        return 0;
    if (length > 4 && strcmp(name + length - 4, "Fast") == 0 && strcmp(name, "PreTrainedTokenizerFast") != 0)
        length -= 4;
    for (i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strlen(classes[i]) == length && memcmp(classes[i], name, length) == 0)
            return 0;
    return ft_fail(FT_BAD, "tokenizer_class \"%s\" is not supported, expected BertTokenizer or one like it", name);
}

static int read_pieces(struct ft_tokenizer *tokenizer, const char *path)
{
    struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t size, lines = 1, i;
    const char *line, *end;
    char *text;
    int32_t id;

    if (!(text = ft_file_read(&tokenizer->arena, path, FILE_LIMIT, &size)))
        return -1;
    for (i = 0; i < size; i++)
        lines += text[i] == '\n';
    if (ft_vocabulary_begin(vocabulary, &tokenizer->arena, lines) < 0)
        return -1;
    for (line = text, id = 0; line < text + size; line = end + 1, id++) {
        size_t length;

        if (!(end = memchr(line, '\n', (size_t)(text + size - line))))
            end = text + size;
        length = (size_t)(end - line);
        if (length && line[length - 1] == '\r')
            length--;
        if (ft_vocabulary_add(vocabulary, &tokenizer->arena, (struct ft_string){line, length}, id) < 0)
            return ft_error_prefix("%s: ", path);
    }
    return ft_vocabulary_index(vocabulary, &tokenizer->arena);
}

/* A special token's text: a string, or an added token with its content; `otherwise` when the file says nothing. */
static const char *token_name(const json_t *config, const char *key, const char *otherwise)
{
    const json_t *value = json_object_get(config, key);
    const char *text = json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);

    return text ? text : otherwise;
}

/* MPNet's special tokens have other names, and its mask takes the blanks before it. */
static bool is_mpnet(const json_t *config)
{
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));

    return name && strncmp(name, "MPNetTokenizer", 14) == 0;
}

/* The five special tokens; those of them that frame a text or stand for the unknown must be there. */
static int read_specials(struct ft_tokenizer *tokenizer, const json_t *config)
{
    static const char *const keys[SPECIALS] = {"unk_token", "cls_token", "sep_token", "pad_token", "mask_token"};
    static const char *const names[][SPECIALS] = {{"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"}, {"[UNK]", "<s>", "</s>", "<pad>", "<mask>"}};
    bool mpnet = is_mpnet(config);
    int32_t ids[SPECIALS];
    int i;

    for (i = 0; i < SPECIALS; i++) {
        const char *name = token_name(config, keys[i], names[mpnet][i]);
        struct ft_string text = {ft_arena_text(&tokenizer->arena, ft_string_of(name)), strlen(name)};

        if (!text.data)
            return -1;
        ids[i] = ft_vocabulary_find(&tokenizer->vocabulary, text);
        if (ids[i] < 0 && i < 3)
            return ft_fail(FT_BAD, "%s \"%s\" is not in the vocabulary", keys[i], name);
        if (ids[i] >= 0 && text.size)
            tokenizer->added[tokenizer->added_count++] =
                (struct ft_added_token){.content = text, .id = ids[i], .special = true, .lstrip = mpnet && i == 4};
    }
    tokenizer->vocabulary.unknown = ids[0];
    tokenizer->before[tokenizer->before_count++] = ids[1];
    tokenizer->after[tokenizer->after_count++] = ids[2];
    tokenizer->middle = tokenizer->after;
    tokenizer->middle_count = 1;
    tokenizer->pairs = !mpnet;
    return 0;
}

/* "added_tokens_decoder": {"30522": {"content": ...}}; one that repeats a special token replaces it. */
static int read_added(struct ft_tokenizer *tokenizer, const json_t *config)
{
    const json_t *decoder = json_object_get(config, "added_tokens_decoder");
    void *at = json_object_iter((json_t *)decoder);

    for (; at; at = json_object_iter_next((json_t *)decoder, at)) {
        struct ft_added_token token;
        char *end;
        long id = strtol(json_object_iter_key(at), &end, 10);
        size_t i;

        if (*end || id < 0 || id >= FT_ID_LIMIT)
            return ft_fail(FT_BAD, "added_tokens_decoder: \"%s\" is not an id", json_object_iter_key(at));
        if (ft_added_read(tokenizer, json_object_iter_value(at), (int32_t)id, &token) < 0)
            return -1;
        for (i = 0; i < tokenizer->added_count; i++)
            if (ft_string_equal(tokenizer->added[i].content, token.content))
                break;
        tokenizer->added[i] = token;
        tokenizer->added_count += i == tokenizer->added_count;
    }
    return 0;
}

static int apply_config(struct ft_tokenizer *tokenizer, const json_t *config)
{
    const json_t *lower = json_object_get(config, "do_lower_case");
    const json_t *strip = json_object_get(config, "strip_accents");
    const json_t *chinese = json_object_get(config, "tokenize_chinese_chars");
    struct ft_rules *rules = &tokenizer->rules;
    size_t count = SPECIALS + json_object_size(json_object_get(config, "added_tokens_decoder"));

    rules->clean = true;
    rules->chinese = !json_is_false(chinese);
    rules->lower = !json_is_false(lower);
    rules->strip = json_is_boolean(strip) ? json_is_true(strip) : rules->lower;
    ft_vocabulary_prefix(&tokenizer->vocabulary, FT_STRING("##"));
    tokenizer->before = ft_arena_zero(&tokenizer->arena, 2, sizeof *tokenizer->before);
    tokenizer->added = ft_arena_zero(&tokenizer->arena, count, sizeof *tokenizer->added);
    if (!tokenizer->before || !tokenizer->added)
        return -1;
    tokenizer->after = tokenizer->before + 1;
    if (check_class(config) < 0 || read_specials(tokenizer, config) < 0)
        return -1;
    return read_added(tokenizer, config);
}

int ft_tokenizer_read_vocab(struct ft_tokenizer *tokenizer, const char *directory)
{
    char *vocab = ft_arena_print(&tokenizer->arena, "%s/vocab.txt", directory);
    char *path = ft_arena_print(&tokenizer->arena, "%s/tokenizer_config.json", directory);
    json_t *config = NULL;
    json_error_t error;
    size_t size;
    char *text;
    int rc = -1;

    if (!vocab || !path || read_pieces(tokenizer, vocab) < 0)
        return -1;
    if (ft_file_exists(path)) {
        if (!(text = ft_file_read(&tokenizer->arena, path, FILE_LIMIT, &size)))
            return -1;
        if (!(config = json_loadb(text, size, JSON_ALLOW_NUL, &error)))
            return ft_fail(FT_BAD, "%s: not JSON: %s", path, error.text);
    }
    rc = apply_config(tokenizer, config);
    if (rc < 0)
        ft_error_prefix("%s: ", config ? path : vocab);
    json_decref(config);
    return rc;
}
