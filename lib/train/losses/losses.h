/* losses.h - what a file under losses/ is made of: a loss, its keys, and the arithmetic that losses share.
 *
 * How to add a loss is told at the top of train/loss.c. */
#ifndef FT_TRAIN_LOSSES_H
#define FT_TRAIN_LOSSES_H

#include "base/memory.h"
#include "train/loss.h"

struct ft_miner;

enum { FT_LOSS_KEYS = 8 };     /* settings a loss or miner may have */
enum { FT_LOSS_TENSORS = 2 };  /* tensors a loss may learn */

/* A batch and the settings, as a loss gets them. All embeddings, scores and settings are finite. */
struct ft_loss_call {
    const struct ft_loss_input *input;
    double value[FT_LOSS_KEYS];            /* in the order of the keys */
    const struct ft_miner *miner;          /* what --miner said, or NULL */
    double miner_value[FT_LOSS_KEYS];
    const float *weight[FT_LOSS_TENSORS];  /* what the loss learns, [rows, columns] as its `tensors` said; all finite */
    float *weight_gradient[FT_LOSS_TENSORS];   /* comes zeroed: d loss / d weight */
};

struct ft_loss {
    const char *name;
    const char *purpose;                   /* one line, for manuals */
    unsigned kinds;                        /* batches it takes: FT_LOSS_TAKES(FT_BATCH_PAIRS) | ... */
    unsigned mined;                        /* those of them where a miner may choose */
    const struct ft_setting_key *keys;        /* ends with a NULL name */
    bool references;                       /* takes an input that is remembering (memory_size) */
    bool teacher_alike;                    /* compares embeddings with the teacher's number by number: cut one, cut the other (matryoshka) */
    int (*check)(const double *value);     /* settings that do not go together: FT_USAGE; or NULL */
    unsigned (*asks)(const double *value); /* the second models it looks at, FT_ASKS_...; or NULL: none */
    bool held;                             /* by definition no gradient passes through a part of it: the gradient is not the derivative */
    /* *loss, gradient [n, d] (comes zeroed) and *counted (comes 0). 0, or -1 with ft_fail: FT_BAD when the batch is not what its kind
     * promises. Sums in a fixed order; on the pool only by ft_compare and its like. */
    int (*compute)(const struct ft_loss_call *call, double *loss, float *gradient, uint64_t *counted);
    /* What it learns with these settings: fills in name, rows, columns and how each begins; gives how many. NULL: nothing. Where there is
     * something, labels are checked to be below input->classes before compute is called, unless it is learnt without them. */
    size_t (*tensors)(const double *value, size_t classes, size_t d, struct ft_loss_tensor tensor[FT_LOSS_TENSORS]);
    bool unlabelled;                       /* what it learns goes by no labels: a temperature */
};

#define FT_LOSS_TAKES(kind) (1u << (kind))

/* The table, for tests and manuals: NULL past its end. */
const struct ft_loss *ft_loss_at(size_t i);

/* Vectors at unit length, x / |x|. A vector of no length (< 1e-12) has no direction: its unit is 0 and it gets no gradient. */
struct ft_units {
    size_t n, d;
    float *unit;               /* [n, d] */
    float *length;             /* [n] */
};

int ft_units_make(struct ft_arena *arena, struct ft_units *units, const float *x, size_t n, size_t d);

/* In place: gradient [n, d] by the units becomes scale * gradient by x: dx = (du - u (u . du)) / |x|. */
void ft_units_backward(const struct ft_units *units, double scale, float *gradient);

/* Cosine distance of two unit vectors, 1 - u . v, exact to the last bits where it is small: there it is |u - v|^2 / 2. */
double ft_unit_distance(const float *u, const float *v, size_t d);

/* What a loss says of one query when it knows its cosine distance (1 - cosine) to every candidate. */
struct ft_compare_row {
    size_t query;              /* its number */
    size_t candidates;
    const float *distance;     /* [candidates]; to itself, where queries and candidates are the same vectors, 0 */
    float *slope;              /* [candidates], comes zeroed: d loss / d distance */
    double loss;               /* comes 0 */
    uint64_t counted;          /* comes 0 */
    void *scratch;             /* `scratch` bytes of this thread's own, contents undefined */
};

/* A second comparison of the same queries, by other vectors of theirs and with candidates of its own. */
struct ft_compare_second {
    size_t candidates;         /* 0: none */
    const float *query;        /* [queries, d] unit vectors */
    const float *candidate;    /* [candidates, d], not `query` */
    float *query_gradient, *candidate_gradient;    /* places of their own */
};

/* Every query with every candidate: the engine of losses over a matrix of similarities. Memory is bounded: a block of the rows of distances, and one of slopes,
 * of so many bytes each (but of 32 rows at least); no matrix of all pairs is ever whole. */
enum { FT_COMPARE_BYTES = 8 << 20 };

struct ft_compare {
    size_t queries, candidates, d;
    const float *query;        /* [queries, d] unit vectors */
    const float *candidate;    /* [candidates, d]; the same pointer as `query` compares them among themselves */
    float *query_gradient;     /* [queries, d], added to: by the unit vectors, for ft_units_backward; NULL (both): no gradient is wanted */
    float *candidate_gradient; /* [candidates, d], added to; the same pointer as query_gradient where query == candidate */
    struct ft_compare_second second;   /* its distances and slopes follow the first ones in the row, which then has the candidates of both */
    void (*row)(struct ft_compare_row *row, const void *argument);   /* on any thread; must depend on the row alone */
    const void *argument;
    size_t scratch;            /* bytes that `row` needs */
    bool plain;                /* gradients are slope times the other vector, also of near pairs, whose part along the vector itself
                                * ft_units_backward would take away; for losses that need that part */
};

/* *loss and *counted: the sums over rows, in their order. */
int ft_compare(struct ft_arena *arena, const struct ft_compare *compare, double *loss, uint64_t *counted);

/* Softmax over classes whose weights are learnt: the machinery of losses from normalized-softmax to arcface (loss-classes.c).
 *
 *   term(i) = - log( exp(z_y) / sum over classes j of exp(z_j) )      z_j = scale * cos(x_i, w_j), for the item's class y with a margin
 *
 * The loss is the mean over items of a known label. Weights are tensor 0 of the call, [classes * centres, d], a class's centres side by side. */
struct ft_class_softmax {
    double scale;
    size_t centres;            /* of a class: the nearest one counts */
    /* What the margin makes of the cosine of the item's own class: from the cosine distance; *slope by it. NULL: 1 - distance. */
    double (*own)(const double *value, double distance, double *slope);
    bool item_length, weight_length;       /* z is also multiplied by |x_i|; by |w_j| */
};

int ft_class_softmax(const struct ft_loss_call *call, const struct ft_class_softmax *softmax, double *loss, float *gradient, uint64_t *counted);

/* The logarithm of a scale that cosines are multiplied by, learnt as open_clip learns it: it begins as log(1 / temperature), stays within 0 and
 * log(100), and has no weight decay. Temperature 0 is the model's own, or `usual` where it has none; of a scale that is not learnt it is
 * `usual`, since a loss sees no model. */
struct ft_loss_tensor ft_logit_scale(double temperature, double usual);
double ft_logit_scale_now(const struct ft_loss_call *call, bool learnt, double temperature, double usual);   /* the scale; learnt: by tensor 0 of the call */
int ft_temperature_check(const char *loss, double temperature, double usual, bool learnt);   /* 0, or what it may be: FT_USAGE */

/* Scores [count] become the softmax less 1 at `target`: the derivative of the loss by each. Gives the loss, exact also where it is small. */
double ft_softmax_loss(double *score, size_t count, size_t target);

/* A tensor of `rows` vectors, of the standard normal distribution: what pytorch-metric-learning begins most weights with. */
struct ft_loss_tensor ft_class_tensor(const char *name, size_t rows, size_t d);

/* Items of one role, row by row: those of row r are item[first[r]] .. item[first[r + 1] - 1]. */
struct ft_role_list {
    size_t count;
    uint32_t *item;            /* [count] */
    uint32_t *first;           /* [rows + 1] */
};

/* The items of rows that have roles. FT_BAD unless each row has one anchor and a positive; more positives and any negatives are fine. */
struct ft_role_items {
    uint32_t *anchor;          /* [rows] */
    struct ft_role_list positive, negative;
};

int ft_role_items_find(struct ft_arena *arena, const struct ft_loss_input *input, struct ft_role_items *items);

#endif
