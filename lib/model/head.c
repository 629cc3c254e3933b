/* head.c - a cross-encoder's head: one number for a pair of texts (Nogueira and Cho 2019), as transformers' ...ForSequenceClassification and
 * sentence-transformers' CrossEncoder save it. */
#include "base/error.h"
#include "base/file.h"
#include "model/model-build.h"

#include <string.h>

/* transformers writes the labels' names, and leaves them out where there are two. */
static int check_class(const json_t *config, const char *path)
{
    const json_t *names = json_object_get(config, "id2label");
    const char *class = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    size_t labels = json_is_object(names) ? json_object_size(names) : 2;

    if (!class || !strstr(class, "ForSequenceClassification"))
        return ft_fail(FT_BAD, "%s: architectures '%.64s': not a cross-encoder, expected ...ForSequenceClassification", path, class ? class : "");
    if (labels != 1)
        return ft_fail(FT_BAD, "%s: %zu labels, expected a cross-encoder with one output", path, labels);
    return 0;
}

/* Named in one of three places, newest first: config_sentence_transformers.json, and two in config.json. */
static int read_activation(struct ft_builder *build, const json_t *config, const char *path, enum ft_activation *activation)
{
    const char *own = ft_arena_print(&build->model->arena, "%s/config_sentence_transformers.json", build->model->directory);
    const char *type = ft_json_text(json_object_get(config, "sentence_transformers"), "activation_fn"), *newest;
    json_t *json = NULL;
    int result;

    *activation = FT_SIGMOID;
    if (!own || (ft_file_exists(own) && !(json = ft_json_read(own))))
        return -1;
    if ((newest = ft_json_text(json, "activation_fn"))) {
        result = ft_torch_activation_parse(newest, own, "activation_fn", activation);
    } else {
        type = type ? type : ft_json_text(config, "sbert_ce_default_activation_function");
        result = type ? ft_torch_activation_parse(type, path, "the cross-encoder's activation", activation) : 0;
    }
    json_decref(json);
    return result;
}

static int check_modules(struct ft_builder *build)
{
    struct ft_modules modules;

    if (ft_modules_read(&build->model->arena, build->model->directory, &modules) < 0)
        return -1;
    if (modules.written && modules.count > 1)
        return ft_fail(FT_BAD, "%s/modules.json: modules behind the Transformer are not supported in a cross-encoder", build->model->directory);
    return 0;
}

int ft_head_build(struct ft_builder *build, const struct ft_family *family, const json_t *config, const char *path, int tokens)
{
    enum ft_activation activation;
    int node;

    if (!family->head)
        return ft_fail(FT_BAD, "%s: cross-encoders of model_type %s are not supported", path, family->name);
    if (check_class(config, path) < 0 || check_modules(build) < 0 || read_activation(build, config, path, &activation) < 0)
        return -1;
    if ((node = family->head(build, config, path, tokens)) < 0)
        return -1;
    build->model->dim = 1;
    build->model->distance = "dot";
    return activation == FT_IDENTITY ? node : ft_build_activation(build, node, 1, activation, "activation");
}
