/* csv.c - libcsv fed line by line.
 *
 * A physical line at a time keeps the count of lines and the parser in step: whatever the parser says while it eats line n is about
 * line n. After a line it has either submitted the record, or seen a blank line, or it is inside quotes (parser.quoted). The file's last
 * line gets the line end it may lack, so csv_fini is only ever used to bring the parser back to its beginning. */
#include "data/csv.h"
#include "base/error.h"

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ft_csv {
    struct csv_parser parser;
    struct ft_lines *lines;
    struct ft_buffer bytes;        /* the record's fields end to end */
    struct ft_string *cell;        /* data is filled in when the record is complete */
    size_t count, capacity;
    unsigned long line, quote_line;
    bool open;                     /* inside quotes that go on to the next line */
    bool complete, no_memory;
    size_t consumed;               /* bytes of the record so far */
    unsigned long fault_line;      /* 0, or where the record's first fault is */
    char fault[200];
};

static void field_done(void *data, size_t size, void *argument)
{
    struct ft_csv *csv = argument;

    if (csv->count == csv->capacity) {
        size_t capacity = csv->capacity ? csv->capacity * 2 : 16;
        struct ft_string *cell = ft_resize(csv->cell, capacity, sizeof *cell);

        if (!cell) {
            csv->no_memory = true;
            return;
        }
        csv->cell = cell;
        csv->capacity = capacity;
    }
    csv->no_memory |= ft_buffer_add(&csv->bytes, data, size) < 0;
    csv->cell[csv->count++].size = size;
}

static void record_done(int terminator, void *argument)
{
    struct ft_csv *csv = argument;

    (void)terminator;
    csv->complete = true;
}

struct ft_csv *ft_csv_open(struct ft_lines *lines, char delimiter)
{
    struct ft_csv *csv = calloc(1, sizeof *csv);

    if (!csv || csv_init(&csv->parser, CSV_STRICT) != 0) {
        free(csv);
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    csv_set_delim(&csv->parser, (unsigned char)delimiter);
    csv_set_blk_size(&csv->parser, 1 << 16);
    csv->lines = lines;
    ft_lines_split_cr(lines);
    return csv;
}

void ft_csv_close(struct ft_csv *csv)
{
    if (!csv)
        return;
    csv_free(&csv->parser);
    ft_buffer_free(&csv->bytes);
    free(csv->cell);
    free(csv);
}

/* Strict libcsv stops at a quote inside an unquoted field, which is fine with us: let that one byte pass. It also stops where text follows
 * a closing quote, which without strictness would swallow all up to the next quote. */
static int feed(struct ft_csv *csv, const char *data, size_t size)
{
    size_t used = 0;

    while (used < size) {
        used += csv_parse(&csv->parser, data + used, size - used, field_done, record_done, csv);
        if (used == size)
            break;
        if (csv_error(&csv->parser) != CSV_EPARSE)
            return ft_fail(FT_SYSTEM, "%s", csv_strerror(csv_error(&csv->parser)));
        if (csv->parser.quoted)
            return ft_fail(FT_BAD, "text after a closing quote, expected the delimiter or the end of the line");
        csv_set_opts(&csv->parser, 0);
        used += csv_parse(&csv->parser, data + used, 1, field_done, record_done, csv);
        csv_set_opts(&csv->parser, CSV_STRICT);
    }
    return csv->no_memory ? ft_fail(FT_SYSTEM, "out of memory") : 0;
}

static void begin_record(struct ft_csv *csv)
{
    csv->count = csv->bytes.size = csv->consumed = 0;
    csv->complete = csv->open = csv->no_memory = false;
    csv->fault_line = 0;
}

static int give_up(struct ft_csv *csv, unsigned long line)
{
    /* Its entry buffer stays, and may be large: the next record that needs it has it. */
    csv_fini(&csv->parser, NULL, NULL, NULL);
    csv->open = false;
    return ft_error_prefix("%s:%lu: ", ft_lines_name(csv->lines), line);
}

static void keep_fault(struct ft_csv *csv, const struct ft_line *line)
{
    if (!line->fault || csv->fault_line)
        return;
    csv->fault_line = line->number;
    snprintf(csv->fault, sizeof csv->fault, "%s", line->fault);
}

static int finish(struct ft_csv *csv, struct ft_cells *cells)
{
    const char *data = csv->bytes.data ? csv->bytes.data : "";

    if (csv->fault_line) {
        ft_fail(FT_BAD, "%s", csv->fault);
        return ft_error_prefix("%s:%lu: ", ft_lines_name(csv->lines), csv->fault_line);
    }
    for (size_t i = 0; i < csv->count; i++) {
        csv->cell[i].data = data;
        data += csv->cell[i].size;
    }
    *cells = (struct ft_cells){csv->line, csv->count, csv->cell};
    return 1;
}

static int eat(struct ft_csv *csv, const struct ft_line *line)
{
    size_t before = csv->count;
    bool was_open = csv->open;

    if (!csv->open)
        csv->line = line->number;
    keep_fault(csv, line);
    csv->consumed += line->whole.size;
    if (csv->consumed > FT_LIMIT_LINE) {
        ft_fail(FT_BAD, "a record of more than 16 MiB: is a quote not closed?");
        return give_up(csv, csv->open ? csv->quote_line : line->number);
    }
    if (feed(csv, line->whole.data, line->whole.size) < 0 ||
        (line->whole.size == line->text.size && feed(csv, "\n", 1) < 0))
        return give_up(csv, line->number);
    csv->open = csv->parser.quoted && !csv->complete;
    if (csv->open && (!was_open || csv->count > before))
        csv->quote_line = line->number;
    return 0;
}

int ft_csv_next(struct ft_csv *csv, struct ft_cells *cells)
{
    struct ft_line line;
    int got;

    begin_record(csv);
    while ((got = ft_lines_next(csv->lines, &line)) > 0) {
        if (eat(csv, &line) < 0)
            return -1;
        if (csv->complete || (csv->fault_line && !csv->open))
            return finish(csv, cells);
    }
    if (got == 0 && csv->open) {
        ft_fail(FT_BAD, "a quote is opened here and never closed");
        return give_up(csv, csv->quote_line);
    }
    return got;
}

/* Fields of the record at *p, which moves behind it; 0 for a blank line. Quotes count only where libcsv would see them. */
static size_t count_fields(const char **p, const char *end, char delimiter, bool *cut)
{
    size_t fields = 1;
    bool quoted = false, begun = false, any = false;

    for (; *p < end; ++*p) {
        char c = **p;

        if (quoted) {
            quoted = c != '"';          /* a doubled one closes and opens again */
        } else if (c == '\n' || c == '\r') {
            ++*p;
            return any ? fields : 0;
        } else if (c == delimiter) {
            fields++;
            begun = false;
            any = true;
        } else if (c == '"' && (!begun || (*p)[-1] == '"')) {
            quoted = begun = any = true;
        } else if (c != ' ' && c != '\t') {
            begun = any = true;
        }
    }
    *cut = true;
    return any ? fields : 0;
}

char ft_csv_sniff(struct ft_string head, bool whole)
{
    const char candidates[] = "\t,;|";

    for (const char *c = candidates; *c; c++) {
        const char *p = head.data, *end = head.data + head.size;
        size_t records = 0, fields = 0, more;
        bool cut = false, same = true;

        while (same && p < end && records < 100) {
            more = count_fields(&p, end, *c, &cut);
            if (more == 0 || (cut && !whole))
                continue;
            same = records++ == 0 || more == fields;
            fields = more;
        }
        if (same && fields >= 2 && (records >= 2 || c < candidates + 2))
            return *c;
    }
    return ',';
}
