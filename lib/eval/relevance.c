/* relevance.c - lists of relevant and of excluded items. Items are put in the order of their class once; a
 * query's list is a slice of that. */
#include "eval/relevance.h"
#include "base/error.h"
#include "eval/metrics.h"

#include <stdlib.h>
#include <string.h>

/* Items in the order of their class, those of one class ascending: class c has order[start[c]] ..
 * order[start[c + 1] - 1]. */
struct classes {
    uint32_t *order;
    size_t *start;
    size_t count;
};

static int sort_by_class(struct ft_arena *arena, const uint32_t *class, size_t items, size_t count,
                         struct classes *classes)
{
    *classes = (struct classes){ft_arena_take(arena, items * sizeof(uint32_t)),
                                ft_arena_zero(arena, count + 2, sizeof(size_t)), count};
    if (!classes->order || !classes->start)
        return -1;
    for (size_t i = 0; i < items; i++)
        if (class[i] != FT_NO_CLASS)
            classes->start[class[i] + 2]++;
    for (size_t c = 2; c < count + 2; c++)
        classes->start[c] += classes->start[c - 1];
    for (size_t i = 0; i < items; i++)
        if (class[i] != FT_NO_CLASS)
            classes->order[classes->start[class[i] + 1]++] = (uint32_t)i;
    return 0;
}

static struct ft_items slice(const struct classes *classes, uint32_t class)
{
    if (class == FT_NO_CLASS)
        return (struct ft_items){NULL, 0};
    return (struct ft_items){classes->order + classes->start[class],
                             classes->start[class + 1] - classes->start[class]};
}

static uint32_t item_of(const struct ft_relevance *r, size_t query)
{
    return r->query ? r->query[query] : (uint32_t)query;
}

static bool same_hash(struct ft_hash a, struct ft_hash b)
{
    return a.low == b.low && a.high == b.high;
}

/* Is this item of the index, whose content is the query's, the query? */
static bool is_self(const struct ft_item *query, size_t number, const struct ft_item *item, size_t at, bool one)
{
    if (same_hash(query->id, FT_ID_CHUNK) || (one && number == at))
        return true;
    return !same_hash(query->id, FT_ID_NONE) && same_hash(query->id, item->id);
}

int ft_relevance_selves(struct ft_relevance *r, const struct ft_collection *queries,
                        const struct ft_collection *index)
{
    uint32_t *content = ft_arena_take(&r->arena, index->count * sizeof *content);
    struct ft_items *excluded;
    struct classes classes;

    r->query = queries->chunked ? queries->anchor : NULL;
    r->query_count = queries->chunked ? queries->anchor_count : queries->count;
    excluded = ft_arena_zero(&r->arena, r->query_count + 1, sizeof *excluded);
    if (!content || !excluded)
        return -1;
    for (size_t i = 0; i < index->count; i++)
        content[i] = index->item[i].content;
    if (sort_by_class(&r->arena, content, index->count, index->shared->contents.count, &classes) < 0)
        return -1;
    for (size_t q = 0; q < r->query_count; q++) {
        const struct ft_item *query = &queries->item[item_of(r, q)];
        struct ft_items equal = slice(&classes, query->content);
        uint32_t *list = NULL;

        for (size_t i = 0; i < equal.count; i++) {
            if (!is_self(query, item_of(r, q), &index->item[equal.item[i]], equal.item[i], queries == index))
                continue;
            if (!list && !(list = ft_arena_take(&r->arena, equal.count * sizeof *list)))
                return -1;
            list[excluded[q].count++] = equal.item[i];
        }
        excluded[q].item = list;
    }
    r->excluded = excluded;
    return 0;
}

int ft_selves_start(struct ft_selves *s, struct ft_arena *arena, const struct ft_collection *queries)
{
    uint32_t *content = ft_arena_take(arena, queries->count * sizeof *content);
    struct classes classes;

    for (size_t q = 0; content && q < queries->count; q++)
        content[q] = queries->item[q].content;
    if (!content || sort_by_class(arena, content, queries->count, queries->shared->contents.count, &classes) < 0)
        return -1;
    *s = (struct ft_selves){queries, classes.order, classes.start, classes.count};
    return 0;
}

/* Call `found` for each query that an item is. */
static void each_self(const struct ft_selves *s, const struct ft_collection *index, size_t first,
                      void (*found)(struct ft_items *excluded, uint32_t query, uint32_t item), struct ft_items *excluded)
{
    for (size_t i = first; i < index->count; i++) {
        uint32_t content = index->item[i].content;

        if (content >= s->contents)
            continue;
        for (size_t at = s->start[content]; at < s->start[content + 1]; at++)
            if (is_self(&s->queries->item[s->order[at]], s->order[at], &index->item[i], i, false))
                found(excluded, s->order[at], (uint32_t)i);
    }
}

static void count_self(struct ft_items *excluded, uint32_t query, uint32_t item)
{
    (void)item;
    excluded[query].count++;
}

static void list_self(struct ft_items *excluded, uint32_t query, uint32_t item)
{
    ((uint32_t *)excluded[query].item)[excluded[query].count++] = item;
}

int ft_selves_find(const struct ft_selves *s, struct ft_arena *arena, const struct ft_collection *index, size_t first,
                   const struct ft_items **excluded)
{
    size_t queries = s->queries->count, all = 0;
    struct ft_items *list = ft_arena_zero(arena, queries + 1, sizeof *list);
    uint32_t *room;

    *excluded = NULL;
    if (!list)
        return -1;
    each_self(s, index, first, count_self, list);
    for (size_t q = 0; q < queries; q++)
        all += list[q].count;
    if (!all)
        return 0;
    if (!(room = ft_arena_take(arena, all * sizeof *room)))
        return -1;
    for (size_t q = 0; q < queries; q++) {
        list[q].item = room;
        room += list[q].count;
        list[q].count = 0;
    }
    each_self(s, index, first, list_self, list);
    *excluded = list;
    return 0;
}

/* ---- by class ---- */

static uint32_t class_of(const struct ft_item *item, const struct ft_groups *groups)
{
    return groups ? ft_groups_of(groups, item->content) : item->label;
}

/* Class numbers of both sides: groups, or with `groups` NULL labels. */
static int set_classes(struct ft_relevance *r, const struct ft_collection *queries,
                       const struct ft_collection *index, const struct ft_groups *groups)
{
    uint32_t *query = ft_arena_take(&r->arena, r->query_count * sizeof *query);
    uint32_t *item = ft_arena_take(&r->arena, index->count * sizeof *item);

    if (!query || !item)
        return -1;
    for (size_t q = 0; q < r->query_count; q++)
        query[q] = class_of(&queries->item[item_of(r, q)], groups);
    for (size_t i = 0; i < index->count; i++)
        item[i] = class_of(&index->item[i], groups);
    r->query_class = query;
    r->index_class = item;
    return 0;
}

static int relevant_by_class(struct ft_relevance *r, const struct ft_collection *index, size_t count)
{
    struct ft_items *relevant = ft_arena_take(&r->arena, (r->query_count + 1) * sizeof *relevant);
    struct classes classes;

    if (!relevant || sort_by_class(&r->arena, r->index_class, index->count, count, &classes) < 0)
        return -1;
    for (size_t q = 0; q < r->query_count; q++)
        relevant[q] = slice(&classes, r->query_class[q]);
    r->relevant = relevant;
    return 0;
}

static bool has_labels(const struct ft_collection *collection)
{
    for (size_t i = 0; i < collection->count; i++)
        if (collection->item[i].label != FT_NO_CLASS)
            return true;
    return false;
}

/* ---- by qrels ---- */

struct known {
    struct ft_hash id;
    uint32_t number;
};

static int compare_known(const void *a, const void *b)
{
    const struct known *x = a, *y = b;

    if (x->id.high != y->id.high)
        return x->id.high < y->id.high ? -1 : 1;
    if (x->id.low != y->id.low)
        return x->id.low < y->id.low ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* The first with this id; NULL when there is none. `two` says that the next has the same. */
static const struct known *find(const struct known *known, size_t count, struct ft_hash id, bool *two)
{
    struct known key = {id, 0};
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_known(&known[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *two = low + 1 < count && same_hash(known[low + 1].id, id);
    return low < count && same_hash(known[low].id, id) ? &known[low] : NULL;
}

static struct known *sorted_ids(struct ft_arena *arena, const struct ft_collection *collection)
{
    struct known *known = ft_arena_take(arena, (collection->count + 1) * sizeof *known);

    for (size_t i = 0; known && i < collection->count; i++)
        known[i] = (struct known){collection->item[i].id, (uint32_t)i};
    if (known)
        qsort(known, collection->count, sizeof *known, compare_known);
    return known;
}

/* Documents of the query's id are the query, whatever they hold. */
static int selves_by_id(struct ft_relevance *r, const struct ft_collection *queries, const struct ft_collection *index)
{
    struct known *item = sorted_ids(&r->arena, index);
    struct ft_items *excluded = ft_arena_zero(&r->arena, queries->count + 1, sizeof *excluded);

    if (!item || !excluded)
        return -1;
    r->query_count = queries->count;
    for (size_t q = 0; q < queries->count; q++) {
        bool two;
        const struct known *self = find(item, index->count, queries->item[q].id, &two);

        if (self)
            excluded[q] = (struct ft_items){&self->number, 1};
    }
    r->excluded = excluded;
    return 0;
}

struct pair {
    uint32_t query, item;
    float gain;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

/* Relevant pairs by number. The count, or -1. */
static long judged_pairs(struct ft_relevance *r, const struct ft_collection *queries,
                         const struct ft_collection *index, const char *path,
                         struct pair **pairs)
{
    struct known *query = sorted_ids(&r->arena, queries), *item = sorted_ids(&r->arena, index);
    struct ft_judgement *judgement;
    size_t count;
    long kept = 0;

    if (!query || !item || ft_qrels_read(&r->arena, path, &judgement, &count) < 0 ||
        !(*pairs = ft_arena_take(&r->arena, count * sizeof **pairs)))
        return -1;
    for (size_t i = 0; i < count; i++) {
        bool two_queries, two_items;
        const struct known *q = find(query, queries->count, judgement[i].query, &two_queries);
        const struct known *d = find(item, index->count, judgement[i].document, &two_items);

        if (!q || !d)
            r->unknown++;
        else if (two_queries || two_items)
            return ft_fail(FT_BAD, "%s:%zu: two %s have this id: qrels need ids that are unique", path,
                           judgement[i].line,
                           two_queries ? "queries" : "documents");
        else if (judgement[i].gain > 0)
            (*pairs)[kept++] = (struct pair){q->number, d->number, judgement[i].gain};
    }
    qsort(*pairs, (size_t)kept, sizeof **pairs, compare_pairs);
    return kept;
}

static int relevant_by_qrels(struct ft_relevance *r, const struct ft_collection *queries,
                             const struct ft_collection *index, const char *path)
{
    struct pair *pairs = NULL;
    long count = judged_pairs(r, queries, index, path, &pairs);
    struct ft_items *relevant = ft_arena_zero(&r->arena, r->query_count + 1, sizeof *relevant);
    const float **gains = ft_arena_zero(&r->arena, r->query_count + 1, sizeof *gains);
    uint32_t *items;
    float *gain;

    if (count < 0 || !relevant || !gains)
        return -1;
    items = ft_arena_take(&r->arena, (size_t)count * sizeof *items);
    gain = ft_arena_take(&r->arena, (size_t)count * sizeof *gain);
    if (!items || !gain)
        return -1;
    for (long i = 0; i < count; i++) {
        struct ft_items *list = &relevant[pairs[i].query];

        items[i] = pairs[i].item;
        gain[i] = pairs[i].gain;
        if (!list->count++) {
            list->item = items + i;
            gains[pairs[i].query] = gain + i;
        }
    }
    r->relevant = relevant;
    r->gain = gains;
    return 0;
}

/* ---- by pairs ---- */

static int compare_content_pairs(const void *a, const void *b)
{
    const struct ft_content_pair *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static int compare_items(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Those from one content lie side by side, none twice: those of content c begin at start[c]. */
static int sort_pairs(struct ft_relevance *r, struct ft_contents *shared, size_t **start)
{
    size_t kept = 0;

    qsort(shared->pair, shared->pair_count, sizeof *shared->pair, compare_content_pairs);
    for (size_t i = 0; i < shared->pair_count; i++)
        if (!kept || compare_content_pairs(&shared->pair[i], &shared->pair[kept - 1]) != 0)
            shared->pair[kept++] = shared->pair[i];
    shared->pair_count = kept;
    if (!(*start = ft_arena_zero(&r->arena, shared->contents.count + 2, sizeof **start)))
        return -1;
    for (size_t i = 0; i < kept; i++)
        (*start)[shared->pair[i].from + 1]++;
    for (size_t c = 0; c < shared->contents.count; c++)
        (*start)[c + 1] += (*start)[c];
    return 0;
}

/* The items of the index that a content was paired with, ascending. */
static int paired_items(struct ft_relevance *r, const struct ft_content_pair *pair, size_t count, const struct classes *by_content,
                        struct ft_items *items)
{
    uint32_t *list;
    size_t all = 0;

    *items = (struct ft_items){NULL, 0};
    for (size_t i = 0; i < count; i++)
        all += slice(by_content, pair[i].to).count;
    if (!all)
        return 0;
    if (!(list = ft_arena_take(&r->arena, all * sizeof *list)))
        return -1;
    all = 0;
    for (size_t i = 0; i < count; i++) {
        struct ft_items of = slice(by_content, pair[i].to);

        if (of.count)
            memcpy(list + all, of.item, of.count * sizeof *list);
        all += of.count;
    }
    qsort(list, all, sizeof *list, compare_items);
    *items = (struct ft_items){list, all};
    return 0;
}

static int relevant_by_pairs(struct ft_relevance *r, const struct ft_collection *queries, const struct ft_collection *index)
{
    struct ft_items *relevant = ft_arena_zero(&r->arena, r->query_count + 1, sizeof *relevant);
    uint32_t *content = ft_arena_take(&r->arena, index->count * sizeof *content);
    struct ft_contents *shared = queries->shared;
    struct classes by_content;
    size_t *start;

    if (!relevant || !content)
        return -1;
    for (size_t i = 0; i < index->count; i++)
        content[i] = index->item[i].content;
    if (sort_by_class(&r->arena, content, index->count, shared->contents.count, &by_content) < 0 || sort_pairs(r, shared, &start) < 0)
        return -1;
    for (size_t q = 0; q < r->query_count; q++) {
        uint32_t from = queries->item[item_of(r, q)].content;

        if (paired_items(r, shared->pair + start[from], start[from + 1] - start[from], &by_content, &relevant[q]) < 0)
            return -1;
    }
    r->by = "pairs";
    r->relevant = relevant;
    return 0;
}

int ft_relevance_build(struct ft_relevance *r, const struct ft_collection *queries,
                       const struct ft_collection *index, const char *path)
{
    struct ft_contents *shared = queries->shared;
    bool labels = has_labels(queries);
    size_t count;

    if ((r->same_id ? selves_by_id(r, queries, index) : ft_relevance_selves(r, queries, index)) < 0)
        return -1;
    if (path) {
        r->by = "qrels";
        if (queries->chunked)
            return ft_fail(FT_USAGE, "--qrels: the queries are chunks of pairs or triplets, which have no ids");
        if (labels && set_classes(r, queries, index, NULL) < 0)
            return -1;
        return relevant_by_qrels(r, queries, index, path);
    }
    if (ft_modalities_differ((struct ft_modalities){queries->modality, index->modality}) && shared->pair_count && (queries->chunked || !labels))
        return relevant_by_pairs(r, queries, index);
    if (queries->chunked) {
        r->by = "groups";
        count = ft_groups_number(&shared->contents);
        return set_classes(r, queries, index, &shared->contents) < 0 ? -1 : relevant_by_class(r, index, count);
    }
    if (!labels)
        return ft_fail(FT_BAD, "nothing says what is relevant: the documents have no labels "
                       "and are no pairs or triplets; see --qrels");
    r->by = "labels";
    return set_classes(r, queries, index, NULL) < 0 ? -1 : relevant_by_class(r, index, shared->labels.count);
}

void ft_relevance_free(struct ft_relevance *r)
{
    ft_arena_free(&r->arena);
    *r = (struct ft_relevance){.by = NULL};
}

const float *ft_relevance_queries(const struct ft_relevance *r, struct ft_arena *arena, const float *vector, size_t dim)
{
    float *copy;

    if (!r->query)
        return vector;
    if (!(copy = ft_arena_take(arena, r->query_count * dim * sizeof *copy)))
        return NULL;
    for (size_t q = 0; q < r->query_count; q++)
        memcpy(copy + q * dim, vector + r->query[q] * dim, dim * sizeof *copy);
    return copy;
}
