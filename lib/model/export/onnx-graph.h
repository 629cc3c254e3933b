/* onnx-graph.h - an ONNX graph in the making: nodes as they will stand in the file, and the tensors they read. https://onnx.ai/onnx/repo-docs/IR.html
 *
 * A value is named by a string of the graph's arena. Functions that make one return its name, or NULL after an error, which is kept: all that follows
 * does nothing then, so that what is written over this needs no check on each line. Tensors of the model's parameters point into its block, and are
 * read when the file is written (onnx-file.c). */
#ifndef FT_MODEL_EXPORT_ONNX_GRAPH_H
#define FT_MODEL_EXPORT_ONNX_GRAPH_H

#include "model/model.h"

enum { FT_ONNX_OPSET = 17, FT_ONNX_IR = 8, FT_ONNX_RANK = 4 };
enum ft_onnx_type { FT_ONNX_FLOAT = 1, FT_ONNX_INT64 = 7, FT_ONNX_BOOL = 9 };   /* numbers of the format */

/* What a node's output looks like: texts' tokens are padded to the longest of a batch. */
enum ft_onnx_form {
    FT_ONNX_NOTHING,
    FT_ONNX_TOKENS,              /* [batch, length, width] */
    FT_ONNX_ITEMS,               /* [batch, width] */
    FT_ONNX_MAP,                 /* [batch, width, height, across] */
};

struct ft_onnx_tensor {
    const char *name;
    enum ft_onnx_type type;
    int rank;
    int64_t dims[FT_ONNX_RANK];
    const void *data;            /* the numbers, little-endian as they lie in memory */
    size_t size;                 /* bytes */
    size_t rows, columns;        /* of what is to be written transposed, as it lies; 0: as it is */
    bool external;               /* lies in the other file, */
    uint64_t offset;             /* from there on */
};

struct ft_onnx {
    struct ft_arena arena;
    const struct ft_model *model;
    struct ft_buffer nodes, inputs, outputs;   /* fields of the graph */
    struct ft_buffer attributes, message;      /* of the node to be made; room for one message */
    struct ft_onnx_tensor *tensors;
    size_t tensor_count, tensor_capacity;
    size_t made;                 /* nodes */
    const char *place;           /* what names of values begin with: the model's node at hand */
    bool failed;

    const char **value;          /* [model's nodes] their outputs */
    enum ft_onnx_form *form;     /* [model's nodes] */
    const char *ids, *mask;      /* of texts: [batch, length] whole numbers, mask 1 where there is a token; NULL: everywhere */
    const char *places, *apart;  /* onnx-text.c: [length] 0, 1, ...; [length, length] how far the key is after the query; NULL: not made yet */
    struct ft_onnx_bias {
        int table;               /* node of a table of biases, or -1 */
        size_t window, buckets, distance;
        bool causal;
        const char *value;
    } *biases;                   /* that attentions have shared so far */
    size_t bias_count, bias_capacity;
};

/* Attributes of the node that is made next: inputs that are made among its arguments come before it. */
void ft_onnx_int(struct ft_onnx *o, const char *name, int64_t value);
void ft_onnx_list(struct ft_onnx *o, const char *name, size_t count, const int64_t *values);
void ft_onnx_real(struct ft_onnx *o, const char *name, float value);

/* A node of the graph: its inputs end with NULL, "" is one left out. Its one output. */
const char *ft_onnx_node(struct ft_onnx *o, const char *op, ...) __attribute__((sentinel));
/* The same with an output of a name of its own. */
void ft_onnx_named(struct ft_onnx *o, const char *op, const char *input, const char *output);
/* Split `x` along `axis` into parts of these sizes. */
void ft_onnx_split(struct ft_onnx *o, const char *x, int64_t axis, size_t count, const int64_t *sizes, const char **parts);

/* Constants; equal ones are one tensor. */
const char *ft_onnx_whole(struct ft_onnx *o, int64_t value);                                  /* a scalar */
const char *ft_onnx_wholes(struct ft_onnx *o, size_t count, const int64_t *values);           /* a vector */
const char *ft_onnx_number(struct ft_onnx *o, float value);                                   /* a scalar */

/* A tensor under this name; data stay the caller's, until the graph is written. Of a name that is there already that one. */
const char *ft_onnx_tensor(struct ft_onnx *o, const char *name, enum ft_onnx_type type, int rank, const int64_t *dims, const void *data);

/* A parameter of the model, as [dims], and a matrix of [rows, columns] as [columns, rows]. */
const char *ft_onnx_parameter(struct ft_onnx *o, int parameter, int rank, const int64_t *dims);
const char *ft_onnx_transposed(struct ft_onnx *o, int parameter);

/* What the graph reads and gives; a dimension is a name, or digits. */
void ft_onnx_input(struct ft_onnx *o, const char *name, enum ft_onnx_type type, int rank, const char *const *dims);
void ft_onnx_output(struct ft_onnx *o, const char *name, int rank, const char *const *dims);
const char *ft_onnx_digits(struct ft_onnx *o, size_t number);

int ft_onnx_fail(struct ft_onnx *o, const char *format, ...) __attribute__((format(printf, 2, 3)));   /* FT_USAGE, and remember */
void ft_onnx_free(struct ft_onnx *o);

/* What node `node` reads as its input k. */
const char *ft_onnx_in(const struct ft_onnx *o, const struct ft_node *node, int k);

/* What writes a node down. Returns its output, NULL after an error; sets the form where it is not that of its first input. */
typedef const char *ft_onnx_writer(struct ft_onnx *o, const struct ft_node *node, enum ft_onnx_form *form);
ft_onnx_writer ft_onnx_embedding, ft_onnx_attention, ft_onnx_attend, ft_onnx_rotary, ft_onnx_pool, ft_onnx_gem;                        /* onnx-text.c, onnx-pool.c */
ft_onnx_writer ft_onnx_pixels, ft_onnx_convolution, ft_onnx_batch_norm, ft_onnx_max_pool, ft_onnx_mean_pool, ft_onnx_scale, ft_onnx_tokens;   /* onnx-maps.c */

/* [length] 0, 1, ...: the places of tokens in a padded text. */
const char *ft_onnx_places(struct ft_onnx *o);

/* A list of whole numbers as two arguments. */
#define FT_ONNX_LIST(...) (sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__}

/* A map's positions as rows: [batch, positions, width]. */
const char *ft_onnx_rows(struct ft_onnx *o, const char *map, const struct ft_node *node);

/* Write FILE.onnx; with more than `limit` bytes, weights go to FILE.onnx.data. */
int ft_onnx_save(struct ft_onnx *o, const char *path, uint64_t limit);

#endif
