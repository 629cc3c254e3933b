/* hex.h - golden files of words between blanks, some of them bytes in hex. */
#ifndef FT_TESTS_DATA_HEX_H
#define FT_TESTS_DATA_HEX_H

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The next word of *text as a null-terminated string in place, "" at the end. */
__attribute__((unused)) static char *word_next(char **text)
{
    char *word = *text + strspn(*text, " "), *end = word + strcspn(word, " \n");

    *text = *end ? end + 1 : end;
    *end = 0;
    return word;
}

__attribute__((unused)) static size_t number_next(char **text)
{
    return strtoul(word_next(text), NULL, 10);
}

/* The next word's bytes, written over it. */
__attribute__((unused)) static struct ft_string hex_next(char **text)
{
    char *word = word_next(text);
    size_t size = strlen(word) / 2;

    for (size_t i = 0; i < size; i++)
        word[i] = (char)(hex_digit(word[2 * i]) << 4 | hex_digit(word[2 * i + 1]));
    return (struct ft_string){word, size};
}

#endif
