/* tokenizer-list.c - a tokenizer laid open. */
#include "data/tokenizer-list.h"
#include "base/error.h"
#include "data/tokenizer-general.h"

#include <stdlib.h>
#include <string.h>

static int32_t find(const struct ft_tokenizer_list *list, const char *const names[2])
{
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < list->count; i++)
            if (list->type[i] == FT_TOKEN_CONTROL && ft_string_is(list->text[i], names[k]))
                return (int32_t)i;
    return -1;
}

static void add_special(struct ft_tokenizer_list *list, const struct ft_added *added)
{
    for (size_t i = 0; i < added->count; i++) {
        const struct ft_added_token *token = &added->tokens[i];

        if (token->id < 0 || (size_t)token->id >= list->count)
            continue;
        list->text[token->id] = token->content;
        list->type[token->id] = token->special ? FT_TOKEN_CONTROL : FT_TOKEN_USER;
    }
}

static int list_tokens(struct ft_arena *arena, const struct ft_tokenizer *tokenizer, struct ft_tokenizer_list *list)
{
    const struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;
    static const char *const pads[] = {"[PAD]", "<pad>"}, *const masks[] = {"[MASK]", "<mask>"}, *const unknowns[] = {"[UNK]", "<unk>"};

    list->text = ft_arena_zero(arena, list->count, sizeof *list->text);
    list->type = ft_arena_zero(arena, list->count, sizeof *list->type);
    if (!list->text || !list->type)
        return -1;
    for (size_t i = 0; i < list->count; i++)
        list->type[i] = FT_TOKEN_UNUSED;
    for (size_t i = 0; i < vocabulary->count; i++) {
        const struct ft_piece *piece = &vocabulary->pieces[i];

        if (piece->id < 0 || (size_t)piece->id >= list->count)
            return ft_fail(FT_USAGE, "the tokenizer has id %ld, and the model %zu", (long)piece->id, list->count);
        list->text[piece->id] = (struct ft_string){piece->text, piece->size};
        list->type[piece->id] = FT_TOKEN_NORMAL;
    }
    add_special(list, &tokenizer->raw);
    add_special(list, &tokenizer->normal);
    list->pad = find(list, pads);
    list->mask = find(list, masks);
    if (list->unknown < 0)
        list->unknown = find(list, unknowns);
    return 0;
}

static int by_rank(const void *a, const void *b)
{
    const struct ft_merge *x = a, *y = b;

    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static int list_merges(struct ft_arena *arena, const struct ft_bpe *bpe, struct ft_tokenizer_list *list)
{
    size_t slots = (size_t)1 << bpe->bits, count = 0;
    struct ft_merge *merges = ft_arena_zero(arena, slots, sizeof *merges);

    if (!merges || !(list->merges = ft_arena_zero(arena, slots, sizeof *list->merges)))
        return -1;
    for (size_t i = 0; i < slots; i++)
        if (bpe->merges[i].pair)
            merges[count++] = bpe->merges[i];
    qsort(merges, count, sizeof *merges, by_rank);
    for (size_t i = 0; i < count; i++) {
        struct ft_string left = list->text[(uint32_t)(merges[i].pair >> 32) - 1], right = list->text[(uint32_t)merges[i].pair - 1];
        char *text = ft_arena_print(arena, "%.*s %.*s", (int)left.size, left.data, (int)right.size, right.data);

        if (!text)
            return -1;
        list->merges[i] = (struct ft_string){text, left.size + 1 + right.size};
    }
    list->merge_count = count;
    return 0;
}

/* Bytes as GPT-2 writes and cuts them, and nothing else. */
static int list_bpe(struct ft_arena *arena, const struct ft_general *general, struct ft_tokenizer_list *list)
{
    const struct ft_bpe *bpe = &general->bpe;
    const struct ft_cut_step *cut = general->cuts;

    list->kind = FT_TOKENIZER_BPE;
    if (general->normal_count || general->cut_count != 1 || cut->kind != FT_CUT_BYTES || !cut->use_regex || cut->prefix_space || bpe->prefix.size ||
        bpe->suffix.size || bpe->byte_fallback || bpe->ignore_merges)
        return ft_fail(FT_USAGE, "its byte-pair encoding has other steps than RoBERTa's");
    if (bpe->unknown >= 0)
        list->unknown = bpe->unknown;
    return list_merges(arena, bpe, list);
}

/* SentencePiece keeps its map as the size of the trie, the trie, the texts. */
static int list_charsmap(struct ft_arena *arena, const struct ft_charsmap *map, struct ft_tokenizer_list *list)
{
    uint32_t trie = (uint32_t)(map->count * sizeof *map->units);
    char *bytes;

    if (!map->count)
        return 0;
    if (!(bytes = ft_arena_take(arena, sizeof trie + trie + map->texts.size)))
        return -1;
    memcpy(bytes, &trie, sizeof trie);
    memcpy(bytes + sizeof trie, map->units, trie);
    memcpy(bytes + sizeof trie + trie, map->texts.data, map->texts.size);
    list->charsmap = (struct ft_string){bytes, sizeof trie + trie + map->texts.size};
    return 0;
}

/* The map, then perhaps runs of blanks made one, then words begun by the blank's stand-in. */
static int list_unigram(struct ft_arena *arena, const struct ft_general *general, struct ft_tokenizer_list *list)
{
    const struct ft_cut_step *cut = general->cuts;
    int cuts = general->cut_count;
    bool spaces = cuts && cut->kind == FT_CUT_SPACE;

    list->kind = FT_TOKENIZER_UNIGRAM;
    list->squeeze = spaces;
    cut += spaces;
    cuts -= spaces;
    for (int i = 0; i < general->normal_count; i++) {
        const struct ft_normal_step *step = &general->normal[i];

        if (step->kind == FT_NORMAL_PRECOMPILED && i == 0) {
            if (list_charsmap(arena, &step->map, list) < 0)
                return -1;
        } else if (step->kind == FT_NORMAL_REPLACE && ft_string_is(step->content, " ")) {
            list->squeeze = true;
        } else if (step->kind != FT_NORMAL_STRIP) {
            return ft_fail(FT_USAGE, "its normalizer has other steps than XLM-RoBERTa's");
        }
    }
    if (cuts != 1 || cut->kind != FT_CUT_METASPACE || !ft_string_is(cut->replacement, "\xe2\x96\x81") || general->unigram.byte_fallback)
        return ft_fail(FT_USAGE, "its pre-tokenizer has other steps than XLM-RoBERTa's");
    list->prefix_space = cut->prepend != FT_METASPACE_NEVER;
    list->unknown = general->unigram.unknown;
    if (!(list->score = ft_arena_zero(arena, list->count, sizeof *list->score)))
        return -1;
    for (size_t i = 0; i < list->count; i++)
        list->score[i] = list->type[i] == FT_TOKEN_UNUSED ? -10000 : 0;
    return 0;
}

static void list_scores(const struct ft_tokenizer *tokenizer, struct ft_tokenizer_list *list)
{
    const struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;

    for (size_t i = 0; i < vocabulary->count; i++)
        list->score[vocabulary->pieces[i].id] = (float)tokenizer->general->unigram.score[vocabulary->pieces[i].id];
    list->type[list->unknown] = FT_TOKEN_UNKNOWN;
}

int ft_tokenizer_list(struct ft_arena *arena, const struct ft_tokenizer *tokenizer, size_t count, struct ft_tokenizer_list *list)
{
    const struct ft_general *general = tokenizer->general;

    *list = (struct ft_tokenizer_list){.count = count, .unknown = tokenizer->vocabulary.unknown, .lower = tokenizer->rules.lower,
                                       .strip = tokenizer->rules.strip};
    if (tokenizer->before_count != 1 || tokenizer->after_count != 1)
        return ft_fail(FT_USAGE, "%zu special tokens before a text and %zu behind it, expected one and one", tokenizer->before_count,
                       tokenizer->after_count);
    list->first = tokenizer->before[0];
    list->last = tokenizer->after[0];
    if (list_tokens(arena, tokenizer, list) < 0)
        return -1;
    if (!general)
        return ft_string_is(tokenizer->vocabulary.prefix, "##") ? 0 : ft_fail(FT_USAGE, "pieces that continue a word do not begin with ##");
    if (!general->is_unigram)
        return list_bpe(arena, general, list);
    if (list_unigram(arena, general, list) < 0)
        return -1;
    list_scores(tokenizer, list);
    return 0;
}
