/* model-build.h - how a family writes its node list down.
 *
 * A builder grows the lists; ft_build_finish puts them into the model's arena. Errors are kept (sticky): after one, every further call
 * does nothing, so that a family is written without a check on each line and ft_build_finish tells. */
#ifndef FT_MODEL_BUILD_H
#define FT_MODEL_BUILD_H

#include "data/json.h"
#include "model/model.h"

struct ft_builder {
    struct ft_model *model;
    bool failed;
    enum ft_pooling pooling;     /* where no modules.json says another: mean, unless the family sets it */
    struct ft_safetensors *files;   /* the model's, open once a family has asked whether a tensor is there */
    size_t side;                 /* of the images whose shapes are asked for; 0: what the files say */
    const char *file;            /* parameters made next lie in this file: "" or a module's directory */
    int node_capacity, parameter_capacity;
};

/* What a parameter is; JOINED begins exactly where the one before it ends, so that the two are one matrix. */
enum ft_build_flags { FT_BUILD_DECAY = 1, FT_BUILD_TABLE = 2, FT_BUILD_JOINED = 4, FT_BUILD_VECTOR = 8, FT_BUILD_STATISTIC = 16 };

/* Number of the new parameter, named "PREFIX.SUFFIX" (or SUFFIX where prefix is empty), [rows, columns]; -1 after an error. */
int ft_build_parameter(struct ft_builder *build, const char *prefix, const char *suffix, size_t rows, size_t columns, int flags);

/* The same with a shape of `rank` 1 to 4, as its file has it: rows are the first number, columns the product of the others. */
int ft_build_shaped(struct ft_builder *build, const char *prefix, const char *suffix, int rank, const size_t *shape, int flags);

/* A matrix that its file has as [columns, rows]. */
int ft_build_transposed(struct ft_builder *build, const char *prefix, const char *suffix, size_t rows, size_t columns, int flags);

/* Rows of a matrix, or numbers of a vector (`rows` 1), from `first` on, of a tensor PREFIX.WHOLE that has `all` of them; its own name is PREFIX.SUFFIX.
 * Parts are made in their order, the last one too. */
int ft_build_part(struct ft_builder *build, const char *prefix, const char *whole, const char *suffix, size_t rows, size_t columns, size_t first, size_t all,
                  int flags);

/* Number of the new node; inputs of -1 are none. Attributes and parameters are set through ft_build_at. */
int ft_build_node(struct ft_builder *build, enum ft_op op, size_t width, int a, int b, int c, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
struct ft_node *ft_build_at(struct ft_builder *build, int node);   /* valid until the next ft_build_node; a dummy after an error */
void ft_build_give(struct ft_builder *build, int node, int parameter);

/* The usual nodes with the usual parameter names. */
int ft_build_linear(struct ft_builder *build, int input, size_t in, size_t out, bool bias, const char *name, const char *prefix);
int ft_build_norm(struct ft_builder *build, int input, size_t width, double epsilon, const char *name);
int ft_build_rms_norm(struct ft_builder *build, int input, size_t width, double epsilon, const char *name);
int ft_build_norm_without_bias(struct ft_builder *build, int input, size_t width, double epsilon, const char *name);
int ft_build_dropout(struct ft_builder *build, int input, size_t width, double rate, const char *name);
int ft_build_activation(struct ft_builder *build, int input, size_t width, enum ft_activation f, const char *name);

/* A table of biases by relative position, "NAME.weight", without weight decay as transformers' trainer has it; and its use by an attention. */
int ft_build_relative_bias(struct ft_builder *build, size_t buckets, size_t heads, const char *name);
void ft_build_bias(struct ft_builder *build, int attention, int bias, size_t buckets, size_t distance);
/* Take away all nodes but `last` and what it depends on, and the parameters that no node has any more. The new number of `last`. */
int ft_build_keep(struct ft_builder *build, int last);

/* Something passed over that a person should be told. */
void ft_build_note(struct ft_builder *build, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ft_fail, and remember that it failed. */
int ft_build_fail(struct ft_builder *build, const char *format, ...) __attribute__((format(printf, 2, 3)));
int ft_build_finish(struct ft_builder *build);

/* "gelu", "relu", ... as config.json has it; FT_BAD lists the known names. */
int ft_activation_parse(const char *name, enum ft_activation *activation);
const char *ft_activation_name(enum ft_activation activation);   /* a name that this takes */

/* A family: config.json in, nodes out. Adds everything up to the token vectors and sets model->vocabulary and model->max_length;
 * returns the last node. */
struct ft_family {
    const char *name;            /* config.json's model_type */
    int (*build)(struct ft_builder *build, const json_t *config, const char *path);   /* config: NULL where the family needs none and there is none */

    /* A classifier's head behind the token vectors, up to its one output; NULL: the family has none that is known. */
    int (*head)(struct ft_builder *build, const json_t *config, const char *path, int tokens);

    /* Names a parameter may go under in files, tried in order: each is a prefix put before the usual name. Ends with NULL. */
    const char *const *prefixes;
};
extern const struct ft_family ft_family_bert, ft_family_roberta, ft_family_xlm_roberta, ft_family_camembert, ft_family_distilbert,
    ft_family_mpnet, ft_family_model2vec, ft_family_static, ft_family_modernbert;
extern const struct ft_family ft_family_resnet, ft_family_efficientnet, ft_family_vit;
/* Two families of one config.json and one file of weights: each gets all of config.json, builds its tower's nodes up to the embedding, and has a name
 * of its own ("clip_text_model", "clip_vision_model"). */
struct ft_family_pair {
    const char *name;            /* config.json's model_type: "clip" */
    const struct ft_family *tower[FT_TOWERS];
};
const struct ft_family_pair *ft_family_pair_find(const char *name);   /* NULL where model_type is of no pair, which is no error */

const struct ft_family *ft_family_find(const char *name);        /* NULL: FT_BAD, and the message lists the known ones */

extern const struct ft_family ft_family_m_clip;
extern const struct ft_family_pair ft_pair_clip, ft_pair_open_clip, ft_pair_chinese_clip, ft_pair_siglip;

/* Which families config.json is for: its model_type, or open_clip's, whose own config says none; NULL: neither. */
#define FT_OPEN_CLIP "open_clip"
const char *ft_family_type(const json_t *config);

/* Does open_clip_config.json count in a directory? Where there is no config.json, or no weights to it. Then the file with its weights, where that has
 * open_clip's name. */
bool ft_open_clip_is(const char *directory);
const char *ft_config_name(const char *directory);   /* "config.json", or open_clip's */
const char *ft_open_clip_weights(struct ft_arena *arena, const char *directory);

/* timm's "architecture" of a config.json, which a tailored model that timm must not load has under FT_TAILORED_ARCHITECTURE; NULL: neither is there. */
#define FT_TAILORED_ARCHITECTURE "ft_architecture"
const char *ft_architecture_text(const json_t *config);
const struct ft_family *ft_family_of_architecture(const char *name);   /* the same of timm's and torchvision's: "resnet50", "efficientnet_b0" */

extern const struct ft_family ft_family_t5, ft_family_mt5, ft_family_umt5;
extern const struct ft_family ft_family_mlp;

/* Pooling, projections and normalisation of model->directory, after node `tokens`. Sets dim, normalized, distance. */
int ft_modules_build(struct ft_builder *build, int tokens);

/* The head of a cross-encoder with one output instead: family's nodes, and the activation that its files name (sigmoid where they name none, as in
 * sentence-transformers). */
int ft_head_build(struct ft_builder *build, const struct ft_family *family, const json_t *config, const char *path, int tokens);

/* "torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity" as the value of `key` in `path`. */
int ft_torch_activation_parse(const char *type, const char *path, const char *key, enum ft_activation *activation);

/* Ways to pool: our name, sentence-transformers' name, and the flag its versions before 5 write. */
enum { FT_POOLING_MODES = 6 };
struct ft_pooling_mode {
    const char *ours, *name, *old;
    enum ft_pooling pooling;
};
extern const struct ft_pooling_mode ft_pooling_modes[FT_POOLING_MODES];
const char *ft_pooling_name(enum ft_pooling pooling);            /* ours */

/* What modules.json says, the same for reading and for saving. Without the file there are a body and mean pooling. */
enum ft_module_type { FT_MODULE_BODY, FT_MODULE_POOLING, FT_MODULE_DENSE, FT_MODULE_NORMALIZE, FT_MODULE_STATIC };
struct ft_module {
    enum ft_module_type type;
    const char *path;            /* inside the directory; "" is the directory itself */
};
struct ft_modules {
    bool written;                /* there is a modules.json */
    struct ft_module *items;
    size_t count;
};
int ft_modules_read(struct ft_arena *arena, const char *directory, struct ft_modules *modules);

struct ft_safetensors;

/* Is it a model of static embeddings, whose own nodes end with pooling? */
bool ft_static_is(const struct ft_model *model);

/* With its tokenizer open: the limit of tokens, where only that says one. */
int ft_static_limit(struct ft_model *model);

/* The files of a directory as PyPI's wordllama keeps them: weights/NAME_DIM.safetensors, tokenizers/NAME_tokenizer_config.json. 1: found, 0: the
 * directory has no such folders, -1: FT_BAD, and the message says what is missing or twice there. */
int ft_wordllama_find(struct ft_arena *arena, const char *directory, const char **weights, const char **tokenizer);

/* A folded parameter: is anything folded in this file? Read it, from the tensor of its own name and what its fold names. */
struct ft_safetensor;
bool ft_fold_is(const struct ft_parameter *parameter, const struct ft_safetensors *files);
int ft_fold_read(const struct ft_parameter *parameter, const struct ft_safetensors *files, const struct ft_safetensor *table, float *out);

/* The model's own file, or files, of weights. */
int ft_model_weights(const struct ft_model *model, struct ft_safetensors *files);

/* An opened model's block and the parameters from its files in it. NULL where that fails, and the model is closed. */
struct ft_model *ft_model_load(struct ft_model *model);

/* The tensor of a file that holds this parameter, under any of its names, or NULL. */
const struct ft_safetensor *ft_parameter_find(const struct ft_model *model, const struct ft_safetensors *files,
                                              const struct ft_parameter *parameter);

/* Has the tensor the parameter's shape? FT_BAD says both. */
int ft_parameter_fits(const struct ft_parameter *parameter, const struct ft_safetensor *tensor);

/* "DIRECTORY/PATH" of a module or of the model's own file (which `parameter->file` and `model->body` name). */
const char *ft_model_path(struct ft_arena *arena, const char *directory, const char *path);

#endif
