/* tailor-config.c - edits of what config.json says, made before the family reads it. */
#include "base/error.h"
#include "model/tailor/tailoring.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_SIDE = 1 << 14 };    /* pixels */

size_t ft_name_block(const char *name)
{
    for (const char *p = name; p; p = strchr(p, '.')) {
        char *end;
        unsigned long number;

        p += *p == '.';
        number = strtoul(p, &end, 10);
        if (end != p && *p >= '0' && *p <= '9' && *end == '.')
            return number + 1;
    }
    return 0;
}

size_t ft_model_blocks(const struct ft_model *model)
{
    size_t blocks = 0;

    for (int i = 0; i < model->body_nodes; i++) {
        size_t block = ft_name_block(model->nodes[i].name);

        blocks = block > blocks ? block : blocks;
    }
    return blocks;
}

/* The last is open_clip's. */
const char *ft_layers_key(const json_t *config)
{
    static const char *const keys[] = {"num_hidden_layers", "n_layers", "num_layers", "layers"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_is_integer(json_object_get(config, keys[i])))
            return keys[i];
    return NULL;
}

size_t ft_config_parts(json_t *config, int tower, json_t *part[FT_CONFIG_PARTS])
{
    static const char *const keys[FT_TOWERS][3] = {{"text_config_dict", "text_config", "text_cfg"}, {"vision_config_dict", "vision_config", "vision_cfg"}};
    json_t *own = json_object_get(config, "model_cfg");
    size_t count = 0;

    if (tower < 0) {
        part[0] = config;
        return 1;
    }
    for (int i = 0; i < 3 && count < FT_CONFIG_PARTS; i++)
        if (json_is_object(part[count] = json_object_get(own ? own : config, keys[tower][i])))
            count++;
    return count;
}

int ft_config_layers(json_t *config, const char *key, size_t count)
{
    json_t *kinds = json_object_get(config, "layer_types");

    if (json_array_size(kinds) == (size_t)json_integer_value(json_object_get(config, key)))
        while (json_array_size(kinds) > count)
            json_array_remove(kinds, json_array_size(kinds) - 1);
    return json_object_set_new(config, key, json_integer((json_int_t)count)) < 0 ? ft_fail(FT_SYSTEM, "out of memory") : 0;
}

size_t ft_config_dropout(json_t *config, double rate)
{
    static const char *const keys[] = {"hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout", "embedding_dropout",
                                       "mlp_dropout", "dropout_rate"};
    size_t count = 0;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_is_number(json_object_get(config, keys[i])))
            count += json_object_set_new(config, keys[i], json_real(rate)) == 0;
    return count;
}

/* The last value given for an edit, or NULL. */
static const char *value_of(const struct ft_tailoring *how, const char *name)
{
    const char *value = NULL;
    size_t size = strlen(name);

    for (size_t i = 0; i < how->edits->count; i++)
        if (strncmp(how->edits->items[i], name, size) == 0 && how->edits->items[i][size] == '=')
            value = how->edits->items[i] + size + 1;
    return value;
}

static int set_dropout(struct ft_model *model, json_t *const *part, size_t parts, const char *path, const char *text)
{
    struct ft_tailored *tailored = model->tailored;
    size_t count = 0;

    if (!text)
        return 0;
    if (ft_number_parse(text, &tailored->dropout) < 0 || !(tailored->dropout >= 0 && tailored->dropout < 1))
        return ft_fail(FT_USAGE, "--dropout %s: expected a number of at least 0 and below 1", text);
    tailored->sets_dropout = true;
    for (size_t i = 0; i < parts; i++)
        count += ft_config_dropout(part[i], tailored->dropout);
    return count ? 0 : ft_fail(FT_USAGE, "--dropout %s: %s has no rate of dropout", text, path);
}

static int set_layers(struct ft_model *model, json_t *const *part, size_t parts, const char *path, const char *text)
{
    struct ft_tailored *tailored = model->tailored;
    unsigned long count;
    char *end;

    if (!text)
        return 0;
    for (size_t i = 0; i < parts; i++) {
        const char *key = ft_layers_key(part[i]);
        size_t most = key ? (size_t)json_integer_value(json_object_get(part[i], key)) : 0;

        if (!key)
            continue;
        count = strtoul(text, &end, 10);
        if (*end || end == text || count < 1 || count > most)
            return ft_fail(FT_USAGE, "--layers %s: expected a whole number, 1 to %zu", text, most);
        tailored->layers = count;
        if (ft_config_layers(part[i], key, count) < 0)
            return -1;
    }
    return tailored->layers ? 0 : ft_fail(FT_USAGE, "--layers %s: %s has no number of layers; --embedding NODE cuts after any node", text, path);
}

static int set_image_size(struct ft_model *model, const char *text)
{
    char *end;
    unsigned long side = strtoul(text, &end, 10);

    if (*end || end == text || side < 1 || side > MOST_SIDE)
        return ft_fail(FT_USAGE, "--image-size %s: expected a whole number, 1 to %d", text, MOST_SIDE);
    model->tailored->side = side;
    return 0;
}

int ft_tailor_config(struct ft_model *model, json_t *config, int tower, const char *path, const struct ft_tailoring *how)
{
    const char *side = value_of(how, "image-size");
    json_t *part[FT_CONFIG_PARTS];
    size_t parts = ft_config_parts(config, tower, part);

    if (side && set_image_size(model, side) < 0)
        return -1;
    return set_dropout(model, part, parts, path, value_of(how, "dropout")) < 0 ? -1 : set_layers(model, part, parts, path, value_of(how, "layers"));
}
