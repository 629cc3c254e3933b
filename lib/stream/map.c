/* map.c - looking things up in decoded maps, and packing strings. */
#include "stream/stream.h"

#include <string.h>

/* Python writers disagree on whether a key is text or bytes (msgpack-numpy's are bytes), so both are the same key here. */
static bool key_is(const msgpack_object *key, const char *name, size_t size)
{
    if (key->type == MSGPACK_OBJECT_STR)
        return key->via.str.size == size && memcmp(key->via.str.ptr, name, size) == 0;
    return key->type == MSGPACK_OBJECT_BIN && key->via.bin.size == size && memcmp(key->via.bin.ptr, name, size) == 0;
}

const msgpack_object *ft_map_get(const msgpack_object *map, const char *key)
{
    size_t size = strlen(key);

    if (!map || map->type != MSGPACK_OBJECT_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++)
        if (key_is(&map->via.map.ptr[i].key, key, size))
            return &map->via.map.ptr[i].val;
    return NULL;
}

struct ft_string ft_object_string(const msgpack_object *object)
{
    return (struct ft_string){object->via.str.size ? object->via.str.ptr : "", object->via.str.size};
}

bool ft_map_string(const msgpack_object *map, const char *key, struct ft_string *value)
{
    const msgpack_object *found = ft_map_get(map, key);

    if (!found || found->type != MSGPACK_OBJECT_STR)
        return false;
    *value = ft_object_string(found);
    return true;
}

bool ft_map_unsigned(const msgpack_object *map, const char *key, uint64_t *value)
{
    const msgpack_object *found = ft_map_get(map, key);

    if (!found || found->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return false;
    *value = found->via.u64;
    return true;
}

bool ft_map_number(const msgpack_object *map, const char *key, double *value)
{
    const msgpack_object *found = ft_map_get(map, key);

    if (!found)
        return false;
    switch (found->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *value = (double)found->via.u64;
        return true;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *value = (double)found->via.i64;
        return true;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *value = found->via.f64;
        return true;
    default:
        return false;
    }
}

void ft_pack_string(msgpack_packer *pk, struct ft_string text)
{
    msgpack_pack_str(pk, text.size);
    if (text.size)
        msgpack_pack_str_body(pk, text.data, text.size);
}
