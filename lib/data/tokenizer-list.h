/* tokenizer-list.h - a tokenizer laid open, for formats that carry one whole. */
#ifndef FT_DATA_TOKENIZER_LIST_H
#define FT_DATA_TOKENIZER_LIST_H

#include "data/tokenizer.h"

enum ft_tokenizer_kind { FT_TOKENIZER_WORDPIECE, FT_TOKENIZER_BPE, FT_TOKENIZER_UNIGRAM };

/* As SentencePiece numbers them. */
enum ft_token_type { FT_TOKEN_NORMAL = 1, FT_TOKEN_UNKNOWN = 2, FT_TOKEN_CONTROL = 3, FT_TOKEN_USER = 4, FT_TOKEN_UNUSED = 5 };

struct ft_tokenizer_list {
    enum ft_tokenizer_kind kind;
    size_t count;                  /* ids below it */
    struct ft_string *text;        /* [count]; data NULL where no token has the id */
    int32_t *type;                 /* [count] enum ft_token_type */
    float *score;                  /* [count], of Unigram; else NULL */
    struct ft_string *merges;      /* of BPE: "left right", the first goes first */
    size_t merge_count;
    bool lower, strip;             /* of WordPiece: letters become small, accents go */
    struct ft_string charsmap;     /* of Unigram: SentencePiece's precompiled map as it stores it, or empty */
    bool prefix_space, squeeze;    /* of Unigram: a blank goes before a text; blanks in a row are one */
    int32_t first, last;           /* the special tokens around a text */
    int32_t unknown, pad, mask;    /* -1: none */
};

/* All of it from the arena, or the tokenizer's own. `count` is at least its size. FT_USAGE: a step that such formats have no word for. */
int ft_tokenizer_list(struct ft_arena *arena, const struct ft_tokenizer *tokenizer, size_t count, struct ft_tokenizer_list *list);

#endif
