/* tailor-new.c - models from nothing: their config.json, and numbers to begin with. */
#include "base/error.h"
#include "base/file.h"
#include "model/tailor/tailoring.h"

#include <stdlib.h>
#include <string.h>

enum { WIDEST = 1 << 16 };

static int put_width(json_t *config, const char *key, const struct ft_setting *s, const char *name)
{
    int failed = 0;
    double width = ft_setting_number(s, name, 0, &failed);

    if (failed || !(width >= 1 && width <= WIDEST) || width != (double)(long)width)
        return failed ? -1 : ft_fail(FT_USAGE, "%s:%s: expected a whole number, 1 to %d", s->name, name, WIDEST);
    return json_object_set_new(config, key, json_integer((json_int_t)width));
}

/* hidden=512+256: widths of the layers between; none where it is not there. */
static int put_hidden(json_t *config, const struct ft_setting *s)
{
    const char *text = ft_setting_text(s, "hidden", "");
    json_t *list = json_array();

    for (char *end; *text; text = end + (*end == '+')) {
        long width = strtol(text, &end, 10);

        if (end == text || (*end && *end != '+') || width < 1 || width > WIDEST) {
            json_decref(list);
            return ft_fail(FT_USAGE, "%s:hidden: expected whole numbers, 1 to %d, with + between them", s->name, WIDEST);
        }
        json_array_append_new(list, json_integer(width));
    }
    return json_object_set_new(config, "hidden_sizes", list);
}

static int put_flag(json_t *config, const char *key, const struct ft_setting *s, const char *name, double otherwise)
{
    int failed = 0;
    double flag = ft_setting_number(s, name, otherwise, &failed);

    if (failed || (flag != 0 && flag != 1))
        return failed ? -1 : ft_fail(FT_USAGE, "%s:%s: expected 0 or 1", s->name, name);
    return json_object_set_new(config, key, json_boolean(flag == 1));
}

static int put_mlp(json_t *config, const struct ft_setting *s)
{
    const char *activation = ft_setting_text(s, "activation", "relu"), *norm = ft_setting_text(s, "norm", "none");
    int failed = 0;
    double dropout = ft_setting_number(s, "dropout", 0, &failed);
    enum ft_activation known;

    if (ft_setting_check(s, "in hidden out activation norm dropout bias l2") < 0 || failed || put_width(config, "input_size", s, "in") < 0 ||
        put_width(config, "output_size", s, "out") < 0 || put_hidden(config, s) < 0 || put_flag(config, "bias", s, "bias", 1) < 0 ||
        put_flag(config, "l2", s, "l2", 0) < 0)
        return -1;
    if (!(dropout >= 0 && dropout < 1))
        return ft_fail(FT_USAGE, "%s:dropout: expected at least 0 and below 1", s->name);
    if (strcmp(norm, "none") != 0 && strcmp(norm, "layer") != 0 && strcmp(norm, "batch") != 0)
        return ft_fail(FT_USAGE, "%s:norm=%s: expected batch, layer or none", s->name, norm);
    if (strcmp(activation, "none") == 0)
        activation = "linear";
    if (ft_activation_parse(activation, &known) < 0)
        return ft_fail(FT_USAGE, "%s:activation=%s: expected relu, gelu, tanh, silu, sigmoid, ... or none", s->name, activation);
    json_object_set_new(config, "model_type", json_string("mlp"));
    json_object_set_new(config, "dropout", json_real(dropout));
    json_object_set_new(config, "norm", json_string(norm));
    return json_object_set_new(config, "activation", json_string(activation));
}

struct ft_model *ft_model_new(const char *setting, const char *directory, const struct ft_list *edits, uint64_t seed)
{
    const struct ft_tailoring how = {.edits = edits, .seed = seed, .begin = true};
    struct ft_arena arena = {0};
    struct ft_setting s;
    struct ft_model *model = NULL;
    const char *path = ft_arena_print(&arena, "%s/config.json", directory);
    json_t *config = json_object();
    int result = path && config ? ft_setting_parse(&s, setting) : -1;

    if (result == 0 && strcmp(s.name, "mlp") != 0)
        result = ft_fail(FT_USAGE, "'%s' is not known: mlp", s.name);
    if (result == 0 && put_mlp(config, &s) < 0)
        result = ft_error_prefix("--new: ");
    if (result == 0 && ft_directory_make(directory) == 0 && ft_json_save(path, config) == 0)
        model = ft_model_open_tailored(directory, &how);
    json_decref(config);
    ft_arena_free(&arena);
    return model;
}
