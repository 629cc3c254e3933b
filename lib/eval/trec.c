/* trec.c - TREC's runs: sorted by query and score, then met with the judgements of each query. */
#include "eval/trec.h"
#include "base/error.h"
#include "base/file.h"
#include "base/tool.h"
#include "eval/qrels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 6, LIMIT = 1 << 30 };

struct entry {
    struct ft_hash query;
    struct ft_string document;
    float score;
    uint32_t line;
};

static int compare_ids(struct ft_string a, struct ft_string b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);

    return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

/* By query, then as trec_eval ranks. */
static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = ft_hash_compare(x->query, y->query);

    if (order)
        return order;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    order = compare_ids(y->document, x->document);
    return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

static int read_score(struct ft_string text, float *score)
{
    char copy[64];
    double number;

    if (!text.size || text.size >= sizeof copy)
        return ft_fail(FT_BAD, "the score is no number");
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (ft_number_parse(copy, &number) < 0 || !isfinite((float)number))
        return ft_fail(FT_BAD, "expected a number for the score, got '%s'", copy);
    *score = (float)number;
    return 0;
}

/* 1: an entry, 0: an empty line, -1. */
static int read_line(char *line, char *end, uint32_t number, struct entry *entry)
{
    struct ft_string column[COLUMNS + 1];
    size_t count = ft_trec_columns(line, end, column, COLUMNS + 1);

    if (count == 0)
        return 0;
    if (count != COLUMNS)
        return ft_fail(FT_BAD, "%zu columns%s, expected 'qid Q0 docid rank score tag'", count, count > COLUMNS ? " or more" : "");
    if (!column[0].size || !column[2].size)
        return ft_fail(FT_BAD, "an empty id");
    *entry = (struct entry){.query = ft_hash_bytes(column[0].data, column[0].size), .document = column[2], .line = number};
    return read_score(column[4], &entry->score) < 0 ? -1 : 1;
}

static int read_entries(struct ft_arena *arena, const char *name, struct ft_bytes bytes, struct entry **entries, size_t *count)
{
    char *end, *last = bytes.text + bytes.size;
    size_t lines = 1;
    uint32_t number = 0;

    for (const char *at = bytes.text; (at = memchr(at, '\n', (size_t)(last - at))); at++)
        lines++;
    if (!(*entries = ft_arena_take(arena, lines * sizeof **entries)))
        return -1;
    *count = 0;
    for (char *line = bytes.text; line < last; line = end + 1) {
        int got;

        if (!(end = memchr(line, '\n', (size_t)(last - line))))
            end = last;
        if ((got = read_line(line, end, ++number, *entries + *count)) < 0)
            return ft_error_prefix("%s:%u: ", name, number);
        *count += (size_t)got;
    }
    if (!*count)
        return ft_fail(FT_BAD, "%s: no rankings in it", name);
    qsort(*entries, *count, sizeof **entries, compare_entries);
    return 0;
}

/* ---- one query ---- */

struct query {
    const struct ft_judgement *judgement;     /* [judgements] sorted by document */
    size_t judgements;
    const struct entry *entry;                /* [entries] sorted, or none */
    size_t entries;
};

static int compare_documents(const void *key, const void *judgement)
{
    return ft_hash_compare(*(const struct ft_hash *)key, ((const struct ft_judgement *)judgement)->document);
}

static int compare_gains(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x > y ? -1 : x < y;
}

/* The arena's room is the query's own. */
static int judge_query(struct ft_arena *arena, const struct query *q, const struct ft_measures *measures, double *value)
{
    struct ft_rank *rank = ft_arena_take(arena, q->judgements * sizeof *rank);
    float *gain = ft_arena_take(arena, q->judgements * sizeof *gain), *ideal = ft_arena_take(arena, q->judgements * sizeof *ideal);
    struct ft_ranking r = {.rank = rank, .gain = gain, .ideal = ideal, .length = q->entries};

    if (!rank || !gain || !ideal)
        return -1;
    for (size_t j = 0; j < q->judgements; j++)
        if (q->judgement[j].gain > 0)
            ideal[r.relevant++] = q->judgement[j].gain;
    qsort(ideal, r.relevant, sizeof *ideal, compare_gains);
    for (size_t i = 0; i < q->entries; i++) {
        struct ft_hash document = ft_hash_bytes(q->entry[i].document.data, q->entry[i].document.size);
        const struct ft_judgement *j = bsearch(&document, q->judgement, q->judgements, sizeof *j, compare_documents);

        if (!j || !(j->gain > 0))
            continue;
        if (r.count == r.relevant)
            return ft_fail(FT_BAD, "one document twice for a query");
        rank[r.count] = (struct ft_rank){(uint32_t)i + 1, 0};
        gain[r.count++] = j->gain;
    }
    for (size_t m = 0; m < measures->count; m++)
        value[m] = ft_measure_of(&measures->item[m], &r);
    return 0;
}

/* ---- all ---- */

static int compare_by_document(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = ft_hash_compare(x->query, y->query);

    if (!order)
        order = compare_ids(x->document, y->document);
    return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

static int check_twice(struct ft_arena *arena, const char *name, const struct entry *entry, size_t count)
{
    struct entry *sorted = ft_arena_take(arena, count * sizeof *sorted);

    if (!sorted)
        return -1;
    memcpy(sorted, entry, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_by_document);
    for (size_t i = 1; i < count; i++)
        if (ft_hash_compare(sorted[i - 1].query, sorted[i].query) == 0 && compare_ids(sorted[i - 1].document, sorted[i].document) == 0)
            return ft_fail(FT_BAD, "%s:%u: the same query and document as in line %u", name, sorted[i].line, sorted[i - 1].line);
    return 0;
}

struct seen {
    size_t line, query;
};

static int compare_lines(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    return x->line < y->line ? -1 : x->line > y->line;
}

/* Both are in the order of the queries' hashes: side by side. */
static int judge_all(const struct ft_judgement *judgement, size_t judgements, const struct entry *entry,
                     size_t entries, const struct ft_measures *measures, struct seen *seen, struct ft_judged *judged)
{
    struct ft_arena query_arena = {NULL};
    size_t j = 0, e = 0;
    int result = 0;

    while (result == 0 && j < judgements) {
        struct query q = {.judgement = judgement + j};
        size_t relevant = 0, line = q.judgement->line;

        for (; j < judgements && ft_hash_compare(judgement[j].query, q.judgement->query) == 0; j++, q.judgements++) {
            relevant += judgement[j].gain > 0;
            line = judgement[j].line < line ? judgement[j].line : line;
        }
        for (; e < entries && ft_hash_compare(entry[e].query, q.judgement->query) < 0; e++)
            judged->unjudged += e == 0 || ft_hash_compare(entry[e - 1].query, entry[e].query) != 0;
        for (q.entry = entry + e; e < entries && ft_hash_compare(entry[e].query, q.judgement->query) == 0; e++)
            q.entries++;
        if (!relevant) {
            judged->left_out++;
            continue;
        }
        judged->absent += q.entries == 0;
        judged->id[judged->queries] = q.judgement->query_id;
        seen[judged->queries] = (struct seen){line, judged->queries};
        ft_arena_reset(&query_arena);
        result = judge_query(&query_arena, &q, measures, judged->each + judged->queries++ * measures->count);
    }
    for (; e < entries; e++)
        judged->unjudged += e == 0 || ft_hash_compare(entry[e - 1].query, entry[e].query) != 0;
    ft_arena_free(&query_arena);
    return result;
}

/* The queries in the order of the qrels. */
static int order_queries(struct ft_arena *arena, struct seen *seen, size_t figures, struct ft_judged *judged)
{
    struct ft_string *id = ft_arena_take(arena, judged->queries * sizeof *id);
    double *each = ft_arena_take(arena, judged->queries * figures * sizeof *each);

    if (!id || !each)
        return -1;
    qsort(seen, judged->queries, sizeof *seen, compare_lines);
    for (size_t i = 0; i < judged->queries; i++) {
        id[i] = judged->id[seen[i].query];
        memcpy(each + i * figures, judged->each + seen[i].query * figures, figures * sizeof *each);
    }
    judged->id = id;
    judged->each = each;
    return 0;
}

int ft_run_parse(struct ft_arena *arena, const char *run, struct ft_bytes run_text, const char *qrels, struct ft_bytes qrels_text,
                 const struct ft_measures *measures, struct ft_judged *judged)
{
    struct ft_judgement *judgement;
    struct entry *entry;
    struct seen *seen;
    size_t judgements, entries, queries = 0;

    *judged = (struct ft_judged){.queries = 0};
    if (ft_qrels_parse(arena, qrels, qrels_text.text, qrels_text.size, &judgement, &judgements) < 0 ||
        read_entries(arena, run, run_text, &entry, &entries) < 0 || check_twice(arena, run, entry, entries) < 0)
        return -1;
    for (size_t j = 0; j < judgements; j++)
        queries += j == 0 || ft_hash_compare(judgement[j - 1].query, judgement[j].query) != 0;
    judged->id = ft_arena_take(arena, queries * sizeof *judged->id);
    judged->each = ft_arena_take(arena, queries * measures->count * sizeof *judged->each);
    seen = ft_arena_take(arena, queries * sizeof *seen);
    if (!judged->id || !judged->each || !seen || judge_all(judgement, judgements, entry, entries, measures, seen, judged) < 0)
        return -1;
    if (!judged->queries)
        return ft_fail(FT_BAD, "%s: nothing in it is relevant", qrels);
    if (judged->absent == judged->queries)
        return ft_fail(FT_BAD, "%s: no query of it is judged in %s", run, qrels);
    return order_queries(arena, seen, measures->count, judged);
}

int ft_run_judge(struct ft_arena *arena, const char *run, const char *qrels, const struct ft_measures *measures, struct ft_judged *judged)
{
    struct ft_bytes run_text, qrels_text;

    run_text.text = ft_file_read(arena, run, LIMIT, &run_text.size);
    qrels_text.text = run_text.text ? ft_file_read(arena, qrels, LIMIT, &qrels_text.size) : NULL;
    return qrels_text.text ? ft_run_parse(arena, run, run_text, qrels, qrels_text, measures, judged) : -1;
}

static bool has_blank(struct ft_string id)
{
    for (size_t i = 0; i < id.size; i++)
        if (id.data[i] == ' ' || (id.data[i] >= '\t' && id.data[i] <= '\r'))
            return true;
    return false;
}

int ft_run_line(struct ft_buffer *out, struct ft_string query, struct ft_string document, size_t rank, float score)
{
    struct ft_string blank = has_blank(query) ? query : document;

    if (has_blank(blank))
        return ft_fail(FT_BAD, "id '%.*s' has a blank, which a TREC run cannot hold", (int)(blank.size < 60 ? blank.size : 60), blank.data);
    return ft_buffer_print(out, "%.*s Q0 %.*s %zu %.9g ft\n", (int)query.size, query.data, (int)document.size, document.data, rank, (double)score);
}
