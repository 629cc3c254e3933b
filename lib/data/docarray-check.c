/* docarray-check.c - what DocArray's documents are made of, and what its other files begin with. */
#include "base/error.h"
#include "data/docarray.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_RANK = 8, MOST_NESTED = 8 };

enum type { STRING, NUMBER, TAGS, NUMBERS, DOCUMENTS, SCORES, LOCATION, DERIVED };

static const struct { const char *name; enum type type; } fields[] = {
    {"id", STRING}, {"text", STRING}, {"uri", STRING}, {"blob", STRING}, {"mime_type", STRING}, {"modality", STRING}, {"weight", NUMBER},
    {"offset", NUMBER}, {"tags", TAGS}, {"tensor", NUMBERS}, {"embedding", NUMBERS}, {"chunks", DOCUMENTS}, {"matches", DOCUMENTS},
    {"scores", SCORES}, {"evaluations", SCORES}, {"location", LOCATION},
    {"parent_id", DERIVED}, {"granularity", DERIVED}, {"adjacency", DERIVED}, {"mimeType", STRING}, {"parentId", DERIVED},
};

static int find(const char *key)
{
    for (int i = 0; i < (int)(sizeof fields / sizeof *fields); i++)
        if (strcmp(fields[i].name, key) == 0)
            return i;
    return -1;
}

bool ft_docarray_is(const json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
        if (find(key) < 0)
            return false;
    return true;
}

/* The shape of nested lists; -1: no list of numbers, or not all of one length. */
static int measure(const json_t *list, int depth, int *rank, uint64_t *shape)
{
    size_t size = json_array_size(list), i;
    json_t *member;

    if (!json_is_array(list) || size == 0 || depth == MOST_RANK || (depth < *rank && shape[depth] != size))
        return -1;
    shape[depth] = size;
    json_array_foreach(list, i, member) {
        bool deeper = json_is_array(member);

        if (*rank == 0 && !deeper)
            *rank = depth + 1;
        if (deeper != (*rank == 0 || depth + 1 < *rank))
            return -1;
        if (deeper ? measure(member, depth + 1, rank, shape) < 0
                   : !json_is_number(member) && !json_is_boolean(member))
            return -1;
    }
    return 0;
}

static bool is_finite(const json_t *list)
{
    json_t *member;
    size_t i;

    json_array_foreach(list, i, member)
        if (json_is_array(member) ? !is_finite(member) : !isfinite((float)json_number_value(member)))
            return false;
    return true;
}

static float *put_numbers(const json_t *list, float *out)
{
    json_t *member;
    size_t i;

    json_array_foreach(list, i, member)
        if (json_is_array(member))
            out = put_numbers(member, out);
        else
            *out++ = json_is_true(member) ? 1 : (float)json_number_value(member);
    return out;
}

float *ft_docarray_numbers(struct ft_arena *arena, const json_t *list, int *rank, uint64_t *shape, size_t *count)
{
    float *numbers;

    *rank = 0;
    *count = 1;
    if (measure(list, 0, rank, shape) < 0) {
        ft_fail(FT_BAD, "no numbers in lists of one length");
        return NULL;
    }
    for (int i = 0; i < *rank; i++)
        *count *= (size_t)shape[i];
    if ((numbers = ft_arena_take(arena, *count * sizeof *numbers)))
        put_numbers(list, numbers);
    return numbers;
}

static int check_numbers(json_t *document, const char *key, json_t *list)
{
    uint64_t shape[MOST_RANK];
    int rank = 0;

    if (json_is_object(list)) {
        if (!(list = ft_docarray_tensor(list)))
            return ft_error_prefix("\"%s\": ", key);
        if (json_object_set_new(document, key, list) < 0)
            return ft_fail(FT_SYSTEM, "out of memory");
    }
    if (measure(list, 0, &rank, shape) < 0 || !is_finite(list))
        return ft_fail(FT_BAD, "\"%s\": expected finite numbers, or lists of them of one length each", key);
    if (strcmp(key, "embedding") != 0 || rank == 1)
        return 0;
    if (rank > 2 || shape[0] != 1)
        return ft_fail(FT_BAD, "\"embedding\" has %d dimensions, expected one", rank);
    return json_object_set(document, key, json_array_get(list, 0)) < 0 ? ft_fail(FT_SYSTEM, "out of memory") : 0;
}

static bool is_location(const json_t *list)
{
    json_t *member;
    size_t i;

    json_array_foreach(list, i, member)
        if (!json_is_number(member))
            return false;
    return json_is_array(list);
}

/* {"cosine": {"value": 0.3, "op_name": null, ...}, ...} */
static bool make_scores_plain(json_t *scores)
{
    json_t *score, *member;
    const char *key, *name;
    void *next;

    if (!json_is_object(scores))
        return false;
    json_object_foreach(scores, key, score) {
        if (!json_is_object(score) || ft_docarray_rename(score) < 0)
            return false;
        json_object_foreach_safe(score, next, name, member)
            if (json_is_null(member))
                json_object_del(score, name);
        if (!json_object_get(score, "value") && json_object_set_new(score, "value", json_real(0)) < 0)     /* protocol='protobuf' leaves a zero out */
            return false;
    }
    return true;
}

static int check(json_t *document, int depth);

static int check_documents(const char *key, json_t *list, int depth)
{
    json_t *member;
    size_t i;

    if (!json_is_array(list))
        return ft_fail(FT_BAD, "\"%s\": expected a list of documents", key);
    if (depth == MOST_NESTED)
        return ft_fail(FT_BAD, "\"%s\": documents in documents %d deep", key, depth + 1);
    json_array_foreach(list, i, member)
        if (check(member, depth + 1) < 0)
            return ft_error_prefix("%s %zu: ", key, i + 1);
    return 0;
}

/* DocArray's own model of a document (pydantic's smart_union over bool, float, str) makes true of a tag that is the integer 1, and false of 0: of the two that
 * mean something they are numbers. */
static void make_numbers(json_t *tags)
{
    static const char *const numbers[] = {"finetuner_label", "finetuner_score"};

    for (int i = 0; i < 2; i++) {
        const json_t *value = json_object_get(tags, numbers[i]);

        if (json_is_boolean(value))
            json_object_set_new(tags, numbers[i], json_integer(json_is_true(value)));
    }
}

static int check_field(json_t *document, const char *key, json_t *value, enum type type, int depth)
{
    switch (type) {
    case STRING:
        return json_is_string(value) ? 0 : ft_fail(FT_BAD, "\"%s\": expected a string", key);
    case NUMBER:
        return json_is_number(value) ? 0 : ft_fail(FT_BAD, "\"%s\": expected a number", key);
    case TAGS:
        make_numbers(value);
        return json_is_object(value) ? 0 : ft_fail(FT_BAD, "\"%s\": expected an object", key);
    case NUMBERS:
        return check_numbers(document, key, value);
    case DOCUMENTS:
        return check_documents(key, value, depth);
    case SCORES:
        return make_scores_plain(value) ? 0 : ft_fail(FT_BAD, "\"%s\": expected objects with a \"value\" each", key);
    case LOCATION:
        return is_location(value) ? 0 : ft_fail(FT_BAD, "\"%s\": expected numbers", key);
    default:
        return 0;
    }
}

static int check(json_t *document, int depth)
{
    const char *key;
    json_t *value;
    void *next;

    if (!json_is_object(document))
        return ft_fail(FT_BAD, "expected an object, {\"text\": ...}");
    if (ft_docarray_rename(document) < 0)
        return -1;
    json_object_foreach_safe(document, next, key, value) {
        int field = find(key);

        if (json_is_null(value) || (field >= 0 && fields[field].type == DERIVED) || (json_is_array(value) && json_array_size(value) == 0))
            json_object_del(document, key);
        else if (field >= 0 && check_field(document, key, value, fields[field].type, depth) < 0)
            return -1;
    }
    return 0;
}

int ft_docarray_check(json_t *document)
{
    return check(document, 0);
}

/* ---- files that are not read ---- */

static bool begins(struct ft_string head, size_t at, const char *with, size_t size)
{
    return head.size >= at + size && memcmp(head.data + at, with, size) == 0;
}

/* DocArray's name of the compression that begins there, or NULL. */
static const char *compression(struct ft_string head, size_t at)
{
    return begins(head, at, "\x04\x22\x4d\x18", 4) ? "lz4" : begins(head, at, "BZh", 3) ? "bz2" : begins(head, at, "\xfd" "7zXZ", 5) ? "lzma"
         : begins(head, at, "\x1f\x8b", 2) ? "gzip" : begins(head, at, "x\x9c", 2) || begins(head, at, "x\x01", 2) || begins(head, at, "x\xda", 2) ? "zlib"
         : NULL;
}

static bool is_pickle(struct ft_string head, size_t at)
{
    return begins(head, at, "\x80", 1) && head.size > at + 1 && head.data[at + 1] >= 2 && head.data[at + 1] <= 5;
}

/* Field 1 of a message, in which field 1 is a string of 32 digits: a document and its id. Text may begin so, but for the digits. */
static bool is_message(struct ft_string head, size_t at)
{
    size_t digits = 0;

    if (!begins(head, at, "\n", 1))
        return false;
    while (++at < head.size && head.data[at] & 0x80)
        ;
    if (!begins(head, at + 1, "\n ", 2))
        return false;
    for (at += 3; digits < 32 && at + digits < head.size && strchr("0123456789abcdef", head.data[at + digits] ? head.data[at + digits] : ' '); digits++)
        ;
    return digits == 32;
}

/* The protocol, NULL where it is none of save_binary's. Version 1 of a stream of documents: a byte of 1, their number in 8, the first one's length in 4, the
 * first one; of others the array is one pickle or message, or compressed as a whole. */
static const char *protocol_of(struct ft_string head, const char **compress)
{
    enum { STREAM = 1 + 8 + 4 };

    *compress = NULL;
    if (begins(head, 0, "\x01\0\0\0", 4)) {
        *compress = compression(head, STREAM);
        return is_pickle(head, STREAM) || *compress || head.size < STREAM ? "pickle" : begins(head, STREAM, "\n ", 2) ? "protobuf" : NULL;
    }
    *compress = compression(head, 0);
    return is_pickle(head, 0) || *compress ? "pickle-array" : is_message(head, 0) ? "protobuf-array" : NULL;
}

int ft_docarray_refuse(const char *name, struct ft_string head, bool sure)
{
    const char *compress, *protocol = protocol_of(head, &compress);
    bool plain = name && !strpbrk(name, "'\"\\$`!"), stream = protocol && !strchr(protocol, '-');

    if (!protocol || (!sure && !stream && (compress || is_pickle(head, 0)) && !memmem(head.data, head.size < 64 ? head.size : 64, "docarray", 8)))
        return 0;
    return ft_fail(FT_BAD, "a file of DocumentArray.save_binary%s%s, which is not read: convert it%s: "
                   "python3 -c \"from docarray import DocumentArray as A; A.load_binary('%s', '%s'%s%s%s).save_json('%s.json')\"",
                   compress ? ", compressed, perhaps of protocol protobuf" : "", compress && !stream ? "-array" : "",
                   strncmp(protocol, "pickle", 6) == 0 ? ", if you trust it" : "", plain ? name : "FILE", protocol, compress ? ", '" : "",
                   compress ? compress : "", compress ? "'" : "", plain ? name : "FILE");
}
