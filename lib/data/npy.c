/* npy.c - NumPy's arrays as rows. */
#include "data/npy.h"
#include "base/error.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are read as they lie in the file");

enum { MOST_HEADER = 1 << 16, MOST_WIDTH = 1 << 20 };

struct ft_npy {
    const char *path;
    FILE *file;
    uint64_t rows, next;
    size_t width, size;            /* size: bytes of a number */
    void *raw;
    struct ft_row_item item;
    float *vector;
    bool over;
};

/* What is left of the header, a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
struct text {
    const char *at, *end;
};

static bool take_token(struct text *text, const char *token)
{
    size_t size = strlen(token);

    while (text->at < text->end && (*text->at == ' ' || *text->at == '\n' || *text->at == '\t'))
        text->at++;
    if ((size_t)(text->end - text->at) < size || memcmp(text->at, token, size) != 0)
        return false;
    text->at += size;
    return true;
}

static bool read_number(struct text *text, uint64_t *number)
{
    const char *begin;

    take_token(text, "");
    begin = text->at;
    *number = 0;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9' && *number < (uint64_t)1 << 48)
        *number = *number * 10 + (uint64_t)(*text->at++ - '0');
    return text->at > begin && *number < (uint64_t)1 << 48;
}

static int read_type(struct text *text, struct ft_npy *npy)
{
    npy->size = take_token(text, "'<f4'") ? 4 : take_token(text, "'<f8'") ? 8 : 0;
    return npy->size ? 0 : ft_fail(FT_BAD, "numbers of another type, expected '<f4' or '<f8'");
}

static int read_shape(struct text *text, struct ft_npy *npy)
{
    uint64_t width;

    if (!take_token(text, "(") || !read_number(text, &npy->rows) || !take_token(text, ",") || !read_number(text, &width) ||
        !(take_token(text, ","), take_token(text, ")")))
        return ft_fail(FT_BAD, "no array of two dimensions, a row a vector");
    if (width == 0 || width > MOST_WIDTH)
        return ft_fail(FT_BAD, "rows of %llu numbers, expected 1 to %d", (unsigned long long)width, MOST_WIDTH);
    npy->width = (size_t)width;
    return 0;
}

static int read_header(struct text *text, struct ft_npy *npy)
{
    int found = 0, got = 0;
    bool more = take_token(text, "{");

    while (got == 0 && !(found && take_token(text, "}"))) {
        if (!more)
            return ft_fail(FT_BAD, "no header of an array");
        if (take_token(text, "'descr'") && take_token(text, ":"))
            got = read_type(text, npy);
        else if (take_token(text, "'shape'") && take_token(text, ":"))
            got = read_shape(text, npy);
        else if (take_token(text, "'fortran_order'") && take_token(text, ":"))
            got = take_token(text, "False") ? 0 : ft_fail(FT_BAD, "in Fortran's order, expected C's: numpy.ascontiguousarray");
        else
            got = ft_fail(FT_BAD, "no header of an array");
        found++;
        more = take_token(text, ",");
    }
    return got < 0 ? -1 : found == 3 && npy->width && npy->size ? 0 : ft_fail(FT_BAD, "a header without descr, fortran_order or shape");
}

static int begin(struct ft_npy *npy)
{
    unsigned char first[12];
    size_t more, size;
    struct text text;
    char *header;
    int done;

    if (fread(first, 1, 8, npy->file) != 8 || memcmp(first, "\x93NUMPY", 6) != 0 || first[6] < 1 || first[6] > 3)
        return ft_fail(FT_BAD, "no .npy file of version 1 to 3");
    more = first[6] == 1 ? 2 : 4;
    if (fread(first + 8, 1, more, npy->file) != more)
        return ft_fail(FT_BAD, "the file is cut short");
    size = (size_t)first[8] | (size_t)first[9] << 8 | (more == 4 ? (size_t)first[10] << 16 | (size_t)first[11] << 24 : 0);
    if (size > MOST_HEADER)
        return ft_fail(FT_BAD, "a header of %zu bytes, expected at most %d", size, MOST_HEADER);
    if (!(header = ft_resize(NULL, size + 1, 1)))
        return -1;
    text = (struct text){header, header + size};
    done = fread(header, 1, size, npy->file) == size ? read_header(&text, npy) : ft_fail(FT_BAD, "the file is cut short");
    free(header);
    if (done < 0)
        return -1;
    npy->raw = ft_resize(NULL, npy->width, npy->size);
    npy->vector = ft_resize(NULL, npy->width, sizeof *npy->vector);
    return npy->raw && npy->vector ? 0 : -1;
}

static int name_it(const struct ft_npy *npy)
{
    return ft_error_prefix("%s: ", strcmp(npy->path, "-") == 0 ? "standard input" : npy->path);
}

struct ft_npy *ft_npy_open(const char *path)
{
    struct ft_npy *npy = calloc(1, sizeof *npy);

    if (!npy) {
        ft_fail(FT_SYSTEM, "out of memory");
        return NULL;
    }
    npy->path = path;
    npy->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (!npy->file)
        ft_fail_errno("%s", path);
    else if (begin(npy) < 0)
        name_it(npy);
    else
        return npy;
    ft_npy_close(npy);
    return NULL;
}

void ft_npy_close(struct ft_npy *npy)
{
    if (!npy)
        return;
    if (npy->file && npy->file != stdin)
        fclose(npy->file);
    free(npy->raw);
    free(npy->vector);
    free(npy);
}

uint64_t ft_npy_rows(const struct ft_npy *npy)
{
    return npy->rows;
}

size_t ft_npy_width(const struct ft_npy *npy)
{
    return npy->width;
}

/* Behind the last row there is nothing, unless the header lies. */
static int end(struct ft_npy *npy)
{
    npy->over = true;
    if (ferror(npy->file))
        ft_fail(FT_SYSTEM, "%s", strerror(errno));
    else if (npy->next < npy->rows)
        ft_fail(FT_BAD, "ends in row %llu, expected %llu rows", (unsigned long long)npy->next + 1, (unsigned long long)npy->rows);
    else if (fgetc(npy->file) != EOF)
        ft_fail(FT_BAD, "goes on behind its %llu rows", (unsigned long long)npy->rows);
    else
        return 0;
    return name_it(npy);
}

int ft_npy_next(struct ft_npy *npy, struct ft_row *row)
{
    if (npy->over)
        return 0;
    if (npy->next == npy->rows || fread(npy->raw, npy->size, npy->width, npy->file) != npy->width)
        return end(npy);
    npy->next++;
    for (size_t i = 0; i < npy->width; i++) {
        double number = npy->size == 4 ? ((const float *)npy->raw)[i] : ((const double *)npy->raw)[i];

        npy->vector[i] = (float)number;
        if (!isfinite(npy->vector[i])) {
            ft_fail(FT_BAD, "number %zu is %g, expected a finite 32-bit number", i + 1, number);
            ft_error_prefix("%s:%llu: ", strcmp(npy->path, "-") == 0 ? "standard input" : npy->path, (unsigned long long)npy->next);
            return -1;
        }
    }
    npy->item = (struct ft_row_item){.role = FT_NO_ROLE, .vector = npy->vector, .width = npy->width};
    *row = (struct ft_row){.kind = FT_ROW_VECTORS, .line = (unsigned long)npy->next, .items = &npy->item, .item_count = 1};
    return 1;
}
