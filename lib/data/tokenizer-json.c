/* tokenizer-json.c - reading tokenizer.json.
 *
 * The vocabulary is nearly all of the file, and a JSON library makes an object of every entry: 10 ms for BERT's 30,522.
 * So tokenizer-cut.c cuts the object model.vocab out of the text and reads it in place; jansson reads what is left. */
#include "data/tokenizer-general.h"
#include "base/error.h"
#include "base/file.h"

#include <jansson.h>
#include <string.h>

enum { FILE_LIMIT = 1 << 28 };

static bool is_type(const json_t *object, const char *type)
{
    const char *text = json_string_value(json_object_get(object, "type"));

    return text && strcmp(text, type) == 0;
}

/* `what` is of a type we do not know; the message names it. */
static int unsupported(const char *what, const json_t *object, const char *expected)
{
    const char *type = json_string_value(json_object_get(object, "type"));

    return ft_fail(FT_BAD, "%s %s%s%s is not supported, expected %s", what, type ? "\"" : "",
                   type ? type : json_is_null(object) || !object ? "null" : "without a type", type ? "\"" : "", expected);
}

static struct ft_string json_text(struct ft_tokenizer *tokenizer, const json_t *value, struct ft_string otherwise)
{
    struct ft_string text = {json_string_value(value), json_string_length(value)};

    if (!text.data)
        return otherwise;
    text.data = ft_arena_text(&tokenizer->arena, text);   /* NULL is out of memory */
    return text;
}

int ft_added_read(struct ft_tokenizer *tokenizer, const struct json_t *item, int32_t id, struct ft_added_token *token)
{
    int32_t known;

    *token = (struct ft_added_token){
        .content = json_text(tokenizer, json_object_get(item, "content"), (struct ft_string){"", 0}),
        .single_word = json_is_true(json_object_get(item, "single_word")),
        .lstrip = json_is_true(json_object_get(item, "lstrip")),
        .rstrip = json_is_true(json_object_get(item, "rstrip")),
        .normalized = json_is_true(json_object_get(item, "normalized")),
        .special = json_is_true(json_object_get(item, "special")),
    };
    if (!token->content.data)
        return -1;
    known = ft_vocabulary_find(&tokenizer->vocabulary, token->content);
    token->id = known >= 0 ? known : id;
    if (token->id < 0 || token->id >= FT_ID_LIMIT)
        return ft_fail(FT_BAD, "added token \"%s\" has no id from 0 to %d", token->content.data, FT_ID_LIMIT - 1);
    return 0;
}

static int read_added(struct ft_tokenizer *tokenizer, const json_t *list)
{
    size_t i, count = json_array_size(list);

    if (!(tokenizer->added = ft_arena_zero(&tokenizer->arena, count + 1, sizeof *tokenizer->added)))
        return -1;
    for (i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i), *id = json_object_get(item, "id");
        json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;

        if (ft_added_read(tokenizer, item, value < 0 || value >= FT_ID_LIMIT ? -1 : (int32_t)value,
                          &tokenizer->added[i]) < 0)
            return -1;
    }
    tokenizer->added_count = count;
    return 0;
}

int ft_rules_read(struct ft_rules *rules, const struct json_t *object)
{
    const json_t *strip = json_object_get(object, "strip_accents");

    rules->clean = json_is_true(json_object_get(object, "clean_text"));
    rules->chinese = json_is_true(json_object_get(object, "handle_chinese_chars"));
    rules->lower = json_is_true(json_object_get(object, "lowercase"));
    rules->strip = json_is_boolean(strip) ? json_is_true(strip) : rules->lower;
    ft_rules_finish(rules);
    return 0;
}

static int read_normalizer(struct ft_rules *rules, const json_t *object)
{
    if (!object || json_is_null(object))
        return 0;
    if (!is_type(object, "BertNormalizer"))
        return unsupported("normalizer", object, "BertNormalizer");
    return ft_rules_read(rules, object);
}

static int read_model(struct ft_tokenizer *tokenizer, const json_t *model)
{
    const json_t *limit = json_object_get(model, "max_input_chars_per_word");
    struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;
    struct ft_string unknown = json_text(tokenizer, json_object_get(model, "unk_token"), FT_STRING("[UNK]"));
    struct ft_string prefix = json_text(tokenizer, json_object_get(model, "continuing_subword_prefix"), FT_STRING("##"));

    if (!unknown.data || !prefix.data)
        return -1;
    ft_vocabulary_prefix(vocabulary, prefix);
    if (limit && (!json_is_integer(limit) || json_integer_value(limit) < 0))
        return ft_fail(FT_BAD, "model.max_input_chars_per_word is not a whole number, 0 or more");
    if (limit)
        vocabulary->word_limit = (size_t)json_integer_value(limit);
    vocabulary->unknown = ft_vocabulary_find(vocabulary, unknown);
    if (vocabulary->unknown < 0)
        return ft_fail(FT_BAD, "the unknown token \"%s\" is not in the vocabulary", unknown.data);
    return 0;
}

/* Append `id` to the ids that go before or after the text. */
static int frame_add(struct ft_tokenizer *tokenizer, bool after, json_int_t id)
{
    if (id < 0 || id >= FT_ID_LIMIT)
        return ft_fail(FT_BAD, "post_processor: an id that is not from 0 to %d", FT_ID_LIMIT - 1);
    if (after)
        tokenizer->after[tokenizer->after_count++] = (int32_t)id;
    else
        tokenizer->before[tokenizer->before_count++] = (int32_t)id;
    return 0;
}

/* A special token of the template for pairs: does it belong where it is? */
static bool take_pair_special(struct ft_tokenizer *tokenizer, json_int_t id, json_int_t type, size_t texts, size_t at, size_t room)
{
    if (id < 0 || id >= FT_ID_LIMIT || type != (texts > 1))
        return false;
    if (texts == 0)
        return at < tokenizer->before_count && tokenizer->before[at] == id;
    if (texts == 2)
        return at < tokenizer->after_count && tokenizer->after[at] == id;
    if (at == room)
        return false;
    tokenizer->middle[tokenizer->middle_count++] = (int32_t)id;
    return true;
}

/* Whether pairs are made as BERT makes them; other ways are no error until one is asked for. */
static bool read_pair_template(struct ft_tokenizer *tokenizer, const json_t *object, size_t room)
{
    const json_t *pair = json_object_get(object, "pair"), *known = json_object_get(object, "special_tokens");
    size_t texts = 0, at = 0;

    for (size_t i = 0; i < json_array_size(pair); i++) {
        const json_t *item = json_array_get(pair, i), *token = json_object_get(item, "SpecialToken");
        const json_t *text = json_object_get(item, "Sequence"), *part = text ? text : token;
        const char *name = json_string_value(json_object_get(part, "id"));
        const json_t *ids = name ? json_object_get(json_object_get(known, name), "ids") : NULL;
        json_int_t type = json_integer_value(json_object_get(part, "type_id"));

        if (text) {
            if (!name || strcmp(name, texts ? "B" : "A") != 0 || type != (json_int_t)texts || ++texts > 2 ||
                (texts == 1 && at != tokenizer->before_count))
                return false;
            at = 0;
        }
        for (size_t j = 0; !text && j < json_array_size(ids); j++)
            if (!take_pair_special(tokenizer, json_integer_value(json_array_get(ids, j)), type, texts, at++, room))
                return false;
    }
    return texts == 2 && at == tokenizer->after_count;
}

static int read_template(struct ft_tokenizer *tokenizer, const json_t *object, size_t room)
{
    const json_t *single = json_object_get(object, "single"), *known = json_object_get(object, "special_tokens");
    size_t i, j, texts = 0;

    for (i = 0; i < json_array_size(single); i++) {
        const json_t *item = json_array_get(single, i), *token = json_object_get(item, "SpecialToken");
        const char *name = json_string_value(json_object_get(token, "id"));
        const json_t *ids = name ? json_object_get(json_object_get(known, name), "ids") : NULL;

        if (json_object_get(item, "Sequence")) {
            texts++;
            continue;
        }
        if (!json_array_size(ids))
            return ft_fail(FT_BAD, "post_processor: no ids for special token \"%s\"", name ? name : "");
        for (j = 0; j < json_array_size(ids); j++) {
            const json_t *id = json_array_get(ids, j);

            if (tokenizer->before_count + tokenizer->after_count == room)
                return ft_fail(FT_BAD, "post_processor: more than %zu special tokens around a text", room);
            if (frame_add(tokenizer, texts > 0, json_is_integer(id) ? json_integer_value(id) : -1) < 0)
                return -1;
        }
    }
    if (texts != 1)
        return ft_fail(FT_BAD, "post_processor: the template for one text has the text %zu times, expected once", texts);
    tokenizer->pairs = read_pair_template(tokenizer, object, room);
    return 0;
}

static int read_post_processor(struct ft_tokenizer *tokenizer, const json_t *object)
{
    enum { ROOM = 64 };
    const json_t *first, *last;

    tokenizer->before = ft_arena_zero(&tokenizer->arena, ROOM, sizeof *tokenizer->before);
    tokenizer->after = ft_arena_zero(&tokenizer->arena, ROOM, sizeof *tokenizer->after);
    tokenizer->middle = ft_arena_zero(&tokenizer->arena, ROOM, sizeof *tokenizer->middle);
    if (!tokenizer->before || !tokenizer->after || !tokenizer->middle)
        return -1;
    if (!object || json_is_null(object))
        return 0;
    if (is_type(object, "TemplateProcessing"))
        return read_template(tokenizer, object, ROOM);
    if (!is_type(object, "BertProcessing") && !is_type(object, "RobertaProcessing"))
        return unsupported("post_processor", object, "TemplateProcessing, BertProcessing or RobertaProcessing");
    first = json_array_get(json_object_get(object, "cls"), 1);
    last = json_array_get(json_object_get(object, "sep"), 1);
    if (frame_add(tokenizer, false, json_is_integer(first) ? json_integer_value(first) : -1) < 0)
        return -1;
    if (frame_add(tokenizer, true, json_is_integer(last) ? json_integer_value(last) : -1) < 0)
        return -1;
    tokenizer->middle[tokenizer->middle_count++] = tokenizer->after[0];
    tokenizer->pairs = is_type(object, "BertProcessing");
    return 0;
}

static int read_bert(struct ft_tokenizer *tokenizer, const json_t *root)
{
    const json_t *pre = json_object_get(root, "pre_tokenizer");

    if (!is_type(pre, "BertPreTokenizer"))
        return unsupported("pre_tokenizer", pre, "BertPreTokenizer");
    if (read_normalizer(&tokenizer->rules, json_object_get(root, "normalizer")) < 0)
        return -1;
    return read_model(tokenizer, json_object_get(root, "model"));
}

static bool is_general(const json_t *model)
{
    return is_type(model, "BPE") || is_type(model, "Unigram");
}

static int read_truncation(struct ft_tokenizer *tokenizer, const json_t *object)
{
    const json_t *most = json_object_get(object, "max_length");
    const char *direction = json_string_value(json_object_get(object, "direction"));

    if (!object || json_is_null(object))
        return 0;
    if (!json_is_integer(most) || json_integer_value(most) < 0)
        return ft_fail(FT_BAD, "truncation.max_length is not a whole number, 0 or more");
    tokenizer->truncate = (size_t)json_integer_value(most);
    tokenizer->truncate_left = direction && strcmp(direction, "Left") == 0;
    return 0;
}

/* Everything but the vocabulary's pieces. */
static int read_settings(struct ft_tokenizer *tokenizer, const json_t *root)
{
    if ((is_general(json_object_get(root, "model")) ? ft_general_read : read_bert)(tokenizer, root) < 0 ||
        read_added(tokenizer, json_object_get(root, "added_tokens")) < 0 || read_truncation(tokenizer, json_object_get(root, "truncation")) < 0)
        return -1;
    return read_post_processor(tokenizer, json_object_get(root, "post_processor"));
}

static int check_model(const json_t *model)
{
    /* Files of 2020 and before do not say the type; this key is WordPiece's alone. */
    if (!json_object_get(model, "type") && json_object_get(model, "max_input_chars_per_word"))
        return 0;
    return is_type(model, "WordPiece") || is_general(model) ? 0 : unsupported("model", model, "WordPiece, BPE or Unigram");
}

/* The text without [cut, stop), which becomes {}. */
static json_t *parse_rest(const char *text, size_t size, const char *cut, const char *stop)
{
    struct ft_buffer rest = {0};
    json_error_t error;
    json_t *root = NULL;

    if (ft_buffer_add(&rest, text, (size_t)(cut - text)) == 0 &&
        ft_buffer_add(&rest, "{}", cut < stop ? 2 : 0) == 0 &&
        ft_buffer_add(&rest, stop, (size_t)(text + size - stop)) == 0) {
        root = json_loadb(rest.data, rest.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        if (!root)
            ft_fail(FT_BAD, "not JSON: %s", error.text);
    }
    ft_buffer_free(&rest);
    return root;
}

int ft_tokenizer_read_text(struct ft_tokenizer *tokenizer, char *text, size_t size)
{
    char *cut, *stop;
    json_t *root;
    int rc;

    if (ft_tokenizer_cut_vocab(tokenizer, text, size, &cut, &stop) < 0)
        return -1;
    if (!(root = parse_rest(text, size, cut, stop)))
        return -1;
    rc = check_model(json_object_get(root, "model"));
    if (rc == 0 && tokenizer->vocabulary.count == 0 && !is_type(json_object_get(root, "model"), "Unigram"))
        rc = ft_fail(FT_BAD, "model.vocab has no pieces");
    if (rc == 0)
        rc = read_settings(tokenizer, root);
    json_decref(root);
    return rc;
}

int ft_tokenizer_read_json(struct ft_tokenizer *tokenizer, const char *path)
{
    size_t size;
    char *text = ft_file_read(&tokenizer->arena, path, FILE_LIMIT, &size);

    if (!text)
        return -1;
    if (ft_tokenizer_read_text(tokenizer, text, size) < 0)
        return ft_error_prefix("%s: ", path);
    return 0;
}
