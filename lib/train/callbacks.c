/* callbacks.c - the callbacks of a run, in and out of run.json. */
#include "train/callbacks.h"
#include "base/error.h"

#include <string.h>

int ft_callbacks_check(const struct ft_callbacks *c)
{
    if (c->log && strcmp(c->log, "tensorboard") != 0)
        return ft_fail(FT_USAGE, "--log %s: expected tensorboard", c->log);
    return 0;
}

json_t *ft_callbacks_write(const struct ft_callbacks *c)
{
    return json_pack("{s:s?}", "log", c->log);
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

int ft_callbacks_read(struct ft_arena *arena, struct ft_callbacks *c, json_t *object, const char *path)
{
    *c = (struct ft_callbacks){.log = NULL};
    if (!object)
        return 0;
    if (!json_is_object(object))
        return ft_fail(FT_BAD, "%s: \"callbacks\" is not an object", path);
    if (read_text(arena, object, "log", path, &c->log) < 0)
        return -1;
    return ft_callbacks_check(c);
}
