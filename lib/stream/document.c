/* document.c - documents as views into records. */
#include "stream/document.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const roles[] = {"anchor", "positive", "negative", "none"};

const char *ft_role_name(enum ft_role role)
{
    return roles[role];
}

/* Inline, so that a name known when compiling is compared as a number or two. */
static inline __attribute__((always_inline)) bool key_is(const msgpack_object *key, const char *name)
{
    size_t size = strlen(name);

    return key->type == MSGPACK_OBJECT_STR && key->via.str.size == size && memcmp(key->via.str.ptr, name, size) == 0;
}

/* An absent field and nil are the same: DocArray writes both. */
static int read_text(const msgpack_object *value, const char *name, struct ft_string *text)
{
    if (value->type == MSGPACK_OBJECT_NIL)
        return 0;
    if (value->type != MSGPACK_OBJECT_STR)
        return ft_fail(FT_BAD, "%s: expected a string", name);
    *text = ft_object_string(value);
    return 0;
}

/* The shortest decimal that reads back as the same number; whole numbers as integers, so that 1, 1.0 and "1" are one label. */
static int print_number(char *text, size_t room, double value)
{
    if (fabs(value) < 1e15 && value == floor(value))
        return snprintf(text, room, "%.0f", value == 0 ? 0.0 : value);
    for (int digits = 15; digits < 17; digits++) {
        snprintf(text, room, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return (int)strlen(text);
    }
    return snprintf(text, room, "%.17g", value);
}

static int read_label(struct ft_arena *arena, const msgpack_object *value, struct ft_string *label)
{
    char text[64], *copy;
    int size;

    switch (value->type) {
    case MSGPACK_OBJECT_NIL:
        return 0;
    case MSGPACK_OBJECT_STR:
        *label = ft_object_string(value);
        return 0;
    case MSGPACK_OBJECT_BOOLEAN:
        *label = ft_string_of(value->via.boolean ? "true" : "false");
        return 0;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        size = snprintf(text, sizeof text, "%llu", (unsigned long long)value->via.u64);
        break;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        size = snprintf(text, sizeof text, "%lld", (long long)value->via.i64);
        break;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        if (!isfinite(value->via.f64))
            return ft_fail(FT_BAD, "finetuner_label: not a finite number");
        size = print_number(text, sizeof text, value->via.f64);
        break;
    default:
        return ft_fail(FT_BAD, "finetuner_label: expected a string or a number");
    }
    if (!(copy = ft_arena_text(arena, (struct ft_string){text, (size_t)size})))
        return -1;
    *label = (struct ft_string){copy, (size_t)size};
    return 0;
}

/* Outside chunks a tag of this name may be anybody's column. */
static int read_role(const msgpack_object *value, int depth, enum ft_role *role)
{
    for (int i = FT_ANCHOR; i < FT_NO_ROLE; i++)
        if (key_is(value, roles[i])) {
            *role = (enum ft_role)i;
            return 0;
        }
    if (depth == 0 || value->type == MSGPACK_OBJECT_NIL)
        return 0;
    return ft_fail(FT_BAD, "role: expected anchor, positive or negative");
}

static int read_tags(struct ft_arena *arena, const msgpack_object *tags, int depth, struct ft_document *document)
{
    if (tags->type == MSGPACK_OBJECT_NIL)
        return 0;
    if (tags->type != MSGPACK_OBJECT_MAP)
        return ft_fail(FT_BAD, "expected a map");
    for (uint32_t i = 0; i < tags->via.map.size; i++) {
        const msgpack_object *key = &tags->via.map.ptr[i].key, *value = &tags->via.map.ptr[i].val;

        if (key_is(key, "finetuner_label")) {
            if (read_label(arena, value, &document->label) < 0)
                return -1;
        } else if (key_is(key, "role")) {
            if (read_role(value, depth, &document->role) < 0)
                return -1;
        } else if (key_is(key, "finetuner_score") && value->type != MSGPACK_OBJECT_NIL) {
            if (!ft_map_number(tags, "finetuner_score", &document->score) || !isfinite(document->score))
                return ft_fail(FT_BAD, "finetuner_score: expected a finite number");
            document->scored = true;
        }
    }
    return 0;
}

static int read_embedding(const msgpack_object *value, struct ft_document *document)
{
    struct ft_wire_tensor tensor;

    if (value->type == MSGPACK_OBJECT_NIL)
        return 0;
    document->embedding = value;
    return ft_wire_read(value, &tensor) < 0 ? ft_error_prefix("embedding: ") : 0;
}

static int read_fields(struct ft_arena *arena, const msgpack_object *object, struct ft_document *document, int depth);

/* Chunks have no chunks of their own here: what they carry passes through. */
static int read_chunks(struct ft_arena *arena, const msgpack_object *chunks, struct ft_document *document)
{
    if (chunks->type == MSGPACK_OBJECT_NIL)
        return 0;
    if (chunks->type != MSGPACK_OBJECT_ARRAY)
        return ft_fail(FT_BAD, "chunks: expected an array");
    document->chunk_count = chunks->via.array.size;
    if (!(document->chunks = ft_arena_zero(arena, document->chunk_count, sizeof *document->chunks)))
        return -1;
    for (size_t i = 0; i < document->chunk_count; i++)
        if (read_fields(arena, &chunks->via.array.ptr[i], &document->chunks[i], 1) < 0)
            return ft_error_prefix("chunks[%zu]: ", i);
    return 0;
}

/* `key` is not empty. A blob that is no binary (a string of base64, as some write) is a field like any other. */
static inline int read_content(const msgpack_object *key, const msgpack_object *value, struct ft_content *content)
{
    switch (key->via.str.ptr[0]) {   /* the first letter spares most comparisons */
    case 't':
        if (key_is(key, "text"))
            return read_text(value, "text", &content->text);
        if (key_is(key, "tensor") && value->type == MSGPACK_OBJECT_MAP)
            content->tensor = value;
        return 0;
    case 'u':
        return key_is(key, "uri") ? read_text(value, "uri", &content->uri) : 0;
    case 'b':
        if (key_is(key, "blob") && value->type == MSGPACK_OBJECT_BIN)
            content->blob = (struct ft_string){value->via.bin.size ? value->via.bin.ptr : "", value->via.bin.size};
        return 0;
    default:
        return 0;
    }
}

int ft_content_read(const msgpack_object *object, struct ft_content *content)
{
    *content = (struct ft_content){.tensor = NULL};
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        const msgpack_object *key = &object->via.map.ptr[i].key;

        if (key->type == MSGPACK_OBJECT_STR && key->via.str.size && read_content(key, &object->via.map.ptr[i].val, content) < 0)
            return -1;
    }
    return 0;
}

static int read_field(struct ft_arena *arena, const msgpack_object *key, const msgpack_object *value, struct ft_document *document,
                      int depth)
{
    if (key->type != MSGPACK_OBJECT_STR || !key->via.str.size)
        return 0;
    switch (key->via.str.ptr[0]) {
    case 'i':
        return key_is(key, "id") ? read_text(value, "id", &document->id) : 0;
    case 't':
        if (key_is(key, "tags"))
            return read_tags(arena, value, depth, document) < 0 ? ft_error_prefix("tags: ") : 0;
        return read_content(key, value, &document->content);
    case 'u':
    case 'b':
        return read_content(key, value, &document->content);
    case 'm':
        if (key_is(key, "mime_type"))
            return read_text(value, "mime_type", &document->mime_type);
        return key_is(key, "modality") ? read_text(value, "modality", &document->modality) : 0;
    case 'e':
        return key_is(key, "embedding") ? read_embedding(value, document) : 0;
    case 'c':
        return depth == 0 && key_is(key, "chunks") ? read_chunks(arena, value, document) : 0;
    default:
        return 0;
    }
}

/* All fields, one by one: compilers clear a structure of this size by "rep stos", which takes longer to begin than a short document to read. */
static void begin_document(struct ft_document *document, const msgpack_object *object)
{
    const struct ft_string none = {NULL, 0};

    document->id = document->mime_type = document->modality = document->label = none;
    document->content.text = document->content.uri = document->content.blob = none;
    document->content.tensor = NULL;
    document->scored = false;
    document->score = 0;
    document->role = FT_NO_ROLE;
    document->chunk_count = 0;
    document->chunks = NULL;
    document->embedding = NULL;
    document->object = object;
}

static int read_fields(struct ft_arena *arena, const msgpack_object *object, struct ft_document *document, int depth)
{
    begin_document(document, object);
    if (object->type != MSGPACK_OBJECT_MAP)
        return ft_fail(FT_BAD, "expected a map");
    for (uint32_t i = 0; i < object->via.map.size; i++)
        if (read_field(arena, &object->via.map.ptr[i].key, &object->via.map.ptr[i].val, document, depth) < 0)
            return -1;
    return 0;
}

int ft_document_read(struct ft_arena *arena, const msgpack_object *object, struct ft_document *document)
{
    if (read_fields(arena, object, document, 0) == 0)
        return 0;
    if (!document->id.size)
        return ft_error_prefix("document: ");
    return ft_error_prefix("document %.*s: ", (int)(document->id.size < 200 ? document->id.size : 200), document->id.data);
}

static struct ft_hash hash_two(struct ft_hash a, struct ft_hash b)
{
    struct ft_hash both[2] = {a, b};

    return ft_hash_bytes(both, sizeof both);
}

/* A picture's path and a text that reads the same are not the same content: what is not text is hashed with its field's number. */
static struct ft_hash hash_field(uint64_t field, struct ft_string bytes)
{
    return hash_two((struct ft_hash){field, 0}, ft_hash_bytes(bytes.data, bytes.size));
}

static bool tensor_bytes(const msgpack_object *value, struct ft_string *bytes)
{
    struct ft_wire_tensor tensor;
    struct ft_error_copy error;
    bool good;

    if (!value)
        return false;
    ft_error_save(&error);
    good = ft_wire_read(value, &tensor) == 0;
    ft_error_restore(&error);
    if (good)
        *bytes = (struct ft_string){tensor.data, (size_t)tensor.count * ft_wire_size(tensor.type)};
    return good;
}

static bool hash_content(const struct ft_content *content, struct ft_hash *hash)
{
    struct ft_string bytes;

    if (content->text.size)
        *hash = ft_hash_bytes(content->text.data, content->text.size);
    else if (content->blob.data)
        *hash = hash_field(2, content->blob);
    else if (content->uri.size)
        *hash = hash_field(1, content->uri);
    else if (tensor_bytes(content->tensor, &bytes))
        *hash = hash_field(3, bytes);
    else
        return false;
    return true;
}

struct ft_hash ft_content_hash(const struct ft_content *content)
{
    struct ft_hash hash;

    return hash_content(content, &hash) ? hash : ft_hash_bytes("", 0);
}

struct ft_hash ft_document_hash(const struct ft_document *document)
{
    struct ft_hash hash;
    struct ft_string bytes;

    if (hash_content(&document->content, &hash))
        return hash;
    if (document->chunk_count) {
        hash = (struct ft_hash){document->chunk_count, 0};
        for (size_t i = 0; i < document->chunk_count; i++)
            hash = hash_two(hash, ft_document_hash(&document->chunks[i]));
        return hash_two((struct ft_hash){4, 0}, hash);
    }
    if (tensor_bytes(document->embedding, &bytes))
        return hash_field(5, bytes);
    return ft_hash_bytes("", 0);
}

bool ft_content_empty(const struct ft_content *content)
{
    return !content->text.size && !content->uri.size && !content->blob.size && !content->tensor;
}

bool ft_content_image(const struct ft_content *content)
{
    return !content->text.size && (content->uri.size || content->blob.size);
}

struct ft_string ft_content_name(const struct ft_content *content)
{
    return content->text.size ? content->text : content->uri;
}

static int copy_bytes(struct ft_arena *arena, struct ft_string from, struct ft_string *to)
{
    char *bytes = from.data ? ft_arena_take(arena, from.size + 1) : NULL;

    if (bytes && from.size)
        memcpy(bytes, from.data, from.size);
    *to = (struct ft_string){bytes, from.size};
    return !from.data || bytes ? 0 : -1;
}

/* A map of scalars, strings, binaries and one array of numbers, which is all that a tensor is made of. */
static int copy_object(struct ft_arena *arena, const msgpack_object *from, msgpack_object *to)
{
    uint32_t count = from->type == MSGPACK_OBJECT_MAP ? from->via.map.size : from->type == MSGPACK_OBJECT_ARRAY ? from->via.array.size : 0;
    struct ft_string bytes = {NULL, 0};

    *to = *from;
    if (from->type == MSGPACK_OBJECT_STR || from->type == MSGPACK_OBJECT_BIN) {   /* the two lie alike: ptr and size */
        bool text = from->type == MSGPACK_OBJECT_STR;
        struct ft_string whole = text ? ft_object_string(from) : (struct ft_string){from->via.bin.size ? from->via.bin.ptr : "", from->via.bin.size};

        if (copy_bytes(arena, whole, &bytes) < 0)
            return -1;
        *(text ? &to->via.str.ptr : &to->via.bin.ptr) = bytes.data;
        return 0;
    }
    if (from->type == MSGPACK_OBJECT_ARRAY && !(to->via.array.ptr = ft_arena_zero(arena, (size_t)count + 1, sizeof *to)))
        return -1;
    if (from->type == MSGPACK_OBJECT_MAP && !(to->via.map.ptr = ft_arena_zero(arena, (size_t)count + 1, sizeof *to->via.map.ptr)))
        return -1;
    for (uint32_t i = 0; i < count; i++)
        if (from->type == MSGPACK_OBJECT_ARRAY ? copy_object(arena, &from->via.array.ptr[i], &to->via.array.ptr[i]) < 0
                                               : copy_object(arena, &from->via.map.ptr[i].key, &to->via.map.ptr[i].key) < 0 ||
                                                 copy_object(arena, &from->via.map.ptr[i].val, &to->via.map.ptr[i].val) < 0)
            return -1;
    return 0;
}

int ft_content_copy(struct ft_arena *arena, const struct ft_content *content, struct ft_content *copy)
{
    msgpack_object *tensor = content->tensor ? ft_arena_take(arena, sizeof *tensor) : NULL;

    copy->tensor = tensor;
    if (content->tensor && (!tensor || copy_object(arena, content->tensor, tensor) < 0))
        return -1;
    return copy_bytes(arena, content->text, &copy->text) < 0 || copy_bytes(arena, content->uri, &copy->uri) < 0 ? -1
           : copy_bytes(arena, content->blob, &copy->blob);
}

static bool is_dropped(const msgpack_object *key, const char *const *drop)
{
    for (size_t i = 0; drop && drop[i]; i++)
        if (key_is(key, drop[i]))
            return true;
    return false;
}

void ft_document_copy(msgpack_packer *pk, const msgpack_object *object, const char *const *drop, uint32_t more)
{
    const msgpack_object_map *map = &object->via.map;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < map->size; i++)
        kept += !is_dropped(&map->ptr[i].key, drop);
    msgpack_pack_map(pk, (size_t)kept + more);
    for (uint32_t i = 0; i < map->size; i++)
        if (!is_dropped(&map->ptr[i].key, drop)) {
            msgpack_pack_object(pk, map->ptr[i].key);
            msgpack_pack_object(pk, map->ptr[i].val);
        }
}
