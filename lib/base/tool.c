/* tool.c - the beginning and the end of every tool's main. */
#include "base/tool.h"
#include "base/abort.h"
#include "base/options.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

ft_abort_function *ft_abort_hook;
bool ft_upstream_failed;

static bool help, version;
static const void *given[128];
static size_t given_count;

double ft_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static const struct ft_option *find_option(const struct ft_option *options, char letter, const char *name, size_t size)
{
    for (const struct ft_option *o = options; o && o->help; o++)
        if (letter ? o->letter == letter : o->name && strlen(o->name) == size && memcmp(o->name, name, size) == 0)
            return o;
    return NULL;
}

static int unknown_option(const struct ft_tool *tool, const char *word)
{
    char known[1024] = "";
    size_t used = 0;

    for (const struct ft_option *o = tool->options; o && o->help && used < sizeof known; o++) {
        const char letter[2] = {o->letter, '\0'};

        used += (size_t)snprintf(known + used, sizeof known - used, " %s%s", o->name ? "--" : "-", o->name ? o->name : letter);
    }
    return ft_fail(FT_USAGE, "unknown option '%s': known are%s -q -v --help --version", word, known);
}

static int set_option(const struct ft_option *option, const char *word, const char *value)
{
    if (given_count < sizeof given / sizeof *given)
        given[given_count++] = option->value;
    return ft_option_set(option, value) < 0 ? ft_error_prefix("%s: ", word) : 0;
}

/* One word that begins with '-'; `next` is the word after it. Gives 1 when that was used up, 0 when not. */
static int parse_word(const struct ft_tool *tool, const struct ft_option *standard, const char *word, const char *next)
{
    bool is_long = word[1] == '-';
    const char *name = word + 1 + is_long, *equals = is_long ? strchr(name, '=') : NULL, *value = NULL;
    size_t size = equals ? (size_t)(equals - name) : strlen(name);
    char letter = is_long ? 0 : *name;
    const struct ft_option *option = find_option(tool->options, letter, name, size);

    if (!option)
        option = find_option(standard, letter, name, size);
    if (!option)
        return unknown_option(tool, word);
    if (ft_option_alone(option)) {
        if (equals || (letter && name[1]))
            return ft_fail(FT_USAGE, "%s: takes no value", word);
        return set_option(option, word, NULL);
    }
    value = equals ? equals + 1 : letter && name[1] ? name + 1 : next;
    if (!value)
        return ft_fail(FT_USAGE, "%s: a value is missing", word);
    return set_option(option, word, value) < 0 ? -1 : value == next && !equals;
}

static int parse(struct ft_tool *tool, const struct ft_option *standard)
{
    int kept = 0, used;
    bool only_operands = false;
    char **operands = calloc((size_t)tool->whole_argc + 1, sizeof *operands);

    if (!operands)
        return ft_fail(FT_SYSTEM, "out of memory");
    for (int i = 1; i < tool->whole_argc; i++) {
        char *word = tool->whole_argv[i];

        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (only_operands || word[0] != '-' || word[1] == '\0') {
            operands[kept++] = word;
        } else {
            used = parse_word(tool, standard, word, tool->whole_argv[i + 1]);
            if (used < 0) {
                free(operands);
                return -1;
            }
            i += used;
        }
    }
    tool->argc = kept;
    tool->argv = operands;
    return 0;
}

/* The command line as a shell takes it back, so that a log begins with how to reproduce it. */
static void print_command(FILE *out, const struct ft_tool *tool)
{
    fprintf(out, "%s: %s", tool->name, tool->name);
    for (int i = 1; i < tool->whole_argc; i++) {
        const char *word = tool->whole_argv[i];

        fputc(' ', out);
        if (*word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_")]) {
            fputs(word, out);
            continue;
        }
        fputc('\'', out);
        for (; *word; word++)
            *word == '\'' ? fputs("'\\''", out) : fputc(*word, out);
        fputc('\'', out);
    }
    fputc('\n', out);
}

int ft_tool_begin(struct ft_tool *tool, int argc, char **argv)
{
    const struct ft_option standard[] = {
        {'q', "quiet", FT_FLAG, &tool->quiet, NULL, "say nothing but errors and warnings", NULL},
        {'v', "verbose", FT_FLAG, &tool->verbose, NULL, "say the command line first, to be pasted back", NULL},
        {'h', "help", FT_FLAG, &help, NULL, "this text", NULL},
        {0, "version", FT_FLAG, &version, NULL, "the version", NULL},
        {0, NULL, FT_FLAG, NULL, NULL, NULL, NULL},
    };

    /* Some parents ignore SIGPIPE, and children inherit that; a filter must end quietly when its reader has gone. */
    signal(SIGPIPE, SIG_DFL);
    tool->started = ft_seconds();
    tool->whole_argc = argc;
    tool->whole_argv = argv;
    if (parse(tool, standard) < 0) {
        fprintf(stderr, "%s: %s (try %s --help)\n", tool->name, ft_error(), tool->name);
        return FT_USAGE;
    }
    if (version)
        printf("%s %s\n", tool->name, FT_VERSION);
    else if (help)
        ft_tool_help(stdout, tool, standard);
    else if (tool->argc && !*tool->operands) {
        fprintf(stderr, "%s: '%s': takes no operands (try %s --help)\n", tool->name, tool->argv[0], tool->name);
        return FT_USAGE;
    } else {
        if (tool->verbose)
            print_command(stderr, tool);
        return -1;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "%s: cannot write to standard output\n", tool->name);
        return FT_SYSTEM;
    }
    return FT_DONE;
}

/* A stream that was sent to a file or to /dev/null reaches no other tool. */
static bool output_is_pipe(void)
{
    struct stat st;

    return fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static int report_failure(struct ft_tool *tool)
{
    int status = ft_error_status();
    bool in_between = ft_upstream_failed && tool->output && output_is_pipe();

    /* A tool in between passes the message of the one that failed on; the last tool says it. */
    if (!in_between)
        fprintf(stderr, "%s: %s\n", tool->name, ft_error());
    if (tool->output && ft_abort_hook)
        ft_abort_hook(tool->output, tool->name, ft_error(), status);
    tool->output = NULL;
    return status;
}

int ft_tool_end(struct ft_tool *tool, int rc)
{
    int status = rc < 0 ? report_failure(tool) : rc;

    if (rc >= 0 && (fflush(stdout) != 0 || ferror(stdout))) {
        fprintf(stderr, "%s: cannot write to standard output\n", tool->name);
        return FT_SYSTEM;
    }
    if (rc >= 0 && !tool->quiet)
        fprintf(stderr, "%s: in=%lu out=%lu bad=%lu secs=%.1f\n", tool->name, tool->in, tool->out, tool->bad,
                ft_seconds() - tool->started);
    return status;
}

static void say(const struct ft_tool *tool, const char *format, va_list args)
{
    char line[2048];
    int size = snprintf(line, sizeof line, "%s: ", tool->name);

    /* One write a line, so that the lines of a pipe's tools do not mix. */
    vsnprintf(line + size, sizeof line - (size_t)size, format, args);
    fprintf(stderr, "%s\n", line);
}

void ft_tool_say(const struct ft_tool *tool, const char *format, ...)
{
    va_list args;

    if (tool->quiet)
        return;
    va_start(args, format);
    say(tool, format, args);
    va_end(args);
}

void ft_tool_warn(const struct ft_tool *tool, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(tool, format, args);
    va_end(args);
}

bool ft_tool_given(const struct ft_tool *tool, const void *value)
{
    (void)tool;
    for (size_t i = 0; i < given_count; i++)
        if (given[i] == value)
            return true;
    return false;
}
