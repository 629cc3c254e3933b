/* prompts.c - prompts from options and from config_sentence_transformers.json, and back into that. */
#include "model/prompts.h"
#include "base/error.h"

#include <string.h>

static const char *after(const char *text, const char *name)
{
    size_t size = strlen(name);

    return strncmp(text, name, size) == 0 && text[size] == '=' ? text + size + 1 : NULL;
}

void ft_prompts_parse(struct ft_prompts *prompts, const struct ft_list *list)
{
    static const struct { const char *name; enum ft_role role; } names[] = {
        {"anchor", FT_ANCHOR}, {"query", FT_ANCHOR}, {"positive", FT_POSITIVE}, {"document", FT_POSITIVE}, {"negative", FT_NEGATIVE},
    };
    bool own_negative = false;

    *prompts = (struct ft_prompts){{NULL}};
    for (size_t i = 0; list && i < list->count; i++) {
        const char *text = NULL;

        for (size_t n = 0; n < sizeof names / sizeof *names && !text; n++)
            if ((text = after(list->items[i], names[n].name))) {
                prompts->text[names[n].role] = text;
                own_negative |= names[n].role == FT_NEGATIVE;
                if (names[n].role == FT_POSITIVE && !own_negative)
                    prompts->text[FT_NEGATIVE] = text;
            }
        if (text)
            continue;
        own_negative = false;
        for (int role = 0; role <= FT_NO_ROLE; role++)
            prompts->text[role] = list->items[i];
    }
}

void ft_prompts_complete(struct ft_prompts *prompts, const struct ft_prompts *otherwise)
{
    for (int role = 0; role <= FT_NO_ROLE; role++)
        if (!prompts->text[role])
            prompts->text[role] = otherwise->text[role];
}

bool ft_prompts_any(const struct ft_prompts *prompts)
{
    for (int role = 0; role <= FT_NO_ROLE; role++)
        if (prompts->text[role] && *prompts->text[role])
            return true;
    return false;
}

bool ft_prompts_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

const char *ft_prompts_text(struct ft_arena *arena, const struct ft_prompts *prompts)
{
    const char *const *t = prompts->text, *text = "";
    bool one = true;

    for (int role = 0; role < FT_NO_ROLE; role++)
        one &= ft_prompts_same(t[role], t[FT_NO_ROLE]);
    if (one)
        return t[FT_NO_ROLE] ? t[FT_NO_ROLE] : "";
    for (int role = 0; role <= FT_NO_ROLE && text; role++)
        text = ft_arena_print(arena, "%s%s=%s\n", text, ft_role_name((enum ft_role)role), t[role] ? t[role] : "");
    return text;
}

/* The first of `names` that is there. "query" and "document" always are in sentence-transformers, as nothing where nobody says more. */
static int read_named(struct ft_arena *arena, const json_t *all, const char *const *names, const char *path, const char **text)
{
    const json_t *value = NULL;

    *text = NULL;
    for (; *names && !value; names++)
        value = json_object_get(all, *names);
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return ft_fail(FT_BAD, "%s: prompts: %s is not a string", path, names[-1]);
    return (*text = ft_arena_text(arena, ft_string_of(json_string_value(value)))) ? 0 : -1;
}

int ft_prompts_read(struct ft_arena *arena, struct ft_prompts *prompts, const json_t *config, const char *path)
{
    static const char *const query[] = {"query", NULL}, *const document[] = {"document", "passage", "corpus", NULL};
    const json_t *all = json_object_get(config, "prompts"), *value = json_object_get(config, "default_prompt_name");
    const char *name[] = {json_string_value(value), NULL};

    *prompts = (struct ft_prompts){{NULL}};
    if (all && !json_is_null(all) && !json_is_object(all))
        return ft_fail(FT_BAD, "%s: prompts is not an object", path);
    if (value && !json_is_null(value) && !*name)
        return ft_fail(FT_BAD, "%s: default_prompt_name is not a string", path);
    if (*name && !json_object_get(all, *name) && strcmp(*name, "query") != 0 && strcmp(*name, "document") != 0)
        return ft_fail(FT_BAD, "%s: default_prompt_name '%.64s' is none of the prompts", path, *name);
    if (read_named(arena, all, query, path, &prompts->text[FT_ANCHOR]) < 0 ||
        read_named(arena, all, document, path, &prompts->text[FT_POSITIVE]) < 0 ||
        read_named(arena, all, name, path, &prompts->text[FT_NO_ROLE]) < 0)
        return -1;
    prompts->text[FT_NEGATIVE] = prompts->text[FT_POSITIVE];
    return 0;
}

int ft_prompts_put(const struct ft_prompts *prompts, json_t *config)
{
    const char *query = prompts->text[FT_ANCHOR], *document = prompts->text[FT_POSITIVE], *none = prompts->text[FT_NO_ROLE];
    const char *name = json_string_value(json_object_get(config, "default_prompt_name"));
    json_t *all = json_object_get(config, "prompts");
    int failed = 0;

    if (!json_is_object(all)) {
        all = json_object();
        failed |= json_object_set_new(config, "prompts", all) < 0;
    }
    failed |= json_object_set_new(all, "query", json_string(query ? query : "")) < 0;
    failed |= json_object_set_new(all, "document", json_string(document ? document : "")) < 0;
    if (!none || !*none)
        failed |= json_object_set_new(config, "default_prompt_name", json_null()) < 0;
    else if (!name || !ft_prompts_same(json_string_value(json_object_get(all, name)), none))
        failed |= json_object_set_new(all, "default", json_string(none)) < 0 ||
                  json_object_set_new(config, "default_prompt_name", json_string("default")) < 0;
    return failed ? ft_fail(FT_SYSTEM, "out of memory for the prompts") : 0;
}
