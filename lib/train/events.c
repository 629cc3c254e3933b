/* events.c - lines of the log as protocol buffers in TFRecords. */
#include "train/events.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/protobuf.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ft_events {
    const char *path;
    FILE *file;
    struct ft_buffer record, summary, value;
};

/* Of a number that is zero nothing is written, as protocol buffers have it. */
static int put_integer(struct ft_buffer *out, unsigned field, uint64_t number)
{
    return number == 0 ? 0 : ft_protobuf_integer(out, field, number);
}

static int put_double(struct ft_buffer *out, unsigned field, double number)
{
    return number == 0 ? 0 : ft_protobuf_double(out, field, number);
}

static int put_little(struct ft_buffer *out, uint64_t number, size_t size)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    return ft_buffer_add(out, bytes, size);
}

static uint32_t masked(const void *data, size_t size)
{
    uint32_t crc = ft_crc32c(0, data, size);

    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static int write_record(struct ft_events *e)
{
    struct ft_buffer *frame = &e->value;

    frame->size = 0;
    if (put_little(frame, e->record.size, 8) < 0 || put_little(frame, masked(frame->data, 8), 4) < 0 ||
        ft_buffer_add(frame, e->record.data, e->record.size) < 0 ||
        put_little(frame, masked(e->record.data, e->record.size), 4) < 0)
        return -1;
    if (fwrite(frame->data, 1, frame->size, e->file) != frame->size || fflush(e->file) != 0)
        return ft_fail_errno("%s", e->path);
    return 0;
}

struct ft_events *ft_events_open(const char *path)
{
    struct ft_events *e = calloc(1, sizeof *e);
    static const char version[] = "brain.Event:2";

    if (!e || !(e->path = strdup(path)))
        ft_fail(FT_SYSTEM, "out of memory");
    else if (!(e->file = fopen(path, "we")))
        ft_fail_errno("%s", path);
    else if (ft_protobuf_bytes(&e->record, 3, version, sizeof version - 1) == 0 && write_record(e) == 0)
        return e;
    ft_events_close(e);
    return NULL;
}

void ft_events_close(struct ft_events *e)
{
    if (!e)
        return;
    if (e->file)
        fclose(e->file);
    ft_buffer_free(&e->record);
    ft_buffer_free(&e->summary);
    ft_buffer_free(&e->value);
    free((char *)e->path);
    free(e);
}

static bool is_scalar(const char *key, const json_t *value)
{
    static const char *const others[] = {"step", "steps", "evaluation", "epoch", "texts", "queries", "seconds", "time", NULL};

    for (const char *const *other = others; *other; other++)
        if (strcmp(key, *other) == 0)
            return false;
    return json_is_number(value);
}

static int put_summary(struct ft_events *e, json_t *line)
{
    const char *key;
    json_t *value;

    e->summary.size = 0;
    json_object_foreach(line, key, value) {
        if (!is_scalar(key, value))
            continue;
        e->value.size = 0;
        if (ft_protobuf_text(&e->value, 1, key) < 0 || ft_protobuf_float(&e->value, 2, (float)json_number_value(value)) < 0 ||
            ft_protobuf_bytes(&e->summary, 1, e->value.data, e->value.size) < 0)
            return -1;
    }
    return ft_protobuf_bytes(&e->record, 5, e->summary.data, e->summary.size);
}

int ft_events_add(struct ft_events *e, const char *text, size_t size)
{
    json_t *line = json_loadb(text, size, 0, NULL), *step = json_object_get(line, "step");
    int result = -1;

    if (!step)
        step = json_object_get(line, "evaluation");
    e->record.size = 0;
    if (!json_is_integer(step))
        ft_fail(FT_BAD, "%s: a line of the log is neither a step nor an evaluation", e->path);
    else if (put_double(&e->record, 1, json_number_value(json_object_get(line, "time"))) == 0 &&
             put_integer(&e->record, 2, (uint64_t)json_integer_value(step)) == 0 && put_summary(e, line) == 0)
        result = write_record(e);
    json_decref(line);
    return result;
}
