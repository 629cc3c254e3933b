/* checkpoint.c - parameters, moments and progress on disk: complete under its name, or not there.
 *
 * DIR/run/checkpoints/N/block holds the model's blocks one after another (zero pages are holes: moments of words never seen), `loss` those of
 * what the losses learn, where they do, and state.json the batch, the data's checksum, and of each file its size and CRC-32C. */
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

static int write_part(const char *path, const struct ft_checkpoint_part *part, uint32_t *crc)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), result = 0;

    if (fd < 0)
        return ft_fail_errno("%s", path);
    for (int i = 0; i < part->blocks && result == 0; i++)
        result = write_block(fd, part->block[i], part->count, crc);
    if (result < 0 || ftruncate(fd, (off_t)((size_t)part->blocks * part->count * sizeof(float))) < 0 || fsync(fd) < 0)
        result = ft_fail_errno("%s", path);
    close(fd);
    return result;
}

/* `block` NULL: for the checksum only. */
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
        if (block && memcmp(data + at, piece, n) != 0)
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

/* The files, and of each a line for state.json. */
static int write_parts(struct ft_arena *arena, const char *directory, const struct ft_checkpoint_part *parts, size_t count, struct ft_buffer *lines)
{
    for (size_t i = 0; i < count; i++) {
        const char *path = ft_arena_print(arena, "%s/%s", directory, parts[i].name);
        uint32_t crc = 0;

        if (!path || write_part(path, &parts[i], &crc) < 0 ||
            ft_buffer_print(lines, "%s{\"name\": \"%s\", \"blocks\": %d, \"floats\": %zu, \"crc32c\": %" PRIu32 "}", i ? ", " : "",
                            parts[i].name, parts[i].blocks, parts[i].count, crc) < 0)
            return -1;
    }
    return 0;
}

int ft_checkpoint_save(struct ft_run *run, const struct ft_progress *progress, const struct ft_checkpoint_part *parts, size_t count, long keep)
{
    struct ft_arena arena = {0};
    const char *building = ft_arena_print(&arena, "%s/run/checkpoints/building", run->directory);
    const char *final = ft_arena_print(&arena, "%s/run/checkpoints/%" PRIu64, run->directory, progress->batch);
    const char *parent = ft_arena_print(&arena, "%s/run/checkpoints", run->directory);
    const char *state = ft_arena_print(&arena, "%s/run/checkpoints/building/state.json", run->directory), *text;
    struct ft_buffer lines = {0};
    int result = -1;

    if (building && final && parent && state && ft_directory_make(parent) == 0 &&
        ft_directory_remove(building) == 0 && ft_directory_make(building) == 0 &&
        write_parts(&arena, building, parts, count, &lines) == 0 &&
        (text = ft_arena_print(&arena, "{\"batch\": %" PRIu64 ", \"data\": \"%016" PRIx64 "%016" PRIx64
                               "\", \"steps\": %" PRIu64 ", \"parts\": [%.*s]}\n",
                               progress->batch, progress->data.high, progress->data.low, progress->steps, (int)lines.size, lines.data)) &&
        ft_file_write(state, text, strlen(text)) == 0 && ft_directory_remove(final) == 0) {
        if (rename(building, final) < 0)
            ft_fail_errno("%s", final);
        else if (ft_directory_sync(parent) == 0)
            result = keep_newest(run, keep);
    }
    ft_buffer_free(&lines);
    ft_arena_free(&arena);
    return result;
}

/* What state.json says of one file. */
struct stated {
    char name[32];
    int blocks;
    uint64_t floats;
    uint32_t crc;
};

enum { PARTS = 4 };

static int read_parts(const json_t *array, struct stated stated[PARTS], size_t *count)
{
    *count = json_array_size(array);
    if (*count == 0 || *count > PARTS)
        return -1;
    for (size_t i = 0; i < *count; i++) {
        json_int_t blocks, floats, crc;
        const char *name;

        if (json_unpack(json_array_get(array, i), "{s:s,s:I,s:I,s:I}", "name", &name, "blocks", &blocks, "floats", &floats, "crc32c", &crc) < 0 ||
            blocks < 1 || blocks > FT_CHECKPOINT_BLOCKS || floats < 0 || strlen(name) >= sizeof stated[i].name || strchr(name, '/'))
            return -1;
        stated[i] = (struct stated){.blocks = (int)blocks, .floats = (uint64_t)floats, .crc = (uint32_t)crc};
        memcpy(stated[i].name, name, strlen(name) + 1);
    }
    return 0;
}

static int read_state(struct ft_arena *arena, const char *path, struct ft_progress *progress, struct stated stated[PARTS], size_t *count)
{
    size_t size;
    char *text = ft_file_read(arena, path, 1 << 16, &size);
    json_t *root = text ? json_loadb(text, size, 0, NULL) : NULL, *parts;
    json_int_t batch, steps;
    const char *data;
    int result = -1;

    if (text && (!root || json_unpack(root, "{s:I,s:s,s:I,s:o}", "batch", &batch, "data", &data, "steps", &steps, "parts", &parts) < 0 ||
                 batch < 0 || steps < 0 || read_parts(parts, stated, count) < 0 ||
                 sscanf(data, "%16" SCNx64 "%16" SCNx64, &progress->data.high, &progress->data.low) != 2)) {
        ft_fail(FT_BAD, "%s: not a checkpoint's state", path);
    } else if (text) {
        progress->batch = (uint64_t)batch;
        progress->steps = (uint64_t)steps;
        result = 0;
    }
    json_decref(root);
    return result;
}

/* `part` NULL: for the checksum only. */
static int read_part(const char *path, const struct stated *stated, const struct ft_checkpoint_part *part)
{
    int fd, result = 0;
    uint32_t crc = 0;

    if (part && (stated->floats != part->count || stated->blocks != part->blocks))
        return ft_fail(FT_BAD, "%s: %d times %" PRIu64 " parameters, expected %d times %zu", path, stated->blocks, stated->floats, part->blocks,
                       part->count);
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return ft_fail_errno("%s", path);
    for (int i = 0; i < stated->blocks && result == 0; i++)
        if ((result = read_block(fd, part ? part->block[i] : NULL, (size_t)stated->floats, &crc)) < 0)
            ft_fail(FT_BAD, "%s: cut short", path);
    if (result == 0 && crc != stated->crc)
        result = ft_fail(FT_BAD, "%s: damaged (checksum %08x, expected %08x)", path, crc, stated->crc);
    close(fd);
    return result;
}

/* One checkpoint whole: `part` is read, and other files, unless `only` it is wanted, are checked. 1, or 0 when it has no such part. */
static int load_one(struct ft_run *run, uint64_t number, struct ft_progress *progress, const struct ft_checkpoint_part *part, bool only)
{
    struct ft_arena arena = {0};
    const char *directory = ft_arena_print(&arena, "%s/run/checkpoints/%" PRIu64, run->directory, number);
    const char *state = directory ? ft_arena_print(&arena, "%s/state.json", directory) : NULL;
    struct stated stated[PARTS];
    size_t count = 0;
    int result = state && read_state(&arena, state, progress, stated, &count) == 0 ? 0 : -1;

    for (size_t i = 0; i < count && result >= 0; i++) {
        bool wanted = strcmp(stated[i].name, part->name) == 0;
        const char *path = ft_arena_print(&arena, "%s/%s", directory, stated[i].name);

        if (!wanted && only)
            continue;
        if (!path || read_part(path, &stated[i], wanted ? part : NULL) < 0)
            result = -1;
        else if (wanted)
            result = 1;
    }
    ft_arena_free(&arena);
    return result;
}

int ft_checkpoint_load(struct ft_run *run, struct ft_progress *progress, const struct ft_checkpoint_part *part)
{
    uint64_t numbers[MOST];
    struct ft_error_copy newest;
    size_t found;

    if (list(run, numbers, MOST, &found) < 0)
        return -1;
    for (size_t i = 0; i < found; i++) {
        struct ft_progress read = {0};
        int rc = load_one(run, numbers[i], &read, part, false);

        if (rc == 1) {
            *progress = read;
            return 1;
        }
        if (rc == 0)
            ft_fail(FT_BAD, "%s/run/checkpoints/%" PRIu64 ": has no file %s", run->directory, numbers[i], part->name);
        if (i == 0)
            ft_error_save(&newest);
    }
    if (found)
        ft_error_restore(&newest);
    return found ? -1 : 0;
}

int ft_checkpoint_load_part(struct ft_run *run, uint64_t number, const struct ft_checkpoint_part *part)
{
    struct ft_progress progress;

    return load_one(run, number, &progress, part, true);
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
