/* run.c - making, opening, locking and removing run directories. */
#include "train/run.h"
#include "base/error.h"
#include "base/file.h"
#include "model/towers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool exists_in(const char *directory, const char *name)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/%s", directory, name);

    return size > 0 && (size_t)size < sizeof path && ft_file_exists(path);
}

bool ft_run_is(const char *directory)
{
    return exists_in(directory, "run/run.json");
}

/* A model of the old layout keeps config.json and its weights in a directory below, one of two towers has ft.json alone: any of them will do. */
static bool is_model(const char *directory)
{
    return exists_in(directory, "config.json") || exists_in(directory, "modules.json") || exists_in(directory, "ft.json");
}

bool ft_run_finished(const char *directory)
{
    /* A run that stopped short by --steps has a model too, and a checkpoint to go on from. */
    return ft_run_is(directory) && is_model(directory) && !exists_in(directory, "run/checkpoints");
}

/* The process that holds the run's lock, 0 = nobody. */
static long lock_holder(const char *directory)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct ft_arena arena = {0};
    const char *path = ft_arena_print(&arena, "%s/run/lock", directory);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    long holder = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? (long)lock.l_pid : 0;

    if (fd >= 0)
        close(fd);
    ft_arena_free(&arena);
    return holder;
}

int ft_run_may_begin(const char *directory, bool force)
{
    long holder;

    if (!*directory)
        return ft_fail(FT_USAGE, "the name of the run is empty: give it one with -o");
    if (ft_run_is(directory)) {
        if (!force)
            return ft_fail(FT_USAGE, "%s exists: --resume goes on with it, --force begins again", directory);
        if ((holder = lock_holder(directory)))
            return ft_fail(FT_USAGE, "%s is being trained by process %ld", directory, holder);
    } else if (is_model(directory)) {
        return ft_fail(FT_USAGE, "%s is a model that no run made: choose another name with -o", directory);
    }
    return 0;
}

static bool lies_in(const char *path, const char *directory)
{
    size_t size = strlen(directory);

    return path && strncmp(path, directory, size) == 0 && (path[size] == '/' || !path[size]);
}

int ft_run_may_replace(const char *directory, const struct ft_settings *settings)
{
    const char *const needed[] = {settings->model, settings->second[FT_TEACHER].model, settings->second[FT_GUIDE].model};
    char *whole = ft_run_is(directory) ? realpath(directory, NULL) : NULL;
    int result = 0;

    for (size_t i = 0; whole && result == 0 && i < sizeof needed / sizeof *needed; i++)
        if (lies_in(needed[i], whole))
            result = ft_fail(FT_USAGE, "%s is what the new run begins with, and --force removes %s: choose another name with -o", needed[i], directory);
    free(whole);
    return result;
}

int ft_run_create(const char *directory, const struct ft_settings *settings, int argc, char **argv)
{
    struct ft_arena arena = {0};
    int result = -1;
    char *run;

    if (ft_settings_check(settings) < 0 || ft_settings_check_losses(settings) < 0 || ft_run_may_begin(directory, false) < 0)
        return -1;
    if ((run = ft_arena_print(&arena, "%s/run/checkpoints", directory)) && ft_directory_make(run) == 0 &&
        (run = ft_arena_print(&arena, "%s/run/run.json", directory)))
        result = ft_settings_write(settings, run, argc, argv);
    ft_arena_free(&arena);
    return result;
}

static int remove_in(const char *directory, const char *name)
{
    struct ft_arena arena = {0};
    const char *path = ft_arena_print(&arena, "%s/%s", directory, name);
    int result = path ? ft_directory_remove(path) : -1;

    ft_arena_free(&arena);
    return result;
}

bool ft_run_card_ours(const char *directory)
{
    struct ft_arena arena = {0};
    const char *path = ft_arena_print(&arena, "%s/README.md", directory), *text = NULL;
    struct ft_error_copy error;
    bool there = path && ft_file_exists(path), ours;
    size_t size;

    ft_error_save(&error);
    if (there)
        text = ft_file_read(&arena, path, 1 << 20, &size);
    ours = !there || (text && strstr(text, "\n" FT_CARD_MARK "\n"));
    ft_error_restore(&error);
    ft_arena_free(&arena);
    return ours;
}

/* The directories of its towers, as ft_model_save makes them. */
static int remove_towers(const char *directory)
{
    struct ft_arena arena = {0};
    struct ft_towers towers;
    int result = 0;

    if (ft_towers_find(&arena, directory, &towers) < 0) {   /* an ft.json of nobody's goes too */
        towers.kind = FT_TOWERS_NONE;
        ft_error_clear();
    }
    for (int t = 0; result == 0 && towers.kind == FT_TOWERS_JOINED && !towers.base && t < FT_TOWERS; t++)
        result = remove_in(directory, towers.path[t]);
    ft_arena_free(&arena);
    return result;
}

/* What ft_model_save writes. DIR may be a place where a person keeps more than the model. */
static int remove_model(const char *directory)
{
    static const char *const patterns[] = {
        "model.safetensors", "config*.json", "modules.json", "ft.json", "tokenizer*.json", "tokenizer.model", "vocab.*", "merges.txt", "*.bpe.model",
        "spiece.model", "preprocessor_config.json", "processor_config.json", "special_tokens_map.json", "added_tokens.json", "sentence_*_config.json", "[0-9]_*", "[0-9][0-9]_*", "adapter",
        "open_clip_config.json", "open_clip_model.safetensors", NULL};
    DIR *list = opendir(directory);
    struct dirent *entry;
    int result = 0;

    if (!list)
        return ft_fail_errno("%s", directory);
    result = remove_towers(directory);
    while (result == 0 && (entry = readdir(list)))
        for (const char *const *pattern = patterns; *pattern; pattern++)
            if (fnmatch(*pattern, entry->d_name, FNM_PERIOD) == 0) {
                result = remove_in(directory, entry->d_name);
                break;
            }
    closedir(list);
    return result == 0 && ft_run_card_ours(directory) ? remove_in(directory, "README.md") : result;
}

int ft_run_remove(const char *directory)
{
    if (ft_run_may_begin(directory, true) < 0)
        return -1;
    if (!ft_run_is(directory))
        return 0;
    /* The run last: until it is gone another --force may go on with this. */
    return remove_model(directory) < 0 ? -1 : remove_in(directory, "run");
}

int ft_run_take_back(struct ft_run *run)
{
    if (ft_checkpoint_any(run))
        return 0;
    if ((run->saving && remove_model(run->directory) < 0) || remove_in(run->directory, "run") < 0)
        return -1;
    rmdir(run->directory);   /* unless it holds something else */
    return 0;
}

static struct ft_run *make_run(void)
{
    struct ft_run *run = calloc(1, sizeof *run);

    if (run)
        run->lock = -1;
    else
        ft_fail(FT_SYSTEM, "out of memory");
    return run;
}

struct ft_run *ft_run_imagine(const char *directory, const struct ft_settings *settings)
{
    struct ft_run *run = make_run();

    if (run && !(run->directory = ft_arena_text(&run->arena, ft_string_of(directory)))) {
        ft_run_close(run);
        return NULL;
    }
    if (run)
        run->settings = *settings;
    return run;
}

struct ft_run *ft_run_open(const char *directory)
{
    struct ft_run *run = make_run();
    const char *path;

    if (!run)
        return NULL;
    if (!ft_run_is(directory))
        ft_fail(FT_USAGE, "%s is no run: make one with ft-train -m MODEL -o %s --steps 0", directory, directory);
    else if ((run->directory = ft_arena_text(&run->arena, ft_string_of(directory))) &&
             (path = ft_run_path(run, "run.json")) && ft_settings_read(&run->arena, &run->settings, path) == 0)
        return run;
    ft_run_close(run);
    return NULL;
}

void ft_run_close(struct ft_run *run)
{
    if (!run)
        return;
    if (run->lock >= 0)
        close(run->lock);
    ft_arena_free(&run->arena);
    free(run);
}

const char *ft_run_path(struct ft_run *run, const char *name)
{
    return ft_arena_print(&run->arena, "%s/run/%s", run->directory, name);
}

int ft_run_lock(struct ft_run *run)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const char *path = ft_run_path(run, "lock");

    if (!path)
        return -1;
    run->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (run->lock < 0)
        return ft_fail_errno("%s", path);
    if (fcntl(run->lock, F_SETLK, &lock) == 0)
        return 0;
    if (errno != EACCES && errno != EAGAIN)
        return ft_fail_errno("%s", path);
    fcntl(run->lock, F_GETLK, &lock);
    return ft_fail(FT_USAGE, "%s is being trained by process %ld", run->directory, (long)lock.l_pid);
}

int ft_progress_skip(const struct ft_progress *start, struct ft_progress *seen, const struct ft_batch *batch)
{
    if (batch->number != seen->batch + 1)
        return ft_fail(FT_BAD, "batch %" PRIu64 " came where batch %" PRIu64 " was expected", batch->number, seen->batch + 1);
    seen->batch = batch->number;
    if (batch->number > start->batch)
        return 0;
    seen->data = ft_batch_checksum(seen->data, batch);
    if (seen->batch == start->batch && memcmp(&seen->data, &start->data, sizeof seen->data) != 0)
        return ft_fail(FT_BAD, "the first %" PRIu64 " batches are not those that the run was trained on", start->batch);
    return 1;
}
