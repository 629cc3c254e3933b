/* logits.c - logit_scale and logit_bias: read from the files of two towers, written back. */
#include "model/logits.h"
#include "base/error.h"
#include "base/file.h"
#include "model/towers.h"
#include "model/weights/safetensors.h"

#include <math.h>
#include <string.h>

const char *ft_logit_name(int which)
{
    static const char *const names[FT_LOGITS] = {"logit_scale", "logit_bias"};

    return names[which];
}

int ft_logit_find(const char *name)
{
    for (int i = 0; i < FT_LOGITS; i++)
        if (strcmp(name, ft_logit_name(i)) == 0)
            return i;
    return -1;
}

static int set(struct ft_logits *logits, int which, double value, const char *where)
{
    if (!isfinite((float)value))
        return ft_fail(FT_BAD, "%s: %s is %g, expected a finite 32-bit number", where, ft_logit_name(which), value);
    logits->there[which] = true;
    logits->value[which] = value;
    return 0;
}

int ft_logits_read_beside(const char *directory, struct ft_logits *logits)
{
    struct ft_arena arena = {0};
    const char *path = ft_arena_print(&arena, "%s/ft.json", directory);
    json_t *json = path && ft_file_exists(path) ? ft_json_read(path) : NULL;
    int result = !path || (ft_file_exists(path) && !json) ? -1 : 0;

    *logits = (struct ft_logits){.there = {false}};
    for (int i = 0; json && result == 0 && i < FT_LOGITS; i++) {
        const json_t *value = json_object_get(json, ft_logit_name(i));

        if (value && !json_is_number(value))
            result = ft_fail(FT_BAD, "%s: %s is no number", path, ft_logit_name(i));
        else if (value)
            result = set(logits, i, json_number_value(value), path);
    }
    json_decref(json);
    ft_arena_free(&arena);
    return result;
}

static int read_tensors(const struct ft_model *model, struct ft_logits *logits)
{
    struct ft_safetensors files;
    int result = 0;

    if (ft_model_weights(model->towers[FT_TOWER_TEXT], &files) < 0)
        return -1;
    for (int i = 0; result == 0 && i < FT_LOGITS; i++) {
        const struct ft_safetensor *tensor = ft_safetensors_find(&files, ft_logit_name(i));
        float value;

        if (!tensor)
            continue;
        if (tensor->count != 1)
            result = ft_fail(FT_BAD, "%s: %s has %llu numbers, expected 1", model->directory, tensor->name, (unsigned long long)tensor->count);
        else
            result = ft_safetensor_floats(tensor, &value) < 0 ? ft_error_prefix("%s: ", model->directory) : set(logits, i, value, model->directory);
    }
    ft_safetensors_close(&files);
    return result;
}

int ft_logits_read(const struct ft_model *model, struct ft_logits *logits)
{
    *logits = (struct ft_logits){.there = {false}};
    if (!model->tower_count)
        return 0;
    return model->tower_path[0] ? ft_logits_read_beside(model->directory, logits) : read_tensors(model, logits);
}

int ft_logits_settle(const struct ft_model *model, struct ft_logits *logits)
{
    if (ft_logits_read(model, logits) < 0)
        return -1;
    for (int i = 0; i < FT_LOGITS; i++)
        if (model->logits.there[i]) {
            logits->there[i] = true;
            logits->value[i] = model->logits.value[i];
        }
    return 0;
}

int ft_logits_replace(struct ft_arena *arena, const struct ft_model *model, struct ft_safetensor *tensors, size_t count)
{
    for (size_t t = 0; t < count; t++) {
        int which = ft_logit_find(tensors[t].name);
        float *value;

        if (which < 0 || !model->logits.there[which] || tensors[t].count != 1)
            continue;
        if (!(value = ft_arena_take(arena, sizeof *value)))
            return -1;
        *value = (float)model->logits.value[which];
        tensors[t].dtype = "F32";
        tensors[t].data = value;
        tensors[t].size = sizeof *value;
    }
    return 0;
}

int ft_logits_put(const struct ft_model *model, json_t *json)
{
    struct ft_logits logits;

    if (ft_logits_settle(model, &logits) < 0)
        return -1;
    for (int i = 0; i < FT_LOGITS; i++)
        if (logits.there[i] && json_object_set_new(json, ft_logit_name(i), json_real(logits.value[i])) < 0)
            return ft_fail(FT_SYSTEM, "out of memory");
    return 0;
}
