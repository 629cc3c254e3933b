/* header.c - the first record of a stream: what kind it is, how it was made, what its makers want the next tools to know. */
#include "stream/header.h"

#include "base/error.h"
#include "base/tool.h"

#include <string.h>

struct ft_abort_origin ft_abort_origin;

static const char *const kinds[] = {"documents", "batches", "steps"};

/* The fields that struct ft_header names; all others are passed on. */
static const char *const known[] = {"ft", "kind", "history", "seed", "steps", "epochs", "batch", "classes", "fingerprint",
                                    "teacher", "guide", "model", "prompt", "dim", "run", "sets", NULL};

const char *ft_kind_name(enum ft_kind kind)
{
    return kinds[kind];
}

static int read_kind(const msgpack_object *object, enum ft_kind *kind)
{
    struct ft_string name;

    if (!ft_map_string(object, "kind", &name))
        return ft_fail(FT_BAD, "header: no kind, expected documents, batches or steps");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (ft_string_is(name, kinds[i])) {
            *kind = (enum ft_kind)i;
            return 0;
        }
    return ft_fail(FT_BAD, "header: kind '%.*s', expected documents, batches or steps", (int)(name.size < 40 ? name.size : 40), name.data);
}

/* An array of arrays of strings, kept as msgpack bytes. */
static int read_history(struct ft_arena *arena, const msgpack_object *history, struct ft_string *bytes)
{
    msgpack_sbuffer buffer;
    char *copy = NULL;

    if (!history)
        return 0;
    if (history->type != MSGPACK_OBJECT_ARRAY)
        return ft_fail(FT_BAD, "header: history is no array");
    for (uint32_t i = 0; i < history->via.array.size; i++) {
        const msgpack_object *entry = &history->via.array.ptr[i];

        if (entry->type != MSGPACK_OBJECT_ARRAY)
            return ft_fail(FT_BAD, "header: history[%u] is no array of strings", i);
        for (uint32_t j = 0; j < entry->via.array.size; j++)
            if (entry->via.array.ptr[j].type != MSGPACK_OBJECT_STR)
                return ft_fail(FT_BAD, "header: history[%u] is no array of strings", i);
    }
    msgpack_sbuffer_init(&buffer);
    {
        msgpack_packer pk;

        msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
        if (msgpack_pack_object(&pk, *history) < 0)
            ft_fail(FT_SYSTEM, "out of memory");
        else if ((copy = ft_arena_take(arena, buffer.size)))
            memcpy(copy, buffer.data, buffer.size);
    }
    *bytes = (struct ft_string){copy, copy ? buffer.size : 0};
    msgpack_sbuffer_destroy(&buffer);
    return copy ? 0 : -1;
}

int ft_header_read(struct ft_arena *arena, const msgpack_object *object, struct ft_header *header)
{
    const struct { const char *key; uint64_t *value; } numbers[] = {
        {"seed", &header->seed}, {"steps", &header->steps}, {"epochs", &header->epochs}, {"batch", &header->rows},
        {"classes", &header->classes}, {"dim", &header->dim},
    };
    const struct { const char *key; struct ft_string *value; } texts[] = {
        {"fingerprint", &header->fingerprint}, {"model", &header->model}, {"prompt", &header->prompt}, {"run", &header->run},
        {"teacher", &header->teacher}, {"guide", &header->guide},
        {"sets", &header->sets},
    };

    *header = (struct ft_header){.object = object};
    if (read_kind(object, &header->kind) < 0)
        return -1;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (ft_map_get(object, numbers[i].key) && !ft_map_unsigned(object, numbers[i].key, numbers[i].value))
            return ft_fail(FT_BAD, "header: %s: expected a whole number of zero or more", numbers[i].key);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (ft_map_get(object, texts[i].key) && !ft_map_string(object, texts[i].key, texts[i].value))
            return ft_fail(FT_BAD, "header: %s: expected a string", texts[i].key);
    return read_history(arena, ft_map_get(object, "history"), &header->history);
}

static bool is_known(const msgpack_object *key)
{
    for (size_t i = 0; known[i]; i++)
        if (key->type == MSGPACK_OBJECT_STR &&
            ft_string_is(ft_object_string(key), known[i]))
            return true;
    return false;
}

/* The old history's entries follow an array header of 1, 3 or 5 bytes. */
static int pack_history(msgpack_packer *pk, struct ft_string history, int argc, char **argv)
{
    const unsigned char *p = (const unsigned char *)history.data;
    uint32_t entries = 0;
    size_t skip = 0;
    const char *name = argc ? argv[0] : "";

    if (history.size && p[0] >= 0x90 && p[0] <= 0x9f)
        entries = p[0] & 15, skip = 1;
    else if (history.size >= 3 && p[0] == 0xdc)
        entries = (uint32_t)p[1] << 8 | p[2], skip = 3;
    else if (history.size >= 5 && p[0] == 0xdd)
        entries = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4], skip = 5;
    else if (history.size)
        return ft_fail(FT_BAD, "header: history is no array");
    msgpack_pack_array(pk, (size_t)entries + (argc > 0));
    if (history.size > skip)
        pk->callback(pk->data, history.data + skip, history.size - skip);
    if (argc <= 0)
        return 0;
    msgpack_pack_array(pk, (size_t)argc + 1);
    ft_pack_text(pk, strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
    ft_pack_text(pk, FT_VERSION);
    for (int i = 1; i < argc; i++)
        ft_pack_text(pk, argv[i]);
    return 0;
}

int ft_header_pack(msgpack_packer *pk, const struct ft_header *header, int argc, char **argv)
{
    const struct { const char *key; uint64_t value; bool present; } numbers[] = {
        {"steps", header->steps, header->steps || header->kind == FT_BATCHES},
        {"epochs", header->epochs, header->epochs || header->kind == FT_BATCHES},
        {"batch", header->rows, header->rows || header->kind == FT_BATCHES},
        {"classes", header->classes, header->classes || header->kind == FT_BATCHES},
        {"dim", header->dim, header->dim != 0},
    };
    const struct { const char *key; struct ft_string value; } texts[] = {
        {"fingerprint", header->fingerprint}, {"model", header->model}, {"prompt", header->prompt}, {"run", header->run},
        {"teacher", header->teacher}, {"guide", header->guide},
        {"sets", header->sets},
    };
    const msgpack_object *object = header->object;
    uint32_t others = object && object->type == MSGPACK_OBJECT_MAP ? object->via.map.size : 0, fields = 4;

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        fields += numbers[i].present;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        fields += texts[i].value.size != 0;
    for (uint32_t i = 0; i < others; i++)
        fields += !is_known(&object->via.map.ptr[i].key);
    msgpack_pack_map(pk, fields);
    ft_pack_text(pk, "ft"), msgpack_pack_uint64(pk, 1);
    ft_pack_text(pk, "kind"), ft_pack_text(pk, ft_kind_name(header->kind));
    ft_pack_text(pk, "history");
    if (pack_history(pk, header->history, argc, argv) < 0)
        return -1;
    ft_pack_text(pk, "seed"), msgpack_pack_uint64(pk, header->seed);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].present)
            ft_pack_text(pk, numbers[i].key), msgpack_pack_uint64(pk, numbers[i].value);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value.size)
            ft_pack_text(pk, texts[i].key), ft_pack_string(pk, texts[i].value);
    for (uint32_t i = 0; i < others; i++)
        if (!is_known(&object->via.map.ptr[i].key)) {
            msgpack_pack_object(pk, object->via.map.ptr[i].key);
            msgpack_pack_object(pk, object->via.map.ptr[i].val);
        }
    return 0;
}
