/* static.c - static embeddings: a vector for each token, and a text is their mean.
 *
 * model2vec (Tulkens and van Dongen 2024) keeps "embeddings", and where its vocabulary was quantized "mapping" and "weights" too; unknown tokens are
 * left out of the mean, and texts are cut by characters before they are tokenized. sentence-transformers' StaticEmbedding and wordllama keep
 * "embedding.weight" and do neither. None puts special tokens around a text. */
#include "base/error.h"
#include "base/file.h"
#include "model/model-build.h"
#include "model/weights/safetensors.h"

#include <dirent.h>
#include <string.h>

enum { MODEL2VEC_LENGTH = 512, NO_LIMIT = 1 << 28 };

static const char model2vec_table[] = "embeddings", static_table[] = "embedding.weight";

bool ft_static_is(const struct ft_model *model)
{
    return model->node_count > 1 && model->nodes[0].op == FT_OP_EMBEDDING && model->nodes[1].op == FT_OP_POOL;
}

/* Rows and columns of the table as tokens see it. */
static int table_shape(const struct ft_safetensors *files, const struct ft_safetensor *table, const struct ft_fold *fold, size_t *rows, size_t *columns)
{
    const struct ft_safetensor *mapping = fold ? ft_safetensors_find(files, fold->mapping) : NULL;

    if (table->rank != 2 || !table->shape[0] || !table->shape[1] || table->shape[0] > 1 << 26 || table->shape[1] > 1 << 16)
        return ft_fail(FT_BAD, "%s: expected a table of 1 to %d rows and 1 to %d columns", table->name, 1 << 26, 1 << 16);
    if (mapping && (mapping->rank != 1 || !mapping->shape[0] || mapping->shape[0] > 1 << 26))
        return ft_fail(FT_BAD, "%s: expected a vector of 1 to %d numbers", mapping->name, 1 << 26);
    *rows = (size_t)(mapping ? mapping : table)->shape[0];
    *columns = (size_t)table->shape[1];
    return 0;
}

static int build_table(struct ft_builder *b, const struct ft_safetensors *files)
{
    static const struct ft_fold folded = {"mapping", "weights"};
    const struct ft_safetensor *table = ft_safetensors_find(files, model2vec_table);
    const struct ft_fold *fold = table ? &folded : NULL;
    struct ft_model *model = b->model;
    size_t columns = 0;
    int node, parameter;

    if (!table && !(table = ft_safetensors_find(files, static_table)))
        return ft_fail(FT_BAD, "%s: no tensor %s or %s", model->weights, model2vec_table, static_table);
    if (table_shape(files, table, fold, &model->vocabulary, &columns) < 0)
        return ft_error_prefix("%s: ", model->weights);
    model->tokenizer_use = FT_TOKENIZER_BARE | (fold ? FT_TOKENIZER_KNOWN | FT_TOKENIZER_MEDIAN : 0);
    node = ft_build_node(b, FT_OP_EMBEDDING, columns, -1, -1, -1, "embeddings");
    parameter = ft_build_parameter(b, "", table->name, model->vocabulary, columns, FT_BUILD_DECAY | FT_BUILD_TABLE);
    ft_build_give(b, node, parameter);
    if (parameter >= 0)
        model->parameters[parameter].fold = fold;
    node = ft_build_node(b, FT_OP_POOL, columns, node, -1, -1, "pooling");
    ft_build_at(b, node)->pooling = FT_POOL_MEAN;
    return node;
}

/* model2vec goes by config.json, sentence-transformers by modules.json: they must say the same. */
static int build_normalize(struct ft_builder *b, const json_t *json, const char *path, int node)
{
    struct ft_modules modules;
    bool normalize = false, module = false;

    if (ft_json_bool(json, path, "normalize", &normalize) < 0 || ft_modules_read(&b->model->arena, b->model->directory, &modules) < 0)
        return -1;
    for (size_t i = 0; i < modules.count; i++)
        module |= modules.items[i].type == FT_MODULE_NORMALIZE;
    if (modules.written && json_is_boolean(json_object_get(json, "normalize")) && normalize != module)
        return ft_fail(FT_BAD, "%s: normalize is %s, and modules.json has %s Normalize", path, normalize ? "true" : "false", module ? "a" : "no");
    if (modules.written || !normalize)
        return node;
    return ft_build_node(b, FT_OP_NORMALIZE, ft_build_at(b, node)->width, node, -1, -1, "normalize");
}

/* max_length null is no limit, and absent model2vec's own; others have none but what tokenizer.json says (0: told later). */
static int read_length(struct ft_model *model, const json_t *json, const char *path)
{
    model->max_length = 0;
    if (!(model->tokenizer_use & FT_TOKENIZER_MEDIAN))
        return 0;
    model->max_length = json_is_null(json_object_get(json, "max_length")) ? NO_LIMIT : MODEL2VEC_LENGTH;
    return ft_json_size(json, path, "max_length", 1, NO_LIMIT, true, &model->max_length);
}

static int build(struct ft_builder *b, const json_t *json, const char *path)
{
    struct ft_safetensors files;
    int node;

    if (ft_model_weights(b->model, &files) < 0)
        return -1;
    node = build_table(b, &files);
    ft_safetensors_close(&files);
    return node < 0 || read_length(b->model, json, path) < 0 ? -1 : build_normalize(b, json, path, node);
}

int ft_static_limit(struct ft_model *model)
{
    if (model->max_length)
        return 0;
    if (ft_tokenizer_limit(model->tokenizer, &model->max_length) < 0)
        return ft_error_prefix("%s: ", model->directory);
    if (!model->max_length || model->max_length > NO_LIMIT)
        model->max_length = NO_LIMIT;
    return 0;
}

/* NAME of NAME_DIM.safetensors; empty where the file is none. */
static struct ft_string name_of(const char *file)
{
    static const char suffix[] = ".safetensors";
    size_t length = strlen(file), end = length < sizeof suffix ? 0 : length - (sizeof suffix - 1), digits = end;

    if (!end || strcmp(file + end, suffix) != 0)
        return (struct ft_string){file, 0};
    while (digits && file[digits - 1] >= '0' && file[digits - 1] <= '9')
        digits--;
    return (struct ft_string){file, digits > 1 && digits < end && file[digits - 1] == '_' ? digits - 1 : 0};
}

int ft_wordllama_find(struct ft_arena *arena, const char *directory, const char **weights, const char **tokenizer)
{
    const char *from = ft_arena_print(arena, "%s/weights", directory), *beside = ft_arena_print(arena, "%s/tokenizers", directory), *name = NULL;
    struct dirent *entry;
    size_t size = 0;
    DIR *list;

    if (!from || !beside)
        return -1;
    if (!ft_directory_exists(beside) || !(list = opendir(from)))
        return 0;
    while ((entry = readdir(list))) {
        struct ft_string found = name_of(entry->d_name);

        if (!found.size)
            continue;
        if (name) {
            ft_fail(FT_BAD, "%s: both %s and %s, expected one", from, name, entry->d_name);
            closedir(list);
            return -1;
        }
        name = ft_arena_text(arena, ft_string_of(entry->d_name));
        size = found.size;
    }
    closedir(list);
    if (!name)
        return 0;
    *weights = ft_arena_print(arena, "%s/%s", from, name);
    *tokenizer = ft_arena_print(arena, "%s/%.*s_tokenizer_config.json", beside, (int)size, name);
    if (!*weights || !*tokenizer)
        return -1;
    return ft_file_exists(*tokenizer) ? 1 : ft_fail(FT_BAD, "%s: no tokenizer for %s there", *tokenizer, name);
}

static const char *const prefixes[] = {"", NULL};

const struct ft_family ft_family_model2vec = {"model2vec", build, NULL, prefixes};
const struct ft_family ft_family_static = {"static", build, NULL, prefixes};
