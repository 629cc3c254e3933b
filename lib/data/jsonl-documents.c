/* jsonl-documents.c - DocArray's documents as rows: those of themselves, roots with chunks, Finetuner's sessions. */
#include "data/jsonl-parts.h"
#include "base/error.h"
#include "data/docarray.h"

#include <string.h>

/* By its tag, else by its place; `turned`: the first two change places. */
static enum ft_role chunk_role(const json_t *chunk, size_t place, bool turned)
{
    const char *role = json_string_value(json_object_get(json_object_get(chunk, "tags"), "role"));

    for (enum ft_role r = FT_ANCHOR; role && r <= FT_NEGATIVE; r++)
        if (strcmp(role, ft_role_name(r)) == 0)
            return r;
    place = turned && place < 2 ? 1 - place : place;
    return place == 0 ? FT_ANCHOR : place == 1 ? FT_POSITIVE : FT_NEGATIVE;
}

/* What travels with a chunk must read back as a document. */
static bool is_document(const json_t *object)
{
    const json_t *id = json_object_get(object, "id"), *tags = json_object_get(object, "tags");
    const json_t *label = json_object_get(tags, "finetuner_label"), *score = json_object_get(tags, "finetuner_score");
    const json_t *role = json_object_get(tags, "role");

    return (!id || json_is_string(id)) && (!tags || json_is_object(tags)) && !json_is_object(label) && !json_is_array(label) &&
           (!score || json_is_number(score)) && (!role || json_is_string(role));
}

/* Bytes are looked at, and travel, as those of a data: address do. */
static struct ft_string blob_address(struct ft_arena *arena, const json_t *blob)
{
    return ft_string_of(ft_arena_print(arena, "data:;base64,%s", json_string_value(blob)));
}

static int take_tensor(struct ft_arena *arena, const json_t *tensor, struct ft_row_item *item)
{
    uint64_t *shape = ft_arena_zero(arena, 8, sizeof *shape);

    if (!shape || !(item->vector = ft_docarray_numbers(arena, tensor, &item->rank, shape, &item->width)))
        return -1;
    item->shape = item->rank > 1 ? shape : NULL;
    return 0;
}

/* Of a checked document: its text, its bytes or its tensor, of which DocArray keeps one; else its address. false: none of these, or no memory for one. */
static bool add_checked(struct ft_jsonl *jsonl, enum ft_role role, const json_t *object)
{
    const json_t *text = json_object_get(object, "text"), *uri = json_object_get(object, "uri");
    const json_t *blob = json_object_get(object, "blob"), *tensor = json_object_get(object, "tensor");
    struct ft_row_item *item = &jsonl->items[jsonl->item_count];

    *item = (struct ft_row_item){.role = role, .object = object, .uri = !text && (blob || (uri && !tensor))};
    if (text || item->uri)
        item->content = text ? ft_json_string(text) : blob ? blob_address(&jsonl->arena, blob) : ft_json_string(uri);
    if (tensor && take_tensor(&jsonl->arena, tensor, item) < 0)
        return false;
    if (!item->content.size && !item->vector && (role != FT_NO_ROLE || !json_object_get(object, "embedding")))
        return false;
    if (!item->content.size)
        item->content.data = NULL;
    jsonl->item_count++;
    jsonl->positives += role == FT_POSITIVE;
    return true;
}

static bool add_document(struct ft_jsonl *jsonl, enum ft_role role, const json_t *object)
{
    const json_t *text = json_object_get(object, "text"), *uri = json_object_get(object, "uri");

    if (object != jsonl->root && !is_document(object))
        return false;
    return jsonl->checked ? add_checked(jsonl, role, object) : ft_jsonl_item(jsonl, role, text ? text : uri, !text, object);
}

bool ft_jsonl_is_own(const json_t *root)
{
    static const char *const own[] = {"text", "uri", "blob", "tensor", "embedding"};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (json_object_get(root, own[i]) && (i < 4 || !json_object_get(root, "chunks")))
            return true;
    return false;
}

int ft_jsonl_document(struct ft_jsonl *jsonl)
{
    const json_t *tags = json_object_get(jsonl->root, "tags"), *id = json_object_get(jsonl->root, "id");
    const json_t *label = json_object_get(tags, "finetuner_label"), *score = json_object_get(tags, "finetuner_score");

    if (!add_document(jsonl, FT_NO_ROLE, jsonl->root))
        return ft_fail(FT_BAD, "its text, uri or blob is empty");
    if (id)
        jsonl->id = ft_json_string(id);
    if ((label && jsonl->option != FT_ROW_UNLABELED && ft_jsonl_label(jsonl, label) < 0) || (score && ft_jsonl_score(jsonl, score) < 0))
        return -1;
    jsonl->kind = jsonl->items[0].vector && (!jsonl->items[0].content.data || jsonl->option == FT_ROW_VECTORS) ? FT_ROW_VECTORS
                : jsonl->label.data ? FT_ROW_LABELED : FT_ROW_UNLABELED;
    if (jsonl->option != FT_ROW_GUESS && jsonl->option != jsonl->kind)
        return ft_fail(FT_BAD, "%s, expected %s", ft_row_kind_name(jsonl->kind), ft_row_kind_name(jsonl->option));
    return 0;
}

static int bad_part(const char *what, size_t place)
{
    return ft_fail(FT_BAD, "%s %zu: expected a document: \"text\" or \"uri\", id a string, tags an object", what, place + 1);
}

static bool is_text(const json_t *document)
{
    return json_is_string(json_object_get(document, "text"));
}

/* DocArray's pairs: a root with chunks; in order of their roles. Of a text and an image the text is the anchor. */
int ft_jsonl_chunks(struct ft_jsonl *jsonl, const json_t *chunks)
{
    bool turned = jsonl->checked && json_array_size(chunks) == 2 && !is_text(json_array_get(chunks, 0)) && is_text(json_array_get(chunks, 1));
    json_t *chunk;
    size_t i;

    for (enum ft_role role = FT_ANCHOR; role <= FT_NEGATIVE; role++)
        json_array_foreach(chunks, i, chunk)
            if (chunk_role(chunk, i, turned) == role && !add_document(jsonl, role, chunk))
                return bad_part("chunk", i);
    return 0;
}

/* Finetuner's sessions: +1 or -1 of a match, 0 when it has neither. */
static int match_label(const json_t *match)
{
    const json_t *label = json_object_get(json_object_get(match, "tags"), "finetuner_label");
    double number = json_number_value(label);

    if (json_is_string(label) && !ft_string_number(ft_json_string(label), &number))
        return 0;
    return number == 1 ? 1 : number == -1 ? -1 : 0;
}

bool ft_jsonl_is_session(const json_t *matches)
{
    json_t *match;
    size_t i;

    json_array_foreach(matches, i, match)
        if (match_label(match) == 0)
            return false;
    return json_array_size(matches) > 0;
}

int ft_jsonl_session(struct ft_jsonl *jsonl, json_t *matches)
{
    json_t *match;
    size_t i;

    jsonl->matches = json_incref(matches);
    json_object_del(jsonl->root, "matches");
    if (!add_document(jsonl, FT_ANCHOR, jsonl->root))
        return ft_fail(FT_BAD, "matches without a \"text\" or \"uri\" that they match");
    jsonl->items[0].object = NULL;     /* what else it has is the root's */
    for (int sign = 1; sign >= -1; sign -= 2)
        json_array_foreach(matches, i, match)
            if (match_label(match) == sign && !add_document(jsonl, sign > 0 ? FT_POSITIVE : FT_NEGATIVE, match))
                return bad_part("match", i);
    return 0;
}

/* What goes for chunks and sessions alike: id, score, kind, other keys. */
int ft_jsonl_root(struct ft_jsonl *jsonl)
{
    const char *key;
    json_t *value;
    const json_t *tags = json_object_get(jsonl->root, "tags"), *id = json_object_get(jsonl->root, "id");
    const json_t *score = json_object_get(tags, "finetuner_score"), *label = json_object_get(tags, "finetuner_label");

    if (id && !ft_json_scalar(&jsonl->arena, id, &jsonl->id))
        return ft_fail(FT_BAD, "the id is no string or number");
    if ((score && ft_jsonl_score(jsonl, score) < 0) || (label && ft_jsonl_label(jsonl, label) < 0))
        return -1;
    json_object_foreach(jsonl->root, key, value)
        if (!jsonl->checked && strcmp(key, "id") != 0 && strcmp(key, "tags") != 0 && strcmp(key, "chunks") != 0 && !ft_json_is_field(key, value) &&
            !(jsonl->matches && (strcmp(key, "text") == 0 || strcmp(key, "uri") == 0)))
            ft_jsonl_tag(jsonl, key, value);
    jsonl->kind = jsonl->item_count > 1 + jsonl->positives ? FT_ROW_TRIPLETS : jsonl->scored ? FT_ROW_SCORED : FT_ROW_PAIRS;
    if ((jsonl->option == FT_ROW_TEXT_IMAGE || (jsonl->checked && jsonl->option == FT_ROW_GUESS)) && jsonl->kind == FT_ROW_PAIRS &&
        jsonl->items[0].uri != jsonl->items[1].uri)
        jsonl->kind = FT_ROW_TEXT_IMAGE;
    if (jsonl->option != FT_ROW_GUESS && jsonl->kind != jsonl->option)
        return ft_fail(FT_BAD, "%s, expected %s", ft_row_kind_name(jsonl->kind), ft_row_kind_name(jsonl->option));
    return 0;
}
