/* pattern.c - what tokenizers look for in a text: a literal, or a regular expression by PCRE2.
 *
 * tokenizers' own engine, Oniguruma, has the categories of Unicode 16, PCRE2 those of the version it was built with (14 in Debian 12). Where versions differ
 * PCRE2 is given another code point of the same category: so \p{L} and the like say the same, and cost no more. */
#include "data/tokenizer-general.h"
#include "base/error.h"
#include "data/unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

/* White space as tokenizers' own engines have it: Unicode's White_Space. PCRE2's \s takes U+180E too, which has not been one since Unicode 6.3. */
#define SPACE "\\t-\\r\\x{85}\\p{Z}"

/* \w of Oniguruma: what is alphabetic, circled letters too, marks, digits, connecting punctuation, and the numbers of Latin-1. PCRE2's \w has all numbers and
 * no marks. */
#define WORD "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\xb2\\xb3\\xb9\\xbc-\\xbe\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"

/* What stands for \s or \w, and outside of a class for \S or \W; NULL: what is written. */
static const char *said_in_full(char letter, bool class)
{
    switch (letter) {
    case 's': return class ? SPACE : "[" SPACE "]";
    case 'w': return class ? WORD : "[" WORD "]";
    case 'S': return class ? NULL : "[^" SPACE "]";
    case 'W': return class ? NULL : "[^" WORD "]";
    default: return NULL;
    }
}

static int say_classes(struct ft_buffer *out, struct ft_string text)
{
    bool class = false;

    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i], next = i + 1 < text.size ? text.data[i + 1] : 0;
        const char *said = c == '\\' ? said_in_full(next, class) : NULL;

        class = c == '[' || (class && c != ']');
        if (said ? ft_buffer_print(out, "%s", said) < 0 : ft_buffer_add(out, text.data + i, c == '\\' && next ? 2 : 1) < 0)
            return -1;
        i += c == '\\' && next;
    }
    return 0;
}

int ft_pattern_make(struct ft_pattern *pattern, struct ft_string text, bool regular)
{
    struct ft_buffer said = {0};
    int error;
    PCRE2_SIZE where;

    *pattern = (struct ft_pattern){.literal = text};
    if (!regular)
        return text.size ? 0 : ft_fail(FT_BAD, "a pattern is empty");
    if (say_classes(&said, text) < 0 || ft_buffer_add(&said, "", 1) < 0) {
        ft_buffer_free(&said);
        return -1;
    }
    pattern->code = pcre2_compile((PCRE2_SPTR)said.data, said.size - 1, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &where, NULL);
    ft_buffer_free(&said);
    if (!pattern->code) {
        char why[128];

        pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof why);
        return ft_fail(FT_BAD, "the regular expression \"%.80s\" does not compile: %s at character %zu", text.data, why, (size_t)where);
    }
    pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);   /* where there is none, the same without */
    return 0;
}

void ft_pattern_free(struct ft_pattern *pattern)
{
    pcre2_code_free(pattern->code);
    pattern->code = NULL;
}

void *ft_pattern_match(void)
{
    void *match = pcre2_match_data_create(1, NULL);

    if (!match)
        ft_fail(FT_SYSTEM, "out of memory for a search");
    return match;
}

void ft_pattern_match_free(void *match)
{
    pcre2_match_data_free(match);
}

int ft_pattern_see(const struct ft_pattern *pattern, struct ft_buffer *buffer, struct ft_string *text)
{
    struct ft_string in = *text;
    size_t size;

    if (!pattern->code)
        return 0;
    for (size_t at = 0; at < in.size; at += size) {
        uint32_t c, other;

        if ((size = ft_unicode_settled[(uint8_t)in.data[at]]))
            continue;
        size = ft_unicode_decode((const uint8_t *)in.data + at, in.size - at, &c);
        if ((other = ft_unicode_stand_in(c)) == c)
            continue;
        if (text->data == in.data) {
            buffer->size = 0;
            if (ft_buffer_add(buffer, in.data, in.size) < 0)
                return -1;
            text->data = buffer->data;
        }
        ft_unicode_encode(other, buffer->data + at);
    }
    return 0;
}

/* Compiled, a search has 32 KB of stack, which groups that repeat use up; interpreted it has megabytes. */
static bool search(const struct ft_pattern *pattern, void *match, struct ft_string text, size_t start)
{
    const uint32_t how = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;     /* the text is valid UTF-8: it was decoded before */
    int found = pcre2_match(pattern->code, (PCRE2_SPTR)text.data, text.size, start, how, match, NULL);

    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(pattern->code, (PCRE2_SPTR)text.data, text.size, start, how | PCRE2_NO_JIT, match, NULL);
    return found >= 0;
}

bool ft_pattern_find(const struct ft_pattern *pattern, void *match, struct ft_string text, size_t *start, size_t *stop)
{
    const PCRE2_SIZE *found;
    const char *at;

    if (!pattern->code) {
        at = *start < text.size ? memmem(text.data + *start, text.size - *start, pattern->literal.data, pattern->literal.size) : NULL;
        if (!at)
            return false;
        *start = (size_t)(at - text.data);
        *stop = *start + pattern->literal.size;
        return true;
    }
    /* A search that runs out of PCRE2's limits finds nothing more. */
    if (*start >= text.size || !search(pattern, match, text, *start))
        return false;
    found = pcre2_get_ovector_pointer(match);
    if (found[0] < *start || found[1] <= found[0])
        return false;   /* \K in a group that a lookaround calls: a match that ends before it begins, or begins before the search did */
    *start = found[0];
    *stop = found[1];
    return true;
}
