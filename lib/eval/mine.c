/* mine.c - documents in: anchors into one collection, what may answer into another, and which answers which. */
#include "eval/mine.h"
#include "base/error.h"
#include "base/random.h"
#include "eval/metrics.h"
#include "eval/mine-internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int parse_rank(const char *text, const char *end, size_t *rank)
{
    *rank = 0;
    for (; text < end && *text >= '0' && *text <= '9' && *rank < 1000000000; text++)
        *rank = *rank * 10 + (size_t)(*text - '0');
    return text == end ? 0 : -1;
}

int ft_mine_range(const char *text, struct ft_mine_options *options)
{
    const char *colon = strchr(text, ':');

    if (!colon || colon == text || parse_rank(text, colon, &options->low) < 0 ||
        parse_rank(colon + 1, text + strlen(text), &options->high) < 0 || (colon[1] && !options->high))
        return ft_fail(FT_USAGE, "--range '%s': expected LO:HI, such as 10:50, or LO:", text);
    return 0;
}

static int check_options(const struct ft_mine_options *o)
{
    if (o->texts && !o->low)
        return ft_fail(FT_USAGE, "--range 0:: rank 0 is the similar text's, expected 1 or more");
    if (o->high && o->high <= o->low)
        return ft_fail(FT_USAGE, "--range %zu:%zu: expected LO below HI", o->low, o->high);
    if (o->high && o->high - o->low < o->negatives)
        return ft_fail(FT_USAGE, "--range %zu:%zu has %zu ranks, expected %zu or more, one for each negative", o->low, o->high,
                       o->high - o->low, o->negatives);
    if (o->pool && o->pool < o->low + o->negatives)
        return ft_fail(FT_USAGE, "-k %zu: expected %zu or more, for --negatives %zu from rank %zu on", o->pool, o->low + o->negatives,
                       o->negatives, o->low);
    return 0;
}

static int set_up(struct ft_mine *m)
{
    struct ft_collection empty = {.shared = &m->contents, .views = 1, .distinct = true, .view = {{.encoder = m->encoder}}};

    m->queries = m->index = empty;
    m->queries.side = FT_QUERIES;
    m->index.side = FT_INDEX;
    m->index.whole = true;
    m->twice = m->encoder && m->encoder->embedder[FT_QUERIES] != m->encoder->embedder[FT_INDEX];
    m->index.kept = ft_corpus_open(FT_CORPUS_MEMORY);
    m->records = ft_corpus_open(FT_CORPUS_MEMORY);
    if (!m->index.kept || !m->records)
        return -1;
    return msgpack_zone_init(&m->zone, 1 << 12) ? 0 : ft_fail(FT_SYSTEM, "out of memory");
}

struct ft_mine *ft_mine_open(const struct ft_mine_options *options, struct ft_encoder *encoder)
{
    struct ft_mine *m;

    if (check_options(options) < 0)
        return NULL;
    if (!(m = calloc(1, sizeof *m))) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    m->options = *options;
    m->encoder = encoder;
    if (set_up(m) == 0)
        return m;
    ft_mine_close(m);
    return NULL;
}

void ft_mine_close(struct ft_mine *m)
{
    if (!m)
        return;
    ft_corpus_close(m->index.kept);
    ft_corpus_close(m->records);
    ft_collection_free(&m->queries);
    ft_collection_free(&m->index);
    ft_contents_free(&m->contents);
    ft_arena_free(&m->arena);
    ft_arena_free(&m->record);
    ft_buffer_free(&m->bytes);
    if (m->zone.chunk_list.head)   /* it was begun */
        msgpack_zone_destroy(&m->zone);
    free(m->row);
    free(m->link);
    free(m->label_content);
    free(m);
}

static int add_link(struct ft_mine *m, uint32_t from, uint32_t to)
{
    if (ft_grow(&m->link, &m->link_capacity, m->links + 1, sizeof *m->link) < 0)
        return -1;
    m->link[m->links++] = (struct ft_mine_link){from, to};
    return 0;
}

/* A document or chunk as an item of the collection, known by its content alone; that too. */
static int add_item(struct ft_mine *m, struct ft_collection *c, const struct ft_document *document, uint32_t *item, uint32_t *content)
{
    struct ft_document nameless = *document;

    nameless.id = (struct ft_string){NULL, 0};
    if (ft_collection_add(c, &nameless) < 0 || ft_groups_add(&m->contents.contents, ft_document_hash(document), content) < 0)
        return -1;
    *item = ft_collection_find(c, *content);
    return 0;
}

/* ---- pairs and triplets ---- */

static enum ft_role said_role(const struct ft_document *document, size_t chunk)
{
    if (document->chunks[chunk].role != FT_NO_ROLE)
        return document->chunks[chunk].role;
    return chunk == 0 ? FT_ANCHOR : chunk == 1 ? FT_POSITIVE : FT_NEGATIVE;
}

/* Negatives that a pair brings are of what answered before it was turned. */
enum ft_role ft_mine_role(const struct ft_mine *m, const struct ft_document *document, size_t chunk)
{
    enum ft_role role = said_role(document, chunk);
    struct ft_modalities way = m->options.modalities;
    size_t anchor = 0;

    if (!ft_modalities_differ(way) || role == FT_NEGATIVE)
        return role;
    while (anchor < document->chunk_count && said_role(document, anchor) != FT_ANCHOR)
        anchor++;
    if (anchor == document->chunk_count || ft_document_modality(&document->chunks[anchor]) != way.answers)
        return role;
    return role == FT_ANCHOR ? FT_POSITIVE : FT_ANCHOR;
}

/* Does it answer, or could it? */
static bool answers(const struct ft_mine *m, const struct ft_document *chunk)
{
    return m->options.modalities.answers == FT_MODALITY_ANY || ft_document_modality(chunk) == m->options.modalities.answers;
}

static int check_chunks(const struct ft_mine *m, const struct ft_document *d)
{
    const enum ft_modality queries = m->options.modalities.queries;
    size_t count[FT_NO_ROLE + 1] = {0}, said = 0, other = 0;

    for (size_t i = 0; i < d->chunk_count; i++) {
        enum ft_role role = ft_mine_role(m, d, i);

        count[role]++;
        said += d->chunks[i].role != FT_NO_ROLE;
        other += (role == FT_POSITIVE && !answers(m, &d->chunks[i])) ||
                 (role == FT_ANCHOR && queries != FT_MODALITY_ANY && ft_document_modality(&d->chunks[i]) != queries);
    }
    if (d->scored)
        return ft_fail(FT_BAD, "has a score: scored pairs do not say which are right");
    if (count[FT_ANCHOR] != 1 || !count[FT_POSITIVE] || (said && said < d->chunk_count))
        return ft_fail(FT_BAD, "%zu anchors, %zu positives and %zu chunks without a role: expected one anchor, one or more positives "
                       "and any number of negatives", count[FT_ANCHOR], count[FT_POSITIVE], d->chunk_count - said);
    if (other)
        return ft_fail(FT_BAD, "no pair of %s %s that asks and %s %s that answers", queries == FT_MODALITY_IMAGE ? "an" : "a", ft_modality_name(queries),
                       m->options.modalities.answers == FT_MODALITY_IMAGE ? "an" : "a", ft_modality_name(m->options.modalities.answers));
    return 0;
}

static int add_chunks(struct ft_mine *m, const struct ft_document *d)
{
    struct ft_mine_row *row = &m->row[m->rows];
    uint32_t item, content, anchor = 0;
    size_t at = 0;

    if (check_chunks(m, d) < 0)
        return -1;
    while (ft_mine_role(m, d, at) != FT_ANCHOR)
        at++;
    if (add_item(m, &m->queries, &d->chunks[at], &row->query, &anchor) < 0)
        return ft_error_prefix("chunks[%zu]: ", at);
    row->positive = FT_NO_ITEM;
    for (size_t i = 0; i < d->chunk_count; i++) {
        if (i == at || !answers(m, &d->chunks[i]))
            continue;
        if (add_item(m, &m->index, &d->chunks[i], &item, &content) < 0)
            return ft_error_prefix("chunks[%zu]: ", i);
        if (ft_mine_role(m, d, i) == FT_NEGATIVE)
            continue;
        ft_groups_unite(&m->contents.contents, anchor, content);
        if (row->positive == FT_NO_ITEM)
            row->positive = item;
        if (add_link(m, row->query, item) < 0)
            return -1;
    }
    return 0;
}

/* ---- labels ---- */

static int add_labelled(struct ft_mine *m, const struct ft_document *d)
{
    struct ft_mine_row *row = &m->row[m->rows];
    uint32_t item, content, query;

    if (add_item(m, &m->index, d, &item, &content) < 0 || (m->twice && add_item(m, &m->queries, d, &query, &content) < 0) ||
        ft_groups_add(&m->contents.labels, ft_hash_bytes(d->label.data, d->label.size), &row->label) < 0)
        return -1;
    row->query = item;
    row->positive = FT_NO_ITEM;
    if (row->label == m->labels) {
        if (ft_grow(&m->label_content, &m->label_capacity, m->labels + 1, sizeof *m->label_content) < 0)
            return -1;
        m->label_content[m->labels++] = content;
    }
    ft_groups_unite(&m->contents.contents, m->label_content[row->label], content);
    return add_link(m, row->label, item);
}

/* ---- plain texts ---- */

static int add_text(struct ft_mine *m, const struct ft_document *d)
{
    struct ft_mine_row *row = &m->row[m->rows];
    uint32_t content;

    row->positive = FT_NO_ITEM;
    return add_item(m, &m->queries, d, &row->query, &content);
}

/* ---- the stream ---- */

int ft_mine_start(struct ft_mine *m, const struct ft_header *header)
{
    return ft_collection_start(&m->queries, header) < 0 ? -1 : ft_collection_start(&m->index, header);
}

/* Where nobody said what asks and what answers, a first pair of a text and an image does. */
static int choose_modalities(struct ft_mine *m, enum ft_mine_kind kind, const struct ft_document *d)
{
    struct ft_modalities *way = &m->options.modalities;
    enum ft_modality first;

    if (kind != FT_MINE_PAIRS)
        return !ft_modalities_differ(*way) ? 0 : ft_fail(FT_USAGE, "--modality %s:%s goes with pairs: documents with labels take one modality",
                                                         ft_modality_name(way->queries), ft_modality_name(way->answers));
    if (way->queries != FT_MODALITY_ANY || !ft_document_text_image(d))
        return 0;
    first = ft_document_modality(&d->chunks[ft_document_anchor(d)]);
    *way = (struct ft_modalities){first, first == FT_MODALITY_TEXT ? FT_MODALITY_IMAGE : FT_MODALITY_TEXT};
    return 0;
}

static int add_document(struct ft_mine *m, const struct ft_document *d, struct ft_string bytes)
{
    static int (*const add[])(struct ft_mine *m, const struct ft_document *d) = {
        [FT_MINE_PAIRS] = add_chunks, [FT_MINE_LABELS] = add_labelled, [FT_MINE_TEXTS] = add_text,
    };
    enum ft_mine_kind kind = m->options.texts ? FT_MINE_TEXTS : d->chunk_count ? FT_MINE_PAIRS : FT_MINE_LABELS;

    if (kind == FT_MINE_TEXTS && d->chunk_count)
        return ft_fail(FT_BAD, "has chunks: queries are plain documents");
    if (kind == FT_MINE_LABELS && !d->label.data)
        return ft_fail(FT_BAD, "neither a pair, a triplet nor a text with a label: nothing says what is right");
    if (m->kind != FT_MINE_NOTHING && m->kind != kind)
        return ft_fail(FT_BAD, "%s among %s: mine them one after another", kind == FT_MINE_PAIRS ? "a pair" : "a labelled text",
                       kind == FT_MINE_PAIRS ? "labelled texts" : "pairs");
    if (m->kind == FT_MINE_NOTHING && choose_modalities(m, kind, d) < 0)
        return -1;
    m->kind = kind;
    if (kind != FT_MINE_PAIRS && !answers(m, d))
        return 0;
    if (m->rows == UINT32_MAX)
        return ft_fail(FT_BAD, "more than %u documents", UINT32_MAX);
    if (ft_grow(&m->row, &m->row_capacity, m->rows + 1, sizeof *m->row) < 0 ||
        add[kind](m, d) < 0 || ft_corpus_add(m->records, bytes) < 0)
        return -1;
    m->rows++;
    return 0;
}

int ft_mine_add(struct ft_mine *m, const struct ft_document *d, struct ft_string bytes)
{
    if (add_document(m, d, bytes) == 0)
        return 0;
    return ft_error_prefix("document %.*s: ", (int)(d->id.size < 200 ? d->id.size : 200), d->id.data ? d->id.data : "");
}

/* ---- all are in ---- */

static int compare_links(const void *a, const void *b)
{
    const struct ft_mine_link *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

/* The links as `count` lists; sorts them. */
static int make_lists(struct ft_mine *m, struct ft_mine_lists *lists, size_t count)
{
    size_t kept = 0;

    *lists = (struct ft_mine_lists){ft_arena_take(&m->arena, (m->links + 1) * sizeof *lists->item),
                                    ft_arena_zero(&m->arena, count + 1, sizeof *lists->at), count};
    if (!lists->item || !lists->at)
        return -1;
    if (m->links)
        qsort(m->link, m->links, sizeof *m->link, compare_links);
    for (size_t i = 0; i < m->links; i++)
        if (!i || compare_links(&m->link[i - 1], &m->link[i]) != 0) {
            lists->item[kept++] = m->link[i].to;
            lists->at[m->link[i].from + 1] = kept;
        }
    for (size_t f = 1; f <= count; f++)
        if (!lists->at[f])
            lists->at[f] = lists->at[f - 1];
    return 0;
}

/* The most links that one query has, repeated ones counted, as sentence-transformers counts rows. */
static size_t most_links(const struct ft_mine *m)
{
    size_t run = 0, most = 0;

    for (size_t i = 0; i < m->links; i++) {
        run = i && m->link[i - 1].from == m->link[i].from ? run + 1 : 1;
        most = run > most ? run : most;
    }
    return most;
}

/* Another document of the label, by seed and the row's number. */
static void draw_positive(struct ft_mine *m, size_t number)
{
    struct ft_mine_row *row = &m->row[number];
    struct ft_items members = ft_mine_list(&m->members, row->label);
    struct ft_random random = ft_random_start(m->options.seed, number);
    size_t at;

    if (members.count < 2)
        return;
    at = ft_random_below(&random, members.count - 1);
    row->positive = members.item[at] < row->query ? members.item[at] : members.item[at + 1];
}

/* Labelled texts are embedded once where that is enough: both collections have the same items in the same order. */
static int share_vectors(struct ft_mine *m)
{
    struct ft_view *from = m->index.view, *to = m->queries.view;
    size_t size = m->index.count * from->dim * sizeof *to->vector;

    if (!(to->vector = ft_resize(NULL, size + 1, 1)))
        return -1;
    if (size)
        memcpy(to->vector, from->vector, size);
    to->dim = from->dim;
    to->capacity = m->queries.count = m->index.count;
    return 0;
}

static int make_ready(struct ft_mine *m, const struct ft_collection *c)
{
    size_t bad;

    if (ft_vectors_ready(m->options.distance, c->view->vector, c->count, c->view->dim, &bad) < 0)
        return ft_error_prefix("%s %zu: ", c == &m->queries ? "anchor" : "document", bad + 1);
    return 0;
}

/* How far to look where nothing says so. `most`: answers that may be among what is seen. */
static void set_ranks(struct ft_mine *m, size_t most)
{
    struct ft_mine_options *o = &m->options;
    bool bounded = !isnan(o->absolute) || !isnan(o->relative) || !isnan(o->largest);

    if (!o->high)
        o->high = o->low + o->negatives * (bounded ? 10 : 1) + most;
    m->pool = o->pool ? o->pool : o->high + most;
}

static int run_pairs(struct ft_mine *m)
{
    if (make_lists(m, &m->answers, m->queries.count) < 0)
        return -1;
    set_ranks(m, most_links(m));
    return 0;
}

static int run_labels(struct ft_mine *m)
{
    if ((!m->twice && share_vectors(m) < 0) || make_lists(m, &m->members, m->labels) < 0)
        return -1;
    m->links = 0;
    for (size_t r = 0; r < m->rows; r++) {
        draw_positive(m, r);
        if (m->options.scores && m->row[r].positive != FT_NO_ITEM && add_link(m, m->row[r].query, m->row[r].positive) < 0)
            return -1;
    }
    set_ranks(m, 0);
    return make_lists(m, &m->answers, m->queries.count);
}

/* The corpus is the index alone. */
static int run_texts(struct ft_mine *m)
{
    set_ranks(m, 0);
    m->nearest = ft_arena_take(&m->arena, (m->queries.count + 1) * sizeof *m->nearest);
    return m->nearest ? make_lists(m, &m->answers, m->queries.count) : -1;
}

int ft_mine_run(struct ft_mine *m, const char *index)
{
    static int (*const run[])(struct ft_mine *m) = {
        [FT_MINE_PAIRS] = run_pairs, [FT_MINE_LABELS] = run_labels, [FT_MINE_TEXTS] = run_texts,
    };

    if (ft_collection_flush(&m->queries) < 0 || ft_collection_flush(&m->index) < 0)
        return -1;
    if (!m->rows)
        return ft_fail(FT_BAD, "no documents: there is nothing to mine for");
    if (run[m->kind](m) < 0)
        return -1;
    if (m->index.count && m->queries.view->dim != m->index.view->dim)
        return ft_fail(FT_BAD, "anchors have %zu dimensions, what answers them %zu: were they embedded by one model?",
                       m->queries.view->dim, m->index.view->dim);
    if (make_ready(m, &m->queries) < 0 || make_ready(m, &m->index) < 0)
        return -1;
    m->contents_known = m->contents.contents.count;
    m->index.modality = m->options.modalities.answers;
    return ft_mine_choose(m, index);
}

struct ft_modalities ft_mine_modalities(const struct ft_mine *m)
{
    return m->options.modalities;
}

const struct ft_mine_counts *ft_mine_counts(const struct ft_mine *m)
{
    return &m->counts;
}
