/* tap.h - TAP from C: ok(), is_close(), done(). A test program prints one line a check and exits 1 when one failed. */
#ifndef FT_TESTS_TAP_H
#define FT_TESTS_TAP_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

__attribute__((unused, format(printf, 2, 3))) static bool ok(bool good, const char *format, ...)
{
    va_list args;

    printf("%sok %d - ", good ? "" : "not ", ++tap_count);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    tap_failed += !good;
    fflush(stdout);
    return good;
}

__attribute__((unused)) static bool is_close(double got, double want, double tolerance, const char *what)
{
    bool good = fabs(got - want) <= tolerance;   /* false for NaN */

    if (!good)
        printf("# got %.9g, want %.9g, tolerance %.3g\n", got, want, tolerance);
    return ok(good, "%s", what);
}

__attribute__((unused)) static bool is_text(const char *got, const char *want, const char *what)
{
    bool good = strcmp(got, want) == 0;

    if (!good)
        printf("# got  \"%s\"\n# want \"%s\"\n", got, want);
    return ok(good, "%s", what);
}

__attribute__((unused)) static int done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed ? 1 : 0;
}

#endif
