/* model.h - a model is a list of nodes over one block of parameters.
 *
 * A family (families/bert.c) turns config.json into nodes; modules.json adds pooling, projections and normalisation. All the rest walks the
 * list. Node i reads only nodes before it; the last node is the embedding. Nodes are logical, what a person cuts and names, and parameters are
 * called as they are in the file. Parameters lie one after another in one block of floats, in the order of the list, so that query, key and
 * value of a layer are three row-slices of one matrix. Who owns what: everything hangs off the model's arena; the block may instead be the
 * caller's (a run's mapped file). */
#ifndef FT_MODEL_MODEL_H
#define FT_MODEL_MODEL_H

#include "base/memory.h"
#include "data/tokenizer.h"
#include "model/logits.h"
#include "model/prompts.h"
#include "model/weights/narrow.h"
#include "tensor/kernels.h"

#include <stdbool.h>

enum ft_op {
    FT_OP_EMBEDDING,     /* token ids -> [R, W]: parameters word, position, token type (the latter two or none) */
    FT_OP_LINEAR,        /* parameters weight [O, I], bias [O] or none */
    FT_OP_LAYER_NORM,    /* parameters gain, bias; epsilon */
    FT_OP_DROPOUT,       /* rate */
    FT_OP_ATTENTION,     /* inputs query, key, value (or one with the three side by side), and its bias or none; attention; rate (on the probabilities) */
    FT_OP_ACTIVATION,    /* activation */
    FT_OP_ADD,           /* two inputs */
    FT_OP_POOL,          /* [R, W], or a map -> [S, W]; pooling */
    FT_OP_GEM,           /* the same by the generalised mean: parameter p, or none and power is; epsilon */
    FT_OP_NORMALIZE,     /* rows to unit length */
    FT_OP_VECTOR,        /* feature vectors -> [S, W] */
    FT_OP_PIXELS,        /* 8-bit pixels -> a map of 3 channels; multiply, add */
    FT_OP_CONVOLUTION,   /* a map -> a map: parameters weight [O, I / groups, kernel, kernel], bias [O] or none; kernel, stride, above, left,
                            groups: 1, or I (depthwise) */
    FT_OP_BATCH_NORM,    /* a map, or [S, W]: parameters gain, bias, mean, variance (statistics); epsilon */
    FT_OP_MAX_POOL,      /* a map -> a map; kernel, stride, above, left */
    FT_OP_SCALE,         /* inputs a map and [S, W]: each channel of an item times its factor (squeeze and excitation) */
    FT_OP_TOKENS,        /* a map -> [R, W]: its positions are an item's tokens; parameters class token (or none), position table; or inputs a map and
                            [S, W], which is the first token */
    FT_OP_RMS_NORM,      /* parameter gain; epsilon */
    FT_OP_MULTIPLY,      /* two inputs */
    FT_OP_RELATIVE_BIAS, /* no values of its own, only a parameter [buckets, heads] that attentions after it share */
    FT_OP_ROTARY,        /* [R, 3W] -> the same, its queries and keys turned by their places; attention.heads, theta */
    FT_OP_GATE,          /* [R, 2W] -> [R, W]: the first half, activated, times the second; activation */
    FT_OP_PROBE,         /* [S, W]: the same for every item; parameter, of W numbers */
    FT_OP_ATTEND,        /* inputs query [S, W], key and value [R, W], or one with both side by side -> [S, W]: each item's query over its tokens;
                            attention.heads */
    FT_OP_MEAN_POOL,     /* a map -> a map; kernel, stride */
};
const char *ft_op_name(enum ft_op op);

/* The two halves of a model that puts texts and images into one space. */
enum ft_tower { FT_TOWER_TEXT, FT_TOWER_IMAGE, FT_TOWERS };

/* What a model reads of each item. */
enum ft_input { FT_INPUT_TEXT, FT_INPUT_IMAGE, FT_INPUT_VECTOR, FT_INPUT_BOTH };   /* both: of two towers, each item one of the first two */

/* A table that lies folded in its file: row r is row mapping[r] of the tensor that has the parameter's name, times weights[r]. It is saved unfolded. */
struct ft_fold {
    const char *mapping, *weights;   /* tensors' names; NULL: r itself, 1 */
};

struct ft_parameter {
    const char *name;        /* the tensor's name in its file: "encoder.layer.0.attention.self.query.weight" */
    const char *file;        /* which file: "" the model's own, "2_Dense" a module's */
    int rank;                /* of the tensor in its file, 1 to 4 */
    size_t shape[4];         /* there; a convolution's [O, I / groups, kernel, kernel] */
    const char *const *copies;   /* other names a file may have it under, also several times: one is read, and only that one is saved; or NULL */
    size_t rows, columns;    /* the same numbers as a matrix; a vector is one row */
    size_t offset;           /* in floats from the start of the block; multiples of 16 except inside a joined matrix */
    bool decay;              /* weight decay applies: not biases, not norms */
    bool table;              /* rows are looked up by token: rows a batch does not touch have no gradient */
    bool statistic;          /* a running mean or variance: follows the data while its node is not frozen; has no gradient */
    bool frozen;
    const struct ft_fold *fold;   /* how its file writes it where that is not as it is, or NULL */
    const char *whole;       /* the tensor it is a part of, whose shape `shape` is: parts lie in the list one after another, joined; or NULL */
    size_t first;            /* and how many numbers of the tensor are before it */
    bool transposed;         /* its file has it as [columns, rows], which `shape` says */
    bool joined;             /* begins where the one before it ends: both are one matrix */
    bool fresh;              /* no file has it yet: it is what tailor.h says */
    const struct ft_adapter *adapter;   /* what is trained in its stead (adapter.h), or NULL; it is frozen then */
};

/* Does it get a gradient, and the optimizer change it? */
static inline bool ft_parameter_learns(const struct ft_parameter *p)
{
    return !p->frozen && !p->statistic;
}

struct ft_node {
    const char *name;        /* "encoder.layer.0.attention.self.query" */
    enum ft_op op;
    int inputs[4], input_count;           /* node numbers */
    int parameters[4], parameter_count;   /* parameter numbers */
    size_t width;            /* columns of the output; a map's channels */
    size_t height, across;   /* of a map, the output of an image's nodes: height x across positions, `width` channels each; else 0 */
    bool frozen;             /* all its parameters are */
    /* attributes, those its op has */
    float epsilon, rate, power, theta;
    struct ft_attention attention;        /* its bias is a parameter: NULL here */
    enum ft_activation activation;
    enum ft_pooling pooling;
    size_t first_position;   /* embedding: 0 for BERT, 2 for RoBERTa */
    size_t kernel, stride, groups;        /* convolution, max pool */
    size_t above, left;      /* rows and columns of zeros before the map; behind it as many as its output's size asks for */
    float momentum;          /* batch norm: the share of a batch's statistics in the running ones */
    float multiply[3], add[3];            /* pixels: of each of red, green, blue */
};

struct ft_model {
    struct ft_arena arena;
    const char *directory;   /* where it came from */
    const char *adapter;     /* directory of an adapter that is added to its parameters when these are read, or NULL */
    const char *family;      /* "bert" */
    struct ft_node *nodes;
    int node_count;
    int body_nodes;          /* the family's own, which come first; then pooling and what follows it */
    struct ft_parameter *parameters;
    int parameter_count;
    float *block;            /* block_count floats */
    size_t block_count;
    enum ft_input input;
    size_t height, across;   /* of the images it reads */
    size_t input_width;      /* of the vectors it reads */
    size_t rows_each;        /* rows an image or a vector has: 1, but for transformers its tokens */
    size_t chunk_rows, shard_rows;   /* how many go through at once (cut.h); 0 = as texts */
    bool batch_statistics;   /* in training, batch norms that are not frozen go by the chunk's own statistics, which their running ones follow */
    const struct ft_preprocess *preprocess;   /* how an image becomes height x across pixels; NULL for texts and vectors */
    size_t dim;              /* of the embedding */
    size_t vocabulary;       /* rows of the word table: token ids are below it */
    size_t max_length;       /* tokens, the special ones included */
    int tokenizer_use;       /* flags of ft_tokenizer_use */
    struct ft_tokenizer_way tokenizer_way;
    bool normalized;         /* embeddings have unit length */
    bool scorer;             /* a cross-encoder: texts come in pairs, and what stands for the embedding is one number, their score */
    const char *distance;    /* similarity_fn_name of the directory: "cosine", "dot", "euclidean" */
    struct ft_prompts prompts;   /* what the directory puts before texts; saved with the model */
    bool prompt_left_out;    /* its pooling would leave out a prompt's tokens (include_prompt false): ft_model_prompts_check */
    struct ft_tokenizer *tokenizer;
    struct ft_tailored *tailored;   /* what ft.json says of it (tailor.h), or NULL */
    enum ft_weights_type saved_as;  /* what ft_model_save writes weights as; 0: 32-bit floats */
    const char *extra_text;  /* what was passed over while loading and should be said, or NULL */
    struct ft_adapters *adapters;   /* what is trained in the block's stead, or NULL */
    const char *body;        /* where config.json and model.safetensors lie inside directory: "", or "0_Transformer" of old */
    const char *weights;     /* the directory these are read from: the same, but for an adapter with modules its base model's */
    const char *weights_file, *tokenizer_file;   /* the files themselves where they have names of their own (wordllama's), or NULL */

    /* Of a model of two towers (towers.h); of every other 0 and NULL. */
    int tower_count;
    struct ft_model *towers[FT_TOWERS];
    size_t tower_first[FT_TOWERS];   /* where each one's block begins in this one's */
    struct ft_logits logits;         /* what is to be saved in the place of its files' (logits.h); none: those stay */
    const char *tower_path[FT_TOWERS];   /* the directory of each inside this one's; NULL: both are of one config.json */

    /* model.c's own: what the block lies in when it is not the caller's. */
    void *map;
    size_t map_size;
};

/* Find MODEL: a directory (with config.json, or a run), a name under $FT_HOME/models (default ~/.cache/ft/models), org/name in Hugging Face's cache.
 * Never downloads. The path from the arena; NULL: FT_USAGE, and the message names the ft-pull that would fetch it. */
char *ft_model_find(struct ft_arena *arena, const char *model);
char *ft_model_cache(struct ft_arena *arena);       /* $FT_HOME/models; NULL: FT_USAGE */
bool ft_model_name_valid(const char *name);         /* may a model in the cache be called so? */

/* Read a model directory: nodes, parameters (lib/model/weights/tensors.h: f32, f16, bf16, f64 -> fp32), tokenizer. With `block`, parameters are not read but
 * the caller's block (of ft_model_block_count floats) is used. */
struct ft_model *ft_model_open(const char *directory, float *block);
struct ft_model *ft_model_open_nodes(const char *directory);   /* nodes and tokenizer only: block is NULL; ft_model_read_parameters fills one */
struct ft_model *ft_model_open_sized(const char *directory, size_t side);   /* its nodes for images of side x side, to be listed; 0: as ft_model_open_nodes */
struct ft_model *ft_model_open_tower(const char *directory, enum ft_tower tower);   /* one of the two whose config.json is one, by itself: as ft_model_open */
int ft_model_read_parameters(struct ft_model *model, float *block);
struct ft_model *ft_model_open_scorer(const char *directory);  /* a cross-encoder: its head instead of pooling and modules; only to be run forward */
void ft_model_close(struct ft_model *model);

/* The block that the model, and each of its towers, finds its parameters in from now on: the caller's. */
void ft_model_use_block(struct ft_model *model, float *block);

/* Named parameters in one block, as whoever optimises them sees them: a model's, or what a loss learns. The list is the owner's. */
struct ft_parameters {
    const struct ft_parameter *list;
    int count;
    float *block;
    size_t block_count;
};
struct ft_parameters ft_model_parameters(const struct ft_model *model);
float *ft_parameters_zeros(const struct ft_parameters *parameters);     /* as ft_model_zeros */
void ft_parameters_zeros_free(const struct ft_parameters *parameters, float *block);

/* A block of zeros laid out as the model's, for gradients and moments; rows of a table that nobody touches cost no memory. NULL on error. */
float *ft_model_zeros(const struct ft_model *model);
void ft_model_zeros_free(const struct ft_model *model, float *block);

/* Write a directory that sentence-transformers loads with equal embeddings: config, modules, tokenizer as they came from model->directory, weights
 * from the block, tensors the nodes do not use (a pooler) as they were. Each file appears complete; model.safetensors is last. */
int ft_model_save(const struct ft_model *model, const char *directory);
int ft_model_save_around(const struct ft_model *model, const char *directory);   /* all of that but its own weights; modules behind it have theirs */

/* The same as a whole: under another name first, opened again and compared, then `directory` appears (or, with `force`, is replaced: only a
 * model, never a run or anything else). */
int ft_model_place(const struct ft_model *model, const char *directory, bool force);

/* CRC-32C of the parameters' bytes and of the node list, as 8 hex digits: two models' embeddings never meet by accident. */
const char *ft_model_checksum(const struct ft_model *model, char text[9]);

/* FT_USAGE where the model pools in a way that these prompts would need and we lack. */
int ft_model_prompts_check(const struct ft_model *model, const struct ft_prompts *prompts);

/* Mark parameters frozen by shell patterns over node names ("embeddings.*", "encoder.layer.[0-3].*"); "below:NODE" is every node that NODE depends on,
 * NODE itself not; of two towers "text" and "image" are all of one. A pattern that matches nothing is FT_USAGE. node->frozen says the same of a node's parameters; a node without any stays false. */
int ft_model_freeze(struct ft_model *model, const char *pattern, bool frozen);

/* Which parameters such a pattern means, or one over the parameters' own names ("*.bias"): matched is [parameter_count]. None is FT_USAGE. */
int ft_model_match(const struct ft_model *model, const char *pattern, bool *matched);

#endif
