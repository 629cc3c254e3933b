/* place.c - a model directory that appears whole or not at all. */
#include "base/error.h"
#include "base/file.h"
#include "model/model-build.h"
#include "model/place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* May `directory` give way? An empty one may; a model may when asked for; a run holds work that cannot be had again, and anything else was
 * surely not meant. */
static int check_target(struct ft_arena *arena, const char *directory, bool force)
{
    const char *run = ft_arena_print(arena, "%s/run/run.json", directory), *config = ft_arena_print(arena, "%s/config.json", directory);
    const char *modules = ft_arena_print(arena, "%s/modules.json", directory), *own = ft_arena_print(arena, "%s/ft.json", directory);

    if (!run || !config || !modules || !own)
        return -1;
    if (rmdir(directory) == 0 || errno == ENOENT)
        return 0;
    if (!ft_directory_exists(directory))
        return ft_fail(FT_USAGE, "%s is there and no directory", directory);
    if (ft_file_exists(run))
        return ft_fail(FT_USAGE, "%s is a run: choose another name", directory);
    if (!ft_file_exists(config) && !ft_file_exists(modules) && !ft_file_exists(own) && !ft_open_clip_is(directory))
        return ft_fail(FT_USAGE, "%s is there and no model: choose another name", directory);
    return force ? 0 : ft_fail(FT_USAGE, "%s is there already: --force replaces it", directory);
}

/* Do the weights read back as they were to be written? */
static bool is_rounded(const struct ft_model *model, const struct ft_model *again)
{
    bool half = model->saved_as == FT_WEIGHTS_F16, same = model->parameter_count == again->parameter_count && model->block_count == again->block_count;

    for (int i = 0; same && i < model->parameter_count; i++) {
        const struct ft_parameter *p = model->parameters + i;
        const float *a = model->block + p->offset, *b = again->block + p->offset;

        for (size_t j = 0; same && j < p->rows * p->columns; j++)
            same = half ? ft_float_to_half(a[j]) == ft_float_to_half(b[j]) : ft_float_to_bfloat(a[j]) == ft_float_to_bfloat(b[j]);
    }
    return same;
}

static int save_and_compare(const void *what, const char *directory)
{
    const struct ft_model *model = what;
    struct ft_model *again = ft_model_save(model, directory) < 0 ? NULL : ft_model_open(directory, NULL);
    char sum[9], sum_again[9];
    int result = -1;

    if (again && model->saved_as != FT_WEIGHTS_F32 ? is_rounded(model, again)
                                                   : again && strcmp(ft_model_checksum(model, sum), ft_model_checksum(again, sum_again)) == 0)
        result = 0;
    else if (again && model->saved_as != FT_WEIGHTS_F32)
        ft_fail(FT_SYSTEM, "%s: other weights are read back than were written", directory);
    else if (again)
        ft_fail(FT_SYSTEM, "%s: written as %s, read back as %s", directory, sum, sum_again);
    ft_model_close(again);
    return result;
}

/* Two steps, since a directory that is not empty cannot be renamed over. */
static int swap(const char *ready, const char *target, const char *old)
{
    if (rename(target, old) < 0 && errno != ENOENT)
        return ft_fail_errno("%s", target);
    if (rename(ready, target) < 0) {
        ft_fail_errno("%s", target);
        if (rename(old, target) < 0 && errno != ENOENT)
            return ft_error_prefix("the former one is now %s: ", old);
        return -1;
    }
    return ft_directory_remove(old);
}

int ft_directory_place(const char *directory, bool force, int (*make)(const void *what, const char *ready), const void *what)
{
    struct ft_arena arena = {0};
    char *target = ft_arena_text(&arena, ft_string_of(directory)), *slash;
    size_t size = strlen(directory);
    const char *ready, *old;
    struct ft_error_copy error;
    int result = -1;

    while (target && size > 1 && target[size - 1] == '/')
        target[--size] = '\0';
    ready = target ? ft_arena_print(&arena, "%s.tmp-%ld", target, (long)getpid()) : NULL;
    old = target ? ft_arena_print(&arena, "%s.old-%ld", target, (long)getpid()) : NULL;
    if (ready && old && check_target(&arena, target, force) == 0) {
        result = make(what, ready) < 0 ? -1 : swap(ready, target, old);
        if (result < 0) {
            ft_error_save(&error);
            ft_directory_remove(ready);
            ft_error_restore(&error);
        } else if ((slash = strrchr(target, '/'))) {
            *slash = '\0';
            result = ft_directory_sync(slash == target ? "/" : target);
        } else {
            result = ft_directory_sync(".");
        }
    }
    ft_arena_free(&arena);
    return result;
}

int ft_model_place(const struct ft_model *model, const char *directory, bool force)
{
    return ft_directory_place(directory, force, save_and_compare, model);
}
