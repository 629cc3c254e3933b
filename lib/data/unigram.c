/* unigram.c - the unigram language model (Kudo 2018): of all ways to cut a piece, the one of the largest sum of scores.
 *
 * Viterbi over the piece's bytes, as Hugging Face tokenizers does it: of equal sums the one found first, from the left and from short to long; a
 * character that no piece begins and ends with is unknown, and neighbours that are unknown are one. What begins some piece is told by a bit table over
 * running hashes, so the search from a place stops where nothing can follow. */
#include "data/tokenizer-general.h"
#include "base/error.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double UNKNOWN_PENALTY = 10;   /* below the least score */

/* The best way to a place in the piece. */
struct way {
    double score;
    int64_t from;            /* -1: none yet */
    int32_t id;              /* of the last piece; -1: an unknown character */
};

static size_t prefix_bit(const struct ft_unigram *unigram, uint64_t hash)
{
    return (size_t)(ft_vocabulary_mix(hash) >> (64 - unigram->prefix_bits));
}

static void reach(struct way *way, double score, size_t from, int32_t id)
{
    if (way->from < 0 || score > way->score)
        *way = (struct way){score, (int64_t)from, id};
}

/* SentencePiece adds in single precision, and compares what it has rounded. (Before 0.2.2 it compared before rounding, which broke some ties otherwise.) */
static double add(const struct ft_unigram *unigram, double a, double b)
{
    return unigram->single ? (double)(float)(a + b) : a + b;
}

/* All pieces that begin at `at`. */
static void step(const struct ft_tokenizer *tokenizer, struct ft_string piece, size_t at, struct way *ways)
{
    const struct ft_unigram *unigram = &tokenizer->general->unigram;
    const struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;
    size_t character = 1;
    uint64_t hash = 0;
    bool single = false;

    while (at + character < piece.size && ((uint8_t)piece.data[at + character] & 0xc0) == 0x80)
        character++;
    for (size_t i = at; i < piece.size && i - at < vocabulary->longest; i++) {
        size_t bit;
        int32_t id;

        hash = ft_vocabulary_step(hash, piece.data[i]);
        bit = prefix_bit(unigram, hash);
        if (!(unigram->prefixes[bit / 64] >> bit % 64 & 1))
            break;
        if (i + 1 < piece.size && ((uint8_t)piece.data[i + 1] & 0xc0) == 0x80)
            continue;
        id = ft_vocabulary_hashed(vocabulary, hash, (struct ft_string){piece.data + at, i + 1 - at});
        if (id < 0)
            continue;
        reach(&ways[i + 1], add(unigram, ways[at].score, unigram->score[id]), at, id);
        single |= i + 1 - at == character;
    }
    if (!single)
        reach(&ways[at + character], add(unigram, ways[at].score, unigram->unknown_score), at, -1);
}

/* An unknown run: its bytes where the vocabulary has them all, else one unknown. */
static void give_unknown(struct ft_general_run *run, struct ft_string text)
{
    const struct ft_unigram *unigram = &run->tokenizer->general->unigram;

    if (!unigram->byte_fallback) {
        ft_general_id(run, unigram->unknown);
        return;
    }
    for (size_t i = 0; i < text.size; i++)
        ft_general_id(run, unigram->bytes[(uint8_t)text.data[i]]);
}

/* The ways are found from the end; turned round in place, each `from` then says where its piece ends. */
static void give(struct ft_general_run *run, struct ft_string piece, struct way *ways)
{
    size_t end = piece.size, next = piece.size;
    int64_t after = -1;

    for (; end; end = next) {
        struct way *way = &ways[end];

        next = (size_t)way->from;
        way->from = after;
        after = (int64_t)end;
    }
    for (size_t at = 0; at < piece.size && !ft_general_done(run); at = next) {
        next = (size_t)after;
        after = ways[next].from;
        if (ways[next].id >= 0) {
            ft_general_id(run, ways[next].id);
            continue;
        }
        while (next < piece.size && ways[after].id < 0) {
            next = (size_t)after;
            after = ways[next].from;
        }
        give_unknown(run, (struct ft_string){piece.data + at, next - at});
    }
}

void ft_unigram_encode(struct ft_general_run *run, struct ft_string piece)
{
    struct way *ways = run->symbols;

    if (piece.size + 1 > run->symbol_capacity) {
        size_t capacity = piece.size + piece.size / 2 + 64;

        if (!(ways = ft_resize(run->symbols, capacity, sizeof *ways))) {
            run->failed = true;
            return;
        }
        run->symbols = ways;
        run->symbol_capacity = capacity;
    }
    ways[0] = (struct way){run->tokenizer->general->unigram.start, 0, -1};
    for (size_t i = 1; i <= piece.size; i++)
        ways[i].from = -1;
    for (size_t at = 0; at < piece.size; at++)
        if (at == 0 || ways[at].from >= 0)
            step(run->tokenizer, piece, at, ways);
    give(run, piece, ways);
}

/* ---- reading ---- */

static int read_pieces(struct ft_tokenizer *tokenizer, const json_t *list, bool single, double *score, double *least)
{
    struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;

    *least = INFINITY;
    if (!single && ft_tokenizer_cut_scores(tokenizer->scored, score, json_array_size(list)) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i), *piece = json_array_get(item, 0), *value = json_array_get(item, 1);
        struct ft_string text = {json_string_value(piece), json_string_length(piece)};

        if (json_array_size(item) != 2 || !text.data || !json_is_number(value))
            return ft_fail(FT_BAD, "model.vocab: number %zu is not a piece and its score", i + 1);
        if (!(text.data = ft_arena_text(&tokenizer->arena, text)) || ft_vocabulary_add(vocabulary, &tokenizer->arena, text, (int32_t)i) < 0)
            return -1;
        if (single)
            score[i] = json_number_value(value);
        if (score[i] > strtod(FT_UNIGRAM_NEVER, NULL))
            *least = fmin(*least, score[i]);
    }
    return 0;
}

/* Eight bits for each piece's typical length of prefixes, so that most that is no prefix is known to be none. */
static int index_prefixes(struct ft_tokenizer *tokenizer, struct ft_unigram *unigram)
{
    const struct ft_vocabulary *vocabulary = &tokenizer->vocabulary;
    uint64_t *bits;

    for (unigram->prefix_bits = 6; (size_t)1 << unigram->prefix_bits < 64 * vocabulary->count; unigram->prefix_bits++)
        ;
    if (!(bits = ft_arena_zero(&tokenizer->arena, ((size_t)1 << unigram->prefix_bits) / 64, sizeof *bits)))
        return -1;
    for (size_t i = 0; i < vocabulary->count; i++) {
        uint64_t hash = 0;

        for (size_t k = 0; k < vocabulary->pieces[i].size; k++) {
            size_t bit = prefix_bit(unigram, hash = ft_vocabulary_step(hash, vocabulary->pieces[i].text[k]));

            bits[bit / 64] |= (uint64_t)1 << bit % 64;
        }
    }
    unigram->prefixes = bits;
    return 0;
}

/* The sum at the end of a short text. */
static double begin_with(const struct ft_tokenizer *tokenizer, struct ft_string text)
{
    struct way ways[16];

    for (size_t i = 0; i <= text.size; i++)
        ways[i] = (struct way){0, i ? -1 : 0, -1};
    for (size_t at = 0; at < text.size; at++)
        if (ways[at].from >= 0)
            step(tokenizer, text, at, ways);
    return ways[text.size].score;
}

int ft_unigram_read(struct ft_tokenizer *tokenizer, struct ft_unigram *unigram, const struct json_t *model)
{
    const json_t *list = json_object_get(model, "vocab"), *unknown = json_object_get(model, "unk_id");
    size_t count = json_array_size(list);
    double least, *score;

    *unigram = (struct ft_unigram){.byte_fallback = json_is_true(json_object_get(model, "byte_fallback")),
                                   .single = json_is_true(json_object_get(model, "single"))};
    if (!json_is_array(list) || count == 0 || count >= FT_ID_LIMIT)
        return ft_fail(FT_BAD, "model.vocab is not a list of pieces");
    if (!json_is_integer(unknown) || json_integer_value(unknown) < 0 || (size_t)json_integer_value(unknown) >= count)
        return ft_fail(FT_BAD, "model.unk_id is not a piece's number");
    unigram->unknown = (int32_t)json_integer_value(unknown);
    if (ft_vocabulary_begin(&tokenizer->vocabulary, &tokenizer->arena, count) < 0 ||
        !(score = ft_arena_zero(&tokenizer->arena, count, sizeof *score)) || read_pieces(tokenizer, list, unigram->single, score, &least) < 0 ||
        ft_vocabulary_index(&tokenizer->vocabulary, &tokenizer->arena) < 0 || index_prefixes(tokenizer, unigram) < 0)
        return -1;
    unigram->score = score;
    least = isfinite(least) ? least : 0;
    unigram->unknown_score = add(unigram, least, -UNKNOWN_PENALTY);
    if (unigram->single)
        unigram->start = begin_with(tokenizer, FT_STRING("\u2581<unk>"));
    if (unigram->byte_fallback)
        unigram->byte_fallback = ft_byte_tokens(tokenizer, unigram->bytes);
    return 0;
}
