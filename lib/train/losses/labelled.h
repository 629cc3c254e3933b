/* labelled.h - losses over batches in which labels say what belongs together: who is compared with whom, by which distance, and how the
 * terms become one number.
 *
 * ft_labelled_compute does all but the formula. It takes the items whose label is known, their cosine distances as one matrix, and what the
 * miner chose; it shows the loss one anchor at a time, its positives and negatives with their values; the loss says its terms and its slopes;
 * reducing and the way back to the embeddings are done here. Memory is a few matrices of [n, n]. Pairs and triplets have labels too: a row
 * is a class of its own, of which a negative is not. Semantics are pytorch-metric-learning's (Musgrave et al. 2020). */
#ifndef FT_TRAIN_LABELLED_H
#define FT_TRAIN_LABELLED_H

#include "train/losses/losses.h"

/* All of vectors at unit length. With cosine and dot, which are then the same, a margin is of the similarity, as it is written in papers;
 * values are distances throughout: 1 - u.v. snr is var(u - v) / var(u), u the anchor (Yuan et al. 2019). */
enum ft_by { FT_BY_EUCLIDEAN, FT_BY_SQEUCLIDEAN, FT_BY_COSINE, FT_BY_DOT, FT_BY_SNR };
#define FT_DISTANCES "euclidean sqeuclidean cosine dot snr"

/* How terms become the loss: their mean, sum, or mean of those that are not zero; per-anchor: the mean over all items of the mean over an
 * item's pairs. Where positives and negatives are reduced apart, joint-mean is the mean over both together. */
enum ft_reducer { FT_MEAN, FT_SUM, FT_NONZERO, FT_PER_ANCHOR, FT_JOINT_MEAN };
#define FT_REDUCERS "mean sum nonzero"
#define FT_PAIR_REDUCERS FT_REDUCERS " per-anchor"

/* Batches with labels, batches of rows that say who belongs together, and those where a miner may choose. */
#define FT_LABELLED (FT_LOSS_TAKES(FT_BATCH_CLASSES) | FT_LOSS_TAKES(FT_BATCH_RANDOM))
#define FT_ROWS (FT_LOSS_TAKES(FT_BATCH_PAIRS) | FT_LOSS_TAKES(FT_BATCH_TRIPLETS))
#define FT_MINED_KINDS FT_LABELLED

/* Sums over the terms of one anchor: [0] all, or those of positives; [1] those of negatives, where the two are reduced apart. */
struct ft_terms {
    double sum[2], entries[2], nonzero[2];
};

struct ft_triplet {
    uint32_t anchor, positive, negative;
};

/* What a miner chose. */
struct ft_mined {
    uint32_t *count;           /* [n, n] how often the pair (anchor, other) is there; comes zeroed */
    /* Pairs: each positive of an anchor goes with each of its negatives where triplets are wanted. Triplets: count says in how many of them a
     * pair is, and which (p, n) go together is said by: a list; or above < d(a, n) - d(a, p) <= most; or an angle at n (ft_mined_angle). */
    enum { FT_MINED_PAIRS, FT_MINED_LIST, FT_MINED_GAP, FT_MINED_ANGLE } how;
    enum ft_by distance;       /* of a gap */
    double above, most;
    double tangent;            /* of an angle */
    struct ft_triplet *list;   /* of a list, in the order of anchors */
    size_t *first;             /* [n + 1] anchor a's are list[first[a]] .. list[first[a + 1] - 1] */
};

struct ft_labelled {
    size_t n, d;               /* items that take part */
    uint32_t *item;            /* [n] their places in the batch */
    int32_t *label;            /* [n] 0 .. classes - 1 */
    size_t classes;
    uint32_t *member, *first;  /* class c's are member[first[c]] .. member[first[c + 1] - 1], in order */
    size_t anchors;            /* n; or, where the input is remembering, those of the batch, the first */
    bool detached;             /* and no gradient goes to what an anchor is compared with */
    struct ft_units units;     /* [n, d] */
    float *cosine;             /* [anchors, n] cosine distances, symmetric among the anchors */
    float *slope;              /* [anchors, n] d loss / d cosine distance, comes zeroed */
    double *total;             /* [n] the sum of a unit's elements, for snr */
    enum ft_by distance;
    enum ft_reducer reducer;
    const struct ft_mined *mined;    /* NULL: all pairs and all triplets */
    bool any[2];               /* is there any positive, any negative pair */
    struct ft_terms *terms;    /* [n] */
    uint64_t seed, number;     /* of the run and of the batch, for miners that draw */
};

/* An item beside an anchor. */
struct ft_other {
    uint32_t item;
    double count;              /* how often the pair was chosen; 1 without a miner */
    double value;              /* the distance */
    double slope;              /* d loss / d value, comes 0 */
    double power, share;       /* ft_log_sum's */
};

struct ft_anchor {
    struct ft_labelled *batch;
    size_t item;
    struct ft_other *positive, *negative;
    size_t positives, negatives;
};

struct ft_labelled_loss {
    enum ft_by distance;
    enum ft_reducer reducer;
    bool parts;                /* positives and negatives are reduced apart */
    bool whole;                /* all pairs are shown whatever a miner chose; it makes weights, ft_labelled_weights */
    bool across;               /* writes slopes of other anchors of its class, by ft_slope_add: anchors of a class are then in one thread */
    void (*anchor)(struct ft_anchor *anchor, const void *argument);
    const void *argument;
};

/* All of a loss that needs one look at each anchor. Same contract as `compute` of struct ft_loss. */
int ft_labelled_compute(const struct ft_loss_call *call, const struct ft_labelled_loss *how, double *loss, float *gradient, uint64_t *counted);

/* The same in steps, for losses that need more. `open` makes everything but terms, `items`
 * of that only who takes part (n, item, label, classes and their members); `each` calls how->anchor, and may be called again with
 * another; `close` reduces and takes slopes back. All from the arena. */
int ft_labelled_open(struct ft_arena *arena, struct ft_labelled *batch, const struct ft_loss_call *call, const struct ft_labelled_loss *how);
int ft_labelled_items(struct ft_arena *arena, struct ft_labelled *batch, const struct ft_loss_call *call);
int ft_labelled_each(struct ft_arena *arena, struct ft_labelled *batch, const struct ft_labelled_loss *how);
int ft_labelled_close(struct ft_labelled *batch, const struct ft_labelled_loss *how, double *loss, float *gradient, uint64_t *counted);

/* A weight for each item: how often it is in what was chosen, the largest 1; without a choice 1. From the arena, NULL on error. */
double *ft_labelled_weights(struct ft_arena *arena, const struct ft_labelled *batch);

/* Anchor `a` with all others, or those that `mined` has; others need room for n + 1 each. */
void ft_anchor_fill(struct ft_anchor *anchor, struct ft_labelled *batch, enum ft_by distance, const struct ft_mined *mined, size_t a,
                    struct ft_other *positive, struct ft_other *negative);

/* Count a term, `count` times, and get the factor for its slopes. part: 0 or, of the negatives where parts are apart, 1. */
double ft_term(struct ft_anchor *anchor, int part, double count, double loss);

/* The distance of two items, and, as a distance, a margin that was said as PML has it. */
double ft_distance_value(const struct ft_labelled *batch, enum ft_by distance, size_t anchor, size_t other);
double ft_distance_margin(enum ft_by distance, double margin);

/* slope [anchor, other] += slope, by the value of the loss's distance. */
void ft_slope_add(struct ft_labelled *batch, size_t anchor, size_t other, double value, double slope);

/* log( sum of count * exp(power), and 1 if `one`) and in each share its part of that sum; 0 where there are none. */
double ft_log_sum(struct ft_other *others, size_t count, bool one);

/* log(1 + exp(x)) and its slope. */
double ft_softplus(double x, double *slope);

/* The same, but 0 where 1 + exp(x) is 1 in double: -log of a chance that is 1 is no term to count. */
double ft_chance(double x, double *slope);

/* For each positive p a term log(1 + sum over negatives n of exp(power_n + power_p)). Slopes become those by the powers. */
void ft_positives_each(struct ft_anchor *anchor);

/* [n, n] cosine distances of unit vectors, symmetric; and gradient [n, d] += by slopes, which are spoiled (loss-matrix.c). */
int ft_matrix_make(const float *unit, size_t rows, size_t n, size_t d, float *cosine);
int ft_matrix_backward(const float *unit, size_t n, size_t d, const float *cosine, float *slope, float *gradient);

/* The same of a matrix [rows, n], the first rows of the whole, whose slopes are each of its row's vector alone: gradient [rows, d]. */
int ft_matrix_backward_rows(const float *unit, size_t rows, size_t n, size_t d, const float *cosine, float *slope, float *gradient);

/* Run f for pieces of a matrix's rows: rows [from, from + count). */
int ft_rows_run(size_t n, void (*f)(void *argument, size_t from, size_t count, int worker), void *argument);

/* Is the angle at n, over the half of the side from a to p, greater than that of this tangent (miners/miner-angular.c). */
bool ft_mined_angle(const struct ft_labelled *batch, double tangent, size_t a, size_t p, size_t n);

/* Losses that share a formula. */
int ft_contrastive_compute(const struct ft_loss_call *call, enum ft_by distance, enum ft_reducer reducer, double *loss, float *gradient,
                           uint64_t *counted);

#endif
