/* decode.c - whole records that the scanner has passed, as msgpack-c's objects; and which record is what.
 *
 * The scanner (scan.h) has seen that the object is whole, within the limits and at most FT_LIMIT_DEPTH deep, so nothing is checked a second
 * time here, and no state is kept between bytes: that is what msgpack-c's unpacker spends most of its time on, which was half of the
 * reading of short documents. The objects are those that it makes (tests/fuzz/fuzz-stream.c compares them): strings lie in the record,
 * arrays and maps in the zone. */
#include "base/error.h"
#include "stream/stream.h"

struct decoder {
    const unsigned char *p;
    msgpack_zone *zone;
};

static inline uint64_t take_number(struct decoder *d, int size)
{
    uint64_t number = 0;

    for (int i = 0; i < size; i++)
        number = number << 8 | *d->p++;
    return number;
}

static inline const char *take_bytes(struct decoder *d, size_t size)
{
    const unsigned char *bytes = d->p;

    d->p += size;
    return (const char *)bytes;
}

static void take_unsigned(struct decoder *d, int size, msgpack_object *object)
{
    object->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
    object->via.u64 = take_number(d, size);
}

/* Positive ones are as the unsigned. */
static void take_signed(struct decoder *d, int size, msgpack_object *object)
{
    int unused = 64 - 8 * size;

    object->via.i64 = (int64_t)(take_number(d, size) << unused) >> unused;
    object->type = object->via.i64 < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER;
}

static void take_float(struct decoder *d, msgpack_object *object)
{
    uint32_t bits = (uint32_t)take_number(d, sizeof bits);
    float number;

    memcpy(&number, &bits, sizeof number);
    object->type = MSGPACK_OBJECT_FLOAT32;
    object->via.f64 = number;
}

static void take_double(struct decoder *d, msgpack_object *object)
{
    uint64_t bits = take_number(d, sizeof bits);

    object->type = MSGPACK_OBJECT_FLOAT64;
    memcpy(&object->via.f64, &bits, sizeof bits);
}

static inline void take_text(struct decoder *d, uint32_t size, msgpack_object *object)
{
    object->type = MSGPACK_OBJECT_STR;
    object->via.str.size = size;
    object->via.str.ptr = take_bytes(d, size);
}

static void take_binary(struct decoder *d, uint32_t size, msgpack_object *object)
{
    object->type = MSGPACK_OBJECT_BIN;
    object->via.bin.size = size;
    object->via.bin.ptr = take_bytes(d, size);
}

static void take_extension(struct decoder *d, uint32_t size, msgpack_object *object)
{
    object->type = MSGPACK_OBJECT_EXT;
    object->via.ext.type = (int8_t)*d->p++;
    object->via.ext.size = size;
    object->via.ext.ptr = take_bytes(d, size);
}

static int take_object(struct decoder *d, msgpack_object *object);

static int take_array(struct decoder *d, uint32_t count, msgpack_object *object)
{
    msgpack_object *items = msgpack_zone_malloc(d->zone, (size_t)count * sizeof *items);

    object->type = MSGPACK_OBJECT_ARRAY;
    object->via.array.size = count;
    if (!(object->via.array.ptr = items))
        return -1;
    for (uint32_t i = 0; i < count; i++)
        if (take_object(d, &items[i]) < 0)
            return -1;
    return 0;
}

static int take_map(struct decoder *d, uint32_t count, msgpack_object *object)
{
    msgpack_object_kv *entries = msgpack_zone_malloc(d->zone, (size_t)count * sizeof *entries);

    object->type = MSGPACK_OBJECT_MAP;
    object->via.map.size = count;
    if (!(object->via.map.ptr = entries))
        return -1;
    for (uint32_t i = 0; i < count; i++)
        if (take_object(d, &entries[i].key) < 0 || take_object(d, &entries[i].val) < 0)
            return -1;
    return 0;
}

/* What begins with 0xc0 to 0xdf (0xc1, which begins nothing, the scanner refuses). */
static int take_long(struct decoder *d, unsigned char first, msgpack_object *object)
{
    switch (first) {
    case 0xc2: case 0xc3:
        object->type = MSGPACK_OBJECT_BOOLEAN;
        object->via.boolean = first & 1;
        break;
    case 0xc4: case 0xc5: case 0xc6:
        take_binary(d, (uint32_t)take_number(d, 1 << (first - 0xc4)), object);
        break;
    case 0xc7: case 0xc8: case 0xc9:
        take_extension(d, (uint32_t)take_number(d, 1 << (first - 0xc7)), object);
        break;
    case 0xca:
        take_float(d, object);
        break;
    case 0xcb:
        take_double(d, object);
        break;
    case 0xcc: case 0xcd: case 0xce: case 0xcf:
        take_unsigned(d, 1 << (first - 0xcc), object);
        break;
    case 0xd0: case 0xd1: case 0xd2: case 0xd3:
        take_signed(d, 1 << (first - 0xd0), object);
        break;
    case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8:
        take_extension(d, 1u << (first - 0xd4), object);
        break;
    case 0xd9: case 0xda: case 0xdb:
        take_text(d, (uint32_t)take_number(d, 1 << (first - 0xd9)), object);
        break;
    case 0xdc: case 0xdd:
        return take_array(d, (uint32_t)take_number(d, 2 << (first - 0xdc)), object);
    case 0xde: case 0xdf:
        return take_map(d, (uint32_t)take_number(d, 2 << (first - 0xde)), object);
    default:
        object->type = MSGPACK_OBJECT_NIL;
    }
    return 0;
}

static int take_object(struct decoder *d, msgpack_object *object)
{
    unsigned char first = *d->p++;

    if (first >= 0xa0 && first <= 0xbf) {
        take_text(d, first & 31, object);
    } else if (first < 0x80) {
        object->type = MSGPACK_OBJECT_POSITIVE_INTEGER;
        object->via.u64 = first;
    } else if (first < 0x90) {
        return take_map(d, first & 15, object);
    } else if (first < 0xa0) {
        return take_array(d, first & 15, object);
    } else if (first >= 0xe0) {
        object->type = MSGPACK_OBJECT_NEGATIVE_INTEGER;
        object->via.i64 = (int8_t)first;
    } else {
        return take_long(d, first, object);
    }
    return 0;
}

int ft_record_decode(msgpack_zone *zone, struct ft_string bytes, struct ft_record *record)
{
    struct decoder d = {(const unsigned char *)bytes.data, zone};

    record->bytes = bytes;
    if (take_object(&d, &record->object) < 0)
        return ft_fail(FT_SYSTEM, "out of memory for a record of %zu bytes", bytes.size);
    return record->object.type == MSGPACK_OBJECT_MAP ? 0 : ft_fail(FT_BAD, "expected a map");
}

/* Keys are str or bin, as for ft_map_get. */
static enum ft_record_type type_of_key(const msgpack_object *key)
{
    bool text = key->type == MSGPACK_OBJECT_STR;
    const char *name = text ? key->via.str.ptr : key->via.bin.ptr;
    uint32_t size = text ? key->via.str.size : key->via.bin.size;

    if (!text && key->type != MSGPACK_OBJECT_BIN)
        return FT_RECORD;
    if (size == 2 && memcmp(name, "ft", 2) == 0)
        return FT_HEADER;
    if (size == 3 && memcmp(name, "end", 3) == 0)
        return FT_END;
    return size == 5 && memcmp(name, "abort", 5) == 0 ? FT_ABORT : FT_RECORD;
}

/* Where there are several of these keys, the first of header, end, abort. */
enum ft_record_type ft_record_type(const struct ft_record *record)
{
    const msgpack_object_map *map = &record->object.via.map;
    enum ft_record_type type = FT_RECORD;

    for (uint32_t i = 0; i < map->size; i++) {
        enum ft_record_type more = type_of_key(&map->ptr[i].key);

        if (more != FT_RECORD && (type == FT_RECORD || more < type))
            type = more;
    }
    return type;
}
