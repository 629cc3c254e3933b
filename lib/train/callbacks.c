/* callbacks.c - the callbacks of a run, in and out of run.json. */
#include "train/callbacks.h"
#include "base/error.h"

#include <string.h>

bool ft_callbacks_evaluate(const struct ft_callbacks *c)
{
    return c->eval || c->hold_out > 0 || c->stop || c->best;
}

int ft_callbacks_check(const struct ft_callbacks *c)
{
    if (c->log && strcmp(c->log, "tensorboard") != 0)
        return ft_fail(FT_USAGE, "--log %s: expected tensorboard", c->log);
    if (!(c->hold_out >= 0 && c->hold_out < 1))
        return ft_fail(FT_USAGE, "--hold-out %g: expected a share above 0 and below 1", c->hold_out);
    if (c->eval && c->hold_out > 0)
        return ft_fail(FT_USAGE, "--eval and --hold-out: documents to evaluate come from one of them");
    if (c->eval_index && !c->eval && !(c->hold_out > 0))
        return ft_fail(FT_USAGE, "--eval-index without --eval or --hold-out: there are no queries");
    if (c->eval_every && !ft_callbacks_evaluate(c))
        return ft_fail(FT_USAGE, "--eval-every without --eval or --hold-out: there is nothing to evaluate");
    if (c->average && !(c->wise_ft >= 0 && c->wise_ft <= 1))
        return ft_fail(FT_USAGE, "--wise-ft %g: expected a number from 0 (the base model) to 1 (the tuned one)", c->wise_ft);
    return 0;
}

json_t *ft_callbacks_write(const struct ft_callbacks *c)
{
    return json_pack("{s:s?,s:s?,s:s?,s:s?,s:f,s:I,s:s?,s:s?,s:s?,s:o}", "log", c->log, "eval", c->eval, "eval_index", c->eval_index,
                     "eval_data", c->eval_data, "hold_out", c->hold_out, "eval_every", (json_int_t)c->eval_every, "stop", c->stop,
                     "best", c->best, "hook", c->hook, "wise_ft", c->average ? json_real(c->wise_ft) : json_null());
}

/* Keys that are not there are those of a later version. */
static int read_text(struct ft_arena *arena, json_t *object, const char *key, const char *path, const char **text)
{
    const json_t *value = json_object_get(object, key);

    *text = NULL;
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return ft_fail(FT_BAD, "%s: \"callbacks\": \"%s\" is not a string or null", path, key);
    return (*text = ft_arena_text(arena, ft_string_of(json_string_value(value)))) ? 0 : -1;
}

static int read_number(json_t *object, const char *key, const char *path, double *number)
{
    const json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value))
        return 0;
    *number = json_number_value(value);
    return json_is_number(value) ? 0 : ft_fail(FT_BAD, "%s: \"callbacks\": \"%s\" is not a number", path, key);
}

int ft_callbacks_read(struct ft_arena *arena, struct ft_callbacks *c, json_t *object, const char *path)
{
    const struct {
        const char *key, **text;
    } texts[] = {{"log", &c->log}, {"eval", &c->eval}, {"eval_index", &c->eval_index}, {"eval_data", &c->eval_data}, {"stop", &c->stop},
                 {"best", &c->best}, {"hook", &c->hook}};
    double every = 0;

    *c = (struct ft_callbacks){.log = NULL};
    if (!object)
        return 0;
    if (!json_is_object(object))
        return ft_fail(FT_BAD, "%s: \"callbacks\" is not an object", path);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (read_text(arena, object, texts[i].key, path, texts[i].text) < 0)
            return -1;
    if (read_number(object, "hold_out", path, &c->hold_out) < 0 || read_number(object, "eval_every", path, &every) < 0 ||
        read_number(object, "wise_ft", path, &c->wise_ft) < 0)
        return -1;
    if (!(every >= 0 && every < 1e15))
        return ft_fail(FT_BAD, "%s: \"callbacks\": \"eval_every\" is not a number of batches", path);
    c->eval_every = (uint64_t)every;
    c->average = json_is_number(json_object_get(object, "wise_ft"));
    return ft_callbacks_check(c);
}
