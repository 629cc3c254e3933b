/* jsonl.c - JSON lines by jansson, as rows. */
#include "data/jsonl-parts.h"
#include "base/error.h"
#include "data/docarray.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ft_jsonl *ft_jsonl_open(const struct ft_selection *selection, enum ft_row_kind kind, bool documents)
{
    struct ft_jsonl *jsonl = calloc(1, sizeof *jsonl);

    if (!jsonl) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    jsonl->selection = selection;
    jsonl->option = kind;
    jsonl->documents = documents;
    return jsonl;
}

void ft_jsonl_close(struct ft_jsonl *jsonl)
{
    if (!jsonl)
        return;
    json_decref(jsonl->root);
    json_decref(jsonl->matches);
    ft_layout_free(&jsonl->layout);
    ft_arena_free(&jsonl->arena);
    free(jsonl);
}

struct ft_string ft_json_string(const json_t *value)
{
    return (struct ft_string){json_string_value(value), json_string_length(value)};
}

/* Strings, numbers and booleans as text, from the arena where need be. */
bool ft_json_scalar(struct ft_arena *arena, const json_t *value, struct ft_string *text)
{
    char *made = NULL;

    if (json_is_string(value)) {
        *text = ft_json_string(value);
        return true;
    }
    if (json_is_integer(value))
        made = ft_arena_print(arena, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        made = ft_arena_print(arena, "%.15g", json_real_value(value));
    else if (json_is_boolean(value))
        made = ft_arena_print(arena, "%s", json_is_true(value) ? "true" : "false");
    *text = ft_string_of(made);
    return made;
}

bool ft_jsonl_value(struct ft_jsonl *jsonl, const char *key, struct ft_string *value)
{
    const json_t *found = json_object_get(jsonl->root, key);

    if (!found)
        found = json_object_get(json_object_get(jsonl->root, "tags"), key);
    return found && ft_json_scalar(&jsonl->arena, found, value);
}

bool ft_jsonl_item(struct ft_jsonl *jsonl, enum ft_role role, const json_t *value, bool uri, const json_t *object)
{
    struct ft_string content = ft_json_string(value);

    if (!content.data || content.size == 0)
        return false;
    jsonl->items[jsonl->item_count++] = (struct ft_row_item){.role = role, .content = content, .uri = uri, .object = object};
    jsonl->positives += role == FT_POSITIVE;
    return true;
}

void ft_jsonl_tag(struct ft_jsonl *jsonl, const char *name, const json_t *value)
{
    jsonl->tags[jsonl->tag_count++] = (struct ft_row_tag){ft_string_of(name), {NULL, 0}, value};
}

/* Keys that may have a role: all but DocArray's own, and its two tags that mean something. */
static void collect_names(struct ft_jsonl *jsonl)
{
    const json_t *tags = json_object_get(jsonl->root, "tags");
    bool text = json_is_string(json_object_get(jsonl->root, "text"));
    const char *key;
    json_t *value;

    jsonl->count = 0;
    json_object_foreach(jsonl->root, key, value) {
        if ((strcmp(key, "tags") == 0 && json_is_object(value)) || ft_json_is_field(key, value) || (text && strcmp(key, "uri") == 0))
            continue;
        jsonl->names[jsonl->count] = ft_string_of(key);
        jsonl->values[jsonl->count++] = value;
    }
    json_object_foreach((json_t *)(uintptr_t)tags, key, value) {
        bool known = strcmp(key, "finetuner_label") == 0 || strcmp(key, "finetuner_score") == 0;

        if (!known || json_object_get(jsonl->root, key))
            continue;
        jsonl->names[jsonl->count] = ft_string_of(key);
        jsonl->values[jsonl->count++] = value;
    }
}

static bool same_names(const struct ft_jsonl *jsonl)
{
    if (!jsonl->layout.names || jsonl->layout.columns != jsonl->count)
        return false;
    for (size_t i = 0; i < jsonl->count; i++)
        if (!ft_string_equal(jsonl->names[i], jsonl->layout.names[i]))
            return false;
    return true;
}

int ft_jsonl_score(struct ft_jsonl *jsonl, const json_t *value)
{
    jsonl->scored = true;
    jsonl->score = json_number_value(value);
    if (json_is_number(value) || (json_is_string(value) && ft_string_number(ft_json_string(value), &jsonl->score)))
        return 0;
    return ft_fail(FT_BAD, "the score is no number");
}

/* Of triplets: one margin a negative, or scores of the positive and of each negative; a margin m is scores 0 and -m. */
static int take_scores(struct ft_jsonl *jsonl, const json_t *list)
{
    size_t count = json_array_size(list), negatives = jsonl->item_count - 1 - jsonl->positives, i;
    json_t *value;

    if (jsonl->kind != FT_ROW_TRIPLETS || jsonl->positives != 1 || (count != negatives && count != negatives + 1))
        return ft_fail(FT_BAD, "a list of %zu scores with %zu positive%s and %zu negative%s: expected triplets of one positive, and a margin for "
                       "each negative, or scores of the positive and of each negative", count, jsonl->positives, jsonl->positives == 1 ? "" : "s",
                       negatives, negatives == 1 ? "" : "s");
    json_array_foreach(list, i, value) {
        struct ft_row_item *item = &jsonl->items[1 + i + negatives + 1 - count];

        if (!json_is_number(value))
            return ft_fail(FT_BAD, "score %zu is no number", i + 1);
        item->score = count == negatives ? -json_number_value(value) : json_number_value(value);
    }
    for (i = 1; i < jsonl->item_count; i++)
        jsonl->items[i].scored = true;
    return 0;
}

/* One score of several negatives says nothing. */
static int check_score(const struct ft_jsonl *jsonl)
{
    if (jsonl->kind != FT_ROW_TRIPLETS || !jsonl->scored || jsonl->item_count == 3)
        return 0;
    return ft_fail(FT_BAD, "one score with %zu positives and %zu negatives: of triplets a score is the margin of one over one: expected a list "
                   "of scores", jsonl->positives, jsonl->item_count - 1 - jsonl->positives);
}

int ft_jsonl_label(struct ft_jsonl *jsonl, const json_t *value)
{
    if (!ft_json_scalar(&jsonl->arena, value, &jsonl->label))
        return ft_fail(FT_BAD, "the label is no string or number");
    return jsonl->label.size ? 0 : ft_fail(FT_BAD, "the label is empty");
}

static int take_item(struct ft_jsonl *jsonl, const struct ft_layout_item *item)
{
    const json_t *value = jsonl->values[item->column];
    const char *name = jsonl->names[item->column].data;
    bool several = item->role == FT_POSITIVE || item->role == FT_NEGATIVE;
    json_t *member;
    size_t i;

    if (several && json_is_array(value)) {
        json_array_foreach(value, i, member)
            if (!ft_jsonl_item(jsonl, item->role, member, ft_content_is_uri(ft_json_string(member)), NULL))
                return ft_fail(FT_BAD, "\"%s\": member %zu is no text, or empty", name, i + 1);
        return 0;
    }
    if (!json_is_string(value))
        return ft_fail(FT_BAD, "\"%s\": expected a string%s", name, several ? ", or an array of strings" : "");
    if (!ft_jsonl_item(jsonl, item->role, value, item->uri || (item->role != FT_NO_ROLE && ft_content_is_uri(ft_json_string(value))), NULL))
        return ft_fail(FT_BAD, "\"%s\" is empty", name);
    return 0;
}

/* The list of numbers: the key that --columns gives, else DocArray's tensor, else the only list. NULL: FT_BAD. */
static const json_t *find_vector(const struct ft_jsonl *jsonl, const char **key)
{
    const struct ft_selection *selection = jsonl->selection;
    const json_t *found = json_object_get(jsonl->root, *key = "tensor");
    const char *name;
    json_t *value;
    size_t lists = 0;

    if (json_is_array(jsonl->root))
        return jsonl->root;
    for (size_t i = selection->count; i-- > 0;)
        if (selection->column[i].role == FT_COLUMN_NONE)
            found = json_object_get(jsonl->root, *key = selection->column[i].name);
    if (found || selection->order) {
        if (!json_is_array(found))
            ft_fail(FT_BAD, "\"%s\": expected a list of numbers", *key);
        return json_is_array(found) ? found : NULL;
    }
    json_object_foreach(jsonl->root, name, value)
        if (json_is_array(value)) {
            found = value;
            *key = name;
            lists++;
        }
    if (lists != 1)
        ft_fail(FT_BAD, "%zu lists, expected one of numbers, a \"tensor\", or --columns KEY", lists);
    return lists == 1 ? found : NULL;
}

/* The vector; what held it travels no more. */
static int take_vector(struct ft_jsonl *jsonl, const char **key)
{
    const json_t *list = find_vector(jsonl, key);
    size_t width = json_array_size(list);
    float *vector = list ? ft_arena_take(&jsonl->arena, width * sizeof *vector) : NULL;

    if (!vector)
        return -1;
    if (width == 0)
        return ft_fail(FT_BAD, "an empty list, expected numbers");
    for (size_t i = 0; i < width; i++) {
        const json_t *number = json_array_get(list, i);

        vector[i] = (float)json_number_value(number);
        if (!json_is_number(number))
            return ft_fail(FT_BAD, "member %zu of the list is no number", i + 1);
        if (!isfinite(vector[i]))
            return ft_fail(FT_BAD, "number %zu is %g, too large for a 32-bit number", i + 1, json_number_value(number));
    }
    jsonl->items[jsonl->item_count++] = (struct ft_row_item){.role = FT_NO_ROLE, .vector = vector, .width = width};
    jsonl->kind = FT_ROW_VECTORS;
    if (list != jsonl->root)
        json_object_set_new(jsonl->root, *key, json_null());
    return 0;
}

/* By the names of the keys, as columns by the names of a header. */
static int read_keys(struct ft_jsonl *jsonl)
{
    struct ft_layout *layout = &jsonl->layout;
    const char *vector = NULL;

    if (jsonl->option == FT_ROW_VECTORS && take_vector(jsonl, &vector) < 0)
        return -1;
    collect_names(jsonl);
    if (jsonl->count == 0 && jsonl->kind != FT_ROW_VECTORS)
        return ft_fail(FT_BAD, "no known key: expected text, anchor and positive, query and pos, or --columns");
    if (!same_names(jsonl) && ft_layout_make(layout, jsonl->names, jsonl->count, jsonl->selection, jsonl->option, NULL) < 0) {
        layout->columns = 0;
        return ft_error_status() == FT_SYSTEM ? -1 : ft_fail(FT_BAD, "%s", ft_error());
    }
    jsonl->kind = layout->kind;
    for (size_t i = 0; i < layout->item_count; i++)
        if (take_item(jsonl, &layout->items[i]) < 0)
            return -1;
    if (layout->id >= 0 && !ft_json_scalar(&jsonl->arena, jsonl->values[layout->id], &jsonl->id))
        return ft_fail(FT_BAD, "the id is no string or number");
    if (layout->label >= 0 && ft_jsonl_label(jsonl, jsonl->values[layout->label]) < 0)
        return -1;
    if (layout->score >= 0 && (json_is_array(jsonl->values[layout->score]) ? take_scores(jsonl, jsonl->values[layout->score])
                                                                          : ft_jsonl_score(jsonl, jsonl->values[layout->score])) < 0)
        return -1;
    for (size_t i = 0; i < layout->tag_count; i++)
        if (!vector || !ft_string_is(jsonl->names[layout->tags[i]], vector))
            ft_jsonl_tag(jsonl, jsonl->names[layout->tags[i]].data, jsonl->values[layout->tags[i]]);
    return 0;
}

/* The members of "tags" that mean nothing to us; what a key beside them says stands. */
static void read_tags(struct ft_jsonl *jsonl)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(jsonl->root, "tags"), key, value) {
        bool taken = strcmp(key, "finetuner_label") == 0 || strcmp(key, "finetuner_score") == 0;

        for (size_t i = 0; i < jsonl->tag_count && !taken; i++)
            taken = ft_string_is(jsonl->tags[i].name, key);
        if (!taken)
            ft_jsonl_tag(jsonl, key, value);
    }
}

/* Room for as many items and tags as the line can give. */
static int make_room(struct ft_jsonl *jsonl)
{
    size_t keys = json_object_size(jsonl->root) + json_object_size(json_object_get(jsonl->root, "tags")), items = keys + 2;
    const char *key;
    json_t *value;

    json_object_foreach(jsonl->root, key, value)
        if (strcmp(key, "embedding") != 0 && strcmp(key, "tensor") != 0)
            items += json_array_size(value);
    jsonl->names = ft_arena_zero(&jsonl->arena, keys + 1, sizeof *jsonl->names);
    jsonl->values = ft_arena_zero(&jsonl->arena, keys + 1, sizeof *jsonl->values);
    jsonl->items = ft_arena_zero(&jsonl->arena, items, sizeof *jsonl->items);
    jsonl->part = ft_arena_zero(&jsonl->arena, items, sizeof *jsonl->part);
    jsonl->tags = ft_arena_zero(&jsonl->arena, keys + 1, sizeof *jsonl->tags);
    jsonl->item_count = jsonl->positives = jsonl->tag_count = 0;
    jsonl->id = jsonl->label = (struct ft_string){NULL, 0};
    jsonl->scored = false;
    return jsonl->names && jsonl->values && jsonl->items && jsonl->part && jsonl->tags ? 0 : -1;
}

static int check_items(const struct ft_jsonl *jsonl)
{
    if (jsonl->item_count == 1 && jsonl->items[0].role == FT_NO_ROLE)
        return 0;
    if (jsonl->item_count == 0 || jsonl->items[0].role != FT_ANCHOR || (jsonl->item_count > 1 && jsonl->items[1].role == FT_ANCHOR))
        return ft_fail(FT_BAD, "expected one anchor");
    if (jsonl->positives == 0)
        return ft_fail(FT_BAD, "no positive: expected what goes with the first, as \"pos\", a second chunk or a match of label 1");
    if (jsonl->kind == FT_ROW_TRIPLETS && jsonl->item_count == 1 + jsonl->positives)
        return ft_fail(FT_BAD, "no negative, expected one or more in triplets");
    return check_score(jsonl);
}

/* By chunks or matches, as a document, or by the keys' names. */
static int read_root(struct ft_jsonl *jsonl)
{
    json_t *chunks = json_object_get(jsonl->root, "chunks"), *matches = json_object_get(jsonl->root, "matches");
    bool plain = jsonl->checked && !jsonl->selection->count;

    if (plain && ft_jsonl_is_own(jsonl->root) && !ft_jsonl_is_session(matches))
        return ft_jsonl_document(jsonl);
    if (!plain && jsonl->option == FT_ROW_VECTORS)
        return read_keys(jsonl);
    if (json_array_size(chunks) > 0)
        return ft_jsonl_chunks(jsonl, chunks) < 0 ? -1 : ft_jsonl_root(jsonl);
    if (ft_jsonl_is_session(matches))
        return ft_jsonl_session(jsonl, matches) < 0 ? -1 : ft_jsonl_root(jsonl);
    return plain ? ft_fail(FT_BAD, "nothing in it: expected text, uri, blob, tensor, chunks or embedding") : read_keys(jsonl);
}

long ft_jsonl_take(struct ft_jsonl *jsonl, json_t *root)
{
    json_decref(jsonl->root);
    json_decref(jsonl->matches);
    jsonl->matches = NULL;
    ft_arena_reset(&jsonl->arena);
    jsonl->root = root;
    if (!json_is_object(root) && jsonl->option != FT_ROW_VECTORS)
        return ft_fail(FT_BAD, "expected an object, {\"text\": ...}, got an array");
    if (!ft_json_is_shallow(root, DEPTH))
        return ft_fail(FT_BAD, "nested deeper than %d levels", DEPTH);
    jsonl->checked = jsonl->documents && json_is_object(root) && ft_docarray_is(root);
    if ((jsonl->checked && ft_docarray_check(root) < 0) || make_room(jsonl) < 0 || read_root(jsonl) < 0 || check_items(jsonl) < 0)
        return -1;
    read_tags(jsonl);
    return jsonl->positives > 1 ? (long)jsonl->positives : 1;
}

long ft_jsonl_read(struct ft_jsonl *jsonl, struct ft_string line)
{
    json_error_t error;
    json_t *root = json_loadb(line.data, line.size, JSON_REJECT_DUPLICATES, &error);

    return root ? ft_jsonl_take(jsonl, root) : ft_fail(FT_BAD, "column %d: %s", error.column, error.text);
}

void ft_jsonl_row(struct ft_jsonl *jsonl, size_t part, struct ft_row *row)
{
    size_t rest = jsonl->item_count - 1 - jsonl->positives;

    *row = (struct ft_row){.kind = jsonl->kind, .part = jsonl->positives > 1 ? part + 1 : 0, .id = jsonl->id, .items = jsonl->items,
                           .item_count = jsonl->item_count, .label = jsonl->label, .scored = jsonl->scored, .score = jsonl->score,
                           .tags = jsonl->tags, .tag_count = jsonl->tag_count, .object = jsonl->root, .document = jsonl->checked};
    if (jsonl->positives <= 1)
        return;
    jsonl->part[0] = jsonl->items[0];
    jsonl->part[1] = jsonl->items[1 + part];
    memcpy(jsonl->part + 2, jsonl->items + 1 + jsonl->positives, rest * sizeof *jsonl->part);
    row->items = jsonl->part;
    row->item_count = 2 + rest;
}
