/* wordpiece.c - the vocabulary's hash table and the greedy split. */
#include "data/wordpiece.h"
#include "base/error.h"

#include <string.h>

/* Any odd number with well mixed bits; results do not depend on it. */
static const uint64_t BASE = 0x9e3779b97f4a7c15u;

struct ft_slot {
    uint32_t tag;       /* low half of the mixed hash */
    uint32_t piece;     /* 1 + index, 0 = free */
};

enum { SEEN = 4 };      /* bits of `seen` for each slot: 16 slots make a word of it */

static uint64_t hash_step(uint64_t hash, char byte)
{
    return hash * BASE + (uint8_t)byte + 1;
}

static uint64_t hash_text(struct ft_string text)
{
    uint64_t hash = 0;
    size_t i;

    for (i = 0; i < text.size; i++)
        hash = hash_step(hash, text.data[i]);
    return hash;
}

/* The polynomial's low bits depend on few of the bytes' bits: fold and multiply before using any. */
static uint64_t hash_mix(uint64_t hash)
{
    return (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
}

/* The slot of the piece prefix+text whose mixed hash is `mixed`, or the free slot where it would go. */
static struct ft_slot *slot_find(const struct ft_vocabulary *v, uint64_t mixed, struct ft_string prefix,
                                 const char *text, size_t size)
{
    size_t mask = ((size_t)1 << v->bits) - 1, i = (size_t)(mixed >> (64 - v->bits));

    for (;; i = (i + 1) & mask) {
        struct ft_slot *slot = &v->slots[i];
        const struct ft_piece *piece;

        if (slot->piece == 0)
            return slot;
        if (slot->tag != (uint32_t)mixed)
            continue;
        piece = &v->pieces[slot->piece - 1];
        if (piece->size == prefix.size + size && memcmp(piece->text + prefix.size, text, size) == 0 &&
            (prefix.size == 0 || memcmp(piece->text, prefix.data, prefix.size) == 0))
            return slot;
    }
}

/* The bit of `seen` that belongs to a mixed hash; the number of its slot is from the hash's other end. */
static size_t seen_bit(const struct ft_vocabulary *v, uint64_t mixed)
{
    return (size_t)mixed & (((size_t)SEEN << v->bits) - 1);
}

static void seen_add(struct ft_vocabulary *v, uint64_t mixed)
{
    size_t bit = seen_bit(v, mixed);

    v->seen[bit / 64] |= (uint64_t)1 << bit % 64;
}

/* False: no piece has this hash. True: one may have; at most an eighth of what is no piece gets that far. */
static bool seen_has(const struct ft_vocabulary *v, uint64_t mixed)
{
    size_t bit = seen_bit(v, mixed);

    return v->seen[bit / 64] >> bit % 64 & 1;
}

int ft_vocabulary_begin(struct ft_vocabulary *v, struct ft_arena *arena, size_t guess)
{
    *v = (struct ft_vocabulary){.bits = 4, .largest = -1, .unknown = -1, .word_limit = 100, .capacity = guess + 1};
    v->pieces = ft_arena_take(arena, v->capacity * sizeof *v->pieces);
    return v->pieces ? 0 : -1;
}

int ft_vocabulary_add(struct ft_vocabulary *v, struct ft_arena *arena, struct ft_string text, int32_t id)
{
    if (text.size > UINT32_MAX / 2 || v->count == UINT32_MAX / 4)
        return ft_fail(FT_BAD, "vocab: a piece of %zu bytes after %zu others is too much", text.size, v->count);
    if (v->count == v->capacity) {
        struct ft_piece *pieces = ft_arena_take(arena, 2 * v->capacity * sizeof *pieces);

        if (!pieces)
            return -1;
        memcpy(pieces, v->pieces, v->count * sizeof *pieces);
        v->pieces = pieces;
        v->capacity *= 2;
    }
    v->pieces[v->count++] = (struct ft_piece){text.data, (uint32_t)text.size, id};
    if (v->largest < id)
        v->largest = id;
    if (v->longest < text.size)
        v->longest = text.size;
    return 0;
}

int ft_vocabulary_index(struct ft_vocabulary *v, struct ft_arena *arena)
{
    size_t i;

    while ((size_t)1 << v->bits < v->count * 2)
        v->bits++;
    v->slots = ft_arena_zero(arena, (size_t)1 << v->bits, sizeof *v->slots);
    v->seen = ft_arena_zero(arena, ((size_t)SEEN << v->bits) / 64, sizeof *v->seen);
    v->powers = ft_arena_take(arena, (v->longest + 1) * sizeof *v->powers);
    if (!v->slots || !v->seen || !v->powers)
        return -1;
    for (i = 0; i < v->count; i++) {
        struct ft_piece piece = v->pieces[i];
        uint64_t mixed = hash_mix(hash_text((struct ft_string){piece.text, piece.size}));
        struct ft_slot *slot = slot_find(v, mixed, (struct ft_string){0}, piece.text, piece.size);

        if (slot->piece)
            v->pieces[slot->piece - 1].id = piece.id;
        else
            *slot = (struct ft_slot){(uint32_t)mixed, (uint32_t)i + 1};
        seen_add(v, mixed);
    }
    v->powers[0] = 1;
    for (i = 1; i <= v->longest; i++)
        v->powers[i] = v->powers[i - 1] * BASE;
    return 0;
}

void ft_vocabulary_prefix(struct ft_vocabulary *v, struct ft_string prefix)
{
    v->prefix = prefix;
    v->prefix_hash = hash_text(prefix);
}

int32_t ft_vocabulary_find(const struct ft_vocabulary *v, struct ft_string text)
{
    return ft_vocabulary_hashed(v, hash_text(text), text);
}

int32_t ft_vocabulary_hashed(const struct ft_vocabulary *v, uint64_t hash, struct ft_string text)
{
    uint64_t mixed = hash_mix(hash);
    struct ft_slot *slot;

    if (!seen_has(v, mixed))
        return -1;
    slot = slot_find(v, mixed, (struct ft_string){0}, text.data, text.size);
    return slot->piece ? v->pieces[slot->piece - 1].id : -1;
}

uint64_t ft_vocabulary_step(uint64_t hash, char byte)
{
    return hash_step(hash, byte);
}

uint64_t ft_vocabulary_mix(uint64_t hash)
{
    return hash_mix(hash);
}

/* The longest piece that begins word[start], with `prefix` before it; its bytes, 0 when there is none.
 *
 *     hash(prefix + word[a..b)) = hash[b] + (hash(prefix) - hash[a]) * BASE^(b - a) */
static size_t longest_piece(const struct ft_vocabulary *v, const char *word, size_t size, size_t start,
                            const uint64_t *hash, int32_t *id)
{
    struct ft_string prefix = start ? v->prefix : (struct ft_string){0};
    uint64_t before = (start ? v->prefix_hash : 0) - hash[start];
    size_t length = size - start, most = prefix.size < v->longest ? v->longest - prefix.size : 0;

    if (length > most)
        length = most;
    for (; length; length--) {
        struct ft_slot *slot;
        uint64_t mixed;

        if (start + length < size && ((uint8_t)word[start + length] & 0xc0) == 0x80)
            continue;   /* inside a character */
        mixed = hash_mix(hash[start + length] + before * v->powers[length]);
        if (!seen_has(v, mixed))
            continue;
        slot = slot_find(v, mixed, prefix, word + start, length);
        if (slot->piece) {
            *id = v->pieces[slot->piece - 1].id;
            return length;
        }
    }
    return 0;
}

size_t ft_vocabulary_split(const struct ft_vocabulary *v, const char *word, size_t size, uint64_t *hash, int32_t *id,
                           size_t room)
{
    size_t start, length, i, count = 0;
    int32_t one;

    hash[0] = 0;
    for (i = 0; i < size; i++)
        hash[i + 1] = hash_step(hash[i], word[i]);
    for (start = 0; start < size; start += length) {
        if (!(length = longest_piece(v, word, size, start, hash, &one))) {
            one = v->unknown;
            count = 0;
            length = size - start;
        }
        if (count < room)
            id[count] = one;
        count++;
    }
    return count;
}
