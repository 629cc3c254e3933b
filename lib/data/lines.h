/* lines.h - the physical lines of a text file: what CSV, JSON lines and plain lines have in common.
 *
 * Decodes (iconv, or none for UTF-8), drops a byte-order mark, counts lines, checks UTF-8, and bounds what one line may take.
 * Memory is one block and the longest line. */
#ifndef FT_DATA_LINES_H
#define FT_DATA_LINES_H

#include "base/memory.h"

enum { FT_LIMIT_LINE = 16 << 20 };     /* bytes of one line, and of one record of several lines */

struct ft_line {
    struct ft_string text;       /* without its terminator; valid until the next call */
    struct ft_string whole;      /* with it (LF, CRLF or CR); equal to `text` where the file ends without one */
    unsigned long number;        /* the first is 1 */
    const char *fault;           /* NULL, or why the line is no text; a line that is too long has an empty `text` too */
};

struct ft_lines;

/* `path` "-" is standard input (refused when it is a terminal). `encoding` NULL is UTF-8, else a name that iconv knows (FT_USAGE when it
 * does not). The path must outlive the lines. */
struct ft_lines *ft_lines_open(const char *path, const char *encoding);
void ft_lines_close(struct ft_lines *lines);
const char *ft_lines_name(const struct ft_lines *lines);     /* the path, or "standard input" */

/* While waiting for input that is no regular file, end quietly (SIGPIPE) when nobody reads the descriptor `output` any more. */
void ft_lines_watch(struct ft_lines *lines, int output);

/* A CR without LF ends a line too, as in CSV. Where a file has LF at all, only LF counts for numbers, as in an editor. */
void ft_lines_split_cr(struct ft_lines *lines);

/* The first bytes of the file, decoded, at least `size` of them unless the file is shorter; nothing is consumed. Before the first next. */
int ft_lines_peek(struct ft_lines *lines, size_t size, struct ft_string *head);

/* 1: a line. 0: no more. -1: the file cannot be read (FT_SYSTEM). */
int ft_lines_next(struct ft_lines *lines, struct ft_line *line);

/* For formats without lines: 1 and the bytes behind what was taken so far, decoded, at least one of them, valid until the next call; 0: no more;
 * -1: FT_SYSTEM. Nothing is checked: bytes that cannot be decoded are 0xff. */
int ft_lines_block(struct ft_lines *lines, struct ft_string *block);

/* Offset of the first byte that is not UTF-8 (RFC 3629: no surrogates, no overlong forms) or is null; `size` when all is well. */
size_t ft_utf8_check(const char *data, size_t size);

#endif
