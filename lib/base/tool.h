/* tool.h - what the mains of all tools have in common: the option table, help, messages, exit status.
 *
 * A tool is a static `struct ft_tool` and a main of this shape:
 *
 *     int main(int argc, char **argv)
 *     {
 *         int status = ft_tool_begin(&tool, argc, argv);       parse; --help and usage errors end here
 *         if (status >= 0)
 *             return status;
 *         return ft_tool_end(&tool, run());                     run() gives 0 or -1 with ft_error set
 *     }
 *
 * This and log.c are the only files of lib/ that print, and they print for the tool that called them. */
#ifndef FT_BASE_TOOL_H
#define FT_BASE_TOOL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define FT_VERSION "0.1.0"

enum ft_option_type {
    FT_FLAG,      /* bool: present or not */
    FT_COUNT,     /* long, zero or more */
    FT_NUMBER,    /* double */
    FT_TEXT,      /* const char * */
    FT_SIZE,      /* size_t: bytes, with an optional k, M or G (powers of 1024) */
    FT_CHOICE,    /* const char *, one of `choices`, separated by blanks */
    FT_LIST,      /* struct ft_list: may be repeated */
    FT_SEQUENCE,  /* struct ft_list of "NAME=TEXT", or "NAME" where the option takes no argument: several options share one, which has their order */
};

struct ft_list {
    const char **items;
    size_t count;
};

/* The value's initial content is the default that --help prints; a number below or equal to zero means that the text says what happens. */
struct ft_option {
    char letter;              /* 'm' for -m, or 0 */
    const char *name;         /* "model" for --model, or NULL; the vocabulary is OPTIONS in ft(7) */
    enum ft_option_type type;
    void *value;
    const char *argument;     /* "MODEL"; NULL for flags and for choices, which print themselves */
    const char *help;         /* one line, lower case */
    const char *choices;
};

struct ft_writer;

struct ft_tool {
    const char *name;         /* "ft-sample" */
    const char *purpose;      /* one line: what it does */
    const char *operands;     /* "[FILE...]", or "" when it takes none */
    const struct ft_option *options;   /* ends with an entry whose help is NULL; -q -v -h --version are added */
    const char *const *examples;       /* real command lines; ends with NULL */
    const char *see_also;              /* "ft-ingest(1), ft-train(1)" */

    /* What ft_tool_begin fills. */
    int argc;                 /* operands, options removed */
    char **argv;
    int whole_argc;           /* the command line as given, for histories */
    char **whole_argv;
    bool quiet, verbose;

    /* What the tool keeps up to date; printed as the last line: "ft-sample: in=15000 out=234 bad=0 secs=0.8". */
    unsigned long in, out, bad;

    /* Set while a stream is open for writing: on failure the abort record goes there. Writing and closing it on
     * success is the tool's job; it then sets this to NULL. */
    struct ft_writer *output;
    double started;
};

/* Restores SIGPIPE, parses the table. -1: go on; otherwise the status to exit with (0 after --help). */
int ft_tool_begin(struct ft_tool *tool, int argc, char **argv);

/* Report (rc < 0: "ft-x: message" once, abort record downstream; else the counts) and give the exit status. An `rc`
 * above 0 is an exit status of its own (FT_NO). */
int ft_tool_end(struct ft_tool *tool, int rc);

/* "ft-x: text" on standard error; nothing with -q unless it is a warning. */
void ft_tool_say(const struct ft_tool *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ft_tool_warn(const struct ft_tool *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Was this option given on the command line? `value` is the pointer in its table entry. */
bool ft_tool_given(const struct ft_tool *tool, const void *value);

/* NAME:key=value,key=value - the only syntax for a thing with settings. */
struct ft_setting {
    char name[32];
    int count;
    struct {
        char key[32];
        char value[96];
    } pairs[16];
};

/* Split `text`; the keys are checked by whoever takes the setting, with ft_setting_check. -1: FT_USAGE. */
int ft_setting_parse(struct ft_setting *setting, const char *text);

/* Keys known, separated by blanks; an unknown one is an error that lists them. In a key - and _ are one. */
int ft_setting_check(const struct ft_setting *setting, const char *keys);

/* The value of `key`, or `otherwise` when absent. Numbers that do not parse: -1 through `failed`, FT_USAGE. */
double ft_setting_number(const struct ft_setting *setting, const char *key, double otherwise, int *failed);
const char *ft_setting_text(const struct ft_setting *setting, const char *key, const char *otherwise);

struct ft_buffer;

/* A key of a kind of setting. Its value is a double: the number, or, where there are choices, the number of the choice taken. */
struct ft_setting_key {
    const char *name;
    const char *choices;       /* "one both", or NULL for a number */
    double otherwise;          /* the default */
    double low, high;          /* what a number may be, both included */
    bool whole;                /* it must be a whole number */
};

/* A value for each of `keys`, whose table ends with a NULL name; FT_USAGE. And "NAME:key=value,..." again, with all keys. */
int ft_setting_keys_read(const struct ft_setting *setting, const struct ft_setting_key *keys, double *value);
int ft_setting_keys_print(struct ft_buffer *out, const char *name, const struct ft_setting_key *keys, const double *value);

/* Parse a whole string as a number; -1 with FT_USAGE when it is none. */
int ft_number_parse(const char *text, double *number);

/* The shortest text, of six digits or more, that reads back as the same number. */
int ft_number_print(struct ft_buffer *out, double number);

double ft_seconds(void);      /* monotonic clock */

#endif
