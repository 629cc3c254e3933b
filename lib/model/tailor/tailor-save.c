/* tailor-save.c - what an edited model's directory says: config.json, modules.json and its modules where sentence-transformers can express the model,
 * ft.json where it cannot. */
#include "base/error.h"
#include "base/file.h"
#include "data/preprocess.h"
#include "model/tailor/tailoring.h"
#include "model/towers.h"
#include "model/weights/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *torch_activation(enum ft_activation f)
{
    switch (f) {
    case FT_IDENTITY: return "torch.nn.modules.linear.Identity";
    case FT_GELU: return "torch.nn.modules.activation.GELU";
    case FT_RELU: return "torch.nn.modules.activation.ReLU";
    case FT_TANH: return "torch.nn.modules.activation.Tanh";
    case FT_SILU: return "torch.nn.modules.activation.SiLU";
    case FT_SIGMOID: return "torch.nn.modules.activation.Sigmoid";
    default: return NULL;
    }
}

/* Is it pooled as its family is where nothing says another way, and no more? */
static bool is_plain(const struct ft_model *model)
{
    const struct ft_node *last = model->nodes + model->node_count - 1;

    return model->node_count == model->body_nodes + 1 && last->op == FT_OP_POOL && last->pooling == model->tailored->pooling;
}

/* Why ft.json must say what the nodes are, or NULL. */
static const char *why_edits(struct ft_arena *arena, const struct ft_model *model)
{
    const struct ft_tailored *t = model->tailored;

    if (!t || !(t->fresh || t->family))
        return NULL;
    if (t->cut)
        return ft_arena_print(arena, "it is cut at %s", t->cut);
    if (model->input != FT_INPUT_TEXT)
        return model->node_count == model->body_nodes || is_plain(model) ? NULL : "it has nodes behind its own";
    for (int i = model->body_nodes; i < model->node_count; i++) {
        const struct ft_node *n = model->nodes + i, *before = model->nodes + n->inputs[0];

        if (n->op == FT_OP_GEM)
            return "it pools by a generalised mean";
        if (n->op == FT_OP_ACTIVATION && (before->op != FT_OP_LINEAR || !torch_activation(n->activation)))
            return ft_arena_print(arena, "%s is an activation that a Dense module cannot have", n->name);
        if (n->op != FT_OP_POOL && n->op != FT_OP_LINEAR && n->op != FT_OP_ACTIVATION && n->op != FT_OP_NORMALIZE)
            return ft_arena_print(arena, "%s is a %s behind the pooling", n->name, ft_op_name(n->op));
    }
    return NULL;
}

const char *ft_model_alone(struct ft_arena *arena, const struct ft_model *model)
{
    const char *why = model->tower_count ? NULL : why_edits(arena, model);

    return why || model->input != FT_INPUT_VECTOR ? why : "it reads vectors";
}

const char *ft_model_reader(const struct ft_model *model)
{
    return model->input == FT_INPUT_IMAGE ? "its own library" : "sentence-transformers";
}

bool ft_tensor_kept(const char *name)
{
    size_t size = strlen(name);
    const char *end = name + (size > 19 ? size - 19 : 0);   /* of what a batch norm counts in PyTorch */

    return strncmp(name, "pooler.", 7) == 0 || strstr(name, ".pooler.") || strcmp(end, "num_batches_tracked") == 0;
}

/* transformers' class without the head: BertForSequenceClassification is a BertModel with one. */
static int strip_head(struct ft_arena *arena, json_t *config)
{
    static const char *const keys[] = {"id2label", "label2id", "num_labels", "problem_type"};
    const char *class = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    const char *head = class ? strstr(class, "For") : NULL, *bare;

    if (!head)
        return 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_del(config, keys[i]);
    bare = ft_arena_print(arena, "%.*sModel", (int)(head - class), class);
    return bare ? json_object_set_new(config, "architectures", json_pack("[s]", bare)) : -1;
}

static int put_no_classes(json_t *config)
{
    return json_is_object(config) ? json_object_set_new(config, "num_classes", json_integer(0)) : 0;
}

/* timm's config.json: without the head no classes, as timm's num_classes=0 makes a model; and under another key where timm, which would leave out
 * what it does not know and draw what it lacks, must not load it. */
static int write_architecture(json_t *config, bool alone)
{
    static const char *const names[] = {"label_names", "label_descriptions"};
    const char *name = ft_architecture_text(config);
    json_t *pictures = json_object_get(config, "pretrained_cfg");
    json_t *copy = name ? json_string(name) : NULL;

    if (!name)
        return 0;
    json_object_del(config, "architecture");
    json_object_del(config, FT_TAILORED_ARCHITECTURE);
    json_object_del(pictures, "architecture");
    if (!alone)
        json_object_del(config, "model_type");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_object_del(config, names[i]);
        json_object_del(pictures, names[i]);
    }
    return json_object_set_new(config, alone ? FT_TAILORED_ARCHITECTURE : "architecture", copy) < 0 || put_no_classes(config) < 0 || put_no_classes(pictures) < 0 ||
           put_no_classes(json_object_get(config, "model_args")) < 0 ? -1 : 0;
}

static bool has_static_body(const struct ft_model *model)
{
    return model->body_nodes > 1 && ft_static_is(model);
}

static bool normalizes(const struct ft_model *model)
{
    bool any = false;

    for (int i = 0; i < model->node_count; i++)
        any |= model->nodes[i].op == FT_OP_NORMALIZE;
    return any;
}

/* Static embeddings may have no config.json, and where they have one it says of the normalisation what modules.json says. */
static int write_config(struct ft_arena *arena, const struct ft_model *model, const char *body, bool alone)
{
    const char *path = ft_arena_print(arena, "%s/config.json", body);
    const struct ft_tailored *t = model->tailored;
    bool there = path && ft_file_exists(path);
    json_t *config = there ? ft_json_read(path) : path ? json_object() : NULL;
    int result = config ? strip_head(arena, config) : -1;

    if (result == 0 && !there && !alone) {
        json_decref(config);
        return 0;
    }
    if (result == 0 && t->layers)
        result = ft_layers_key(config) ? ft_config_layers(config, ft_layers_key(config), t->layers) : 0;
    if (result == 0 && t->sets_dropout)
        ft_config_dropout(config, t->dropout);
    if (result == 0 && has_static_body(model) && json_is_boolean(json_object_get(config, "normalize")))
        result = json_object_set_new(config, "normalize", json_boolean(normalizes(model)));
    if (result == 0)
        result = write_architecture(config, alone);
    if (result == 0 && (alone || json_object_get(config, "model_type")))
        result = json_object_set_new(config, "model_type", json_string(alone ? FT_TAILORED_TYPE : model->family));
    if (result == 0)
        result = ft_json_save(path, config);
    json_decref(config);
    return result;
}

/* sentence_bert_config.json's limit is the one that counts. */
static int write_limit(struct ft_arena *arena, const struct ft_model *model, const char *body)
{
    const char *path = ft_arena_print(arena, "%s/sentence_bert_config.json", body);
    json_t *json;
    int result;

    if (!path || !model->tailored->positions)
        return path ? 0 : -1;
    if (!(json = ft_file_exists(path) ? ft_json_read(path) : json_pack("{s:b}", "do_lower_case", 0)))
        return -1;
    result = json_object_set_new(json, "max_seq_length", json_integer((json_int_t)model->max_length)) < 0 ? -1 : ft_json_save(path, json);
    json_decref(json);
    return result;
}

static json_t *pooling_config(const struct ft_model *model, const struct ft_node *n)
{
    json_t *json = json_pack("{s:I,s:b}", "word_embedding_dimension", (json_int_t)n->width, "include_prompt", !model->prompt_left_out);

    for (int i = 0; json && i < FT_POOLING_MODES; i++)
        json_object_set_new(json, ft_pooling_modes[i].old, json_boolean(n->pooling == ft_pooling_modes[i].pooling));
    return json;
}

/* A Dense has its activation inside. */
static json_t *dense_config(const struct ft_model *model, int node)
{
    const struct ft_node *n = model->nodes + node, *next = node + 1 < model->node_count ? n + 1 : NULL;
    enum ft_activation f = next && next->op == FT_OP_ACTIVATION ? next->activation : FT_IDENTITY;

    return json_pack("{s:I,s:I,s:b,s:s}", "in_features", (json_int_t)model->nodes[n->inputs[0]].width, "out_features", (json_int_t)n->width,
                     "bias", n->parameter_count > 1, "activation_function", torch_activation(f));
}

/* One module in the list, and its directory with the config it has (NULL: none). */
static int add_module(struct ft_arena *arena, const char *directory, json_t *list, const char *type, const char *path, json_t *config)
{
    const char *inside = ft_arena_print(arena, "%s/%s", directory, path), *file = ft_arena_print(arena, "%s/%s/config.json", directory, path);
    const char *name = ft_arena_print(arena, "%zu", json_array_size(list));
    const char *whole = ft_arena_print(arena, "sentence_transformers.models.%s", type);
    int result = inside && file && name && whole ? 0 : -1;

    if (result == 0)
        result = json_array_append_new(list, json_pack("{s:I,s:s,s:s,s:s}", "idx", (json_int_t)json_array_size(list), "name", name, "path", path,
                                                       "type", whole));
    if (result == 0 && config)
        result = ft_directory_make(inside) < 0 ? -1 : ft_json_save(file, config);
    json_decref(config);
    return result;
}

static int write_modules(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    const char *path = ft_arena_print(arena, "%s/modules.json", directory);
    json_t *list = json_array();
    int result = path && list ? add_module(arena, directory, list, has_static_body(model) ? "StaticEmbedding" : "Transformer", model->body, NULL) : -1;

    /* A table of static embeddings and its pooling are one module; what normalises them is one of its own. */
    for (int i = has_static_body(model) ? 2 : model->body_nodes; result == 0 && i < model->node_count; i++) {
        const struct ft_node *n = model->nodes + i;

        if (n->op == FT_OP_POOL)
            result = add_module(arena, directory, list, "Pooling", "1_Pooling", pooling_config(model, n));
        else if (n->op == FT_OP_LINEAR)
            result = add_module(arena, directory, list, "Dense", model->parameters[n->parameters[0]].file, dense_config(model, i));
        else if (n->op == FT_OP_NORMALIZE)
            result = add_module(arena, directory, list, "Normalize", ft_arena_print(arena, "%zu_Normalize", json_array_size(list)), NULL);
    }
    if (result == 0)
        result = ft_json_save(path, list);
    json_decref(list);
    return result;
}

static json_t *link_json(const struct ft_link *link)
{
    const char *op = ft_op_name(link->op);

    switch (link->op) {
    case FT_OP_POOL:
        return json_pack("{s:s,s:s,s:s}", "edit", op, "name", link->name, "pooling", ft_pooling_name(link->pooling));
    case FT_OP_GEM:
        return json_pack("{s:s,s:s,s:f,s:b}", "edit", op, "name", link->name, "p", (double)link->power, "learn", link->learn);
    case FT_OP_LINEAR:
        return json_pack("{s:s,s:s,s:I,s:b}", "edit", op, "name", link->name, "out", (json_int_t)link->out, "bias", link->bias);
    case FT_OP_LAYER_NORM: case FT_OP_BATCH_NORM:
        return json_pack("{s:s,s:s,s:f}", "edit", op, "name", link->name, "epsilon", (double)link->epsilon);
    case FT_OP_ACTIVATION:
        return json_pack("{s:s,s:s,s:s}", "edit", op, "name", link->name, "activation", ft_activation_name(link->activation));
    case FT_OP_DROPOUT:
        return json_pack("{s:s,s:s,s:f}", "edit", op, "name", link->name, "rate", (double)link->rate);
    default:
        return json_pack("{s:s,s:s}", "edit", op, "name", link->name);
    }
}

static int add_nodes(struct ft_arena *arena, const struct ft_model *model, json_t *edits)
{
    struct ft_chain chain;

    if (ft_chain_read(model, arena, &chain) < 0 ||
        json_array_append_new(edits, json_pack("{s:s,s:s}", "edit", "embedding", "node", model->nodes[model->body_nodes - 1].name)) < 0)
        return -1;
    for (size_t i = 0; i < chain.count; i++)
        if (json_array_append_new(edits, link_json(&chain.items[i])) < 0)
            return -1;
    return 0;
}

static int add_freezing(const struct ft_model *model, json_t *edits)
{
    const struct ft_list *freezing = &model->tailored->freezing;

    for (size_t i = 0; i < freezing->count; i++) {
        const char *pattern = freezing->items[i];
        bool frozen = *pattern != '!';

        if (json_array_append_new(edits, json_pack("{s:s,s:s}", "edit", frozen ? "freeze" : "unfreeze", "nodes", pattern + !frozen)) < 0)
            return ft_fail(FT_USAGE, "%s: a name or pattern that is not UTF-8", model->directory);
    }
    return 0;
}

int ft_freezing_put(const struct ft_model *model, json_t *json)
{
    json_t *edits = json_array();
    int result = model->tailored ? add_freezing(model, edits) : 0;

    if (result == 0 && json_array_size(edits))
        result = json_object_set(json, "edits", edits);
    json_decref(edits);
    return result;
}

/* Nothing where there is nothing to say. */
static int write_edits(struct ft_arena *arena, const struct ft_model *model, const char *directory, bool alone)
{
    const char *path = ft_arena_print(arena, "%s/ft.json", directory);
    const struct ft_list *freezing = &model->tailored->freezing;
    json_t *json = json_pack("{s:i}", "ft", 1), *edits = json_array();
    int result = path && json && edits ? 0 : -1;

    if (result == 0 && alone)
        result = json_object_set_new(json, "family", json_string(model->family)) < 0 ? -1 : add_nodes(arena, model, edits);
    if (result < 0)
        ft_fail(FT_USAGE, "%s: a name that is not UTF-8", directory);
    else if ((result = add_freezing(model, edits)) == 0 && (alone || freezing->count))
        result = json_object_set(json, "edits", edits) < 0 ? -1 : ft_json_save(path, json);
    json_decref(edits);
    json_decref(json);
    return result;
}

int ft_tailored_write(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    const char *body = ft_model_path(arena, directory, model->body), *modules = ft_arena_print(arena, "%s/modules.json", directory);
    const char *edits = ft_arena_print(arena, "%s/ft.json", directory);
    bool alone = why_edits(arena, model) != NULL;

    /* The size first: while config.json is the one that the pictures were read by. */
    if (!body || !modules || !edits ||
        (model->tailored->side && ft_preprocess_save_sized(body, model->tailored->family, model->preprocess) < 0) ||
        write_config(arena, model, body, alone) < 0 || write_limit(arena, model, body) < 0)
        return -1;
    unlink(modules);   /* as they came with the small files */
    unlink(edits);
    if (!alone && model->input == FT_INPUT_TEXT && write_modules(arena, model, directory) < 0)
        return -1;
    return write_edits(arena, model, directory, alone);
}

int ft_pair_write_config(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    const struct ft_model *first = model->towers[FT_TOWER_TEXT];
    const char *body = ft_model_path(arena, directory, first->body), *path = body ? ft_arena_print(arena, "%s/%s", body, ft_config_name(first->weights)) : NULL;
    json_t *config = path ? ft_json_read(path) : NULL, *part[FT_CONFIG_PARTS];
    bool changed = false;
    int result = config ? 0 : -1;

    for (int t = 0; t < FT_TOWERS; t++) {
        const struct ft_tailored *edited = model->towers[t]->tailored;

        for (size_t i = 0, parts = ft_config_parts(config, t, part); result == 0 && edited && i < parts; i++) {
            if (edited->layers && ft_layers_key(part[i]))
                result = ft_config_layers(part[i], ft_layers_key(part[i]), edited->layers);
            if (edited->sets_dropout)
                ft_config_dropout(part[i], edited->dropout);
            changed = true;
        }
    }
    if (result == 0 && changed)
        result = ft_json_save(path, config);
    json_decref(config);
    return result;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int ft_model_head(struct ft_arena *arena, const struct ft_model *model, struct ft_list *names)
{
    struct ft_safetensors source;
    bool *used;

    *names = (struct ft_list){NULL, 0};
    if (model->tower_count)      /* what one of them leaves alone is for the other, or for both */
        return 0;
    if (ft_model_weights(model, &source) < 0)
        return -1;
    used = ft_arena_zero(arena, source.count + 1, sizeof *used);
    names->items = ft_arena_zero(arena, source.count + 1, sizeof *names->items);
    for (int i = 0; used && i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;
        const struct ft_safetensor *tensor = *p->file || p->fresh ? NULL : ft_parameter_find(model, &source, p);

        if (tensor)
            used[tensor - source.tensors] = true;
        for (int k = 0; p->fold && k < 2; k++)
            if ((tensor = ft_safetensors_find(&source, k ? p->fold->weights : p->fold->mapping)))
                used[tensor - source.tensors] = true;
    }
    for (size_t i = 0; used && names->items && i < source.count; i++)
        if (!used[i] && !ft_tensor_kept(source.tensors[i].name) && !strstr(source.tensors[i].name, "position_ids"))
            names->items[names->count++] = ft_arena_text(arena, ft_string_of(source.tensors[i].name));
    ft_safetensors_close(&source);
    if (!used || !names->items)
        return -1;
    qsort(names->items, names->count, sizeof *names->items, by_name);
    return 0;
}
