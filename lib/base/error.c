/* error.c - one message and one status per thread. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct ft_error_copy current;

int ft_fail(enum ft_status status, const char *format, ...)
{
    va_list args;
    char text[sizeof current.message];   /* an argument may be the message that stands */

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(current.message, text, sizeof text);
    current.status = status;
    return -1;
}

int ft_fail_errno(const char *format, ...)
{
    int saved = errno;
    va_list args;
    char text[sizeof current.message];
    int length;

    va_start(args, format);
    length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, ": %s", strerror(saved));
    memcpy(current.message, text, sizeof text);
    current.status = FT_SYSTEM;
    return -1;
}

int ft_error_prefix(const char *format, ...)
{
    va_list args;
    char text[sizeof current.message];
    int length;

    va_start(args, format);
    length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, "%s", current.message);
    memcpy(current.message, text, sizeof text);
    return -1;
}

const char *ft_error(void)
{
    return current.message;
}

enum ft_status ft_error_status(void)
{
    return current.status == FT_DONE ? FT_SYSTEM : current.status;
}

void ft_error_clear(void)
{
    current.status = FT_DONE;
    current.message[0] = '\0';
}

void ft_error_save(struct ft_error_copy *copy)
{
    *copy = current;
}

void ft_error_restore(const struct ft_error_copy *copy)
{
    current = *copy;
}
