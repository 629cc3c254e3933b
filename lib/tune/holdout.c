/* holdout.c - documents put aside, grouped, and dealt to two sides. */
#include "tune/holdout.h"
#include "base/error.h"
#include "data/groups.h"

#include <math.h>
#include <stdlib.h>

struct row {
    uint32_t content, label;     /* nodes */
    struct ft_hash key;
};

/* Documents that stay together. */
struct block {
    uint32_t label, group;
    size_t size;
    struct ft_hash key;          /* the least of its rows' */
};

struct ft_holdout {
    double share;
    uint64_t seed;
    struct ft_corpus *corpus;
    struct ft_groups contents, labels;
    struct row *row;
    size_t count, capacity;
    bool *held;                  /* by group */
    /* the second time through */
    struct ft_validation *validation;
    ft_documents_take *take;
    void *argument;
    size_t at;
};

static const uint32_t NO_LABEL = UINT32_MAX;

struct ft_holdout *ft_holdout_open(double share, uint64_t seed)
{
    struct ft_holdout *h = calloc(1, sizeof *h);

    if (!h) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    h->share = share;
    h->seed = seed;
    if ((h->corpus = ft_corpus_open(FT_CORPUS_MEMORY)))
        return h;
    ft_holdout_close(h);
    return NULL;
}

void ft_holdout_close(struct ft_holdout *h)
{
    if (!h)
        return;
    ft_corpus_close(h->corpus);
    ft_groups_free(&h->contents);
    ft_groups_free(&h->labels);
    free(h->row);
    free(h->held);
    free(h);
}

static int add_content(struct ft_holdout *h, const struct ft_document *item, struct row *row, bool first)
{
    struct ft_hash content = ft_document_hash(item), salted[2] = {content, {h->seed, 0}};
    uint32_t node;

    if (ft_groups_add(&h->contents, content, &node) < 0)
        return -1;
    if (first) {
        row->content = node;
        row->key = ft_hash_bytes(salted, sizeof salted);
    } else {
        ft_groups_unite(&h->contents, row->content, node);
    }
    return 0;
}

int ft_holdout_add(struct ft_holdout *h, const struct ft_document *d, struct ft_string bytes)
{
    struct row row = {.label = NO_LABEL};
    bool first = true;

    if (h->count == h->capacity) {
        size_t capacity = h->capacity ? h->capacity * 2 : 256;
        struct row *larger = ft_resize(h->row, capacity, sizeof *larger);

        if (!larger)
            return -1;
        h->row = larger;
        h->capacity = capacity;
    }
    for (size_t c = 0; c < d->chunk_count; c++)
        if (d->chunks[c].role != FT_NEGATIVE) {
            if (add_content(h, &d->chunks[c], &row, first) < 0)
                return -1;
            first = false;
        }
    if (first && add_content(h, d, &row, true) < 0)      /* no chunks, or negatives alone */
        return -1;
    if (d->label.data && ft_groups_add(&h->labels, ft_hash_bytes(d->label.data, d->label.size), &row.label) < 0)
        return -1;
    h->row[h->count++] = row;
    return ft_corpus_add(h->corpus, bytes);
}

static int compare_blocks(const void *a, const void *b)
{
    const struct block *x = a, *y = b;

    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return ft_hash_compare(x->key, y->key);
}

/* How many of the n documents of a label, or of all where there are no labels, are held out. */
static size_t wanted(const struct ft_holdout *h, size_t n, bool labelled)
{
    size_t share = (size_t)lround((double)n * h->share);

    if (!labelled)
        return share ? share : 1;
    if (share == 0 || n < 4)
        return 0;
    share = share < 2 ? 2 : share;
    return share > n - 2 ? n - 2 : share;
}

/* Blocks of one label, in the order of their keys. */
static size_t choose(struct ft_holdout *h, const struct block *block, size_t count)
{
    size_t n = 0, want, taken = 0;

    for (size_t i = 0; i < count; i++)
        n += block[i].size;
    want = wanted(h, n, block->label != NO_LABEL);
    for (size_t i = 0; i < count; i++)
        if (taken + block[i].size <= want) {
            h->held[block[i].group] = true;
            taken += block[i].size;
        }
    return taken;
}

static struct block *make_blocks(struct ft_holdout *h, size_t groups)
{
    struct block *block = ft_resize(NULL, groups + 1, sizeof *block);

    if (!block)
        return NULL;
    for (size_t g = 0; g < groups; g++)
        block[g].size = 0;
    for (size_t i = 0; i < h->count; i++) {
        uint32_t group = ft_groups_of(&h->contents, h->row[i].content);
        struct block *own = &block[group];

        if (own->size++ == 0)
            *own = (struct block){h->row[i].label, group, 1, h->row[i].key};
        else if (ft_hash_compare(h->row[i].key, own->key) < 0)
            own->key = h->row[i].key;
    }
    qsort(block, groups, sizeof *block, compare_blocks);
    return block;
}

static int hand_on(void *argument, const struct ft_document *document, struct ft_string bytes)
{
    struct ft_holdout *h = argument;

    if (h->held[ft_groups_of(&h->contents, h->row[h->at++].content)])
        return ft_validation_add(h->validation, FT_QUERIES, document, bytes);
    return h->take(h->argument, document, bytes);
}

int ft_holdout_split(struct ft_holdout *h, struct ft_validation *validation, ft_documents_take *take, void *argument)
{
    size_t groups = ft_groups_number(&h->contents), taken = 0;
    struct block *block = make_blocks(h, groups);

    if (!block || !(h->held = calloc(groups + 1, sizeof *h->held))) {
        free(block);
        return ft_fail(FT_SYSTEM, "out of memory for %zu documents", h->count);
    }
    for (size_t from = 0, to; from < groups; from = to) {
        for (to = from; to < groups && block[to].label == block[from].label; to++)
            ;
        taken += choose(h, block + from, to - from);
    }
    free(block);
    if (!taken || taken == h->count)
        return ft_fail(FT_BAD, "--hold-out %g of %zu documents, in %zu groups of equal contents: that is %s", h->share, h->count, groups,
                       taken ? "all of them" : "none that can be held out");
    h->validation = validation;
    h->take = take;
    h->argument = argument;
    h->at = 0;
    return ft_documents_again(h->corpus, hand_on, h);
}
