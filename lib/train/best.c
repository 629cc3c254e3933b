/* best.c - a block in a file. */
#include "train/best.h"
#include "base/error.h"
#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Behind the block. Of what is not there the value is 0. */
struct trailer {
    uint64_t count;
    double logit[FT_LOGITS];
    uint32_t there;              /* a bit each */
    uint32_t crc;                /* of all before it */
};

static uint32_t checksum(const void *block, const struct trailer *trailer)
{
    return ft_crc32c(ft_crc32c(0, block, trailer->count * sizeof(float)), trailer, offsetof(struct trailer, crc));
}

static const char *path_of(struct ft_run *run, struct ft_arena *arena, uint64_t batch)
{
    return ft_arena_print(arena, "%s/run/best/%" PRIu64, run->directory, batch);
}

/* The largest number of a file in the directory that is at most `most`, 0 = none; when `removing`, those that are neither `keep` nor `also` go. */
static int look(const char *directory, uint64_t most, bool removing, uint64_t keep, uint64_t also, uint64_t *largest)
{
    DIR *list = opendir(directory);
    struct dirent *entry;
    int result = 0;

    *largest = 0;
    if (!list)
        return errno == ENOENT ? 0 : ft_fail_errno("%s", directory);
    while ((entry = readdir(list))) {
        uint64_t number = strtoull(entry->d_name, NULL, 10);

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (number <= most && number > *largest && !strchr(entry->d_name, '.'))
            *largest = number;
        if (removing && number != keep && number != also && unlinkat(dirfd(list), entry->d_name, 0) < 0)
            result = ft_fail_errno("%s/%s", directory, entry->d_name);
    }
    closedir(list);
    return result;
}

static int write_file(const char *path, const float *block, size_t count, const struct ft_logits *logits)
{
    struct trailer trailer = {.count = count};
    char temporary[4096];
    int fd = ft_file_begin(path, temporary);

    if (fd < 0)
        return -1;
    for (int i = 0; i < FT_LOGITS; i++) {
        trailer.there |= (uint32_t)logits->there[i] << i;
        trailer.logit[i] = logits->there[i] ? logits->value[i] : 0;
    }
    trailer.crc = checksum(block, &trailer);
    if (ft_write_all(fd, block, count * sizeof *block) < 0 || ft_write_all(fd, &trailer, sizeof trailer) < 0) {
        ft_fail_errno("%s", path);
        ft_file_abandon(fd, temporary);
        return -1;
    }
    return ft_file_commit(fd, temporary, path);
}

int ft_best_save(struct ft_run *run, uint64_t batch, const float *block, size_t count, const struct ft_logits *logits, uint64_t checkpoint)
{
    struct ft_arena arena = {0};
    const char *directory = ft_arena_print(&arena, "%s/run/best", run->directory), *path = path_of(run, &arena, batch);
    uint64_t settled, none;
    int result = -1;

    if (directory && path && ft_directory_make(directory) == 0 && write_file(path, block, count, logits) == 0 &&
        look(directory, checkpoint < batch ? checkpoint : batch - 1, false, 0, 0, &settled) == 0)
        result = look(directory, 0, true, batch, settled, &none);
    ft_arena_free(&arena);
    return result;
}

int ft_best_load(struct ft_run *run, uint64_t batch, float *block, size_t count, struct ft_logits *logits)
{
    struct ft_arena arena = {0};
    const char *path = path_of(run, &arena, batch);
    struct trailer trailer;
    const void *data = NULL;
    size_t size = 0, want = count * sizeof *block;
    int result = path ? ft_file_map(path, &data, &size) : -1;

    if (result == 0 && size != want + sizeof trailer)
        result = ft_fail(FT_BAD, "%s: %zu bytes, expected %zu", path, size, want + sizeof trailer);
    if (result == 0) {
        memcpy(&trailer, (const char *)data + want, sizeof trailer);
        if (trailer.count != count || trailer.crc != checksum(data, &trailer))
            result = ft_fail(FT_BAD, "%s: damaged", path);
    }
    if (result == 0) {
        memcpy(block, data, want);
        for (int i = 0; i < FT_LOGITS; i++) {
            logits->there[i] = trailer.there >> i & 1;
            logits->value[i] = trailer.logit[i];
        }
    }
    if (data)
        ft_file_unmap(data, size);
    ft_arena_free(&arena);
    return result;
}

int ft_best_remove_all(struct ft_run *run)
{
    const char *path = ft_run_path(run, "best");

    return path ? ft_directory_remove(path) : -1;
}
