/* vision-names.h - files of weights of image models, of the lists of names and shapes in tests/golden/vision. */
#ifndef FT_TESTS_VISION_NAMES_H
#define FT_TESTS_VISION_NAMES_H

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ft_arena arena;

struct entry {
    const char *name, *shape;        /* "64,3,7,7" */
};
struct list {
    const char *library, *architecture;
    struct entry *items;
    size_t count;
};
enum { LISTS = 64, ENTRIES = 4096 };
static struct list lists[LISTS];
static size_t list_count;

static void add(struct list *list, const char *name, const char *shape)
{
    list->items[list->count++] = (struct entry){name, shape};
}

/* A batch norm is one line. */
static void add_line(struct list *list, const char *name, const char *shape)
{
    static const char *const parts[] = {"weight", "bias", "running_mean", "running_var"};
    size_t size = strlen(name);

    if (name[size - 1] != '*') {
        add(list, name, shape);
        return;
    }
    for (int i = 0; i < 4; i++)
        add(list, ft_arena_print(&arena, "%.*s%s", (int)size - 1, name, parts[i]), shape);
    add(list, ft_arena_print(&arena, "%.*snum_batches_tracked", (int)size - 1, name), "");
}

static int read_lists(const char *path)
{
    size_t size;
    char *all = ft_file_read(&arena, path, 1 << 20, &size), *line, *next;
    const char *before = "";
    struct list *list = NULL;

    for (line = all; line && *line; line = next) {
        char rest[256], shape[64], library[64];
        int shared;

        next = strchr(line, '\n') + 1;
        if (sscanf(line, "= %63s %255s", library, rest) == 2 && list_count < LISTS) {
            list = &lists[list_count++];
            *list = (struct list){ft_arena_text(&arena, ft_string_of(library)), ft_arena_text(&arena, ft_string_of(rest)),
                                  ft_arena_take(&arena, ENTRIES * sizeof *list->items), 0};
            before = "";
        } else if (list && list->count + 5 < ENTRIES && sscanf(line, "%d %255s %63s", &shared, rest, shape) == 3) {
            before = ft_arena_print(&arena, "%.*s%s", shared, before, rest);
            add_line(list, before, ft_arena_text(&arena, ft_string_of(shape)));
        } else {
            return -1;
        }
    }
    return all ? 0 : -1;
}

static const struct list *find(const char *library, const char *architecture)
{
    for (size_t i = 0; i < list_count; i++)
        if (strcmp(lists[i].library, library) == 0 && strcmp(lists[i].architecture, architecture) == 0)
            return &lists[i];
    return NULL;
}

static size_t bytes(const char *shape)
{
    size_t count = 1;

    if (!*shape)
        return 8;
    for (const char *p = shape; *p; p += *p == ',')
        count *= strtoul(p, (char **)&p, 10);
    return 4 * count;
}

/* What a file lacks, has in another shape, has beside: NULL for none. Its numbers: those of make.py, or zeros, which cost no disk. */
struct content {
    const char *lacks, *turned, *beside;
    bool numbers;
};

static uint32_t mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352d;
    x = (x ^ x >> 15) * 0x846ca68b;
    return x ^ x >> 16;
}

static uint32_t name_hash(const char *name)
{
    uint32_t hash = 2166136261;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619;
    return hash;
}

/* Number k that `hash` names, -1 to 1. */
static double uniform(uint32_t hash, size_t k)
{
    return mix((uint32_t)k * 0x9E3779B9 + hash) / 2147483648.0 - 1;
}

static bool ends(const char *name, const char *with)
{
    size_t size = strlen(name), end = strlen(with);

    return size >= end && strcmp(name + size - end, with) == 0;
}

/* As number() of make.py has it. */
static void write_numbers(int fd, struct entry e)
{
    size_t size = bytes(e.shape), shape[4] = {1, 1, 1, 1}, rank = 0;
    uint32_t hash = name_hash(e.name);
    float *x = malloc(size);

    for (const char *p = e.shape; *p; p += *p == ',')
        shape[rank++] = strtoul(p, (char **)&p, 10);
    for (size_t i = 0; rank && i < size / 4; i++) {
        double u = uniform(hash, i), inputs = (double)(size / 4 / shape[0]);

        x[i] = (float)(ends(e.name, "running_var") ? 1 + .4 * u : ends(e.name, "running_mean") || ends(e.name, "bias") ? .1 * u :
                       rank == 1 ? 1 + .2 * u : rank == 3 ? .5 * u : u * sqrt((rank == 4 && shape[1] == 1 ? 8.0 : 6.0) / inputs));
    }
    if (!rank)
        memset(x, 0, size);
    if (ft_write_all(fd, x, size) < 0)
        printf("Bail out! no room\n");
    free(x);
}

static void write_weights(const char *path, const struct list *list, struct content content)
{
    size_t end = 0, used = 8, room = 256 * (list->count + 1);
    char *text = ft_arena_take(&arena, room);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    used += (size_t)snprintf(text + used, room - used, "{");
    for (size_t i = 0; i <= list->count; i++) {
        struct entry e = i < list->count ? list->items[i] : (struct entry){content.beside, "3"};

        if (!e.name || (content.lacks && strcmp(e.name, content.lacks) == 0))
            continue;
        if (content.turned && strcmp(e.name, content.turned) == 0)
            e.shape = "5,4";
        used += (size_t)snprintf(text + used, room - used, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", used > 9 ? "," : "", e.name,
                                 *e.shape ? "F32" : "I64", e.shape, end, end + bytes(e.shape));
        end += bytes(e.shape);
    }
    used += (size_t)snprintf(text + used, room - used, "}");
    *(uint64_t *)(void *)text = used - 8;
    if (fd < 0 || ft_write_all(fd, text, used) < 0)
        printf("Bail out! %s\n", path);
    for (size_t i = 0; content.numbers && i < list->count; i++)
        write_numbers(fd, list->items[i]);
    if (ftruncate(fd, (off_t)(used + end)) < 0 || close(fd) < 0)
        printf("Bail out! %s\n", path);
}

#endif
