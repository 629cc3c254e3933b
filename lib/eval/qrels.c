/* qrels.c - lines of three or four columns. */
#include "eval/qrels.h"
#include "base/error.h"
#include "base/file.h"
#include "base/tool.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 5, LIMIT = 1 << 30 };

size_t ft_trec_columns(char *line, char *end, struct ft_string *column, size_t most)
{
    bool tabs = memchr(line, '\t', (size_t)(end - line)) != NULL;
    size_t count = 0;
    char *at = line;

    if (end > line && end[-1] == '\r')
        end--;
    while (count < most) {
        char *from;

        while (!tabs && at < end && *at == ' ')
            at++;
        if (at >= end && !(tabs && count))
            break;
        from = at;
        while (at < end && *at != (tabs ? '\t' : ' '))
            at++;
        column[count++] = (struct ft_string){from, (size_t)(at - from)};
        if (at >= end)
            break;
        at++;
    }
    return count;
}

static int read_gain(struct ft_string text, float *gain)
{
    char copy[64];
    double number;

    if (!text.size || text.size >= sizeof copy)
        return ft_fail(FT_BAD, "the last column is no number");
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (ft_number_parse(copy, &number) < 0 || !(fabs(number) <= 1e9))
        return ft_fail(FT_BAD, "expected a number in the last column, got '%s'", copy);
    *gain = (float)number;
    return 0;
}

/* 1: a judgement, 0: nothing on this line, -1. */
static int read_line(char *line, char *end, size_t number, struct ft_judgement *judgement)
{
    struct ft_string column[MOST_COLUMNS], *document;
    size_t count;

    count = ft_trec_columns(line, end, column, MOST_COLUMNS);
    if (count == 0)
        return 0;
    if (number == 1 && count == 3 && ft_string_is(column[0], "query-id"))
        return 0;
    if (count != 3 && count != 4)
        return ft_fail(FT_BAD, "%zu columns%s, expected 'qid 0 docid rel' or 'qid docid rel'", count,
                       count == MOST_COLUMNS ? " or more" : "");
    document = &column[count - 2];
    if (!column[0].size || !document->size)
        return ft_fail(FT_BAD, "an empty id");
    *judgement = (struct ft_judgement){ft_hash_bytes(column[0].data, column[0].size),
                                       ft_hash_bytes(document->data, document->size), column[0], 0, number};
    return read_gain(column[count - 1], &judgement->gain) < 0 ? -1 : 1;
}

static int compare(const void *a, const void *b)
{
    const struct ft_judgement *x = a, *y = b;
    int order = ft_hash_compare(x->query, y->query);

    if (!order)
        order = ft_hash_compare(x->document, y->document);
    return order ? order : x->line < y->line ? -1 : x->line > y->line;
}

static int check_twice(const char *path, struct ft_judgement *judgement, size_t count)
{
    qsort(judgement, count, sizeof *judgement, compare);
    for (size_t i = 1; i < count; i++)
        if (ft_hash_compare(judgement[i - 1].query, judgement[i].query) == 0 &&
            ft_hash_compare(judgement[i - 1].document, judgement[i].document) == 0)
            return ft_fail(FT_BAD, "%s:%zu: the same two ids as in line %zu", path, judgement[i].line,
                           judgement[i - 1].line);
    return 0;
}

int ft_qrels_read(struct ft_arena *arena, const char *path, struct ft_judgement **judgement, size_t *count)
{
    size_t size;
    char *text = ft_file_read(arena, path, LIMIT, &size);

    return text ? ft_qrels_parse(arena, path, text, size, judgement, count) : -1;
}

int ft_qrels_parse(struct ft_arena *arena, const char *path, char *text, size_t size, struct ft_judgement **judgement, size_t *count)
{
    size_t lines = 1, number = 0;
    char *end;

    for (const char *at = text; (at = memchr(at, '\n', size - (size_t)(at - text))); at++)
        lines++;
    if (!(*judgement = ft_arena_take(arena, lines * sizeof **judgement)))
        return -1;
    *count = 0;
    for (char *line = text; line < text + size; line = end + 1) {
        int got;

        end = memchr(line, '\n', size - (size_t)(line - text));
        if (!end)
            end = text + size;
        got = read_line(line, end, ++number, *judgement + *count);
        if (got < 0)
            return ft_error_prefix("%s:%zu: ", path, number);
        *count += (size_t)got;
    }
    if (!*count)
        return ft_fail(FT_BAD, "%s: no judgements in it", path);
    return check_twice(path, *judgement, *count);
}
