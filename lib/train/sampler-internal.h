/* sampler-internal.h - what the sampler's files share.
 *
 *     sampler.c           keeps documents, hands out batches
 *     sampler-plan.c      which kind, who is alike, what is wrong with the data
 *     sampler-classes.c   P classes x K documents: how often each class comes in an epoch
 *     sampler-rows.c      pairs, triplets, scored, random: which row in which batch
 *     sampler-deal.c      units over batches, no unit twice in one
 *     sampler-build.c     a batch's documents from the corpus; rows made from labelled documents
 *
 * A unit is what may come once in a batch: a label (classes) or a group (pairs, triplets). The documents of a unit lie side by side in
 * `order`; an epoch deals units to batches, and each time a unit is dealt it gives its next K documents or its next row. */
#ifndef FT_TRAIN_SAMPLER_INTERNAL_H
#define FT_TRAIN_SAMPLER_INTERNAL_H

#include "base/error.h"
#include "base/random.h"
#include "data/corpus.h"
#include "data/groups.h"
#include "train/sampler.h"

enum ft_shape { FT_PLAIN, FT_LABELLED, FT_PAIR, FT_TRIPLET, FT_TAUGHT, FT_SCORED, FT_SHAPES };   /* taught: triplets with scores */

enum { FT_NO_LABEL = -1, FT_LARGEST_BATCH = 1 << 20, FT_MOST_EPOCHS = 100000 };

struct ft_sample {
    uint32_t content;       /* node in `groups`: of the document, or of a row's anchor */
    uint32_t other;         /* the label's number, or the node of a row's positive */
};

struct ft_negative {        /* a negative that came with a triplet */
    uint32_t document, content;
};

struct ft_slice {
    uint32_t begin, size;
};

struct ft_sampler {
    struct ft_sampler_options options;

    /* What has been added. */
    struct ft_corpus *corpus;
    struct ft_groups labels, groups;     /* label texts -> numbers; contents -> groups */
    struct ft_sample *sample;            /* [count] */
    uint8_t *shape;                      /* [count] enum ft_shape */
    size_t count, capacity;
    struct ft_negative *negative;
    size_t negatives, negative_capacity;
    size_t shapes[FT_SHAPES], without_text, images;
    struct ft_hash fingerprint;

    /* The plan. */
    enum ft_batch_kind kind;
    bool labelled;                       /* rows are drawn from labelled documents */
    bool taught;                         /* triplets, all with scores */
    uint32_t *order;                     /* [used] documents, those of a unit side by side */
    size_t used;
    struct ft_slice *label, *group;      /* slices of order; a label's lies within its group's */
    uint32_t label_count, group_count;
    const struct ft_slice *unit;         /* one of the two */
    uint32_t units;
    uint64_t rows, per_class, epochs, steps;
    size_t *epoch_batches;               /* [epochs] classes: how many batches each has, NULL: all have `batches` */
    size_t row_count, dealt;             /* rows and batches of an epoch before any is dropped (not classes) */
    bool crowded;                        /* one group has more rows than full batches would need: all batches are smaller */

    /* The epoch. */
    uint64_t epoch;
    struct ft_random random;
    uint32_t *cell;                      /* [batches, width] units, or documents where there are no units */
    uint32_t *size;                      /* [batches] cells used */
    size_t batches, width, batch;
    uint32_t *deck;                      /* [units] shuffled */
    uint32_t *total;                     /* [units] cells of this epoch */
    uint32_t *next;                      /* [units] where in its slice the unit goes on */
    uint32_t *quota, *carried;           /* [units] classes: cells not yet dealt that are no repeats; those put off to the next epoch */

    /* The batch. */
    uint64_t number;
    struct ft_buffer bytes, scratch;
    size_t *end;                         /* [rows] where each document of the batch ends in `bytes` */
    size_t row;
    struct ft_string *documents;         /* [rows] */
    struct ft_arena arena;
    msgpack_zone *zone;

    struct ft_buffer warnings;           /* null-terminated, one after another */
    size_t warned;
};

void ft_sampler_warn(struct ft_sampler *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Decode a document of the corpus; valid until the next call that resets the arena. `bytes` gets its msgpack. */
int ft_sampler_decode(struct ft_sampler *s, struct ft_string bytes, struct ft_document *document);
int ft_sampler_load(struct ft_sampler *s, uint32_t index, struct ft_document *document);

/* A short piece of text for a message: one line, quoted, from the arena. */
const char *ft_sampler_excerpt(struct ft_sampler *s, struct ft_string text);
const char *ft_sampler_label_name(struct ft_sampler *s, uint32_t label);

/* The number of a document's label, FT_NO_LABEL where it has none. */
int ft_sampler_label(const struct ft_sampler *s, const struct ft_document *document);

/* Geometry and the state of epochs; steps are set. */
int ft_sampler_plan_classes(struct ft_sampler *s);
int ft_sampler_plan_rows(struct ft_sampler *s);
int ft_sampler_begin_classes(struct ft_sampler *s);    /* the epoch s->epoch: cells are dealt */
int ft_sampler_begin_rows(struct ft_sampler *s);

/* Add the rows that one cell stands for to the batch. */
int ft_sampler_add_class(struct ft_sampler *s, uint32_t label);
int ft_sampler_add_row(struct ft_sampler *s, uint32_t cell);

/* Rows of the batch, as msgpack at the end of s->bytes. `at` are positions in order. */
int ft_sampler_put(struct ft_sampler *s, uint32_t document);
int ft_sampler_put_made(struct ft_sampler *s, const uint32_t *documents, size_t count);        /* labelled: anchor, positive, negative */
int ft_sampler_put_negative(struct ft_sampler *s, uint32_t document, uint32_t negative);       /* a pair and another one's positive */
int ft_sampler_finish(struct ft_sampler *s, struct ft_batch *batch);                           /* texts, labels, roles, scores */

/* Lay the units, total[u] cells each, over batches x width cells so that batches hold a unit twice only where it has more cells than there are
 * batches; sizes differ by one at most. Fails never: there is room for sum(total) <= batches * width. */
void ft_deal(struct ft_random *random, const uint32_t *deck, const uint32_t *total, size_t units, size_t batches, size_t width,
             uint32_t *cell, uint32_t *size);

/* Fill the first batches from the last, so that only that one is short: where units allow it, and where they do not, unless `doubles` may be. */
void ft_deal_fill(size_t batches, size_t width, bool doubles, uint32_t *cell, uint32_t *size);

#endif
