/* precut.c - what tokenizer.json's pre-tokenizers cut a text into, and how they rewrite it. */
#include "data/tokenizer-general.h"
#include "data/unicode.h"

#include <string.h>

/* A cut at work: where its pieces go. */
struct cutting {
    struct ft_general_run *run;
    int next;                /* the step after it */
    const char *begin;       /* of the text, where `first` holds */
    bool first;
};

static void piece(const struct cutting *cutting, const char *data, size_t size)
{
    if (size && !ft_general_done(cutting->run))
        ft_precut(cutting->run, cutting->next, (struct ft_string){data, size}, cutting->first && data == cutting->begin);
}

/* How pieces that are matches and those between them go together; they are told one after another and end with a last call of size 0. */
struct joining {
    const struct cutting *cutting;
    enum ft_cut_behavior behavior;
    const char *open;        /* told, not yet given away */
    size_t size;
    bool match;              /* the last one told was one */
};

static void join(struct joining *j, const char *data, size_t size, bool match)
{
    bool together;

    if (j->behavior == FT_CUT_REMOVED) {
        if (!match)
            piece(j->cutting, data, size);
        return;
    }
    together = j->size && size && ((j->behavior == FT_CUT_WITH_PREVIOUS && match && !j->match) ||
                                   (j->behavior == FT_CUT_WITH_NEXT && !match && j->match) ||
                                   (j->behavior == FT_CUT_CONTIGUOUS && match == j->match));
    if (!together) {
        piece(j->cutting, j->open, j->size);
        j->open = data;
        j->size = 0;
    }
    j->size += size;
    j->match = match;
}

static void split(const struct cutting *cutting, const struct ft_pattern *pattern, enum ft_cut_behavior behavior, bool invert, struct ft_string text)
{
    struct joining j = {.cutting = cutting, .behavior = behavior};
    struct ft_general_run *run = cutting->run;
    struct ft_string seen = text;
    size_t at = 0, start = 0, stop;

    run->failed |= ft_pattern_see(pattern, &run->seen[cutting->next - 1], &seen) < 0;
    while (!ft_general_done(run) && ft_pattern_find(pattern, run->match, seen, &start, &stop)) {
        if (start > at)
            join(&j, text.data + at, start - at, invert);
        join(&j, text.data + start, stop - start, !invert);
        at = start = stop;
    }
    if (at < text.size)
        join(&j, text.data + at, text.size - at, invert);
    join(&j, NULL, 0, false);
}

static bool is_space(uint32_t c)
{
    return ft_unicode_flags(c) & FT_UNICODE_SPACE;
}

static void split_by(const struct cutting *cutting, bool is(uint32_t), enum ft_cut_behavior behavior, struct ft_string text)
{
    struct joining j = {.cutting = cutting, .behavior = behavior};
    size_t size = 0;

    for (size_t at = 0; at < text.size && !ft_general_done(cutting->run); at += size) {
        size_t from = at;
        uint32_t c;

        while (at < text.size) {
            size = ft_unicode_decode((const uint8_t *)text.data + at, text.size - at, &c);
            if (is(c))
                break;
            at += size;
        }
        if (at > from)
            join(&j, text.data + from, at - from, false);
        if (at == text.size)
            break;
        join(&j, text.data + at, size, true);
    }
    join(&j, NULL, 0, false);
}

/* GPT-2's letters for bytes: printable Latin-1 is itself, the others are put after it from U+0100 on. */
static uint32_t letter_of(uint8_t byte)
{
    if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)
        return byte;
    if (byte <= 32)
        return 256u + byte;
    if (byte <= 160)
        return 256u + 33 + (byte - 127u);
    return 256 + 33 + 34;
}

static void write_letters(struct ft_general_run *run, struct ft_buffer *out, struct ft_string text)
{
    if (ft_buffer_reserve(out, 2 * text.size) < 0) {
        run->failed = true;
        return;
    }
    for (size_t i = 0; i < text.size; i++)
        out->size += ft_unicode_encode(letter_of((uint8_t)text.data[i]), out->data + out->size);
}

/* Every byte a letter: a character of its own in what the model sees. Pieces are found in the text and rewritten one by one. */
static void one_bytes(struct ft_general_run *run, int next, struct ft_string text, bool first)
{
    struct ft_buffer *out = &run->cut[next - 1];

    out->size = 0;
    write_letters(run, out, text);
    if (!run->failed)
        ft_precut(run, next, (struct ft_string){out->data, out->size}, first);
}

static void cut_bytes(struct ft_general_run *run, int next, const struct ft_cut_step *step, struct ft_string text, bool first)
{
    size_t start = 0, stop;
    bool blank = step->prefix_space && text.data[0] != ' ';
    struct ft_buffer with = {0};
    struct ft_string seen;

    if (blank) {
        if (ft_buffer_reserve(&with, text.size + 1) < 0) {
            run->failed = true;
            return;
        }
        with.data[0] = ' ';
        memcpy(with.data + 1, text.data, text.size);
        text = (struct ft_string){with.data, text.size + 1};
    }
    seen = text;
    if (!step->use_regex)
        one_bytes(run, next, text, first);
    else
        run->failed |= ft_pattern_see(&step->pattern, &run->seen[next - 1], &seen) < 0;
    for (size_t at = 0; step->use_regex && !ft_general_done(run) && at < text.size; at = start = stop) {
        if (!ft_pattern_find(&step->pattern, run->match, seen, &start, &stop))
            start = stop = text.size;
        if (start > at)
            one_bytes(run, next, (struct ft_string){text.data + at, start - at}, first && at == 0);
        if (stop > start && !ft_general_done(run))
            one_bytes(run, next, (struct ft_string){text.data + start, stop - start}, first && start == 0);
    }
    ft_buffer_free(&with);
}

static void cut_metaspace(struct ft_general_run *run, int next, const struct ft_cut_step *step, struct ft_string text, bool first)
{
    struct ft_buffer *out = &run->cut[next - 1];
    struct ft_string mark = step->replacement;
    const struct cutting cutting = {run, next, NULL, first};
    struct ft_pattern pattern = {.literal = mark};
    bool has = text.data[0] == ' ' || (text.size >= mark.size && memcmp(text.data, mark.data, mark.size) == 0);

    out->size = 0;
    if (!has && (step->prepend == FT_METASPACE_ALWAYS || (step->prepend == FT_METASPACE_FIRST && first)))
        run->failed |= ft_buffer_add(out, mark.data, mark.size) < 0;
    for (size_t i = 0; i < text.size && !run->failed; i++)
        run->failed |= ft_buffer_add(out, text.data[i] == ' ' ? mark.data : text.data + i, text.data[i] == ' ' ? mark.size : 1) < 0;
    if (run->failed)
        return;
    text = (struct ft_string){out->data, out->size};
    if (step->split) {
        struct cutting here = cutting;

        here.begin = text.data;
        split(&here, &pattern, FT_CUT_WITH_NEXT, false, text);
    } else {
        ft_precut(run, next, text, first);
    }
}

void ft_precut(struct ft_general_run *run, int step, struct ft_string text, bool first)
{
    const struct ft_general *general = run->tokenizer->general;
    const struct ft_cut_step *cut = &general->cuts[step];
    const struct cutting cutting = {run, step + 1, text.data, first};

    if (text.size == 0 || ft_general_done(run))
        return;
    if (step == general->cut_count) {
        if (general->is_unigram)
            ft_unigram_encode(run, text);
        else
            ft_bpe_encode(run, text);
        return;
    }
    switch (cut->kind) {
    case FT_CUT_BYTES: cut_bytes(run, step + 1, cut, text, first); break;
    case FT_CUT_METASPACE: cut_metaspace(run, step + 1, cut, text, first); break;
    case FT_CUT_SPACE: split_by(&cutting, is_space, FT_CUT_REMOVED, text); break;
    case FT_CUT_DIGITS: split_by(&cutting, ft_unicode_is_number, cut->behavior, text); break;
    case FT_CUT_SPLIT: split(&cutting, &cut->pattern, cut->behavior, cut->invert, text); break;
    }
}
