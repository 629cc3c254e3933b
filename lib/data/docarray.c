/* docarray.c - the elements of an array of documents, found in the bytes and each given to jansson. */
#include "data/docarray.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

struct ft_docarray {
    struct ft_lines *lines;
    struct ft_string block;       /* [at, size) is not looked at yet */
    size_t at;
    unsigned long line, number;   /* where the next byte is; elements seen */
    struct ft_buffer text;        /* of the element in hand */
    bool begun, over, dropping;
};

struct ft_docarray *ft_docarray_open(struct ft_lines *lines)
{
    struct ft_docarray *array = calloc(1, sizeof *array);

    if (!array) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    array->lines = lines;
    array->line = 1;
    return array;
}

void ft_docarray_close(struct ft_docarray *array)
{
    if (!array)
        return;
    ft_buffer_free(&array->text);
    free(array);
}

unsigned long ft_docarray_number(const struct ft_docarray *array)
{
    return array->number;
}

/* Is there a byte at `at`? 0: the file ends. */
static int more(struct ft_docarray *array)
{
    if (array->at < array->block.size)
        return 1;
    array->at = array->block.size = 0;
    return ft_lines_block(array->lines, &array->block);
}

/* The next byte that is no white space, not taken; 0: the file ends; -1. */
static int peek(struct ft_docarray *array)
{
    int got;

    while ((got = more(array)) > 0) {
        char c = array->block.data[array->at];

        if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
            return (unsigned char)c ? (unsigned char)c : 256;
        array->line += c == '\n';
        array->at++;
    }
    return got;
}

/* Bytes [from, at) of the block belong to the element. */
static int take(struct ft_docarray *array, size_t from)
{
    array->dropping |= array->text.size + (array->at - from) > FT_LIMIT_DOCUMENT;
    return array->dropping ? 0 : ft_buffer_add(&array->text, array->block.data + from, array->at - from);
}

/* All of the element that begins here, up to the bracket that closes it. 0: the file ends inside it. */
static int read_element(struct ft_docarray *array)
{
    bool quoted = false, escaped = false;
    size_t depth = 0, from;
    int got;

    array->text.size = 0;
    array->dropping = false;
    while ((got = more(array)) > 0) {
        for (from = array->at; array->at < array->block.size; ) {
            char c = array->block.data[array->at++];

            array->line += c == '\n';
            if (quoted) {
                quoted = escaped || c != '"';
                escaped = !escaped && c == '\\';
            } else if (c == '"') {
                quoted = true;
            } else if (c == '{' || c == '[') {
                depth++;
            } else if ((c == '}' || c == ']') && --depth == 0) {
                return take(array, from) < 0 ? -1 : 1;
            }
        }
        if (take(array, from) < 0)
            return -1;
    }
    return got;
}

static int place(const struct ft_docarray *array, unsigned long line)
{
    return ft_error_prefix("%s:%lu: document %lu: ", ft_lines_name(array->lines), line, array->number);
}

/* Python writes numbers that JSON does not have. */
static bool has_no_number(struct ft_string text)
{
    bool quoted = false;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            quoted = !quoted;
        else if (text.data[i] == '\\' && quoted)
            i++;
        else if (!quoted && (text.data[i] == 'N' || text.data[i] == 'I'))
            return true;
    }
    return false;
}

static int parse(struct ft_docarray *array, unsigned long line, json_t **element)
{
    json_error_t error;

    if (array->dropping) {
        ft_fail(FT_BAD, "more than %d MiB of JSON", FT_LIMIT_DOCUMENT >> 20);
        return place(array, line);
    }
    if ((*element = json_loadb(array->text.data, array->text.size, JSON_REJECT_DUPLICATES, &error)))
        return 1;
    if (has_no_number((struct ft_string){array->text.data, array->text.size}))
        ft_fail(FT_BAD, "NaN or Infinity, expected finite numbers");
    else
        ft_fail(FT_BAD, "byte %d of it: %s", error.position, error.text);
    return place(array, line + (error.line > 0 ? (unsigned long)error.line - 1 : 0));
}

/* What cannot be gone on behind. */
static int give_up(struct ft_docarray *array, const char *wrong)
{
    array->over = true;
    ft_fail(FT_BAD, "%s", wrong);
    return array->number ? ft_error_prefix("%s:%lu: behind document %lu: ", ft_lines_name(array->lines), array->line, array->number)
                         : ft_error_prefix("%s:%lu: ", ft_lines_name(array->lines), array->line);
}

/* Behind "]" there is nothing. */
static int end(struct ft_docarray *array)
{
    int c;

    array->at++;
    c = peek(array);
    array->over = true;
    if (c > 0)
        return give_up(array, "goes on behind the array's end");
    return c < 0 ? -1 : array->number ? 0 : give_up(array, "no documents: the array is empty");
}

/* Up to the next element: 1; the end: 0. */
static int approach(struct ft_docarray *array)
{
    int c = peek(array);

    if (!array->begun && c != '[')
        return c < 0 ? -1 : give_up(array, c == '{' ? "begins with an object, expected an array of documents, as DocumentArray.save_json writes it"
                                                    : "no JSON array, expected one of documents, as DocumentArray.save_json writes it");
    if (array->begun && c == ']')
        return end(array);
    if (c > 0 && array->begun && c != ',')
        return give_up(array, "expected , or ]");
    if (c > 0) {
        bool first = !array->begun;

        array->begun = true;
        array->at++;
        c = peek(array);
        if (c == ']' && first)
            return end(array);
    }
    if (c == 0)
        return give_up(array, "the file ends inside the array");
    return c < 0 ? -1 : c == '{' ? 1 : give_up(array, "expected an object, {\"text\": ...}");
}

int ft_docarray_next(struct ft_docarray *array, json_t **element, unsigned long *line)
{
    int got;

    if (array->over)
        return 0;
    if ((got = approach(array)) <= 0)
        return got;
    *line = array->line;
    array->number++;
    if ((got = read_element(array)) < 0)
        return -1;
    if (got == 0) {
        array->over = true;
        ft_fail(FT_BAD, "the file ends inside it");
        return place(array, *line);
    }
    return parse(array, *line, element);
}
