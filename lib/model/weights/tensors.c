/* tensors.c - the ways a model's weights lie in files. */
#include "model/weights/tensors.h"
#include "base/error.h"
#include "base/file.h"
#include "data/json.h"
#include "model/weights/torchfile.h"

#include <string.h>

/* By what the file is, not by its name. */
static int add_file(struct ft_safetensors *files, const char *path)
{
    const char *point = strrchr(path, '.');
    const void *bytes;
    size_t size;

    if (ft_safetensors_map(files, path, &bytes, &size) < 0)
        return -1;
    if (ft_torchfile_is(bytes, size) || (point && (strcmp(point, ".bin") == 0 || strcmp(point, ".pth") == 0 || strcmp(point, ".pt") == 0)))
        return ft_torchfile_add(files, path, bytes, size);
    return ft_safetensors_add(files, path, bytes, size);
}

/* Each shard once, in the order the index first names them. */
static int add_shards(struct ft_safetensors *files, const char *directory, const char *path, const json_t *map)
{
    json_t *seen = json_object();
    const char *name;
    json_t *value;
    int result = seen ? 0 : ft_fail(FT_SYSTEM, "out of memory");

    json_object_foreach((json_t *)map, name, value) {
        const char *file = json_string_value(value), *shard;

        if (result < 0)
            break;
        if (!file || strchr(file, '/') || !ft_path_inside(file))
            result = ft_fail(FT_BAD, "%s: %.200s is said to be in '%.200s', expected a file beside it", path, name, file ? file : "");
        else if (json_object_get(seen, file))
            continue;
        else if (!(shard = ft_arena_print(&files->arena, "%s/%s", directory, file)) || json_object_set_new(seen, file, json_true()) < 0)
            result = -1;
        else
            result = add_file(files, shard);
    }
    json_decref(seen);
    json_object_foreach((json_t *)map, name, value)
        if (result == 0 && !ft_safetensors_find(files, name))
            result = ft_fail(FT_BAD, "%s: %.200s is in none of the files it names", path, name);
    for (size_t i = 1; result == 0 && i < files->count; i++)
        if (strcmp(files->tensors[i - 1].name, files->tensors[i].name) == 0)
            result = ft_fail(FT_BAD, "%s: %.200s is in two files", path, files->tensors[i].name);
    return result;
}

/* All files that an index names. */
static int add_index(struct ft_safetensors *files, const char *directory, const char *path)
{
    json_t *json = ft_json_read(path), *map = json ? json_object_get(json, "weight_map") : NULL;
    int result = -1;

    if (json)
        result = json_is_object(map) ? add_shards(files, directory, path, map) : ft_fail(FT_BAD, "%s: no weight_map", path);
    json_decref(json);
    return result;
}

/* In the order in which transformers looks for them. */
const char *ft_tensors_name(const char *directory)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"};
    struct ft_arena arena = {0};
    const char *found = NULL;

    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++) {
        const char *path = ft_arena_print(&arena, "%s/%s", directory, names[i]);

        if (path && ft_file_exists(path))
            found = names[i];
    }
    ft_arena_free(&arena);
    return found;
}

/* Where there are no weights, model.safetensors is what is missed. */
static int add_directory(struct ft_safetensors *files, const char *directory)
{
    const char *name = ft_tensors_name(directory), *path = ft_arena_print(&files->arena, "%s/%s", directory, name ? name : "model.safetensors");

    if (!path)
        return -1;
    return name && strstr(name, ".json") ? add_index(files, directory, path) : add_file(files, path);
}

int ft_tensors_open(struct ft_safetensors *files, const char *path)
{
    *files = (struct ft_safetensors){0};
    if ((ft_directory_exists(path) ? add_directory(files, path) : add_file(files, path)) == 0)
        return 0;
    ft_safetensors_close(files);
    return -1;
}
