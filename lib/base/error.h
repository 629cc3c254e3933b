/* error.h - how the library says what went wrong.
 *
 * No function of lib/ exits or prints. One that can fail returns 0 or -1 (or a pointer or NULL) and
 * leaves a message and an exit status here, per thread. Callers add where it happened by prefixing:
 *
 *     if (ft_csv_next(csv, &row) < 0)
 *         return ft_error_prefix("%s:%lu: ", path, line);        -> "train.csv:795: no closing quote"
 *
 * Messages are lower case, say what was wrong and what was expected, and end without a full stop. */
#ifndef FT_BASE_ERROR_H
#define FT_BASE_ERROR_H

#include <stddef.h>

/* Exit statuses, the same for all tools (DESIGN: failing well). */
enum ft_status {
    FT_DONE = 0,    /* done */
    FT_NO = 1,      /* the answer is no: a threshold not met, too many bad records */
    FT_USAGE = 2,   /* options, names, settings that conflict */
    FT_BAD = 3,     /* bad or truncated input */
    FT_SYSTEM = 4,  /* input/output, memory, threads */
};

/* Set message and status; always returns -1, so that `return ft_fail(FT_BAD, ...)` reads well. */
int ft_fail(enum ft_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with ": strerror(errno)" at the end and status FT_SYSTEM. */
int ft_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Put "where" before the message that stands; always returns -1. */
int ft_error_prefix(const char *format, ...) __attribute__((format(printf, 1, 2)));

const char *ft_error(void);             /* the message, "" when there is none; valid until the next failure */
enum ft_status ft_error_status(void);   /* its status; FT_SYSTEM when nobody set one */
void ft_error_clear(void);

/* Carry an error from one thread to another (a pool's worker to its caller). */
struct ft_error_copy {
    enum ft_status status;
    char message[1024];
};
void ft_error_save(struct ft_error_copy *copy);
void ft_error_restore(const struct ft_error_copy *copy);

#endif
