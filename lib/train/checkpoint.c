/* checkpoint.c - parameters, moments and progress on disk: complete under its name, or not there.
 *
 * DIR/run/checkpoints/N/block holds the three blocks one after another (zero pages are holes: moments of words never seen), and
 * state.json the batch, the data's checksum, and the CRC-32C of the block. */
#include "base/error.h"
#include "base/file.h"
#include "train/run.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 16 };

static bool all_zero(const char *data, size_t size)
{
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static int write_block(int fd, const float *block, size_t count, uint32_t *crc)
{
    const char *data = (const char *)block;
    size_t size = count * sizeof *block, n;

    for (size_t at = 0; at < size; at += n) {
        n = size - at < PIECE ? size - at : PIECE;
        *crc = ft_crc32c(*crc, data + at, n);
        if (all_zero(data + at, n) ? lseek(fd, (off_t)n, SEEK_CUR) < 0 : ft_write_all(fd, data + at, n) < 0)
            return -1;
    }
    return 0;
}

static int write_blocks(const char *path, const float *const blocks[3], size_t count, uint32_t *crc)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), result = 0;

    if (fd < 0)
        return ft_fail_errno("%s", path);
    for (int i = 0; i < 3 && result == 0; i++)
        result = write_block(fd, blocks[i], count, crc);
    if (result < 0 || ftruncate(fd, (off_t)(3 * count * sizeof(float))) < 0 || fsync(fd) < 0)
        result = ft_fail_errno("%s", path);
    close(fd);
    return result;
}

static int read_block(int fd, float *block, size_t count, uint32_t *crc)
{
    char *data = (char *)block, piece[PIECE];
    size_t size = count * sizeof *block, n;

    for (size_t at = 0; at < size; at += n) {
        n = size - at < PIECE ? size - at : PIECE;
        for (size_t got = 0; got < n;) {
            ssize_t r = read(fd, piece + got, n - got);

            if (r < 0 && errno == EINTR)
                continue;
            if (r <= 0)
                return -1;
            got += (size_t)r;
        }
        *crc = ft_crc32c(*crc, piece, n);
        /* What is zero on both sides stays untouched, and so costs no memory. */
        if (memcmp(data + at, piece, n) != 0)
            memcpy(data + at, piece, n);
    }
    return 0;
}

/* Batch numbers of the checkpoints there are, largest first; the largest `most` of them. */
static int list(struct ft_run *run, uint64_t *numbers, size_t most, size_t *count)
{
    const char *path = ft_run_path(run, "checkpoints");
    DIR *directory = path ? opendir(path) : NULL;
    struct dirent *entry;

    *count = 0;
    if (!directory)
        return path && errno == ENOENT ? 0 : ft_fail_errno("%s/run/checkpoints", run->directory);
    while ((entry = readdir(directory))) {
        char *end;
        uint64_t number = strtoull(entry->d_name, &end, 10);
        size_t i = *count;

        if (!isdigit((unsigned char)entry->d_name[0]) || *end)
            continue;
        if (*count < most)
            (*count)++;
        else if (numbers[--i] >= number)
            continue;
        for (; i && numbers[i - 1] < number; i--)
            numbers[i] = numbers[i - 1];
        numbers[i] = number;
    }
    closedir(directory);
    return 0;
}

enum { MOST = 4096 };

/* Under another name first: a checkpoint of which half is gone must not pass for one. */
static int remove_whole(struct ft_run *run, const char *name, const char *going)
{
    const char *path = ft_run_path(run, name), *away = ft_run_path(run, going);

    if (!path || !away || ft_directory_remove(away) < 0)
        return -1;
    if (rename(path, away) < 0)
        return errno == ENOENT ? 0 : ft_fail_errno("%s", path);
    return ft_directory_remove(away);
}

static int keep_newest(struct ft_run *run, long keep)
{
    uint64_t numbers[MOST];
    size_t count;
    char name[64];

    if (list(run, numbers, MOST, &count) < 0)
        return -1;
    for (size_t i = (size_t)(keep > 1 ? keep : 1); i < count; i++) {
        snprintf(name, sizeof name, "checkpoints/%" PRIu64, numbers[i]);
        if (remove_whole(run, name, "checkpoints/going") < 0)
            return -1;
    }
    return 0;
}

int ft_checkpoint_save(struct ft_run *run, const struct ft_progress *progress, const float *const blocks[3], size_t count, long keep)
{
    struct ft_arena arena = {0};
    const char *building = ft_arena_print(&arena, "%s/run/checkpoints/building", run->directory);
    const char *final = ft_arena_print(&arena, "%s/run/checkpoints/%" PRIu64, run->directory, progress->batch);
    const char *parent = ft_arena_print(&arena, "%s/run/checkpoints", run->directory);
    const char *block = ft_arena_print(&arena, "%s/run/checkpoints/building/block", run->directory);
    const char *state = ft_arena_print(&arena, "%s/run/checkpoints/building/state.json", run->directory), *text;
    uint32_t crc = 0;
    int result = -1;

    if (building && final && parent && block && state && ft_directory_make(parent) == 0 &&
        ft_directory_remove(building) == 0 && ft_directory_make(building) == 0 &&
        write_blocks(block, blocks, count, &crc) == 0 &&
        (text = ft_arena_print(&arena, "{\"batch\": %" PRIu64 ", \"data\": \"%016" PRIx64 "%016" PRIx64
                               "\", \"steps\": %" PRIu64 ", \"floats\": %zu, \"crc32c\": %" PRIu32 "}\n",
                               progress->batch, progress->data.high, progress->data.low, progress->steps, count, crc)) &&
        ft_file_write(state, text, strlen(text)) == 0 && ft_directory_remove(final) == 0) {
        if (rename(building, final) < 0)
            ft_fail_errno("%s", final);
        else if (ft_directory_sync(parent) == 0)
            result = keep_newest(run, keep);
    }
    ft_arena_free(&arena);
    return result;
}

static int read_state(struct ft_arena *arena, const char *path, struct ft_progress *progress, uint64_t *floats, uint32_t *crc)
{
    size_t size;
    char *text = ft_file_read(arena, path, 1 << 16, &size);
    json_t *root = text ? json_loadb(text, size, 0, NULL) : NULL;
    json_int_t batch, steps, count, sum;
    const char *data;
    int result = -1;

    if (text && (!root || json_unpack(root, "{s:I,s:s,s:I,s:I,s:I}", "batch", &batch, "data", &data, "steps", &steps,
                                      "floats", &count, "crc32c", &sum) < 0 || batch < 0 || steps < 0 || count < 0 ||
                 sscanf(data, "%16" SCNx64 "%16" SCNx64, &progress->data.high, &progress->data.low) != 2)) {
        ft_fail(FT_BAD, "%s: not a checkpoint's state", path);
    } else if (text) {
        progress->batch = (uint64_t)batch;
        progress->steps = (uint64_t)steps;
        *floats = (uint64_t)count;
        *crc = (uint32_t)sum;
        result = 0;
    }
    json_decref(root);
    return result;
}

static int load_one(struct ft_run *run, uint64_t number, struct ft_progress *progress, float *const blocks[3], size_t count)
{
    struct ft_arena arena = {0};
    const char *block = ft_arena_print(&arena, "%s/run/checkpoints/%" PRIu64 "/block", run->directory, number);
    const char *state = ft_arena_print(&arena, "%s/run/checkpoints/%" PRIu64 "/state.json", run->directory, number);
    uint32_t want = 0, crc = 0;
    uint64_t floats = 0;
    int result = -1, fd = -1;

    if (!block || !state || read_state(&arena, state, progress, &floats, &want) < 0)
        goto out;
    if (floats != count) {
        ft_fail(FT_BAD, "%s: %" PRIu64 " parameters, the model has %zu", state, floats, count);
        goto out;
    }
    if ((fd = open(block, O_RDONLY | O_CLOEXEC)) < 0) {
        ft_fail_errno("%s", block);
        goto out;
    }
    result = 0;
    for (int i = 0; i < 3 && result == 0; i++)
        if ((result = read_block(fd, blocks[i], count, &crc)) < 0)
            ft_fail(FT_BAD, "%s: cut short", block);
    if (result == 0 && crc != want)
        result = ft_fail(FT_BAD, "%s: damaged (checksum %08x, expected %08x)", block, crc, want);
out:
    if (fd >= 0)
        close(fd);
    ft_arena_free(&arena);
    return result;
}

int ft_checkpoint_load(struct ft_run *run, struct ft_progress *progress, float *const blocks[3], size_t count)
{
    uint64_t numbers[MOST];
    struct ft_error_copy newest;
    size_t found;

    if (list(run, numbers, MOST, &found) < 0)
        return -1;
    for (size_t i = 0; i < found; i++) {
        struct ft_progress read = {0};

        if (load_one(run, numbers[i], &read, blocks, count) == 0) {
            *progress = read;
            return 1;
        }
        if (i == 0)
            ft_error_save(&newest);
    }
    if (found)
        ft_error_restore(&newest);
    return found ? -1 : 0;
}

bool ft_checkpoint_any(struct ft_run *run)
{
    uint64_t number;
    size_t found;

    return list(run, &number, 1, &found) == 0 && found;
}

int ft_checkpoint_remove_all(struct ft_run *run)
{
    /* That they are gone is what says that the run is finished, so they go at once. */
    return remove_whole(run, "checkpoints", "going");
}
