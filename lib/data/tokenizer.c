/* tokenizer.c - opening a tokenizer, and a text's way through it. */
#include "data/tokenizer-general.h"
#include "data/unicode.h"
#include "base/error.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

static int tokenizer_read(struct ft_tokenizer *tokenizer, const char *directory)
{
    char *json = ft_arena_print(&tokenizer->arena, "%s/tokenizer.json", directory);
    char *vocab = ft_arena_print(&tokenizer->arena, "%s/vocab.txt", directory);
    char *pieces = ft_arena_print(&tokenizer->arena, "%s/vocab.json", directory), *merges = ft_arena_print(&tokenizer->arena, "%s/merges.txt", directory);

    if (!json || !vocab || !pieces || !merges)
        return -1;
    if (ft_tokenizer_is_spiece(&tokenizer->arena, directory, ft_file_exists(json) || ft_file_exists(vocab) || ft_file_exists(pieces)))
        return ft_tokenizer_read_spiece(tokenizer, directory);
    if (ft_file_exists(json))
        return ft_tokenizer_read_json(tokenizer, json);
    if (ft_file_exists(vocab))
        return ft_tokenizer_read_vocab(tokenizer, directory);
    if (ft_file_exists(pieces) && ft_file_exists(merges))
        return ft_tokenizer_read_clip(tokenizer, directory);
    return ft_fail(FT_BAD, "%s: no tokenizer there, expected tokenizer.json, vocab.txt, CLIP's vocab.json with merges.txt, or SigLIP's "
                   "spiece.model", directory);
}

static int normalize_general(struct ft_tokenizer *tokenizer, struct ft_string *text)
{
    struct ft_tokens none = {0};
    struct ft_general_run run;

    ft_general_begin(&run, tokenizer, &none);
    if (!run.failed)
        ft_normalize(&run, *text);
    text->size = run.normal.size;
    text->data = run.failed ? NULL : ft_arena_text(&tokenizer->arena, (struct ft_string){run.normal.data, run.normal.size});
    ft_general_end(&run);
    return text->data ? 0 : -1;
}

/* `text` as the normalizer leaves it, copied to the arena. */
static int normalize(struct ft_tokenizer *tokenizer, struct ft_string *text)
{
    struct ft_buffer buffer = {0};
    struct ft_tokens none = {0};
    struct ft_split split;

    if (tokenizer->general)
        return normalize_general(tokenizer, text);
    ft_split_begin(&split, &tokenizer->vocabulary, tokenizer->flags, &none, SIZE_MAX);
    split.normal = &buffer;
    ft_split_text(&split, &tokenizer->rules, *text);
    ft_split_end(&split);
    text->size = buffer.size;
    text->data = split.failed ? NULL : ft_arena_text(&tokenizer->arena, (struct ft_string){buffer.data, buffer.size});
    ft_buffer_free(&buffer);
    return text->data ? 0 : -1;
}

/* Sort the added tokens into those searched before and those searched after normalization. */
static int added_divide(struct ft_tokenizer *tokenizer)
{
    size_t i, raw = 0, normal = 0, count = tokenizer->added_count;
    struct ft_added_token *both = ft_arena_zero(&tokenizer->arena, 2 * count + 1, sizeof *both);

    if (!both)
        return -1;
    for (i = 0; i < count; i++) {
        struct ft_added_token token = tokenizer->added[i];

        if ((size_t)token.id >= tokenizer->size)
            tokenizer->size = (size_t)token.id + 1;
        if (token.normalized && normalize(tokenizer, &token.content) < 0)
            return -1;
        if (token.content.size == 0)
            continue;
        if (token.normalized)
            both[count + normal++] = token;
        else
            both[raw++] = token;
    }
    ft_added_index(&tokenizer->raw, both, raw);
    ft_added_index(&tokenizer->normal, both + count, normal);
    return 0;
}

/* `path` is a directory, or with `file` a tokenizer.json. */
static struct ft_tokenizer *open_tokenizer(const char *path, bool file)
{
    struct ft_tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    uint8_t *flags;

    if (!tokenizer) {
        ft_fail(FT_SYSTEM, "out of memory for a tokenizer");
        return NULL;
    }
    tokenizer->left_out = -1;
    if ((file ? ft_tokenizer_read_json : tokenizer_read)(tokenizer, path) < 0 || !(flags = ft_arena_take(&tokenizer->arena, FT_UNICODE_FLAT)))
        goto fail;
    ft_unicode_fill(flags);
    tokenizer->flags = flags;
    tokenizer->size = (size_t)(tokenizer->vocabulary.largest + 1);
    ft_rules_finish(&tokenizer->rules);
    ft_rules_finish(&tokenizer->plain);
    if (added_divide(tokenizer) == 0)
        return tokenizer;
fail:
    ft_tokenizer_close(tokenizer);
    return NULL;
}

struct ft_tokenizer *ft_tokenizer_open(const char *directory)
{
    return open_tokenizer(directory, false);
}

struct ft_tokenizer *ft_tokenizer_open_file(const char *path)
{
    return open_tokenizer(path, true);
}

void ft_tokenizer_close(struct ft_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    ft_tokenizer_close(tokenizer->cleaner);
    ft_general_free(tokenizer->general);
    ft_arena_free(&tokenizer->arena);
    free(tokenizer);
}

size_t ft_tokenizer_size(const struct ft_tokenizer *tokenizer)
{
    return tokenizer->size;
}

void ft_tokens_free(struct ft_tokens *tokens)
{
    free(tokens->id);
    *tokens = (struct ft_tokens){0};
}

static struct ft_string part(struct ft_string text, size_t start, size_t stop)
{
    return (struct ft_string){text.data + start, stop - start};
}

/* What lies between added tokens, where some of those are to be found in normalized text. */
static void encode_normalized(const struct ft_tokenizer *tokenizer, struct ft_split *split, struct ft_string text)
{
    struct ft_added_match match = {0};
    struct ft_buffer buffer = {0};
    struct ft_string normal;

    split->normal = &buffer;
    ft_split_text(split, &tokenizer->rules, text);
    split->normal = NULL;
    normal = (struct ft_string){buffer.data, buffer.size};
    while (!ft_split_done(split) && ft_added_next(&tokenizer->normal, normal, &match)) {
        if (match.taken < match.start)
            ft_split_text(split, &tokenizer->plain, part(normal, match.taken, match.start));
        ft_split_id(split, match.id);
        match.taken = match.stop;
    }
    ft_split_text(split, &tokenizer->plain, part(normal, match.taken, normal.size));
    ft_buffer_free(&buffer);
}

static void encode_segment(const struct ft_tokenizer *tokenizer, struct ft_split *split, struct ft_string text)
{
    if (text.size == 0)
        return;
    if (tokenizer->normal.count)
        encode_normalized(tokenizer, split, text);
    else
        ft_split_text(split, &tokenizer->rules, text);
}

/* A text without what is put around it, added tokens recognised. */
static void encode_text(const struct ft_tokenizer *tokenizer, struct ft_split *split, struct ft_string text)
{
    struct ft_added_match match = {0};

    while (!ft_split_done(split) && ft_added_next(&tokenizer->raw, text, &match)) {
        encode_segment(tokenizer, split, part(text, match.taken, match.start < match.taken ? match.taken : match.start));
        ft_split_id(split, match.id);
        match.taken = match.stop;
    }
    encode_segment(tokenizer, split, part(text, match.taken, text.size));
}

static void put_ids(struct ft_split *split, const int32_t *id, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ft_split_id(split, id[i]);
}

static int encode_bert(const struct ft_tokenizer *tokenizer, struct ft_string text, size_t limit, struct ft_tokens *tokens)
{
    size_t begun = tokens->count, frame = tokenizer->before_count + tokenizer->after_count;
    size_t stop = limit ? begun + limit : SIZE_MAX;
    struct ft_split split;

    ft_split_begin(&split, &tokenizer->vocabulary, tokenizer->flags, tokens, stop);
    put_ids(&split, tokenizer->before, tokenizer->before_count);
    split.stop = limit == 0 ? SIZE_MAX : limit > frame ? stop - tokenizer->after_count : tokens->count;
    encode_text(tokenizer, &split, text);
    split.stop = stop;
    put_ids(&split, tokenizer->after, tokenizer->after_count);
    ft_split_end(&split);
    if (split.failed)
        tokens->count = begun;
    return split.failed ? -1 : 0;
}

static int encode_general(const struct ft_tokenizer *tokenizer, struct ft_string text, size_t limit, struct ft_tokens *tokens)
{
    size_t begun = tokens->count, frame = tokenizer->before_count + tokenizer->after_count;
    struct ft_added_match match = {0};
    struct ft_general_run run;

    ft_general_begin(&run, tokenizer, tokens);
    run.stop = limit ? begun + limit : SIZE_MAX;
    for (size_t i = 0; i < tokenizer->before_count; i++)
        ft_general_id(&run, tokenizer->before[i]);
    if (limit)
        run.stop = limit > frame ? begun + limit - tokenizer->after_count : tokens->count;
    while (!ft_general_done(&run) && ft_added_next(&tokenizer->raw, text, &match)) {
        ft_general_segment(&run, part(text, match.taken, match.start < match.taken ? match.taken : match.start), match.taken == 0);
        ft_general_id(&run, match.id);
        match.taken = match.stop;
    }
    ft_general_segment(&run, part(text, match.taken, text.size), match.taken == 0);
    run.stop = limit ? begun + limit : SIZE_MAX;
    for (size_t i = 0; i < tokenizer->after_count; i++)
        ft_general_id(&run, tokenizer->after[i]);
    ft_general_end(&run);
    if (run.failed)
        tokens->count = begun;
    return run.failed ? -1 : 0;
}

static int encode_cleaned(const struct ft_tokenizer *tokenizer, struct ft_string text, size_t limit, struct ft_tokens *tokens)
{
    struct ft_buffer cleaned = {0};
    int result = -1;

    if (!tokenizer->cleaner || ft_tokenizer_clean(tokenizer, &text, &cleaned) == 0)
        result = (tokenizer->general ? encode_general : encode_bert)(tokenizer, text, limit, tokens);
    ft_buffer_free(&cleaned);
    return result;
}

int ft_tokenizer_encode(const struct ft_tokenizer *tokenizer, struct ft_string text, size_t limit,
                        struct ft_tokens *tokens)
{
    size_t begun = tokens->count;

    if (encode_cleaned(tokenizer, ft_tokenizer_begin_of(tokenizer, text, limit), limit, tokens) < 0)
        return -1;
    if (tokenizer->left_out >= 0)
        ft_tokens_leave_out(tokens, begun, tokenizer->left_out);
    if (tokenizer->way.rows)
        ft_tokens_leave_beyond(tokens, begun, tokenizer->way.rows);
    if (tokenizer->way.ends)
        ft_tokens_end(tokens, begun, &tokenizer->way);
    if (tokenizer->way.fills && ft_tokens_fill(tokens, begun + limit, tokenizer->way.filler) < 0) {
        tokens->count = begun;
        return -1;
    }
    return 0;
}

/* ---- pairs ---- */

/* How much of two texts is kept in `room` tokens: the longer one gives, down to the shorter's length, then both do. */
static void cut_longest(size_t *a, size_t *b, size_t room)
{
    size_t *shorter = *a > *b ? b : a, *longer = *a > *b ? a : b;

    if (*a + *b <= room)
        return;
    if (*shorter <= room && room - *shorter >= *shorter) {
        *longer = room - *shorter;
    } else {
        *shorter = room / 2;
        *longer = room / 2 + room % 2;
    }
}

/* The tokens of both texts lie one after another, with room behind them: cut, and put in what belongs around. */
static size_t frame_pair(const struct ft_tokenizer *tokenizer, int32_t *id, size_t a, size_t b, size_t limit)
{
    size_t frame = tokenizer->before_count + tokenizer->middle_count + tokenizer->after_count, kept_a = a, kept_b = b;

    if (limit)
        cut_longest(&kept_a, &kept_b, limit - frame);
    memmove(id + kept_a + tokenizer->middle_count, id + a, kept_b * sizeof *id);
    if (tokenizer->middle_count)
        memcpy(id + kept_a, tokenizer->middle, tokenizer->middle_count * sizeof *id);
    id += kept_a + tokenizer->middle_count + kept_b;
    if (tokenizer->after_count)
        memcpy(id, tokenizer->after, tokenizer->after_count * sizeof *id);
    return kept_a;
}

int ft_tokenizer_encode_pair(const struct ft_tokenizer *tokenizer, struct ft_string text, struct ft_string other, size_t limit,
                             struct ft_tokens *tokens, size_t *second)
{
    size_t begun = tokens->count, frame = tokenizer->before_count + tokenizer->middle_count + tokenizer->after_count, first, a, b;
    struct ft_split split;

    if (!tokenizer->pairs || tokenizer->general)
        return ft_fail(FT_BAD, "the tokenizer does not make pairs as BERT's does: [CLS] a [SEP] b [SEP], of types 0 and 1");
    if (limit && limit < frame)
        return ft_fail(FT_USAGE, "at most %zu tokens: a pair has %zu special ones", limit, frame);
    ft_split_begin(&split, &tokenizer->vocabulary, tokenizer->flags, tokens, SIZE_MAX);
    put_ids(&split, tokenizer->before, tokenizer->before_count);
    first = tokens->count;
    encode_text(tokenizer, &split, text);
    a = tokens->count - first;
    encode_text(tokenizer, &split, other);
    b = tokens->count - first - a;
    put_ids(&split, tokenizer->middle, tokenizer->middle_count);
    put_ids(&split, tokenizer->after, tokenizer->after_count);
    ft_split_end(&split);
    if (split.failed) {
        tokens->count = begun;
        return -1;
    }
    *second = tokenizer->before_count + tokenizer->middle_count + frame_pair(tokenizer, tokens->id + first, a, b, limit);
    if (limit && tokens->count - begun > limit)
        tokens->count = begun + limit;
    return 0;
}
