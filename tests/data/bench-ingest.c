/* bench-ingest.c - how fast ft-ingest reads CSV, beside libcsv alone.
 *
 *     make bin/ft-ingest build/tests/data/bench-ingest && build/tests/data/bench-ingest [FILE...]
 *
 * Without files, of two that it makes in TMPDIR (or /tmp), labelled rows and pairs of 500 bytes and more. In MB of input a second, each
 * the best of several runs:
 *   libcsv      reads blocks of 64 KiB and parses them, with callbacks that do nothing
 *   ft-ingest   the whole command ($FT_BIN/ft-ingest, else bin/ft-ingest) into a pipe that this program empties
 *   ratio       the second over the first
 *   memory      of ft-ingest at its peak */
#include "base/random.h"
#include "base/tool.h"

#include <csv.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUNS = 5, MEGABYTES = 100 };

static void check(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(1);
}

static void ignore_field(void *data, size_t size, void *argument)
{
    (void)data, (void)size, (void)argument;
}

static void ignore_record(int terminator, void *argument)
{
    (void)terminator, (void)argument;
}

static double parse(const char *path)
{
    static char block[1 << 16];
    double start = ft_seconds();
    struct csv_parser parser;
    int fd = open(path, O_RDONLY);
    ssize_t got;

    check(fd >= 0 && csv_init(&parser, 0) == 0, path);
    while ((got = read(fd, block, sizeof block)) > 0)
        check(csv_parse(&parser, block, (size_t)got, ignore_field, ignore_record, NULL) == (size_t)got, "csv_parse");
    csv_fini(&parser, ignore_field, ignore_record, NULL);
    csv_free(&parser);
    close(fd);
    return ft_seconds() - start;
}

/* Seconds of the command; `memory` its peak in MB. */
static double ingest(const char *path, double *memory)
{
    static char block[1 << 18], tool[4096];
    const char *bin = getenv("FT_BIN");
    double start = ft_seconds();
    struct rusage usage;
    int fds[2], status;
    pid_t child;

    snprintf(tool, sizeof tool, "%s/ft-ingest", bin ? bin : "bin");
    check(pipe2(fds, O_CLOEXEC) == 0 && (child = fork()) >= 0, "fork");
    if (child == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execl(tool, tool, "--quiet", path, (char *)NULL);
        perror(tool);
        _exit(1);
    }
    close(fds[1]);
    while (read(fds[0], block, sizeof block) > 0)
        ;
    close(fds[0]);
    check(wait4(child, &status, 0, &usage) == child && status == 0, tool);
    *memory = (double)usage.ru_maxrss * 1024e-6;
    return ft_seconds() - start;
}

static void bench(const char *path, const char *what)
{
    double parsed = 1e9, ingested = 1e9, memory = 0, mb;
    struct stat st;

    check(stat(path, &st) == 0, path);
    mb = (double)st.st_size * 1e-6;
    /* In turns, so that what else the machine does falls on both. */
    for (int run = 0; run < RUNS; run++) {
        double took = parse(path);

        parsed = took < parsed ? took : parsed;
        took = ingest(path, &memory);
        ingested = took < ingested ? took : ingested;
    }
    printf("%s: %.0f MB\nlibcsv: %.0f MB/s\nft-ingest: %.0f MB/s\nratio: %.2f\nmemory: %.1f MB\n", what, mb, mb / parsed, mb / ingested,
           parsed / ingested, memory);
    fflush(stdout);
}

/* Words of a to z, every tenth with a comma, so that most texts are quoted; now and then a quote. */
static void put_text(FILE *f, struct ft_random *random, size_t size)
{
    fputc('"', f);
    for (size_t at = 0; at < size;) {
        size_t word = 2 + ft_random_below(random, 9);

        for (size_t i = 0; i < word; i++)
            fputc('a' + (int)ft_random_below(random, 26), f);
        fputs(ft_random_below(random, 10) == 0 ? ", " : ft_random_below(random, 100) == 0 ? " \"\"" : " ", f);
        at += word + 1;
    }
    fputc('"', f);
}

static void make(const char *path, bool pairs)
{
    struct ft_random random = ft_random_start(1, pairs);
    FILE *f = fopen(path, "w");

    check(f && fputs(pairs ? "anchor,positive\n" : "text,label\n", f) >= 0, path);
    for (long row = 0; ftell(f) < MEGABYTES * 1000000L; row++) {
        put_text(f, &random, pairs ? 60 : 500 + ft_random_below(&random, 400));
        fputc(',', f);
        if (pairs)
            put_text(f, &random, 440 + ft_random_below(&random, 400));
        else
            fprintf(f, "label%ld", row % 77);
        fputc('\n', f);
    }
    check(fclose(f) == 0, path);
}

int main(int argc, char **argv)
{
    const char *directory = getenv("TMPDIR");
    char path[4096];

    for (int i = 1; i < argc; i++)
        bench(argv[i], argv[i]);
    for (int pairs = 0; pairs < 2 && argc == 1; pairs++) {
        snprintf(path, sizeof path, "%s/bench-ingest-%ld.csv", directory ? directory : "/tmp", (long)getpid());
        make(path, pairs);
        bench(path, pairs ? "pairs" : "labelled");
        unlink(path);
    }
    return 0;
}
