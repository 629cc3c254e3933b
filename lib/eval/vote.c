/* vote.c - votes counted, and written as lines, JSON and tags. */
#include "eval/vote.h"
#include "base/error.h"
#include "eval/metrics.h"

#include <stdlib.h>
#include <string.h>

static const char *const tag_names[] = {"predicted_label", "predicted_score"};

void ft_votes_free(struct ft_votes *votes)
{
    free(votes->vote);
    *votes = (struct ft_votes){.count = 0};
}

static int add_vote(struct ft_votes *v, uint32_t label)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->vote[i].label == label) {
            v->vote[i].votes++;
            return 0;
        }
    if (v->count == v->capacity) {
        size_t capacity = v->capacity ? 2 * v->capacity : 16;
        struct ft_vote *larger = ft_resize(v->vote, capacity, sizeof *larger);

        if (!larger)
            return -1;
        v->vote = larger;
        v->capacity = capacity;
    }
    v->vote[v->count++] = (struct ft_vote){label, 1};
    return 0;
}

/* By insertion: labels come with the nearest member's first, and stay so among equals. */
static void sort(struct ft_votes *v)
{
    for (size_t i = 1; i < v->count; i++) {
        struct ft_vote one = v->vote[i];
        size_t at = i;

        for (; at && v->vote[at - 1].votes < one.votes; at--)
            v->vote[at] = v->vote[at - 1];
        v->vote[at] = one;
    }
}

int ft_votes_count(struct ft_votes *v, const struct ft_matches *m)
{
    v->count = v->voters = 0;
    for (size_t i = 0; i < m->k && m->match[i].item != FT_NO_ITEM; i++) {
        uint32_t label = m->index->item[m->match[i].item].label;

        if (label == FT_NO_CLASS)
            continue;
        if (add_vote(v, label) < 0)
            return -1;
        v->voters++;
    }
    sort(v);
    return 0;
}

static double share(const struct ft_votes *v, size_t i)
{
    return (double)v->vote[i].votes / (double)v->voters;
}

static int name_of(const struct ft_votes *v, size_t i, struct ft_buffer *bytes, struct ft_string *name)
{
    bytes->size = 0;
    if (ft_corpus_read(v->contents->label_names, v->vote[i].label, bytes) < 0)
        return -1;
    *name = (struct ft_string){bytes->data ? bytes->data : "", bytes->size};
    return 0;
}

int ft_votes_text(struct ft_buffer *out, const struct ft_votes *v)
{
    struct ft_buffer bytes = {NULL, 0, 0};
    struct ft_string name;
    int result = 0;

    for (size_t i = 0; result == 0 && i < v->count; i++)
        if (name_of(v, i, &bytes, &name) < 0 || ft_buffer_print(out, "%.4f\t", share(v, i)) < 0 || ft_line_add(out, name, 0) < 0 ||
            ft_buffer_print(out, "\n") < 0)
            result = -1;
    ft_buffer_free(&bytes);
    return result;
}

static int add_labels(struct ft_buffer *out, const struct ft_votes *v, struct ft_buffer *bytes)
{
    struct ft_string name;

    if (!v->count)
        return ft_buffer_print(out, "\"label\": null, \"confidence\": 0, \"labels\": {}");
    if (name_of(v, 0, bytes, &name) < 0 || ft_buffer_print(out, "\"label\": ") < 0 || ft_text_json(out, name) < 0 ||
        ft_buffer_print(out, ", \"confidence\": %.8g, \"labels\": {", share(v, 0)) < 0)
        return -1;
    for (size_t i = 0; i < v->count; i++)
        if (name_of(v, i, bytes, &name) < 0 || ft_buffer_print(out, "%s", i ? ", " : "") < 0 || ft_text_json(out, name) < 0 ||
            ft_buffer_print(out, ": %.8g", share(v, i)) < 0)
            return -1;
    return ft_buffer_print(out, "}");
}

int ft_votes_json(struct ft_buffer *out, const struct ft_votes *v)
{
    struct ft_buffer bytes = {NULL, 0, 0};
    int result = add_labels(out, v, &bytes);

    ft_buffer_free(&bytes);
    return result;
}

static bool is_ours(const msgpack_object *key)
{
    for (size_t i = 0; i < 2 && key->type == MSGPACK_OBJECT_STR; i++)
        if (key->via.str.size == strlen(tag_names[i]) && memcmp(key->via.str.ptr, tag_names[i], key->via.str.size) == 0)
            return true;
    return false;
}

/* What an earlier vote left is replaced. */
int ft_votes_pack(msgpack_packer *pk, const msgpack_object *tags, const struct ft_votes *v)
{
    const msgpack_object_map none = {0, NULL}, *map = tags && tags->type == MSGPACK_OBJECT_MAP ? &tags->via.map : &none;
    struct ft_buffer bytes = {NULL, 0, 0};
    struct ft_string name = {NULL, 0};
    uint32_t kept = 0;

    if (v->count && name_of(v, 0, &bytes, &name) < 0) {
        ft_buffer_free(&bytes);
        return -1;
    }
    for (uint32_t i = 0; i < map->size; i++)
        kept += !is_ours(&map->ptr[i].key);
    msgpack_pack_map(pk, kept + (v->count ? 2 : 0));
    for (uint32_t i = 0; i < map->size; i++)
        if (!is_ours(&map->ptr[i].key)) {
            msgpack_pack_object(pk, map->ptr[i].key);
            msgpack_pack_object(pk, map->ptr[i].val);
        }
    if (v->count) {
        ft_pack_text(pk, tag_names[0]);
        ft_pack_string(pk, name);
        ft_pack_text(pk, tag_names[1]);
        msgpack_pack_double(pk, share(v, 0));
    }
    ft_buffer_free(&bytes);
    return 0;
}
