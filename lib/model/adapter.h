/* adapter.h - LoRA (Hu et al. 2021): beside a linear layer's frozen weight W [O, I] two narrow matrices A [r, I] and B [O, r] are trained, and
 * the layer computes y = x (W + s B A)^T, with s = alpha / r (rsLoRA, Kalajdzievski 2023: alpha / sqrt(r)).
 *
 * The model's block always holds W + s B A: whoever runs the model forward, in this process or another, needs to know nothing of adapters, and a
 * step costs what it did. W itself is kept aside, since s B A cannot be taken off again without rounding. The backward makes dA and dB from
 * the same two matrices that dW would be made of, by way of r columns, and never a dW: with u = s x A^T and v = s dy B,
 *
 *     dA = v^T x      dB = dy^T u
 *
 * Names, defaults and files are PEFT's (huggingface/peft). Everything hangs off the model.
 *
 * Of two towers each has the adapters of its layers, and the outer model all of them, text's first, over its own lists: names are then "text." and what the
 * tower calls a layer. There is one block, the outer model's; a tower's lies inside it. */
#ifndef FT_MODEL_ADAPTER_H
#define FT_MODEL_ADAPTER_H

#include "model/model.h"

struct ft_lora {
    size_t rank;                 /* r */
    double alpha;
    bool root;                   /* use_rslora */
    const char *target;          /* patterns joined by "+"; or "all-linear" */
};

struct ft_adapter {
    const char *module;          /* "encoder.layer.0.attention.self.query" */
    int weight;                  /* the parameter it changes */
    struct ft_parameter *a, *b;  /* places in the adapters' block */
    size_t base;                 /* W's place in `base` */
};

struct ft_adapters {
    struct ft_lora lora;
    struct ft_adapter *items;
    int count;
    struct ft_parameter *parameters;   /* A and B of the first, of the second, ... */
    int parameter_count;
    size_t block_count, base_count;
    float *block;                /* NULL until ft_adapters_start */
    float *base;                 /* W of every adapter; the outer model's where there are two towers */
    bool lent;                   /* of a tower: the block is inside the outer model's, from there: */
    size_t first;
};

/* "r=8,alpha=8,dropout=0,target=query+value,use_rslora=0,bias=none". FT_USAGE; what PEFT has and this has not is refused by name. `target` from the arena. */
int ft_lora_parse(struct ft_arena *arena, struct ft_lora *lora, const char *text);
double ft_lora_scale(const struct ft_lora *lora);

/* Adapters for the linear layers of the body that a pattern names and that are not frozen: the layer's whole name, what follows a dot in it, or a
 * shell pattern. Layers are torch.nn.Linear modules: not parts of a MultiheadAttention, which PEFT does not reach. Then every parameter of the model is frozen. FT_USAGE when a pattern names none, or all are frozen. No memory for numbers yet. */
int ft_model_adapt(struct ft_model *model, const struct ft_lora *lora);

/* The model's block is filled: put W aside, A uniform in +-1/sqrt(I) (PEFT's kaiming_uniform) by `seed`, B zero. */
int ft_adapters_start(struct ft_model *model, uint64_t seed);

/* What an optimizer steps on: the adapters' parameters where there are some, else the model's. */
struct ft_parameters ft_model_trained(const struct ft_model *model);

/* w[rows, columns] = base + scale * b[rows, rank] a[rank, columns], on the pool. */
int ft_low_rank_add(float *w, const float *base, const float *a, const float *b, size_t rows, size_t columns, size_t rank, double scale);

/* W + s B A into the model's block; after every change of A and B. */
int ft_adapters_merge(struct ft_model *model);
void ft_adapters_free(struct ft_adapters *adapters);   /* by ft_model_close; NULL is fine */

/* Write adapter_config.json and adapter_model.safetensors into `directory`, for PEFT over the model of `base`. Of joined towers each is a directory inside it,
 * for PEFT over that tower, and ft.json names `base`; of two of one config.json they are for PEFT over the model of both. logit_scale goes into ft.json. */
int ft_adapters_save(const struct ft_model *model, const char *directory, const char *base);

/* Does the directory hold an adapter? What `file` of it, PEFT's adapter_config.json or ft.json, calls its base model (from the arena; NULL: FT_BAD). */
#define FT_ADAPTER_CONFIG "adapter_config.json"
#define FT_ADAPTER_BASE "base_model_name_or_path"
bool ft_adapter_is(const char *directory);
char *ft_adapter_base(struct ft_arena *arena, const char *directory, const char *file);

/* Add s B A of the adapter in `directory` to the model's parameters in `block`, of two towers to whichever has the layer. FT_BAD for what is not LoRA of linear layers, for tensors without a layer
 * and for shapes that do not fit. */
int ft_adapter_add(const struct ft_model *model, float *block, const char *directory);

/* Between adapter.c, adapter-files.c and adapter-towers.c: adapters for the layers that are marked (`marked` is of all nodes), perhaps none; the same for both
 * towers; `all` written, `task` PEFT's task_type or NULL; and adapters of two towers. */
int ft_adapters_mark(struct ft_model *model, struct ft_adapters *all, const bool *marked);
int ft_towers_adapt(struct ft_model *model, struct ft_adapters *all, const bool *marked);
int ft_adapters_write(const struct ft_adapters *all, const char *directory, const char *base, const char *task);
int ft_towers_adapters_save(struct ft_arena *arena, const struct ft_model *model, const char *directory, const char *base);

#endif
