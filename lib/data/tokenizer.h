/* tokenizer.h - text to token ids, exactly as Hugging Face tokenizers gives them.
 *
 * A tokenizer is immutable after loading and may be used by many threads at once, each with its own scratch. */
#ifndef FT_DATA_TOKENIZER_H
#define FT_DATA_TOKENIZER_H

#include "base/memory.h"

struct ft_tokenizer;

struct ft_tokens {           /* grows as needed; zero-initialised is empty */
    int32_t *id;
    size_t count, capacity;
};
void ft_tokens_free(struct ft_tokens *tokens);   /* leaves it empty and usable */

/* Read `directory`/tokenizer.json, else `directory`/vocab.txt (with tokenizer_config.json's do_lower_case, strip_accents,
 * tokenize_chinese_chars where present), else vocab.json with merges.txt, which are taken for CLIP's, else spiece.model, which is
 * taken for SigLIP's. NULL with FT_BAD: which file, what was wrong, what was expected. */
struct ft_tokenizer *ft_tokenizer_open(const char *directory);
struct ft_tokenizer *ft_tokenizer_open_file(const char *path);    /* a tokenizer.json, whatever it is called */
void ft_tokenizer_close(struct ft_tokenizer *tokenizer);
size_t ft_tokenizer_size(const struct ft_tokenizer *tokenizer);   /* entries of the vocabulary, the largest id + 1 */

/* How models of static embeddings use one: set once, after opening and before the first text. */
enum ft_tokenizer_use {
    FT_TOKENIZER_BARE = 1,     /* no special tokens around a text */
    FT_TOKENIZER_KNOWN = 2,    /* unknown tokens are left out, after the limit has been applied */
    FT_TOKENIZER_MEDIAN = 4,   /* where there is a limit, of a text only the first limit * M characters are looked at, M the median length of the
                                  vocabulary's entries (model2vec) */
};
int ft_tokenizer_use(struct ft_tokenizer *tokenizer, int use);
int32_t ft_tokenizer_left_out(const struct ft_tokenizer *tokenizer);   /* the id of what is left out then; below 0: nothing is */

/* How open_clip cleans a text for tokenizers of transformers: white space to single blanks and none at the ends; the same and lower case; or underscores to
 * blanks, ASCII punctuation taken out, lower case, white space as in the first. What it mends before that (ftfy, HTML's entities) is not done here. */
enum ft_clean { FT_CLEAN_NONE, FT_CLEAN_SPACE, FT_CLEAN_LOWER, FT_CLEAN_CANONICAL };

/* What a model asks of its tokenizer beyond what the file says. */
struct ft_tokenizer_way {
    bool ends;               /* a text's ids end with the first `end`; or, `end` being -1, with the first of the largest id among them */
    int32_t end;
    bool fills;              /* ids are filled up with `filler` to the limit (SigLIP, which reads its padding) */
    int32_t filler;
    const char *filler_name; /* or, not NULL, the token whose id is the filler */
    enum ft_clean clean;     /* what is done to a text before all else */
    size_t rows;             /* not 0: the model's table has so many, and added tokens from there on, which no text of its has (T5's extra ones), are left out */
};

/* Once, after opening and before the first text; sets `filler` where that has a name. FT_BAD: `end` is not what the tokenizer puts behind a text; it has no
 * such token. With `rows` ft_tokenizer_size is no more than that, unless there is beyond it what is no added token. */
int ft_tokenizer_set_way(struct ft_tokenizer *tokenizer, struct ft_tokenizer_way *way);

/* What tokenizer.json says of truncation: tokens, 0 = none. FT_BAD: it cuts the beginning. */
int ft_tokenizer_limit(const struct ft_tokenizer *tokenizer, size_t *limit);

/* Append the ids of `text` with the special tokens around it ([CLS] ... [SEP]), at most `limit` in all including those
 * (0 = no limit; what tokenizer.json says of truncation and padding is for its own users). Bytes that are not UTF-8 are
 * read as U+FFFD, one for each maximal subpart of a sequence, as Python's errors="replace" does. -1, with `tokens` as it
 * was, only when memory runs out. */
int ft_tokenizer_encode(const struct ft_tokenizer *tokenizer, struct ft_string text, size_t limit,
                        struct ft_tokens *tokens);

/* The same of a pair: [CLS] text [SEP] other [SEP]. What is beyond `limit` is cut from the longer of the two, then from both, as transformers'
 * longest_first does. `second`: where `other` begins among the pair's tokens; from there on they are of type 1. FT_BAD where the tokenizer makes
 * pairs in another way, FT_USAGE where the special tokens alone are beyond `limit`. */
int ft_tokenizer_encode_pair(const struct ft_tokenizer *tokenizer, struct ft_string text, struct ft_string other, size_t limit,
                             struct ft_tokens *tokens, size_t *second);

#endif
