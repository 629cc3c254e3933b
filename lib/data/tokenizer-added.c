/* tokenizer-added.c - finding added tokens in a text: leftmost first, the longest at each place.
 *
 * Which match counts, and how much white space it takes along, follows Hugging Face's AddedVocabulary: a match that is
 * rejected because it is not a whole word still uses up its bytes, and what an earlier match has stripped cannot be
 * stripped again. */
#include "data/tokenizer-parts.h"
#include "data/unicode.h"

#include <stdlib.h>
#include <string.h>

/* By first byte, longest first; for equal contents special tokens first, then the order of the file. */
static int token_compare(const void *a, const void *b)
{
    const struct ft_added_token *x = a, *y = b;
    uint8_t first = (uint8_t)x->content.data[0], second = (uint8_t)y->content.data[0];

    if (first != second)
        return first < second ? -1 : 1;
    if (x->content.size != y->content.size)
        return x->content.size > y->content.size ? -1 : 1;
    return (int)y->special - (int)x->special;
}

/* Insertion keeps equal tokens in their order and lists are short; long ones (a thousand "[unused7]") come nearly sorted
 * or go through qsort, where order among equal contents no longer matters because files do not repeat contents. */
static void tokens_sort(struct ft_added_token *tokens, size_t count)
{
    size_t i, j;

    if (count > 256) {
        qsort(tokens, count, sizeof *tokens, token_compare);
        return;
    }
    for (i = 1; i < count; i++) {
        struct ft_added_token token = tokens[i];

        for (j = i; j && token_compare(&tokens[j - 1], &token) > 0; j--)
            tokens[j] = tokens[j - 1];
        tokens[j] = token;
    }
}

void ft_added_index(struct ft_added *added, struct ft_added_token *tokens, size_t count)
{
    size_t i;
    int byte;

    *added = (struct ft_added){.tokens = tokens, .count = count, .only = -1};
    if (count == 0)
        return;
    tokens_sort(tokens, count);
    for (i = 0; i < count; i++)
        added->first[(uint8_t)tokens[i].content.data[0] + 1]++;
    for (byte = 0; byte < 256; byte++)
        added->first[byte + 1] += added->first[byte];
    if (tokens[0].content.data[0] == tokens[count - 1].content.data[0])
        added->only = (uint8_t)tokens[0].content.data[0];
}

/* The longest token that begins at text[at], or NULL. */
static const struct ft_added_token *token_at(const struct ft_added *added, struct ft_string text, size_t at)
{
    uint8_t byte = (uint8_t)text.data[at];
    uint32_t i;

    for (i = added->first[byte]; i < added->first[byte + 1]; i++) {
        const struct ft_added_token *token = &added->tokens[i];

        if (token->content.size <= text.size - at &&
            memcmp(text.data + at, token->content.data, token->content.size) == 0)
            return token;
    }
    return NULL;
}

static const struct ft_added_token *token_find(const struct ft_added *added, struct ft_string text, size_t *at)
{
    const struct ft_added_token *token;

    for (; *at < text.size; ++*at) {
        if (added->only >= 0) {
            const char *found = memchr(text.data + *at, added->only, text.size - *at);

            if (!found)
                return NULL;
            *at = (size_t)(found - text.data);
        }
        if ((token = token_at(added, text, *at)))
            return token;
    }
    return NULL;
}

static uint8_t flags_at(struct ft_string text, size_t at, size_t *length)
{
    uint32_t c;

    *length = ft_unicode_decode((const uint8_t *)text.data + at, text.size - at, &c);
    return ft_unicode_flags(c);
}

/* The same for the character that ends at `end`; bytes that do not make one are U+FFFD, one byte long. */
static uint8_t flags_before(struct ft_string text, size_t end, size_t *length)
{
    size_t back = 1;
    uint8_t flags;

    while (back < 4 && back < end && ((uint8_t)text.data[end - back] & 0xc0) == 0x80)
        back++;
    flags = flags_at((struct ft_string){text.data, end}, end - back, length);
    if (*length == back)
        return flags;
    *length = 1;
    return ft_unicode_flags(FT_UNICODE_REPLACEMENT);
}

static bool whole_word(struct ft_string text, size_t start, size_t stop)
{
    size_t length;

    return !(start > 0 && flags_before(text, start, &length) & FT_UNICODE_WORD) &&
           !(stop < text.size && flags_at(text, stop, &length) & FT_UNICODE_WORD);
}

bool ft_added_next(const struct ft_added *added, struct ft_string text, struct ft_added_match *match)
{
    const struct ft_added_token *token;
    size_t start = match->from, stop, length, left;

    if (added->count == 0)
        return false;
    for (;; start = stop) {
        if (!(token = token_find(added, text, &start)))
            return false;
        stop = start + token->content.size;
        if (!token->single_word || whole_word(text, start, stop))
            break;
    }
    match->from = stop;
    if (token->lstrip) {
        for (left = start; left && flags_before(text, left, &length) & FT_UNICODE_SPACE; )
            left -= length;
        start = left > match->taken ? left : match->taken;
    }
    if (token->rstrip)
        while (stop < text.size && flags_at(text, stop, &length) & FT_UNICODE_SPACE)
            stop += length;
    match->start = start;
    match->stop = stop;
    match->id = token->id;
    return true;
}
