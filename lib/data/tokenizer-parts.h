/* tokenizer-parts.h - what the files of the tokenizer share; nobody else includes it.
 *
 *     text --(added tokens cut out)--> segments --(rules)--> words --(vocabulary)--> ids
 *
 * Tokenizers that are not BERT's go another way: tokenizer-general.h.
 *
 * tokenizer.c drives; tokenizer-json.c with tokenizer-cut.c, tokenizer-vocab.c, tokenizer-clip.c and tokenizer-spiece.c read files; tokenizer-added.c finds
 * added tokens; tokenizer-split.c normalizes and splits; wordpiece.c has the vocabulary; tokenizer-use.c and
 * tokenizer-clean.c are what models ask beyond the file. */
#ifndef FT_DATA_TOKENIZER_PARTS_H
#define FT_DATA_TOKENIZER_PARTS_H

#include "data/tokenizer.h"
#include "data/wordpiece.h"

/* Tokens recognised in the text itself, such as a literal "[SEP]". */
struct ft_added_token {
    struct ft_string content;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};

/* Ready to search: sorted by first byte, then longest first. */
struct ft_added {
    struct ft_added_token *tokens;
    size_t count;
    uint32_t first[257];   /* tokens beginning with byte b are first[b] .. first[b + 1] - 1 */
    int only;              /* the first byte of all of them, -1 when there are several */
};

struct ft_added_match {
    size_t from;           /* where to go on searching */
    size_t taken;          /* bytes before this belong to earlier matches */
    size_t start, stop;    /* this match, white space it strips included */
    int32_t id;
};

/* Sort in place and index; keeps `tokens`. */
void ft_added_index(struct ft_added *added, struct ft_added_token *tokens, size_t count);

/* The next match in `text`; start with a zero match. */
bool ft_added_next(const struct ft_added *added, struct ft_string text, struct ft_added_match *match);

/* What the normalizer does; all false is the pre-tokenizer alone. */
struct ft_rules {
    bool clean, chinese, strip, lower;
    uint8_t ascii[256];    /* what becomes of a byte: a letter (the letter), or one of enum ft_ascii */
};

enum ft_ascii {
    FT_ASCII_SLOW,         /* needs the general way */
    FT_ASCII_SPACE,
    FT_ASCII_PUNCT,
    FT_ASCII_DROP,
    FT_ASCII_LETTER = 0x20,   /* this and above */
};

void ft_rules_finish(struct ft_rules *rules);

/* A BertNormalizer of tokenizer.json. */
struct json_t;
int ft_rules_read(struct ft_rules *rules, const struct json_t *object);

/* A combining character that survives accent stripping, waiting to be put in canonical order. */
struct ft_waiting {
    uint32_t c;
    uint8_t combining;
};

enum { FT_WORD_INLINE = 512, FT_WAITING_INLINE = 16 };

/* The state of one text on its way to ids; lives on the stack, and allocates only for words or runs of combining
 * characters longer than any that natural text has. */
struct ft_split {
    const struct ft_vocabulary *vocabulary;
    const uint8_t *flags;             /* of code points below FT_UNICODE_FLAT */
    struct ft_tokens *tokens;
    size_t stop;                      /* no more tokens than this in all */
    struct ft_buffer *normal;         /* when set, normalized text goes here and no words are made */
    bool failed;                      /* out of memory, ft_error set */

    char *word;                       /* `size` bytes, `characters` of them; not kept past the vocabulary's word_limit */
    uint64_t *hash;
    size_t size, characters, capacity;
    struct ft_waiting *waiting;
    size_t waiting_count, waiting_capacity;

    char word_inline[FT_WORD_INLINE];
    uint64_t hash_inline[FT_WORD_INLINE + 1];
    struct ft_waiting waiting_inline[FT_WAITING_INLINE];
};

void ft_split_begin(struct ft_split *split, const struct ft_vocabulary *vocabulary, const uint8_t *flags,
                    struct ft_tokens *tokens, size_t stop);
void ft_split_text(struct ft_split *split, const struct ft_rules *rules, struct ft_string text);   /* a whole segment */
void ft_split_id(struct ft_split *split, int32_t id);
bool ft_split_done(const struct ft_split *split);   /* full, or failed */
void ft_split_end(struct ft_split *split);

struct ft_tokenizer {
    struct ft_arena arena;
    struct ft_vocabulary vocabulary;
    struct ft_general *general;       /* NULL: BERT's, by rules */
    struct ft_rules rules, plain;
    struct ft_added raw, normal;      /* searched in the text as given, and in the normalized text */
    int32_t *before, *after;          /* [CLS] and [SEP] */
    size_t before_count, after_count;
    int32_t *middle;                  /* between the texts of a pair */
    size_t middle_count;
    bool pairs;                       /* a pair is before, text, middle, other, after, of types 0 up to `other` and 1 from there */
    const uint8_t *flags;
    size_t size;
    struct ft_string scored;          /* model.vocab where it is a list, and what follows, while a file is read */
    size_t truncate;                  /* what the file says of truncation: tokens, 0 = none; from the left */
    bool truncate_left;
    size_t median;                    /* characters of an entry; 0: texts are not cut by it */
    struct ft_tokenizer_way way;
    struct ft_tokenizer *cleaner;     /* whose normal steps are what way.clean asks for, or NULL */
    int32_t left_out;                 /* an id that is left out, -1 = none */
    struct ft_added_token *added;     /* as the file lists them; ft_tokenizer_open sorts them into raw and normal */
    size_t added_count;
};

/* The characters of `text` that a limit of tokens leaves to be looked at. */
struct ft_string ft_tokenizer_begin_of(const struct ft_tokenizer *tokenizer, struct ft_string text, size_t limit);

/* Take every `id` out of the tokens from number `from` on. */
void ft_tokens_leave_out(struct ft_tokens *tokens, size_t from, int32_t id);

/* Both fill vocabulary (finished), rules, added, before and after. Errors name the file. */
int ft_tokenizer_read_json(struct ft_tokenizer *tokenizer, const char *path);
int ft_tokenizer_read_vocab(struct ft_tokenizer *tokenizer, const char *directory);
int ft_tokenizer_read_clip(struct ft_tokenizer *tokenizer, const char *directory);

int ft_tokenizer_read_spiece(struct ft_tokenizer *tokenizer, const char *directory);

/* Is SigLIP's spiece.model what counts? tokenizer_config.json says so by its class; where it says none, there is no `other` tokenizer. */
bool ft_tokenizer_is_spiece(struct ft_arena *arena, const char *directory, bool other);

/* The text of a tokenizer.json, which ends with a null byte and must live as long; errors do not name the file. */
int ft_tokenizer_read_text(struct ft_tokenizer *tokenizer, char *text, size_t size);

/* Take every id that is not below `rows` out of the tokens from number `from` on. */
void ft_tokens_leave_beyond(struct ft_tokens *tokens, size_t from, size_t rows);

/* The tokens from number `from` on as tokenizer->way wants them. */
void ft_tokens_end(struct ft_tokens *tokens, size_t from, const struct ft_tokenizer_way *way);
int ft_tokens_fill(struct ft_tokens *tokens, size_t until, int32_t id);

/* `text` as way.clean wants it; its bytes are then in `out`, which the caller frees. */
int ft_tokenizer_make_cleaner(struct ft_tokenizer *tokenizer, enum ft_clean clean);
int ft_tokenizer_clean(const struct ft_tokenizer *tokenizer, struct ft_string *text, struct ft_buffer *out);

enum { FT_ID_LIMIT = 1 << 28 };       /* ids are below this */

/* Find model.vocab in the null-terminated JSON `text`, read it into the vocabulary (its texts stay in `text`, which must
 * live as long) and index that. The object is [*cut, *stop); both are the end of the text when there is none. */
int ft_tokenizer_cut_vocab(struct ft_tokenizer *tokenizer, char *text, size_t size, char **cut, char **stop);

/* The scores of Unigram's pieces, `count` in [["piece", -1.5], ...], as serde_json reads them for Hugging Face tokenizers: digits as an integer, times or over
 * a power of ten, which may be the neighbour of the nearest double. Sums of many pieces that are nearly equal tell. */
int ft_tokenizer_cut_scores(struct ft_string list, double *score, size_t count);

/* One entry of a list of added tokens, as both kinds of file write it: {"content": ..., "lstrip": ...}. */
int ft_added_read(struct ft_tokenizer *tokenizer, const struct json_t *item, int32_t id, struct ft_added_token *token);

#endif
