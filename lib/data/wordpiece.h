/* wordpiece.h - a vocabulary of pieces, and the pieces of a word: longest match first, as BERT has it.
 *
 * The vocabulary is one hash table over the pieces' bytes. The hash is a polynomial modulo 2^64, so that the hash of any
 * part of a word, with the continuation prefix before it, comes from the word's running hashes by one multiplication.
 *
 * Longest match first asks for many parts that are no piece. A bit table says so of most of them: 32 KB for BERT's
 * vocabulary, which stay in a core's first cache, where the slots are 512. */
#ifndef FT_DATA_WORDPIECE_H
#define FT_DATA_WORDPIECE_H

#include "base/memory.h"

struct ft_piece {
    const char *text;
    uint32_t size;
    int32_t id;
};

struct ft_vocabulary {
    struct ft_piece *pieces;
    size_t count, capacity;
    struct ft_slot *slots;     /* 1 << bits of them, at most half full */
    uint64_t *seen;            /* bits, four a slot: one is set for each piece's hash */
    int bits;
    int32_t largest;           /* id, -1 when empty */
    size_t longest;            /* bytes of the longest piece */
    uint64_t *powers;          /* of the hash's base, 0..longest */

    struct ft_string prefix;   /* of pieces that continue a word: "##" */
    uint64_t prefix_hash;
    size_t word_limit;         /* words of more characters than this are unknown; set by whoever reads the file */
    int32_t unknown;           /* the id they get; the same */
};

/* All memory comes from `arena`; `guess` is how many pieces to make room for at first. */
int ft_vocabulary_begin(struct ft_vocabulary *vocabulary, struct ft_arena *arena, size_t guess);

/* `text` must live as long as the vocabulary; the last id given to a text stands. */
int ft_vocabulary_add(struct ft_vocabulary *vocabulary, struct ft_arena *arena, struct ft_string text, int32_t id);

/* After the last piece, before anything is looked up. */
int ft_vocabulary_index(struct ft_vocabulary *vocabulary, struct ft_arena *arena);

/* `prefix` must live as long as the vocabulary. */
void ft_vocabulary_prefix(struct ft_vocabulary *vocabulary, struct ft_string prefix);

int32_t ft_vocabulary_find(const struct ft_vocabulary *vocabulary, struct ft_string text);   /* -1: not there */

/* The same for a text whose hash is known: 0 for an empty one, and ft_vocabulary_step for each byte more. */
int32_t ft_vocabulary_hashed(const struct ft_vocabulary *vocabulary, uint64_t hash, struct ft_string text);
uint64_t ft_vocabulary_step(uint64_t hash, char byte);
uint64_t ft_vocabulary_mix(uint64_t hash);       /* all bits of it in all bits */

/* The ids of one word's pieces, at most `room`, into id[0..]; returns how many the word has (more than `room` when they
 * did not fit). hash[0..size] is scratch. The word is UTF-8 of at most word_limit characters, and not empty. A word that
 * cannot be spelled is one unknown. */
size_t ft_vocabulary_split(const struct ft_vocabulary *vocabulary, const char *word, size_t size, uint64_t *hash,
                           int32_t *id, size_t room);

#endif
