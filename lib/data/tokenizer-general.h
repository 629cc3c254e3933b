/* tokenizer-general.h - tokenizers that are not BERT's: steps that rewrite a text, steps that cut it, and a model that turns each piece
 * into ids. What tokenizer.json lists is what runs, in its order; nobody outside the tokenizer includes this.
 *
 *     segment --(normal steps)--> text --(cuts)--> pieces --(BPE or Unigram)--> ids
 *
 * tokenizer-general.c reads it and drives; normalize.c, precut.c, bpe.c and unigram.c are its parts. Each does what Hugging Face tokenizers
 * does, quirks included: ids must be equal. */
#ifndef FT_DATA_TOKENIZER_GENERAL_H
#define FT_DATA_TOKENIZER_GENERAL_H

#include "data/tokenizer-parts.h"

/* What a Split or a Replace looks for: a literal text, or a regular expression (PCRE2, in Unicode). */
struct ft_pattern {
    struct ft_string literal;
    void *code;                    /* pcre2_code, or NULL */
};

/* `literal` must live as long; a regular expression that does not compile is FT_BAD. */
int ft_pattern_make(struct ft_pattern *pattern, struct ft_string text, bool regular);
void ft_pattern_free(struct ft_pattern *pattern);

/* The text that searches are to be given, so that they find what Hugging Face tokenizers finds whatever Unicode PCRE2 was built with: *text itself, or one of
 * the same length in `buffer`. */
int ft_pattern_see(const struct ft_pattern *pattern, struct ft_buffer *buffer, struct ft_string *text);

/* The first match at or after *start that is not empty: *start and *stop; false when there is none. `match` is from ft_pattern_match. */
bool ft_pattern_find(const struct ft_pattern *pattern, void *match, struct ft_string text, size_t *start, size_t *stop);
void *ft_pattern_match(void);      /* room for a search, one a thread; NULL: out of memory */
void ft_pattern_match_free(void *match);

/* SentencePiece's precompiled map of character sequences to others: a double-array trie and the texts it points into. */
struct ft_charsmap {
    const uint32_t *units;
    size_t count;
    struct ft_string texts;        /* each ends with a null byte */
};

/* From the base64 of tokenizer.json; from the arena. FT_BAD: not such a map. */
int ft_charsmap_read(struct ft_arena *arena, struct ft_charsmap *map, struct ft_string base64);

enum ft_normal_kind {
    FT_NORMAL_NFC, FT_NORMAL_NFD, FT_NORMAL_NFKC, FT_NORMAL_NFKD, FT_NORMAL_LOWER, FT_NORMAL_ACCENTS, FT_NORMAL_REPLACE, FT_NORMAL_PREPEND,
    FT_NORMAL_STRIP, FT_NORMAL_PRECOMPILED, FT_NORMAL_BERT,
};

struct ft_normal_step {
    enum ft_normal_kind kind;
    struct ft_pattern pattern;     /* REPLACE */
    struct ft_string content;      /* REPLACE, PREPEND */
    bool left, right;              /* STRIP */
    bool first;                    /* PREPEND: only to what the text begins with */
    struct ft_charsmap map;        /* PRECOMPILED */
    bool longest;                  /* of its sequences counts, as in SentencePiece */
    struct ft_rules rules;         /* BERT */
};

enum ft_cut_kind { FT_CUT_BYTES, FT_CUT_METASPACE, FT_CUT_SPACE, FT_CUT_SPLIT, FT_CUT_DIGITS };
enum ft_cut_behavior { FT_CUT_REMOVED, FT_CUT_ISOLATED, FT_CUT_WITH_PREVIOUS, FT_CUT_WITH_NEXT, FT_CUT_CONTIGUOUS };
enum ft_metaspace { FT_METASPACE_ALWAYS, FT_METASPACE_FIRST, FT_METASPACE_NEVER };

struct ft_cut_step {
    enum ft_cut_kind kind;
    bool prefix_space, use_regex;  /* BYTES */
    struct ft_string replacement;  /* METASPACE: what a blank becomes */
    enum ft_metaspace prepend;
    bool split;
    struct ft_pattern pattern;     /* SPLIT, and BYTES with use_regex */
    enum ft_cut_behavior behavior;
    bool invert;
};

enum { FT_LETTERS = 512 };

/* A pair of pieces that byte-pair encoding puts together. */
struct ft_merge {
    uint64_t pair;                 /* left << 32 | right, both + 1; 0 = free */
    uint32_t rank;                 /* smaller goes first */
    int32_t id;                    /* of the two together */
};

struct ft_bpe {
    struct ft_merge *merges;       /* a hash table of 1 << bits, at most half full */
    int bits;
    struct ft_string prefix, suffix;   /* of characters that continue a word, of a word's last one */
    int32_t unknown;               /* -1: characters without a piece are left out */
    bool fuse_unknown, byte_fallback, ignore_merges;
    int32_t bytes[256];            /* byte_fallback: "<0x41>" */
    int32_t letters[FT_LETTERS];   /* the pieces of the first code points, -1 where there is none: bytes as FT_CUT_BYTES writes them are below */
};

/* The score of a piece that no text has, as a file of JSON may say it. */
#define FT_UNIGRAM_NEVER "-1e30"

struct ft_unigram {
    const double *score;           /* of each id */
    const uint64_t *prefixes;      /* bits: what begins some piece (and little else) */
    int prefix_bits;
    double unknown_score;
    bool single;                   /* sums are in single precision, as SentencePiece's, and begin with `start`, what it has read before the text */
    double start;
    int32_t unknown;
    bool byte_fallback;
    int32_t bytes[256];
};

enum { FT_STEPS_LIMIT = 16 };

struct ft_general {
    struct ft_normal_step normal[FT_STEPS_LIMIT];
    struct ft_cut_step cuts[FT_STEPS_LIMIT];
    int normal_count, cut_count;
    bool is_unigram;
    struct ft_bpe bpe;
    struct ft_unigram unigram;
};

/* One text on its way: buffers that its pieces share. */
struct ft_general_run {
    const struct ft_tokenizer *tokenizer;
    struct ft_tokens *tokens;
    size_t stop;                   /* no more ids than this */
    bool failed;                   /* out of memory, ft_error set */
    bool first;                    /* what is being normalized is what the text begins with */
    struct ft_buffer normal, other;            /* the text between steps */
    struct ft_buffer cut[FT_STEPS_LIMIT];      /* what a cut has rewritten */
    struct ft_buffer seen[FT_STEPS_LIMIT];     /* what a cut's pattern sees of its text */
    void *match;
    void *symbols;                 /* the model's scratch */
    size_t symbol_capacity;
    void *queue;
    size_t queue_count, queue_capacity;
};

void ft_general_id(struct ft_general_run *run, int32_t id);
bool ft_general_done(const struct ft_general_run *run);

/* `text` (valid UTF-8) by all normal steps, into run->normal. */
void ft_normalize(struct ft_general_run *run, struct ft_string text);

/* The pieces of `text` by the cuts from `step` on, each given to the model. `first`: the text begins here. */
void ft_precut(struct ft_general_run *run, int step, struct ft_string text, bool first);

/* The ids of a piece. */
void ft_bpe_encode(struct ft_general_run *run, struct ft_string piece);
void ft_unigram_encode(struct ft_general_run *run, struct ft_string piece);

/* Reading; errors do not name the file. */
struct json_t;
int ft_bpe_read(struct ft_tokenizer *tokenizer, struct ft_bpe *bpe, const struct json_t *model);
int ft_unigram_read(struct ft_tokenizer *tokenizer, struct ft_unigram *unigram, const struct json_t *model);
int ft_byte_tokens(const struct ft_tokenizer *tokenizer, int32_t bytes[256]);   /* "<0x00>" ..; 1 when all are there */

/* normalizer, pre_tokenizer and model of tokenizer.json, into tokenizer->general. */
int ft_general_read(struct ft_tokenizer *tokenizer, const struct json_t *root);
void ft_general_free(struct ft_general *general);

/* A normalizer's steps added to the tokenizer's, which may have none yet. */
int ft_general_read_normal(struct ft_tokenizer *tokenizer, const struct json_t *normalizer);

/* A text by the normal steps alone, into run->normal. */
void ft_general_normalize(struct ft_general_run *run, struct ft_string text);

/* What lies between added tokens. `first`: the text begins here. */
void ft_general_segment(struct ft_general_run *run, struct ft_string text, bool first);
void ft_general_begin(struct ft_general_run *run, const struct ft_tokenizer *tokenizer, struct ft_tokens *tokens);
void ft_general_end(struct ft_general_run *run);

#endif
