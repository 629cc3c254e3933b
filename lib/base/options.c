/* options.c - the option table: parsing, and --help. */
#include "base/tool.h"
#include "base/memory.h"
#include "base/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ft_number_parse(const char *text, double *number)
{
    char *end;

    errno = 0;
    *number = strtod(text, &end);
    if (end == text || *end || isspace((unsigned char)*text) || (errno && fabs(*number) > 1))
        return ft_fail(FT_USAGE, "'%s' is not a number", text);
    return 0;
}

int ft_number_print(struct ft_buffer *out, double number)
{
    char text[32];

    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return ft_buffer_print(out, "%s", text);
}

static int size_parse(const char *text, size_t *size)
{
    char *end;
    unsigned long long number;
    int shift = 0;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (end == text || !isdigit((unsigned char)*text) || errno)
        return ft_fail(FT_USAGE, "'%s' is not a size: bytes, with an optional k, M or G", text);
    if (*end)
        shift = *end == 'k' || *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : -1;
    if (shift < 0 || (*end && end[1]) || number > SIZE_MAX >> shift)
        return ft_fail(FT_USAGE, "'%s' is not a size: bytes, with an optional k, M or G", text);
    *size = (size_t)number << shift;
    return 0;
}

static bool in_words(const char *words, const char *word)
{
    size_t size = strlen(word);

    for (const char *p = words; *p; p += strcspn(p, " ") + (p[strcspn(p, " ")] == ' '))
        if (strcspn(p, " ") == size && memcmp(p, word, size) == 0)
            return true;
    return false;
}

static int list_add(struct ft_list *list, const char *item)
{
    const char **items = ft_resize(list->items, list->count + 1, sizeof *items);

    if (!items)
        return -1;
    list->items = items;
    list->items[list->count++] = item;
    return 0;
}

/* "NAME=TEXT"; it lives as long as the command line does. */
static int sequence_add(const struct ft_option *option, const char *text)
{
    size_t size = strlen(option->name) + (text ? strlen(text) : 0) + 2;
    char *item = malloc(size);

    if (!item)
        return ft_fail(FT_SYSTEM, "out of memory");
    snprintf(item, size, "%s%s%s", option->name, text ? "=" : "", text ? text : "");
    return list_add(option->value, item);
}

bool ft_option_alone(const struct ft_option *option)
{
    return option->type == FT_FLAG || (option->type == FT_SEQUENCE && !option->argument);
}

int ft_option_set(const struct ft_option *option, const char *text)
{
    double number;
    char *end;

    switch (option->type) {
    case FT_FLAG:
        *(bool *)option->value = true;
        return 0;
    case FT_COUNT:
        errno = 0;
        *(long *)option->value = strtol(text, &end, 10);
        if (end == text || *end || errno || !isdigit((unsigned char)*text))
            return ft_fail(FT_USAGE, "'%s' is not a whole number", text);
        return 0;
    case FT_NUMBER:
        if (ft_number_parse(text, &number) < 0)
            return -1;
        *(double *)option->value = number;
        return 0;
    case FT_TEXT:
        *(const char **)option->value = text;
        return 0;
    case FT_SIZE:
        return size_parse(text, option->value);
    case FT_CHOICE:
        if (!in_words(option->choices, text))
            return ft_fail(FT_USAGE, "'%s' is not known: one of %s", text, option->choices);
        *(const char **)option->value = text;
        return 0;
    case FT_LIST:
        return list_add(option->value, text);
    case FT_SEQUENCE:
        return sequence_add(option, text);
    }
    return ft_fail(FT_USAGE, "option of unknown type");
}

static void print_default(FILE *out, const struct ft_option *option)
{
    switch (option->type) {
    case FT_COUNT:
        if (*(const long *)option->value > 0)
            fprintf(out, " [%ld]", *(const long *)option->value);
        break;
    case FT_NUMBER:
        if (*(const double *)option->value > 0)
            fprintf(out, " [%g]", *(const double *)option->value);
        break;
    case FT_TEXT:
    case FT_CHOICE:
        if (*(const char *const *)option->value)
            fprintf(out, " [%s]", *(const char *const *)option->value);
        break;
    case FT_SIZE:
        if (*(const size_t *)option->value)
            fprintf(out, " [%zu]", *(const size_t *)option->value);
        break;
    case FT_FLAG:
    case FT_LIST:
    case FT_SEQUENCE:
        break;
    }
}

/* "-m, --model MODEL" */
static void option_words(const struct ft_option *option, char *words, size_t size)
{
    const char *argument = ft_option_alone(option) ? "" : option->argument ? option->argument : option->choices;
    char choice[160], letter[8] = "", name[64] = "";

    if (option->type == FT_CHOICE && !option->argument) {
        snprintf(choice, sizeof choice, "%s", argument);
        for (char *p = choice; *p; p++)
            if (*p == ' ')
                *p = '|';
        argument = choice;
    }
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c%s", option->letter, option->name ? ", " : "");
    if (option->name)
        snprintf(name, sizeof name, "--%s", option->name);
    snprintf(words, size, "%s%s%s%s", letter, name, *argument ? " " : "", argument);
}

static void print_option(FILE *out, const struct ft_option *option)
{
    char words[256];

    option_words(option, words, sizeof words);
    if (strlen(words) > 26)
        fprintf(out, "  %s\n  %26s  %s", words, "", option->help);
    else
        fprintf(out, "  %-26s  %s", words, option->help);
    print_default(out, option);
    fputc('\n', out);
}

void ft_tool_help(FILE *out, const struct ft_tool *tool, const struct ft_option *standard)
{
    fprintf(out, "%s - %s\n\nusage: %s [OPTION...]%s%s\n\n", tool->name, tool->purpose, tool->name,
            *tool->operands ? " " : "", tool->operands);
    for (const struct ft_option *o = tool->options; o && o->help; o++)
        print_option(out, o);
    for (const struct ft_option *o = standard; o->help; o++)
        print_option(out, o);
    fprintf(out, "\ne.g.\n");
    for (const char *const *e = tool->examples; e && *e; e++)
        fprintf(out, "  %s\n", *e);
    if (tool->see_also)
        fprintf(out, "\nsee also: %s\n", tool->see_also);
}
