/* tailor.h - a model's nodes changed: cut, pooled another way, projected, frozen.
 *
 * A model's nodes are its family's, perhaps fewer (a cut), and behind them a chain in which each node reads the one before it: pooling, projections,
 * normalisation. Edits change both, in their order. What they made is written down in one of two ways. Where sentence-transformers can express it,
 * config.json and modules.json say it all. Where it cannot, there is no modules.json, config.json's model_type is one that nobody else loads, and ft.json
 * has the family's name, the node at which it is cut, and the chain. In either case ft.json also says which nodes are frozen.
 *
 *     {"ft": 1, "family": "bert", "edits": [
 *       {"edit": "embedding", "node": "encoder.layer.1.intermediate.act"},
 *       {"edit": "gem", "name": "pooling", "p": 3.0, "learn": true},
 *       {"edit": "linear", "name": "2_Dense", "out": 128, "bias": true},
 *       {"edit": "freeze", "nodes": "embeddings*"}]}
 *
 * It is replayed over the family's nodes whenever the model is opened. */
#ifndef FT_MODEL_TAILOR_TAILOR_H
#define FT_MODEL_TAILOR_TAILOR_H

#include "base/tool.h"
#include "model/model.h"

/* A node of the chain: its op, and of the rest what that op has. */
struct ft_link {
    enum ft_op op;
    const char *name;            /* "pooling", "2_Dense", "2_Dense.activation" */
    const char *file;            /* the directory its parameters lie in: 1_Pooling, 2_Dense */
    size_t out;                  /* linear */
    bool bias, learn;            /* linear; gem: p is a parameter */
    enum ft_pooling pooling;
    enum ft_activation activation;
    float power, rate, epsilon;
    bool frozen, fresh;          /* fresh: no file has its parameters yet */
};
struct ft_chain {
    struct ft_link *items;
    size_t count;
};

/* What a model carries of being tailored. */
struct ft_tailored {
    const char *family;          /* ft.json's, or NULL: config.json's model_type is the family */
    const char *cut;             /* the node the family's part ends with, or NULL: all of it is there */
    struct ft_chain chain;       /* ft.json's, where `family` is set */
    struct ft_list freezing;     /* patterns in their order; with '!' before one it unfreezes */
    bool fresh;                  /* edited since it was opened: saving writes all of this anew */
    size_t layers;               /* blocks, where config.json will have to say another number than it did; else 0 */
    bool sets_dropout;           /* config.json's rates of dropout are to be: */
    double dropout;
    size_t side;                 /* of the images, where the files will have to say another size than they did; else 0 */
    const char *whole;           /* the last of the family's nodes where nothing is cut */
    size_t positions;            /* the longest text the family can take; 0 = it takes none */
    enum ft_pooling pooling;     /* that of its models where nothing says another */
    uint64_t seed;               /* of parameters that are fresh */
};

/* `directory` with edits made, each "NAME=VALUE" as ft-tailor's options have it:
 *     layers=N  dropout=X  image-size=N  embedding=NODE  pool=KIND:k=v  dim=N  head=mlp:k=v  normalize  freeze=PATTERN  unfreeze=PATTERN  max-length=N  prompt=[ROLE=]TEXT
 * in their order, but layers, dropout and image-size, which are first; of two towers as towers.h has them. A new weight of a linear layer with I inputs, and its bias, is uniform between -1/sqrt(I) and 1/sqrt(I), as
 * torch.nn.Linear begins: number k of tensor NAME in FILE is number k of ft_random_start(seed, crc32c("FILE/NAME")). Gains begin as 1, biases of norms as 0.
 * Without any edit the head of a classifier is taken off, and it is FT_USAGE that there is none. FT_USAGE and FT_BAD name the edit. */
struct ft_model *ft_model_tailor(const char *directory, const struct ft_list *edits, uint64_t seed);

/* A model from nothing: "mlp:in=512,hidden=256,out=128,..." (families/mlp.c). `directory` is a place that does not exist yet, made and filled with its
 * config.json; the caller removes it. */
struct ft_model *ft_model_new(const char *setting, const char *directory, const struct ft_list *edits, uint64_t seed);

/* Why nothing but ft can load what ft_model_save makes of the model, or NULL; of two towers it is asked of each. The text is the arena's. */
const char *ft_model_alone(struct ft_arena *arena, const struct ft_model *model);

/* The library that loads what is not alone, in words: sentence-transformers, of models of pictures the one that their files are from (transformers, timm,
 * ...). A literal. */
const char *ft_model_reader(const struct ft_model *model);

/* Tensors of the model's own file that its nodes do not use and that are no part of the bare encoder: a head. In the arena, by name. */
int ft_model_head(struct ft_arena *arena, const struct ft_model *model, struct ft_list *names);

#endif
