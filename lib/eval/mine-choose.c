/* mine-choose.c - what may be a negative of whom: known answers out, margins, ranks. */
#include "base/error.h"
#include "base/random.h"
#include "eval/metrics.h"
#include "eval/mine-internal.h"
#include "eval/search.h"
#include "eval/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_QUERIES = 4096, BLOCK_MATCHES = 4 << 20 };

static double similarity(enum ft_distance distance, float score)
{
    return distance == FT_EUCLIDEAN ? -ft_distance_shown(distance, score) : (double)score;
}

/* ---- who is known to be right ---- */

static uint32_t query_class(struct ft_mine *m, size_t query)
{
    const struct ft_collection *c = m->kind == FT_MINE_LABELS ? &m->index : &m->queries;

    return ft_groups_root(&m->contents.contents, c->item[query].content);
}

/* The group of the input that an item belongs to, by content, else by label. */
static uint32_t item_class(struct ft_mine *m, size_t number)
{
    const struct ft_item *item = &m->index.item[number];
    uint32_t root = ft_groups_root(&m->contents.contents, item->content);

    if (root < m->contents_known)
        return root;
    return item->label < m->labels ? ft_groups_root(&m->contents.contents, m->label_content[item->label]) : FT_NO_CLASS;
}

/* Items in the order of their class, those of one ascending; a query's list is a slice of that. */
static int leave_out(void *argument, struct ft_arena *arena, size_t first, const struct ft_items **excluded)
{
    struct ft_mine *m = argument;
    size_t count = m->index.count - first;
    uint32_t *class = ft_arena_take(arena, (count + 1) * sizeof *class), *order = ft_arena_take(arena, (count + 1) * sizeof *order);
    size_t *start = ft_arena_zero(arena, m->contents_known + 2, sizeof *start);
    struct ft_items *list = ft_arena_take(arena, (m->queries.count + 1) * sizeof *list);

    if (!class || !order || !start || !list)
        return -1;
    for (size_t i = 0; i < count; i++)
        if ((class[i] = item_class(m, first + i)) != FT_NO_CLASS)
            start[class[i] + 2]++;
    for (size_t c = 2; c < m->contents_known + 2; c++)
        start[c] += start[c - 1];
    for (size_t i = 0; i < count; i++)
        if (class[i] != FT_NO_CLASS)
            order[start[class[i] + 1]++] = (uint32_t)(first + i);
    for (size_t q = 0; q < m->queries.count; q++) {
        uint32_t own = query_class(m, q);

        list[q] = (struct ft_items){order + start[own], start[own + 1] - start[own]};
    }
    *excluded = list;
    return 0;
}

/* ---- how near what is right is ---- */

static void take_answers(void *argument, size_t query, const float *score)
{
    struct ft_mine *m = argument;
    struct ft_items answers = ft_mine_list(&m->answers, query);

    if (answers.count)
        memcpy(m->answer_score + m->answers.at[query], score, answers.count * sizeof *score);
    for (size_t i = 0; m->bound && m->kind == FT_MINE_PAIRS && i < answers.count; i++)
        m->bound[query] = fmin(m->bound[query], similarity(m->options.distance, score[i]));
}

/* Of a label's documents all but the anchor. */
static void take_members(void *argument, size_t query, const float *score)
{
    struct ft_mine *m = argument;
    struct ft_items members = ft_mine_list(&m->members, m->index.item[query].label);

    for (size_t i = 0; i < members.count; i++)
        if (members.item[i] != query)
            m->bound[query] = fmin(m->bound[query], similarity(m->options.distance, score[i]));
}

static int score_answers(struct ft_mine *m)
{
    const struct ft_nearest nearest = {m->options.distance, m->index.view->dim, m->index.view->vector, m->index.count,
                                       m->queries.view->vector, m->queries.count, NULL};
    size_t queries = m->queries.count;
    struct ft_items *wanted = ft_arena_take(&m->arena, (queries + 1) * sizeof *wanted);

    m->answer_score = ft_arena_take(&m->arena, (m->answers.at[queries] + 1) * sizeof *m->answer_score);
    if (!isnan(m->options.absolute) || !isnan(m->options.relative))
        m->bound = ft_arena_take(&m->arena, (queries + 1) * sizeof *m->bound);
    if (!wanted || !m->answer_score || (!m->bound && !(isnan(m->options.absolute) && isnan(m->options.relative))))
        return -1;
    for (size_t q = 0; q < queries; q++) {
        wanted[q] = ft_mine_list(&m->answers, q);
        if (m->bound)
            m->bound[q] = INFINITY;
    }
    if (ft_nearest_scores(&nearest, wanted, take_answers, m) < 0)
        return -1;
    if (m->kind != FT_MINE_LABELS || !m->bound)
        return 0;
    for (size_t q = 0; q < queries; q++)
        wanted[q] = ft_mine_list(&m->members, m->index.item[q].label);
    return ft_nearest_scores(&nearest, wanted, take_members, m);
}

/* ---- choosing ---- */

/* How many of the query's answers are before the match. Labels: none are counted. */
static size_t answers_before(const struct ft_mine *m, size_t query, struct ft_match match)
{
    struct ft_items answers = ft_mine_list(&m->answers, query);
    size_t count = 0;

    for (size_t i = 0; m->kind == FT_MINE_PAIRS && i < answers.count; i++)
        count += ft_match_before((struct ft_match){m->answer_score[m->answers.at[query] + i], answers.item[i]}, match);
    return count;
}

static bool too_near(const struct ft_mine *m, size_t query, double s)
{
    const struct ft_mine_options *o = &m->options;
    double bound = m->bound ? m->bound[query] : 0;

    return (!isnan(o->absolute) && s > bound - o->absolute) || (!isnan(o->relative) && s > bound - fabs(bound) * o->relative) ||
           (!isnan(o->largest) && s > o->largest) || (!isnan(o->smallest) && s < o->smallest);
}

/* Without draws the first ones; else so many of all, and the nearest first again. */
static void pick(const struct ft_mine *m, size_t query, struct ft_match *candidate, size_t count, struct ft_match *chosen)
{
    size_t n = m->options.negatives < count ? m->options.negatives : count;
    struct ft_random random = ft_random_start(m->options.seed, (uint64_t)1 << 32 | query);

    for (size_t i = 0; m->options.random && i < n; i++) {
        size_t other = i + ft_random_below(&random, count - i);
        struct ft_match drawn = candidate[other];

        candidate[other] = candidate[i];
        candidate[i] = drawn;
    }
    if (m->options.random && n)
        qsort(candidate, n, sizeof *candidate, ft_match_compare);
    for (size_t i = 0; i < m->options.negatives; i++)
        chosen[i] = i < n ? candidate[i] : (struct ft_match){-INFINITY, FT_NO_ITEM};
}

/* Of plain texts the nearest is what answers, and the others must be as many as are asked for. */
static int take_nearest(struct ft_mine *m, size_t query, const struct ft_match *candidate, size_t candidates)
{
    const struct ft_mine_options *o = &m->options;

    if (candidates < o->low + o->negatives)
        return ft_fail(FT_BAD, "query %zu: %zu other texts are near enough in the index, expected %zu or more", query + 1, candidates,
                       o->low + o->negatives);
    m->nearest[query] = candidate[0].item;
    return 0;
}

/* What was known to be right only after an item was compared (a pair of the index joined them) is dropped here. */
static int choose(struct ft_mine *m, size_t query, struct ft_match *match, size_t kept)
{
    uint32_t own = query_class(m, query);
    size_t candidates = 0, right = 0, seen = 0;

    for (size_t i = 0; i < kept && match[i].item != FT_NO_ITEM; i++) {
        if (item_class(m, match[i].item) == own)
            continue;
        right = answers_before(m, query, match[i]);
        if (seen++ + right >= m->pool)
            break;
        if (too_near(m, query, similarity(m->options.distance, match[i].score)))
            m->counts.near++;
        else if (candidates < m->options.high)
            match[candidates++] = match[i];
    }
    if (m->kind == FT_MINE_TEXTS && take_nearest(m, query, match, candidates) < 0)
        return -1;
    if (candidates > m->options.low)
        pick(m, query, match + m->options.low, candidates - m->options.low, m->match + query * m->options.negatives);
    else
        pick(m, query, match, 0, m->match + query * m->options.negatives);
    return 0;
}

static int search_stream(struct ft_mine *m, const struct ft_search *how, const char *index)
{
    struct ft_match *match = ft_resize(NULL, m->queries.count * how->k + 1, sizeof *match);
    int result = match ? ft_search_stream(how, index, match) : -1;

    for (size_t q = 0; result == 0 && q < m->queries.count; q++)
        result = choose(m, q, match + q * how->k, how->k);
    free(match);
    return result;
}

static int read_index(struct ft_mine *m, const char *path)
{
    struct ft_collection *index = &m->index;
    size_t ready = index->count, bad;
    unsigned long indexed = 0;

    if (path && ft_collections_read(&index, 1, path, &indexed) < 0)
        return -1;
    if (!index->count)
        return ft_collection_fail_empty(index, path ? path : "the index");
    if (m->queries.view->dim != index->view->dim)
        return ft_fail(FT_BAD, "queries have %zu dimensions, the index %zu: were they embedded by one model?", m->queries.view->dim,
                       index->view->dim);
    if (ft_vectors_ready(m->options.distance, index->view->vector + ready * index->view->dim, index->count - ready, index->view->dim,
                         &bad) < 0)
        return ft_error_prefix("%s: document %zu: ", path, bad + 1);
    return 0;
}

/* More matches than can be held: the corpus is, and blocks of anchors go through it. */
static int search_blocks(struct ft_mine *m, const char *path)
{
    const struct ft_view *index = m->index.view, *queries = m->queries.view;
    const struct ft_items *excluded;
    size_t kept, block;
    struct ft_match *match;
    int result = 0;

    if (read_index(m, path) < 0 || leave_out(m, &m->arena, 0, &excluded) < 0)
        return -1;
    kept = m->pool < m->index.count ? m->pool : m->index.count;
    block = BLOCK_MATCHES / kept < BLOCK_QUERIES ? BLOCK_MATCHES / kept + 1 : BLOCK_QUERIES;
    if (!(match = ft_resize(NULL, block * kept, sizeof *match)))
        return -1;
    for (size_t first = 0; result == 0 && first < m->queries.count; first += block) {
        size_t count = m->queries.count - first < block ? m->queries.count - first : block;
        const struct ft_nearest nearest = {m->options.distance, index->dim, index->vector, m->index.count,
                                           queries->vector + first * index->dim, count, excluded + first};

        result = ft_nearest_find(&nearest, kept, match);
        for (size_t q = 0; result == 0 && q < count; q++)
            result = choose(m, first + q, match + q * kept, kept);
    }
    free(match);
    return result;
}

int ft_mine_choose(struct ft_mine *m, const char *index)
{
    const struct ft_search how = {m->options.distance, m->pool, &m->queries, &m->index, m->index.count, {leave_out, m}};

    if (!(m->match = ft_arena_take(&m->arena, m->queries.count * m->options.negatives * sizeof *m->match)))
        return -1;
    if (m->index.count && score_answers(m) < 0)
        return -1;
    return ft_search_fits(&how) ? search_stream(m, &how, index) : search_blocks(m, index);
}
