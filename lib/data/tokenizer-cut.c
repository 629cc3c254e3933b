/* tokenizer-cut.c - the vocabulary of tokenizer.json, found in the JSON text and read where it stands.
 *
 * Its texts stay in the file's bytes, so that no entry costs an allocation. The rest of the file is only stepped over
 * here, as far as it stands before the vocabulary; jansson judges it later. */
#include "data/tokenizer-parts.h"
#include "data/unicode.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPICAL_PIECE = 12 };   /* bytes of an entry */

/* A place in JSON text; the text ends with a null byte. */
struct place {
    char *at, *end;
};

static void skip_space(struct place *place)
{
    while (*place->at == ' ' || *place->at == '\t' || *place->at == '\n' || *place->at == '\r')
        place->at++;
}

/* Past the string that begins here, whose inside becomes *inside with its escapes left as they are; *escapes says
 * whether it has any. */
static int skip_string(struct place *place, struct ft_string *inside, bool *escapes)
{
    char *start = place->at + 1, *at = start;

    for (*escapes = false; at < place->end && *at != '"'; at++)
        if (*at == '\\') {
            *escapes = true;
            at++;
        }
    if (at >= place->end)
        return ft_fail(FT_BAD, "not JSON: a string that does not end");
    *inside = (struct ft_string){start, (size_t)(at - start)};
    place->at = at + 1;
    return 0;
}

/* Past the value that begins here. */
static int skip_value(struct place *place)
{
    struct ft_string inside;
    size_t depth = 0;
    bool escapes;

    while (place->at < place->end) {
        char c = *place->at;

        if (c == '"') {
            if (skip_string(place, &inside, &escapes) < 0)
                return -1;
        } else {
            if (depth == 0 && (c == ',' || c == '}' || c == ']'))
                return 0;
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            place->at++;
        }
    }
    return ft_fail(FT_BAD, "not JSON: it ends inside a value");
}

/* Go to the value of `key` in the object that begins here. 0: there; 1: no such key. */
static int enter(struct place *place, const char *key)
{
    struct ft_string name;
    bool escapes;

    skip_space(place);
    if (*place->at != '{')
        return 1;
    do {
        place->at++;
        skip_space(place);
        if (*place->at != '"')
            return 1;
        if (skip_string(place, &name, &escapes) < 0)
            return -1;
        skip_space(place);
        if (*place->at != ':')
            return ft_fail(FT_BAD, "not JSON: no colon after \"%.*s\"", name.size > 40 ? 40 : (int)name.size, name.data);
        place->at++;
        skip_space(place);
        if (ft_string_is(name, key))
            return 0;
        if (skip_value(place) < 0)
            return -1;
    } while (*place->at == ',');
    return 1;
}

static int read_hex(const char *at, const char *end, uint32_t *value)
{
    int i;

    *value = 0;
    if (end - at < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        char c = at[i], low = (char)(c | 0x20);

        if (c >= '0' && c <= '9')
            *value = *value << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            *value = *value << 4 | (uint32_t)(low - 'a' + 10);
        else
            return -1;
    }
    return 0;
}

/* One escape at text[0] == '\\', written to `out`; the bytes it took, 0 when it is none. */
static size_t unescape(const char *text, const char *end, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *simple = text + 1 < end && text[1] ? strchr(from, text[1]) : NULL;
    uint32_t c, low;
    size_t taken = 6;

    if (simple) {
        *(*out)++ = to[simple - from];
        return 2;
    }
    if (text + 1 >= end || text[1] != 'u' || read_hex(text + 2, end, &c) < 0 || c >> 10 == 0xdc00 >> 10)
        return 0;
    if (c >> 10 == 0xd800 >> 10) {
        if (end - text < 12 || text[6] != '\\' || text[7] != 'u' || read_hex(text + 8, end, &low) < 0 ||
            low >> 10 != 0xdc00 >> 10)
            return 0;
        c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
        taken = 12;
    }
    *out += ft_unicode_encode(c, *out);   /* never longer than the escape */
    return taken;
}

/* The string that begins here, its escapes resolved where it stands. */
static int read_string(struct place *place, struct ft_string *text)
{
    char *out, *end;
    const char *from;
    bool escapes;

    if (*place->at != '"')
        return ft_fail(FT_BAD, "vocab: expected a string in double quotes");
    if (skip_string(place, text, &escapes) < 0)
        return -1;
    if (!escapes)
        return 0;
    out = end = place->at - 1;
    out -= text->size;
    for (from = out; from < end; ) {
        size_t taken = 1;

        if (*from != '\\')
            *out++ = *from;
        else if (!(taken = unescape(from, end, &out)))
            return ft_fail(FT_BAD, "vocab: a bad escape in \"%.*s\"", text->size > 40 ? 40 : (int)text->size, text->data);
        from += taken;
    }
    text->size = (size_t)(out - text->data);
    return 0;
}

static int read_id(struct place *place, int32_t *id)
{
    char *start = place->at;

    for (*id = 0; *place->at >= '0' && *place->at <= '9'; place->at++) {
        *id = *id * 10 + (*place->at - '0');
        if (*id >= FT_ID_LIMIT)
            return ft_fail(FT_BAD, "vocab: an id of %d or more", FT_ID_LIMIT);
    }
    if (place->at == start || *place->at == '.' || *place->at == 'e' || *place->at == 'E')
        return ft_fail(FT_BAD, "vocab: an id that is not a whole number, 0 or more");
    return 0;
}

/* {"piece": id, ...}; leaves the place after it. */
static int read_pieces(struct ft_tokenizer *tokenizer, struct place *place)
{
    struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;
    struct ft_string text;
    int32_t id;

    if (ft_vocabulary_begin(vocabulary, &tokenizer->arena, (size_t)(place->end - place->at) / TYPICAL_PIECE) < 0)
        return -1;
    do {
        place->at++;
        skip_space(place);
        if (*place->at == '}' && vocabulary->count == 0)
            break;
        if (read_string(place, &text) < 0)
            return -1;
        skip_space(place);
        if (*place->at++ != ':')
            return ft_fail(FT_BAD, "vocab: no colon after \"%.*s\"", text.size > 40 ? 40 : (int)text.size, text.data);
        skip_space(place);
        if (read_id(place, &id) < 0 || ft_vocabulary_add(vocabulary, &tokenizer->arena, text, id) < 0)
            return -1;
        skip_space(place);
    } while (*place->at == ',');
    if (*place->at++ != '}')
        return ft_fail(FT_BAD, "vocab: expected a comma or } after piece %zu", vocabulary->count);
    return ft_vocabulary_index(vocabulary, &tokenizer->arena);
}

/* A digit more, where there is room: as serde_json has it, which drops further ones behind the point and counts those before it. */
static bool add_digit(uint64_t *digits, char c)
{
    uint64_t digit = (uint64_t)(c - '0');

    if (*digits > (UINT64_MAX - digit) / 10)
        return false;
    *digits = *digits * 10 + digit;
    return true;
}

static double read_number(struct place *place)
{
    bool negative = *place->at == '-';
    uint64_t digits = 0;
    long exponent = 0;
    char power[32];
    double value;

    for (place->at += negative; *place->at >= '0' && *place->at <= '9'; place->at++)
        exponent += !add_digit(&digits, *place->at);
    if (*place->at == '.')
        for (bool room = true; *++place->at >= '0' && *place->at <= '9';)
            exponent -= room && (room = add_digit(&digits, *place->at));
    if (*place->at == 'e' || *place->at == 'E')
        exponent += strtol(place->at + 1, NULL, 10);
    snprintf(power, sizeof power, "1e%ld", exponent < 0 ? -exponent : exponent);
    value = exponent < 0 ? (double)digits / strtod(power, NULL) : (double)digits * strtod(power, NULL);
    return negative ? -value : value;
}

static bool take(struct place *place, char c)
{
    skip_space(place);
    if (*place->at != c)
        return false;
    place->at++;
    skip_space(place);
    return true;
}

int ft_tokenizer_cut_scores(struct ft_string list, double *score, size_t count)
{
    struct place place = {(char *)list.data, (char *)list.data + list.size};
    struct ft_string piece;
    bool escapes;

    for (size_t i = 0; i < count; i++) {
        if (!take(&place, i ? ',' : '[') || !take(&place, '[') || skip_string(&place, &piece, &escapes) < 0 || !take(&place, ','))
            return ft_fail(FT_BAD, "model.vocab: number %zu is not a piece and its score", i + 1);
        score[i] = read_number(&place);
        if (skip_value(&place) < 0 || !take(&place, ']'))
            return ft_fail(FT_BAD, "model.vocab: number %zu is not a piece and its score", i + 1);
    }
    return 0;
}

int ft_tokenizer_cut_vocab(struct ft_tokenizer *tokenizer, char *text, size_t size, char **cut, char **stop)
{
    struct place vocab = {text, text + size};
    int found = enter(&vocab, "model");

    if (found == 0)
        found = enter(&vocab, "vocab");
    if (found < 0)
        return -1;
    if (found == 0 && *vocab.at == '[')
        tokenizer->scored = (struct ft_string){vocab.at, (size_t)(vocab.end - vocab.at)};
    if (found > 0 || *vocab.at != '{')
        vocab.at = vocab.end;      /* nothing to cut: an array, as Unigram's, or no model at all */
    *cut = vocab.at;
    if (*cut < vocab.end && read_pieces(tokenizer, &vocab) < 0)
        return -1;
    *stop = vocab.at;
    return 0;
}
