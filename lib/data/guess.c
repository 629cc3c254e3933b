/* guess.c - statistics of the first rows. */
#include "data/guess.h"
#include "base/error.h"
#include "base/hash.h"
#include "data/row.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool ft_string_number(struct ft_string text, double *number)
{
    char copy[64], *end;

    if (text.size == 0 || text.size >= sizeof copy || isspace((unsigned char)text.data[0]))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (strspn(copy, "+-.0123456789eE") != text.size)     /* no hexadecimal, no "nan" */
        return false;
    *number = strtod(copy, &end);
    return *end == '\0' && end != copy && isfinite(*number);
}

static int compare_hashes(const void *a, const void *b)
{
    return ft_hash_compare(*(const struct ft_hash *)a, *(const struct ft_hash *)b);
}

int ft_sample_facts(const struct ft_sample *sample, size_t column, struct ft_column_facts *facts)
{
    struct ft_hash *hash = ft_resize(NULL, sample->count + 1, sizeof *hash);
    double number;

    *facts = (struct ft_column_facts){0};
    if (!hash)
        return -1;
    for (size_t i = 0; i < sample->count; i++) {
        struct ft_string cell;

        if (column >= sample->row[i].count)
            continue;
        cell = sample->row[i].cell[column];
        hash[facts->rows++] = ft_hash_bytes(cell.data, cell.size);
        facts->longest = cell.size > facts->longest ? cell.size : facts->longest;
        facts->numbers += ft_string_number(cell, &number);
        facts->uris += ft_content_is_uri(cell);
    }
    qsort(hash, facts->rows, sizeof *hash, compare_hashes);
    for (size_t i = 0; i < facts->rows; i++)
        facts->distinct += i == 0 || compare_hashes(&hash[i], &hash[i - 1]) != 0;
    facts->all_uris = facts->rows > 0 && facts->uris == facts->rows;
    free(hash);
    return 0;
}

bool ft_facts_are_labels(const struct ft_column_facts *first, const struct ft_column_facts *second)
{
    if (second->rows < 3 || second->longest > 64 || second->uris > 0 || second->distinct * 3 > second->rows * 2)
        return false;
    return first->all_uris ? first->distinct == first->rows : first->distinct * 10 >= first->rows * 9;
}
