/* log.c - the log of a run: cut to where it goes on, written a line at a time. */
#include "train/log.h"
#include "base/error.h"
#include "base/file.h"
#include "train/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct ft_log {
    const char *path;
    FILE *file;
    struct ft_events *events;    /* or NULL */
};

bool ft_log_number(const char *line, const char *key, uint64_t *number)
{
    size_t size = strlen(key);
    char *end;

    if (strncmp(line, "{\"", 2) != 0 || strncmp(line + 2, key, size) != 0 || strncmp(line + 2 + size, "\": ", 3) != 0)
        return false;
    *number = strtoull(line + size + 5, &end, 10);
    return end > line + size + 5;
}

char *ft_log_read(struct ft_run *run, struct ft_arena *arena, size_t *size)
{
    const char *path = ft_run_path(run, "log.jsonl");

    *size = 0;
    if (!path)
        return NULL;
    return ft_file_exists(path) ? ft_file_read(arena, path, (size_t)1 << 30, size) : ft_arena_text(arena, FT_STRING(""));
}

/* Bytes of the lines up to `batch`. */
static size_t lines_until(const char *text, size_t size, uint64_t batch)
{
    size_t kept = 0;
    uint64_t number;

    for (const char *line = text, *end; (end = memchr(line, '\n', size - (size_t)(line - text))); line = end + 1) {
        if (!(ft_log_number(line, "step", &number) || ft_log_number(line, "evaluation", &number)) || number > batch)
            break;
        kept = (size_t)(end + 1 - text);
    }
    return kept;
}

static int mirror(struct ft_log *log, struct ft_run *run, const char *text, size_t size)
{
    const char *path = ft_run_path(run, FT_EVENTS_FILE);

    if (!path || !(log->events = ft_events_open(path)))
        return -1;
    for (const char *line = text, *end; (end = memchr(line, '\n', size - (size_t)(line - text))); line = end + 1)
        if (ft_events_add(log->events, line, (size_t)(end - line)) < 0)
            return -1;
    return 0;
}

static int open_files(struct ft_log *log, struct ft_run *run, uint64_t batch, bool tensorboard)
{
    struct ft_arena arena = {0};
    size_t size, kept;
    char *text;
    int result = -1;

    if ((log->path = ft_run_path(run, "log.jsonl")) && (text = ft_log_read(run, &arena, &size))) {
        kept = lines_until(text, size, batch);
        if ((size && truncate(log->path, (off_t)kept) < 0) || !(log->file = fopen(log->path, "ae")))
            ft_fail_errno("%s", log->path);
        else
            result = tensorboard ? mirror(log, run, text, kept) : 0;
    }
    ft_arena_free(&arena);
    return result;
}

struct ft_log *ft_log_open(struct ft_run *run, uint64_t batch, bool tensorboard)
{
    struct ft_log *log = calloc(1, sizeof *log);

    if (!log) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    if (open_files(log, run, batch, tensorboard) == 0)
        return log;
    ft_log_close(log);
    return NULL;
}

void ft_log_close(struct ft_log *log)
{
    if (!log)
        return;
    if (log->file)
        fclose(log->file);
    ft_events_close(log->events);
    free(log);
}

int ft_log_add(struct ft_log *log, const char *line)
{
    struct ft_buffer whole = {0};
    struct timespec now;
    int result = -1;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ft_buffer_print(&whole, "%.*s, \"time\": %.3f}\n", (int)strlen(line) - 1, line, (double)now.tv_sec + (double)now.tv_nsec * 1e-9) == 0) {
        if (fwrite(whole.data, 1, whole.size, log->file) != whole.size || fflush(log->file) != 0)
            ft_fail_errno("%s", log->path);
        else
            result = log->events ? ft_events_add(log->events, whole.data, whole.size - 1) : 0;
    }
    ft_buffer_free(&whole);
    return result;
}

int ft_log_sync(struct ft_log *log)
{
    return fsync(fileno(log->file)) < 0 ? ft_fail_errno("%s", log->path) : 0;
}
