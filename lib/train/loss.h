/* loss.h - losses over the embeddings of one batch, and the miners that choose what they compare.
 *
 * A loss is a pure function: embeddings in, a number and its gradient out; what some learn besides comes in and goes out with them. One file a loss under losses/; the table in loss.c
 * names them, says which kinds of batch each takes, and which is the default for each kind. Losses add up by weights. */
#ifndef FT_TRAIN_LOSS_H
#define FT_TRAIN_LOSS_H

#include "base/tool.h"
#include "model/model.h"
#include "stream/document.h"

/* What a loss sees. n items, d dimensions. Embeddings are as the model gives them, not normalised unless the model does so. */
struct ft_loss_input {
    enum ft_batch_kind kind;
    size_t n, d, rows;
    const float *embedding;    /* [n, d] */
    const int32_t *label;      /* [n] or NULL */
    const uint8_t *role;       /* [n] or NULL */
    const int32_t *row;        /* [n] */
    const float *score;        /* [rows], scored batches; else NULL */
    const float *item_score;   /* [n], triplets that carry them: how alike each item is to its row's anchor; else NULL */
    const float *teacher, *guide;      /* [n, teacher_d], [n, guide_d]: the same texts by a second model, or NULL */
    size_t teacher_d, guide_d;
    size_t classes;            /* labels are below it; 0 = not known. Asked for by losses with weights of their own */
    const float *weights;      /* what the losses learn and remember, as ft_losses_layout lays it out; NULL where they have none */
    float *weights_gradient;   /* [learnt], written: d loss / d what is learnt; NULL likewise */
    uint64_t seed, number;     /* of the run and of the batch: what miners draw by */
    bool remembering;          /* set by loss-memory.c alone: the first n - references items ask, all are compared with, and no gradient goes */
    size_t references;         /* to what is compared with; the last `references` items are of batches before */
};

/* What is to be seen of a batch, whose arrays it points into, and of its embeddings [items, d]; the seed is the caller's to set. */
struct ft_loss_input ft_loss_input_of(const struct ft_batch *batch, const float *embedding, size_t d);

/* Second models that losses look at. */
enum { FT_ASKS_TEACHER = 1, FT_ASKS_GUIDE = 2 };

struct ft_losses;              /* what --loss and --miner said, parsed */

/* `loss` are settings "[W*]NAME:key=value,...", `miner` one of them or NULL; none at all gives the kind's default. FT_USAGE: unknown name or
 * key (the known ones are listed), a loss that does not take this kind of batch (those that do are listed), or a miner that no loss uses.
 * An item may hold several, separated by blanks, and "miner=NAME:..." among them: what ft_losses_text writes. From the arena. */
struct ft_losses *ft_losses_parse(struct ft_arena *arena, enum ft_batch_kind kind, const struct ft_list *loss, const char *miner);

/* The same for a model that reads this, of which a kind may have another default. */
struct ft_losses *ft_losses_parse_for(struct ft_arena *arena, enum ft_batch_kind kind, enum ft_input input, const struct ft_list *loss, const char *miner);

/* That for a batch, by its contents, of its kind and data set: the items that begin with "SET=" of it are its losses; where there are none, and for a batch that
 * names no set, those that name none. */
struct ft_losses *ft_losses_of_batch(struct ft_arena *arena, const struct ft_batch *batch, const struct ft_list *loss, const char *miner);

/* Every set that items of `loss` name is among `sets`, names with blanks between, and where there are sets no loss learns or remembers: else FT_USAGE. */
int ft_losses_check_sets(const struct ft_list *loss, struct ft_string sets);

/* Which second models these losses look at with their settings: FT_ASKS_... or'ed. */
unsigned ft_losses_asks(const struct ft_losses *losses);

/* The same without a kind of batch in view, for what is asked before one has come: no default, and any loss passes. */
struct ft_losses *ft_losses_parse_any(struct ft_arena *arena, const struct ft_list *loss);

/* Do they learn something, and all of it without labels? */
bool ft_losses_unlabelled(const struct ft_losses *losses);

/* What losses learn (a vector for each class, a temperature) and what they remember (embeddings of batches before): one array of 4-byte cells for all losses
 * of a run, what is learnt first. It is the run's: ft_trainer's to change, checkpoints hold it, and ft-loss reads it. */
struct ft_loss_tensor {
    char name[48];             /* "arcface.weight"; of the second arcface, "arcface-2.weight" */
    bool learnt;
    size_t rows, columns, first;           /* first: in floats from the array's start */
    double mean, spread;       /* it begins as random numbers of this mean, and this standard deviation or, uniform, half width */
    bool uniform;
    const char *own;           /* a number that a model may have of its own, in whose stead this one is learnt (model/logits.h); or NULL */
    bool begins_as_own;        /* as which it begins, where the model has it */
    double low, high;          /* bounds, where low < high: what a step puts beyond them is put back to them */
    bool undecayed;            /* weight decay passes it by */
};

struct ft_loss_layout {
    size_t classes, d;
    size_t count;
    struct ft_loss_tensor *tensor;         /* [count], from the arena */
    size_t learnt, floats;                 /* what is learnt takes the first `learnt` floats of `floats` */
};

/* FT_BAD: a loss learns something for each class, and `classes` is 0 or beyond what labels can be. floats 0: losses without any. */
int ft_losses_layout(struct ft_arena *arena, const struct ft_losses *losses, size_t classes, size_t d, struct ft_loss_layout *layout);

/* The beginning: random numbers of this seed (Philox; what is remembered begins empty) into [floats]. */
int ft_losses_begin(const struct ft_loss_layout *layout, uint64_t seed, float *weights);

/* Tensors that begin as the model's own do so, within their bounds. And what is learnt in its stead, of several losses by the first;
 * the rest of `own` stays. */
void ft_losses_begin_as(const struct ft_loss_layout *layout, const struct ft_logits *own, float *weights);
void ft_losses_own(const struct ft_loss_layout *layout, const float *weights, struct ft_logits *own);

/* After a step: what is learnt, back within its bounds. */
void ft_losses_bound(const struct ft_loss_layout *layout, float *weights);

/* After a batch is applied: what is remembered takes it in. `weights` is what input->weights was for it, writable. FT_BAD: no embeddings, or some that
 * are not finite; ft_losses_memorable says so before. */
int ft_losses_remember(const struct ft_losses *losses, const struct ft_loss_layout *layout, const struct ft_loss_input *input, float *weights);
int ft_losses_memorable(const struct ft_losses *losses, const struct ft_loss_input *input);

/* Mean loss and d loss / d embedding, [n, d], written (not added). `counted`, if not NULL, gets the number of terms (triplets, pairs,
 * anchors) that were not zero. Work is done on the pool; the bits do not depend on the number of threads. Embeddings or scores that are not
 * finite give a loss and gradient of NaN, for the trainer to stop at. FT_BAD: the batch is not what its kind promises, or lacks the scores or
 * the second model's embeddings that a loss needs.
 * FT_USAGE: a loss has weights of its own or remembers, and input->weights is NULL: they live in a run. */
int ft_losses_compute(const struct ft_losses *losses, const struct ft_loss_input *input,
                      double *loss, float *gradient, uint64_t *counted);

/* Bytes that ft_losses_compute takes at most of a batch of n items (up to what single rows take), one loss after another. */
size_t ft_losses_bytes(const struct ft_losses *losses, size_t n, size_t d);

/* The settings, defaults included, as text that parses to the same when given as the only item of `loss`, for run.json:
 * "triplet:distance=euclidean,margin=0.05,smooth=0 0.5*supcon:temperature=0.1 miner=semihard:margin=0.2". */
const char *ft_losses_text(struct ft_arena *arena, const struct ft_losses *losses);

/* The learning rate a kind of batch gets when nothing is said, for a model that reads this. */
double ft_loss_rate(enum ft_batch_kind kind, enum ft_input input);

/* The names for --help: "triplet supcon infonce cosine". */
const char *ft_loss_names(void);
const char *ft_miner_names(void);

#endif
