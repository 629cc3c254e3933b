/* bpe.c - byte-pair encoding (Sennrich et al. 2016) as Hugging Face tokenizers does it: of all neighbours that may go together, those of the least rank
 * do, the leftmost first, until none may.
 *
 * The symbols of a piece are a linked list, the pairs that may go together a heap, so a piece of n characters takes n log n steps, however long. */
#include "data/tokenizer-general.h"
#include "data/unicode.h"
#include "base/error.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct symbol {
    int32_t id;              /* -1: joined to the one before */
    int32_t before, after;   /* numbers of the neighbours, -1 = none */
};

struct candidate {
    uint32_t rank;
    int32_t left;            /* the symbol whose pair with the next it is */
    int32_t id;              /* that the two would become */
};

static uint64_t mix(uint64_t pair)
{
    pair *= 0x9e3779b97f4a7c15u;
    return pair ^ pair >> 29;
}

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)((uint32_t)left + 1) << 32 | ((uint32_t)right + 1);
}

/* The slot of a pair, or the free one where it would go. */
static struct ft_merge *merge_slot(const struct ft_bpe *bpe, uint64_t pair)
{
    size_t mask = ((size_t)1 << bpe->bits) - 1, i = (size_t)mix(pair) & mask;

    while (bpe->merges[i].pair && bpe->merges[i].pair != pair)
        i = (i + 1) & mask;
    return &bpe->merges[i];
}

static bool goes_before(const struct candidate *a, const struct candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void heap_push(struct ft_general_run *run, struct candidate new)
{
    struct candidate *heap = run->queue;
    size_t i = run->queue_count;

    if (run->queue_count == run->queue_capacity) {
        size_t capacity = run->queue_capacity ? 2 * run->queue_capacity : 64;

        if (!(heap = ft_resize(run->queue, capacity, sizeof *heap))) {
            run->failed = true;
            return;
        }
        run->queue = heap;
        run->queue_capacity = capacity;
    }
    run->queue_count++;
    for (; i && goes_before(&new, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = new;
}

static struct candidate heap_pop(struct ft_general_run *run)
{
    struct candidate *heap = run->queue, top = heap[0], last = heap[--run->queue_count];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < run->queue_count) {
        if (child + 1 < run->queue_count && goes_before(&heap[child + 1], &heap[child]))
            child++;
        if (!goes_before(&heap[child], &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

static void consider(struct ft_general_run *run, int32_t left)
{
    const struct symbol *symbols = run->symbols;
    const struct ft_bpe *bpe = &run->tokenizer->general->bpe;
    const struct ft_merge *merge;

    if (left < 0 || symbols[left].after < 0)
        return;
    merge = merge_slot(bpe, pair_of(symbols[left].id, symbols[symbols[left].after].id));
    if (merge->pair)
        heap_push(run, (struct candidate){merge->rank, left, merge->id});
}

static void join_all(struct ft_general_run *run, size_t count)
{
    struct symbol *symbols = run->symbols;
    const struct ft_bpe *bpe = &run->tokenizer->general->bpe;

    run->queue_count = 0;
    for (size_t i = 0; i + 1 < count && !run->failed; i++)
        consider(run, (int32_t)i);
    while (run->queue_count && !run->failed) {
        struct candidate best = heap_pop(run);
        struct symbol *left = &symbols[best.left], *right;
        const struct ft_merge *merge;

        if (left->id < 0 || left->after < 0)
            continue;
        right = &symbols[left->after];
        merge = merge_slot(bpe, pair_of(left->id, right->id));
        if (!merge->pair || merge->id != best.id)
            continue;              /* one of the two is another by now */
        left->id = merge->id;
        right->id = -1;
        left->after = right->after;
        if (left->after >= 0)
            symbols[left->after].before = best.left;
        consider(run, left->before);
        consider(run, best.left);
    }
}

static struct symbol *room_for(struct ft_general_run *run, size_t count)
{
    if (count > run->symbol_capacity) {
        void *more = ft_resize(run->symbols, count + count / 2, sizeof(struct symbol));

        if (!more) {
            run->failed = true;
            return NULL;
        }
        run->symbols = more;
        run->symbol_capacity = count + count / 2;
    }
    return run->symbols;
}

/* The piece of one character, with what the model puts before one that goes on or after the last one. */
static int32_t find_letter(struct ft_general_run *run, struct ft_string c, bool begins, bool ends)
{
    const struct ft_bpe *bpe = &run->tokenizer->general->bpe;
    struct ft_string prefix = begins ? (struct ft_string){NULL, 0} : bpe->prefix, suffix = ends ? bpe->suffix : (struct ft_string){NULL, 0};
    char text[256];
    uint32_t code;

    if (prefix.size == 0 && suffix.size == 0) {
        ft_unicode_decode((const uint8_t *)c.data, c.size, &code);
        return code < FT_LETTERS ? bpe->letters[code] : ft_vocabulary_find(&run->tokenizer->vocabulary, c);
    }
    memcpy(text, prefix.data ? prefix.data : "", prefix.size);
    memcpy(text + prefix.size, c.data, c.size);
    memcpy(text + prefix.size + c.size, suffix.data ? suffix.data : "", suffix.size);
    return ft_vocabulary_find(&run->tokenizer->vocabulary, (struct ft_string){text, prefix.size + c.size + suffix.size});
}

/* Symbols of a piece: characters that the vocabulary has, the bytes of others, or unknown ones, which may be one together. */
static size_t make_symbols(struct ft_general_run *run, struct ft_string piece)
{
    const struct ft_bpe *bpe = &run->tokenizer->general->bpe;
    struct symbol *symbols = room_for(run, piece.size);
    size_t count = 0, size;
    bool unknown = false;

    for (size_t at = 0; symbols && at < piece.size; at += size) {
        uint32_t c;
        int32_t id;

        size = ft_unicode_decode((const uint8_t *)piece.data + at, piece.size - at, &c);
        id = find_letter(run, (struct ft_string){piece.data + at, size}, at == 0, at + size == piece.size);
        if (id < 0 && bpe->byte_fallback) {
            for (size_t k = 0; k < size; k++)
                symbols[count++].id = bpe->bytes[(uint8_t)piece.data[at + k]];
            continue;
        }
        if (id < 0 && (bpe->unknown < 0 || (unknown && bpe->fuse_unknown)))
            continue;
        unknown = id < 0;
        symbols[count++].id = id < 0 ? bpe->unknown : id;
    }
    for (size_t i = 0; i < count; i++) {
        symbols[i].before = (int32_t)i - 1;
        symbols[i].after = i + 1 < count ? (int32_t)i + 1 : -1;
    }
    return count;
}

void ft_bpe_encode(struct ft_general_run *run, struct ft_string piece)
{
    const struct ft_bpe *bpe = &run->tokenizer->general->bpe;
    int32_t whole = bpe->ignore_merges ? ft_vocabulary_find(&run->tokenizer->vocabulary, piece) : -1;
    const struct symbol *symbols;
    size_t count;

    if (whole >= 0) {
        ft_general_id(run, whole);
        return;
    }
    if ((count = make_symbols(run, piece)) == 0 || run->failed)
        return;
    join_all(run, count);
    symbols = run->symbols;
    for (int32_t i = 0; i >= 0 && !ft_general_done(run); i = symbols[i].after)
        ft_general_id(run, symbols[i].id);
}

/* ---- reading ---- */

static struct ft_string text_of(const json_t *value)
{
    return (struct ft_string){json_string_value(value), json_string_length(value)};
}

/* "left right", or ["left", "right"] as newer files have it. */
static int merge_parts(const json_t *item, struct ft_string *left, struct ft_string *right)
{
    struct ft_string text = text_of(item);
    const char *blank = text.data ? memchr(text.data, ' ', text.size) : NULL;

    if (json_array_size(item) == 2) {
        *left = text_of(json_array_get(item, 0));
        *right = text_of(json_array_get(item, 1));
    } else if (blank) {
        *left = (struct ft_string){text.data, (size_t)(blank - text.data)};
        *right = (struct ft_string){blank + 1, text.size - left->size - 1};
    } else {
        *left = *right = (struct ft_string){NULL, 0};
    }
    return left->size && right->size ? 0 : -1;
}

static int add_merge(const struct ft_tokenizer *tokenizer, struct ft_bpe *bpe, const json_t *item, uint32_t rank)
{
    struct ft_string left, right;
    struct ft_buffer both = {0};
    struct ft_merge merge = {.rank = rank, .id = -1};
    int32_t a, b;

    if (merge_parts(item, &left, &right) < 0)
        return ft_fail(FT_BAD, "model.merges: number %u is not two pieces", rank + 1);
    a = ft_vocabulary_find(&tokenizer->vocabulary, left);
    b = ft_vocabulary_find(&tokenizer->vocabulary, right);
    if (right.size < bpe->prefix.size || ft_buffer_add(&both, left.data, left.size) < 0 ||
        ft_buffer_add(&both, right.data + bpe->prefix.size, right.size - bpe->prefix.size) < 0) {
        ft_buffer_free(&both);
        return right.size < bpe->prefix.size ? ft_fail(FT_BAD, "model.merges: number %u does not go on a word", rank + 1) : -1;
    }
    merge.id = ft_vocabulary_find(&tokenizer->vocabulary, (struct ft_string){both.data, both.size});
    ft_buffer_free(&both);
    if (a < 0 || b < 0 || merge.id < 0)
        return ft_fail(FT_BAD, "model.merges: number %u is of pieces that the vocabulary lacks", rank + 1);
    merge.pair = pair_of(a, b);
    *merge_slot(bpe, merge.pair) = merge;     /* of two ranks the last stands */
    return 0;
}

static int read_merges(struct ft_tokenizer *tokenizer, struct ft_bpe *bpe, const json_t *list)
{
    size_t count = json_array_size(list);

    if (!json_is_array(list) || count > UINT32_MAX / 4)
        return ft_fail(FT_BAD, "model.merges is not a list");
    for (bpe->bits = 4; (size_t)1 << bpe->bits < 2 * count; bpe->bits++)
        ;
    if (!(bpe->merges = ft_arena_zero(&tokenizer->arena, (size_t)1 << bpe->bits, sizeof *bpe->merges)))
        return -1;
    for (size_t i = 0; i < count; i++)
        if (add_merge(tokenizer, bpe, json_array_get(list, i), (uint32_t)i) < 0)
            return -1;
    return 0;
}

static int read_affix(struct ft_tokenizer *tokenizer, const json_t *value, struct ft_string *affix)
{
    *affix = text_of(value);
    if (affix->size > 64)
        return ft_fail(FT_BAD, "model: a prefix or suffix of %zu bytes", affix->size);
    if (affix->size && !(affix->data = ft_arena_text(&tokenizer->arena, *affix)))
        return -1;
    return 0;
}

int ft_bpe_read(struct ft_tokenizer *tokenizer, struct ft_bpe *bpe, const struct json_t *model)
{
    const json_t *unknown = json_object_get(model, "unk_token"), *dropout = json_object_get(model, "dropout");

    *bpe = (struct ft_bpe){
        .fuse_unknown = json_is_true(json_object_get(model, "fuse_unk")),
        .byte_fallback = json_is_true(json_object_get(model, "byte_fallback")),
        .ignore_merges = json_is_true(json_object_get(model, "ignore_merges")),
    };
    if (json_number_value(dropout) > 0)
        return ft_fail(FT_BAD, "model.dropout is %g, expected none: texts must have one spelling", json_number_value(dropout));
    bpe->unknown = json_is_string(unknown) ? ft_vocabulary_find(&tokenizer->vocabulary, text_of(unknown)) : -1;
    if (json_is_string(unknown) && bpe->unknown < 0)
        return ft_fail(FT_BAD, "the unknown token \"%s\" is not in the vocabulary", json_string_value(unknown));
    if (read_affix(tokenizer, json_object_get(model, "continuing_subword_prefix"), &bpe->prefix) < 0 ||
        read_affix(tokenizer, json_object_get(model, "end_of_word_suffix"), &bpe->suffix) < 0 ||
        read_merges(tokenizer, bpe, json_object_get(model, "merges")) < 0)
        return -1;
    for (uint32_t c = 0; c < FT_LETTERS; c++) {
        char text[4];

        bpe->letters[c] = ft_vocabulary_find(&tokenizer->vocabulary, (struct ft_string){text, ft_unicode_encode(c, text)});
    }
    if (bpe->byte_fallback)
        bpe->byte_fallback = ft_byte_tokens(tokenizer, bpe->bytes);
    return 0;
}
