/* test-events.c - the log of a run, and the event file beside it: TensorBoard's own bytes for the same lines; cut where a run goes on. */
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "train/events.h"
#include "train/log.h"
#include "../tap.h"

#include <stdlib.h>
#include <unistd.h>

static struct ft_arena arena;
static char place[] = "/tmp/ft-test-events-XXXXXX";

static const char *in(const char *name)
{
    return ft_arena_print(&arena, "%s/%s", place, name);
}

static char *read_file(const char *path, size_t *size)
{
    char *data = ft_file_read(&arena, path, 1 << 20, size);

    if (!data)
        printf("# %s\n", ft_error());
    return data;
}

static size_t from_hex(char *data)
{
    unsigned char *out = (unsigned char *)data;
    unsigned byte;
    int used;

    for (const char *at = data; sscanf(at, " %2x%n", &byte, &used) == 1; at += used)
        *out++ = (unsigned char)byte;
    return (size_t)(out - (unsigned char *)data);
}

static void check_bytes(void)
{
    struct ft_events *events = ft_events_open(in("events"));
    size_t size, want_size, got_size;
    char *log = read_file("tests/golden/events/log.jsonl", &size), *want = read_file("tests/golden/events/events.hex", &want_size), *got;
    int failed = 0;

    for (char *line = log, *end; events && (end = strchr(line, '\n')); line = end + 1)
        failed |= ft_events_add(events, line, (size_t)(end - line));
    ft_events_close(events);
    want_size = from_hex(want);
    got = read_file(in("events"), &got_size);
    ok(!failed && got_size == want_size && want_size > 300 && memcmp(got, want, want_size) == 0,
       "%zu bytes, as TensorBoard's writer makes them (%zu)", got_size, want_size);
}

static void check_refused(void)
{
    static const char *const bad[] = {"", "{", "[1]", "{\"loss\": 1}", "{\"step\": \"1\"}"};
    struct ft_events *events = ft_events_open(in("refused"));
    int refused = 0;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused += ft_events_add(events, bad[i], strlen(bad[i])) < 0;
    ft_events_close(events);
    ok(refused == 5, "lines that are neither a step nor an evaluation are refused");
    ok(!ft_events_open(in("no/such/place")) && ft_error_status() == FT_SYSTEM, "and a place that is none");
}

static const struct ft_settings settings = {
    .model = "/nowhere", .model_checksum = "00000000", .optimizer = "adamw", .precision = "fp32", .schedule = "linear", .lr = 1e-4, .warmup = .1, .clip = 1};

/* Records of the event file; -1 when one is damaged. */
static int count_records(struct ft_run *run)
{
    size_t size, at = 0;
    char *data = read_file(ft_run_path(run, FT_EVENTS_FILE), &size);
    int count = 0;

    for (uint64_t length; at < size; at += 16 + length, count++) {
        uint32_t crc;

        if (size - at < 16)
            return -1;
        memcpy(&length, data + at, 8);
        if (length > size - at - 16)
            return -1;
        memcpy(&crc, data + at + 12 + length, 4);
        crc -= 0xa282ead8u;
        if ((crc << 15 | crc >> 17) != ft_crc32c(0, data + at + 12, length))
            return -1;
    }
    return count;
}

static int count_lines(struct ft_run *run)
{
    size_t size;
    char *text = ft_log_read(run, &arena, &size);
    int count = 0;

    for (size_t i = 0; i < size; i++)
        count += text[i] == '\n';
    return count;
}

/* Steps 1 .. last, evaluations 0 and 2. */
static void fill(struct ft_run *run, int last)
{
    struct ft_log *log = ft_log_open(run, 0, true);

    ft_log_add(log, "{\"evaluation\": 0, \"map\": 0.5}");
    for (int i = 1; i <= last; i++) {
        ft_log_add(log, ft_arena_print(&arena, "{\"step\": %d, \"loss\": %d}", i, i));
        if (i == 2)
            ft_log_add(log, "{\"evaluation\": 2, \"map\": 0.5}");
    }
    ft_log_close(log);
}

static void check_cut(void)
{
    struct ft_run *run = ft_run_create(in("run"), &settings, 0, NULL) == 0 ? ft_run_open(in("run")) : NULL;
    uint64_t number;
    size_t size;

    fill(run, 5);
    ok(count_lines(run) == 7 && count_records(run) == 8, "a line and an event for each, and the version");
    ft_log_close(ft_log_open(run, 2, true));
    ok(count_lines(run) == 4 && count_records(run) == 5, "cut to batch 2, its evaluation kept");
    ft_log_close(ft_log_open(run, 1, true));
    ok(count_lines(run) == 2 && count_records(run) == 3, "cut to batch 1");
    ok(ft_log_number(ft_log_read(run, &arena, &size), "evaluation", &number) && number == 0, "the first line is the evaluation before training");
    ok(!ft_log_number("{\"step\": x}", "step", &number) && !ft_log_number("{\"steps\": 1}", "step", &number) &&
       !ft_log_number("", "step", &number), "what is no such line");
    ok(truncate(ft_run_path(run, "log.jsonl"), 20) == 0 && count_lines(run) == 0, "a line that is cut short");
    ft_log_close(ft_log_open(run, 5, true));
    ok(count_records(run) == 1 && ft_log_read(run, &arena, &size) && size == 0, "is dropped");
    ft_run_close(run);
}

int main(void)
{
    if (!mkdtemp(place))
        return 1;
    check_bytes();
    check_refused();
    check_cut();
    ok(ft_directory_remove(place) == 0, "removed");
    ft_arena_free(&arena);
    return done();
}
