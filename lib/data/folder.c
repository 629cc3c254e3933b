/* folder.c - pictures in folders. */
#include "data/folder.h"
#include "base/error.h"
#include "data/lines.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct names {
    char **name;
    size_t count, capacity;
};

struct ft_folder {
    const char *path;
    struct names labels;           /* names of the folders */
    struct names folders;          /* of the label in hand: paths within `path`, "cats", "cats/old" */
    struct names files;            /* of the folder in hand */
    size_t label, folder, file;    /* next */
    size_t found;                  /* pictures of the label in hand */
    size_t left_out;
    struct ft_row_item item;
    struct ft_buffer place, id;
};

/* What a walk has gone through to be where it is: a link back to one of them would never end. */
struct above {
    const struct above *up;
    dev_t device;
    ino_t node;
};

static int add_name(struct names *names, const char *name)
{
    char *copy = strdup(name);

    if (!copy)
        return ft_fail(FT_SYSTEM, "out of memory");
    if (ft_grow(&names->name, &names->capacity, names->count + 1, sizeof *names->name) < 0) {
        free(copy);
        return -1;
    }
    names->name[names->count++] = copy;
    return 0;
}

static void clear_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->name[i]);
    names->count = 0;
}

static void free_names(struct names *names)
{
    clear_names(names);
    free(names->name);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(struct names *names)
{
    if (names->count)
        qsort(names->name, names->count, sizeof *names->name, compare_names);
}

static bool is_folder(const char *path, const struct dirent *entry)
{
    struct ft_buffer whole = {0};
    struct stat st;
    bool is = false;

    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    if (ft_buffer_print(&whole, "%s/%s", path, entry->d_name) == 0)
        is = stat(whole.data, &st) == 0 && S_ISDIR(st.st_mode);
    ft_buffer_free(&whole);
    return is;
}

/* The folders in `path`, and the pictures in it; either may be NULL. Sorted. */
static int list(const char *path, struct names *folders, struct names *pictures)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    int done = directory ? 0 : ft_fail_errno("%s", path);

    while (done == 0 && (errno = 0, entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (is_folder(path, entry))
            done = folders ? add_name(folders, entry->d_name) : 0;
        else if (pictures && ft_name_is_picture(ft_string_of(entry->d_name)))
            done = add_name(pictures, entry->d_name);
    }
    if (done == 0 && errno)
        done = ft_fail_errno("%s", path);
    if (directory)
        closedir(directory);
    if (folders)
        sort_names(folders);
    if (pictures)
        sort_names(pictures);
    return done;
}

/* a/b; where a is "" b alone. */
static const char *print_place(struct ft_buffer *buffer, const char *a, const char *b)
{
    size_t size = strlen(a);

    buffer->size = 0;
    return ft_buffer_print(buffer, "%s%s%s", a, size && a[size - 1] != '/' ? "/" : "", b) < 0 ? NULL : buffer->data;
}

struct ft_folder *ft_folder_open(const char *path)
{
    struct ft_folder *folder = calloc(1, sizeof *folder);

    if (!folder) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    folder->path = path;
    if (list(path, &folder->labels, &folder->files) == 0) {
        folder->left_out = folder->labels.count ? folder->files.count : 0;
        if (folder->labels.count)
            clear_names(&folder->files);
        if (folder->labels.count || folder->files.count)
            return folder;
        ft_fail(FT_BAD, "%s: neither folders nor pictures in it", path);
    }
    ft_folder_close(folder);
    return NULL;
}

void ft_folder_close(struct ft_folder *folder)
{
    if (!folder)
        return;
    free_names(&folder->labels);
    free_names(&folder->folders);
    free_names(&folder->files);
    ft_buffer_free(&folder->place);
    ft_buffer_free(&folder->id);
    free(folder);
}

size_t ft_folder_labels(const struct ft_folder *folder)
{
    return folder->labels.count;
}

size_t ft_folder_left_out(const struct ft_folder *folder)
{
    return folder->left_out;
}

/* Add the folder at `place` within the whole, and all below it. */
static int walk(struct ft_folder *folder, const char *place, const struct above *up)
{
    struct above here = {.up = up};
    struct names below = {0};
    struct ft_buffer buffer = {0};
    const char *path = print_place(&buffer, folder->path, place);
    struct stat st = {0};
    int done = -1;

    if (path && stat(path, &st) < 0)
        ft_fail_errno("%s", path);
    else if (path)
        done = add_name(&folder->folders, place);
    here.device = st.st_dev;
    here.node = st.st_ino;
    for (const struct above *a = up; done == 0 && a; a = a->up)
        if (a->device == here.device && a->node == here.node)
            done = ft_fail(FT_BAD, "%s: a link to a folder that it is in", path);
    if (done == 0)
        done = list(path, &below, NULL);
    for (size_t i = 0; done == 0 && i < below.count; i++)
        done = print_place(&buffer, place, below.name[i]) ? walk(folder, buffer.data, &here) : -1;
    free_names(&below);
    ft_buffer_free(&buffer);
    return done;
}

/* Open the next label: 1, 0 when there is none, -1. */
static int next_label(struct ft_folder *folder)
{
    if (folder->label > 0 && folder->found == 0) {
        folder->found = 1;
        if (!print_place(&folder->place, folder->path, folder->labels.name[folder->label - 1]))
            return -1;
        return ft_fail(FT_BAD, "%s: no pictures in this folder", folder->place.data);
    }
    if (folder->label == folder->labels.count)
        return 0;
    clear_names(&folder->folders);
    folder->folder = folder->found = 0;
    if (walk(folder, folder->labels.name[folder->label++], NULL) < 0) {
        clear_names(&folder->folders);
        folder->found = 1;
        return -1;
    }
    sort_names(&folder->folders);
    return 1;
}

/* Open the next folder: 1, 0, -1. */
static int next_folder(struct ft_folder *folder)
{
    int got;

    while (folder->folder == folder->folders.count)
        if ((got = next_label(folder)) <= 0)
            return got;
    clear_names(&folder->files);
    folder->file = 0;
    if (!print_place(&folder->place, folder->path, folder->folders.name[folder->folder++]))
        return -1;
    return list(folder->place.data, NULL, &folder->files) < 0 ? -1 : 1;
}

int ft_folder_next(struct ft_folder *folder, struct ft_row *row)
{
    const char *name, *below = "";
    int got;

    while (folder->file == folder->files.count)
        if ((got = next_folder(folder)) <= 0)
            return got;
    name = folder->files.name[folder->file++];
    folder->found++;
    if (folder->labels.count)
        below = folder->folders.name[folder->folder - 1];
    if (!print_place(&folder->place, below, name) || !print_place(&folder->id, folder->path, folder->place.data))
        return -1;
    if (ft_utf8_check(folder->place.data, folder->place.size) < folder->place.size)
        return ft_fail(FT_BAD, "%s: the name is not UTF-8", folder->id.data);
    folder->item = (struct ft_row_item){.role = FT_NO_ROLE, .content = {folder->place.data, folder->place.size}, .uri = true, .local = true};
    *row = (struct ft_row){.items = &folder->item, .item_count = 1, .id = {folder->id.data, folder->id.size}};
    if (folder->labels.count)
        row->label = ft_string_of(folder->labels.name[folder->label - 1]);
    return 1;
}
