/* tokenizer-general.c - tokenizers that are not BERT's: their steps read from tokenizer.json, and a text's way through them. */
#include "data/tokenizer-general.h"
#include "data/unicode.h"
#include "base/error.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));

    return type ? type : "without a type";
}

static int read_text(struct ft_tokenizer *tokenizer, const json_t *object, const char *key, struct ft_string *text)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return ft_fail(FT_BAD, "%s: \"%s\" is missing or no text", type_of(object), key);
    *text = (struct ft_string){json_string_value(value), json_string_length(value)};
    text->data = ft_arena_text(&tokenizer->arena, *text);
    return text->data ? 0 : -1;
}

static int read_pattern(struct ft_tokenizer *tokenizer, const json_t *object, struct ft_pattern *pattern)
{
    const json_t *value = json_object_get(object, "pattern");
    bool regular = json_object_get(value, "Regex") != NULL;
    struct ft_string text;

    if (read_text(tokenizer, value, regular ? "Regex" : "String", &text) < 0 || ft_pattern_make(pattern, text, regular) < 0)
        return ft_error_prefix("%s: ", type_of(object));
    return 0;
}

static const char *const normal_names[] = {
    [FT_NORMAL_NFC] = "NFC", [FT_NORMAL_NFD] = "NFD", [FT_NORMAL_NFKC] = "NFKC", [FT_NORMAL_NFKD] = "NFKD", [FT_NORMAL_LOWER] = "Lowercase",
    [FT_NORMAL_ACCENTS] = "StripAccents", [FT_NORMAL_REPLACE] = "Replace", [FT_NORMAL_PREPEND] = "Prepend", [FT_NORMAL_STRIP] = "Strip",
    [FT_NORMAL_PRECOMPILED] = "Precompiled", [FT_NORMAL_BERT] = "BertNormalizer",
};
static const char *const cut_names[] = {
    [FT_CUT_BYTES] = "ByteLevel", [FT_CUT_METASPACE] = "Metaspace", [FT_CUT_SPACE] = "WhitespaceSplit", [FT_CUT_SPLIT] = "Split", [FT_CUT_DIGITS] = "Digits",
};

/* The number of the type of `object` among `names`, or -1 with a message that lists them. */
static int find_type(const char *what, const json_t *object, const char *const *names, int count)
{
    char known[256] = "";

    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], type_of(object)) == 0)
            return i;
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", names[i]);
    }
    return ft_fail(FT_BAD, "%s %s is not supported, expected one of: %s", what, type_of(object), known);
}

static int read_normal_step(struct ft_tokenizer *tokenizer, const json_t *object, struct ft_normal_step *step)
{
    int kind = find_type("normalizer", object, normal_names, sizeof normal_names / sizeof *normal_names);
    const json_t *map = json_object_get(object, "precompiled_charsmap");

    if (kind < 0)
        return -1;
    *step = (struct ft_normal_step){.kind = (enum ft_normal_kind)kind};
    switch (step->kind) {
    case FT_NORMAL_REPLACE:
        return read_pattern(tokenizer, object, &step->pattern) < 0 ? -1 : read_text(tokenizer, object, "content", &step->content);
    case FT_NORMAL_PREPEND:
        step->first = json_is_true(json_object_get(object, "first"));   /* of tokenizer-spiece.c alone */
        return read_text(tokenizer, object, "prepend", &step->content);
    case FT_NORMAL_STRIP:
        step->left = json_is_true(json_object_get(object, "strip_left"));
        step->right = json_is_true(json_object_get(object, "strip_right"));
        return 0;
    case FT_NORMAL_PRECOMPILED:
        step->longest = json_is_true(json_object_get(object, "longest"));   /* of tokenizer-spiece.c alone */
        return json_is_string(map) ? ft_charsmap_read(&tokenizer->arena, &step->map, (struct ft_string){json_string_value(map), json_string_length(map)}) : 0;
    case FT_NORMAL_BERT:
        return ft_rules_read(&step->rules, object);
    default:
        return 0;
    }
}

static int read_behavior(const json_t *object, struct ft_cut_step *step)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *name = json_string_value(json_object_get(object, "behavior"));

    for (int i = 0; name && i < 5; i++)
        if (strcmp(name, names[i]) == 0) {
            step->behavior = (enum ft_cut_behavior)i;
            return 0;
        }
    return ft_fail(FT_BAD, "Split: \"behavior\" is \"%s\", expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous", name ? name : "");
}

/* Files of before 2024 say add_prefix_space instead. */
static int read_metaspace(struct ft_tokenizer *tokenizer, const json_t *object, struct ft_cut_step *step)
{
    const char *scheme = json_string_value(json_object_get(object, "prepend_scheme"));

    step->split = !json_is_false(json_object_get(object, "split"));
    step->prepend = FT_METASPACE_ALWAYS;
    if (scheme && strcmp(scheme, "first") == 0)
        step->prepend = FT_METASPACE_FIRST;
    else if (scheme ? strcmp(scheme, "never") == 0 : json_is_false(json_object_get(object, "add_prefix_space")))
        step->prepend = FT_METASPACE_NEVER;
    if (read_text(tokenizer, object, "replacement", &step->replacement) < 0)
        return -1;
    return step->replacement.size ? 0 : ft_fail(FT_BAD, "Metaspace: \"replacement\" is empty");
}

/* GPT-2's: contractions, then words, numbers and the rest with a blank before them, then white space. */
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

static int read_cut_step(struct ft_tokenizer *tokenizer, const json_t *object, struct ft_cut_step *step)
{
    int kind = find_type("pre_tokenizer", object, cut_names, sizeof cut_names / sizeof *cut_names);

    if (kind < 0)
        return -1;
    *step = (struct ft_cut_step){.kind = (enum ft_cut_kind)kind};
    switch (step->kind) {
    case FT_CUT_BYTES:
        step->prefix_space = !json_is_false(json_object_get(object, "add_prefix_space"));
        step->use_regex = !json_is_false(json_object_get(object, "use_regex"));
        return step->use_regex ? ft_pattern_make(&step->pattern, FT_STRING(GPT2), true) : 0;
    case FT_CUT_METASPACE:
        return read_metaspace(tokenizer, object, step);
    case FT_CUT_SPLIT:
        step->invert = json_is_true(json_object_get(object, "invert"));
        return read_behavior(object, step) < 0 ? -1 : read_pattern(tokenizer, object, &step->pattern);
    case FT_CUT_DIGITS:
        step->behavior = json_is_true(json_object_get(object, "individual_digits")) ? FT_CUT_ISOLATED : FT_CUT_CONTIGUOUS;
        return 0;
    case FT_CUT_SPACE:
        break;
    }
    return 0;
}

/* The steps of a Sequence, which may lie in one another, or the one step that there is. */
static int read_normal(struct ft_tokenizer *tokenizer, const json_t *object, int depth)
{
    struct ft_general *general = tokenizer->general;
    const json_t *list = json_object_get(object, "normalizers");

    if (!object || json_is_null(object))
        return 0;
    if (depth > 4 || general->normal_count == FT_STEPS_LIMIT)
        return ft_fail(FT_BAD, "normalizer: more than %d steps", FT_STEPS_LIMIT);
    if (strcmp(type_of(object), "Sequence") != 0)
        return read_normal_step(tokenizer, object, &general->normal[general->normal_count++]);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read_normal(tokenizer, json_array_get(list, i), depth + 1) < 0)
            return -1;
    return 0;
}

static int read_cuts(struct ft_tokenizer *tokenizer, const json_t *object, int depth)
{
    struct ft_general *general = tokenizer->general;
    const json_t *list = json_object_get(object, "pretokenizers");

    if (!object || json_is_null(object))
        return 0;
    if (depth > 4 || general->cut_count == FT_STEPS_LIMIT)
        return ft_fail(FT_BAD, "pre_tokenizer: more than %d steps", FT_STEPS_LIMIT);
    if (strcmp(type_of(object), "Sequence") != 0)
        return read_cut_step(tokenizer, object, &general->cuts[general->cut_count++]);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read_cuts(tokenizer, json_array_get(list, i), depth + 1) < 0)
            return -1;
    return 0;
}

int ft_byte_tokens(const struct ft_tokenizer *tokenizer, int32_t bytes[256])
{
    for (int b = 0; b < 256; b++) {
        char name[8];

        snprintf(name, sizeof name, "<0x%02X>", b);
        if ((bytes[b] = ft_vocabulary_find(&tokenizer->vocabulary, ft_string_of(name))) < 0)
            return 0;
    }
    return 1;
}

int ft_general_read_normal(struct ft_tokenizer *tokenizer, const struct json_t *normalizer)
{
    if (!tokenizer->general && !(tokenizer->general = ft_arena_zero(&tokenizer->arena, 1, sizeof *tokenizer->general)))
        return -1;
    return read_normal(tokenizer, normalizer, 0);
}

int ft_general_read(struct ft_tokenizer *tokenizer, const struct json_t *root)
{
    const json_t *model = json_object_get(root, "model");
    int result = ft_general_read_normal(tokenizer, json_object_get(root, "normalizer"));
    struct ft_general *general = tokenizer->general;

    if (result < 0)
        return -1;
    general->is_unigram = strcmp(type_of(model), "Unigram") == 0;
    if (read_cuts(tokenizer, json_object_get(root, "pre_tokenizer"), 0) < 0)
        return -1;
    return general->is_unigram ? ft_unigram_read(tokenizer, &general->unigram, model) : ft_bpe_read(tokenizer, &general->bpe, model);
}

void ft_general_free(struct ft_general *general)
{
    for (int i = 0; general && i < general->normal_count; i++)
        ft_pattern_free(&general->normal[i].pattern);
    for (int i = 0; general && i < general->cut_count; i++)
        ft_pattern_free(&general->cuts[i].pattern);
}

/* ---- a text ---- */

void ft_general_begin(struct ft_general_run *run, const struct ft_tokenizer *tokenizer, struct ft_tokens *tokens)
{
    *run = (struct ft_general_run){.tokenizer = tokenizer, .tokens = tokens, .stop = SIZE_MAX, .match = ft_pattern_match()};
    run->failed = !run->match;
}

void ft_general_end(struct ft_general_run *run)
{
    ft_buffer_free(&run->normal);
    ft_buffer_free(&run->other);
    for (int i = 0; i < FT_STEPS_LIMIT; i++) {
        ft_buffer_free(&run->cut[i]);
        ft_buffer_free(&run->seen[i]);
    }
    if (run->match)
        ft_pattern_match_free(run->match);
    free(run->symbols);
    free(run->queue);
}

bool ft_general_done(const struct ft_general_run *run)
{
    return run->failed || run->tokens->count >= run->stop;
}

void ft_general_id(struct ft_general_run *run, int32_t id)
{
    struct ft_tokens *tokens = run->tokens;

    if (ft_general_done(run))
        return;
    if (tokens->count == tokens->capacity) {
        size_t capacity = tokens->capacity ? 2 * tokens->capacity : 64;
        int32_t *more = ft_resize(tokens->id, capacity, sizeof *more);

        if (!more) {
            run->failed = true;
            return;
        }
        tokens->id = more;
        tokens->capacity = capacity;
    }
    tokens->id[tokens->count++] = id;
}

/* Bytes that are not UTF-8 become U+FFFD before any step sees them. */
static int make_valid(struct ft_buffer *out, struct ft_string text)
{
    size_t size;

    out->size = 0;
    for (size_t at = 0; at < text.size; at += size) {
        uint32_t c;

        size = ft_unicode_decode((const uint8_t *)text.data + at, text.size - at, &c);
        if (ft_buffer_reserve(out, 4) < 0)
            return -1;
        out->size += ft_unicode_encode(c, out->data + out->size);
    }
    return 0;
}

void ft_general_normalize(struct ft_general_run *run, struct ft_string text)
{
    struct ft_buffer valid = {0};

    if (make_valid(&valid, text) < 0)
        run->failed = true;
    else
        ft_normalize(run, (struct ft_string){valid.data, valid.size});
    ft_buffer_free(&valid);
}

void ft_general_segment(struct ft_general_run *run, struct ft_string text, bool first)
{
    struct ft_added_match match = {0};

    if (text.size == 0 || ft_general_done(run))
        return;
    run->first = first;
    ft_general_normalize(run, text);
    text = (struct ft_string){run->normal.data, run->normal.size};
    while (!ft_general_done(run) && ft_added_next(&run->tokenizer->normal, text, &match)) {
        if (match.taken < match.start)
            ft_precut(run, 0, (struct ft_string){text.data + match.taken, match.start - match.taken}, first && match.taken == 0);
        ft_general_id(run, match.id);
        match.taken = match.stop;
    }
    if (!ft_general_done(run))
        ft_precut(run, 0, (struct ft_string){text.data + match.taken, text.size - match.taken}, first && match.taken == 0);
}
