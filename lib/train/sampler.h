/* sampler.h - who is in a batch with whom.
 *
 * Documents are kept in an unlinked temporary file (small corpora in memory), and 40-odd bytes each in memory while they are added, about 30
 * while batches are drawn, so a corpus may be larger than memory. When all have been added they are grouped (equal labels; union-find over
 * equal contents of pairs) and batches are drawn: a function of documents, seed and options only.
 *
 *   classes    P labels x K documents. A label's documents come in turn, shuffled; what does not fill a place of K begins the next epoch's
 *              first one. Labels of fewer than K are filled up with repeats. Every document comes once an epoch but for that rounding.
 *   pairs      every pair once an epoch; no text twice in a batch, no two pairs of one group. Of labelled documents: two of a label.
 *   triplets   as they come; or of pairs, with a positive of another group as the negative; or of labelled documents, each an anchor once
 *   scored, random   every document once an epoch, in any order
 *
 * Views are for texts without labels (SimCSE, Gao et al. 2021): a text comes several times in a batch and meets itself under another dropout.
 * In classes each text is a class of its own; in pairs anchor and positive are the same text. Labels that documents have are not looked at.
 *
 * Epochs and batches count from 1. */
#ifndef FT_TRAIN_SAMPLER_H
#define FT_TRAIN_SAMPLER_H

#include "stream/document.h"

struct ft_sampler_options {
    int kind;                  /* enum ft_batch_kind, or -1: by what the data are (labels: classes; pairs; triplets; scored; else random) */
    uint64_t seed;
    uint64_t batch;            /* rows a batch; 0 = the default of the kind */
    uint64_t per_class;        /* 0 = 4 */
    uint64_t views;            /* 0: labels and rows say what is alike. 2 or more: each text so often in a batch, alike to itself only */
    uint64_t epochs;           /* 0 = 3 */
    bool drop_last;
    /* Asked for the rows of a batch, where `batch` is 0, once it is known how many documents a row is made of. 0: failed. NULL: the default. */
    uint64_t (*choose)(void *argument, uint64_t documents);
    void *argument;
};

struct ft_sampler;

struct ft_sampler *ft_sampler_open(const struct ft_sampler_options *options);
void ft_sampler_close(struct ft_sampler *sampler);

/* Keep one document (a view and its msgpack bytes). FT_BAD: chunks with roles, but not one anchor and at least one positive. */
int ft_sampler_add(struct ft_sampler *sampler, const struct ft_document *document, struct ft_string bytes);

/* All documents are in: group, check, plan. Fills kind, steps, epochs, rows, classes and fingerprint of the header. Impossible wishes are
 * FT_USAGE or FT_BAD with the way out in the message ("one class only (greeting): contrast needs two; ..."). */
int ft_sampler_plan(struct ft_sampler *sampler, struct ft_arena *arena, struct ft_header *header);

/* What should be said of the data, one line each, counts in it ("12 labels have one document only"); call until NULL. */
const char *ft_sampler_warning(struct ft_sampler *sampler);

/* The next batch: 1, or 0 after the last, or -1. The batch and its documents' bytes ([batch->rows]) are valid until the next call. */
int ft_sampler_next(struct ft_sampler *sampler, struct ft_batch *batch, const struct ft_string **documents);

/* For who draws from several (mix.h): how many batches an epoch has, once planned; begin the next epoch, whatever is left of the present one. */
uint64_t ft_sampler_batches(const struct ft_sampler *sampler, uint64_t epoch);
int ft_sampler_begin(struct ft_sampler *sampler);

#endif
