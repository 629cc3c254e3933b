/* golden-file.h - words and numbers of a file of golden cases, one after another; `bail` is the test's own, and does not return. */
#include <stdio.h>
#include <string.h>

static void bail(const char *what);

static long next_long(FILE *file)
{
    long value;

    if (fscanf(file, "%ld", &value) != 1)
        bail("expected a whole number");
    return value;
}

static double next_double(FILE *file)
{
    double value;

    if (fscanf(file, "%lf", &value) != 1)
        bail("expected a number");
    return value;
}

static void expect(FILE *file, const char *word)
{
    char got[32];

    if (fscanf(file, "%31s", got) != 1 || strcmp(got, word) != 0)
        bail(word);
}
