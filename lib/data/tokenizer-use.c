/* tokenizer-use.c - what models ask of a tokenizer beyond its file: how much of a text it looks at, and which ids it gives. */
#include "data/tokenizer-general.h"
#include "data/unicode.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static size_t characters(struct ft_string text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += ((uint8_t)text.data[i] & 0xc0) != 0x80;
    return count;
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The median number of characters of all entries, added tokens among them; of an even count the mean of the two in the middle, rounded down. An
 * entry that stands in the list twice counts once. */
static int find_median(struct ft_tokenizer *tokenizer)
{
    const struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t count = 0, room = vocabulary->count + tokenizer->added_count + 1;
    uint32_t *length = ft_resize(NULL, room, sizeof *length);

    if (!length)
        return -1;
    for (size_t i = 0; i < vocabulary->count; i++) {
        const struct ft_string text = {vocabulary->pieces[i].text, vocabulary->pieces[i].size};

        if (ft_vocabulary_find(vocabulary, text) == vocabulary->pieces[i].id)
            length[count++] = (uint32_t)characters(text);
    }
    for (size_t i = 0; i < tokenizer->added_count; i++)
        if (ft_vocabulary_find(vocabulary, tokenizer->added[i].content) < 0)
            length[count++] = (uint32_t)characters(tokenizer->added[i].content);
    qsort(length, count, sizeof *length, compare);
    tokenizer->median = count ? ((size_t)length[(count - 1) / 2] + length[count / 2]) / 2 : 0;
    free(length);
    return 0;
}

int ft_tokenizer_use(struct ft_tokenizer *tokenizer, int use)
{
    const struct ft_general *general = tokenizer->general;

    if (use & FT_TOKENIZER_BARE) {
        tokenizer->before_count = tokenizer->middle_count = tokenizer->after_count = 0;
        tokenizer->pairs = false;
    }
    if (use & FT_TOKENIZER_KNOWN)
        tokenizer->left_out = !general ? tokenizer->vocabulary.unknown : general->is_unigram ? general->unigram.unknown : general->bpe.unknown;
    return use & FT_TOKENIZER_MEDIAN ? find_median(tokenizer) : 0;
}

int32_t ft_tokenizer_left_out(const struct ft_tokenizer *tokenizer)
{
    return tokenizer->left_out;
}

int ft_tokenizer_limit(const struct ft_tokenizer *tokenizer, size_t *limit)
{
    if (tokenizer->truncate_left)
        return ft_fail(FT_BAD, "truncation from the left is not supported");
    *limit = tokenizer->truncate;
    return 0;
}

struct ft_string ft_tokenizer_begin_of(const struct ft_tokenizer *tokenizer, struct ft_string text, size_t limit)
{
    size_t most, at = 0;
    uint32_t c;

    if (!tokenizer->median || !limit || __builtin_mul_overflow(limit, tokenizer->median, &most) || text.size <= most)
        return text;
    while (most-- && at < text.size)
        at += ft_unicode_decode((const uint8_t *)text.data + at, text.size - at, &c);
    return (struct ft_string){text.data, at};
}

void ft_tokens_leave_out(struct ft_tokens *tokens, size_t from, int32_t id)
{
    size_t kept = from;

    for (size_t i = from; i < tokens->count; i++)
        if (tokens->id[i] != id)
            tokens->id[kept++] = tokens->id[i];
    tokens->count = kept;
}

/* The id of an entry, or of an added token; -1: there is none. */
static int32_t find_token(const struct ft_tokenizer *tokenizer, struct ft_string name)
{
    for (size_t i = 0; i < tokenizer->added_count; i++) {
        struct ft_string content = tokenizer->added[i].content;

        if (content.size == name.size && memcmp(content.data, name.data, name.size) == 0)
            return tokenizer->added[i].id;
    }
    return ft_vocabulary_find(&tokenizer->vocabulary, name);
}

void ft_tokens_leave_beyond(struct ft_tokens *tokens, size_t from, size_t rows)
{
    size_t kept = from;

    for (size_t i = from; i < tokens->count; i++)
        if ((size_t)tokens->id[i] < rows)
            tokens->id[kept++] = tokens->id[i];
    tokens->count = kept;
}

/* Is all that is not below `rows` an added token? They have one id each. */
static bool only_added_beyond(const struct ft_tokenizer *tokenizer, size_t rows)
{
    size_t count = 0;

    for (size_t i = 0; i < tokenizer->added_count; i++)
        count += (size_t)tokenizer->added[i].id >= rows;
    return count >= tokenizer->size - rows;
}

int ft_tokenizer_set_way(struct ft_tokenizer *tokenizer, struct ft_tokenizer_way *way)
{
    size_t after = tokenizer->after_count;

    if (way->filler_name && (way->filler = find_token(tokenizer, ft_string_of(way->filler_name))) < 0)
        return ft_fail(FT_BAD, "pad_token is '%.64s', which is none of the tokenizer's", way->filler_name);
    if (way->clean && ft_tokenizer_make_cleaner(tokenizer, way->clean) < 0)
        return -1;
    if (way->ends && way->end >= 0 && (!after || tokenizer->after[after - 1] != way->end))
        return ft_fail(FT_BAD, "eos_token_id is %d, which the tokenizer does not put at a text's end", (int)way->end);
    tokenizer->way = *way;
    if (tokenizer->size <= way->rows || !only_added_beyond(tokenizer, way->rows))
        tokenizer->way.rows = 0;
    else
        tokenizer->size = way->rows;
    return 0;
}

void ft_tokens_end(struct ft_tokens *tokens, size_t from, const struct ft_tokenizer_way *way)
{
    size_t end = from;

    for (size_t i = from; i < tokens->count; i++)
        if (way->end < 0 ? tokens->id[i] > tokens->id[end] : tokens->id[i] == way->end) {
            end = i;
            if (way->end >= 0)
                break;
        }
    if (tokens->count > from && (way->end < 0 || tokens->id[end] == way->end))
        tokens->count = end + 1;
}

int ft_tokens_fill(struct ft_tokens *tokens, size_t until, int32_t id)
{
    if (until > tokens->capacity) {
        int32_t *more = ft_resize(tokens->id, until, sizeof *more);

        if (!more)
            return -1;
        tokens->id = more;
        tokens->capacity = until;
    }
    while (tokens->count < until)
        tokens->id[tokens->count++] = id;
    return 0;
}
