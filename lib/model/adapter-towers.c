/* adapter-towers.c - adapters of two towers: of each its own, which the runners see, and all of them as the outer model's, which is what is trained; and their
 * files, one for a model of one config.json, a directory each for joined ones. */
#include "base/error.h"
#include "base/file.h"
#include "model/adapter.h"
#include "model/towers.h"
#include "model/weights/safetensors.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN_FLOATS = 16 };

/* A tower's behind those that are there. */
static void append(struct ft_adapters *all, struct ft_adapters *own, int first_parameter)
{
    own->first = (all->block_count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    for (int i = 0; i < own->parameter_count; i++) {
        all->parameters[all->parameter_count] = own->parameters[i];
        all->parameters[all->parameter_count++].offset += own->first;
    }
    for (int i = 0; i < own->count; i++) {
        struct ft_adapter *item = &all->items[all->count];

        *item = own->items[i];
        item->a = &all->parameters[2 * all->count];
        item->b = item->a + 1;
        item->weight += first_parameter;
        item->base += all->base_count;
        all->count++;
    }
    all->block_count = own->first + own->block_count;
    all->base_count += own->base_count;
}

int ft_towers_adapt(struct ft_model *model, struct ft_adapters *all, const bool *marked)
{
    struct ft_adapters *own[FT_TOWERS];
    size_t count = 0;

    for (int t = 0, node = 0; t < FT_TOWERS; node += model->towers[t++]->node_count) {
        if (!(own[t] = ft_arena_zero(&model->arena, 1, sizeof *own[t])))
            return -1;
        own[t]->lora = all->lora;
        own[t]->lent = true;
        if (ft_adapters_mark(model->towers[t], own[t], marked + node) < 0)
            return -1;
        count += (size_t)own[t]->count;
    }
    all->items = ft_arena_zero(&model->arena, count + 1, sizeof *all->items);
    all->parameters = ft_arena_zero(&model->arena, 2 * count + 1, sizeof *all->parameters);
    if (!all->items || !all->parameters)
        return -1;
    for (int t = 0, parameter = 0; t < FT_TOWERS; parameter += model->towers[t++]->parameter_count)
        if (own[t]->count) {
            append(all, own[t], parameter);
            model->towers[t]->adapters = own[t];
        }
    return 0;
}

/* ---- out ---- */

/* Modules as the file of weights has them: PEFT wraps the model of both, whose modules these are. */
static int name_modules(struct ft_arena *arena, const struct ft_model *model, const struct ft_safetensors *files, struct ft_adapters *named)
{
    named->count = named->parameter_count = 0;
    for (int t = 0; t < FT_TOWERS; t++) {
        const struct ft_model *tower = model->towers[t];

        for (int i = 0; tower->adapters && i < tower->adapters->count; i++) {
            const struct ft_parameter *weight = &tower->parameters[tower->adapters->items[i].weight];
            const struct ft_safetensor *tensor = ft_parameter_find(tower, files, weight);
            struct ft_adapter *item = &named->items[named->count++];
            struct ft_parameter *p = &named->parameters[named->parameter_count];

            if (!tensor)
                return ft_fail(FT_BAD, "%s: no tensor %s", model->directory, weight->name);
            item->module = ft_arena_print(arena, "%.*s", (int)(strlen(tensor->name) - strlen(".weight")), tensor->name);
            p[0].name = ft_arena_print(arena, "%s.lora_A.weight", item->module ? item->module : "");
            p[1].name = ft_arena_print(arena, "%s.lora_B.weight", item->module ? item->module : "");
            named->parameter_count += 2;
            if (!item->module || !p[0].name || !p[1].name)
                return -1;
        }
    }
    return 0;
}

/* `all` under other names. */
static int save_pair(struct ft_arena *arena, const struct ft_model *model, const char *directory, const char *base)
{
    const struct ft_adapters *all = model->adapters;
    struct ft_adapters named = *all;
    struct ft_safetensors files;
    int result;

    named.items = ft_arena_zero(arena, (size_t)all->count, sizeof *named.items);
    named.parameters = ft_arena_zero(arena, (size_t)all->parameter_count, sizeof *named.parameters);
    if (!named.items || !named.parameters || ft_model_weights(model->towers[FT_TOWER_TEXT], &files) < 0)
        return -1;
    memcpy(named.items, all->items, (size_t)all->count * sizeof *named.items);
    memcpy(named.parameters, all->parameters, (size_t)all->parameter_count * sizeof *named.parameters);
    result = name_modules(arena, model, &files, &named);
    ft_safetensors_close(&files);
    return result < 0 ? -1 : ft_adapters_write(&named, directory, base, NULL);
}

static int save_joined(struct ft_arena *arena, const struct ft_model *model, const char *directory, const char *base)
{
    for (int t = 0; t < FT_TOWERS; t++) {
        const char *to = ft_arena_print(arena, "%s/%s", directory, model->tower_path[t]), *from = ft_arena_print(arena, "%s/%s", base, model->tower_path[t]);

        if (!to || !from || (model->towers[t]->adapters && ft_adapters_save(model->towers[t], to, from) < 0))
            return -1;
    }
    return 0;
}

/* What no file of PEFT has: the base of joined towers, and what the loss learnt. */
static int save_rest(struct ft_arena *arena, const struct ft_model *model, const char *directory, const char *base)
{
    const char *path = ft_arena_print(arena, "%s/ft.json", directory);
    json_t *json = json_pack("{s:i}", "ft", 1);
    int result = path && json ? 0 : -1;

    if (result == 0 && model->tower_path[0] && json_object_set_new(json, FT_ADAPTER_BASE, json_string(base)) < 0)
        result = ft_fail(FT_USAGE, "%s: the base model's path is not UTF-8", path);
    if (result == 0 && (result = ft_logits_put(model, json)) == 0 && json_object_size(json) > 1)
        result = ft_json_save(path, json);
    json_decref(json);
    return result;
}

int ft_towers_adapters_save(struct ft_arena *arena, const struct ft_model *model, const char *directory, const char *base)
{
    if (ft_directory_make(directory) < 0 || (model->tower_path[0] ? save_joined : save_pair)(arena, model, directory, base) < 0)
        return -1;
    return save_rest(arena, model, directory, base);
}

/* ---- in ---- */

/* ft.json of an adapter over joined towers is a stranger's too. */
static int check_keys(const json_t *json, const char *path)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)json, key, value)
        if (strcmp(key, "ft") != 0 && strcmp(key, FT_ADAPTER_BASE) != 0 && ft_logit_find(key) < 0)
            return ft_fail(FT_BAD, "%s: key '%.64s' is not known beside " FT_ADAPTER_BASE, path, key);
    return json_integer_value(json_object_get(json, "ft")) == 1 ? 0 : ft_fail(FT_BAD, "%s: \"ft\" is not 1: written by a later ft", path);
}

int ft_towers_find_adapter(struct ft_arena *arena, const char *directory, const json_t *json, struct ft_towers *towers)
{
    const char *path = ft_arena_print(arena, "%s/ft.json", directory), *base;

    if (!path || check_keys(json, path) < 0 || !(base = ft_adapter_base(arena, directory, "ft.json")))
        return -1;
    if (ft_towers_find_plain(arena, base, towers) < 0)
        return -1;
    if (towers->kind != FT_TOWERS_JOINED)
        return ft_fail(FT_BAD, "%s: " FT_ADAPTER_BASE ": %s has no two towers that were joined", path, base);
    for (int t = 0; t < FT_TOWERS; t++) {
        const char *own = ft_arena_print(arena, "%s/%s", directory, towers->path[t]);

        if (!own)
            return -1;
        if (ft_adapter_is(own))
            towers->place[t] = own;
    }
    towers->base = base;
    return 0;
}
