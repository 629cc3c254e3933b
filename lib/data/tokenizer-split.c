/* tokenizer-split.c - BERT's normalizer and pre-tokenizer in one pass: a segment of text to words, words to ids.
 *
 * The order of things is Hugging Face's: clean, set Chinese characters apart, decompose and strip accents, make small
 * letters, split on white space, then at punctuation. Each step works on single characters except the canonical order
 * of combining characters, of which only those matter that accent stripping leaves: they wait in a list until the next
 * character that is not combining. */
#include "data/tokenizer-parts.h"
#include "base/error.h"
#include "data/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static uint8_t flags_of(const struct ft_split *split, uint32_t c)
{
    return c < FT_UNICODE_FLAT ? split->flags[c] : ft_unicode_flags(c);
}

void ft_rules_finish(struct ft_rules *rules)
{
    uint32_t c;

    for (c = 0; c < 128; c++) {
        uint8_t flags = ft_unicode_flags(c);

        if (rules->clean && (flags & FT_UNICODE_OTHER || c == 0))
            rules->ascii[c] = FT_ASCII_DROP;
        else if (flags & FT_UNICODE_SPACE)
            rules->ascii[c] = FT_ASCII_SPACE;
        else if (flags & FT_UNICODE_PUNCT)
            rules->ascii[c] = FT_ASCII_PUNCT;
        else if (c > FT_ASCII_LETTER)
            rules->ascii[c] = (uint8_t)(rules->lower ? ft_unicode_lower(c) : c);
    }
}

void ft_split_begin(struct ft_split *split, const struct ft_vocabulary *vocabulary, const uint8_t *flags,
                    struct ft_tokens *tokens, size_t stop)
{
    split->vocabulary = vocabulary;
    split->flags = flags;
    split->tokens = tokens;
    split->stop = stop;
    split->normal = NULL;
    split->failed = false;
    split->word = split->word_inline;
    split->hash = split->hash_inline;
    split->size = split->characters = 0;
    split->capacity = FT_WORD_INLINE;
    split->waiting = split->waiting_inline;
    split->waiting_count = 0;
    split->waiting_capacity = FT_WAITING_INLINE;
}

void ft_split_end(struct ft_split *split)
{
    if (split->word != split->word_inline) {
        free(split->word);
        free(split->hash);
    }
    if (split->waiting != split->waiting_inline)
        free(split->waiting);
}

bool ft_split_done(const struct ft_split *split)
{
    return split->failed || split->tokens->count >= split->stop;
}

/* Room for `more` ids; the count of tokens stays. */
static int tokens_reserve(struct ft_tokens *tokens, size_t more)
{
    size_t capacity = tokens->capacity ? tokens->capacity : 64;
    int32_t *id;

    if (tokens->capacity - tokens->count >= more)
        return 0;
    while (capacity - tokens->count < more) {
        if (capacity > SIZE_MAX / 4)
            return ft_fail(FT_SYSTEM, "out of memory for %zu tokens", more);
        capacity *= 2;
    }
    if (!(id = ft_resize(tokens->id, capacity, sizeof *id)))
        return -1;
    tokens->id = id;
    tokens->capacity = capacity;
    return 0;
}

void ft_split_id(struct ft_split *split, int32_t id)
{
    if (ft_split_done(split))
        return;
    if (tokens_reserve(split->tokens, 1) < 0)
        split->failed = true;
    else
        split->tokens->id[split->tokens->count++] = id;
}

static void word_end(struct ft_split *split)
{
    struct ft_tokens *tokens = split->tokens;
    size_t room, count;

    if (split->characters == 0)
        return;
    if (split->characters > split->vocabulary->word_limit) {
        ft_split_id(split, split->vocabulary->unknown);
    } else if (!ft_split_done(split)) {
        room = split->stop - tokens->count;
        if (room > split->size)
            room = split->size;
        if (tokens_reserve(tokens, room) < 0) {
            split->failed = true;
        } else {
            count = ft_vocabulary_split(split->vocabulary, split->word, split->size, split->hash,
                                        tokens->id + tokens->count, room);
            tokens->count += count < room ? count : room;
        }
    }
    split->size = split->characters = 0;
}

/* Room for `more` bytes of the word. */
static int word_reserve(struct ft_split *split, size_t more)
{
    bool inside = split->word == split->word_inline;
    size_t capacity = split->capacity;
    uint64_t *hash;
    char *word;

    if (capacity - split->size >= more)
        return 0;
    while (capacity - split->size < more)
        capacity *= 2;
    word = ft_resize(inside ? NULL : split->word, capacity, 1);
    if (word && inside)
        memcpy(word, split->word_inline, split->size);
    hash = word ? ft_resize(inside ? NULL : split->hash, capacity + 1, sizeof *hash) : NULL;
    if (!hash) {
        if (inside)
            free(word);
        else if (word)
            split->word = word;
        split->failed = true;
        return -1;
    }
    split->word = word;
    split->hash = hash;
    split->capacity = capacity;
    return 0;
}

static void word_add(struct ft_split *split, uint32_t c)
{
    if (++split->characters <= split->vocabulary->word_limit && word_reserve(split, 4) == 0)
        split->size += ft_unicode_encode(c, split->word + split->size);
}

/* A run of letters that the table maps one to one. */
static void word_add_ascii(struct ft_split *split, const uint8_t *table, const uint8_t *text, size_t size)
{
    char *to;
    size_t i;

    split->characters += size;
    if (split->characters > split->vocabulary->word_limit || word_reserve(split, size) < 0)
        return;
    to = split->word + split->size;
    for (i = 0; i < size; i++)
        to[i] = (char)table[text[i]];
    split->size += size;
}

/* A character that normalization is done with. */
static void emit(struct ft_split *split, uint32_t c)
{
    uint8_t flags;
    char bytes[4];

    if (split->normal) {
        if (ft_buffer_add(split->normal, bytes, ft_unicode_encode(c, bytes)) < 0)
            split->failed = true;
        return;
    }
    flags = flags_of(split, c);
    if (flags & (FT_UNICODE_SPACE | FT_UNICODE_PUNCT))
        word_end(split);
    if (flags & FT_UNICODE_SPACE)
        return;
    word_add(split, c);
    if (flags & FT_UNICODE_PUNCT)
        word_end(split);
}

static void emit_lower(struct ft_split *split, const struct ft_rules *rules, uint32_t c)
{
    if (!rules->lower || !(flags_of(split, c) & FT_UNICODE_LOWERS)) {
        emit(split, c);
        return;
    }
    emit(split, ft_unicode_lower(c));
    if (c == 0x130)
        emit(split, 0x307);
}

/* Let the waiting combining characters go, by class; those of one class keep their order. */
static void waiting_flush(struct ft_split *split, const struct ft_rules *rules)
{
    size_t i, left = split->waiting_count;
    unsigned combining;

    if (left == 0)
        return;
    for (combining = 1; combining < 256 && left; combining++)
        for (i = 0; i < split->waiting_count; i++)
            if (split->waiting[i].combining == combining) {
                emit_lower(split, rules, split->waiting[i].c);
                left--;
            }
    split->waiting_count = 0;
}

static void waiting_add(struct ft_split *split, uint32_t c, uint8_t combining)
{
    if (split->waiting_count == split->waiting_capacity) {
        bool inside = split->waiting == split->waiting_inline;
        size_t capacity = split->waiting_capacity * 2;
        struct ft_waiting *waiting = ft_resize(inside ? NULL : split->waiting, capacity, sizeof *waiting);

        if (!waiting) {
            split->failed = true;
            return;
        }
        if (inside)
            memcpy(waiting, split->waiting_inline, sizeof split->waiting_inline);
        split->waiting = waiting;
        split->waiting_capacity = capacity;
    }
    split->waiting[split->waiting_count++] = (struct ft_waiting){c, combining};
}

/* A character of a decomposed text: accents go, other combining characters wait. */
static void strip(struct ft_split *split, const struct ft_rules *rules, uint32_t c)
{
    uint8_t combining;

    if (flags_of(split, c) & FT_UNICODE_MARK) {
        /* An accent of class 0 holds apart the combining characters around it although it goes. */
        if (split->waiting_count && utf8proc_get_property((utf8proc_int32_t)c)->combining_class == 0)
            waiting_flush(split, rules);
        return;
    }
    if ((combining = ft_unicode_combining(c))) {
        waiting_add(split, c, combining);
        return;
    }
    waiting_flush(split, rules);
    emit_lower(split, rules, c);
}

/* After cleaning and setting apart. */
static void transform(struct ft_split *split, const struct ft_rules *rules, uint32_t c, uint8_t flags)
{
    utf8proc_int32_t parts[8];
    utf8proc_ssize_t count, i;
    int boundary = 0;

    if (!rules->strip) {
        emit_lower(split, rules, c);
        return;
    }
    if (!(flags & FT_UNICODE_DECOMPOSES)) {
        strip(split, rules, c);
        return;
    }
    count = utf8proc_decompose_char((utf8proc_int32_t)c, parts, 8, UTF8PROC_DECOMPOSE, &boundary);
    for (i = 0; i < count && i < 8; i++)
        strip(split, rules, (uint32_t)parts[i]);
}

static void normalize(struct ft_split *split, const struct ft_rules *rules, uint32_t c)
{
    uint8_t flags = flags_of(split, c);
    bool apart = rules->chinese && flags & FT_UNICODE_CHINESE;

    if (rules->clean) {
        if (c == 0 || c == FT_UNICODE_REPLACEMENT || flags & FT_UNICODE_OTHER)
            return;
        if (flags & FT_UNICODE_SPACE)
            c = ' ', flags = FT_UNICODE_SPACE;
    }
    if (apart) {
        waiting_flush(split, rules);
        emit(split, ' ');
    }
    transform(split, rules, c, flags);
    if (apart)
        emit(split, ' ');
}

/* One ASCII character, or a run of letters; returns the bytes taken. */
static size_t take_ascii(struct ft_split *split, const struct ft_rules *rules, const uint8_t *text, size_t size)
{
    uint8_t kind = rules->ascii[text[0]];
    size_t run = 1;

    if (kind == FT_ASCII_DROP)
        return 1;
    waiting_flush(split, rules);
    if (kind >= FT_ASCII_LETTER) {
        while (run < size && rules->ascii[text[run]] >= FT_ASCII_LETTER)
            run++;
        word_add_ascii(split, rules->ascii, text, run);
        return run;
    }
    word_end(split);
    if (kind == FT_ASCII_PUNCT) {
        word_add(split, text[0]);
        word_end(split);
    }
    return 1;
}

void ft_split_text(struct ft_split *split, const struct ft_rules *rules, struct ft_string text)
{
    const uint8_t *bytes = (const uint8_t *)text.data;
    size_t i = 0;
    uint32_t c;

    while (i < text.size && !ft_split_done(split)) {
        if (!split->normal && rules->ascii[bytes[i]] != FT_ASCII_SLOW) {
            i += take_ascii(split, rules, bytes + i, text.size - i);
        } else {
            i += ft_unicode_decode(bytes + i, text.size - i, &c);
            normalize(split, rules, c);
        }
    }
    waiting_flush(split, rules);
    word_end(split);
}
