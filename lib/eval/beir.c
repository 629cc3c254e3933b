/* beir.c - BEIR's two files of JSON lines into collections. */
#include "eval/beir.h"
#include "base/error.h"
#include "data/lines.h"
#include "eval/qrels.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER = 32 };

/* A string, or where there is room for it a whole number; absent is empty. */
static int read_text(const json_t *object, const char *key, char *room, struct ft_string *text)
{
    const json_t *value = json_object_get(object, key);

    *text = FT_STRING("");
    if (!value || json_is_null(value))
        return 0;
    if (json_is_string(value))
        *text = (struct ft_string){json_string_value(value), json_string_length(value)};
    else if (room && json_is_integer(value))
        *text = (struct ft_string){room, (size_t)snprintf(room, NUMBER, "%lld", (long long)json_integer_value(value))};
    else
        return ft_fail(FT_BAD, "\"%s\" is no text", key);
    return 0;
}

static int read_object(struct ft_arena *arena, const json_t *root, struct ft_string *id, struct ft_string *text)
{
    struct ft_string name, title, body;
    char room[NUMBER], *bytes;

    if (!json_is_object(root))
        return ft_fail(FT_BAD, "expected an object, {\"_id\": ..., \"text\": ...}");
    if (read_text(root, "_id", room, &name) < 0 || read_text(root, "title", NULL, &title) < 0 ||
        read_text(root, "text", NULL, &body) < 0)
        return -1;
    if (!name.size)
        return ft_fail(FT_BAD, "no \"_id\"");
    if (!json_object_get(root, "text"))
        return ft_fail(FT_BAD, "no \"text\"");
    if (!(bytes = ft_arena_take(arena, name.size + title.size + 1 + body.size)))
        return -1;
    memcpy(bytes, name.data, name.size);
    *id = (struct ft_string){bytes, name.size};
    bytes += name.size;
    *text = (struct ft_string){bytes, 0};
    if (title.size) {
        memcpy(bytes, title.data, title.size);
        bytes[title.size] = ' ';
        text->size = title.size + 1;
    }
    if (body.size)
        memcpy(bytes + text->size, body.data, body.size);
    text->size += body.size;
    return 0;
}

int ft_beir_line(struct ft_arena *arena, struct ft_string line, struct ft_string *id, struct ft_string *text)
{
    json_error_t error;
    json_t *root = json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES, &error);
    int result;

    if (!root)
        return ft_fail(FT_BAD, "column %d: %s", error.column, error.text);
    result = read_object(arena, root, id, text);
    json_decref(root);
    return result;
}

static bool is_blank(struct ft_string text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!strchr(" \t\r", text.data[i]) || !text.data[i])
            return false;
    return true;
}

/* The hashes of judged queries, sorted. */
struct judged {
    struct ft_hash *query;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    return ft_hash_compare(*(const struct ft_hash *)a, *(const struct ft_hash *)b);
}

static int read_judged(struct ft_arena *arena, const char *qrels, struct judged *judged)
{
    struct ft_judgement *judgement;

    if (ft_qrels_read(arena, qrels, &judgement, &judged->count) < 0 ||
        !(judged->query = ft_arena_take(arena, judged->count * sizeof *judged->query)))
        return -1;
    for (size_t i = 0; i < judged->count; i++)
        judged->query[i] = judgement[i].query;
    qsort(judged->query, judged->count, sizeof *judged->query, compare);
    return 0;
}

/* 1: taken, 0: not judged, -1. `judged` NULL: all are taken. */
static int add_line(struct ft_collection *c, struct ft_arena *arena, struct ft_string line, const struct judged *judged)
{
    static const msgpack_object nothing = {.type = MSGPACK_OBJECT_MAP};
    struct ft_document document = {.role = FT_NO_ROLE, .object = &nothing};

    ft_arena_reset(arena);
    if (ft_beir_line(arena, line, &document.id, &document.content.text) < 0)
        return -1;
    if (judged) {
        struct ft_hash id = ft_hash_bytes(document.id.data, document.id.size);

        if (!bsearch(&id, judged->query, judged->count, sizeof id, compare))
            return 0;
    }
    return ft_collection_add(c, &document) < 0 ? -1 : 1;
}

static int take_line(struct ft_collection *c, struct ft_arena *arena, const struct ft_line *line, const struct judged *judged,
                     unsigned long *records)
{
    int added = 0;

    if (line->fault)
        return ft_fail(FT_BAD, "%s", line->fault);
    if (!is_blank(line->text))
        added = add_line(c, arena, line->text, judged);
    *records += added > 0;
    return added < 0 ? -1 : 0;
}

static int read_lines(struct ft_lines *lines, struct ft_collection *c, const struct judged *judged, unsigned long *records)
{
    const struct ft_header header = {.kind = FT_DOCUMENTS};
    struct ft_arena arena = {NULL};
    struct ft_line line;
    int more = 1, result = ft_collection_start(c, &header);

    while (result == 0 && (more = ft_lines_next(lines, &line)) > 0)
        if ((result = take_line(c, &arena, &line, judged, records)) < 0)
            ft_error_prefix("%s:%lu: ", ft_lines_name(lines), line.number);
    ft_arena_free(&arena);
    return result < 0 || more < 0 ? -1 : ft_collection_flush(c);
}

static int read_file(const char *folder, const char *name, struct ft_collection *c, const struct judged *judged, unsigned long *records)
{
    struct ft_arena arena = {NULL};
    const char *path = ft_arena_print(&arena, "%s/%s", folder, name);
    struct ft_lines *lines = path ? ft_lines_open(path, NULL) : NULL;
    int result = lines ? read_lines(lines, c, judged, records) : -1;

    ft_lines_close(lines);
    ft_arena_free(&arena);
    return result;
}

int ft_beir_read(const char *folder, const char *qrels, struct ft_collection *queries, struct ft_collection *index, unsigned long *records)
{
    struct ft_arena arena = {NULL};
    struct judged judged;
    int result = -1;

    if (read_judged(&arena, qrels, &judged) == 0 && read_file(folder, "queries.jsonl", queries, &judged, records) == 0)
        result = read_file(folder, "corpus.jsonl", index, NULL, records);
    ft_arena_free(&arena);
    return result;
}
