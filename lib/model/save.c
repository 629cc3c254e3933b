/* save.c - a model directory written: the small files as they came, the weights from the block.
 *
 * What sentence-transformers loads from the new directory must give the embeddings our nodes give. So a plain Hugging Face directory gets the
 * modules.json that we assumed, and a config.json that asks for half precision asks for float32 now, since that is what is written. */
#include "base/error.h"
#include "base/file.h"
#include "model/tailor/tailoring.h"
#include "model/towers.h"
#include "model/weights/tensors.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_FILE = 64 << 20 };

static int copy_file(const char *from, const char *to)
{
    struct ft_arena arena = {0};
    size_t size;
    char *data = ft_file_read(&arena, from, SMALL_FILE, &size);
    int result = data ? ft_file_write(to, data, size) : -1;

    ft_arena_free(&arena);
    return result;
}

/* config.json names what the weights are: as dtype where it does already, else as torch_dtype, which every version of transformers reads. */
static int save_precision(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    const char *path = ft_arena_print(arena, "%s/config.json", directory), *type = ft_weights_type_torch(model->saved_as);
    json_t *json = path && ft_file_exists(path) ? ft_json_read(path) : NULL;
    int result = -1;

    if (json) {
        bool embedding = json_object_get(json, "embedding_dtype");      /* model2vec's */

        if (embedding)
            json_object_set_new(json, "embedding_dtype", json_string(type));
        if (!embedding || json_object_get(json, "dtype") || json_object_get(json, "torch_dtype"))
            json_object_set_new(json, json_object_get(json, "dtype") ? "dtype" : "torch_dtype", json_string(type));
        result = ft_json_save(path, json);
    } else if (path && !ft_file_exists(path))
        result = 0;
    json_decref(json);
    return result;
}

/* config.json, asking for float32 whatever it asked for, and saying of no quantization; untouched where it does already. */
static int copy_config(const char *from, const char *to)
{
    static const char *const keys[] = {"dtype", "torch_dtype", "embedding_dtype"};
    json_t *json = ft_json_read(from);
    bool change = false;
    int result;

    if (!json)
        return -1;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *type = ft_json_text(json, keys[i]);

        if (type && strcmp(type, "float32") != 0) {
            change = true;
            json_object_set_new(json, keys[i], json_string("float32"));
        }
    }
    change |= json_object_del(json, "vocabulary_quantization") == 0;
    result = change ? ft_json_save(to, json) : copy_file(from, to);
    json_decref(json);
    return result;
}

/* Files of `from` whose names match one of the patterns. An absent directory (a Normalize of old has none) copies nothing. */
static int copy_matching(const char *from, const char *to, const char *const *patterns)
{
    struct ft_arena arena = {0};
    DIR *list = opendir(from);
    struct dirent *entry;
    int result = 0;

    if (!list)
        return 0;
    while (result == 0 && (entry = readdir(list))) {
        const char *source = ft_arena_print(&arena, "%s/%s", from, entry->d_name);
        const char *target = ft_arena_print(&arena, "%s/%s", to, entry->d_name);
        bool wanted = false;

        for (const char *const *pattern = patterns; *pattern && !wanted; pattern++)
            wanted = fnmatch(*pattern, entry->d_name, FNM_PERIOD) == 0;
        if (!source || !target)
            result = -1;
        else if (!wanted || ft_directory_exists(source))
            continue;
        else
            result = ft_directory_make(to) < 0 ? -1 :
                     strcmp(entry->d_name, "config.json") == 0 ? copy_config(source, target) : copy_file(source, target);
    }
    closedir(list);
    ft_arena_free(&arena);
    return result;
}

/* The same of static embeddings, as model2vec writes it: its Normalize has no directory. */
static int write_static_modules(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    const char *path = ft_arena_print(arena, "%s/modules.json", directory);
    json_t *list = json_pack("[{s:i,s:s,s:s,s:s}]", "idx", 0, "name", "0", "path", ".", "type", "sentence_transformers.models.StaticEmbedding");
    int result = path && list ? 0 : -1;

    if (result == 0 && model->normalized)
        result = json_array_append_new(list, json_pack("{s:i,s:s,s:s,s:s}", "idx", 1, "name", "1", "path", "1_Normalize", "type",
                                                       "sentence_transformers.models.Normalize"));
    result = result < 0 ? ft_fail(FT_SYSTEM, "out of memory") : ft_json_save(path, list);
    json_decref(list);
    return result;
}

/* What we assumed for a directory without modules.json, written down. The names are those of sentence-transformers 2, which all later versions
 * read. */
static int write_modules(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    const char *pooling = ft_arena_print(arena, "%s/1_Pooling", directory), *config = ft_arena_print(arena, "%s/1_Pooling/config.json", directory);
    const char *modules = ft_arena_print(arena, "%s/modules.json", directory);
    const char *limits = ft_arena_print(arena, "%s/sentence_bert_config.json", directory);
    json_t *list = json_pack("[{s:i,s:s,s:s,s:s},{s:i,s:s,s:s,s:s}]",
                             "idx", 0, "name", "0", "path", "", "type", "sentence_transformers.models.Transformer",
                             "idx", 1, "name", "1", "path", "1_Pooling", "type", "sentence_transformers.models.Pooling");
    json_t *pool = json_pack("{s:I}", "word_embedding_dimension", (json_int_t)model->dim);
    json_t *limit = json_pack("{s:I,s:b}", "max_seq_length", (json_int_t)model->max_length, "do_lower_case", 0);
    int result = pooling && config && modules && limits && list && pool && limit ? 0 : -1;

    for (int i = 0; result == 0 && i < FT_POOLING_MODES; i++)
        result = json_object_set_new(pool, ft_pooling_modes[i].old,
                                     json_boolean(model->nodes[model->node_count - 1].pooling == ft_pooling_modes[i].pooling));
    if (result < 0)
        ft_fail(FT_SYSTEM, "out of memory");
    if (result == 0 && (ft_directory_make(pooling) < 0 || ft_json_save(config, pool) < 0 ||
                        (!ft_file_exists(limits) && ft_json_save(limits, limit) < 0) || ft_json_save(modules, list) < 0))
        result = -1;
    json_decref(list);
    json_decref(pool);
    json_decref(limit);
    return result;
}

/* Numbers of the tensor that it is, or is the first part of. */
static size_t whole_count(const struct ft_parameter *p)
{
    size_t count = 1;

    for (int i = 0; i < p->rank; i++)
        count *= p->shape[i];
    return count;
}

/* The parameters of one file in the block's order, so that a reader may map them in place. */
static size_t collect(const struct ft_model *model, const char *file, const struct ft_safetensors *source, struct ft_safetensor *out, bool *used)
{
    const struct ft_safetensor *folded, *other;
    size_t count = 0;

    for (int i = 0; i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;
        const struct ft_safetensor *as;

        if (strcmp(p->file, file) != 0 || p->first)   /* what a part's tensor has behind the first lies behind that */
            continue;
        if ((as = p->fresh ? NULL : ft_parameter_find(model, source, p)))
            used[as - source->tensors] = true;
        for (const char *const *copy = p->copies; copy && *copy; copy++)
            if ((other = ft_safetensors_find(source, *copy)))
                used[other - source->tensors] = true;
        if (p->fold && (folded = ft_safetensors_find(source, p->fold->mapping)))
            used[folded - source->tensors] = true;
        if (p->fold && (folded = ft_safetensors_find(source, p->fold->weights)))
            used[folded - source->tensors] = true;
        out[count++] = (struct ft_safetensor){
            .name = as ? as->name : p->name, .dtype = "F32", .rank = p->rank,
            .shape = {p->shape[0], p->shape[1], p->shape[2], p->shape[3]},
            .count = whole_count(p), .data = model->block + p->offset, .size = whole_count(p) * sizeof(float), .turned = p->transposed};
    }
    return count;
}

static bool is_edited(const struct ft_model *model)
{
    return model->tailored && model->tailored->fresh;
}

/* May a tensor that no node uses stay? Of two towers what is not in a block that is gone. */
static bool stays(const struct ft_model *model, const char *name)
{
    if (!model->tower_count)
        return !is_edited(model) || ft_tensor_kept(name);
    return !(is_edited(model->towers[FT_TOWER_TEXT]) || is_edited(model->towers[FT_TOWER_IMAGE])) || !ft_name_block(name);
}

/* Then what the nodes do not use. */
static size_t collect_rest(const struct ft_model *model, const struct ft_safetensors *source, const bool *used, struct ft_safetensor *out)
{
    size_t count = 0;

    for (size_t i = 0; i < source->count; i++)
        if (!used[i] && stays(model, source->tensors[i].name))
            out[count++] = source->tensors[i];
    return count;
}

static void narrow(const struct ft_model *model, struct ft_safetensor *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (model->saved_as != FT_WEIGHTS_F32 && strcmp(out[i].dtype, "F32") == 0) {
            out[i].dtype = ft_weights_type_name(model->saved_as);
            out[i].narrow = model->saved_as;
            out[i].size = out[i].count * ft_weights_type_size(model->saved_as);
        }
}

/* What is new has no file to follow. */
static int open_source(const struct ft_model *model, const char *file, const char *from, struct ft_safetensors *source)
{
    bool there = false;

    for (int i = 0; i < model->parameter_count; i++)
        there |= strcmp(model->parameters[i].file, file) == 0 && !model->parameters[i].fresh;
    *source = (struct ft_safetensors){.count = 0};
    return !there ? 0 : *file ? ft_tensors_open(source, from) : ft_model_weights(model, source);
}

/* Weights of one file ("" or a module's directory), named as they are in the file they came from. Of two towers in one file, both. */
static int save_weights(struct ft_arena *arena, const struct ft_model *model, const char *file, const char *directory)
{
    const struct ft_model *first = model->tower_count ? model->towers[0] : model;
    const char *from = ft_model_path(arena, first->directory, file);
    const char *to = ft_model_path(arena, directory, *file ? file : first->body);
    bool own = !*file && ft_open_clip_is(first->weights);
    const char *path = to ? ft_arena_print(arena, "%s/%s", to, own ? "open_clip_model.safetensors" : "model.safetensors") : NULL;
    struct ft_safetensors source;
    struct ft_safetensor *tensors;
    bool *used;
    int result = -1;

    if (!from || !path || ft_directory_make(to) < 0 || open_source(first, file, from, &source) < 0)
        return -1;
    tensors = ft_arena_zero(arena, (size_t)model->parameter_count + source.count, sizeof *tensors);
    used = ft_arena_zero(arena, source.count, sizeof *used);
    if (tensors && used) {
        size_t count = collect(first, file, &source, tensors, used);

        for (int t = 1; t < model->tower_count; t++)
            count += collect(model->towers[t], file, &source, tensors + count, used);
        count += collect_rest(model, &source, used, tensors + count);
        result = ft_logits_replace(arena, model, tensors, count);
        narrow(model, tensors, count);
        result = result < 0 ? -1 : ft_safetensors_write(path, tensors, count);
    }
    ft_safetensors_close(&source);
    return result;
}

/* config_sentence_transformers.json says the model's prompts; where it did already it stays as it came. */
static int save_prompts(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    const char *path = ft_arena_print(arena, "%s/config_sentence_transformers.json", directory);
    bool there = path && ft_file_exists(path), same = true;
    json_t *json = there ? ft_json_read(path) : json_object();
    struct ft_prompts written;
    int result = -1;

    if (path && json && ft_prompts_read(arena, &written, json, path) == 0) {
        for (int role = 0; role <= FT_NO_ROLE; role++)   /* a negative's own cannot be written */
            same &= role == FT_NEGATIVE || ft_prompts_same(written.text[role], model->prompts.text[role]);
        result = same ? 0 : ft_prompts_put(&model->prompts, json) < 0 ? -1 : ft_json_save(path, json);
    }
    json_decref(json);
    return result;
}

/* All weights, file by file; the model's own last, where they are wanted. */
static int save_all_weights(struct ft_arena *arena, const struct ft_model *model, const char *directory, bool own)
{
    const char *file = "", *body = ft_model_path(arena, directory, model->body);

    if (model->saved_as != FT_WEIGHTS_F32 && (!body || save_precision(arena, model, body) < 0))
        return -1;

    for (int i = 0; i < model->parameter_count; i++) {
        const char *here = model->parameters[i].file;

        if (*here && strcmp(here, file) != 0 && save_weights(arena, model, here, directory) < 0)
            return -1;
        file = here;
    }
    return own ? save_weights(arena, model, "", directory) : 0;
}

/* Did we put something behind the family's nodes that no file says? */
static bool assumes_modules(const struct ft_model *model)
{
    return model->input == FT_INPUT_TEXT && !(model->tailored && model->tailored->family) &&
           (ft_static_is(model) || !ft_node_pooled(model, model->body_nodes - 1));
}

/* The small files of a model, config_sentence_transformers.json among them. */
static int save_small_files(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    static const char *const body_files[] = {
        "config*.json", "tokenizer*.json", "vocab.*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "sentence_*_config.json",
        "tokenizer.model", "*.bpe.model", "spiece.model", "preprocessor_config.json", "processor_config.json", "modules.json",
        "open_clip_config.json", NULL};
    static const char *const top_files[] = {"config_sentence_transformers.json", "modules.json", "ft.json", NULL};
    const char *from = ft_model_path(arena, model->directory, model->body), *to = ft_model_path(arena, directory, model->body);
    const char *tokenizer = to ? ft_arena_print(arena, "%s/tokenizer.json", to) : NULL;

    if (!from || !tokenizer || ft_directory_make(to) < 0)
        return -1;
    if (copy_matching(model->directory, directory, top_files) < 0 || copy_matching(model->weights, to, body_files) < 0 ||
        (model->adapter && copy_matching(from, to, body_files) < 0) || (model->tokenizer_file && copy_file(model->tokenizer_file, tokenizer) < 0))
        return -1;
    return save_prompts(arena, model, directory);
}

/* Both towers of one config.json. */
static int save_pair(struct ft_arena *arena, const struct ft_model *model, const char *directory, bool own)
{
    ft_towers_tell_saved(model);
    return save_small_files(arena, model->towers[FT_TOWER_TEXT], directory) < 0 || ft_pair_write_config(arena, model, directory) < 0 ||
           ft_towers_write(arena, model, directory) < 0 ? -1 : save_all_weights(arena, model, directory, own);
}

/* Of joined towers, what says that they are. */
static int save_around_towers(struct ft_arena *arena, const struct ft_model *model, const char *directory)
{
    ft_towers_tell_saved(model);
    return ft_directory_make(directory) < 0 ? -1 : ft_towers_write(arena, model, directory);
}

static int save(struct ft_arena *arena, const struct ft_model *model, const char *directory, bool own)
{
    static const char *const module_files[] = {"config.json", NULL};
    struct ft_modules modules;

    if (model->tower_count)
        return !model->tower_path[0] ? save_pair(arena, model, directory, own) :
               own ? ft_towers_save(arena, model, directory) : save_around_towers(arena, model, directory);
    if (ft_modules_read(arena, model->directory, &modules) < 0 || save_small_files(arena, model, directory) < 0)
        return -1;
    if (is_edited(model))
        return ft_tailored_write(arena, model, directory) < 0 ? -1 : save_all_weights(arena, model, directory, own);
    if (!modules.written && assumes_modules(model) && (ft_static_is(model) ? write_static_modules : write_modules)(arena, model, directory) < 0)
        return -1;
    for (size_t i = 1; modules.written && i < modules.count; i++) {
        const char *path = modules.items[i].path;
        const char *source = ft_model_path(arena, model->directory, path), *target = ft_model_path(arena, directory, path);

        if (!source || !target || (*path && copy_matching(source, target, module_files) < 0))
            return -1;
    }
    return save_all_weights(arena, model, directory, own);
}

static int save_named(const struct ft_model *model, const char *directory, bool own)
{
    struct ft_arena arena = {0};
    int result = save(&arena, model, directory, own);

    ft_arena_free(&arena);
    return result < 0 && !model->tower_count ? ft_error_prefix("saving the model: ") : result;
}

int ft_model_save(const struct ft_model *model, const char *directory)
{
    return save_named(model, directory, true);
}

int ft_model_save_around(const struct ft_model *model, const char *directory)
{
    return save_named(model, directory, false);
}
